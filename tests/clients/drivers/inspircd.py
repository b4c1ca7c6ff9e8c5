"""A real IRC server with message tags and echo-message: InspIRCd on a free loopback port."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.clients.drivers.irc_server import IrcServer
from tests.support import require

# As with ngircd, limits would only slow the tests down, and nicks may have 30 characters.
CONFIGURATION = """\
<config format="xml">
<server name="irc.loopback.test" description="loopback" id="00A" network="testnet">
<admin name="test" nick="test" email="admin@irc.loopback.test">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect name="any" allow="*" timeout="60" pingfreq="600" fakelag="no" threshold="10000"
  commandrate="1000000" recvq="131072" softsendq="131072" hardsendq="1048576"
  resolvehostnames="no" useident="no" localmax="100" globalmax="100">
<performance softlimit="100">
<module name="cap">
<module name="ircv3">
<module name="ircv3_ctctags">
<module name="ircv3_echomessage">
<module name="ircv3_msgid">
<module name="ircv3_servertime">
<options casemapping="rfc1459">
<limits maxnick="30">
<path configdir="{folder}" datadir="{folder}" logdir="{folder}" runtimedir="{folder}">
<pid file="{folder}/pid">
"""


class Inspircd(IrcServer):
    """A running InspIRCd; `extra` is more configuration text in its syntax. Files are kept in `folder`."""

    name = "inspircd"
    # It refuses to run as root unless told; to anybody else that option means nothing.
    options = ("--nofork", "--runasroot", "--config")
    configuration = CONFIGURATION

    def __init__(self, folder: Path, extra: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Where AppArmor is in force, the program of Debian's path may read no other configuration
        # than the system's; a copy of it may.
        program = shutil.copy(require("inspircd"), folder / "inspircd")
        super().__init__(folder, program, extra)

    def _told(self) -> str:
        """It goes on without, where the port is taken."""
        if "InspIRCd is now running" not in self.log():
            return ""
        return "down" if "failed to bind" in self.log() else "up"
