"""HexChat with our script, and who uses something else: libotr's clients, our WeeChat, the bot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.clients import weechat_support
from tests.clients.drivers.hexchat import HexChat, private, status
from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import OtrBot
from tests.clients.drivers.waiting import wait_for
from tests.clients.drivers.weechat import WeeChat
from tests.clients.drivers.weechat import private as weechat_private
from tests.clients.hexchat_support import (
    notes,
    readable,
    received,
    secure,
    sent,
    start,
    talk,
    talk_both_ways,
    wait_note,
)

# As long as the server allows, so that the prefix in front of delivered lines is as long as it gets.
ALICE = "Alice-" + "a" * 24

TEXTS = ["short", "Grüße aus Zürich, 你好, 👋🏽", "two  blanks, $nick %n; ends;", "?OTR is my secret"]
LONG = ("A line of a thousand characters, ü among them, which IRC has no room for. " * 14)[:1000]

SECURED = "is encrypted (OTR version {})"
# Characters of a tab's name that HexChat shows for sure.
_SHOWN = 15

OVER = "has ended the encrypted conversation"
WANTS = "wants to verify you by a secret that only the two of you know."
UNVERIFIED, VERIFIED = "\N{WARNING SIGN}", "\N{HEAVY CHECK MARK}"


class Other(Protocol):
    """Somebody else's program, in a conversation with Alice."""

    nick: str
    version: int
    """The highest that both speak."""

    def type(self, line: str) -> None:
        """Type a line."""

    def received(self) -> list[str]:
        """Return the texts that were shown as said by Alice."""

    def shown(self, text: str) -> int:
        """Return how often a text was shown in any line."""

    def start(self) -> None:
        """Ask for an encrypted conversation."""

    def end(self) -> None:
        """End it, or go on without one that Alice has ended."""

    def verify(self, secret: str) -> None:
        """Ask Alice by a secret, or answer so if she has asked."""

    def verified(self, right: bool) -> int:
        """Return how often a verification was shown to have ended so."""


class LibotrHexChat:
    """A HexChat with hexchat-otr; what a plugin in C prints is only found in HexChat's logs."""

    version = 3

    def __init__(self, client: HexChat) -> None:
        self.client, self.nick = client, client.nick
        client.command(f"/otr genkey {self.nick}@test", status())
        client.wait(lambda: self.shown("completed in"), "its key")

    def type(self, line: str) -> None:
        self.client.say(ALICE, line)

    def received(self) -> list[str]:
        return self.client.received(ALICE)

    def shown(self, text: str) -> int:
        logs = (self.client.data / "logs").rglob("*.log")
        return sum(path.read_text(errors="replace").count(text) for path in logs)

    def start(self) -> None:
        self.type("/otr start")

    def end(self) -> None:
        self.type("/otr finish")

    def verify(self, secret: str) -> None:
        self.type(f"/otr auth {secret}")

    def verified(self, right: bool) -> int:
        return self.shown("Authentication successful!" if right else "Authentication failed!")


class LibotrIrssi:
    """An irssi with irssi-otr."""

    version = 3

    def __init__(self, client: Irssi) -> None:
        self.client, self.nick = client, client.nick

    def type(self, line: str) -> None:
        if line.startswith("/"):
            self.client.command(f"/query {ALICE}")
            self.client.command(line)
        else:
            self.client.say(ALICE, line)

    def received(self) -> list[str]:
        return self.client.received(ALICE)

    def shown(self, text: str) -> int:
        return sum(text in line for line in self.client.shown(ALICE))

    def start(self) -> None:
        self.client.start_otr(ALICE)

    def end(self) -> None:
        self.type("/otr finish")

    def verify(self, secret: str) -> None:
        self.client.verify(ALICE, secret)

    def verified(self, right: bool) -> int:
        return self.shown("successful" if right else "failed")


class OurWeeChat:
    """A WeeChat with our script."""

    version = 4

    def __init__(self, client: WeeChat) -> None:
        self.client, self.nick = client, client.nick

    def type(self, line: str) -> None:
        self.client.say(ALICE, line)

    def received(self) -> list[str]:
        return self.client.received(ALICE)

    def shown(self, text: str) -> int:
        return sum(text in line.text for line in self.client.printed(weechat_private(ALICE)))

    def start(self) -> None:
        self.type("/otr start")

    def end(self) -> None:
        self.type("/otr end")

    def verify(self, secret: str) -> None:
        told = weechat_support.notes(self.client, ALICE)
        marks = [
            note
            for note in told
            if any(mark in note for mark in ("wants to verify you", "erified: ", "has verified you"))
        ]
        asked = bool(marks) and "wants to verify you" in marks[-1]
        self.type("/otr smp answer" if asked else "/otr smp ask")
        weechat_support.answer(self.client, ALICE, secret)

    def verified(self, right: bool) -> int:
        told = weechat_support.notes(self.client, ALICE)
        wrong = sum(note.startswith("NOT verified: ") for note in told)
        proven = sum(note.startswith("Verified: ") or "has verified you" in note for note in told)
        return proven if right else wrong


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngircd]:
    with Ngircd(tmp_path_factory.mktemp("others") / "ngircd") as server:
        yield server


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory, server: Ngircd) -> Iterator[HexChat]:
    with ExitStack() as running:
        (alice,) = start(running, tmp_path_factory.mktemp("alice"), server.port, ALICE)
        yield alice
        assert alice.errors() == []


