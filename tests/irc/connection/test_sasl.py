"""SASL line by line: what is said to which server, and that nobody is let in who should not be."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.irc.connection.options import Login
from otrcore.irc.connection.sasl import (
    CHUNK,
    AuthenticationRefused,
    Credentials,
    External,
    Negotiation,
    Plain,
    chunks,
)
from tests.irc.connection.hostile_server import Client, Clock, HostileServer, Peer

PASSWORD = "canary-3a7f"
PLAIN = Plain("echo", PASSWORD)
PROOF = base64.b64encode(b"\0echo\0" + PASSWORD.encode()).decode()


def talk(negotiation: Negotiation, *lines: str) -> list[str]:
    """Everything that is answered to a server's lines."""
    said = negotiation.begin()
    for line in lines:
        command, *parameters = line.split(" ")
        if any(parameter.startswith(":") for parameter in parameters):
            at = next(at for at, parameter in enumerate(parameters) if parameter.startswith(":"))
            parameters[at:] = [" ".join(parameters[at:])[1:]]
        said += negotiation.heard(command, parameters)
    return said


OFFER = "CAP * LS :multi-prefix sasl=PLAIN,EXTERNAL message-tags"
ACK = "CAP * ACK :sasl"
BEFORE = (OFFER, ACK, "AUTHENTICATE +")


def test_plain() -> None:
    negotiation = Negotiation(PLAIN)
    assert talk(negotiation, *BEFORE) == [
        "CAP LS 302",
        "CAP REQ :sasl",
        "AUTHENTICATE PLAIN",
        f"AUTHENTICATE {PROOF}",
    ]
    assert not negotiation.authenticated
    assert negotiation.heard("900", ["*", "*!*@*", "echo", "You are now logged in"]) == []
    assert not negotiation.authenticated, "900 tells of an account, 903 of success"
    assert negotiation.heard("903", ["*", "SASL authentication successful"]) == ["CAP END"]
    assert negotiation.authenticated
    assert negotiation.failure == ""


@pytest.mark.parametrize(("account", "response"), [("", "+"), ("echo", "ZWNobw==")])
def test_external(account: str, response: str) -> None:
    negotiation = Negotiation(External(account))
    said = talk(negotiation, *BEFORE, "903 * :good")
    assert said == [
        "CAP LS 302",
        "CAP REQ :sasl",
        "AUTHENTICATE EXTERNAL",
        f"AUTHENTICATE {response}",
        "CAP END",
    ]
    assert negotiation.authenticated


@pytest.mark.parametrize("size", [0, 1, 299, 300, 301, 600, 1000])
def test_long_responses_go_in_chunks_whose_end_can_be_told(size: int) -> None:
    response = bytes(size)
    pieces = chunks(response)
    assert all(len(piece) == CHUNK for piece in pieces[:-1])
    assert len(pieces[-1]) < CHUNK
    assert base64.b64decode("".join(piece for piece in pieces if piece != "+")) == response
    assert all(len(f"AUTHENTICATE {piece}\r\n") <= 512 for piece in pieces)


def test_an_offer_of_several_lines() -> None:
    negotiation = Negotiation(PLAIN, ["message-tags", "never-offered"])
    assert talk(negotiation, "CAP * LS * :a b sasl", "CAP * LS * :message-tags") == ["CAP LS 302"]
    assert negotiation.heard("CAP", ["*", "LS", "c"]) == ["CAP REQ :message-tags", "CAP REQ :sasl"]


def test_useful_capabilities_without_sasl() -> None:
    negotiation = Negotiation(None, ["message-tags"])
    assert negotiation.authenticated
    assert talk(negotiation, OFFER) == ["CAP LS 302", "CAP REQ :message-tags"]
    assert talk(negotiation, "CAP * ACK :message-tags")[-1] == "CAP END"
    assert negotiation.granted == {"message-tags"}
    refused = Negotiation(None, ["message-tags"])
    assert talk(refused, OFFER, "CAP * NAK :message-tags")[-1] == "CAP END"
    nothing = Negotiation(None, ["message-tags"])
    assert talk(nothing, "CAP * LS :") == ["CAP LS 302", "CAP END"]


def test_whoever_wants_nothing_says_nothing() -> None:
    assert talk(Negotiation(), OFFER, ACK, "903", "904", "001 me :hello") == []


@pytest.mark.parametrize("line", ["421 * CAP :Unknown command", "451 * :You have not registered", "410 * x"])
def test_a_server_without_capabilities_does_without_them(line: str) -> None:
    negotiation = Negotiation(None, ["message-tags"])
    assert talk(negotiation, line) == ["CAP LS 302"]
    assert negotiation.authenticated


