"""OTR for one IRC connection: every message, in or out, gets a verdict and actions.

Pure: the host of this (bot, terminal client, engine of a chat client) does the input
and output.  It asks for a verdict on each private message and carries out the actions
strictly in their order; what time brings comes through the sink.

An internal error lets nothing out: the verdict is then DROP, with a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ..conversation import Conversation
from ..errors import OtrcoreError
from ..events import Event
from ..memory import PeerMemory
from ..model import Fingerprint, MessageState, Trust
from ..policy import Policy
from .actions import Action, AskSecret, Decision, ShowNote
from .conversations import Conversations, Peer
from .isupport import Features
from .keeper import Keeper
from .lanes import Inline, Lanes
from .lines import one_line
from .names import SERVICES, network_name
from .nickchanges import NickChanges
from .people import People
from .presence import Presence
from .prompts import Prompts
from .reactions import Reactions
from .renewal import Renewal
from .steps import Steps
from .turns import Turns
from .verdicts import Verdicts
from .verification import Verification
from .wishes import Wishes


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
    fingerprint: Fingerprint | None = None
    """Of the peer's key in an encrypted conversation."""
    own_fingerprint: Fingerprint | None = None
    """Of ours there: versions 3 and 4 have keys of their own."""


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
        self._client_name = client_name
        self._keeper = keeper
        self._sink = sink
        prompts = Prompts()
        self._presence = presence = Presence(services)
        self._turns = turns = Turns(Inline() if lanes is None else lanes, sink)
        self._people = people = People(self._recall)
        self._conversations = talks = Conversations(presence, people, prompts, turns)
        reactions = Reactions(talks, people, prompts, self._keep_profile)
        self._steps = steps = Steps(talks, turns, reactions)
        self._renewal = renewal = Renewal(keeper, presence, people, talks, turns, steps, sink)
        self._nick_changes = NickChanges(presence, people, talks, turns, steps, sink)
        self._verdicts = Verdicts(presence, talks, turns, reactions, steps, renewal)
        self._wishes = wishes = Wishes(presence, people, talks, steps, renewal)
        self._verification = Verification(talks, prompts, steps, wishes)

    @property
    def network(self) -> str:
        """Canonical name of the network; empty before `connected`."""
        return self._presence.network

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Our fingerprint on this network; None before `connected`."""
        account = self._conversations.account
        return account.identity.fingerprint if account is not None else None

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """Ours on this network, for versions 2 and 3 and for version 4; none before `connected`."""
        account = self._conversations.account
        return () if account is None else (account.identity.fingerprint, account.identity.fingerprint_4)

    def connected(self, nick: str, features: Features, mask: str | None = None, *, server: str = "") -> None:
        """Registered under this nick with a server of these features; StoreError if keys cannot be had.

        `server` is the host that the user has the client connect to.

        If it turns out to be another network than before, or one that tells nicks apart in another way,
        the people there are others: what was encrypted is over, the sink is told, and nothing goes out to
        who has such a nick before the user acts.
        """
        claim = network_name(features, self._client_name)
        network = self._keeper.place(claim, server or self._client_name)
        same = network == self.network and features.casemapping == self._presence.features.casemapping
        held: Sequence[str] = ()
        if self._conversations.account is None or not same:
            self._renewal.begin()
            account, memories = self._keeper.account(network), self._keeper.memories(network)
            self._turns.finish()
            left, held = self._conversations.leave()
            if left:
                self._sink(left)
            self._people.memories = memories
            self._conversations.enter(account)
        self._presence.enter(network, nick, features, mask)
        self._conversations.hold(held)
        self._nick_changes.note_own()
        self._renewal.tell_news()

    def disconnected(self) -> list[Action]:
        """The connection is lost, and with it whoever was talked with."""
        return [action for talk in self._conversations for action in self._steps.do(talk, talk.lose)]

    def set_limit(self, nick: str, limit: int) -> None:
        """Take note how many bytes of text the client's own cutting leaves whole in a line to a nick."""
        self._presence.set_limit(nick, limit)

    def mask_changed(self, nick: str, mask: str | None) -> None:
        """Our own nick and nick!user@host, as others see them, are now these."""
        self._presence.mask_changed(nick, mask)
        self._nick_changes.note_own()

    def incoming(
        self, sender: str, target: str, text: str, command: str = "PRIVMSG", said: str | None = None
    ) -> Decision:
        """Judge a message that came; PASS means: show it as any other.

        `said` is the client's word for when it was said, handed on with what is shown of it.
        """
        return self._verdicts.incoming(sender, target, text, command, said)

    def outgoing(self, targets: str, text: str, command: str = "PRIVMSG") -> list[Decision]:
        """Judge a message that the user wants sent, once for each target; PASS means: send it as it is.

        Whatever `command` is no PRIVMSG is judged as a NOTICE.
        """
        return self._verdicts.outgoing(targets, text, "PRIVMSG" if command == "PRIVMSG" else "NOTICE")

    def withdraw(self, targets: str, text: str) -> None:
        """Let a text not leave any more that was judged by `outgoing`, as the user has it back."""
        self._verdicts.withdraw(targets, text)

    def start(self, nick: str) -> list[Action]:
        """Ask a peer for an encrypted conversation; in one, say what to do there instead."""
        return self._wishes.start(nick)

    def refresh(self, nick: str) -> list[Action]:
        """Ask a peer for fresh keys, or for an encrypted conversation if there is none."""
        return self._wishes.refresh(nick)

    def in_turn(self, nick: str, job: Callable[[str], list[Action]], *, bounded: bool = True) -> list[Action]:
        """Do something with a peer, by its nick then, once a step has ended that is under way.

        If too much waits for that already, it is not done, and a note says so; unless it is not `bounded`.
        """
        return self._steps.in_turn(nick, job, bounded=bounded)

    def key(self, nick: str) -> str:
        """Return the same for everything that is a peer's nick on this network."""
        return self._conversations.recipient(nick).key

    def has(self, nick: str) -> bool:
        """Whether there is a conversation with a peer."""
        return self._find(nick) is not None

    def busy(self, nick: str) -> bool:
        """Whether a step of the conversation with a peer is under way."""
        return self._find(nick) in self._turns

    def end(self, nick: str) -> list[Action]:
        """End the encrypted conversation with a peer, or the attempt to start one."""
        return self._wishes.end(nick)

    def status(self, nick: str) -> list[Action]:
        """Tell how a conversation stands."""
        return self._wishes.status(nick)

    def catch_up(self) -> None:
        """Go on with what other programs have changed, if anything; the sink hears what follows.

        Costs some microseconds where nothing has changed.
        """
        self._renewal.catch_up()

    def reload(self) -> None:
        """Go on with what was changed in the store by this program, besides what conversations do."""
        self._renewal.reload()

    def state(self, nick: str) -> MessageState:
        """Return the message state of the conversation with a peer, as it was before a step under way."""
        return self._conversations.state(self.key(nick))

    def overview(self) -> Iterator[Overview]:
        """Yield how each conversation stands that is not in the middle of a step."""
        for talk in self._conversations:
            if talk not in self._turns:
                info = talk.info
                yield Overview(
                    talk.peer,
                    self._conversations.peers[talk.peer].nick,
                    talk.state,
                    talk.starting,
                    talk.trust,
                    info.version if info is not None else None,
                    talk.policy.require_encryption,
                    info.their_fingerprint if info is not None else None,
                    info.our_fingerprint if info is not None else None,
                )

    def guarded(self) -> tuple[str, ...]:
        """Return the people, by folded nicks, to whom nothing may go unencrypted by their own policy."""
        return self._people.memories.guarded()

    def policy(self, nick: str) -> Policy:
        """Return the policy for a peer: the peer's own, or the account's."""
        return self._conversations.policy(self.key(nick))

    def set_network_policy(self, policy: Policy) -> list[Action]:
        """Have another policy on this network, for everybody without one of their own; UsageError."""
        return self._renewal.set_policy(policy)

    @property
    def network_policy(self) -> Policy:
        """The policy for everybody on this network who has none of their own."""
        return self._conversations.network_policy

    def memory(self, nick: str) -> PeerMemory:
        """Return what is remembered of a peer."""
        return self._conversations.memory(self.key(nick))

    def talk(self, nick: str) -> Conversation | None:
        """Return the conversation with a peer, to look at; None if there is none.

        UsageError with a sentence for the user if there cannot be one.
        """
        return self._wishes.talk(nick)

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
        return self._wishes.do(nick, step, sends=sends, slow=slow)

    def trusted(self, nick: str) -> list[Fingerprint]:
        """Return those keys of a peer that are trusted, be it under another nick."""
        key = self.key(nick)
        return self._people.trusted(key, self._conversations.memory(key))

    def distrust(self, nick: str, fingerprint: Fingerprint) -> list[Action]:
        """Trust a key of a peer no more, under whatever nick."""
        return self._wishes.distrust(nick, fingerprint)

    def ask(self, nick: str, question: str | None = None) -> list[Action]:
        """Begin to verify a peer: ask our user for the secret first; UsageError as by `talk`."""
        return self._verification.ask(nick, question)

    def answer(self, nick: str) -> list[Action]:
        """Begin to answer a peer that verifies us: ask our user for the secret; UsageError as by `talk`."""
        return self._verification.answer(nick)

    def abort(self, nick: str) -> list[Action]:
        """End a verification, or refuse one; UsageError as by `talk`."""
        return self._verification.abort(nick)

    def secret(self, prompt: AskSecret, secret: str) -> list[Action]:
        """Take the secret that was asked for; an empty one calls the verification off."""
        return self._verification.secret(prompt, secret)

    def nick_changed(self, old: str, new: str) -> bool:
        """Follow somebody, perhaps ourselves, to another nick; the server vouches for the person.

        Return whether there is a conversation that has moved.
        """
        self.catch_up()
        return self._nick_changes.follow(old, new)

    def gone(self, nick: str, reason: str) -> list[Action]:
        """Somebody is not on the network (any more): whoever comes under that nick next is somebody else."""
        return self.in_turn(nick, lambda nick: self._gone(nick, reason), bounded=False)

    def shutdown(self) -> list[Action]:
        """End every encrypted conversation properly, as the client is about to leave."""
        self._turns.finish()
        actions = [action for talk in self._conversations for action in self._steps.do(talk, talk.end)]
        if self._conversations.account is not None:
            # The last chance for what could not be saved before.
            self._people.memories.save()
            with suppress(OtrcoreError):
                self._keeper.policy(self.network)
        return actions

    @property
    def next_tick(self) -> float | None:
        """When `tick` is to be called next, by the account's clock; None for never."""
        peers = self._conversations.peers
        times = (
            talk.next_tick
            for talk in self._conversations
            if talk not in self._turns and not peers[talk.peer].clock_failed
        )
        return min((time for time in times if time is not None), default=None)

    def tick(self) -> None:
        """Do what time asks for; the actions go to the sink."""
        self.catch_up()
        for talk in self._conversations:
            peer = self._conversations.peers.get(talk.peer)
            if peer is None or peer.clock_failed or talk in self._turns:
                continue
            # Taken back once it went well: a clock that fails would otherwise be due again at once, for ever.
            peer.clock_failed = True
            actions = self._steps.do(talk, partial(_tick, talk, peer))
            if actions:
                self._sink(actions)

    def _keep_profile(self) -> None:
        account = self._conversations.account
        if account is not None:
            self._keeper.keep_profile(self.network, account)

    def _recall(self, besides: str) -> None:
        self._renewal.recall(besides)

    def _find(self, nick: str) -> Conversation | None:
        return self._conversations.find(self.key(nick))

    def _gone(self, nick: str, reason: str) -> list[Action]:
        note = ShowNote(nick, (f"{nick} is not there: {one_line(reason) or 'no reason given'}.",))
        talk = self._conversations.find(self._presence.fold(nick))
        return [note, *self._steps.do(talk, talk.lose)] if talk else [note]


def _tick(talk: Conversation, peer: Peer) -> list[Event]:
    events = talk.tick()
    peer.clock_failed = False
    return events
