"""What happens to conversations when HexChats, tabs, nicks, servers and connections come and go."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Self

import pytest

from tests.clients.drivers.hexchat import HexChat, Where, private, status
from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.proxy import Direction, RecordingProxy
from tests.clients.drivers.waiting import wait_for
from tests.clients.hexchat_support import (
    NAME,
    SCRIPT,
    notes,
    readable,
    received,
    runtime,
    secure,
    start,
    talk,
    wait_note,
)
from tests.clients.weechat_support import engine_of, without_offer

OVER = "has ended the encrypted conversation"
UNVERIFIED = "\N{WARNING SIGN}"
FINISHED = "\N{HEAVY MULTIPLICATION X}"

# As long as the server allows, as is the name of the host: this is what stands in front of a line then.
LONG_NICK = "Alice-" + "a" * 24
LONG_HOST = "a-very-long-name-of-a-host-behind-which-all-users-hide.test.invalid"[-63:]
LONG_TEXT = ("A line of two thousand characters, ü among them, which IRC has no room for. " * 28)[:2000]

# Of HexChat's flags of a tab: its value, and above it whether it has none of its own.
_LOGGING, _SCROLLBACK = 11, 13

_numbers = count(1)


class Cable(RecordingProxy):
    """A way to a server that can be cut, and on which a server's bytes can be changed."""

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self.change: Callable[[bytes], bytes] = bytes

    def __enter__(self) -> Self:
        return self

    def cut(self) -> None:
        """Cut every connection; those who come afterwards find the server again."""
        self._call(self._cut())

    async def _cut(self) -> None:
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.readline():
                writer.write(self.change(chunk) if direction == "received" else chunk)
                await writer.drain()


def canary() -> str:
    """Return a text that was never said before."""
    return f"canary no. {next(_numbers)} sings"


def talk_both_ways(alice: HexChat, bob: HexChat, server: str = "test") -> None:
    """Be sure that what is typed arrives, and that nobody else can read it."""
    for one, other in ((alice, bob), (bob, alice)):
        text = canary()
        talk(one, other, text, server)
        assert not readable([alice, bob], text)


def label(client: HexChat, where: Where) -> str:
    """Return what the tree of tabs shows of one; empty if it is not there."""
    tab = client.tabs().get(where)
    return "" if tab is None else tab.label


def wait_label(client: HexChat, where: Where, text: str) -> None:
    """Wait until the tree of tabs shows a tab so."""
    client.wait(lambda: label(client, where) == text, f"a tab called {text!r}")


def written(client: HexChat, where: Where) -> tuple[str, str]:
    """Return how HexChat's log and its scrollback of a tab are set."""
    flags = client.tabs()[where].flags
    values = ["unset" if flags >> bit + 1 & 1 else "on" if flags >> bit & 1 else "off" for bit in (11, 13)]
    return values[0], values[1]


def carried(client: HexChat, nick: str, start: int = 0) -> list[str]:
    """Return the texts that a client's server was sent for somebody, from a line on."""
    mark = f"PRIVMSG {nick} :"
    lines = [line.text for line in client.wire.lines[start:] if line.direction == "sent"]
    return [line.removeprefix(mark) for line in lines if line.startswith(mark)]


def untagged(line: str) -> str:
    """Return the text of a line that was sent, without an offer of OTR in it."""
    return without_offer(line.partition(" :")[2])


def forget(client: HexChat, *nicks: str) -> None:
    """Have a client that stays go on without encryption, for whoever comes under that nick next."""
    for nick in nicks:
        client.say(nick, "/otr end")
        wait_label(client, private(nick), nick)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngircd]:
    with Ngircd(tmp_path_factory.mktemp("life") / "ngircd") as server:
        yield server


@pytest.fixture(scope="module")
def staying(tmp_path_factory: pytest.TempPathFactory, server: Ngircd) -> Iterator[list[HexChat]]:
    """Bob and Carol, who stay while others come and go."""
    with ExitStack() as running:
        folder = tmp_path_factory.mktemp("staying")
        clients = start(running, folder, server.port, "bob", "carol", channels=["#room"])
        yield clients
        for client in clients:
            assert client.errors() == []


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


