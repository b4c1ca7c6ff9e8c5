"""Conversations of version 4 as users have them, on servers and with clients as they are installed.

Both spare others, and a key exchange takes half a minute. All of these go on side by side; each test waits
for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients import hexchat_support, weechat_support
from tests.clients.drivers.hexchat import HexChat
from tests.clients.drivers.hexchat import private as hexchat_private
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.programs import OtrBot
from tests.clients.drivers.weechat import WeeChat, private, status, version
from tests.clients.hexchat_support import notes, readable, received

# What ngircd has where nothing is configured: no limit to the pauses that it makes.
AS_INSTALLED = "[Limits]\nMaxPenaltyTime = -1\n"

# Seconds for a key exchange or a verification.
PATIENCE = 90.0

SECRET = "grün 7"
QUESTION = "Which colour, and how many?"

Client = HexChat | WeeChat


def paused(seconds: int) -> Mapping[str, str]:
    """Return the settings of a WeeChat that makes such pauses between lines; installed, of 2 s."""
    if version() >= (4, 2):
        return {"irc.server_default.anti_flood": str(1000 * seconds)}
    names = ("anti_flood_prio_high", "anti_flood_prio_low")
    return {f"irc.server_default.{name}": str(seconds) for name in names}


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[None]]]:
    """The conversations, by their names, while they go on."""
    folder = tmp_path_factory.mktemp("version4")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd", extra=AS_INSTALLED))
        pool = running.enter_context(ThreadPoolExecutor(5))
        begin = running.enter_context

        def weechats(*nicks: str, seconds: int = 2) -> list[WeeChat]:
            return weechat_support.start(running, folder, server.port, *nicks, settings=paused(seconds))

        def two_weechats() -> None:
            alice, bob = weechats("alice", "bob")
            converse(alice, bob)

        def hexchat_and_weechat() -> None:
            throttle = {"net_throttle": "1"}
            (carol,) = hexchat_support.start(running, folder, server.port, "carol", settings=throttle)
            (dave,) = weechats("dave")
            converse(carol, dave)

        def weechat_and_bot() -> None:
            begin(OtrBot(folder / "bot", server.port, "echo", "--pace", "default"))
            (erin,) = weechats("erin")
            converse_with_bot(erin)

        def new_nick() -> None:
            frank, grace = weechats("frank", "grace", seconds=1)
            change_nick(frank, grace)

        several: dict[str, Callable[[], None]] = {
            "weechat and weechat": two_weechats,
            "hexchat and weechat": hexchat_and_weechat,
            "weechat and the bot": weechat_and_bot,
            "a new nick": new_nick,
        }
        yield {name: pool.submit(talk) for name, talk in several.items()}


@pytest.mark.parametrize("talk", ["weechat and weechat", "hexchat and weechat", "weechat and the bot"])
def test_on_servers_as_they_are_installed(talks: Mapping[str, Future[None]], talk: str) -> None:
    talks[talk].result()


def test_a_new_nick_while_it_is_being_set_up(talks: Mapping[str, Future[None]]) -> None:
    """The key exchange authenticates the nicks."""
    talks["a new nick"].result()


def wait_told(client: Client, peer: str, text: str, times: int = 1) -> None:
    client.wait(lambda: len(notes(client, peer, text)) >= times, f"OTR to say {text!r} with {peer}", PATIENCE)


def wait_read(client: Client, peer: str, text: str) -> None:
    client.wait(lambda: text in received(client, peer), f"{text!r} of {peer}", PATIENCE)


def say_both_ways(one: Client, other: Client) -> None:
    one.say(other.nick, f"a text of {one.nick}")
    other.say(one.nick, f"a text of {other.nick}")
    wait_read(other, one.nick, f"a text of {one.nick}")
    wait_read(one, other.nick, f"a text of {other.nick}")


def converse(one: Client, other: WeeChat) -> None:
    """From the first question for OTR to the end; the other one is a WeeChat."""
    one.say(other.nick, "/otr start")
    wait_told(one, other.nick, f"Asking {other.nick} for an encrypted conversation.")
    wait_told(other, one.nick, "Sent: Identity, message 1 of 3")
    wait_told(one, other.nick, "Sent: Auth-R, message 2 of 3")
    assert not notes(one, other.nick, "Secured"), "it goes on, and is seen to"
    for client, peer in ((other, one.nick), (one, other.nick)):
        wait_told(client, peer, f"Secured: the conversation with {peer} is encrypted (OTR version 4).")

    say_both_ways(one, other)

    other.say(one.nick, f"/otr smp ask {QUESTION}")
    weechat_support.answer(other, one.nick, SECRET)
    wait_told(one, other.nick, f'and asks: "{QUESTION}"')
    if isinstance(one, WeeChat):
        one.say(other.nick, "/otr smp answer")
        weechat_support.answer(one, other.nick, SECRET)
    else:
        one.show(hexchat_private(other.nick))
        one.wait_dialog("others at your screen can read it")
        one.fill_in(SECRET)
    wait_told(other, one.nick, f"Verified: {one.nick} knows the answer")
    wait_told(one, other.nick, f"{other.nick} has verified you by your answer.")

    other.say(one.nick, "/otr end")
    wait_told(one, other.nick, f"{other.nick} has ended the encrypted conversation")
    assert not readable([one, other], "a text of")
    assert one.errors() == other.errors() == []


def converse_with_bot(erin: WeeChat) -> None:
    erin.say("echo", "/otr start")
    wait_told(erin, "echo", "Sent: Auth-R, message 2 of 3")
    wait_told(erin, "echo", "Secured: the conversation with echo is encrypted (OTR version 4).")
    erin.say("echo", "say this again")
    wait_read(erin, "echo", "say this again")
    erin.say("echo", "/otr smp ask What is this called?")
    weechat_support.answer(erin, "echo", "otrcore")
    wait_told(erin, "echo", "Verified: echo knows the answer")
    erin.say("echo", "/otr end")
    wait_told(erin, "echo", "The encrypted conversation with echo is over.")
    assert not readable([erin], "say this again")
    assert erin.errors() == []


def change_nick(frank: WeeChat, grace: WeeChat) -> None:
    for client in (frank, grace):
        client.type("/join #room", status())
        client.wait(lambda client=client: private("#room") in client.buffers(), "the channel")  # type: ignore[misc]
    frank.say("grace", "/otr start")
    wait_told(grace, "frank", "Sent: Identity, message 1 of 3")
    grace.type("/nick gracie", status())
    frank.wait(lambda: private("gracie") in frank.buffers(), "the other nick", PATIENCE)
    grace.nick = "gracie"
    wait_told(frank, "gracie", "Secured: the conversation with gracie is encrypted (OTR version 4).")
    wait_told(grace, "frank", "Secured: the conversation with frank is encrypted (OTR version 4).")
    say_both_ways(frank, grace)
    assert not readable([frank, grace], "a text of")
    assert frank.errors() == grace.errors() == []


# With who speaks version 3 only.


class Pair:
    """WeeChat with our script, which has met nobody yet, and irssi with libotr."""

    def __init__(self, alice: WeeChat, bob: Irssi) -> None:
        self.alice, self.bob = alice, bob


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("version3")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd"))
        (alice,) = weechat_support.start(running, folder, server.port, "alice")
        yield Pair(alice, running.enter_context(Irssi("bob", folder / "irssi", server.port)))
        assert alice.errors() == []


@pytest.mark.parametrize("starts", ["alice", "bob"])
def test_who_speaks_version_3_only_is_talked_with_in_it(pair: Pair, starts: str) -> None:
    """By itself: nobody has to choose."""
    alice, bob = pair.alice, pair.bob
    before = len(notes(alice, "bob", "is encrypted (OTR version 3)"))
    if starts == "alice":
        alice.say("bob", "/otr start")
    else:
        bob.start_otr("alice")
    wait_told(alice, "bob", "is encrypted (OTR version 3)", before + 1)
    bob.wait_secured("alice")
    alice.say("bob", f"hello, {starts} began")
    bob.wait_received("alice", f"hello, {starts} began")
    bob.say("alice", f"hello back, {starts} began")
    wait_read(alice, "bob", f"hello back, {starts} began")
    alice.say("bob", "/otr end")
    bob.wait_ended("alice")
    bob.command("/otr finish")
    assert not notes(alice, "bob", "WARNING")


def test_where_version_4_is_asked_for_there_is_none_in_common(pair: Pair) -> None:
    alice, bob = pair.alice, pair.bob
    alice.say("bob", "/otr policy no-v3")
    wait_told(alice, "bob", "OTR version 4 may be spoken")
    bob.start_otr("alice")
    wait_told(alice, "bob", "bob speaks OTR version 3, which is off by your policy: /otr policy v3 allows it")
    assert not bob.secured("alice")
    alice.say("bob", "/otr policy v3")


def test_an_older_version_than_before_is_told(tmp_path: Path) -> None:
    with ExitStack() as running:
        server = running.enter_context(Ngircd(tmp_path / "ngircd"))
        alice, carol = weechat_support.start(running, tmp_path, server.port, "alice", "carol")
        weechat_support.secure(alice, carol)
        weechat_support.wait_bar(alice, "carol", "OTR4: encrypted, NOT verified")
        alice.say("carol", "/otr end")
        wait_told(carol, "alice", "alice has ended the encrypted conversation")
        carol.say("alice", "/otr policy no-v4")
        weechat_support.secure(carol, alice)
        wait_told(alice, "carol", "WARNING: carol has spoken OTR version 4 before, and only 3 now.")
        weechat_support.wait_bar(alice, "carol", "OTR3: encrypted, NOT verified")
        weechat_support.talk(alice, carol, "all the same")
        assert alice.errors() == carol.errors() == []
