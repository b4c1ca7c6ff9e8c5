"""OTR for one IRC connection: every message, in or out, gets a verdict and actions.

Pure: the host of this (bot, terminal client, engine of a chat client) does the input
and output.  It asks for a verdict on each private message and carries out the actions
strictly in their order; what time brings comes through the sink.

An internal error lets nothing out: the verdict is then DROP, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from ..account import Account
from ..conversation import Conversation
from ..errors import OtrcoreError
from ..events import Event, NotSent, Received, Transmit
from ..model import Fingerprint, MessageState, Protection
from ..wire.text import MARK, TAG_BASE
from . import texts
from .isupport import Features
from .lines import display_lines, one_line, text_limit
from .names import SERVICES, Addressed, Payload, Recipient, Target, classify, fold, network_name

MAX_CONVERSATIONS = 500

ACTION_PREFIX = "/me "
"""How an action travels inside an OTR message, by custom of all clients."""


class Verdict(Enum):
    """What becomes of the message that was asked about."""

    PASS = "as it is"
    REPLACE = "with another text"
    DROP = "not at all; what is to be done instead is in the actions"


@dataclass(frozen=True, slots=True)
class Send:
    """Send these lines to `target` as PRIVMSGs, together and in this order."""

    target: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShowMessage:
    """Show a message of the peer, and how it came."""

    peer: str
    lines: tuple[str, ...]
    protection: Protection
    is_action: bool = False


@dataclass(frozen=True, slots=True)
class ShowNote:
    """Show lines of our own about the conversation; `event` is what they are about.

    `typed` is a text of the user that was not sent: it must stay within reach.
    """

    peer: str
    lines: tuple[str, ...]
    event: Event | None = None
    typed: str | None = None


Action = Send | ShowMessage | ShowNote


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer about one message to, or from, one target."""

    target: str
    verdict: Verdict
    actions: tuple[Action, ...] = ()
    text: str | None = None


