"""`otr-bot` as a process: how it is stopped, what it writes into its log, and what it survives."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from otrcore.events import SmpFailed
from tests.bot.bot_process import BotProcess, Supervisor, configuration, get
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.programs import OtrBot
from tests.clients.drivers.waiting import free_port, wait_for
from tests.irc.connection.hostile_server import HostileServer, Peer

NICK = "echo"
LINES = 2000


def starting(folder: Path, server: HostileServer) -> OtrBot:
    """A bot whose server is the test's own."""
    return OtrBot(folder / "bot", server.address.port, NICK, wait_ready=False)


@pytest.fixture
def bot(port: int, tmp_path: Path) -> Iterator[OtrBot]:
    with OtrBot(tmp_path / "bot", port, NICK) as running:
        yield running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_conversation(port: int, bot: OtrBot, number: signal.Signals) -> None:
    with ExitStack() as running:
        peers = [running.enter_context(OtrPeer(port, f"peer{count}")) for count in range(3)]
        for peer in peers:
            peer.start(NICK)
            peer.say(NICK, "hello")
            peer.wait_received(NICK, "hello")
        bot.signal(number)
        for peer in peers:
            peer.wait_ended(NICK)
            assert peer.plain(NICK) == []
    assert bot.exit_code() == 0
    assert "Traceback" not in bot.screen()


def test_conversations_are_ended_even_when_echoes_are_still_waiting(port: int, tmp_path: Path) -> None:
    """At the pace that public networks ask for, a long echo takes longer than anybody waits for the end."""
    with OtrBot(tmp_path / "bot", port, NICK, "--pace", "default") as bot, OtrPeer(port, "alice") as alice:
        alice.start(NICK)
        alice.say(NICK, "hello")
        alice.wait_received(NICK, "hello")
        for _ in range(3):
            alice.say(NICK, "a long text, " * 200)
        # "hello" came in one or two pieces, a long echo comes in many more.
        alice.wait(lambda: re.search(r"\?OTR\|[^,]*,00002,000(?:0[4-9]|1)", str(alice.lines)), "a long echo")
        bot.signal(signal.SIGTERM)
        assert bot.exit_code() == 0
        alice.wait_ended(NICK)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """The server never closes after QUIT, so that there is something that a second signal can cut short."""
    started: list[OtrBot] = []

    def script(server: Peer) -> None:
        server.register()
        started[0].wait_shown("ready")
        started[0].signal(signal.SIGTERM)
        server.until("QUIT ")
        started[0].signal(signal.SIGTERM)
        assert started[0].exit_code() == -signal.SIGTERM

    with HostileServer(script) as server, starting(tmp_path, server) as bot:
        started.append(bot)
        bot.exit_code()
        assert "Traceback" not in bot.screen()


def test_a_signal_before_the_server_has_let_it_in(tmp_path: Path) -> None:
    started: list[OtrBot] = []

    def script(server: Peer) -> None:
        server.until("USER ")
        started[0].signal(signal.SIGTERM)
        server.closed_by_client()

    with HostileServer(script) as server, starting(tmp_path, server) as bot:
        started.append(bot)
        assert bot.exit_code() == 0
        assert "Traceback" not in bot.screen()


def one_hello(server: Peer) -> None:
    """Let the bot in, have it answer somebody, and break off."""
    server.register()
    server.send(":bob!u@h PRIVMSG echo :hello")
    server.until("PRIVMSG bob")
    server.reset()


def test_a_lost_connection_is_one_sentence_if_it_is_tried_once(tmp_path: Path) -> None:
    with (
        HostileServer(one_hello) as server,
        OtrBot(
            tmp_path / "bot", server.address.port, NICK, "--pace", "none", "--once", wait_ready=False
        ) as bot,
    ):
        assert bot.exit_code() == 69
        assert "Traceback" not in bot.screen()
        assert bot.screen().splitlines()[-1].endswith("connect again.")


def test_it_comes_back_after_a_loss(tmp_path: Path) -> None:
    def again(server: Peer) -> None:
        server.register()
        server.send(":dave!u@h PRIVMSG echo :hello")
        server.until("PRIVMSG dave")
        started[0].signal(signal.SIGTERM)
        server.closed_by_client()

    started: list[OtrBot] = []
    with HostileServer(one_hello, again) as server, starting(tmp_path, server) as bot:
        started.append(bot)
        assert bot.exit_code() == 0
        assert "Traceback" not in bot.screen()
        assert len(set(re.findall(r"fingerprint ([0-9A-F ]{44})", bot.screen()))) == 1


