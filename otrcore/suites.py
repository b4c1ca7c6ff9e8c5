"""Which code speaks which OTR version: the only module that names the protocol families."""

from __future__ import annotations

from collections.abc import Callable

from .errors import MalformedMessage
from .protocols import KeyExchange, Party
from .v3.ake import Ake
from .v4.dake import Dake
from .v4.profile import OwnProfile
from .wire import messages3, messages4
from .wire.header import VERSION_2, VERSION_3, VERSION_4, version_of

VERSIONS = frozenset({VERSION_2, VERSION_3, VERSION_4})
"""What can be spoken at all, whatever a policy allows."""


def key_exchange(version: int, party: Party, their_tag: int) -> KeyExchange:
    """Return an idle key exchange with one instance, or with ANY_INSTANCE; KeyError if not in VERSIONS."""
    if version == VERSION_4:
        return Dake(party, their_tag)
    ake = {VERSION_2: Ake, VERSION_3: Ake}[version]
    return ake(version, party.identity, party.own_tag, party.random, their_tag)


def own_profile(own_tag: int, unix_time: Callable[[], float], stored: bytes) -> OwnProfile:
    """Return what keeps the client profile of one instance; `stored` is that of an earlier run."""
    return OwnProfile(own_tag, unix_time, stored)


def is_whole(raw: bytes) -> bool:
    """Whether these are the bytes of one message, to its end."""
    try:
        if version_of(raw) == VERSION_4:
            messages4.parse(raw)
        else:
            messages3.parse(raw)
    except MalformedMessage:
        return False
    return True
