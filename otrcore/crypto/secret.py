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
        return f"<secret, {len(self)} bytes>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and hmac.compare_digest(bytes(self), bytes(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> NoReturn:
        raise TypeError("secrets are not hashed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("secrets are not pickled")
