"""Two WeeChats of one user, behind a bouncer, under one nick: each is an OTR client of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path

from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.weechat import CORE, WeeChat, private
from tests.clients.weechat_support import notes, readable, secure, start, wait_note

_WELCOME = """\
:bouncer 001 {nick} :Welcome
:bouncer 005 {nick} NETWORK=testnet CASEMAPPING=ascii NICKLEN=30 :are supported by this server
:bouncer 376 {nick} :End of MOTD
"""


class Bouncer:
    """Keeps one connection to a server for several clients, which see each other's messages too."""

    def __init__(self, server_port: int, nick: str) -> None:
        self._nick = nick
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(server_port), self._loop).result(10)

    def __enter__(self) -> Bouncer:
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def send(self, data: bytes) -> None:
        """Send bytes to every client, of a line or of several."""
        self._loop.call_soon_threadsafe(self._tell, data)

    async def _start(self, server_port: int) -> int:
        reader, self._server = await asyncio.open_connection("127.0.0.1", server_port)
        self._server.write(f"NICK {self._nick}\r\nUSER {self._nick} 0 * :a test\r\n".encode())
        while b" 376 " not in await reader.readline():
            pass
        self._reading = asyncio.create_task(self._hear(reader))
        listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(listening.sockets[0].getsockname()[1])

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b"PING"):
                self._server.write(line.replace(b"PING", b"PONG", 1))
            else:
                self._tell(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            command = line.split(b" ", 1)[0].strip().upper()
            if command == b"USER":
                writer.write(_WELCOME.format(nick=self._nick).replace("\n", "\r\n").encode())
                self._clients.add(writer)
            elif command == b"PING":
                writer.write(line.replace(b"PING", b"PONG", 1))
            elif command in {b"PRIVMSG", b"NOTICE"}:
                self._server.write(line)
                self._tell(f":{self._nick}!~{self._nick}@127.0.0.1 ".encode() + line, besides=writer)
        self._clients.discard(writer)

    def _tell(self, line: bytes, besides: asyncio.StreamWriter | None = None) -> None:
        for client in self._clients - {besides}:
            client.write(line)


def test_two_clients_on_one_nick(tmp_path: Path) -> None:
    with ExitStack() as running:
        server = running.enter_context(Ngircd(tmp_path / "ngircd"))
        bouncer = running.enter_context(Bouncer(server.port, "alice"))
        (home,) = start(running, tmp_path / "home", bouncer.port, "alice")
        (work,) = start(running, tmp_path / "work", bouncer.port, "alice")
        (bob,) = start(running, tmp_path, server.port, "bob")
        bob.say("alice", "/otr start")
        for client in (home, work):
            wait_note(client, "bob", "Secured: the conversation with bob is encrypted")
        wait_note(bob, "alice", "Secured: the conversation with alice is encrypted", 2)
        bob.type("/otr status", private("alice"))
        wait_note(bob, "alice", "alice has 2 clients; what you type goes to")

        def heard(client: WeeChat, other: WeeChat, text: str) -> None:
            client.say("bob", text)
            bob.wait_received("alice", text)
            # Shown where it was typed, and by the other one neither in cipher nor as somebody's.
            assert client.sent("bob").count(text) == 1
            assert other.sent("bob").count(text) == 0

        heard(home, work, "from home")
        heard(work, home, "from work")
        bob.say("alice", "to the one that spoke last")
        work.wait(
            lambda: "to the one that spoke last" in work.received("bob") + home.received("bob"), "a text"
        )
        assert not readable([home, work, bob], "from home")
        for client in (home, work):
            assert not [line for line in client.printed() if "?OTR" in line.text]
            assert not notes(client, "bob", "could not be read")
            assert client.errors() == []
        # What is typed into one of them in the clear is seen by the other.
        home.say("bob", "/otr end")
        home.say("bob", "in the clear")
        work.wait_printed("in the clear", private("bob"))


def test_lines_that_come_in_halves(tmp_path: Path) -> None:
    """What is shown by us in between becomes no part of them."""
    with ExitStack() as running:
        server = running.enter_context(Ngircd(tmp_path / "ngircd"))
        bouncer = running.enter_context(Bouncer(server.port, "alice"))
        (alice,) = start(running, tmp_path, bouncer.port, "alice")
        (bob,) = start(running, tmp_path, server.port, "bob")
        secure(alice, bob)
        bouncer.send(b":carol!c@127.0.0.1 PRIVMSG alice :this is one ")
        alice.wait(lambda: half(alice), "half a line")
        alice.say("bob", "to bob")
        bob.wait_received("alice", "to bob")
        alice.command("/wait 100ms /print go on")
        alice.wait_printed("go on", CORE)
        assert alice.received("carol") == []
        bouncer.send(b"line\r\n")
        alice.wait_received("carol", "this is one line")
        alice.wait(lambda: alice.sent("bob") == ["to bob"], "what was sent")
        assert alice.received("carol") == ["this is one line"]


def half(client: WeeChat) -> bool:
    """Tell whether a client waits for the rest of a line."""
    return client.evaluate("${irc_server[irc_servers].unterminated_message}") != ""
