"""A crowd over a network that does anything; what must always hold is checked at each step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from otrcore.account import Account
from otrcore.events import Event, Rejected, SessionEnd, SessionEnded, SmpSucceeded, Transmit
from otrcore.instances import MAX_SESSIONS, MAX_STARTING
from otrcore.model import MessageState
from otrcore.policy import Policy
from otrcore.wire.fragment import MAX_PARTIALS
from tests.pair import identity, rests
from tests.peers.crowd import ALICE, TAGS, THEM, Crowd
from tests.peers.ledger import Ledger
from tests.snapshot import snapshot

MOST_VALUES = 4000
"""Plain values in everything that a conversation remembers, keys and texts that wait among them."""

UNDER_WAY = ("_reassembler", "_rejoiner")
"""What a line leaves behind that turns out to be refused once it is whole."""


def size(picture: object) -> int:
    """Return the number of plain values in a picture."""
    match picture:
        case dict():
            return sum(map(size, picture.values()))
        case list() | set():
            return sum(map(size, picture))
    return 1


class World(Crowd):
    """Texts are typed by `speak` alone, so that any other plain text that leaves is a mistake."""

    def __init__(
        self, policies: Sequence[Policy], clients: Sequence[str], seed: int, line_limit: int | None
    ) -> None:
        self.ledgers: dict[str, Ledger] = {}
        self.secrets: dict[str, str] = {}
        self.fair = True
        """Whether nothing was lost or overtaken, and nobody left in the middle of a start."""
        self._speaking = False
        super().__init__(policies=policies, clients=clients, seed=seed, line_limit=line_limit)
        self.ledgers = {name: Ledger() for name in self.names}

    def do(self, name: str, events: Iterable[Event]) -> list[Event]:
        """Check every line that leaves, and the fate of every text."""
        events = super().do(name, events)
        talk = self.talks[name]
        for event in events:
            match event:
                case Transmit(lines=lines, plain=plain):
                    assert plain <= self._speaking, "plain text leaves by itself"
                    for line in lines:
                        assert plain or line.startswith("?OTR")
                        assert plain or "text no." not in line
                        assert talk.line_limit is None or len(line.encode()) <= talk.line_limit
                case SessionEnded(SessionEnd.PEER):
                    assert talk.state is not MessageState.PLAINTEXT, "what is typed next would be plain"
                case SmpSucceeded():
                    assert len(set(self.secrets.values())) < len(self.secrets)
        self.ledgers[name].note(talk, events)
        instances = talk._instances
        assert len(instances._sessions) <= MAX_SESSIONS + MAX_STARTING
        assert len(talk._reassembler._partials) <= MAX_PARTIALS
        return events

    def hand(self, to: str, line: str) -> list[Event]:
        """Check that what is refused changes nothing."""
        before = self.picture(to)
        events = super().hand(to, line)
        refused = [event for event in events if isinstance(event, Rejected)]
        answers = [event for event in events if isinstance(event, Transmit)]
        if refused and len(refused) + len(answers) == len(events):
            assert all(line.startswith("?OTR Error:") for answer in answers for line in answer.lines)
            assert self.picture(to) == before
        return events

    def picture(self, name: str) -> dict[str, object]:
        """Return the state of a conversation, but for what is being put together."""
        picture = snapshot(self.talks[name], caches=False)
        assert isinstance(picture, dict)
        return {key: value for key, value in picture.items() if key not in UNDER_WAY}

    def speak(self, name: str) -> str:
        """Type a text that no other is like."""
        text = self.ledgers[name].next_text(name)
        self._speaking = True
        events = self.ledgers[name].typed(self.talks[name], text)
        self.do(name, events)
        self._speaking = False
        return text

    def check_texts(self) -> None:
        """What anybody decrypted was sent encrypted, and is heard once; in its order but in version 4."""
        for name in self.names:
            hearers = self.clients if name == ALICE else (ALICE,)
            for hearer in hearers:
                mine = [
                    event
                    for event in self.events(hearer)
                    if getattr(event, "text", "").endswith(f" of {name}")
                ]
                self.ledgers[name].check_heard(mine, in_order=4 not in self.talks[name].policy.versions)

    def check_nothing_is_left(self) -> None:
        """Everything that was begun has ended, and no text waits any more."""
        for name, talk in self.talks.items():
            assert not talk.starting
            assert rests(talk, self.clock.now)
            ledger = self.ledgers[name]
            assert ledger.waiting == []
            fates = [
                text
                for text in [*ledger.plain, *ledger.encrypted, *ledger.held, *ledger.given_back]
                if not text.startswith("[resent] ")
            ]
            assert len(set(fates)) == ledger.count
            assert len(fates) == ledger.count + len(ledger.said_before)
            assert size(snapshot(talk)) <= MOST_VALUES

    def check_even(self) -> None:
        """Whoever has a session has one that the other side has, too."""
        hers = {(info.version, info.ssid) for info in self.alice.sessions}
        theirs = {
            (info.version, info.ssid) for client in self.clients for info in self.talks[client].sessions
        }
        assert hers == theirs

    def check_talk(self) -> None:
        """Everybody hears everybody, encrypted."""
        for client in self.clients:
            info = self.talks[client].info
            assert info is not None
            (hers,) = [other for other in self.alice.sessions if other.ssid == info.ssid]
            self.alice.choose(hers.their_instance_tag)
            for sender, hearer in ((ALICE, client), (client, ALICE)):
                assert self.talks[sender].state is MessageState.ENCRYPTED
                text = self.speak(sender)
                self.settle()
                assert text in [getattr(event, "text", None) for event in self.events(hearer)]
        self.alice.choose(None)

    def restart(self, client: str, key: str) -> None:
        """Begin anew on one client, with this key and nothing else, as after a crash."""
        old, ledger = self.talks[client], self.ledgers[client]
        ledger.given_back += [*ledger.waiting, *ledger.held]
        ledger.waiting, ledger.held = [], []
        self.accounts[client] = Account(
            identity(key),
            old.policy,
            name=THEM,
            instance_tag=TAGS[client],
            random=self.random(client),
            clock=self.clock,
        )
        self.talks[client] = self.accounts[client].conversation(THEM)
        self.talks[client].line_limit = old.line_limit
        self.secrets.pop(client, None)
        self.fair = False
