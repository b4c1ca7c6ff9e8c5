"""Verifying with people: who may, by which word the bot answers, and how it ended."""

from __future__ import annotations

from otrbot.talk.common import TROUBLE_EVERY, Common
from otrbot.talk.people import People, Person
from otrbot.talk.verbs import WORD, WRONG_WORD

from otrcore.events import SmpAborted, SmpAsked, SmpFailed, SmpProgress, SmpSucceeded

SmpEvent = SmpAsked | SmpProgress | SmpSucceeded | SmpFailed | SmpAborted

GIVE_WAY = "The verification has taken long, and others wait: !smp for another one."


class Verifications:
    """Those of one network."""

    def __init__(self, common: Common, people: People) -> None:
        self._common = common
        self._people = people

    def why_not(self, person: Person) -> str:
        """Return why a verification may not begin, if it may not; who has had time enough gives way."""
        common = self._common
        turn = common.limiter.smp(common.key(person.nick), common.clock())
        other = self._people.find(turn.instead_of) if turn.instead_of is not None else None
        if other is not None:
            common.runner.do(other.nick, lambda talk: talk.smp_abort() if talk.smp_running else [])
            common.say(other.nick, GIVE_WAY)
        return turn.why

    def hear(self, person: Person, event: SmpEvent) -> None:
        """Answer, and take note of what has come of it."""
        match event:
            case SmpAsked():
                self._asked(person)
            case SmpProgress(percent):
                person.smp = f"at {percent} per cent"
            case SmpSucceeded():
                self._over(person, "ok", "the same word")
            case SmpFailed():
                self._over(person, "failed", "another word")
            case SmpAborted(reason):
                self._over(person, "aborted", f"ended, as {reason.value}")

    def _asked(self, person: Person) -> None:
        runner = self._common.runner
        hindrance = self.why_not(person)
        if hindrance:
            self._common.counts.smp("refused")
            runner.do(person.nick, lambda talk: talk.smp_abort() if talk.smp_running else [])
            self._common.seldom(person.nick, "smp", hindrance, TROUBLE_EVERY)
            return
        word = WRONG_WORD if person.answers_wrongly else WORD
        person.answers_wrongly = False
        person.smp = "you asked"
        runner.do(person.nick, lambda talk: talk.smp_answer(word) if talk.smp_waiting else [], slow=True)

    def _over(self, person: Person, result: str, said: str) -> None:
        self._common.limiter.smp_over(self._common.key(person.nick))
        self._common.counts.smp(result)
        person.smp = said
