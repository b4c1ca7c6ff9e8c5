"""What the command lines `otr` and `otr-bot` have in common: exit codes, signals, the data folder.

Exit codes: 0, 1 (refused or failed, with the reason), 2 (usage).
"""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ..errors import OtrcoreError

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="Keep keys here, not in your own data folder."),
]


def new_app(about: str) -> typer.Typer:
    """Return a command line with subcommands; help is plain text, which starts twice as fast as markup."""
    app = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    # A callback makes subcommands of the commands, even of a single one.
    app.callback(help=about)(lambda: None)
    return app


def run(app: typer.Typer) -> None:
    """Run a command line; what otrcore refuses becomes its one sentence."""
    try:
        app()
    except OtrcoreError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


class StopSignals:
    """SIGINT and SIGTERM as something to wait for; the second of them ends the process at once."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        self.received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reading.fileno()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        for again in (signal.SIGINT, signal.SIGTERM):
            signal.signal(again, signal.SIG_DFL)
        self._writing.send(b"\0")
