"""`otr chat` in a real terminal, on a real ngircd: with the bot, another chat, and peers of all sorts."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.programs import CTRL_C, CTRL_D, OtrBot, OtrChat
from tests.clients.drivers.proxy import RecordingProxy

BOT = "echo"
ME = "alice"
PEER = "bob"

ChatFactory = Callable[..., OtrChat]


@pytest.fixture
def wire(ngircd: Ngircd) -> Iterator[RecordingProxy]:
    """What `alice` sends and receives."""
    with RecordingProxy(ngircd.port) as proxy:
        yield proxy


@pytest.fixture
def bot(tmp_path: Path, ngircd: Ngircd) -> Iterator[OtrBot]:
    with OtrBot(tmp_path / "bot", ngircd.port, BOT) as running:
        yield running


@pytest.fixture
def peer(ngircd: Ngircd) -> Iterator[OtrPeer]:
    """A peer called `bob` that the test moves by hand."""
    with OtrPeer(ngircd.port, PEER) as made:
        yield made


@pytest.fixture
def chat(tmp_path: Path, wire: RecordingProxy) -> Iterator[ChatFactory]:
    """Makes a chat of `me` with a peer; by default `alice`, with `bob`, on the wire that is recorded."""
    with ExitStack() as running:
        yield lambda peer=PEER, me=ME, port=wire.port: running.enter_context(
            OtrChat(tmp_path / me, port, me, peer)
        )


def said(wire: RecordingProxy) -> list[str]:
    """Return the texts that were sent to anybody."""
    return [line.split(" :", 1)[1] for line in wire.sent() if line.startswith("PRIVMSG ")]


def test_a_conversation_with_the_bot(wire: RecordingProxy, bot: OtrBot, chat: ChatFactory) -> None:
    alice = chat(BOT)
    alice.type("/otr status")
    alice.wait_shown("-- The conversation with echo is not encrypted. /otr start to change that.\n")
    alice.type("hello in the clear")
    alice.wait_shown("<echo> I echo what you send me encrypted")
    assert said(wire) == ["hello in the clear"]

    alice.type("/otr start")
    alice.wait_secured()
    for step in ("Received: Identity", "Sent: Auth-R", "Received: Auth-I"):
        assert f"-- {step}, " in alice.screen()
    assert alice.fingerprints().keys() == {ME, BOT}
    assert alice.fingerprints()[BOT] == bot.fingerprint_4

    long = ("Something longer than a line of IRC can be, ü and 你 among it. " * 20)[:600]
    for text in ("Grüße, 你好, 👋🏽 and  two blanks", long):
        alice.type(text)
        alice.wait_received(text)
    alice.type("/me waves")
    alice.wait_shown("[encrypted] * echo waves\n")
    alice.type("//slashes at the front")
    alice.wait_received("/slashes at the front")
    alice.type("")
    alice.type("after an empty line")
    alice.wait_received("after an empty line")
    assert "<echo> \n" not in alice.screen()

    alice.type("/otr status")
    alice.wait_shown("-- The conversation with echo is encrypted (OTR version 4), and not verified.")
    alice.wait_shown(alice.session_id(), times=2)
    alice.type("/otr end")
    alice.wait_shown("-- The encrypted conversation with echo is over. What you type goes out unencrypted.\n")
    bot.wait_shown("a conversation has ended")
    alice.type("/otr status")
    alice.wait_shown("-- The conversation with echo is not encrypted.", times=2)

    assert all(text.startswith("?OTR") for text in said(wire)[1:])
    assert all(len(line.data) <= 512 for line in wire.lines)
    alice.type("/quit")
    assert alice.exit_code() == 0
    assert wire.sent()[-1].startswith("QUIT :")


def leave_by_typing(chat: OtrChat) -> None:
    chat.type("/quit")


def leave_by_end_of_input(chat: OtrChat) -> None:
    chat.press(CTRL_D)


def leave_by_interrupt(chat: OtrChat) -> None:
    chat.press(CTRL_C)


def leave_by_signal(chat: OtrChat) -> None:
    chat.signal(signal.SIGTERM)


@pytest.mark.parametrize(
    "leave", [leave_by_typing, leave_by_end_of_input, leave_by_interrupt, leave_by_signal]
)
def test_leaving_ends_the_conversation(
    peer: OtrPeer, wire: RecordingProxy, chat: ChatFactory, leave: Callable[[OtrChat], None]
) -> None:
    alice = chat()
    peer.start(ME)
    alice.wait_secured()
    leave(alice)
    peer.wait_ended(ME)
    assert alice.exit_code() == 0
    assert "Traceback" not in alice.screen()
    assert wire.sent()[-1].startswith("QUIT :")


def test_leaving_ends_the_conversation_even_when_lines_are_still_waiting(
    peer: OtrPeer, chat: ChatFactory
) -> None:
    """More than the pace lets out in the time that anybody waits after Ctrl-C."""
    alice = chat()
    peer.start(ME)
    alice.wait_secured()
    for number in range(20):
        alice.type(f"line {number}")
    peer.wait(lambda: len(peer.received(ME)) > 3, "some lines")
    alice.press(CTRL_C)
    peer.wait_ended(ME)
    assert alice.exit_code() == 0


def test_two_chats_show_the_same_session(ngircd: Ngircd, chat: ChatFactory) -> None:
    alice, bob = chat(), chat(peer=ME, me=PEER, port=ngircd.port)
    alice.type("/otr start")
    alice.wait_secured()
    bob.wait_secured()
    assert alice.session_id() == bob.session_id()
    assert alice.fingerprints() == bob.fingerprints()
    assert len(set(alice.fingerprints().values())) == 2
    alice.type("hello bob")
    bob.wait_received("hello bob")
    bob.type("hello alice")
    alice.wait_received("hello alice")

    alice.type("/otr end")
    bob.wait_shown("-- alice has ended the encrypted conversation")
    bob.type("too late")
    bob.wait_shown("-- Your text: too late\n")
    bob.type("/otr end")
    bob.wait_shown("-- The encrypted conversation with alice is over. What you type goes out unencrypted.\n")
    bob.type("in the clear")
    alice.wait_shown("<bob> in the clear\n")
    assert "too late" not in alice.screen()


def test_what_is_typed_during_the_start_waits_for_its_end(
    peer: OtrPeer, wire: RecordingProxy, chat: ChatFactory
) -> None:
    alice = chat()
    peer.answering = False
    alice.type("/otr start")
    peer.wait(lambda: any("?OTRv34?" in message.text for message in peer.messages), "the query")
    alice.type("after the query")
    alice.wait_shown("-- Waiting: it leaves encrypted once the conversation with bob is.\n")
    alice.type("/otr status")
    alice.wait_shown("-- An encrypted conversation with bob is being set up.\n")

    peer.answering = True
    peer.take(ME, peer.messages[-1].text)
    peer.wait(lambda: peer.received(ME) == ["after the query"], "what waited")
    alice.wait_secured()
    assert peer.plain(ME) == []


def test_what_waits_in_vain_is_given_back(peer: OtrPeer, wire: RecordingProxy, chat: ChatFactory) -> None:
    alice = chat()
    peer.answering = False
    alice.type("/otr start")
    peer.wait(lambda: any("?OTRv34?" in message.text for message in peer.messages), "the query")
    alice.type("after the query")
    alice.wait_shown("-- Waiting: ")
    alice.type("/otr end")
    alice.wait_shown("-- The start of an encrypted conversation with bob was cancelled.")
    alice.wait_shown("-- Your text: after the query\n")
    peer.settle()
    assert all(text.startswith("?OTR") for text in said(wire))
    assert not [message for message in peer.messages if "after" in message.text]

    # The user has chosen to go on unencrypted.
    alice.type("in the clear")
    peer.wait(lambda: peer.plain(ME) == ["in the clear"], "the plain text")


def test_mistyped_commands_are_not_sent(peer: OtrPeer, wire: RecordingProxy, chat: ChatFactory) -> None:
    alice = chat()
    mistyped = ["/msg bob secret", "/me", "/", "/quitt"]
    before = alice.screen().count("-- Type to talk.")
    for line in mistyped:
        alice.type(line)
    alice.wait_shown("-- Type to talk.", times=before + len(mistyped))
    for line in ("/otr", "/otr strat", "/otr start now"):
        alice.type(line)
    alice.wait_shown("-- /otr start ", times=2)
    alice.wait_shown("-- There is no such command")
    alice.wait_shown("-- Nothing may stand behind /otr start: ")
    alice.type("//msg is a word")
    peer.wait(lambda: peer.plain(ME) == ["/msg is a word"], "the text with a slash")
    assert said(wire) == ["/msg is a word"]
    alice.type("/OTR Status")
    alice.wait_shown("is not encrypted. /otr start")
    alice.type("/QUIT")
    assert alice.exit_code() == 0


def test_a_long_plain_line_arrives_in_pieces(peer: OtrPeer, chat: ChatFactory) -> None:
    alice = chat()
    words = [f"wörd{number}" for number in range(200)]
    alice.type(" ".join(words))
    peer.wait(lambda: " ".join(peer.plain(ME)).split(" ") == words, "all words, none of them cut")
    assert len(peer.plain(ME)) > 2
    alice.type("/me " + "你" * 400)
    pieces = re.compile("\x01ACTION (你+)\x01")
    peer.wait(
        lambda: sum(len(found[1]) for found in map(pieces.fullmatch, peer.plain(ME)) if found) == 400,
        "an action in pieces, each with its frame",
    )


def test_nothing_leaves_in_the_clear_after_the_peer_was_killed(
    wire: RecordingProxy, bot: OtrBot, chat: ChatFactory
) -> None:
    alice = chat(BOT)
    alice.start_otr()
    bot.close()
    alice.type("to nobody, in private")
    alice.wait_shown("-- echo has ended the encrypted conversation")
    alice.type("to whoever is called so now")
    alice.wait_shown("-- Your text: to whoever is called so now\n")
    assert all(text.startswith("?OTR") for text in said(wire))


def test_another_person_under_the_old_nick_gets_nothing(
    ngircd: Ngircd, wire: RecordingProxy, peer: OtrPeer, chat: ChatFactory
) -> None:
    alice = chat()
    peer.start(ME)
    alice.wait_secured()
    peer.close()
    with OtrPeer(ngircd.port, PEER) as stranger:
        stranger.answering = False
        stranger.say_plain(ME, "hi, it is me, bob")
        alice.wait_shown("[NOT ENCRYPTED] <bob> hi, it is me, bob\n")
        alice.type("for bob only")
        stranger.wait(lambda: stranger.messages, "something")
        assert all(message.text.startswith("?OTR") for message in stranger.messages)
    assert all(text.startswith("?OTR") for text in said(wire))


def test_starting_with_somebody_who_is_not_there(chat: ChatFactory) -> None:
    alice = chat("nobody")
    alice.type("/otr start")
    alice.wait(lambda: re.search(r"-- .*(nobody).*(not|no encrypted)", alice.screen()), "a word about it")
    alice.type("/otr status")
    alice.wait_shown("-- The conversation with nobody is not encrypted.")


def test_writing_to_somebody_who_is_not_there(chat: ChatFactory) -> None:
    alice = chat("nobody")
    shown = alice.screen()
    alice.type("are you there?")
    alice.wait(lambda: "nobody" in alice.screen().removeprefix(shown), "a word that nobody heard it")


def test_the_peer_takes_another_nick(peer: OtrPeer, wire: RecordingProxy, chat: ChatFactory) -> None:
    """The server tells of a nick only in common channels: here the new one is a stranger's."""
    alice = chat()
    peer.start(ME)
    alice.wait_secured()
    peer.raw("NICK robert")
    peer.settle()
    alice.type("for bob only")
    alice.wait_shown("-- bob has ended the encrypted conversation")
    assert all(text.startswith("?OTR") for text in said(wire))


