"""Whom a text offers OTR by the whitespace tag, where the tag stands, and what becomes of offers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otrcore import (
    Conversation,
    Downgraded,
    HandshakeEnd,
    HandshakeFailed,
    MessageState,
    NoCommonVersion,
    Offer,
    PeerMemory,
    Policy,
    Protection,
    Received,
    Rejected,
    SessionOpened,
    Tagging,
    Transmit,
)
from otrcore.errors import Reason
from otrcore.policy import ALWAYS, DEFAULT, MANUAL, NEVER, OPPORTUNISTIC, PRESETS
from otrcore.wire.text import TAG_BASE, TAG_GROUPS, Tagged, classify, with_tag
from tests.pair import Pair, speaking

TAG = TAG_BASE + TAG_GROUPS[3] + TAG_GROUPS[4]
ONLY_OFFERS = replace(OPPORTUNISTIC, start_on_tag=False)
BOTH = replace(OPPORTUNISTIC, versions=frozenset({2, 3}))


def typed(talk: Conversation, text: str = "hello there") -> str:
    """Send a text that goes out plain; return the line."""
    (event,) = talk.send(text)
    assert isinstance(event, Transmit)
    assert event.plain
    (line,) = event.lines
    return line


def offer_of(pair: Pair) -> Offer:
    """Return how far Alice's offer has come, as it is now."""
    return pair.alice.offer


# ---- whom


def met(pair: Pair) -> Pair:
    """Let them have a conversation, which both have ended and forgotten but for their memories."""
    pair.secure()
    for side, account in pair.accounts.items():
        memory = pair.talks[side].memory
        account.forget(pair.talks[side].peer)
        pair.talks[side] = account.conversation(pair.talks[side].peer, memory)
    return pair


@pytest.mark.parametrize(
    ("preset", "stranger", "known"),
    [
        (NEVER, False, False),
        (MANUAL, False, False),
        (DEFAULT, False, True),
        (OPPORTUNISTIC, True, True),
    ],
)
def test_whom_a_preset_offers_otr(preset: Policy, stranger: bool, known: bool) -> None:
    pair = Pair(policies=(preset, MANUAL))
    assert (TAG in typed(pair.alice)) is stranger
    pair = met(Pair(policies=(MANUAL, MANUAL)))
    pair.alice.set_policy(preset)
    assert (TAG in typed(pair.alice)) is known


def test_what_the_presets_are() -> None:
    assert PRESETS == {
        "never": NEVER,
        "manual": MANUAL,
        "default": DEFAULT,
        "opportunistic": OPPORTUNISTIC,
        "always": ALWAYS,
    }
    assert [preset for preset in PRESETS.values() if preset.require_encryption] == [ALWAYS]
    assert [preset.versions for preset in PRESETS.values()] == [frozenset()] + [frozenset({3, 4})] * 4
    starting = [DEFAULT, OPPORTUNISTIC, ALWAYS]
    assert [preset for preset in PRESETS.values() if preset.start_on_tag] == starting
    assert [preset for preset in PRESETS.values() if preset.start_on_error] == starting


def test_a_tag_offers_all_allowed_versions_in_their_order() -> None:
    pair = Pair(policies=(BOTH, MANUAL))
    assert typed(pair.alice, "hello there") == f"hello{TAG_BASE}{TAG_GROUPS[2]}{TAG_GROUPS[3]} there"


def test_a_policy_of_the_peers_own_decides() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
    pair.alice.set_policy(MANUAL)
    assert pair.alice.policy == MANUAL
    assert pair.alice.memory.policy == MANUAL
    assert typed(pair.alice) == "hello there"
    other = pair.accounts["alice"].conversation("carol")
    assert TAG in typed(other)
    pair.alice.set_policy(None)
    assert TAG in typed(pair.alice)


def test_a_host_may_ask_for_a_text_as_it_is() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
    text = "\1ACTION waves\1"
    assert pair.alice.send(text, may_tag=False) == [Transmit((text,), plain=True)]
    assert offer_of(pair) is Offer.NONE


# ---- where the tag stands

PLACES = {
    "hello": f"{TAG}hello",
    "hello ": f"{TAG}hello ",
    "hello there": f"hello{TAG} there",
    "hello there you": f"hello{TAG} there you",
    "hello  there": f"hello{TAG}  there",
    " hello": f"{TAG} hello",
    "  hello there ": f"{TAG}  hello there ",
    "": "",
}


@pytest.mark.parametrize("text", [text for text in PLACES if text])
def test_where_the_tag_stands(text: str) -> None:
    assert typed(Pair(policies=(OPPORTUNISTIC, MANUAL)).alice, text) == PLACES[text]


