"""HexChats with our script, what they need installed, and what tests of them look for."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from importlib import metadata, resources
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.clients import weechat_support
from tests.clients.drivers.desktop import UNPRIVILEGED
from tests.clients.drivers.hexchat import HexChat, private
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.probed import SERVER
from tests.clients.drivers.waiting import wait_for
from tests.clients.drivers.weechat import WeeChat
from tests.support import require

NAME = "otr_client"
SCRIPT = Path(str(resources.files("otrcore.scripts.hexchat") / f"{NAME}.py"))

Peer = HexChat | WeeChat | Irssi

_ROOT = Path(__file__).parents[2]
_SECURED = "Secured: the conversation with {} is encrypted"

# What stands in front of a text that came encrypted, or should have.
_SIGN = re.compile(r"(?:\N{HEAVY CHECK MARK}|\N{WARNING SIGN}|\[not encrypted\]) ")

_CHECK = "import ctypes, json, ssl, sysconfig; print(json.dumps(sysconfig.get_config_var('SOABI')))"


# What is installed.


@lru_cache
def runtime() -> dict[str, str]:
    """Return what `otr install hexchat` writes into the script, else.

    It leads to a wheel of this tree, installed once for all processes of a test run and removed by the
    last, as `nobody` may be unable to read the tree and its environment.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(16)
    place = Path(tempfile.gettempdir()) / f"otr-test-installed-{run}"
    with _locked(place):
        _user_of(place, os.getpid()).touch()
        atexit.register(_leave, place)
        made = place / "made"
        if not made.exists():
            shutil.rmtree(place / "venv", ignore_errors=True)
            made.write_text(str(_install(place / "venv")))
        packages = made.read_text()
    return {"OTR_CLIENT_PYTHON": str(place / "venv/bin/python"), "OTR_CLIENT_PACKAGES": packages}


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    while True:
        place.mkdir(mode=0o755, exist_ok=True)
        # The last user may remove it meanwhile.
        with suppress(FileNotFoundError), (place / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(lock.fileno()), (place / "lock").stat()):
                yield
                return


def _user_of(place: Path, pid: int) -> Path:
    return place / f"user-{pid}"


def _leave(place: Path) -> None:
    with _locked(place):
        _user_of(place, os.getpid()).unlink(missing_ok=True)
        users = [path.name.rpartition("-")[2] for path in place.glob("user-*")]
        if not any(Path("/proc", pid).exists() for pid in users):
            shutil.rmtree(place)


