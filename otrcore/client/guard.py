"""What the chat client itself knows of conversations, so that none goes on unencrypted by accident.

Kept apart from the engine, and in a plain dict that outlives this script: an engine that was
started anew knows nothing of a conversation that was encrypted a moment ago.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Dict, Iterable, Iterator, Tuple

from .names import Naming, as_stored

MAX_PEERS = 2000
"""People of all servers that are remembered; those go first with whom nothing was encrypted."""

PLAINTEXT, ENCRYPTED, FINISHED, UNKNOWN = "plaintext", "encrypted", "finished", "unknown"
_STATES = (PLAINTEXT, ENCRYPTED, FINISHED, UNKNOWN)

Kept = Dict[str, Any]
Peer = Tuple[str, str]
"""A server by the client's name for it, and a nick."""


class Held(Enum):
    """Why a text must not leave as it is."""

    ENCRYPTED = "the conversation is encrypted, or is about to be"
    FINISHED = "the peer has ended the encrypted conversation"
    LOST = "the engine knows nothing any more of the encrypted conversation"
    REQUIRED = "the user's policy allows nothing unencrypted"
    UNKNOWN = "nothing is known, and the user has not been told so yet"


class Guard:
    """By server and nick; every method takes nicks as they are written."""

    def __init__(self, kept: Kept | None = None) -> None:
        """`kept` is a dict to go on from, and to be kept in step; only what JSON has is put into it."""
        self._kept: Kept = {} if kept is None else kept
        self._naming: dict[str, Naming] = {}
        self._tidy()

    @property
    def kept(self) -> Kept:
        """Everything that is known, for whoever comes after this script."""
        return self._kept

    @property
    def engine(self) -> str:
        """Which engine the knowledge is from."""
        return str(self._kept["engine"])

    def naming(self, server: str) -> Naming:
        """Return how a server names people."""
        return self._naming.get(server) or Naming()

    def set_naming(self, server: str, naming: Naming) -> None:
        """From now on a server names people in this way."""
        old, self._naming[server] = self.naming(server), naming
        if old.casemapping != naming.casemapping:
            peers = self._peers(server)
            entries = list(peers.values())
            peers.clear()
            for entry in sorted(entries, key=lambda entry: _held(entry) is not None):
                self._put(server, entry)  # of two nicks that are one now, the stricter holds

    def learn(
        self, server: str, nick: str, state: str, *, starting: bool = False, requires: bool | None = None
    ) -> None:
        """A conversation stands like this; `requires` is the policy for the peer, None for the server's."""
        if state not in _STATES:
            raise ValueError(f"no state of a conversation: {state!r}")
        before = self._peers(server).pop(self._key(server, nick), None)
        # An engine that never knew of it calls it plain, and the other side can begin a start at any time.
        lost = before is not None and before["lost"] and state == PLAINTEXT
        now = {"nick": nick, "state": FINISHED if lost else state, "starting": starting}
        self._put(server, {**now, "requires": requires, "lost": lost})

    def passed(self, server: str, nick: str) -> None:
        """The engine has let a text to somebody pass as it is."""
        entry = self._find(server, nick)
        if entry is None or entry["state"] == UNKNOWN:
            self.learn(server, nick, PLAINTEXT)

    def require(self, server: str, required: bool) -> None:
        """By the policy for a whole network, nothing leaves unencrypted, or may."""
        self._server(server)["requires"] = required

    def move(self, server: str, old: str, new: str) -> None:
        """Somebody has another nick now."""
        moved = self._peers(server).pop(self._key(server, old), None)
        if moved is not None:
            there = self._find(server, new)
            if there is None or _held(there) is None:
                self._peers(server).pop(self._key(server, new), None)
                self._put(server, {**moved, "nick": new})
            else:
                there["nick"] = new  # whoever it was: the stricter holds

    def release(self, server: str, nick: str) -> None:
        """The user has chosen to go on unencrypted."""
        self._peers(server).pop(self._key(server, nick), None)
        self.learn(server, nick, PLAINTEXT)

    def warned(self, server: str, nick: str) -> None:
        """The user has been told that nothing is known of somebody."""
        if self._find(server, nick) is None:
            self.learn(server, nick, UNKNOWN)

    def lose(self, server: str, nick: str) -> None:
        """The engine turns out to know nothing of a conversation: it is held until the user has chosen."""
        entry = self._find(server, nick)
        if entry is not None:
            _lose(entry)

    def held(self, server: str, nick: str) -> Held | None:
        """Tell why a text to somebody must not leave unencrypted; None if it may."""
        entry, stored = self._find(server, nick), self._find(server, as_stored(nick))
        required = self._server(server)["requires"]
        if entry is not None and entry["requires"] is not None:
            required = entry["requires"]
        # A policy in the store holds for all nicks that are one there, though the server tells them apart.
        required = required or (stored is not None and stored["requires"])
        return (_held(entry) if entry is not None else None) or (
            Held.REQUIRED if required else Held.UNKNOWN if entry is None else None
        )

    def reconcile(self, engine: str, protected: Iterable[Peer]) -> tuple[list[Peer], list[Peer]]:
        """An engine was greeted that holds these conversations; return who was lost, and who is plain by now.

        Lost are conversations that another engine held; they are held until the user has chosen.
        """
        listed = {(server, self._key(server, nick)) for server, nick in protected}
        same = engine != "" and engine == self.engine
        self._kept["engine"] = engine
        lost: list[Peer] = []
        plain: list[Peer] = []
        for server, key, entry in self._everybody():
            if (server, key) in listed or entry["lost"] or _held(entry) is None:
                continue
            if same:
                entry.update(state=PLAINTEXT, starting=False)
                plain.append((server, entry["nick"]))
            else:
                _lose(entry)
                lost.append((server, entry["nick"]))
        return lost, plain

    def protected(self) -> list[Peer]:
        """Return with whom there is an encrypted conversation."""
        return [
            (server, entry["nick"]) for server, _, entry in self._everybody() if entry["state"] == ENCRYPTED
        ]

    def _everybody(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for server, known in self._kept["servers"].items():
            for key, entry in known["peers"].items():
                yield server, key, entry

    def _key(self, server: str, nick: str) -> str:
        return self.naming(server).key(nick)

    def _server(self, server: str) -> dict[str, Any]:
        known: dict[str, Any] = self._kept["servers"].setdefault(server, {"requires": False, "peers": {}})
        return known

    def _peers(self, server: str) -> dict[str, dict[str, Any]]:
        peers: dict[str, dict[str, Any]] = self._server(server)["peers"]
        return peers

    def _find(self, server: str, nick: str) -> dict[str, Any] | None:
        return self._peers(server).get(self._key(server, nick))

    def _put(self, server: str, entry: dict[str, Any]) -> None:
        self._peers(server)[self._key(server, entry["nick"])] = entry
        if sum(len(known["peers"]) for known in self._kept["servers"].values()) > MAX_PEERS:
            self._forget_one()

    def _forget_one(self) -> None:
        for server, key, entry in self._everybody():
            if _held(entry) is None and not entry["requires"]:
                del self._kept["servers"][server]["peers"][key]
                return

    def _tidy(self) -> None:
        """Take over of what was kept whatever is understood."""
        engine, servers = self._kept.get("engine"), self._kept.get("servers")
        self._kept.clear()
        self._kept.update(engine=engine if isinstance(engine, str) else "", servers={})
        for server, known in servers.items() if isinstance(servers, dict) else ():
            if not isinstance(known, dict):
                continue
            self.require(server, bool(known.get("requires")))
            peers = known.get("peers")
            for entry in peers.values() if isinstance(peers, dict) else ():
                if (
                    isinstance(entry, dict)
                    and isinstance(entry.get("nick"), str)
                    and entry.get("state") in _STATES
                ):
                    flags = {name: bool(entry.get(name)) for name in ("starting", "lost")}
                    requires = None if entry.get("requires") is None else bool(entry["requires"])
                    self._put(
                        server,
                        {"nick": entry["nick"], "state": entry["state"], "requires": requires, **flags},
                    )


def _lose(entry: dict[str, Any]) -> None:
    entry.update(state=FINISHED, starting=False, lost=True)


def _held(entry: dict[str, Any]) -> Held | None:
    """Tell why a conversation is held, whatever the policy."""
    if entry["lost"]:
        return Held.LOST
    if entry["state"] == FINISHED:
        return Held.FINISHED
    if entry["state"] == ENCRYPTED or entry["starting"]:
        return Held.ENCRYPTED
    return None