def test_the_log_holds_neither_texts_nor_nicks(port: int, bot: OtrBot) -> None:
    with OtrPeer(port, "Xylophone") as peer:
        peer.say_plain(NICK, "unmentionable in the clear")
        peer.say_plain(NICK, "?OTR Error: unmentionable error")
        peer.say_plain(NICK, "?OTR:unmentionable.")
        peer.raw(f"NOTICE {NICK} :unmentionable notice", f"PRIVMSG {NICK} :\x01UNMENTIONABLE\x01")
        peer.start(NICK)
        peer.say(NICK, "unmentionable in private")
        peer.wait_received(NICK, "unmentionable in private")
        peer.say_plain(NICK, "unmentionable in between")
        peer.say(NICK, "unmentionable\r\nQUIT")
        peer.wait(lambda: len(peer.received(NICK)) >= 3, "echoes")
        peer.end(NICK)
        bot.wait_shown("a conversation has ended")
        fingerprint = str(peer.account.identity.fingerprint)
    bot.signal(signal.SIGTERM)
    assert bot.exit_code() == 0
    log = bot.screen().lower()
    assert bot.fingerprint[:8].lower() in log
    for secret in ("xylophone", "unmentionable", "quit", fingerprint.lower(), fingerprint[:8].lower()):
        assert secret not in log


CANARY = "unmentionable"


class Member(OtrPeer):
    """A peer on a server that wants a password."""

    def raw(self, *lines: str | bytes) -> None:
        first = [f"PASS {CANARY}server"] if str(lines[0]).startswith("NICK") else []
        super().raw(*first, *lines)


