"""What is answered to a text: an echo, what a verb does, or a hint how to begin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otrbot.talk import verbs
from otrbot.talk.common import Common
from otrbot.talk.limits import Answer
from otrbot.talk.people import Person
from otrbot.talk.verbs import Came, Visit

from otrcore.irc.lines import split_text

HINT = (
    "I echo what you send me encrypted, by OTR. To begin: /otr init in irssi, /otr start in most others, "
    "or your client's OTR menu. !help lists what else I do."
)
UNENCRYPTED = "Your last message reached me unencrypted: others could read it."

MAX_ECHOED_LINES = 10
"""Lines of one message that are echoed: each is an OTR message of its own again."""


class Replies:
    """Those on one network."""

    def __init__(self, common: Common, receive: Callable[[Person, Came], Visit]) -> None:
        """`receive` makes the visit in which verbs act for somebody."""
        self._common = common
        self._receive = receive

    def hear(self, person: Person, lines: Sequence[str], came: Came, *, is_action: bool) -> None:
        """Answer a text, if it is one that is answered."""
        common = self._common
        lines = [line for line in lines if line]
        if not lines:
            return
        heard = common.limiter.text(common.key(person.nick), "\n".join(lines), common.clock())
        if heard is not Answer.YES:
            common.silenced(heard, person.nick)
            return
        asked = verbs.read(lines[0]) if len(lines) == 1 and not is_action else None
        if asked is not None:
            verbs.answer(self._receive(person, came), asked)
        elif came is Came.ENCRYPTED:
            self._echo(person, lines, is_action=is_action)
        else:
            hint = UNENCRYPTED if came is Came.AMIDST else HINT
            common.seldom(person.nick, came.value, hint, common.limits.hint_seconds)

    def _echo(self, person: Person, lines: Sequence[str], *, is_action: bool) -> None:
        left = self._common.limits.echo_bytes
        for line in lines[:MAX_ECHOED_LINES]:
            if left <= 0:
                break
            piece = next(split_text(line, left))
            left -= len(piece.encode(errors="replace"))
            self._common.runner.say_encrypted(person.nick, f"/me {piece}" if is_action else piece)
