"""hexchat-otr, which was there before: told or refused, put aside with the date, and put back as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from otrcore.cli.installing import hexchat_otr
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.store.formats import libotr
from otrcore.store.formats.values import FoundKey
from tests.cli.installing.users import SCRIPT, HexChatUser, State
from tests.cli.managing import otr
from tests.clients.drivers.hexchat import plugin

POTR = "import hexchat\n\ntry:\n    import potr\nexcept ImportError:\n    pass\n"


@pytest.fixture
def user(hexchat_user: HexChatUser) -> HexChatUser:
    """Somebody for whom the system has no hexchat-otr."""
    plugins = hexchat_user.folder / "plugins"
    hexchat_user.put(plugins / "python.so")
    hexchat_user.changes["HEXCHAT_LIBDIR"] = str(plugins)
    return hexchat_user


def compiled(user: HexChatUser) -> str:
    user.scripts.mkdir(parents=True)
    shutil.copy(plugin("otr.so"), user.scripts / "otr.so")
    return "/unload otr.so  and then  /py load"


def in_capitals(user: HexChatUser) -> str:
    """Which HexChat loads all the same."""
    user.scripts.mkdir(parents=True)
    shutil.copy(plugin("otr.so"), user.scripts / "OTR.SO")
    return "/unload OTR.SO  and then  /py load"


def compiled_elsewhere(user: HexChatUser) -> str:
    user.scripts.mkdir(parents=True)
    shutil.copy(plugin("otr.so"), user.home / "otr.so")
    (user.scripts / "otr.so").symlink_to("../../../otr.so")
    return "/unload otr.so  and then  /py load"


def in_python(user: HexChatUser) -> str:
    user.put(user.scripts / "HexChat-OTR.py", POTR)
    return "/py unload HexChat-OTR.py  and then  /py load"


def two_of_them(user: HexChatUser) -> str:
    in_python(user)
    shutil.copy(plugin("otr.so"), user.scripts / "otr.so")
    return "/unload otr.so  and then  /py load"


Arrangement = Callable[[HexChatUser], str]
arrangements = pytest.mark.parametrize(
    "arrange", [compiled, in_capitals, compiled_elsewhere, in_python, two_of_them]
)


def without_script(found: State) -> State:
    return {name: what for name, what in found.items() if not name.endswith(SCRIPT)}


@arrangements
def test_it_is_refused_put_aside_and_put_back(user: HexChatUser, arrange: Arrangement) -> None:
    typed = arrange(user)
    before = user.state()
    others = {path.name for path in user.scripts.iterdir()}
    sentence = user.refused()
    assert "Nothing was installed, as HexChat loads " in sentence
    assert "  otr install hexchat --replace  " in sentence

    told = user.install("--replace").told
    today = date.today().isoformat()
    assert {path.name for path in user.scripts.iterdir()} == {
        SCRIPT,
        *(f"{name}.{today}.bak" for name in others),
    }
    assert all(f"{user.scripts / name} is now {user.scripts / name}.{today}.bak" in told for name in others)
    assert typed in told
    assert user.install().code == 0, "it is not in the way any more"

    told = user.uninstall().told
    assert all(f"is back in its place: {user.scripts / name}\n" in told for name in others)
    assert user.state() == before


def test_put_aside_twice_the_last_one_comes_back(user: HexChatUser) -> None:
    today = date.today().isoformat()
    for text in ("# first\n", "# second\n"):
        user.put(user.scripts / "otr.py", POTR + text)
        user.install("--replace")
    assert (user.scripts / f"otr.py.{today}-2.bak").exists()
    user.uninstall()
    assert (user.scripts / "otr.py").read_text() == POTR + "# second\n"
    assert (user.scripts / f"otr.py.{today}.bak").read_text() == POTR + "# first\n"


def test_it_stays_aside_where_another_one_has_come(user: HexChatUser) -> None:
    today = date.today().isoformat()
    user.put(user.scripts / "otr.py", POTR)
    user.install("--replace")
    user.put(user.scripts / "otr.py", "# mine\n")
    told = user.uninstall().told
    assert (
        f"{user.scripts / 'otr.py'}.{today}.bak stays, as there is another {user.scripts / 'otr.py'}" in told
    )
    assert (user.scripts / "otr.py").read_text() == "# mine\n"


def test_what_only_looks_like_it_is_left_alone(user: HexChatUser) -> None:
    for name, text in {
        "potr_helper.py": "# import potr\n",
        "otr.so.off": "otrl_init",
        "other.so": "otrl_init",
        "OTR.PY": POTR,
        "otr.py.2026-01-01.bak": "# somebody's own\n",
    }.items():
        user.put(user.scripts / name, text)
    before = user.state()
    told = user.install("--replace").told
    assert f"{user.scripts / 'potr_helper.py'} is loaded when HexChat starts too: if it does OTR" in told
    assert told.count("is loaded when") == 1
    assert without_script(user.state()) == before
    user.uninstall()
    assert user.state() == before


def test_what_cannot_be_read_or_never_ends_is_left_alone(user: HexChatUser) -> None:
    user.scripts.mkdir(parents=True)
    os.mkfifo(user.scripts / "otr_pipe.py")
    (user.scripts / "otr_zero.so").symlink_to("/dev/zero")
    (user.scripts / "otr_loop.py").symlink_to("otr_loop.py")
    (user.scripts / "otr_folder.so").mkdir()
    before = user.state()
    user.install("--replace")
    assert without_script(user.state()) == before


def test_that_of_the_system_is_told_and_left(user: HexChatUser) -> None:
    plugins = Path(user.changes["HEXCHAT_LIBDIR"])
    shutil.copy(plugin("otr.so"), plugins / "otr.so")
    told = user.install("--replace").told
    assert (
        f"HexChat loads hexchat-otr too, {plugins / 'otr.so'}, and this one stands aside while it does"
        in told
    )
    assert f"remove {plugins / 'otr.so'}  or type  /unload otr.so  at each start" in told
    assert (plugins / "otr.so").exists()


def test_the_package_that_it_came_with_is_known(hexchat_user: HexChatUser) -> None:
    path = plugin("otr.so")
    assert hexchat_otr.is_other(path)
    assert str(path) in hexchat_user.install().told
    if Path("/var/lib/dpkg/info/hexchat-otr:amd64.list").exists():
        assert hexchat_otr.package(path) == "hexchat-otr"
        assert "run  sudo apt remove hexchat-otr  or type" in hexchat_user.install().told


def test_its_keys_can_be_taken_over_as_is_told(user: HexChatUser) -> None:
    keys = user.config / "otr/otr.key"
    user.put(keys)
    keys.write_bytes(libotr.write_keys([FoundKey("alice@testnet", "IRC", DsaPrivateKey.generate())]))
    told = user.install().told
    typed = next(part for part in told.split("  ") if part.startswith("otr keys import "))
    assert typed == f"otr keys import {keys.parent} --from hexchat"
    assert otr(user.folder, *typed.split()[1:]).code == 0
    assert "testnet" in otr(user.folder, "keys").told
    assert "otr keys import" not in user.install().told