@pytest.mark.parametrize("style", ["text", "json"])
def test_no_secret_gets_out(tmp_path: Path, style: str) -> None:
    """What only we know stands in everything that the bot is given, and nowhere that it writes to."""
    config, web = guarded(tmp_path)
    (tmp_path / "run").mkdir()
    password = f"[Global]\nPassword = {CANARY}server\n"
    with Ngircd(tmp_path / "ngircd", password) as server:
        config.write_text(config.read_text().replace("PORT", str(server.port)))
        with (
            BotProcess(
                tmp_path / "run", "--config", config, "--log-format", style, "--log-level", "debug"
            ) as bot,
            Member(server.port, f"{CANARY}nick") as peer,
        ):
            bot.wait_shown(", fingerprint ")
            peer.say_plain(NICK, f"{CANARY}plain")
            peer.start(NICK)
            peer.say(NICK, f"{CANARY}text")
            peer.wait_received(NICK, f"{CANARY}text")
            peer.verify(NICK, f"{CANARY}smp", f"{CANARY}question")
            peer.wait(lambda: any(isinstance(e, SmpFailed) for e in peer.events_with(NICK)), "a failed SMP")
            peer.say_plain(NICK, f"{CANARY} in between")
            peer.say_plain(NICK, f"?OTR Error: {CANARY}error")
            answers = [get(web, path)[1] for path in ("/healthz", "/metrics", f"/{CANARY}path")]
            bot.signal(signal.SIGUSR1)
            bot.signal(signal.SIGHUP)
            bot.wait_shown("read anew")
            peer.end(NICK)
            bot.wait_shown("a conversation has ended")
            bot.signal(signal.SIGTERM)
            assert bot.exit_code() == 0
            fingerprint = str(peer.account.identity.fingerprint)
            written = bot.screen()
    assert 'otrbot_lines_total{dir="in",network="one"}' in answers[1]
    kept = [path.read_bytes() for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    for content in (written.encode(), *(answer.encode() for answer in answers), *kept):
        assert CANARY.encode() not in content.lower()
        assert fingerprint.encode() not in content


def guarded(folder: Path) -> tuple[Path, int]:
    """Return a configuration for port PORT with a password and a passphrase, and the port of its HTTP."""
    for name, text in (("password", f"{CANARY}server"), ("passphrase", f"{CANARY}passphrase")):
        path = folder / name
        path.write_text(text)
        path.chmod(0o600)
    web = free_port()
    made = configuration(
        folder,
        1,
        f'server_password_file = "password"\n[http]\nlisten = "127.0.0.1:{web}"\n',
        f'passphrase_file = "passphrase"\nbans = ["{CANARY}mask!*@*"]\n',
    )
    made.write_text(made.read_text().replace('127.0.0.1:1"', '127.0.0.1:PORT"'))
    return made, web


def watched(supervisor: Supervisor) -> dict[str, str]:
    """Return what systemd puts into the environment."""
    return {"NOTIFY_SOCKET": supervisor.address, "WATCHDOG_USEC": "3000000"}


def test_an_operators_bot(tmp_path: Path, port: int) -> None:
    """By a configuration: health, metrics, what systemd hears, bans read anew, and the end."""
    web = free_port()
    path = configuration(tmp_path, port, f'[http]\nlisten = "127.0.0.1:{web}"\n', "bans = []")
    with (
        Supervisor(tmp_path) as supervisor,
        BotProcess(tmp_path, "--config", path, "--nick", "operated", changes=watched(supervisor)) as bot,
        OtrPeer(port, "guest") as guest,
    ):
        supervisor.wait("READY=1")
        supervisor.wait("WATCHDOG=1", 2)
        assert get(web, "/healthz") == (200, "ok\n")
        guest.start("operated")
        guest.say("operated", "hello")
        guest.wait_received("operated", "hello")
        wait_for(lambda: 'otrbot_sessions{network="one"} 1.0' in get(web, "/metrics")[1], "a session", 30.0)
        metrics = get(web, "/metrics")[1]
        assert 'otrbot_ake_total{network="one",result="ok",version="4"} 1.0' in metrics
        steps = re.search(r'otrbot_crypto_seconds_count{network="one"} ([0-9.]+)', metrics)
        assert steps is not None
        assert float(steps[1]) >= 2  # of a key exchange

        good = path.read_text()
        path.write_text(good.replace("bans = []", "bans = 5"))
        bot.signal(signal.SIGHUP)
        bot.wait_shown("left as they were")
        assert "bans: it must be a list" in bot.screen()
        guest.say("operated", "still here?")
        guest.wait_received("operated", "hello", "still here?")

        path.write_text(good.replace("bans = []", 'bans = ["guest!*@*"]'))
        bot.signal(signal.SIGHUP)
        bot.wait_shown("are read anew")
        supervisor.wait("READY=1", 3)
        with OtrPeer(port, "other") as other:
            guest.say_plain("operated", "hello?")
            other.start("operated")
            other.say("operated", "hello")
            other.wait_received("operated", "hello")
            bot.signal(signal.SIGTERM)
            other.wait_ended("operated")
        supervisor.wait("STOPPING=1")
        assert bot.exit_code() == 0
        assert "Traceback" not in bot.screen()


def test_a_server_that_is_silent_starves_health(tmp_path: Path, port: int) -> None:
    """Of two networks one is not there: people can still talk on the other, and health tells."""
    web = free_port()
    two = f'[network.two]\nserver = "127.0.0.1:{free_port()}"\ntls = false\n'
    path = configuration(tmp_path, port, f'{two}[http]\nlisten = "127.0.0.1:{web}"\n')
    with (
        BotProcess(tmp_path, "--config", path, changes={"OTRBOT_NETWORK_ONE_NICK": "half"}) as bot,
        OtrPeer(port, "visitor") as visitor,
    ):
        bot.wait_shown(", fingerprint ")
        bot.wait_shown("Nothing accepts connections")
        visitor.start("half")
        # A handshake has ended for the bot once it can read what comes after.
        visitor.say("half", "hello")
        visitor.wait_received("half", "hello")
        code, text = get(web, "/healthz")
        assert code == 503
        assert "two: not registered" in text
        bot.signal(signal.SIGTERM)
        visitor.wait_ended("half")
        assert bot.exit_code() == 0


def test_killed_and_started_again_it_is_the_same(tmp_path: Path, port: int) -> None:
    path = configuration(tmp_path, port)
    with OtrPeer(port, "loyal") as loyal:
        with BotProcess(tmp_path, "--config", path, "--nick", "undead") as bot:
            bot.wait_shown(", fingerprint ")
            before = bot.fingerprint
            loyal.start("undead")
            bot.signal(signal.SIGKILL)
            bot.exit_code()
        with BotProcess(tmp_path, "--config", path, "--nick", "undead") as bot:
            bot.wait_shown(", fingerprint ")
            assert bot.fingerprint == before
            # What is encrypted under keys that died is answered in a way that a client recovers from.
            loyal.say("undead", "are you there?")
            loyal.wait(lambda: any("?OTR Error" in line for line in loyal.lines), "an OTR error")
            loyal.start("undead")


def garbage(rng: random.Random, real: list[bytes]) -> bytes:
    """Return the text of some message: noise, or something that begins like OTR, or nearly is OTR."""
    noise = rng.randbytes(rng.randrange(300)).translate(None, b"\r\n\0")
    match rng.randrange(6):
        case 0:
            return noise
        case 1:
            return (
                rng.choice([b"?OTR", b"?OTR:", b"?OTR,", b"?OTR|", b"?OTRv", b"?OTR?", b"?OTR Error:"])
                + noise
            )
        case 2:
            tags = (rng.choice([0, 1, 0xFF, 0x100, 2**32 - 1]) for _ in range(2))
            sender, receiver = (f"{tag:x}".encode() for tag in tags)
            number, total = (str(rng.choice([0, 1, 2, 3, 65535, 65536])).encode() for _ in range(2))
            return b"?OTR|%s|%s,%s,%s,%s," % (sender, receiver, number, total, noise)
        case 3:
            return b"\x01" + rng.choice([b"ACTION ", b"VERSION", b"DCC ", b""]) + noise
        case 4:
            return b" \t  \t\t\t\t \t \t \t  " + noise
        case _:
            changed = bytearray(rng.choice(real))
            for _ in range(rng.randrange(1, 4)):
                changed[rng.randrange(len(changed))] = rng.choice(b"ABCabc012+/=,|:.?")
            return bytes(changed)


def test_two_thousand_garbled_messages_do_not_end_it(port: int, bot: OtrBot) -> None:
    with OtrPeer(port, "alice") as alice, OtrPeer(port, "mallory") as mallory:
        alice.start(NICK)
        mallory.start(NICK)
        mallory.say(NICK, "a real message " * 40)
        mallory.wait_received(NICK, "a real message " * 40)
        real = [line.split(" :", 1)[1].encode() for line in mallory.lines if " :?OTR" in line]
        mallory.answering = False
        rng = random.Random(1)
        for number in range(LINES):
            mallory.say_plain(NICK, garbage(rng, real))
            if number % 100 == 0:
                mallory.settle()
        mallory.settle()
        # Somebody else's conversation has not noticed.
        alice.say(NICK, "still there?")
        alice.wait_received(NICK, "still there?")
        answers = [message for message in mallory.messages if message.sender == NICK]
        assert len(answers) <= LINES
        assert all("?OTR" in message.text for message in answers[1:])
    with OtrPeer(port, "carol") as carol:
        carol.start(NICK)
        carol.say(NICK, "me too")
        carol.wait_received(NICK, "me too")
    bot.signal(signal.SIGTERM)
    assert bot.exit_code() == 0
    assert "Traceback" not in bot.screen()


def odd_line(rng: random.Random) -> bytes:
    """Return a line as no server should send it; it is not one that closes the connection."""
    noise = rng.randbytes(rng.randrange(100)).translate(None, b"\n")
    if rng.randrange(2):
        return b":" + noise
    source = rng.choice([b"", b":", b": ", b":irc.test ", b":bob!u@h ", b":bob ", b"@tag=x :bob!u@h ", b"@ "])
    command = rng.choice(
        b"PRIVMSG NOTICE QUIT NICK JOIN PART KICK MODE KILL PING PONG CAP AUTHENTICATE INVITE TOPIC "
        b"001 005 353 366 376 396 401 432 433 437 465 900 906 999".split()
    )
    words = [
        rng.choice([b"echo", b"#c", b"bob", b"*", b":", b"", noise, b"MAXLIST=b", b"PREFIX=ov"])
        for _ in "123"
    ]
    return source + command + b" " + b" ".join(words[: rng.randrange(4)])


def test_two_thousand_odd_lines_of_a_server_do_not_end_it(tmp_path: Path) -> None:
    def script(server: Peer) -> None:
        server.register()
        rng = random.Random(2)
        for _ in range(LINES // 20):
            server.send(*(odd_line(rng) for _ in range(20)), b"PING :between")
            server.until("PONG :between")
        server.send(":dave!u@h PRIVMSG echo :hello")
        assert "OTR" in server.until("PRIVMSG dave :")
        started[0].signal(signal.SIGTERM)
        server.closed_by_client()

    started: list[OtrBot] = []
    with HostileServer(script) as server, starting(tmp_path, server) as bot:
        started.append(bot)
        bot.wait(lambda: bot.ended() or server.failure, "its end")
        if server.failure is None:
            assert bot.exit_code() == 0
        assert "Traceback" not in bot.screen()
        for word in ("bob", "dave"):
            assert word not in bot.screen()
