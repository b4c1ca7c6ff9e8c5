"""A toy network like XMPP: people with several clients, and which names to use where.

    python examples/xmpp_like.py

An address here is a bare one, `bob@example.net`, or a full one, `bob@example.net/phone`, of one client.

- The name of an account and of a conversation is the *bare* address.  Version 4 authenticates it, as it
  stands, with that of the peer: both sides must write each name in the same way, byte for byte.  So take
  what the network compares (here in small letters), and never a full address, a nickname, or what the
  user has typed.
- The clients of one person are told apart by instance tags, which are random numbers in the messages:
  no address is needed for it.  Each client has an `Account` of its own; all lines for a peer go to the
  bare address, and a client leaves alone what is for another one.
"""

from __future__ import annotations

from collections import deque

from otrcore import Account, Conversation, Event, Identity, Policy, Received, Transmit

NEWEST_ONLY = Policy(frozenset({4}))


def bare(address: str) -> str:
    """Return the part of an address that names a person, as the network compares it."""
    return address.partition("/")[0].lower()


class Network:
    """Carries lines to all clients of a bare address, in their order."""

    def __init__(self) -> None:
        """Begin without clients; each adds itself."""
        self.clients: list[Client] = []
        self._on_the_way: deque[tuple[str, str, str]] = deque()

    def send(self, sender: str, receiver: str, line: str) -> None:
        """Take a line from a full address to a bare one."""
        self._on_the_way.append((sender, receiver, line))

    def deliver(self) -> None:
        """Hand over what is on the way, until nothing is."""
        while self._on_the_way:
            sender, receiver, line = self._on_the_way.popleft()
            for client in self.clients:
                if bare(client.address) == receiver:
                    client.take(sender, line)


class Client:
    """One program of one person; `name` is what version 4 authenticates, by default the bare address."""

    def __init__(self, network: Network, address: str, identity: Identity, name: str | None = None) -> None:
        """Log in under a full address; clients of one person may share the identity."""
        self.network = network
        self.address = address
        self.account = Account(identity, NEWEST_ONLY, name=bare(address) if name is None else name)
        network.clients.append(self)

    def talk(self, address: str) -> Conversation:
        """Return the one conversation with a person, whichever client of theirs has written."""
        return self.account.conversation(bare(address))

    def start(self, address: str) -> None:
        """Ask for an encrypted conversation with all clients of a person."""
        self._do(self.talk(address).start(), address)

    def say(self, address: str, text: str) -> None:
        """Send a text to the client of a person that the conversation chooses."""
        self._do(self.talk(address).send(text), address)

    def take(self, sender: str, line: str) -> None:
        """Take a line from the network."""
        self._do(self.talk(sender).receive(line), sender)

    def _do(self, events: list[Event], address: str) -> None:
        for event in events:
            if isinstance(event, Transmit):
                for line in event.lines:
                    self.network.send(self.address, bare(address), line)
            elif isinstance(event, Received):
                print(f"{self.address} reads from {bare(address)}: {event.text} ({event.protection.value})")


def two_clients_of_one_person() -> None:
    """Have one start lead to a session with each client, and choose between them."""
    network = Network()
    bobs = Identity.generate()
    alice = Client(network, "Alice@example.org/laptop", Identity.generate())
    phone = Client(network, "bob@example.net/phone", bobs)
    desk = Client(network, "bob@example.net/desk", bobs)
    alice.start("Bob@example.net")
    network.deliver()
    talk = alice.talk("bob@example.net")
    tags = {info.their_instance_tag for info in talk.sessions}
    print(f"sessions with {talk.peer}: {len(tags)}, one for each client")
    assert tags == {phone.account.instance_tag, desk.account.instance_tag}
    for client, text in ((phone, "To the phone."), (desk, "To the desk.")):
        talk.choose(client.account.instance_tag)
        alice.say("bob@example.net", text)
        network.deliver()
    desk.say("alice@example.org", "I sit down.")
    network.deliver()


def what_a_name_does(name_of_bob: str) -> None:
    """Print what a start comes to when Bob's program authenticates this name, and Alice's the bare one."""
    network = Network()
    alice = Client(network, "alice@example.org/laptop", Identity.generate())
    Client(network, "bob@example.net/phone", Identity.generate(), name_of_bob)
    alice.start("bob@example.net")
    network.deliver()
    print(f"Bob's program calls him {name_of_bob}: {alice.talk('bob@example.net').state.value}")


if __name__ == "__main__":
    two_clients_of_one_person()
    what_a_name_does("bob@example.net/phone")
    what_a_name_does("bob@example.net")
