"""Every line of every kind passes a server that puts the sender in front and cuts at 512 bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otrcore.events import Received, SmpSucceeded
from otrcore.irc.lines import text_limit
from otrcore.model import MessageState, Protection, Trust
from otrcore.policy import DEFAULT
from otrcore.v4.channel import LIFETIME
from tests.irc.network import Network
from tests.pair import OTHER, SIDES, Pair, Side, speaking
from tests.spec import reading, reading4
from tests.spec.scripted import ScriptedPeer, exponents
from tests.wire import recorded4

SERVER_LIMIT = 512
"""With CR LF."""

each_version = pytest.mark.parametrize("version", [3, 4])

MASKS = [
    ("a", "a!u@h", "b"),
    ("a" * 30, "a" * 30 + "!~" + "u" * 18 + "@" + "h" * 63, "b" * 30),
    # UTF-8 nicks count in bytes.
    ("\u00e9" * 15, "\u00e9" * 15 + "!~user@2001:db8:85a3:8d3:1319:8a2e:370:7348", "\u4e2d" * 10),
]

DAY = LIFETIME + 1.0


def everything(pair: Pair, version: int) -> None:
    """Have every kind of line go out: of exchanges, texts, verifications, errors, and ends."""
    pair.start("alice")
    pair.agreed()
    for side in SIDES:
        for text in ("", "x", "\u00e9\u20ac\U0001f600" * 40, "x" * 5000):
            pair.say(side, text)
    # Keys of texts that never came, which the last message of a session tells.
    for _ in range(70):
        pair.do("alice", pair.alice.send("never comes"))
    pair.on_the_way["bob"].clear()
    pair.say("alice", "comes")
    pair.do("alice", pair.alice.extra_key(7, b"data" * 200))
    pair.settle()
    for asker in SIDES:
        pair.do(asker, pair.talks[asker].smp_start("words", "Which? " * 300))
        pair.settle()
        pair.do(OTHER[asker], pair.talks[OTHER[asker]].smp_answer("words"))
        pair.settle()
        assert pair.of_kind(asker, SmpSucceeded)
    # Errors: what is broken, what cannot be read, and what is of no session.
    last = [line for side, line in pair.lines if side == "alice" and line.startswith("?OTR")][-1]
    for line in (last, last.replace("A", "B"), "?OTR:AAQD.", "?OTR Error: no"):
        pair.hand("bob", line)
    pair.wait(120.0)
    unreadable(pair, version)
    # New keys, a heartbeat, an end by time, and one by hand.
    pair.start("bob")
    pair.agreed()
    pair.wait(90.0)
    pair.say("alice", "after a silence")
    pair.wait(DAY)
    if version == 4:
        assert pair.alice.state is MessageState.FINISHED
    pair.start("alice")
    pair.agreed()
    pair.end("bob")
    pair.do("alice", pair.alice.end())
    no_session(pair, version)
    pair.settle()


def unreadable(pair: Pair, version: int) -> None:
    """A good message with another bit in its text."""
    pair.talks["alice"].line_limit, limit = None, pair.talks["alice"].line_limit
    (transmit,) = pair.talks["alice"].send("damaged")
    pair.talks["alice"].line_limit = limit
    raw = reading.raw_of(transmit.lines[0])  # type: ignore[union-attr]
    at = len(reading4.data_fields(raw).covered) - 1 if version == 4 else len(raw) - 30
    pair.hand("bob", reading.line(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]))
    pair.settle()


def no_session(pair: Pair, version: int) -> None:
    """A data message of an instance that there is no session with."""
    if version == 4:
        raw = next(raw for raw in recorded4.messages("trace") if raw[2] == reading4.DATA)
        raw = reading4.readdressed(raw, 0x5000, pair.accounts["bob"].instance_tag)
    else:
        raw = ScriptedPeer(0x5000, exponents()[0]).data_message(
            pair.accounts["bob"].instance_tag, reading.public(5), b"text"
        )
    pair.hand("bob", reading.line(raw))


@each_version
@pytest.mark.parametrize(("nick", "mask", "target"), MASKS)
def test_no_line_is_cut_whatever_stands_in_front(nick: str, mask: str, target: str, version: int) -> None:
    """Counted as the server counts; what fits exactly, and no less, is used by both sides."""
    prefix = f":{mask} PRIVMSG {target} :".encode()
    limit = SERVER_LIMIT - 2 - len(prefix)
    assert text_limit(nick, mask, target) == limit
    pair = Pair(version=version, seed="fits", line_limit=limit)
    everything(pair, version)
    longest = max(len(prefix + line.encode() + b"\r\n") for _, line in pair.lines)
    assert longest == SERVER_LIMIT
    codes = {line.split(":")[1].strip() for _, line in pair.lines if line.startswith("?OTR Error")}
    assert codes >= (
        {"ERROR_1", "ERROR_2"} if version == 4 else {"Your encrypted message could not be read here."}
    )


@each_version
@pytest.mark.parametrize("limit", [100, 119])
def test_no_line_is_longer_than_what_was_set(limit: int, version: int) -> None:
    """Down to the least that can be set, and nothing is lost by that."""
    pair = Pair(version=version, seed="fits", line_limit=limit)
    everything(pair, version)
    assert max(len(line.encode()) for _, line in pair.lines) <= limit
    for side in SIDES:
        heard = [event.text for event in pair.of_kind(OTHER[side], Received)]
        assert "x" * 5000 in heard


@each_version
@pytest.mark.parametrize("size", [100, 336, 337, 360, 420])
def test_tags_are_put_where_they_fit(size: int, version: int) -> None:
    """A text with the whitespace tag behind it is no longer than a line, or it has none."""
    policy = replace(DEFAULT, versions=frozenset({version}))
    pair = Pair(policies=(policy, policy), seed="tags", line_limit=360)
    pair.secure()
    pair.end("alice")
    pair.do("bob", pair.bob.end())
    # Another conversation by now; the policy offers OTR to those who have had it.
    account = pair.accounts["alice"]
    account.forget("bob")
    talk = account.conversation("bob", pair.alice.memory)
    talk.line_limit = 360
    text = "x" * size
    (transmit,) = talk.send(text)
    (line,) = transmit.lines  # type: ignore[union-attr]
    assert "".join(line.split()) == text
    # 16 characters, and 8 for a version.
    assert len(line) == (size + 24 if size <= 336 else size)


@each_version
@pytest.mark.parametrize("knows_mask", [True, False])
def test_on_irc(version: int, knows_mask: bool) -> None:
    """Through the clients' own host and a server that cuts: exchanges, texts, a verification, the end."""
    network = Network()
    one, other = "a" * 30, "b" * 30
    alice, bob = (
        network.join(
            nick, user="~" + "u" * 10, host="h" * 63, knows_mask=knows_mask, policy=speaking(version)
        )
        for nick in (one, other)
    )
    network.secure(alice, bob)
    info = alice.account.conversation(other).info
    assert info is not None
    assert info.version == version
    for text in ("x", "\u00e9" * 300, "x" * 3000):
        alice.say(other, text)
        bob.say(one, text)
    assert [protection for _, protection in bob.texts()] == [Protection.ENCRYPTED] * 3
    alice.do(alice.host.start(other))
    alice.command(other, "smp ask Which? " + "x" * 300 + "?")
    alice.secret("words")
    bob.command(one, "smp answer")
    bob.secret("words")
    talk = alice.account.conversation(other)
    assert talk.trust is Trust.SMP
    alice.end(other)
    bob.end(one)
    assert not any(line.cut for line in network.lines)
    assert len(network.lines) > 30


def test_the_server_of_these_tests_cuts() -> None:
    network = Network()
    alice, bob = network.join("alice"), network.join("bob")
    alice.say("bob", "x" * 600)
    assert network.lines[0].cut
    assert bob.texts()[0][0] != "x" * 600


def test_the_sides_of_the_pair_were_tried() -> None:
    """Lines of both count, each with the same prefix."""
    pair = Pair(version=4, seed="fits", line_limit=200)
    everything(pair, 4)
    said: dict[Side, set[int]] = {side: set() for side in SIDES}
    for side, line in pair.lines:
        said[side].add(len(line))
    assert {max(lengths) for lengths in said.values()} == {200}
