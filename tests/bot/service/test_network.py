"""The thread of one network against servers that go away, refuse us, hang and lie."""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from otrbot.reports.metrics import Metrics, NetworkMetrics
from otrbot.reports.orders import Mailbox, Order, Reload, Report, Standing, Stats, Stop
from otrbot.service import network as network_module
from otrbot.service.network import MAX_FAULTS, Backoff, Network
from otrbot.settings.config import Config, ConfigError, Limits, Mechanism, NetworkConfig, Sasl
from otrbot.settings.credentials import SecretFile
from otrbot.settings.keys import KeyRing
from otrbot.talk.attended import AttendedRunner

from otrcore.errors import ConnectionFailed, StoreError
from otrcore.events import SessionOpened
from otrcore.irc.actions import AskSecret, ShowMessage, ShowNote
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.connection.pacing import Pace
from otrcore.irc.connection.sasl import AuthenticationRefused
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.waiting import wait_for
from tests.irc.connection.certificates import make_certificate
from tests.irc.connection.hostile_server import HostileServer, Peer

PASSWORD = "canary-91be"


class Attentive:
    """A peer that lets everything in and keeps what it is told."""

    def __init__(self) -> None:
        self.plain_texts: list[str] = []
        self.notes: list[ShowNote] = []
        self.orders: list[Order] = []
        self.reasons: list[str] = []
        self.on_plain: Callable[[str], None] = lambda _: None
        self.on_tick: Callable[[], None] = lambda: None
        self.next_tick: float | None = None
        self.runner: AttendedRunner | None = None

    def speak_by(self, runner: AttendedRunner) -> None:
        self.runner = runner

    def outgoing(self, target: str, lines: Sequence[str]) -> Iterable[Sequence[str]]:
        return (lines,)

    def tick(self) -> None:
        self.next_tick = None
        self.on_tick()

    def obey(self, order: Order) -> None:
        self.orders.append(order)

    def admit(self, message: IncomingMessage) -> IncomingMessage:
        return message

    def left(self, nick: str) -> None:
        """Not of interest."""

    def moved(self, old: str, new: str) -> None:
        """Not of interest."""

    def ready(self) -> None:
        """Not of interest."""

    def plain(self, message: IncomingMessage) -> None:
        self.plain_texts.append(message.text)
        self.on_plain(message.text)

    def show(self, action: ShowMessage | ShowNote) -> None:
        if isinstance(action, ShowNote):
            self.notes.append(action)

    def ask_secret(self, prompt: AskSecret) -> None:
        """Nobody asks."""

    def close_secret(self, prompt: AskSecret) -> None:
        """Nobody asks."""

    def renamed(self, old: str, new: str) -> None:
        """Not of interest."""

    def disconnected(self, reason: str) -> None:
        self.reasons.append(reason)


class Tally(NetworkMetrics):
    """Counts without the library."""

    def __init__(self) -> None:
        super().__init__(Metrics(), "net")
        self._on = False
        self.counted: dict[str, int] = {}

    def _count(self, what: str, number: int) -> None:
        self.counted[what] = self.counted.get(what, 0) + number

    def line(self, direction: str, number: int = 1) -> None:
        self._count(direction, number)

    def throttled(self) -> None:
        self._count("throttled", 1)

    def reconnected(self) -> None:
        self._count("reconnected", 1)

    def handler_error(self, number: int = 1) -> None:
        self._count("errors", number)


