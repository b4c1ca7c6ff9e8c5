"""WeeChat's drivers by themselves: plain talk over real servers, and what a test must be able to see."""

from __future__ import annotations

import re
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.clients.conftest import IrssiFactory, WeeChatFactory
from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.waiting import wait_for
from tests.clients.drivers.weechat import CORE, CursesWeeChat, WeeChat, private, status, version

# As long as both servers allow, and in mixed case.
ALICE = "Alice-" + "a" * 24
BOB = "bob"

KINDS = pytest.mark.parametrize("kind", [WeeChat, CursesWeeChat])

TEXTS = [
    "Grüße, 你好, 👋🏽",
    "  two  blanks  inside",
    "${info:version} %n $nick; \\n *",
    "https://example.org/",
]

SHOUTS = """\
import weechat

weechat.register("shouts", "test", "2.5", "MIT", "speaks up", "", "")
weechat.hook_modifier("irc_out1_privmsg", "louder", "")
weechat.hook_command("shout_fault", "fail", "", "", "", "fault", "")
weechat.bar_item_new("shouts", "shown", "")


def louder(data, modifier, server, line):
    return line + "!"


def fault(data, buffer, arguments):
    raise ValueError("on purpose")


def shown(*arguments):
    return "shouting in " + weechat.buffer_get_string(weechat.current_buffer(), "short_name")
"""


