"""Every event, and what a program does with it.  python examples/events.py

`told` is the part to take over: one `match` over all public events.  A type checker finds the one that
is missing there, by `assert_never`.  Below it, two people and somebody who disturbs them bring each
event about.
"""

from __future__ import annotations

from collections import deque
from typing import assert_never

from otrcore import (
    Account,
    Conversation,
    Downgraded,
    Event,
    ExtraKey,
    HandshakeFailed,
    HandshakeStep,
    Held,
    Identity,
    MemoryChanged,
    NoCommonVersion,
    NotSent,
    PeerComplained,
    PeerMemory,
    Policy,
    Protection,
    Queued,
    Received,
    Rejected,
    Resent,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
    Transmit,
    Trust,
)


def told(event: Event) -> str:
    """Return what the user should learn; a program would also act where the comment says so."""
    match event:
        case Transmit(lines, plain):
            # Send these lines to the peer, in this order, before anything else of ours.
            return f"sent: {lines[0]}" if plain else f"lines of OTR sent: {len(lines)}"
        case Received(text, Protection.ENCRYPTED):
            return f"encrypted: {text}"
        case Received(text, Protection.UNEXPECTED_PLAIN):
            return f"WARNING, not encrypted: {text}"
        case Received(text):
            return f"plain: {text}"
        case Queued(text):
            return f"waits for an encrypted conversation: {text}"
        case NotSent(text, reason):
            # Give the text back to the user, who may have no other copy.
            return f"not sent, as {reason.value}: {text}"
        case Resent(text):
            return f"was lost, and has been said again: {text}"
        case Held(texts):
            # Ask the user, then call `send_held` or `drop_held`.
            return f"held, as the key is another: {', '.join(texts)}"
        case HandshakeStep(message, sent):
            return f"key exchange: {message} {'sent' if sent else 'received'}"
        case HandshakeFailed(reason):
            return f"no encrypted conversation: {reason.value}"
        case SessionOpened(info, refreshed, trust, changed_from):
            news = "fresh keys" if refreshed else "encrypted"
            warning = f"; WARNING, it was {str(changed_from)[:8]}" if changed_from else ""
            return (
                f"{news}: version {info.version}, {trust.value}, {str(info.their_fingerprint)[:8]}{warning}"
            )
        case SessionEnded(reason):
            return f"no longer encrypted: {reason.value}"
        case Downgraded(known, offered):
            return f"WARNING: version {offered}, and it was {known}"
        case NoCommonVersion(offered):
            return f"asks for versions that are not allowed here: {sorted(offered)}"
        case MemoryChanged(memory):
            # Store it under the peer's name, and hand it to `Account.conversation` the next time.
            return f"remember {len(memory.keys)} keys, {'verified' if memory.verified else 'none verified'}"
        case ExtraKey(key, use, _, by_peer):
            # For something besides the conversation, such as a file: never show or log it.
            return f"a key of {len(key)} bytes for use {use}, {'theirs' if by_peer else 'our'} wish"
        case SmpAsked(question):
            # Ask the user for the secret, then call `smp_answer`, or `smp_abort` to refuse.
            return f"asks for the secret: {question or '(no question)'}"
        case SmpProgress(percent):
            return f"verification at {percent} per cent"
        case SmpSucceeded(trusts):
            return "the secrets are equal" + ("" if trusts else ", which only tells the peer something")
        case SmpFailed(trusts):
            return "the secrets DIFFER" + ("" if trusts else ", which only tells the peer something")
        case SmpAborted(reason):
            return f"verification without a result: {reason.value}"
        case PeerComplained(text):
            return f"the peer's program says: {text}"
        case Rejected(reason, had_text):
            # Worth a line where a text was lost.  Otherwise it is for a log, if at all.
            return f"refused{' with a text' if had_text else ''}: {reason.value}"
        case _:
            assert_never(event)


TALKATIVE = Policy(frozenset({3, 4}), start_on_error=True)
alice_herself, bob_himself, somebody_else = Identity.generate(), Identity.generate(), Identity.generate()


