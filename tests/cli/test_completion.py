"""Completion in bash, zsh and fish: names from the store, as long as no shell could act on them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otrcore.model import Fingerprint
from otrcore.store.database import FILE_NAME
from otrcore.store.store import Store
from tests.cli.managing import Outcome, environment, otr
from tests.clients.drivers.programs import installed
from tests.support import require

ONE = Fingerprint(bytes(20))
HARMFUL = [
    "$(id)",
    "`id`",
    "a;b",
    "a b",
    "x\ny",
    "*",
    "a'b",
    'a"b',
    "-rf",
    "a:b",
    "a\\b",
    "x\x1b[m",
    "gr\xfcn",
    "~",
]


def bash(folder: Path, *words: str) -> Outcome:
    """Ask as bash does, with the last word to be completed."""
    typed = ["otr", *words]
    return otr(
        folder,
        changes={
            "_OTR_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(typed),
            "COMP_CWORD": str(len(typed) - 1),
        },
    )


def zsh(folder: Path, *words: str) -> Outcome:
    return otr(
        folder, changes={"_OTR_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": " ".join(["otr", *words])}
    )


def fish(folder: Path, *words: str) -> Outcome:
    return otr(
        folder,
        changes={
            "_OTR_COMPLETE": "complete_fish",
            "_TYPER_COMPLETE_ARGS": " ".join(["otr", *words]),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    )


SHELLS = pytest.mark.parametrize("shell", [bash, zsh, fish])
Shell = Callable[..., Outcome]


def offered(outcome: Outcome) -> set[str]:
    """Return the words that a shell is given."""
    assert outcome.err == ""
    return set(re.findall(r"[^\s\"():]+", outcome.out.replace("_arguments '*: :((", "").replace("))'", "")))


@pytest.fixture
def known(tmp_path: Path) -> Path:
    with Store(tmp_path / "data") as store:
        store.identities.generate("oftc")
        store.networks.place("Libera.Chat", "irc.libera.chat")
        for nick in ("bob", "Bobby", "carol_2", *HARMFUL):
            store.contacts.met("oftc", nick, ONE)
        store.contacts.met("libera.chat", "bert", ONE)
    return tmp_path


def data(folder: Path) -> list[str]:
    return ["--data-dir", str(folder / "data")]


@SHELLS
def test_subcommands(tmp_path: Path, shell: Shell) -> None:
    assert {"keys", "contacts", "networks", "chat"} <= offered(shell(tmp_path, ""))
    assert "distrust" in offered(shell(tmp_path, "contacts", "dis"))
    assert "trust" not in offered(shell(tmp_path, "contacts", "dis"))


@SHELLS
def test_names_from_the_store(known: Path, shell: Shell) -> None:
    assert offered(shell(known, *data(known), "contacts", "trust", "bo")) == {"bob", "bobby"}
    assert offered(shell(known, "contacts", "trust", *data(known), "--network", "libera.chat", "b")) == {
        "bert"
    }
    assert offered(shell(known, "contacts", *data(known), "forget", "--network", "l")) == {"libera.chat"}
    assert offered(shell(known, "keys", "rotate", *data(known), "")) == {"oftc"}
    assert offered(shell(known, "networks", "join", *data(known), "")) == {"oftc", "libera.chat"}


@SHELLS
def test_a_file_is_the_shells_own_business(known: Path, shell: Shell) -> None:
    """Nothing is offered, which has each of the three complete the names of files."""
    for words in (["keys", "import", ""], ["keys", "export", "a"], ["keys", "--data-dir", "a"]):
        assert offered(shell(known, *words)) <= {"_files"}


@SHELLS
def test_nothing_that_a_shell_could_act_on(known: Path, shell: Shell) -> None:
    found = offered(shell(known, *data(known), "contacts", "trust", ""))
    assert found == {"bob", "bobby", "carol_2", "bert"}


@SHELLS
def test_no_store_no_names_and_no_noise(tmp_path: Path, shell: Shell) -> None:
    """Pressing a key makes no data folder."""
    before = environment(tmp_path)
    assert before["HOME"] == str(tmp_path / "home")
    for words in (["contacts", "trust", ""], [*data(tmp_path), "contacts", "trust", ""]):
        assert offered(shell(tmp_path, *words)) <= {"_files"}
    assert not (tmp_path / "data").exists()
    assert not list((tmp_path / "home").iterdir())


def test_a_store_that_cannot_be_used(known: Path) -> None:
    (known / "data").chmod(0o755)
    assert offered(bash(known, *data(known), "contacts", "trust", "")) == set()
    (known / "data").chmod(0o700)
    (known / "data" / FILE_NAME).write_bytes(b"no database at all" * 500)
    assert offered(bash(known, *data(known), "contacts", "trust", "")) == set()


def test_a_locked_store_is_not_asked_about(known: Path) -> None:
    with Store(known / "data") as store:
        store.identities.seal("secret")
    assert offered(bash(known, *data(known), "keys", "delete", "")) == {"oftc"}


def test_a_folder_below_home(known: Path) -> None:
    """The shell has not replaced the ~ yet, as it does before a command runs."""
    home = Path(environment(known)["HOME"])
    (known / "data").rename(home / "otr")
    assert offered(bash(known, "--data-dir", "~/otr", "keys", "delete", "")) == {"oftc"}


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_what_a_shell_is_told_to_do(tmp_path: Path, name: str) -> None:
    script = otr(tmp_path, changes={"_OTR_COMPLETE": f"source_{name}"}).told
    assert f"_OTR_COMPLETE=complete_{name}" in script
    if name == "bash":
        # It is only parsed here: nothing of it runs.
        path = tmp_path / "script"
        path.write_text(script)
        done = subprocess.run(
            [require("bash"), "-n", str(path)], capture_output=True, timeout=20, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_installing_it(tmp_path: Path) -> None:
    variables = environment(tmp_path) | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    for words in (["--show-completion", "bash"], ["--install-completion", "bash"]):
        done = subprocess.run(
            [installed("otr"), *words],
            capture_output=True,
            encoding="utf-8",
            env=variables,
            timeout=60,
            check=True,
        )
        assert "completion" in done.stdout
        assert done.stderr == ""
    written = {str(path.relative_to(tmp_path / "home")) for path in (tmp_path / "home").rglob("*")}
    assert written == {".bashrc", ".bash_completions", ".bash_completions/otr.sh"}
