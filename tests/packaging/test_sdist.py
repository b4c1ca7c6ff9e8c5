"""The source distribution holds the whole tree, and building says nothing that a maintainer should hear."""

from __future__ import annotations

import tarfile

from tests.packaging.built import MADE, PROJECT, ROOT, Built

VERSION = PROJECT["project"]["version"]


def test_source_distribution_holds_every_file(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {member.name for member in archive if not member.isdir()}
    top = f"otrcore-{VERSION}/"
    assert {name[: len(top)] for name in names} == {top}
    inside = {name.removeprefix(top) for name in names}
    assert {name for name in inside if name.split("/")[0] not in MADE} == built.files


def test_scripts_say_the_same_version() -> None:
    """They are files of a chat client's own folder, which cannot ask the package."""
    for client in ("weechat", "hexchat"):
        assert f'"{VERSION}"' in (ROOT / f"{client}_script" / "otr_client.py").read_text()


def test_programs_stay_executable(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        modes = {member.name.partition("/")[2]: member.mode for member in archive}
    assert all(modes[name] & 0o111 for name in built.files if name.startswith(".ci/"))


def test_building_gives_no_warning(built: Built) -> None:
    quiet = ("adding ", "copying ", "creating ", "hard linking ")
    lines = [line for line in built.output.splitlines() if not line.startswith(quiet)]
    assert f"Successfully built otrcore-{VERSION}.tar.gz and otrcore-{VERSION}-py3-none-any.whl" in lines[-1]
    assert [line for line in lines if "warn" in line.lower() or "deprecat" in line.lower()] == []
