"""The demo's server as a process of its own, spoken to over real sockets."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.isupport import Features
from tests.irc.connection.hostile_server import Client

PATIENCE = 20.0


class Server:
    """A running server process."""

    def __init__(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "otrcore.cli.demo_server", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.clients: list[socket.socket] = []

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for end in (self.process.stdin, self.process.stdout, self.process.stderr, *self.clients):
            if end is not None:
                end.close()

    def stop(self) -> list[str]:
        """End it as a service manager would; what it wrote after the port."""
        self.process.send_signal(signal.SIGTERM)
        written, complaints = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0
        assert complaints == b""
        return written.decode().splitlines()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Chatter:
    """A client that knows nothing of IRC but lines."""

    def __init__(self, server: Server, nick: str | None = None) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        server.clients.append(self.sock)
        self._rest = b""
        if nick is not None:
            self.say(f"NICK {nick}", f"USER {nick} 0 * :A test")
            self.until(" 422 ")

    def say(self, *lines: str | bytes) -> None:
        self.sock.sendall(
            b"".join((line.encode() if isinstance(line, str) else line) + b"\r\n" for line in lines)
        )

    def line(self) -> bytes:
        """The next line as it arrived, CRLF included; empty when the server has closed."""
        while b"\r\n" not in self._rest:
            data = self.sock.recv(65536)
            if not data:
                assert self._rest == b""
                return b""
            self._rest += data
        line, end, self._rest = self._rest.partition(b"\r\n")
        return line + end

    def text(self) -> str:
        return self.line().decode().removesuffix("\r\n")

    def until(self, part: str) -> str:
        while part not in (line := self.text()):
            assert line, f"closed while waiting for {part!r}"
        return line

    def sync(self) -> list[str]:
        """Everything that came as the answer to what was said so far."""
        self.say("PING :sync")
        lines = []
        while (line := self.text()) != ":irc.demo PONG irc.demo :sync":
            assert line, "the server closed"
            lines.append(line)
        return lines


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started
        started.stop()


def test_registration_in_numerics(server: Server) -> None:
    client = Chatter(server)
    client.say("CAP LS 302", "NICK bob", "CAP REQ :sasl", "USER robert 0 * :Bob", "CAP END")
    lines = [client.text() for _ in range(8)]
    assert lines[:2] == [":irc.demo CAP * LS :", ":irc.demo CAP bob NAK :sasl"]
    assert [line.split(" ")[1] for line in lines[2:]] == ["001", "002", "003", "004", "005", "422"]
    assert all(line.split(" ")[0] == ":irc.demo" and line.split(" ")[2] == "bob" for line in lines[2:])
    assert lines[2].endswith("bob!robert@irc.demo")
    tokens = lines[6].partition(" :")[0].split(" ")[3:]
    assert set(tokens) == {"NICKLEN=30", "NETWORK=demo", "CASEMAPPING=ascii", "CHANTYPES=#"}


def test_user_may_come_before_nick(server: Server) -> None:
    client = Chatter(server)
    client.say("USER u 0 * :r", "NICK bob")
    assert client.text().split(" ")[1:3] == ["001", "bob"]


def test_nothing_is_relayed_before_registration(server: Server) -> None:
    bob = Chatter(server, "bob")
    stranger = Chatter(server)
    stranger.say("NICK stranger", "PRIVMSG bob :hi")
    assert stranger.text() == ":irc.demo 451 stranger :You have not registered"
    bob.say("PRIVMSG stranger :hi")
    assert bob.sync() == [":irc.demo 401 bob stranger :No such nick/channel"]


def test_messages_are_relayed_and_notices_too(server: Server) -> None:
    bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
    carol.say("PRIVMSG BOB :hello  there ", "NOTICE bob ::)", "PRIVMSG bob \x1dword ignored")
    assert [bob.text() for _ in range(3)] == [
        ":carol!carol@irc.demo PRIVMSG bob :hello  there ",
        ":carol!carol@irc.demo NOTICE bob ::)",
        ":carol!carol@irc.demo PRIVMSG bob :\x1dword",
    ]
    assert carol.sync() == []


def test_a_message_to_oneself_comes_back(server: Server) -> None:
    bob = Chatter(server, "bob")
    bob.say("NOTICE bob :who am I")
    assert bob.text() == ":bob!bob@irc.demo NOTICE bob :who am I"


def test_bytes_pass_unchanged(server: Server) -> None:
    bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
    payload = bytes(set(range(1, 256)) - {10, 13})
    carol.say(b"PRIVMSG bob :" + payload, b"\xff\xfe \xff", "PRIVMSG bob :still there")
    assert bob.line() == b":carol!carol@irc.demo PRIVMSG bob :" + payload + b"\r\n"
    assert bob.text().endswith(":still there")


def test_delivered_lines_are_cut_at_512_bytes(server: Server) -> None:
    bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
    prefix = b":carol!carol@irc.demo PRIVMSG bob :"
    room = 512 - len(prefix) - 2
    for size in (room - 1, room, room + 1, 2000):
        carol.say(b"PRIVMSG bob :" + b"x" * size)
        assert bob.line() == prefix + b"x" * min(size, room) + b"\r\n"
    carol.say("PRIVMSG bob :" + "é" * 300)
    line = bob.line()
    assert len(line) == 512
    assert line.startswith(prefix + "é".encode() * (room // 2))
    assert carol.sync() == []


def test_a_lone_cr_ends_a_line_and_nul_vanishes(server: Server) -> None:
    bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
    carol.say(b"PRIVMSG bob :o\0ne\rPRIVMSG bob :two")
    assert [bob.text().rpartition(" :")[2] for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("PRIVMSG nobody :hi", "401 bob nobody :No such nick/channel"),
        ("PRIVMSG #nowhere :hi", "401 bob #nowhere :No such nick/channel"),
        ("PRIVMSG bob,bob :hi", "401 bob bob,bob :No such nick/channel"),
        ("PRIVMSG", "411 bob :No recipient given (PRIVMSG)"),
        ("PRIVMSG bob", "412 bob :No text to send"),
        ("PRIVMSG bob :", "412 bob :No text to send"),
        ("NICK", "431 bob :No nickname given"),
        ("NICK bad.nick", "432 bob bad.nick :Erroneous nickname"),
        ("NICK 1bad", "432 bob 1bad :Erroneous nickname"),
        ("NICK " + "n" * 31, "432 bob " + "n" * 31 + " :Erroneous nickname"),
        ("NICK Carol", "433 bob Carol :Nickname is already in use"),
        ("USER again 0 * :x", "462 bob :You may not reregister"),
        ("PART #nowhere", "442 bob #nowhere :You're not on that channel"),
        ("JOIN :", "403 bob : :No such channel"),
        ("DUMP", "421 bob DUMP :Unknown command"),
        ("_SEND x", "421 bob _SEND :Unknown command"),
        (":prefix x", "421 bob :prefix :Unknown command"),
    ],
)
def test_errors_are_well_formed(server: Server, command: str, answer: str) -> None:
    bob, _carol = Chatter(server, "bob"), Chatter(server, "carol")
    bob.say(command)
    assert bob.sync() == [f":irc.demo {answer}"]


@pytest.mark.parametrize("command", ["NOTICE nobody :hi", "NOTICE", "NOTICE bob", "NOTICE #nowhere :x"])
def test_a_notice_is_never_answered(server: Server, command: str) -> None:
    bob = Chatter(server, "bob")
    bob.say(command)
    assert bob.sync() == []


def test_a_taken_nick_is_refused_during_registration(server: Server) -> None:
    Chatter(server, "Bob")
    client = Chatter(server)
    client.say("NICK bob", "USER u 0 * :r")
    assert client.text() == ":irc.demo 433 * bob :Nickname is already in use"
    client.say("NICK bob_")
    assert client.text().split(" ")[1:3] == ["001", "bob_"]


def test_nick_changes(server: Server) -> None:
    bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
    for client in (bob, carol):
        client.say("JOIN #room")
        client.until(" 366 ")
    bob.until("JOIN")
    bob.say("NICK :Robert", "NICK Robert", "NICK robert")
    assert bob.sync() == [":bob!bob@irc.demo NICK :Robert", ":Robert!bob@irc.demo NICK :robert"]
    assert carol.text() == ":bob!bob@irc.demo NICK :Robert"
    carol.say("PRIVMSG bob :old", "PRIVMSG ROBERT :new")
    assert carol.until(" 401 ") == ":irc.demo 401 carol bob :No such nick/channel"
    assert bob.text().endswith("PRIVMSG robert :new")
    Chatter(server, "bob")


def test_channels_carry_messages(server: Server) -> None:
    bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
    for client in (bob, carol):
        client.say("JOIN #room")
        client.until(" 366 ")
    bob.until("JOIN")
    carol.say("PRIVMSG #room :to all", "PART #room :bye", "PRIVMSG #room :outside")
    assert bob.text() == ":carol!carol@irc.demo PRIVMSG #room :to all"
    assert bob.text() == ":carol!carol@irc.demo PART :#room"
    assert carol.until(" 404 ") == ":irc.demo 404 carol #room :Cannot send to channel"


def test_quit_closes_and_frees_the_nick(server: Server) -> None:
    bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
    for client in (bob, carol):
        client.say("JOIN #room")
        client.until(" 366 ")
    bob.until("JOIN")
    carol.say("QUIT :gone home")
    assert carol.until("ERROR") == "ERROR :Closing Link: carol (gone home)"
    assert carol.line() == b""
    assert bob.text() == ":carol!carol@irc.demo QUIT :gone home"
    bob.say("PRIVMSG carol :hello?")
    assert bob.sync() == [":irc.demo 401 bob carol :No such nick/channel"]
    Chatter(server, "carol")


@pytest.mark.parametrize("say", [[], ["NICK bob"], ["NICK bob", "USER u 0 * :r", "JOIN #room"]])
def test_a_client_that_just_goes_away_frees_its_nick(server: Server, say: list[str]) -> None:
    gone = Chatter(server)
    gone.say(*say)
    gone.sync()
    gone.sock.close()
    deadline = time.monotonic() + PATIENCE
    while True:
        client = Chatter(server)
        client.say("NICK bob", "USER u 0 * :r")
        if " 001 " in client.text():
            break
        client.sock.close()
        assert time.monotonic() < deadline, "the nick stays taken"


def test_a_line_without_an_end_closes(server: Server) -> None:
    bob = Chatter(server, "bob")
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            bob.sock.sendall(b"x" * 1000)
        while bob.line():
            pass
    assert Chatter(server, "bob").sync() == []


def test_a_client_that_does_not_read_is_dropped_and_nobody_else_waits(server: Server) -> None:
    deaf, carol = Chatter(server, "deaf"), Chatter(server, "carol")
    deadline = time.monotonic() + PATIENCE
    while True:
        carol.say(*[f"PRIVMSG deaf :{'x' * 400}"] * 1000)
        if any(" 401 " in line for line in carol.sync()):
            break
        assert time.monotonic() < deadline, "the server hoards lines"
    deaf.sock.close()


def test_idle_clients_cost_nothing() -> None:
    """The stock server asks for writability all the time, and so burns a whole core with two idle clients."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("CPU time of another process is read from /proc")
    with Server() as server:
        clients = [Chatter(server, "bob"), Chatter(server, "carol")]
        before = server.cpu_seconds()
        time.sleep(1.0)  # the thing measured is what a second of doing nothing costs
        assert server.cpu_seconds() - before < 0.2
        assert [client.sync() for client in clients] == [[], []]