EVIL = (
    "\x1b[31mred \x1b]0;title\x07\x9b2J\x9dtitle\x9c \x08\x7f "
    "\u202eback\u202c \u2066x\u2069 \x0304,1col\x02ou\x1fr\x0f"
)
SEEN = "[31mred ]0;title2Jtitle  back x colour"


def test_a_peer_cannot_steer_the_terminal(peer: OtrPeer, chat: ChatFactory) -> None:
    alice = chat()
    peer.say_plain(ME, EVIL)
    peer.raw(f"NOTICE {ME} :{EVIL}", f"PRIVMSG {ME} :\x01ACTION {EVIL}\x01", f"PRIVMSG {ME} :\x01X{EVIL}\x01")
    peer.say_plain(ME, "?OTR Error: " + EVIL)
    peer.start(ME)
    alice.wait_secured()
    peer.say(ME, EVIL)
    peer.say(ME, "/me " + EVIL)
    peer.say(ME, f"one{EVIL}\r\ntwo\rthree\n{EVIL}")
    peer.say_bytes(ME, EVIL.encode("latin-1", "replace") + b"\xff\xfe")
    peer.say_plain(ME, "in between " + EVIL)
    peer.raw(f"NOTICE {ME} :a notice {EVIL}")
    peer.say(ME, "the last one")
    alice.wait_received("the last one")
    for line in (
        f"<bob> {SEEN}",
        f"-bob- {SEEN}",
        f"* bob {SEEN}",
        f"-- The client of bob reports an OTR error: {SEEN}",
        f"[encrypted] <bob> {SEEN}",
        f"[encrypted] * bob {SEEN}",
        f"[encrypted] <bob> one{SEEN}",
        "[encrypted] <bob> two",
        "[encrypted] <bob> three",
        f"[NOT ENCRYPTED] <bob> in between {SEEN}",
        f"[NOT ENCRYPTED] -bob- a notice {SEEN}",
    ):
        assert line in alice.lines()
    text = alice.written.decode()
    assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    # The terminal itself puts a CR before every LF; there is no other.
    assert alice.written.count(b"\r") == alice.written.count(b"\r\n") == alice.written.count(b"\n")


