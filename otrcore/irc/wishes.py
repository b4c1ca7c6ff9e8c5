"""What our user wants of the conversation with a peer: to begin or end it, and to know how it stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..conversation import Conversation
from ..errors import OtrcoreError, UsageError
from ..events import Event
from ..model import Fingerprint, MessageState, Trust
from . import texts
from .actions import Action, ShowNote
from .conversations import Conversations
from .names import Target
from .people import People
from .presence import Presence
from .renewal import Renewal
from .steps import Steps


class Wishes:
    """Has it done, in turn, with what is known by then."""

    def __init__(
        self,
        presence: Presence,
        people: People,
        conversations: Conversations,
        steps: Steps,
        renewal: Renewal,
    ) -> None:
        self._presence = presence
        self._people = people
        self._conversations = conversations
        self._steps = steps
        self._renewal = renewal

    def talk(self, nick: str) -> Conversation | None:
        """Return the conversation with a peer, to look at; None if there is none.

        UsageError with a sentence for the user if there cannot be one.
        """
        self._renewal.catch_up()
        recipient = self._conversations.recipient(nick)
        if recipient.kind is not Target.PERSON:
            raise UsageError(f"OTR works between two people, and {nick!r} is not one person.")
        self._conversations.require_account()
        return self._conversations.find(recipient.key)

    def do(
        self,
        nick: str,
        step: Callable[[Conversation], list[Event]],
        *,
        sends: bool = True,
        slow: bool = False,
    ) -> list[Action]:
        """Do something in the conversation with a peer, as the user asked for it.

        What `sends` lines of OTR is refused where there is no room for it; what is `slow` is done in a lane.
        """
        return self._steps.in_turn(nick, lambda nick: self._do(nick, step, sends, slow))

    def start(self, nick: str) -> list[Action]:
        """Ask a peer for an encrypted conversation; in one, say what to do there instead."""
        return self._steps.in_turn(nick, self._start)

    def refresh(self, nick: str) -> list[Action]:
        """Ask a peer for fresh keys, or for an encrypted conversation if there is none."""
        return self._steps.in_turn(nick, self._refresh)

    def end(self, nick: str) -> list[Action]:
        """End the encrypted conversation with a peer, or the attempt to start one."""
        return self._steps.in_turn(nick, self._end, bounded=False)

    def status(self, nick: str) -> list[Action]:
        """Tell how a conversation stands."""
        return self._steps.in_turn(nick, self._status)

    def distrust(self, nick: str, fingerprint: Fingerprint) -> list[Action]:
        """Trust a key of a peer no more, under whatever nick."""
        actions = self.do(nick, lambda talk: talk.set_trust(Trust.NONE, fingerprint), sends=False)
        return [*actions, *self._people.doubt(self._conversations.recipient(nick).key, fingerprint)]

    def _do(
        self, nick: str, step: Callable[[Conversation], list[Event]], sends: bool, slow: bool
    ) -> list[Action]:
        self._renewal.catch_up()
        recipient = self._conversations.recipient(nick)
        try:
            self.talk(nick)
            if sends:
                self._presence.require_room(recipient.nick)
            talk = self._conversations.open(recipient)
        except OtrcoreError as error:
            return [ShowNote(nick, (str(error),))]
        self._conversations.peers[recipient.key].wanted = True
        return self._steps.do(talk, partial(step, talk), slow=slow)

    def _start(self, nick: str) -> list[Action]:
        self._renewal.catch_up()
        if self._conversations.state(self._conversations.recipient(nick).key) is MessageState.ENCRYPTED:
            return self.status(nick)
        return self.refresh(nick)

    def _refresh(self, nick: str) -> list[Action]:
        policy = self._conversations.policy(self._conversations.recipient(nick).key)
        if self._conversations.account is not None and not policy.versions:
            return [ShowNote(nick, texts.status(nick, policy, None))]
        return self.do(nick, Conversation.start, slow=True)

    def _end(self, nick: str) -> list[Action]:
        talk = self._conversations.find(self._conversations.recipient(nick).key)
        if talk is None or (talk.state is MessageState.PLAINTEXT and not talk.starting):
            nothing = f"There is nothing to end: the conversation with {nick} is not encrypted."
            return [ShowNote(nick, (nothing,))]
        return self.do(nick, Conversation.end, sends=False)

    def _status(self, nick: str) -> list[Action]:
        self._renewal.catch_up()
        key = self._conversations.recipient(nick).key
        talk, policy = self._conversations.find(key), self._conversations.policy(key)
        return [ShowNote(nick, texts.status(nick, policy, talk))]
