"""Two chat clients with their real engines, and the network between them in this process."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otrcore.client.app import Incoming, Outgoing, Status
from otrcore.client.guard import Held
from otrcore.client.link import State
from tests.client.screen import Client

DROP, PASS = "drop", "pass"
LIMIT = 390


class Person(Client):
    """Somebody with a chat client, whose engine is the real one."""

    def __init__(self, folder: Path, nick: str) -> None:
        folder.mkdir()
        super().__init__(str(folder))
        self.nick = nick
        self.shown: list[str] = []
        """Texts that the client has shown as any other."""
        self._taken = 0

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-I", "-m", "otrcore.engine"]

    @property
    def options(self) -> list[str]:
        return ["--patience", "10"]

    def engines(self) -> list[int]:
        """Return the engine that runs, if one does."""
        locks = Path(self.folder, "data", "run").glob("*.lock")
        numbers = [int(lock.read_text() or 0) for lock in locks]
        return [number for number in numbers if self.is_engine(number)]

    def is_engine(self, pid: int) -> bool:
        try:
            return self.folder.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def online(self) -> None:
        """Begin, and connect."""
        self.screen.limits = dict.fromkeys(("alice", "bob"), LIMIT)
        self.chat.begin()
        self.connect()
        self.screen.until(lambda: self.chat.link.state is State.UP)

    def connect(self) -> None:
        """Be registered with the server."""
        mask = f"{self.nick}!{self.nick[0]}@host"
        self.chat.connected("net", "irc.example.org", self.nick, mask, ["NETWORK=Net", "CASEMAPPING=ascii"])

    def says(self, peer: str, text: str) -> Outgoing:
        """Type something, and return what leaves by itself."""
        return self.chat.outgoing("net", peer, text)

    def lines(self) -> list[str]:
        """Return the lines that have left since the last time."""
        sent = self.screen.sent()
        new, self._taken = sent[self._taken :], len(sent)
        assert all(self.chat.mine("net", f"PRIVMSG {self.other} :{line}") for line in new)
        assert all(len(line) <= LIMIT for line in new)
        return new

    @property
    def other(self) -> str:
        return "bob" if self.nick == "alice" else "alice"

    def hears(self, line: str) -> None:
        """Get a line of the other."""
        sender = f"{self.other}!{self.other[0]}@host"
        judged = self.chat.incoming("net", sender, self.nick, line)
        if judged != Incoming(DROP):
            self.shown.append(judged.text or line)

    def read(self) -> list[tuple[str, str]]:
        """Return messages that were shown with their protection."""
        messages = [did.rest for did in self.screen.done if did.what == "message"]
        return [(line, rest[2]) for rest in messages for line in rest[1]]

    def state(self) -> str:
        """Return the last state of the conversation that was shown."""
        statuses = self.statuses()
        return statuses[-1].state if statuses else "plaintext"

    def statuses(self) -> list[Status]:
        """Return how the conversation stood, as it was shown."""
        return [did.rest[0] for did in self.screen.done if did.what == "status"]


Pair = tuple[Person, Person]


@pytest.fixture
def pair(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    for name in [name for name in os.environ if name.startswith("XDG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    alice, bob = Person(folder / "a", "alice"), Person(folder / "b", "bob")
    for person in (alice, bob):
        person.online()
    yield alice, bob
    for person in (alice, bob):
        person.close()


def until(pair: Pair, happened: Callable[[], object]) -> None:
    """Let the network deliver until something has happened."""

    def go_on() -> object:
        for speaker, listener in (pair, pair[::-1]):
            for line in speaker.lines():
                listener.hears(line)
        pair[1].screen.turn()
        return happened()

    pair[0].screen.until(go_on, 60)


def secure(pair: Pair) -> None:
    """Have an encrypted conversation."""
    pair[0].chat.command("net", "bob", "start")
    until(pair, lambda: [person.state() for person in pair] == ["encrypted"] * 2)


def test_plain_texts_pass(pair: Pair) -> None:
    alice, bob = pair
    assert alice.says("bob", "hi").verdict in (PASS, "replace")
    bob.hears("hello")
    assert bob.shown == ["hello"]
    assert alice.screen.notes() == []


def test_an_encrypted_conversation_from_start_to_end(pair: Pair) -> None:
    alice, bob = pair
    secure(pair)
    long = "grüße " * 300
    for text in ("hi", "?OTR is my secret", "/me waves", long):
        assert alice.says("bob", text).verdict == DROP
    assert alice.says("bob", "\x01ACTION dances\x01").verdict == DROP
    until(pair, lambda: len(bob.read()) == 5)
    texts, protections = zip(*bob.read(), strict=True)
    assert texts == ("hi", "?OTR is my secret", "waves", long, "dances")
    assert set(protections) == {"encrypted"}
    assert not any("secret" in line for line in alice.screen.sent())
    owns = [did.rest[0] for did in alice.screen.done if did.what == "own"]
    assert len(owns) == 5, "its own echo is gone with the line"
    alice.chat.command("net", "bob", "end")
    assert alice.state() == "plaintext"
    until(pair, lambda: bob.state() == "finished")
    assert bob.says("alice", "still there?").verdict == DROP
    assert alice.says("bob", "hi").verdict in (PASS, "replace")


def test_an_engine_that_is_killed_takes_no_text_along(pair: Pair) -> None:
    alice, bob = pair
    secure(pair)
    (engine,) = alice.engines()
    os.kill(engine, signal.SIGKILL)
    alice.screen.until(lambda: alice.state() == "finished")
    assert alice.says("bob", "secret").verdict == DROP
    assert alice.screen.typed() == ["secret"]
    bob.says("alice", "did you get it?")
    for line in bob.lines():
        alice.hears(line)
    assert alice.shown == []
    assert alice.engines() != [engine]
    secure(pair)
    assert alice.says("bob", "secret").verdict == DROP
    until(pair, lambda: ("secret", "encrypted") in bob.read())


def test_a_reloaded_script_goes_on_with_its_conversation(pair: Pair) -> None:
    alice, bob = pair
    secure(pair)
    engines = alice.engines()
    alice.chat.unload()
    kept = json.loads(json.dumps(alice.chat.guard.kept))
    # What comes while nobody is connected is not lost either, as far as it came before.
    alice.screen.done.clear()
    alice._taken = 0
    alice.load(kept)
    alice.online()
    assert alice.state() == "encrypted"
    assert alice.engines() == engines
    bob.says("alice", "welcome back")
    until(pair, lambda: ("welcome back", "encrypted") in alice.read())
    alice.says("bob", "thanks")
    until(pair, lambda: ("thanks", "encrypted") in bob.read())


def test_a_script_that_knows_nothing_finds_its_conversation(pair: Pair) -> None:
    alice, _ = pair
    secure(pair)
    alice.chat.link.close()
    alice.screen.done.clear()
    alice.load()
    alice.online()
    assert alice.chat.guard.held("net", "bob") is Held.ENCRYPTED
    assert alice.says("bob", "secret").verdict == DROP


def test_leaving_tells_the_peer(pair: Pair) -> None:
    alice, bob = pair
    secure(pair)
    engines = alice.engines()
    alice.chat.quit()
    until(pair, lambda: bob.state() == "finished")
    alice.screen.until(lambda: not any(map(alice.is_engine, engines)))
    assert alice.says("bob", "secret").verdict == DROP


def test_a_restart_tells_both(pair: Pair) -> None:
    alice, bob = pair
    secure(pair)
    engines = alice.engines()
    alice.chat.command("net", "bob", "restart")
    until(pair, lambda: bob.state() == "finished" and alice.state() == "finished")
    assert alice.engines() != engines
    assert alice.says("bob", "secret").verdict == DROP
    alice.chat.command("net", "bob", "end")
    assert alice.says("bob", "plain").verdict in (PASS, "replace")


def test_a_nick_change_takes_the_conversation_along(pair: Pair) -> None:
    alice, bob = pair
    secure(pair)
    alice.chat.nick_changed("net", "bob", "bobby")
    assert alice.chat.guard.held("net", "bobby") is Held.ENCRYPTED
    assert alice.chat.outgoing("net", "bobby", "secret").verdict == DROP
    bob.chat.nick_changed("net", "bob", "bobby")
    for line in alice.screen.sent()[alice._taken :]:
        bob.chat.incoming("net", "alice!a@host", "bobby", line)
    bob.screen.until(lambda: ("secret", "encrypted") in bob.read())


def test_a_line_that_became_too_long_is_cut_again(pair: Pair) -> None:
    """The engine cuts to what it was told; by the time that the lines leave, less fits."""
    alice, bob = pair
    secure(pair)
    limits = iter([LIMIT, 200])
    alice.screen.limit = lambda server, to: next(limits, 200)  # type: ignore[method-assign]
    alice.says("bob", "x" * 2000)
    left = alice.screen.sent()[alice._taken :]
    assert left
    assert max(map(len, left)) <= 200
    until(pair, lambda: ("x" * 2000, "encrypted") in bob.read())


def test_words_are_completed(pair: Pair) -> None:
    alice, _ = pair
    assert {"start", "status"} <= set(alice.chat.complete("net", "bob", "st"))


def test_a_secret_is_asked_for_and_verifies(pair: Pair) -> None:
    alice, bob = pair
    secure(pair)
    alice.chat.command("net", "bob", "smp ask who are we?")
    (asked,) = (did for did in alice.screen.done if did.what == "ask")
    alice.chat.answer("net", "bob", asked.rest[0], "friends")
    until(pair, lambda: any("verify" in told for told in bob.screen.notes("alice")))
    bob.chat.command("net", "alice", "smp answer")
    (asked,) = (did for did in bob.screen.done if did.what == "ask")
    assert asked.rest[1:3] == (True, "who are we?")
    bob.chat.answer("net", "alice", asked.rest[0], "friends")
    until(pair, lambda: alice.statuses()[-1].trust == "smp")