def test_what_the_user_types_cannot_become_a_second_command(
    peer: OtrPeer, wire: RecordingProxy, chat: ChatFactory
) -> None:
    alice = chat()
    # Ctrl-V lets the next control character through to the program.
    alice.press("one\x16\rNICK mallory\n")
    peer.wait(lambda: peer.plain(ME) == ["oneNICK mallory"], "one message")
    assert not [line for line in wire.sent()[4:] if line.startswith("NICK")]


def test_a_lost_server_ends_it_with_one_sentence(ngircd: Ngircd, peer: OtrPeer, chat: ChatFactory) -> None:
    alice = chat()
    peer.start(ME)
    alice.wait_secured()
    ngircd.close()
    assert alice.exit_code() == 1
    assert re.fullmatch(r"The connection to 127\.0\.0\.1:\d+ .*: connect again\.", alice.lines()[-1])
    assert "Traceback" not in alice.screen()


def test_a_taken_nick_is_no_obstacle(tmp_path: Path, wire: RecordingProxy, peer: OtrPeer) -> None:
    with OtrPeer(wire.port, ME), OtrChat(tmp_path / "chat", wire.port, ME, PEER, granted=ME + "_") as alice:
        peer.start(ME + "_")
        alice.wait_secured()
        alice.type("it works")
        peer.wait_received(ME + "_", "it works")


def test_the_same_person_has_the_same_key_next_time(peer: OtrPeer, chat: ChatFactory) -> None:
    shown = []
    for times in (1, 2):
        alice = chat()
        peer.start(ME)
        alice.wait_secured()
        shown.append((alice.fingerprints()[ME], alice.session_id()))
        alice.type("/quit")
        assert alice.exit_code() == 0
        peer.wait_ended(ME, times)
    assert shown[0][0] == shown[1][0]
    assert shown[0][1] != shown[1][1]
