"""What keeps `otr chat` and `otr-bot run` from working: one clear sentence each, and the exit code for it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from otrcore.store.database import FILE_NAME, Database
from otrcore.store.identities import Identities
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.programs import InTerminal, OtrBot, OtrChat, installed, run, surroundings
from tests.clients.drivers.waiting import free_port
from tests.irc.connection.hostile_server import HostileServer, Peer

REFUSED = 1
USAGE = 2

# An operator's service manager goes by the bot's exit codes, those of sysexits.h.
BOT_USAGE, BOT_UNREACHABLE, BOT_CONFIG = 64, 69, 78

Outcome = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where an IRC server listens."""
    with subprocess.Popen(
        [sys.executable, "-m", "otrcore.cli.demo_server"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.terminate()


class Program(Protocol):
    """Runs one of the two to its end, with changes of the environment."""

    def __call__(
        self, folder: Path, server: str, *options: str, data: Path | None = None, **changes: str
    ) -> Outcome: ...


def chat(
    folder: Path,
    server: str,
    *options: str,
    data: Path | None = None,
    typed: str | bytes = b"",
    **changes: str,
) -> Outcome:
    where = ["--me", "alice", "--data-dir", str(data or folder / "data")]
    return run(folder, "otr", "chat", server, "bob", *where, *options, typed=typed, changes=changes)


def bot(folder: Path, server: str, *options: str, data: Path | None = None, **changes: str) -> Outcome:
    where = ["--nick", "echo", "--data-dir", str(data or folder / "data")]
    return run(folder, "otr-bot", "run", "--once", "--server", server, *where, *options, changes=changes)


both = pytest.mark.parametrize("program", [chat, bot])


def complaint(done: Outcome, code: int = REFUSED, *, of_bot: int = BOT_UNREACHABLE) -> str:
    """Be sure that a program was ended with a code and one sentence, and return that."""
    is_bot = Path(done.args[0]).name == "otr-bot"
    assert done.returncode == (code if not is_bot else BOT_USAGE if code == USAGE else of_bot), done
    assert "Traceback" not in done.stdout + done.stderr
    if code == USAGE:
        assert done.stdout == ""
        sentence = re.sub(r"\s+", " ", done.stderr.rpartition("Error: ")[2]).strip()
    else:
        assert done.stderr.count("\n") == 1, done.stderr
        sentence = done.stderr.strip()
    assert sentence.isprintable()
    assert len(sentence.split()) > 2
    return sentence


@both
def test_nobody_listens(program: Program, tmp_path: Path) -> None:
    done = program(tmp_path, f"127.0.0.1:{free_port()}")
    assert "Nothing accepts connections" in complaint(done)


@both
def test_a_name_that_does_not_resolve(program: Program, tmp_path: Path) -> None:
    assert "host.invalid:6667 was not found" in complaint(program(tmp_path, "host.invalid"))


@both
def test_a_server_that_does_not_speak_tls(program: Program, tmp_path: Path, port: int) -> None:
    assert "refused the TLS handshake" in complaint(program(tmp_path, f"127.0.0.1:{port}", "--tls"))


@both
def test_a_server_that_closes_at_once(program: Program, tmp_path: Path) -> None:
    with HostileServer(lambda peer: None) as server:
        sentence = complaint(program(tmp_path, str(server.address)))
    assert re.search(r"was closed by the server|broke off", sentence)


@both
def test_a_server_that_refuses_with_a_reason(program: Program, tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.until("USER ")
        peer.send("ERROR :\x1b[31mYou are banned\x07, \u202etoo\r")
        peer.closed_by_client()

    with HostileServer(script) as server:
        done = program(tmp_path, str(server.address))
    # What others say stands in a line of its own in the bot's log.
    said, _, rest = done.stderr.partition("\n") if program is bot else (done.stderr, "", "")
    assert "You are banned, too" in said
    assert said.strip().isprintable()
    done.stderr = rest or done.stderr
    complaint(done)


@both
def test_a_server_that_accepts_no_nick(program: Program, tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.until("USER ")
        # All at once: the program may leave after any of them.
        peer.send(*[":irc.test 433 * nick :Nickname is already in use"] * 20)
        peer.closed_by_client()

    with HostileServer(script) as server:
        assert "choose another nick" in complaint(program(tmp_path, str(server.address)))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody else vouches for, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "irc.test")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + signed.public_bytes(pem)
    )
    return path


@pytest.fixture
def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@both
def test_a_certificate_that_nobody_vouches_for(
    program: Program, tmp_path: Path, serving: ssl.SSLContext
) -> None:
    def script(_: Peer) -> None:
        raise AssertionError("the program went on without trust")

    with pytest.raises(ssl.SSLError), HostileServer(script, tls=serving) as server:
        sentence = complaint(program(tmp_path, f"127.0.0.1:{server.address.port}", "--tls"))
        assert "is not trusted" in sentence
        assert "SSL_CERT_FILE" in sentence


def test_a_certificate_that_the_user_names_is_good(
    tmp_path: Path, certificate: Path, serving: ssl.SSLContext
) -> None:
    def script(peer: Peer) -> None:
        peer.register()
        assert peer.closed_by_client()[-1].startswith("QUIT")

    with HostileServer(script, tls=serving) as server:
        address = f"127.0.0.1:{server.address.port}"
        done = chat(tmp_path, address, "--tls", typed="/quit\n", SSL_CERT_FILE=str(certificate))
    assert (done.returncode, done.stderr) == (0, "")


@both
def test_a_taken_nick_is_replaced(program: Program, tmp_path: Path, port: int) -> None:
    taken = {chat: "alice", bot: "echo"}[program]
    with OtrPeer(port, taken) as owner:
        if program is chat:
            with OtrChat(tmp_path, port, taken, taken, granted=taken + "_", network="demo") as running:
                running.type("it is me")
                owner.wait(lambda: owner.plain(taken + "_") == ["it is me"], "the text")
                running.type("/quit")
                assert running.exit_code() == 0
        else:
            with OtrBot(tmp_path, port, taken) as started:
                owner.start(taken + "_")
                owner.say(taken + "_", "anybody?")
                owner.wait_received(taken + "_", "anybody?")
                assert f"as {taken}_," in started.screen()


# ---- the data folder


@both
def test_a_file_in_place_of_the_data_folder(program: Program, tmp_path: Path, port: int) -> None:
    (tmp_path / "taken").write_text("mine")
    place = tmp_path / "taken" / ("below" if program is bot else "")
    assert str(place) in complaint(program(tmp_path, f"127.0.0.1:{port}", data=place), of_bot=BOT_CONFIG)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_data_folder_that_cannot_be_made(tmp_path: Path, port: int) -> None:
    done = bot(tmp_path, f"127.0.0.1:{port}", data=Path("/proc/otrcore"))
    assert "/proc/otrcore cannot be made" in complaint(done, of_bot=BOT_CONFIG)


def test_a_chat_goes_on_where_nothing_can_be_saved(tmp_path: Path, port: int) -> None:
    told = goes_on_and_tells(tmp_path, port, "/proc/otrcore", Path("/proc/otrcore"))
    assert "/proc/otrcore cannot be made" in told


@both
def test_a_data_folder_that_others_can_enter(program: Program, tmp_path: Path, port: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o750)
    sentence = complaint(program(tmp_path, f"127.0.0.1:{port}"), of_bot=BOT_CONFIG)
    assert str(folder) in sentence
    assert "others" in sentence
    assert list(folder.iterdir()) == []


@both
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_data_folder_of_somebody_else(program: Program, tmp_path: Path, port: int) -> None:
    """Root can write everywhere, but has no business there."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    sentence = complaint(program(tmp_path, f"127.0.0.1:{port}"), of_bot=BOT_CONFIG)
    assert "belongs to another user" in sentence


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The file of a data folder that has been used before."""
    made = Database(tmp_path / "data")
    Identities(made).for_network("demo")
    made.close()
    return tmp_path / "data" / FILE_NAME


def goes_on_and_tells(tmp_path: Path, port: int, where: str, data: Path | None = None) -> str:
    """Without keys and contacts that were allowed to be met in the clear, nothing leaves unencrypted.

    Returns the one line that says why, by `where` in it.
    """
    with OtrPeer(port, "bob") as peer:
        done = chat(tmp_path, f"127.0.0.1:{port}", data=data, typed="in the clear?\n/otr status\n")
        assert (done.returncode, done.stderr) == (0, "")
        peer.settle()
        assert "in the clear?" not in peer.plain("alice")
    (told,) = [line for line in done.stdout.splitlines() if where in line]
    assert told.isprintable()
    assert "nothing goes out unencrypted" in done.stdout
    return told


def test_a_damaged_database(tmp_path: Path, port: int, database: Path) -> None:
    database.write_bytes(b"\x1b]0;not a database at all" * 1000)
    before = database.read_bytes()
    assert str(database) in complaint(bot(tmp_path, f"127.0.0.1:{port}"), of_bot=BOT_CONFIG)
    goes_on_and_tells(tmp_path, port, str(database))
    assert database.read_bytes() == before


def test_a_damaged_key(tmp_path: Path, port: int, database: Path) -> None:
    """It is found when the server has told its network's name, that is, after the connection is made."""
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute("UPDATE identity SET dsa_private_key = x'00'").rowcount == 1
    assert "damaged" in complaint(bot(tmp_path, f"127.0.0.1:{port}"), of_bot=BOT_CONFIG)


def test_a_database_that_another_program_holds(tmp_path: Path, port: int, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert "in use by another program" in complaint(bot(tmp_path, f"127.0.0.1:{port}"), of_bot=BOT_CONFIG)


# ---- usage


@both
@pytest.mark.parametrize("server", ["127.0.0.1:0", "::1"])
def test_a_server_that_is_none(program: Program, tmp_path: Path, server: str) -> None:
    assert re.search("is not a (server|port)", complaint(program(tmp_path, server), USAGE))


def test_wrong_usage_makes_no_data_folder(tmp_path: Path) -> None:
    for program in (chat, bot):
        complaint(program(tmp_path, ""), USAGE)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("nick", ["two words", "a\x1b[31mb"])
@pytest.mark.parametrize("option", ["otr-bot --nick", "otr chat --me", "otr chat NICK"])
def test_a_nick_that_is_none(tmp_path: Path, nick: str, option: str) -> None:
    server = f"127.0.0.1:{free_port()}"
    command = {
        "otr-bot --nick": ["otr-bot", "run", "--server", server, "--nick", nick],
        "otr chat --me": ["otr", "chat", server, "bob", "--me", nick],
        "otr chat NICK": ["otr", "chat", server, nick, "--me", "alice"],
    }[option]
    assert "cannot be a nick" in complaint(
        run(tmp_path, *command, "--data-dir", str(tmp_path / "data")), USAGE
    )


def test_a_chat_is_with_a_person(tmp_path: Path) -> None:
    """A channel would get in the clear what was meant for one."""
    server = f"127.0.0.1:{free_port()}"
    for name in ("#channel", "=bob"):
        data = ["--data-dir", str(tmp_path / "data")]
        done = run(tmp_path, "otr", "chat", server, name, "--me", "alice", *data)
        assert f"'{name}' cannot be a nick" in complaint(done, USAGE)


@pytest.mark.parametrize(
    "command",
    [
        ["otr", "chat", "127.0.0.1"],
        ["otr", "chat", "127.0.0.1", "bob", "carol"],
        ["otr", "chat", "127.0.0.1", "bob", "--unknown"],
        ["otr", "unknown"],
        ["otr-bot", "run", "--server", "127.0.0.1", "--nick", "echo", "--pace", "breakneck"],
    ],
    ids=" ".join,
)
def test_arguments_that_make_no_sense(tmp_path: Path, command: list[str]) -> None:
    complaint(run(tmp_path, *command), USAGE)
    assert not list((tmp_path / "home").rglob("*"))


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (["otr"], ["demo", "chat"]),
        (["otr", "demo"], ["--wire", "--data-dir"]),
        (["otr", "chat"], ["HOST[:PORT]", "NICK", "--me", "--tls", "--data-dir"]),
        (["otr-bot"], ["run"]),
        (["otr-bot", "run"], ["--server", "--nick", "--tls", "--data-dir"]),
    ],
    ids=["otr", "otr demo", "otr chat", "otr-bot", "otr-bot run"],
)
def test_help(tmp_path: Path, command: list[str], options: list[str]) -> None:
    done = run(tmp_path, *command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {' '.join(command)}")
    for option in options:
        assert option in done.stdout
    assert done.stdout.isascii()


# ---- pipes instead of a terminal


def test_input_from_a_pipe_waits_for_the_server(tmp_path: Path, port: int) -> None:
    with OtrPeer(port, "bob") as peer:
        done = chat(tmp_path, f"127.0.0.1:{port}", typed="one\n/otr status\ntwo, without an end of line")
        assert (done.returncode, done.stderr) == (0, "")
        peer.wait(lambda: peer.plain("alice") == ["one", "two, without an end of line"], "both texts")
    assert "-- The conversation with bob is not encrypted." in done.stdout


def test_no_text_from_a_pipe_is_lost_without_a_word(tmp_path: Path, port: int) -> None:
    """More than the pace lets out at once: either it waits, or it tells what was not sent."""
    texts = [f"line {number}" for number in range(18)]
    with OtrPeer(port, "bob") as peer:
        done = chat(tmp_path, f"127.0.0.1:{port}", typed="\n".join(texts))
        peer.settle()
        missing = [text for text in texts if text not in peer.plain("alice")]
    told = done.stdout + done.stderr
    assert not missing or "not sent" in told.lower(), f"lost in silence: {missing}"


def test_input_that_is_no_utf8_and_no_text(tmp_path: Path, port: int) -> None:
    with OtrPeer(port, "bob") as peer:
        odd = b"\x00\xff\xfe\x01ACTION\x01\x1b[2J\r\r\n\x00\n\xe4\xbd\n/quit\n"
        done = chat(tmp_path, f"127.0.0.1:{port}", typed=odd)
        assert (done.returncode, done.stderr) == (0, "")
        peer.settle()
        assert not [line for line in peer.lines if "\0" in line or "\r" in line]


def test_a_reader_that_goes_away_does_not_end_the_chat(tmp_path: Path, port: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    where = [f"127.0.0.1:{port}", "bob", "--me", "alice", "--data-dir", str(tmp_path / "data")]
    with OtrPeer(port, "bob") as peer:
        done = subprocess.run(
            [installed("otr"), "chat", *where],
            input=b"into the dark\n/quit\n",
            stdout=writing,
            stderr=subprocess.PIPE,
            env=surroundings(tmp_path),
            timeout=60,
            check=False,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b"")
        peer.wait(lambda: peer.plain("alice") == ["into the dark"], "the text")


_CLOSE_AND_RUN = (
    "import os, sys\n"
    "for number in map(int, sys.argv[1].split()): os.close(number)\n"
    "os.execv(sys.argv[2], sys.argv[2:])"
)


@pytest.mark.parametrize("closed", ["0", "1", "0 1 2"])
def test_closed_standard_streams(tmp_path: Path, port: int, closed: str) -> None:
    """As some service managers start programs."""
    where = [f"127.0.0.1:{port}", "bob", "--me", "alice", "--data-dir", str(tmp_path / "data")]
    command = [sys.executable, "-c", _CLOSE_AND_RUN, closed, installed("otr"), "chat", *where]
    done = run(tmp_path, *command, typed="/quit\n")
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1


def test_a_full_disk_under_the_output_is_one_sentence(tmp_path: Path, port: int) -> None:
    where = [f"127.0.0.1:{port}", "bob", "--me", "alice", "--data-dir", str(tmp_path / "data")]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [installed("otr"), "chat", *where],
            input=b"/quit\n",
            stdout=full,
            stderr=subprocess.PIPE,
            env=surroundings(tmp_path),
            timeout=60,
            check=False,
        )
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") <= 1


def test_a_peer_is_shown_where_only_ascii_can_be(tmp_path: Path, port: int) -> None:
    with OtrPeer(port, "bob") as peer:
        ascii_only = {"PYTHONIOENCODING": "ascii"}
        with OtrChat(tmp_path, port, "alice", "bob", network="demo", changes=ascii_only) as running:
            peer.say_plain("alice", "Grüße, Bob")
            running.wait_shown("e, Bob\n")
            running.type("/quit")
            assert running.exit_code() == 0


# ---- what a server says about itself


@pytest.mark.parametrize("name", ["otr", "otr-bot"])
def test_a_server_cannot_steer_the_terminal(tmp_path: Path, name: str) -> None:
    def script(peer: Peer) -> None:
        nick = peer.asked_nick()
        peer.until("USER ")
        peer.send(f":irc.test 001 {nick} :\x1b[31mWelcome")
        peer.send(f":irc.test 005 {nick} NETWORK=\x1b[31mred\x9b2J\u202e :are supported by this server")
        peer.send(f":irc.test 422 {nick} :MOTD File is missing")
        peer.until("NOTICE ")
        peer.send(
            f":irc\x1b[31m.test NOTICE {nick} :\x1b]0;title\x07", f":ev\x1b[2Jil!u@h PRIVMSG {nick} :hi"
        )
        peer.send(f":irc.test 401 {nick} bo\x1b[31mb :\x1b[31mno such nick\x07")
        peer.send(f":bob!u@h PRIVMSG {nick} :the last one")
        peer.send("ERROR :\x1b[31mred\x07")
        peer.closed_by_client()

    with HostileServer(script) as server:
        command = {
            "otr": ["chat", str(server.address), "bob", "--me", "alice"],
            "otr-bot": ["run", "--once", "--server", str(server.address), "--nick", "echo"],
        }[name]
        with InTerminal(tmp_path, name, *command, "--data-dir", str(tmp_path / "data")) as program:
            assert program.exit_code() == (BOT_UNREACHABLE if name == "otr-bot" else REFUSED)
    assert "[31mred" in program.screen()
    assert "Traceback" not in program.screen()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", program.screen())
