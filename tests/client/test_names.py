"""Who is a person, for the client alone: the same as for the engine, which is asked whenever it is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.client.names import Naming, as_stored
from otrcore.irc.isupport import Features
from otrcore.irc.names import Target, classify, fold
from otrcore.store.contacts import fold_nick

SERVERS = [
    [],
    ["CASEMAPPING=ascii", "NETWORK=Libera.Chat", "CHANTYPES=#", "STATUSMSG=@+"],
    ["CASEMAPPING=rfc1459-strict", "CHANTYPES=#&!+"],
    ["CASEMAPPING=strict-rfc1459", "STATUSMSG=~&@%+"],
    ["CASEMAPPING=RFC1459", "CHANTYPES="],
    ["CASEMAPPING=rfc7613"],
    ["CHANTYPES=ab#", "STATUSMSG=x@"],
    ["CHANTYPES=#[", "STATUSMSG=_^", "CASEMAPPING=ascii", "-CASEMAPPING"],
    ["CHANTYPES=+", "-CHANTYPES", "STATUSMSG=@", "STATUSMSG"],
    ["CHANTYPES", "-STATUSMSG", "=", "", "CHANTYPES=#\N{BULLET}"],
]
NAMES = [
    *("bob", "Bob", "bob[]", "BOB{}", "b|b", "b\\b", "b^b", "b~b", "_", "[x]", "b-b", "9bob"),
    *(
        "#chan",
        "&chan",
        "!ABCDEchan",
        "+chan",
        "@#chan",
        "+#chan",
        "%#chan",
        "~&chan",
        "@+#chan",
        "@bob",
        "#",
    ),
    *(
        "NickServ",
        "chanserv",
        "Q",
        "alis",
        "Global",
        "irc.example.org",
        "*",
        "*status",
        "$$*",
        "$*.org",
        "=bob",
    ),
    *("bob!b@h", "bob@irc.example.org", "bob%host", "serv", "server", "", "abba", "xbob"),
]


def engine(tokens: list[str]) -> Features:
    return Features().updated(tokens)


@pytest.mark.parametrize("tokens", SERVERS, ids=" ".join)
@pytest.mark.parametrize("name", NAMES)
def test_who_is_a_person(tokens: list[str], name: str) -> None:
    recipients = classify(name, "text", engine(tokens)).recipients
    person = bool(recipients) and recipients[0].kind is Target.PERSON
    naming = Naming(tokens)
    assert naming.is_person(name) == person
    if person:
        assert naming.key(name) == recipients[0].key


@given(st.sampled_from(SERVERS), st.text(max_size=12))
def test_nicks_are_folded_alike(tokens: list[str], nick: str) -> None:
    assert Naming(tokens).fold(nick) == fold(nick, engine(tokens))


@given(st.sampled_from(SERVERS), st.text("abB#&+@!.*$=%~\\[]{}^|serv", min_size=1, max_size=8))
def test_any_name_is_sorted_alike(tokens: list[str], name: str) -> None:
    recipients = classify(name, "text", engine(tokens)).recipients
    assert Naming(tokens).is_person(name) == (recipients[0].kind is Target.PERSON)


@given(st.text(st.characters(), max_size=140) | st.text("aB[]{}\\|^~\udc80%", max_size=140))
def test_a_stored_nick_is_the_stores(nick: str) -> None:
    assert as_stored(nick) == fold_nick(nick)
