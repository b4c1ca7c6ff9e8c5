"""`otr-bot` and `otr chat` with a real irssi, over a real ngircd that allows nicks of 30 characters."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.clients.conftest import IrssiFactory
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import CTRL_D, OtrBot, OtrChat
from tests.clients.drivers.proxy import RawLine, RecordingProxy, without_upkeep
from tests.clients.drivers.waiting import wait_for

# As long as the server allows, so that the prefix in front of delivered lines is as long as it gets.
LONG_BOT = "EchoBot-" + "b" * 22
LONG_ALICE = "Alice-" + "a" * 24
BOT = "echo"
ALICE = "alice"

TEXTS = ["short", "Grüße aus Zürich, 你好, 👋🏽", "two  blanks, $nick %n; ends;"]
THOUSAND = ("A line of a thousand characters, ü among them, which IRC has no room for. " * 14)[:1000]


def delivered(lines: list[RawLine]) -> list[bytes]:
    return [line.data for line in lines if line.direction == "received" and b" PRIVMSG " in line.data]


def assert_only_otr(lines: list[RawLine]) -> None:
    """Be sure that every message, either way, was OTR's, and that no line was longer than IRC allows."""
    assert max(len(line.data) for line in lines) <= 512
    assert all(line.data.endswith(b"\r\n") for line in lines)
    carried = [line.text for line in lines if "PRIVMSG " in line.text]
    assert carried
    assert {line.split(" :", 1)[1][:4] for line in carried} == {"?OTR"}


def wait_shown(irssi: Irssi, nick: str, line: str, times: int = 1) -> None:
    """Wait until irssi's conversation with somebody shows a line, so many times."""
    wait_for(
        lambda: sum(line in shown for shown in irssi.shown(nick)) >= times,
        lambda: f"{line!r} in {irssi.shown(nick)}",
    )


def said_by(peer: str, chat: OtrChat) -> str:
    """Return all texts together that the chat has shown as said by its peer in private."""
    mark = f"[encrypted] <{peer}> "
    return "".join(line.removeprefix(mark) for line in chat.lines() if line.startswith(mark))


def has_finished(nick: str) -> str:
    return f"{nick} has finished the OTR session"


def test_irssi_starts_with_a_bot_of_a_long_nick(tmp_path: Path, ngircd: Ngircd, irssi: IrssiFactory) -> None:
    with (
        RecordingProxy(ngircd.port) as wire,
        OtrBot(tmp_path / "bot", wire.port, LONG_BOT) as bot,
    ):
        alice = irssi(LONG_ALICE)
        alice.start_otr(LONG_BOT)
        alice.wait_secured(LONG_BOT)
        assert alice.fingerprints(LONG_BOT).keys() == {LONG_ALICE, LONG_BOT}
        assert alice.fingerprints(LONG_BOT)[LONG_BOT] == bot.fingerprint

        for text in TEXTS:
            alice.say(LONG_BOT, text)
            alice.wait_received(LONG_BOT, text)
        alice.command("/me waves")
        wait_shown(alice, LONG_BOT, f" * {LONG_BOT} waves")

        alice.end_otr(LONG_BOT)
        bot.wait_shown("a conversation has ended")
        assert_only_otr(alice.wire.lines)
        assert_only_otr(wire.lines)
        for lines in (alice.wire.lines, wire.lines):
            # Lines are cut no shorter than they must be, by what really stands before them.
            assert max(map(len, delivered(lines))) >= 500

        # In the clear again, the bot says once how to go on; and a new conversation can begin.
        alice.say(LONG_BOT, "are you there?")
        wait_for(lambda: any("/otr init" in text for text in alice.received(LONG_BOT)), "the hint")
        alice.start_otr(LONG_BOT)
        wait_shown(alice, LONG_BOT, "Session secured", times=2)
        alice.say(LONG_BOT, "again in private")
        alice.wait_received(LONG_BOT, "again in private")
        assert not [line for line in wire.lines if b"again" in line.data]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_bot_that_is_stopped_says_so(
    tmp_path: Path, ngircd: Ngircd, irssi: IrssiFactory, number: signal.Signals
) -> None:
    with OtrBot(tmp_path / "bot", ngircd.port, BOT) as bot:
        alice = irssi(ALICE)
        alice.start_otr(BOT)
        alice.wait_secured(BOT)
        alice.say(BOT, "one word")
        alice.wait_received(BOT, "one word")
        bot.signal(number)
        wait_shown(alice, BOT, has_finished(BOT))
        assert bot.exit_code() == 0
        assert "Traceback" not in bot.screen()
        # Whatever is typed now, irssi has no keys for it any more.
        sent = len(alice.wire.sent())
        alice.say(BOT, "is anybody listening?")
        wait_for(lambda: without_upkeep(alice.wire.sent()[sent:]), "irssi to send something")
        assert not [line for line in alice.wire.sent() if "listening" in line]


