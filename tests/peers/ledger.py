"""What has become of every text that one user typed, kept from the outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from otrcore.conversation import RESENT_MARK, Conversation
from otrcore.events import Event, Held, HeldBack, NotSent, Queued, Received, Resent, SessionOpened, Transmit
from otrcore.model import MessageState, Protection
from otrcore.wire.text import Tagged, classify


class Ledger:
    """The texts of one side of one conversation, each in one list at a time, in the order of typing."""

    def __init__(self) -> None:
        self.plain: list[str] = []
        self.encrypted: list[str] = []
        self.waiting: list[str] = []
        self.held: list[str] = []
        self.given_back: list[str] = []
        self.said_before: list[str] = []
        """Those among the held ones that have left once, and could not be read."""
        self.count = 0
        """Texts that were typed."""

    def next_text(self, side: str) -> str:
        """Return a text that no other is like."""
        self.count += 1
        return f"text no. {self.count} of {side}"

    def typed(self, talk: Conversation, text: str) -> list[Event]:
        """Send a text, and be sure that it goes the one way that is right now."""
        state, waits = talk.state, talk.starting or talk.policy.require_encryption
        events = talk.send(text)
        transmitted = [event for event in events if isinstance(event, Transmit)]
        if state is MessageState.ENCRYPTED:
            forbid(text, transmitted)
            assert transmitted
            self.encrypted.append(text)
        elif state is MessageState.FINISHED and not talk.starting:
            assert events == [NotSent(text, HeldBack.FINISHED)]
            self.given_back.append(text)
        elif waits:
            forbid(text, transmitted)
            assert events[-1] in (Queued(text), NotSent(text, HeldBack.TOO_MUCH))
            (self.waiting if events[-1] == Queued(text) else self.given_back).append(text)
        else:
            (transmit,) = transmitted
            assert transmit.plain
            (line,) = transmit.lines
            content = classify(line)
            assert line == text or (isinstance(content, Tagged) and content.text == text)
            self.plain.append(text)
        return events

    def note(self, talk: Conversation, events: Sequence[Event]) -> None:
        """Follow the texts that waited: they leave in order, come back in order, or are held in order."""
        for event in events:
            match event:
                case SessionOpened():
                    held = [text for event in events if isinstance(event, Held) for text in event.texts]
                    leaving = [text for text in self.waiting if text not in held]
                    assert leaving in ([], self.waiting), "some are held, and some are not"
                    self.encrypted += [
                        RESENT_MARK + event.text for event in events if isinstance(event, Resent)
                    ]
                    self.encrypted += leaving
                    self.held += held
                    self.said_before += [text for text in held if text not in self.waiting]
                    self.waiting.clear()
                case NotSent(text=text, reason=HeldBack.NO_SESSION):
                    assert self.waiting.pop(0) == text
                    self.given_back.append(text)
        assert list(talk.held) == self.held
        if self.waiting:
            assert talk.starting, "texts wait for nothing"

    def check_heard(self, events: Sequence[Event], *, in_order: bool = True) -> None:
        """What the other side has decrypted is a part of what left encrypted, in its order, each once.

        In version 4, which takes what comes late, the order may be another.
        """
        heard = [
            event.text
            for event in events
            if isinstance(event, Received) and event.protection is Protection.ENCRYPTED
        ]
        if not in_order:
            extra = Counter(heard) - Counter(self.encrypted)
            assert not extra, f"{sorted(extra)} are forged or repeated"
            return
        left = iter(self.encrypted)
        for text in heard:
            assert text in left, f"{text!r} is forged, repeated, or out of order"


def forbid(text: str, transmitted: Sequence[Transmit]) -> None:
    """Be sure that a text is not readable in what goes out."""
    for transmit in transmitted:
        assert not transmit.plain
        assert all(text not in line for line in transmit.lines)
