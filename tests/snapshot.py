"""The whole state of an object as plain values, so that a test can say "nothing has changed".

Objects become dictionaries of their slots and attributes, to any depth.  What is not
understood is an error, so that no new kind of state goes unnoticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum

from gmpy2 import mpz

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.crypto.ed448 import Point, SigningKey
from otrcore.crypto.secret import Secret
from otrcore.instances import Instances
from otrcore.session import Session
from otrcore.v3 import ratchet
from otrcore.v3.ake import AuthStateNone

_PLAIN = (type(None), bool, int, float, str, bytes)


def snapshot(value: object, *, caches: bool = True) -> object:
    """Return a picture of `value` that equals another exactly if the state is the same.

    Callables (the host's clock and randomness) are left out.  Without `caches` so is what
    a refused message may change: the keys of pairs that carried no message yet, which can
    be computed again at any time, the marks that a MAC key was used, and when a complaint
    about an unreadable message was last made.
    """

    def picture(value: object) -> object:
        match value:
            case Secret():
                return {"Secret": bytes(value)}
            case Enum():
                return str(value)
            case _ if isinstance(value, _PLAIN):
                return value
            case _ if isinstance(value, type(mpz())):
                return {"mpz": int(value)}
            case Point():
                return {"Point": value.encoded}
            case DsaPrivateKey() | SigningKey():
                return {type(value).__name__: picture(value.public)}
            case Mapping():
                return {
                    picture_of_key(key): picture(item)
                    for key, item in value.items()
                    if caches or not _unused(item)
                }
            case list() | tuple() | deque():
                return [picture(item) for item in value]
            case set() | frozenset():
                return {picture_of_key(item) for item in value}
        fields = dict(attributes(value))
        if not fields and not _shows_all(value):
            raise TypeError(f"no picture can be made of {type(value)}")
        if not caches and isinstance(value, ratchet.Pair):
            del fields["mac_used"]
        if not caches and isinstance(value, Session):
            del fields["_told"]
        if not caches and isinstance(value, Instances):
            del fields["_quiet_until"]
        return {
            "type": type(value).__name__,
            **{name: picture(item) for name, item in fields.items() if not callable(item)},
        }

    def picture_of_key(key: object) -> str | int:
        return key if isinstance(key, str | int) else repr(picture(key))

    return picture(value)


def secrets_in(picture: object) -> set[bytes]:
    """Return every secret of a picture: keys, shared secrets, and private exponents (big-endian)."""
    match picture:
        case {"Secret": bytes(value)}:
            return {value}
        case {"mpz": int(value)}:
            return {value.to_bytes((value.bit_length() + 7) // 8, "big")}
        case dict():
            return set().union(*map(secrets_in, picture.values()))
        case list():
            return set().union(*map(secrets_in, picture))
    return set()


def uncopied(value: object) -> Iterator[object]:
    """Return what in `value` refuses to be copied, or is known by its identity; it never changes."""
    match value:
        case Secret() | DsaPrivateKey() | SigningKey() | Point() | AuthStateNone():
            yield value
        case str() | bytes() | type():
            return
        case Mapping():
            for item in value.values():
                yield from uncopied(item)
        case list() | tuple() | deque():
            for item in value:
                yield from uncopied(item)
        case _:
            for _, item in attributes(value):
                yield from uncopied(item)


def attributes(value: object) -> Iterator[tuple[str, object]]:
    """Go over the names and values of everything that an object holds."""
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield name, getattr(value, name)
    yield from getattr(value, "__dict__", {}).items()


def _shows_all(value: object) -> bool:
    """Whether an object without slots and attributes has no state, rather than one that is hidden."""
    plain = hasattr(value, "__dict__") or hasattr(type(value), "__slots__")
    return plain and not callable(value)


def _unused(value: object) -> bool:
    return isinstance(value, ratchet.Pair) and not value.sent and not value.received