def test_chat_starts_with_irssi(tmp_path: Path, ngircd: Ngircd, irssi: IrssiFactory) -> None:
    bob = "Bob-" + "b" * 26
    with (
        RecordingProxy(ngircd.port) as wire,
        OtrChat(tmp_path / "chat", wire.port, bob, LONG_ALICE) as chat,
    ):
        alice = irssi(LONG_ALICE)
        chat.start_otr()
        alice.wait_secured(bob)
        assert chat.fingerprints().keys() == {bob, LONG_ALICE}
        assert alice.fingerprints(bob) == chat.fingerprints()

        assert len(THOUSAND) == 1000
        for text in [*TEXTS, THOUSAND]:
            chat.type(text)
            alice.wait_received(bob, text)
        for text in TEXTS:
            alice.say(bob, text)
            chat.wait_received(text)
        chat.type("/me waves")
        wait_shown(alice, bob, f" * {bob} waves")
        alice.command("/me waves back")
        chat.wait_shown(f"[encrypted] * {LONG_ALICE} waves back\n")
        # irssi cuts what is typed into it to the length of an IRC line before it encrypts, at blanks.
        alice.say(bob, THOUSAND)
        pieces = THOUSAND.replace(" ", "")
        chat.wait(lambda: said_by(LONG_ALICE, chat).replace(" ", "").endswith(pieces), "the line in pieces")

        assert_only_otr(wire.lines)
        assert_only_otr(alice.wire.lines)
        assert max(map(len, delivered(alice.wire.lines))) >= 500

        chat.type("/otr end")
        wait_shown(alice, bob, has_finished(bob))
        chat.wait_shown("is over. What you type goes out unencrypted.")
        assert_only_otr(wire.lines)
        chat.type("/quit")
        assert chat.exit_code() == 0


def test_irssi_starts_and_ends_with_chat(tmp_path: Path, ngircd: Ngircd, irssi: IrssiFactory) -> None:
    with (
        RecordingProxy(ngircd.port) as wire,
        OtrChat(tmp_path / "chat", wire.port, "bob", ALICE) as chat,
    ):
        alice = irssi(ALICE)
        alice.say("bob", "in the clear, grüezi")
        chat.wait_shown(f"<{ALICE}> in the clear, grüezi\n")
        chat.type("so is this, 你好")
        alice.wait_received("bob", "so is this, 你好")

        before = len(wire.lines)
        alice.start_otr("bob")
        chat.wait_secured()
        alice.wait_secured("bob")
        assert alice.fingerprints("bob") == chat.fingerprints()
        alice.say("bob", "now in private")
        chat.wait_received("now in private")

        alice.end_otr("bob")
        chat.wait_shown(f"{ALICE} has ended the encrypted conversation")
        chat.type("this must not leave")
        chat.wait_shown("Not sent")
        chat.wait_shown("Your text: this must not leave")
        assert_only_otr(wire.lines[before:])

        chat.type("/otr start")
        chat.wait_secured(2)
        wait_shown(alice, "bob", "Session secured", times=2)
        assert alice.fingerprints("bob") == chat.fingerprints()
        chat.type("private once more")
        alice.wait_received("bob", "private once more")
        assert_only_otr(wire.lines[before:])
        chat.press(CTRL_D)
        wait_shown(alice, "bob", has_finished("bob"))
        assert chat.exit_code() == 0


@pytest.mark.parametrize(
    ("typed", "outcome"),
    # irssi takes the first word behind its command, whatever stands behind that.
    [("grün7", "Verified: "), ("grün7 and more", "Verified: "), ("grün8", "NOT verified: ")],
)
def test_chat_and_irssi_verify_each_other(
    tmp_path: Path, ngircd: Ngircd, irssi: IrssiFactory, typed: str, outcome: str
) -> None:
    """Each asks once: chat's user by a question, irssi's without."""
    with OtrChat(tmp_path / "chat", ngircd.port, "bob", ALICE) as chat:
        alice = irssi(ALICE)
        chat.start_otr()
        alice.wait_secured("bob")

        chat.type("/otr smp ask Which colour, and how many?")
        chat.wait_shown("An empty line calls it off.")
        chat.type("grün7")
        wait_shown(alice, "bob", "Which colour, and how many?")
        alice.verify("bob", typed)
        chat.wait_shown(f"-- {outcome}")

        alice.verify("bob", typed)
        chat.wait_shown(f"-- {ALICE} wants to verify you by a secret that only the two of you know.")
        chat.type("/otr smp answer")
        chat.wait_shown("An empty line calls it off.", times=2)
        chat.type("grün7")
        chat.wait_shown(f"-- {outcome}", times=2)
        wait_shown(alice, "bob", "successful" if outcome == "Verified: " else "failed", times=2)
        assert "grün" not in chat.screen()
        chat.type("/quit")
        assert chat.exit_code() == 0
