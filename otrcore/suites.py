"""Which code speaks which OTR version: the only module that names the protocol families."""

from __future__ import annotations

from .crypto.random import Random
from .errors import MalformedMessage
from .identity import Identity
from .protocols import KeyExchange
from .v3.ake import Ake
from .wire.header import VERSION_2, VERSION_3
from .wire.messages3 import parse

VERSIONS = frozenset({VERSION_2, VERSION_3})
"""What can be spoken at all, whatever a policy allows."""


def key_exchange(
    version: int, identity: Identity, own_tag: int, random: Random, their_tag: int
) -> KeyExchange:
    """Return an idle key exchange with one instance, or with ANY_INSTANCE; KeyError if not in VERSIONS."""
    return {VERSION_2: Ake, VERSION_3: Ake}[version](version, identity, own_tag, random, their_tag)


def is_whole(raw: bytes) -> bool:
    """Whether these are the bytes of one message, to its end."""
    try:
        parse(raw)
    except MalformedMessage:
        return False
    return True
