"""`otr contacts`: whose keys are known, how far they are trusted, and what the user decides about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..errors import UsageError
from ..model import Fingerprint, Trust
from .completion import networks, nicks
from .opening import agree, command, day, known_network, moment, opened, subcommand
from .output import FINGERPRINT, Cell, Mood, say, show, show_json, warn
from .policies import POLICIES, Word, chosen, described, policy_name
from .process import NETWORK, DataDir, JsonOutput, Yes, examples, handed_down, new_group

if TYPE_CHECKING:
    from ..store.contacts import Contact, ContactKey
    from ..store.store import Store

app = new_group()

Nick = Annotated[str, typer.Argument(metavar="NICK", help="Who.", autocompletion=nicks)]
Digits = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FINGERPRINT", help="Which key, if there are several; all its digits, blanks or not."
    ),
]
Network = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="NETWORK",
        help="Only on this network.",
        autocompletion=networks,
        callback=handed_down(NETWORK),
    ),
]

_HOW = {
    Trust.NONE: "no",
    Trust.COMPARED: "by comparing",
    Trust.SMP: "by a shared secret",
}


@app.callback(
    invoke_without_command=True,
    epilog=examples("otr contacts", "otr contacts trust bob", "otr contacts --network libera.chat --json"),
)
def list_contacts(
    context: typer.Context, network: Network = None, data_dir: DataDir = None, as_json: JsonOutput = False
) -> None:
    """Show whom you know, and whether you have verified them.

    A nick proves nothing: anybody can take it.  A verified key does: nobody else has it.  For OTR
    version 4 everybody has another key, which you verify for itself.
    """
    if context.invoked_subcommand is not None:
        return
    with opened(data_dir) as store:
        known = store.contacts.all(known_network(context, store, network) if network is not None else None)
        folder = store.folder
    if as_json:
        show_json([_contact_data(contact) for contact in known])
    elif not known:
        where = f" on {network}" if network else ""
        say(f"Nobody is known{where} in {folder} yet: people are, once you have talked encrypted with them.")
    else:
        _show_contacts(known)


@app.command(epilog=examples("otr contacts trust bob", "otr contacts trust --network libera.chat bob"))
def trust(
    context: typer.Context,
    nick: Nick,
    fingerprint: Digits = None,
    network: Network = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: you have compared the FINGERPRINT that you give.")
    ] = False,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Say that you have compared somebody's fingerprint.

    Let them read theirs out, by voice or in person: in a chat that is not verified yet, somebody in
    between could change it on the way.  Where both of you know a secret,  /otr auth  in the chat is easier.
    """
    given = _fingerprint(fingerprint)
    with opened(data_dir) as store:
        one = _one_key(context, store, nick, given, network)
        if one.key.trust is not Trust.NONE:
            told = [f"{one.nick} on {one.network} is {one.key.trust.value} already."]
        else:
            if yes and given is None:
                raise UsageError(
                    "Nothing was changed: with --yes, name the FINGERPRINT that you have compared it with."
                )
            if not yes:
                _show_comparison(store, one)
            digits = 2 * len(one.key.fingerprint.digest)
            agree(f"Has {one.nick} told you all of these {digits} digits?", yes=yes)
            store.contacts.judge(one.network, one.nick, one.key.fingerprint, Trust.COMPARED)
            told = [
                f"{one.nick} on {one.network} is {Trust.COMPARED.value} now.",
                f"{one.nick} has not verified you by that: let {one.nick} compare your fingerprint, too.",
            ]
        _tell(store, one, told, as_json)


