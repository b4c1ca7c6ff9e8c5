"""What a wheel of this tree installs, in a real HexChat: loaded when it starts, updated, taken away."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.installing.users import SCRIPT
from tests.clients.drivers.desktop import UNPRIVILEGED, give
from tests.clients.drivers.hexchat import HexChat, plugin, status
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.hexchat_support import runtime

ANSWERED = re.compile(r"otrcore [0-9]+\.[0-9]+")
OTR = "from otrcore.cli.main import main; main()"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Ngircd]:
    with Ngircd(tmp_path / "ngircd") as running:
        yield running


def hexchat(folder: Path, server: Ngircd, plugins: tuple[str, ...] = ("python.so",)) -> HexChat:
    """Start a HexChat without our script; its folder is where it is found by those who look for it."""
    data = folder / "alice/hexchat"
    data.mkdir(parents=True)
    usual = folder / "alice/home/.config/hexchat"
    usual.parent.mkdir(parents=True)
    usual.symlink_to("../../hexchat")
    return HexChat("alice", folder / "alice", server.port, plugins=plugins)


def otr(alice: HexChat, *words: str, code: int = 0) -> str:
    """Run `otr`, as the wheel has it, for the user of a HexChat; return what it says."""
    python = runtime()["OTR_CLIENT_PYTHON"]
    done = subprocess.run(
        [python, "-I", "-c", OTR, *words],
        env=alice.environment,
        cwd=alice.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **UNPRIVILEGED,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return str(done.stdout + done.stderr)


def typed(told: str) -> list[str]:
    """Return the commands that are named to be typed into a running HexChat."""
    (line,) = [line for line in told.splitlines() if line.startswith("Next: ")]
    return re.findall(r"  (/(?:py \S+|unload) \S+)", line)


def ask_engine(alice: HexChat) -> None:
    """Wait for an answer that only the engine can give."""
    alice.command("/otr version", status())
    alice.wait(
        lambda: [line for line in alice.printed() if ANSWERED.search(line.text)], "the engine's answer"
    )


def loaded_plugins(alice: HexChat) -> set[str]:
    """Return the libraries for OTR that are in the process."""
    lines = alice.evaluate("[line for line in open('/proc/self/maps') if 'otr' in line.lower()]")
    return {Path(line.split()[-1]).name for line in lines} & {"otr.so", "OTR.SO"}


def test_it_is_loaded_at_the_start_and_its_engine_answers(tmp_path: Path, server: Ngircd) -> None:
    with hexchat(tmp_path, server) as alice:
        otr(alice, "install", "hexchat")
        filled = (alice.data / "addons" / SCRIPT).read_text()
        for name, value in runtime().items():
            assert f"{name.removeprefix('OTR_CLIENT_')} = {value!r}" in filled
        alice.quit()
        alice.start()
        assert "otr_client" in alice.addons()
        ask_engine(alice)
        assert alice.errors() == []
        found = json.loads(otr(alice, "doctor", "--json"))["findings"]
        assert any("OTR in HexChat: " in finding["what"] for finding in found), found


def test_a_running_one_loads_it_by_what_is_said(tmp_path: Path, server: Ngircd) -> None:
    with hexchat(tmp_path, server) as alice:
        (command,) = typed(otr(alice, "install", "hexchat"))
        alice.command(command)
        version = alice.addons()["otr_client"]

        script = alice.data / "addons" / SCRIPT
        script.write_text(script.read_text().replace(f'"{version}"', '"0.0.1"'))
        alice.reload("otr_client")
        assert alice.addons()["otr_client"] == "0.0.1"
        (command,) = typed(otr(alice, "install", "hexchat"))
        alice.command(command)
        assert alice.addons()["otr_client"] == version

        (command,) = typed(otr(alice, "uninstall", "hexchat"))
        alice.command(command)
        assert alice.addons() == {}
        alice.quit()
        alice.start()
        assert alice.addons() == {}
        assert not script.exists()


@pytest.mark.parametrize("name", ["otr.so", "OTR.SO"])
def test_hexchat_otr_is_not_loaded_while_it_is_put_aside(tmp_path: Path, server: Ngircd, name: str) -> None:
    with hexchat(tmp_path, server) as alice:
        addons = alice.data / "addons"
        shutil.copy(plugin("otr.so"), addons / name)
        give(addons / name)
        alice.quit()
        alice.start()
        assert loaded_plugins(alice) == {name}
        otr(alice, "install", "hexchat", code=1)
        for command in typed(otr(alice, "install", "hexchat", "--replace")):
            alice.command(command)
        assert loaded_plugins(alice) == set()
        assert "otr_client" in alice.addons()

        alice.quit()
        alice.start()
        assert loaded_plugins(alice) == set()
        assert "otr_client" in alice.addons()

        alice.quit()
        otr(alice, "uninstall", "hexchat")
        alice.start()
        assert loaded_plugins(alice) == {name}
        assert alice.addons() == {}


def test_that_of_the_system_is_unloaded_by_what_is_said(tmp_path: Path, server: Ngircd) -> None:
    with hexchat(tmp_path, server, plugins=("python.so", "otr.so")) as alice:
        told = otr(alice, "install", "hexchat")
        assert loaded_plugins(alice) == {"otr.so"}
        (command,) = re.findall(r"or type  (/unload \S+)  ", told)
        alice.command(command)
        assert loaded_plugins(alice) == set()


def test_a_folder_of_its_own(tmp_path: Path, server: Ngircd) -> None:
    with hexchat(tmp_path, server) as alice:
        (alice.folder / "home/.config/hexchat").unlink()
        for command in typed(otr(alice, "install", "hexchat", "--folder", str(alice.data))):
            alice.command(command)
        assert "otr_client" in alice.addons()
        alice.quit()
        alice.start()
        assert "otr_client" in alice.addons()
