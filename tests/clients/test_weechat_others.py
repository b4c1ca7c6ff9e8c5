"""WeeChat with our script, and who uses something else: irssi with libotr, and the bot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import OtrBot, run
from tests.clients.drivers.waiting import wait_for
from tests.clients.drivers.weechat import WeeChat, private
from tests.clients.weechat_support import answer, notes, readable, start, wait_bar, wait_note

# As long as the server allows, so that the prefix in front of delivered lines is as long as it gets.
ALICE = "Alice-" + "a" * 24
BOB = "Bob-" + "b" * 26

TEXTS = ["short", "Grüße aus Zürich, 你好, 👋🏽", "two  blanks, $nick %n; ends;", "?OTR is my secret"]
LONG = ("A line of a thousand characters, ü among them, which IRC has no room for. " * 14)[:1000]

SECURED = "is encrypted (OTR version {})"
OVER = "has ended the encrypted conversation"


class Pair:
    """WeeChat and irssi."""

    def __init__(self, alice: WeeChat, bob: Irssi) -> None:
        self.alice, self.bob = alice, bob


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngircd]:
    with Ngircd(tmp_path_factory.mktemp("others") / "ngircd") as server:
        yield server


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, server: Ngircd) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("irssi")
    with ExitStack() as running:
        (alice,) = start(running, folder, server.port, ALICE)
        bob = running.enter_context(Irssi(BOB, folder / "irssi", server.port))
        yield Pair(alice, bob)
        assert alice.errors() == []


def wait_shown(irssi: Irssi, nick: str, line: str, times: int = 1) -> None:
    """Wait until irssi's conversation with somebody shows a line, so many times."""
    wait_for(
        lambda: sum(line in shown for shown in irssi.shown(nick)) >= times,
        lambda: f"{line!r} in {irssi.shown(nick)}",
    )


@pytest.mark.parametrize("starts", ["irssi", "weechat"])
def test_a_conversation_with_irssi(pair: Pair, starts: str) -> None:
    alice, bob = pair.alice, pair.bob
    told = f"Secured: the conversation with {BOB} {SECURED.format(3)}"
    secured = len(notes(alice, BOB, told))
    before = len(alice.wire.lines)
    if starts == "irssi":
        bob.start_otr(ALICE)
    else:
        alice.say(BOB, "/otr start")
    wait_note(alice, BOB, told, secured + 1)
    bob.wait_secured(ALICE)
    for owner, fingerprint in bob.fingerprints(ALICE).items():
        shown = " ".join(fingerprint[at : at + 8] for at in range(0, 40, 8))
        assert notes(alice, BOB, shown), owner

    for text in TEXTS:
        alice.say(BOB, f"{text}, {starts} began")
        bob.wait_received(ALICE, f"{text}, {starts} began")
        bob.say(ALICE, f"{text}, {starts} began")
        alice.wait_received(BOB, f"{text}, {starts} began")
    alice.say(BOB, f"/me waves to {starts}")
    wait_shown(bob, ALICE, f" * {ALICE} waves to {starts}")
    bob.command(f"/me waves back to {starts}")
    alice.wait_printed(f"{BOB} waves back to {starts}", private(BOB))
    alice.say(BOB, LONG)
    bob.wait_received(ALICE, LONG)

    lines = alice.wire.lines[before:]
    assert max(len(line.data) for line in lines) <= 512
    carried = [line.text.split(" :", 1)[1] for line in lines if " PRIVMSG " in f" {line.text}"]
    assert {text[:4] for text in carried} == {"?OTR"}

    over = len(notes(alice, BOB, OVER))
    if starts == "irssi":
        bob.end_otr(ALICE)
        wait_note(alice, BOB, OVER, over + 1)
        wait_bar(alice, BOB, "OTR: ended there")
        alice.say(BOB, "/otr end")
    else:
        alice.say(BOB, "/otr end")
        bob.wait_ended(ALICE)
        bob.command("/otr finish")
    alice.say(BOB, f"in the clear, {starts} began")
    wait_for(
        lambda: any(f"in the clear, {starts} began" in text for text in bob.received(ALICE)),
        lambda: f"a plain text in {bob.shown(ALICE)}",
    )


