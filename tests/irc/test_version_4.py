"""Version 4 on IRC: the names that key exchanges authenticate, and our client profile over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrcore.irc.isupport import Features
from otrcore.irc.keeper import StoreKeeper
from otrcore.model import MessageState
from otrcore.store.store import Store
from tests.irc.network import Network, User

ENCRYPTED = MessageState.ENCRYPTED


def lines_of(network: Network, sender: str) -> list[str]:
    return [line.text for line in network.lines if line.sender == sender]


@pytest.mark.parametrize(
    ("casemapping", "nick", "name"),
    [
        ("ascii", "Alice[1]", "alice[1]"),
        ("rfc1459", "Alice[1]^\\", "alice{1}~|"),
        ("rfc1459-strict", "Alice[1]^\\", "alice{1}^|"),
        ("unheard-of", "Alice[1]^\\", "alice{1}~|"),
        (
            "rfc1459",
            "ZO\N{LATIN CAPITAL LETTER E WITH DIAERESIS}",
            "zo\N{LATIN CAPITAL LETTER E WITH DIAERESIS}",
        ),
    ],
)
def test_both_nicks_are_folded_as_the_server_folds_them(casemapping: str, nick: str, name: str) -> None:
    network = Network(Features(network="Testnet", casemapping=casemapping))
    alice, bob = network.join(nick), network.join("BoB")
    assert (alice.account.name, bob.account.name) == (name, "bob")
    alice.start("bOb")
    assert alice.host.state("bob") is bob.host.state(nick) is ENCRYPTED
    info = bob.account.conversation(name).info
    assert info is not None
    assert info.version == 4


@pytest.mark.parametrize("who", ["own", "peer"])
def test_a_start_goes_on_under_the_name_that_one_side_has_changed_to(
    network: Network, alice: User, bob: User, who: str
) -> None:
    network.users.remove(alice)  # does not hear of the first Identity message
    bob.do(bob.host.incoming("alice", "bob", "?OTRv4?").actions)
    before = lines_of(network, "bob")
    assert len(before) > 1
    network.users.append(alice)
    network.rename(*((bob, "robert") if who == "own" else (alice, "alicia")))
    again = lines_of(network, bob.nick)[-len(before) :]
    network.settle()
    assert again != before
    assert alice.host.state(bob.nick) is bob.host.state(alice.nick) is ENCRYPTED


def test_a_running_session_is_not_touched_by_a_new_nick(secured: Network, alice: User, bob: User) -> None:
    ssid = alice.host.talk("bob").info.ssid  # type: ignore[union-attr]
    secured.rename(alice, "alicia")
    secured.rename(bob, "robert")
    assert secured.lines == []
    assert alice.host.talk("robert").info.ssid == ssid  # type: ignore[union-attr]
    assert alice.account.name == "alicia"


def test_a_nick_in_other_capitals_is_the_same_name(network: Network, alice: User, bob: User) -> None:
    network.users.remove(alice)
    bob.do(bob.host.incoming("alice", "bob", "?OTRv4?").actions)
    before = len(network.lines)
    network.rename(bob, "BOB")
    assert len(network.lines) == before
    assert bob.account.name == "bob"


def test_the_client_profile_is_kept_for_the_next_run(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        with Store(tmp_path) as store:
            keeper = StoreKeeper(store)
            account = keeper.account("testnet")
            made.append(account.client_profile)
            keeper.keep_profile("testnet", account)
            assert store.profiles.load("testnet", account.instance_tag) == made[0]
    assert made[0] == made[1]


def test_it_is_saved_once_a_conversation_has_opened_with_it(
    network: Network, bob: User, tmp_path: Path
) -> None:
    with Store(tmp_path) as store:
        alice = network.join("alice")
        host = alice.host
        host._keeper = keeper = StoreKeeper(store, clock=network.clock)
        host.connected("alice", Features(network="Othernet", casemapping="ascii"))
        account = host._conversations.account
        assert account is not None
        assert store.profiles.load("othernet", account.instance_tag) is None
        alice.start("bob")
        assert host.state("bob") is ENCRYPTED
        assert store.profiles.load("othernet", account.instance_tag) == account.client_profile
        assert keeper.news() == ()
