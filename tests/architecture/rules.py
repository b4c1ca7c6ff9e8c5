"""The architecture as data, and checks over parsed modules that name every import that breaks it.

A check takes the modules of a tree by dotted name and returns one sentence for each
offence, so that the same check runs over the real tree and over small wrong ones.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Modules = Mapping[str, ast.Module]

FACE = "otrcore"
"""The package file, which hands the public names on lazily; it is no layer of its own."""

BOT = "otrbot"
"""Another package file, which is empty."""

LAYERS: tuple[tuple[str, ...], ...] = (
    ("otrbot.cli", "otrbot.__main__"),
    ("otrbot.commands",),
    ("otrbot.service",),
    ("otrbot.talk",),
    ("otrbot.drills", "otrbot.reports"),
    ("otrbot.settings",),
    ("otrcore.cli",),
    ("otrcore.irc.connection",),
    ("otrcore.engine",),
    ("otrcore.irc",),
    ("otrcore.store",),
    ("otrcore.toolkit",),
    (
        "otrcore.account",
        "otrcore.conversation",
        "otrcore.instances",
        "otrcore.session",
        "otrcore.relation",
        "otrcore.outbox",
    ),
    ("otrcore.suites",),
    ("otrcore.v3", "otrcore.v4"),
    ("otrcore.smp",),
    ("otrcore.identity", "otrcore.protocols"),
    ("otrcore.events", "otrcore.memory", "otrcore.policy"),
    ("otrcore.wire", "otrcore.crypto"),
    ("otrcore.model", "otrcore.errors"),
    ("otrcore.client",),
)
"""Top to bottom. A module may import from its own layer, the first that names it, and from those below it.

The connection is above the engine, which has a chat client instead.
"""

USERS_OF_THE_FACE = ("otrcore.cli", "otrcore.irc", "otrcore.store", "otrbot")
"""Inside the library, the face would be a way upwards that no other check sees."""

FAMILIES = ("otrcore.v3", "otrcore.v4")
WITHOUT_LOGGING = ("otrcore.crypto", "otrcore.v3", "otrcore.v4", "otrcore.smp")
WITH_IO = (
    "otrcore.cli",
    "otrcore.client",
    "otrcore.engine",
    "otrcore.store",
    "otrcore.irc.connection.dial",
    "otrcore.irc.connection.transport",
    "otrcore.irc.lanes",
    "otrbot",
)
PURE = ("otrcore.store.formats",)
"""Inside of what does input and output, and without any."""

FILES = {"fcntl", "fileinput", "glob", "io", "os", "pathlib", "platformdirs", "shutil", "sqlite3", "tempfile"}
NETWORK = {
    "asyncio",
    "http",
    "irc",
    "jaraco",
    "select",
    "selectors",
    "socket",
    "socketserver",
    "ssl",
    "urllib",
}
SCREEN = {"getpass", "logging", "readline", "rich", "sys", "syslog", "termios", "tty", "typer"}
PROCESS = {"multiprocessing", "signal", "subprocess", "threading"}
IO_MODULES = FILES | NETWORK | SCREEN | PROCESS
IO_FUNCTIONS = {"open", "print", "input", "breakpoint"}
WITHOUT_IO = {"irc.message"}
"""The one part of the IRC library that only parses."""


def read_tree(folders: Mapping[str, Path]) -> dict[str, ast.Module]:
    """Return the parsed modules below the folder of each top-level package name."""
    modules: dict[str, ast.Module] = {}
    for package, folder in folders.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            modules[".".join((package, *parts))] = ast.parse(path.read_text("utf-8"), str(path))
    return modules


def within(module: str, package: str) -> bool:
    """Tell whether `module` is `package` or lies below it."""
    return module == package or module.startswith(package + ".")


def imports(modules: Modules, name: str) -> Iterator[tuple[str, int]]:
    """Yield each module that `name` imports, wherever in the file, and the line.

    `from package import submodule` is an import of the submodule. Imports for type
    checking only count too: they tie two modules together just as well.
    """
    is_package = any(other.startswith(name + ".") for other in modules)
    for node in ast.walk(modules[name]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = name.split(".")[: len(name.split(".")) - node.level + is_package]
                base = ".".join([*above, base]).rstrip(".")
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield (submodule if submodule in modules else base), node.lineno


def layer_of(module: str) -> int | None:
    """Return the index of the module's layer in LAYERS, None for a module without one."""
    for index, layer in enumerate(LAYERS):
        if any(within(module, package) for package in layer):
            return index
    return None


def homeless(modules: Modules) -> list[str]:
    """Every module has a place in the picture."""
    return [
        f"{name} is in no layer: give it its place in LAYERS and in docs/architecture.md"
        for name in modules
        if name not in (FACE, BOT) and layer_of(name) is None
    ]


def upward(modules: Modules) -> list[str]:
    """Imports point down, or stay in their layer."""
    found = []
    for name in modules:
        own = layer_of(name)
        if own is None:
            continue
        for target, line in imports(modules, name):
            other = layer_of(target)
            if other is not None and other < own:
                found.append(f"{name}:{line} imports {target}, which is above it")
            if target == FACE and not any(within(name, user) for user in USERS_OF_THE_FACE):
                found.append(f"{name}:{line} imports the package's face; import the module that it means")
    return found


def cycles(modules: Modules) -> list[str]:
    """No module needs itself, by whatever way round."""
    graph = {
        name: {target for target, _ in imports(modules, name) if target in modules and target != FACE}
        for name in modules
        if name != FACE
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" imports ".join(reversed(error.args[1]))]
    return []


def mixed_families(modules: Modules) -> list[str]:
    """The protocol families meet in `suites` only, and `session` knows neither."""
    found = []
    for name in modules:
        families = {
            family for target, _ in imports(modules, name) for family in FAMILIES if within(target, family)
        }
        home = {family for family in FAMILIES if within(name, family)}
        if within(name, "otrcore.session") and families:
            found.append(f"{name} imports {', '.join(sorted(families))}, and should know neither family")
        if len(families | home) > 1 and name not in ("otrcore.suites", FACE):
            found.append(f"{name} joins both families, which only otrcore.suites may")
    return found


def core_uses_bot(modules: Modules) -> list[str]:
    """The library starts the bot as a process if at all; it never imports it."""
    return [
        f"{name}:{line} imports {target}"
        for name in modules
        if within(name, "otrcore")
        for target, line in imports(modules, name)
        if within(target, "otrbot")
    ]


def input_output(modules: Modules) -> list[str]:
    """Outside the few modules that are there for it, nothing touches files, sockets, screen or process."""
    found = []
    for name in modules:
        pure = any(within(name, package) for package in PURE)
        if not pure and any(within(name, package) for package in WITH_IO):
            continue
        for target, line in imports(modules, name):
            if target.split(".")[0] in IO_MODULES and target not in WITHOUT_IO:
                found.append(f"{name}:{line} imports {target}, which does input or output")
        for node in ast.walk(modules[name]):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in IO_FUNCTIONS
            ):
                found.append(f"{name}:{node.lineno} calls {node.func.id}()")
    return found


def logging_near_secrets(modules: Modules) -> list[str]:
    """Where secrets are at hand, nothing can be logged by mistake."""
    return [
        f"{name}:{line} imports {target}"
        for name in modules
        if any(within(name, package) for package in WITHOUT_LOGGING)
        for target, line in imports(modules, name)
        if within(target, "logging")
    ]


CHECKS = (
    homeless,
    upward,
    cycles,
    mixed_families,
    core_uses_bot,
    input_output,
    logging_near_secrets,
)
