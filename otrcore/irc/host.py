"""OTR for one IRC connection: every message, in or out, gets a verdict and actions.

Pure: the host of this (bot, terminal client, engine of a chat client) does the input
and output.  It asks for a verdict on each private message and carries out the actions
strictly in their order; what time brings comes through the sink.

An internal error lets nothing out: the verdict is then DROP, with a note.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from ..account import Account
from ..conversation import SMALLEST_LINE_LIMIT, Conversation, Offer
from ..errors import OtrcoreError, StoreError, UsageError
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
from ..identity import Identity
from ..memory import STRANGER, PeerMemory
from ..model import Fingerprint, MessageState, Protection, Trust
from ..policy import DEFAULT, Policy, Tagging
from ..wire.text import MARK, TAG_BASE
from . import texts
from .actions import Action, AskSecret, Decision, Send, ShowMessage, ShowNote, ShowOwn, Verdict
from .isupport import Features
from .keeper import Keeper
from .lanes import Inline, Lanes
from .lines import display_lines, one_line, split_text, text_limit
from .memories import Memories, RecentMemories, merged
from .names import SERVICES, Addressed, Payload, Recipient, Target, classify, fold, network_name
from .prompts import Prompts
from .turns import Turns

MAX_CONVERSATIONS = 500

MAX_TRUSTED_NICKS = 50
"""Nicks under which a key is trusted without the user's doing; its owner can take more without end."""

ACTION_PREFIX = "/me "
"""How an action travels inside an OTR message, by custom of all clients."""

_ACTION_FRAME = "\x01ACTION {}\x01"


@dataclass(slots=True)
class _Peer:
    """What belongs to one conversation and is not the conversation's own matter."""

    nick: str
    """As last seen."""
    wanted: bool = False
    """Our user has asked for something encrypted that is not there yet."""
    asked: bool = False
    """Our user has verified the peer by a question, which verifies the peer alone."""
    question: str | None = None
    """What the peer asked when it wanted to verify us."""
    clock_failed: bool = False
    state: MessageState = MessageState.PLAINTEXT
    """As it was before the step that is under way."""
    memory: PeerMemory = STRANGER
    """What the conversation remembered before the last step."""


@dataclass(frozen=True, slots=True)
class Overview:
    """How a conversation stands: with whom, and what a status line says of it."""

    key: str
    nick: str
    state: MessageState = MessageState.PLAINTEXT
    starting: bool = False
    trust: Trust = Trust.NONE
    version: int | None = None
    requires: bool = False