class IrcHost:
    """All conversations on one connection."""

    def __init__(
        self,
        client_name: str,
        account_for: Callable[[str], Account],
        sink: Callable[[Sequence[Action]], None],
        services: frozenset[str] = SERVICES,
    ) -> None:
        """`client_name` is what the client calls the network; `account_for` takes its canonical name.

        `services` are folded nicks that are no persons, besides those that are named like it.
        """
        self._services = services
        self._client_name = client_name
        self._account_for = account_for
        self._sink = sink
        self._features = Features()
        self._nick = ""
        self._mask: str | None = None
        self._account: Account | None = None
        self._network = ""
        self._names: dict[str, str] = {}
        """The nick, as last seen, behind each key of a conversation."""

    @property
    def network(self) -> str:
        """Canonical name of the network; empty before `connected`."""
        return self._network

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Our fingerprint on this network; None before `connected`."""
        return self._account.identity.fingerprint if self._account is not None else None

    def connected(self, nick: str, features: Features, mask: str | None = None) -> None:
        """Registered under this nick with a server of these features; StoreError if keys cannot be had."""
        network = network_name(features, self._client_name)
        if self._account is None or network != self._network:
            self._account = self._account_for(network)
        self._network, self._nick, self._features, self._mask = network, nick, features, mask

    def mask_changed(self, nick: str, mask: str | None) -> None:
        """Our own nick and nick!user@host, as others see them, are now these."""
        self._nick, self._mask = nick, mask

    def incoming(self, sender: str, target: str, text: str, command: str = "PRIVMSG") -> Decision:
        """Judge a message that came; PASS means: show it as any other."""
        try:
            return self._incoming(sender, target, one_line(text), command)
        except OtrcoreError as error:
            return _refused(sender, str(error))
        # A bug of ours must show neither ciphertext nor a text of unknown protection.
        except Exception as error:
            return _refused(sender, _BROKEN.format("shown", type(error).__name__))

    def outgoing(self, targets: str, text: str, command: str = "PRIVMSG") -> list[Decision]:
        """Judge a message that the user wants sent, once for each target; PASS means: send it as it is."""
        addressed = self._classify(targets, one_line(text))
        decisions = []
        for recipient in addressed.recipients:
            try:
                decisions.append(self._outgoing(recipient, addressed.payload, addressed.text, command))
            # A bug of ours must not let a text out that should have been encrypted.
            except Exception as error:
                why = _BROKEN.format("sent", type(error).__name__)
                decisions.append(_refused(recipient.name, why, typed=addressed.text))
        return decisions

    def start(self, nick: str) -> list[Action]:
        """Ask a peer for an encrypted conversation; in one, say what to do there instead."""
        talk = self._find(fold(nick, self._features))
        if talk is not None and talk.state is MessageState.ENCRYPTED:
            return self.status(nick)
        return self._command(nick, Conversation.start)

    def end(self, nick: str) -> list[Action]:
        """End the encrypted conversation with a peer, or the attempt to start one."""
        if self._find(fold(nick, self._features)) is None:
            return self.status(nick)
        return self._command(nick, Conversation.end)

    def status(self, nick: str) -> list[Action]:
        """Tell how a conversation stands."""
        talk = self._find(fold(nick, self._features))
        state, starting = (talk.state, talk.starting) if talk else (MessageState.PLAINTEXT, False)
        return [ShowNote(nick, texts.status(state, starting, talk.info if talk else None, nick))]

    def state(self, nick: str) -> MessageState:
        """Return the message state of the conversation with a peer."""
        talk = self._find(fold(nick, self._features))
        return talk.state if talk else MessageState.PLAINTEXT

    def nick_changed(self, old: str, new: str) -> None:
        """Follow somebody, perhaps ourselves, to another nick; the server vouches for the person."""
        old_key, new_key = fold(old, self._features), fold(new, self._features)
        if self._is_own(old):
            self._nick = new
        elif self._account is not None and old_key in self._account:
            self._account.rename(old_key, new_key)
            del self._names[old_key]
            self._names[new_key] = new

    def gone(self, nick: str, reason: str) -> list[Action]:
        """Somebody is not on the network (any more): whoever comes under that nick next is somebody else."""
        note = ShowNote(nick, (f"{nick} is not there: {one_line(reason) or 'no reason given'}.",))
        talk = self._find(fold(nick, self._features))
        return [note, *self._act(talk, talk.lose())] if talk else [note]

    def shutdown(self) -> list[Action]:
        """End every encrypted conversation properly, as the client is about to leave."""
        talks = list(self._account or ())
        return [action for talk in talks for action in self._act(talk, talk.end())]

    @property
    def next_tick(self) -> float | None:
        """When `tick` is to be called next, by the account's clock; None for never."""
        times = (talk.next_tick for talk in self._account or ())
        return min((time for time in times if time is not None), default=None)

    def tick(self) -> None:
        """Do what time asks for; the actions go to the sink."""
        for talk in self._account or ():
            actions = self._act(talk, talk.tick())
            if actions:
                self._sink(actions)

    def _incoming(self, sender: str, target: str, text: str, command: str) -> Decision:
        account = self._account
        if account is None or not self._is_own(target) or self._is_own(sender):
            return Decision(sender, Verdict.PASS)
        addressed = self._classify(sender, text)
        recipient = addressed.recipients[0] if addressed.recipients else None
        if recipient is None or recipient.kind is not Target.PERSON:
            return Decision(sender, Verdict.PASS)
        talk = self._find(recipient.key)
        if command != "PRIVMSG" or addressed.payload in (Payload.ACTION, Payload.CTCP):
            return _aside(sender, talk, addressed.payload, addressed.text)
        if talk is None and MARK not in text and TAG_BASE not in text:
            return Decision(sender, Verdict.PASS)
        talk = self._open(account, recipient.key, sender)
        events = talk.receive(text)
        first = events[0] if events else None
        if isinstance(first, Received) and first.protection is Protection.PLAIN:
            verdict = Verdict.PASS if first.text == text else Verdict.REPLACE
            return Decision(sender, verdict, tuple(self._act(talk, events[1:])), first.text)
        return Decision(sender, Verdict.DROP, tuple(self._act(talk, events)))

    def _outgoing(self, recipient: Recipient, payload: Payload, text: str, command: str) -> Decision:
        name = recipient.name
        talk = self._find(recipient.key)
        if recipient.kind is not Target.PERSON or talk is None:
            return Decision(name, Verdict.PASS)
        if command != "PRIVMSG" or payload is Payload.CTCP:
            # A CTCP in a notice is the client's own answer to one, nothing that anybody typed.
            automatic = command != "PRIVMSG" and payload is Payload.CTCP
            if automatic or talk.state is MessageState.PLAINTEXT:
                return Decision(name, Verdict.PASS)
            why = f"Not sent: notices and CTCP cannot be encrypted. Write to {name} in an ordinary message."
            return _refused(name, why, typed=text)
        self._fit(talk, name)
        events = talk.send(ACTION_PREFIX + text if payload is Payload.ACTION else text)
        if any(isinstance(event, Transmit) and event.plain for event in events):
            return Decision(name, Verdict.PASS)
        return Decision(name, Verdict.DROP, tuple(self._act(talk, events)))

    def _command(self, nick: str, command: Callable[[Conversation], list[Event]]) -> list[Action]:
        recipients = self._classify(nick, "").recipients
        if len(recipients) != 1 or recipients[0].kind is not Target.PERSON:
            return [ShowNote(nick, (f"OTR works between two people, and {nick!r} is not one person.",))]
        if self._account is None:
            return [ShowNote(nick, ("Not connected yet: try again in a moment.",))]
        try:
            talk = self._open(self._account, recipients[0].key, nick)
            return self._act(talk, command(talk))
        except OtrcoreError as error:
            return [ShowNote(nick, (str(error),))]

    def _classify(self, targets: str, text: str) -> Addressed:
        return classify(targets, text, self._features, self._services)

    def _find(self, key: str) -> Conversation | None:
        if self._account is None or key not in self._account:
            return None
        return self._account.conversation(key)

    def _open(self, account: Account, key: str, nick: str) -> Conversation:
        """Return the conversation; a new one may cost one that has come to nothing, if there are too many."""
        if key not in account and len(account) >= MAX_CONVERSATIONS:
            spare = next((talk for talk in account if talk.state is MessageState.PLAINTEXT), None)
            if spare is None:
                raise OtrcoreError("Too many encrypted conversations: end one of them first.")
            self._forget(spare)
        self._names[key] = nick
        talk = account.conversation(key)
        self._fit(talk, nick)
        return talk

    def _forget(self, talk: Conversation) -> None:
        if self._account is not None:
            self._account.forget(talk.peer)
        self._names.pop(talk.peer, None)

    def _fit(self, talk: Conversation, nick: str) -> None:
        talk.line_limit = text_limit(self._nick, self._mask, nick)

    def _act(self, talk: Conversation, events: Sequence[Event]) -> list[Action]:
        """Turn events into actions; a conversation that has nothing to remember is forgotten."""
        nick = self._names[talk.peer]
        if talk.idle:
            self._forget(talk)
        actions: list[Action] = []
        for event in events:
            match event:
                case Transmit(lines):
                    actions.append(Send(nick, tuple(map(one_line, lines))))
                case Received(text, protection):
                    is_action = text.startswith(ACTION_PREFIX)
                    shown = text.removeprefix(ACTION_PREFIX) if is_action else text
                    actions.append(ShowMessage(nick, display_lines(shown), protection, is_action))
                case _:
                    lines = texts.explain(event, nick, talk.state)
                    typed = event.text if isinstance(event, NotSent) else None
                    if lines:
                        actions.append(ShowNote(nick, lines, event, typed))
        return actions

    def _is_own(self, nick: str) -> bool:
        return fold(nick, self._features) == fold(self._nick, self._features)


_BROKEN = "Not {}, because of an error inside OTR ({}): please report it."


def _refused(name: str, why: str, typed: str | None = None) -> Decision:
    return Decision(name, Verdict.DROP, (ShowNote(name, (why,), typed=typed),))


def _aside(sender: str, talk: Conversation | None, payload: Payload, text: str) -> Decision:
    """Notices and CTCP never carry OTR; inside an encrypted conversation they are told apart from it."""
    if talk is None or talk.state is MessageState.PLAINTEXT or payload is Payload.CTCP:
        return Decision(sender, Verdict.PASS)
    is_action = payload is Payload.ACTION
    return Decision(
        sender,
        Verdict.DROP,
        (ShowMessage(sender, (text,), Protection.UNEXPECTED_PLAIN, is_action),),
    )
