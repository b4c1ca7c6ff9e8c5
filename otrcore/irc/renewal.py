"""Conversations go on with what has changed outside them: our identity, policies, what is known of people."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

from ..conversation import Conversation
from ..errors import OtrcoreError, StoreError
from ..identity import Identity
from ..model import Trust
from ..policy import Policy
from .actions import Action, ShowNote
from .conversations import Conversations
from .keeper import Keeper
from .people import People
from .presence import Presence
from .steps import Steps
from .turns import Turns


class Renewal:
    """Takes in what the keeper has, and tells the conversations and the user."""

    def __init__(
        self,
        keeper: Keeper,
        presence: Presence,
        people: People,
        conversations: Conversations,
        turns: Turns,
        steps: Steps,
        sink: Callable[[Sequence[Action]], None],
    ) -> None:
        self._keeper = keeper
        self._presence = presence
        self._people = people
        self._conversations = conversations
        self._turns = turns
        self._steps = steps
        self._sink = sink
        self._seen: Hashable = None
        """The keeper's version that all conversations know of."""

    def begin(self) -> None:
        """Take it that conversations begin with what the keeper has now."""
        self._seen = self._keeper.version()

    def catch_up(self) -> None:
        """Go on with what other programs have changed, if anything; the sink hears what follows.

        Costs some microseconds where nothing has changed.
        """
        account = self._conversations.account
        if account is None:
            return
        version = self._keeper.version()
        if version == self._seen:
            return
        self._seen = version
        identity, policy = account.identity, account.policy
        troubles: list[str] = []
        # Each by itself: a key that cannot be read must not keep a doubt from being heard of.
        try:
            self._people.memories.reload()
        except OtrcoreError as error:
            troubles.append(str(error))
        try:
            policy = self._keeper.policy(self._presence.network)
        except OtrcoreError as error:
            troubles.append(str(error))
        try:
            identity = self._keeper.identity(self._presence.network)
        except OtrcoreError as error:
            troubles.append(str(error))
        actions = self._renew(identity, policy)
        if troubles and troubles[0] != self._people.trouble:
            actions.append(ShowNote("", (f"{troubles[0]} {_NOT_TAKEN_IN}",)))
        self._people.trouble = troubles[0] if troubles else ""
        if actions:
            self._sink(actions)
        self.tell_news()

    def reload(self) -> None:
        """Go on with what was changed in the store by this program, besides what conversations do."""
        self._people.memories.reload(own=True)
        self.recall()

    def set_policy(self, policy: Policy) -> list[Action]:
        """Have another policy on this network, for everybody without one of their own; UsageError."""
        actions = self._renew(self._conversations.require_account().identity, policy)
        try:
            self._keeper.set_policy(self._presence.network, policy)
        except StoreError as error:
            actions += self._people.not_saved(error)
        return actions

    def recall(self, besides: str = "") -> None:
        """Have the conversations go on with what is remembered now; the sink hears what follows."""
        actions = [
            action for talk in self._conversations if talk.peer != besides for action in self._recall_in(talk)
        ]
        if actions:
            self._sink(actions)

    def tell_news(self) -> None:
        """Tell the user what has come up at the keeper."""
        news = self._keeper.news()
        if news:
            self._sink([ShowNote("", news)])

    def _recall_in(self, talk: Conversation) -> list[Action]:
        if talk in self._turns:
            return self._steps.behind(talk, lambda nick: self._recall_in(talk), bounded=False)
        if self._conversations.find(talk.peer) is not talk:
            return []
        memory = self._people.memories.load(talk.peer)
        if memory == talk.memory:
            return []
        nick, before = self._conversations.peers[talk.peer].nick, talk.trust
        actions = self._steps.do(talk, partial(talk.recall, memory))
        return [*actions, *_trust_changed(talk, nick, before)]

    def _renew(self, identity: Identity, policy: Policy) -> list[Action]:
        """Have the conversations go on with this identity and policy of ours, and what is remembered now."""
        account = self._conversations.account
        if account is None:
            return []
        actions: list[Action] = []
        shown = identity.fingerprint, identity.fingerprint_4
        if (account.identity.fingerprint, account.identity.fingerprint_4) != shown:
            other = _OTHER_IDENTITY.format(self._presence.network, *shown)
            actions.append(ShowNote("", (other,)))
        account.renew(identity, policy)
        for talk in account:
            actions += self._renew_in(talk, identity, policy)
        return actions

    def _renew_in(self, talk: Conversation, identity: Identity, policy: Policy) -> list[Action]:
        if talk in self._turns:
            return self._steps.behind(
                talk, lambda nick: self._renew_in(talk, identity, policy), bounded=False
            )
        if self._conversations.find(talk.peer) is not talk:
            return []
        nick, before = self._conversations.peers[talk.peer].nick, talk.trust
        memory = self._people.memories.load(talk.peer)
        actions = self._steps.do(talk, partial(talk.renew, identity, policy, memory))
        return [*actions, *_trust_changed(talk, nick, before)]


def _trust_changed(talk: Conversation, nick: str, before: Trust) -> list[Action]:
    if talk.info is None or talk.trust is before:
        return []
    return [ShowNote(nick, (_TRUST_CHANGED.format(nick, talk.trust.value),))]


_NOT_TAKEN_IN = "What other programs have changed there is not known here until then."
_TRUST_CHANGED = "The key of {} in this conversation is {} now: that was changed outside it."
_OTHER_IDENTITY = (
    "Your key on {} is another one from the next encrypted conversation on: {}, and for OTR version 4 {}. "
    "Whoever has verified you has to do it again."
)
