"""The examples run as they stand, each in a process of its own, and show what they are there to show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import otrcore

EXAMPLES = Path(__file__).parents[2] / "examples"


def output_of(name: str) -> list[str]:
    """Return the lines that an example prints; it may not complain about anything."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def scenes(lines: list[str]) -> dict[str, list[str]]:
    """Return the indented lines below each title, which stands behind an empty line."""
    found: dict[str, list[str]] = {}
    title = ""
    for line in filter(None, lines):
        if line.startswith("  "):
            found[title].append(line.strip())
        else:
            title = line
            found[title] = []
    return found


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"two_peers.py", "events.py", "xmpp_like.py"}


def test_two_peers_read_each_other() -> None:
    assert output_of("two_peers.py") == [
        "<alice> Can you read this? (encrypted)",
        "<bob> I can, and nobody else. (encrypted)",
    ]


def test_every_public_event_comes_about() -> None:
    shown = scenes(output_of("events.py"))
    seen = {line.split()[0] for lines in shown.values() for line in lines}
    assert seen == {event.__name__ for event in get_args(otrcore.Event)}


def test_what_the_events_tell() -> None:
    first, lost, stranger, older = scenes(output_of("events.py")).values()
    assert "Received         WARNING, not encrypted: Somebody slips this in." in first
    assert "SmpFailed        the secrets DIFFER" in first
    assert "SmpSucceeded     the secrets are equal, which only tells the peer something" in first
    assert "Resent           was lost, and has been said again: This does not arrive at once." in lost
    assert [line for line in lost if "This comes twice." in line] == [
        "Received         encrypted: This comes twice."
    ]
    (opened,) = (line for line in stranger if line.startswith("SessionOpened"))
    assert re.fullmatch(
        r"SessionOpened +encrypted: version 4, not verified, (\w{8}); WARNING, it was (?!\1)\w{8}", opened
    )
    assert stranger[-1] == "Held             held, as the key is another: For Bob's eyes only."
    assert "Downgraded       WARNING: version 3, and it was 4" in older
    assert "NoCommonVersion  asks for versions that are not allowed here: [2]" in older


def test_names_and_clients_of_a_network_like_xmpp() -> None:
    assert output_of("xmpp_like.py") == [
        "sessions with bob@example.net: 2, one for each client",
        "bob@example.net/phone reads from alice@example.org: To the phone. (encrypted)",
        "bob@example.net/desk reads from alice@example.org: To the desk. (encrypted)",
        "Alice@example.org/laptop reads from bob@example.net: I sit down. (encrypted)",
        "Bob's program calls him bob@example.net/phone: plaintext",
        "Bob's program calls him bob@example.net: encrypted",
    ]
