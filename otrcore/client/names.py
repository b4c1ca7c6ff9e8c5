"""Whom a target of a message means, and when two nicks are one: for when no engine is there to tell."""

from __future__ import annotations

import re
import string
from typing import Sequence

_UPPER = string.ascii_uppercase
_LOWER = string.ascii_lowercase
_STRICT = str.maketrans(_UPPER + "[]\\", _LOWER + "{}|")
_FOLDINGS = {
    "ascii": str.maketrans(_UPPER, _LOWER),
    "rfc1459-strict": _STRICT,
    "strict-rfc1459": _STRICT,
}
_RFC1459 = str.maketrans(_UPPER + "[]\\^", _LOWER + "{}|~")

_MEMBER_PREFIXES = "~&@%+"
_SERVICES = {"alis", "global"}
_TOKEN = re.compile(r"(-?)(CASEMAPPING|CHANTYPES|STATUSMSG)(?:=([^ ]{0,30}))?")
_USUAL = {"CASEMAPPING": "rfc1459", "CHANTYPES": "#&", "STATUSMSG": ""}
"""Of a server that says nothing."""
_NO_NICK = frozenset(string.punctuation) - frozenset("[]\\`_^{|}-")
"""ASCII characters that no nick has (RFC 2812, section 2.3.1)."""
_LONGEST = 128


def as_stored(nick: str) -> str:
    """Return a nick as the engine tells it of people whom it knows from its store alone.

    There it is folded as loosely as any network does, and what is no UTF-8 is written out.
    """
    folded = nick[:_LONGEST].translate(_RFC1459)
    return folded.encode(errors="backslashreplace").decode().replace("\\", "%")[:_LONGEST]


class Naming:
    """How one network names people and channels, by what its server has said in numeric 005."""

    def __init__(self, isupport: Sequence[str] = ()) -> None:
        """`isupport` are tokens such as "CASEMAPPING=ascii"; what makes no sense is skipped."""
        found = dict(_USUAL)
        for match in map(_TOKEN.fullmatch, isupport):
            if match is None:
                continue
            off, name, value = match[1], match[2], match[3] or ""
            if off:
                found[name] = _USUAL[name]
            # What a nick can begin with would make people into channels, which are never protected.
            elif value if name == "CASEMAPPING" else _NO_NICK.issuperset(value):
                found[name] = value
        self.casemapping = found["CASEMAPPING"].lower()
        self._folding = _FOLDINGS.get(self.casemapping, _RFC1459)
        self._channel_types = found["CHANTYPES"]
        self._prefixes = found["STATUSMSG"] + _MEMBER_PREFIXES

    def fold(self, nick: str) -> str:
        """Return the form in which nicks are compared."""
        return nick.translate(self._folding)

    def key(self, target: str) -> str:
        """Return the folded nick of a target, which may come with where it is found: nick!user@host."""
        nick = target.partition("!")[0].partition("@")[0].partition("%")[0]
        return self.fold(nick or target)

    def is_person(self, target: str) -> bool:
        """Whether a target is one user of the network: no channel, service, server, mask or DCC chat."""
        if not target or target[0] in "=$" or self.is_channel(target):
            return False
        key = self.key(target)
        return not (key.startswith("*") or key.endswith("serv") or key in _SERVICES or "." in key)

    def is_channel(self, target: str) -> bool:
        """Whether a target is a channel, or some of its members."""
        for character in target:
            if character in self._channel_types:
                return True
            if character not in self._prefixes:
                return False
        return False
