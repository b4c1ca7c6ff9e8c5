"""OTR for one IRC connection: every message, in or out, gets a verdict and actions.

Pure: the host of this (bot, terminal client, engine of a chat client) does the input
and output.  It asks for a verdict on each private message and carries out the actions
strictly in their order; what time brings comes through the sink.

An internal error lets nothing out: the verdict is then DROP, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from ..account import Account
from ..conversation import SMALLEST_LINE_LIMIT, Conversation
from ..errors import OtrcoreError
from ..events import (
    Event,
    HandshakeFailed,
    NotSent,
    Received,
    SessionEnded,
    SessionOpened,
    SmpAsked,
    Transmit,
)
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
    is_notice: bool = False


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
        self._asked: set[str] = set()
        """The keys of those whom our user has asked for an encrypted conversation that is not there yet."""
        self._unticked: set[str] = set()
        """The keys of conversations whose clock has failed."""

    @property
    def network(self) -> str:
        """Canonical name of the network; empty before `connected`."""
        return self._network

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Our fingerprint on this network; None before `connected`."""
        return self._account.identity.fingerprint if self._account is not None else None

    def connected(self, nick: str, features: Features, mask: str | None = None) -> None:
        """Registered under this nick with a server of these features; StoreError if keys cannot be had.

        If it turns out to be another network than before, or one that tells nicks apart in another way,
        the people there are others: what was encrypted is over, and the sink is told.
        """
        network = network_name(features, self._client_name)
        same = network == self._network and features.casemapping == self._features.casemapping
        if self._account is None or not same:
            account = self._account_for(network)
            over = [
                self._names[talk.peer]
                for talk in self._account or ()
                if talk.starting or talk.state is not MessageState.PLAINTEXT
            ]
            if over:
                ended = SessionEnded(by_peer=True)
                self._sink([ShowNote(nick, (_ELSEWHERE.format(nick),), ended) for nick in over])
            self._account = account
            for memory in (self._names, self._asked, self._unticked):
                memory.clear()
        self._network, self._nick, self._features, self._mask = network, nick, features, mask

    def mask_changed(self, nick: str, mask: str | None) -> None:
        """Our own nick and nick!user@host, as others see them, are now these."""
        self._nick, self._mask = nick, mask

    def incoming(self, sender: str, target: str, text: str, command: str = "PRIVMSG") -> Decision:
        """Judge a message that came; PASS means: show it as any other."""
        clean = one_line(text)
        decision = _guarded(sender, "shown", lambda: self._incoming(sender, target, clean, command))
        return _cleaned(decision, text, clean)

    def outgoing(self, targets: str, text: str, command: str = "PRIVMSG") -> list[Decision]:
        """Judge a message that the user wants sent, once for each target; PASS means: send it as it is."""
        clean = one_line(text)
        addressed = self._classify(targets, clean)
        return [
            _cleaned(
                _guarded(
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

    def start(self, nick: str) -> list[Action]:
        """Ask a peer for an encrypted conversation; in one, say what to do there instead."""
        if self.state(nick) is MessageState.ENCRYPTED:
            return self.status(nick)
        return self._command(nick, Conversation.start)

    def end(self, nick: str) -> list[Action]:
        """End the encrypted conversation with a peer, or the attempt to start one."""
        talk = self._find(self._recipient(nick).key)
        if talk is None or (talk.state is MessageState.PLAINTEXT and not talk.starting):
            return self.status(nick)
        return self._command(nick, Conversation.end)

    def status(self, nick: str) -> list[Action]:
        """Tell how a conversation stands."""
        talk = self._find(self._recipient(nick).key)
        state, starting = (talk.state, talk.starting) if talk else (MessageState.PLAINTEXT, False)
        return [ShowNote(nick, texts.status(state, starting, talk.info if talk else None, nick))]

    def state(self, nick: str) -> MessageState:
        """Return the message state of the conversation with a peer."""
        talk = self._find(self._recipient(nick).key)
        return talk.state if talk else MessageState.PLAINTEXT

    def nick_changed(self, old: str, new: str) -> None:
        """Follow somebody, perhaps ourselves, to another nick; the server vouches for the person."""
        old_key, new_key = fold(old, self._features), fold(new, self._features)
        if self._is_own(old):
            self._nick = new
            if self._mask is not None:
                self._mask = f"{new}!{self._mask.partition('!')[2]}"
            return
        talk, other = self._find(old_key), self._find(new_key)
        if other is not None and other is not talk and other.state is not MessageState.PLAINTEXT:
            # Whoever had that nick is gone without our hearing of it.
            self._sink(self._step(other, other.lose))
            if talk is None or talk.state is MessageState.PLAINTEXT:
                return
        if talk is not None and self._account is not None:
            self._account.rename(old_key, new_key)
            del self._names[old_key]
            self._names[new_key] = new
            for keys in (self._asked, self._unticked):
                if old_key in keys:
                    keys.remove(old_key)
                    keys.add(new_key)

    def gone(self, nick: str, reason: str) -> list[Action]:
        """Somebody is not on the network (any more): whoever comes under that nick next is somebody else."""
        note = ShowNote(nick, (f"{nick} is not there: {one_line(reason) or 'no reason given'}.",))
        talk = self._find(fold(nick, self._features))
        return [note, *self._step(talk, talk.lose)] if talk else [note]

    def shutdown(self) -> list[Action]:
        """End every encrypted conversation properly, as the client is about to leave."""
        return [action for talk in self._account or () for action in self._step(talk, talk.end)]

    @property
    def next_tick(self) -> float | None:
        """When `tick` is to be called next, by the account's clock; None for never."""
        times = (talk.next_tick for talk in self._account or () if talk.peer not in self._unticked)
        return min((time for time in times if time is not None), default=None)

    def tick(self) -> None:
        """Do what time asks for; the actions go to the sink."""
        for talk in self._account or ():
            if talk.peer in self._unticked:
                continue
            # Taken back once it went well: a clock that fails would otherwise be due again at once, for ever.
            self._unticked.add(talk.peer)
            actions = self._step(talk, partial(self._tick, talk))
            if actions:
                self._sink(actions)

    def _tick(self, talk: Conversation) -> list[Event]:
        events = talk.tick()
        self._unticked.discard(talk.peer)
        return events

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
            return _aside(sender, talk, command, addressed)
        if talk is None and MARK not in text and TAG_BASE not in text:
            return Decision(sender, Verdict.PASS)
        talk = self._open(account, recipient)
        events = talk.receive(text)
        if any(isinstance(event, SmpAsked) for event in events):
            # Nobody here can be asked for a secret, and the peer should not wait for an answer.
            events = [*events, *talk.smp_abort()]
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
            if automatic or (talk.state is MessageState.PLAINTEXT and not talk.starting):
                return Decision(name, Verdict.PASS)
            why = f"Not sent: notices and CTCP cannot be encrypted. Write to {name} in an ordinary message."
            return _refused(name, why, typed=_as_typed(payload, text))
        self._require_room(name)
        self._fit(talk, name)
        events = talk.send(_as_typed(payload, text))
        if any(isinstance(event, Transmit) and event.plain for event in events):
            return Decision(name, Verdict.PASS)
        return Decision(name, Verdict.DROP, tuple(self._act(talk, events)))

    def _command(self, nick: str, command: Callable[[Conversation], list[Event]]) -> list[Action]:
        recipient = self._recipient(nick)
        if recipient.kind is not Target.PERSON:
            return [ShowNote(nick, (f"OTR works between two people, and {nick!r} is not one person.",))]
        if self._account is None:
            return [ShowNote(nick, ("Not connected yet: try again in a moment.",))]
        try:
            if command is not Conversation.end:
                self._require_room(recipient.nick)
            talk = self._open(self._account, recipient)
        except OtrcoreError as error:
            return [ShowNote(nick, (str(error),))]
        self._asked.add(recipient.key)
        return self._step(talk, partial(command, talk))

    def _recipient(self, nick: str) -> Recipient:
        """Return whom a command means; a list of targets is nobody."""
        recipients = self._classify(nick, "").recipients
        return recipients[0] if len(recipients) == 1 else Recipient(nick, nick, Target.SERVER_MASK, nick)

    def _step(self, talk: Conversation, step: Callable[[], list[Event]]) -> list[Action]:
        """Let a conversation do something, so that whatever goes wrong in it stays there."""
        nick = self._names[talk.peer]
        try:
            self._fit(talk, nick)
            return self._act(talk, step())
        except OtrcoreError as error:
            return [ShowNote(nick, (str(error),))]
        # A bug over one conversation must not keep the others from ending, or from hearing the clock.
        except Exception as error:
            return [ShowNote(nick, (_BROKEN.format("done", type(error).__name__),))]

    def _classify(self, targets: str, text: str) -> Addressed:
        return classify(targets, text, self._features, self._services)

    def _find(self, key: str) -> Conversation | None:
        if self._account is None or key not in self._account:
            return None
        return self._account.conversation(key)

    def _open(self, account: Account, recipient: Recipient) -> Conversation:
        """Return the conversation; a new one may cost one that has come to nothing, if there are too many."""
        key = recipient.key
        if key not in account and len(account) >= MAX_CONVERSATIONS:
            unwanted = (
                talk
                for talk in account
                if talk.state is MessageState.PLAINTEXT and talk.peer not in self._asked
            )
            spare = next(unwanted, None)
            if spare is None:
                raise OtrcoreError("Too many encrypted conversations: end one of them first.")
            self._forget(spare)
        self._names[key] = recipient.nick
        talk = account.conversation(key)
        self._fit(talk, recipient.nick)
        return talk

    def _forget(self, talk: Conversation) -> None:
        if self._account is not None:
            self._account.forget(talk.peer)
        self._names.pop(talk.peer, None)
        self._asked.discard(talk.peer)
        self._unticked.discard(talk.peer)

    def _fit(self, talk: Conversation, nick: str) -> None:
        talk.line_limit = max(SMALLEST_LINE_LIMIT, text_limit(self._nick, self._mask, nick))

    def _require_room(self, nick: str) -> None:
        if text_limit(self._nick, self._mask, nick) < SMALLEST_LINE_LIMIT:
            raise OtrcoreError(
                f"The names that stand before a line to {nick} leave no room for OTR: take a shorter nick."
            )

    def _act(self, talk: Conversation, events: Sequence[Event]) -> list[Action]:
        """Turn events into actions; a conversation that has nothing to remember is forgotten."""
        nick = self._names[talk.peer]
        if any(isinstance(event, SessionOpened | SessionEnded | HandshakeFailed) for event in events):
            self._asked.discard(talk.peer)
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


_ELSEWHERE = (
    "This is another network than before: the encrypted conversation with {} is over. "
    "What you type goes out unencrypted."
)
_BROKEN = "Not {}, because of an error inside OTR ({}): please report it."


def _guarded(name: str, verb: str, judge: Callable[[], Decision], typed: str | None = None) -> Decision:
    """Judge a message; whatever goes wrong ends in DROP."""
    try:
        return judge()
    except OtrcoreError as error:
        return _refused(name, str(error), typed)
    # A bug of ours must let no text out that should have been encrypted, and show none of unknown protection.
    except Exception as error:
        return _refused(name, _BROKEN.format(verb, type(error).__name__), typed)


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


def _aside(sender: str, talk: Conversation | None, command: str, addressed: Addressed) -> Decision:
    """Notices and CTCP never carry OTR; inside an encrypted conversation they are told apart from it."""
    if talk is None or talk.state is MessageState.PLAINTEXT or addressed.payload is Payload.CTCP:
        return Decision(sender, Verdict.PASS)
    shown = ShowMessage(
        sender,
        (addressed.text,),
        Protection.UNEXPECTED_PLAIN,
        is_action=addressed.payload is Payload.ACTION,
        is_notice=command != "PRIVMSG",
    )
    return Decision(sender, Verdict.DROP, (shown,))
