"""The command line `otr-bot`."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Annotated

import typer
from otrbot.echo import EchoPeer

from otrcore import ConnectionFailed
from otrcore.cli.passphrase import ask
from otrcore.cli.process import (
    DataDir,
    StopSignals,
    new_app,
    nick_argument,
    run,
    server_argument,
)
from otrcore.irc.dial import ServerAddress
from otrcore.irc.keeper import StoreKeeper
from otrcore.irc.pacing import Pace
from otrcore.store.store import Store

IDLE_SECONDS = 60.0

app = new_app("An OTR echo peer for IRC, for people who test their chat clients.")


class PaceName(StrEnum):
    """How fast the server lets the bot talk."""

    DEFAULT = "default"
    FAST = "fast"
    NONE = "none"


PACES = {PaceName.DEFAULT: Pace.DEFAULT, PaceName.FAST: Pace.FAST, PaceName.NONE: Pace.NONE}


@app.command(name="run")
def run_bot(
    server: Annotated[
        str, typer.Option("--server", metavar="HOST[:PORT]", help="IRC server.", callback=server_argument)
    ],
    nick: Annotated[
        str, typer.Option("--nick", metavar="NICK", help="The bot's nick.", callback=nick_argument)
    ],
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection to the server.")] = False,
    pace: Annotated[
        PaceName, typer.Option("--pace", help="Lines per second: fast or none where the server allows it.")
    ] = PaceName.DEFAULT,
    data_dir: DataDir = None,
) -> None:
    """Answer people until Ctrl-C or SIGTERM, which end every conversation properly."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    stop = StopSignals()
    store = Store(data_dir, ask)
    store.identities.unlock()
    keeper = StoreKeeper(store, contacts=False)
    peer = EchoPeer(ServerAddress.parse(server, tls), nick, keeper, PACES[pace])
    peer.runner.connect()
    try:
        while not stop.received:
            peer.runner.process(IDLE_SECONDS, [stop])
            if peer.lost is not None:
                raise ConnectionFailed(peer.lost)
    finally:
        peer.runner.close("stopped")


def main() -> None:
    """Run `otr-bot`."""
    run(app)
