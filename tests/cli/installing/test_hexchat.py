"""`otr install hexchat` and `otr uninstall hexchat`: what they change in a user's folders, and what not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.cli.installing.obstacles import (
    Obstacle,
    dangling_script,
    file_as_scripts,
    folder_as_script,
    foreign_script,
)
from tests.cli.installing.users import POTR, SCRIPT, HexChatUser


@pytest.fixture
def user(hexchat_user: HexChatUser) -> HexChatUser:
    return hexchat_user


@pytest.fixture
def both(user: HexChatUser) -> HexChatUser:
    """Somebody with a HexChat and a ZoiteChat."""
    user.programs("hexchat", "zoitechat")
    return user


def files(user: HexChatUser) -> set[Path]:
    return {path for path in user.home.rglob("*") if not path.is_dir()}


def test_it_is_put_where_hexchat_loads_it_from(user: HexChatUser) -> None:
    told = user.install().told
    assert files(user) == {user.script}
    assert f"The script is now {user.script}, and HexChat loads it when it starts." in told
    assert "/otr start" in told


def test_hexchat_and_zoitechat_both_get_it(both: HexChatUser) -> None:
    told = both.install().told
    assert files(both) == {both.script, both.second}
    assert both.script.read_bytes() == both.second.read_bytes()
    assert f"now {both.script}, and HexChat loads" in told
    assert f"now {both.second}, and ZoiteChat loads" in told
    assert f"start HexChat or ZoiteChat, or in one that is running type  /py load {SCRIPT}\n" in told

    both.second.unlink()
    told = both.install().told
    assert f"{both.script} is up to date" in told
    assert both.second.exists()

    told = both.uninstall().told
    assert f"in a HexChat or ZoiteChat that is running, type  /py unload {SCRIPT}\n" in told
    assert files(both) == set()


def test_one_folder_for_both_is_one(both: HexChatUser) -> None:
    both.config.mkdir(parents=True)
    both.zoite.symlink_to(both.config)
    assert both.install().told.count("The script is now") == 1
    assert "taken out" in both.uninstall().told


def test_only_zoitechat(user: HexChatUser) -> None:
    user.programs("zoitechat")
    user.install()
    assert files(user) == {user.second}


def test_a_folder_that_has_it_is_kept_up_to_date(user: HexChatUser) -> None:
    """Also of a program that cannot be found any more."""
    user.programs("hexchat", "zoitechat")
    user.install()
    text = user.second.read_bytes()
    user.second.write_bytes(text + b"# older\n")
    (user.folder / "usr/bin/zoitechat").unlink()
    user.install()
    assert user.second.read_bytes() == text
    user.second.unlink()
    assert str(user.zoite) not in user.install().told
    assert not user.second.exists()


@pytest.mark.parametrize("obstacle", [foreign_script, folder_as_script, dangling_script, file_as_scripts])
def test_what_is_in_the_way_of_one_keeps_the_other_as_it_is(both: HexChatUser, obstacle: Obstacle) -> None:
    said = obstacle(both)
    both.put(both.zoite / "zoitechat.conf")
    assert said in both.refused()


@pytest.mark.parametrize(
    ("failing", "older"),
    [("mkdir", False), ("replace", False), ("rename", False), ("replace", True), ("rename", True)],
)
def test_whatever_step_fails_all_are_taken_back(
    both: HexChatUser, failing: str, older: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails for the second of two, when the first is done."""
    if older:
        both.install()
        for script in (both.script, both.second):
            script.write_bytes(script.read_bytes() + b"# older\n")
    for addons in (both.scripts, *([] if failing == "mkdir" else [both.second.parent])):
        both.put(addons / "otr.py", POTR)
    before = both.state()
    real = getattr(os, failing)
    failures: list[str] = []

    def fails(path: object, *others: object) -> object:
        to = str(others[0] if failing != "mkdir" else path)
        if Path(to).is_relative_to(both.second.parent) and not failures:
            failures.append(to)
            raise OSError(errno.EIO, "Input/output error", to)
        return real(path, *others)

    with monkeypatch.context() as broken:
        broken.setattr(os, failing, fails)
        outcome = both.install("--replace")
    assert failures
    assert outcome.refusal.startswith("Nothing was changed, as ")
    assert "input/output error" in outcome.refusal
    assert both.state() == before


