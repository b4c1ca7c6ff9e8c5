"""Following people to other nicks, under which somebody else may be known already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ..conversation import Conversation
from ..events import Event
from ..memory import PeerMemory
from ..model import MessageState
from .actions import Action, ShowNote
from .conversations import Conversations
from .people import People
from .presence import Presence
from .steps import Steps
from .turns import Turns


class NickChanges:
    """Takes the conversations along, and what is remembered."""

    def __init__(
        self,
        presence: Presence,
        people: People,
        conversations: Conversations,
        turns: Turns,
        steps: Steps,
        sink: Callable[[Sequence[Action]], None],
    ) -> None:
        self._presence = presence
        self._people = people
        self._conversations = conversations
        self._turns = turns
        self._steps = steps
        self._sink = sink

    def note_own(self) -> None:
        """Have the account bear our nick as it is now, and what is set up under another one begin anew."""
        account, name = self._conversations.account, self._presence.name
        if account is None or account.name == name:
            return
        account.name = name
        for talk in self._conversations:
            nick = self._conversations.peers[talk.peer].nick
            begin_anew = partial(self._begin_anew, self._names(talk.peer))
            self._sink_all(self._steps.in_turn(nick, begin_anew, bounded=False))

    def follow(self, old: str, new: str) -> bool:
        """Follow somebody, perhaps ourselves; return whether there is a conversation that has moved."""
        conversations, presence = self._conversations, self._presence
        old_key, new_key = presence.fold(old), presence.fold(new)
        if presence.is_own(old):
            presence.nick_changed(new)
            self.note_own()
            return False
        talk, other = conversations.find(old_key), conversations.find(new_key)
        if other is not None and other is not talk:
            self._turns.finish(other)
            other = conversations.find(new_key)
        if other is not None and other is not talk and not other.idle:
            # Whoever had that nick is gone without our hearing of it.
            self._sink(self._steps.do(other, other.lose))
            nothing_moves = talk is None or conversations.state(old_key) is MessageState.PLAINTEXT
            if nothing_moves and conversations.state(new_key) is not MessageState.PLAINTEXT:
                return False
        if talk is None:
            return False
        self._sink_all(conversations.rename(old_key, new_key, new))
        if talk in self._turns:
            # Whatever becomes of the conversation, what waits in it keeps to the policy.
            known = self._people.memories.load(new_key)
            policy = self._people.memories.load(old_key).policy
            if known.policy is None and policy is not None:
                self._sink_all(self._people.remember(new_key, replace(known, policy=policy)))
        names = self._names(new_key)
        self._sink_all(
            self._steps.in_turn(new, lambda nick: self._met_under(talk, old, names), bounded=False)
        )
        return True

    def _names(self, key: str) -> tuple[str, str] | None:
        """Return our name and somebody's as they are now; None while we have none."""
        account = self._conversations.account
        return None if account is None or account.name is None else (account.name, key)

    def _begin_anew(self, names: tuple[str, str] | None, nick: str) -> list[Action]:
        talk = self._conversations.find(self._conversations.recipient(nick).key)
        if talk is None:
            return []
        return self._steps.do(talk, partial(Conversation.renamed, talk, names), slow=talk.starting)

    def _met_under(self, talk: Conversation, old: str, names: tuple[str, str] | None) -> list[Action]:
        """Have a conversation that has moved go on with what is known of its nick now."""
        if self._conversations.find(talk.peer) is not talk:
            return []
        key, nick = talk.peer, self._conversations.peers[talk.peer].nick
        known, memory, info = self._people.memories.load(key), talk.memory, talk.info
        if any(not memory.knows(other.fingerprint) for other in known.keys):
            # Whoever has a nick with a key already is not trusted under it for what other nicks are worth.
            keys = tuple(replace(mine, trust=known.trust(mine.fingerprint)) for mine in memory.keys)
            memory = replace(memory, keys=keys)
        if known.policy is not None and known.policy.versions:
            memory = replace(memory, policy=known.policy)
        elif known.policy is not None and info is not None:
            # Without versions nothing is read as OTR, which would break what runs.
            memory = replace(memory, policy=talk.policy)
        actions = self._people.remember(key, memory)
        expected = known.replaced_by(info.their_fingerprint) if info is not None else None
        renamed = names if key != self._presence.fold(old) else None
        go_on = partial(_recall_renamed, talk, self._people.memories.load(key), renamed)
        actions += self._steps.do(talk, go_on, slow=talk.starting)
        if expected is not None:
            actions.append(ShowNote(nick, (_OTHER_PERSON.format(nick, old, expected),)))
        return actions

    def _sink_all(self, actions: Sequence[Action]) -> None:
        if actions:
            self._sink(actions)


def _recall_renamed(talk: Conversation, memory: PeerMemory, names: tuple[str, str] | None) -> list[Event]:
    return [*talk.recall(memory), *(talk.renamed(names) if names else ())]


_OTHER_PERSON = (
    "WARNING: {0}, who was {1} until now, has another key than the {0} whom you know ({2}): "
    "say nothing secret before you are sure who it is."
)
