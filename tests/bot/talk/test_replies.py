"""What is answered to a text: hints in the clear, echoes of what is encrypted, and never a command."""

from __future__ import annotations

import re

from otrbot.reports.orders import Reload
from otrbot.settings.config import Config, Limits
from otrbot.talk.replies import HINT, MAX_ECHOED_LINES, UNENCRYPTED

from tests.bot.by_hand import NICK, OPEN, Bot, answers, echoes, limits
from tests.bot.conftest import BotFactory
from tests.clients.drivers.otr_peer import Message, OtrPeer

HINT_EVERY = OPEN.hint_seconds


def test_who_writes_plain_text_gets_one_line_in_ten_minutes(bot: Bot, alice: OtrPeer) -> None:
    for text in ("hello?", "anybody?", "\x01ACTION waves\x01", "?", "plain"):
        alice.say_plain(NICK, text)
    bot.settle(alice)
    assert answers(alice) == [Message(NICK, "PRIVMSG", "alice", HINT)]
    assert len(HINT.encode()) < 350
    # What irssi and the others call it.
    assert "/otr init" in HINT

    bot.advance(HINT_EVERY - 60)
    alice.say_plain(NICK, "still there?")
    bot.settle(alice)
    assert len(answers(alice)) == 1

    bot.advance(61)
    alice.say_plain(NICK, "and now?")
    bot.wait(alice, lambda: alice.plain(NICK) == [HINT, HINT], "another hint")


def test_each_nick_has_its_own_hint_whatever_its_case(port: int, bot: Bot, alice: OtrPeer) -> None:
    alice.say_plain(NICK, "hello")
    bot.settle(alice)
    with OtrPeer(port, "bob") as bob:
        bob.say_plain(NICK.upper(), "hello")
        bot.settle(bob)
        assert bob.plain(NICK) == [HINT]
    alice.raw("NICK ALICE")
    alice.say_plain(NICK, "hello")
    bot.settle(alice)
    assert alice.plain(NICK) == [HINT]


