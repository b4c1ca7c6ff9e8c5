"""Bytes that must not be seen: not in a repr, not in a log, not in a pickle."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret(bytes):
    """A key or shared secret: redacted repr, comparison in constant time, no pickling, no hashing.

    Slices are plain bytes again: wrap what stays secret.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Tell the length alone; `str` and format strings do the same."""
        return f"<secret, {len(self)} bytes>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare in constant time, with any bytes; false for what is none."""
        return isinstance(other, bytes) and hmac.compare_digest(bytes(self), bytes(other))

    def __ne__(self, other: object) -> bool:
        """Compare in constant time, as `==` does."""
        return not self == other

    def __hash__(self) -> NoReturn:
        """TypeError: looking a secret up in a dict would take a time that depends on it."""
        raise TypeError("secrets are not hashed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        """TypeError: a pickle would be a copy that nobody looks after."""
        raise TypeError("secrets are not pickled")
