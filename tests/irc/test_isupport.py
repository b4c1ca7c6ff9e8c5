"""What the server says about itself, and what it may not make us believe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.irc.isupport import Features


def after(*tokens: str) -> Features:
    return Features().updated(tokens)


def test_defaults_are_a_server_without_005() -> None:
    assert Features() == Features(None, "rfc1459", "#&", "", None)


def test_a_usual_server() -> None:
    features = after(
        "CALLERID",
        "CASEMAPPING=ascii",
        "NETWORK=Example",
        "NICKLEN=30",
        "STATUSMSG=@+",
        "CHANTYPES=#",
    )
    assert features == Features("Example", "ascii", "#", "@+", 30)


def test_several_005_add_up_and_the_later_wins() -> None:
    features = after("NETWORK=one", "NICKLEN=9").updated(["NETWORK=two"])
    assert (features.network, features.nicklen) == ("two", 9)


def test_negation_takes_a_token_back() -> None:
    assert after("NETWORK=x", "CHANTYPES=#", "-NETWORK", "-CHANTYPES", "-NEVERSAID") == Features()


def test_escapes() -> None:
    assert after(r"NETWORK=My\x20Net\x5Cwork\x3D1").network == r"My Net\work=1"


def test_an_escape_cannot_bring_control_characters_in() -> None:
    assert after(r"NETWORK=a\x0Ab\x1B[2J\x00c").network == "ab[2Jc"


def test_no_channels_at_all() -> None:
    assert after("CHANTYPES=").chantypes == ""
    assert after("CHANTYPES").chantypes == ""


@pytest.mark.parametrize(
    ("token", "monitor"), [("MONITOR", True), ("MONITOR=", True), ("MONITOR=30", True), ("MONITOR=0", False)]
)
def test_monitor(token: str, monitor: bool) -> None:
    assert after(token).monitor is monitor
    assert not after(token, "-MONITOR").monitor


@pytest.mark.parametrize(
    ("token", "letter"),
    [("BOT=B", "B"), ("BOT=b", "b"), ("BOT", ""), ("BOT=", ""), ("BOT=BC", ""), ("BOT=+", ""), ("BOT=ä", "")],
)
def test_the_mode_of_bots(token: str, letter: str) -> None:
    assert after(token).bot == letter


@pytest.mark.parametrize(
    "token",
    [
        "MONITOR=many",
        "MONITOR=-1",
        "MAXLIST=b",
        "PREFIX=ov",
        "NICKLEN",
        "NICKLEN=",
        "NICKLEN=many",
        "NICKLEN=-1",
        "NICKLEN=0",
        "NICKLEN=" + "9" * 400,
        "NICKLEN=٣٠",
        "CHANTYPES=abc",
        *(f"CHANTYPES=#{character}" for character in "[]\\`_^{|}-\N{FOX FACE}"),
        "STATUSMSG=@[",
        "STATUSMSG=b",
        "NETWORK=",
        "NETWORK",
        "CASEMAPPING=",
        "=x",
        "-",
        "",
        "are supported by this server",
        "network=lower",
        "__CLASS__=x",
        "UPDATED=x",
    ],
)
def test_a_token_that_makes_no_sense_changes_nothing(token: str) -> None:
    features = after("NICKLEN=20", "NETWORK=net", token)
    assert features == Features(network="net", nicklen=20)


def test_texts_are_bounded() -> None:
    features = after("NETWORK=" + "n" * 5000, "CASEMAPPING=" + "c" * 5000, "CHANTYPES=" + "#" * 5000)
    assert max(map(len, (features.network or "", features.casemapping, features.chantypes))) <= 100


@given(st.lists(st.text() | st.from_regex(r"-?[A-Z]{1,11}(=.*)?", fullmatch=True)))
def test_any_tokens_leave_features_in_their_ranges(tokens: list[str]) -> None:
    features = after(*tokens)
    assert features.nicklen is None or 1 <= features.nicklen <= 1000
    assert features.network is None or features.network.isprintable()
