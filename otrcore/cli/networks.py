"""`otr networks`: under which names keys and people are kept, and which servers those belong to."""

from __future__ import annotations

from typing import Annotated

import typer

from .completion import networks
from .opening import command, known_network, opened
from .output import say, show, show_json
from .policies import POLICIES, Word, chosen, described, policy_name
from .process import DataDir, JsonOutput, examples, new_group

app = new_group()

KnownNetwork = Annotated[
    str, typer.Argument(metavar="NETWORK", help="As `otr networks` lists it.", autocompletion=networks)
]


@app.callback(
    invoke_without_command=True,
    epilog=examples("otr networks", "otr networks join libera.chat irc.example.org"),
)
def list_networks(context: typer.Context, data_dir: DataDir = None, as_json: JsonOutput = False) -> None:
    """Show which networks are known, and their servers.

    Keys and people are kept under the name that a network's servers give it.  A server elsewhere that
    claims the same name may lie: it gets a name of its own, until you say by `join` that it belongs there.
    """
    from ..store.networks import NetworkRow

    if context.invoked_subcommand is not None:
        return
    with opened(data_dir) as store:
        rows = list(store.networks.rows())
        met = {row.name for row in rows}
        rows += [NetworkRow(name, "", ()) for name in store.networks.names() if name not in met]
        policies = {row.name: policy_name(store.policies.get(row.name)) for row in rows}
        folder = store.folder
    if as_json:
        show_json(
            [
                {
                    "network": row.name,
                    "claim": row.claim or None,
                    "hosts": list(row.hosts),
                    "policy": policies[row.name],
                }
                for row in rows
            ]
        )
    elif not rows:
        say(f"No network is known in {folder} yet: one is once you have connected to a server of it.")
    else:
        show(
            ["Network", "Its servers say", "Servers", "Policy"],
            [
                [row.name, row.claim, ", ".join(row.hosts) or "not met yet", policies[row.name] or "usual"]
                for row in rows
            ],
        )


@app.command(epilog=examples("otr networks join libera.chat irc.example.org"))
def join(
    context: typer.Context,
    network: KnownNetwork,
    host: Annotated[str, typer.Argument(metavar="HOST", help="The server, as you connect to it.")],
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Say that a server belongs to a network.

    Your key there, and the people you know there, then hold for it too.
    """
    with opened(data_dir) as store:
        name = known_network(context, store, network)
        store.networks.join(name, host)
    if as_json:
        show_json({"network": name, "host": host})
    else:
        say(
            f"From the next connection on, {host} belongs to {name}.",
            f"What was kept under another name stays there:  {command(context, 'contacts')}  shows it.",
        )


@app.command(epilog=POLICIES + examples("otr networks policy libera.chat", "otr networks policy oftc always"))
def policy(
    context: typer.Context,
    network: KnownNetwork,
    word: Word = None,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Show or change what is done with everybody there.

    Who has a policy of their own (otr contacts policy) keeps that; `usual` is that of the program.
    """
    with opened(data_dir) as store:
        name = known_network(context, store, network)
        if word is not None:
            store.policies.set(name, chosen(word, store.policies.get(name), None))
        there = store.policies.get(name)
    if as_json:
        told = {"policy": policy_name(there), "versions": there and sorted(there.versions)}
        show_json({"network": name, **told})
    elif there is None:
        say(f"On {name} holds what is usual in each program.")
    else:
        say(f"Policy on {name}: {described(there)}.")
