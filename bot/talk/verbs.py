"""The `!verbs`: one table, from which help, reading, running and the documentation come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from otrcore.irc.lines import one_line, split_text
from otrcore.model import SessionInfo
from otrcore.wire.header import VERSION_4

MAX_ANSWER = 200
"""Bytes of an answer, so that it fits into one line of every network."""

WORD = "otrcore"
"""The secret by which anybody may verify the bot, to try it: it is published, and so proves nothing."""

WRONG_WORD = "not otrcore"
"""What is used in its place by who asks for that."""

QUESTION = "What is the echo peer's word?"

VERSIONS = (2, 3, 4)

_VERB = re.compile(r"!([A-Za-z]{1,30})(?: +(.*?))? *", re.DOTALL)


class Came(Enum):
    """How a text came, as its answer says."""

    PLAIN = "Plain"
    ENCRYPTED = "Encrypted"
    AMIDST = "Plain, amidst encrypted"


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be told about a peer."""

    nick: str
    address: str
    """user@host."""
    account: str
    """Empty if none is known."""
    came: Came
    session: SessionInfo | None
    own_fingerprint: str
    """Of the key for versions 2 and 3."""
    own_fingerprint_4: str
    """Of the keys for version 4, which is too long for one line with another."""
    own_tag: int | None
    pieces: int
    """Lines of the peer that were pieces of a message."""
    piece_bytes: int | None
    """Of a line, if the peer has chosen."""
    starting: bool
    smp: str
    drills: str


class Visit(Protocol):
    """A peer whose text is being answered.

    What is said comes before what is done, and is sent the way the peer is talked with.
    """

    @property
    def facts(self) -> Facts:
        """How it stands."""

    @property
    def encrypted(self) -> bool:
        """Whether the conversation is encrypted now."""

    @property
    def piece_range(self) -> range:
        """Bytes that a line may have by choice."""

    @property
    def big_bytes(self) -> int:
        """Bytes that `say_big` sends at most."""

    @property
    def known(self) -> Iterable[Verb]:
        """The verbs that this peer may use."""

    def say(self, text: str) -> None:
        """Answer by one line."""

    def say_big(self, text: str) -> None:
        """Send a long text, encrypted."""

    def query(self, versions: Iterable[int]) -> None:
        """Ask for an encrypted conversation in one of these versions; one in another version is ended."""

    def tag(self, versions: Iterable[int]) -> None:
        """Send a plain text that offers these versions unseen."""

    def end(self) -> None:
        """End the encrypted conversation."""

    def refresh(self) -> None:
        """Ask for fresh keys."""

    def verify(self, word: str, question: str | None) -> str:
        """Begin a verification; return why not, if it cannot be."""

    def answer_wrongly(self) -> None:
        """Use a wrong word for the peer's next verification."""

    def abort(self) -> bool:
        """End the verification; tell whether there was one."""

    def cut(self, piece_bytes: int | None) -> None:
        """Have lines of OTR's of at most so many bytes; None for what the network allows."""

    def drill(self, name: str) -> str:
        """Do what stands behind `!drill`; return what to say, if anything."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table: `argument` names what may stand behind it."""

    name: str
    about: str
    run: Callable[[Visit, str], None]
    argument: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"!{self.name} {self.argument}".rstrip()


@dataclass(frozen=True, slots=True)
class Asked:
    """A verb as somebody wrote it, in small letters, and what stood behind it."""

    name: str
    argument: str


def read(text: str) -> Asked | None:
    """Return the verb that a text is; None if it is none."""
    found = _VERB.fullmatch(text)
    return Asked(found[1].lower(), found[2] or "") if found else None


def answer(visit: Visit, asked: Asked) -> None:
    """Do what somebody asks for."""
    verb = by_name(visit.known).get(asked.name)
    if verb is None:
        visit.say(f"there is no !{asked.name[:30]}: !help lists what there is.")
    else:
        verb.run(visit, asked.argument)


def by_name(verbs: Iterable[Verb]) -> Mapping[str, Verb]:
    """Return verbs by their names and aliases."""
    return {name: verb for verb in verbs for name in (verb.name, *verb.aliases)}


