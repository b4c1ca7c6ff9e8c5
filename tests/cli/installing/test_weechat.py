"""`otr install weechat` and `otr uninstall weechat`: what they change in a user's folders, and what not."""

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
from tests.cli.installing.users import SCRIPT, User, state
from tests.cli.managing import environment
from tests.clients.drivers.programs import installed

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever the rights are")


def test_it_is_put_where_weechat_loads_it_from(user: User) -> None:
    before = os.umask(0o077)
    try:
        told = user.install().told
    finally:
        os.umask(before)
    assert {path for path in user.home.rglob("*") if not path.is_dir()} == {user.script, user.link}
    assert stat.S_IMODE(user.script.lstat().st_mode) == 0o644
    assert os.readlink(user.link) == f"../{SCRIPT}"
    assert user.link.samefile(user.script)
    assert stat.S_IMODE(user.data.stat().st_mode) == 0o700
    filled = user.script.read_text()
    values = {
        name: ast.literal_eval(line.partition(" = ")[2].partition("  #")[0])
        for line in filled.splitlines()
        for name in ("PYTHON", "PACKAGES")
        if line.startswith(f"{name} = ")
    }
    assert values["PYTHON"] == sys.executable
    assert str(otrcore.__file__) == f"{values['PACKAGES']}/otrcore/__init__.py"
    assert str(user.script) in told
    assert f"/python load {SCRIPT}" in told


def test_again_it_changes_nothing(user: User) -> None:
    user.install()
    before = user.state()
    assert "is up to date: nothing was changed" in user.install().told
    assert user.state() == before
    user.link.unlink()
    assert "now WeeChat loads it when it starts" in user.install().told
    assert state(user.home).keys() == before.keys()


def test_an_older_one_is_brought_up_to_date(user: User) -> None:
    user.install()
    text = user.script.read_bytes()
    user.script.write_bytes(text + b"# of another version\n")
    told = user.install().told
    assert "that of another version" in told
    assert "/python reload otr_client" in told
    assert user.script.read_bytes() == text


def test_one_that_started_another_otrcore_starts_this_one(user: User) -> None:
    user.install()
    text = user.script.read_text()
    user.script.write_text(
        text.replace(sys.executable, "/opt/python").replace("PACKAGES = '", "PACKAGES = '/opt")
    )
    told = user.install().told
    assert "started the otrcore in /opt" in told
    assert user.script.read_text() == text


Obstacle = Callable[[User], str]


def foreign_script(user: User) -> str:
    user.put(user.script, "import weechat\n")
    return "is no script of otrcore's"


def empty_script(user: User) -> str:
    user.put(user.script)
    return "is no script of otrcore's"


def folder_as_script(user: User) -> str:
    user.script.mkdir(parents=True)
    return "is not a file"


def pipe_as_script(user: User) -> str:
    user.python.mkdir(parents=True)
    os.mkfifo(user.script)
    return "is not a file"


def link_as_script(user: User) -> str:
    user.install()
    user.script.rename(user.home / "elsewhere.py")
    user.script.symlink_to(user.home / "elsewhere.py")
    return "is a link"


def dangling_script(user: User) -> str:
    user.python.mkdir(parents=True)
    user.script.symlink_to("nowhere.py")
    return "is a link"


def foreign_autoload(user: User) -> str:
    user.put(user.link, "import weechat\n")
    return "is no link to otrcore's script"


def folder_as_autoload(user: User) -> str:
    user.link.mkdir(parents=True)
    return "is no link to otrcore's script"


def autoload_elsewhere(user: User) -> str:
    user.put(user.python / "other.py")
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


def data_to_nowhere(user: User) -> str:
    user.data.parent.mkdir(parents=True)
    user.data.symlink_to("nowhere")
    return "is a link to nowhere"


def data_to_itself(user: User) -> str:
    user.data.parent.mkdir(parents=True)
    user.data.symlink_to("weechat")
    return "weechat cannot be used"


def python_to_nowhere(user: User) -> str:
    user.data.mkdir(parents=True)
    user.python.symlink_to("nowhere")
    return "is a link to nowhere"


def file_as_data(user: User) -> str:
    user.put(user.data)
    return "is not a folder"


def file_above(user: User) -> str:
    user.put(user.home / ".local/share")
    return "is not a folder"


def file_as_python(user: User) -> str:
    user.put(user.python)
    return "is not a folder"


def file_as_autoload_folder(user: User) -> str:
    user.put(user.python / "autoload")
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
        foreign_autoload,
        folder_as_autoload,
        autoload_elsewhere,
        autoload_to_nowhere,
        autoload_to_itself,
        data_to_nowhere,
        data_to_itself,
        python_to_nowhere,
        file_as_data,
        file_above,
        file_as_python,
        file_as_autoload_folder,
    ],
)
def test_what_is_in_the_way_is_named_and_left_alone(user: User, obstacle: Obstacle) -> None:
    said = obstacle(user)
    sentence = user.refused()
    assert said in sentence
    assert str(user.home / ".local/share") in sentence


@only_root
@pytest.mark.parametrize(
    "below", [".", ".local/share", ".local/share/weechat/python", ".local/share/weechat/python/autoload"]
)
def test_as_root_nothing_is_put_into_somebody_elses_folder(user: User, below: str) -> None:
    folder = user.home / below
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, 12345, -1)
    sentence = user.refused()
    assert f"{folder.resolve()} belongs to the user of number 12345" in sentence
    assert "not as root" in sentence


