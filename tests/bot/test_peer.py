"""What the echo peer answers, to whom, what it forgets, and what it never sends."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from otrbot.attended import AttendedRunner
from otrbot.config import Config, Limits
from otrbot.orders import Reload, Stop
from otrbot.peer import (
    HINT,
    LOST_SESSION,
    MAX_ECHOED_LINES,
    NO_VERSION,
    TOO_MANY_AKES,
    UNENCRYPTED,
    EchoPeer,
)
from otrbot.verbs import VERBS, WORD

from otrcore.account import Account
from otrcore.conversation import QUERY_PATIENCE_4
from otrcore.events import Event, Received, SmpAborted, SmpFailed, SmpSucceeded, Transmit
from otrcore.identity import Identity
from otrcore.irc.lanes import Threads
from otrcore.irc.pacing import Pace
from otrcore.model import MessageState
from otrcore.policy import DEFAULT, MANUAL
from tests.bot.by_hand import NICK, OPEN, Bot, answers
from tests.bot.conftest import BotFactory
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import Message, OtrPeer
from tests.irc.hostile_server import HostileServer, Peer
from tests.keepers import Given

HINT_EVERY = OPEN.hint_seconds


def limits(**some: float) -> Config:
    """A configuration with some other limits."""
    return Config((), replace(OPEN, **some))  # type: ignore[arg-type]


def echoes(bot: Bot, alice: OtrPeer, *texts: str) -> None:
    """Wait until these are all the texts that the bot has sent encrypted."""
    bot.wait(alice, lambda: alice.received(NICK) == list(texts), f"{texts}")


def verified(bot: Bot, peer: OtrPeer) -> None:
    """Wait until somebody has verified the bot."""
    bot.wait(peer, lambda: SmpSucceeded(trusts=True) in peer.events_with(NICK), "the verification")


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
    assert answer.text.startswith("?OTRv234?")


@pytest.mark.parametrize("nick", ["NickServ", "testserv", "global", "ALIS"])
def test_services_get_no_answer(port: int, bot: Bot, nick: str) -> None:
    with OtrPeer(port, nick) as service:
        service.answering = False
        service.say_plain(NICK, "You have 60 seconds to identify.")
        service.say_plain(NICK, "?OTRv3?")
        bot.settle(service)
        assert answers(service) == []


def test_channels_servers_bots_and_itself_get_no_answer(tmp_path: Path) -> None:
    """What a server can deliver beside private messages of others."""
    heard: list[str] = []

    def script(server: Peer) -> None:
        server.register("CHANTYPES=#&", "STATUSMSG=@+")
        for text in (
            "hello",
            "!help",
            "?OTRv3?",
            f"{NICK}: hello",
            "tagged \t  \t\t\t\t \t \t \t    \t\t  \t\t",
        ):
            server.send(
                f":bob!u@h PRIVMSG #channel :{text}",
                f":bob!u@h PRIVMSG &local :{text}",
                f":bob!u@h PRIVMSG @#channel :{text}",
                f":bob!u@h PRIVMSG $*.test :{text}",
                f":irc.test PRIVMSG {server.nick} :{text}",
                f"PRIVMSG {server.nick} :{text}",
                f":{server.nick}!u@h PRIVMSG {server.nick} :{text}",
                f"@echo=1 :{server.nick}!u@h PRIVMSG bob :{text}",
                f":*status!u@h PRIVMSG {server.nick} :{text}",
                f":bob!u@h NOTICE {server.nick} :{text}",
                f"@bot :bob!u@h PRIVMSG {server.nick} :{text}",
                f"@time=x;bot=;y=z :bob!u@h PRIVMSG {server.nick} :{text}",
            )
        server.send(f":carol!u@h PRIVMSG {server.nick} :hello")
        heard.append(server.until("PRIVMSG"))
        server.closed_by_client()

    identity = Identity.generate()
    with HostileServer(script) as server:
        echo = EchoPeer(Config((), OPEN))
        keeper = Given(lambda _: Account(identity))
        runner = AttendedRunner(server.address, NICK, echo, keeper, realname="a test", pace=Pace.NONE)
        echo.speak_by(runner)
        runner.connect()
        while not heard:
            runner.process(0.05)
        runner.close("done")
    assert heard == [f"PRIVMSG carol :{HINT}"]


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


# ---- encrypted


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


def test_after_the_peer_has_ended_nothing_more_is_echoed(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.say(NICK, "one")
    alice.end(NICK)
    bot.settle(alice)
    assert alice.received(NICK) in ([], ["one"])
    bot.secure(alice)
    alice.say(NICK, "two")
    bot.wait(alice, lambda: alice.received(NICK)[-1:] == ["two"], "the echo in a new conversation")
    assert alice.plain(NICK) == []


def test_two_people_at_once_do_not_meet(port: int, bot: Bot, alice: OtrPeer) -> None:
    with OtrPeer(port, "bob") as bob:
        bot.secure(alice)
        bot.secure(bob)
        for number in range(5):
            alice.say(NICK, f"alice's {number}")
            bob.say(NICK, f"bob's {number}")
        echoes(bot, alice, *(f"alice's {number}" for number in range(5)))
        echoes(bot, bob, *(f"bob's {number}" for number in range(5)))
        assert alice.session_id(NICK) != bob.session_id(NICK)


def test_who_takes_the_nick_of_somebody_secured_is_somebody_else(port: int, bot: Bot, alice: OtrPeer) -> None:
    """The server tells the bot only when it writes to the one who has gone."""
    bot.secure(alice)
    alice.say(NICK, "one")
    echoes(bot, alice, "one")
    alice.raw("QUIT :gone")
    alice.wait(lambda: alice.closed, "the end of the connection")
    with OtrPeer(port, "alice") as stranger:
        stranger.say_plain(NICK, "hello, it is me")
        bot.wait(stranger, lambda: answers(stranger), "an answer")
        # Told in what alice alone could read, as the server has not told of her leaving.
        assert all("?OTR" in message.text for message in answers(stranger))
        # What the stranger cannot read ends with a conversation of the stranger's own.
        bot.secure(stranger)
        stranger.say(NICK, "mine")
        bot.wait(stranger, lambda: stranger.received(NICK)[-1:] == ["mine"], "the echo")


# ---- verifying the bot


@pytest.mark.parametrize("question", [None, "What is your word?"])
def test_it_answers_everybody_by_the_word_that_is_published(
    bot: Bot, alice: OtrPeer, question: str | None
) -> None:
    bot.secure(alice)
    alice.verify(NICK, WORD, question)
    verified(bot, alice)
    alice.say(NICK, "and on")
    echoes(bot, alice, "and on")
    assert alice.plain(NICK) == []


def test_another_secret_than_the_word_fails(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    alice.verify(NICK, WORD.upper(), None)
    bot.wait(alice, lambda: SmpFailed(trusts=True) in alice.events_with(NICK), "the end of the verification")
    alice.verify(NICK, WORD, None)
    verified(bot, alice)


def test_the_word_is_published() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"by the secret `{WORD}`" in readme.read_text("utf-8")


# ---- who is who


class Scripted:
    """A person with OTR on a server that says what the test has it say of others."""

    def __init__(self, server: Peer) -> None:
        self.server = server
        self.mask = "alice!alice@home"
        self.talk = Account(IDENTITY, name="alice").conversation("echo")
        self.texts: list[str] = []
        self._do(self.talk.start())
        while self.talk.state is not MessageState.ENCRYPTED:
            self.take()

    def take(self) -> str:
        """Have the next message of the bot to this nick."""
        line = self.server.until(f"PRIVMSG {self.mask.partition('!')[0]} ").partition(" :")[2]
        self._do(self.talk.receive(line))
        return line

    def plain(self, text: str, mask: str = "") -> str:
        """Say a plain text, and return the answer."""
        self.server.send(f":{mask or self.mask} PRIVMSG {self.server.nick} :{text}")
        while not (line := self.take()).startswith("Plain"):
            pass
        return line

    def ask(self, text: str) -> str:
        """Say something encrypted, and return the answer."""
        before = len(self.texts)
        self._do(self.talk.send(text))
        while len(self.texts) == before:
            self.take()
        return self.texts[before]

    def _do(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Transmit):
                for line in event.lines:
                    self.server.send(f":{self.mask} PRIVMSG {self.server.nick} :{line}")
            elif isinstance(event, Received):
                self.texts.append(event.text)


IDENTITY = Identity.generate()


def play(script: Callable[[Scripted], None], config: Config | None = None, *, lost: bool = False) -> EchoPeer:
    """Have the bot on a server that does what a script says, and return its peer as it is then.

    `lost` is for a script that breaks the connection off.
    """
    over: list[bool] = []

    def serve(server: Peer) -> None:
        server.register("CASEMAPPING=rfc1459")
        script(Scripted(server))
        over.append(True)
        if not lost:
            server.closed_by_client()

    with HostileServer(serve) as server:
        echo = EchoPeer(config or Config((), OPEN))
        runner = AttendedRunner(
            server.address, NICK, echo, Given(lambda _: Account(IDENTITY)), realname="a test", pace=Pace.NONE
        )
        echo.speak_by(runner)
        runner.connect()
        while not (echo.lost if lost else over) and server.failure is None:
            runner.process(0.05)
        runner.close("done")
    return echo


def test_a_stranger_of_another_address_is_somebody_else_at_once() -> None:
    """The bot shares no channel with people, and so does not see them go."""

    def script(alice: Scripted) -> None:
        assert "100" in alice.ask("!fragment 100")
        stranger = alice.plain("!status", mask="alice!mallory@elsewhere")
        assert stranger.startswith("Plain: not encrypted; your pieces so far: 0; SMP: none so far")

    play(script)


def test_everything_moves_with_the_nick() -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        alice.server.send(f":{alice.mask} NICK :Alicia[]")
        alice.mask = "Alicia[]!alice@home"
        assert "mine 111 bytes" in alice.ask("!status")
        assert alice.ask("an echo") == "an echo"
        # Back, in other capitals.
        alice.server.send(f":{alice.mask} NICK :aLICE")
        alice.mask = "aLICE!alice@home"
        assert alice.ask("!whoami").endswith("you are aLICE!alice@home")

    play(script)


@pytest.mark.parametrize(
    "line",
    [
        ":alice!alice@home QUIT :irc.one.example irc.two.example",
        ":alice!alice@home QUIT",
        ":irc.test 401 echo alice :No such nick",
    ],
)
def test_who_has_left_is_forgotten_with_all_keys(line: str) -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        alice.server.send(line)
        # The keys are gone: what would be readable by them is not answered by an echo.
        alice.server.send(f":{alice.mask} PRIVMSG {alice.server.nick} :!status")
        while not (said := alice.take()).startswith("Plain"):
            assert said.startswith("?OTR:") is False
        assert said.startswith("Plain: not encrypted")
        assert "mine" not in said

    play(script)


def test_a_lost_connection_leaves_nothing_of_anybody() -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        alice.server.send(f":bob!b@h PRIVMSG {alice.server.nick} :?OTRv3?")
        alice.server.until("PRIVMSG bob ")
        alice.server.reset()

    echo = play(script, lost=True)
    assert echo.lost is not None
    assert len(echo._people) == 0
    assert echo.next_tick is None
    assert list(echo._runner.host.overview()) == []


def test_who_comes_to_the_nick_of_another_finds_nothing_of_theirs() -> None:
    def script(alice: Scripted) -> None:
        alice.ask("!fragment 111")
        server = alice.server
        server.send(f":carol!c@h PRIVMSG {server.nick} :!ping")
        server.until("PRIVMSG carol :Plain: pong")
        server.send(":carol!c@h NICK :alice", f":alice!c@h PRIVMSG {server.nick} :!status")
        while "Plain: " not in (said := server.until("PRIVMSG alice ")):
            pass
        assert "Plain: not encrypted" in said
        assert "mine" not in said

    play(script)


# ---- goodbye


def test_who_is_silent_for_long_is_said_goodbye_to(bot: Bot, alice: OtrPeer) -> None:
    bot.secure(alice)
    bot.advance(OPEN.idle_seconds - 60)
    assert bot.ask(alice, "still here") == "still here"
    bot.advance(OPEN.idle_seconds - 60)
    bot.turn()
    assert alice.secured(NICK)
    bot.advance(61)
    bot.wait(alice, lambda: alice.lines and not alice.secured(NICK), "the end")
    assert not bot.runner.host.has("alice")
    bot.secure(alice)
    assert bot.ask(alice, "again") == "again"


def test_one_conversation_too_many_costs_the_one_that_was_used_longest_ago(
    bots: BotFactory, port: int
) -> None:
    bot = bots(limits(conversations=3))
    with ExitStack() as running:
        people = [running.enter_context(OtrPeer(port, f"peer{number}")) for number in range(4)]
        for peer in people[:3]:
            bot.secure(peer)
        bot.ask(people[0], "I am here")
        with OtrPeer(port, "dave") as dave:
            # Who only writes costs nobody a conversation.
            bot.ask_plain(dave, "!ping")
        bot.secure(people[3])
        bot.wait(people[1], lambda: not people[1].secured(NICK), "goodbye")
        assert bot.peer.conversations == 3
        for peer in (people[0], people[2], people[3]):
            assert bot.ask(peer, "still") == "still"


def test_people_who_come_and_go_leave_nothing_behind(bots: BotFactory, port: int) -> None:
    bot = bots(limits(conversations=3))
    for number in range(20):
        with OtrPeer(port, f"peer{number}") as peer:
            peer.say_plain(NICK, "?OTR|12345678|00000000,00001,00002,?OTR:AAMDabc,")
            peer.say_plain(NICK, "!otr 2")
            bot.settle(peer)
    assert len(bot.peer._people) <= 6
    assert sum(1 for _ in bot.runner.host.overview()) <= 3


def test_who_has_kept_keys_that_are_lost_here_is_told_and_recovers(bots: BotFactory, port: int) -> None:
    with OtrPeer(port, "alice") as alice:
        alice.account.policy = replace(DEFAULT, versions=frozenset({3}))
        first = bots()
        first.secure(alice)
        first.close()
        second = bots()
        alice.say(NICK, "lost")
        alice.say(NICK, "lost too")
        second.wait(alice, lambda: LOST_SESSION in [message.text for message in answers(alice)], "the error")
        second.wait(alice, lambda: alice.received(NICK), "an echo in a new conversation")
        assert alice.received(NICK) == ["[resent] lost too"]
        assert [message.text for message in answers(alice)].count(LOST_SESSION) == 1


def test_keys_of_version_4_that_are_lost_here_are_replaced_without_a_query(
    bots: BotFactory, port: int
) -> None:
    """One is not allowed inside a conversation of version 4, in which the peer believes itself."""
    with OtrPeer(port, "alice") as alice:
        first = bots()
        first.secure(alice)
        first.close()
        before = len(answers(alice))
        second = bots()
        alice.say(NICK, "lost")
        alice.say(NICK, "lost too")
        second.wait(alice, lambda: alice.received(NICK), "an echo in a new conversation")
        assert alice.received(NICK) == ["[resent] lost too"]
        said = [line for line in (message.text for message in answers(alice)[before:]) if " " in line]
        assert said
        assert all(line.startswith("?OTR Error: ERROR_2: ") for line in said)
        assert second.counted.all == ["ake 4 ok"]


def test_a_peer_that_does_not_answer_a_renewal_can_talk_plainly_again(bot: Bot, alice: OtrPeer) -> None:
    """In version 4 the conversation ends first, and until there is another one nothing goes out plain."""
    bot.secure(alice)
    alice.answering = False
    bot.runner.do("alice", lambda talk: talk.start(), slow=True)
    bot.wait(alice, lambda: bot.runner.state("alice") is MessageState.FINISHED, "the end")
    bot.advance(QUERY_PATIENCE_4 + 1)
    bot.wait(alice, lambda: bot.runner.state("alice") is MessageState.PLAINTEXT, "the end of waiting")
    assert bot.ask_plain(alice, "!ping") == "Plain: pong"


# ---- limits


def test_who_writes_too_much_is_not_heard_for_a_minute(bots: BotFactory, port: int, alice: OtrPeer) -> None:
    bot = bots(limits(input_burst=5))
    for number in range(20):
        alice.say_plain(NICK, f"!help {number}")
    bot.settle(alice)
    assert 5 <= len(alice.plain(NICK)) < 10
    assert bot.counted.all == ["throttled"]
    bot.advance(61)
    assert "pong" in bot.ask_plain(alice, "!ping")


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


@pytest.mark.parametrize("begins", ["?OTRv3?", "?OTR?v23?", "?OTR:AAMC.", "?OTR|00000100|00000000,1,2,?OT,"])
def test_too_many_key_exchanges_are_refused_and_that_is_told_once(
    bots: BotFactory, port: int, alice: OtrPeer, begins: str
) -> None:
    bot = bots(limits(akes_per_minute=2))
    alice.answering = False
    for _ in range(6):
        alice.say_plain(NICK, begins)
    bot.settle(alice)
    assert alice.plain(NICK) == [TOO_MANY_AKES]
    assert bot.counted.all.count("ake 0 refused") == 4
    bot.advance(61)
    alice.answering = True
    bot.secure(alice)


def test_who_offers_too_often_is_still_read(bots: BotFactory, port: int, alice: OtrPeer) -> None:
    bot = bots(limits(akes_per_minute=1))
    alice.answering = False
    for _ in range(2):
        alice.say_plain(NICK, "!ping" + " \t  \t\t\t\t \t \t \t    \t\t  \t\t")
    bot.settle(alice)
    plain = alice.plain(NICK)
    assert plain.count("Plain: pong") == 2
    assert plain.count(TOO_MANY_AKES) == 1


def test_a_crowd_has_so_many_key_exchanges_in_all(bots: BotFactory, port: int) -> None:
    bot = bots(limits(akes_per_minute_all=2))
    with ExitStack() as running:
        people = [running.enter_context(OtrPeer(port, f"peer{number}")) for number in range(4)]
        for peer in people[:2]:
            bot.secure(peer)
        for peer in people[2:]:
            peer.ask(NICK)
        bot.settle(*people)
        assert [peer.plain(NICK) for peer in people] == [[], [], [TOO_MANY_AKES], [TOO_MANY_AKES]]
        assert bot.ask(people[0], "as before") == "as before"


def test_one_verification_at_once(port: int, bot: Bot, alice: OtrPeer) -> None:
    with OtrPeer(port, "bob") as bob:
        bot.secure(alice)
        bot.secure(bob)
        # The bot waits for her answer to its question.
        assert "I ask you" in bot.ask(alice, "!smp q")
        bob.verify(NICK, WORD, None)
        bot.wait(bob, lambda: [e for e in bob.events_with(NICK) if isinstance(e, SmpAborted)], "a refusal")
        bot.wait(bob, lambda: bob.received(NICK), "why")
        assert "somebody else" in bob.received(NICK)[0]
        # After a minute she has to give way.
        bot.advance(61)
        bob.verify(NICK, WORD, None)
        verified(bot, bob)
        bot.wait(alice, lambda: "others wait" in alice.received(NICK)[-1], "the end of hers")


def test_after_a_stop_nothing_begins_any_more(bot: Bot, alice: OtrPeer) -> None:
    bot.peer.obey(Stop(0.0))
    alice.answering = False
    alice.say_plain(NICK, "?OTRv3?")
    alice.settle()
    bot.turn()
    alice.settle()
    assert answers(alice) == []


# ---- nonsense


def nonsense(rng: random.Random, server: Peer) -> str:
    """Return a line of somebody who may be anybody, and says or does what comes to mind."""
    nick = rng.choice(["al", "bo", "ca", "da", "xServ", "e.f", f"n{rng.randrange(300)}"])
    source = f":{nick}!u{rng.randrange(2)}@h"
    words = [
        "hello",
        "2",
        "on",
        "q",
        "wrong",
        "abort",
        "off",
        "100",
        "x" * 300,
        "\x01",
        "a!*@*",
        "ü",
        "mac",
        "%s",
    ]
    match rng.randrange(8):
        case 0:
            return f"{source} NICK {rng.choice(['al', 'bo', 'ca', 'xServ', '#a', 'AL'])}"
        case 1:
            return f"{source} QUIT :x"
        case 2:
            return f":irc.test 401 {server.nick} {nick} :No such nick"
        case 3 | 4:
            verb = rng.choice([*(verb.name for verb in VERBS), "stats", "nothing"])
            return f"{source} PRIVMSG {server.nick} :!{verb} {rng.choice(words)}"
        case 5:
            starts = [
                "?OTRv3?",
                "?OTRv2?",
                "?OTR Error: x",
                "?OTR:AAMC",
                "?OTR:AAMD",
                "?OTR:AAIC",
                "?OTR:AAMS",
            ]
            starts += ["?OTR|00000100|00000000,1,2,?OTR:AAMC,", "?OTR,1,2,abc,", "?OTR|1|1,1,1,,", "?OTR:é"]
            return (
                f"{source} PRIVMSG {server.nick} :{rng.choice(starts)}{rng.choice(['', 'AAAA.', words[8]])}"
            )
        case 6:
            return f"{source} PRIVMSG {server.nick} :a \t  \t\t\t\t \t \t \t    \t\t  \t\t{rng.choice(words)}"
        case _:
            return f"{source} {rng.choice(['PRIVMSG', 'NOTICE'])} {server.nick} :{rng.choice(words)}"


def test_nonsense_is_neither_an_error_nor_kept(caplog: pytest.LogCaptureFixture) -> None:
    def script(alice: Scripted) -> None:
        rng = random.Random(7)
        for _ in range(60):
            alice.server.send(*(nonsense(rng, alice.server) for _ in range(50)))
            alice.server.send("PING :between")
            alice.server.until("PONG :between")

    echo = play(script, Config((), replace(OPEN, conversations=20)))
    assert echo._runner.connection.errors == 0
    assert len(echo._limiter) > 100
    assert len(echo._people) <= 40
    assert sum(1 for _ in echo._runner.host.overview()) <= 40
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# ---- bans


def test_who_is_banned_gets_nothing_at_all(bots: BotFactory, alice: OtrPeer) -> None:
    bot = bots(Config((), OPEN, bans=("al?ce!*@*",)))
    for line in ("hello", "!help", "?OTRv3?"):
        alice.say_plain(NICK, line)
    bot.settle(alice)
    assert answers(alice) == []
    bot.peer.obey(Reload(Config((), OPEN)))
    bot.secure(alice)
    assert bot.ask(alice, "hello") == "hello"
    # From now on, not even a goodbye.
    before = len(answers(alice))
    bot.peer.obey(Reload(Config((), OPEN, bans=("ALICE!*@*",))))
    alice.say(NICK, "hello?")
    bot.settle(alice)
    assert len(answers(alice)) == before
    assert not bot.runner.host.has("alice")


# ---- versions


def test_who_speaks_version_2_only_is_welcome(bot: Bot, alice: OtrPeer) -> None:
    alice.account.policy = replace(MANUAL, versions=frozenset({2}))
    bot.secure(alice)
    assert bot.ask(alice, "an echo") == "an echo"
    assert bot.counted.all == ["ake 2 ok"]


def test_who_offers_nothing_that_is_spoken_is_told_once(bot: Bot, alice: OtrPeer) -> None:
    alice.answering = False
    for _ in range(3):
        alice.say_plain(NICK, "?OTR?")
    bot.settle(alice)
    assert alice.plain(NICK) == [NO_VERSION]


# ---- in threads


def test_a_crowd_with_its_arithmetic_in_threads(bots: BotFactory, port: int) -> None:
    lanes = Threads(patience=0.0)
    bot = bots(limits(smps_at_once=10), lanes=lanes)
    with ExitStack() as running:
        people = [running.enter_context(OtrPeer(port, f"peer{number}")) for number in range(5)]
        for peer in people:
            peer.ask(NICK)
        for peer in people:
            bot.wait(peer, partial(peer.secured, NICK), "OTR")
        for peer in people:
            peer.verify(NICK, WORD, None)
            peer.say(NICK, "!ping")
            peer.say(NICK, peer.nick)
        for peer in people:
            verified(bot, peer)
            echoes(bot, peer, "Encrypted: pong", peer.nick)
    lanes.close()


# ---- real programs


def test_irssi_on_ngircd(tmp_path: Path) -> None:
    with ExitStack() as running:
        server = running.enter_context(Ngircd(tmp_path / "ngircd"))
        alice = running.enter_context(Irssi("alice", tmp_path / "irssi", server.port))
        bot = running.enter_context(closing(Bot(server.port, tmp_path / "data")))

        def wait(text: str) -> None:
            with OtrPeer(server.port, "clock") as clock:
                bot.wait(clock, lambda: any(text in line for line in alice.shown(NICK)), text)

        alice.say(NICK, "hello")
        wait("To begin: /otr init")
        alice.say(NICK, "!ping")
        wait("Plain: pong")
        alice.start_otr(NICK)
        wait("Session secured")
        alice.say(NICK, "an echo, please")
        wait(f"<{NICK}> an echo, please")
        alice.say(NICK, "!status")
        wait("Encrypted: OTR 3, id ")
        alice.say(NICK, "!fragment 100")
        wait("at most 100 bytes")
        alice.say(NICK, "!big 400")
        wait("000392")
        alice.say(NICK, "!smp")
        wait("I verify you now")
        alice.verify(NICK, WORD)
        wait("successful")
        alice.say(NICK, "!end")
        wait(f"{NICK} has finished the OTR session")
