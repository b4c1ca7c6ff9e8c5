"""A real IRC server: ngircd on a free loopback port."""

from __future__ import annotations

from pathlib import Path

from tests.clients.drivers.irc_server import IrcServer
from tests.support import require

# Penalties and limits on connections would only slow the tests down. Nicks of 30 characters are
# longer than this server's default of 9 and usual elsewhere: they make the lines' prefixes long.
CONFIGURATION = """\
[Global]
Name = irc.loopback.test
Info = loopback test server
Network = testnet
AdminInfo1 = test
AdminEMail = admin@irc.loopback.test
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
ServerUID = nobody
ServerGID = nogroup
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxNickLength = 30
MaxPenaltyTime = 0
PingTimeout = 600
[Options]
DNS = no
Ident = no
PAM = no
IncludeDir = {folder}/include
"""


class Ngircd(IrcServer):
    """A running ngircd.

    `extra` is more configuration text in its syntax; it may repeat a section's head, and what it sets
    again wins. Files are kept in `folder`.
    """

    name = "ngircd"
    options = ("--nodaemon", "--config")
    configuration = CONFIGURATION

    def __init__(self, folder: Path, extra: str = "") -> None:
        (folder / "include").mkdir(parents=True, exist_ok=True)
        super().__init__(folder, require("ngircd"), extra)

    def _told(self) -> str:
        return "up" if f"Now listening on [127.0.0.1]:{self.port}" in self.log() else ""
