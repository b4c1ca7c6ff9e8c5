"""`otr tool` in the process of the test, and libotr's tools beside it, on the same input."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

from otrcore.cli import tool
from otrcore.cli.process import run
from tests.cli.managing import Outcome
from tests.support import require


def otr_tool(*words: str, stdin: bytes | str = b"") -> Outcome:
    """Run `otr tool` in this process, without a terminal."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    data = stdin.encode(errors="surrogateescape") if isinstance(stdin, str) else stdin
    with (
        patch.object(sys, "argv", ["otr tool", *words]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data))),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            run(tool.app)
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return Outcome(code, out.getvalue(), err.getvalue())


def libotr_tool(program: str, *words: str, stdin: bytes | str = b"") -> Outcome:
    """Run one of libotr's tools; bytes that are no UTF-8 come as lone surrogates."""
    data = stdin.encode(errors="surrogateescape") if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [require(program), *map(os.fsencode, words)],
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )
    out, err = (stream.decode(errors="surrogateescape") for stream in (done.stdout, done.stderr))
    return Outcome(done.returncode, out, err)
