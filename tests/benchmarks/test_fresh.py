"""A first handshake loads nothing that it does not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from otrcore import Identity

ROOT = Path(__file__).parents[2]
FOREIGN = {
    "Crypto",
    "Cryptodome",
    "typer",
    "click",
    "rich",
    "pydantic",
    "irc",
    "jaraco",
    "platformdirs",
    "sqlite3",
}
"""Other versions' cryptography, command lines, IRC, and the store's."""

PROGRAM = """
import json, sys
from benchmarks.child import first_handshake
first_handshake()
print(json.dumps(sorted(sys.modules)))
"""


def test_a_first_handshake_loads_nothing_foreign() -> None:
    keys = [Identity.generate().dsa.to_der().hex() for _ in range(2)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        input="\n".join(keys) + "\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(json.loads(done.stdout))
    assert "otrcore.v3.ake" in loaded
    assert not FOREIGN & loaded
