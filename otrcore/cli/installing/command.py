"""The commands `otr install` and `otr uninstall`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import OtrcoreError
from ..output import say
from ..process import examples

if TYPE_CHECKING:
    from .weechat_home import Home

install = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
uninstall = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="FOLDER", help="WeeChat's data folder, if it is started with one of its own."
    ),
]

HexChatFolder = Annotated[
    Path | None,
    typer.Option(
        "--folder", metavar="FOLDER", help="HexChat's settings folder, if it is started with one of its own."
    ),
]


@install.callback()
def about_install() -> None:
    """Install OTR into a chat client."""


@uninstall.callback()
def about_uninstall() -> None:
    """Take OTR out of a chat client again."""


@install.command("weechat", epilog=examples("otr install weechat"))
def install_weechat(
    folder: Folder = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put weechat-otr aside, beside which nothing else works.")
    ] = False,
) -> None:
    """Install the script for WeeChat, or bring it up to date.

    It is copied to where WeeChat keeps Python scripts, and loaded when WeeChat starts.  Run this again
    whenever otrcore was installed anew.
    """
    from . import weechat

    home = _weechat_home(folder)
    say(*weechat.install(home, replace=replace))


@uninstall.command("weechat", epilog=examples("otr uninstall weechat"))
def uninstall_weechat(
    folder: Folder = None,
    purge_config: Annotated[
        bool, typer.Option("--purge-config", help="Delete the script's settings too, otrcore.conf.")
    ] = False,
) -> None:
    """Remove the script from WeeChat, and put weechat-otr back if it was put aside.

    Your keys, and whom you have verified, are kept.
    """
    from . import weechat

    home = _weechat_home(folder)
    say(*weechat.uninstall(home, purge=purge_config))


@install.command("hexchat", epilog=examples("otr install hexchat"))
def install_hexchat(
    folder: HexChatFolder = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Put other OTR in your addons folder aside, beside which ours does not work."
        ),
    ] = False,
) -> None:
    """Install the script for HexChat and ZoiteChat, or bring it up to date.

    It is copied into the addons folder of each that is there, which loads it when it starts.  Run this
    again whenever otrcore was installed anew.
    """
    from . import hexchat, hexchat_home

    with _at_home():
        homes, troubles = hexchat_home.usable() if folder is None else ([hexchat_home.named(folder)], [])
    say(*hexchat.install(homes, troubles, replace=replace))


@uninstall.command("hexchat", epilog=examples("otr uninstall hexchat"))
def uninstall_hexchat(folder: HexChatFolder = None) -> None:
    """Remove the script from HexChat and ZoiteChat, and put back what was put aside.

    Your keys, and whom you have verified, are kept.
    """
    from . import hexchat, hexchat_home

    with _at_home():
        homes = hexchat_home.usual() if folder is None else [hexchat_home.named(folder)]
    say(*hexchat.uninstall(homes))


def _weechat_home(folder: Path | None) -> Home:
    from . import weechat_home

    with _at_home():
        return weechat_home.usual() if folder is None else weechat_home.named(folder)


@contextmanager
def _at_home() -> Iterator[None]:
    """Refuse what cannot be done on this system, or without a home folder."""
    if sys.platform in ("win32", "cygwin"):
        raise OtrcoreError("otrcore does not run in chat clients on Windows: use Linux, BSD or macOS.")
    try:
        yield
    except RuntimeError as error:  # of pathlib
        raise OtrcoreError("Nobody can tell where your home folder is: set HOME to it.") from error
