"""Everything that can be set, as a table: its name, which values it takes, and what it is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from otrbot.settings.config import REALNAME, Limits, LogFormat, LogLevel, Mechanism

from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.pacing import Pace
from otrcore.irc.isupport import Features
from otrcore.irc.lines import printable
from otrcore.irc.names import Target, classify, is_name
from otrcore.model import Fingerprint

MAX_LIST = 1000
"""Bans, admins or nicks."""

NETWORK = "network"
"""The section that there is once for each network, by its name."""

_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_PACES = {"default": Pace.DEFAULT, "fast": Pace.FAST, "none": Pace.NONE}
_MASK = re.compile(r"[^\s!@]{1,100}![^\s!@]{1,100}@[^\s!@]{1,200}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Kind(Protocol):
    """Which values a setting takes."""

    def read(self, value: object, *, typed: bool) -> object:
        """Return a value as the bot uses it; ValueError with what it must be.

        A value that is `typed` comes of TOML; else it is the text of a flag or of the environment.
        """


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`."""

    low: float
    high: float
    whole: bool = True

    def read(self, value: object, *, typed: bool) -> object:
        """Read it."""
        found: object = value
        if not typed and isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value):
            found = float(value) if "." in value else int(value)
        is_number = isinstance(found, int) or (isinstance(found, float) and not self.whole)
        if isinstance(found, bool) or not is_number or not self.low <= float(str(found)) <= self.high:
            what = "a whole number" if self.whole else "a number"
            raise ValueError(f"{what} from {self.low:g} to {self.high:g}")
        return found if self.whole else float(str(found))


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    def read(self, value: object, *, typed: bool) -> object:
        """Read it."""
        found = _WORDS.get(value.lower()) if isinstance(value, str) and not typed else value
        if not isinstance(found, bool):
            raise ValueError("true or false")
        return found


@dataclass(frozen=True, slots=True)
class OneOf:
    """A word of a few."""

    words: type[StrEnum]

    def read(self, value: object, *, typed: bool) -> object:
        """Read it, however it is capitalised."""
        try:
            return self.words(value.lower() if isinstance(value, str) else "")
        except ValueError as error:
            raise ValueError("one of " + ", ".join(f'"{word}"' for word in self.words)) from error


@dataclass(frozen=True, slots=True)
class Text:
    """A text that something can be made of; `what` it must be otherwise."""

    make: Callable[[str], object]
    what: str

    def read(self, value: object, *, typed: bool) -> object:
        """Read it."""
        if not isinstance(value, str):
            raise ValueError(self.what)
        try:
            return self.make(value)
        except ValueError as error:
            raise ValueError(self.what) from error


@dataclass(frozen=True, slots=True)
class Several:
    """A list of texts; with commas between them where there are no lists."""

    item: Text

    def read(self, value: object, *, typed: bool) -> object:
        """Read each."""
        items: object = value
        if isinstance(value, str) and not typed:
            items = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(items, list) or len(items) > MAX_LIST:
            raise ValueError(f"a list of at most {MAX_LIST}, each of them {self.item.what}")
        return tuple(dict.fromkeys(self.item.read(item, typed=typed) for item in items))


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing to set; `default` is how the written file shows it, behind a # if `shown` is not set."""

    section: str
    key: str
    kind: Kind
    about: str
    default: str
    shown: bool = False


def pace(text: str) -> Pace:
    """Read how fast lines leave; ValueError."""
    if text in _PACES:
        return _PACES[text]
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4}(?:\.[0-9]{1,3})?)", text)
    if found is None or int(found[1]) < 1 or not float(found[2]) > 0:
        raise ValueError(text)
    return Pace(int(found[1]), float(found[2]))


def listener(text: str) -> tuple[str, int]:
    """Read where HTTP is served, HOST:PORT; nowhere if that is empty.  ValueError."""
    if not text:
        return "127.0.0.1", 0
    address = ServerAddress.parse(text)
    if not re.search(r":[0-9]+\Z", text):
        raise ValueError(text)
    return address.host, address.port


def nick(text: str) -> str:
    """Return a nick if a person can have it; ValueError."""
    kinds = [recipient.kind for recipient in classify(text, "", Features()).recipients]
    if not is_name(text) or kinds != [Target.PERSON]:
        raise ValueError(text)
    return text


def _server(text: str) -> str:
    ServerAddress.parse(text)
    return text


def _realname(text: str) -> str:
    if not text or printable(text) != text or len(text.encode()) > 200:
        raise ValueError(text)
    return text


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text)


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(text)
        return text

    return check


def _account(text: str) -> str:
    if not text or not text.isprintable() or len(text.encode()) > 200:
        raise ValueError(text)
    return text


def _fingerprint(text: str) -> str:
    return Fingerprint.parse(text).digest.hex().upper()


_NICK = Text(nick, "a nick: one word that names a person")
_FILE = Text(_path, "the path of a file")
_CREDENTIAL_NAME = Text(
    _matching(_CREDENTIAL), "the name of a credential, as after LoadCredential= in a unit"
)

