"""What verbs do for one person: the `Visit` of one text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from otrbot.talk import verbs
from otrbot.talk.common import NO_LIMIT, Common
from otrbot.talk.drilling import Drilling
from otrbot.talk.forgetful import POLICY, VERSIONS
from otrbot.talk.people import Person
from otrbot.talk.verbs import Came, Facts, Verb
from otrbot.talk.verification import Verifications

from otrcore.conversation import QUERY_TEXT, SMALLEST_LINE_LIMIT, Conversation
from otrcore.irc.lines import split_text
from otrcore.model import MessageState, SessionInfo
from otrcore.wire import text as wire
from otrcore.wire.header import VERSION_4

TAGGED = "This text offers OTR to your client, by blanks between its words."


class PersonsVisit:
    """A person whose text is being answered."""

    def __init__(
        self,
        common: Common,
        verifications: Verifications,
        drilling: Drilling,
        verbs_for: Callable[[Collection[SessionInfo]], Iterable[Verb]],
        person: Person,
        came: Came,
    ) -> None:
        """`verbs_for` returns those of whom we have these encrypted conversations with."""
        self._common = common
        self._runner = common.runner
        self._verifications = verifications
        self._drilling = drilling
        self._verbs_for = verbs_for
        self._person = person
        self._came = came

    @property
    def facts(self) -> Facts:
        """How it stands."""
        person, runner = self._person, self._runner
        talk = self._talk
        drills = "on" if person.drills else "off"
        if person.rehearsal is not None and not person.rehearsal.over:
            drills = person.rehearsal.drill.name
        return Facts(
            person.nick,
            person.address,
            person.account,
            self._came,
            talk.sessions[-1] if talk is not None and talk.sessions else None,
            str(runner.fingerprint),
            str(runner.fingerprint_4),
            person.own_tag,
            person.pieces,
            person.piece_bytes,
            talk is not None and talk.starting,
            person.smp,
            drills,
        )

    @property
    def encrypted(self) -> bool:
        """Whether the conversation is encrypted now."""
        return self._runner.state(self._person.nick) is MessageState.ENCRYPTED

    @property
    def piece_range(self) -> range:
        """Bytes that a line may have by choice."""
        limits = self._common.limits
        return range(max(limits.fragment_min, SMALLEST_LINE_LIMIT), limits.fragment_max + 1)

    @property
    def big_bytes(self) -> int:
        """Bytes that `say_big` sends at most."""
        return self._common.limits.big_bytes

    @property
    def known(self) -> Iterable[Verb]:
        """The verbs for everybody; and for operators, by their keys and in private, theirs."""
        talk = self._talk
        return self._verbs_for(talk.sessions if self._came is Came.ENCRYPTED and talk is not None else ())

    def say(self, text: str) -> None:
        """Answer by one line."""
        self._common.say(self._person.nick, verbs.fitting(f"{self._came.value}: {text}"))

    def say_big(self, text: str) -> None:
        """Send a long text, encrypted."""
        self._runner.say_encrypted(self._person.nick, text)

    def query(self, versions: Iterable[int]) -> None:
        """Ask for an encrypted conversation in one of these versions.

        One in another version is ended, and one in version 4, which allows no query.
        """
        if self._common.stopping:
            return
        talk = self._talk
        spoken = {info.version for info in talk.sessions} if talk is not None else set()
        if VERSION_4 in spoken or not spoken <= set(versions):
            self.end()
        query = replace(POLICY, versions=frozenset(versions)).query
        self._runner.send_lines(self._person.nick, [f"{query} {QUERY_TEXT}"])

    def tag(self, versions: Iterable[int]) -> None:
        """Send a plain text that offers these versions unseen."""
        self._runner.send_lines(self._person.nick, [wire.with_tag(TAGGED, versions)])

    def end(self) -> None:
        """End the encrypted conversation, and be ready for another one."""
        self._runner.end(self._person.nick)
        self._runner.forget(self._person.nick)

    def refresh(self) -> None:
        """Ask for fresh keys, of the version that is spoken."""
        talk = self._talk
        spoken = {info.version for info in talk.sessions} if talk is not None else set()
        self.query(spoken or VERSIONS)

    def verify(self, word: str, question: str | None) -> str:
        """Begin a verification; return why not, if it cannot be."""
        hindrance = self._verifications.why_not(self._person)
        if not hindrance:
            self._person.smp = "I asked"
            self._runner.do(
                self._person.nick,
                lambda talk: talk.smp_start(word, question) if talk.state is MessageState.ENCRYPTED else [],
                slow=True,
            )
        return hindrance

    def answer_wrongly(self) -> None:
        """Use a wrong word for the peer's next verification."""
        self._person.answers_wrongly = True

    def abort(self) -> bool:
        """End the verification; tell whether there was one."""
        self._person.answers_wrongly = False
        talk = self._talk
        running = talk is not None and talk.smp_running
        if self.encrypted:
            self._runner.do(
                self._person.nick,
                lambda talk: talk.smp_abort() if talk.state is MessageState.ENCRYPTED else [],
            )
        return running

    def cut(self, piece_bytes: int | None) -> None:
        """Have lines of OTR's of at most so many bytes; None for what the network allows."""
        self._person.piece_bytes = piece_bytes
        self._runner.host.set_limit(self._person.nick, piece_bytes or NO_LIMIT)

    def drill(self, name: str) -> str:
        """Do what stands behind `!drill`; return what to say, if anything."""
        person, drills = self._person, self._drilling.drills
        if self._came is not Came.ENCRYPTED or not self.encrypted:
            return "drills need an encrypted conversation: !otr for a query"
        under_way = person.rehearses
        match name:
            case "on":
                person.drills = True
                return "drills are on until this conversation ends: !drill lists them, !drill NAME runs one"
            case "off" | "stop":
                person.drills = person.drills and name == "stop"
                person.stop_drill()
                return "the drill is over" if under_way else "no drill is under way"
            case "":
                names = " ".join(drills) or "none"
                for line in split_text(names, verbs.MAX_ANSWER - len("Encrypted: drills: ")):
                    self.say(f"drills: {line}")
                return ""
            case _ if name not in drills:
                return f"there is no drill {name[:30]}: !drill lists what there is"
            case _ if not person.drills:
                return "what I do in a drill is wrong on purpose: !drill on first, if that is what you want"
            case _ if under_way:
                return "a drill is under way: wait for its end, or !drill stop"
            case _:
                self._drilling.begin(person, drills[name])
                return ""

    @property
    def _talk(self) -> Conversation | None:
        return self._common.talk(self._person.nick)
