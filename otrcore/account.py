"""One identity in use: hands out a conversation for each peer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from .conversation import Conversation
from .crypto.random import Random, system_random
from .errors import UsageError
from .identity import Identity
from .memory import STRANGER, PeerMemory
from .policy import DEFAULT, Policy
from .relation import Relation, Speaker, require_spoken
from .wire.header import SMALLEST_INSTANCE_TAG

_INSTANCE_TAG_BYTES = 4


def new_instance_tag(random: Random = system_random) -> int:
    """Return a random legal instance tag: 32 bits, 0x100 or more (v3, "Instance Tags")."""
    while True:
        tag = int.from_bytes(random("instance_tag", _INSTANCE_TAG_BYTES), "big")
        if tag >= SMALLEST_INSTANCE_TAG:
            return tag


class Account:
    """The user's side of all conversations on one network.

    `clock` returns seconds that only grow; `random` is asked by purpose; both are
    parameters so that a conversation can be replayed.  `instance_tag` should stay the
    same over restarts of one client, and differ between clients that run at once.

    `name` is what the chat network calls the user, in the form in which the peers' clients
    call him too: key exchanges of version 4 authenticate it, with the name of the peer.
    `client_profile` is what an earlier run had, `unix_time` returns seconds since 1970.
    """

    def __init__(
        self,
        identity: Identity,
        policy: Policy = DEFAULT,
        *,
        name: str | None = None,
        instance_tag: int | None = None,
        client_profile: bytes = b"",
        random: Random = system_random,
        clock: Callable[[], float] = time.monotonic,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        """UsageError for a policy with versions that cannot be spoken, or a tag below 0x100 or over 32 bits.

        Without `instance_tag` a random one is drawn.  Without `name` version 4 authenticates no names.
        """
        require_spoken(policy)
        if instance_tag is not None and not SMALLEST_INSTANCE_TAG <= instance_tag < 1 << 32:
            raise UsageError(f"{instance_tag:#x} is no instance tag: it takes 0x100 to 0xffffffff.")
        self.identity = identity
        self.policy = policy
        self.instance_tag = instance_tag or new_instance_tag(random)
        self._speaker = Speaker(name, self.instance_tag, random, unix_time, client_profile)
        self._clock = clock
        self._conversations: dict[str, Conversation] = {}

    def conversation(self, peer: str, memory: PeerMemory = STRANGER) -> Conversation:
        """Return the conversation with this peer, a new one with this memory if needed.

        Names are compared as they are.
        """
        talk = self._conversations.get(peer)
        if talk is None:
            relation = Relation(self._speaker, self.identity, self.policy, peer, memory)
            talk = self._conversations[peer] = Conversation(relation, self._clock)
        return talk

    @property
    def name(self) -> str | None:
        """What the chat network calls the user; `Conversation.renamed` takes note of a change."""
        return self._speaker.name

    @name.setter
    def name(self, name: str | None) -> None:
        self._speaker.name = name

    @property
    def client_profile(self) -> bytes:
        """The client profile of version 4, to be stored and handed in again; it changes once in some days."""
        return self._speaker.profile.serialised(self.identity)

    def renew(self, identity: Identity, policy: Policy) -> None:
        """Speak as another identity, and by another policy, in conversations that are new; UsageError.

        Those that exist are renewed one by one, by `Conversation.renew`.
        """
        require_spoken(policy)
        self.identity, self.policy = identity, policy

    def __iter__(self) -> Iterator[Conversation]:
        """Go over the conversations that exist, the one used for the first time longest ago first."""
        return iter(tuple(self._conversations.values()))

    def __contains__(self, peer: str) -> bool:
        """Whether there is a conversation under this name, compared as it is."""
        return peer in self._conversations

    def __len__(self) -> int:
        """Return how many conversations there are."""
        return len(self._conversations)

    def forget(self, peer: str) -> None:
        """Drop a conversation with its keys, without a word to the peer."""
        self._conversations.pop(peer, None)

    def rename(self, old: str, new: str) -> None:
        """Follow a peer to a new name; a conversation under the new name, if any, was with somebody else."""
        talk = self._conversations.pop(old, None)
        if talk is not None:
            talk.peer = new
            self._conversations[new] = talk
