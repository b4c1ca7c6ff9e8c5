"""Contacts that a real program meets on a real server, each with a key of their own."""

from __future__ import annotations

from otrcore.account import Account
from otrcore.events import SmpAsked, SmpSucceeded
from otrcore.identity import Identity
from tests.clients.drivers.otr_peer import OtrPeer


class Contact(OtrPeer):
    """A nick that talks with one person."""

    def __init__(self, port: int, nick: str) -> None:
        super().__init__(port, nick)
        self.account = Account(Identity.generate())

    def __enter__(self) -> Contact:
        return self

    @property
    def fingerprint(self) -> str:
        """The contact's own, 40 lower-case hex digits."""
        return self.account.identity.fingerprint.digest.hex()

    def seen(self, nick: str) -> tuple[str, int]:
        """Return the fingerprint and the instance tag that somebody shows in the present conversation."""
        info = self.account.conversation(nick).info
        assert info is not None
        return info.their_fingerprint.digest.hex(), info.their_instance_tag

    def answer(self, nick: str, secret: str) -> None:
        """Wait to be asked for a secret, answer, and wait until both know that it was the right one."""
        self.wait(lambda: self._events(nick, SmpAsked), f"{nick} to ask")
        self._do(nick, self._talk(nick).smp_answer(secret))
        self.wait_verified(nick)

    def wait_verified(self, nick: str) -> None:
        """Wait until a secret was the same on both sides."""
        self.wait(lambda: self._events(nick, SmpSucceeded), f"{nick} to be verified")

    def _events(self, nick: str, kind: type) -> list[object]:
        return [event for event in self.events_with(nick) if isinstance(event, kind)]
