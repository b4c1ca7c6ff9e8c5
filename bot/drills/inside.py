"""What drills need of a conversation and no chat client ever does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from otrcore.conversation import Conversation
from otrcore.events import Transmit
from otrcore.identity import Identity
from otrcore.protocols import KeyExchange
from otrcore.relation import Relation
from otrcore.suites import VERSIONS
from otrcore.v4 import profile
from otrcore.v4.dake import Dake, WaitingAuthR
from otrcore.wire.tlv import Tlv

_DAY = 24 * 60 * 60


def sealed(
    talk: Conversation, text: bytes, records: Sequence[Tlv] = (), *, ignore_unreadable: bool = False
) -> Transmit:
    """Encrypt a text with any records at all; UsageError if the conversation is not encrypted."""
    channel = talk._instances.session().encrypted().channel
    return talk._relation.transmit(channel.encrypt(text, records, ignore_unreadable=ignore_unreadable))


def identity(talk: Conversation) -> Identity:
    """Return what we speak as."""
    return talk._relation.identity


def own_tag(talk: Conversation) -> int:
    """Return our instance tag."""
    return talk._relation.own_tag


def become(talk: Conversation, another: Identity) -> None:
    """Speak as another identity in the key exchanges that begin, or go on, from now on."""
    talk.renew(another, talk._relation.account_policy)


@contextmanager
def speaking_as(talk: Conversation, another: Identity) -> Iterator[None]:
    """Let the key exchanges that begin meanwhile be done, to their end, as another identity."""
    own = talk._relation.identity
    become(talk, another)
    try:
        yield
        # One of version 3 keeps what it began with by itself.
        for exchange in _exchanges(talk):
            if isinstance(exchange, Dake) and isinstance(exchange.state, WaitingAuthR):
                exchange._party = _Lasting(talk._relation, another)
    finally:
        become(talk, own)


@contextmanager
def showing_profile(talk: Conversation, client_profile: bytes) -> Iterator[None]:
    """Let the key exchanges of version 4 that begin meanwhile show another client profile."""
    speaker = talk._relation._speaker
    own = speaker.profile
    speaker.profile = _Shown(client_profile)
    try:
        yield
    finally:
        speaker.profile = own


def expired_profile(talk: Conversation) -> bytes:
    """Return a client profile of ours, well signed, that was good until a day ago."""
    relation = talk._relation
    began = relation.unix_time() - profile.LIFETIME - _DAY
    return profile.make(relation.identity, relation.own_tag, began).serialise()


class _Shown(profile.OwnProfile):
    """What keeps one client profile, whatever it is worth."""

    __slots__ = ()

    def __init__(self, client_profile: bytes) -> None:
        self._serialised = client_profile

    def serialised(self, identity: Identity) -> bytes:
        """Return it."""
        return self._serialised


class _Lasting:
    """The party of a key exchange of version 4 that goes on as the identity that it was begun as."""

    def __init__(self, relation: Relation, identity: Identity) -> None:
        self._relation = relation
        self.identity = identity
        self.own_tag, self.random, self.names = relation.own_tag, relation.random, relation.names

    def client_profile(self) -> bytes:
        """Return one of this identity."""
        return profile.make(self.identity, self.own_tag, self.unix_time()).serialise()

    def unix_time(self) -> float:
        """Return the time of the other parties."""
        return self._relation.unix_time()

    def may_answer(self, now: float) -> bool:
        """Count with them."""
        return self._relation.may_answer(now)


def _exchanges(talk: Conversation) -> list[KeyExchange]:
    instances = talk._instances
    starts = [broadcast.exchange for broadcast in instances._broadcasts.values()]
    return starts + [
        exchange for session in instances._sessions.values() for exchange in session.exchanges.values()
    ]


def abandon_start(talk: Conversation) -> None:
    """Forget the key exchanges under way; what is encrypted goes on."""
    talk._instances.forbid(VERSIONS)
