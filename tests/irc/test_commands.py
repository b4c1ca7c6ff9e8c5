"""The table of commands: every name is understood as what it is, and nothing else as any."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.irc.actions import Action, ShowNote
from otrcore.irc.commands import COMMANDS, OTR, Command, Table
from otrcore.irc.host import IrcHost
from otrcore.policy import PRESETS
from tests.irc.network import Network

NAMES = {
    "start": ["init"],
    "end": ["finish", "stop", "endprivate"],
    "refresh": ["rekey"],
    "status": ["info", "fingerprint"],
    "smp ask": ["smp start", "authq"],
    "smp answer": ["smp respond", "answer"],
    "smp abort": ["smp cancel", "authabort"],
    "auth": ["verify", "smp"],
    "trust": [],
    "distrust": [],
    "policy": [],
    "send": [],
    "drop": [],
    "client": [],
    "help": ["?"],
}
"""Ours first, then those of weechat-otr, irssi and hexchat-otr."""

ALL = [(name, typed) for name, aliases in NAMES.items() for typed in (name, *aliases)]
TAKING = {"smp ask", "trust", "distrust", "policy", "client"}
SECRET_ELSEWHERE = {"smp answer", "auth"}
"""What stands behind these in irssi and weechat-otr is a secret."""

EVERY_NAME = pytest.mark.parametrize(("name", "typed"), ALL, ids=[typed for _, typed in ALL])


def understood(typed: str) -> tuple[str, str] | None:
    request = OTR.parse(typed)
    return None if request is None else (request.command.name, request.argument)


def test_the_table_is_what_is_typed_here() -> None:
    assert {command.name: sorted(command.aliases) for command in COMMANDS} == {
        name: sorted(aliases) for name, aliases in NAMES.items()
    }
    assert {command.name for command in COMMANDS if command.argument} == TAKING
    assert {command.name for command in COMMANDS if command.secret} == SECRET_ELSEWHERE


def test_no_name_means_two_things() -> None:
    ((_, most),) = Counter(typed for _, typed in ALL).most_common(1)
    assert most == 1
    twice = Command("start", "", lambda host, nick, argument: [])
    with pytest.raises(ValueError, match="'start'"):
        Table((*COMMANDS, twice))


@EVERY_NAME
def test_a_name_is_understood(name: str, typed: str) -> None:
    for written in (
        typed,
        f" {typed} ",
        typed.upper(),
        typed.title(),
        typed.replace(" ", "   "),
        f"\t{typed}",
    ):
        assert understood(written) == (name, "")


@EVERY_NAME
def test_what_stands_behind_stays_as_it_is_typed(name: str, typed: str) -> None:
    assert understood(f"  {typed.upper()}   Where  did we\tMeet?  ") == (name, "Where  did we\tMeet?")


@pytest.mark.parametrize("typed", ["", " ", "\t  "])
def test_nothing_means_help(typed: str) -> None:
    assert understood(typed) == ("help", "")


@pytest.mark.parametrize(
    "typed",
    [
        *("ask", "abort", "cancel", "respond", "starting", "en", "endp", "smpask", "smps", "verified"),
        *("authqueue", "authabortion", "infos", "help!", "??", "/start", "trusted", "policies", "v2"),
        *("start,", "otr start", "\N{FULLWIDTH LATIN SMALL LETTER S}tart", "q" * 10_000, "\0"),
    ],
)
def test_what_is_no_command_is_none(typed: str) -> None:
    assert OTR.parse(typed) is None


def test_the_longest_name_is_tried_first() -> None:
    """Names that begin with another's, and words that do so too."""
    assert understood("authq") == ("smp ask", "")
    assert understood("authabort") == ("smp abort", "")
    assert understood("endprivate") == ("end", "")
    assert understood("smp ask answer") == ("smp ask", "answer")
    assert understood("smp foo") == ("auth", "foo")
    assert understood("answer smp abort") == ("smp answer", "smp abort")


@given(st.text())
def test_anything_may_be_typed(typed: str) -> None:
    request = OTR.parse(typed)
    if request is not None and typed.split():
        words = " ".join(typed.split()).lower()
        assert any(words.startswith(name) for name in (request.command.name, *request.command.aliases))
        assert request.argument in typed


@given(st.text(max_size=40))
def test_completion_takes_anything(typed: str) -> None:
    for word in OTR.complete(typed):
        assert word.startswith(typed.lower().split(" ")[-1])


