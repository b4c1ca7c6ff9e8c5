"""What follows from a conversation's events: actions for the client, and what is remembered of the peer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..conversation import Conversation
from ..events import (
    Event,
    MemoryChanged,
    NotSent,
    Received,
    SessionEnded,
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    Transmit,
)
from ..model import Trust
from ..wire.header import VERSION_4
from . import texts
from .actions import Action, Send, ShowMessage, ShowNote
from .conversations import Conversations, Peer
from .lines import display_lines, one_line
from .people import People
from .prompts import Prompts

ACTION_PREFIX = "/me "
"""How an action travels inside an OTR message, by custom of all clients."""


class Reactions:
    """Turns events into actions."""

    def __init__(
        self,
        conversations: Conversations,
        people: People,
        prompts: Prompts,
        keep_profile: Callable[[], None],
    ) -> None:
        """`keep_profile` saves our client profile, which a conversation has opened with."""
        self._conversations = conversations
        self._people = people
        self._prompts = prompts
        self._keep_profile = keep_profile

    def to(self, talk: Conversation, events: Sequence[Event]) -> list[Action]:
        """Turn events into actions; a conversation that has nothing to go on with is forgotten."""
        peer = self._conversations.peers[talk.peer]
        events, familiar = self._people.recognise(talk, events)
        nick, standing = peer.nick, texts.Standing.of(talk, asked=peer.asked)
        if not talk.starting:
            peer.wanted = False
        superseded = any(isinstance(event, SmpAsked) for event in events)
        actions: list[Action] = []
        for event in events:
            match event:
                case Transmit(lines):
                    actions.append(Send(nick, tuple(map(one_line, lines))))
                case Received(text, protection):
                    is_action = text.startswith(ACTION_PREFIX)
                    shown = text.removeprefix(ACTION_PREFIX) if is_action else text
                    actions.append(ShowMessage(nick, display_lines(shown), protection, is_action))
                case SessionOpened(info):
                    if info.version == VERSION_4:
                        self._keep_profile()
                    self._people.memories.met(talk.peer, info.their_fingerprint)
                    actions += self._people.remember(talk.peer, self._people.brought(talk, peer.memory))
                    actions.append(ShowNote(nick, texts.explain(event, nick, standing, familiar), event))
                case MemoryChanged():
                    # As it is now: trust may have been added to what the event has.
                    actions += self._people.judged(talk.peer, self._people.brought(talk, peer.memory))
                case SmpFailed(trusts=True):
                    actions.append(ShowNote(nick, texts.explain(event, nick, standing), event))
                    for session in talk.sessions:
                        if talk.memory.trust(session.their_fingerprint) is Trust.NONE:
                            actions += self._people.doubt(talk.peer, session.their_fingerprint)
                case SmpAborted(SmpEnd.HERE) if superseded:
                    pass  # not by our user: the newer question has taken its place
                case _:
                    lines = texts.explain(event, nick, standing)
                    typed = event.text if isinstance(event, NotSent) else None
                    if lines:
                        actions.append(ShowNote(nick, lines, event, typed))
            actions += self._prompting(talk.peer, peer, event, superseded)
        self._conversations.settle(talk)
        return actions

    def _prompting(self, key: str, peer: Peer, event: Event, superseded: bool) -> Sequence[Action]:
        """Keep what our user is asked for in step with what the secret would be used for."""
        match event:
            case SmpAsked(question):
                peer.question = texts.shown_question(question) if question else None
                if key in self._prompts:
                    return [self._prompts.open(key, peer.nick, peer.question, by_peer=True)]
            case SessionOpened() | SessionEnded():
                return self._prompts.close(key)
            case SmpAborted() if not superseded:
                return self._prompts.close(key)
        return ()
