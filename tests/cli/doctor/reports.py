"""What the tests of `otr doctor` have in common: running it, and doing what it says."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from otrcore.cli.doctor.findings import Finding, Level
from tests.clients.drivers.programs import run

HARMLESS = {"chmod", "mv"}
"""Programs that a mend may name for a test to run them."""

DOCTOR = ("otr", "doctor")


class Report:
    """What one run of the program has said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert done.stderr == ""
        document = json.loads(done.stdout)
        self.code = done.returncode
        self.findings = [
            Finding(Level(entry["level"]), entry["what"], entry["mend"]) for entry in document["findings"]
        ]
        self.problems = [finding for finding in self.findings if finding.level is Level.PROBLEM]
        assert document["problems"] == len(self.problems)
        assert self.code == (1 if self.problems else 0)


def examined(folder: Path, *options: str, changes: Mapping[str, str | None] | None = None) -> Report:
    """Run `otr doctor --json` with a home of its own in `folder`."""
    return Report(run(folder, *DOCTOR, "--json", *options, changes=changes))


def about(findings: Iterable[Finding], words: str) -> Finding:
    """Return the one finding that has some words in it."""
    findings = list(findings)
    found = [finding for finding in findings if words in finding.what]
    assert len(found) == 1, f"{words!r} is in {len(found)} of {findings}"
    return found[0]


def levels(findings: Iterable[Finding]) -> list[str]:
    """Return the levels of findings, those that are fine left out."""
    return [finding.level.value for finding in findings if finding.level is not Level.OK]


def command(finding: Finding) -> list[str]:
    """Return the words of the command that a mend tells to type."""
    assert finding.mend is not None
    before, typed, after = finding.mend.split("  ")
    assert before.endswith(("Run", "run"))
    assert after.endswith(".")
    return shlex.split(typed)


def obey(finding: Finding, folder: Path) -> None:
    """Run the command of a mend, without a shell, if it can do no harm outside a test's folder."""
    program, *words = command(finding)
    assert program in HARMLESS
    paths = [word for word in words if word.startswith("/")]
    assert paths
    assert all(Path(path).is_relative_to(folder) and ".." not in path for path in paths), paths
    # Whatever PATH a test has set.
    found = shutil.which(program, path=os.defpath)
    assert found is not None
    subprocess.run([found, *words], check=True, stdin=subprocess.DEVNULL)