def processes_in(folder: Path) -> list[int]:
    """Return the processes that run in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        # One may end meanwhile, and what others run cannot be seen.
        with suppress(OSError):
            if path.readlink().is_relative_to(folder):
                found.append(int(path.parent.name))
    return found


def wait_nothing_left(folder: Path) -> None:
    """Wait until no process runs in a folder any more."""
    wait_for(lambda: not processes_in(folder), lambda: f"{processes_in(folder)} to end")


@KINDS
def test_two_weechats_talk(kind: type[WeeChat], ngircd: Ngircd, weechat: WeeChatFactory) -> None:
    alice, bob = weechat(ALICE, ngircd.port, kind), weechat(BOB, ngircd.port)
    assert alice.buffers() == [CORE, status()]

    for text in TEXTS:
        alice.say(BOB, text)
        bob.wait_received(ALICE, text)
        bob.say(ALICE, text)
        alice.wait_received(BOB, text)
    assert alice.sent(BOB) == bob.received(ALICE) == TEXTS
    assert [line for line in alice.wire.sent() if "PRIVMSG" in line] == [
        f"PRIVMSG {BOB} :{text}" for text in TEXTS
    ]
    assert f"PRIVMSG {BOB} :{TEXTS[0]}" in alice.irc_lines("out1")
    assert f"PRIVMSG {BOB} :{TEXTS[0]}" in alice.irc_lines("out")
    assert f":{BOB}!~{BOB}@127.0.0.1 PRIVMSG {ALICE} :{TEXTS[0]}" in alice.irc_lines("in")

    # Several lines, as pasted; an action; past the input line.
    alice.type("one\ntwo", private(BOB))
    alice.type("/me waves", private(BOB))
    bob.wait_printed(f"{ALICE} waves", private(ALICE))
    assert bob.received(ALICE) == [*TEXTS, "one", "two"]
    alice.command("/msg bob unseen", status())
    bob.wait_received(ALICE, "unseen")

    own, *_, action, last = alice.printed(private(BOB))
    assert (own.prefix, own.text, own.shown, own.highlight) == (ALICE, TEXTS[0], True, False)
    assert {"irc_privmsg", "self_msg", f"nick_{ALICE}", "log1"} <= set(own.tags)
    assert "irc_action" in action.tags
    assert alice.printed(private(BOB), "irc_action") == [action]
    assert last.text == "unseen"
    assert TEXTS[0] in alice.log(private(BOB))
    assert alice.data / "logs" / f"{private(BOB)}.weechatlog" in alice.files_with(TEXTS[0])
    assert not alice.files_with("never said by anybody")

    history = alice.history(private(BOB))
    assert history[0] == "/me waves"
    assert TEXTS[0] in history
    assert not [line for line in alice.history() if "unseen" in line]
    assert alice.variables(private(BOB)) == {
        "plugin": "irc",
        "name": f"test.{BOB}",
        "type": "private",
        "nick": ALICE,
        "server": "test",
        "channel": BOB,
    }
    alice.insert("half a", private(BOB))
    alice.insert(" line \\", private(BOB))
    assert alice.input_line(private(BOB)) == "half a line \\"
    assert alice.errors() == bob.errors() == []


def test_nothing_is_held_back(ngircd: Ngircd, weechat: WeeChatFactory) -> None:
    alice, bob = weechat(ALICE, ngircd.port), weechat(BOB, ngircd.port)
    alice.open_query(BOB)
    begin = time.monotonic()
    for number in range(10):
        alice.command(f"line {number}", private(BOB))
    bob.wait_received(ALICE, "line 9")
    # As installed, WeeChat would let a line go every two seconds.
    assert time.monotonic() - begin < 9
    assert bob.received(ALICE) == [f"line {number}" for number in range(10)]


def test_what_reaches_a_user_who_looks_elsewhere(ngircd: Ngircd, weechat: WeeChatFactory) -> None:
    alice, bob = weechat(ALICE, ngircd.port), weechat(BOB, ngircd.port)
    for client in (alice, bob):
        client.type("/join #room", status())
        client.wait_printed("created on" if client is alice else "has joined", private("#room"))
    alice.show(CORE)
    bob.type(f"{ALICE}: look here", private("#room"))
    bob.say(ALICE, "in private")
    alice.wait_received(BOB, "in private")
    assert alice.wait_printed("look here", private("#room")).highlight
    assert alice.signals("weechat_highlight") == [f"{BOB}\t{ALICE}: look here"]
    assert alice.signals("weechat_pv") == [f"{BOB}\tin private"]
    news = alice.hotlist()
    assert news[private("#room")][3] == 1
    assert news[private(BOB)] == [0, 0, 1, 0]


def test_irssi_and_weechat_talk(ngircd: Ngircd, irssi: IrssiFactory, weechat: WeeChatFactory) -> None:
    alice, bob = weechat(ALICE, ngircd.port), irssi(BOB)
    alice.say(BOB, "from WeeChat")
    bob.wait_received(ALICE, "from WeeChat")
    bob.say(ALICE, "from irssi")
    alice.wait_received(BOB, "from irssi")


def test_inspircd_echoes_to_those_who_ask(inspircd: Inspircd, weechat: WeeChatFactory) -> None:
    alice, bob = weechat(ALICE, inspircd.port), weechat(BOB, inspircd.port)
    assert any(" NICKLEN=30 " in line for line in alice.wire.received())
    alice.say(BOB, "once")
    bob.wait_received(ALICE, "once")
    bob.say(ALICE, "and back")
    alice.wait_received(BOB, "and back")
    assert alice.sent(BOB) == bob.received(ALICE) == ["once"]
    echoed = [line for line in alice.wire.received() if line.endswith(f"PRIVMSG {BOB} :once")]
    assert len(echoed) == (version() >= (4, 0))

    came = b""

    def heard(line: bytes) -> bool:
        nonlocal came
        came += client.recv(65536)
        return line in came

    with socket.create_connection(("127.0.0.1", inspircd.port), timeout=20) as client:
        client.sendall(b"CAP REQ :echo-message server-time message-tags\r\n")
        client.sendall(b"NICK carol\r\nUSER carol 0 * :carol\r\nCAP END\r\n")
        wait_for(lambda: heard(b" 422 carol "), "the welcome")
        client.sendall(b"PRIVMSG bob :an echo\r\n")
        wait_for(lambda: heard(b":carol!carol@127.0.0.1 PRIVMSG bob :an echo\r\n"), "the echo")
        assert b"@time=" in came
    bob.wait_received("carol", "an echo")


def test_two_servers_at_once(ngircd: Ngircd, inspircd: Inspircd, weechat: WeeChatFactory) -> None:
    alice = weechat(ALICE, ngircd.port, servers={"other": inspircd.port})
    bob = weechat(BOB, ngircd.port, servers={"other": inspircd.port})
    alice.say(BOB, "here")
    alice.say(BOB, "there", "other")
    bob.wait_received(ALICE, "here")
    bob.wait_received(ALICE, "there", server="other")
    assert bob.received(ALICE) == ["here"]
    for server, text in (("test", "here"), ("other", "there")):
        sent = [line for line in alice.wires[server].sent() if "PRIVMSG" in line]
        assert sent == [f"PRIVMSG {BOB} :{text}"]


@KINDS
def test_reload_and_upgrade_keep_the_connection(
    kind: type[WeeChat], ngircd: Ngircd, weechat: WeeChatFactory
) -> None:
    alice, bob = weechat(ALICE, ngircd.port, kind), weechat(BOB, ngircd.port)
    alice.load("shouts", SHOUTS, autoload=True)
    assert alice.scripts() == {"probe": "1", "shouts": "2.5"}
    process = alice.pid
    for number in range(3):
        alice.say(BOB, f"reload {number}")
        bob.wait_received(ALICE, f"reload {number}!")
        alice.reload("shouts" if number else "")
    alice.say(BOB, "upgrade")
    bob.wait_received(ALICE, "upgrade!")
    alice.upgrade()
    assert alice.pid == process
    assert alice.scripts() == {"probe": "1", "shouts": "2.5"}
    bob.say(ALICE, "still there?")
    alice.wait_received(BOB, "still there?")
    alice.say(BOB, "yes")
    bob.wait_received(ALICE, "yes!")

    assert sum(line.startswith("NICK ") for line in alice.wire.sent()) == 1
    # Through all of that, each line was told once. WeeChat itself forgets some of its core buffer:
    # it prints them when it has saved itself already.
    for buffer in (private(BOB), status()):
        held = [(line.tags, line.text) for line in alice.lines(buffer)]
        assert [(line.tags, line.text) for line in alice.printed(buffer)] == held, buffer
    assert alice.errors() == []


@KINDS
def test_killed_and_started_again(
    kind: type[WeeChat], tmp_path: Path, ngircd: Ngircd, weechat: WeeChatFactory
) -> None:
    bob = weechat(BOB, ngircd.port)
    folder = tmp_path / "alice"
    with kind(ALICE, folder, ngircd.port, settings={"irc.look.new_channel_position": "near_server"}) as alice:
        assert alice.option("irc.look.new_channel_position") == "near_server"
        alice.set_option("irc.look.new_pv_position", "next")
        alice.set_option("irc.server.test.realname", '"Alice of ${env:HOME}"')
        alice.quit()
        assert not alice.running()
        alice.start()
        assert alice.option("irc.look.new_pv_position") == "next"
        assert alice.option("irc.server.test.realname") == "Alice of ${env:HOME}"
        assert alice.option("irc.server.test.password") is None, "it has the default's"
        assert alice.evaluate("${irc.server_default.nicks} ${env:HOME}") == f"{ALICE} {folder}/home"

        alice.set_option("irc.look.new_pv_position", "none")
        alice.kill(signal.SIGKILL)
        alice.kill()
        with pytest.raises(RuntimeError, match="has ended, which was to show 'never'"):
            alice.wait_printed("never")
        alice.start()
        assert alice.option("irc.look.new_pv_position") == "next", "a killed one saves nothing"
        alice.say(BOB, "back")
        bob.wait_received(ALICE, "back")
        assert alice.pid in processes_in(folder)
    wait_nothing_left(folder)


def test_a_script_from_the_start_in_a_users_own_folders(
    tmp_path: Path, ngircd: Ngircd, weechat: WeeChatFactory
) -> None:
    script = tmp_path / "shouts.py"
    script.write_text(SHOUTS)
    alice = weechat(ALICE, ngircd.port, scripts=[script], in_home=True)
    bob = weechat(BOB, ngircd.port)
    home = Path(alice.environment["HOME"])
    assert alice.data == home / ".local/share/weechat"
    assert (home / ".config/weechat/irc.conf").exists()
    assert (alice.data / "python/autoload/shouts.py").is_symlink()
    assert alice.scripts() == {"probe": "1", "shouts": "2.5"}
    alice.say(BOB, "hey")
    bob.wait_received(ALICE, "hey!")
    assert alice.bar_item("shouts") == f"shouting in {BOB}"
    alice.show(CORE)
    alice.wait_bar_item("shouts", "shouting in weechat")
    assert alice.completions("/shout") == ["/shout_fault "]

    alice.command("/shout_fault")
    assert 'python: error in function "fault"' in alice.errors()
    assert "python: stdout/stderr (shouts): ValueError: on purpose" in alice.errors()
    alice.unload("shouts")
    assert alice.scripts() == {"probe": "1"}
    alice.say(BOB, "softly")
    bob.wait_received(ALICE, "softly")
    with pytest.raises(RuntimeError, match="wrong did not load"):
        alice.load("wrong", "import no_such_module")
    with pytest.raises(LookupError, match="nobody"):
        alice.command("text", private("nobody"))
    with pytest.raises(RuntimeError, match=r"no option irc\.nothing"):
        alice.option("irc.nothing")


def test_a_terminal_of_80_by_24(ngircd: Ngircd, weechat: WeeChatFactory) -> None:
    alice, bob = weechat(ALICE, ngircd.port, CursesWeeChat), weechat(BOB, ngircd.port)
    assert isinstance(alice, CursesWeeChat)
    alice.say(BOB, "Grüße, to be seen")
    bob.wait_received(ALICE, "Grüße, to be seen")
    bob.say(ALICE, "seen")
    alice.wait(lambda: re.search(rf"{BOB} [|│] seen", alice.screen()), "the answer on the screen")
    rows = alice.screen().split("\n")
    assert len(rows) == 24
    assert all(len(row) <= 80 for row in rows)
    assert any(re.search(rf"{ALICE} [|│] Grüße, to be seen$", row) for row in rows)
    assert f"3:{BOB}" in rows[-2]
    assert alice.bar_item("input_prompt") == ALICE
    assert f"[{ALICE}]" in rows[-1]

    alice.load("shouts", SHOUTS)
    alice.set_option("weechat.bar.status.items", '"[shouts]"')
    alice.wait_screen(f"[shouting in {BOB}]")
    assert alice.bar_item("shouts") == f"shouting in {BOB}"
    alice.insert("to be sent", private(BOB))
    alice.wait_screen(f"[{ALICE}] to be sent")


def test_several_at_once_leave_each_other_alone(tmp_path: Path, ngircd: Ngircd) -> None:
    with ExitStack() as running:
        clients = [
            running.enter_context(kind(f"client{number}", tmp_path / f"client{number}", ngircd.port))
            for number, kind in enumerate([WeeChat, CursesWeeChat, WeeChat, CursesWeeChat])
        ]
        assert len({client.pid for client in clients}) == 4
        for client in clients:
            if client is not clients[0]:
                client.say("client0", f"from {client.nick}")
                clients[0].wait_received(client.nick, f"from {client.nick}")
            assert Path(client.environment["HOME"]).is_relative_to(tmp_path)
            assert client.pid in processes_in(client.folder)
    for client in clients:
        wait_nothing_left(client.folder)