WORDS = st.text(st.sampled_from("ab \t\u00e9.?"), min_size=1, max_size=24)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(WORDS, st.sampled_from([{3}, {2}, {2, 3}]))
@example("hello" + " " * 9 + "world", {3})
@example(" \t  \t\t\t\t \t \t \tx", {3})
@example("x \t  \t\t\t\t \t \t \t  y", {3})
def test_who_reads_the_tag_sees_the_text_as_it_was(text: str, versions: set[int]) -> None:
    tagged = with_tag(text, versions)
    if TAG_BASE in text:
        return
    if tagged == text:
        assert not text.strip() or " " * 8 in text.replace("\t", " ")
    else:
        assert classify(tagged) == Tagged(text, frozenset(versions))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(WORDS.filter(str.strip))
def test_the_tag_survives_where_trailing_blanks_are_taken_away(text: str) -> None:
    tagged = with_tag(text, {2, 3})
    if tagged != text and TAG_BASE not in text:
        assert classify(tagged.rstrip()) == Tagged(text.rstrip(), frozenset({2, 3}))


def test_a_text_of_blanks_offers_nothing() -> None:
    """Nothing of a tag would be left of it on its way."""
    for text in ("", " ", "   "):
        pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
        assert typed(pair.alice, text) == text
        assert offer_of(pair) is Offer.NONE


def test_a_line_without_room_offers_nothing() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL), line_limit=150)
    full = "x " * 64
    assert len(with_tag(full, {3, 4})) == 128 + 32 > 150
    assert typed(pair.alice, full) == full
    assert offer_of(pair) is Offer.NONE
    wide = "\u00e9 " + "\u00e9" * 62
    assert len(with_tag(wide, {3, 4})) < 150 < len(with_tag(wide, {3, 4}).encode())
    assert typed(pair.alice, wide) == wide
    assert TAG in typed(pair.alice, full[:-10])
    assert offer_of(pair) is Offer.SENT


# ---- how far an offer has come


def test_an_offer_is_sent_and_rejected_by_plain_text() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
    assert offer_of(pair) is Offer.NONE
    assert pair.hand("alice", "hello") == [Received("hello", Protection.PLAIN)]
    assert offer_of(pair) is Offer.NONE
    assert TAG in typed(pair.alice)
    assert offer_of(pair) is Offer.SENT
    assert TAG in typed(pair.alice)
    pair.hand("alice", "hello again")
    assert offer_of(pair) is Offer.REJECTED
    assert typed(pair.alice) == "hello there"


def test_an_offer_is_accepted_by_any_otr_message() -> None:
    for line in (f"hello{TAG}", "?OTRv3?", "?OTRv2?", "?OTR Error: no"):
        pair = Pair(policies=(ONLY_OFFERS, MANUAL))
        typed(pair.alice)
        pair.hand("alice", line)
        assert offer_of(pair) is Offer.ACCEPTED, line


@pytest.mark.parametrize("line", ["?OTR:AAMC.", "?OTR!", "?OTRv?", "?OTR,0,0,x,"])
def test_what_is_refused_accepts_nothing(line: str) -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
    typed(pair.alice)
    assert isinstance(pair.hand("alice", line)[0], Rejected)
    assert offer_of(pair) is Offer.SENT


def test_a_rejected_offer_is_accepted_later() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
    typed(pair.alice)
    pair.hand("alice", "hello")
    pair.start("bob")
    assert offer_of(pair) is Offer.ACCEPTED
    pair.agreed()


def test_an_offer_leads_to_a_session() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, OPPORTUNISTIC))
    pair.say("alice", "hello there")
    assert pair.events("bob")[0] == Received("hello there", Protection.PLAIN)
    pair.agreed()
    assert offer_of(pair) is Offer.ACCEPTED


# ---- after an end


@pytest.mark.parametrize("preset", [DEFAULT, OPPORTUNISTIC])
def test_after_an_end_no_text_starts_it_again(preset: Policy) -> None:
    """Also if something of the session comes late."""
    pair = Pair(policies=(preset, preset))
    pair.secure()
    pair.do("bob", pair.bob.send("late"))
    late = pair.on_the_way["alice"].popleft()
    pair.end("alice")
    pair.end("bob")
    pair.hand("alice", late)
    for side, talk in pair.talks.items():
        assert TAG not in typed(talk), side
        pair.say(side, "plain on purpose")
    assert [talk.state for talk in pair.talks.values()] == [MessageState.PLAINTEXT] * 2
    assert not pair.alice.starting
    assert not pair.alice.idle


def test_after_a_cancelled_start_no_text_starts_it_again() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, OPPORTUNISTIC))
    pair.alice.start()
    assert pair.alice.end() == [HandshakeFailed(HandshakeEnd.CANCELLED)]
    assert typed(pair.alice) == "hello there"


def test_after_a_start_of_the_users_own_texts_offer_again() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
    pair.secure()
    pair.end("alice")
    pair.end("bob")
    assert typed(pair.alice) == "hello there"
    pair.alice.start()
    pair.clock.advance(75.0)
    pair.alice.tick()
    assert TAG in typed(pair.alice)


def test_an_end_where_nothing_runs_leaves_offers_as_they_are() -> None:
    pair = Pair(policies=(OPPORTUNISTIC, MANUAL))
    assert pair.alice.end() == []
    assert TAG in typed(pair.alice)


