"""otrcore itself: which one runs, whether what it stands on is there and works, and what `otr` starts."""

from __future__ import annotations

import importlib
import importlib.util
import operator
import os
import re
import shutil
import sqlite3
import sys
import sysconfig
from collections.abc import Callable, Iterator
from importlib import metadata
from itertools import islice
from pathlib import Path

from .findings import Finding, fine, note, problem, quoted, why
from .places import home, start_of

PACKAGE = "otrcore"
PROGRAMS = ("otr", "otr-bot")

OLDEST_SQLITE = (3, 37)
"""The first with STRICT tables."""

MAX_REQUIREMENTS = 50

_REACHED = {
    "cryptography": "cryptography.hazmat.primitives.asymmetric.dsa",
    "irc": "irc.client",
    "pycryptodome": "Crypto.PublicKey.ECC",
    "rich": "rich.table",
}
"""What we use of a library, where that is not the package itself."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*\(?([^;)]*)")
_LIMIT = re.compile(r"(>=|<=|==|!=|>|<)\s*([0-9][0-9.]*)")
_COMPARE: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def otrcore() -> Iterator[Finding]:
    """Tell which otrcore this is, and which Python runs it."""
    folder = Path(os.path.realpath(__file__)).parents[2]
    python = f"Python {sys.version.split()[0]} ({sys.executable})"
    try:
        yield fine(f"otrcore {metadata.version(PACKAGE)} in {folder}, run by {python}")
    except metadata.PackageNotFoundError:
        yield note(
            f"otrcore in {folder} is not installed, only run from there, by {python}",
            f"Run  pipx install {quoted(folder.parent)}  to install it.",
        )
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        yield problem(
            f"Keys cannot be kept: this Python has SQLite {sqlite3.sqlite_version}, and {wanted} is needed",
            "Install a newer Python, and otrcore with it.",
        )


def libraries() -> Iterator[Finding]:
    """Try every library that otrcore needs."""
    try:
        wanted = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        wanted = []  # which is told by `otrcore`
    good = []
    for requirement in islice(wanted, MAX_REQUIREMENTS):
        parts = _REQUIREMENT.match(requirement)
        if parts is None or "extra ==" in requirement:
            continue
        name, limits = parts[1], parts[2].strip()
        bad = _library(name, limits)
        if bad is None:
            good.append(f"{name} {metadata.version(name)}")
        else:
            yield bad
    if good:
        yield fine(f"libraries: {', '.join(good)}")


def arithmetic() -> Iterator[Finding]:
    """Try the cryptography that OTR needs: some systems forbid DSA, or were built without it."""
    try:
        broken = _broken_arithmetic()
    except ImportError:
        return  # which is told by `libraries`
    # What is wrong with a library shows by whatever it raises, and is what is looked for.
    except Exception as error:
        broken = why(error)
    if broken is None:
        yield fine("AES, DSA and modular powers give right results")
    else:
        yield problem(
            f"The cryptography that OTR needs does not work here: {broken}",
            f"Run  {_reinstall('cryptography', 'gmpy2')}  to have libraries that bring their own.",
        )


def scripts() -> Iterator[Finding]:
    """Look whether `otr` and `otr-bot`, typed into a shell, are ours."""
    missing = []
    for name in PROGRAMS:
        ours = _script(name)
        there = shutil.which(name)
        if ours is None:
            continue  # run without being installed
        if there is None:
            missing.append(ours)
        elif _same(ours, there):
            yield fine(f"{name} is {there}")
        elif PACKAGE.encode() in start_of(Path(there), 4096) or b"otrbot" in start_of(Path(there), 4096):
            yield note(f"{name} is that of another installation of otrcore, {there}", _first_on_path(ours))
        else:
            yield problem(f"{name} starts another program, {there}, and not {ours}", _first_on_path(ours))
    if missing:
        names = " and ".join(path.name for path in missing)
        yield note(f"{names} cannot be started by name: not in any folder of PATH", _onto_path(missing[0]))


def _library(name: str, limits: str) -> Finding | None:
    """Return what is wrong with a library."""
    again = f"Run  {_reinstall(name + limits)}  to install it anew."
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return problem(f"The library {name} is not installed", again)
    try:
        importlib.import_module(_REACHED.get(name, name))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a library written in Rust panics with something that is no Exception
        stray = _stray(name, _REACHED.get(name, name).partition(".")[0])
        if stray is not None:
            return problem(
                f"In place of the library {name}, Python finds {stray}",
                f"Run  {_without(stray, name + limits)}  to have the library found again.",
            )
        return problem(f"The library {name} {version} cannot be used: {why(error)}", again)
    for sign, limit in _LIMIT.findall(limits):
        if not _COMPARE[sign](_numbers(version), _numbers(limit)):
            return problem(f"The library {name} is {version}, and {limits} is needed", again)
    return None


def _stray(name: str, module: str) -> Path | None:
    """Return what Python imports in place of a library's module, if that lies elsewhere than the library."""
    spec = importlib.util.find_spec(module)
    origin = None if spec is None else spec.origin
    if origin is None or not os.path.isabs(origin):
        return None
    home = Path(os.path.realpath(str(metadata.distribution(name).locate_file(""))))
    return None if Path(os.path.realpath(origin)).is_relative_to(home) else Path(origin)


