"""Verifying a peer by a secret that our user is asked for."""

from __future__ import annotations

from ..conversation import Conversation
from ..model import MessageState
from . import texts
from .actions import Action, AskSecret, ShowNote
from .conversations import Conversations
from .lines import one_line
from .prompts import Prompts
from .steps import Steps
from .wishes import Wishes


class Verification:
    """Asks for secrets, and uses them once they are there.

    UsageError if there cannot be a conversation with a peer.
    """

    def __init__(self, conversations: Conversations, prompts: Prompts, steps: Steps, wishes: Wishes) -> None:
        self._conversations = conversations
        self._prompts = prompts
        self._steps = steps
        self._wishes = wishes

    def ask(self, nick: str, question: str | None) -> list[Action]:
        """Begin to verify a peer: ask our user for the secret first."""
        talk = self._wishes.talk(nick)
        if talk is None or talk.state is not MessageState.ENCRYPTED:
            return [ShowNote(nick, (texts.not_yet_to_verify(nick, talk),))]
        if question is not None and len(question) > texts.MAX_QUESTION:
            return [ShowNote(nick, (f"The question to {nick} is too long: ask a shorter one.",))]
        asked = one_line(question) if question else None
        return [self._prompts.open(talk.peer, nick, asked or None, by_peer=False)]

    def answer(self, nick: str) -> list[Action]:
        """Begin to answer a peer that verifies us: ask our user for the secret."""
        talk = self._wishes.talk(nick)
        if talk is None or talk.state is not MessageState.ENCRYPTED:
            return [ShowNote(nick, (texts.not_yet_to_verify(nick, talk),))]
        if not talk.smp_waiting:
            return [ShowNote(nick, (f"{nick} has asked nothing: /otr smp ask to ask {nick}.",))]
        question = self._conversations.peers[talk.peer].question
        return [self._prompts.open(talk.peer, nick, question, by_peer=True)]

    def abort(self, nick: str) -> list[Action]:
        """End a verification, or refuse one."""
        talk = self._wishes.talk(nick)
        closing = self._prompts.close(talk.peer) if talk else ()
        if talk is not None and talk.smp_running:
            return [*closing, *self._wishes.do(nick, Conversation.smp_abort)]
        nothing = f"{nick} was asked nothing." if closing else f"No verification with {nick} is under way."
        return [*closing, ShowNote(nick, (nothing,))]

    def secret(self, prompt: AskSecret, secret: str) -> list[Action]:
        """Take the secret that was asked for; an empty one calls the verification off."""
        key = self._prompts.find(prompt)
        nick = prompt.peer if key is None else self._conversations.peers[key].nick
        return self._steps.in_turn(nick, lambda nick: self._secret(prompt, secret))

    def _secret(self, prompt: AskSecret, secret: str) -> list[Action]:
        key = self._prompts.take(prompt)
        talk = self._conversations.find(key) if key is not None else None
        if key is None or talk is None:
            return [ShowNote(prompt.peer, (_NOT_ASKED,))]
        peer = self._conversations.peers[key]
        nick = peer.nick
        if not secret:
            return self.abort(nick) if prompt.by_peer else [ShowNote(nick, (f"{nick} was asked nothing.",))]
        peer.asked = prompt.question is not None and not prompt.by_peer
        if prompt.by_peer:
            return self._wishes.do(nick, lambda talk: talk.smp_answer(secret), slow=True)
        return self._wishes.do(nick, lambda talk: talk.smp_start(secret, prompt.question), slow=True)


_NOT_ASKED = (
    "That secret is not asked for any more: it was neither used nor kept. "
    "/otr status tells how the conversation stands."
)
