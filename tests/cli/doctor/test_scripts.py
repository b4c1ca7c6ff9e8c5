"""Our script in WeeChat, and in HexChat, as the doctor sees it, and that its mends mend."""

from __future__ import annotations

import pytest

from otrcore.cli.doctor.findings import Finding, Level
from tests.cli.doctor.reports import about, examined, levels
from tests.cli.doctor.scripts import fill_in, found, mended
from tests.cli.installing.users import Somebody


@pytest.fixture(params=["weechat_user", "hexchat_user"])
def user(request: pytest.FixtureRequest) -> Somebody:
    somebody = request.getfixturevalue(request.param)
    assert isinstance(somebody, Somebody)
    return somebody


def test_not_installed_is_a_note_with_the_command(user: Somebody) -> None:
    (finding,) = found(user)
    assert finding.level is Level.NOTE
    (finding,) = mended(user, finding)
    assert finding == Finding(Level.OK, f"OTR in {user.name}: {user.script}")
    assert about(examined(user.folder).findings, f"OTR in {user.name}") == finding


def test_of_another_version(user: Somebody) -> None:
    user.install()
    user.script.write_bytes(user.script.read_bytes() + b"# older\n")
    (finding,) = found(user)
    assert finding.level is Level.PROBLEM
    assert "of another version" in finding.what
    assert levels(mended(user, finding)) == []


@pytest.mark.parametrize("name", ["PYTHON", "PACKAGES"])
def test_what_it_starts_is_gone(user: Somebody, name: str) -> None:
    user.install()
    fill_in(user, name, "/gone/away")
    (finding,) = found(user)
    assert finding.level is Level.PROBLEM
    assert finding.what.startswith(f"OTR in {user.name} does not work")
    assert "needs /gone/" in finding.what
    assert levels(mended(user, finding)) == []


def test_an_engine_that_cannot_be_run(user: Somebody) -> None:
    user.install()
    fill_in(user, "PYTHON", "/bin/false")
    (finding,) = found(user)
    assert finding.level is Level.PROBLEM
    assert f"OTR in {user.name} does not work, as its engine cannot be run" in finding.what


def test_something_else_under_its_name(user: Somebody) -> None:
    user.put(user.script, f"import {user.client}\n")
    finding = about(found(user), str(user.script))
    assert finding.level is Level.NOTE
    assert "is no script of otrcore's" in finding.what


def test_the_real_client_has_its_plugin(user: Somebody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEXCHAT_LIBDIR", raising=False)
    assert not [finding for finding in found(user) if "plugin for Python" in finding.what]


def test_without_the_client_there_is_nothing_to_say(user: Somebody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(user.folder / "nowhere"))
    assert found(user) == []
