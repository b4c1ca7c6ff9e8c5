"""Verbs that exist for operators only, and bans."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from otrbot.reports.orders import Wish
from otrbot.settings.config import Config
from otrbot.talk.admin import MAX_BANS, Bans, is_admin

from otrcore.account import Account
from otrcore.identity import Identity
from otrcore.irc.isupport import Features
from otrcore.model import Fingerprint, SessionInfo
from tests.bot.by_hand import NICK, OPEN, Bot, answers
from tests.bot.conftest import BotFactory
from tests.clients.drivers.otr_peer import OtrPeer

ADMIN_VERBS = ("!stats", "!ban a!*@*", "!unban a!*@*", "!reload", "!quit")
OPERATOR = Identity.generate()
ADMINS = tuple(
    fingerprint.digest.hex().upper() for fingerprint in (OPERATOR.fingerprint, OPERATOR.fingerprint_4)
)


@pytest.fixture
def bot(port: int, tmp_path: Path) -> Iterator[Bot]:
    """One whose operator is `OPERATOR`, in any version."""
    made = Bot(port, tmp_path / "data", Config((), OPEN, admins=ADMINS))
    yield made
    made.close()


@pytest.fixture
def operator(port: int) -> Iterator[OtrPeer]:
    with OtrPeer(port, "oper") as made:
        made.account = Account(OPERATOR)
        yield made


def test_the_key_of_one_version_says_nothing_of_another(bots: BotFactory, operator: OtrPeer) -> None:
    """Who is named by a key for versions 2 and 3 has to be named by that for version 4, too."""
    bot = bots(Config((), OPEN, admins=ADMINS[:1]))
    bot.secure(operator)
    assert "there is no !stats" in bot.ask(operator, "!stats")
    operator.end(NICK)
    operator.say_plain(NICK, "!otr 3")
    talk = operator.account.conversation(NICK)
    bot.wait(operator, lambda: talk.info is not None and talk.info.version == 3, "version 3")
    assert "encrypted conversations" in bot.ask(operator, "!stats")


def test_for_others_there_are_no_such_verbs(bot: Bot, alice: OtrPeer) -> None:
    for said in ADMIN_VERBS:
        name = said.split()[0]
        unknown = bot.ask_plain(alice, "!nothing")
        assert bot.ask_plain(alice, said) == unknown.replace("!nothing", name)
    bot.secure(alice)
    for said in ADMIN_VERBS:
        name = said.split()[0]
        unknown = bot.ask(alice, "!nothing")
        assert bot.ask(alice, said) == unknown.replace("!nothing", name)
        assert bot.ask(alice, f"!help {name[1:]}") == unknown.replace("!nothing", name)
    assert "stats" not in bot.ask(alice, "!help")
    assert bot.wishes == []
    assert len(bot.peer.bans) == 0


def test_nor_for_operators_in_the_clear(bot: Bot, operator: OtrPeer) -> None:
    assert "there is no !stats" in bot.ask_plain(operator, "!stats")
    bot.secure(operator)
    # By whomever: what stands in the clear is not the operator's word.
    operator.say_plain(NICK, "!quit")
    bot.wait(operator, lambda: operator.received(NICK), "an answer")
    assert "there is no !quit" in operator.received(NICK)[0]
    assert bot.wishes == []


def test_the_nick_of_an_operator_is_worth_nothing(port: int, bot: Bot, operator: OtrPeer) -> None:
    bot.secure(operator)
    assert "encrypted conversations" in bot.ask(operator, "!stats")
    operator.raw("NICK away")
    operator.settle()
    with OtrPeer(port, "oper") as mallory:
        bot.secure(mallory)
        assert "there is no !quit" in bot.ask(mallory, "!quit")
    assert bot.wishes == []


def test_operators_ask_the_process(bot: Bot, operator: OtrPeer) -> None:
    bot.secure(operator)
    assert "!stats !ban !unban !reload !quit" in bot.ask(operator, "!help")
    assert bot.ask(operator, "!reload") == "Encrypted: the configuration is being read"
    assert bot.ask(operator, "!quit") == "Encrypted: I am leaving"
    assert bot.wishes == [Wish("reload"), Wish("quit")]
    said = bot.ask(operator, "!stats")
    assert said.startswith("Encrypted: 1 encrypted conversations, 1 people, ")
    assert "oper" not in said


def test_operators_ban_and_take_it_back(bot: Bot, operator: OtrPeer, alice: OtrPeer) -> None:
    bot.secure(operator)
    bot.secure(alice)
    assert "banned until the bot ends" in bot.ask(operator, "!ban al*!*@*")
    before = len(answers(alice))
    alice.say(NICK, "hello?")
    alice.say_plain(NICK, "!ping")
    bot.settle(alice)
    assert len(answers(alice)) == before
    assert "not banned any more" in bot.ask(operator, "!unban al*!*@*")
    assert "pong" in bot.ask_plain(alice, "!ping")
    assert "write !ban nick!user@host" in bot.ask(operator, "!ban alice")
    assert "is not banned" in bot.ask(operator, "!unban al*!*@*")


def session(fingerprint: Fingerprint) -> SessionInfo:
    return SessionInfo(3, bytes(8), True, Fingerprint(bytes(20)), fingerprint, 256)


def test_all_clients_under_the_nick_must_be_an_operators() -> None:
    admin, other = Fingerprint(bytes([1]) * 20), Fingerprint(bytes([2]) * 20)
    admins = (admin.digest.hex().upper(),)
    assert is_admin(admins, [session(admin)])
    assert is_admin(admins, [session(admin), session(admin)])
    assert not is_admin(admins, [session(admin), session(other)])
    assert not is_admin(admins, [session(other), session(admin)])
    assert not is_admin(admins, [])
    assert not is_admin((), [session(admin)])


@pytest.mark.parametrize(
    ("mask", "person", "banned"),
    [
        ("bob!*@*", "BOB!u@h", True),
        ("bob!*@*", "bobby!u@h", False),
        ("bob?!*@*", "bobb!u@h", True),
        ("*!*@*.example", "x!y@a.b.example", True),
        ("*!*@*.example", "x!y@a.b.example.org", False),
        ("*!~bad@10.0.?.*", "x!~bad@10.0.1.77", True),
        ("*!~bad@10.0.?.*", "x!~bad@10.0.11.77", False),
        ("a[b]!*@*", "A{B}!u@h", True),
        ("a.c!*@*", "abc!u@h", False),
        ("*a*a*!*@*", "aa!u@h", True),
        ("*a*a*!*@*", "a!u@h", False),
        ("*ab!*@*ab", "abab!u@abab", True),
    ],
)
def test_masks(mask: str, person: str, banned: bool) -> None:
    assert (person in Bans([mask])) is banned


def test_masks_fold_as_the_server_does() -> None:
    bans = Bans(["a[b]!*@*"])
    bans.fold_as(Features(casemapping="ascii"))
    assert "A[B]!u@h" in bans
    assert "a{b}!u@h" not in bans


def test_a_mask_of_many_stars_takes_no_time() -> None:
    assert "a" * 500 + "!u@h" not in Bans(["*a" * 90 + "b!*@*"])


def test_bans_are_bounded_and_those_that_were_added_outlive_the_configuration() -> None:
    bans = Bans(["one!*@*"])
    for number in range(2 * MAX_BANS):
        bans.add(f"x{number}!*@*")
    assert len(bans) == MAX_BANS + 1
    assert "too many" in bans.add("y!*@*")
    bans.configure(["two!*@*"])
    assert "one!u@h" not in bans
    assert "two!u@h" in bans
    assert "x1!u@h" in bans
    assert "take it out there" in bans.remove("two!*@*")
    assert "two!u@h" not in bans