def test_uninstalling_is_taken_back_too(both: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    both.put_potr()
    both.install("--replace")
    before = both.state()
    real = os.rename

    def fails(path: object, to: object) -> None:
        if str(path) == str(both.second):
            raise OSError(errno.EIO, "Input/output error", str(path))
        real(str(path), str(to))

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", fails)
        outcome = both.uninstall()
    assert outcome.refusal.startswith("Nothing was changed, as ")
    assert both.state() == before


def test_folders_that_are_links(user: HexChatUser) -> None:
    real = user.home / "dotfiles/addons"
    real.mkdir(parents=True)
    user.config.mkdir(parents=True)
    user.scripts.symlink_to(real)
    user.install()
    assert (real / SCRIPT).is_file()
    assert user.uninstall().code == 0
    assert files(user) == set()
    assert user.scripts.is_symlink()


def test_a_folder_that_is_named(user: HexChatUser) -> None:
    named = user.home / "my chat"
    user.put(named / "hexchat.conf")
    user.put(named / "addons/otr.py", POTR)
    assert f"run  otr install hexchat --folder '{named}' --replace  to" in user.refused(
        "--folder", str(named)
    )
    told = user.install("--folder", str(named), "--replace").told
    assert f"  otr uninstall hexchat --folder '{named}'  " in f"  {told}".replace("\n", "\n  ")
    assert (named / "addons" / SCRIPT).is_file()
    assert not user.config.exists()
    assert "Nothing to do" in user.uninstall().told
    assert "taken out" in user.uninstall("--folder", str(named)).told
    assert {path.name for path in (named / "addons").iterdir()} == {"otr.py"}


def test_a_named_folder_of_zoitechats(user: HexChatUser) -> None:
    user.put(user.home / "chat/zoitechat.conf")
    assert "ZoiteChat loads it" in user.install("--folder", str(user.home / "chat")).told


def test_a_named_folder_that_is_not_hexchats(user: HexChatUser) -> None:
    assert "is not a folder" in user.refused("--folder", str(user.home / "nowhere"))
    user.put(user.home / "documents/letter.txt")
    sentence = user.refused("--folder", str(user.home / "documents"))
    assert "is not a folder of HexChat's" in sentence
    assert "  hexchat --configdir  " in sentence
    assert "is not a folder" in user.refused("--folder", "~nobody of that name/hexchat")
    user.install("--folder", str(user.config))
    assert user.script.exists()


def test_a_hexchat_that_is_not_in_path_is_known_by_its_folder(user: HexChatUser) -> None:
    user.programs()
    user.put(user.config / "hexchat.conf")
    user.install()
    assert user.script.exists()


@pytest.mark.parametrize(
    ("app", "name"), [("io.github.Hexchat", "hexchat"), ("net.zoite.Zoitechat", "zoitechat")]
)
def test_one_in_a_flatpak_is_refused(user: HexChatUser, app: str, name: str) -> None:
    place = user.programs()
    (user.home / ".local/share/flatpak/app" / app).mkdir(parents=True)
    settings = user.put(user.home / ".var/app" / app / f"config/{name}/{name}.conf")
    assert "in a box of its own" in user.refused()
    assert "in a box of its own" in user.refused("--folder", str(settings.parent))
    other = {"hexchat": "zoitechat", "zoitechat": "hexchat"}[name]
    user.put(place / "bin" / other, "#!/bin/sh\necho 2.16.1\n").chmod(0o755)
    told = user.install().told
    assert "in a box of its own" in told, "the other one has it, and of this it is told why not"
    assert (user.home / ".config" / other / "addons" / SCRIPT).exists()
    assert not (settings.parent / "addons").exists()


def test_a_user_called_snap_is_in_no_box(user: HexChatUser) -> None:
    home = user.folder / "snap/home"
    home.mkdir(parents=True)
    user.changes["HOME"] = str(home)
    user.install()
    assert (home / ".config/hexchat/addons" / SCRIPT).exists()


def test_what_was_put_into_a_flatpak_by_hand_can_be_removed(user: HexChatUser) -> None:
    user.install()
    boxed = user.home / ".var/app/io.github.Hexchat/config/hexchat"
    user.put(boxed / "addons" / SCRIPT, user.script.read_text())
    assert user.uninstall().code == 0
    assert f"otr uninstall hexchat --folder {boxed}  removes it" in user.uninstall().told
    assert "taken out" in user.uninstall("--folder", str(boxed)).told


@pytest.mark.parametrize(("version", "old"), [("2.12.4", True), ("2.9.6", True), ("2.14.0", False)])
def test_versions(user: HexChatUser, version: str, old: bool) -> None:
    user.programs("hexchat", version=version)
    if old:
        said = ".".join(version.split(".")[:2])
        assert f"HexChat {said} is too old for OTR: 2.14 is the first" in user.refused()
    else:
        assert user.install().code == 0


def test_a_hexchat_without_its_plugin_for_python_is_told(user: HexChatUser) -> None:
    place = user.programs("hexchat")
    user.put(place / "lib/x86_64-linux-gnu/hexchat/plugins/sysinfo.so")
    assert "run  sudo apt install hexchat-python3" in user.install().told
    assert user.script.exists()
    user.put(place / "lib/x86_64-linux-gnu/hexchat/plugins/python.so")
    assert "apt" not in user.install().told


def test_a_zoitechat_without_its_plugin_for_python_is_told(user: HexChatUser) -> None:
    place = user.programs("zoitechat")
    user.put(place / "lib/zoitechat/plugins/sysinfo.so")
    assert "ZoiteChat cannot load it yet" in user.install().told
    user.put(place / "lib/zoitechat/plugins/python.so")
    assert "cannot load it" not in user.install().told


def test_plugins_in_another_folder(user: HexChatUser) -> None:
    user.programs("hexchat")
    plugins = user.put(user.folder / "plugins/sysinfo.so").parent
    user.changes["HEXCHAT_LIBDIR"] = str(plugins)
    assert "hexchat-python3" in user.install().told
    user.put(plugins / "python.so")
    assert "hexchat-python3" not in user.install().told


def test_the_real_hexchat_has_its_plugin(user: HexChatUser) -> None:
    assert "hexchat-python3" not in user.install().told
