"""weechat-otr, which was there before: refused, put aside with the date, and put back as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from otrcore.cli.installing import weechat_otr
from tests.cli.installing.users import SCRIPT, WEECHAT_OTR, WEECHAT_OTR_SETTINGS, State, User

REAL = Path("/usr/share/weechat/python/otr.py")
"""Where Debian's package weechat-scripts has it."""


def loaded(user: User) -> None:
    """As /script install does it."""
    user.put(user.scripts / "otr.py", WEECHAT_OTR)
    user.autoload("otr.py")
    user.put(user.config / "otr.conf", WEECHAT_OTR_SETTINGS)


def from_its_repository(user: User) -> None:
    user.put(user.scripts / "weechat_otr.py", WEECHAT_OTR)
    user.autoload("weechat_otr.py")


def in_autoload_itself(user: User) -> None:
    user.put(user.scripts / "autoload/otr.py", WEECHAT_OTR)


def linked_from_elsewhere(user: User) -> None:
    script = user.put(user.home / "src/weechat_otr.py", WEECHAT_OTR)
    link = user.scripts / "autoload/otr.py"
    link.parent.mkdir(parents=True)
    link.symlink_to(script)


def in_the_old_folder(user: User) -> None:
    user.data = user.config = user.home / ".weechat"
    user.put(user.config / "weechat.conf")
    loaded(user)


def two_of_them(user: User) -> None:
    loaded(user)
    from_its_repository(user)


Arrangement = Callable[[User], None]
arrangements = pytest.mark.parametrize(
    "arrange",
    [
        loaded,
        from_its_repository,
        in_autoload_itself,
        linked_from_elsewhere,
        in_the_old_folder,
        two_of_them,
    ],
)


def without_folders(state: State) -> State:
    return {name: entry for name, entry in state.items() if entry[1] is not None}


@arrangements
def test_put_aside_and_put_back(user: User, arrange: Arrangement) -> None:
    arrange(user)
    before = without_folders(user.state())
    sentence = user.refused()
    assert "weechat-otr when it starts" in sentence
    assert "  otr install weechat --replace  " in sentence

    told = user.install("--replace").told
    today = date.today().isoformat()
    assert [path.name for path in (user.scripts / "autoload").iterdir()] == [SCRIPT]
    aside = sorted(path.name for path in user.scripts.iterdir() if path.name.endswith(".bak"))
    assert aside
    assert all(f".py.{today}" in name and name in told for name in aside)
    assert (user.config / "otr.conf").exists() is False
    assert "/python unload otr  and then  /python load otr_client.py" in told

    told = user.uninstall().told
    assert "weechat-otr is back in its place" in told
    assert without_folders(user.state()) == before


@arrangements
def test_again_and_again_on_one_day(user: User, arrange: Arrangement) -> None:
    arrange(user)
    before = without_folders(user.state())
    for _ in range(2):
        user.install("--replace")
        held = user.state()
        assert "up to date" in user.install("--replace").told
        assert user.state() == held
        user.uninstall()
        assert without_folders(user.state()) == before


def test_its_keys_are_told_of(user: User) -> None:
    loaded(user)
    assert "otr keys import" not in user.install("--replace").told
    user.uninstall()
    user.put(user.data / "otr/alice@test.key3", "key")
    told = user.install("--replace").told
    assert f"  otr keys import {user.data}/otr --from weechat  " in told


def test_one_that_is_not_loaded_may_stay(user: User) -> None:
    script = user.put(user.scripts / "otr.py", WEECHAT_OTR)
    told = user.install().told
    assert f"{script} is weechat-otr: do not load it beside this" in told
    assert script.exists()
    user.install("--replace")
    assert not script.exists()
    user.uninstall()
    assert script.read_text() == WEECHAT_OTR


def test_what_came_meanwhile_is_not_overwritten(user: User) -> None:
    loaded(user)
    user.install("--replace")
    newer = user.put(user.scripts / "otr.py", WEECHAT_OTR + "# newer\n")
    user.put(user.config / "otr.conf", "[other]\n")
    told = user.uninstall().told
    today = date.today().isoformat()
    assert f"{user.scripts}/otr.py.{today}.bak stays, as there is another {newer}" in told
    assert newer.read_text().endswith("# newer\n")
    assert (user.scripts / f"otr.py.{today}.bak").read_text() == WEECHAT_OTR
    assert (user.config / "otr.conf").read_text() == "[other]\n"
    assert (user.config / f"otr.conf.{today}.bak").read_text() == WEECHAT_OTR_SETTINGS
    assert (user.scripts / "autoload/otr.py").samefile(newer)


def test_of_several_the_last_is_put_back(user: User) -> None:
    names = [
        "otr.py.2026-01-31.bak",
        "otr.py.2026-02-01.bak",
        "otr.py.2026-02-01-2.bak",
        "otr.py.2026-02-01-10.bak",
    ]
    for name in names:
        user.put(user.scripts / name, f"import potr\n# {name}\n")
    user.install()
    user.uninstall()
    assert (user.scripts / "otr.py").read_text() == f"import potr\n# {names[-1]}\n"
    assert sorted(path.name for path in user.scripts.iterdir() if path.suffix == ".bak") == sorted(names[:-1])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("otr.py.2026-01-31.bak", "import weechat\n"),
        ("otr.py.bak", "import potr\n"),
        ("otr.py.2026-1-31.bak", "import potr\n"),
        ("otr.py.2026-01-31.bak.gz", "import potr\n"),
        ("otr.conf.2026-01-31.bak", WEECHAT_OTR_SETTINGS),
        ("notes.txt.2026-01-31.bak", "import potr\n"),
    ],
)
def test_files_of_the_users_own_stay_where_they_are(user: User, name: str, text: str) -> None:
    user.put(user.scripts / name, text)
    user.install()
    user.uninstall()
    assert [path.name for path in user.scripts.iterdir() if path.is_file()] == [name]


@pytest.mark.parametrize("text", ["import weechat\n# needs no import potr\n", "", "import potrait\n"])
def test_other_scripts_of_that_name_are_not_touched(user: User, text: str) -> None:
    user.put(user.scripts / "otr.py", text)
    link = user.autoload("otr.py")
    user.put(user.config / "otr.conf", WEECHAT_OTR_SETTINGS)
    told = user.install("--replace").told
    assert f"{link} is loaded when WeeChat starts too" in told
    assert link.is_symlink()
    assert (user.config / "otr.conf").exists()


def test_what_lies_there_cannot_hold_it_up(user: User) -> None:
    autoload = user.scripts / "autoload"
    autoload.mkdir(parents=True)
    os.mkfifo(autoload / "otr_pipe.py")
    (autoload / "otr_zero.py").symlink_to("/dev/zero")
    (autoload / "otr_loop.py").symlink_to("otr_loop.py")
    (autoload / "otr.py.2026-01-31.bak").symlink_to("/dev/zero")
    (user.scripts / "otr.py.2026-01-31.autoload.bak").mkdir()
    os.mkfifo(user.scripts / "otr.py.2026-01-31.bak")
    assert user.install("--replace").code == 0
    assert user.uninstall().code == 0


@pytest.mark.skipif(not REAL.exists(), reason=f"needs {REAL}, of Debian's package weechat-scripts")
def test_the_real_one_is_known(user: User) -> None:
    assert weechat_otr.is_script(REAL)
    user.scripts.mkdir(parents=True)
    shutil.copy(REAL, user.scripts / "otr.py")
    user.autoload("otr.py")
    assert "weechat-otr when it starts" in user.refused()
