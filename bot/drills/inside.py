"""What drills need of a conversation and no chat client ever does.

All of it breaks a rule of OTR on purpose, so the library offers none of it: this module reaches
into its private names instead, and is the only one that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from otrcore.conversation import Conversation
from otrcore.events import Transmit
from otrcore.identity import Identity
from otrcore.suites import VERSIONS
from otrcore.v4 import profile
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


def abandon_start(talk: Conversation) -> None:
    """Forget the key exchanges under way; what is encrypted goes on."""
    talk._instances.forbid(VERSIONS)
