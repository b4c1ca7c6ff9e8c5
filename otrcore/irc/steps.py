"""What is done in conversations, step by step, so that whatever goes wrong in one of them stays there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..conversation import Conversation
from ..errors import OtrcoreError, UsageError
from ..events import Event
from .actions import Action, ShowNote
from .conversations import Conversations
from .reactions import Reactions
from .turns import Turns

BROKEN = "Not {}, because of an error inside OTR ({}): please report it."


class Steps:
    """Lets conversations do something, each in its turn."""

    def __init__(self, conversations: Conversations, turns: Turns, reactions: Reactions) -> None:
        self._conversations = conversations
        self._turns = turns
        self._reactions = reactions

    def in_turn(self, nick: str, job: Callable[[str], list[Action]], *, bounded: bool = True) -> list[Action]:
        """Do something with a peer, by its nick then, once a step has ended that is under way.

        If too much waits for that already, it is not done, and a note says so; unless it is not `bounded`.
        """
        talk = self._conversations.find(self._conversations.recipient(nick).key)
        if talk is None or talk not in self._turns:
            return job(nick)
        try:
            return self.behind(talk, job, bounded=bounded)
        except UsageError as error:
            return [ShowNote(nick, (str(error),))]

    def behind(
        self,
        talk: Conversation,
        job: Callable[[str], Sequence[Action]],
        *,
        typed: str | None = None,
        bounded: bool = True,
    ) -> list[Action]:
        """Do something with a peer, by its nick then, once the step of a conversation has ended.

        `typed` is a text of the user that it would send.  UsageError if too much waits already.
        """
        peer = self._conversations.peers[talk.peer]

        def in_turn() -> Sequence[Action]:
            try:
                # What has come to nothing may have been begun anew, by one of those before this one.
                now = self._conversations.find(self._conversations.recipient(peer.nick).key)
                if now is not None and now in self._turns:
                    return self.behind(now, job, typed=typed, bounded=False)
                return job(peer.nick)
            except OtrcoreError as error:
                return [ShowNote(peer.nick, (str(error),))]
            except Exception as error:
                return [ShowNote(peer.nick, (BROKEN.format("done", type(error).__name__),))]

        self._turns.behind(talk, in_turn, typed=typed, bounded=bounded)
        return []

    def do(self, talk: Conversation, step: Callable[[], list[Event]], *, slow: bool = False) -> list[Action]:
        """Let a conversation do something, in its lane if that is `slow`."""
        if talk in self._turns:
            return self.behind(talk, lambda nick: self._do_late(talk, step, slow=slow), bounded=False)
        peer = self._conversations.peers[talk.peer]
        self._conversations.fit(talk, peer.nick)
        peer.memory = talk.memory
        if not slow:
            return self._done(talk, step)
        peer.state = talk.state
        return self._turns.run(talk, step, partial(self._done, talk), lambda actions: actions) or []

    def _do_late(self, talk: Conversation, step: Callable[[], list[Event]], *, slow: bool) -> list[Action]:
        """Let a conversation do something, unless it is over and forgotten by now."""
        return self.do(talk, step, slow=slow) if self._conversations.find(talk.peer) is talk else []

    def _done(self, talk: Conversation, result: Callable[[], list[Event]]) -> list[Action]:
        """Turn what a step has brought about into actions."""
        peers = self._conversations.peers
        nick = peers[talk.peer].nick
        try:
            return self._reactions.to(talk, result())
        except OtrcoreError as error:
            peers[talk.peer].wanted &= talk.starting
            self._conversations.settle(talk)
            return [ShowNote(nick, (str(error),))]
        # A bug over one conversation must not keep the others from ending, or from hearing the clock.
        except Exception as error:
            return [ShowNote(nick, (BROKEN.format("done", type(error).__name__),))]
