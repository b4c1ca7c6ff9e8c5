"""As whom we are on a connection, and how long a line to a nick may be by that."""

from __future__ import annotations

import pytest

from otrcore.conversation import SMALLEST_LINE_LIMIT
from otrcore.errors import OtrcoreError
from otrcore.irc import presence
from otrcore.irc.isupport import Features
from otrcore.irc.names import Target
from otrcore.irc.presence import Presence


@pytest.fixture
def present() -> Presence:
    present = Presence(frozenset({"helper"}))
    present.enter("net", "alice", Features(network="Net"), "alice!a@host.example")
    return present


def test_a_longer_nick_of_ours_leaves_less_room(present: Presence) -> None:
    before = present.room("bob")
    present.nick_changed("alice_at_home")
    assert present.room("bob") == before - len("_at_home")
    assert present.is_own("ALICE_at_home") and not present.is_own("alice")


def test_a_client_that_cuts_earlier_is_heeded_under_every_spelling(present: Presence) -> None:
    free = present.room("bob")
    present.set_limit("Bob", 300)
    assert present.room("bob") == present.room("BOB") == 300
    present.set_limit("bob", free + 100)
    assert present.room("bob") == free


def test_of_the_limits_those_are_kept_that_were_named_last(
    present: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "MAX_LIMITS", 2)
    for nick in ("bob", "carol", "bob", "dave"):
        present.set_limit(nick, 300)
    assert [present.room(nick) == 300 for nick in ("bob", "carol", "dave")] == [True, False, True]


def test_room_that_is_too_small_for_otr_is_refused(present: Presence) -> None:
    present.set_limit("bob", SMALLEST_LINE_LIMIT)
    present.require_room("bob")
    present.set_limit("bob", SMALLEST_LINE_LIMIT - 1)
    with pytest.raises(OtrcoreError, match="to bob leave no room for a text"):
        present.require_room("bob")


def test_a_command_means_one_person(present: Presence) -> None:
    assert present.recipient("Bob!b@host").key == present.key("bob") == "bob"
    assert present.recipient("bob").kind is Target.PERSON
    assert present.recipient("helper").kind is Target.SERVICE
    assert present.recipient("bob,carol").kind is Target.SERVER_MASK
    assert present.recipient("").kind is Target.SERVER_MASK
