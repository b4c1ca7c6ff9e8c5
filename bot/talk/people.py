"""Who has written lately, and what is kept about them: bounded, and forgotten with all that belongs to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from otrbot.talk.common import NO_LIMIT, Common
from otrbot.talk.rehearsal import Rehearsal

from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.conversations import MAX_CONVERSATIONS


@dataclass(slots=True, eq=False)
class Person:
    """Somebody who has written, as long as that is of use."""

    nick: str
    mask: str
    account: str
    heard: float
    pieces: int = 0
    piece_bytes: int | None = None
    own_tag: int | None = None
    answers_wrongly: bool = False
    """The next verification is answered by a wrong word."""
    version: int | None = None
    """Of the encoded message that came last."""
    smp: str = "none so far"
    drills: bool = False
    rehearsal: Rehearsal | None = None

    @property
    def address(self) -> str:
        """user@host."""
        return self.mask.partition("!")[2]

    @property
    def rehearses(self) -> bool:
        """Whether a drill is under way."""
        return self.rehearsal is not None and not self.rehearsal.over

    def is_same(self, other: Person) -> bool:
        """Whether two who have had the same nick are one, as far as the server knows."""
        if self.account and other.account:
            return self.account == other.account
        return self.address == other.address

    def stop_drill(self) -> None:
        """End a drill without a word."""
        if self.rehearsal is not None:
            self.rehearsal.stop()
            self.rehearsal = None


class People:
    """By folded nicks, the one heard longest ago first."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._people: OrderedDict[str, Person] = OrderedDict()

    def __len__(self) -> int:
        return len(self._people)

    def __iter__(self) -> Iterator[Person]:
        """All of them, who may be forgotten meanwhile."""
        return iter(list(self._people.values()))

    def find(self, nick: str) -> Person | None:
        """Return who has this nick, if they are known."""
        return self._people.get(self._common.key(nick))

    def met(self, message: IncomingMessage, *, begins: bool) -> Person:
        """Return who has written; somebody of another address who `begins` anew has taken the nick over."""
        who, now = self._common.key(message.sender), self._common.clock()
        comes = Person(message.sender, message.mask, message.tags.get("account", ""), now)
        person = self._people.get(who)
        if person is not None and begins and not person.is_same(comes):
            self.drop(person)
            person = None
        if person is None:
            person = self._people[who] = comes
            self._bound()
        if begins:
            person.mask = message.mask
        person.nick, person.heard = message.sender, now
        person.account = comes.account or person.account
        self._people.move_to_end(who)
        return person

    def moved(self, old: str, new: str) -> Person | None:
        """Follow somebody to another nick, and return who that is."""
        common = self._common
        old_key, new_key = common.key(old), common.key(new)
        person = self._people.pop(old_key, None)
        replaced = self._people.pop(new_key, None) if new_key != old_key else None
        if replaced is not None:
            replaced.stop_drill()
        common.limiter.rename(old_key, new_key)
        if person is None:
            return None
        person.nick, person.mask, person.heard = new, f"{new}!{person.address}", common.clock()
        self._people[new_key] = person
        if person.piece_bytes is not None:
            common.runner.host.set_limit(new, person.piece_bytes)
            common.runner.host.set_limit(old, NO_LIMIT)
        return person

    def left(self, nick: str) -> None:
        """Forget somebody who has gone."""
        person = self.find(nick)
        if person is not None:
            self.drop(person)
        elif self._common.runner.host.has(nick):
            self._common.runner.forget(nick)

    def drop(self, person: Person) -> None:
        """Forget everything about somebody, without a word."""
        nick, host = person.nick, self._common.runner.host
        self._people.pop(self._common.key(nick), None)
        if host.has(nick):
            self._common.runner.forget(nick)
        person.stop_drill()
        self._common.limiter.left(self._common.key(nick))
        if person.piece_bytes is not None:
            host.set_limit(nick, NO_LIMIT)

    def make_room(self) -> None:
        """Say goodbye to who was heard longest ago if there are too many conversations for another one."""
        host = self._common.runner.host
        talking = [person for person in self._people.values() if host.has(person.nick)]
        spare = len(talking) - self._most + 1
        for person in talking:
            if spare <= 0:
                break
            if not host.busy(person.nick):
                self._leave(person)
                spare -= 1

    # ---- time

    @property
    def next_tick(self) -> float | None:
        """When to call `tick`; None for never."""
        oldest = next(iter(self._people.values()), None)
        return None if oldest is None else oldest.heard + self._common.limits.idle_seconds

    def tick(self, now: float) -> None:
        """Say goodbye to those who have long been silent."""
        while self._people:
            oldest = next(iter(self._people.values()))
            if now < oldest.heard + self._common.limits.idle_seconds:
                break
            self._leave(oldest)

    def _bound(self) -> None:
        """Forget somebody without a conversation if there are too many people."""
        if len(self._people) <= 2 * self._most:
            return
        host = self._common.runner.host
        people = list(self._people.values())[:-1]
        self._leave(next((person for person in people if not host.has(person.nick)), people[0]))

    @property
    def _most(self) -> int:
        return min(self._common.limits.conversations, MAX_CONVERSATIONS)

    def _leave(self, person: Person) -> None:
        """Say goodbye to somebody, and forget everything."""
        if self._common.runner.host.has(person.nick):
            self._common.runner.end(person.nick)
        self.drop(person)