def _install(place: Path) -> Path:
    """Make an environment with this tree's wheel and what that requires; return its folder of packages."""
    subprocess.run([_python(), "-I", "-m", "venv", "--without-pip", place], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    wheel = _wheel(place / "build")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    shutil.rmtree(wheel.parent)
    python = str(place / "bin/python")
    subprocess.run([python, "-I", "-m", "compileall", "-q", str(packages / "otrcore")], check=True)
    (own,) = metadata.distributions(name="otrcore", path=[str(packages)])
    for needed in _needed(own):
        for file in needed.files or ():
            if ".." not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(str(file.locate()), target)
    for path in place.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    return packages


def _python() -> str:
    """Return a Python like the one that runs the tests, which everybody may run."""
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    wanted = sysconfig.get_config_var("SOABI")
    for candidate in (str(own), f"/usr/bin/{minor}", f"/usr/local/bin/{minor}"):
        with suppress(OSError):
            done = subprocess.run(
                [candidate, "-I", "-c", _CHECK], capture_output=True, check=False, cwd="/", **UNPRIVILEGED
            )
            if done.returncode == 0 and json.loads(done.stdout) == wanted:
                return candidate
    return require(f"a {minor} that everybody may run")


def _wheel(place: Path) -> Path:
    """Make a wheel of this tree."""
    tree = place / "tree"
    tree.mkdir(parents=True)
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))
    files = ["pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]]
    for name in files:
        shutil.copy(_ROOT / name, tree)
    for folder in project["tool"]["setuptools"]["package-dir"].values():
        shutil.copytree(_ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(tree)]
    done = subprocess.run(build, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = place.glob("otrcore-*.whl")
    return path


def _needed(own: metadata.Distribution) -> list[metadata.Distribution]:
    """Return all that a distribution needs at run time, from the environment of the tests."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(own.requires or ())
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and name not in found:
            found[name] = metadata.distribution(name)
            waiting += found[name].requires or ()
    return list(found.values())


# Clients.


def start(
    running: ExitStack,
    folder: Path,
    port: int,
    *nicks: str,
    script: Path = SCRIPT,
    addons: Sequence[Path] = (),
    plugins: Sequence[str] = ("python.so",),
    servers: Mapping[str, int] | None = None,
    settings: Mapping[str, str] | None = None,
    channels: Sequence[str] = (),
) -> list[HexChat]:
    """Start HexChats with our script at the same time; they end with `running`."""
    changes = runtime()

    def one(nick: str) -> HexChat:
        return HexChat(
            nick,
            folder / f"hexchat-{nick}",
            port,
            addons=[script, *addons],
            settings=settings,
            plugins=plugins,
            servers=servers,
            channels=channels,
            changes=changes,
        )

    with ThreadPoolExecutor(len(nicks)) as pool:
        starting = [pool.submit(one, nick) for nick in nicks]
    done = [client.result() for client in starting if client.exception() is None]
    clients = [running.enter_context(client) for client in done]
    for client in starting:
        client.result()  # raises what has gone wrong, now that those which run will be ended
    return clients


def secure(alice: HexChat, bob: Peer, server: str = SERVER) -> None:
    """Start an encrypted conversation by a command, and wait until both have it."""
    before = _times_secured(alice, bob.nick, server), _times_secured(bob, alice.nick, server)
    alice.say(bob.nick, "/otr start", server)
    _wait_secured(alice, bob.nick, before[0] + 1, server)
    _wait_secured(bob, alice.nick, before[1] + 1, server)


def _times_secured(client: Peer, peer: str, server: str) -> int:
    return 0 if isinstance(client, Irssi) else len(notes(client, peer, _SECURED.format(peer), server))


def _wait_secured(client: Peer, peer: str, times: int, server: str) -> None:
    if isinstance(client, Irssi):
        client.wait_secured(peer)
    else:
        wait_note(client, peer, _SECURED.format(peer), times, server)


def notes(client: HexChat | WeeChat, peer: str, text: str = "", server: str = SERVER) -> list[str]:
    """Return the lines with a text that OTR has said in a conversation."""
    if isinstance(client, WeeChat):
        return weechat_support.notes(client, peer, text, server)
    lines = client.printed(private(peer, server), "")
    return [line.text for line in lines if line.nick == "OTR" and text in line.text]


def wait_note(client: HexChat | WeeChat, peer: str, text: str, times: int = 1, server: str = SERVER) -> None:
    """Wait until OTR has said something in a conversation, so many times."""
    client.wait(lambda: len(notes(client, peer, text, server)) >= times, f"OTR to say {text!r} with {peer}")


def received(client: Peer, peer: str, server: str = SERVER) -> list[str]:
    """Return the texts that were shown as said by somebody, without the sign in front of encrypted ones."""
    if isinstance(client, Irssi):
        return client.received(peer)
    return [_SIGN.sub("", text, count=1) for text in client.received(peer, server)]


def sent(client: HexChat | WeeChat, peer: str, server: str = SERVER) -> list[str]:
    """Return the texts that were shown as said to somebody, without the sign in front of encrypted ones."""
    return [_SIGN.sub("", text, count=1) for text in client.sent(peer, server)]


def talk(alice: Peer, bob: Peer, text: str, server: str = SERVER) -> None:
    """Have a text typed, and wait until it is read."""
    before = received(bob, alice.nick, server).count(text)
    if isinstance(alice, Irssi):
        alice.say(bob.nick, text)
    else:
        alice.say(bob.nick, text, server)

    def read() -> bool:
        return received(bob, alice.nick, server).count(text) > before

    wait_for(read, f"{bob.nick} to read {text!r}")


def talk_both_ways(alice: Peer, bob: Peer, text: str, server: str = SERVER) -> None:
    """Have a text typed by each, and wait until it is read."""
    talk(alice, bob, text, server)
    talk(bob, alice, text, server)


def readable(clients: Iterable[Peer], text: str) -> list[str]:
    """Return the lines between clients and servers in which a text can be read."""
    wires = [
        wire
        for client in clients
        for wire in ([client.wire] if isinstance(client, Irssi) else client.wires.values())
    ]
    shown = weechat_support.without_offer
    return [line.text for wire in wires for line in wire.lines if text in shown(line.text)]
