"""One IRC server that the client is on: its host, and what the client knows of how things stand there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from ..errors import StoreError
from ..events import SessionEnded, SessionOpened, SmpAborted, SmpFailed, SmpProgress, SmpSucceeded
from ..irc.actions import Action, AskSecret, CloseSecret, Decision, ShowNote
from ..irc.host import IrcHost, Overview
from ..irc.isupport import Features
from ..irc.lanes import Lanes
from ..model import Fingerprint, MessageState, Trust
from . import actions
from .frames import Frame
from .keys import Keys
from .prompts import Asked, PromptNumbers

MAX_MASKS = 1000
"""People of a server whose nick!user@host is remembered."""

_PLAINTEXT = MessageState.PLAINTEXT.value
_TRUST = {Trust.NONE: "none", Trust.COMPARED: "compared", Trust.SMP: "smp"}
_ENDS_OF_SMP = (SmpSucceeded, SmpFailed, SmpAborted, SessionOpened, SessionEnded)


class Served:
    """A server by the client's name for it."""

    def __init__(
        self,
        name: str,
        keys: Keys,
        lanes: Lanes,
        numbers: PromptNumbers,
        push: Callable[[Sequence[Frame]], None],
    ) -> None:
        self.name = name
        self.host: IrcHost | None = None
        """None while the private keys are locked."""
        self.connected = False
        """Whether the client is registered there, as far as it has told."""
        self.trouble: StoreError | None = None
        """Why there are no keys to talk with there."""
        self._keys = keys
        self._lanes = lanes
        self._numbers = numbers
        self._push = push
        self._connect: Callable[[], None] | None = None
        self._masks: OrderedDict[str, str] = OrderedDict()
        self._statuses: dict[str, Frame] = {}
        """As the client knows them, by the hosts' keys of conversations."""
        self._progress: dict[str, int] = {}
        self._guarded: tuple[str, ...] = ()
        self._requires = False
        self._fingerprint: Fingerprint | None = None

    def connect(self, nick: str, features: Features, mask: str | None, address: str) -> None:
        """Registered with the server, under this nick; StoreError, and then `reconnect` tries again."""
        self.connected = True
        self._connect = partial(self._connected, nick, features, mask, address)
        self.reconnect()

    def reconnect(self) -> None:
        """Do what `connect` could not; StoreError."""
        if self._connect is None:
            return
        try:
            self._connect()
        except StoreError as error:
            self.trouble = error
            raise
        self._connect = self.trouble = None

    @property
    def ready(self) -> bool:
        """Whether the host knows of the server."""
        return self.host is not None and self._connect is None

    def _connected(self, nick: str, features: Features, mask: str | None, address: str) -> None:
        if self.host is None:
            self.host = IrcHost(self.name, self._keys.keeper(), self._heard, lanes=self._lanes)
        self.host.connected(nick, features, mask, server=address)

    def _heard(self, done: Sequence[Action]) -> None:
        self._push(self.frames(done))

    def introduction(self) -> Frame:
        """Return what a client has to know of a server that it is connected to."""
        host = self.host
        if host is None:
            return {}
        self._requires, self._fingerprint = host.network_policy.require_encryption, host.fingerprint
        return {
            "network": host.network,
            "fingerprint": str(self._fingerprint),
            "requires": self._requires,
        }

    def saw(self, mask: str) -> None:
        """Remember nick!user@host: what comes late is shown as what comes at once."""
        nick = mask.partition("!")[0]
        self._masks[nick] = mask
        self._masks.move_to_end(nick)
        if len(self._masks) > MAX_MASKS:
            self._masks.popitem(last=False)

    def moved(self, old: str, new: str) -> None:
        """Somebody whose mask may be known has another nick."""
        mask = self._masks.pop(old, None)
        if mask is not None:
            self.saw(f"{new}!{mask.partition('!')[2]}")

    def moved_along(self, host: IrcHost, old: str, new: str) -> None:
        """A conversation has moved to another nick, and what the client knows of it too."""
        moved, replaced = (self._statuses.pop(host.key(nick), None) for nick in (old, new))
        if moved is not None and replaced is None:  # of two, the client has to hear how it stands
            self._statuses[host.key(new)] = {**moved, "peer": new}
        percent = self._progress.pop(host.key(old), None)
        self._progress.pop(host.key(new), None)
        if percent is not None:
            self._progress[host.key(new)] = percent

    def frames(self, done: Iterable[Action]) -> list[Frame]:
        """Return actions as the link carries them."""
        told = (numbered for action in done for numbered in self._told(action))
        return list(actions.frames(self.name, told, self._masks))

    def decision(self, judged: Decision) -> Frame:
        """Return a decision as the link carries it."""
        return {
            "to": judged.target,
            "verdict": judged.verdict.name.lower(),
            "text": judged.text,
            "actions": self.frames(judged.actions),
        }

    def changes(self, *, policies: bool = True) -> list[Frame]:
        """Return how conversations stand that stand otherwise than the client knows.

        Without `policies` those are left out that have no more than a policy: looking for them takes longer.
        """
        host = self.host
        if host is None:
            return []
        changed: list[Frame] = []
        own = host.network_policy.require_encryption, host.fingerprint
        if own != (self._requires, self._fingerprint):
            self._requires, self._fingerprint = own
            changed.append(self._status(Overview("", "", requires=self._requires)))
        if policies:
            self._guarded = host.guarded()
        present = {view.key: self._status(view) for view in tuple(host.overview())}
        for key in self._guarded:
            if key not in present and not host.busy(key):
                present[key] = self._status(Overview(key, key, requires=True))
        for key, told in self._statuses.items():
            if key not in present and host.busy(key):
                present[key] = told
            elif key not in present:
                requires = host.policy(key).require_encryption
                gone = self._status(Overview(key, told["peer"], requires=requires))
                if _standing(gone) != _standing(told):
                    changed.append(gone)
        for key, status in present.items():
            if key not in self._statuses or _standing(self._statuses[key]) != _standing(status):
                changed.append(status)
        self._statuses = present
        return changed

    def standings(self) -> list[Frame]:
        """Return how those conversations stand that a client must know of; what it knows from now on."""
        self.changes()
        return [
            status for status in self._statuses.values() if _more_than_plain(status) or status["requires"]
        ]

    @property
    def protected(self) -> bool:
        """Whether any conversation is more than plain."""
        return any(map(_more_than_plain, self._statuses.values()))

    def protects(self, host: IrcHost, nick: str) -> bool:
        """Whether the conversation with a peer is, or may be just now."""
        status = self._statuses.get(host.key(nick))
        return host.busy(nick) or (status is not None and _more_than_plain(status))

    def _status(self, view: Overview) -> Frame:
        fingerprint = view.fingerprint if view.nick else self._fingerprint
        return {
            "a": "status",
            "server": self.name,
            "peer": view.nick,
            "state": view.state.value,
            "starting": view.starting,
            "trust": _TRUST[view.trust],
            "version": view.version,
            "requires": view.requires,
            "percent": self._progress.get(view.key),
            "fingerprint": None if fingerprint is None else str(fingerprint),
            "own_fingerprint": None if view.own_fingerprint is None else str(view.own_fingerprint),
        }

    def _told(self, action: Action) -> Iterable[Action]:
        """Give a prompt a number that no other server's has, and note how far a verification has come."""
        host = self.host
        match action:
            case AskSecret(peer) if host is not None:
                number = self._numbers.opened(Asked(self.name, host.key(peer), action))
                return (replace(action, number=number),)
            case CloseSecret(prompt):
                closed = self._numbers.closed(self.name, prompt)
                return () if closed is None else (CloseSecret(replace(prompt, number=closed)),)
            case ShowNote(peer, _, SmpProgress(percent)) if host is not None:
                self._progress[host.key(peer)] = percent
            case ShowNote(peer, _, event) if host is not None and isinstance(event, _ENDS_OF_SMP):
                self._progress.pop(host.key(peer), None)
        return (action,)


def _more_than_plain(status: Frame) -> bool:
    return bool(status["state"] != _PLAINTEXT or status["starting"])


def _standing(status: Frame) -> Frame:
    """Return a status without the spelling of the nick."""
    return {**status, "peer": ""}
