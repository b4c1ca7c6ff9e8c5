"""Secrets do not show, and do not leave."""

from __future__ import annotations

import copy
import logging
import pickle
from dataclasses import dataclass

import pytest

from otrcore.crypto.random import system_random
from otrcore.crypto.secret import Secret

CANARY = b"canary 0123456789"
SECRET = Secret(CANARY)


@dataclass(frozen=True)
class Holder:
    key: Secret


def test_no_way_of_showing_it_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %r", SECRET, [SECRET])
    shown = [
        repr(SECRET),
        str(SECRET),
        format(SECRET),
        f"{SECRET}",
        f"{SECRET!r}",
        f"{SECRET!s}",
        f"{SECRET!a}",
        "{} {!r}".format(SECRET, SECRET),  # noqa: UP032
        "%r %a" % (SECRET, SECRET),  # noqa: UP031
        "%s" % (SECRET,),  # type: ignore[str-bytes-safe]  # noqa: UP031
        repr([SECRET]),
        repr({"key": SECRET}),
        repr(Holder(SECRET)),
        str(Holder(SECRET)),
        caplog.text,
    ]
    for text in shown:
        assert "secret, 17 bytes" in text
        for form in ("canary", CANARY.hex(), CANARY.hex().upper(), str(list(CANARY))):
            assert form not in text


def test_it_is_bytes_to_those_who_use_it() -> None:
    assert bytes(SECRET) == CANARY
    assert len(SECRET) == 17
    assert b"".join((SECRET,)) == CANARY
    assert int.from_bytes(SECRET, "big") == int.from_bytes(CANARY, "big")


def test_equality() -> None:
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") == b"a"
    assert Secret(b"a") == b"a"
    assert not Secret(b"a") != b"a"  # noqa: SIM202 - `!=` is a method of its own
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"ab"
    assert Secret(b"a") != "a"
    assert Secret(b"") == b""
    assert Secret(b"1") != 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_not_pickled(protocol: int) -> None:
    for value in (SECRET, [SECRET], Holder(SECRET)):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(value, protocol)


def test_it_is_not_copied_by_way_of_a_pickle() -> None:
    with pytest.raises(TypeError):
        copy.deepcopy(SECRET)


def test_it_is_not_hashed() -> None:
    with pytest.raises(TypeError, match="not hashed"):
        hash(SECRET)
    with pytest.raises(TypeError, match="not hashed"):
        {SECRET}  # noqa: B018
    with pytest.raises(TypeError, match="not hashed"):
        hash(Holder(SECRET))


def test_it_takes_no_attributes() -> None:
    with pytest.raises(AttributeError):
        SECRET.note = "x"  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 4, 16, 40])
def test_the_systems_randomness_has_the_length_asked_for(count: int) -> None:
    assert len(system_random("dh", count)) == count
    assert len({system_random("r", 16) for _ in range(50)}) == 50
