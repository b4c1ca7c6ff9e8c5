"""`otr install weechat` and `otr uninstall weechat`: what they change in a user's folders, and what not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import otrcore
from tests.cli.installing.users import SCRIPT, User
from tests.cli.managing import environment


def test_it_is_put_where_weechat_loads_it_from(user: User) -> None:
    user.install()
    assert {path for path in user.home.rglob("*") if not path.is_dir()} == {user.script, user.link}
    assert os.readlink(user.link) == f"../{SCRIPT}"
    assert user.link.samefile(user.script)


def test_a_lost_link_is_put_back(user: User) -> None:
    user.install()
    before = user.state()
    user.link.unlink()
    assert "now WeeChat loads it when it starts" in user.install().told
    assert user.state().keys() == before.keys()


Obstacle = Callable[[User], str]


def foreign_autoload(user: User) -> str:
    user.put(user.link, "import weechat\n")
    return "is no link to otrcore's script"


def folder_as_autoload(user: User) -> str:
    user.link.mkdir(parents=True)
    return "is no link to otrcore's script"


def autoload_elsewhere(user: User) -> str:
    user.put(user.scripts / "other.py")
    user.link.parent.mkdir()
    user.link.symlink_to("../other.py")
    return "leads elsewhere"


def autoload_to_nowhere(user: User) -> str:
    user.link.parent.mkdir(parents=True)
    user.link.symlink_to("../../otr_client.py")
    return "leads elsewhere"


def autoload_to_itself(user: User) -> str:
    user.link.parent.mkdir(parents=True)
    user.link.symlink_to(user.link)
    return "leads elsewhere"


def file_as_autoload_folder(user: User) -> str:
    user.put(user.scripts / "autoload")
    return "is not a folder"


@pytest.mark.parametrize(
    "obstacle",
    [
        foreign_autoload,
        folder_as_autoload,
        autoload_elsewhere,
        autoload_to_nowhere,
        autoload_to_itself,
        file_as_autoload_folder,
    ],
)
def test_what_is_in_the_way_of_loading_it_is_named_and_left_alone(user: User, obstacle: Obstacle) -> None:
    said = obstacle(user)
    sentence = user.refused()
    assert said in sentence
    assert str(user.home / ".local/share") in sentence


@pytest.mark.parametrize("failing", ["mkdir", "symlink", "replace", "rename"])
def test_whatever_step_fails_all_are_taken_back(
    user: User, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.put(user.data / "python/otr.py", "import potr\n")
    user.put(user.config / "weechat.conf")
    before = user.state()

    real = getattr(os, failing)

    def fails(path: object, *others: object) -> object:
        if Path(str(path)).is_relative_to(user.scripts) or str(others[:1]).count(SCRIPT):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *others)

    with monkeypatch.context() as broken:
        broken.setattr(os, failing, fails)
        outcome = user.install("--replace")
    assert outcome.refusal.startswith(
        f"Nothing was changed, as {user.scripts} cannot be used (input/output error)"
    )
    assert user.state() == before


def test_folders_that_are_links(user: User) -> None:
    real = user.home / "dotfiles/python"
    real.mkdir(parents=True)
    user.data.mkdir(parents=True)
    user.scripts.symlink_to(real)
    user.install()
    assert (real / SCRIPT).is_file()
    assert user.link.samefile(user.script)
    assert user.uninstall().code == 0
    apart = user.home / "dotfiles/loaded"
    apart.mkdir()
    (real / "autoload").rmdir()
    (real / "autoload").symlink_to(apart)
    user.install()
    assert user.link.samefile(user.script), "a relative link would lead elsewhere from there"
    assert "up to date" in user.install().told
    user.uninstall()
    assert not any(path.is_file() for path in user.home.rglob("*"))
    assert user.scripts.is_symlink()


def test_a_lost_script_whose_link_has_stayed(user: User) -> None:
    user.install()
    before = user.state()
    user.script.unlink()
    user.install()
    assert user.state().keys() == before.keys()
    user.script.unlink()
    assert "taken out" in user.uninstall().told
    assert not os.path.lexists(user.link)


def test_settings_stay_unless_they_are_to_go(user: User) -> None:
    settings = user.put(user.config / "otrcore.conf", "[look]\n")
    others = user.put(user.config / "irc.conf")
    user.install()
    assert f"Your settings stay in {settings}" in user.uninstall().told
    assert settings.exists()
    assert f"Deleted: {settings}" in user.uninstall("--purge-config").told
    assert not settings.exists()
    assert others.exists()
    assert "Nothing to do" in user.uninstall("--purge-config").told


def test_a_folder_that_is_named(user: User) -> None:
    named = user.home / "my chat"
    user.put(named / "weechat.conf")
    told = user.install("--folder", str(named)).told
    assert (named / "python/autoload" / SCRIPT).samefile(named / "python" / SCRIPT)
    assert not user.data.exists()
    assert str(named) in told
    user.put(named / "python/otr.py", "import potr\n")
    assert f"--folder '{named}'" in user.install("--folder", str(named), "--replace").told
    settings = user.put(named / "otrcore.conf")
    user.uninstall("--folder", str(named), "--purge-config")
    assert not settings.exists()
    assert not (named / "python" / SCRIPT).exists()


def test_a_named_folder_that_is_not_weechats(user: User) -> None:
    assert "is not a folder" in user.refused("--folder", str(user.home / "nowhere"))
    user.put(user.home / "documents/letter.txt")
    assert "is not a folder of WeeChat's" in user.refused("--folder", str(user.home / "documents"))
    user.put(user.data / "python/autoload/other.py")
    assert "/debug dirs" in user.refused("--folder", str(user.scripts / "autoload"))
    assert "is not a folder" in user.refused("--folder", "~nobody of that name/weechat")
    user.install("--folder", str(user.data))
    assert user.link.exists()


def test_uninstalling_names_another_folder_that_has_it(user: User) -> None:
    old = user.home / ".weechat"
    user.put(old / "weechat.conf")
    user.install()
    user.put(user.config / "weechat.conf")
    told = user.uninstall().told
    assert f"otr uninstall weechat --folder {old}  removes it" in told
    user.uninstall("--folder", str(old))
    assert not (old / "python" / SCRIPT).exists()


def test_another_script_for_otr_is_told(user: User) -> None:
    other = user.put(user.scripts / "autoload/weechat_otrv4plus.py")
    assert f"{other} is loaded when WeeChat starts too" in user.install().told


def test_a_weechat_that_is_not_in_path_is_known_by_its_folder(user: User) -> None:
    user.programs()
    user.put(user.config / "weechat.conf")
    user.data.mkdir(parents=True)
    user.install()
    assert user.link.exists()


def test_a_weechat_without_its_plugin_for_python_is_told(user: User) -> None:
    place = user.programs("weechat-headless")
    user.put(place / "lib/x86_64-linux-gnu/weechat/plugins/irc.so")
    assert "run  sudo apt install weechat-python" in user.install().told
    user.put(place / "lib/x86_64-linux-gnu/weechat/plugins/python.so")
    user.script.unlink()
    assert "apt" not in user.install().told


def test_a_python_that_would_not_find_this_otrcore(user: User) -> None:
    """As when somebody runs a checkout by PYTHONPATH: the engine would be another one, or none."""
    copy = user.folder / "checkout"
    copy.mkdir()
    (copy / "otrcore").symlink_to(Path(otrcore.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", "from otrcore.cli.main import main; main()", "install", "weechat"],
        env=environment(user.folder) | {"PYTHONPATH": str(copy)},
        cwd=user.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{sys.executable} cannot run the engine (it finds the otrcore in " in done.stderr
    assert f", not that in {copy})" in done.stderr
    assert list(user.home.iterdir()) == []
