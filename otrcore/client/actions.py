"""What the engine wants done, carried out strictly in its order, whatever happens in between."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, Iterable, Sequence

from . import texts
from .app import App, Status
from .errors import ClientError
from .frames import Frame
from .injected import Injected

INJECTED_SECONDS = 10.0
"""In which a line that we send has to come by the hook for outgoing messages."""

ECHO_SECONDS = 300.0
"""In which a server that echoes our lines may bring one back."""

_LINE_ENDS = str.maketrans("", "", "\r\n\0")

Recut = Callable[[str, str, str, Sequence[str], int], Sequence[str]]
"""Takes server, target, command, lines and a limit; returns lines that keep to it.  ClientError."""


class Actions:
    """A queue: actions are added as they come, and run one after the other."""

    def __init__(self, app: App, recut: Recut, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._recut = recut
        self._waiting: deque[Frame] = deque()
        self._running = False
        self.injected = Injected(INJECTED_SECONDS, clock=clock)
        self.echoes = Injected(ECHO_SECONDS, clock=clock)
        self._kinds = {
            "send": self._send,
            "message": self._message,
            "own": self._own,
            "note": self._note,
            "status": self._status,
            "ask": self._ask,
            "unask": self._unask,
            "log": self._log,
            "rename": self._rename,
            "option": self._option,
        }

    @property
    def waiting(self) -> bool:
        """Whether there is something to do."""
        return bool(self._waiting)

    def add(self, actions: Iterable[Frame]) -> None:
        """Put actions behind those that are waiting."""
        self._waiting.extend(actions)

    def run(self) -> None:
        """Carry out what waits; called from within an action, leave that to whoever is at it."""
        if self._running:
            return
        self._running = True
        try:
            while self._waiting:
                self._carry_out(self._waiting.popleft())
        finally:
            self._running = False

    def _carry_out(self, action: Frame) -> None:
        kind = self._kinds.get(str(action.get("a")))
        if kind is None:
            return  # of a newer engine, which knows that we may not know it
        server, peer = str(action.get("server") or ""), str(action.get("peer") or "")
        try:
            kind(action, server, peer)
        except Exception as error:
            # One thing that goes wrong in the client must not keep the rest from being done.
            self.tell(server, peer, texts.broken(_DONE.get(str(action["a"]), "done"), error))

    def tell(self, server: str, peer: str, *lines: str, typed: str | None = None) -> None:
        """Show a warning of our own, if that works at all."""
        try:
            self._app.note(server, peer, lines, "warning", typed, False)
        except BaseException:
            return  # whatever it is, it must not get in the way of what is told about

    def _send(self, action: Frame, server: str, peer: str) -> None:
        to, command = _text(action, "to"), str(action.get("command") or "PRIVMSG")
        lines = _lines(action)
        limit = self._app.limit(server, to)
        if limit and any(size(line) > limit for line in lines):
            try:
                lines = self._recut(server, to, command, lines, limit)
            except ClientError as error:
                self.tell(server, to, texts.TOO_LONG.format(to, error))
                return
        if " " in to or any(part != part.translate(_LINE_ENDS) for part in (to, command, *lines)):
            self.tell(server, to, texts.UNSAFE.format(to))
            return
        for line in lines:
            raw = f"{command} {to} :{line}"
            self.injected.add(server, raw)
            self.echoes.add(server, raw)
            self._app.send(server, to, line, command)

    def _message(self, action: Frame, server: str, peer: str) -> None:
        mask, protection = str(action.get("mask") or peer), _text(action, "protection")
        flags = bool(action.get("action")), bool(action.get("notice"))
        said = str(action.get("said") or "")
        self._app.message(server, peer, mask, _lines(action), protection, *flags, said)

    def _own(self, action: Frame, server: str, peer: str) -> None:
        flags = bool(action.get("action")), bool(action.get("encrypted", True))
        self._app.own(server, peer, _text(action, "text"), *flags)

    def _note(self, action: Frame, server: str, peer: str) -> None:
        typed, level = action.get("typed"), str(action.get("level") or "info")
        self._app.note(
            server,
            peer,
            _lines(action),
            level,
            None if typed is None else str(typed),
            bool(action.get("highlight")),
        )

    def _status(self, action: Frame, server: str, peer: str) -> None:
        if peer:
            self._app.status(server, peer, status_of(action))

    def _ask(self, action: Frame, server: str, peer: str) -> None:
        number, question = _number(action), action.get("question")
        asked = None if question is None else str(question)
        self._app.ask(server, peer, number, bool(action.get("by_peer")), asked, _lines(action))

    def _unask(self, action: Frame, server: str, peer: str) -> None:
        self._app.unask(server, peer, _number(action))

    def _log(self, action: Frame, server: str, peer: str) -> None:
        self._app.log(server, peer, bool(action.get("on")))

    def _rename(self, action: Frame, server: str, peer: str) -> None:
        self._app.renamed(server, _text(action, "old"), _text(action, "new"))

    def _option(self, action: Frame, server: str, peer: str) -> None:
        self._app.option(_text(action, "name"), _text(action, "value"))


_DONE = {"send": "sent", "message": "shown", "own": "shown", "note": "shown"}


def status_of(action: Frame) -> Status:
    """Return the status that an action tells of; ValueError."""
    version, percent = action.get("version"), action.get("percent")
    theirs, ours = action.get("fingerprint"), action.get("own_fingerprint")
    return Status(
        state=_text(action, "state"),
        starting=bool(action.get("starting")),
        trust=str(action.get("trust") or "none"),
        version=version if isinstance(version, int) else None,
        requires=bool(action.get("requires")),
        percent=percent if isinstance(percent, int) else None,
        fingerprint=theirs if isinstance(theirs, str) else None,
        own_fingerprint=ours if isinstance(ours, str) else None,
    )


def _text(action: Frame, name: str) -> str:
    value = action.get(name)
    if not isinstance(value, str):
        raise ValueError(f"no {name}")
    return value


def _number(action: Frame) -> int:
    value = action.get("number")
    if not isinstance(value, int):
        raise ValueError("no number")
    return value


def _lines(action: Frame) -> Sequence[str]:
    value: Any = action.get("lines", ())
    if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
        raise ValueError("no lines")
    return value


def size(line: str) -> int:
    """Return the bytes of a line of text."""
    return len(line.encode("utf-8", "surrogatepass"))