@dataclass
class Bot:
    """A network's body in a thread."""

    folder: Path
    network: NetworkConfig
    more: dict[str, object] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=lambda: Backoff(0.01, 0.02))

    def __post_init__(self) -> None:
        self.config = Config((self.network,), data_dir=self.folder, new_keys=True, **self.more)  # type: ignore[arg-type]
        self.peer = Attentive()
        self.tally = Tally()
        self.orders: Mailbox[Order] = Mailbox()
        self.reports: Mailbox[Report] = Mailbox()
        self.standings: list[Standing] = []
        self.outcome: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            keys = KeyRing(self.config)
            Network(
                self.config,
                self.network,
                keys,
                self.orders,
                self.reports,
                self.tally,
                lambda config, metrics, wish: self.peer,
                self.backoff,
            ).run()
        except BaseException as error:
            self.outcome = error

    def start(self) -> Bot:
        self.thread.start()
        return self

    def until(self, look: Callable[[], object], what: str) -> None:
        def looked() -> object:
            self.standings += [report for report in self.reports.take() if isinstance(report, Standing)]
            return look()

        wait_for(looked, lambda: f"{what}; {self.standings} {self.outcome}")

    @property
    def now(self) -> Standing:
        return self.standings[-1] if self.standings else Standing("none")

    def until_registered(self) -> None:
        self.until(lambda: self.now.registered, "registration")

    def ended(self) -> BaseException | None:
        """Wait for its end, and return what it raised."""
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.until(lambda: True, "the last report")
        return self.outcome

    def stop_if_running(self) -> None:
        if self.thread.is_alive():
            self.stop()

    def stop(self, seconds: float = 10.0) -> None:
        self.orders.put(Stop(time.monotonic() + seconds))
        assert self.ended() is None
        self.orders.close()
        self.reports.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Bot]]:
    """Makes a bot for a server; stops it in the end."""
    with ExitStack() as closing:

        def made(
            address: ServerAddress,
            backoff: Backoff | None = None,
            more: dict[str, object] | None = None,
            **network: object,
        ) -> Bot:
            settings = {"pace": Pace.NONE, **network}
            config = NetworkConfig("net", address, **settings)  # type: ignore[arg-type]
            bot = Bot(tmp_path / "data", config, more or {}, backoff or Backoff(0.01, 0.02))
            closing.callback(bot.stop_if_running)
            return bot.start()

        yield made


def secret(folder: Path, text: str = PASSWORD) -> SecretFile:
    path = folder / "password"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return SecretFile(path)


def in_order(peer: Peer) -> None:
    """Let the bot in, and wait for its end."""
    let_in(peer)
    peer.closed_by_client()


def let_in(peer: Peer, *tokens: str) -> None:
    peer.until("CAP LS")
    peer.send(":irc.test CAP * LS :message-tags")
    peer.until("CAP REQ")
    peer.send(":irc.test CAP * ACK :message-tags")
    peer.until("CAP END")
    peer.welcome("otr-echo", *tokens)


# ---- the pauses


def test_pauses_grow_to_a_bound_and_begin_anew() -> None:
    backoff = Backoff(uniform=lambda low, high: high)
    assert [backoff.pause() for _ in range(9)] == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    backoff.reset()
    assert backoff.pause() == 5
    firsts = {Backoff().pause() for _ in range(50)}
    assert len(firsts) > 1
    assert all(2.5 <= first <= 5.0 for first in firsts)


# ---- a life


def test_it_connects_tells_and_leaves(make: Callable[..., Bot]) -> None:
    heard: list[str] = []

    def script(peer: Peer) -> None:
        let_in(peer, "BOT=B", "NETWORK=Test")
        peer.send("@bot :other!o@h PRIVMSG otr-echo :hello")
        heard.extend(peer.closed_by_client())

    with HostileServer(script) as server:
        bot = make(server.address)
        bot.until_registered()
        standing = bot.now
        assert (standing.network, standing.nick, standing.problem) == ("net", "otr-echo", "")
        assert standing.pong_at is not None
        assert abs(time.monotonic() - standing.pong_at) < 20
        assert len(standing.fingerprint.replace(" ", "")) == 40
        bot.until(lambda: bot.peer.plain_texts, "the text")
        assert bot.peer.runner is not None
        bot.stop()
    assert "MODE otr-echo +B" in heard
    assert heard[-1] == "QUIT :stopped"
    assert not bot.now.registered
    assert isinstance(bot.peer.orders[-1], Stop)
    assert bot.tally.counted == {"in": 1}


def test_it_comes_back_after_every_kind_of_loss(make: Callable[..., Bot]) -> None:
    def cut(peer: Peer) -> None:
        let_in(peer)
        peer.reset()

    def thrown_out(peer: Peer) -> None:
        let_in(peer)
        peer.send("ERROR :Closing Link: K-lined")

    def never_let_in(peer: Peer) -> None:
        peer.until("USER")

    with HostileServer(cut, thrown_out, never_let_in, in_order) as server:
        bot = make(server.address)
        bot.until(lambda: bot.now.registered and bot.now.reconnects == 3, "the fourth connection")
        assert bot.tally.counted["reconnected"] == 3
        problems = [standing.problem for standing in bot.standings if standing.problem]
        assert any("closed by the server" in problem for problem in problems)
        assert all("K-lined" not in problem for problem in problems), "they are public"
        assert any("K-lined" in reason for reason in bot.peer.reasons)
        bot.stop()