VERSION_WORDS = ("v2", "no-v2", "v3", "no-v3", "v4", "no-v4")


def test_completion() -> None:
    firsts = {name.split()[0] for name in NAMES}
    assert set(OTR.complete("")) == firsts
    assert OTR.complete("st") == ("start", "status")
    assert OTR.complete("ST") == ("start", "status")
    assert OTR.complete("sm") == ("smp",)
    assert set(OTR.complete("smp ")) == {"ask", "answer", "abort"}
    assert OTR.complete("smp  an") == ("answer",)
    assert set(OTR.complete("policy ")) == {*PRESETS, *VERSION_WORDS, "network"}
    assert set(OTR.complete("policy network ")) == {*PRESETS, *VERSION_WORDS}
    assert OTR.complete("policy  network  no-v2") == ("no-v2",)
    assert OTR.complete("policy al") == ("always",)
    for nothing in ("start ", "nothing ", "smp ask ", "policy never ", "policy network never "):
        assert OTR.complete(nothing) == ()


def test_what_completion_offers_is_understood() -> None:
    for first in OTR.complete(""):
        words = [first, *(f"{first} {second}" for second in OTR.complete(f"{first} "))]
        assert all(OTR.parse(word) is not None for word in words)


def test_a_host_extends_the_table() -> None:
    """As a chat client does that keeps logs."""
    seen = []

    def log(host: IrcHost, nick: str, argument: str) -> list[Action]:
        seen.append((nick, argument))
        return [ShowNote(nick, ("logged",))]

    table = Table((*COMMANDS, Command("log", "start or stop a log", log, ("logs",), "[WORD]", ("on", "off"))))
    alice = Network().join("alice")
    assert table.run(alice.host, "bob", "LOGS on") == [ShowNote("bob", ("logged",))]
    assert seen == [("bob", "on")]
    assert table.complete("log o") == ("on", "off")
    assert any(line.startswith("/otr log [WORD] ") for line in table.help_lines())
    assert OTR.parse("log on") is None


# ---- help


def test_help_has_a_line_for_each_command() -> None:
    lines = OTR.help_lines()
    assert len(lines) == len(COMMANDS)
    for line, command in zip(lines, COMMANDS, strict=True):
        assert line.startswith(f"/otr {command.name}")
        assert line.endswith(f"  {command.about}")
        assert len(line) <= 110
    columns = {len(line) - len(command.about) for line, command in zip(lines, COMMANDS, strict=True)}
    assert len(columns) == 1, "the explanations stand below each other"


def test_help_shows_no_wrong_way() -> None:
    """People copy what help shows: a secret behind a command must not be seen there."""
    assert not any("SECRET" in line for line in OTR.help_lines())


@pytest.mark.parametrize("typed", ["help", "?", "", "   "])
def test_help_by_command(typed: str) -> None:
    alice = Network().join("alice")
    alice.command("bob", typed)
    assert alice.notes() == list(OTR.help_lines())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_what_help_shows_is_understood(command: Command) -> None:
    usage = command.usage.removeprefix("/otr ").removesuffix(command.argument)
    assert understood(usage) == (command.name, "")


@pytest.mark.parametrize("typed", ["hello bob", "\x01ACTION waves\x01", "/otr start", "strat"])
@pytest.mark.parametrize("encrypted", [True, False])
def test_what_is_no_command_is_answered_with_help_and_not_sent(typed: str, encrypted: bool) -> None:
    network = Network()
    alice, bob = network.join("alice"), network.join("bob")
    if encrypted:
        network.secure(alice, bob)
    alice.command("bob", typed)
    assert network.lines == []
    assert bob.shown == []
    assert alice.notes()[0].startswith("There is no such command")
    assert alice.notes()[1:] == list(OTR.help_lines())
    assert not any(word in alice.notes()[0] for word in typed.split())


@pytest.mark.parametrize(
    "name", [command.name for command in COMMANDS if not command.argument and not command.secret]
)
def test_what_takes_nothing_does_nothing_when_something_stands_behind_it(name: str) -> None:
    """In weechat-otr a nick and a server may: what would be done then is not what was meant."""
    network = Network()
    alice, bob = network.join("alice"), network.join("bob")
    network.secure(alice, bob)
    before = alice.account.conversation("bob").info
    alice.command("bob", f"{name} carol othernet")
    (told,) = alice.notes()
    assert told.startswith(f"Nothing may stand behind /otr {name}")
    assert "carol" not in told
    assert network.lines == []
    assert alice.account.conversation("bob").info == before
