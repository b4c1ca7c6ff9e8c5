"""HexChat's log and its scrollback of a tab: off while what is said there is encrypted, then as before.

How they were is written down in HexChat's folder, as HexChat may crash in between and would go on
without a log.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager, suppress
from typing import Callable, Iterator

import hexchat  # type: ignore[import-not-found,unused-ignore]

from .tabs import Tab

FILE = "otr_client.logs.json"
MAX_KEPT = 1000

_OPTIONS = {"text_logging": 11, "text_scrollback": 13}
"""Each with the bit that tells its value; the next one tells that it has none of its own."""

_ALL_OFF = ["off"] * len(_OPTIONS)
_VALUES = ("on", "off", "unset")


class Logs:
    """By server and folded nick."""

    def __init__(self, fold: Callable[[str, str], str]) -> None:
        """`fold` returns the form in which nicks on a server are compared."""
        self._fold = fold
        self._path = os.path.join(hexchat.get_info("configdir") or "", FILE)
        self._before: dict[str, list[str]] = _read(self._path)
        self._off: set[str] = set()

    def off(self, tab: Tab) -> None:
        """Write nothing down of what is shown in a tab from here on."""
        key = self._key(tab.server, tab.name)
        if key in self._off:
            return
        _set(tab, _ALL_OFF)
        self._off.add(key)
        if key not in self._before:
            self._before[key] = [_value(tab.flags, bit) for bit in _OPTIONS.values()]
            self._save()

    @contextmanager
    def pause(self, tab: Tab) -> Iterator[None]:
        """Write nothing down of what is shown in a tab meanwhile."""
        values = [_value(tab.flags, bit) for bit in _OPTIONS.values()]
        if self._key(tab.server, tab.name) in self._off or values == _ALL_OFF:
            yield
            return
        _set(tab, _ALL_OFF)
        try:
            yield
        finally:
            _set(tab, values)

    def back(self, tab: Tab) -> None:
        """Write down again what was written down before."""
        key = self._key(tab.server, tab.name)
        self._off.discard(key)
        values = self._before.pop(key, None)
        if values is not None:
            _set(tab, values)
            self._save()

    def moved(self, server: str, old: str, new: str) -> None:
        """A tab has another name."""
        before, now = self._key(server, old), self._key(server, new)
        if before in self._off:
            self._off.remove(before)
            self._off.add(now)
        if before in self._before:
            self._before[now] = self._before.pop(before)
            self._save()

    def _key(self, server: str, nick: str) -> str:
        return f"{server}/{self._fold(server, nick)}"

    def _save(self) -> None:
        # Where that cannot be written, only a crash is not made up for.
        with suppress(OSError):
            if not self._before:
                os.unlink(self._path)
                return
            descriptor, part = tempfile.mkstemp(dir=os.path.dirname(self._path))  # of mode 0600
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(self._before, file)
                os.replace(part, self._path)
            except OSError:  # as on a full disk
                os.unlink(part)


def _value(flags: int, bit: int) -> str:
    if flags >> (bit + 1) & 1:
        return "unset"
    return "on" if flags >> bit & 1 else "off"


def _set(tab: Tab, values: list[str]) -> None:
    for name, value in zip(_OPTIONS, values):
        tab.context.command(f"CHANOPT -quiet {name} {value}")


def _read(path: str) -> dict[str, list[str]]:
    with suppress(OSError, ValueError):
        with open(path, encoding="utf-8") as file:
            found = json.loads(file.read(1 << 20))
        if isinstance(found, dict):
            rows = [(key, row) for key, row in found.items() if isinstance(row, list)]
            good = [
                row for row in rows if len(row[1]) == len(_OPTIONS) and all(map(_VALUES.__contains__, row[1]))
            ]
            return dict(good[:MAX_KEPT])
    return {}
