"""Encoded messages that are cut for short lines, by version."""

from __future__ import annotations

import pytest

from otrcore.wire import text as wire_text
from otrcore.wire.fragment import Fragment, Reassembler, parse_fragment
from tests.pair import Pair, Seeded
from tests.wire import recorded4

LIMIT = 120
AUTH_R = recorded4.messages("trace")[1]


def pieces(lines: tuple[str, ...]) -> list[Fragment]:
    fragments = [fragment for line in lines if (fragment := parse_fragment(line))]
    assert len(fragments) == len(lines) > 1
    return fragments


def test_every_message_of_version_4_is_cut_under_an_identifier_of_its_own() -> None:
    random = Seeded("identifiers")
    relation = Pair(line_limit=LIMIT).alice._relation
    relation.random = random
    identifiers = []
    for _ in range(3):
        lines = relation.transmit(AUTH_R).lines
        assert max(map(len, lines)) <= LIMIT
        joined = Reassembler()
        (*_, whole) = [joined.add(fragment, 0.0) for fragment in reversed(pieces(lines))]
        assert whole is not None
        assert wire_text.decode(whole) == AUTH_R
        (identifier,) = {fragment.identifier for fragment in pieces(lines)}
        identifiers.append(identifier)
    assert [len(drawn) for drawn in random.drawn["fragment"]] == [4, 4, 4]
    assert identifiers == [int.from_bytes(drawn, "big") for drawn in random.drawn["fragment"]]
    assert len(set(identifiers)) == 3


@pytest.mark.parametrize(("version", "limit"), [(2, LIMIT), (3, LIMIT), (4, None), (4, 10_000)])
def test_no_identifier_is_drawn_where_none_is_needed(version: int, limit: int | None) -> None:
    random = Seeded("identifiers")
    relation = Pair(line_limit=limit).alice._relation
    relation.random = random
    lines = relation.transmit(version.to_bytes(2, "big") + AUTH_R[2:]).lines
    if version == 4:
        assert lines == (wire_text.encode(AUTH_R),)
    else:
        assert {fragment.identifier for fragment in pieces(lines)} == {None}
    assert not random.drawn
