"""What drills need of a conversation and no chat client ever does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from otrcore.conversation import Conversation
from otrcore.events import Transmit
from otrcore.identity import Identity
from otrcore.suites import VERSIONS
from otrcore.wire.tlv import Tlv


def sealed(
    talk: Conversation, text: bytes, records: Sequence[Tlv] = (), *, ignore_unreadable: bool = False
) -> Transmit:
    """Encrypt a text with any records at all; UsageError if the conversation is not encrypted."""
    channel = talk._instances.session().encrypted().channel
    return talk._relation.transmit(channel.encrypt(text, records, ignore_unreadable=ignore_unreadable))


def identity(talk: Conversation) -> Identity:
    """Return what we speak as."""
    return talk._relation.identity


@contextmanager
def speaking_as(talk: Conversation, another: Identity) -> Iterator[None]:
    """Let the key exchanges that begin meanwhile be done, to their end, as another identity."""
    own, policy = talk._relation.identity, talk._relation.account_policy
    talk.renew(another, policy)
    try:
        yield
    finally:
        talk.renew(own, policy)


def abandon_start(talk: Conversation) -> None:
    """Forget the key exchanges under way; what is encrypted goes on."""
    talk._instances.forbid(VERSIONS)
