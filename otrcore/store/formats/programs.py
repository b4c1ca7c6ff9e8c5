"""The programs whose files are read and written: what they call them, and what their accounts are called.

Looked up in, and tried with, irssi 1.4.3, hexchat-otr 0.2.2 and weechat-otr 1.9.2; looked up in
pidgin-otr 4.0.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TypeVar

from ...errors import UsageError
from . import libotr, potr, tables
from .values import FormatError, FoundContact, FoundKey, FoundTag, checked_name

Entry = FoundKey | FoundContact | FoundTag
SomeEntry = TypeVar("SomeEntry", FoundKey, FoundContact, FoundTag)

IRC_PROTOCOLS = frozenset({"irc", "prpl-irc"})
"""What the programs call IRC, in lower case; Pidgin keeps keys for other protocols in the same files."""

OTHER_NAMES: Mapping[str, str] = {"liberachat": "libera.chat", "libera": "libera.chat"}
"""How irssi as it comes, and WeeChat's manual, call networks that call themselves otherwise."""

_OF_IRSSI: Mapping[str, str] = {
    "libera.chat": "liberachat",
    "oftc": "OFTC",
    "dalnet": "DALnet",
    "efnet": "EFNet",
    "espernet": "EsperNet",
    "gamesurge": "GameSurge",
    "ircnet": "IRCnet",
    "quakenet": "QuakeNet",
    "rizon": "Rizon",
    "undernet": "Undernet",
}
_OF_HEXCHAT: Mapping[str, str] = {
    "libera.chat": "Libera.Chat",
    "oftc": "OFTC",
    "dalnet": "DALnet",
    "efnet": "EFnet",
    "espernet": "EsperNet",
    "gamesurge": "GameSurge",
    "ircnet": "IRCNet",
    "quakenet": "QuakeNet",
    "rizon": "Rizon",
    "snoonet": "Snoonet",
    "undernet": "UnderNet",
}
"""How the lists of networks that they come with spell these; accounts are compared to the letter."""

SUBFOLDER = "otr"
"""Where irssi, HexChat and WeeChat keep the files inside their own folder."""

MAX_NICK = 128
"""Characters; no network allows more."""


def _keys_of_libotr(_file: str, data: bytes) -> tuple[FoundKey, ...]:
    return libotr.read_keys(data)


def _keys_of_potr(file: str, data: bytes) -> tuple[FoundKey, ...]:
    account = checked_name(0, "its name", file.removesuffix(".key3").encode(errors="surrogateescape"))
    return (FoundKey(account, "irc", potr.read_key(data)),)


@dataclass(frozen=True, slots=True)
class Files:
    """Names of files by what they hold, and how they are read; a `*` stands for an account."""

    keys: str
    fingerprints: str
    tags: str
    """Empty if there is no such file."""
    read_keys: Callable[[str, bytes], tuple[FoundKey, ...]] = _keys_of_libotr
    read_fingerprints: Callable[[bytes], tuple[FoundContact, ...]] = libotr.read_fingerprints

    def hold_keys(self, file: str) -> bool:
        """Whether a file of this name holds private keys."""
        return fnmatchcase(file, self.keys)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(filter(None, (self.keys, self.fingerprints, self.tags)))

    def include(self, file: str) -> bool:
        """Whether a file of this name is one of them."""
        return any(fnmatchcase(file, name) for name in self.names)


_OF_LIBOTR = Files("otr.private_key", "otr.fingerprints", "otr.instance_tags")
_OF_PLUGINS = Files("otr.key", "otr.fp", "otr.instag")
_OF_POTR = Files("*.key3", "*.fpr", "", _keys_of_potr, potr.read_fingerprints)


@dataclass(frozen=True, slots=True)
class Program:
    """A program with OTR."""

    name: str
    title: str
    files: Files
    folders: tuple[str, ...]
    """Where its files usually lie."""
    protocol: str
    """How it calls IRC."""
    account: str
    """What its accounts are called by; `host` is a server's, `network` the user's own name for a network."""
    compared: str
    """Its word for trust in a key that was compared."""
    spelling: Mapping[str, str] = field(default_factory=dict)
    """How it spells networks, where its users have not called them otherwise."""

    @property
    def names_nick(self) -> bool:
        """Whether the user's nick is a part of its accounts' names."""
        return self.account.startswith("nick@")


PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program("pidgin", "Pidgin", _OF_LIBOTR, ("~/.purple",), "prpl-irc", "nick@host", "verified"),
        Program("irssi", "irssi", _OF_PLUGINS, ("~/.irssi/otr",), "IRC", "network", "manual", _OF_IRSSI),
        Program(
            "hexchat",
            "HexChat",
            _OF_PLUGINS,
            ("~/.config/hexchat/otr",),
            "IRC",
            "nick@network",
            "manual",
            _OF_HEXCHAT,
        ),
        Program(
            "weechat",
            "WeeChat",
            _OF_POTR,
            ("~/.local/share/weechat/otr", "~/.weechat/otr"),
            "irc",
            "nick@network",
            "verified",
        ),
        Program("libotr", "libotr", _OF_LIBOTR, (), "prpl-irc", "nick@host", "verified"),
    )
}
"""By the names that users choose from."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the files of a program hold for IRC; `left_out` counts what was of other protocols."""

    program: Program
    keys: tuple[FoundKey, ...]
    contacts: tuple[FoundContact, ...]
    tags: tuple[FoundTag, ...]
    left_out: Mapping[str, int]


def program_of(name: str) -> Program:
    """Return a program by its name; UsageError."""
    if name not in PROGRAMS:
        raise UsageError(f"No program is known as {name}: choose one of {', '.join(PROGRAMS)}.")
    return PROGRAMS[name]


def is_known(file: str) -> bool:
    """Whether one of the programs has files of this name."""
    return any(program.files.include(file) for program in PROGRAMS.values())


def parts_of(account: str) -> tuple[str, str]:
    """Return the nick in an account's name, empty if there is none, and the server or network."""
    nick, at, server = account.partition("@")
    return (nick, server) if at else ("", account)


def read(name: str | None, files: Mapping[str, bytes]) -> Found:
    """Return what files hold, by their names; without a program's name they tell themselves whose they are.

    FormatError names the file and the line; UsageError if it is not clear whose they are.
    """
    candidates = [program_of(name)] if name is not None else list(PROGRAMS.values())
    owners = [program for program in candidates if any(map(program.files.include, files))]
    kinds = list(dict.fromkeys(program.files for program in owners))
    if not owners:
        titles = " or ".join(program.title for program in candidates)
        wanted = "; ".join(dict.fromkeys(", ".join(program.files.names) for program in candidates))
        raise UsageError(f"There are no OTR files of {titles}: look for {wanted}.")
    if len(kinds) > 1:
        choice = ", ".join(program.name for program in owners)
        raise UsageError(f"There are files of several programs: choose with --from one of {choice}.")
    its = kinds[0]
    keys: list[FoundKey] = []
    contacts: list[FoundContact] = []
    tags: list[FoundTag] = []
    for file, data in sorted(files.items()):
        try:
            if its.hold_keys(file):
                keys += its.read_keys(file, data)
            elif fnmatchcase(file, its.fingerprints):
                contacts += map(_on_irc, its.read_fingerprints(data))
            elif fnmatchcase(file, its.tags):
                tags += libotr.read_tags(data)
        except FormatError as error:
            raise error.within(file) from error
    entries: list[Entry] = [*keys, *contacts, *tags]
    return Found(
        _writer(owners, entries),
        tuple(_of_irc(keys)),
        tuple(_of_irc(contacts)),
        tuple(_of_irc(tags)),
        Counter(entry.protocol for entry in entries if not _is_irc(entry)),
    )


def _is_irc(entry: Entry) -> bool:
    return entry.protocol.lower() in IRC_PROTOCOLS


def _of_irc(entries: Iterable[SomeEntry]) -> list[SomeEntry]:
    return [entry for entry in entries if _is_irc(entry)]


def _on_irc(contact: FoundContact) -> FoundContact:
    """Return a contact of IRC by the bare nick, which weechat-otr puts a server behind; FormatError."""
    if not _is_irc(contact):
        return contact
    nick = contact.nick.partition("@")[0]
    if not nick or len(nick) > MAX_NICK or any(character.isspace() for character in nick):
        raise FormatError(contact.line, "the name is no nick", tables.MEND)
    return replace(contact, nick=nick)


def _writer(owners: list[Program], entries: list[Entry]) -> Program:
    """Return which of the programs that have the same files wrote these, as far as the accounts tell."""
    accounts = [(entry.protocol, "nick@" if "@" in entry.account else "") for entry in entries]
    likely = [
        program for program in owners if (program.protocol, "nick@" if program.names_nick else "") in accounts
    ]
    return (likely or owners)[0]