_RANGES: dict[str, tuple[Number, str]] = {
    "conversations": (
        Number(1, 100_000),
        "encrypted conversations at once; the longest unused one gives way",
    ),
    "idle_seconds": (Number(10, 604_800, whole=False), "after which an unused conversation ends"),
    "akes_per_minute": (Number(1, 100_000), "key exchanges with one peer"),
    "akes_per_minute_all": (Number(1, 100_000), "key exchanges with everybody"),
    "smps_per_minute": (Number(1, 100_000), "verifications with one peer"),
    "smps_at_once": (Number(1, 1000), "verifications with everybody"),
    "input_burst": (Number(1, 100_000), "messages of one peer at once, before it is ignored for a while"),
    "input_per_second": (Number(0.01, 100_000, whole=False), "messages of one peer in the long run"),
    "ignore_seconds": (Number(1, 86_400, whole=False), "for which such a peer is ignored at first"),
    "ignore_seconds_max": (Number(1, 604_800, whole=False), "to which that doubles, time by time"),
    "same_text_times": (Number(2, 100_000), "the same text so often is another bot's, which is ignored too"),
    "same_text_seconds": (Number(0.1, 3600, whole=False), "within so many seconds"),
    "queue_lines_per_peer": (Number(20, 10_000), "lines that may wait for one peer"),
    "queue_lines": (Number(40, 100_000), "lines that may wait in all"),
    "hint_seconds": (Number(1, 604_800, whole=False), "between two hints to somebody who writes unencrypted"),
    "echo_bytes": (Number(50, 20_000), "of a text that come back"),
    "big_bytes": (Number(50, 20_000), "that !big sends at most"),
    "fragment_min": (Number(60, 440), "bytes of a line that !fragment takes at least"),
    "fragment_max": (Number(60, 440), "and at most"),
}


def _limits() -> tuple[Setting, ...]:
    defaults = Limits()
    return tuple(
        Setting("limits", one.name, *_RANGES[one.name], f"{getattr(defaults, one.name):g}")
        for one in fields(Limits)
    )


SETTINGS: tuple[Setting, ...] = (
    Setting("bot", "data_dir", Text(_path, "the path of a folder"), "folder of the keys", '"keys"', True),
    Setting(
        "bot",
        "passphrase_file",
        _FILE,
        "its first line unlocks the private keys; also OTR_PASSPHRASE_FILE, or the credential "
        "otrcore-passphrase",
        '"passphrase"',
    ),
    Setting(
        "bot",
        "admins",
        Several(Text(_fingerprint, "a fingerprint: 40 digits from 0 to F, or 112 for OTR version 4")),
        "fingerprints of who may use the admin verbs; a person has another one in OTR version 4",
        "[]",
        True,
    ),
    Setting(
        "bot",
        "bans",
        Several(Text(_matching(_MASK), "a mask nick!user@host, with * and ?")),
        "who gets no answer, as nick!user@host with * and ?",
        "[]",
        True,
    ),
    Setting("log", "format", OneOf(LogFormat), '"text" or "json"', '"text"'),
    Setting("log", "level", OneOf(LogLevel), '"debug", "info", "warning" or "error"', '"info"'),
    Setting(
        "log", "nicks", Flag(), "nicks as they are, in place of hashes that change at each start", "false"
    ),
    Setting(
        "http",
        "listen",
        Text(listener, "HOST:PORT, or empty for nowhere"),
        "/healthz and /metrics; an address that others reach shows them how the bot is doing",
        '"127.0.0.1:9468"',
        True,
    ),
    Setting(
        NETWORK,
        "server",
        Text(_server, "HOST or HOST:PORT, an IPv6 address as [::1]:6697"),
        "HOST or HOST:PORT, an IPv6 address as [::1]:6697",
        '"irc.example.org"',
        True,
    ),
    Setting(
        NETWORK, "tls", Flag(), "encrypt the connection, and check the server's certificate", "true", True
    ),
    Setting(NETWORK, "ca_file", _FILE, "certificates (PEM) to trust in place of the system's", '"ca.pem"'),
    Setting(NETWORK, "nick", _NICK, "the bot's nick", '"otr-echo"', True),
    Setting(NETWORK, "altnicks", Several(_NICK), "nicks to take when that one is taken", '["otr-echo2"]'),
    Setting(
        NETWORK,
        "realname",
        Text(_realname, "a printable text of 1 to 200 bytes"),
        "what WHOIS shows",
        f'"{REALNAME}"',
    ),
    Setting(
        NETWORK,
        "server_password_file",
        _FILE,
        "its first line is the server's password (PASS)",
        '"server-password"',
    ),
    Setting(
        NETWORK,
        "server_password_credential",
        _CREDENTIAL_NAME,
        "the same from a unit's LoadCredential=",
        '"server-password"',
    ),
    Setting(
        NETWORK,
        "sasl",
        OneOf(Mechanism),
        'log in to an account: "plain" by password, "external" by client_cert',
        '"plain"',
    ),
    Setting(NETWORK, "account", Text(_account, "the name of an account"), "the account's name", '"otr-echo"'),
    Setting(NETWORK, "password_file", _FILE, "its first line is the account's password", '"sasl-password"'),
    Setting(
        NETWORK,
        "password_credential",
        _CREDENTIAL_NAME,
        "the same from a unit's LoadCredential=",
        '"sasl-password"',
    ),
    Setting(NETWORK, "client_cert", _FILE, "our certificate (PEM), with its key or without", '"client.pem"'),
    Setting(NETWORK, "client_key", _FILE, "its key, where the certificate's file lacks it", '"client.key"'),
    Setting(
        NETWORK,
        "pace",
        Text(pace, 'a pace: "default", "fast", "none" or BURST/PER_SECOND such as "8/1.0"'),
        'how fast lines leave: "default" (8/1.0), "fast" (5/2.0), "none" or BURST/PER_SECOND',
        '"default"',
        True,
    ),
    Setting(
        NETWORK, "bot_mode", Flag(), "tell the server that this is a bot, if it has a mode for that", "true"
    ),
    *_limits(),
)

SECTIONS = tuple(dict.fromkeys(setting.section for setting in SETTINGS))
"""In the order of the written file."""