def test_what_the_server_said_is_logged(make: Callable[..., Bot], caplog: pytest.LogCaptureFixture) -> None:
    def thrown_out(peer: Peer) -> None:
        let_in(peer)
        peer.send("ERROR :Closing Link: K-lined\x1b[2J")

    with HostileServer(thrown_out, in_order) as server:
        bot = make(server.address)
        bot.until(lambda: bot.now.registered and bot.now.reconnects == 1, "the second connection")
        bot.stop()
    assert "the server said: Closing Link: K-lined[2J" in caplog.text


def test_a_server_that_is_not_there_is_tried_again(make: Callable[..., Bot]) -> None:
    with HostileServer(in_order) as server:
        address = server.address
        make_later = threading.Event()
        bot = make(ServerAddress("127.0.0.1", 1))
        bot.until(lambda: sum("Nothing accepts" in one.problem for one in bot.standings) >= 3, "attempts")
        assert not bot.now.registered
        bot.stop()
        make_later.set()
        again = make(address)
        again.until_registered()
        again.stop()


def test_it_ends_while_it_waits_for_the_next_attempt(make: Callable[..., Bot]) -> None:
    bot = make(ServerAddress("127.0.0.1", 1), Backoff(300.0, 300.0))
    bot.until(lambda: bot.now.problem, "a failure")
    began = time.monotonic()
    bot.stop()
    assert time.monotonic() - began < 10


def test_once_means_once(make: Callable[..., Bot]) -> None:
    bot = make(ServerAddress("127.0.0.1", 1), more={"once": True})
    assert isinstance(bot.ended(), ConnectionFailed)
    with HostileServer(let_in) as server:
        bot = make(server.address, more={"once": True})
        assert isinstance(bot.ended(), ConnectionFailed)


@pytest.mark.parametrize("lasts", [299.0, 300.0])
def test_a_connection_that_lasted_makes_the_pauses_short_again(
    make: Callable[..., Bot], monkeypatch: pytest.MonkeyPatch, lasts: float
) -> None:
    reset = threading.Event()

    class Watched(Backoff):
        def reset(self) -> None:
            reset.set()

    later = 0.0
    real = time.monotonic
    go = threading.Event()

    def script(peer: Peer) -> None:
        let_in(peer)
        assert go.wait(20)

    with HostileServer(script, in_order) as server:
        bot = make(server.address, Watched(0.01, 0.01))
        bot.until_registered()
        # Of this module alone, whose clock the connection's is not.
        monkeypatch.setattr(network_module, "time", type("Time", (), {"monotonic": lambda: real() + later}))
        later = lasts - (0.0 if lasts >= 300 else 20.0)
        go.set()
        bot.until(lambda: bot.now.reconnects == 1, "the second connection")
        assert reset.is_set() == (lasts >= 300)
        monkeypatch.undo()
        bot.stop()


# ---- being refused


def login(folder: Path) -> Sasl:
    return Sasl(Mechanism.PLAIN, "echo", secret(folder))


