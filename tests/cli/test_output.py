"""What commands print: tables for people, JSON for programs, and nothing that steers a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otrcore.cli.output import visible
from otrcore.model import Fingerprint, Trust
from otrcore.store.store import Store
from tests.cli.managing import OtrInTerminal, environment, otr
from tests.clients.drivers.programs import installed
from tests.mends import NotObeyed, obey

HOSTILE = "\x1b]0;title\x07[red]bob[/red]\u202e\x9b2J"
SHOWN = r"\x1b}0;title\x07{red}bob{/red}\u202e\x9b2j"
ONE = Fingerprint(bytes(range(20)))

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A home whose contacts have names that are meant for the terminal."""
    with Store(tmp_path / "data") as store:
        store.contacts.met("oftc", HOSTILE, ONE)
        store.contacts.met("oftc", "carol", ONE)
        store.contacts.judge("oftc", "carol", ONE, Trust.COMPARED)
    return tmp_path


def on_terminal(folder: Path, *words: str, columns: int = 100, **changes: str) -> str:
    """Return what stands on the screen afterwards."""
    data = ["--data-dir", str(folder / "data")]
    with OtrInTerminal(folder, *words, *data, columns=columns, changes=changes) as terminal:
        assert terminal.exit_code() == 0, terminal.screen()
        return terminal.screen()


# ---- tables


def test_a_table_on_a_terminal(known: Path) -> None:
    screen = on_terminal(known, "contacts", columns=200)
    assert _STYLE.search(screen), "what is verified stands out"
    plain = _STYLE.sub("", screen)
    assert not _ESCAPES.search(plain)
    assert visible(SHOWN) == SHOWN
    assert SHOWN in plain
    heading, *rows = plain.splitlines()
    at = heading.index("FINGERPRINT")
    assert [row[at : at + 44] for row in rows if row] == [str(ONE)] * 2


