"""What a script starts the engine with: the Python of this installation, and where otrcore lies in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ...client.launch import clean
from ..doctor.findings import MAX_WHY, quoted, why
from .refusal import Refusal

LIMIT_SECONDS = 30.0
"""For the engine's modules to be there; a machine that was just started takes its time."""

_TRY = "import os, sys, otrcore.engine.__main__; os.write(1, os.fsencode(sys.modules['otrcore'].__file__))"


@dataclass(frozen=True, slots=True)
class Runtime:
    """An installation of otrcore, as paths for a script."""

    python: str
    """The interpreter that runs the engine."""
    packages: str
    """The folder that has the package `otrcore` in it."""

    @property
    def missing(self) -> str | None:
        """What of it is gone, if anything."""
        if not os.access(self.python, os.X_OK) or os.path.isdir(self.python):
            return self.python
        package = os.path.join(self.packages, "otrcore")
        return None if os.path.isfile(os.path.join(package, "client", "__init__.py")) else package

    def trouble(self) -> str | None:
        """Return why its engine would not start, as a few words; it is not started, but all of it loaded."""
        try:
            done = subprocess.run(
                [self.python, "-I", "-c", _TRY],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd="/",
                env=clean(os.environ),
                timeout=LIMIT_SECONDS,
                check=False,
            )
        except (OSError, ValueError) as error:
            return why(error)
        except subprocess.TimeoutExpired:
            return f"it is not ready after {LIMIT_SECONDS:.0f} s"
        if done.returncode:
            lines = done.stderr.decode(errors="replace").split("\n")
            return next(
                (line.strip()[:MAX_WHY] for line in reversed(lines) if line.strip()), "it does not say why"
            )
        found = os.path.dirname(os.path.dirname(os.fsdecode(done.stdout)))
        if os.path.realpath(found) != os.path.realpath(self.packages):
            return f"it finds the otrcore in {quoted(found)}, not that in {quoted(self.packages)}"
        return None


def packages() -> Path:
    """Return the folder that has the otrcore in it which runs just now."""
    return Path(__file__).absolute().parents[3]


def this() -> Runtime:
    """Return the installation that runs just now, tried out as a script will use it; Refusal."""
    runtime = Runtime(sys.executable or "", str(packages()))
    if not os.path.isabs(runtime.python):
        raise Refusal(
            "Nothing was installed, as nobody can tell which Python runs otr: install otrcore anew."
        )
    trouble = runtime.trouble()
    if trouble is not None:
        raise Refusal(
            f"Nothing was installed, as {quoted(runtime.python)} cannot run the engine ({trouble}): "
            "look what  otr doctor  says, or install otrcore anew, with pipx."
        )
    return runtime