class IrcHost:
    """All conversations on one connection."""

    def __init__(
        self,
        client_name: str,
        keeper: Keeper,
        sink: Callable[[Sequence[Action]], None],
        services: frozenset[str] = SERVICES,
        lanes: Lanes | None = None,
    ) -> None:
        """`client_name` is what the client calls the network; `keeper` knows identities and people.

        `services` are folded nicks that are no persons, besides those that are named like it.  With
        `lanes` what takes long is done beside this thread: the answer then is DROP, or no actions,
        and what follows comes through the sink, in order.
        """
        self._services = services
        self._client_name = client_name
        self._keeper = keeper
        self._seen: Hashable = None
        """The keeper's version that all conversations know of."""
        self._trouble = ""
        """What the user has heard of the store, as long as it is so."""
        self._sink = sink
        self._features = Features()
        self._nick = ""
        self._mask: str | None = None
        self._account: Account | None = None
        self._network = ""
        self._memories: Memories = RecentMemories()
        self._prompts = Prompts()
        self._turns = Turns(Inline() if lanes is None else lanes, sink)
        self._limits: OrderedDict[str, int] = OrderedDict()
        self._peers: dict[str, _Peer] = {}
        """By the keys of their conversations."""

    @property
    def network(self) -> str:
        """Canonical name of the network; empty before `connected`."""
        return self._network

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Our fingerprint on this network; None before `connected`."""
        return self._account.identity.fingerprint if self._account is not None else None

    def connected(self, nick: str, features: Features, mask: str | None = None, *, server: str = "") -> None:
        """Registered under this nick with a server of these features; StoreError if keys cannot be had.

        `server` is the host that the user has the client connect to.

        If it turns out to be another network than before, or one that tells nicks apart in another way,
        the people there are others: what was encrypted is over, and the sink is told.
        """
        claim = network_name(features, self._client_name)
        network = self._keeper.place(claim, server or self._client_name)
        same = network == self._network and features.casemapping == self._features.casemapping
        if self._account is None or not same:
            self._seen = self._keeper.version()
            account, memories = self._keeper.account(network), self._keeper.memories(network)
            self._turns.finish()
            left = [action for talk in self._account or () for action in self._left_behind(talk)]
            if left:
                self._sink(left)
            self._account, self._memories = account, memories
            self._peers.clear()
        self._network, self._nick, self._features, self._mask = network, nick, features, mask
        self._tell_news()

    def disconnected(self) -> list[Action]:
        """The connection is lost, and with it whoever was talked with."""
        return [action for talk in self._account or () for action in self._step(talk, talk.lose)]

    def set_limit(self, nick: str, limit: int) -> None:
        """Take note how many bytes of text the client's own cutting leaves whole in a line to a nick."""
        key = self._recipient(nick).key
        self._limits[key] = limit
        self._limits.move_to_end(key)
        if len(self._limits) > MAX_CONVERSATIONS:
            self._limits.popitem(last=False)

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

    def withdraw(self, targets: str, text: str) -> None:
        """Let a text not leave any more that was judged by `outgoing`, as the user has it back."""
        addressed = self._classify(targets, one_line(text))
        typed = _as_typed(addressed.payload, addressed.text)
        for recipient in addressed.recipients:
            talk = self._find(recipient.key)
            if talk is None or (talk in self._turns and self._turns.withdraw(talk, typed)):
                continue
            self._step(talk, partial(_withdraw, talk, typed))

    def start(self, nick: str) -> list[Action]:
        """Ask a peer for an encrypted conversation; in one, say what to do there instead."""
        return self.in_turn(nick, self._start)

    def _start(self, nick: str) -> list[Action]:
        self.catch_up()
        if self.state(nick) is MessageState.ENCRYPTED:
            return self.status(nick)
        return self.refresh(nick)

    def refresh(self, nick: str) -> list[Action]:
        """Ask a peer for fresh keys, or for an encrypted conversation if there is none."""
        return self.in_turn(nick, self._refresh)

    def _refresh(self, nick: str) -> list[Action]:
        if self._account is not None and not self.policy(nick).versions:
            return [ShowNote(nick, texts.status(nick, self.policy(nick), None))]
        return self.do(nick, Conversation.start, slow=True)

    def in_turn(self, nick: str, job: Callable[[str], list[Action]], *, bounded: bool = True) -> list[Action]:
        """Do something with a peer, by its nick then, once a step has ended that is under way.

        If too much waits for that already, it is not done, and a note says so; unless it is not `bounded`.
        """
        talk = self._find(self._recipient(nick).key)
        if talk is None or talk not in self._turns:
            return job(nick)
        try:
            return self._behind(talk, job, bounded=bounded)
        except UsageError as error:
            return [ShowNote(nick, (str(error),))]

    def key(self, nick: str) -> str:
        """Return the same for everything that is a peer's nick on this network."""
        return self._recipient(nick).key

    def has(self, nick: str) -> bool:
        """Whether there is a conversation with a peer."""
        return self._find(self._recipient(nick).key) is not None

    def busy(self, nick: str) -> bool:
        """Whether a step of the conversation with a peer is under way."""
        return self._find(self._recipient(nick).key) in self._turns

    def end(self, nick: str) -> list[Action]:
        """End the encrypted conversation with a peer, or the attempt to start one."""
        return self.in_turn(nick, self._end, bounded=False)

    def _end(self, nick: str) -> list[Action]:
        talk = self._find(self._recipient(nick).key)
        if talk is None or (talk.state is MessageState.PLAINTEXT and not talk.starting):
            nothing = f"There is nothing to end: the conversation with {nick} is not encrypted."
            return [ShowNote(nick, (nothing,))]
        return self.do(nick, Conversation.end, sends=False)

    def status(self, nick: str) -> list[Action]:
        """Tell how a conversation stands."""
        return self.in_turn(nick, self._status)

    def _status(self, nick: str) -> list[Action]:
        self.catch_up()
        talk = self._find(self._recipient(nick).key)
        return [ShowNote(nick, texts.status(nick, self.policy(nick), talk))]

    def catch_up(self) -> None:
        """Go on with what other programs have changed, if anything; the sink hears what follows.

        Costs some microseconds where nothing has changed.
        """
        account = self._account
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
            self._memories.reload()
        except OtrcoreError as error:
            troubles.append(str(error))
        try:
            policy = self._keeper.policy(self._network)
        except OtrcoreError as error:
            troubles.append(str(error))
        try:
            identity = self._keeper.identity(self._network)
        except OtrcoreError as error:
            troubles.append(str(error))
        actions = self._renew(identity, policy)
        if troubles and troubles[0] != self._trouble:
            actions.append(ShowNote("", (f"{troubles[0]} {_NOT_TAKEN_IN}",)))
        self._trouble = troubles[0] if troubles else ""
        self._sink_all(actions)
        self._tell_news()

    def reload(self) -> None:
        """Go on with what was changed in the store by this program, besides what conversations do."""
        self._memories.reload(own=True)
        self._sink_all(self._recall())

    def state(self, nick: str) -> MessageState:
        """Return the message state of the conversation with a peer, as it was before a step under way."""
        talk = self._find(self._recipient(nick).key)
        if talk is None:
            return MessageState.PLAINTEXT
        return self._peers[talk.peer].state if talk in self._turns else talk.state

    def overview(self) -> Iterator[Overview]:
        """Yield how each conversation stands that is not in the middle of a step."""
        for talk in self._account or ():
            if talk not in self._turns:
                info = talk.info
                yield Overview(
                    talk.peer,
                    self._peers[talk.peer].nick,
                    talk.state,
                    talk.starting,
                    talk.trust,
                    info.version if info is not None else None,
                    talk.policy.require_encryption,
                )

    def guarded(self) -> tuple[str, ...]:
        """Return the people, by folded nicks, to whom nothing may go unencrypted by their own policy."""
        return self._memories.guarded()

    def policy(self, nick: str) -> Policy:
        """Return the policy for a peer: the peer's own, or the account's."""
        return self._policy(self._recipient(nick).key)

    def set_network_policy(self, policy: Policy) -> list[Action]:
        """Have another policy on this network, for everybody without one of their own; UsageError."""
        if self._account is None:
            raise UsageError("Not connected yet: try again in a moment.")
        actions = self._renew(self._account.identity, policy)
        try:
            self._keeper.set_policy(self._network, policy)
        except StoreError as error:
            actions += self._not_saved(error)
        return actions

    @property
    def network_policy(self) -> Policy:
        """The policy for everybody on this network who has none of their own."""
        return self._account.policy if self._account is not None else DEFAULT

    def memory(self, nick: str) -> PeerMemory:
        """Return what is remembered of a peer."""
        return self._memory(self._recipient(nick).key)

    def talk(self, nick: str) -> Conversation | None:
        """Return the conversation with a peer, to look at; None if there is none.

        UsageError with a sentence for the user if there cannot be one.
        """
        self.catch_up()
        recipient = self._recipient(nick)
        if recipient.kind is not Target.PERSON:
            raise UsageError(f"OTR works between two people, and {nick!r} is not one person.")
        if self._account is None:
            raise UsageError("Not connected yet: try again in a moment.")
        return self._find(recipient.key)

    def do(
        self,
        nick: str,
        step: Callable[[Conversation], list[Event]],
        *,
        sends: bool = True,
        slow: bool = False,
    ) -> list[Action]:
        """Do something in the conversation with a peer, as the user asked for it.

        What `sends` lines of OTR is refused where the names before them leave no room for it.  What
        is `slow` is done in the conversation's lane.
        """
        return self.in_turn(nick, lambda nick: self._do(nick, step, sends, slow))

    def _do(
        self, nick: str, step: Callable[[Conversation], list[Event]], sends: bool, slow: bool
    ) -> list[Action]:
        self.catch_up()
        recipient = self._recipient(nick)
        try:
            self.talk(nick)
            if self._account is None:
                return []
            if sends:
                self._require_room(recipient.nick)
            talk = self._open(self._account, recipient)
        except OtrcoreError as error:
            return [ShowNote(nick, (str(error),))]
        self._peers[recipient.key].wanted = True
        return self._step(talk, partial(step, talk), slow=slow)

    def trusted(self, nick: str) -> list[Fingerprint]:
        """Return those keys of a peer that are trusted, be it under another nick."""
        key = self._recipient(nick).key
        memory = self._memory(key)
        return [
            known.fingerprint
            for known in memory.keys
            if known.trust is not Trust.NONE or self._trusting(key, known.fingerprint)
        ]

    def distrust(self, nick: str, fingerprint: Fingerprint) -> list[Action]:
        """Trust a key of a peer no more, under whatever nick."""
        actions = self.do(nick, lambda talk: talk.set_trust(Trust.NONE, fingerprint), sends=False)
        return [*actions, *self._doubt(self._recipient(nick).key, fingerprint)]

    def ask(self, nick: str, question: str | None = None) -> list[Action]:
        """Begin to verify a peer: ask our user for the secret first; UsageError as by `talk`."""
        talk = self.talk(nick)
        if talk is None or talk.state is not MessageState.ENCRYPTED:
            return [ShowNote(nick, (_VERIFY_WHAT.format(nick),))]
        if question is not None and len(question) > texts.MAX_QUESTION:
            return [ShowNote(nick, (f"The question to {nick} is too long: ask a shorter one.",))]
        asked = one_line(question) if question else None
        return [self._prompts.open(talk.peer, nick, asked or None, by_peer=False)]

    def answer(self, nick: str) -> list[Action]:
        """Begin to answer a peer that verifies us: ask our user for the secret; UsageError as by `talk`."""
        talk = self.talk(nick)
        if talk is None or talk.state is not MessageState.ENCRYPTED:
            return [ShowNote(nick, (_VERIFY_WHAT.format(nick),))]
        if not talk.smp_waiting:
            return [ShowNote(nick, (f"{nick} has asked nothing: /otr smp ask to ask {nick}.",))]
        return [self._prompts.open(talk.peer, nick, self._peers[talk.peer].question, by_peer=True)]

    def abort(self, nick: str) -> list[Action]:
        """End a verification, or refuse one; UsageError as by `talk`."""
        talk = self.talk(nick)
        closing = self._prompts.close(talk.peer) if talk else ()
        if talk is not None and talk.smp_running:
            return [*closing, *self.do(nick, Conversation.smp_abort)]
        nothing = f"{nick} was asked nothing." if closing else f"No verification with {nick} is under way."
        return [*closing, ShowNote(nick, (nothing,))]

    def secret(self, prompt: AskSecret, secret: str) -> list[Action]:
        """Take the secret that was asked for; an empty one calls the verification off."""
        key = self._prompts.find(prompt)
        nick = prompt.peer if key is None else self._peers[key].nick
        return self.in_turn(nick, lambda nick: self._secret(prompt, secret))

    def _secret(self, prompt: AskSecret, secret: str) -> list[Action]:
        key = self._prompts.take(prompt)
        talk = self._find(key) if key is not None else None
        if key is None or talk is None:
            return [ShowNote(prompt.peer, (_NOT_ASKED,))]
        peer = self._peers[key]
        nick = peer.nick
        if not secret:
            return self.abort(nick) if prompt.by_peer else [ShowNote(nick, (f"{nick} was asked nothing.",))]
        peer.asked = prompt.question is not None and not prompt.by_peer
        if prompt.by_peer:
            return self.do(nick, lambda talk: talk.smp_answer(secret), slow=True)
        return self.do(nick, lambda talk: talk.smp_start(secret, prompt.question), slow=True)

    def nick_changed(self, old: str, new: str) -> bool:
        """Follow somebody, perhaps ourselves, to another nick; the server vouches for the person.

        Return whether there is a conversation that has moved.
        """
        self.catch_up()
        old_key, new_key = fold(old, self._features), fold(new, self._features)
        if self._is_own(old):
            self._nick = new
            if self._mask is not None:
                self._mask = f"{new}!{self._mask.partition('!')[2]}"
            return False
        talk, other = self._find(old_key), self._find(new_key)
        if other is not None and other is not talk:
            self._turns.finish(other)
            other = self._find(new_key)
        if other is not None and other is not talk and not other.idle:
            # Whoever had that nick is gone without our hearing of it.
            self._sink(self._step(other, other.lose))
            nothing_moves = talk is None or self.state(old) is MessageState.PLAINTEXT
            if nothing_moves and self.state(new) is not MessageState.PLAINTEXT:
                return False
        if talk is None or self._account is None:
            return False
        self._account.rename(old_key, new_key)
        peer = self._peers[new_key] = self._peers.pop(old_key)
        peer.nick = new
        self._sink_all(self._prompts.move(old_key, new_key, new))
        if talk in self._turns:
            # Whatever becomes of the conversation, what waits in it keeps to the policy.
            known, policy = self._memories.load(new_key), self._memories.load(old_key).policy
            if known.policy is None and policy is not None:
                self._sink_all(self._remember(new_key, replace(known, policy=policy)))
        self._sink_all(self.in_turn(new, lambda nick: self._met_under(talk, old), bounded=False))
        return True

    def gone(self, nick: str, reason: str) -> list[Action]:
        """Somebody is not on the network (any more): whoever comes under that nick next is somebody else."""
        return self.in_turn(nick, lambda nick: self._gone(nick, reason), bounded=False)

    def _gone(self, nick: str, reason: str) -> list[Action]:
        note = ShowNote(nick, (f"{nick} is not there: {one_line(reason) or 'no reason given'}.",))
        talk = self._find(fold(nick, self._features))
        return [note, *self._step(talk, talk.lose)] if talk else [note]

    def shutdown(self) -> list[Action]:
        """End every encrypted conversation properly, as the client is about to leave."""
        self._turns.finish()
        actions = [action for talk in self._account or () for action in self._step(talk, talk.end)]
        if self._account is not None:
            # The last chance for what could not be saved before.
            self._memories.save()
            with suppress(OtrcoreError):
                self._keeper.policy(self._network)
        return actions

    @property
    def next_tick(self) -> float | None:
        """When `tick` is to be called next, by the account's clock; None for never."""
        times = (
            talk.next_tick
            for talk in self._account or ()
            if talk not in self._turns and not self._peers[talk.peer].clock_failed
        )
        return min((time for time in times if time is not None), default=None)

    def tick(self) -> None:
        """Do what time asks for; the actions go to the sink."""
        self.catch_up()
        for talk in self._account or ():
            peer = self._peers.get(talk.peer)
            if peer is None or peer.clock_failed or talk in self._turns:
                continue
            # Taken back once it went well: a clock that fails would otherwise be due again at once, for ever.
            peer.clock_failed = True
            actions = self._step(talk, partial(_tick, talk, peer))
            if actions:
                self._sink(actions)

    def _incoming(self, sender: str, target: str, text: str, command: str) -> Decision:
        self.catch_up()
        account = self._account
        if account is None or not self._is_own(target) or self._is_own(sender):
            return Decision(sender, Verdict.PASS)
        addressed = self._classify(sender, text)
        recipient = addressed.recipients[0] if addressed.recipients else None
        if recipient is None or recipient.kind is not Target.PERSON or addressed.payload is Payload.CTCP:
            return Decision(sender, Verdict.PASS)
        talk = self._find(recipient.key)
        if talk is not None and talk in self._turns:

            def hear(nick: str) -> Sequence[Action]:
                judged = _guarded(nick, "shown", lambda: self._incoming(nick, self._nick, text, command))
                return _shown_late(judged, addressed, command)

            self._behind(talk, hear)
            return Decision(sender, Verdict.DROP)
        requires = self._policy(recipient.key).require_encryption
        if command != "PRIVMSG" or addressed.payload is Payload.ACTION:
            plain = not requires and (talk is None or talk.state is MessageState.PLAINTEXT)
            return _aside(sender, plain, command, addressed)
        if talk is None and not requires and MARK not in text and TAG_BASE not in text:
            return Decision(sender, Verdict.PASS)
        talk = self._open(account, recipient)

        def then(result: Callable[[], list[Event]]) -> Decision:
            return _guarded(sender, "shown", lambda: self._heard(talk, sender, text, result))

        self._peers[talk.peer].memory = talk.memory
        if MARK not in text and TAG_BASE not in text and not talk.joining:
            return then(partial(talk.receive, text))
        self._peers[talk.peer].state = talk.state
        judged = self._turns.run(
            talk, partial(talk.receive, text), then, lambda late: _shown_late(late, addressed, command)
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
            return Decision(sender, verdict, tuple(self._act(talk, events[1:])), first.text)
        return Decision(sender, Verdict.DROP, tuple(self._act(talk, events)))

    def _outgoing(self, recipient: Recipient, payload: Payload, text: str, command: str) -> Decision:
        self.catch_up()
        name = recipient.name
        account, talk = self._account, self._find(recipient.key)
        if recipient.kind is not Target.PERSON or account is None:
            return Decision(name, Verdict.PASS)
        if command != "PRIVMSG" and payload is Payload.CTCP:
            # The client's own answer to a CTCP, nothing that anybody typed.
            return Decision(name, Verdict.PASS)
        if talk is not None and talk in self._turns:
            late = partial(self._sent_late, payload=payload, text=text, command=command)
            self._behind(talk, late, typed=_as_typed(payload, text))
            return Decision(name, Verdict.DROP)
        policy = self._policy(recipient.key)
        if command != "PRIVMSG" or payload is Payload.CTCP:
            plain = talk is None or (talk.state is MessageState.PLAINTEXT and not talk.starting)
            if plain and not policy.require_encryption:
                return Decision(name, Verdict.PASS)
            why = f"Not sent: notices and CTCP cannot be encrypted. Write to {name} in an ordinary message."
            return _refused(name, why, typed=_as_typed(payload, text))
        if talk is None and not policy.require_encryption and not self._offers(recipient.key, policy):
            return Decision(name, Verdict.PASS)
        if talk is None:
            talk = self._open(account, recipient)
        self._fit(talk, name)
        if talk.state is not MessageState.PLAINTEXT or talk.starting or policy.require_encryption:
            self._require_room(name)
        events = talk.send(_as_typed(payload, text), may_tag=payload is Payload.TEXT)
        plain_line = next((event for event in events if isinstance(event, Transmit) and event.plain), None)
        if plain_line is not None:
            self._settle(talk)
            tagged = plain_line.lines[0]
            if payload is Payload.TEXT and tagged != text:
                return Decision(name, Verdict.REPLACE, text=tagged)
            return Decision(name, Verdict.PASS)
        self._peers[talk.peer].wanted = True
        own = (
            []
            if any(isinstance(event, NotSent) for event in events)
            else [ShowOwn(recipient.nick, text, payload is Payload.ACTION)]
        )
        return Decision(name, Verdict.DROP, (*own, *self._act(talk, events)))

    def _sent_late(self, nick: str, payload: Payload, text: str, command: str) -> Sequence[Action]:
        """Send what the user typed while a step was under way."""
        typed, recipient = _as_typed(payload, text), self._recipient(nick)
        judged = _guarded(
            nick, "sent", lambda: self._outgoing(recipient, payload, text, command), typed=typed
        )
        if judged.verdict is Verdict.DROP:
            return judged.actions
        line = judged.text if judged.text is not None else text
        room = max(SMALLEST_LINE_LIMIT, self._room(nick))
        if payload is Payload.ACTION:
            pieces = split_text(line, room - len(_ACTION_FRAME.format("")))
            lines = tuple(map(_ACTION_FRAME.format, pieces))
        else:
            lines = tuple(split_text(line, room))
        own = ShowOwn(nick, text, payload is Payload.ACTION, encrypted=False)
        return [Send(nick, lines, command), own, *judged.actions]

    def _offers(self, key: str, policy: Policy) -> bool:
        """Whether a plain text to somebody without a conversation may offer OTR."""
        known = policy.send_tag is Tagging.KNOWN and bool(self._memory(key).versions)
        return bool(policy.versions) and (known or policy.send_tag is Tagging.EVERYBODY)

    def _memory(self, key: str) -> PeerMemory:
        talk = self._find(key)
        return talk.memory if talk is not None else self._memories.load(key)

    def _policy(self, key: str) -> Policy:
        return self._memory(key).policy or self.network_policy

    def _recipient(self, nick: str) -> Recipient:
        """Return whom a command means; a list of targets is nobody."""
        recipients = self._classify(nick, "").recipients
        return recipients[0] if len(recipients) == 1 else Recipient(nick, nick, Target.SERVER_MASK, nick)

    def _behind(
        self,
        talk: Conversation,
        job: Callable[[str], Sequence[Action]],
        *,
        typed: str | None = None,
        bounded: bool = True,
    ) -> list[Action]:
        """Do something with a peer, by its nick then, once the step of a conversation has ended."""
        peer = self._peers[talk.peer]

        def in_turn() -> Sequence[Action]:
            try:
                # What has come to nothing may have been begun anew, by one of those before this one.
                now = self._find(self._recipient(peer.nick).key)
                if now is not None and now in self._turns:
                    return self._behind(now, job, typed=typed, bounded=False)
                return job(peer.nick)
            except OtrcoreError as error:
                return [ShowNote(peer.nick, (str(error),))]
            except Exception as error:
                return [ShowNote(peer.nick, (_BROKEN.format("done", type(error).__name__),))]

        self._turns.behind(talk, in_turn, typed=typed, bounded=bounded)
        return []

    def _step(
        self, talk: Conversation, step: Callable[[], list[Event]], *, slow: bool = False
    ) -> list[Action]:
        """Let a conversation do something, so that whatever goes wrong in it stays there."""
        if talk in self._turns:
            return self._behind(talk, lambda nick: self._step_of(talk, step, slow=slow), bounded=False)
        peer = self._peers[talk.peer]
        self._fit(talk, peer.nick)
        peer.memory = talk.memory
        if not slow:
            return self._stepped(talk, step)
        peer.state = talk.state
        return self._turns.run(talk, step, partial(self._stepped, talk), lambda actions: actions) or []

    def _step_of(self, talk: Conversation, step: Callable[[], list[Event]], *, slow: bool) -> list[Action]:
        """Let a conversation do something, unless it is over and forgotten by now."""
        return self._step(talk, step, slow=slow) if self._find(talk.peer) is talk else []

    def _stepped(self, talk: Conversation, result: Callable[[], list[Event]]) -> list[Action]:
        """Turn what a step has brought about into actions."""
        nick = self._peers[talk.peer].nick
        try:
            return self._act(talk, result())
        except OtrcoreError as error:
            self._peers[talk.peer].wanted &= talk.starting
            self._settle(talk)
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
            self._forget(self._spare(account))
        self._peers.setdefault(key, _Peer(recipient.nick)).nick = recipient.nick
        talk = account.conversation(key, self._memories.load(key))
        if talk not in self._turns:
            self._fit(talk, recipient.nick)
        return talk

    def _spare(self, account: Account) -> Conversation:
        """Return a conversation that nobody would miss."""
        free = [talk for talk in account if talk not in self._turns]
        idle = (talk for talk in free if talk.idle)
        unwanted = (
            talk
            for talk in free
            if talk.state is MessageState.PLAINTEXT and not talk.held and not self._peers[talk.peer].wanted
        )
        spare = next(idle, None) or next(unwanted, None)
        if spare is None:
            raise UsageError("Too many encrypted conversations: end one of them first.")
        return spare

    def _forget(self, talk: Conversation) -> None:
        if self._account is not None:
            self._account.forget(talk.peer)
        self._peers.pop(talk.peer, None)
        self._prompts.close(talk.peer)

    def _settle(self, talk: Conversation) -> None:
        """Forget a conversation in which nothing is left to go on with.

        One that has offered OTR is kept, as the answer tells whether to offer it again.
        """
        if talk.idle and talk.offer not in (Offer.SENT, Offer.REJECTED):
            self._forget(talk)

    def _room(self, nick: str) -> int:
        """Return how many bytes of text a line to a nick may have."""
        room = text_limit(self._nick, self._mask, nick)
        return min(room, self._limits.get(self._recipient(nick).key, room))

    def _fit(self, talk: Conversation, nick: str) -> None:
        talk.line_limit = max(SMALLEST_LINE_LIMIT, self._room(nick))

    def _require_room(self, nick: str) -> None:
        if self._room(nick) < SMALLEST_LINE_LIMIT:
            raise OtrcoreError(
                f"The names that stand before a line to {nick} leave no room for OTR: take a shorter nick."
            )

    def _act(self, talk: Conversation, events: Sequence[Event]) -> list[Action]:
        """Turn events into actions; a conversation that has nothing to go on with is forgotten."""
        peer = self._peers[talk.peer]
        events, familiar = self._recognise(talk, events)
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
                    self._memories.met(talk.peer, info.their_fingerprint)
                    actions += self._remember(talk.peer, self._brought(talk))
                    actions.append(ShowNote(nick, texts.explain(event, nick, standing, familiar), event))
                case MemoryChanged():
                    # As it is now: `_recognise` may have added trust to what the event has.
                    actions += self._judged(talk.peer, self._brought(talk))
                case SmpFailed(trusts=True):
                    actions.append(ShowNote(nick, texts.explain(event, nick, standing), event))
                    for session in talk.sessions:
                        if talk.memory.trust(session.their_fingerprint) is Trust.NONE:
                            actions += self._doubt(talk.peer, session.their_fingerprint)
                case SmpAborted(SmpEnd.HERE) if superseded:
                    pass  # not by our user: the newer question has taken its place
                case _:
                    lines = texts.explain(event, nick, standing)
                    typed = event.text if isinstance(event, NotSent) else None
                    if lines:
                        actions.append(ShowNote(nick, lines, event, typed))
            actions += self._prompting(talk.peer, peer, event, superseded)
        self._settle(talk)
        return actions

    def _recognise(
        self, talk: Conversation, events: Sequence[Event]
    ) -> tuple[list[Event], Mapping[str, Trust]]:
        """Look under which other nicks a key is known that a conversation has opened with.

        Trust belongs to the key: it holds under another nick too, unless that one has other keys,
        whose owner the user would expect there.
        """
        known: list[Event] = []
        familiar: Mapping[str, Trust] = {}
        for event in events:
            known.append(event)
            if not isinstance(event, SessionOpened):
                continue
            fingerprint = event.info.their_fingerprint
            familiar = self._memories.known_as(fingerprint, besides=talk.peer)
            trusts = [trust for trust in familiar.values() if trust is not Trust.NONE]
            only = [key.fingerprint for key in talk.memory.keys] == [fingerprint]
            if only and 0 < len(trusts) < MAX_TRUSTED_NICKS and event.trust is Trust.NONE:
                known[-1] = replace(event, trust=trusts[0])
                known += talk.set_trust(trusts[0], fingerprint)
        return known, familiar

    def _prompting(self, key: str, peer: _Peer, event: Event, superseded: bool) -> Sequence[Action]:
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

    def _remember(self, key: str, memory: PeerMemory) -> list[Action]:
        known = self._memories.load(key)
        memory = merged(known, memory)
        if memory == known:
            return []
        try:
            self._memories.store(key, memory)
        except OtrcoreError as error:
            return self._not_saved(error)
        finally:
            # A key that is no longer trusted under one nick is not under any other.
            self._sink_all(self._recall(besides=key))
        return []

    def _brought(self, talk: Conversation) -> PeerMemory:
        """Return what a conversation remembers, with what was changed elsewhere during its last step."""
        before, known, memory = self._peers[talk.peer].memory, self._memories.load(talk.peer), talk.memory
        keys = (
            each
            if each.trust is not before.trust(each.fingerprint)
            else replace(each, trust=known.trust(each.fingerprint))
            for each in memory.keys
        )
        policy = memory.policy if memory.policy != before.policy else known.policy
        return replace(memory, keys=tuple(keys), policy=policy)

    def _judged(self, key: str, memory: PeerMemory) -> list[Action]:
        """Remember what the user has decided; a key that was forgotten meanwhile is met anew before."""
        known, met = self._memories.load(key), memory
        for each in memory.keys:
            if not known.knows(each.fingerprint):
                met = met.judging(each.fingerprint, Trust.NONE)
        return [*self._remember(key, met), *self._remember(key, memory)]

    def _not_saved(self, error: OtrcoreError) -> list[Action]:
        self._trouble = str(error)
        return [ShowNote("", (f"{error} {_NOT_SAVED}",))]

    def _trusting(self, key: str, fingerprint: Fingerprint) -> list[str]:
        """Return the other nicks under which a key is trusted."""
        known = self._memories.known_as(fingerprint, besides=key)
        return [other for other, trust in known.items() if trust is not Trust.NONE]

    def _doubt(self, key: str, fingerprint: Fingerprint) -> list[Action]:
        """Trust a key under no other nick either: it may never have been trusted under this one."""
        actions: list[Action] = []
        for other in self._trusting(key, fingerprint)[:1]:  # from there it goes on by itself
            actions += self._remember(other, self._memories.load(other).judging(fingerprint, Trust.NONE))
            self._sink_all(self._recall())
        return actions

    def _recall(self, besides: str = "") -> list[Action]:
        """Have the conversations go on with what is remembered of the peers now."""
        return [
            action for talk in self._account or () if talk.peer != besides for action in self._recall_in(talk)
        ]

    def _recall_in(self, talk: Conversation) -> list[Action]:
        if talk in self._turns:
            return self._behind(talk, lambda nick: self._recall_in(talk), bounded=False)
        if self._find(talk.peer) is not talk:
            return []
        memory = self._memories.load(talk.peer)
        if memory == talk.memory:
            return []
        nick, before = self._peers[talk.peer].nick, talk.trust
        actions = self._step(talk, partial(talk.recall, memory))
        return [*actions, *self._trust_changed(talk, nick, before)]

    def _renew(self, identity: Identity, policy: Policy) -> list[Action]:
        """Have the conversations go on with this identity and policy of ours, and what is remembered now."""
        account = self._account
        if account is None:
            return []
        actions: list[Action] = []
        if account.identity.fingerprint != identity.fingerprint:
            actions.append(ShowNote("", (_OTHER_IDENTITY.format(self._network, identity.fingerprint),)))
        account.renew(identity, policy)
        for talk in account:
            actions += self._renew_in(talk, identity, policy)
        return actions

    def _renew_in(self, talk: Conversation, identity: Identity, policy: Policy) -> list[Action]:
        if talk in self._turns:
            return self._behind(talk, lambda nick: self._renew_in(talk, identity, policy), bounded=False)
        if self._find(talk.peer) is not talk:
            return []
        nick, before = self._peers[talk.peer].nick, talk.trust
        memory = self._memories.load(talk.peer)
        actions = self._step(talk, partial(talk.renew, identity, policy, memory))
        return [*actions, *self._trust_changed(talk, nick, before)]

    def _trust_changed(self, talk: Conversation, nick: str, before: Trust) -> list[Action]:
        if talk.info is None or talk.trust is before:
            return []
        return [ShowNote(nick, (_TRUST_CHANGED.format(nick, talk.trust.value),))]

    def _tell_news(self) -> None:
        news = self._keeper.news()
        if news:
            self._sink([ShowNote("", news)])

    def _sink_all(self, actions: Sequence[Action]) -> None:
        if actions:
            self._sink(actions)

    def _met_under(self, talk: Conversation, old: str) -> list[Action]:
        """Follow a conversation to another nick, under which somebody may be known already."""
        if self._find(talk.peer) is not talk:
            return []
        key, nick, known = talk.peer, self._peers[talk.peer].nick, self._memories.load(talk.peer)
        memory, info = talk.memory, talk.info
        if any(not memory.knows(other.fingerprint) for other in known.keys):
            # Whoever has a nick with a key already is not trusted under it for what other nicks are worth.
            keys = tuple(replace(mine, trust=known.trust(mine.fingerprint)) for mine in memory.keys)
            memory = replace(memory, keys=keys)
        if known.policy is not None and known.policy.versions:
            memory = replace(memory, policy=known.policy)
        elif known.policy is not None and info is not None:
            # Without versions nothing is read as OTR, which would break what runs.
            memory = replace(memory, policy=talk.policy)
        actions = self._remember(key, memory)
        expected = known.replaced_by(info.their_fingerprint) if info is not None else None
        actions += self._step(talk, partial(talk.recall, self._memories.load(key)))
        if expected is not None:
            actions.append(ShowNote(nick, (_OTHER_PERSON.format(nick, old, expected),)))
        return actions

    def _left_behind(self, talk: Conversation) -> list[Action]:
        """Tell what is over with a conversation on a network that we are not on any more."""
        nick = self._peers[talk.peer].nick
        actions: list[Action] = [*self._prompts.close(talk.peer)]
        if talk.starting or talk.state is not MessageState.PLAINTEXT:
            actions.append(ShowNote(nick, (_ELSEWHERE.format(nick),), SessionEnded(by_peer=True)))
        waiting = [event.text for event in talk.lose() if isinstance(event, NotSent)]
        for text in (*waiting, *talk.drop_held()):
            actions.append(ShowNote(nick, (f"Not sent to {nick}, who is on another network.",), typed=text))
        return actions

    def _is_own(self, nick: str) -> bool:
        return fold(nick, self._features) == fold(self._nick, self._features)


_NOT_SAVED = "It holds until this program ends."
_NOT_TAKEN_IN = "What other programs have changed there is not known here until then."
_TRUST_CHANGED = "The key of {} in this conversation is {} now: that was changed outside it."
_OTHER_IDENTITY = (
    "Your key on {} is another one from the next encrypted conversation on: {}. "
    "Whoever has verified you has to do it again."
)
_ELSEWHERE = (
    "This is another network than before: the encrypted conversation with {} is over. "
    "What you type goes out unencrypted."
)
_OTHER_PERSON = (
    "WARNING: {0}, who was {1} until now, has another key than the {0} whom you know ({2}): "
    "say nothing secret before you are sure who it is."
)
_VERIFY_WHAT = "Verifying {} needs an encrypted conversation: /otr start first."
_NOT_ASKED = (
    "That secret is not asked for any more: it was neither used nor kept. "
    "/otr status tells how the conversation stands."
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


def _withdraw(talk: Conversation, text: str) -> list[Event]:
    talk.withdraw(text)
    return []


def _tick(talk: Conversation, peer: _Peer) -> list[Event]:
    events = talk.tick()
    peer.clock_failed = False
    return events