def test_other_nicks(tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack) -> None:
    bob, carol = staying
    (alice,) = start(running, tmp_path, server.port, "alice", channels=["#room"])
    secure(alice, bob)
    alice.say("bob", "/otr log on")
    for nick in ("robert", "Robert", "bob"):
        bob.command(f"/nick {nick}", status())
        bob.nick = nick
        wait_label(alice, private(nick), f"{UNVERIFIED} {nick}")
        talk_both_ways(alice, bob)
        assert written(bob, private("alice")) == ("off", "off")
        if nick == "Robert":
            # Somebody else under the old nick is somebody else.
            carol.command("/nick bob", status())
            carol.nick = "bob"
            talk(carol, alice, "in the clear")
            wait_label(alice, private("bob"), "bob")
            carol.command("/nick carol", status())
            carol.nick = "carol"
            alice.wait(lambda: private("carol") in alice.tabs(), "the other nick")
    assert "canary" in "".join(path.read_text() for path in alice.folder.rglob("*.log"))
    for nick in ("alicia", "Alicia", "alice"):
        alice.command(f"/nick {nick}", status())
        alice.nick = nick
        wait_label(bob, private(nick), f"{UNVERIFIED} {nick}")
        talk_both_ways(alice, bob)
        wait_label(alice, private("bob"), f"{UNVERIFIED} bob")
    assert not bob.files_with("canary")
    alice.say("bob", "/otr end")
    wait_note(bob, "alice", OVER)
    forget(bob, "alice")
    assert written(alice, private("bob")) == written(bob, private("alice")) == ("unset", "unset")
    assert alice.errors() == []


@pytest.mark.parametrize(
    "way", ["/quit", "/close", "ctrl+q", "window", "/discon", "/reconnect", "menu", "/server"]
)
def test_leaving_a_server(
    tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack, way: str
) -> None:
    """With all that HexChat sends in advance used up, so that what follows would wait and be lost."""
    bob, carol = staying
    nick = f"alice{next(_numbers)}"
    delay = {"net_reconnect_delay": "1"}
    (alice,) = start(running, tmp_path, server.port, nick, settings=delay)
    secure(alice, bob)
    secure(alice, carol)
    alice.set_option("net_throttle", "1")
    before = len(alice.wire.lines)
    for number in range(12):
        alice.command(f"/quote PRIVMSG nobody :{number} {'x' * 400}", status())
    alice.wait(lambda: alice.tabs()[status()].queue > 2000, "lines that wait")
    if way == "ctrl+q":
        alice.press("ctrl+q")
    elif way == "window":
        alice.desktop.press("alt+F4")
    elif way == "menu":
        alice.press("alt+s", "d")
    elif way == "/server":
        alice.command(f"/server 127.0.0.1 {alice.wire.port}", status())
    else:
        alice.command(way, status())
    if way == "/close":
        alice.wait_dialog("Close them all?")
        alice.wait(lambda: [dialog for dialog in alice.dialogs() if dialog.active], "the question in front")
        alice.desktop.press("alt+o")  # with its last tab, HexChat ends
    for client in staying:
        wait_note(client, nick, OVER)
        wait_label(client, private(nick), f"{FINISHED} {nick}")
    lines = [line.text for line in alice.wire.lines[before:] if line.direction == "sent"]
    ends = [at for at, line in enumerate(lines) if "PRIVMSG bob :?OTR" in line or "carol :?OTR" in line]
    # In version 4, each is a message of several lines.
    assert len({lines[at].split(",")[0] for at in ends}) == 2
    assert all(at > ends[-1] for at, line in enumerate(lines) if line.startswith("QUIT"))
    if way in ("/reconnect", "/server"):
        assert alice.option("net_throttle") == 1
        alice.set_option("net_throttle", "0")
    text = canary()
    bob.say(nick, text)
    wait_note(bob, nick, f"your text: {text}")
    assert not readable(staying, text)
    forget(bob, nick)
    if way in ("ctrl+q", "window", "/close"):
        alice.wait_end()
        return
    assert alice.errors() == []
    if way in ("/reconnect", "/server"):
        alice.wait_connected(times=2)
        # The server may not have noticed yet that the nick is free.
        alice.nick = alice.evaluate("hexchat.get_info('nick')", status())
        talk(bob, alice, "in the clear")
        wait_label(alice, private("bob"), "bob")
        secure(bob, alice)
        talk_both_ways(alice, bob)


# Servers that are two, though they look like one.


