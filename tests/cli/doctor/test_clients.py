"""Chat clients, and the OTR that they have already: real ones, and files as weechat-otr leaves them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otrcore.cli.doctor import clients, programs
from otrcore.cli.doctor.findings import Finding, Level
from tests.cli.doctor.reports import about, command, levels, obey
from tests.support import IN_CI, require

WEECHAT_OTR = "# -*- coding: utf-8 -*-\nimport weechat\nimport potr\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, and no program that could be found."""
    path = tmp_path / "home"
    path.mkdir()
    (tmp_path / "programs").mkdir()
    monkeypatch.setenv("HOME", str(path))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "WEECHAT_HOME", "PURPLEHOME"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """With the programs that are really installed."""
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")


def program(home: Path, name: str, text: str) -> Path:
    path = home.with_name("programs") / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def library(name: str) -> str:
    """Return the path of a library that a test looks for."""
    found = [str(path) for pattern in ("lib*", "lib*/*") for path in Path("/usr").glob(f"{pattern}/{name}")]
    if not found and not IN_CI:
        pytest.skip(f"needs {name}, which is not installed: `make test` installs it")
    assert found, f"{name} is not installed"
    return found[0]


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.usefixtures("stock")
@pytest.mark.parametrize("name", ["irssi", "hexchat"])
def test_real_clients_are_found_with_their_version(name: str) -> None:
    path = require(name)
    finding = about(clients.installed(), f": {path}")
    assert finding == Finding(Level.OK, f"{name} {programs.version(Path(path))}: {path}")


@pytest.mark.usefixtures("stock")
def test_the_otr_of_real_irssi_and_hexchat_is_found() -> None:
    module = library("irssi/modules/libotr_core.so")
    assert about(clients.otr_elsewhere(), module).level is Level.OK
    plugin = library("hexchat/plugins/otr.so")
    finding = about(clients.otr_in_hexchat(), plugin)
    assert finding.level is Level.NOTE
    if Path("/var/lib/dpkg/info/hexchat-otr:amd64.list").exists():
        assert command(finding) == ["sudo", "apt", "remove", "hexchat-otr"]


def test_no_client_at_all(home: Path) -> None:
    (finding,) = clients.installed()
    assert finding.level is Level.NOTE
    assert list(clients.otr_in_weechat()) == list(clients.otr_in_hexchat()) == []
    assert list(clients.otr_elsewhere()) == []


