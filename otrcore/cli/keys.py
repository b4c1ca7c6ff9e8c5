"""`otr keys`: the user's own identities."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from ..errors import UsageError
from .completion import networks, own_networks
from .contacts import versions_of
from .opening import agree, command, day, known_network, network_name, opened
from .output import FINGERPRINT, Cell, Mood, say, show, show_json
from .process import DataDir, JsonOutput, Yes, examples, new_group

if TYPE_CHECKING:
    from ..identity import Identity
    from ..store.identities import IdentityRow
    from ..store.store import Store

app = new_group()

OwnNetwork = Annotated[
    str,
    typer.Argument(metavar="NETWORK", help="As `otr keys` lists it.", autocompletion=own_networks),
]


class Program(StrEnum):
    """Whose files are read."""

    PIDGIN = "pidgin"
    IRSSI = "irssi"
    HEXCHAT = "hexchat"
    WEECHAT = "weechat"
    LIBOTR = "libotr"


class Reader(StrEnum):
    """Who is to read the files that are written."""

    PIDGIN = "pidgin"
    IRSSI = "irssi"
    HEXCHAT = "hexchat"
    LIBOTR = "libotr"


class _Done(Protocol):
    """What an import or export has to tell."""

    @property
    def lines(self) -> tuple[str, ...]: ...
    @property
    def data(self) -> object: ...


@app.callback(
    invoke_without_command=True,
    epilog=examples("otr keys", "otr keys generate libera.chat", "otr keys import ~/.irssi --from irssi"),
)
def list_keys(context: typer.Context, data_dir: DataDir = None, as_json: JsonOutput = False) -> None:
    """Show your own keys, and their fingerprints.

    Others compare your fingerprint with what you tell them, to know that it is you: the one for the version
    of OTR that you talk in.  A key is made by itself when you first talk encrypted on a network.  A key for
    the network `default` serves every network that has none of its own.
    """
    if context.invoked_subcommand is not None:
        return
    with opened(data_dir) as store:
        rows, locked, folder = store.identities.rows(), store.identities.sealed, store.folder
    if as_json:
        show_json({"locked": locked, "keys": [_row_data(row) for row in rows]})
        return
    if not rows:
        say(f"There are no keys in {folder} yet: one is made when you first talk encrypted on a network.")
    else:
        show(["Network", FINGERPRINT, "OTR", "Made", "State"], [line for row in rows for line in _rows(row)])
        if any(row.retired is None and row.fingerprint and not row.fingerprint_4 for row in rows):
            say("A key from before OTR version 4 gets a fingerprint for it when it is next used.")
    if locked:
        say("The private keys are locked by a passphrase.")


@app.command(epilog=examples("otr keys generate libera.chat", "otr keys generate default"))
def generate(
    context: typer.Context,
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="Its name, as `otr networks` lists it; `default` for all without a key of their own.",
            autocompletion=networks,
        ),
    ],
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Make a key before it is needed.

    So you can tell others its fingerprint before you first talk with them.
    """
    from ..store.identities import DEFAULT_NETWORK

    with opened(data_dir) as store:
        name = network_name(context, store, network)
        known = {*store.networks.names(), DEFAULT_NETWORK}
        made = store.identities.generate(name)
    sentences = [f"Made a key for {name}: {made.fingerprint}", *_for_version_4(made)]
    if name not in known:
        sentences.append(
            f"Nothing was known of {name} before; the key is used once a server calls its network so: "
            f"look at  {command(context, 'networks')}  for the names of those that you have met."
        )
    _tell(name, made, sentences, as_json)


