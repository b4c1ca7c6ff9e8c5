"""Users of chat clients, at home in a folder of a test's, and what lies there."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path

from tests.cli.managing import Outcome, otr

SCRIPT = "otr_client.py"

POTR = "import hexchat\nimport potr\n"
"""A script for HexChat that does OTR by another library."""

WEECHAT_OTR = """# -*- coding: utf-8 -*-
import weechat

try:
    import potr
except ImportError:
    pass

weechat.register("otr", "nobody", "1.9.2", "GPL3", "Off-the-Record messaging for IRC", "", "")
"""
"""Known by the same line as the real one, and able to be loaded without its library."""

WEECHAT_OTR_SETTINGS = """#
# weechat -- otr.conf
#

[general]
debug = off
hints = on
defaultkey = ""
no_send_tag_regex = "^(alis|chanfix|global|.+serv|\\\\*.+)$"

[policy]
default.allow_v2 = on
default.require_encryption = off
"""
"""As the real one leaves them, in part."""

State = dict[str, tuple[object, ...]]


def state(folder: Path) -> State:
    """Return all that lies below a folder: of each name the kind, rights and contents."""
    found: State = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            contents: object = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            contents = path.read_bytes(), status.st_mtime_ns
        else:
            contents = None
        found[str(path.relative_to(folder))] = (stat.filemode(status.st_mode), contents)
    return found


class Somebody(ABC):
    """Somebody at home, who has a chat client."""

    client: str
    """What `otr install` calls it."""
    name: str
    packages: str
    """Debian's, of the client and of its plugin for Python."""
    version_line: str
    """What one of its programs prints that is asked for its version."""
    version: str
    load: str
    reload: str
    unload: str
    """What is typed in a client that is running."""
    variable: str
    """Of the environment: where the client is to have its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.changes: dict[str, str] = {}

    @property
    @abstractmethod
    def scripts(self) -> Path:
        """The client's folder of scripts."""

    @property
    @abstractmethod
    def loaded(self) -> Path:
        """The folder from which it loads them when it starts."""

    @property
    def script(self) -> Path:
        """Where ours is."""
        return self.scripts / SCRIPT

    @abstractmethod
    def put_potr(self) -> None:
        """Have the client load a script for OTR of somebody else's when it starts."""

    def programs(self, *names: str, version: str = "") -> Path:
        """Let these be all the programs there are; return the folder that they belong to."""
        place = self.folder / "usr"
        (place / "bin").mkdir(parents=True, exist_ok=True)
        for name in names:
            said = self.version_line.format(name=name, version=version or self.version)
            self.put(place / "bin" / name, f"#!/bin/sh\necho {said}\n").chmod(0o755)
        self.changes["PATH"] = str(place / "bin")
        return place

    def put(self, path: Path, text: str = "") -> Path:
        """Write a file, and make the folders for it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def install(self, *options: str) -> Outcome:
        """Run `otr install` for the client."""
        return otr(self.folder, "install", self.client, *options, changes=self.changes)

    def uninstall(self, *options: str) -> Outcome:
        """Run `otr uninstall` for the client."""
        return otr(self.folder, "uninstall", self.client, *options, changes=self.changes)

    def state(self) -> State:
        """Return all that lies in the home folder."""
        return state(self.home)

    def refused(self, *options: str) -> str:
        """Run `otr install`, which is to be refused and to change nothing; return the sentence."""
        before = self.state()
        sentence = self.install(*options).refusal
        assert self.state() == before
        return sentence


class User(Somebody):
    """Somebody whose WeeChat, where nothing says otherwise, has its folders by the XDG specification."""

    client = "weechat"
    name = "WeeChat"
    packages = "weechat weechat-python"
    version_line = "{version}"
    version = "4.0"
    load = f"/python load {SCRIPT}"
    reload = "/python reload otr_client"
    unload = "/python unload otr_client"
    variable = "WEECHAT_HOME"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = self.home / ".local/share/weechat"
        self.config = self.home / ".config/weechat"

    @property
    def scripts(self) -> Path:
        return self.data / "python"

    @property
    def loaded(self) -> Path:
        return self.scripts / "autoload"

    @property
    def link(self) -> Path:
        return self.loaded / SCRIPT

    def put_potr(self) -> None:
        self.put(self.scripts / "otr.py", "import potr\n")
        self.autoload("otr.py")

    def autoload(self, name: str) -> Path:
        """Have WeeChat load a script when it starts, as WeeChat itself does that."""
        link = self.loaded / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../{name}")
        return link


class HexChatUser(Somebody):
    """Somebody with a HexChat."""

    client = "hexchat"
    name = "HexChat"
    packages = "hexchat hexchat-python3"
    version_line = "{name} {version}"
    version = "2.16.1"
    load = f"/py load {SCRIPT}"
    reload = f"/py reload {SCRIPT}"
    unload = f"/py unload {SCRIPT}"
    variable = "XDG_CONFIG_HOME"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.config = self.home / ".config/hexchat"
        self.zoite = self.home / ".config/zoitechat"

    @property
    def scripts(self) -> Path:
        return self.config / "addons"

    @property
    def loaded(self) -> Path:
        return self.scripts

    @property
    def second(self) -> Path:
        """Where the script of ZoiteChat is."""
        return self.zoite / "addons" / SCRIPT

    def put_potr(self) -> None:
        self.put(self.scripts / "otr.py", POTR)