def test_programs_that_do_not_say_their_version(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LIMIT_SECONDS", 0.5)
    for name in clients.PROGRAMS:
        program(home, name, "/bin/sleep 600")
    began = time.monotonic()
    found = list(clients.installed())
    assert time.monotonic() - began < 3, "they are asked at the same time"
    assert levels(found) == ["note"] * len(clients.PROGRAMS)
    assert all("did not answer" in finding.what for finding in found)


@pytest.mark.parametrize("where", ["snap/bin", "flatpak/exports/bin"])
def test_programs_in_boxes_are_not_started(home: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started = home / "started"
    real = program(home, "weechat", f": > {started}")
    box = home / where
    box.mkdir(parents=True)
    (box / "weechat").symlink_to(real)
    monkeypatch.setenv("PATH", str(box))
    (finding,) = clients.installed()
    assert "box of its own" in finding.what
    assert not started.exists()


def test_flatpaks_are_found(home: Path) -> None:
    for name in (
        "io.github.Hexchat",
        "net.zoite.Zoitechat",
        "im.pidgin.Pidgin3",
        "org.example.Pidgin.Editor",
    ):
        (home / ".local/share/flatpak/app" / name).mkdir(parents=True)
    found = [finding.what.partition(":")[0] for finding in clients.installed()]
    assert found == ["im.pidgin.Pidgin3", "io.github.Hexchat", "net.zoite.Zoitechat"]


def old_place(home: Path, _: pytest.MonkeyPatch) -> Path:
    return home / ".weechat"


def new_place(home: Path, _: pytest.MonkeyPatch) -> Path:
    return home / ".local/share/weechat"


def xdg_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    return home / "data/weechat"


def named_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEECHAT_HOME", "~/chat")
    return home / "chat"


def named_places(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEECHAT_HOME", f"{home}/config:{home}/data:{home}/cache:{home}/run")
    return home / "data"


Place = Callable[[Path, pytest.MonkeyPatch], Path]


@pytest.mark.parametrize("place", [old_place, new_place, xdg_place, named_place, named_places])
def test_weechat_otr_is_found_and_put_aside(
    home: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place(home, monkeypatch) / "python"
    script = put(folder / "otr.py", WEECHAT_OTR)
    (folder / "autoload").mkdir()
    link = folder / "autoload" / "otr.py"
    link.symlink_to("../otr.py")
    finding = about(clients.otr_in_weechat(), f"weechat-otr when it starts, {link}")
    assert finding.level is Level.NOTE
    obey(finding, home)
    assert list(clients.otr_in_weechat()) == []
    assert script.read_text() == WEECHAT_OTR, "the link was put aside, not the script"
    assert list(link.parent.iterdir()) == [], "old versions load whatever lies there"
    aside = folder / "otr.py.off"
    assert os.readlink(aside) == "../otr.py"
    aside.rename(link)
    assert link.samefile(script)


def test_putting_aside_overwrites_nothing(home: Path) -> None:
    python = home / ".weechat/python"
    script = put(python / "autoload/otr.py", WEECHAT_OTR)
    put(python / "otr.py.off", "kept")
    obey(about(clients.otr_in_weechat(), str(script)), home)
    assert (python / "otr.py.off").read_text() == "kept"
    assert (python / "otr.py.off2").read_text() == WEECHAT_OTR
    assert list(script.parent.iterdir()) == []


def test_beside_our_script_another_one_is_a_problem(home: Path) -> None:
    autoload = home / ".weechat/python/autoload"
    put(autoload / clients.OUR_SCRIPT)
    assert list(clients.otr_in_weechat()) == []
    put(autoload / "weechat_otrv4plus.py")
    finding = about(clients.otr_in_weechat(), "another OTR script")
    assert finding.level is Level.PROBLEM
    obey(finding, home)
    assert list(clients.otr_in_weechat()) == []


@pytest.mark.parametrize("client", ["hexchat", "zoitechat"])
def test_otr_in_hexchats_own_folder(home: Path, client: str) -> None:
    addons = home / ".config" / client / "addons"
    put(addons / "otr.so")
    put(addons / "notes.txt")
    finding = about(clients.otr_in_hexchat(), str(addons / "otr.so"))
    assert finding.level is Level.NOTE
    obey(finding, home)
    assert list(clients.otr_in_hexchat()) == []
    assert (addons / "otr.so.off").exists()


def test_what_cannot_be_read_or_never_ends(home: Path) -> None:
    autoload = home / ".weechat/python/autoload"
    autoload.mkdir(parents=True)
    (autoload / "otr_loop.py").symlink_to("otr_loop.py")
    os.mkfifo(autoload / "otr_pipe.py")
    (autoload / "otr_folder.py").mkdir()
    (autoload / "otr_zero.py").symlink_to("/dev/zero")
    with (autoload / "otr_huge.py").open("wb") as file:
        file.truncate(1 << 40)
    (home / ".config").symlink_to(home / ".config")
    began = time.monotonic()
    found = list(clients.otr_in_weechat())
    assert time.monotonic() - began < 1
    assert len(found) == 5
    assert list(clients.otr_in_hexchat()) == []


def test_a_folder_with_very_many_files(home: Path) -> None:
    autoload = home / ".weechat/python/autoload"
    autoload.mkdir(parents=True)
    for number in range(2000):
        (autoload / f"otr{number}.py").touch()
    began = time.monotonic()
    assert len(list(clients.otr_in_weechat())) <= 500
    assert time.monotonic() - began < 1
