"""What the client knows of conversations when nobody else does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otrcore.client.guard import MAX_PEERS, Guard, Held
from otrcore.client.names import Naming


@pytest.fixture
def guard() -> Guard:
    return Guard()


@pytest.mark.parametrize(
    ("state", "starting", "requires", "held"),
    [
        ("plaintext", False, False, None),
        ("plaintext", False, True, Held.REQUIRED),
        ("plaintext", True, False, Held.ENCRYPTED),
        ("encrypted", False, False, Held.ENCRYPTED),
        ("encrypted", False, True, Held.ENCRYPTED),
        ("finished", False, False, Held.FINISHED),
        ("finished", True, False, Held.FINISHED),
    ],
)
def test_who_is_held(guard: Guard, state: str, starting: bool, requires: bool, held: Held | None) -> None:
    guard.learn("net", "bob", state, starting=starting, requires=requires)
    assert guard.held("net", "bob") is held
    assert guard.held("net", "BOB") is held, "nicks are compared as the server does"
    assert guard.held("other", "bob") is Held.UNKNOWN, "somebody else on another network"


def test_who_is_not_known_is_held_once(guard: Guard) -> None:
    assert guard.held("net", "bob") is Held.UNKNOWN
    guard.warned("net", "bob")
    assert guard.held("net", "bob") is None
    assert guard.held("net", "carol") is Held.UNKNOWN


def test_a_warning_changes_nothing_of_what_is_known(guard: Guard) -> None:
    guard.learn("net", "bob", "encrypted")
    guard.warned("net", "bob")
    guard.passed("net", "bob")
    assert guard.held("net", "bob") is Held.ENCRYPTED


def test_a_text_that_the_engine_let_pass_makes_somebody_known(guard: Guard) -> None:
    guard.passed("net", "bob")
    assert guard.held("net", "bob") is None


def test_the_policy_of_a_network_holds_for_everybody_without_one(guard: Guard) -> None:
    guard.passed("net", "bob")
    guard.warned("net", "carol")
    guard.learn("net", "dave", "plaintext", requires=False)
    guard.require("net", True)
    assert [guard.held("net", nick) for nick in ("bob", "carol", "dave", "erin")] == [
        Held.REQUIRED,
        Held.REQUIRED,
        None,
        Held.REQUIRED,
    ]
    guard.release("net", "bob")
    assert guard.held("net", "bob") is Held.REQUIRED, "a policy is changed by /otr policy, not by /otr end"
    guard.require("net", False)
    assert guard.held("net", "bob") is None


def test_a_nick_change_takes_the_knowledge_along(guard: Guard) -> None:
    guard.learn("net", "bob", "encrypted")
    guard.move("net", "bob", "Bobby")
    assert guard.held("net", "bobby") is Held.ENCRYPTED
    assert guard.held("net", "bob") is Held.UNKNOWN
    assert guard.protected() == [("net", "Bobby")]
    guard.move("net", "nobody", "bobby")
    assert guard.held("net", "bobby") is Held.ENCRYPTED


@pytest.mark.parametrize(("moving", "there"), [("encrypted", "plaintext"), ("plaintext", "encrypted")])
def test_where_two_meet_under_a_nick_the_stricter_holds(guard: Guard, moving: str, there: str) -> None:
    guard.learn("net", "bob", moving)
    guard.learn("net", "bobby", there)
    guard.move("net", "bob", "bobby")
    assert guard.held("net", "bobby") is Held.ENCRYPTED


def test_a_change_of_letter_case_is_a_nick_change(guard: Guard) -> None:
    guard.learn("net", "bob", "encrypted")
    guard.move("net", "bob", "Bob")
    assert guard.held("net", "bob") is Held.ENCRYPTED
    guard.learn("net", "carol", "plaintext")
    guard.move("net", "carol", "Carol")
    assert guard.held("net", "carol") is None


def test_the_server_says_which_nicks_are_one(guard: Guard) -> None:
    guard.learn("net", "bob[]", "encrypted")
    guard.learn("net", "b^", "plaintext")
    assert guard.held("net", "BOB{}") is Held.ENCRYPTED
    guard.set_naming("net", Naming(["CASEMAPPING=ascii"]))
    assert guard.held("net", "BOB[]") is Held.ENCRYPTED
    assert guard.held("net", "bob{}") is Held.UNKNOWN
    guard.learn("net", "bob{}", "plaintext")
    guard.set_naming("net", Naming([]))
    assert guard.held("net", "bob{}") is Held.ENCRYPTED, "of two nicks that are one now, the stricter holds"
    assert guard.held("net", "b~") is None


def test_another_engine_has_lost_what_it_does_not_list(guard: Guard) -> None:
    assert guard.reconcile("1-100", []) == ([], [])
    guard.learn("net", "bob", "encrypted")
    guard.learn("net", "carol", "plaintext", starting=True)
    guard.learn("net", "dave", "finished")
    guard.learn("net", "erin", "plaintext")
    guard.learn("net", "frank", "encrypted")
    lost, plain = guard.reconcile("2-200", [("net", "FRANK")])
    assert (lost, plain) == ([("net", "bob"), ("net", "carol"), ("net", "dave")], [])
    states = [guard.held("net", nick) for nick in ("bob", "carol", "dave", "erin", "frank")]
    assert states == [Held.LOST, Held.LOST, Held.LOST, None, Held.ENCRYPTED]
    # The same engine once more, which knows nothing of them: the user has still not chosen.
    assert guard.reconcile("2-200", [("net", "frank")]) == ([], [])
    assert guard.held("net", "bob") is Held.LOST
    guard.release("net", "bob")
    assert guard.held("net", "bob") is None


def lost(guard: Guard) -> Guard:
    guard.reconcile("1-100", [])
    guard.learn("net", "bob", "encrypted")
    guard.reconcile("2-200", [])
    assert guard.held("net", "bob") is Held.LOST
    return guard


def test_only_the_user_or_a_new_conversation_ends_the_loss_of_one(guard: Guard) -> None:
    """Neither an engine that knows nothing, nor a peer that begins a start and stops in the middle."""
    lost(guard)
    for starting in (False, True, False):
        guard.learn("net", "bob", "plaintext", starting=starting)
        guard.passed("net", "bob")
        guard.warned("net", "bob")
        assert guard.held("net", "bob") is Held.LOST
    guard.learn("net", "bob", "encrypted")
    assert guard.held("net", "bob") is Held.ENCRYPTED
    guard.learn("net", "bob", "plaintext")
    assert guard.held("net", "bob") is None


def test_a_loss_survives_the_script_and_a_nick_change(guard: Guard) -> None:
    later = Guard(json.loads(json.dumps(lost(guard).kept)))
    later.move("net", "bob", "bobby")
    assert later.held("net", "bobby") is Held.LOST
    assert later.protected() == []
    later.learn("net", "bobby", "finished")
    assert later.held("net", "bobby") is Held.FINISHED


def test_the_same_engine_knows_what_has_ended(guard: Guard) -> None:
    guard.reconcile("1-100", [])
    guard.learn("net", "bob", "encrypted")
    assert guard.reconcile("1-100", []) == ([], [("net", "bob")])
    assert guard.held("net", "bob") is None


def test_an_engine_without_a_name_is_never_the_same(guard: Guard) -> None:
    guard.reconcile("", [])
    guard.learn("net", "bob", "encrypted")
    assert guard.reconcile("", []) == ([("net", "bob")], [])


def test_the_knowledge_survives_the_script() -> None:
    kept: dict[str, Any] = {}
    first = Guard(kept)
    first.reconcile("1-100", [])
    first.learn("net", "bob", "encrypted")
    first.learn("net", "car\udcffol", "plaintext")
    first.require("strict", True)
    # Through JSON, as a client that keeps texts only would keep it; and the dict itself.
    for later in (Guard(json.loads(json.dumps(first.kept))), Guard(kept)):
        assert later.engine == "1-100"
        assert later.held("net", "bob") is Held.ENCRYPTED
        assert later.held("net", "car\udcffol") is None
        assert later.held("net", "dave") is Held.UNKNOWN
        assert later.held("strict", "dave") is Held.REQUIRED
        later.learn("net", "dave", "finished")
    assert first.held("net", "dave") is Held.FINISHED, "two scripts that share a dict know the same"


@pytest.mark.parametrize(
    "kept",
    [
        {"engine": 5, "servers": []},
        {"servers": {"net": 1}},
        {"servers": {"net": {"peers": []}}},
        {"servers": {"net": {"peers": {"bob": 1}}}},
        {"servers": {"net": {"peers": {"bob": {"nick": "bob"}}}}},
        {"servers": {"net": {"peers": {"bob": {"nick": None, "state": "encrypted"}}}}},
        {"servers": {"net": {"peers": {"bob": {"nick": "bob", "state": "odd"}}}}},
    ],
    ids=str,
)
def test_what_is_not_understood_of_old_knowledge_is_not_known(kept: dict[str, Any]) -> None:
    guard = Guard(kept)
    assert guard.held("net", "bob") is Held.UNKNOWN
    assert guard.engine == ""
    guard.learn("net", "bob", "encrypted")
    assert guard.held("net", "bob") is Held.ENCRYPTED


def test_an_unknown_state_is_refused(guard: Guard) -> None:
    guard.learn("net", "bob", "encrypted")
    with pytest.raises(ValueError, match="odd"):
        guard.learn("net", "bob", "odd")
    assert guard.held("net", "bob") is Held.ENCRYPTED


def test_protected_conversations_are_never_forgotten(guard: Guard) -> None:
    guard.learn("net", "first", "plaintext")
    for number in range(500):
        guard.learn("net", f"safe{number}", "encrypted")
        guard.learn("net", f"strict{number}", "plaintext", requires=True)
    for number in range(MAX_PEERS):
        guard.passed("other", f"somebody{number}")
    assert sum(len(known["peers"]) for known in guard.kept["servers"].values()) == MAX_PEERS
    assert guard.held("net", "first") is Held.UNKNOWN
    assert all(guard.held("net", f"safe{number}") is Held.ENCRYPTED for number in range(500))
    assert all(guard.held("net", f"strict{number}") is Held.REQUIRED for number in range(500))
    assert guard.held("other", f"somebody{MAX_PEERS - 1}") is None


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("nick", "stored"), [("bob[1]", "bob{1}"), ("Bob\\^", "bob|~"), ("b\udc80b", "b%udc80b")]
)
def test_a_policy_from_the_store_holds_for_nicks_that_are_one_there(
    guard: Guard, nick: str, stored: str, known: bool
) -> None:
    guard.set_naming("net", Naming(["CASEMAPPING=ascii"]))
    if known:
        guard.passed("net", nick)
    guard.learn("net", stored, "plaintext", requires=True)
    assert guard.held("net", nick) is Held.REQUIRED
    guard.learn("net", stored, "plaintext", requires=False)
    assert guard.held("net", nick) is (None if known else Held.UNKNOWN)
    guard.learn("net", stored, "encrypted")
    assert guard.held("net", nick) is (None if known else Held.UNKNOWN), "that is somebody else"