# ---- starting by tags


def test_only_the_flag_decides_whether_a_tag_starts() -> None:
    for flag in (True, False):
        pair = Pair(policies=(replace(MANUAL, start_on_tag=flag), MANUAL))
        assert pair.hand("alice", f"hello{TAG}")[0] == Received("hello", Protection.PLAIN)
        assert pair.alice.starting is flag


def test_a_tag_starts_the_best_common_version() -> None:
    for versions, best in (({2}, 2), ({3}, 3), ({2, 3}, 3)):
        pair = Pair(policies=(replace(BOTH, versions=frozenset(versions)), BOTH))
        pair.say("alice", "hello there")
        assert pair.agreed().version == best


def test_a_tag_is_taken_out_whatever_the_policy() -> None:
    for policy in (MANUAL, ALWAYS, DEFAULT):
        pair = Pair(policies=(policy, MANUAL))
        (first, *_) = pair.hand("alice", f"hello{TAG} there")
        assert isinstance(first, Received)
        assert first.text == "hello there"


# ---- versions


@pytest.mark.parametrize("group", [1, 2])
def test_a_tag_without_a_common_version_is_told_once(group: int) -> None:
    pair = Pair(policies=(DEFAULT, MANUAL))
    line = f"hello{TAG_BASE}{TAG_GROUPS[group]}"
    hello = Received("hello", Protection.PLAIN)
    assert pair.hand("alice", line) == [hello, NoCommonVersion(frozenset({group}))]
    for _ in range(3):
        assert pair.hand("alice", line) == [hello]
    assert not pair.alice.starting
    assert pair.lines == []


def test_a_query_of_version_1_alone_is_told() -> None:
    pair = Pair(policies=(BOTH, MANUAL))
    assert pair.hand("alice", "?OTR?") == [NoCommonVersion(frozenset({1}))]
    assert pair.lines == []


def remembering(*versions: int, policy: Policy = BOTH) -> Pair:
    """Return a pair in which Alice has spoken these versions with Bob before, whose client speaks 2."""
    pair = Pair(policies=(policy, speaking(2)))
    account = pair.accounts["alice"]
    account.forget("bob")
    pair.talks["alice"] = account.conversation("bob", PeerMemory(frozenset(versions)))
    return pair


def test_a_downgrade_is_told_at_the_query_and_not_again_at_the_opening() -> None:
    pair = remembering(2, 3)
    pair.start("bob")
    told = [event for event in pair.events("alice") if isinstance(event, Downgraded | SessionOpened)]
    assert [type(event) for event in told] == [Downgraded, SessionOpened]
    assert pair.of_kind("alice", Downgraded) == [Downgraded(3, 2)]
    assert pair.agreed().version == 2
    pair.end("alice")
    pair.end("bob")
    pair.clear()
    pair.start("bob")
    assert pair.of_kind("alice", Downgraded) == [Downgraded(3, 2)]


def test_a_version_that_we_rule_out_ourselves_is_no_downgrade_of_the_peer() -> None:
    pair = remembering(2, 3, policy=speaking(2))
    pair.start("alice")
    assert pair.agreed().version == 2
    assert pair.of_kind("alice", Downgraded) == []


def test_a_downgrade_behind_our_own_query_is_told_at_the_opening() -> None:
    """Somebody on the way can make v23 of our query to v2, and hear no query of the peer."""
    pair = remembering(3)
    pair.alice.start()
    pair.hand("bob", "?OTRv2?")
    pair.settle()
    assert pair.agreed().version == 2
    assert pair.of_kind("alice", Downgraded) == [Downgraded(3, 2)]


def test_a_downgrade_is_told_at_a_tag_and_not_repeated_with_each() -> None:
    pair = remembering(3)
    line = f"hello{TAG_BASE}{TAG_GROUPS[2]}"
    told = [event for _ in range(3) for event in pair.alice.receive(line) if isinstance(event, Downgraded)]
    assert told == [Downgraded(3, 2)]


def test_nothing_is_told_where_nothing_got_worse() -> None:
    for versions in ((), (2,)):
        pair = remembering(*versions)
        pair.start("bob")
        assert pair.agreed().version == 2
        assert pair.of_kind("alice", Downgraded) == []


def test_who_allows_only_the_newest_version_is_not_led_to_another() -> None:
    pair = remembering(3, policy=OPPORTUNISTIC)
    assert pair.hand("alice", "?OTRv2?") == [NoCommonVersion(frozenset({2}))]
    assert pair.lines == []


def test_a_query_of_a_lower_version_is_refused_while_encrypted() -> None:
    pair = Pair(policies=(BOTH, BOTH))
    info = pair.secure()
    assert info.version == 3
    assert pair.hand("alice", "?OTRv2?") == [Rejected(Reason.VERSION)]
    assert not pair.alice.starting
    assert pair.agreed() == info


def test_tagging_is_of_three_kinds() -> None:
    assert [preset.send_tag for preset in (MANUAL, DEFAULT, OPPORTUNISTIC)] == list(Tagging)
