"""Whose network is whose: servers say it themselves, and are not believed further than their domain goes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.errors import StoreError
from otrcore.policy import ALWAYS
from otrcore.store import networks as networks_module
from otrcore.store.database import Database
from otrcore.store.identities import DEFAULT_NETWORK
from otrcore.store.networks import (
    MAX_CLAIMS,
    MAX_HOST,
    MAX_NAME,
    NetworkRow,
    Networks,
    clean,
    clean_host,
    same_domain,
)
from otrcore.store.store import Store
from tests.store.keys import fingerprint, private
from tests.store.processes import Process
from tests.store.sentences import sentence


@pytest.fixture
def networks(database: Database) -> Networks:
    return Networks(database)


def name(networks: Networks, claim: str, host: str) -> str:
    """Place a server about which nothing has to be told."""
    placement = networks.place(claim, host)
    assert placement.told == ()
    return placement.name


def warned(networks: Networks, claim: str, host: str) -> str:
    """Place a server about which the user is warned, by a name of its own; returns what is told."""
    placement = networks.placed(claim, host)
    assert networks.place(claim, host) == placement
    warning, advice = placement.told
    assert warning.startswith("WARNING: ")
    assert placement.name in warning
    assert placement.name not in (clean(claim), clean_host(host))
    assert "otr networks join -- " in advice
    assert (warning + advice).isprintable()
    return warning + advice


# ---- one network, many servers


def test_servers_of_a_domain_are_one_network(networks: Networks) -> None:
    assert name(networks, "Libera.Chat", "irc.libera.chat") == "libera.chat"
    for host in (
        "IRC.Libera.Chat",
        "irc.libera.chat.",
        "libera.chat",
        "irc.eu.libera.chat",
        "lead.libera.chat",
    ):
        assert name(networks, "Libera.Chat", host) == "libera.chat"
    assert networks.names() == ("libera.chat",)
    (row,) = networks.rows()
    assert row == NetworkRow(
        "libera.chat",
        "libera.chat",
        ("irc.libera.chat", "libera.chat", "irc.eu.libera.chat", "lead.libera.chat"),
    )


def test_nothing_is_written_about_a_server_that_is_known(folder: Path, networks: Networks) -> None:
    """So that it can be used where nothing can be saved."""
    networks.place("oftc", "irc.oftc.net")
    beside = Database(folder)
    before = beside.version()
    networks.place("OFTC", "irc.oftc.net")
    networks.placed("OFTC", "irc.oftc.net")
    networks.placed("another", "irc.example.org")
    assert beside.version() == before


SAME = [
    ("irc.libera.chat", "libera.chat"),
    ("IRC.LIBERA.CHAT", "irc.libera.chat."),
    ("a.b.c.example.org", "d.example.org"),
    ("irc.example.co.uk", "www.example.co.uk"),
    ("localhost", "LocalHost"),
    ("localhost.", "localhost"),
    ("127.0.0.1", "127.0.0.1"),
    ("::1", "[::1]"),
    ("2001:db8::1", "2001:0DB8:0:0::1"),
    ("irc.bücher.example", "irc.xn--bcher-kva.example"),
    ("abc.onion", "ABC.onion"),
]
OTHERS = [
    ("libera.chat", "libera.chat.evil.example"),
    ("irc.libera.chat", "irc-libera.chat"),
    ("xlibera.chat", "libera.chat"),
    ("libera.chat", "chat"),
    ("localhost", "localhost.example"),
    ("localhost", "otherhost"),
    ("127.0.0.1", "127.0.0.2"),
    ("10.1.0.1", "10.2.0.1"),
    ("1.2.3.4", "9.9.3.4"),
    ("::1", "1"),
    ("::ffff:1.2.3.4", "::ffff:9.9.3.4"),
    ("fe80::1", "fe80::2"),
    ("1.2.3.4", "0x1.0x2.3.4"),
    ("evil.127.1", "127.1"),
    ("good.co.uk", "evil.co.uk"),
    ("irc.good.org.uk", "irc.evil.org.uk"),
    ("good.com.au", "evil.com.au"),
    ("a.onion", "b.onion"),
    ("", "x"),
    (".", "x"),
    ("a.", "b."),
    ("日本.example.jp", "中国.example2.jp"),
    ("日本.jp", "中国.jp"),
    ("x" * 70 + ".good.example", "x" * 70 + ".evil.example"),
    ("x" * 50 + ".libera.chat." + "y" * 60 + ".evil.example", "irc.libera.chat"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_hosts_of_the_same_people(networks: Networks, one: str, other: str) -> None:
    assert same_domain(one, other)
    assert same_domain(other, one)
    first = name(networks, "net", one)
    assert name(networks, "net", other) == first


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_hosts_of_other_people(networks: Networks, one: str, other: str) -> None:
    assert not same_domain(one, other)
    assert not same_domain(other, one)
    networks.place("net", one)
    warned(networks, "net", other)


# ---- liars


def test_a_server_that_claims_a_network_of_others_gets_a_name_of_its_own(networks: Networks) -> None:
    assert name(networks, "libera.chat", "irc.libera.chat") == "libera.chat"
    told = warned(networks, "Libera.Chat", "irc.evil.example")
    assert "irc.evil.example calls itself libera.chat" in told
    assert "irc.libera.chat" in told
    assert "otr networks join -- libera.chat irc.evil.example" in told
    own = name(networks, "libera.chat", "irc.evil.example")
    assert own == "libera.chat@irc.evil.example", "it is told once"
    assert name(networks, "libera.chat", "irc2.evil.example") == own
    assert name(networks, "libera.chat", "irc.libera.chat") == "libera.chat"
    third = networks.place("libera.chat", "third.example").name
    assert len({third, own, "libera.chat"}) == 3


def test_what_is_placed_only_is_not_remembered(networks: Networks) -> None:
    for claim, host in [("net", "a.example"), ("net", "b.example"), ("", "c.example")]:
        assert networks.placed(claim, host).told == ()
    assert networks.rows() == ()
    networks.place("net", "a.example")
    for _ in range(2):
        assert networks.placed("net", "b.example").told
    assert [row.hosts for row in networks.rows()] == [("a.example",)]


def test_the_name_of_a_host_can_be_claimed_by_nobody_else(networks: Networks) -> None:
    assert name(networks, "", "irc.good.example") == "irc.good.example"
    warned(networks, "irc.good.example", "irc.evil.test")
    own = networks.place("net", "irc.good2.example").name
    warned(networks, "net", "irc.evil.test")
    warned(networks, own, "irc.evil2.test")


def test_no_server_can_claim_a_name_that_we_gave(networks: Networks) -> None:
    networks.place("net", "good.example")
    own = networks.place("net", "other.example").name
    assert own == "net@other.example"
    assert networks.place(own, "evil.test").name != own


def test_nobody_gets_the_default_identity(folder: Path) -> None:
    """It is for networks without a key of their own: a key made under this name would serve all of them."""
    with Store(folder) as store:
        for claim, host in [
            ("default", "evil.example"),
            ("DEFAULT ", "evil2.example"),
            ("", "default"),
            ("default", "default"),
        ]:
            place = store.networks.place(claim, host)
            assert place.name != DEFAULT_NETWORK
            assert DEFAULT_NETWORK in place.name
            store.identities.for_network(place.name)
        assert store.networks.expect("default") != DEFAULT_NETWORK
        assert store.identities.find(DEFAULT_NETWORK) is None
        assert DEFAULT_NETWORK not in store.networks.names()
        with pytest.raises(StoreError):
            store.networks.join(DEFAULT_NETWORK, "evil.example")


def test_a_server_that_renames_itself_fills_nothing(networks: Networks) -> None:
    for number in range(3 * MAX_CLAIMS):
        assert name(networks, f"net{number}", "evil.example") == f"net{number}"
    assert sum(len(row.hosts) for row in networks.rows()) == MAX_CLAIMS
    assert name(networks, "libera.chat", "irc.libera.chat") == "libera.chat"
    warned(networks, "libera.chat", "evil.example")
    assert name(networks, "net0", "evil.example") == "net0"


def test_what_is_remembered_is_bounded(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks_module, "MAX_ROWS", 10)
    networks.place("libera.chat", "irc.libera.chat")
    for number in range(20):
        name(networks, f"net{number}", f"host{number}.example{number}.test{number}")
    assert sum(len(row.hosts) for row in networks.rows()) == 10
    assert name(networks, "libera.chat", "lead.libera.chat") == "libera.chat"
    warned(networks, "libera.chat", "evil.example")
    networks.join("libera.chat", "tunnel.example")
    assert name(networks, "libera.chat", "tunnel.example") == "libera.chat", "what the user says is kept"


def test_a_server_that_ceases_to_tell_its_network_is_known_all_the_same(networks: Networks) -> None:
    assert name(networks, "libera.chat", "irc.libera.chat") == "libera.chat"
    assert name(networks, "", "irc.libera.chat") == "libera.chat"
    assert name(networks, "irc.libera.chat", "irc.libera.chat") == "libera.chat"


def test_a_server_that_begins_to_tell_its_network_is_known_all_the_same(networks: Networks) -> None:
    assert name(networks, "", "irc.libera.chat") == "irc.libera.chat"
    assert name(networks, "libera.chat", "irc.libera.chat") == "irc.libera.chat"
    assert name(networks, "libera.chat", "irc2.libera.chat") == "irc.libera.chat"
    told = warned(networks, "libera.chat", "evil.example")
    assert "otr networks join -- irc.libera.chat evil.example" in told, "the name under which it is known"


def test_the_networks_behind_a_bouncer_are_several(networks: Networks) -> None:
    host = "bouncer.example"
    assert [name(networks, claim, host) for claim in ("libera.chat", "oftc")] == ["libera.chat", "oftc"]
    assert name(networks, "", host) == host, "it could be either"
    assert name(networks, "third", "localhost") == "third"
    assert name(networks, "fourth", "localhost") == "fourth"


# ---- names


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Libera.Chat", "libera.chat"),
        ("  OFTC ", "oftc"),
        ("two words", "two-words"),
        ("\x1b[31mred\x07", "31mred"),
        ("a\nb\x00c\u202ed\udcffe", "a-b-c-d-e"),
        ("--help", "help"),
        ("$(x)`y`;'\"|&<>*?!", "x--y"),
        ("../../etc", "..-..-etc"),
        ("a@b:c/d\\e", "a-b-c-d-e"),
        ("", ""),
        ("***", ""),
        ("a_b-c+d.e", "a_b-c+d.e"),
    ],
)
def test_names_are_cleaned(networks: Networks, text: str, cleaned: str) -> None:
    assert clean(text).rstrip("-") == cleaned.rstrip("-")
    assert networks.place(text, "host.example").name == (clean(text) or "host.example")


@given(st.text(alphabet=st.characters()))
def test_cleaned_names_are_clean(text: str) -> None:
    for cleaned, most in ((clean(text), MAX_NAME), (clean_host(text), MAX_HOST)):
        assert len(cleaned) <= most
        assert cleaned.isascii()
        assert cleaned.isprintable()
        assert not set(cleaned) & set(" \"'`$;|&<>*?!\\/@#%{}()")
        assert not cleaned.startswith("-")
        assert cleaned == cleaned.lower()
    assert clean(clean(text)) == clean(text)
    assert clean_host(clean_host(text)) == clean_host(text)


class Unmet(Networks):
    """Nobody was met yet, and there is no file to look into."""

    def __init__(self) -> None:
        pass

    def _rows(self) -> list[tuple[str, str, str]]:
        return []


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_server_is_placed(claim: str, host: str) -> None:
    place = Unmet().placed(claim, host)
    assert place.told == ()
    assert place.name != DEFAULT_NETWORK
    assert place.name.isprintable()


def test_long_names_are_cut_and_long_hosts_are_told_apart(networks: Networks) -> None:
    assert name(networks, "n" * 1000, "a.example") == "n" * MAX_NAME
    first = name(networks, "", "h" * 60 + ".a.example")
    assert first == "h" * 60 + ".a.example"
    assert name(networks, "", "h" * 60 + ".b.example") != first


def test_names_of_all_that_is_known(folder: Path) -> None:
    with Store(folder) as store:
        store.networks.place("placed", "a.example")
        store.identities.put("own key", private(0))
        store.identities.put(DEFAULT_NETWORK, private(1))
        store.contacts.met("people", "bob", fingerprint(1))
        store.policies.set("chosen", None)
        store.policies.set("policy", ALWAYS)
        assert store.networks.names() == ("own key", "people", "placed", "policy")


# ---- what the user says


def test_a_server_joins_a_network(networks: Networks) -> None:
    networks.place("libera.chat", "irc.libera.chat")
    warned(networks, "libera.chat", "tunnel.example")
    networks.join("Libera.Chat", "Tunnel.Example.")
    assert name(networks, "libera.chat", "tunnel.example") == "libera.chat"
    assert networks.of_host("tunnel.example") == "libera.chat"
    assert networks.place("libera.chat", "evil.test").told, "nobody else has joined"
    assert name(networks, "libera.chat", "irc.libera.chat") == "libera.chat"


def test_a_server_joins_before_it_was_met(networks: Networks) -> None:
    networks.place("oftc", "irc.oftc.net")
    networks.join("oftc", "[2001:DB8::1]")
    assert name(networks, "oftc", "2001:db8::1") == "oftc"


def test_a_server_of_another_claim_joins(networks: Networks) -> None:
    networks.place("libera.chat", "irc.libera.chat")
    assert name(networks, "private-link", "link.example") == "private-link"
    networks.join("libera.chat", "link.example")
    for claim in ("private-link", "libera.chat"):
        assert name(networks, claim, "link.example") == "libera.chat"


def test_one_network_of_a_bouncer_joins_and_the_others_stay(networks: Networks) -> None:
    networks.place("libera.chat", "irc.libera.chat")
    assert name(networks, "oftc", "bouncer.example") == "oftc"
    warned(networks, "libera.chat", "bouncer.example")
    networks.join("libera.chat", "bouncer.example")
    assert name(networks, "libera.chat", "bouncer.example") == "libera.chat"
    assert name(networks, "oftc", "bouncer.example") == "oftc"


def test_a_name_that_we_gave_can_be_joined(networks: Networks) -> None:
    networks.place("net", "a.example")
    own = networks.place("net", "b.test").name
    networks.join(own, "c.test2")
    assert name(networks, "net", "c.test2") == own
    assert name(networks, "net", "a.example") == "net"


@pytest.mark.parametrize("unknown", ["nothing", "", "\x1b[31m", "net@elsewhere", "default"])
def test_only_a_network_that_is_known_can_be_joined(networks: Networks, unknown: str) -> None:
    networks.place("net", "a.example")
    before = networks.rows()
    with pytest.raises(StoreError) as caught:
        networks.join(unknown, "b.example")
    assert "No network is called" in sentence(caught.value)
    assert str(caught.value).isprintable()
    assert networks.rows() == before


# ---- imports, which know hosts only


@pytest.mark.parametrize("claim", ["Libera.Chat", ""])
@pytest.mark.parametrize("host", ["irc.libera.chat", "IRC.libera.chat.", "lead.libera.chat"])
def test_a_server_that_was_expected_is_known_when_it_is_met(folder: Path, claim: str, host: str) -> None:
    with Store(folder) as store:
        expected = store.networks.expect("irc.libera.chat")
        key = store.identities.put(expected, private(2)).fingerprint
        assert store.networks.expect("irc.libera.chat") == expected
        assert store.networks.of_host(host) == expected
        placement = store.networks.place(claim, host)
        assert placement.told == ()
        assert store.identities.for_network(placement.name).fingerprint == key
        again = store.networks.place(claim, host)
        assert again == placement


def test_a_server_that_was_met_is_known_when_it_is_expected(networks: Networks) -> None:
    networks.place("libera.chat", "irc.libera.chat")
    before = networks.rows()
    for host in ("irc.libera.chat", "Lead.Libera.Chat"):
        assert networks.expect(host) == "libera.chat"
    assert networks.rows() == before
    assert networks.of_host("irc.oftc.net") is None
    assert networks.expect("irc.oftc.net") == "irc.oftc.net"


def test_who_was_expected_stays_apart_from_liars(networks: Networks) -> None:
    networks.expect("irc.good.example")
    warned(networks, "irc.good.example", "evil.test")
    assert name(networks, "goodnet", "irc.good.example") == "irc.good.example"
    warned(networks, "goodnet", "evil.test")


def test_a_bouncer_that_was_expected_is_one_network(networks: Networks) -> None:
    """Which one, an import cannot tell: the first that is met; the others get names of their own."""
    assert networks.expect("bouncer.example") == "bouncer.example"
    assert name(networks, "libera.chat", "bouncer.example") == "bouncer.example"
    assert name(networks, "oftc", "bouncer.example") == "oftc"
    assert name(networks, "libera.chat", "bouncer.example") == "bouncer.example"


# ---- several processes


def test_two_processes_that_meet_a_claim_at_once_agree(folder: Path) -> None:
    Database(folder).close()
    hosts = ["a.example", "b.test", "c.invalid"]
    with ExitStack() as running:
        others = [running.enter_context(Process("place", folder, host)) for host in hosts]
        for other in others:
            assert other.said() == "ready"
        for other in others:
            other.go_on()
        names = [other.said() for other in others]
    assert sorted(names) == sorted({"net", *(f"net@{host}" for host in hosts)} & set(names))
    assert names.count("net") == 1
    networks = Networks(Database(folder))
    assert [networks.place("net", host).name for host in hosts] == names
