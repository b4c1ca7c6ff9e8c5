"""The requests of a client: a field that is missing, or of another type, ends in a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .frames import Frame

MAX_FIELD = 1 << 17
"""Characters of one text."""

MAX_ITEMS = 500
"""Of one list."""


class BadRequest(Exception):
    """The request cannot be understood; its text is one sentence."""


@dataclass(frozen=True)
class Request:
    """One request; the methods return its fields, or raise BadRequest."""

    frame: Frame

    @property
    def number(self) -> int:
        """By which it is answered; 0 if there is none."""
        number = self.frame.get("n")
        return number if isinstance(number, int) and not isinstance(number, bool) else 0

    @property
    def name(self) -> str:
        """What is to be done."""
        return self.text("do")

    def text(self, field: str) -> str:
        """A text."""
        value = self._field(field)
        if not isinstance(value, str) or len(value) > MAX_FIELD:
            raise BadRequest(f"{field} is no text.")
        return value

    def optional_text(self, field: str) -> str | None:
        """A text, or null, or nothing."""
        return None if self.frame.get(field) is None else self.text(field)

    def integer(self, field: str) -> int:
        """A whole number."""
        value = self._field(field)
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadRequest(f"{field} is no number.")
        return value

    def optional_integer(self, field: str) -> int | None:
        """A whole number, or null, or nothing."""
        return None if self.frame.get(field) is None else self.integer(field)

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._field(field)
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise BadRequest(f"{field} is no list.")
        return tuple(Request({field: item}).text(field) for item in value)

    def objects(self, field: str) -> tuple[Request, ...]:
        """A list of objects, or nothing."""
        value = self.frame.get(field, [])
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise BadRequest(f"{field} is no list.")
        if not all(isinstance(item, dict) for item in value):
            raise BadRequest(f"{field} is no list of objects.")
        return tuple(map(Request, value))

    def _field(self, field: str) -> Any:
        if field not in self.frame:
            raise BadRequest(f"{field} is missing.")
        return self.frame[field]
