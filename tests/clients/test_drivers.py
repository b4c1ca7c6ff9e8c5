"""The drivers by themselves: two real irssi talk OTR over a real server, and every line is seen."""

from __future__ import annotations

import socket

import pytest

from tests.clients.conftest import IrssiFactory
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.waiting import wait_for

# Longer than what ngircd allows by default, and in mixed case.
ALICE = "Alice-" + "a" * 24
BOB = "bob"


def test_two_irssi_talk_otr(irssi: IrssiFactory) -> None:
    alice, bob = irssi(ALICE), irssi(BOB)

    alice.say(BOB, "in the clear")
    bob.wait_received(ALICE, "in the clear")
    assert not alice.secured(BOB)

    alice.start_otr(BOB)
    alice.wait_secured(BOB)
    bob.wait_secured(ALICE)
    assert alice.fingerprints(BOB) == bob.fingerprints(ALICE)
    assert alice.fingerprints(BOB).keys() == {ALICE, BOB}
    alice.trust(BOB)

    secrets = ["Grüße, $nick %n; ends;", "/quit is no command", "two  blanks and https://example.org/"]
    for secret in secrets:
        alice.say(BOB, secret)
        bob.wait_received(ALICE, secret)
        bob.say(ALICE, secret)
        alice.wait_received(BOB, secret)

    alice.command("/me waves")
    wait_for(lambda: f" * {ALICE} waves" in bob.shown(ALICE), "the action")

    alice.end_otr(BOB)
    bob.wait_ended(ALICE)
    assert not alice.secured(BOB)
    assert "Your peer is not authenticated" in alice.shown(BOB)

    for client in (alice, bob):
        lines = client.wire.lines
        assert max(len(line.data) for line in lines) <= 512
        assert all(line.data.endswith(b"\r\n") for line in lines)
        carried = [line.text for line in lines if "PRIVMSG" in line.text]
        assert "in the clear" in carried[0]
        assert len(carried) > 10
        assert {line.split(" :", 1)[1][:4] for line in carried[1:]} == {"?OTR"}


def test_a_second_conversation_after_the_end(irssi: IrssiFactory) -> None:
    alice, bob = irssi(ALICE), irssi(BOB)
    alice.start_otr(BOB)
    alice.wait_secured(BOB)
    bob.wait_secured(ALICE)
    bob.end_otr(ALICE)
    alice.wait_ended(BOB)

    bob.start_otr(ALICE)
    alice.wait_secured(BOB)
    bob.wait_secured(ALICE)
    alice.say(BOB, "again in private")
    bob.wait_received(ALICE, "again in private")
    assert not [line for line in alice.wire.sent() if "private" in line]


@pytest.mark.parametrize("ngircd", ["[Limits]\nMaxNickLength = 12\n"], indirect=True)
def test_the_server_takes_more_configuration(ngircd: Ngircd) -> None:
    welcome = b""

    def welcomed() -> bool:
        nonlocal welcome
        welcome += client.recv(65536)
        return b" 376 " in welcome

    with socket.create_connection(("127.0.0.1", ngircd.port), timeout=20) as client:
        client.sendall(b"NICK carol\r\nUSER carol 0 * :carol\r\n")
        wait_for(welcomed, "the welcome")
    assert b" NICKLEN=12 " in welcome
    assert "listening" in ngircd.log()
