"""Where HexChat and its fork ZoiteChat have their folders, by their own rules, and whether they are there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..doctor.findings import quoted
from ..doctor.places import config_home, entries, flatpaks, home, snaps
from .programs import boxed, libraries, on_path, refuse_relative, release
from .refusal import Refusal
from .script import NAME

OLDEST = 2, 14
"""The first version of HexChat that our script is made for."""

_BOXES = (".var/app", "snap")
"""The folders, in the user's own, for the files of programs in boxes: of Flatpaks, and of Snaps."""

APT = "sudo apt install hexchat hexchat-python3"
_ASK = "run  hexchat --configdir  as you start it, with its -d if it has one, to see which it is."


@dataclass(frozen=True, slots=True)
class Client:
    """HexChat, or a program that has become of it."""

    name: str
    """Of its program, and of its folder for settings."""
    title: str
    plugins: str
    """The variable that names another folder for plugins than that which came with it."""
    python: str
    """How one gets its plugin for Python: the end of a sentence."""

    @property
    def settings(self) -> str:
        """The file in its folder that no other program has."""
        return f"{self.name}.conf"


CLIENTS = (
    Client(
        "hexchat",
        "HexChat",
        "HEXCHAT_LIBDIR",
        "on Debian and Ubuntu, run  sudo apt install hexchat-python3  and start HexChat anew.",
    ),
    Client("zoitechat", "ZoiteChat", "ZOITECHAT_LIBDIR", "install a ZoiteChat that has it."),
)

NO_PLUGIN = "its plugin for Python is not installed"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one HexChat, or ZoiteChat."""

    client: Client
    config: Path
    usual: bool = True
    """The one that it uses unless it is told another on its command line."""

    @property
    def addons(self) -> Path:
        """Where those scripts and plugins lie that it loads when it starts."""
        return self.config / "addons"

    @property
    def script(self) -> Path:
        """Where ours lies."""
        return self.addons / NAME


def usual() -> list[Home]:
    """Return the folder that each uses here, whether it exists or not; Refusal if nobody can tell."""
    homes: dict[str, Home] = {}
    for client in CLIENTS:
        refuse_relative("XDG_CONFIG_HOME", client.title)
        folder = config_home() / client.name
        homes.setdefault(os.path.realpath(folder), Home(client, folder))
    return list(homes.values())


def named(folder: Path) -> Home:
    """Return the folder of a HexChat that somebody has named; Refusal if it is none."""
    config = Path(os.path.abspath(os.path.expanduser(folder)))
    try:
        known = {each.config: each for each in usual()}
    except Refusal:
        known = {}
    if config in known:
        return known[config]
    if not os.path.isdir(config):
        raise Refusal(f"{quoted(config)} is not a folder: {_ASK}")
    client = next((one for one in CLIENTS if os.path.lexists(config / one.settings)), None)
    if client is None and entries(config) and not os.path.isdir(config / "addons"):
        raise Refusal(f"{quoted(config)} is not a folder of HexChat's: {_ASK}")
    return Home(client or CLIENTS[0], config, usual=False)


def usable() -> tuple[list[Home], list[str]]:
    """Return the folders of those that can have our script, and why others cannot; Refusal if none can."""
    found, troubles = looked_for()
    if not found:
        raise Refusal(troubles[0] if troubles else _MISSING)
    return found, troubles


def looked_for() -> tuple[list[Home], list[str]]:
    """Return the folders of those that can have our script, and for each other that is there, why it cannot.

    A folder alone counts where no program was found, or where our script is in it.
    """
    homes: list[Home] = []
    folders: list[Home] = []
    troubles: list[str] = []
    for each in usual():
        programs = on_path([each.client.name])
        if programs:
            trouble = _trouble(each.client, programs[0])
        else:
            trouble = _boxed(each.client) if _in_a_box(each.client) else None
        if trouble is not None:
            troubles.append(trouble)
        elif programs:
            homes.append(each)
        elif os.path.isdir(each.config):
            folders.append(each)
    return [*homes, *(each for each in folders if not homes or os.path.lexists(each.script))], troubles


def require(there: Home) -> None:
    """Refuse the folder of a program that could not start otrcore."""
    if is_boxed(there.config):
        raise Refusal(_boxed(there.client))


def is_boxed(folder: Path) -> bool:
    """Whether a folder is that of a program in a box of its own."""
    real = Path(os.path.realpath(folder))
    return any(real.is_relative_to(os.path.realpath(home() / below)) for below in _BOXES)


def plugins(client: Client) -> list[Path]:
    """Return the plugins that one loads when it starts, beside those in the user's own folder."""
    folder = os.environ.get(client.plugins, "")
    if folder:
        return [path for path in entries(Path(folder)) if path.name.endswith(".so")]
    return libraries(client.name, f"{client.name}/plugins/*.so")


def lacks_python(client: Client) -> bool:
    """Whether one is there without its plugin for Python; False if that cannot be told."""
    found = plugins(client)
    return bool(found) and not any(path.name.startswith("python") for path in found)


def _in_a_box(client: Client) -> bool:
    """Whether one is there as a Flatpak or a Snap."""
    return any(path.name.rpartition(".")[2].lower() == client.name for path in (*flatpaks(), *snaps()))


def _trouble(client: Client, program: Path) -> str | None:
    """Return why a program cannot have our script."""
    if boxed(program):
        return _boxed(client)
    numbers = release(program)
    if numbers is not None and numbers < OLDEST:
        said = ".".join(map(str, numbers))
        oldest = ".".join(map(str, OLDEST))
        return f"{client.title} {said} is too old for OTR: {oldest} is the first that will do."
    return None


def _boxed(client: Client) -> str:
    apt = f", on Debian and Ubuntu with  {APT}" if client is CLIENTS[0] else ""
    return (
        f"The {client.title} that was found is in a box of its own (a Snap or a Flatpak), out of which the "
        f"script cannot start otrcore: install one without{apt}."
    )


_MISSING = (
    f"HexChat was not found: on Debian and Ubuntu,  {APT}  installs it. "
    "If it is there but not in PATH, start it once and name its folder with --folder."
)
