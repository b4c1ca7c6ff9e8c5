"""`otr install` and `otr uninstall`, for WeeChat and for HexChat alike: what they change, and what not."""

from __future__ import annotations

import ast
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import otrcore
from tests.cli.installing.obstacles import (
    OBSTACLES,
    Obstacle,
    dangling_script,
    folder_as_script,
    foreign_script,
    link_as_script,
)
from tests.cli.installing.users import SCRIPT, Somebody, state
from tests.cli.managing import environment, otr
from tests.clients.drivers.programs import installed

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever the rights are")


@pytest.fixture(params=["weechat_user", "hexchat_user"])
def user(request: pytest.FixtureRequest) -> Somebody:
    somebody = request.getfixturevalue(request.param)
    assert isinstance(somebody, Somebody)
    return somebody


def test_it_starts_this_otrcore_and_others_can_read_it(user: Somebody) -> None:
    before = os.umask(0o077)
    try:
        told = user.install().told
    finally:
        os.umask(before)
    assert stat.S_IMODE(user.script.lstat().st_mode) == 0o644
    for folder in (user.scripts, user.scripts.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    values = {
        name: ast.literal_eval(line.partition(" = ")[2].partition("  #")[0])
        for line in user.script.read_text().splitlines()
        for name in ("PYTHON", "PACKAGES")
        if line.startswith(f"{name} = ")
    }
    assert values["PYTHON"] == sys.executable
    assert str(otrcore.__file__) == f"{values['PACKAGES']}/otrcore/__init__.py"
    assert str(user.script) in told
    assert f"  {user.load}\n" in told


def test_again_it_changes_nothing(user: Somebody) -> None:
    user.install()
    before = user.state()
    assert f"{user.script} is up to date: nothing was changed." in user.install().told
    assert user.state() == before


def test_an_older_one_is_brought_up_to_date(user: Somebody) -> None:
    user.install()
    names = user.state().keys()
    text = user.script.read_bytes()
    user.script.write_bytes(text + b"# of another version\n")
    told = user.install().told
    assert "that of another version" in told
    assert f"  {user.reload}\n" in told
    assert user.script.read_bytes() == text
    assert user.state().keys() == names


def test_one_that_started_another_otrcore_starts_this_one(user: Somebody) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(
        text.replace(sys.executable, "/opt/python").replace("PACKAGES = '", "PACKAGES = '/opt")
    )
    assert "started the otrcore in /opt" in user.install().told
    assert user.script.read_text() == text


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_what_is_in_the_way_is_named_and_left_alone(user: Somebody, obstacle: Obstacle) -> None:
    said = obstacle(user)
    sentence = user.refused()
    assert said in sentence
    assert str(user.scripts.parent.parent) in sentence


def above_the_script(user: Somebody) -> dict[str, Path]:
    return {
        "home": user.home,
        "the client's above": user.scripts.parent.parent,
        "the client's": user.scripts.parent,
        "of scripts": user.scripts,
        "of what is loaded": user.loaded,
    }


@only_root
@pytest.mark.parametrize(
    "above", ["home", "the client's above", "the client's", "of scripts", "of what is loaded"]
)
def test_as_root_nothing_is_put_into_somebody_elses_folder(user: Somebody, above: str) -> None:
    folder = above_the_script(user)[above]
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, 12345, -1)
    sentence = user.refused()
    assert f"{folder.resolve()} belongs to the user of number 12345" in sentence
    assert "not as root" in sentence


@not_root
@pytest.mark.parametrize("above", ["the client's above", "the client's", "of scripts", "of what is loaded"])
def test_a_folder_that_cannot_be_written(user: Somebody, above: str) -> None:
    folder = above_the_script(user)[above]
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    try:
        assert f"{folder} cannot be written: run  chmod u+rwx {folder}" in user.refused()
    finally:
        folder.chmod(0o700)


def test_a_disk_that_takes_nothing_leaves_nothing_half_done(user: Somebody) -> None:
    """A limit on the size of files fails as a full disk does."""
    user.put_potr()
    before = user.state()
    done = subprocess.run(
        [installed("otr"), "install", user.client, "--replace"],
        env=environment(user.folder),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Nothing was changed, as ")
    assert done.stderr.count("\n") == 1
    assert user.state() == before


def test_uninstalling_leaves_what_is_not_ours(user: Somebody) -> None:
    user.put(user.loaded / "other.py", f"import {user.client}\n")
    user.put(user.scripts.parent / "logs/a.log")
    before = user.state()
    user.install()
    told = user.uninstall().told
    assert f"  {user.unload}\n" in told
    assert "Your keys, and whom you have verified, stay" in told
    assert user.state() == before
    assert "Nothing to do" in user.uninstall().told
    assert user.state() == before


@pytest.mark.parametrize("obstacle", [foreign_script, folder_as_script, link_as_script, dangling_script])
def test_uninstalling_refuses_what_is_not_ours(user: Somebody, obstacle: Obstacle) -> None:
    said = obstacle(user)
    before = user.state()
    assert said in user.uninstall().refusal
    assert user.state() == before


def test_without_the_client_it_says_how_to_get_it(user: Somebody) -> None:
    user.programs()
    sentence = user.refused()
    assert f"{user.name} was not found" in sentence
    assert f"  sudo apt install {user.packages}  " in sentence
    assert "--folder" in sentence
    assert "Nothing to do" in user.uninstall().told


def test_a_client_in_a_snap_is_refused(user: Somebody) -> None:
    place = user.programs()
    user.put(place / "snap/bin" / user.client, "#!/bin/sh\n").chmod(0o755)
    user.changes["PATH"] = str(place / "snap/bin")
    assert f"{user.name} that was found is in a box of its own" in user.refused()


def test_on_windows_it_is_refused(user: Somebody, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        assert "on Windows" in user.install().refusal
        assert "on Windows" in user.uninstall().refusal


def test_names_cannot_steer_the_terminal(user: Somebody) -> None:
    folder = user.home / "\x1b]0;title\x07"
    folder.mkdir()
    user.changes[user.variable] = str(folder)
    outcome = user.install()
    assert (outcome.out + outcome.err).replace("\n", "").isprintable()
    assert outcome.code == 0
    assert any(name.endswith(SCRIPT) for name in state(folder))


def test_help_names_what_there_is(user: Somebody) -> None:
    for word in ("install", "uninstall"):
        assert user.client in otr(user.folder, word, "--help").told
        assert "--folder" in otr(user.folder, word, user.client, "--help").told
