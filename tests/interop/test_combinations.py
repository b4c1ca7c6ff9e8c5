"""Everything that a conversation can hold, in every combination of versions, started by either side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from otrcore.errors import Reason
from otrcore.events import (
    ExtraKey,
    HandshakeStep,
    Queued,
    Received,
    Rejected,
    Resent,
    SessionEnd,
    SessionEnded,
    SmpAborted,
    SmpAsked,
    SmpFailed,
    SmpSucceeded,
)
from otrcore.model import MessageState, Protection, Trust
from otrcore.policy import Policy, Tagging
from otrcore.v3.ake import INITIATOR_RETRIES, RESPONDER_RETRIES
from otrcore.wire.messages3 import AkeMessage, DhCommit, DhKey, RevealSignature, Signature
from otrcore.wire.text import encode
from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import Direction, LibotrPeer, exchange
from tests.interop.ours import Doubled, Ours, agreed, chat, data_in, let_pass, message_in
from tests.pair import speaking

ALLOWED = ((2,), (3,), (2, 3))
STARTERS = ("ours", "theirs")


@dataclass
class Combination:
    """What both allow, and who starts."""

    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    starter: str
    libotr: LibotrFactory

    @property
    def version(self) -> int:
        """The best one that both allow."""
        return max(set(self.ours) & set(self.theirs))

    @property
    def policy(self) -> Policy:
        """Ours; it starts nothing by itself."""
        return speaking(*self.ours)

    def make(
        self, policy: Policy | None = None, words: str = "", limit: int | None = None
    ) -> tuple[Ours, LibotrPeer]:
        """Return both sides, libotr with these words in its policy, and lines of this limit."""
        allowed = "+".join(f"v{version}" for version in self.theirs)
        ours = Ours(policy or self.policy, line_limit=limit)
        return ours, self.libotr(policy=f"{allowed}{words}", mms=limit or 0)

    def start(self, ours: Ours, theirs: LibotrPeer) -> None:
        """Let the starter ask; nothing is carried yet."""
        (ours if self.starter == "ours" else theirs).start()

    def secured(
        self, policy: Policy | None = None, words: str = "", limit: int | None = None
    ) -> tuple[Ours, LibotrPeer]:
        """Return both sides, encrypted, the first keys forgotten, with nothing left to look at."""
        ours, theirs = self.make(policy, words, limit)
        self.start(ours, theirs)
        exchange(ours, theirs)
        agreed(ours, theirs, version=self.version)
        chat(ours, theirs)
        ours.shown()
        theirs.events()
        return ours, theirs


@pytest.fixture(
    params=[
        (ours, theirs, starter)
        for ours in ALLOWED
        for theirs in ALLOWED
        if set(ours) & set(theirs)
        for starter in STARTERS
    ],
    ids=lambda param: f"{'+'.join(map(str, param[0]))} with {'+'.join(map(str, param[1]))}, {param[2]} start",
)
def both(request: pytest.FixtureRequest, libotr: LibotrFactory) -> Combination:
    """Each combination."""
    ours, theirs, starter = request.param
    return Combination(ours, theirs, starter, libotr)


def damaged(line: str) -> str:
    """Return a data message whose MAC does not verify."""
    return encode(replace(data_in(line), mac=bytes(20)).serialise())


@pytest.mark.parametrize("limit", [None, 100, 400])
def test_texts_with_keys_that_rotate(both: Combination, limit: int | None) -> None:
    ours, theirs = both.secured(limit=limit)
    log: list[tuple[Direction, str]] = []
    for turn in range(5):
        ours.send(f"ours {turn} " + "x" * 300)
        exchange(ours, theirs, log=log)
        theirs.send(f"theirs {turn} " + "ü" * 150)
        exchange(ours, theirs, log=log)
    assert theirs.texts() == [f"ours {turn} " + "x" * 300 for turn in range(5)]
    assert ours.texts() == [f"theirs {turn} " + "ü" * 150 for turn in range(5)]
    if limit is None:
        for way in (">", "<"):
            assert len({data_in(wire).next_dh for direction, wire in log if direction == way}) == 5
    else:
        front = "?OTR," if both.version == 2 else "?OTR|"
        assert {wire[:5] for _, wire in log} == {front}
        assert max(len(wire) for _, wire in log) <= limit


@pytest.mark.parametrize("asker", ["ours", "theirs"])
@pytest.mark.parametrize(("question", "answer"), [("Which?", "right"), (None, "wrong")])
def test_verification(both: Combination, asker: str, question: str | None, answer: str) -> None:
    ours, theirs = both.secured()
    if asker == "ours":
        ours.note(ours.talk.smp_start("right", question))
        exchange(ours, theirs)
        (asked,) = theirs.events("smp")
        assert asked.get("question") == question
        theirs.command("smp_respond", secret=answer)
    else:
        theirs.command("smp", secret="right", **({"question": question} if question else {}))
        exchange(ours, theirs)
        assert ours.events(SmpAsked) == [SmpAsked(question)]
        ours.note(ours.talk.smp_answer(answer))
    exchange(ours, theirs)
    succeeded, failed = len(ours.events(SmpSucceeded)), len(ours.events(SmpFailed))
    assert (succeeded, failed) == ((1, 0) if answer == "right" else (0, 1))
    assert theirs.events("smp")[-1]["event"] == ("success" if answer == "right" else "failure")
    verified = {
        "ours": answer == "right" and (asker == "ours" or question is None),
        "theirs": answer == "right" and (asker == "theirs" or question is None),
    }
    assert ours.talk.trust is (Trust.SMP if verified["ours"] else Trust.NONE)
    session = theirs.session
    assert session is not None
    assert (session["trust"] == "smp") is verified["theirs"]


@pytest.mark.parametrize("aborter", ["ours", "theirs"])
@pytest.mark.parametrize("asker", ["ours", "theirs"])
def test_an_aborted_verification(both: Combination, asker: str, aborter: str) -> None:
    ours, theirs = both.secured()
    if asker == "ours":
        ours.note(ours.talk.smp_start("right"))
    else:
        theirs.command("smp", secret="right")
    exchange(ours, theirs)
    if aborter == "ours":
        ours.note(ours.talk.smp_abort())
    else:
        theirs.command("smp_abort")
    exchange(ours, theirs)
    assert len(ours.events(SmpAborted)) == 1
    assert not ours.talk.smp_running
    session = theirs.session
    assert session is not None
    assert session["smp_expect"] == 1
    assert ours.talk.trust is Trust.NONE
    if aborter == "ours":
        assert theirs.events("smp")[-1]["event"] == "abort"


def test_extra_keys_are_equal_after_rotation(both: Combination) -> None:
    ours, theirs = both.secured()
    for turn in range(3):
        ours.note(ours.talk.extra_key(turn, f"ours {turn}".encode()))
        (mine,) = ours.events(ExtraKey)
        exchange(ours, theirs)
        (got,) = theirs.events("received_symkey")
        assert (got["use"], bytes.fromhex(got["usedata_hex"])) == (turn, f"ours {turn}".encode())
        assert bytes.fromhex(got["key"]) == bytes(mine.key)
        assert not mine.by_peer

        key = theirs.command("symkey", use=turn, data=f"theirs {turn}")["key"]
        exchange(ours, theirs)
        (theirs_key,) = ours.events(ExtraKey)
        assert (theirs_key.use, theirs_key.data, theirs_key.by_peer) == (
            turn,
            f"theirs {turn}".encode(),
            True,
        )
        assert bytes(theirs_key.key).hex() == key
        assert bytes(theirs_key.key) != bytes(mine.key)
        chat(ours, theirs)


def test_heartbeats(both: Combination) -> None:
    """Whoever has said nothing for a minute answers a text by an empty message; the other shows nothing."""
    ours, theirs = both.secured()
    let_pass(61, ours, theirs)
    theirs.send("still there?")
    exchange(ours, theirs)
    assert theirs.message_events() == ["log_heartbeat_rcvd"]
    assert ours.texts() == ["still there?"]
    theirs.send("once a minute is enough")
    exchange(ours, theirs)
    assert theirs.message_events() == []
    assert ours.texts() == ["once a minute is enough"]

    let_pass(61, ours, theirs)
    ours.send("and you?")
    exchange(ours, theirs)
    assert theirs.message_events() == ["log_heartbeat_sent"]
    assert theirs.texts() == ["and you?"]
    assert ours.shown() == []
    chat(ours, theirs)


def test_we_say_a_lost_text_again(both: Combination) -> None:
    """libotr could not read it: its error makes us start anew, and what it missed comes first."""
    ours, theirs = both.secured(replace(both.policy, start_on_error=True))
    before = agreed(ours, theirs, version=both.version)
    ours.send("lost at first")
    (line,) = ours.take()
    theirs.receive(damaged(line))
    exchange(ours, theirs)
    assert agreed(ours, theirs, version=both.version) != before
    assert theirs.texts() == ["[resent] lost at first"]
    assert ours.events(Resent) == [Resent("lost at first")]
    theirs.events()
    ours.shown()
    chat(ours, theirs)
    ours.start()
    exchange(ours, theirs)
    assert theirs.texts() == []


def test_we_say_an_old_text_not_again(both: Combination) -> None:
    ours, theirs = both.secured(replace(both.policy, start_on_error=True))
    ours.send("lost at first")
    (line,) = ours.take()
    let_pass(61, ours, theirs)
    theirs.receive(damaged(line))
    exchange(ours, theirs)
    agreed(ours, theirs, version=both.version)
    assert theirs.texts() == []
    assert ours.events(Resent) == []
    chat(ours, theirs)


def test_libotr_says_a_lost_text_again(both: Combination) -> None:
    """In version 2: in version 3 an error has no instance tag, and marks another of its contexts."""
    ours, theirs = both.secured(words="+errstart")
    before = agreed(ours, theirs, version=both.version)
    theirs.send("lost at first")
    (line,) = theirs.take()
    ours.receive(damaged(line))
    assert ours.shown() == [Rejected(Reason.UNREADABLE, had_text=True)]
    exchange(ours, theirs)
    assert agreed(ours, theirs, version=both.version) != before
    assert ours.texts() == (["[resent] lost at first"] if both.version == 2 else [])
    theirs.events()
    chat(ours, theirs)


@pytest.mark.parametrize("limit", [None, 100])
def test_we_require_encryption(both: Combination, limit: int | None) -> None:
    """All that was typed comes encrypted and in order, whoever starts; libotr would keep the last one."""
    ours, theirs = both.make(replace(both.policy, require_encryption=True), limit=limit)
    if both.starter == "theirs":
        theirs.start()
        ours.receive(theirs.take()[0]) if limit is None else exchange(ours, theirs)
    for number in range(5):
        ours.send(f"text {number}")
    exchange(ours, theirs)
    agreed(ours, theirs, version=both.version)
    assert theirs.texts() == [f"text {number}" for number in range(5)]
    theirs.send("fine")
    exchange(ours, theirs)
    assert ours.texts() == ["fine"]


def test_we_require_encryption_and_the_first_text_starts_it(both: Combination) -> None:
    ours, theirs = both.make(replace(both.policy, require_encryption=True))
    log: list[tuple[Direction, str]] = []
    ours.send("secret words")
    assert ours.events(Queued) == [Queued("secret words")]
    exchange(ours, theirs, log=log)
    agreed(ours, theirs, version=both.version)
    assert theirs.texts() == ["secret words"]
    assert not [wire for _, wire in log if "secret" in wire]


@pytest.mark.parametrize("limit", [None, 100])
def test_libotr_requires_encryption(both: Combination, limit: int | None) -> None:
    ours, theirs = both.make(words="+require", limit=limit)
    log: list[tuple[Direction, str]] = []
    theirs.send("secret words")
    assert theirs.message_events() == ["encryption_required"]
    exchange(ours, theirs, log=log)
    agreed(ours, theirs, version=both.version)
    assert not [wire for _, wire in log if "secret" in wire]
    # libotr forgets it in version 3 if its query was cut.
    assert ours.texts() in (
        [["secret words"]] if limit is None or both.version == 2 else [["secret words"], []]
    )


@pytest.mark.parametrize("text", ["hello", "hello out there", " leading", "trailing  ", "Grüße an alle"])
def test_our_tag_is_read_by_libotr(both: Combination, text: str) -> None:
    ours, theirs = both.make(replace(both.policy, send_tag=Tagging.EVERYBODY), words="+tagstart")
    ours.send(text)
    (line,) = ours.take()
    assert line != text
    # What networks do to the end of a line.
    if text == text.rstrip():
        assert line == line.rstrip()
    theirs.receive(line)
    assert theirs.texts() == [text]
    exchange(ours, theirs)
    agreed(ours, theirs, version=both.version)
    chat(ours, theirs)


def test_their_tag_is_read_by_us(both: Combination) -> None:
    ours, theirs = both.make(replace(both.policy, start_on_tag=True), words="+tag")
    theirs.send("hello")
    exchange(ours, theirs)
    agreed(ours, theirs, version=both.version)
    assert ours.events(Received) == [Received("hello", Protection.PLAIN)]
    chat(ours, theirs)


def test_our_tag_stops_after_a_plain_answer(both: Combination) -> None:
    """On both sides alike."""
    ours, theirs = both.make(replace(both.policy, send_tag=Tagging.EVERYBODY), words="+tag")
    ours.send("first")
    theirs.send("first")
    (ours_first,), (theirs_first,) = ours.take(), theirs.take()
    assert (ours_first, theirs_first) != ("first", "first")
    ours.receive("plain")
    theirs.receive("plain")
    ours.send("second")
    theirs.send("second")
    assert (ours.take(), theirs.take()) == (["second"], ["second"])


def test_their_error_starts_ours_and_ours_theirs(both: Combination) -> None:
    """Once each, and no storm."""
    ours, theirs = both.secured(replace(both.policy, start_on_error=True), words="+errstart")
    for sender, hearer in ((ours, theirs), (theirs, ours)):
        let_pass(61, ours, theirs)
        before = agreed(ours, theirs, version=both.version)
        sender.send("damaged on its way")
        (line,) = sender.take()
        log: list[tuple[Direction, str]] = []
        hearer.receive(damaged(line))
        exchange(ours, theirs, log=log)
        assert agreed(ours, theirs, version=both.version) != before
        assert len(log) <= 8
        ours.shown()
        theirs.events()
        chat(ours, theirs)


@pytest.mark.parametrize("ender", ["ours", "theirs"])
def test_end_and_another_start(both: Combination, ender: str) -> None:
    ours, theirs = both.secured()
    (ours if ender == "ours" else theirs).end()
    exchange(ours, theirs)
    assert ours.events(SessionEnded) == [
        SessionEnded(SessionEnd.PEER if ender == "theirs" else SessionEnd.HERE)
    ]
    assert ours.state is (MessageState.PLAINTEXT if ender == "ours" else MessageState.FINISHED)
    assert ("finished" in {context["msgstate"] for context in theirs.status()}) is (ender == "ours")
    both.start(ours, theirs)
    exchange(ours, theirs)
    agreed(ours, theirs, version=both.version)
    theirs.events()
    chat(ours, theirs)


def drop_one(kind: type[AkeMessage], lost: list[str]) -> Callable[[Direction, str], bool]:
    """Return what loses the first message of this kind in the best version, and keeps it in the list."""

    def drop(_: Direction, wire: str) -> bool:
        if lost or not isinstance(message_in(wire), kind):
            return False
        lost.append(wire)
        return True

    return drop


@pytest.mark.parametrize("kind", [DhCommit, DhKey, RevealSignature, Signature])
def test_a_lost_message_of_the_key_exchange(both: Combination, kind: type[AkeMessage]) -> None:
    """Healed by our retry without the users, where we can know of it: see `test_lost_messages`."""
    ours, theirs = both.make()
    lost: list[str] = []
    both.start(ours, theirs)
    exchange(ours, theirs, drop=drop_one(kind, lost))
    assert len(lost) == 1
    let_pass(round(max(INITIATOR_RETRIES, RESPONDER_RETRIES)), ours, theirs)
    if both.starter == "ours" and kind in (DhCommit, Signature):
        assert theirs.session is None
        ours.start()
        exchange(ours, theirs)
    agreed(ours, theirs, version=both.version)
    theirs.events()
    chat(ours, theirs)


def test_every_line_comes_twice(both: Combination) -> None:
    ours, theirs = both.make()
    both.start(ours, theirs)
    exchange(Doubled(ours), Doubled(theirs))
    agreed(ours, theirs, version=both.version)
    ours.events(HandshakeStep)
    for turn in range(3):
        ours.send(f"ours {turn}")
        theirs.send(f"theirs {turn}")
        exchange(Doubled(ours), Doubled(theirs))
    assert theirs.texts() == [f"ours {turn}" for turn in range(3)]
    assert ours.texts() == [f"theirs {turn}" for turn in range(3)]
