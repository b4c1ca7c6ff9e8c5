"""The passphrase of the private keys: from a file that nobody else can read, or typed unseen."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from otrcore.cli.passphrase import MAX_BYTES, VARIABLE, from_file
from otrcore.errors import StoreError
from otrcore.store.store import Store
from tests.cli.managing import OtrInTerminal, environment, otr
from tests.clients.drivers.programs import installed
from tests.clients.drivers.waiting import wait_for
from tests.mends import obey
from tests.store.sentences import sentence

OLD = "Passphrase of your private keys: "
NEW, AGAIN = "New passphrase: ", "Once more: "


def written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "a passphrase"
    path.write_bytes(content)
    path.chmod(mode)
    return path


# ---- from a file


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"correct horse", "correct horse"),
        (b"correct horse\nbattery\n", "correct horse"),
        (b"correct horse\r\nbattery", "correct horse"),
        (b" blanks count \n", " blanks count "),
        ("grün\n".encode(), "grün"),
        (b"gr\xfcn\n", "gr\udcfcn"),
        (b"x" * MAX_BYTES + b"\r\n", "x" * MAX_BYTES),
    ],
)
def test_the_first_line_is_it(tmp_path: Path, content: bytes, passphrase: str) -> None:
    assert from_file(written(tmp_path, content)) == passphrase


def test_bytes_that_are_no_utf_8_stay_apart(tmp_path: Path) -> None:
    assert from_file(written(tmp_path, b"\xfc")) != from_file(written(tmp_path, b"\xfd"))


@pytest.mark.parametrize("content", [b"", b"\nsecond", b"\r\n", b"x" * (MAX_BYTES + 1), b"x" * 100_000])
def test_a_first_line_that_is_none(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StoreError) as caught:
        from_file(written(tmp_path, content))
    assert "xxxx" not in sentence(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_one_that_others_can_read(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, b"secret", mode)
    with pytest.raises(StoreError) as caught:
        from_file(path)
    assert "secret" not in str(caught.value)
    assert obey(str(caught.value), tmp_path).returncode == 0
    assert from_file(path) == "secret"


def test_one_that_belongs_to_another(tmp_path: Path) -> None:
    path = written(tmp_path, b"secret")
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(path, 65534, 65534)
    with pytest.raises(StoreError, match="another user"):
        from_file(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing", tmp_path / "x\0y", Path("/dev/null")):
        with pytest.raises(StoreError) as caught:
            from_file(path)
        assert VARIABLE in sentence(caught.value)


def test_the_file_is_read_only_when_a_private_key_is_needed(tmp_path: Path) -> None:
    missing = {VARIABLE: str(tmp_path / "missing")}
    with Store(tmp_path / "data") as store:
        store.identities.generate("oftc")
        store.identities.seal("secret")
    assert "oftc" in otr(tmp_path, "keys", changes=missing).told
    assert "cannot be opened" in otr(tmp_path, "keys", "generate", "libera.chat", changes=missing).refusal


# ---- typed


def test_it_is_typed_unseen_and_twice(tmp_path: Path) -> None:
    with OtrInTerminal(tmp_path, "keys", "passphrase") as terminal:
        terminal.wait_unseen(NEW)
        terminal.type("one")
        terminal.answer(AGAIN, "other")
        terminal.answer(NEW, "seen by nobody", times=2)
        terminal.answer(AGAIN, "seen by nobody", times=2)
        terminal.wait_shown("locked by a passphrase now")
        terminal.wait(lambda: terminal.echoes, "what is typed to be shown again")
        assert terminal.exit_code() == 0
        assert "different" in terminal.screen()
        for typed in ("one\n", "other\n", "seen by"):
            assert typed not in terminal.screen()


def test_three_attempts(tmp_path: Path) -> None:
    with OtrInTerminal(tmp_path, "keys", "passphrase") as terminal:
        for attempt in range(1, 4):
            terminal.answer(NEW, "one", attempt)
            terminal.answer(AGAIN, "other", attempt)
        assert terminal.exit_code() == 1
        assert "Nothing was changed" in terminal.screen()
    assert "not locked" in otr(tmp_path, "keys", "passphrase", "--remove").refusal


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    with Store(tmp_path / "data") as store:
        store.identities.generate("oftc")
        store.identities.seal("secret")
    return tmp_path


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda number: number.name
)
def test_whatever_ends_it_the_terminal_is_given_back(locked: Path, number: signal.Signals) -> None:
    words = ["--data-dir", str(locked / "data"), "keys", "generate", "libera.chat"]
    with OtrInTerminal(locked, *words) as terminal:
        terminal.wait_unseen(OLD)
        if number is signal.SIGINT:
            terminal.press(b"half of it\x03")
        else:
            terminal.signal(number)
        terminal.wait(terminal.ended, "its end")
        assert terminal.echoes
        assert terminal.exit_code() == 128 + number
        assert "Traceback" not in terminal.screen()
        assert "half of it" not in terminal.screen()
    with Store(locked / "data") as store:
        assert [row.network for row in store.identities.rows()] == ["oftc"]


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [(b"\n", "is empty"), (b"\x04", "No passphrase was typed"), (b"x" * 2000 + b"\n", "is too long")],
    ids=["nothing", "end", "too long"],
)
def test_nothing_that_can_be_one(locked: Path, typed: bytes, complaint: str) -> None:
    with OtrInTerminal(locked, "--data-dir", str(locked / "data"), "keys", "generate", "x") as terminal:
        terminal.wait_unseen(OLD)
        terminal.press(typed)
        assert terminal.exit_code() == 1
        assert complaint in terminal.screen()
        assert "xxx" not in terminal.screen()


def test_a_file_spares_the_question(locked: Path) -> None:
    words = ["--data-dir", str(locked / "data"), "keys", "generate", "x"]
    with OtrInTerminal(locked, *words, changes={VARIABLE: str(written(locked, b"secret\n"))}) as terminal:
        assert terminal.exit_code() == 0
        assert OLD not in terminal.screen()


def test_without_a_terminal_the_way_is_named(locked: Path) -> None:
    done = subprocess.run(
        [installed("otr"), "--data-dir", str(locked / "data"), "keys", "generate", "x"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env=environment(locked),
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert VARIABLE in sentence(done.stderr.strip())


def test_standard_input_and_output_are_free_for_something_else(locked: Path) -> None:
    """The question is put to the terminal that the program runs in, wherever those go."""
    result = locked / "result"
    program = (
        "import os, sys; null = os.open(os.devnull, os.O_RDONLY); os.dup2(null, 0); "
        f"out = os.open({str(result)!r}, os.O_WRONLY | os.O_CREAT, 0o600); os.dup2(out, 1); os.dup2(out, 2); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    with OtrInTerminal(
        locked, "keys", "generate", "x", "--data-dir", str(locked / "data"), between=program
    ) as terminal:
        terminal.answer(OLD, "secret")
        assert terminal.exit_code() == 0
    wait_for(lambda: "Made a key for x" in result.read_text(), "the result")
