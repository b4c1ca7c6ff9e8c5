"""What tests of several folders need."""

from __future__ import annotations

import os
import shutil

import pytest

# Debian keeps servers in sbin, which an ordinary user's PATH lacks.
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


def require(program: str) -> str:
    """Return the path of a program that a test drives (a name, or a path to look at).

    Without it the test is skipped and says so; under CI it fails, since a skip there
    would look like a pass.
    """
    path = shutil.which(program, path=_SEARCH_PATH)
    if path is not None:
        return path
    if IN_CI:
        pytest.fail(f"{program} is not installed: `make test` installs it", pytrace=False)
    pytest.skip(f"needs {program}, which is not installed: `make test` installs it")
