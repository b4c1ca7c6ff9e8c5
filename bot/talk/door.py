"""The door: which messages their conversations get, and who may begin a key exchange."""

from __future__ import annotations

from dataclasses import replace

from otrbot.talk.admin import Bans
from otrbot.talk.common import Common
from otrbot.talk.content import begins_ake, content_of, receiver_tag, version_told
from otrbot.talk.limits import Answer
from otrbot.talk.people import People

from otrcore.irc.connection.listener import IncomingMessage
from otrcore.irc.names import Payload, Target, classify, fold
from otrcore.wire import text as wire
from otrcore.wire.fragment import Fragment

TOO_MANY_AKES = "I am busy, or you have had many key exchanges: try again in a minute."

ROOM_FOR_REFUSALS = 8
"""Lines that may wait when somebody is still told of a refusal."""

FULL = 0.9
"""Of the queue: no key exchange begins while more than that waits to be sent."""


class Door:
    """Sees what people send before their conversations do."""

    def __init__(self, common: Common, people: People, bans: Bans) -> None:
        self._common = common
        self._people = people
        self._bans = bans

    def admit(self, message: IncomingMessage) -> IncomingMessage | None:
        """Let a private message of a person to its conversation; nothing else is ever answered."""
        if not self._is_for_us(message) or message.mask in self._bans:
            return None
        common = self._common
        who, now = common.key(message.sender), common.clock()
        content = content_of(message.text)
        heard = common.limiter.line(who, now, goes_on=isinstance(content, Fragment) and content.index > 1)
        if heard is not Answer.YES:
            common.silenced(heard, message.sender)
            return None
        begins = begins_ake(content)
        goes_on = isinstance(content, Fragment | wire.Encoded) and not begins
        person = self._people.met(message, begins=not goes_on)
        if isinstance(content, Fragment):
            person.pieces += 1
        if not isinstance(content, wire.Plain) and not common.runner.host.has(message.sender):
            self._people.make_room()
        if (tag := receiver_tag(content)) is not None:
            person.own_tag = tag
        person.version = version_told(content) or person.version
        if not begins:
            return message
        refusal = self._refuses_ake(who, now)
        if refusal is Answer.YES:
            return message
        common.counts.ake(0, "refused")
        if refusal is Answer.NO:
            # Many refusals would keep those waiting who were let in.
            if common.runner.waiting < ROOM_FOR_REFUSALS:
                common.say(person.nick, TOO_MANY_AKES)
            else:
                common.limiter.not_told(who)
        # What stands around a tag is a text all the same.
        return replace(message, text=content.text) if isinstance(content, wire.Tagged) else None

    def _is_for_us(self, message: IncomingMessage) -> bool:
        """Whether a message is a private one of a person: no notice, service, bot, or echo of ours."""
        runner = self._common.runner
        features = runner.connection.features
        own = fold(runner.nick, features)
        if (
            message.command != "PRIVMSG"
            or "!" not in message.mask
            or "bot" in message.tags
            or fold(message.target, features) != own
            or fold(message.sender, features) == own
        ):
            return False
        addressed = classify(message.sender, message.text, features)
        return addressed.payload is not Payload.CTCP and [
            recipient.kind for recipient in addressed.recipients
        ] == [Target.PERSON]

    def _refuses_ake(self, who: str, now: float) -> Answer:
        """Return whether a key exchange may begin (YES), or whether that is to be told."""
        common = self._common
        if common.stopping:
            return Answer.SILENTLY_NO
        if common.runner.waiting > FULL * common.limits.queue_lines:
            return common.limiter.refuse(who)
        return common.limiter.ake(who, now)