def _without(stray: Path, requirement: str) -> str:
    """Return the command after which a stray module is not found any more."""
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    if any(stray.is_relative_to(os.path.abspath(folder)) for folder in folders):
        return "unset PYTHONPATH"
    module = stray.parent if stray.name == "__init__.py" else stray
    if module.is_relative_to(home()):
        return f"mv -n {quoted(module)} {quoted(f'{module}.off')}"
    return _reinstall(requirement)  # the system's files are not ours to move


def _broken_arithmetic() -> str | None:
    import gmpy2

    from ...crypto.cipher import KEY_BYTES, aes_ctr
    from ...crypto.dsa import DsaPrivateKey, verify

    if aes_ctr(bytes(KEY_BYTES), 0, bytes(16)).hex() != "66e94bd4ef8a2c3b884cfa59ca342b2e":
        return "AES gives a wrong result"
    key = DsaPrivateKey.generate()
    if not verify(key.public, b"otrcore", key.sign(b"otrcore")):
        return "DSA does not verify its own signature"
    base, exponent, modulus = key.public.g, key.public.y, key.public.p
    if gmpy2.powmod_sec(base, exponent, modulus) != pow(base, exponent, modulus):
        return "gmpy2 gives a wrong result"
    return None


def _script(name: str) -> Path | None:
    """Return where our installation has a program."""
    try:
        files = metadata.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        path = Path(os.path.normpath(str(file.locate())))
        if path.name == name and path.parent.name in ("bin", "Scripts") and path.is_file():
            return path
    path = Path(sysconfig.get_path("scripts")) / name
    return path if path.is_file() else None


def _onto_path(ours: Path) -> str:
    """Return how a program of ours can be started by its name from now on."""
    if "pipx" in ours.parts and shutil.which("pipx"):
        return "Run  pipx ensurepath  and open another terminal."
    return _first_on_path(ours)


def _first_on_path(ours: Path) -> str:
    return f'Run  export PATH={quoted(ours.parent)}:"$PATH"  and put that line into your shell\'s settings.'


def _reinstall(*requirements: str) -> str:
    """Return the command that installs libraries anew where we run."""
    names = [quoted(requirement) for requirement in requirements]
    if "pipx" in Path(sys.prefix).parts and shutil.which("pipx"):
        return " ".join(["pipx", "runpip", PACKAGE, "install", "--force-reinstall", *names])
    managed = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
    if managed and sys.prefix == sys.base_prefix:  # where pip refuses to install anything
        return f"pipx install --force {PACKAGE}"
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return " ".join(["uv", "pip", "install", "--python", quoted(sys.executable), "--reinstall", *names])
    return " ".join([quoted(sys.executable), "-m", "pip", "install", "--force-reinstall", *names])


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's release number, without zeros at its end."""
    release = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(number) for number in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _same(one: Path, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
