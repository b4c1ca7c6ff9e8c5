"""What drills do on the wire, what they find out about clients that take them badly, and irssi's part."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from otrbot.drills import DRILLS
from otrbot.drills.exchange import PATIENCE_WITH_SIGNATURES, WrongRingSigner, WrongSigner
from otrbot.drills.fragments import doubled, lost, swapped
from otrbot.drills.play import BUSY, MUST_NOT_BE_SHOWN
from otrbot.drills.stage import MAX_LINE, Drill
from otrbot.settings.config import Config, Limits
from otrbot.talk.attended import AttendedRunner
from otrbot.talk.peer import EchoPeer

import otrcore.smp.machine
import otrcore.v3.ake
import otrcore.v3.smp
from otrcore.conversation import Conversation
from otrcore.crypto import ed448, ring
from otrcore.crypto.dsa import verify
from otrcore.crypto.random import system_random
from otrcore.events import Event
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.options import Settings
from otrcore.irc.connection.pacing import Pace
from otrcore.irc.keeper import StoreKeeper
from otrcore.irc.lanes import Threads
from otrcore.policy import DEFAULT
from otrcore.store.store import Store
from otrcore.wire import messages3, messages4
from otrcore.wire.fragment import parse_fragment
from otrcore.wire.header import SMALLEST_INSTANCE_TAG, VERSION_4, version_of
from otrcore.wire.messages3 import DataMessage, DhCommit
from otrcore.wire.text import ENCODED_MARK, decode, encode
from tests.bot.drills.page import table
from tests.bot.drills.rehearsal import BOT, CLIENT, Hosted, Rehearsal
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.waiting import wait_for
from tests.pair import Clock, identity


def rehearsal(kind: type[Hosted] = Hosted, version: int = 3) -> Rehearsal:
    """The bot with a client of ours, in one version."""
    policy = replace(DEFAULT, versions=frozenset({version}))
    return Rehearsal(lambda clock: kind(CLIENT, BOT, policy, clock))


def messages(lines: list[str]) -> list[messages3.Message | messages4.Message]:
    """The encoded messages among lines, of which none is wrongly cut."""
    whole: list[messages3.Message | messages4.Message] = []
    pieces: list[str] = []
    for line in lines:
        fragment = parse_fragment(line)
        if fragment is None:
            text = line
        else:
            pieces.append(fragment.piece)
            if fragment.index < fragment.count:
                continue
            text, pieces = "".join(pieces), []
        if text.startswith(ENCODED_MARK):
            raw = decode(text)
            whole.append(messages4.parse(raw) if version_of(raw) == VERSION_4 else messages3.parse(raw))
    return whole


def drilled(played: Rehearsal, name: str) -> DataMessage:
    """Begin a drill, and return its first message, which is still on its way."""
    played.said = None
    DRILLS[name].run(played)
    return data(played)


def data(played: Rehearsal) -> DataMessage:
    """Return the message of the bot's that is on its way."""
    message = messages(played.bot.take())[0]
    assert isinstance(message, DataMessage)
    return message


def talking() -> Rehearsal:
    """The bot and a client, after some texts, so that keys have been forgotten."""
    played = rehearsal()
    played.secure()
    for number in range(5):
        played.echo(f"text {number}")
    return played


# ---- the table


@pytest.mark.parametrize("drill", DRILLS.values(), ids=list(DRILLS))
def test_an_announcement_is_whole(drill: Drill) -> None:
    assert drill.announcement.endswith(f"Your client should: {drill.expected}.")
    assert len(drill.announcement.encode()) <= MAX_LINE
    assert DRILLS[drill.name] is drill


def test_all_that_was_asked_for_is_there() -> None:
    assert DRILLS.keys() >= {
        *("mac", "replay", "plaintext", "oldkey", "badtag", "badversion", "heartbeat", "error"),
        *("lostfrag", "dupfrag", "outoforder", "v2only", "v3only", "badsig", "smpbad", "crossing"),
        *("tlvunknown", "nulltext", "html", "bidi", "crlf", "long", "keyswap"),
    }