def test_the_same_nick_on_two_servers(tmp_path: Path, running: ExitStack) -> None:
    """Their networks tell the same name, and HexChat's name of one of them has a blank."""
    first = running.enter_context(Ngircd(tmp_path / "first"))
    second = running.enter_context(Ngircd(tmp_path / "second"))
    other = "my other net"
    alice, bob = start(running, tmp_path, first.port, "alice", "bob", servers={other: second.port})
    secure(alice, bob)
    text = canary()
    talk(alice, bob, text, other)
    assert text in map(untagged, alice.wires[other].sent())
    assert not [line for line in alice.wire.lines if untagged(line.text) == text]
    talk_both_ways(alice, bob)
    # Who is known to have OTR was offered it by that text, and takes it.
    wait_note(bob, "alice", "Secured", server=other)
    wait_label(alice, private("bob", other), f"{UNVERIFIED} bob")
    talk_both_ways(alice, bob, other)
    alice.say("bob", "/otr end", other)
    wait_note(bob, "alice", OVER, server=other)
    talk_both_ways(alice, bob)
    assert alice.errors() == bob.errors() == []


def test_one_network_twice(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    """HexChat itself has the same name for both then."""
    second = running.enter_context(Ngircd(tmp_path / "second"))
    way = running.enter_context(RecordingProxy(second.port))
    alice, bob = start(running, tmp_path, server.port, "alice", "robin")
    (there,) = start(running, tmp_path / "there", second.port, "robin")
    secure(alice, bob)
    alice.command(f"/newserver 127.0.0.1 {way.port}", status())
    wait_for(lambda: any(" 376 " in line for line in way.received()), "the other server's welcome")

    def named() -> list[str]:
        found: list[str] = alice.evaluate("sorted(screen.tabs._names.values())", addon=NAME)
        return found if len(found) == 2 else []

    names = alice.wait(named, "two names")
    assert names[0] == "test"
    assert names[1].startswith("test/")

    def command(server: str, line: str) -> None:
        tab = f"next(tab for tab in screen.tabs.all() if tab.server == {server!r})"
        alice.evaluate(f"{tab}.context.command({line!r})", addon=NAME)

    def say(server: str, to: HexChat) -> str:
        text = canary()
        command(server, f"msg robin {text}")
        wait_for(lambda: text in received(to, "alice"), f"{text!r} from {server}")
        return text

    before = len(alice.printed())
    plain = say(names[1], there)
    assert plain in map(untagged, way.sent())
    assert not readable([alice], say(names[0], bob))
    # Who is known to have OTR was offered it by that text, and takes it.
    wait_note(there, "alice", "Secured")
    # HexChat has one name for both networks: the lines are those of every tab.
    alice.wait(lambda: any("Secured" in said.text for said in alice.printed()[before:]), "the exchange")
    for server_name, to in ((names[1], there), (names[0], bob)):
        text = say(server_name, to)
        assert not [line for line in (*way.lines, *alice.wire.lines) if text in line.text]
    command(names[1], "discon")
    wait_note(there, "alice", OVER)
    assert not readable([alice], say(names[0], bob))
    assert alice.errors() == []


# Connections and programs that end.


def test_a_tab_is_closed(tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack) -> None:
    bob = staying[0]
    (alice,) = start(running, tmp_path, server.port, "alicec")
    secure(alice, bob)
    alice.command("/close", private("bob"))
    wait_note(bob, "alicec", OVER)
    assert private("bob") not in alice.tabs()
    forget(bob, "alicec")
    talk(bob, alice, "in the clear")
    wait_label(alice, private("bob"), "bob")
    assert alice.errors() == []


def test_the_connection_is_cut(
    tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack
) -> None:
    bob = staying[0]
    cable = running.enter_context(Cable(server.port))
    (alice,) = start(running, tmp_path, cable.port, "aliced", settings={"net_reconnect_delay": "2"})
    secure(alice, bob)
    cable.cut()
    wait_note(alice, "bob", OVER)
    text = canary()
    alice.say("bob", text)
    wait_note(alice, "bob", f"your text: {text}")
    alice.wait_connected(times=2)
    assert not readable([alice], text)
    alice.say("bob", "/otr start")
    wait_note(alice, "bob", "Secured: ", 2)
    wait_note(bob, "aliced", "Secured with fresh keys: ")
    talk_both_ways(alice, bob)
    forget(bob, "aliced")
    assert alice.errors() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_hexchat_is_killed(
    tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack, number: signal.Signals
) -> None:
    """The engine ends too; at the next start log and scrollback of the tab are as they were."""
    bob, nick = staying[0], f"alice{next(_numbers)}"
    (alice,) = start(running, tmp_path, server.port, nick)
    alice.open_query("bob")
    alice.command("/chanopt -quiet text_scrollback on", private("bob"))
    before = written(alice, private("bob"))
    secure(alice, bob)
    text = canary()
    talk(alice, bob, text)
    assert written(alice, private("bob")) == ("off", "off")
    assert (alice.data / "otr_client.logs.json").exists()
    engine = engine_of(alice)
    alice.kill(number)
    wait_for(lambda: not Path(f"/proc/{engine}").exists(), "the end of the engine")
    run = Path(alice.environment["HOME"]) / ".local/share/otrcore/run"
    wait_for(lambda: not [path for path in run.iterdir() if path.suffix == ".sock"], "the end of its socket")
    assert not alice.files_with(text)
    forget(bob, nick)
    alice.start()
    alice.open_query("bob")
    assert written(alice, private("bob")) == before == ("unset", "on")
    assert not (alice.data / "otr_client.logs.json").exists()
    secure(alice, bob)
    forget(bob, nick)
    assert alice.errors() == []


# What a server tells.


def test_no_line_is_cut(tmp_path: Path, running: ExitStack) -> None:
    """The server puts who sends in front of a line, and cuts at 512 bytes."""
    server = running.enter_context(Ngircd(tmp_path / "ngircd", f"[Options]\nCloakHost = {LONG_HOST}\n"))
    alice, bob = start(running, tmp_path, server.port, LONG_NICK, "bob")
    limit = "screen.limit('test', 'bob')"
    assert alice.evaluate(limit, addon=NAME) is None
    secure(alice, bob)
    talk(alice, bob, LONG_TEXT)
    alice.command("/join #room", status())
    room = alice.wait(lambda: alice.evaluate(limit, addon=NAME), "what a line has room for")
    prefix = next(line for line in alice.wire.received() if " JOIN " in line).partition(" ")[0]
    assert LONG_HOST in prefix
    assert len(f"{prefix} PRIVMSG bob :\r\n") + room <= 512
    talk(alice, bob, LONG_TEXT[::-1])
    assert max(len(line.data) for line in bob.wire.lines) in range(500, 513)

    # Others see us elsewhere from now on.
    for line, host in (
        (
            f":irc.loopback.test 396 {LONG_NICK} else.where :is your displayed hostname now",
            "~Alice-aaaaaaaaaaaa@else.where",
        ),
        (f":{prefix[1:]} CHGHOST user somewhere.else", "user@somewhere.else"),
    ):
        alice.command(f"/recv {line}", status())
        told = alice.evaluate("screen.servers._mask('test', hexchat.get_info('nick'))", addon=NAME)
        assert told == f"{LONG_NICK}!{host}"
    assert not notes(bob, LONG_NICK, "damaged")


def test_loaded_late(tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack) -> None:
    """What the server has said of itself by then is asked for, and shown to nobody."""
    bob, nick = staying[0], f"alice{next(_numbers)}"
    folder = tmp_path / nick
    alice = running.enter_context(HexChat(nick, folder, server.port, changes=runtime()))
    shown = len(alice.printed())
    alice.load(NAME, SCRIPT.read_text("utf-8"))
    alice.wait(lambda: [line for line in alice.wire.received() if " 351 " in line], "the answer to VERSION")
    alice.wait(lambda: alice.evaluate("screen.chat.fingerprint('test')", addon=NAME), "the server's name")
    secure(alice, bob)
    talk_both_ways(alice, bob)
    assert [line for line in alice.printed()[shown:] if line.event == "Server Text"] == []
    mine = re.compile(r"your fingerprint: +([0-9A-F ]{44})")
    first = mine.findall("\n".join(notes(alice, "bob")))
    alice.command("/quote VERSION", status())
    alice.wait(
        lambda: [line for line in alice.printed()[shown:] if "NETWORK=" in line.nick],
        "what the user has asked for",
    )
    alice.quit()
    alice.start()
    forget(bob, nick)
    secure(alice, bob)
    found = mine.findall("\n".join(notes(alice, "bob")))
    assert len(found) == 2
    assert set(found) == set(first)
    # Under the network's own name, and not HexChat's for it.
    store = Path(alice.environment["HOME"]) / ".local/share/otrcore"
    assert alice.evaluate("hexchat.get_info('network')") == "test"
    kept = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert b"testnet" in kept
    assert alice.errors() == []


def test_the_time_of_a_message(tmp_path: Path, running: ExitStack) -> None:
    """A message that a server or a bouncer has kept is shown as of when it was said."""
    server = running.enter_context(Inspircd(tmp_path / "inspircd"))
    cable = running.enter_context(Cable(server.port))
    (alice,) = start(running, tmp_path, cable.port, "alice")
    (bob,) = start(running, tmp_path, server.port, "bob")
    secure(alice, bob)
    cable.change = lambda line: re.sub(rb"@time=[0-9TZ:.-]+", b"@time=2026-01-02T03:04:05.678Z", line)
    talk(bob, alice, "some time ago")
    said = next(line for line in alice.printed(private("bob")) if line.text.endswith("some time ago"))
    assert time.gmtime(said.time)[:6] == (2026, 1, 2, 3, 4, 5)
    assert alice.errors() == []


def test_the_pauses_between_lines(
    tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack
) -> None:
    """HexChat spares servers, as it is installed; the user sees how far a message is."""
    bob, nick = staying[0], f"alice{next(_numbers)}"
    (alice,) = start(running, tmp_path, server.port, nick)
    secure(alice, bob)
    alice.set_option("net_throttle", "1")
    start_at = len(alice.wire.lines)
    text = LONG_TEXT[:1500]
    alice.say("bob", text)
    seen: list[str] = []

    def looked() -> bool:
        seen.append(label(alice, private("bob")))
        return text in received(bob, nick)

    bob.wait(looked, "the whole text", 60)
    pieces = len(carried(alice, "bob", start_at))
    assert [
        line for line in notes(alice, "bob") if re.match(rf"Sending {pieces} lines, which takes about", line)
    ]
    progress = [found[1] for text in seen if (found := re.search(r"sending (\d+)", text))]
    assert progress == sorted(progress)
    assert len(set(progress)) >= 3
    wait_label(alice, private("bob"), f"{UNVERIFIED} bob")
    alice.set_option("net_throttle", "0")
    forget(bob, nick)
    assert alice.errors() == []


# Beside hexchat-otr.

BOTH = ("python.so", "otr.so")
ASIDE, BACK = "this OTR stands aside", "this OTR takes over"


def told(client: HexChat, text: str) -> list[str]:
    """Return what OTR has said anywhere."""
    return [line.text for line in client.printed() if line.nick == "OTR" and text in line.text]


def test_hexchat_otr_is_loaded(
    tmp_path: Path, server: Ngircd, staying: list[HexChat], running: ExitStack
) -> None:
    bob, nick = staying[0], f"alice{next(_numbers)}"
    (alice,) = start(running, tmp_path, server.port, nick, plugins=BOTH)
    alice.wait(lambda: told(alice, ASIDE), "the note that it stands aside")
    alice.command(f"/otr genkey {nick}@test", status())
    alice.wait((alice.data / "otr/otr.key").exists, "its key")
    talk(alice, bob, "in the clear")
    wait_for(lambda: "completed in" in logs(alice), "the end of its making")
    alice.say("bob", "/otr start")
    wait_note(bob, nick, "Secured")
    talk_both_ways(alice, bob)
    alice.say("bob", "/otr finish")
    wait_note(bob, nick, OVER)
    forget(bob, nick)
    assert not told(alice, "Secured")
    alice.command("/unload otr.so", status())
    alice.wait(lambda: told(alice, BACK), "the note that it takes over")
    secure(alice, bob)
    talk_both_ways(alice, bob)

    # And again, in the middle of a conversation of ours.
    path = alice.folder / "library/plugins/otr.so"
    alice.command(f"/load {path}", status())
    text = canary()
    alice.say("bob", text)
    alice.wait(lambda: len(told(alice, ASIDE)) >= 2, "the note that it stands aside")
    alice.say("bob", text)
    alice.command(f"/me {text}", private("bob"))
    alice.command(f"/msg bob {text}", private("bob"))
    alice.command(f"/notice bob {text}", private("bob"))
    alice.command("/msg carol ready", status())
    staying[1].wait_received(nick, "ready")
    assert not readable([alice, bob], text)
    assert alice.errors() == []


def logs(client: HexChat) -> str:
    """Return what HexChat has logged: what plugins in C print is found nowhere else."""
    return "".join(path.read_text(errors="replace") for path in (client.data / "logs").rglob("*.log"))
