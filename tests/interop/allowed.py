"""The one table of what may differ between a conversation of libotr with us and one of libotr with itself.

Each entry has the item of the conformance checklist that it rests on, why we do it otherwise, what it may
make different, and when.  A difference is allowed where the entries that hold cover all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.interop.differential import WHO, Observation, View, Who
from tests.interop.sequences import Case

ANYTHING = frozenset(
    {"agreed", "renewed", *(f"{side}.{name}" for side in WHO for name in View.__dataclass_fields__)}
)
SMP = frozenset({"x.smp", "bob.smp", "bob.events"})
TEXTS = frozenset({"x.texts", "bob.texts"})


@dataclass(frozen=True)
class Allowed:
    """A difference by intent."""

    item: int
    name: str
    reason: str
    what: frozenset[str]
    when: Callable[[Case], bool]

    def __str__(self) -> str:
        return f"{self.item}: {self.name}"


def told(case: Case, side: Who, word: str) -> bool:
    """Whether only with us this was said there about SMP."""
    ours, reference = (
        any(said.startswith(word) for said in view(seen, side).smp) for seen in (case.ours, case.reference)
    )
    return ours and not reference


def view(seen: Observation, side: Who) -> View:
    """Return one side."""
    return seen.x if side == "x" else seen.bob


def more(case: Case, side: Who) -> set[tuple[str, str]]:
    """The texts that this side was shown only with us."""
    return set(view(case.ours, side).texts) - set(view(case.reference, side).texts)


def fewer(case: Case, side: Who) -> set[tuple[str, str]]:
    """The texts that this side was shown only with libotr."""
    return set(view(case.reference, side).texts) - set(view(case.ours, side).texts)


def flagged(case: Case, flag: str) -> bool:
    """Whether our policy, or that of libotr in our place, has this flag."""
    return flag in case.conversation.rules["x"].flags


def only_libotr_renews(case: Case) -> bool:
    """Whether keys were renewed, or a conversation began, only without us."""
    return case.reference.renewed and not case.ours.renewed


def only_libotr_complains(case: Case) -> bool:
    """Whether bob heard an OTR error only without us."""
    complaint = "rcvdmsg_general_err"
    return complaint in case.reference.bob.events and complaint not in case.ours.bob.events


def fewer_events(case: Case) -> set[str]:
    """The message events of bob that there were only with libotr."""
    return set(case.reference.bob.events) - set(case.ours.bob.events)


def troubled(case: Case, what: str, side: Who) -> bool:
    """Whether the network has just done this to a message of that side."""
    trouble = case.step.trouble
    return trouble is not None and (trouble.what, trouble.side) == (what, side)


def lost(case: Case) -> bool:
    """Whether any message was lost since the beginning; a fragment that comes twice costs its message too."""
    return any(
        step.trouble is not None and step.trouble.what in ("lose", "lose fragment", "repeat fragment")
        for step in case.steps
    )


def in_pieces(case: Case) -> bool:
    """Whether a fragment of what we sent has just been lost or repeated."""
    return troubled(case, "lose fragment", "x") or troubled(case, "repeat fragment", "x")


def unreadable_again(case: Case) -> bool:
    """Whether what we said again fell into a session that had lost its last message."""
    events = set(case.ours.bob.events) - set(case.reference.bob.events)
    return lost(case) and case.ours.renewed and events == {"rcvdmsg_unreadable"}


def seconds_since_text(case: Case) -> int:
    """The seconds since `x` has said something."""
    seconds = 0
    for step in reversed(case.steps):
        if step.has("text", side="x"):
            break
        seconds += step.seconds
    return seconds


ALLOWED = (
    Allowed(
        41,
        "crossing starts",
        "libotr with itself falls silent when both commit at once; with us both are encrypted",
        ANYTHING,
        lambda case: (
            len(case.step.operations) == 2
            and all(operation.name in ("start", "text") for operation in case.step.operations)
            and case.ours.agreed
            and (case.ours.renewed or not case.reference.agreed)
        ),
    ),
    Allowed(
        53,
        "a session lasts until the next one is verified",
        "libotr gives its session up, or shows one more, when the key exchange of the next loses a message",
        frozenset({"x.state", "x.sessions", "x.version", "x.trust", "agreed"}),
        lambda case: (
            lost(case)
            and not case.reference.agreed
            and (
                case.ours.x.state != case.reference.x.state == "plaintext"
                or case.reference.x.sessions > case.ours.x.sessions
            )
        ),
    ),
    Allowed(
        20,
        "no start by a tag while encrypted",
        "anybody can slip in a tagged line; libotr looks at the state of another of its contexts",
        ANYTHING,
        lambda case: (
            case.step.has("hears a tag", side="x")
            and (only_libotr_renews(case) or case.reference.x.sessions > case.ours.x.sessions)
        ),
    ),
    Allowed(
        36,
        "texts wait while a conversation is being set up",
        "who has asked for encryption does not want the next line to be read by others",
        frozenset({"bob.texts", "x.refused"}),
        lambda case: (
            case.step.has("text", side="x")
            and case.ours.x.refused == 0
            and not more(case, "bob")
            and all(kind != "encrypted" for kind, _ in fewer(case, "bob"))
        ),
    ),
    Allowed(
        18,
        "all texts that wait leave",
        "libotr keeps only the last, in one of its contexts, which may not be the one that becomes encrypted",
        frozenset({"bob.texts"}),
        lambda case: (
            flagged(case, "require")
            and bool(more(case, "bob"))
            and not fewer(case, "bob")
            and all(kind == "encrypted" for kind, _ in more(case, "bob"))
        ),
    ),
    Allowed(
        19,
        "no start by itself after the user has ended a conversation",
        "who ends one wants to go on plain: neither a tag nor an error must start it again",
        ANYTHING,
        lambda case: (
            case.step.has("text", "hears", side="x")
            and any(step.has("end", side="x") for step in case.steps)
            and (flagged(case, "tag") or flagged(case, "errstart"))
            and case.reference.agreed
            and not case.ours.agreed
        ),
    ),
    Allowed(
        12,
        "no tag where it would make the line too long",
        "a plain text cannot be cut into fragments for people without OTR; libotr does it",
        ANYTHING,
        lambda case: (
            case.conversation.line_limit is not None
            and case.step.has("text", side="x")
            and flagged(case, "tag")
            and case.reference.agreed
            and not case.ours.agreed
        ),
    ),
    Allowed(
        99,
        "a verification ends with its session",
        "libotr goes on with the new session id, and then takes equal secrets for different ones",
        SMP,
        lambda case: told(case, "x", "aborted") and case.ours.renewed,
    ),
    Allowed(
        96,
        "asked anew while a verification runs",
        "the specification has the one before ended by TLV 6; libotr only forgets it",
        SMP,
        lambda case: (
            case.step.has("ask", side="x") and (told(case, "bob", "aborted") or told(case, "bob", "asked"))
        ),
    ),
    Allowed(
        96,
        "an abort of nothing",
        "our user is not told that what does not run has ended",
        frozenset({"x.smp"}),
        lambda case: "aborted" in case.reference.x.smp and "aborted" not in case.ours.x.smp,
    ),
    Allowed(
        77,
        "a repeated line is not answered",
        "it was read already; libotr complains, and may then be led to start anew",
        ANYTHING,
        lambda case: (
            (case.step.has("replayed", side="x") or troubled(case, "repeat", "bob"))
            and only_libotr_complains(case)
        ),
    ),
    Allowed(
        83,
        "one complaint in ten seconds, and none right after a renewal",
        "what is then unreadable was on its way under the old keys; each complaint may renew the keys again",
        ANYTHING,
        lambda case: (troubled(case, "damage", "bob") or lost(case)) and only_libotr_complains(case),
    ),
    Allowed(
        87,
        "a text of a minute ago is not said again",
        "libotr counts the minute from its last message of the key exchange instead of from the text",
        frozenset({"bob.texts"}),
        lambda case: (
            not more(case, "bob")
            and all(text.startswith("[resent] ") for _, text in fewer(case, "bob"))
            and seconds_since_text(case) >= 60
        ),
    ),
    Allowed(
        87,
        "nothing empty is said again",
        "to libotr what has only records is a text as well",
        frozenset({"bob.texts"}),
        lambda case: fewer(case, "bob") == {("encrypted", "[resent] ")},
    ),
    Allowed(
        5,
        "no weaker version while encrypted",
        "anybody can slip in a query; libotr then has a session in each version",
        ANYTHING,
        lambda case: (
            case.step.has("hears", side="x")
            and case.reference.x.sessions > case.ours.x.sessions
            and case.ours.x.version == 3
        ),
    ),
    Allowed(
        87,
        "texts are said again in version 3 as well",
        "libotr loses them, as an error has no instance tag and marks another of its contexts",
        frozenset({"bob.texts", "bob.events"}),
        lambda case: (
            all(text.startswith("[resent] ") for _, text in more(case, "bob"))
            and (bool(more(case, "bob")) or unreadable_again(case))
        ),
    ),
    Allowed(
        52,
        "no start while the peer takes part in one",
        "a flood of queries could keep a key exchange from ever ending; ours helps on by itself after a loss",
        ANYTHING,
        lambda case: (
            lost(case)
            and case.step.has("start", "hears", "text")
            and (only_libotr_renews(case) or (case.reference.agreed and not case.ours.agreed))
        ),
    ),
    Allowed(
        73,
        "a query is never cut",
        "only encoded messages are meant to be; libotr cuts it where lines are short",
        ANYTHING,
        lambda case: in_pieces(case) and case.ours.agreed and not case.reference.agreed,
    ),
    Allowed(
        44,
        "a lost message of the key exchange is said again",
        "libotr waits for another start; ours helps on once, after less than a minute",
        ANYTHING,
        lambda case: lost(case) and case.ours.agreed and (case.ours.renewed or not case.reference.agreed),
    ),
    Allowed(
        62,
        "one session in the best version",
        "libotr keeps the one of version 2 beside it, in another of its contexts",
        frozenset({"x.sessions"}),
        lambda case: case.ours.x.version == 3 and case.reference.x.sessions > case.ours.x.sessions,
    ),
    Allowed(
        85,
        "a heartbeat is for who has said nothing",
        "libotr counts its messages of the key exchange, which rotate no keys",
        frozenset({"bob.events"}),
        lambda case: set(case.ours.bob.events) - set(case.reference.bob.events) == {"log_heartbeat_rcvd"},
    ),
    Allowed(
        73,
        "all that is long is cut",
        "libotr sends ends, heartbeats and extra keys in one line, and no MAC keys of a session before",
        ANYTHING,
        lambda case: (
            case.conversation.line_limit is not None
            and (in_pieces(case) or troubled(case, "damage", "x"))
            and (
                case.step.has("end", "abort", "key", side="x")
                or fewer_events(case) == {"log_heartbeat_rcvd"}
                or case.differences == {"bob.texts"}
            )
        ),
    ),
    Allowed(
        72,
        "a query changes the version of a running session",
        "libotr then sends the front of a version that is not spoken; a session keeps its version",
        frozenset({"x.version", "bob.version"}),
        lambda case: case.step.has("hears", "start") and case.ours.bob.version == case.ours.x.version,
    ),
)


def explain(case: Case) -> tuple[Allowed, ...]:
    """Return the narrowest entry that allows the difference, else those that do together, none if none do."""
    entries = [entry for entry in ALLOWED if entry.what & case.differences and entry.when(case)]
    alone = [entry for entry in entries if case.differences <= entry.what]
    if alone:
        return (min(alone, key=lambda entry: len(entry.what)),)
    covered = frozenset[str]().union(*(entry.what for entry in entries))
    return tuple(entries) if case.differences <= covered else ()
