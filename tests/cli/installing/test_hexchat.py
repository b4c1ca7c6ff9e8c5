"""`otr install hexchat` and `otr uninstall hexchat`: what they change in a user's folders, and what not."""

from __future__ import annotations

import ast
import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import otrcore
from tests.cli.installing.users import SCRIPT, HexChatUser, state
from tests.cli.managing import environment, otr
from tests.clients.drivers.programs import installed

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever the rights are")

POTR = "import hexchat\nimport potr\n"


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
    before = os.umask(0o077)
    try:
        told = user.install().told
    finally:
        os.umask(before)
    assert files(user) == {user.script}
    assert stat.S_IMODE(user.script.lstat().st_mode) == 0o644
    for folder in (user.config, user.addons):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    values = {
        name: ast.literal_eval(line.partition(" = ")[2].partition("  #")[0])
        for line in user.script.read_text().splitlines()
        for name in ("PYTHON", "PACKAGES")
        if line.startswith(f"{name} = ")
    }
    assert values["PYTHON"] == sys.executable
    assert str(otrcore.__file__) == f"{values['PACKAGES']}/otrcore/__init__.py"
    assert f"The script is now {user.script}, and HexChat loads it when it starts." in told
    assert f"  /py load {SCRIPT}\n" in told
    assert "/otr start" in told


def test_again_it_changes_nothing(user: HexChatUser) -> None:
    user.install()
    before = user.state()
    assert f"{user.script} is up to date: nothing was changed." in user.install().told
    assert user.state() == before


def test_an_older_one_is_brought_up_to_date(user: HexChatUser) -> None:
    user.install()
    text = user.script.read_bytes()
    user.script.write_bytes(text + b"# of another version\n")
    told = user.install().told
    assert "that of another version" in told
    assert f"  /py reload {SCRIPT}\n" in told
    assert user.script.read_bytes() == text
    assert files(user) == {user.script}


def test_one_that_started_another_otrcore_starts_this_one(user: HexChatUser) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(
        text.replace(sys.executable, "/opt/python").replace("PACKAGES = '", "PACKAGES = '/opt")
    )
    assert "started the otrcore in /opt" in user.install().told
    assert user.script.read_text() == text


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


Obstacle = Callable[[HexChatUser], str]


def foreign_script(user: HexChatUser) -> str:
    user.put(user.script, "import hexchat\n")
    return "is no script of otrcore's"


def empty_script(user: HexChatUser) -> str:
    user.put(user.script)
    return "is no script of otrcore's"


def folder_as_script(user: HexChatUser) -> str:
    user.script.mkdir(parents=True)
    return "is not a file"


def pipe_as_script(user: HexChatUser) -> str:
    user.addons.mkdir(parents=True)
    os.mkfifo(user.script)
    return "is not a file"


def link_as_script(user: HexChatUser) -> str:
    user.install()
    user.script.rename(user.home / "elsewhere.py")
    user.script.symlink_to(user.home / "elsewhere.py")
    return "is a link"


def dangling_script(user: HexChatUser) -> str:
    user.addons.mkdir(parents=True)
    user.script.symlink_to("nowhere.py")
    return "is a link"


def config_to_nowhere(user: HexChatUser) -> str:
    user.config.parent.mkdir(parents=True)
    user.config.symlink_to("nowhere")
    return "is a link to nowhere"


def config_to_itself(user: HexChatUser) -> str:
    user.config.parent.mkdir(parents=True)
    user.config.symlink_to("hexchat")
    return "hexchat cannot be used"


def addons_to_nowhere(user: HexChatUser) -> str:
    user.config.mkdir(parents=True)
    user.addons.symlink_to("nowhere")
    return "is a link to nowhere"


def file_as_config(user: HexChatUser) -> str:
    user.put(user.config)
    return "is not a folder"


def file_above(user: HexChatUser) -> str:
    user.put(user.home / ".config")
    return "is not a folder"


def file_as_addons(user: HexChatUser) -> str:
    user.put(user.addons)
    return "is not a folder"


@pytest.mark.parametrize(
    "obstacle",
    [
        foreign_script,
        empty_script,
        folder_as_script,
        pipe_as_script,
        link_as_script,
        dangling_script,
        config_to_nowhere,
        config_to_itself,
        addons_to_nowhere,
        file_as_config,
        file_above,
        file_as_addons,
    ],
)
def test_what_is_in_the_way_is_named_and_left_alone(user: HexChatUser, obstacle: Obstacle) -> None:
    said = obstacle(user)
    sentence = user.refused()
    assert said in sentence
    assert str(user.home / ".config") in sentence