@not_root
@pytest.mark.parametrize(
    "below", [".local/share", ".local/share/weechat/python", ".local/share/weechat/python/autoload"]
)
def test_a_folder_that_cannot_be_written(user: User, below: str) -> None:
    folder = user.home / below
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    try:
        assert f"{folder} cannot be written: run  chmod u+rwx {folder}" in user.refused()
    finally:
        folder.chmod(0o700)


def test_a_disk_that_takes_nothing_leaves_nothing_half_done(user: User) -> None:
    """A limit on the size of files fails as a full disk does."""
    user.put(user.python / "otr.py", "import potr\n")
    user.autoload("otr.py")
    before = user.state()
    done = subprocess.run(
        [installed("otr"), "install", "weechat", "--replace"],
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


@pytest.mark.parametrize("failing", ["mkdir", "symlink", "replace", "rename"])
def test_whatever_step_fails_all_are_taken_back(
    user: User, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.put(user.data / "python/otr.py", "import potr\n")
    user.put(user.config / "weechat.conf")
    before = user.state()

    real = getattr(os, failing)

    def fails(path: object, *others: object) -> object:
        if Path(str(path)).is_relative_to(user.python) or str(others[:1]).count(SCRIPT):
            raise OSError(errno.EIO, "Input/output error")
        return real(path, *others)

    with monkeypatch.context() as broken:
        broken.setattr(os, failing, fails)
        outcome = user.install("--replace")
    assert outcome.refusal.startswith(
        f"Nothing was changed, as {user.python} cannot be used (input/output error)"
    )
    assert user.state() == before


def test_folders_that_are_links(user: User) -> None:
    real = user.home / "dotfiles/python"
    real.mkdir(parents=True)
    user.data.mkdir(parents=True)
    user.python.symlink_to(real)
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
    assert user.python.is_symlink()


def test_a_lost_script_whose_link_has_stayed(user: User) -> None:
    user.install()
    before = user.state()
    user.script.unlink()
    user.install()
    assert user.state().keys() == before.keys()
    user.script.unlink()
    assert "taken out" in user.uninstall().told
    assert not os.path.lexists(user.link)


def test_uninstalling_leaves_what_is_not_ours(user: User) -> None:
    user.put(user.python / "autoload/other.py", "import weechat\n")
    user.put(user.data / "logs/a.log")
    before = user.state()
    user.install()
    told = user.uninstall().told
    assert "/python unload otr_client" in told
    assert user.state() == before
    assert "Nothing to do" in user.uninstall().told
    assert user.state() == before


@pytest.mark.parametrize("obstacle", [foreign_script, folder_as_script, link_as_script, dangling_script])
def test_uninstalling_refuses_what_is_not_ours(user: User, obstacle: Obstacle) -> None:
    said = obstacle(user)
    before = user.state()
    assert said in user.uninstall().refusal
    assert user.state() == before


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
    assert "/debug dirs" in user.refused("--folder", str(user.python / "autoload"))
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
    other = user.put(user.python / "autoload/weechat_otrv4plus.py")
    assert f"{other} is loaded when WeeChat starts too" in user.install().told


def programs(user: User, *names: str) -> Path:
    """Let these be all the programs there are; return the folder that they belong to."""
    place = user.folder / "usr"
    for name in names:
        user.put(place / "bin" / name, "#!/bin/sh\necho 4.0\n").chmod(0o755)
    user.changes["PATH"] = str(place / "bin")
    return place


def test_without_weechat_it_says_how_to_get_it(user: User) -> None:
    programs(user)
    sentence = user.refused()
    assert "WeeChat was not found" in sentence
    assert "  sudo apt install weechat weechat-python  " in sentence
    assert "--folder" in sentence
    assert "Nothing to do" in user.uninstall().told


def test_a_weechat_that_is_not_in_path_is_known_by_its_folder(user: User) -> None:
    programs(user)
    user.put(user.config / "weechat.conf")
    user.data.mkdir(parents=True)
    user.install()
    assert user.link.exists()


def test_a_weechat_in_a_box_is_refused(user: User) -> None:
    place = programs(user)
    user.put(place / "snap/bin/weechat", "#!/bin/sh\n").chmod(0o755)
    user.changes["PATH"] = str(place / "snap/bin")
    assert "in a box of its own" in user.refused()


def test_a_weechat_without_its_plugin_for_python_is_told(user: User) -> None:
    place = programs(user, "weechat-headless")
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


def test_on_windows_it_is_refused(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        assert "on Windows" in user.install().refusal
        assert "on Windows" in user.uninstall().refusal


def test_names_cannot_steer_the_terminal(user: User) -> None:
    folder = user.home / "\x1b]0;title\x07"
    folder.mkdir()
    user.changes["WEECHAT_HOME"] = str(folder)
    outcome = user.install()
    assert (outcome.out + outcome.err).replace("\n", "").isprintable()
    assert outcome.code == 0


def test_help_names_what_there_is(user: User) -> None:
    from tests.cli.managing import otr

    for word in ("install", "uninstall"):
        assert "weechat" in otr(user.folder, word, "--help").told
