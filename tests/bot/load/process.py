"""The bot as a process that is looked at from outside: its configuration, its memory and its work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.bot.bot_process import BotProcess, otr_bot

MIB = 1024 * 1024

RAISED: Mapping[str, float] = {
    "akes_per_minute": 100,
    "akes_per_minute_all": 100_000,
    "smps_per_minute": 100,
    "smps_at_once": 100,
    "input_burst": 1000,
    "input_per_second": 1000,
    "queue_lines_per_peer": 1000,
    "queue_lines": 50_000,
}
"""What an operator writes into `[limits]` for a server that exempts the bot."""


class At(NamedTuple):
    """A network in a configuration."""

    port: int
    pace: str = "none"


def configuration(
    folder: Path, networks: Mapping[str, At], limits: Mapping[str, float], top: str = ""
) -> Path:
    """Write a configuration, make its keys, and return its path; `top` is more text for it."""
    path = folder / "bot.toml"
    lines = ["[bot]", 'data_dir = "keys"', top]
    for name, at in networks.items():
        lines += [f"[network.{name}]", f'server = "127.0.0.1:{at.port}"', "tls = false", 'nick = "echo"']
        lines += [f'pace = "{at.pace}"']
    lines += ["[limits]", *(f"{name} = {number}" for name, number in limits.items())]
    path.write_text("\n".join(lines) + "\n")
    made = otr_bot(folder, "init", "--keys-only", "--config", path)
    assert made.returncode == 0, made.stderr
    return path


class Bot(BotProcess):
    """`otr-bot run` with a configuration, ready on every network of it."""

    def __init__(self, folder: Path, config: Path, networks: int = 1) -> None:
        super().__init__(folder, "--config", config)
        try:
            self.wait_shown(", fingerprint ", networks)
        except Exception:
            # Whatever went wrong, nobody has the object yet to close it.
            self.close()
            raise

    def resident(self) -> float:
        """Return the memory that it has, in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / MIB
        raise AssertionError(f"{self.name} has ended: {self.screen()[-2000:]}")

    def worked(self) -> float:
        """Return the seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_well(self) -> bool:
        """Whether it runs, and nothing has gone wrong as far as its log tells."""
        said = self.screen()
        return not self.ended() and "Traceback" not in said and "a fault" not in said and "ERROR" not in said
