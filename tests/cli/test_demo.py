"""`otr demo`, run as a user runs it: what it shows, what it leaves behind, and how it fails."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.processes import family, marked
from tests.clients.drivers.programs import CTRL_C, CTRL_D, InTerminal, installed, run, surroundings
from tests.clients.drivers.waiting import wait_for

FINGERPRINT = r"[0-9A-F]{8}(?: [0-9A-F]{8}){4}"
INVITATION = "Ctrl-D ends"


@pytest.fixture(autouse=True)
def _none_outlives_its_test(tmp_path: Path) -> Iterator[None]:
    yield
    for number in family(tmp_path):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def assert_nothing_left(folder: Path) -> None:
    """Be sure that no process of the demonstration runs, and none of its files is left."""
    wait_for(lambda: not family(folder), lambda: f"the end of {family(folder)}")
    assert list((folder / "tmp").iterdir()) == []
    assert files_in(folder / "home") == []


def test_without_a_terminal_it_shows_every_step_and_ends(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "demo", changes=marked(tmp_path))
    assert done.stderr == ""
    assert done.returncode == 0
    for step in (
        r"^== .*plain greeting",
        r"^<you> (?P<greeting>.+)$",
        r"^<echo> .*OTR",
        r"^-- Sent: \?OTRv34\?",
        r"Identity\b",
        r"Auth-R\b",
        r"Auth-I\b",
        r"Secured.*\bOTR version 4\b",
        rf"your fingerprint: +(?P<ours>{FINGERPRINT})$",
        rf"echo's fingerprint: +(?P<theirs>{FINGERPRINT})$",
        r"session id: +[0-9a-f]{8} [0-9a-f]{8} \(you read out the (first|second) half, echo the ",
    ):
        assert re.search(step, done.stdout, re.MULTILINE), step
    shown = done.stdout.splitlines()
    ours, theirs = re.findall(rf"fingerprint: +({FINGERPRINT})", done.stdout)
    assert ours != theirs

    # Each of the three lines, and right after it its echo, whole.
    secured = shown.index(next(line for line in shown if "Secured" in line))
    said = [line.removeprefix("<you> ") for line in shown[secured:] if line.startswith("<you> ")]
    echoed = [line.removeprefix("[encrypted] <echo> ") for line in shown if line.startswith("[encrypted] ")]
    assert said == echoed
    assert len(said) == 3
    assert any(not text.isascii() for text in said)
    assert max(len(text.encode()) for text in said) > 512
    for text in said:
        assert shown.index(f"[encrypted] <echo> {text}") == shown.index(f"<you> {text}") + 1

    end = next(number for number, line in enumerate(shown) if "is over" in line)
    assert end > shown.index(f"[encrypted] <echo> {said[-1]}")
    assert any("?OTR" in line for line in shown[end:])
    assert not any(text[:16] in line for text in said for line in shown[end:])
    # Without being asked it shows no raw line but the one example.
    assert len([line for line in shown if "?OTR" in line]) == 2
    assert_nothing_left(tmp_path)


def test_wire_shows_every_raw_line(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "demo", "--wire", changes=marked(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    raw = [line.strip() for line in done.stdout.splitlines() if line.startswith("   wire ")]
    assert [line for line in raw if "> you NICK you" in line or "> * NICK you" in line]
    for sender, receiver in (("you", "echo"), ("echo", "you")):
        sent = [line for line in raw if f"> {sender} PRIVMSG {receiver} :" in line]
        delivered = [line for line in raw if f"< {receiver} :{sender}!" in line and " PRIVMSG " in line]
        assert [line.split(" :", 1)[1] for line in sent] == [line.split(" :", 2)[2] for line in delivered]
        assert len(sent) > 8
        assert all(":?OTR" in line for line in sent[1:])
        assert max(len(line.split(f"{receiver} ", 1)[1]) for line in delivered) <= 510
    assert any("PRIVMSG echo :?OTR|" in line for line in raw), "no line was long enough to be cut"
    assert_nothing_left(tmp_path)


def test_with_a_data_folder_the_keys_stay_there(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shown = []
    for _ in range(2):
        done = run(tmp_path, "otr", "demo", "--data-dir", str(kept), changes=marked(tmp_path))
        assert (done.returncode, done.stderr) == (0, "")
        shown.append(re.findall(rf"fingerprint: +({FINGERPRINT})", done.stdout))
    assert shown[0] == shown[1]
    assert_nothing_left(tmp_path)
    assert files_in(kept)
    for path in [kept, *kept.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_it_does_not_import_what_lies_in_the_current_folder(tmp_path: Path) -> None:
    for name in ("irc", "typer", "platformdirs", "secrets", "otrbot"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder')\n")
    done = run(tmp_path, "otr", "demo", changes=marked(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_it_works_where_the_terminal_knows_only_ascii(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "demo", changes={**marked(tmp_path), "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "What crossed the server" in done.stdout


def test_it_ends_quietly_when_nobody_reads(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [installed("otr"), "demo"],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=surroundings(tmp_path, marked(tmp_path)),
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("part", ["otrbot", "demo_server"])
def test_a_part_that_dies_is_told_in_one_sentence(tmp_path: Path, part: str) -> None:
    with subprocess.Popen(
        [installed("otr"), "demo"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=surroundings(tmp_path, marked(tmp_path)),
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith(b"== Asking"):
                for number in family(tmp_path, part):
                    os.kill(number, signal.SIGKILL)
                break
        shown, complaints = demo.communicate(timeout=60)
    assert demo.returncode == 1, shown.decode()
    assert "Traceback" not in complaints.decode()
    assert re.fullmatch(r"[A-Z][^\n]+\n", complaints.decode())
    assert_nothing_left(tmp_path)


def test_a_part_that_cannot_start_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o700)
    (tmp_path / "kept" / "echo").write_text("a file where the bot wants its folder")
    done = run(tmp_path, "otr", "demo", "--data-dir", str(tmp_path / "kept"), changes=marked(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.fullmatch(r"[A-Z][^\n]+\n", done.stderr)
    assert str(tmp_path / "kept" / "echo") in done.stderr
    assert_nothing_left(tmp_path)


def test_in_a_terminal_the_user_talks_to_the_bot_afterwards(tmp_path: Path) -> None:
    with InTerminal(tmp_path, "otr", "demo", changes=marked(tmp_path)) as demo:
        demo.wait_shown(INVITATION)
        demo.type("/otr start")
        demo.wait(lambda: len(re.findall("-- Secured", demo.screen())) == 2, "OTR once more")
        # More than the pipes between the processes hold: somebody must go on reading them.
        for number in range(60):
            text = f"{number} " + "something longer, ü, " * 25
            demo.type(text.strip())
            demo.wait_shown(f"[encrypted] <echo> {text.strip()}\n")
        demo.press(CTRL_D)
        assert demo.exit_code() == 0
        assert "Traceback" not in demo.screen()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("keys", ["/quit\n", CTRL_C])
def test_it_can_be_left_in_other_ways(tmp_path: Path, keys: str) -> None:
    with InTerminal(tmp_path, "otr", "demo", changes=marked(tmp_path)) as demo:
        demo.wait_shown(INVITATION)
        demo.press(keys)
        assert demo.exit_code() == 0
        assert "Traceback" not in demo.screen()
    assert_nothing_left(tmp_path)


def test_a_bot_that_dies_while_the_user_talks_ends_it_with_one_sentence(tmp_path: Path) -> None:
    with InTerminal(tmp_path, "otr", "demo", changes=marked(tmp_path)) as demo:
        demo.wait_shown(INVITATION)
        shown = len(demo.lines())
        for number in family(tmp_path, "otrbot"):
            os.kill(number, signal.SIGKILL)
        assert demo.exit_code() == 1
        assert "Traceback" not in demo.screen()
        assert re.match(r"[A-Z].+", demo.lines()[-1])
        assert len(demo.lines()) > shown
    assert_nothing_left(tmp_path)


def test_ctrl_c_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with InTerminal(tmp_path, "otr", "demo", changes=marked(tmp_path)) as demo:
        demo.wait_shown("are on the server")
        demo.press(CTRL_C)
        demo.exit_code()
        assert INVITATION not in demo.screen()
        assert "Traceback" not in demo.screen()
    assert_nothing_left(tmp_path)


def test_its_parts_do_not_outlive_it(tmp_path: Path) -> None:
    with InTerminal(tmp_path, "otr", "demo", changes=marked(tmp_path)) as demo:
        demo.wait_shown(INVITATION)
        demo.signal(signal.SIGKILL)
        demo.exit_code()
        wait_for(lambda: not family(tmp_path), lambda: f"the end of {family(tmp_path)}")
