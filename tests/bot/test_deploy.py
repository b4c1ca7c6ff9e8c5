"""The units and the container file: systemd and a builder read them, and they start what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from otrbot.service.process import GOODBYE_SECONDS, LATE_SECONDS, ExitCode
from otrbot.settings.keys import CREDENTIAL

from tests.clients.drivers.programs import installed
from tests.support import require

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "bot" / "deploy"
UNITS = ("otr-bot.service", "otr-bot@.service")
BUILDERS = ("podman", "buildah", "docker")
WORST_EXPOSURE = 2.0
"""Of 10, as `systemd-analyze security` adds it up; 1.4 with systemd 252."""


def settings(unit: str) -> dict[str, list[str]]:
    """Return the settings of a unit, each with all of its values."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / unit).read_text().splitlines():
        if match := re.fullmatch(r"([A-Za-z]+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def placed(folder: Path, unit: str) -> Path:
    """Return a unit as it would be installed here; of a template, an instance."""
    text = (DEPLOY / unit).read_text().replace("/usr/local/bin/otr-bot", installed("otr-bot"))
    path = folder / unit.replace("@.", "@one.")
    path.write_text(text)
    return path


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path, unit: str) -> None:
    done = subprocess.run(
        [require("systemd-analyze"), "verify", "--man=no", str(placed(tmp_path, unit))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_would_say_something_about_a_mistake(tmp_path: Path) -> None:
    path = placed(tmp_path, UNITS[0])
    path.write_text(path.read_text().replace("Type=notify", "Type=notifi"))
    done = subprocess.run(
        [require("systemd-analyze"), "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "notifi" in done.stderr


def test_the_unit_gives_little_away(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    done = subprocess.run(
        [require("systemd-analyze"), "security", "--offline=true", str(placed(tmp_path, UNITS[0]))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "offline" in done.stderr:
        pytest.skip("this systemd looks at running units only")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    print(found[0])
    record_property("exposure", found[1])
    assert float(found[1]) <= WORST_EXPOSURE


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_fits_the_bot(unit: str) -> None:
    found = settings(unit)
    assert found["Type"] == ["notify"]
    assert found["Restart"] == ["on-failure"]
    hopeless = {ExitCode.USAGE, ExitCode.REFUSED, ExitCode.CONFIGURATION}
    assert {int(code) for code in found["RestartPreventExitStatus"][0].split()} == hopeless
    assert int(found["TimeoutStopSec"][0]) > GOODBYE_SECONDS + LATE_SECONDS
    assert int(found["WatchdogSec"][0]) == 180
    names = [value.partition(":")[0] for value in found["LoadCredential"]]
    assert names == [CREDENTIAL, "sasl-password", "server-password"]
    # An absolute path would keep the bot from starting where nobody needs the secret.
    assert all(value.partition(":")[2].startswith("%N.") for value in found["LoadCredential"])
    (command,) = found["ExecStart"]
    assert found["StateDirectory"][0] in command


def test_the_template_is_the_unit_for_one_of_several() -> None:
    single, template = (settings(unit) for unit in UNITS)
    different = {key for key in single if single[key] != template[key]}
    assert different == {"Description", "ExecStart", "User", "StateDirectory"}
    assert all("%i" in template[key][0] for key in different)
    assert single.keys() == template.keys()


def builder() -> str:
    """Return a program that builds containers, and that works here."""
    for name in BUILDERS:
        path = shutil.which(name)
        if path is None:
            continue
        # A client without its server is no builder.
        works = subprocess.run([path, "info"], capture_output=True, timeout=60, check=False).returncode == 0
        if works:
            return path
    pytest.skip(f"needs one of {', '.join(BUILDERS)} that works: containers cannot be built here")


def test_the_container_file_can_be_built(tmp_path: Path) -> None:
    program = builder()
    command = "bud" if Path(program).name == "buildah" else "build"
    image = f"otr-bot-test-{tmp_path.name}"
    done = subprocess.run(
        [program, command, "-f", str(DEPLOY / "Containerfile"), "-t", image, str(ROOT)],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    if Path(program).name != "buildah":
        version = subprocess.run(
            [program, "run", "--rm", image, "--version"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert version.stdout.startswith("otr-bot ")
        subprocess.run([program, "image", "rm", image], capture_output=True, timeout=120, check=True)


def test_the_container_file_starts_what_there_is() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert 'ENTRYPOINT ["/opt/otr-bot/bin/otr-bot"]' in text
    assert "\nUSER otr-bot\n" in text
    assert re.search(r"(?m)^STOPSIGNAL SIGTERM$", text)
