"""The tree keeps to the architecture, and each check can tell when a tree does not."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import rules

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tree() -> rules.Modules:
    modules = rules.read_tree({"otrcore": ROOT / "otrcore", "otrbot": ROOT / "bot"})
    assert {"otrcore", "otrcore.model", "otrbot"} <= modules.keys()
    return modules


@pytest.mark.parametrize("check", rules.CHECKS, ids=lambda check: check.__name__)
def test_tree(tree: rules.Modules, check: Callable[[rules.Modules], list[str]]) -> None:
    assert check(tree) == []


def test_checks_see_the_imports_of_the_tree(tree: rules.Modules) -> None:
    found = {target for name in tree for target, _ in rules.imports(tree, name)}
    assert {"otrcore.errors", "otrcore.wire.codec", "dataclasses"} <= found


WRONG = [
    (rules.homeless, {"otrcore.novelty": ""}, "otrcore.novelty is in no layer"),
    (rules.upward, {"otrcore.wire.text": "from ..session import Session"}, "otrcore.session, which is above"),
    (
        rules.upward,
        {"otrcore.wire.text": "def f():\n import otrcore.v3.ake"},
        "text:2 imports otrcore.v3.ake",
    ),
    (rules.upward, {"otrcore.store.keys": "import otrcore.cli.main"}, "otrcore.cli.main, which is above"),
    (rules.upward, {"otrcore.irc.host": "from .connection import runner"}, "irc.connection, which is above"),
    (rules.upward, {"otrcore.engine.server": "import otrcore.irc.connection.dial"}, "dial, which is above"),
    (rules.homeless, {"otrbot.novelty": ""}, "otrbot.novelty is in no layer"),
    (
        rules.upward,
        {"otrbot.talk.verbs": "import otrbot.service.network"},
        "otrbot.service.network, which is",
    ),
    (rules.upward, {"otrcore.v3.ake": "from otrcore import Account"}, "imports the package's face"),
    (
        rules.upward,
        {"otrcore.v3.ake": "from .. import suites", "otrcore.suites": ""},
        "otrcore.suites, which",
    ),
    (
        rules.upward,
        {"otrcore.wire": "from ..session import Session", "otrcore.wire.tlv": ""},
        "otrcore.session, which",
    ),
    (
        rules.cycles,
        {
            "otrcore.v3.a": "from . import b",
            "otrcore.v3.b": "from .c import C",
            "otrcore.v3.c": "from .a import A",
        },
        "otrcore.v3.a imports otrcore.v3.b",
    ),
    (rules.mixed_families, {"otrcore.v3.ake": "import otrcore.v4.dake"}, "otrcore.v3.ake joins both"),
    (
        rules.mixed_families,
        {"otrcore.session": "from .v3.ake import Ake"},
        "otrcore.session imports otrcore.v3",
    ),
    (
        rules.mixed_families,
        {"otrcore.account": "from .v3 import ake\nfrom .v4 import dake"},
        "otrcore.account joins both",
    ),
    (
        rules.core_uses_bot,
        {"otrcore.cli.demo": "from otrbot import cli"},
        "otrcore.cli.demo:1 imports otrbot",
    ),
    (rules.input_output, {"otrcore.irc.lines": "import socket"}, "otrcore.irc.lines:1 imports socket"),
    (rules.input_output, {"otrcore.irc.lines": "from irc.client import Reactor"}, "imports irc.client"),
    (rules.input_output, {"otrcore.store.formats.sexp": "open(1)"}, "otrcore.store.formats.sexp:1 calls"),
    (rules.input_output, {"otrcore.account": "from os import path"}, "otrcore.account:1 imports os"),
    (rules.input_output, {"otrcore.events": "print(1)"}, "otrcore.events:1 calls print()"),
    (
        rules.logging_near_secrets,
        {"otrcore.crypto.dsa": "import logging.handlers"},
        "imports logging.handlers",
    ),
]


@pytest.mark.parametrize(("check", "sources", "sentence"), WRONG)
def test_check_finds_the_offence(
    check: Callable[[rules.Modules], list[str]], sources: dict[str, str], sentence: str
) -> None:
    assert sentence in "\n".join(check({name: ast.parse(source) for name, source in sources.items()}))


def test_right_tree_passes() -> None:
    sources = {
        "otrcore": "if TYPE_CHECKING:\n from .account import Account as Account",
        "otrcore.account": "from . import suites\nfrom .events import Event",
        "otrcore.events": "from .model import Protection",
        "otrcore.irc.connection.transport": "import socket\nfrom irc.client import Reactor",
        "otrcore.irc.host": "import irc.message\nfrom otrcore import Account",
        "otrcore.suites": "from .v3 import ake\nfrom .v4 import dake",
        "otrcore.model": "import enum",
        "otrcore.wire": "from .text import classify",
        "otrcore.wire.text": "from ..model import Protection",
        "otrbot.cli": "import logging\nfrom otrcore.irc.host import Host",
    }
    modules = {name: ast.parse(source) for name, source in sources.items()}
    assert [offence for check in rules.CHECKS for offence in check(modules)] == []