def test_the_wire_is_shown_line_by_line_and_harmlessly() -> None:
    with Server("--wire") as server:
        bob, carol = Chatter(server, "bob"), Chatter(server, "carol")
        carol.say(b"PRIVMSG bob :\x1b[2J caf\xe9 " + "žluť".encode())
        bob.line()
        carol.say("PRIVMSG bob :" + "x" * 600)
        bob.line()
        shown = server.stop()
    assert all(re.match(r"[<>] (\*|bob|carol) ", line) for line in shown)
    assert all(line.isprintable() for line in shown)
    assert shown[0] == "> * NICK bob"
    assert r"> carol PRIVMSG bob :\x1b[2J caf\xe9 žluť" in shown
    assert r"< bob :carol!carol@irc.demo PRIVMSG bob :\x1b[2J caf\xe9 žluť" in shown
    cut = "< bob :carol!carol@irc.demo PRIVMSG bob :"
    assert shown[-1] == cut + "x" * (510 - len(cut) + len("< bob "))


def test_without_wire_nothing_but_the_port_is_written() -> None:
    with Server() as server:
        bob = Chatter(server, "bob")
        bob.say("PRIVMSG bob :quiet")
        assert bob.line() == b":bob!bob@irc.demo PRIVMSG bob :quiet\r\n"
        assert server.stop() == []


