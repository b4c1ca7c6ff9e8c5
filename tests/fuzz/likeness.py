"""The state of a conversation as a flat list: far quicker to make and to compare than `tests.snapshot`.

It leaves out what a snapshot without caches leaves out.  Values that cannot change are taken as they
are, and looked into only once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from enum import Enum, auto
from functools import cache
from typing import Any, NamedTuple

from gmpy2 import mpz

from otrcore.conversation import Conversation
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.crypto.ed448 import Point, SigningKey
from otrcore.instances import Instances
from otrcore.session import Session
from otrcore.v3 import ratchet

PUT_TOGETHER = ("_reassembler", "_rejoiner")
"""Attributes of a conversation that a refused message may change: a fragment takes the place of another
partial message even if what it brings is refused, and a line that begins a message that of another."""

_VALUES = (
    type(None),
    bool,
    int,
    float,
    str,
    bytes,
    Enum,
    DsaPrivateKey,
    SigningKey,
    Point,
    type,
    type(mpz()),
)
_PLAIN = {type(None), bool, int, float, str, bytes}
_LEFT_OUT: dict[type, tuple[str, ...]] = {
    Session: ("_told",),
    Instances: ("_quiet_until",),
    ratchet.Pair: ("mac_used",),
    Conversation: PUT_TOGETHER,
}
_NOTHING = object()


class _Form(Enum):
    VALUE = auto()
    CALLABLE = auto()
    MAPPING = auto()
    LIST = auto()
    TUPLE = auto()
    OBJECT = auto()


class _Kind(NamedTuple):
    """What to do with objects of a type: the attributes in its slots, and whether they stay what they are."""

    form: _Form
    names: tuple[str, ...] = ()
    frozen: bool = False


@cache
def _kind_of(kind: type) -> _Kind:
    """Look at a type; TypeError if its objects show nothing of what they hold."""
    if issubclass(kind, (*_VALUES, frozenset)):
        return _Kind(_Form.VALUE)
    if "__call__" in dir(kind):
        return _Kind(_Form.CALLABLE)
    if issubclass(kind, Mapping):
        return _Kind(_Form.MAPPING)
    if issubclass(kind, tuple):
        return _Kind(_Form.TUPLE)
    if issubclass(kind, list | deque | set):
        return _Kind(_Form.LIST)
    slots = [vars(parent).get("__slots__", ()) for parent in kind.__mro__]
    names = [name for one in slots for name in ((one,) if isinstance(one, str) else one)]
    if not any("__slots__" in vars(parent) for parent in kind.__mro__) and "__dict__" not in dir(kind):
        raise TypeError(f"no likeness can be made of {kind}")
    parameters = getattr(kind, "__dataclass_params__", None)
    frozen = is_dataclass(kind) and parameters is not None and parameters.frozen
    left_out = _LEFT_OUT.get(kind, ())
    return _Kind(_Form.OBJECT, tuple(name for name in names if name not in left_out), frozen)


class Likeness:
    """Makes lists of conversations that share what never changes."""

    def __init__(self, fixed: dict[int, object] | None = None) -> None:
        self.fixed: dict[int, object] = dict(fixed or {})
        """Values that never change, by identity; kept so that no other value gets it."""

    def of(self, talk: Conversation) -> list[object]:
        """Return what a refused message must leave as it is."""
        return self._list(talk)

    def put_together(self, talk: Conversation) -> list[object]:
        """Return what is being put together of several lines."""
        return self._list([getattr(talk, name) for name in PUT_TOGETHER])

    def _list(self, value: object) -> list[object]:
        leaves: list[object] = []
        self._add(value, leaves)
        return leaves

    def _add(self, value: Any, leaves: list[object]) -> bool:
        """Add what a value holds; whether it stays what it is."""
        kind: Any = type(value)
        form, names, frozen = _kind_of(kind)
        if form is _Form.VALUE or id(value) in self.fixed:
            leaves.append(value)
            return True
        if form is _Form.CALLABLE:
            return True
        begin = len(leaves)
        leaves.append(kind)
        if form is _Form.OBJECT:
            items = [getattr(value, name, _NOTHING) for name in names]
            if attributes := getattr(value, "__dict__", None):
                leaves.extend(attributes)
                items += attributes.values()
            fixed = self._add_all(items, leaves) and frozen
        elif form is _Form.MAPPING:
            kept = {
                key: item
                for key, item in value.items()
                if not (isinstance(item, ratchet.Pair) and not item.sent and not item.received)
            }
            leaves.extend(kept)
            leaves.append(_NOTHING)
            self._add_all(kept.values(), leaves)
            fixed = False
        else:
            leaves.append(len(value))
            fixed = self._add_all(value, leaves) and form is _Form.TUPLE
        if fixed:
            self.fixed[id(value)] = value
            leaves[begin:] = [value]
        return fixed

    def _add_all(self, items: Iterable[object], leaves: list[object]) -> bool:
        fixed = True
        known = self.fixed
        for item in items:
            # Most are one of these, and a call for each takes its time.
            if id(item) in known or type(item) in _PLAIN:
                leaves.append(item)
            elif not self._add(item, leaves):
                fixed = False
        return fixed


def alike(one: list[object], other: list[object]) -> bool:
    """Whether two lists say the same."""
    return len(one) == len(other) and all(
        mine is yours or (type(mine) is type(yours) and mine == yours)
        for mine, yours in zip(one, other, strict=True)
    )
