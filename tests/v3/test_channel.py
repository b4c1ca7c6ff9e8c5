"""What a channel refuses by itself, whatever its session has looked at before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.errors import MalformedMessage, PeerError, Reason
from otrcore.v3.ake import Ake
from otrcore.wire.header import parse_header
from tests.pair import TAGS, Pair, identity, seeded
from tests.spec import reading


@pytest.mark.parametrize("version", [2, 3])
def test_a_message_of_another_kind(version: int) -> None:
    pair = Pair(version=version)
    pair.secure()
    channel = pair.alice._instances.session().encrypted().channel
    raw = Ake(version, identity("bob"), TAGS["bob"], seeded("x")).start(0.0).replies[0]
    with pytest.raises(MalformedMessage):
        channel.decrypt(raw, parse_header(raw))


@pytest.mark.parametrize("change", [{"version": 4}, {"sender_tag": 0x5000}])
def test_a_message_of_another_session(change: dict[str, int]) -> None:
    pair = Pair()
    pair.secure()
    pair.do("bob", pair.bob.send("hello"))
    raw = reading.raw_of(pair.on_the_way["alice"][0])
    channel = pair.alice._instances.session().encrypted().channel
    header = replace(parse_header(raw), **change)
    with pytest.raises(PeerError) as refused:
        channel.decrypt(raw, header)
    assert refused.value.reason is Reason.OTHER_INSTANCE


def test_an_exchange_that_has_not_begun_has_sent_nothing() -> None:
    ake = Ake(3, identity("alice"), TAGS["alice"], seeded("x"))
    assert ake.sent == frozenset()
    assert ake.deadline is None
