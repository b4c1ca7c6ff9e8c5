"""Who a message is for and what it carries, and when two nicks are the same."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.irc.isupport import Features
from otrcore.irc.names import SERVICES, Payload, Target, classify, fold, network_name

USUAL = Features(chantypes="#&", statusmsg="@+")

# What each CASEMAPPING makes of the characters that differ between them, typed from the documents.
FOLDED = {
    "ascii": {"A": "a", "Z": "z", "[": "[", "]": "]", "\\": "\\", "^": "^"},
    "rfc1459": {"A": "a", "Z": "z", "[": "{", "]": "}", "\\": "|", "^": "~"},
    "rfc1459-strict": {"A": "a", "Z": "z", "[": "{", "]": "}", "\\": "|", "^": "^"},
    "strict-rfc1459": {"A": "a", "Z": "z", "[": "{", "]": "}", "\\": "|", "^": "^"},
    "rfc7613": {"A": "a", "Z": "z", "[": "{", "]": "}", "\\": "|", "^": "~"},
    "": {"A": "a", "Z": "z", "[": "{", "]": "}", "\\": "|", "^": "~"},
}
UNCHANGED = "az09{}|~-_`@!é\N{LATIN CAPITAL LETTER E WITH ACUTE}\N{KELVIN SIGN}ß"


@pytest.mark.parametrize("casemapping", FOLDED)
def test_fold_by_casemapping(casemapping: str) -> None:
    features = Features(casemapping=casemapping)
    for upper, lower in FOLDED[casemapping].items():
        assert fold(f"x{upper}y", features) == f"x{lower}y"
    assert fold(UNCHANGED, features) == UNCHANGED
    assert fold(string.ascii_uppercase, features) == string.ascii_lowercase


@given(st.text(), st.sampled_from(list(FOLDED)))
def test_folding_twice_changes_nothing_more(nick: str, casemapping: str) -> None:
    features = Features(casemapping=casemapping)
    once = fold(nick, features)
    assert fold(once, features) == once
    assert len(once) == len(nick)


@pytest.mark.parametrize(
    ("said", "client_name", "name"),
    [
        ("Libera.Chat", "irc.libera.chat", "libera.chat"),
        ("OFTC", "oftc", "oftc"),
        ("Some Net", "x", "some net"),
        (None, "Irc.Example.ORG", "irc.example.org"),
        (None, "  Home ", "home"),
        ("", "fallback", "fallback"),
    ],
)
def test_network_name(said: str | None, client_name: str, name: str) -> None:
    assert network_name(Features(network=said), client_name) == name


def test_the_same_network_by_whatever_server_is_one_name() -> None:
    names = {
        network_name(Features().updated([token]), client)
        for token, client in [("NETWORK=Example", "one.example.org"), ("NETWORK=EXAMPLE", "other")]
    }
    assert names == {"example"}


PEOPLE = [
    ("bob", "bob"),
    ("BOB", "bob"),
    ("[bob]^\\", "{bob}~|"),
    ("bob!~b@host.example", "bob"),
    ("Bob@irc.example.org", "bob"),
    ("bob%host@irc.example.org", "bob"),
    ("bob%host", "bob"),
    ("serval", "serval"),
    ("server1", "server1"),
    ("globalist", "globalist"),
    ("alison", "alison"),
    ("b*b", "b*b"),
    ("bob$", "bob$"),
    ("bob=", "bob="),
    ("bob#", "bob#"),
    ("münchen", "münchen"),
]

SERVICE_NAMES = [
    "NickServ",
    "nickserv",
    "ChanServ",
    "MemoServ",
    "serv",
    "alis",
    "ALIS",
    "global",
    "Global",
    "*status",
    "*controlpanel",
    "*",
    "nickserv@services.net",
    "NickServ@services.dal.net",
    "Global!services@services.int",
]


def kinds(targets: str, features: Features = USUAL, services: frozenset[str] = SERVICES) -> list[Target]:
    return [recipient.kind for recipient in classify(targets, "hello", features, services).recipients]


@pytest.mark.parametrize(("name", "key"), PEOPLE)
def test_a_person(name: str, key: str) -> None:
    (recipient,) = classify(name, "hello", USUAL).recipients
    assert (recipient.name, recipient.kind, recipient.key) == (name, Target.PERSON, key)


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_a_service(name: str) -> None:
    assert kinds(name) == [Target.SERVICE]


def test_a_host_may_name_more_services() -> None:
    assert kinds("Q") == [Target.PERSON]
    assert kinds("Q,global,bob", services=SERVICES | {"q"}) == [Target.SERVICE, Target.SERVICE, Target.PERSON]


@pytest.mark.parametrize("name", ["=bob", "=NickServ", "=", "=#chan"])
def test_dcc(name: str) -> None:
    assert kinds(name) == [Target.DCC]


@pytest.mark.parametrize("name", ["$$*.net", "$*.net", "$#x", "$", "$#*.edu"])
def test_a_server_mask(name: str) -> None:
    assert kinds(name) == [Target.SERVER_MASK]


CHANNELS = [
    # name, CHANTYPES, STATUSMSG
    ("#chan", "#&", ""),
    ("&local", "#&", ""),
    ("##", "#", ""),
    ("#", "#", ""),
    ("#serv", "#&", "@+"),
    ("@#chan", "#&", "@+"),
    ("+#chan", "#&", "@+"),
    ("@+#chan", "#&", "@+"),
    ("+@&x", "#&", "@+"),
    ("!ABCDEchan", "#&!+", ""),
    ("+modeless", "#&!+", "@+"),
    ("+@+modeless", "#&!+", "@+"),
    # & and + as both, types of channels and ranks of their members.
    ("@&local", "#&+", "~&@%+"),
    ("&&local", "#&+", "~&@%+"),
    ("&#chan", "#&+", "~&@%+"),
    ("@+modeless", "#&+", "~&@%+"),
    ("~#chan", "#&+", "~&@%+"),
    # No nick can begin with these, whether or not the server says STATUSMSG (older ones do not).
    ("@#chan", "#&", ""),
    ("+#chan", "#&", ""),
]


@pytest.mark.parametrize(("name", "chantypes", "statusmsg"), CHANNELS)
def test_a_channel(name: str, chantypes: str, statusmsg: str) -> None:
    assert kinds(name, Features(chantypes=chantypes, statusmsg=statusmsg)) == [Target.CHANNEL]


@pytest.mark.parametrize("statusmsg", ["", "@+"])
def test_a_server_without_channels_has_people_only(statusmsg: str) -> None:
    features = Features().updated(["CHANTYPES=", f"STATUSMSG={statusmsg}"])
    assert kinds("#bob,&bob,bob", features) == [Target.PERSON] * 3


def test_odd_channel_types() -> None:
    features = Features(chantypes="%", statusmsg="")
    assert kinds("%chan,#bob", features) == [Target.CHANNEL, Target.PERSON]


def test_a_list_has_one_verdict_each() -> None:
    addressed = classify("bob,#chan,NickServ,=eve,$$*.net,@#ops,Carol!c@h", "hello", USUAL)
    assert [(recipient.name, recipient.kind) for recipient in addressed.recipients] == [
        ("bob", Target.PERSON),
        ("#chan", Target.CHANNEL),
        ("NickServ", Target.SERVICE),
        ("=eve", Target.DCC),
        ("$$*.net", Target.SERVER_MASK),
        ("@#ops", Target.CHANNEL),
        ("Carol!c@h", Target.PERSON),
    ]


@pytest.mark.parametrize("targets", ["", ",", ",,,,"])
def test_nobody(targets: str) -> None:
    assert classify(targets, "hello", USUAL).recipients == ()


def test_empty_names_in_a_list_are_nobody() -> None:
    assert kinds(",bob,,carol,") == [Target.PERSON] * 2


PAYLOADS = [
    ("hello", Payload.TEXT, "hello"),
    ("", Payload.TEXT, ""),
    (" ?OTR", Payload.TEXT, " ?OTR"),
    ("say ?OTRv3? to me", Payload.TEXT, "say ?OTRv3? to me"),
    ("?OTRv3?", Payload.OTR, "?OTRv3?"),
    ("?OTR:AAMC.", Payload.OTR, "?OTR:AAMC."),
    ("?OTR Error: x", Payload.OTR, "?OTR Error: x"),
    ("?otrv3?", Payload.TEXT, "?otrv3?"),
    ("\x01ACTION waves\x01", Payload.ACTION, "waves"),
    ("\x01ACTION waves", Payload.ACTION, "waves"),
    ("\x01action waves twice\x01", Payload.ACTION, "waves twice"),
    ("\x01ACTION\x01", Payload.ACTION, ""),
    ("\x01ACTION ?OTRv3?\x01", Payload.ACTION, "?OTRv3?"),
    ("\x01ACTIONS speak\x01", Payload.CTCP, "\x01ACTIONS speak\x01"),
    ("\x01VERSION\x01", Payload.CTCP, "\x01VERSION\x01"),
    ("\x01VERSION", Payload.CTCP, "\x01VERSION"),
    ("\x01DCC CHAT chat 1 2\x01", Payload.CTCP, "\x01DCC CHAT chat 1 2\x01"),
    ("\x01", Payload.CTCP, "\x01"),
    ("\x01\x01", Payload.CTCP, "\x01\x01"),
    ("hello \x01ACTION waves\x01", Payload.TEXT, "hello \x01ACTION waves\x01"),
]


@pytest.mark.parametrize(("text", "payload", "content"), PAYLOADS)
def test_payload(text: str, payload: Payload, content: str) -> None:
    addressed = classify("bob", text, USUAL)
    assert (addressed.payload, addressed.text) == (payload, content)


@given(st.text(), st.text())
def test_anything_is_sorted(targets: str, text: str) -> None:
    addressed = classify(targets, text, USUAL)
    assert ",".join(recipient.name for recipient in addressed.recipients) == ",".join(
        name for name in targets.split(",") if name
    )
    assert (addressed.payload in (Payload.ACTION, Payload.CTCP)) == text.startswith("\x01")
    assert addressed.text in text
