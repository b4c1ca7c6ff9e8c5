"""The oracle with itself: what we hold against it later must be true of libotr first."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop.conftest import LibotrFactory
from tests.interop.oracle import BINARY, CommandFailed, Direction, LibotrPeer, PeerDied, exchange
from tests.support import require

BENCHMARK = BINARY.parent / "otrbench"
ROWS = ["ake", "ake_first_message", "ping_pong", "send", "receive", "smp", "keygen"]


def opened(peer: LibotrPeer) -> list[tuple[int, str]]:
    """Version and session id of every session that this peer was told of."""
    return [(event["version"], event["ssid"]) for event in peer.events("gone_secure")]


def encrypted(alice: LibotrPeer, bob: LibotrPeer) -> tuple[bool, bool]:
    return alice.session is not None, bob.session is not None


def secured(libotr: LibotrFactory, policy: str) -> tuple[LibotrPeer, LibotrPeer]:
    alice, bob = libotr("alice", policy), libotr("bob", policy)
    alice.start()
    exchange(alice, bob)
    assert encrypted(alice, bob) == (True, True)
    return alice, bob


@pytest.mark.parametrize(("policy", "version"), [("v2", 2), ("v3", 3), ("v2+v3", 3)])
def test_start_text_both_ways_and_end(libotr: LibotrFactory, policy: str, version: int) -> None:
    alice, bob = libotr("alice", policy), libotr("bob", policy)
    log: list[tuple[Direction, str]] = []

    alice.start()
    exchange(alice, bob, log=log)
    (session,) = opened(alice)
    assert opened(bob) == [session]
    assert session[0] == version

    alice.send("Grüße an Bob")
    exchange(alice, bob, log=log)
    bob.send("and back")
    exchange(alice, bob, log=log)
    assert bob.texts() == ["Grüße an Bob"]
    assert alice.texts() == ["and back"]
    assert not [wire for _, wire in log if "Bob" in wire or "back" in wire]

    alice.end()
    exchange(alice, bob, log=log)
    assert {context["msgstate"] for context in alice.status()} == {"plaintext"}
    assert "finished" in {context["msgstate"] for context in bob.status()}


def test_lines_keep_to_the_limit(libotr: LibotrFactory) -> None:
    alice, bob = libotr("alice", "v3", mms=100), libotr("bob", "v3", mms=100)
    log: list[tuple[Direction, str]] = []
    bob.receive("?OTRv3?")
    exchange(alice, bob, log=log)
    alice.send("x" * 1000)
    exchange(alice, bob, log=log)

    assert bob.texts() == ["x" * 1000]
    assert len(log) > 20
    assert {wire[:5] for _, wire in log} == {"?OTR|"}
    assert max(len(wire) for _, wire in log) < 100


def test_bytes_that_are_not_utf8_survive(libotr: LibotrFactory) -> None:
    alice, bob = secured(libotr, "v3")
    latin1 = b"Gr\xfc\xdfe".decode(errors="surrogateescape")
    alice.send(latin1)
    exchange(alice, bob)
    assert bob.texts() == [latin1]


@pytest.mark.parametrize("policy", ["v2", "v3"])
def test_crossing_queries_deadlock_and_one_more_heals(libotr: LibotrFactory, policy: str) -> None:
    alice, bob = libotr("alice", policy), libotr("bob", policy)
    alice.start()
    bob.start()
    exchange(alice, bob)
    assert encrypted(alice, bob) == (False, False)

    alice.start()
    exchange(alice, bob)
    assert encrypted(alice, bob) == (True, True)


def test_without_the_signature_only_the_responder_is_encrypted(libotr: LibotrFactory) -> None:
    """The Signature is the last message, so its sender cannot know that it was lost."""
    alice, bob = libotr("alice", "v3"), libotr("bob", "v3")

    def drop_signature(_: Direction, wire: str) -> bool:
        return bool(alice.command("msgtype", wire=wire)["type"] == "signature")

    alice.start()
    exchange(alice, bob, drop=drop_signature)
    # Bob answered the query with the Commit, so he is the initiator.
    assert encrypted(alice, bob) == (True, False)

    alice.start()
    exchange(alice, bob)
    assert encrypted(alice, bob) == (True, True)


@pytest.mark.parametrize(("answer", "result"), [("blue", "success"), ("red", "failure")])
def test_smp_finds_out_whether_the_secrets_are_equal(libotr: LibotrFactory, answer: str, result: str) -> None:
    alice, bob = secured(libotr, "v3")
    alice.command("smp", secret="blue", question="Which colour?")
    exchange(alice, bob)
    (asked,) = bob.events("smp")
    assert (asked["event"], asked["question"]) == ("ask_for_answer", "Which colour?")
    bob.command("smp_respond", secret=answer)
    exchange(alice, bob)
    assert alice.events("smp")[-1]["event"] == result
    assert bob.events("smp")[-1]["event"] == result


def test_the_clock_can_be_moved(libotr: LibotrFactory) -> None:
    """A heartbeat answers a text when nothing was sent for a minute."""
    alice, bob = secured(libotr, "v3")
    bob.command("clock", add=61)
    alice.send("still there?")
    exchange(alice, bob)
    assert bob.message_events() == ["log_heartbeat_sent"]
    assert alice.message_events() == ["log_heartbeat_rcvd"]


def test_a_failed_command_is_an_error(libotr: LibotrFactory) -> None:
    alice = libotr()
    with pytest.raises(CommandFailed, match="unknown command"):
        alice.command("qeury")
    with pytest.raises(CommandFailed, match="not encrypted"):
        alice.command("smp", secret="blue")


def test_a_peer_that_ends_is_an_error(libotr: LibotrFactory) -> None:
    alice = libotr()
    alice.command("quit")
    with pytest.raises(PeerDied, match="status 0"):
        alice.command("fingerprint")


def test_a_peer_that_hangs_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "hangs"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    with pytest.raises(TimeoutError, match="did not answer"):
        LibotrPeer(program=program, deadline=0.2)


@pytest.mark.parametrize("version", ["2", "3"])
def test_benchmark_takes_one_sample_a_row(version: str) -> None:
    done = subprocess.run(
        [require(str(BENCHMARK)), "--version", version],
        input="\n".join(ROWS),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    samples = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, _ in samples] == ROWS
    assert all(float(seconds) > 0 for _, seconds in samples)


def test_benchmark_refuses_an_unknown_row() -> None:
    done = subprocess.run(
        [require(str(BENCHMARK))], input="speed\n", capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "otrbench: there is no row called speed\n"