FAILURES: list[tuple[tuple[str, ...], bool, str]] = [
    # what the server says, whether that is for good, words of the sentence
    (("421 * CAP :Unknown command",), False, "does not know SASL"),
    (("451 * :You have not registered",), False, "does not know SASL"),
    (("451 CAP :Register first",), False, "does not know SASL"),
    (("410 * LS :Invalid CAP command",), False, "does not know SASL"),
    (("CAP * LS :multi-prefix",), False, "does not offer SASL now"),
    (("CAP * LS :",), False, "does not offer SASL now"),
    (("CAP * LS :sasl=SCRAM-SHA-256",), False, "does not offer SASL PLAIN"),
    ((OFFER, "CAP * NAK :sasl"), False, "does not let us use SASL"),
    ((OFFER, ACK, "CAP * DEL :sasl"), False, "taken away"),
    ((OFFER, ACK, "421 * AUTHENTICATE :Unknown command"), False, "does not know SASL"),
    ((OFFER, ACK, "AUTHENTICATE cmVhbG0="), False, "something else"),
    ((OFFER, ACK, "AUTHENTICATE"), False, "something else"),
    ((OFFER, ACK, "904 * :no"), True, "password is wrong"),
    ((OFFER, ACK, "906 * :aborted"), False, "called it off"),
    ((*BEFORE, "901 * *!*@* :logged out"), False, "logged us out"),
    ((*BEFORE, "902 * :nick locked"), True, "may not be used"),
    ((*BEFORE, "904 * :no"), True, "password is wrong"),
    ((*BEFORE, "905 * :too long"), True, "too long"),
    ((*BEFORE, "906 * :aborted"), False, "called it off"),
    ((*BEFORE, "907 * :already"), False, "logged in already"),
    ((*BEFORE, "908 * EXTERNAL,SCRAM-SHA-256 :are available"), False, "does not take this mechanism"),
    ((*BEFORE, "908 * PLAIN :are available", "904 * :no"), True, "password is wrong"),
    ((*BEFORE, "001 me :Welcome"), False, "without it"),
    (("001 me :Welcome",), False, "without it"),
    ((OFFER, "001 me :Welcome"), False, "without it"),
    (("903 * :good", "001 me :Welcome"), False, "without it"),
    ((OFFER, ACK, "903 * :good", "001 me :Welcome"), False, "without it"),
]


@pytest.mark.parametrize(("lines", "refused", "words"), FAILURES)
def test_every_way_to_fail(lines: tuple[str, ...], refused: bool, words: str) -> None:
    negotiation = Negotiation(PLAIN)
    said = talk(negotiation, *lines)
    assert words in negotiation.failure
    assert negotiation.failure.isprintable()
    assert PASSWORD not in negotiation.failure
    assert negotiation.refused is refused
    assert not negotiation.authenticated
    assert "CAP END" not in said
    assert talk(negotiation, OFFER, ACK, "903 * :good")[1:] == [], "it is over"


WORDS = ["CAP", "AUTHENTICATE", "001", "421", "451", "410", *(str(numeric) for numeric in range(900, 909))]
PARAMETERS = ["*", "me", "LS", "ACK", "NAK", "DEL", "NEW", "sasl", "sasl=PLAIN", "+", "", "PLAIN", "CAP"]


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.lists(st.sampled_from(PARAMETERS), max_size=5))))
def test_no_order_of_lines_lets_us_in_without_a_proof(lines: list[tuple[str, list[str]]]) -> None:
    negotiation = Negotiation(PLAIN, ["message-tags"])
    said = negotiation.begin()
    for command, parameters in lines:
        said += negotiation.heard(command, parameters)
    if negotiation.authenticated or "CAP END" in said:
        assert f"AUTHENTICATE {PROOF}" in said
        assert "903" in [command for command, _ in lines]
    assert said.count(f"AUTHENTICATE {PROOF}") <= 1


def test_a_server_that_offers_without_end_is_not_remembered_without_end() -> None:
    negotiation = Negotiation(PLAIN)
    for number in range(2000):
        negotiation.heard("CAP", ["*", "LS", "*", " ".join(f"c{number}.{n}" for n in range(50))])
    assert negotiation._offered == {}


def test_secrets_are_in_no_repr() -> None:
    for value in (PLAIN, Login(PLAIN, PASSWORD)):
        assert PASSWORD not in repr(value)


def test_credentials_that_sasl_cannot_say() -> None:
    makers: list[Callable[[], Credentials]] = [
        lambda: Plain("", PASSWORD),
        lambda: Plain("a\0b", PASSWORD),
        lambda: Plain("\ud800", PASSWORD),
        lambda: Plain("a", ""),
        lambda: Plain("a", PASSWORD + "\0"),
        lambda: Plain("a", PASSWORD + "\ud800"),
        lambda: External("a\0"),
    ]
    for make in makers:
        with pytest.raises(ValueError, match="SASL must be") as caught:
            make()
        assert PASSWORD not in str(caught.value)
    assert Plain("a", "\udcff").response() == b"\0a\0\xff"


# ---- the same through a connection


def client_of(server: HostileServer, **options: Any) -> Client:
    login = options.pop("login", Login(PLAIN))
    return Client(server.address, login=lambda: login, **options)


