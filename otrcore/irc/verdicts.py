"""What becomes of a message, in or out: it passes as it is, or as another text, or something else is done.

An internal error lets nothing out: the verdict is then DROP, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from ..conversation import SMALLEST_LINE_LIMIT, Conversation
from ..errors import OtrcoreError
from ..events import Event, NotSent, Received, Transmit
from ..model import MessageState, Protection
from ..policy import Policy, Tagging
from ..wire.text import MARK, TAG_BASE
from .actions import Action, Decision, Send, ShowMessage, ShowNote, ShowOwn, Verdict
from .conversations import Conversations
from .lines import Command, display_lines, one_line, split_action, split_text
from .names import Addressed, Payload, Recipient, Target
from .presence import Presence
from .reactions import ACTION_PREFIX, Reactions
from .renewal import Renewal
from .steps import BROKEN, Steps
from .turns import Turns


class Verdicts:
    """Judges messages that came, and those that the user wants sent."""

    def __init__(
        self,
        presence: Presence,
        conversations: Conversations,
        turns: Turns,
        reactions: Reactions,
        steps: Steps,
        renewal: Renewal,
    ) -> None:
        self._presence = presence
        self._conversations = conversations
        self._turns = turns
        self._reactions = reactions
        self._steps = steps
        self._renewal = renewal

    def incoming(
        self, sender: str, target: str, text: str, command: str, said: str | None = None
    ) -> Decision:
        """Judge a message that came; PASS means: show it as any other."""
        clean = one_line(text)
        decision = _or_dropped(sender, "shown", lambda: self._incoming(sender, target, clean, command, said))
        return replace(_cleaned(decision, text, clean), actions=_said(decision.actions, said))

    def outgoing(self, targets: str, text: str, command: Command) -> list[Decision]:
        """Judge a message that the user wants sent, once for each target; PASS means: send it as it is."""
        clean = one_line(text)
        addressed = self._conversations.classify(targets, clean)
        return [
            _cleaned(
                _or_dropped(
                    recipient.name,
                    "sent",
                    partial(self._outgoing, recipient, addressed.payload, addressed.text, command),
                    typed=_as_typed(addressed.payload, addressed.text),
                ),
                text,
                clean,
            )
            for recipient in addressed.recipients
        ]

    def withdraw(self, targets: str, text: str) -> None:
        """Let a text not leave any more that was judged by `outgoing`, as the user has it back."""
        addressed = self._conversations.classify(targets, one_line(text))
        typed = _as_typed(addressed.payload, addressed.text)
        for recipient in addressed.recipients:
            talk = self._conversations.find(recipient.key)
            if talk is None or (talk in self._turns and self._turns.withdraw(talk, typed)):
                continue
            self._steps.do(talk, partial(_withdraw, talk, typed))

    def _incoming(self, sender: str, target: str, text: str, command: str, said: str | None) -> Decision:
        self._renewal.catch_up()
        conversations, presence = self._conversations, self._presence
        if conversations.account is None or not presence.is_own(target) or presence.is_own(sender):
            return Decision(sender, Verdict.PASS)
        addressed = conversations.classify(sender, text)
        recipient = addressed.recipients[0] if addressed.recipients else None
        if recipient is None or recipient.kind is not Target.PERSON or addressed.payload is Payload.CTCP:
            return Decision(sender, Verdict.PASS)
        talk = conversations.find(recipient.key)
        if talk is not None and talk in self._turns:

            def hear(nick: str) -> Sequence[Action]:
                own = presence.nick
                judged = _or_dropped(nick, "shown", lambda: self._incoming(nick, own, text, command, said))
                return _said(_shown_late(judged, addressed, command), said)

            self._steps.behind(talk, hear)
            return Decision(sender, Verdict.DROP)
        requires = conversations.policy(recipient.key).require_encryption
        if command != "PRIVMSG" or addressed.payload is Payload.ACTION:
            plain = not requires and (talk is None or talk.state is MessageState.PLAINTEXT)
            return _aside(sender, plain, command, addressed)
        if talk is None and not requires and MARK not in text and TAG_BASE not in text:
            return Decision(sender, Verdict.PASS)
        talk = conversations.open(recipient)

        def then(result: Callable[[], list[Event]]) -> Decision:
            return _or_dropped(sender, "shown", lambda: self._heard(talk, sender, text, result))

        peer = conversations.peers[talk.peer]
        peer.memory = talk.memory
        if MARK not in text and TAG_BASE not in text and not talk.joining:
            return then(partial(talk.receive, text))
        peer.state = talk.state
        judged = self._turns.run(
            talk,
            partial(talk.receive, text),
            then,
            lambda late: _said(_shown_late(late, addressed, command), said),
        )
        return judged or Decision(sender, Verdict.DROP)

    def _heard(
        self, talk: Conversation, sender: str, text: str, result: Callable[[], list[Event]]
    ) -> Decision:
        """Judge what a line has turned out to be."""
        events = result()
        first = events[0] if events else None
        if isinstance(first, Received) and first.protection is Protection.PLAIN:
            verdict = Verdict.PASS if first.text == text else Verdict.REPLACE
            return Decision(sender, verdict, tuple(self._reactions.to(talk, events[1:])), first.text)
        return Decision(sender, Verdict.DROP, tuple(self._reactions.to(talk, events)))

    def _outgoing(self, recipient: Recipient, payload: Payload, text: str, command: Command) -> Decision:
        self._renewal.catch_up()
        conversations, name = self._conversations, recipient.name
        talk = conversations.find(recipient.key)
        if recipient.kind is not Target.PERSON or conversations.account is None:
            return Decision(name, Verdict.PASS)
        if command != "PRIVMSG" and payload is Payload.CTCP:
            # The client's own answer to a CTCP, nothing that anybody typed.
            return Decision(name, Verdict.PASS)
        if talk is not None and talk in self._turns:
            late = partial(self._sent_late, payload=payload, text=text, command=command)
            self._steps.behind(talk, late, typed=_as_typed(payload, text))
            return Decision(name, Verdict.DROP)
        policy = conversations.policy(recipient.key)
        if command != "PRIVMSG" or payload is Payload.CTCP:
            plain = talk is None or (talk.state is MessageState.PLAINTEXT and not talk.starting)
            if plain and not policy.require_encryption:
                return Decision(name, Verdict.PASS)
            why = f"Not sent: notices and CTCP cannot be encrypted. Write to {name} in an ordinary message."
            return _refused(name, why, typed=_as_typed(payload, text))
        if talk is None and not policy.require_encryption and not self._offers(recipient.key, policy):
            return Decision(name, Verdict.PASS)
        if talk is None:
            talk = conversations.open(recipient)
        conversations.fit(talk, name)
        if talk.state is not MessageState.PLAINTEXT or talk.starting or policy.require_encryption:
            self._presence.require_room(name)
        events = talk.send(_as_typed(payload, text), may_tag=payload is Payload.TEXT)
        plain_line = next((event for event in events if isinstance(event, Transmit) and event.plain), None)
        if plain_line is not None:
            conversations.settle(talk)
            tagged = plain_line.lines[0]
            if payload is Payload.TEXT and tagged != text:
                return Decision(name, Verdict.REPLACE, text=tagged)
            return Decision(name, Verdict.PASS)
        conversations.peers[talk.peer].wanted = True
        own = (
            []
            if any(isinstance(event, NotSent) for event in events)
            else [ShowOwn(recipient.nick, text, payload is Payload.ACTION)]
        )
        return Decision(name, Verdict.DROP, (*own, *self._reactions.to(talk, events)))

    def _sent_late(self, nick: str, payload: Payload, text: str, command: Command) -> Sequence[Action]:
        """Send what the user typed while a step was under way."""
        typed, recipient = _as_typed(payload, text), self._conversations.recipient(nick)
        if recipient.kind is not Target.PERSON:
            # It was typed to a person, who has had such a name given since.
            return _refused(nick, f"Not sent: {nick} is not one person.", typed).actions
        judged = _or_dropped(
            nick, "sent", lambda: self._outgoing(recipient, payload, text, command), typed=typed
        )
        if judged.verdict is Verdict.DROP:
            return judged.actions
        line = judged.text if judged.text is not None else text
        room = max(SMALLEST_LINE_LIMIT, self._presence.room(nick))
        lines = tuple((split_action if payload is Payload.ACTION else split_text)(line, room))
        own = ShowOwn(nick, text, payload is Payload.ACTION, encrypted=False)
        return [Send(nick, lines, command), own, *judged.actions]

    def _offers(self, key: str, policy: Policy) -> bool:
        """Whether a plain text to somebody without a conversation may offer OTR."""
        known = policy.send_tag is Tagging.KNOWN and bool(self._conversations.memory(key).versions)
        return bool(policy.versions) and (known or policy.send_tag is Tagging.EVERYBODY)


def _or_dropped(name: str, verb: str, judge: Callable[[], Decision], typed: str | None = None) -> Decision:
    """Judge a message; whatever goes wrong ends in DROP."""
    try:
        return judge()
    except OtrcoreError as error:
        return _refused(name, str(error), typed)
    # A bug of ours must let no text out that should have been encrypted, and show none of unknown protection.
    except Exception as error:
        return _refused(name, BROKEN.format(verb, type(error).__name__), typed)


def _cleaned(decision: Decision, text: str, clean: str) -> Decision:
    """A message that passes does so without what would end its line."""
    if decision.verdict is Verdict.PASS and text != clean:
        return replace(decision, verdict=Verdict.REPLACE, text=clean)
    return decision


def _as_typed(payload: Payload, text: str) -> str:
    """Return the text as it was typed, and as it travels inside OTR."""
    return ACTION_PREFIX + text if payload is Payload.ACTION else text


def _refused(name: str, why: str, typed: str | None = None) -> Decision:
    return Decision(name, Verdict.DROP, (ShowNote(name, (why,), typed=typed),))


def _aside(sender: str, plain: bool, command: str, addressed: Addressed) -> Decision:
    """Notices and CTCP never carry OTR; where encryption is expected they are told apart from it."""
    if plain or addressed.payload is Payload.CTCP:
        return Decision(sender, Verdict.PASS)
    shown = ShowMessage(
        sender,
        (addressed.text,),
        Protection.UNEXPECTED_PLAIN,
        is_action=addressed.payload is Payload.ACTION,
        is_notice=command != "PRIVMSG",
    )
    return Decision(sender, Verdict.DROP, (shown,))


def _shown_late(judged: Decision, addressed: Addressed, command: str) -> Sequence[Action]:
    """Show a message that the client has let go of already."""
    if judged.verdict is Verdict.DROP:
        return judged.actions
    text = judged.text if judged.text is not None else addressed.text
    shown = ShowMessage(
        judged.target,
        display_lines(text),
        Protection.PLAIN,
        is_action=addressed.payload is Payload.ACTION,
        is_notice=command != "PRIVMSG",
    )
    return [shown, *judged.actions]


def _said(actions: Sequence[Action], said: str | None) -> tuple[Action, ...]:
    """Have messages shown as of when they were said."""
    return tuple(
        replace(action, said=said) if isinstance(action, ShowMessage) else action for action in actions
    )


def _withdraw(talk: Conversation, text: str) -> list[Event]:
    talk.withdraw(text)
    return []