@app.command(epilog=examples("otr contacts distrust bob"))
def distrust(
    context: typer.Context,
    nick: Nick,
    fingerprint: Digits = None,
    network: Network = None,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Take back that a key is verified.

    It counts for nobody on that network any more, whatever the nick.
    """
    given = _fingerprint(fingerprint)
    with opened(data_dir) as store:
        one = _one_key(context, store, nick, given, network, verified=True)
        store.contacts.judge(one.network, one.nick, one.key.fingerprint, Trust.NONE)
        _tell(store, one, [f"The key of {one.nick} on {one.network} is not verified any more."], as_json)


@app.command(
    epilog=examples("otr contacts forget bob", "otr contacts forget --network libera.chat --yes bob")
)
def forget(
    context: typer.Context,
    nick: Nick,
    fingerprint: Digits = None,
    network: Network = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Forget somebody, or one key of theirs.

    Whoever comes next under that nick is a stranger again, and no warning is given.
    """
    given = _fingerprint(fingerprint)
    with opened(data_dir) as store:
        if given is None:
            contact = _one_contact(context, store, nick, network)
            who, where, what = contact.nick, contact.network, "everything known of"
        else:
            one = _one_key(context, store, nick, given, network)
            who, where, what = one.nick, one.network, f"the key {given} of"
        agree(f"Forget {what} {who} on {where}, and whether you have verified it?", yes=yes)
        store.contacts.forget(where, who, given)
    if as_json:
        show_json({"network": where, "nick": who, "fingerprint": given and str(given)})
    else:
        say(f"Forgotten: {what} {who} on {where}. A new key there will not be called a change.")


@app.command(epilog=examples("otr contacts history bob"))
def history(
    context: typer.Context,
    nick: Nick,
    network: Network = None,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Show when somebody's keys were met, verified, or doubted."""
    with opened(data_dir) as store:
        found = _contacts(context, store, nick, network)
        rows = [
            (contact.network, row)
            for contact in found
            for row in store.contacts.history(contact.network, contact.nick)
        ]
    if as_json:
        show_json(
            [
                {"network": where, "time": row.time, "fingerprint": str(row.fingerprint), "what": row.what}
                for where, row in rows
            ]
        )
    elif not rows:
        say(f"Nothing is noted of {nick}.")
    else:
        lines: list[list[str]] = []
        for where, row in rows:
            first, *others = row.fingerprint.lines()
            lines.append([moment(row.time), where, first, row.what])
            lines += [["", "", other, ""] for other in others]
        show(["When", "Network", FINGERPRINT, "What"], lines)


@app.command(epilog=POLICIES + examples("otr contacts policy bob", "otr contacts policy bob always"))
def policy(
    context: typer.Context,
    nick: Nick,
    word: Word = None,
    network: Network = None,
    data_dir: DataDir = None,
    as_json: JsonOutput = False,
) -> None:
    """Show or change what is done with somebody.

    As  /otr policy  does in the chat; `usual` is what holds on the network.
    """
    with opened(data_dir) as store:
        contact = _one_contact(context, store, nick, network, *([word] if word else []))
        if word is not None:
            general = store.policies.get(contact.network)
            store.contacts.set_policy(contact.network, contact.nick, chosen(word, contact.policy, general))
            contact = _one_contact(context, store, nick, contact.network)
    its = contact.policy
    if as_json:
        told = {"policy": policy_name(its), "versions": its and sorted(its.versions)}
        show_json({"network": contact.network, "nick": contact.nick, **told})
    else:
        say(
            f"Policy for {contact.nick} on {contact.network}: {described(its)}."
            if its
            else f"For {contact.nick} on {contact.network} holds what is usual there."
        )


@dataclass(frozen=True, slots=True)
class _One:
    """The one key that is meant."""

    network: str
    nick: str
    key: ContactKey


def _fingerprint(words: Sequence[str] | None) -> Fingerprint | None:
    """Read the groups of a fingerprint, pasted with its blanks or not."""
    if not words:
        return None
    try:
        return Fingerprint.parse(" ".join(words))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'FINGERPRINT'") from error


def _contacts(context: typer.Context, store: Store, nick: str, network: str | None) -> tuple[Contact, ...]:
    """Return who is known under a nick; OtrcoreError if nobody is."""
    name = None if network is None else known_network(context, store, network)
    found = store.contacts.find(nick, name)
    if not found:
        where = f" on {name}" if name else ""
        those = command(context, "contacts")
        raise UsageError(f"Nobody is known as {nick}{where}: look at  {those}  for who is.")
    return found


def _one_contact(context: typer.Context, store: Store, nick: str, network: str | None, *rest: str) -> Contact:
    """Return the contact that is meant; OtrcoreError if it could be one of several."""
    found = _contacts(context, store, nick, network)
    if len(found) > 1:
        _refuse(context, nick, [(contact.network, *rest) for contact in found])
    return found[0]


def _one_key(
    context: typer.Context,
    store: Store,
    nick: str,
    fingerprint: Fingerprint | None,
    network: str | None,
    *,
    verified: bool = False,
) -> _One:
    """Return the key that is meant; OtrcoreError if there is none, or one of several could be."""
    found = _contacts(context, store, nick, network)
    keys = [_One(contact.network, contact.nick, key) for contact in found for key in contact.keys]
    if fingerprint is not None:
        keys = [one for one in keys if one.key.fingerprint == fingerprint]
        if not keys:
            those = command(context, "contacts")
            raise UsageError(
                f"No key of {nick} has the fingerprint {fingerprint}. If that is what you were told, "
                f"somebody else may have answered in their place: look at  {those}  for the keys that did."
            )
    if verified:
        keys = [one for one in keys if one.key.trust is not Trust.NONE]
    if not keys:
        what = "verified" if verified else "known"
        raise UsageError(f"Nothing was changed: no key of {nick} is {what}.")
    if len(keys) > 1:
        by_network = fingerprint is None and len({one.network for one in keys}) == len(keys)
        _refuse(
            context,
            nick,
            [(one.network, *([] if by_network else [str(one.key.fingerprint)])) for one in keys],
        )
    return keys[0]


def _refuse(
    context: typer.Context,
    nick: str,
    choices: Sequence[Sequence[str]],
) -> NoReturn:
    """Show the command for everything that could be meant: a network, and what comes behind the nick."""
    for network, *rest in choices:
        warn("  " + command(context, *subcommand(context), "--network", network, "--", nick, *rest))
    raise UsageError(f"{nick} may be one of several: choose one of the above.")


def _show_comparison(store: Store, one: _One) -> None:
    from ..store.identities import DEFAULT_NETWORK

    theirs = one.key.fingerprint
    version = f"(OTR {versions_of(theirs)})"
    living = {row.network: row for row in store.identities.rows() if row.retired is None}
    row = living.get(one.network) or living.get(DEFAULT_NETWORK)
    both = (row.fingerprint, row.fingerprint_4) if row else ()
    ours = next((own for own in both if own is not None and own.rivals(theirs)), None)
    warn(
        *([f"Your fingerprint on {one.network} {version}:", *_indented(ours)] if ours else []),
        f"What is known as {one.nick}'s there {version}:",
        *_indented(theirs),
        f"Have {one.nick} read theirs out to you, by voice or in person, not in the chat.",
    )


def _indented(fingerprint: Fingerprint) -> list[str]:
    return [f"    {line}" for line in fingerprint.lines()]


def versions_of(fingerprint: Fingerprint) -> str:
    """Return for which versions of OTR a key is, as it is shown."""
    return ", ".join(map(str, fingerprint.versions))


def _tell(store: Store, one: _One, sentences: Sequence[str], as_json: bool) -> None:
    if not as_json:
        say(*sentences)
        return
    (contact,) = store.contacts.find(one.nick, one.network)
    show_json(_contact_data(contact))


def _contact_data(contact: Contact) -> dict[str, object]:
    return {
        "network": contact.network,
        "nick": contact.nick,
        "policy": policy_name(contact.policy),
        "versions": sorted(contact.versions),
        "keys": [
            {
                "fingerprint": str(key.fingerprint),
                "versions": list(key.fingerprint.versions),
                "trust": key.trust.name.lower(),
                "verified": key.verified,
                "first_seen": key.first_seen,
                "last_seen": key.last_seen,
            }
            for key in contact.keys
        ],
    }


def _show_contacts(known: Sequence[Contact]) -> None:
    with_policy = any(contact.policy is not None for contact in known)
    rows: list[list[str | Cell]] = []
    for contact in known:
        own = [policy_name(contact.policy) or ""] if with_policy else []
        if not contact.keys:
            rows.append([contact.nick, contact.network, "none known", "", "", "", *own])
        for key in contact.keys:
            first, *others = key.fingerprint.lines()
            rows.append([contact.nick, contact.network, first, *_key_cells(key), *own])
            rows += [["", "", other, "", "", "", *[""] * len(own)] for other in others]
    headings = ["Nick", "Network", FINGERPRINT, "OTR", "Verified", "Last met"]
    show([*headings, *(["Policy"] if with_policy else [])], rows)


def _key_cells(key: ContactKey) -> list[str | Cell]:
    when = f", {day(key.verified)}" if key.verified else ""
    return [
        versions_of(key.fingerprint),
        Cell(_HOW[key.trust] + when, Mood.DOUBTFUL if key.trust is Trust.NONE else Mood.GOOD),
        day(key.last_seen) if key.last_seen else "never",
    ]