def test_it_is_reached_on_loopback_only() -> None:
    with Server() as server:
        listening = Path("/proc/net/tcp")
        if not listening.exists():
            pytest.skip("listening sockets are read from /proc/net/tcp")
        mine = [line.split() for line in listening.read_text().splitlines() if f":{server.port:04X} " in line]
        assert {fields[1] for fields in mine if fields[3] == "0A"} == {f"0100007F:{server.port:04X}"}


def test_it_ends_when_its_input_does_if_asked() -> None:
    with Server("--until-stdin-closes", stdin=subprocess.PIPE) as server:
        client = Chatter(server, "bob")
        assert server.process.poll() is None
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(PATIENCE) == 0
        assert client.line() == b""


def test_it_ends_when_nobody_reads_the_wire_any_more() -> None:
    with Server("--wire") as server:
        assert server.process.stdout is not None
        server.process.stdout.close()
        with contextlib.suppress(ConnectionError, AssertionError):
            Chatter(server, "bob")
        assert server.process.wait(PATIENCE) == 0


def test_a_taken_port_is_one_sentence() -> None:
    with Server() as server:
        second = subprocess.run(
            [sys.executable, "-m", "otrcore.cli.demo_server", "--port", str(server.port)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr.count("\n") == 1
    assert f"port {server.port}" in second.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "x", ""])
def test_a_port_that_is_none_is_a_usage_error(port: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "otrcore.cli.demo_server", f"--port={port}"],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 2
    assert b"Traceback" not in run.stderr


def test_our_own_connection_feels_at_home(server: Server) -> None:
    address = ServerAddress("127.0.0.1", server.port)
    bob, carol = Client(address, "bob").connect(), Client(address, "bob").connect()
    bob.until_ready()
    carol.until_ready()
    assert (bob.connection.own_mask, carol.connection.nick) == ("bob!tester@irc.demo", "bob_")
    assert bob.connection.features == Features(
        network="demo", casemapping="ascii", chantypes="#", statusmsg="", nicklen=30
    )
    assert carol.connection.send("bob", ["one", "two"])
    carol.drive(lambda: bob.connection.process(0.0) or bob.heard.texts == ["one", "two"])
    carol.connection.quit()
    assert bob.connection.send("bob_", ["three"])
    bob.drive(lambda: ("gone", "bob_", "No such nick/channel") in bob.heard.events)
    bob.connection.quit()
