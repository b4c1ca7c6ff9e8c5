"""Real servers with the flood control that their packages come with; only more may come from one address."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.clients.drivers.inspircd import CONFIGURATION, Inspircd
from tests.clients.drivers.ngircd import Ngircd

_NGIRCD = "[Limits]\nMaxPenaltyTime = -1\n"
"""Its default, which is not that of the driver."""

_CONNECT = """\
<connect name="any" allow="*" timeout="60" pingfreq="120" threshold="10" recvq="8192"
  softsendq="8192" hardsendq="262144" resolvehostnames="no" useident="no" localmax="100" globalmax="100">
"""
"""As in Debian's configuration, but for the number of people from one address and the look-ups."""


def ngircd(folder: Path) -> Ngircd:
    """Start ngircd."""
    return Ngircd(folder, _NGIRCD)


class StrictInspircd(Inspircd):
    """InspIRCd that kills who floods."""

    def _start(self) -> None:
        before, _, rest = CONFIGURATION.partition("<connect ")
        text = before + _CONNECT + rest.partition(">\n")[2]
        configuration = self._folder / f"strict-{self.port}.conf"
        configuration.write_text(text.format(port=self.port, folder=self._folder))
        self._log_file = self._folder / f"strict-{self.port}.log"
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._program), "--nofork", "--runasroot", "--config", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