@app.command(epilog=examples("otr keys rotate libera.chat", "otr keys rotate --yes libera.chat"))
def rotate(
    context: typer.Context,
    network: OwnNetwork,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Make another key in place of the one that is there.

    As when somebody may have read it.  Everybody you talk with will be warned that your key has changed,
    and has to verify you anew.
    """
    with opened(data_dir) as store:
        name = network_name(context, store, network)
        _require(context, store, name)
        agree(f"Make another key for {name}? Everybody there will have to verify you anew.", yes=yes)
        made = store.identities.rotate(name)
    _tell(
        name,
        made,
        [
            f"Your key for {name} is another now: {made.fingerprint}",
            *_for_version_4(made),
            "Everybody there will be warned that it has changed: tell them, and have them verify you anew.",
        ],
        as_json,
    )


@app.command(epilog=examples("otr keys delete libera.chat", "otr keys delete --yes libera.chat"))
def delete(
    context: typer.Context,
    network: OwnNetwork,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Delete a key for good.

    Its fingerprint stays in the list, as one that is not used any more.  Everybody you talk with next
    will see another key, and has to verify you anew.
    """
    with opened(data_dir) as store:
        name = network_name(context, store, network)
        _require(context, store, name)
        agree(f"Delete the key for {name} for good? Everybody there will have to verify you anew.", yes=yes)
        gone = store.identities.delete(name)
    if as_json:
        show_json({"network": name, "fingerprint": gone and str(gone)})
    else:
        say(
            f"Deleted the key for {name}: {gone or 'it was damaged'}",
            "When you next talk encrypted there, it is with another one, which others have to verify anew.",
        )


@app.command(
    name="export",
    epilog=examples(
        "otr keys export ~/my-keys --for irssi", "otr keys export ~/my-keys --for pidgin --nick bob"
    ),
)
def export_files(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write the files.")],
    program: Annotated[Reader, typer.Option("--for", help="Which program is to read them.")] = Reader.LIBOTR,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network",
            metavar="NETWORK",
            help="Only this one; may be given again.",
            autocompletion=own_networks,
        ),
    ] = None,
    nick: Annotated[
        str | None, typer.Option("--nick", metavar="NICK", help="Your nick, by which it finds your key.")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", metavar="HOST", help="The server, as it calls it.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite files that are there.")] = False,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Write your keys and contacts for another program.

    The private keys in them are not locked by a passphrase: whoever can read them can be you.
    """
    from .exporting import export_keys

    with opened(data_dir) as store:
        names = tuple(known_network(context, store, one) for one in network or ())
        done = export_keys(
            store, folder, program.value, networks=names, nick=nick, server=server, replace=replace
        )
    _report(done, as_json)


@app.command(
    name="import", epilog=examples("otr keys import ~/.irssi --from irssi", "otr keys import ~/.purple")
)
def import_files(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="What to read.")],
    program: Annotated[
        Program | None, typer.Option("--from", help="Whose files these are, if it cannot be told.")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            "--network", metavar="NETWORK", help="The network they are for.", autocompletion=networks
        ),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ACCOUNT", help="Only this account of several.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Have the key read take the place of one that is there.")
    ] = False,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Take over keys and contacts from another program.

    What you have here already stays as it is, unless you say --replace; their files are only read.
    """
    from .importing import import_keys

    with opened(data_dir) as store:
        name = None if network is None else network_name(context, store, network)
        done = import_keys(
            store,
            source,
            None if program is None else program.value,
            network=name,
            account=account,
            replace=replace,
        )
    _report(done, as_json)


@app.command(epilog=examples("otr keys passphrase", "otr keys passphrase --remove"))
def passphrase(
    remove: Annotated[bool, typer.Option("--remove", help="Keep them without one.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="The new one is the first line of this file."),
    ] = None,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Lock the private keys by a passphrase.

    Or change it, or remove it.  Every program that uses the keys then asks for it, or reads it from the
    first line of the file that OTR_PASSPHRASE_FILE names; nobody but you may be able to read that file.
    Who forgets the passphrase has lost the keys.
    """
    from .passphrase import choose

    if remove and file is not None:
        raise typer.BadParameter("it makes no sense together with --remove.", param_hint="'--file'")
    with opened(data_dir) as store:
        locked = store.identities.sealed
        if remove and not locked:
            raise UsageError("Nothing was changed: the private keys are not locked by a passphrase.")
        if remove:
            store.identities.unseal()
            told = "The private keys are not locked any more: whoever can read your files can read them."
        else:
            # A wrong old one should be told before the new one is typed.
            store.identities.unlock()
            store.identities.seal(choose(file, locked=locked))
            told = f"The private keys are locked by {'another' if locked else 'a'} passphrase now."
    if as_json:
        show_json({"locked": not remove})
    else:
        say(told)


def _require(context: typer.Context, store: Store, network: str) -> None:
    """Raise UsageError before anything is asked, if there is no key that is in use."""
    if not any(row.network == network and row.retired is None for row in store.identities.rows()):
        those = command(context, "keys")
        raise UsageError(f"There is no key for {network}: look at  {those}  for those that are there.")


def _tell(network: str, identity: Identity, sentences: Sequence[str], as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "network": network,
                "fingerprint": str(identity.fingerprint),
                "fingerprint_4": str(identity.fingerprint_4),
            }
        )
    else:
        say(*sentences)


def _for_version_4(identity: Identity) -> list[str]:
    return ["Its fingerprint for OTR version 4:", *(f"    {line}" for line in identity.fingerprint_4.lines())]


def _report(done: _Done, as_json: bool) -> None:
    if as_json:
        show_json(done.data)
    else:
        say(*done.lines)


def _row_data(row: IdentityRow) -> dict[str, object]:
    return {
        "network": row.network,
        "fingerprint": row.fingerprint and str(row.fingerprint),
        "fingerprint_4": row.fingerprint_4 and str(row.fingerprint_4),
        "created": row.created,
        "retired": row.retired,
    }


def _rows(row: IdentityRow) -> list[list[str | Cell]]:
    """Return what the table has of an identity: each fingerprint, for people to compare line by line."""
    from ..store.identities import DEFAULT_NETWORK

    if row.retired is not None:
        state = Cell(f"not used since {day(row.retired)}", Mood.PAST)
    elif row.fingerprint is None:
        state = Cell("damaged", Mood.BAD)
    elif row.network == DEFAULT_NETWORK:
        state = Cell("in use where there is no other", Mood.GOOD)
    else:
        state = Cell("in use", Mood.GOOD)
    if row.fingerprint is None:
        return [[row.network, "", "", day(row.created), state]]
    lines: list[list[str | Cell]] = []
    for fingerprint in filter(None, (row.fingerprint, row.fingerprint_4)):
        first, *others = fingerprint.lines()
        lines.append([row.network, first, versions_of(fingerprint), day(row.created), state])
        lines += [["", other, "", "", ""] for other in others]
    return lines
