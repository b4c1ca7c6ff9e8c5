"""An account and its conversations: made when first asked for, followed, forgotten."""

from __future__ import annotations

import pytest

from otrcore import Account, Identity, MessageState, Received, UsageError
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.policy import MANUAL, Policy
from tests.pair import Pair, identity
from tests.snapshot import secrets_in, snapshot


def names(account: Account) -> list[str]:
    return [talk.peer for talk in account]


def test_a_conversation_is_made_once() -> None:
    account = Account(identity("alice"))
    assert "bob" not in account
    talk = account.conversation("bob")
    assert account.conversation("bob") is talk
    assert talk.peer == "bob"
    assert "bob" in account
    assert len(account) == 1
    assert talk.state is MessageState.PLAINTEXT
    assert talk.info is None
    assert not talk.starting
    assert talk.idle
    assert talk.next_tick is None


def test_names_are_compared_as_they_are() -> None:
    account = Account(identity("alice"))
    assert account.conversation("Bob") is not account.conversation("bob")


def test_conversations_are_gone_over_in_the_order_of_their_making() -> None:
    account = Account(identity("alice"))
    for name in ("carol", "bob", "dave", "bob"):
        account.conversation(name)
    assert names(account) == ["carol", "bob", "dave"]


def test_conversations_may_come_and_go_while_they_are_gone_over() -> None:
    account = Account(identity("alice"))
    account.conversation("bob")
    account.conversation("carol")
    for talk in account:
        account.forget(talk.peer)
        account.conversation(f"{talk.peer}_")
    assert names(account) == ["bob_", "carol_"]


def test_forgetting_drops_the_keys_without_a_word() -> None:
    pair = Pair()
    pair.secure()
    account = pair.accounts["alice"]
    assert secrets_in(snapshot(account))
    account.forget("bob")
    assert "bob" not in account
    assert secrets_in(snapshot(account)) == set()
    assert pair.lines == []
    assert account.conversation("bob").state is MessageState.PLAINTEXT
    account.forget("nobody")


def test_a_conversation_follows_its_peer_to_another_name() -> None:
    pair = Pair()
    info = pair.secure()
    account = pair.accounts["alice"]
    account.rename("bob", "robert")
    assert "bob" not in account
    assert account.conversation("robert") is pair.alice
    assert pair.alice.peer == "robert"
    assert pair.alice.info == info
    pair.say("bob", "still me")
    assert [type(event) for event in pair.events("alice")] == [Received]
    assert account.conversation("bob").state is MessageState.PLAINTEXT


def test_a_conversation_under_the_new_name_was_with_somebody_else() -> None:
    pair = Pair()
    pair.secure()
    account = pair.accounts["alice"]
    somebody = account.conversation("robert")
    account.rename("bob", "robert")
    assert account.conversation("robert") is pair.alice
    assert somebody not in list(account)
    assert names(account) == ["robert"]


def test_renaming_where_there_is_nothing_to_rename() -> None:
    account = Account(identity("alice"))
    account.rename("bob", "robert")
    assert names(account) == []
    talk = account.conversation("bob")
    account.rename("bob", "bob")
    assert account.conversation("bob") is talk


def test_conversations_of_one_account_do_not_share_a_session() -> None:
    pair = Pair()
    pair.secure()
    other = pair.accounts["alice"].conversation("carol")
    assert other.state is MessageState.PLAINTEXT
    pair.do("bob", pair.bob.send("for Alice's conversation with Bob"))
    line = pair.on_the_way["alice"][0]
    assert not any(isinstance(event, Received) for event in other.receive(line))


def test_a_version_that_nobody_speaks_is_refused() -> None:
    for version in (1, 5, 99):
        with pytest.raises(UsageError, match="versions"):
            Account(identity("alice"), Policy(frozenset({3, version})))


def test_an_identity_shows_its_fingerprint_as_every_client_does() -> None:
    shown = str(identity("alice").fingerprint)
    groups = shown.split(" ")
    assert [len(group) for group in groups] == [8] * 5
    assert bytes.fromhex("".join(groups)) == identity("alice").fingerprint.digest
    assert shown == shown.upper()


def test_an_identity_survives_being_stored() -> None:
    key = identity("alice").dsa
    again = Identity(DsaPrivateKey.from_der(key.to_der()))
    assert again.fingerprint == identity("alice").fingerprint


def test_renewing_reaches_what_exists_and_what_comes() -> None:
    account = Account(identity("alice"))
    there = account.conversation("bob")
    account.renew(identity("another"), MANUAL)
    assert there.renew(identity("another"), MANUAL) == []
    assert (account.identity, account.policy) == (identity("another"), MANUAL)
    assert there.policy == account.conversation("carol").policy == MANUAL