def fitting(text: str) -> str:
    """Return a text as an answer: one line, and not longer than answers are."""
    return next(split_text(one_line(text), MAX_ANSWER))


def _misused(visit: Visit, name: str) -> None:
    verb = by_name(VERBS)[name]
    visit.say(f"write {verb.usage}: {verb.about}.")


def _help(visit: Visit, argument: str) -> None:
    asked = argument.removeprefix("!").lower()
    verb = by_name(visit.known).get(asked)
    if verb is not None:
        also = "".join(f", also !{alias}" for alias in verb.aliases)
        visit.say(f"{verb.usage}{also}: {verb.about}.")
    elif asked:
        visit.say(f"there is no !{asked[:30]}: !help lists what there is.")
    else:
        names = " ".join(f"!{verb.name}" for verb in visit.known)
        visit.say(f"{names}; !help NAME for each")


def _versions(visit: Visit, argument: str) -> None:
    from importlib.metadata import version

    visit.say(f"I speak OTR versions {listed(VERSIONS, 'and')}; otrcore {version('otrcore')}")


def _ping(visit: Visit, argument: str) -> None:
    visit.say("pong")


def _whoami(visit: Visit, argument: str) -> None:
    facts = visit.facts
    account = f", account {facts.account}" if facts.account else ""
    you = f"you are {facts.nick}!{facts.address}{account}"
    if facts.session is None:
        visit.say(you)
    elif facts.session.version < VERSION_4:
        visit.say(f"your key is {facts.session.their_fingerprint}, {you}")
    else:
        visit.say(you)
        visit.say(f"your key is {facts.session.their_fingerprint}")


def _fingerprint(visit: Visit, argument: str) -> None:
    facts = visit.facts
    if facts.session is None:
        visit.say(f"my fingerprint: {facts.own_fingerprint}")
        visit.say(f"in OTR version 4: {facts.own_fingerprint_4}")
    elif facts.session.version < VERSION_4:
        visit.say(f"my fingerprint: {facts.own_fingerprint}; yours: {facts.session.their_fingerprint}")
    else:
        visit.say(f"my fingerprint: {facts.own_fingerprint_4}")
        visit.say(f"yours: {facts.session.their_fingerprint}")


def _status(visit: Visit, argument: str) -> None:
    facts, session = visit.facts, visit.facts.session
    if session is not None:
        own = f"{facts.own_tag:08x}" if facts.own_tag else "unknown"
        theirs = f"{session.their_instance_tag:08x}" if session.version > 2 else "none"
        state = f"OTR {session.version}, id {session.session_id}, tags: mine {own}, yours {theirs}"
    else:
        state = "being encrypted" if facts.starting else "not encrypted"
    cut = f", mine {facts.piece_bytes} bytes" if facts.piece_bytes is not None else ""
    visit.say(f"{state}; your pieces so far: {facts.pieces}{cut}; SMP: {facts.smp}; drills: {facts.drills}")


def _otr(visit: Visit, argument: str) -> None:
    chosen = {"": VERSIONS, **{str(version): (version,) for version in VERSIONS}}.get(argument)
    if chosen is None:
        _misused(visit, "otr")
        return
    said = f"here comes a query for OTR version {listed(chosen, 'or')}"
    session = visit.facts.session
    if session is not None and session.version == VERSION_4 and VERSION_4 not in chosen:
        said += (
            f"; after version 4 your client takes it only once you have ended: then say !otr {argument} again"
        )
    visit.say(said)
    visit.query(chosen)


def _tag(visit: Visit, argument: str) -> None:
    if visit.encrypted:
        visit.say("a tagged plain text here would be a false alarm: !end first")
        return
    visit.say(f"here comes a text with a whitespace tag for OTR versions {listed(VERSIONS, 'and')}")
    visit.tag(VERSIONS)


def _smp(visit: Visit, argument: str) -> None:
    match argument.lower():
        case "":
            _verify(visit, WORD, None, f"I verify you now; the word is {WORD}")
        case "q":
            _verify(visit, WORD, QUESTION, f"I ask you a question now; the answer is {WORD}")
        case "wrong":
            said = f"I verify you by a wrong word now, and answer your next time wrongly: {WORD} must fail"
            if _verify(visit, WRONG_WORD, None, said):
                visit.answer_wrongly()
        case "abort":
            visit.say("the verification is called off" if visit.abort() else "no verification is under way")
        case _:
            _misused(visit, "smp")


