"""The conversations on one connection: which there are, and what belongs to each besides its own matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..account import Account
from ..conversation import SMALLEST_LINE_LIMIT, Conversation, Offer
from ..errors import UsageError
from ..events import NotSent, SessionEnd, SessionEnded
from ..memory import STRANGER, PeerMemory
from ..model import MessageState
from ..policy import DEFAULT, Policy
from .actions import Action, ShowNote
from .names import Addressed, Recipient, Target
from .people import People
from .presence import Presence
from .prompts import Prompts
from .turns import Turns

MAX_CONVERSATIONS = 500


@dataclass(slots=True)
class Peer:
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


class Conversations:
    """Those of the account on the present network, by their keys."""

    def __init__(self, presence: Presence, people: People, prompts: Prompts, turns: Turns) -> None:
        self._presence = presence
        self._people = people
        self._prompts = prompts
        self._turns = turns
        self.account: Account | None = None
        """None before `enter`."""
        self.peers: dict[str, Peer] = {}

    def __iter__(self) -> Iterator[Conversation]:
        """Go over those that there are now."""
        return iter(self.account or ())

    def enter(self, account: Account) -> None:
        """Go on with another account, which nobody has talked with yet."""
        self.account = account
        self.peers.clear()

    def leave(self) -> tuple[list[Action], list[str]]:
        """Tell what is over with the conversations on a network that we are not on any more.

        Return also the nicks of those to whom nothing may go unencrypted before the user acts: the same words
        of a server lead to another network, or to other people, that are typed to next.
        """
        protected = [talk for talk in self if talk.state is not MessageState.PLAINTEXT]
        nicks = [self.peers[talk.peer].nick for talk in protected]
        return [action for talk in self for action in self._left_behind(talk)], nicks

    def hold(self, nicks: Sequence[str]) -> None:
        """Let nothing go unencrypted to these before the user acts."""
        for nick in nicks:
            self.open(self._presence.recipient(nick)).finish()

    def require_account(self) -> Account:
        """Return the account; UsageError if there is none yet."""
        if self.account is None:
            raise UsageError("Not connected yet: try again in a moment.")
        return self.account

    def find(self, key: str) -> Conversation | None:
        """Return the conversation with somebody, if there is one."""
        if self.account is None or key not in self.account:
            return None
        return self.account.conversation(key)

    def classify(self, targets: str, text: str) -> Addressed:
        """Sort a message by its targets and its text.

        With whom there is a conversation is a person under any name: a server can give anybody one of a
        channel, a service, or two people, and what is typed there must not pass.
        """
        addressed = self._presence.classify(targets, text)
        key = self._presence.fold(targets)
        if self.find(key) is not None:
            whole = Recipient(targets, targets, Target.PERSON, key)
            return replace(addressed, recipients=(whole,))
        return replace(addressed, recipients=tuple(map(self._known, addressed.recipients)))

    def recipient(self, nick: str) -> Recipient:
        """Return whom a command means: as by `classify`, a person if there is a conversation."""
        recipients = self.classify(nick, "").recipients
        return recipients[0] if len(recipients) == 1 else self._presence.recipient(nick)

    def _known(self, recipient: Recipient) -> Recipient:
        return recipient if self.find(recipient.key) is None else replace(recipient, kind=Target.PERSON)

    def open(self, recipient: Recipient) -> Conversation:
        """Return the conversation; a new one may cost one that has come to nothing, if there are too many."""
        account, key = self.require_account(), recipient.key
        if key not in account and len(account) >= MAX_CONVERSATIONS:
            self._forget(self._spare(account))
        self.peers.setdefault(key, Peer(recipient.nick)).nick = recipient.nick
        talk = account.conversation(key, self._people.memories.load(key))
        if talk not in self._turns:
            self.fit(talk, recipient.nick)
        return talk

    def fit(self, talk: Conversation, nick: str) -> None:
        """Have a conversation cut its lines so that they get to a nick whole."""
        talk.line_limit = max(SMALLEST_LINE_LIMIT, self._presence.room(nick))

    def settle(self, talk: Conversation) -> None:
        """Forget a conversation in which nothing is left to go on with.

        One that has offered OTR is kept, as the answer tells whether to offer it again.
        """
        if talk.idle and talk.offer not in (Offer.SENT, Offer.REJECTED):
            self._forget(talk)

    def rename(self, old: str, new: str, nick: str) -> Sequence[Action]:
        """Follow somebody to another key and nick."""
        if self.account is not None:
            self.account.rename(old, new)
        peer = self.peers[new] = self.peers.pop(old)
        peer.nick = nick
        return self._prompts.move(old, new, nick)

    def state(self, key: str) -> MessageState:
        """Return the message state with somebody, as it was before a step under way."""
        talk = self.find(key)
        if talk is None:
            return MessageState.PLAINTEXT
        return self.peers[talk.peer].state if talk in self._turns else talk.state

    def memory(self, key: str) -> PeerMemory:
        """Return what is remembered of somebody."""
        talk = self.find(key)
        return talk.memory if talk is not None else self._people.memories.load(key)

    def policy(self, key: str) -> Policy:
        """Return the policy for somebody: the own one, or the account's."""
        return self.memory(key).policy or self.network_policy

    @property
    def network_policy(self) -> Policy:
        """The policy for everybody who has none of their own."""
        return self.account.policy if self.account is not None else DEFAULT

    def _spare(self, account: Account) -> Conversation:
        """Return a conversation that nobody would miss."""
        free = [talk for talk in account if talk not in self._turns]
        idle = (talk for talk in free if talk.idle)
        unwanted = (
            talk
            for talk in free
            if talk.state is MessageState.PLAINTEXT and not talk.held and not self.peers[talk.peer].wanted
        )
        spare = next(idle, None) or next(unwanted, None)
        if spare is None:
            raise UsageError("Too many encrypted conversations: end one of them first.")
        return spare

    def _forget(self, talk: Conversation) -> None:
        if self.account is not None:
            self.account.forget(talk.peer)
        self.peers.pop(talk.peer, None)
        self._prompts.close(talk.peer)

    def _left_behind(self, talk: Conversation) -> list[Action]:
        nick = self.peers[talk.peer].nick
        actions: list[Action] = [*self._prompts.close(talk.peer)]
        if talk.state is not MessageState.PLAINTEXT:
            actions.append(ShowNote(nick, (_ELSEWHERE.format(nick),), SessionEnded(SessionEnd.PEER)))
        elif talk.starting:
            actions.append(ShowNote(nick, (_NOT_BEGUN.format(nick),), SessionEnded(SessionEnd.PEER)))
        waiting = [event.text for event in talk.lose() if isinstance(event, NotSent)]
        for text in (*waiting, *talk.drop_held()):
            actions.append(ShowNote(nick, (f"Not sent to {nick}, who is on another network.",), typed=text))
        return actions


_ELSEWHERE = (
    "This is another network than before: the encrypted conversation with {} is over. Nothing is sent until "
    "you choose: /otr start for a new one, or /otr end to go on without."
)
_NOT_BEGUN = (
    "This is another network than before: no encrypted conversation with {} was begun. "
    "What you type goes out unencrypted."
)
