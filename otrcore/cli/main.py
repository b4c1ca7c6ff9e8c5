"""The command line `otr`.

Modules are imported by the command that needs them, so that help comes at once.
"""

from __future__ import annotations

import getpass
import re
import sys
from typing import Annotated

import typer

from .process import DataDir, new_app, run

app = new_app("Off-the-Record conversations on IRC.")


@app.command()
def demo(
    data_dir: DataDir = None,
    wire: Annotated[
        bool, typer.Option("--wire", help="Show every raw line that crosses the server.")
    ] = False,
) -> None:
    """See an encrypted conversation, all on this machine."""
    from .demo import play

    play(data_dir, show_wire=wire)


@app.command()
def chat(
    server: Annotated[str, typer.Argument(metavar="HOST[:PORT]", help="IRC server.")],
    nick: Annotated[str, typer.Argument(metavar="NICK", help="Whom to talk with.")],
    me: Annotated[str | None, typer.Option("--me", metavar="NICK", help="Your own nick.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection to the server, too.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Talk with one person; encrypted, once one of you says so."""
    from ..irc.accounts import accounts
    from ..irc.dial import ServerAddress
    from ..store.database import Database
    from ..store.folder import default_folder
    from ..store.identities import Identities
    from .chat import Chat
    from .process import StopSignals
    from .terminal import Input, Output

    identities = Identities(Database(data_dir or default_folder()))
    try:
        address = ServerAddress.parse(server, tls)
        talk = Chat(address, me or own_nick(), nick, accounts(identities), Output())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    stop = StopSignals()
    talk.runner.connect()
    try:
        talk.converse(Input(sys.stdin.fileno()), stop)
    finally:
        talk.runner.close("leaving")


def own_nick() -> str:
    """Return a nick made of the user's login name."""
    return re.sub(r"^[0-9-]+|[^A-Za-z0-9_-]", "", getpass.getuser()) or "otr"


def main() -> None:
    """Run `otr`."""
    run(app)
