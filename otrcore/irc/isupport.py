"""What a server says about itself in numeric 005 (RPL_ISUPPORT), as one frozen value.

Parsed here and not by the `irc` library, which drops tokens without a value, keeps the last server's values
after a reconnect, and ends the process on a token that it cannot split. A server may send anything: a token
that makes no sense is skipped, every number has a range and every text a length. Pure.

Source: https://modern.ircdocs.horse/#rplisupport-parameters
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

_TOKEN = re.compile(r"(?P<off>-)?(?P<name>[A-Z0-9]{1,40})(?:=(?P<value>[^ ]*))?")
_ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})")
_MAX_TEXT = 100
_NO_NICK = frozenset(string.punctuation) - frozenset("[]\\`_^{|}-")
"""ASCII characters that no nick has (RFC 2812, section 2.3.1)."""


@dataclass(frozen=True, slots=True)
class Features:
    """The tokens that matter here; the defaults are those of a server that sends no 005."""

    network: str | None = None
    """The network's own name, printable, at most 100 characters."""

    casemapping: str = "rfc1459"
    """As the server wrote it, in lower case: rfc1459, ascii, strict-rfc1459 or something newer."""

    chantypes: str = "#&"
    """First characters of channel names; empty on a server without channels."""

    statusmsg: str = ""
    """Characters that may stand before a channel name in a message's target."""

    nicklen: int | None = None
    """Longest nick in characters; None when the server does not say."""

    monitor: bool = False
    """Whether the server tells who comes and goes, of those that MONITOR names."""

    bot: str = ""
    """The user mode by which a client says that it is a bot; empty where there is none."""

    def updated(self, tokens: Sequence[str]) -> Features:
        """These features after one more 005; `tokens` are its parameters between the nick and the closing
        text.
        """
        features = self
        for token in tokens:
            match = _TOKEN.fullmatch(token)
            if match is None:
                continue
            name = match["name"].lower()
            if name not in _PARSERS:
                continue
            if match["off"]:
                features = replace(features, **{name: _DEFAULTS[name]})
                continue
            value = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), match["value"] or "")
            parsed = _PARSERS[name](value)
            if parsed is not None:
                features = replace(features, **{name: parsed})
        return features


def _text(value: str) -> str | None:
    return "".join(character for character in value if character.isprintable()).strip()[:_MAX_TEXT] or None


def _characters(value: str) -> str | None:
    # What a nick can begin with would make people into channels, and so have everything to them go out plain.
    return value[:16] if _NO_NICK.issuperset(value) else None


def _casemapping(value: str) -> str | None:
    folded = _text(value)
    return folded.lower() if folded else None


def _number(low: int, high: int, value: str) -> int | None:
    # isascii: isdigit alone accepts digits of other scripts; the length keeps int() from a huge text.
    if not (value.isascii() and value.isdigit() and len(value) < 8):
        return None
    number = int(value)
    return number if low <= number <= high else None


def _nicklen(value: str) -> int | None:
    return _number(1, 1000, value)


def _monitor(value: str) -> bool | None:
    # With a value it is the length of the list; without one that has no limit.
    return value != "0" if not value or (value.isascii() and value.isdigit()) else None


def _letter(value: str) -> str | None:
    return value if len(value) == 1 and value.isascii() and value.isalpha() else None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "network": _text,
    "casemapping": _casemapping,
    "chantypes": _characters,
    "statusmsg": _characters,
    "nicklen": _nicklen,
    "monitor": _monitor,
    "bot": _letter,
}
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Features)}