class Play:
    """Alice and Bob, a network between them, and what Alice is told."""

    def __init__(
        self, scene: str, memory: PeerMemory, bob: Identity, bobs_policy: Policy = TALKATIVE
    ) -> None:
        """Print the scene; `memory` is what Alice knows of Bob, `bob` who answers under that name."""
        print(f"\n{scene}")
        self.alice = Account(alice_herself, TALKATIVE, name="alice").conversation("bob", memory)
        self.bob = Account(bob, bobs_policy, name="bob").conversation("alice")
        self._on_the_way: deque[tuple[Conversation, str]] = deque()

    def take(self, events: list[Event], talk: Conversation | None = None) -> None:
        """Print what Alice is told, and put the lines of either on their way."""
        talk = talk or self.alice
        other = self.bob if talk is self.alice else self.alice
        for event in events:
            if talk is self.alice:
                print(f"  {type(event).__name__:16} {told(event)}")
            if isinstance(event, Transmit):
                self._on_the_way.extend((other, line) for line in event.lines)

    def carry(self, events: list[Event], talk: Conversation | None = None) -> None:
        """Do the same, and deliver what is on the way until nothing is."""
        self.take(events, talk)
        while self._on_the_way:
            receiver, line = self._on_the_way.popleft()
            self.take(receiver.receive(line), receiver)

    def by_bob(self, events: list[Event]) -> None:
        """Carry what Bob does."""
        self.carry(events, self.bob)


def line_of(events: list[Event]) -> str:
    """Return the one line that is sent."""
    (line,) = (line for event in events if isinstance(event, Transmit) for line in event.lines)
    return line


def meet() -> PeerMemory:
    """Talk, verify, agree on a key, and end; return what Alice remembers."""
    play = Play("An encrypted conversation, verifications, an extra key", PeerMemory(), bob_himself)
    play.by_bob(play.bob.send("Hello."))
    play.take(play.alice.start())
    play.carry(play.alice.send("Typed while it is being set up."))
    play.by_bob(play.bob.smp_start("bread", "What did we have for lunch?"))
    play.carry(play.alice.smp_answer("bread"))
    play.by_bob(play.bob.smp_start("cake"))
    play.carry(play.alice.smp_answer("bread"))
    play.by_bob(play.bob.smp_start("bread"))
    play.carry(play.alice.smp_abort())
    play.carry(play.alice.set_trust(Trust.COMPARED))
    play.carry(play.alice.extra_key(1, b"photo.jpg"))
    play.carry(play.alice.receive("Somebody slips this in."))
    play.by_bob(play.bob.end())
    play.carry(play.alice.send("To nobody."))
    return play.alice.memory


def lose_a_message(memory: PeerMemory) -> None:
    """Have a message of alice spoilt on its way, and one of Bob come twice."""
    play = Play("A message that is spoilt on its way, and one that comes twice", memory, bob_himself)
    play.carry(play.alice.start())
    line = line_of(play.alice.send("This does not arrive at once."))
    middle = len(line) - 60
    spoilt = line[:middle] + ("A" if line[middle] != "A" else "B") + line[middle + 1 :]
    play.by_bob(play.bob.receive(spoilt))
    line = line_of(play.bob.send("This comes twice."))
    play.carry(play.alice.receive(line))
    play.carry(play.alice.receive(line))


def meet_somebody_else(memory: PeerMemory) -> None:
    """Have another person answer, while a text for Bob waits."""
    play = Play("Somebody else under Bob's name", memory, somebody_else)
    play.take(play.alice.start())
    play.carry(play.alice.send("For Bob's eyes only."))


def speak_older_versions(memory: PeerMemory) -> None:
    """Have Bob speak version 3 only, though he has spoken 4, and then ask for 2."""
    play = Play("An older version, and none in common", memory, bob_himself, Policy(frozenset({3})))
    play.carry(play.alice.start())
    play.carry(play.alice.end())
    play.carry(play.alice.receive("?OTRv2?"))
    play.alice.start()
    play.carry(play.alice.end())


if __name__ == "__main__":
    known = meet()
    lose_a_message(known)
    meet_somebody_else(known)
    speak_older_versions(known)