def test_plain_text_inside_an_encrypted_conversation_is_told_once(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.say_plain(NICK, "oops")
    echoes(bot, alice, UNENCRYPTED)
    alice.say_plain(NICK, "oops again")
    alice.say(NICK, "encrypted")
    echoes(bot, alice, UNENCRYPTED, "encrypted")
    assert alice.plain(NICK) == []


def test_who_had_a_hint_is_still_told_of_plain_text_inside_an_encrypted_conversation(
    bot: Bot, alice: OtrPeer
) -> None:
    """The usual way in: hello, the hint, OTR; and only then the mishap."""
    alice.say_plain(NICK, "hello")
    bot.wait(alice, lambda: alice.plain(NICK) == [HINT], "the hint")
    bot.secure(alice)
    alice.say_plain(NICK, "oops")
    echoes(bot, alice, UNENCRYPTED)


def test_a_notice_inside_an_encrypted_conversation_gets_no_answer(bot: Bot, alice: OtrPeer) -> None:
    """Nobody answers a NOTICE, or two programs could go on answering each other (RFC 2812 section 3.3.2)."""
    bot.secure(alice)
    before = len(answers(alice))
    alice.raw(
        f"NOTICE {NICK} :I am away", f"NOTICE {NICK} :\x01VERSION x\x01", f"PRIVMSG {NICK} :\x01PING 1\x01"
    )
    bot.settle(alice)
    assert len(answers(alice)) == before


def test_everything_encrypted_comes_back(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    texts = [
        "one",
        "Grüße, 你好, 👋🏽",
        "  blanks  around  ",
        "%s {} \\n",
        "x" * 3000,
        "?OTRv3?",
        "?OTR:AAMD.",
    ]
    for text in texts:
        alice.say(NICK, text)
    echoes(bot, alice, *texts)
    alice.say(NICK, "/me waves")
    echoes(bot, alice, *texts, "/me waves")
    assert alice.plain(NICK) == []


def test_a_long_text_comes_back_cut_at_a_character(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    longest = ("0123456789ü" * 3000)[: 32 * 1024 - 3000]
    echo = bot.ask(alice, longest)
    assert longest.startswith(echo)
    assert len(echo.encode()) in (OPEN.echo_bytes - 1, OPEN.echo_bytes)


def test_all_of_the_longest_text_comes_back_where_the_operator_wants_that(
    bots: BotFactory, port: int, alice: OtrPeer
) -> None:
    bot = bots(limits(echo_bytes=32 * 1024))
    bot.secure(alice)
    longest = ("0123456789ü" * 3000)[: 32 * 1024 - 3000]
    assert len(longest.encode()) > 31 * 1024
    assert bot.ask(alice, longest) == longest


def test_an_empty_text_gets_no_answer(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    before = len(answers(alice))
    alice.say(NICK, "")
    alice.say_bytes(NICK, b"")
    bot.settle(alice)
    assert len(answers(alice)) == before
    alice.say(NICK, "not empty")
    echoes(bot, alice, "not empty")


def test_several_lines_come_back_one_by_one_in_bounds(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.say(NICK, "one\ntwo\r\n\r\n\nthree\rfour\n")
    echoes(bot, alice, "one", "two", "three", "four")
    many = [f"line {number}" for number in range(3 * MAX_ECHOED_LINES)]
    alice.say(NICK, "\n".join(many))
    alice.say(NICK, "afterwards")
    all_of_them = ["one", "two", "three", "four", *many[:MAX_ECHOED_LINES], "afterwards"]
    echoes(bot, alice, *all_of_them)
    bot.settle(alice)
    assert alice.received(NICK) == all_of_them


ATTACKS = [
    "hello\r\nQUIT :bye",
    "hello\nNICK mallory",
    "hello\rJOIN #channel",
    "\r\n\r\nPRIVMSG mallory :pwned",
    "\rPRIVMSG mallory :pwned\r",
    "a\x00b\x00\x01",
    "\x01VERSION\x01",
    "\x01DCC SEND x 1 2 3\x01",
    "\x01ACTION\r\nQUIT\x01",
    "/me \r\nQUIT :bye",
    "/me x\x01\rNOTICE mallory :pwned",
    "\x03\x02\x1f\x0f\x16",
    ":mallory!u@h QUIT",
    "a\u2028b\u2029c\u0085QUIT",
]


def test_no_text_becomes_a_command_of_the_bot(port: int, bot: Bot, alice: OtrPeer) -> None:
    """Looked at where it matters: every byte that the bot sent to a server for which CR ends a line."""
    with OtrPeer(port, "mallory") as mallory:
        bot.secure(alice)
        before = len(bot.sent())
        for attack in ATTACKS:
            alice.say(NICK, attack)
            alice.say_bytes(NICK, attack.encode())
        alice.say(NICK, "the last one")
        bot.wait(alice, lambda: alice.received(NICK)[-1:] == ["the last one"], "the last echo")
        for line in bot.wire.lines:
            assert line.data.endswith(b"\r\n")
            assert not re.search(rb"[\r\n\0]", line.data[:-2])
        lines = bot.sent()[before:]
        assert len(lines) > len(ATTACKS)
        assert all(re.match(r"PRIVMSG alice :\?OTR[:|]", line) for line in lines)
        mallory.settle()
        assert mallory.messages == []
        bot.settle(alice)


def test_no_plain_text_becomes_a_command_or_comes_back(bot: Bot, alice: OtrPeer) -> None:
    for attack in ATTACKS:
        # The server ends the line at CR, LF and NUL; what is left goes to the bot.
        alice.raw(f"PRIVMSG {NICK} :{attack.split(chr(13))[0].split(chr(10))[0]}")
    bot.settle(alice)
    assert answers(alice) == [Message(NICK, "PRIVMSG", "alice", HINT)]


def test_an_echo_is_not_echoed(bot: Bot, alice: OtrPeer) -> None:
    """Against a peer that sends everything back, with limits as they are."""
    bot.peer.obey(Reload(Config((), Limits(input_burst=1000))))
    bot.secure(alice)
    alice.say(NICK, "hello")
    for times in range(1, 5):
        bot.wait(alice, lambda times=times: len(alice.received(NICK)) == times, "an echo")  # type: ignore[misc]
        alice.say(NICK, alice.received(NICK)[-1])
    bot.settle(alice)
    assert alice.received(NICK) == ["hello"] * 4
    assert bot.counted.all == ["ake 4 ok", "throttled"]
