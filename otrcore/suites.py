"""Which code speaks which OTR version: the only module that names the protocol families."""

from __future__ import annotations

from .crypto.random import Random
from .identity import Identity
from .protocols import KeyExchange
from .v3.ake import Ake
from .wire.header import VERSION_2, VERSION_3

VERSIONS = frozenset({VERSION_2, VERSION_3})
"""What can be spoken at all, whatever a policy allows."""


def key_exchange(version: int, identity: Identity, own_tag: int, random: Random) -> KeyExchange:
    """Return an idle key exchange; KeyError for a version that is not in VERSIONS."""
    return {VERSION_2: Ake, VERSION_3: Ake}[version](version, identity, own_tag, random)
