"""Real services: atheme, linked to an InspIRCd that has SASL through it."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.waiting import free_port, wait_for
from tests.support import require

SERVER = """\
<module name="spanningtree">
<module name="services_account">
<module name="sasl">
<module name="chghost">
<module name="botmode">
<module name="monitor">
<bind address="127.0.0.1" port="{port}" type="servers">
<link name="services.loopback.test" ipaddr="127.0.0.1" port="{port}" allowmask="127.0.0.1"
  timeout="60" sendpass="loopback-link" recvpass="loopback-link">
<uline server="services.loopback.test" silent="yes">
<sasl target="services.loopback.test">
"""

SERVICES = """\
loadmodule "modules/backend/opensex";
loadmodule "modules/crypto/pbkdf2v2";
loadmodule "modules/protocol/inspircd";
loadmodule "modules/nickserv/main";
loadmodule "modules/nickserv/register";
loadmodule "modules/nickserv/identify";
loadmodule "modules/nickserv/cert";
loadmodule "modules/saslserv/main";
loadmodule "modules/saslserv/plain";
loadmodule "modules/saslserv/external";
crypto {{ pbkdf2v2_rounds = 10000; }};
serverinfo {{
  name = "services.loopback.test"; desc = "loopback"; numeric = "00B"; recontime = 1;
  netname = "testnet"; hidehostsuffix = "users.loopback.test"; adminname = "test";
  adminemail = "admin@loopback.test"; registeremail = "admin@loopback.test"; auth = none;
  mta = "/bin/false"; loglevel = {{ error; info; network; }};
  maxlogins = 5; maxusers = 0; casemapping = rfc1459;
}};
uplink "irc.loopback.test" {{ host = "127.0.0.1"; port = {port}; password = "loopback-link"; }};
nickserv {{ nick = "NickServ"; user = "services"; host = "services.loopback.test"; real = "Nicks"; }};
saslserv {{ nick = "SaslServ"; user = "services"; host = "services.loopback.test"; real = "SASL"; }};
general {{ commit_interval = 60; uflags = {{ }}; }};
"""


class Atheme:
    """A running server with services; `port` is where clients connect, on 127.0.0.1.

    `extra` is more configuration text for InspIRCd.
    """

    def __init__(self, folder: Path, extra: str = "") -> None:
        program = require("atheme-services")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        linking = free_port()
        self._server = Inspircd(folder / "inspircd", SERVER.format(port=linking) + extra)
        self.port = self._server.port
        (folder / "atheme.conf").write_text(SERVICES.format(port=linking))
        (folder / "data").mkdir()
        try:
            with (folder / "atheme.out").open("wb") as out:
                self._process = subprocess.Popen(
                    [
                        *(program, "-n", "-c", str(folder / "atheme.conf"), "-l", str(folder / "atheme.log")),
                        *("-p", str(folder / "atheme.pid"), "-D", str(folder / "data")),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                )
        except BaseException:
            self._server.close()
            raise
        try:
            wait_for(self._offers_sasl, lambda: f"the link with services; they say: {self.log()}")
        except BaseException:
            self.close()
            raise

    def log(self) -> str:
        """Return what services and server have written."""
        return (self._folder / "atheme.out").read_text(errors="replace") + self._server.log()

    def register(self, account: str, password: str, *more: str) -> None:
        """Make an account; `more` are further lines to say as its owner, each of which NickServ answers."""
        with _Line(self.port) as line:
            line.say(f"NICK {account}", f"USER {account} 0 * :owner")
            line.until(" 001 ")
            line.until(" 422 ", " 376 ")
            line.say(f"PRIVMSG NickServ :REGISTER {password} {account}@loopback.test")
            line.until("is now registered", "registered to")
            for words in more:
                line.say(words)
                line.until(":NickServ!")
            line.say("QUIT :done")
            line.until("ERROR")

    def stop_services(self) -> None:
        """End the services. This server may offer SASL nevertheless, once somebody has used it."""
        self._process.terminate()
        self._process.wait(10)

    def close(self) -> None:
        """End both."""
        self._process.terminate()
        self._process.wait(10)
        self._server.close()

    def __enter__(self) -> Atheme:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _offers_sasl(self) -> bool:
        with _Line(self.port) as line:
            line.say("CAP LS 302")
            return "sasl" in line.until(" CAP ")


class _Line:
    """A client that speaks by hand."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), 20)
        self._file = self._sock.makefile("rb")

    def say(self, *lines: str) -> None:
        self._sock.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def until(self, *marks: str) -> str:
        """Return the next line that holds one of these; PING is answered."""
        while True:
            line = self._file.readline().decode(errors="replace")
            assert line, f"the server closed the connection before {marks}"
            if line.startswith("PING "):
                self.say("PONG " + line[5:].strip())
            if any(mark in line for mark in marks):
                return line

    def __enter__(self) -> _Line:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._sock.close()
