"""Who is meant: nicks, channels, services, and what kind of payload goes to them.

Sources: RFC 2812 section 2.2 and 3.3; https://modern.ircdocs.horse (CASEMAPPING, CHANTYPES, STATUSMSG).
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from enum import Enum

from ..wire.text import MARK
from .isupport import Features
from .lines import printable

_UPPER = string.ascii_uppercase
_LOWER = string.ascii_lowercase
_FOLDINGS = {
    "ascii": str.maketrans(_UPPER, _LOWER),
    "rfc1459-strict": str.maketrans(_UPPER + "[]\\", _LOWER + "{}|"),
    "strict-rfc1459": str.maketrans(_UPPER + "[]\\", _LOWER + "{}|"),
}
_RFC1459 = str.maketrans(_UPPER + "[]\\^", _LOWER + "{}|~")

MEMBER_PREFIXES = "~&@%+"
"""Prefixes of members that some servers take without announcing STATUSMSG; no nick begins with one."""

MAX_NAME_BYTES = 100

_RECIPIENT = re.compile(r"[^\s\0:,][^\s\0,]*")

SERVICES = frozenset({"alis", "global"})
"""Services whose nick does not say it; hosts may add to them."""


def fold(nick: str, features: Features) -> str:
    """Return the form in which a server compares nicks; an unknown CASEMAPPING counts as rfc1459."""
    return nick.translate(_FOLDINGS.get(features.casemapping, _RFC1459))


def is_recipient(target: str) -> bool:
    """Whether a message can have this for its target: one parameter, one recipient."""
    return _RECIPIENT.fullmatch(target) is not None


def is_name(word: str) -> bool:
    """Whether `word` can be a nick, a user name or a server's name: printable, one recipient, and not so long
    that no line could carry it. Not whether a server would like it.
    """
    return is_recipient(word) and printable(word) == word and len(word.encode()) <= MAX_NAME_BYTES


def network_name(features: Features, client_name: str) -> str:
    """Return the name that keys are kept under: the network's own, else what the client calls it."""
    return (features.network or client_name).strip().lower()


class Target(Enum):
    """What a PRIVMSG or NOTICE can be addressed to."""

    PERSON = "person"
    CHANNEL = "channel, or some of its members"
    SERVICE = "service of the network or a bouncer, or a server itself"
    DCC = "DCC chat, which has no server in between"
    SERVER_MASK = "all users of some servers"


class Payload(Enum):
    """What a message carries."""

    TEXT = "text"
    OTR = "text with OTR's marker in front"
    ACTION = "CTCP ACTION"
    CTCP = "any other CTCP"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One target of a message: as it was written, its nick where it has one, and that nick folded."""

    name: str
    nick: str
    kind: Target
    key: str


@dataclass(frozen=True, slots=True)
class Addressed:
    """A message, sorted: each of its recipients, and its payload (an ACTION without its frame)."""

    recipients: tuple[Recipient, ...]
    payload: Payload
    text: str


def classify(targets: str, text: str, features: Features, services: frozenset[str] = SERVICES) -> Addressed:
    """Sort a message by its target parameter, a list separated by commas, and by its text."""
    recipients = tuple(_recipient(name, features, services) for name in targets.split(",") if name)
    if text.startswith("\x01"):
        command, _, content = text.strip("\x01").partition(" ")
        if command.upper() == "ACTION":
            return Addressed(recipients, Payload.ACTION, content)
        return Addressed(recipients, Payload.CTCP, text)
    return Addressed(recipients, Payload.OTR if text.startswith(MARK) else Payload.TEXT, text)


def _recipient(name: str, features: Features, services: frozenset[str]) -> Recipient:
    # A nick may come with where it is found: nick!user@host, nick@server, nick%host.
    nick = name.partition("!")[0].partition("@")[0].partition("%")[0] or name
    key = fold(nick, features)
    if name.startswith("="):
        kind = Target.DCC
    elif name.startswith("$"):
        kind = Target.SERVER_MASK
    elif _is_channel(name, features):
        kind = Target.CHANNEL
    elif key.startswith("*") or key.endswith("serv") or key in services or "." in key:
        kind = Target.SERVICE  # a name with a dot is a server's: no nick has one
    else:
        kind = Target.PERSON
    return Recipient(name, nick, kind, key)


def _is_channel(name: str, features: Features) -> bool:
    """Whether a name is a channel, or one behind prefixes that pick some of its members (STATUSMSG)."""
    for character in name:
        if character in features.chantypes:
            return True
        if character not in features.statusmsg + MEMBER_PREFIXES:
            return False
    return False