def test_wrong_credentials_end_it_with_an_error_of_its_own(make: Callable[..., Bot], tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.send("CAP * LS :sasl=PLAIN", "CAP * ACK :sasl", "AUTHENTICATE +", ":irc.test 904 * :failed")
        assert not any(line.startswith(("NICK", "USER")) for line in peer.closed_by_client())

    with HostileServer(script) as server:
        bot = make(server.address, sasl=login(tmp_path))
        assert isinstance(bot.ended(), AuthenticationRefused)
    assert "SASL was refused" in bot.now.problem or any(
        "SASL was refused" in s.problem for s in bot.standings
    )


@pytest.mark.parametrize(
    ("mechanism", "answer", "told"),
    [
        (Mechanism.PLAIN, "904", "the account or its password is wrong: check both"),
        (
            Mechanism.EXTERNAL,
            "904",
            "the certificate is not the account's: add its fingerprint to the account",
        ),
        (Mechanism.EXTERNAL, "902", "the account may not be used: ask the network's staff"),
        (Mechanism.PLAIN, "905", "the server finds the account or the password too long: shorten them"),
    ],
)
@pytest.mark.parametrize("once", [False, True])
def test_why_it_was_refused_is_kept_without_the_servers_words(
    make: Callable[..., Bot],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    mechanism: Mechanism,
    answer: str,
    told: str,
    once: bool,
) -> None:
    def script(peer: Peer) -> None:
        peer.send(f"CAP * LS :sasl={mechanism.value.upper()}", "CAP * ACK :sasl", "AUTHENTICATE +")
        peer.send(f":irc.test {answer} canary-nick :canary-words", "ERROR :canary-parting")
        peer.closed_by_client()

    account = login(tmp_path) if mechanism is Mechanism.PLAIN else Sasl(mechanism, "echo")
    with HostileServer(script) as server:
        bot = make(server.address, sasl=account, more={"once": once})
        error = bot.ended()
    assert isinstance(error, AuthenticationRefused)
    assert str(error) == (
        f"The connection to {server.address} was given up, because SASL was refused, as {told}."
    )
    assert "canary" not in "".join((str(error), repr(bot.standings), caplog.text))


def test_services_that_are_away_are_waited_for(make: Callable[..., Bot], tmp_path: Path) -> None:
    told: list[str] = []

    def away(peer: Peer) -> None:
        peer.send("CAP * LS :multi-prefix")
        told.extend(peer.closed_by_client())

    def back(peer: Peer) -> None:
        peer.send("CAP * LS :sasl=PLAIN", "CAP * ACK :sasl", "AUTHENTICATE +")
        peer.until("AUTHENTICATE ")
        peer.until("AUTHENTICATE ")
        peer.send(":irc.test 903 * :good")
        peer.until("CAP END")
        peer.until("USER")
        peer.welcome("otr-echo")
        peer.closed_by_client()

    with HostileServer(away, away, back) as server:
        bot = make(server.address, sasl=login(tmp_path))
        bot.until_registered()
        bot.stop()
    # Nobody is there to log in with, and without an account it does not say who it is.
    assert told == ["CAP LS 302"] * 2


def test_a_refused_server_password(make: Callable[..., Bot], tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        assert peer.until("PASS") == f"PASS :{PASSWORD}"
        peer.send(":irc.test 464 * :Password incorrect")
        peer.closed_by_client()

    with HostileServer(script) as server:
        bot = make(server.address, server_password=secret(tmp_path))
        assert isinstance(bot.ended(), AuthenticationRefused)


def test_a_password_is_read_anew_for_each_connection(make: Callable[..., Bot], tmp_path: Path) -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        assert peer.until("PASS") == "PASS :first"
        let_in_late(peer)
        assert go.wait(20)

    def again(peer: Peer) -> None:
        assert peer.until("PASS") == "PASS :second"
        let_in_late(peer)
        peer.closed_by_client()

    def let_in_late(peer: Peer) -> None:
        peer.until("USER")
        peer.welcome("otr-echo")

    with HostileServer(script, again) as server:
        file = secret(tmp_path, "first")
        bot = make(server.address, server_password=file)
        bot.until_registered()
        assert file.path is not None
        # Nobody can read it for a while, as somebody is replacing it.
        file.path.unlink()
        go.set()
        bot.until(lambda: "cannot be read" in bot.now.problem, "the missing file")
        secret(tmp_path, "second")
        bot.until(lambda: bot.now.registered and bot.now.reconnects == 1, "the second connection")
        bot.stop()


def test_what_the_operator_has_to_mend_ends_it(make: Callable[..., Bot], tmp_path: Path) -> None:
    nowhere = ServerAddress("127.0.0.1", 1, True)
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    missing = SecretFile(tmp_path / "missing")
    for settings, kind in (
        ({"server_password": missing}, StoreError),
        ({"sasl": Sasl(Mechanism.PLAIN, "echo", missing)}, StoreError),
        ({"sasl": Sasl(Mechanism.PLAIN, "echo")}, ConfigError),
        ({"sasl": Sasl(Mechanism.PLAIN, "", secret(tmp_path))}, ConfigError),
        ({"server_password": secret(tmp_path, "two\0words")}, ConfigError),
        ({"ca_file": bad}, ConfigError),
        ({"ca_file": tmp_path / "missing.pem"}, ConfigError),
        ({"client_cert": bad}, ConfigError),
        # Nobody may be asked for it: this is a thread of a service.
        ({"client_cert": make_certificate(tmp_path / "locked.pem", b"secret")}, ConfigError),
        ({"nick": "two words"}, ConfigError),
    ):
        outcome = make(nowhere, **settings).ended()
        assert isinstance(outcome, kind), settings
        assert PASSWORD not in str(outcome)
        assert "\n" not in str(outcome)


def test_tls_with_an_authority_and_a_client_certificate(make: Callable[..., Bot], tmp_path: Path) -> None:
    theirs, ours = make_certificate(tmp_path / "theirs.pem"), make_certificate(tmp_path / "ours.pem")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(theirs)
    serving.load_verify_locations(ours)
    serving.verify_mode = ssl.CERT_REQUIRED
    shown: list[bytes | None] = []

    def looking(peer: Peer) -> None:
        assert isinstance(peer.sock, ssl.SSLSocket)
        shown.append(peer.sock.getpeercert(binary_form=True))
        in_order(peer)

    with HostileServer(looking, tls=serving) as server:
        bot = make(server.address, ca_file=theirs, client_cert=ours)
        bot.until_registered()
        bot.stop()
    (certificate,) = re.findall("-----BEGIN CERTIFICATE.*END CERTIFICATE-----", ours.read_text(), re.DOTALL)
    assert shown == [ssl.PEM_cert_to_DER_cert(certificate)]


def test_nothing_secret_is_in_the_log(
    make: Callable[..., Bot], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def script(peer: Peer) -> None:
        peer.send("CAP * LS :sasl=PLAIN", "CAP * ACK :sasl", "AUTHENTICATE +", ":irc.test 904 * :failed")
        peer.closed_by_client()

    with caplog.at_level(logging.DEBUG), HostileServer(script) as server:
        bot = make(server.address, sasl=login(tmp_path), server_password=secret(tmp_path))
        outcome = bot.ended()
    for shown in (caplog.text, str(outcome), repr(outcome), repr(bot.network), str(bot.standings)):
        assert PASSWORD not in shown


# ---- faults and orders


def test_a_fault_over_one_message_is_counted_and_survived(
    make: Callable[..., Bot], caplog: pytest.LogCaptureFixture
) -> None:
    def script(peer: Peer) -> None:
        let_in(peer)
        peer.send(*(f":bob!b@h PRIVMSG otr-echo :secret{number}" for number in range(5)))
        peer.closed_by_client()

    def fail(text: str) -> None:
        raise KeyError(text)

    with HostileServer(script) as server:
        bot = make(server.address)
        bot.peer.on_plain = fail
        bot.until(lambda: bot.tally.counted.get("errors") == 5, "five faults")
        assert bot.now.registered
        bot.stop()
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_a_fault_in_every_turn_ends_the_thread(make: Callable[..., Bot]) -> None:
    def always() -> None:
        bot.peer.next_tick = 0.0
        raise ZeroDivisionError

    with HostileServer(in_order) as server:
        bot = make(server.address)
        bot.until_registered()
        bot.peer.on_tick = always
        bot.peer.next_tick = 0.0
        bot.orders.put(Stats())
        assert isinstance(bot.ended(), ZeroDivisionError)
    assert bot.tally.counted["errors"] >= MAX_FAULTS


def test_orders_reach_the_peer_at_once(make: Callable[..., Bot]) -> None:
    with HostileServer(in_order) as server:
        bot = make(server.address)
        bot.until_registered()
        reload = Reload(Config((bot.network,), limits=Limits(conversations=3)))
        bot.orders.put(reload)
        bot.orders.put(Stats())
        bot.until(lambda: len(bot.peer.orders) == 2, "the orders")
        assert bot.peer.orders[0] is reload
        bot.stop()


def test_the_peer_is_called_when_it_wants_to_be(make: Callable[..., Bot]) -> None:
    called = threading.Event()
    with HostileServer(in_order) as server:
        bot = make(server.address)
        bot.until_registered()
        bot.peer.on_tick = called.set
        bot.peer.next_tick = time.monotonic() + 0.1
        bot.orders.put(Stats())
        assert called.wait(10)
        bot.stop()


def test_two_networks_do_not_wait_for_each_other(make: Callable[..., Bot], tmp_path: Path) -> None:
    """One hangs in a TLS handshake that is never answered."""
    over = threading.Event()

    def hangs(peer: Peer) -> None:
        over.wait(20)

    with HostileServer(hangs) as hanging, HostileServer(in_order) as server:
        stuck = make(ServerAddress(hanging.address.host, hanging.address.port, True))
        bot = make(server.address)
        bot.until_registered()
        assert not stuck.now.registered
        bot.stop()
        stuck.orders.put(Stop(time.monotonic()))
        over.set()
        assert stuck.ended() is None


# ---- with real conversations


def test_goodbye_is_said_and_keys_are_kept(make: Callable[..., Bot], port: int) -> None:
    fingerprints = set()
    for _ in range(2):
        bot = make(ServerAddress("127.0.0.1", port))
        bot.until_registered()
        fingerprints.add(bot.now.fingerprint)
        with OtrPeer(port, "alice") as alice:
            alice.start("otr-echo")
            bot.until(
                lambda bot=bot: any(isinstance(note.event, SessionOpened) for note in bot.peer.notes),  # type: ignore[misc]
                "an encrypted conversation",
            )
            bot.stop()
            alice.wait_ended("otr-echo")
    assert len(fingerprints) == 1
