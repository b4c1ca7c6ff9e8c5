"""What has to work wherever the wheel is installed: the library, the two programs and the installers."""

from __future__ import annotations

import json

from tests.packaging.built import PROJECT
from tests.packaging.environments import Environment
from tests.support import require

# Two accounts that offer version 4 alone: who prints the texts has decrypted them.
_CONVERSATION = """
from otrcore import Account, Identity, Received, SessionOpened, Transmit, policy

def account(name):
    made = Account(Identity.generate(), name=name)
    return made.conversation("bob" if name == "alice" else "alice")

def handle(events, talk, other):
    for event in events:
        match event:
            case Transmit(lines):
                for line in lines:
                    handle(other.receive(line), other, talk)
            case SessionOpened(info):
                print(talk.peer, "version", info.version)
            case Received(text, protection):
                print(talk.peer, protection.value, text)

alice, bob = account("alice"), account("bob")
handle(bob.receive("?OTRv4?"), bob, alice)
handle(alice.send("to bob"), alice, bob)
handle(bob.send("to alice"), bob, alice)
handle(alice.end(), alice, bob)
"""

# Every help there is: what a command line cannot say it often cannot do either.
_HELP = """
import typer
from otrbot.cli import app as bot
from otrcore.cli.main import app as otr
from typer.testing import CliRunner

def visit(app, command, *words):
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0 and "Usage:" in shown.output, (words, shown.output, shown.exception)
    for name, each in sorted(getattr(command, "commands", {}).items()):
        print(*words, name)
        visit(app, each, *words, name)

for app in (otr, bot):
    visit(app, typer.main.get_command(app))
"""


def library(environment: Environment) -> None:
    """Have two accounts talk in version 4."""
    lines = environment.told("python", "-I", "-c", _CONVERSATION).splitlines()
    assert sorted(lines[:2]) == ["alice version 4", "bob version 4"]
    assert lines[2:] == ["alice encrypted to bob", "bob encrypted to alice"]


def programs(environment: Environment) -> None:
    """Start `otr` and `otr-bot`: every help, the version, keys, a whole conversation, the self-test."""
    helped = environment.told("python", "-I", "-c", _HELP).splitlines()
    assert {"demo", "keys generate", "install weechat", "install hexchat", "tool", "run"} <= set(helped)
    assert environment.told("otr-bot", "--version") == f"otr-bot {PROJECT['project']['version']}\n"
    environment.told("otr", "keys", "generate", "irc.example.org")
    assert "irc.example.org" in environment.told("otr", "keys", "--json")
    found = json.loads(environment.told("otr", "doctor", "--json"))["findings"]
    assert [each for each in found if each["about"] == "installation" and each["level"] != "ok"] == []
    assert "is encrypted" in environment.told("otr", "demo")
    assert "The bot works here" in environment.told("otr-bot", "selftest")


def installers(environment: Environment) -> None:
    """Put the scripts where the clients look for them, leading back to the environment, and away again."""
    require("weechat")
    require("hexchat")
    home = environment.folder / "home"
    folders = {"weechat": ".local/share/weechat/python", "hexchat": ".config/hexchat/addons"}
    for client, folder in folders.items():
        script = home / folder / "otr_client.py"
        environment.told("otr", "install", client)
        text = script.read_text("utf-8")
        assert f"PYTHON = '{environment.programs}" in text
        assert f"PACKAGES = '{environment.packages}'" in text
        environment.told("otr", "uninstall", client)
        assert not script.exists()
