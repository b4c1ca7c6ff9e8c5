"""What the command lines `otr` and `otr-bot` have in common: arguments, exit codes, signals.

Exit codes: 0, 1 (refused or failed, with the reason), 2 (usage).
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from ..errors import OtrcoreError
from .output import say, warn

DATA_DIR = "otrcore.data_dir"
NETWORK = "otrcore.network"
JSON = "otrcore.json"


def handed_down(key: str) -> Callable[[typer.Context, Any], Any]:
    """Let an option stand before a subcommand or behind it: the last one said holds for all that follows."""

    def remember(context: typer.Context, value: Any) -> Any:
        if value is not None and value is not False:
            context.meta[key] = value
        return context.meta.get(key, value)

    return remember


DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Keep keys here, not in the usual folder.",
        callback=handed_down(DATA_DIR),
    ),
]
JsonOutput = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, for programs.", callback=handed_down(JSON))
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask back, as in a script.")]


def server_argument(text: str) -> str:
    """Check a server's address, before anything is done with it."""
    from ..irc.connection.address import ServerAddress

    return _checked(text, lambda: ServerAddress.parse(text))


def nick_argument(text: str | None) -> str | None:
    """Check a nick that is to be a person's."""
    from ..irc.isupport import Features
    from ..irc.names import Target, classify, is_name

    def check() -> None:
        recipients = classify(text or "", "", Features()).recipients
        if not is_name(text or "") or [recipient.kind for recipient in recipients] != [Target.PERSON]:
            raise ValueError(f"{text!r} cannot be a nick: choose one word that names a person.")

    return text if text is None else _checked(text, check)


def _checked(text: str, check: Callable[[], object]) -> str:
    try:
        check()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def new_app(about: str, *, completion: bool = False) -> typer.Typer:
    """Return a command line with subcommands; help is plain text, which starts twice as fast as markup."""
    app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=completion,
    )
    # A callback makes subcommands of the commands, even of a single one.
    app.callback(help=about)(_common_options)
    return app


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"{context.find_root().info_name} {version('otrcore')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
]


def _common_options(data_dir: DataDir = None, version: Version = False) -> None:
    """Take what holds for every subcommand."""


def new_group() -> typer.Typer:
    """Return a subcommand that has subcommands of its own; its callback is what it does without one."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


def examples(*commands: str) -> str:
    """Return commands as the end of a help text, a line each."""
    return "\n".join(
        ["\b", "Example:" if len(commands) == 1 else "Examples:", *(f"  {one}" for one in commands)]
    )


def run(app: typer.Typer) -> None:
    """Run a command line; what otrcore refuses becomes its one sentence."""
    try:
        app()
    except OtrcoreError as error:
        warn(str(error))
        sys.exit(1)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class StopSignals:
    """SIGINT, SIGTERM, SIGHUP and SIGQUIT as something to wait for; the second ends the process at once."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        self.received = False
        # Written to by the interpreter at once: `_note` itself runs only after a wait that the signal
        # has not interrupted, as one that it came just before.
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._note)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reading.fileno()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        for again in _SIGNALS:
            signal.signal(again, signal.SIG_DFL)
