"""The command line `otr`.

Modules are imported by the command that needs them, so that help comes at once.
"""

from __future__ import annotations

import getpass
import re
import sys
from typing import Annotated

import typer

from ..errors import OtrcoreError
from . import contacts, keys, networks, tool
from .doctor.command import doctor
from .installing import command as installing
from .process import DataDir, examples, new_app, nick_argument, run, server_argument

app = new_app("Off-the-Record conversations on IRC.", completion=True)


@app.command()
def demo(
    data_dir: DataDir = None,
    wire: Annotated[
        bool, typer.Option("--wire", help="Show every raw line that crosses the server.")
    ] = False,
    mitm: Annotated[
        bool, typer.Option("--mitm", help="See somebody in between who reads along, and what shows it.")
    ] = False,
) -> None:
    """See an encrypted conversation, all on this machine."""
    if mitm:
        from .demo_mitm import play as play_attack

        play_attack(data_dir, show_wire=wire)
    else:
        from .demo import play

        play(data_dir, show_wire=wire)


@app.command()
def chat(
    server: Annotated[
        str, typer.Argument(metavar="HOST[:PORT]", help="IRC server.", callback=server_argument)
    ],
    nick: Annotated[str, typer.Argument(metavar="NICK", help="Whom to talk with.", callback=nick_argument)],
    me: Annotated[
        str | None, typer.Option("--me", metavar="NICK", help="Your own nick.", callback=nick_argument)
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection to the server, too.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Talk with one person; encrypted, once one of you says so."""
    from ..irc.connection.address import ServerAddress
    from ..irc.keeper import open_keeper
    from ..store.store import Store
    from . import passphrase
    from .chat import Chat
    from .process import StopSignals
    from .terminal import Input, Output

    if sys.stdin is None:
        raise OtrcoreError("There is no standard input to read from: start otr chat in a terminal.")
    stop = StopSignals()
    keeper = open_keeper(lambda: Store(data_dir, passphrase.ask))
    address = ServerAddress.parse(server, tls)
    talk = Chat(address, me or own_nick(), nick, keeper, Output())
    talk.runner.connect()
    try:
        talk.converse(Input(sys.stdin.fileno()), stop)
    finally:
        talk.runner.close("leaving")


app.add_typer(keys.app, name="keys")
app.add_typer(contacts.app, name="contacts")
app.add_typer(networks.app, name="networks")
app.command(
    short_help="Look at what would fail, and what to do about it.",
    epilog=examples("otr doctor", "otr doctor --json"),
)(doctor)
app.add_typer(installing.install, name="install")
app.add_typer(installing.uninstall, name="uninstall")
app.add_typer(tool.app, name="tool")


def own_nick() -> str:
    """Return a nick made of the user's login name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        name = ""
    return re.sub(r"[^A-Za-z0-9_-]", "", name).lstrip("0123456789-") or "otr"


def main() -> None:
    """Run `otr`."""
    run(app)
