"""Policies that are settings of the chat client: for a peer, for everybody on a server, or everywhere."""

from __future__ import annotations

from typing import NamedTuple

from ..irc.commands import OTR
from .requests import BadRequest, Request

_POLICY = "policy"


class Choice(NamedTuple):
    """A word of `/otr policy`; for every server if that is None, for everybody there if `peer` is empty."""

    server: str | None
    peer: str
    word: str


def choices(request: Request) -> tuple[Choice, ...]:
    """Return what the settings choose; a setting without a value chooses nothing.  BadRequest."""
    wanted = []
    for row in request.objects("policies"):
        value = row.optional_text("value")
        if row.text("name") != _POLICY or not value:
            continue
        word = value.lower()
        if word not in _words():
            raise BadRequest(f"There is no policy {value[:40]!r}: choose one of {', '.join(_words())}.")
        wanted.append(Choice(row.optional_text("server"), row.optional_text("peer") or "", word))
    return tuple(wanted)


def _words() -> tuple[str, ...]:
    (command,) = (command for command in OTR.commands if command.name == _POLICY)
    return tuple(choice for choice in command.choices if " " not in choice)
