"""The command line `otr-bot`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from otrbot.reports import logs
from otrbot.service.process import ExitCode, Service, leave
from otrbot.settings.config import Config, ConfigError, LogFormat, LogLevel
from otrbot.settings.file import NETWORK_NAME, ONLY_NETWORK, load, variables
from otrbot.settings.table import NETWORK, pace

from otrcore.cli.output import say, warn
from otrcore.cli.process import DataDir, Version, examples, nick_argument, server_argument
from otrcore.errors import ConnectionFailed, OtrcoreError, StoreError

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
)

_USAGE = 2
"""With which the library ends on a command line that it does not understand."""


def _pace(text: str | None) -> str | None:
    try:
        return text if text is None else (pace(text), text)[1]
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no pace: write default, fast, none or BURST/PER_SECOND, such as 8/1.0."
        ) from error


def _optional_server(text: str | None) -> str | None:
    return text if text is None else server_argument(text)


def _network_name(text: str) -> str:
    if not NETWORK_NAME.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is no name for a network: small letters, digits and - only.")
    return text


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", envvar="OTRBOT_CONFIG", help="The configuration (TOML)."),
]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="HOST[:PORT]", help="IRC server.", callback=_optional_server),
]
Nick = Annotated[
    str | None, typer.Option("--nick", metavar="NICK", help="The bot's nick.", callback=nick_argument)
]
Tls = Annotated[
    bool | None, typer.Option("--tls/--no-tls", help="Whether to encrypt the connection to the server.")
]
PaceOption = Annotated[
    str | None,
    typer.Option(
        "--pace",
        metavar="PACE",
        help="Lines per second: default, fast or none where the server allows it, or BURST/PER_SECOND.",
        callback=_pace,
    ),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Its first line unlocks the private keys."),
]
Format = Annotated[LogFormat | None, typer.Option("--log-format", help="How the log is written.")]
Level = Annotated[LogLevel | None, typer.Option("--log-level", help="What the log leaves out: all below.")]
Nicks = Annotated[
    bool | None, typer.Option("--log-nicks/--no-log-nicks", help="Write nicks, in place of their hashes.")
]
Listen = Annotated[
    str | None, typer.Option("--listen", metavar="HOST:PORT", help="Serve /healthz and /metrics there.")
]
Printing = Annotated[bool, typer.Option("--print-config", help="Print what holds, without secrets, and end.")]


@app.callback(help="An OTR echo peer for IRC, for people who test their chat clients.")
def common(data_dir: DataDir = None, version: Version = False) -> None:
    """Take what holds for every subcommand."""


@app.command(epilog=examples("otr-bot init --config bot.toml --server irc.example.org --nick my-echo"))
def init(
    config: ConfigFile = Path("bot.toml"),
    network: Annotated[
        str, typer.Option("--network", metavar="NAME", help="What you call it.", callback=_network_name)
    ] = ONLY_NETWORK,
    server: Server = None,
    nick: Nick = None,
    data_dir: DataDir = None,
    passphrase_file: PassphraseFile = None,
    keys_only: Annotated[
        bool, typer.Option("--keys-only", help="Leave the configuration, and make the keys that are missing.")
    ] = False,
) -> None:
    """Write a configuration, and make a key for each network in it."""
    from otrbot.commands.beginning import begin, make_keys

    path = config or Path("bot.toml")
    if keys_only:
        made = make_keys(load(path, os.environ, _files(data_dir, passphrase_file)))
    else:
        own = {"server": server, "nick": nick}
        given = {(NETWORK, key): text for key, text in own.items() if text is not None}
        given |= {key: os.path.abspath(text) for key, text in _files(data_dir, passphrase_file).items()}
        made = begin(path, network, given)
        say(f"{path} is written: read it, and change what you like.")
    for name, (fingerprint, fingerprint_4) in made.items():
        say(f"The bot's fingerprint on {name} is {fingerprint}.")
        say(f"In OTR version 4 it is {fingerprint_4}.")


VARIABLES = "\n".join(
    ["\b", "Variables of the environment:", *(f"  {name}  {one.about}" for name, one in variables())]
)


@app.command(
    name="run",
    epilog=VARIABLES
    + "\n\n"
    + examples("otr-bot run --config bot.toml", "otr-bot run --server irc.example.org --tls --nick my-echo"),
)
def run_bot(
    config: ConfigFile = None,
    server: Server = None,
    nick: Nick = None,
    tls: Tls = None,
    pace: PaceOption = None,
    data_dir: DataDir = None,
    passphrase_file: PassphraseFile = None,
    log_format: Format = None,
    log_level: Level = None,
    log_nicks: Nicks = None,
    listen: Listen = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when the connection fails or is lost; do not try again.")
    ] = False,
    print_config: Printing = False,
) -> None:
    """Answer people until Ctrl-C or SIGTERM, which end every conversation properly.

    Everything in the configuration can also be set in the environment, as OTRBOT_LIMITS_CONVERSATIONS
    or OTRBOT_NETWORK_NICK; flags go over that. Without a configuration a server is enough: keys are then
    made when they are first needed, and the connection is not encrypted without --tls.
    """
    flags = _files(data_dir, passphrase_file) | _flags(
        {
            (NETWORK, "server"): server,
            (NETWORK, "nick"): nick,
            (NETWORK, "tls"): tls,
            (NETWORK, "pace"): pace,
            ("log", "format"): log_format,
            ("log", "level"): log_level,
            ("log", "nicks"): log_nicks,
            ("http", "listen"): listen,
        }
    )
    by_flags = config is None and server is not None
    if config is None and server is None and "OTRBOT_NETWORK_SERVER" not in os.environ:
        raise typer.BadParameter(
            "Name your configuration, as --config bot.toml, or a server, as --server HOST."
        )
    if by_flags and tls is None and "OTRBOT_NETWORK_TLS" not in os.environ:
        flags[NETWORK, "tls"] = "false"

    def read() -> Config:
        return replace(load(config, os.environ, flags), once=once, new_keys=by_flags)

    found = read()
    if print_config:
        _print(found)
        return
    _serve(found, read if config is not None else None)


@app.command(name="check-config")
def check_config(
    config: ConfigFile = Path("bot.toml"), data_dir: DataDir = None, print_config: Printing = False
) -> None:
    """Look for mistakes in a configuration, and in the files that it names."""
    from otrbot.commands.checks import surroundings

    found = load(config, os.environ, _files(data_dir, None))
    mistakes = surroundings(found)
    if mistakes:
        raise ConfigError(*mistakes)
    if print_config:
        _print(found)
    else:
        say(f"{config} can be used.")


@app.command()
def selftest() -> None:
    """Talk with the bot on an IRC server of its own: key exchange, echo, verification."""
    from otrbot.commands.selftest import run

    run()
    say("The bot works here: key exchange, echo and verification were tried.")


def main() -> None:
    """Run `otr-bot`."""
    try:
        app()
    except ConfigError as error:
        warn(*error.mistakes)
        sys.exit(ExitCode.CONFIGURATION)
    except StoreError as error:
        warn(str(error))
        sys.exit(ExitCode.CONFIGURATION)
    except ConnectionFailed as error:
        warn(str(error))
        sys.exit(ExitCode.UNREACHABLE)
    except OtrcoreError as error:
        warn(str(error))
        sys.exit(ExitCode.INTERNAL)
    except SystemExit as end:
        if end.code == _USAGE:
            sys.exit(ExitCode.USAGE)
        raise
    # An operator gets a sentence and an exit code, and nobody a traceback with texts in it.
    except Exception as error:
        warn(f"otr-bot was ended by a mistake in itself: {logs.failure(error)}. Please report it.")
        sys.exit(ExitCode.INTERNAL)


def _serve(config: Config, read: Callable[[], Config] | None) -> None:
    from otrbot.commands.assembly import make_network
    from otrbot.commands.checks import secrets
    from otrbot.settings.keys import KeyRing

    logs.set_up(config.log)
    mistakes = secrets(config)
    if mistakes:
        raise ConfigError(*mistakes)
    keys = KeyRing(config)
    if config.new_keys:
        keys.open().close()
    else:
        keys.fingerprints()
    leave(Service(config, keys, make_network, read).run())


def _print(config: Config) -> None:
    from otrbot.commands.checks import described

    say(*described(config))


def _files(data_dir: Path | None, passphrase_file: Path | None) -> dict[tuple[str, str], str]:
    return _flags({("bot", "data_dir"): data_dir, ("bot", "passphrase_file"): passphrase_file})


def _flags(given: Mapping[tuple[str, str], Any]) -> dict[tuple[str, str], str]:
    return {key: _text(value) for key, value in given.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.value if isinstance(value, StrEnum) else str(value)