# ---- on the wire


def test_an_old_key_is_one_that_both_have_forgotten() -> None:
    played = talking()
    played.bot.say("a text with the newest keys")
    newest, old = data(played), drilled(played, "oldkey")
    assert 0 < old.sender_keyid == newest.sender_keyid - 2
    assert old.recipient_keyid == newest.recipient_keyid


def test_a_foreign_tag_is_a_legal_one() -> None:
    played = talking()
    played.bot.say("a text for the client")
    good, foreign = data(played).header, drilled(played, "badtag").header
    assert foreign.sender_tag == good.sender_tag
    assert foreign.receiver_tag != good.receiver_tag
    assert foreign.receiver_tag >= SMALLEST_INSTANCE_TAG


@pytest.mark.parametrize("name", ["mac", "oldkey", "badtag"])
def test_nothing_else_is_wrong_with_a_message(name: str) -> None:
    """What was changed is put back, and the client reads the text that it must not show otherwise."""
    played = talking()
    played.bot.say("a text")
    good, wrong = data(played), drilled(played, name)
    mac = bytes((wrong.mac[0] ^ 1,)) + wrong.mac[1:] if name == "mac" else wrong.mac
    mended = replace(wrong, header=good.header, sender_keyid=good.sender_keyid, mac=mac)
    played.client.receive(encode(wrong.serialise()))
    assert played.client.texts() == []
    played.client.receive(encode(mended.serialise()))
    assert played.client.texts() == [MUST_NOT_BE_SHOWN]


PIECES = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("change", "expected"),
    [(lost, "acd"), (doubled, "abbcd"), (swapped, "acbd")],
)
def test_pieces(change: Callable[[tuple[str, ...]], tuple[str, ...]], expected: str) -> None:
    assert "".join(change(PIECES)) == expected


@pytest.mark.parametrize(
    ("name", "order"), [("lostfrag", [1, 3]), ("dupfrag", [1, 2, 2, 3]), ("outoforder", [1, 3, 2])]
)
def test_pieces_on_the_wire(name: str, order: list[int]) -> None:
    played = rehearsal()
    played.secure()
    played.run(DRILLS[name])
    fragments = [parse_fragment(line) for line in played.sent[: len(order)]]
    assert [fragment.index for fragment in fragments if fragment] == order
    assert {fragment.count for fragment in fragments if fragment} == {3}


def test_a_wrong_signature_is_a_good_one_of_something_else() -> None:
    real, clock = identity(BOT).dsa, Clock()
    signer = WrongSigner(real, clock)
    signature = signer.sign(b"content")
    assert not verify(real.public, b"content", signature)
    assert verify(real.public, hashlib.sha256(b"content").digest(), signature)
    clock.advance(PATIENCE_WITH_SIGNATURES)
    assert verify(real.public, b"content", signer.sign(b"content"))


@pytest.mark.parametrize(("version", "first"), [(3, DhCommit), (4, messages4.Identity)])
def test_starts_really_cross(version: int, first: type) -> None:
    """Both have sent the first message before either has answered one."""

    class Recorded(Hosted):
        def take(self) -> list[str]:
            lines = super().take()
            recorded.extend(lines)
            return lines

    recorded: list[str] = []
    played = rehearsal(Recorded, version)
    played.secure()
    recorded.clear()
    played.run(DRILLS["crossing"])
    assert isinstance(messages(played.sent)[0], first)
    assert isinstance(messages(recorded)[0], first)


@pytest.mark.parametrize("version", [3, 4])
def test_the_bot_has_its_own_key_again_after_any_drill(version: int) -> None:
    for name in ("badsig", "keyswap", "expired"):
        played = rehearsal(version=version)
        played.secure()
        played.run(DRILLS[name])
        played.client.start()
        # In version 4 a start that the drill has left unfinished may be tried again first.
        played.wait(60)
        talk = played.talk
        assert talk is not None
        assert talk.info is not None
        assert talk.info.our_fingerprint == identity(BOT).fingerprint_in(version)
        assert talk.info.version == version
        played.echo("as before")


