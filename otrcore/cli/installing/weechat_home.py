"""Where WeeChat has its folders, by its own rules (WeeChat 2.9 to 4.x), and whether it is there at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..doctor.findings import quoted
from ..doctor.places import config_home, data_home, entries, flatpaks, home, snaps
from .programs import boxed, libraries, on_path, refuse_relative, release
from .refusal import Refusal

PROGRAMS = ("weechat", "weechat-curses", "weechat-headless")

SETTINGS = "weechat.conf"

_OF_ITS_OWN = (SETTINGS, "python", "logs")
"""By what in it a folder of WeeChat's is known: old ones have all of it, those for data the last two."""

_PARTS = (1, 4, 5)
"""How many folders WEECHAT_HOME may list: all in one, or settings, data and others (five since 4.3)."""

_OLD = 3, 2
"""The first version that follows the XDG Base Directory Specification."""

APT = "sudo apt install weechat weechat-python"
_ASK = "type  /debug dirs  in WeeChat to see its data folder, and name that with --folder."


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one WeeChat."""

    data: Path
    config: Path
    usual: bool = True
    """Those that WeeChat uses unless it is told others on its command line."""

    @property
    def python(self) -> Path:
        """Where its Python scripts lie."""
        return self.data / "python"

    @property
    def autoload(self) -> Path:
        """Where those lie that it loads when it starts."""
        return self.python / "autoload"


def usual() -> Home:
    """Return the folders that WeeChat uses here, whether they exist or not; Refusal if nobody can tell."""
    named = os.environ.get("WEECHAT_HOME", "")
    if named:
        return _by_variable(named)
    ours = Home(_xdg(data_home(), "XDG_DATA_HOME"), _xdg(config_home(), "XDG_CONFIG_HOME"))
    old = Home(home() / ".weechat", home() / ".weechat")
    if os.path.exists(ours.config / SETTINGS):
        return ours
    if os.path.exists(old.config / SETTINGS) or _is_old():
        return old
    return ours


def named(folder: Path) -> Home:
    """Return the folders of a WeeChat whose data folder somebody has named; Refusal if it is none."""
    data = Path(os.path.abspath(os.path.expanduser(folder)))
    try:
        known = usual()
    except Refusal:
        known = None
    if known is not None and data == known.data:
        return known
    if not os.path.isdir(data):
        raise Refusal(f"{quoted(data)} is not a folder: {_ASK}")
    if entries(data) and not any(os.path.lexists(data / name) for name in _OF_ITS_OWN):
        raise Refusal(f"{quoted(data)} is not a folder of WeeChat's: {_ASK}")
    return Home(data, data, usual=False)


def require(there: Home) -> None:
    """Refuse if there is no WeeChat that could use these folders."""
    if on_path(PROGRAMS):
        if all(map(boxed, on_path(PROGRAMS))):
            raise Refusal(_BOXED)
        return
    if os.path.isdir(there.data):
        return
    if any(path.name.lower().endswith("weechat") for path in (*flatpaks(), *snaps())):
        raise Refusal(_BOXED)
    raise Refusal(
        f"WeeChat was not found: on Debian and Ubuntu,  {APT}  installs it. "
        "If it is there but not in PATH, start it once and name its data folder with --folder."
    )


def lacks_python() -> bool:
    """Whether WeeChat is there without its plugin for Python; False if that cannot be told."""
    if os.environ.get("WEECHAT_EXTRA_LIBDIR"):
        return False
    plugins = [path.stem for program in PROGRAMS for path in libraries(program, "weechat/plugins/*.so")]
    return bool(plugins) and not any(name.startswith("python") for name in plugins)


def _by_variable(named: str) -> Home:
    parts = named.split(":")
    if len(parts) not in _PARTS:
        raise Refusal(
            f"WeeChat does not start with {len(parts)} folders in WEECHAT_HOME: name one, for all its files."
        )
    config, data = (_expanded(part) for part in (parts * 2)[:2])
    return Home(data, config)


def _expanded(text: str) -> Path:
    """Return a path of WEECHAT_HOME, in which ~ is the user's own home and nobody else's."""
    path = Path(f"{home()}{text[1:]}") if text == "~" or text.startswith("~/") else Path(text)
    if not path.is_absolute():
        raise Refusal(
            f"WEECHAT_HOME names {quoted(text)}, which is another folder wherever WeeChat is started: "
            "set it to a path that begins with a slash."
        )
    return path


def _xdg(folder: Path, variable: str) -> Path:
    refuse_relative(variable, "WeeChat")
    return folder / "weechat"


def _is_old() -> bool:
    """Whether the WeeChat that is there knows its old folder only."""
    told = (release(program) for program in on_path(PROGRAMS) if not boxed(program))
    first = next((numbers for numbers in told if numbers is not None), None)
    return first is not None and first < _OLD


_BOXED = (
    "The WeeChat that was found is in a box of its own (a Snap or a Flatpak), out of which the script cannot "
    f"start otrcore: install one without, on Debian and Ubuntu with  {APT}."
)
