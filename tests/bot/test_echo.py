"""What the echo peer answers, to whom, and what it never sends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from otrbot.echo import HINT, HINT_EVERY, MAX_ECHOED_LINES, MAX_HINTED, UNENCRYPTED, WORD, EchoPeer

from otrcore.account import Account
from otrcore.events import SmpFailed, SmpSucceeded
from otrcore.identity import Identity
from otrcore.irc.connection import IncomingMessage
from otrcore.irc.dial import ServerAddress
from tests.bot.conftest import NICK, Bot
from tests.clients.drivers.otr_peer import Message, OtrPeer
from tests.irc.hostile_server import HostileServer, Peer
from tests.keepers import Given

JUST_OVER = HINT_EVERY + 1


def secure(bot: Bot, alice: OtrPeer) -> None:
    alice.ask(NICK)
    bot.wait(alice, lambda: alice.secured(NICK), "OTR")


def echoes(bot: Bot, alice: OtrPeer, *texts: str) -> None:
    """Wait until these are all the texts that the bot has sent encrypted."""
    bot.wait(alice, lambda: alice.received(NICK) == list(texts), f"{texts}")


def answers(alice: OtrPeer) -> list[Message]:
    """Everything that the bot has sent to her, numerics and the like aside."""
    return [message for message in alice.messages if message.sender == NICK]


def sent(bot: Bot) -> list[str]:
    """Everything that the bot has sent after its registration."""
    return [line for line in bot.wire.sent() if not re.match("(NICK|USER|CAP|PING|PONG) ", line)]


# ---- hints to those who write plain text


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


@pytest.mark.parametrize(
    "line",
    [
        f"NOTICE {NICK} :a notice",
        f"NOTICE {NICK} :\x01VERSION something\x01",
        f"PRIVMSG {NICK} :\x01VERSION\x01",
        f"PRIVMSG {NICK} :\x01PING 123",
        f"PRIVMSG {NICK} :\x01\x01",
        f"PRIVMSG {NICK} :\x01",
        f"PRIVMSG {NICK} :?OTR:AAMD.",
        f"PRIVMSG {NICK} :?OTR,1,2,abc,",
    ],
)
def test_what_no_person_wrote_gets_no_answer(bot: Bot, alice: OtrPeer, line: str) -> None:
    # The account of a library would complain about some of these to the bot.
    alice.answering = False
    alice.raw(line)
    bot.settle(alice)
    assert answers(alice) == []


def test_an_error_message_is_answered_by_one_request_at_most(bot: Bot, alice: OtrPeer) -> None:
    """Whoever sends one has OTR, and lost something; two such bots would not go on for ever."""
    alice.answering = False
    for _ in range(5):
        alice.raw(f"PRIVMSG {NICK} :?OTR Error: no")
    bot.settle(alice)
    (answer,) = answers(alice)
    assert answer.text.startswith("?OTRv3?")


@pytest.mark.parametrize("nick", ["NickServ", "testserv", "global", "ALIS"])
def test_services_get_no_answer(port: int, bot: Bot, nick: str) -> None:
    with OtrPeer(port, nick) as service:
        service.answering = False
        service.say_plain(NICK, "You have 60 seconds to identify.")
        service.say_plain(NICK, "?OTRv3?")
        bot.settle(service)
        assert answers(service) == []


def test_channels_servers_and_itself_get_no_answer(tmp_path: Path) -> None:
    """What a server can deliver beside private messages of others."""
    heard: list[str] = []

    def script(server: Peer) -> None:
        server.register("CHANTYPES=#&", "STATUSMSG=@+")
        for text in ("hello", "?OTRv3?", f"{NICK}: hello", "tagged \t  \t\t\t\t \t \t \t    \t\t  \t\t"):
            server.send(
                f":bob!u@h PRIVMSG #channel :{text}",
                f":bob!u@h PRIVMSG &local :{text}",
                f":bob!u@h PRIVMSG @#channel :{text}",
                f":bob!u@h PRIVMSG $*.test :{text}",
                f":irc.test PRIVMSG {server.nick} :{text}",
                f"PRIVMSG {server.nick} :{text}",
                f":{server.nick}!u@h PRIVMSG {server.nick} :{text}",
                f":*status!u@h PRIVMSG {server.nick} :{text}",
                f":bob!u@h NOTICE {server.nick} :{text}",
            )
        server.send(f":carol!u@h PRIVMSG {server.nick} :hello")
        heard.append(server.until("PRIVMSG"))
        server.closed_by_client()

    identity = Identity.generate()
    with HostileServer(script) as server:
        echo = EchoPeer(server.address, NICK, Given(lambda _: Account(identity)))
        echo.runner.connect()
        while not heard:
            echo.runner.process(0.05)
        echo.runner.close("done")
    assert heard == [f"PRIVMSG carol :{HINT}"]


def test_the_memory_of_hints_is_bounded() -> None:
    echo = EchoPeer(ServerAddress("127.0.0.1", 1), NICK, Given(lambda _: Account(Identity.generate())))
    for number in range(3 * MAX_HINTED):
        nick = f"bob{number}"
        echo.plain(IncomingMessage(nick, f"{nick}!u@h", NICK, "hello", "PRIVMSG", {}))
    assert len(echo._hinted) == MAX_HINTED


def test_plain_text_inside_an_encrypted_conversation_is_told_once(bot: Bot, alice: OtrPeer) -> None:
    secure(bot, alice)
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
    secure(bot, alice)
    alice.say_plain(NICK, "oops")
    echoes(bot, alice, UNENCRYPTED)


def test_a_notice_inside_an_encrypted_conversation_gets_no_answer(bot: Bot, alice: OtrPeer) -> None:
    """Nobody answers a NOTICE, or two programs could go on answering each other (RFC 2812 section 3.3.2)."""
    secure(bot, alice)
    before = len(answers(alice))
    alice.raw(
        f"NOTICE {NICK} :I am away", f"NOTICE {NICK} :\x01VERSION x\x01", f"PRIVMSG {NICK} :\x01PING 1\x01"
    )
    bot.settle(alice)
    assert len(answers(alice)) == before


# ---- encrypted


def test_everything_encrypted_comes_back(bot: Bot, alice: OtrPeer) -> None:
    secure(bot, alice)
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


def test_the_longest_text_comes_back(bot: Bot, alice: OtrPeer) -> None:
    secure(bot, alice)
    longest = ("0123456789ü" * 3000)[: 32 * 1024 - 3000]
    assert len(longest.encode()) > 31 * 1024
    alice.say(NICK, longest)
    echoes(bot, alice, longest)


def test_an_empty_text_gets_no_answer(bot: Bot, alice: OtrPeer) -> None:
    secure(bot, alice)
    before = len(answers(alice))
    alice.say(NICK, "")
    alice.say_bytes(NICK, b"")
    bot.settle(alice)
    assert len(answers(alice)) == before
    alice.say(NICK, "not empty")
    echoes(bot, alice, "not empty")


def test_several_lines_come_back_one_by_one_in_bounds(bot: Bot, alice: OtrPeer) -> None:
    secure(bot, alice)
    alice.say(NICK, "one\ntwo\r\n\r\n\nthree\rfour\n")
    echoes(bot, alice, "one", "two", "three", "four")
    many = [f"line {number}" for number in range(3 * MAX_ECHOED_LINES)]
    alice.say(NICK, "\n".join(many))
    alice.say(NICK, "afterwards")
    echoes(bot, alice, "one", "two", "three", "four", *many[:MAX_ECHOED_LINES], "afterwards")


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
        secure(bot, alice)
        before = len(sent(bot))
        for attack in ATTACKS:
            alice.say(NICK, attack)
            alice.say_bytes(NICK, attack.encode())
        alice.say(NICK, "the last one")
        bot.wait(alice, lambda: alice.received(NICK)[-1:] == ["the last one"], "the last echo")
        for line in bot.wire.lines:
            assert line.data.endswith(b"\r\n")
            assert not re.search(rb"[\r\n\0]", line.data[:-2])
        lines = sent(bot)[before:]
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


def test_after_the_peer_has_ended_nothing_more_is_echoed(bot: Bot, alice: OtrPeer) -> None:
    secure(bot, alice)
    alice.say(NICK, "one")
    alice.end(NICK)
    bot.settle(alice)
    assert alice.received(NICK) in ([], ["one"])
    secure(bot, alice)
    alice.say(NICK, "two")
    bot.wait(alice, lambda: alice.received(NICK)[-1:] == ["two"], "the echo in a new conversation")
    assert alice.plain(NICK) == []


def test_two_people_at_once_do_not_meet(port: int, bot: Bot, alice: OtrPeer) -> None:
    with OtrPeer(port, "bob") as bob:
        secure(bot, alice)
        secure(bot, bob)
        for number in range(5):
            alice.say(NICK, f"alice's {number}")
            bob.say(NICK, f"bob's {number}")
        echoes(bot, alice, *(f"alice's {number}" for number in range(5)))
        echoes(bot, bob, *(f"bob's {number}" for number in range(5)))
        assert alice.session_id(NICK) != bob.session_id(NICK)


def test_who_takes_the_nick_of_somebody_secured_is_somebody_else(port: int, bot: Bot, alice: OtrPeer) -> None:
    """The server tells the bot only when it writes to the one who has gone."""
    secure(bot, alice)
    alice.say(NICK, "one")
    echoes(bot, alice, "one")
    alice.raw("QUIT :gone")
    alice.wait(lambda: alice.closed, "the end of the connection")
    with OtrPeer(port, "alice") as stranger:
        stranger.say_plain(NICK, "hello, it is me")
        bot.wait(stranger, lambda: answers(stranger), "an answer")
        assert all("?OTR" in message.text for message in answers(stranger))
        # What the stranger cannot read ends with a conversation of the stranger's own.
        secure(bot, stranger)
        stranger.say(NICK, "mine")
        bot.wait(stranger, lambda: stranger.received(NICK)[-1:] == ["mine"], "the echo")


# ---- verifying the bot


@pytest.mark.parametrize("question", [None, "What is your word?"])
def test_it_answers_everybody_by_the_word_that_is_published(
    bot: Bot, alice: OtrPeer, question: str | None
) -> None:
    secure(bot, alice)
    alice.verify(NICK, WORD, question)
    bot.wait(alice, lambda: SmpSucceeded(trusts=True) in alice.events_with(NICK), "the verification")
    alice.say(NICK, "and on")
    echoes(bot, alice, "and on")
    assert alice.plain(NICK) == []


def test_another_secret_than_the_word_fails(bot: Bot, alice: OtrPeer) -> None:
    secure(bot, alice)
    alice.verify(NICK, WORD.upper(), None)
    bot.wait(alice, lambda: SmpFailed(trusts=True) in alice.events_with(NICK), "the end of the verification")
    alice.verify(NICK, WORD, None)
    bot.wait(alice, lambda: SmpSucceeded(trusts=True) in alice.events_with(NICK), "the verification")


def test_the_word_is_published() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"by the secret `{WORD}`" in readme.read_text("utf-8")