def drilled_4(name: str) -> tuple[Rehearsal, messages4.DataMessage, messages4.DataMessage]:
    """In version 4: a good message of the bot's, and what a drill makes of the next one."""
    played = rehearsal(version=4)
    played.secure()
    played.bot.say("a text")
    good = messages(played.bot.take())[0]
    DRILLS[name].run(played)
    wrong = messages(played.bot.take())[0]
    assert isinstance(good, messages4.DataMessage)
    assert isinstance(wrong, messages4.DataMessage)
    return played, good, wrong


@pytest.mark.parametrize(
    ("name", "ratchets"), [("mac", 0), ("badtag", 0), ("oldkey", -2), ("skipratchet", 2)]
)
def test_nothing_else_is_wrong_with_a_message_of_version_4(name: str, ratchets: int) -> None:
    played, good, wrong = drilled_4(name)
    assert wrong.ratchet_id - good.ratchet_id == ratchets
    mac = bytes((wrong.mac[0] ^ 1,)) + wrong.mac[1:] if name == "mac" else wrong.mac
    mended = replace(wrong, header=good.header, ratchet_id=good.ratchet_id, mac=mac)
    played.client.receive(encode(wrong.serialise()))
    assert played.client.texts() == []
    played.client.receive(encode(mended.serialise()))
    assert played.client.texts() == [MUST_NOT_BE_SHOWN]


def test_pieces_of_two_messages_come_in_turns() -> None:
    played = rehearsal(version=4)
    played.secure()
    played.run(DRILLS["mixedfrag"])
    fragments = [fragment for line in played.sent[:6] if (fragment := parse_fragment(line))]
    assert [fragment.index for fragment in fragments] == [1, 1, 2, 2, 3, 3]
    one, other = (fragments[at].identifier for at in range(2))
    assert [fragment.identifier for fragment in fragments] == [one, other] * 3
    assert one != other


def test_a_profile_that_has_expired_is_in_order_else() -> None:
    played = rehearsal(version=4)
    played.secure()
    DRILLS["expired"].run(played)
    (start,) = messages(played.bot.take())
    assert isinstance(start, messages4.Identity)
    own = identity(BOT)
    fields = start.profile
    assert fields.public_key == own.ed448.public.encoded
    assert ed448.verify(fields.public_key, fields.signed(), fields.signature)
    assert fields.expires < time.time()
    assert fields.owner_tag == start.header.sender_tag


def test_a_wrong_ring_signature_is_wrong_for_a_while() -> None:
    real, clock = identity(BOT).ed448, Clock()
    signer = WrongRingSigner(real, clock)
    others = [ed448.SigningKey.generate().public for _ in range(2)]
    members = (others[0], real.public, others[1])

    def is_good() -> bool:
        return ring.verify(members, b"m", ring.sign(system_random, signer.pair, members, b"m"))

    assert not is_good()
    assert ed448.verify(real.public.encoded, b"a profile", signer.sign(b"a profile"))
    clock.advance(PATIENCE_WITH_SIGNATURES)
    assert is_good()


@pytest.mark.parametrize("drill", DRILLS.values(), ids=list(DRILLS))
def test_a_drill_that_finds_nothing_encrypted_sends_nothing(drill: Drill) -> None:
    """The peer has ended between asking and the drill, or between the drill and its step."""
    played = rehearsal()
    played.secure()
    played.bot.carry_out(played.bot.host.end(CLIENT))
    played.settle()
    played.sent.clear()
    drill.run(played)
    assert played.said == BUSY
    assert played.sent == played.bot.take() == []


