"""What happens to conversations when clients, scripts, buffers, nicks and connections come and go."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import cryptography
import pytest

from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.proxy import without_upkeep
from tests.clients.drivers.weechat import CORE, WeeChat, private, status, version
from tests.clients.weechat_support import (
    NAME,
    answer,
    engine_of,
    notes,
    readable,
    secure,
    start,
    talk,
    wait_bar,
    wait_note,
)

WITH_CRYPTOGRAPHY = """\
import sys

import weechat

weechat.register("another", "test", "1", "MIT", "has cryptography of its own", "", "")
sys.path.insert(0, FOLDER)
from cryptography.hazmat.primitives import hashes

weechat.prnt("", "cryptography is in " + hashes.__file__)
"""

OVER = "has ended the encrypted conversation"

_numbers = count(1)


def canary() -> str:
    """Return a text that was never said before."""
    return f"canary no. {next(_numbers)} sings"


def talk_both_ways(alice: WeeChat, bob: WeeChat, server: str = "test") -> None:
    """Be sure that what is typed arrives, and that nobody else can read it."""
    for one, other in ((alice, bob), (bob, alice)):
        text = canary()
        talk(one, other, text, server)
        assert not readable([alice, bob], text)


def join(*clients: WeeChat) -> None:
    """Have clients see each other in a channel."""
    for client in clients:
        client.type("/join #room", status())
    for client in clients:
        client.wait(lambda client=client: private("#room") in client.buffers(), "the channel")  # type: ignore[misc]
        client.type("/names", private("#room"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngircd]:
    with Ngircd(tmp_path_factory.mktemp("life") / "ngircd") as server:
        yield server


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


def test_reload_and_upgrade(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    secure(alice, bob)
    engines = engine_of(alice), engine_of(bob)
    alice.type("/otr log on", private("bob"))
    for _ in range(3):
        alice.reload(NAME)
        talk_both_ways(alice, bob)
    bob.reload()
    talk_both_ways(alice, bob)
    alice.command("/reload")
    # The server says hello again.
    alice.type("/motd", status())
    talk_both_ways(alice, bob)
    for _ in range(2):
        alice.upgrade()
        talk_both_ways(alice, bob)
    bob.upgrade()
    alice.say("bob", "/otr smp ask")
    alice.upgrade()
    # What was asked for is not asked for any more: the text is a text.
    talk_both_ways(bob, alice)
    assert (engine_of(alice), engine_of(bob)) == engines
    assert alice.variables(private("bob"))["otr_encrypted"] == "true"
    assert alice.variables(private("bob"))["otr_logged"] == "true"
    assert bob.variables(private("alice"))["otr_logged"] == "false"
    wait_bar(alice, "bob", "OTR4: encrypted, NOT verified, logged")
    assert "canary" in alice.log(private("bob"))
    assert not bob.files_with("canary")
    assert alice.errors() == bob.errors() == []


def test_unloaded_and_loaded_again(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    secure(alice, bob)
    alice.show(private("bob"))
    alice.unload(NAME)
    wait_note(
        alice, "bob", "OTR is being unloaded: from now on everything goes out unencrypted, also to bob."
    )
    assert NAME not in alice.scripts()
    alice.command(f"/python load {NAME}.py")
    talk_both_ways(alice, bob)


def test_the_engine_ends_while_the_script_is_away(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    """Nobody but WeeChat itself knows then that the conversation was encrypted."""
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    secure(alice, bob)
    engine = engine_of(alice)
    alice.unload(NAME)
    os.kill(engine, signal.SIGKILL)
    alice.command(f"/python load {NAME}.py")
    text = canary()
    alice.say("bob", text)
    wait_note(alice, "bob", f"your text: {text}")
    wait_note(alice, "bob", "Not sent to bob: the encrypted conversation is over")
    assert not readable([alice], text)
    assert not alice.files_with(text)
    alice.say("bob", "/otr end")
    alice.say("bob", text)
    bob.wait_received("alice", f"[not encrypted] {text}")


def test_beside_a_script_with_cryptography(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    folder = str(Path(cryptography.__file__).parents[1])
    alice.load("another", WITH_CRYPTOGRAPHY.replace("FOLDER", repr(folder)))
    alice.wait_printed("cryptography is in ", CORE)
    secure(alice, bob)
    alice.reload(NAME)
    talk_both_ways(alice, bob)
    assert alice.scripts().keys() >= {NAME, "another"}


def test_other_nicks(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    join(alice, bob)
    secure(alice, bob)
    alice.say("bob", "/otr log on")
    bob.type("/nick robert", status())
    alice.wait(lambda: private("robert") in alice.buffers(), "the other nick")
    bob.nick = "robert"
    talk_both_ways(alice, bob)
    assert alice.variables(private("robert"))["otr_encrypted"] == "true"
    assert alice.variables(private("robert"))["otr_logged"] == "true"
    wait_bar(alice, "robert", "OTR4: encrypted, NOT verified, logged")
    alice.type("/nick alicia", status())
    bob.wait(lambda: private("alicia") in bob.buffers(), "the other nick")
    alice.nick = "alicia"
    talk_both_ways(alice, bob)

    # While a secret is asked for, too.
    alice.open_query("bob")
    alice.say("robert", "/otr smp ask")
    bob.type("/nick bob", status())
    wait_note(alice, "bob", "The secret that only bob and you know")
    bob.nick = "bob"
    assert alice.variables(private("robert"))["otr_encrypted"] == "false"
    answer(alice, "robert", "hello robert")  # which is no answer any more
    alice.wait_printed("hello robert", private("robert"))
    answer(alice, "bob", "between us")
    wait_note(bob, "alicia", "wants to verify you")
    bob.say("alicia", "/otr smp answer")
    answer(bob, "alicia", "between us")
    wait_note(alice, "bob", "Verified: ")
    assert not readable([alice, bob], "between us")
    # Somebody else under that nick is somebody else.
    (robert,) = start(running, tmp_path, server.port, "robert")
    robert.say("alicia", "in the clear")
    alice.wait_received("robert", "in the clear")
    assert alice.variables(private("robert"))["otr_encrypted"] == "false"


def test_a_buffer_is_closed(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    secure(alice, bob)
    alice.command("/buffer close", private("bob"))
    wait_note(bob, "alice", OVER)
    alice.wait(lambda: private("bob") not in alice.buffers(), "the end of the buffer")
    bob.say("alice", "/otr end")
    talk(bob, alice, "in the clear")
    assert alice.variables(private("bob"))["otr_encrypted"] == "false"


@pytest.mark.parametrize("way", ["/quit", "/disconnect", "/reconnect", "/buffer close"])
def test_leaving_a_server(tmp_path: Path, server: Ngircd, running: ExitStack, way: str) -> None:
    """With the pauses between lines that WeeChat makes, as it is installed."""
    pauses = {"irc.server_default.anti_flood_prio_high": "2", "irc.server_default.anti_flood": "2000"}
    delay = {"irc.server_default.autoreconnect_delay": "1"}
    alice, bob, carol = start(running, tmp_path, server.port, "alice", "bob", "carol", settings=delay)
    secure(alice, bob)
    secure(alice, carol)
    for option, value in pauses.items():
        alice.command(f"/mute /set {option} {value}")
    talk(alice, bob, canary())
    if way == "/quit":
        alice.quit()
    else:
        alice.command(way, status())
    wait_note(bob, "alice", OVER)
    wait_note(carol, "alice", OVER)
    text = canary()
    bob.say("alice", text)
    wait_note(bob, "alice", f"your text: {text}")
    assert not readable([bob], text)
    if way == "/reconnect":
        for option in pauses:
            alice.command(f"/mute /set {option} 0")
        alice.wait_connected(times=2)
        bob.say("alice", "/otr end")
        talk(bob, alice, "in the clear")
        assert alice.variables(private("bob"))["otr_encrypted"] == "false"
        pause = "anti_flood" if version() >= (4, 2) else "anti_flood_prio_high"
        assert alice.option(f"irc.server.test.{pause}") is None
        secure(bob, alice)
        talk_both_ways(alice, bob)


def test_the_connection_is_lost(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    join(alice, bob)
    secure(alice, bob)
    bob.kill()
    wait_note(alice, "bob", "bob is not there")
    text = canary()
    alice.say("bob", text)
    wait_note(alice, "bob", f"your text: {text}")
    assert not readable([alice], text)


def test_the_peer_was_never_there(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    (alice,) = start(running, tmp_path, server.port, "alice")
    alice.say("nobody", "/otr start")
    wait_note(alice, "nobody", "nobody is not there")


def test_the_same_nick_on_two_servers(tmp_path: Path, server: Ngircd, running: ExitStack) -> None:
    other = running.enter_context(Ngircd(tmp_path / "ngircd", extra="[Global]\nNetwork = othernet\n"))
    alice, bob = start(running, tmp_path, server.port, "alice", "bob", servers={"other": other.port})
    secure(alice, bob)
    text = canary()
    talk(alice, bob, text, "other")
    assert len(readable([alice], text)) == 1
    assert [line for line in alice.wires["other"].sent() if text in line]
    talk_both_ways(alice, bob)
    assert alice.variables(private("bob", "other"))["otr_encrypted"] == "false"
    assert alice.variables(private("bob"))["otr_encrypted"] == "true"
    alice.type("/otr start bob other", CORE)
    wait_note(alice, "bob", "Secured", server="other")
    talk_both_ways(alice, bob, "other")
    alice.say("bob", "/otr end", "other")
    wait_note(bob, "alice", OVER, server="other")
    talk_both_ways(alice, bob)


def test_where_the_server_echoes(tmp_path: Path, running: ExitStack) -> None:
    """WeeChat 4 asks for echoes by itself; WeeChat 3 knows none, and is sent some here."""
    server = running.enter_context(Inspircd(tmp_path / "inspircd"))
    alice, bob = start(running, tmp_path, server.port, "alice", "bob")
    talk(alice, bob, "in the clear")
    assert alice.sent("bob") == ["in the clear"]
    secure(alice, bob)
    talk_both_ways(alice, bob)
    talk_both_ways(alice, bob)  # the first message goes out in several lines
    own = alice.sent("bob")
    assert len(own) == 3

    sent = len(alice.wire.sent())
    cipher = next(line for line in alice.wire.sent() if "PRIVMSG bob :?OTR:AAQD" in line)
    alice.command(f"/server fakerecv :alice!alice@127.0.0.1 {cipher}", status())
    alice.command(
        f"/server fakerecv @time=2026-01-01T00:00:00.000Z :alice!alice@127.0.0.1 {cipher}", status()
    )
    alice.command(
        "/server fakerecv :alice!alice@127.0.0.1 PRIVMSG bob :from another client of mine", status()
    )
    alice.wait_printed("from another client of mine", private("bob"))
    assert alice.sent("bob") == [*own, "from another client of mine"]
    assert not [line for line in alice.printed() if "?OTR:" in line.text]
    assert without_upkeep(alice.wire.sent()[sent:]) == []
    talk_both_ways(alice, bob)
    assert not [line for line in notes(alice, "bob") if "error" in line]
