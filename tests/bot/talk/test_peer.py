"""The whole peer: nonsense, a crowd in threads, and a real program."""

from __future__ import annotations

import random
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from otrbot.settings.config import Config
from otrbot.talk.verbs import VERBS, WORD

from otrcore.irc.lanes import Threads
from tests.bot.by_hand import NICK, OPEN, Bot, echoes, limits, verified
from tests.bot.conftest import BotFactory
from tests.bot.talk.scripted import Scripted, play
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import OtrPeer
from tests.irc.connection.hostile_server import Peer


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
    assert echo.common.runner.connection.errors == 0
    assert len(echo.common.limiter) > 100
    assert len(echo.people) <= 40
    assert sum(1 for _ in echo.common.runner.host.overview()) <= 40
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


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