def offer(peer: Peer) -> None:
    assert peer.line() == "CAP LS 302"
    peer.send(f":irc.test {OFFER}")
    assert peer.line() == "CAP REQ :sasl"
    peer.send(f":irc.test {ACK}")
    assert peer.line() == "AUTHENTICATE PLAIN"
    peer.send("AUTHENTICATE +")
    assert peer.line() == f"AUTHENTICATE {PROOF}"


def test_nick_and_user_name_come_after_success_only() -> None:
    def script(peer: Peer) -> None:
        offer(peer)
        peer.send(":irc.test 900 * *!*@* echo :You are now logged in", ":irc.test 903 * :Good")
        assert [peer.line() for _ in range(4)] == [
            "CAP END",
            "PASS :pass word",
            "NICK me",
            "USER tester 0 * :A test",
        ]
        peer.welcome("me")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = client_of(server, login=Login(PLAIN, "pass word")).connect()
        client.until_ready()
        client.connection.quit()


@pytest.mark.parametrize(("lines", "refused", "words"), FAILURES)
def test_failing_ends_the_connection_before_we_have_a_name(
    lines: tuple[str, ...], refused: bool, words: str
) -> None:
    heard: list[str] = []

    def script(peer: Peer) -> None:
        peer.send(*(f":irc.test {line}" if line[:4] != "AUTH" else line for line in lines))
        heard.extend(peer.closed_by_client())

    with HostileServer(script) as server:
        client = client_of(server).connect()
        reason = client.until_lost()
    assert words in reason
    assert reason.startswith(f"The connection to {server.address} was given up, because SASL ")
    assert reason.isprintable()
    assert isinstance(client.connection.lost, AuthenticationRefused) is refused
    assert [event[0] for event in client.heard.events] == ["disconnected"]
    assert not any(line.startswith(("NICK", "USER", "PASS", "CAP END")) for line in heard)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ((), "did not say whether it knows SASL within 60 seconds"),
        ((OFFER,), "did not answer our wish for SASL within 60 seconds"),
        ((OFFER, ACK), "did not begin with SASL within 60 seconds"),
        ((OFFER, ACK, "AUTHENTICATE +"), "did not say whether SASL has succeeded within 60 seconds"),
    ],
)
def test_a_server_that_says_no_more(after: tuple[str, ...], words: str) -> None:
    clock = Clock()

    def script(peer: Peer) -> None:
        peer.send(*after, "PING :there?")
        peer.until("PONG")
        peer.send(":irc.test NOTICE * :waiting")
        clock.now += 61.0
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = client_of(server, clock=clock).connect()
        assert words in client.until_lost()
        assert not isinstance(client.connection.lost, AuthenticationRefused), (
            "it may be a fault of the moment"
        )


def test_a_server_that_calls_the_welcome_by_its_name() -> None:
    """The library would take the word for the numeric."""

    def script(peer: Peer) -> None:
        peer.send(":irc.test welcome me :hello", ":irc.test endofmotd me :x", "PING :done")
        peer.until("PONG")
        assert peer.closed_by_client() == []

    with HostileServer(script) as server:
        client = client_of(server).connect()
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            client.connection.process(0.05)
        assert not client.connection.registered
        client.connection.discard()
        client.connection._transport.disconnect()


def test_a_refused_server_password_is_of_its_own_kind() -> None:
    def script(peer: Peer) -> None:
        assert peer.line() == f"PASS :{PASSWORD}"
        peer.until("USER")
        peer.send(":irc.test 464 me :Password incorrect", "ERROR :Closing link: (me@h) [Access denied]")
        peer.closed_by_client()

    with HostileServer(script) as server:
        client = client_of(server, login=Login(server_password=PASSWORD)).connect()
        reason = client.until_lost()
    assert "wants a password, or another one" in reason
    assert isinstance(client.connection.lost, AuthenticationRefused)


def test_every_connection_logs_in_anew() -> None:
    def script(peer: Peer) -> None:
        offer(peer)
        peer.send(":irc.test 903 * :Good")
        peer.register()

    with HostileServer(script, script) as server:
        client = client_of(server)
        for _ in range(2):
            client.connect()
            assert client.until_lost()
            client.heard.events.clear()


@pytest.mark.parametrize("end", ["903 * :Good", "904 * :Bad"])
def test_no_log_has_a_password(caplog: pytest.LogCaptureFixture, end: str) -> None:
    def script(peer: Peer) -> None:
        peer.send(*BEFORE[:2], "AUTHENTICATE +")
        peer.until("AUTHENTICATE " + PROOF)
        peer.send(f":irc.test {end}")
        if end.startswith("903"):
            peer.register()
        peer.closed_by_client()

    with HostileServer(script) as server, caplog.at_level(logging.DEBUG):
        for name in ("irc", "irc.client", "otrcore"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            client = client_of(server, login=Login(PLAIN, PASSWORD)).connect()
            client.drive(lambda: client.connection.own_mask or client.connection.lost)
            client.connection.quit()
        finally:
            logging.getLogger("irc").setLevel(logging.INFO)
            for name in ("irc.client", "otrcore"):
                logging.getLogger(name).setLevel(logging.NOTSET)
    for secret in (PASSWORD, PROOF):
        assert secret not in caplog.text