def _verify(visit: Visit, word: str, question: str | None, said: str) -> bool:
    if not visit.encrypted:
        visit.say("SMP needs an encrypted conversation: !otr for a query")
        return False
    hindrance = visit.verify(word, question)
    visit.say(hindrance or said)
    return not hindrance


def _fragment(visit: Visit, argument: str) -> None:
    sizes = visit.piece_range
    if argument.lower() == "off":
        visit.cut(None)
        visit.say("my lines are as long as the network allows")
    elif argument.isascii() and argument.isdigit() and len(argument) < 10 and int(argument) in sizes:
        visit.cut(int(argument))
        visit.say(f"my lines of OTR have at most {int(argument)} bytes now")
    else:
        visit.say(f"write !fragment N, N from {sizes[0]} to {sizes[-1]} bytes, or !fragment off")


def _end(visit: Visit, argument: str) -> None:
    if not visit.encrypted:
        visit.say("there is nothing to end")
        return
    visit.say("I end the encrypted conversation now")
    visit.end()


def _rekey(visit: Visit, argument: str) -> None:
    session = visit.facts.session
    if session is not None and session.version == VERSION_4:
        # In version 4 nothing asks for fresh keys but a new start (v4, "Session Expiration").
        visit.say("I end this conversation, and here comes a query for another one, with fresh keys")
    else:
        visit.say("here comes a query, for fresh keys")
    visit.refresh()


def _big(visit: Visit, argument: str) -> None:
    most = visit.big_bytes
    if not visit.encrypted:
        visit.say("a big text needs an encrypted conversation: !otr for a query")
    elif not (argument.isascii() and argument.isdigit() and len(argument) < 10):
        _misused(visit, "big")
    elif not 0 < int(argument) <= most:
        visit.say(f"write a number from 1 to {most}")
    else:
        visit.say_big(big_text(int(argument)))


def _drill(visit: Visit, argument: str) -> None:
    said = visit.drill(argument.lower())
    if said:
        visit.say(said)


def listed(versions: Sequence[int], last: str) -> str:
    """Return versions as a sentence has them: "2, 3 and 4"."""
    *others, end = map(str, versions)
    return f"{', '.join(others)} {last} {end}" if others else end


def big_text(size: int) -> str:
    """Return so many bytes in which every place tells where it is, so that a lost piece is seen."""
    return "".join(f"{at:06d} " for at in range(0, size, 7))[:size]


VERBS: tuple[Verb, ...] = (
    Verb("help", "lists the verbs, or tells about one", _help, "[NAME]"),
    Verb("versions", "tells which versions of OTR I speak", _versions),
    Verb("ping", "is answered by pong", _ping),
    Verb("whoami", "tells as whom I see you", _whoami),
    Verb("fingerprint", "tells my fingerprint, and yours", _fingerprint),
    Verb("status", "tells how our conversation stands", _status),
    Verb("otr", "sends a query, for all versions of OTR or for one", _otr, "[2|3|4]"),
    Verb("tag", "sends a text with a whitespace tag", _tag),
    Verb("smp", "verifies you: by a word, a question, or wrongly on purpose", _smp, "[q|wrong|abort]"),
    Verb("fragment", "cuts what I send you into lines of N bytes", _fragment, "N|off"),
    Verb("end", "ends the encrypted conversation", _end),
    Verb("rekey", "asks for fresh keys", _rekey, aliases=("refresh",)),
    Verb("big", "sends N bytes", _big, "N"),
    Verb("drill", "does something wrong on purpose", _drill, "[on|off|stop|NAME]"),
)
"""For everybody."""


def table() -> str:
    """Return the verbs as a table in Markdown."""
    rows = ("| `{}` | {} |".format(verb.usage.replace("|", "\\|"), verb.about) for verb in VERBS)
    return "\n".join(("| verb | effect |", "|---|---|", *rows))
