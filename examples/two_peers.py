"""Two people in one process: a key exchange, a line each way, and the end.  python examples/two_peers.py"""

from otrcore import Account, Conversation, Event, Identity, Received, Transmit

alice = Account(Identity.generate(), name="alice").conversation("bob")
bob = Account(Identity.generate(), name="bob").conversation("alice")


def carry(events: list[Event], talk: Conversation, other: Conversation) -> None:
    """Take the lines of `talk` to the other side, and show what `talk` reads."""
    for event in events:
        if isinstance(event, Transmit):
            for line in event.lines:  # a program would hand them to its chat network
                carry(other.receive(line), other, talk)
        elif isinstance(event, Received):
            print(f"<{talk.peer}> {event.text} ({event.protection.value})")


carry(alice.start(), alice, bob)
carry(alice.send("Can you read this?"), alice, bob)
carry(bob.send("I can, and nobody else."), bob, alice)
carry(bob.end(), bob, alice)
