"""What a shell may offer for an argument: names from the store, and only those that no shell acts on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .process import DATA_DIR, NETWORK

if TYPE_CHECKING:
    from ..store.store import Store

# Completion scripts evaluate what they are given, each shell in another way.
_HARMLESS = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", re.ASCII)

MAX_OFFERED = 500


def networks(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of networks."""
    return _offered(context, incomplete, lambda store: store.networks.names())


def own_networks(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of networks that the user has keys for."""
    return _offered(
        context, incomplete, lambda store: [row.network for row in store.identities.rows() if not row.retired]
    )


def nicks(context: typer.Context, incomplete: str) -> list[str]:
    """Return the nicks of contacts, on one network if that was chosen before."""
    network = context.meta.get(NETWORK)
    return _offered(
        context, incomplete, lambda store: [contact.nick for contact in store.contacts.all(network)]
    )


def _offered(context: typer.Context, incomplete: str, names: Callable[[Store], Iterable[str]]) -> list[str]:
    from ..store.database import FILE_NAME
    from ..store.folder import default_folder
    from ..store.store import Store

    # Whatever is wrong with the store, the command itself will tell.
    with suppress(Exception):
        folder = Path(context.meta.get(DATA_DIR) or default_folder()).expanduser()
        if (folder / FILE_NAME).is_file():
            with Store(folder) as store:
                found = {name for name in names(store) if name.startswith(incomplete)}
            return sorted(filter(_HARMLESS.fullmatch, found))[:MAX_OFFERED]
    return []