@pytest.mark.parametrize(("given", "outcome"), [("grün8", "NOT verified: "), ("grün7", "Verified: ")])
def test_verifying_with_irssi(pair: Pair, given: str, outcome: str) -> None:
    """Each asks once: WeeChat's user by a question, irssi's without."""
    alice, bob = pair.alice, pair.bob
    if not bob.secured(ALICE):
        alice.say(BOB, "/otr start")
        bob.wait_secured(ALICE)
    told = len(notes(alice, BOB, outcome))
    question = f"Which colour, and how many, if {outcome.removesuffix(': ')}?"
    alice.say(BOB, f"/otr smp ask {question}")
    wait_note(alice, BOB, question)
    answer(alice, BOB, "grün7")
    wait_shown(bob, ALICE, question)
    bob.verify(ALICE, given)
    wait_note(alice, BOB, outcome, told + 1)

    wants = len(notes(alice, BOB, "wants to verify you by a secret that only the two of you know."))
    bob.verify(ALICE, "grün7")
    wait_note(alice, BOB, "wants to verify you by a secret that only the two of you know.", wants + 1)
    alice.say(BOB, "/otr smp answer")
    answer(alice, BOB, given)
    wait_note(alice, BOB, outcome, told + 2)
    wait_shown(bob, ALICE, "failed" if outcome.startswith("NOT") else "successful", 2)
    assert not [line for line in alice.printed() if "grün" in line.text]
    assert not readable([alice], "grün")


def test_a_conversation_with_the_bot(tmp_path: Path, server: Ngircd, pair: Pair) -> None:
    alice = pair.alice
    with OtrBot(tmp_path / "bot", server.port, "echo") as bot:
        alice.say("echo", "hello?")
        alice.wait(
            lambda: [text for text in alice.received("echo") if "/otr start" in text], "the bot's hint"
        )
        alice.say("echo", "/otr start")
        wait_note(alice, "echo", SECURED.format(4))
        for part in (bot.fingerprint_4[:40], bot.fingerprint_4[40:80], bot.fingerprint_4[80:]):
            wait_note(alice, "echo", " ".join(part[at : at + 8] for at in range(0, len(part), 8)))
        for text in (*TEXTS, LONG):
            alice.say("echo", text)
            alice.wait_received("echo", text)
        alice.say("echo", "/otr smp ask What is this called?")
        answer(alice, "echo", "otrcore")
        wait_note(alice, "echo", "Verified: ")
        wait_bar(alice, "echo", "OTR4: encrypted, verified")
        assert not readable([alice], "two  blanks")
        bot.close()
    alice.say("echo", "/otr end")


def test_keys_of_irssi(tmp_path: Path, server: Ngircd) -> None:
    """Who had irssi before is known by the same fingerprint, and knows whom it had verified."""
    with ExitStack() as running:
        start(running, tmp_path, server.port, "carol")
        with Irssi("dave", tmp_path / "irssi", server.port) as before:
            before.start_otr("carol")
            before.wait_secured("carol")
            before.trust("carol")
            fingerprints = before.fingerprints("carol")
        folder = tmp_path / "weechat-dave"
        (folder / "home").mkdir(parents=True)
        done = run(folder, "otr", "keys", "import", str(tmp_path / "irssi"), "--network", "testnet")
        assert done.returncode == 0, done.stdout + done.stderr
        (dave,) = start(running, tmp_path, server.port, "dave")
        dave.say("carol", "/otr policy no-v4")
        dave.say("carol", "/otr start")
        wait_note(dave, "carol", SECURED.format(3))
        mine = " ".join(fingerprints["dave"][at : at + 8] for at in range(0, 40, 8))
        assert notes(dave, "carol", f"your fingerprint:    {mine}")
        wait_bar(dave, "carol", "OTR3: encrypted, verified")
