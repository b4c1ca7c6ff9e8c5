"""Options of a chat client that has no settings of its own: set by `/otr set`, kept in the store."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..errors import StoreError
from ..irc.actions import Action, ShowNote
from ..irc.commands import Command
from ..irc.host import IrcHost
from ..irc.saving import NOT_SAVED, Saving
from ..store.settings import MAX_KEY, MAX_SETTINGS, MAX_VALUE
from ..store.store import Store
from . import actions
from .frames import Frame
from .requests import BadRequest, Request

DEFAULT = "default"
"""What `/otr set NAME` takes in place of a value, to put back the one that there was at first."""

MAX_CHOICES = 20

_NAME = re.compile(r"[a-z][a-z0-9._-]*")
_CLIENT = re.compile(r"[a-z][a-z0-9_-]*")
_NO_TEXT = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode's categories of controls, of bytes that are no UTF-8, and of what ends lines and paragraphs."""


class Option(NamedTuple):
    """An option as the client declares it."""

    name: str
    default: str
    about: str
    choices: tuple[str, ...]
    """All values that there are; empty for any line of text."""

    def value(self, typed: str) -> str | None:
        """Return the value that is meant; None if it is none."""
        if self.choices:
            return typed.lower() if typed.lower() in self.choices else None
        return typed if typed and _is_line(typed) else None


class Declared(NamedTuple):
    """What a client declares."""

    client: str
    """Of which kind it is, such as "hexchat"."""
    options: tuple[Option, ...]


def declared(request: Request) -> Declared:
    """Return what the client declares in its greeting, which may be nothing.  BadRequest."""
    options = tuple(map(_option, request.objects("settable")))
    if not options:
        return Declared("", ())
    client = request.text("client").partition(" ")[0].lower()
    if not _CLIENT.fullmatch(client) or len(client) > MAX_KEY:
        raise BadRequest("client does not begin with a name.")
    if len({option.name for option in options}) < len(options) or len(options) > MAX_SETTINGS:
        raise BadRequest("settable has a name twice, or too many of them.")
    return Declared(client, options)


class Options:
    """The options of one client: as they were set, or what it begins with."""

    def __init__(
        self,
        opening: Callable[[], Store],
        push: Callable[[Sequence[Frame]], None],
        clock: Callable[[], float],
    ) -> None:
        """`opening` returns the store, if need be by opening it; StoreError."""
        self._opening = opening
        self._push = push
        self._client = ""
        self._options: dict[str, Option] = {}
        self._store: Store | None = None
        self._saving = Saving(clock)
        self._seen: object = None
        """The version of the store that this is from."""
        self._stored: dict[str, str] = {}
        self._unsaved: dict[str, str | None] = {}
        """Set, and not taken by the store yet; None for the default."""
        self._told: dict[str, str] = {}

    def declare(self, client: str, options: Iterable[Option]) -> list[Frame]:
        """Have these options; return what tells the client their values."""
        self._client = client
        self._options = {option.name: option for option in options}
        self._told = {}
        if not self._options:
            return []
        self._read()
        why = self._saving.untold()
        warning = [ShowNote("", (f"WARNING: {why} {_AS_AT_FIRST}",))] if why else []
        return [*self._changes(), *actions.frames("", warning, {})]

    def catch_up(self) -> None:
        """Push what another program has changed, and save what could not be saved."""
        if self._options:
            if self._saving.due() or (self._store is not None and self._store.version() != self._seen):
                self._read()
            self._tell()

    def commands(self) -> tuple[Command, ...]:
        """Return `/otr set`, if there is anything to set."""
        if not self._options:
            return ()
        choices = [
            choice
            for option in self._options.values()
            for choice in (option.name, *(f"{option.name} {word}" for word in (*option.choices, DEFAULT)))
        ]
        return (
            Command(
                "set",
                "list the options of this chat client, or change one",
                argument="[NAME [VALUE]]",
                choices=tuple(choices),
                anywhere=self._command,
            ),
        )

    def _command(self, host: IrcHost | None, nick: str, argument: str) -> list[Action]:
        name, _, typed = argument.partition(" ")
        option, typed = self._options.get(name.lower()), typed.strip()
        if not argument:
            return [ShowNote(nick, (_ALL, *map(self._line, self._options.values())))]
        if option is None:
            return [ShowNote(nick, (_UNKNOWN, *map(self._line, self._options.values())))]
        if not typed:
            return [ShowNote(nick, (self._line(option).strip(),))]
        value = None if typed.lower() == DEFAULT else option.value(typed)
        if value is None and typed.lower() != DEFAULT:
            takes = f"one of {', '.join((*option.choices, DEFAULT))}" if option.choices else _TEXT
            return [ShowNote(nick, (f"Nothing was changed: {option.name} takes {takes}.",))]
        self._unsaved[option.name] = value
        self._read()
        self._tell()
        why = self._saving.why
        unsaved = (f"{why} {NOT_SAVED}",) if option.name in self._unsaved else ()
        return [ShowNote(nick, (f"{option.name} is {self._value(option) or 'empty'} now.", *unsaved))]

    def _line(self, option: Option) -> str:
        width = max(map(len, self._options))
        takes = f"{', '.join(option.choices)}; " if option.choices else ""
        about = f"{option.about} ({takes}{DEFAULT}: {option.default or 'empty'})"
        return f"  {option.name:{width}} = {self._value(option)}  {about}"

    def _value(self, option: Option) -> str:
        found = self._unsaved.get(option.name, self._stored.get(option.name))
        value = None if found is None else option.value(found)
        return option.default if value is None else value

    def _read(self) -> None:
        """Save what waits for that, and read what is there."""
        try:
            self._store = store = self._opening()
            for name, value in list(self._unsaved.items()):
                store.settings.set(self._client, name, value)
                del self._unsaved[name]
            version = store.version()
            self._stored = store.settings.all(self._client)
        except StoreError as error:
            self._saving.failed(str(error))
            return
        self._seen = version
        self._saving.works()

    def _changes(self) -> list[Frame]:
        values = {option.name: self._value(option) for option in self._options.values()}
        changed = {name: value for name, value in values.items() if self._told.get(name) != value}
        self._told = values
        return [{"a": "option", "name": name, "value": value} for name, value in changed.items()]

    def _tell(self) -> None:
        changes = self._changes()
        if changes:
            self._push(changes)


def _option(row: Request) -> Option:
    option = Option(row.text("name"), row.text("default"), row.text("about"), row.texts("choices"))
    if not _NAME.fullmatch(option.name) or len(option.name) > MAX_KEY:
        raise BadRequest("An option's name is none.")
    if not all(map(_is_line, (option.default, option.about))):
        raise BadRequest(f"{option.name} is described by something that is no line.")
    words = (*option.choices, DEFAULT)
    if len(words) > MAX_CHOICES or len(set(words)) < len(words) or not all(map(_NAME.fullmatch, words)):
        raise BadRequest(f"{option.name} has choices that are none.")
    if option.choices and option.default not in option.choices:
        raise BadRequest(f"{option.name} begins with what is no choice.")
    return option


def _is_line(text: str) -> bool:
    return len(text) <= MAX_VALUE and _NO_TEXT.isdisjoint(map(unicodedata.category, text))


_ALL = (
    f"The options of this chat client. /otr set NAME VALUE changes one, /otr set NAME {DEFAULT} puts it back:"
)
_UNKNOWN = "There is no such option, and nothing was changed. These are there:"
_TEXT = f"one line of at most {MAX_VALUE} characters, or {DEFAULT}"
_AS_AT_FIRST = "Until then the options of this chat client are as they were at first."