def test_nothing_is_read_as_markup(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        store.contacts.add("oftc", "bob", ONE, Trust.NONE, "[red]x[/red] :smile: [/]")
    assert "[red]x[/red] :smile: [/]" in on_terminal(tmp_path, "contacts", "history", "bob", columns=200)


@pytest.mark.parametrize(
    "changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=lambda change: next(iter(change))
)
def test_without_colour(known: Path, changes: dict[str, str]) -> None:
    screen = on_terminal(known, "contacts", columns=200, **changes)
    assert not _ESCAPES.search(screen)
    assert str(ONE)[:26] in screen


def test_a_terminal_of_the_usual_width(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        store.contacts.met("libera.chat", "somebody", ONE)
        store.contacts.judge("libera.chat", "somebody", ONE, Trust.SMP)
    lines = on_terminal(tmp_path, "contacts", columns=80, NO_COLOR="1").splitlines()
    assert max(map(len, lines)) <= 80
    assert str(ONE)[:26] in lines[1]
    assert str(ONE)[27:] in lines[2]


def test_a_narrow_terminal_loses_nothing(known: Path) -> None:
    shown = on_terminal(known, "contacts", columns=30, NO_COLOR="1")
    for text in (SHOWN, "carol", str(ONE), "by comparing", "oftc"):
        assert text in shown


def test_an_encoding_that_lacks_characters(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        store.contacts.met("oftc", "grün→", ONE)
    for columns in (30, 200):
        shown = on_terminal(tmp_path, "contacts", columns=columns, PYTHONIOENCODING="latin-1", NO_COLOR="1")
        assert r"n\u2192" in shown


def test_into_a_pipe_it_is_plain_and_aligned(known: Path) -> None:
    done = subprocess.run(
        [installed("otr"), "contacts", "--data-dir", str(known / "data")],
        capture_output=True,
        encoding="utf-8",
        env=environment(known) | {"COLUMNS": "40", "FORCE_COLOR": "1"},
        timeout=60,
        check=True,
    )
    assert done.stdout == otr(known, "contacts").told
    assert not _ESCAPES.search(done.stdout)
    heading, *rows = done.stdout.splitlines()
    assert len(rows) == 2
    for row in rows:
        assert row[heading.index("FINGERPRINT") :].startswith(str(ONE))
        assert row[heading.index("NETWORK") :].startswith("oftc ")


def test_wide_characters_are_aligned(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        store.contacts.met("oftc", "日本", ONE)
        store.contacts.met("oftc", "ab", ONE)
        store.contacts.met("oftc", "e\u0301", ONE)
    heading, *rows = otr(tmp_path, "contacts").told.splitlines()
    starts = {row.split()[0]: row.index("oftc") for row in rows}
    assert starts == {"日本": 4, "ab": 6, "e\u0301": 7}
    assert heading.index("NETWORK") == 6


# ---- JSON


def test_json_holds_what_is_there_and_is_harmless(known: Path) -> None:
    printed = otr(known, "contacts", "--json").told
    assert printed.isascii()
    assert not _ESCAPES.search(printed)
    with Store(known / "data") as store:
        expected = [contact.nick for contact in store.contacts.all()]
    assert [one["nick"] for one in json.loads(printed)] == expected
    assert any("\x1b" in nick for nick in expected)


# ---- what is refused


def test_a_refusal_is_as_harmless(known: Path) -> None:
    for words in (["contacts", "trust"], ["contacts", "--network"], ["keys", "delete", "--yes"]):
        outcome = otr(known, *words, f"{HOSTILE}?")
        assert outcome.code == 1
        assert not _ESCAPES.search(outcome.err)
        assert outcome.out == ""


# ---- where it goes


def test_a_reader_that_has_gone_away(known: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for words in (["contacts"], ["contacts", "--json"], ["keys"], ["keys", "generate", "oftc"]):
        done = subprocess.run(
            [installed("otr"), "--data-dir", str(known / "data"), *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment(known),
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b""), words
    os.close(writing)
    with Store(known / "data") as store:
        assert store.identities.find("oftc") is not None


def test_a_full_disk(known: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [installed("otr"), "--data-dir", str(known / "data"), "contacts"],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment(known),
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "Nothing can be shown any more, as no space left on device: mend that first.\n"


# ---- help


def test_help_is_cheap(tmp_path: Path) -> None:
    """A tenth of a second, as long as nothing is loaded that only the commands need."""
    program = (
        "import sys; sys.argv[:] = ['otr', '--help']\n"
        "from otrcore.cli.main import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        encoding="utf-8",
        env=environment(tmp_path),
        timeout=60,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "typer" in loaded
    assert not loaded & {"rich", "cryptography", "sqlite3", "gmpy2", "irc", "platformdirs"}
    for name in ("demo", "chat", "keys", "contacts", "networks", "doctor", "tool"):
        assert re.search(rf"^  {name} +\S.*[^.]\.$", done.stdout, re.MULTILINE), name


@pytest.mark.parametrize("group", ["keys", "contacts", "networks"])
def test_every_command_says_what_it_is_for_with_an_example(tmp_path: Path, group: str) -> None:
    shown = otr(tmp_path, group, "--help").told
    commands = re.findall(r"^  ([a-z]+) {2,}(\S.*)$", shown.partition("Commands:\n")[2], re.MULTILINE)
    assert len(commands) >= 2
    for name, about in commands:
        assert re.fullmatch(r"[A-Z].*[^.]\.", about), f"{name} is cut off: {about}"
        told = otr(tmp_path, group, name, "--help").told
        assert told.isascii()
        examples = told.partition("Example")[2]
        assert f"  otr {group} {name}" in examples
    assert not (tmp_path / "data").exists()


# ---- what the tests do by our sentences


@pytest.mark.parametrize(
    "sentence",
    [
        "Run  rm -r data  now.",
        "Run  chmod -R go= data  now.",
        "Run  chmod go= ..  now.",
        "Run  chmod go= /etc/hostname  now.",
        "Run  chmod go= data; touch gone  now.",
        "Run  otr keys export /somewhere/else  now.",
        "Run  otr keys --data-dir=/somewhere/else  now.",
        "Run  otr keys --data-dir ..  now.",
        "Run  otr keys > gone  now.",
        "Run  otr keys $(touch gone)  now.",
        "Run  otr keys export ~/keys  now.",
        "Run  otr keys generate 'a  b'  now.",
        "Run  otr keys  or  otr contacts  now.",
        "Run nothing now.",
    ],
)
def test_no_sentence_makes_a_test_do_harm(tmp_path: Path, sentence: str) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    with pytest.raises(NotObeyed):
        obey(sentence, tmp_path)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "gone").exists()