@pytest.mark.parametrize("obstacle", [foreign_script, folder_as_script, dangling_script, file_as_addons])
def test_what_is_in_the_way_of_one_keeps_the_other_as_it_is(both: HexChatUser, obstacle: Obstacle) -> None:
    obstacle(both)
    both.put(both.zoite / "zoitechat.conf")
    both.refused()


@only_root
@pytest.mark.parametrize("below", [".", ".config", ".config/hexchat", ".config/hexchat/addons"])
def test_as_root_nothing_is_put_into_somebody_elses_folder(user: HexChatUser, below: str) -> None:
    folder = user.home / below
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, 12345, -1)
    sentence = user.refused()
    assert f"{folder.resolve()} belongs to the user of number 12345" in sentence
    assert "not as root" in sentence


@not_root
@pytest.mark.parametrize("below", [".config", ".config/hexchat", ".config/hexchat/addons"])
def test_a_folder_that_cannot_be_written(user: HexChatUser, below: str) -> None:
    folder = user.home / below
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    try:
        assert f"{folder} cannot be written: run  chmod u+rwx {folder}" in user.refused()
    finally:
        folder.chmod(0o700)


def test_a_disk_that_takes_nothing_leaves_nothing_half_done(user: HexChatUser) -> None:
    """A limit on the size of files fails as a full disk does."""
    user.put(user.addons / "otr.py", POTR)
    before = user.state()
    done = subprocess.run(
        [installed("otr"), "install", "hexchat", "--replace"],
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
    for addons in (both.addons, *([] if failing == "mkdir" else [both.second.parent])):
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
    both.put(both.addons / "otr.py", POTR)
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
    user.addons.symlink_to(real)
    user.install()
    assert (real / SCRIPT).is_file()
    assert user.uninstall().code == 0
    assert files(user) == set()
    assert user.addons.is_symlink()


def test_uninstalling_leaves_what_is_not_ours(user: HexChatUser) -> None:
    user.put(user.addons / "other.py", "import hexchat\n")
    user.put(user.config / "logs/a.log")
    before = user.state()
    user.install()
    told = user.uninstall().told
    assert f"  /py unload {SCRIPT}\n" in told
    assert "Your keys, and whom you have verified, stay" in told
    assert user.state() == before
    assert "Nothing to do" in user.uninstall().told
    assert user.state() == before


@pytest.mark.parametrize("obstacle", [foreign_script, folder_as_script, link_as_script, dangling_script])
def test_uninstalling_refuses_what_is_not_ours(user: HexChatUser, obstacle: Obstacle) -> None:
    said = obstacle(user)
    before = user.state()
    assert said in user.uninstall().refusal
    assert user.state() == before


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


def test_without_hexchat_it_says_how_to_get_it(user: HexChatUser) -> None:
    user.programs()
    sentence = user.refused()
    assert "HexChat was not found" in sentence
    assert "  sudo apt install hexchat hexchat-python3  " in sentence
    assert "--folder" in sentence
    assert "Nothing to do" in user.uninstall().told


def test_a_hexchat_that_is_not_in_path_is_known_by_its_folder(user: HexChatUser) -> None:
    user.programs()
    user.put(user.config / "hexchat.conf")
    user.install()
    assert user.script.exists()


def test_a_hexchat_in_a_snap_is_refused(user: HexChatUser) -> None:
    place = user.programs()
    user.put(place / "snap/bin/hexchat", "#!/bin/sh\n").chmod(0o755)
    user.changes["PATH"] = str(place / "snap/bin")
    assert "HexChat that was found is in a box of its own" in user.refused()


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


def test_on_windows_it_is_refused(user: HexChatUser, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        assert "on Windows" in user.install().refusal
        assert "on Windows" in user.uninstall().refusal


def test_names_cannot_steer_the_terminal(user: HexChatUser) -> None:
    folder = user.home / "\x1b]0;title\x07"
    folder.mkdir()
    user.changes["XDG_CONFIG_HOME"] = str(folder)
    outcome = user.install()
    assert (outcome.out + outcome.err).replace("\n", "").isprintable()
    assert outcome.code == 0
    assert any(name.endswith(SCRIPT) for name in state(folder))


def test_help_names_what_there_is(user: HexChatUser) -> None:
    for word in ("install", "uninstall"):
        assert "hexchat" in otr(user.folder, word, "--help").told
        assert "--folder" in otr(user.folder, word, "hexchat", "--help").told
