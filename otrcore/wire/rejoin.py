"""Encoded messages that a server or a client has cut into several lines.

Some clients send an OTR message as one long line, which is cut at the server's limit:
the first line begins a message and lacks its final dot, the others are bare base64.  An
ordinary text of one word looks the same, so a line only counts as a continuation where
it could be the rest of a cut line, and is handed on as it is where that did not work out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import MalformedMessage
from .text import ENCODED_MARK, decode

MAX_TOTAL = 64 * 1024
"""Characters of a message that is being put together."""

LIFETIME = 10.0
"""Seconds that the rest of a cut line may take: it was sent in one go."""

SMALLEST_MIDDLE = 200
"""Characters of a line that neither begins nor ends a message: it was cut because the line was full."""

_END = re.compile(r"={1,2}\.?|\.")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}(\.?)")


class Rejoiner:
    """One message of one peer that has begun and not ended."""

    __slots__ = ("_begun", "_dotless_until", "_lines", "_whole")

    def __init__(self, whole: Callable[[bytes], bool]) -> None:
        """`whole` tells of the bytes of a message whether nothing of it is missing."""
        self._whole = whole
        self._lines: list[str] = []
        self._begun = 0.0
        self._dotless_until = 0.0

    @property
    def empty(self) -> bool:
        """Whether nothing is being put together."""
        return not self._lines

    @property
    def expires(self) -> float | None:
        """When the message is given up, None if there is none."""
        return self._begun + LIFETIME if self._lines else None

    def expire(self, now: float) -> list[str]:
        """Give up what has waited too long, and return its lines."""
        return self._take() if self._lines and now >= self._begun + LIFETIME else []

    def add(self, line: str, now: float) -> list[str]:
        """Take a line; return what is to be read now: a message, this line, or earlier ones given up."""
        if now < self._dotless_until and _END.fullmatch(line):
            # The message before it was whole without them.
            self._dotless_until = 0.0
            return []
        found = _BASE64.fullmatch(line) if self._lines else None
        if found is not None and (found[1] or len(line) >= SMALLEST_MIDDLE):
            joined = "".join((*self._lines, line))
            if self._is_whole(joined):
                self._lines = []
                self._dotless_until = 0.0 if found[1] else now + LIFETIME
                return [joined]
            if found[1] or len(joined) > MAX_TOTAL:
                return [line]
            self._lines.append(line)
            return []
        mark = line.find(ENCODED_MARK)
        if mark < 0 or not (begun := _BASE64.fullmatch(line, mark + len(ENCODED_MARK))) or begun[1]:
            return [line]
        if self._is_whole(line[mark:]):
            self._dotless_until = now + LIFETIME
            return [line]
        given_up = self._take()
        self._lines, self._begun = [line[mark:]], now
        return given_up

    def _take(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    def _is_whole(self, text: str) -> bool:
        try:
            return self._whole(decode(text))
        except MalformedMessage:
            return False