@pytest.fixture(scope="module", params=["hexchat-otr", "irssi", "weechat"])
def bob(
    tmp_path_factory: pytest.TempPathFactory, server: Ngircd, alice: HexChat, request: pytest.FixtureRequest
) -> Iterator[Other]:
    folder = tmp_path_factory.mktemp("bob")
    nick = f"Bob-{request.param}-".ljust(30, "b")
    with ExitStack() as running:
        if request.param == "hexchat-otr":
            client = HexChat(nick, folder / nick, server.port, plugins=("python.so", "otr.so"))
            yield LibotrHexChat(running.enter_context(client))
        elif request.param == "irssi":
            yield LibotrIrssi(running.enter_context(Irssi(nick, folder / nick, server.port)))
        else:
            (weechat,) = weechat_support.start(running, folder, server.port, nick)
            yield OurWeeChat(weechat)


def wait_shown(bob: Other, text: str, times: int = 1) -> None:
    """Wait until the other one shows a text, so many times."""
    wait_for(lambda: bob.shown(text) >= times, lambda: f"{bob.nick} to show {text!r}")


def wait_label(client: HexChat, peer: str, text: str) -> None:
    """Wait until the tab of a conversation is called so."""
    client.wait(
        lambda: client.tabs()[private(peer)].label[:_SHOWN] == text[:_SHOWN], f"a tab called {text!r}"
    )


def wait_read(read: Callable[[], list[str]], text: str) -> None:
    """Wait until a text is among those that were received."""
    wait_for(lambda: text in read(), lambda: f"{text!r} among {read()[-3:]}")


def unbroken(text: str) -> str:
    """Return a text without its blanks, where a line may have been cut."""
    return text.replace(" ", "")


def answer(client: HexChat, peer: str, secret: str) -> None:
    """Type a secret into the window that asks for it."""
    client.show(private(peer))
    client.wait_dialog("others at your screen can read it")
    client.fill_in(secret)


@pytest.mark.parametrize("starts", ["here", "there"])
def test_a_conversation(alice: HexChat, bob: Other, starts: str) -> None:
    told = f"Secured: the conversation with {bob.nick} {SECURED.format(bob.version)}"
    secured = len(notes(alice, bob.nick, told))
    before = len(alice.wire.lines)
    if starts == "there":
        bob.start()
    else:
        alice.say(bob.nick, "/otr start")
    wait_note(alice, bob.nick, told, secured + 1)
    wait_label(alice, bob.nick, f"{UNVERIFIED} {bob.nick}")

    for text in TEXTS:
        alice.say(bob.nick, f"{text}, begun {starts}")
        wait_read(bob.received, f"{text}, begun {starts}")
        bob.type(f"{text}, begun {starts}")
        wait_read(lambda: received(alice, bob.nick), f"{text}, begun {starts}")
    alice.say(bob.nick, f"/me waves from {starts}")
    wait_shown(bob, f"waves from {starts}")
    long = LONG.replace("line", starts)
    alice.say(bob.nick, long)
    wait_read(bob.received, long)
    bob.type(long)  # which irssi cuts before its OTR sees it
    wait_for(
        lambda: unbroken(long) in unbroken("".join(received(alice, bob.nick))),
        lambda: f"a long text in {received(alice, bob.nick)[-4:]}",
    )

    lines = alice.wire.lines[before:]
    assert max(len(line.data) for line in lines) <= 512
    carried = [line.text.split(" :", 1)[1] for line in lines if " PRIVMSG " in f" {line.text}"]
    assert {text[:4] for text in carried} == {"?OTR"}

    over = len(notes(alice, bob.nick, OVER))
    if starts == "there":
        bob.end()
        wait_note(alice, bob.nick, OVER, over + 1)
        wait_label(alice, bob.nick, f"\N{HEAVY MULTIPLICATION X} {bob.nick}")
        alice.say(bob.nick, "/otr end")
    else:
        alice.say(bob.nick, "/otr end")
        wait_label(alice, bob.nick, bob.nick)
        bob.end()
    alice.say(bob.nick, f"in the clear, begun {starts}")
    wait_for(lambda: any(f"in the clear, begun {starts}" in text for text in bob.received()), "a plain text")


