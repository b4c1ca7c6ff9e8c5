"""The store as the commands open it, and the words that several of them take."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import UsageError
from .output import visible
from .process import DATA_DIR

if TYPE_CHECKING:
    from ..store.store import Store


@contextmanager
def opened(folder: Path | None) -> Iterator[Store]:
    """Open the store in a folder, by default the user's own; a passphrase is asked for when it is needed."""
    from ..store.store import Store
    from .passphrase import ask

    with Store(folder, ask) as store:
        yield store


def agree(question: str, *, yes: bool) -> None:
    """Go on only if the user wants it: by --yes, or asked on the terminal; UsageError otherwise."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("Nothing was changed, as there is no terminal to ask back on: add --yes to do it.")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if not typer.confirm(visible(question), err=True):
        raise UsageError("Nothing was changed.")


def command(context: typer.Context, *words: str) -> str:
    """Return `otr` with these words as it is typed into a shell, with the data folder of this command."""
    folder = context.meta.get(DATA_DIR)
    return shlex.join(["otr", *words[:1], *(["--data-dir", str(folder)] if folder else []), *words[1:]])


def subcommand(context: typer.Context) -> list[str]:
    """Return the words that have led to the command that is running, without `otr` itself."""
    words: list[str] = []
    level: Any = context  # what lies above is of another type, which typer does not name
    while level.parent is not None:
        words.insert(0, level.info_name)
        level = level.parent
    return words


def network_name(context: typer.Context, store: Store, typed: str) -> str:
    """Return the name of a network as it is kept; UsageError if none can have this name."""
    from ..store.networks import clean

    name = typed.strip().lower()
    if not name or (name != clean(name) and name not in store.networks.names()):
        those = command(context, "networks")
        raise UsageError(f"{typed!r} cannot be the name of a network: look at  {those}  for those known.")
    return name


def known_network(context: typer.Context, store: Store, typed: str) -> str:
    """Return the name of a network that anything is known of; UsageError for another."""
    name = typed.strip().lower()
    if name not in store.networks.names():
        those = command(context, "networks")
        raise UsageError(f"No network is called {name}: look at  {those}  for their names.")
    return name


def moment(time: str, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return a time of the store, UTC in ISO 8601, as the user's clock shows it."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime(form)
    except (ValueError, OverflowError):
        return time


def day(time: str) -> str:
    """Return the day of such a time."""
    return moment(time, "%Y-%m-%d")