@pytest.mark.parametrize("name", ["mac", "lostfrag", "crlf", "smpbad", "nulltext", "heartbeat"])
def test_a_step_that_comes_too_late_sends_nothing(name: str) -> None:
    class Late(Rehearsal):
        def do(self, step: Callable[[Conversation], list[Event]], *, slow: bool = False) -> None:
            self.bot.carry_out(self.bot.host.end(CLIENT))
            self.settle()
            self.sent.clear()
            super().do(step, slow=slow)

    played = Late(lambda clock: Hosted(CLIENT, BOT, DEFAULT, clock))
    played.secure()
    DRILLS[name].run(played)
    played.settle()
    assert played.sent == []


# ---- clients that take it badly


class Gullible(Hosted):
    """Checks no signature, no group element and no proof."""

    def receive(self, line: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(otrcore.v3.ake, "verify", lambda key, m, signature: True)
            patch.setattr(otrcore.v3.smp, "is_public", lambda value: True)
            patch.setattr(otrcore.smp.machine, "_require", lambda proven: None)
            super().receive(line)


class Deaf(Hosted):
    """Answers no key exchange once it has one."""

    def receive(self, line: str) -> None:
        if not self.encrypted or all(isinstance(it, DataMessage) for it in messages([line])):
            super().receive(line)


class Newest(Hosted):
    """Takes every query for one of version 3."""

    def receive(self, line: str) -> None:
        super().receive(line.replace("?OTRv2?", "?OTRv3?"))


def test_a_client_that_accepts_a_wrong_signature_is_found_out() -> None:
    played = rehearsal(Gullible)
    played.secure()
    played.run(DRILLS["badsig"])
    assert played.said is not None
    assert played.said.startswith("WRONG: ")


def test_a_client_that_does_not_end_a_bad_verification_is_found_out() -> None:
    played = rehearsal(Gullible)
    played.secure()
    played.run(DRILLS["smpbad"])
    assert played.said is not None
    assert played.said.startswith("your client did not answer")
    # The bot is ready for a real one.
    assert played.talk is not None
    assert not played.talk.smp_running


def test_a_client_that_answers_in_another_version_is_found_out() -> None:
    played = rehearsal(Newest)
    played.secure()
    played.run(DRILLS["v2only"])
    assert played.said is not None
    assert played.said.startswith("WRONG: ")


@pytest.mark.parametrize("name", ["badsig", "crossing"])
def test_a_client_that_takes_no_part_in_a_key_exchange_is_told_so(name: str) -> None:
    played = rehearsal(Deaf)
    played.secure()
    played.run(DRILLS[name])
    assert played.said is not None
    assert not played.said.startswith(("right", "WRONG"))


# ---- the whole bot, on a real server


class Bot:
    """The echo peer on a server, with a clock that can jump."""

    def __init__(self, port: int, folder: Path) -> None:
        self._later = 0.0
        self._store = Store(folder)
        # As many key exchanges as drills need one after the other.
        limits = Limits(akes_per_minute=100, akes_per_minute_all=100)
        self._peer = EchoPeer(Config(networks=(), limits=limits), drills=DRILLS, clock=self.clock)
        self.runner = AttendedRunner(
            ServerAddress("127.0.0.1", port),
            Settings(BOT, "a bot", pace=Pace.NONE),
            self._peer,
            StoreKeeper(self._store, contacts=False, clock=self.clock),
            lanes=Threads(),
            clock=self.clock,
        )
        self._peer.speak_by(self.runner)
        self.runner.connect()

    def until(self, look: Callable[[], object], what: Callable[[], str] | str) -> None:
        """Work until something is so."""

        def work_and_look() -> object:
            self.runner.process(0.01)
            if self._peer.next_tick is not None and self.clock() >= self._peer.next_tick:
                self._peer.tick()
            return look()

        wait_for(work_and_look, what, 40.0)

    def jump(self, seconds: float) -> None:
        """Let its clock jump."""
        self._later += seconds

    def close(self) -> None:
        """Leave."""
        self.runner.close("done", 0.1)
        self._store.close()

    def clock(self) -> float:
        """Return its time, in seconds."""
        return time.monotonic() + self._later


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Where a real server listens."""
    with Ngircd(tmp_path / "ngircd") as server:
        yield server.port


@pytest.fixture
def bot(port: int, tmp_path: Path) -> Iterator[Bot]:
    """The bot, on the server."""
    made = Bot(port, tmp_path / "data")
    try:
        made.until(lambda: made.runner.registered, "the bot")
        yield made
    finally:
        made.close()


def test_every_drill_over_a_server(bot: Bot, port: int) -> None:
    """With the lanes, the verbs and the limits that people meet."""
    with OtrPeer(port, CLIENT) as alice:
        # As many starts one after the other would be refused if no time had passed for her.
        alice.account._clock = bot.clock

        def heard(text: str) -> bool:
            alice.pump()
            talk = bot.runner.host.talk(CLIENT)
            # A key exchange takes its time, and the clock must not run away from it.
            bot.jump(0.2 if talk is not None and talk.starting else 1.0)
            return any(text in line for line in (*alice.received(BOT), *alice.plain(BOT)))

        def until_heard(text: str) -> None:
            bot.until(lambda: heard(text), lambda: f"{text!r} in {alice.events}")

        def secured() -> bool:
            alice.pump()
            return alice.secured(BOT)

        def secure() -> None:
            alice.ask(BOT)
            bot.until(secured, lambda: f"OTR in {alice.events}")

        secure()
        for name, drill in DRILLS.items():
            alice.say(BOT, "!drill on")
            alice.say(BOT, f"!drill {name}")
            until_heard(drill.announcement)
            until_heard(f"Drill {name} is over: ")
            if not alice.secured(BOT):
                assert name in ("v2only", "v3only")
                alice.end(BOT)
                secure()
            alice.say(BOT, f"after {name}")
            until_heard(f"after {name}")
        said = alice.received(BOT)
        for name in ("badsig", "crossing", "smpbad"):
            assert [line for line in said if line.startswith(f"Drill {name} is over: right: ")], said
        assert MUST_NOT_BE_SHOWN not in said


def test_irssi_shows_what_the_page_says(bot: Bot, port: int, tmp_path: Path) -> None:
    with Irssi(CLIENT, tmp_path / "irssi", port) as irssi:
        seen = 0

        def until_shown(text: str) -> None:
            """Wait for a text of the bot's, or a notice, among what has not been seen before."""
            bot.until(
                lambda: any(text in line for line in irssi.shown(BOT)[seen:]),
                lambda: f"{text!r} in {irssi.shown(BOT)[seen:]}",
            )

        irssi.start_otr(BOT)
        bot.until(lambda: irssi.secured(BOT), lambda: f"OTR; irssi shows:\n{irssi.screen()}")
        irssi.say(BOT, "!drill on")
        until_shown("drills are on")
        key = irssi.fingerprints(BOT)[BOT]
        rows = table("irssi")
        assert list(rows) == ["mac", "plaintext", "keyswap"]
        for name, (did,) in rows.items():
            irssi.say(BOT, f"!drill {name}")
            until_shown(f"Drill {name}: ")
            notices = re.findall(r"`([^`]+)`", did)
            assert notices
            for notice in notices:
                until_shown(notice)
            if name == "keyswap":
                bot.until(lambda: irssi.fingerprints(BOT)[BOT] != key, lambda: f"{irssi.shown(BOT)}")
            bot.jump(12)
            until_shown(f"Drill {name} is over: ")
            seen = len(irssi.shown(BOT))
        assert irssi.fingerprints(BOT)[BOT] == key
        irssi.say(BOT, "still there?")
        until_shown(f"<{BOT}> still there?")
        assert "WRONG" not in "".join(irssi.shown(BOT))