@pytest.mark.parametrize("right", [False, True], ids=["wrong", "right"])
def test_verifying(alice: HexChat, bob: Other, right: bool) -> None:
    """Each asks once: Alice by a question, the other one without."""
    told = "Verified: " if right else "NOT verified: "
    given = "grün7" if right else "grün8"
    tab = alice.tabs().get(private(bob.nick))
    if tab is None or tab.label[0] != UNVERIFIED:
        alice.say(bob.nick, "/otr start")
        wait_label(alice, bob.nick, f"{UNVERIFIED} {bob.nick}")

    def times() -> int:
        return sum(note.startswith(told) for note in notes(alice, bob.nick))

    before, there = times(), bob.verified(right)
    question = f"Which colour, and how many, if {told.removesuffix(': ')}?"
    alice.say(bob.nick, f"/otr smp ask {question}")
    answer(alice, bob.nick, "grün7")
    wait_shown(bob, question)
    bob.verify(given)
    alice.wait(lambda: times() > before, told)
    wait_for(lambda: bob.verified(right) > there, told)

    wants = len(notes(alice, bob.nick, WANTS))
    bob.verify("grün7")
    wait_note(alice, bob.nick, WANTS, wants + 1)
    answer(alice, bob.nick, given)
    alice.wait(lambda: times() > before + 1, told)
    wait_for(lambda: bob.verified(right) > there + 1, told)
    wait_label(alice, bob.nick, f"{VERIFIED if right else UNVERIFIED} {bob.nick}")
    assert not [line for line in alice.printed() if "grün" in line.text]
    assert not readable([alice], "grün")


def test_a_conversation_with_the_bot(tmp_path: Path, server: Ngircd, alice: HexChat) -> None:
    with OtrBot(tmp_path / "bot", server.port, "echo") as bot:
        alice.say("echo", "hello?")
        alice.wait(lambda: [text for text in received(alice, "echo") if "/otr start" in text], "the hint")
        alice.say("echo", "/otr start")
        wait_note(alice, "echo", SECURED.format(4))
        for part in (bot.fingerprint_4[:40], bot.fingerprint_4[40:80], bot.fingerprint_4[80:]):
            assert notes(alice, "echo", " ".join(part[at : at + 8] for at in range(0, len(part), 8)))
        for text in (*TEXTS, LONG):
            alice.say("echo", text)
            wait_read(lambda: received(alice, "echo"), text)
        alice.say("echo", "/otr smp ask What is this called?")
        answer(alice, "echo", "otrcore")
        wait_note(alice, "echo", "Verified: ")
        wait_label(alice, "echo", f"{VERIFIED} echo")
        assert not readable([alice], "two  blanks")
    alice.say("echo", "/otr end")


def test_where_the_server_echoes(tmp_path: Path) -> None:
    """HexChat does not ask for that, but some of its kind do."""
    with ExitStack() as running:
        server = running.enter_context(Inspircd(tmp_path / "inspircd"))
        alice, bob = start(running, tmp_path, server.port, "alice", "bob")
        alice.command("/quote CAP REQ :echo-message", status())
        alice.wait(lambda: [line for line in alice.wire.received() if "ACK :echo-message" in line], "echoes")
        secure(alice, bob)
        alice.say("bob", "hello")
        wait_read(lambda: received(bob, "alice"), "hello")
        alice.say("bob", LONG)
        wait_read(lambda: received(bob, "alice"), LONG)
        talk(bob, alice, "hello back")
        talk(alice, bob, "hello again")  # in one line, as the first message does not go out
        echoes = [
            line for line in alice.wire.received() if line.partition(" :?OTR")[0].endswith("PRIVMSG bob")
        ]
        assert echoes
        assert sent(alice, "bob") == ["hello", LONG, "hello again"]

        cipher = next(line for line in alice.wire.sent() if "PRIVMSG bob :?OTR:AAQD" in line)
        before = len(alice.wire.sent())
        for tag in ("", "@time=2026-01-01T00:00:00.000Z "):
            alice.command(f"/recv {tag}:alice!alice@127.0.0.1 {cipher}", status())
        shown = len(received(alice, "alice"))
        alice.command("/recv :alice!alice@127.0.0.1 PRIVMSG bob :from another client of mine", status())
        wait_read(lambda: received(alice, "alice"), "from another client of mine")  # as HexChat does it
        assert received(alice, "alice")[shown:] == ["from another client of mine"]
        talk_both_ways(alice, bob, "it goes on")
        assert not [
            line
            for line in alice.wire.sent()[before:]
            if ":?OTR" in line and ":?OTR:AAQD" not in line and ":?OTR|" not in line
        ]
        assert not [line for line in alice.printed() if "?OTR" in line.text]
        assert not [note for note in notes(alice, "bob") if "error" in note or "could not be read" in note]
        assert alice.errors() == bob.errors() == []
