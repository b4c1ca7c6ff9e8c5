"""Connection registration: from the first line on a connection to the end of the server's welcome.

What is sent is CAP and SASL, then PASS, NICK and USER, then other nicks while the server refuses them; it
ends with 001 and what follows it. Pure: methods return the lines to send.

Source: https://modern.ircdocs.horse/#connection-registration
"""

from __future__ import annotations

from ..names import is_name
from .nickchoice import NickChoice
from .options import Login, Settings
from .received import ReceivedLine
from .sasl import Negotiation

_WELCOME_PATIENCE = 5.0
"""Seconds after 001 without an end of MOTD (376, 422) until the registration counts as finished."""


class Registration:
    """One connection's registration. Once there is a `failure`, the connection must be given up."""

    def __init__(self, settings: Settings, login: Login, now: float) -> None:
        self._settings = settings
        self._negotiation = Negotiation(login.sasl, settings.capabilities)
        self._choice = NickChoice(settings.nick, settings.altnicks)
        self._server_password = login.server_password
        self._introduced = False
        self._register_by = now + settings.registration_timeout
        self._welcomed_at: float | None = None
        self.failure = ""
        """What has gone wrong, and what to do, to follow on `The connection`; empty while nothing has."""
        self.refused = False
        """Whether it failed for credentials that the server does not take."""

    @property
    def welcomed(self) -> bool:
        """Whether the server has let us in (001)."""
        return self._welcomed_at is not None

    @property
    def asked_nick(self) -> str:
        """The nick asked for last."""
        return self._choice.asked

    @property
    def next_moment(self) -> float:
        """When there is something to do even if nothing arrives."""
        if self._welcomed_at is None:
            return self._register_by
        return min(self._register_by, self._welcomed_at + _WELCOME_PATIENCE)

    def begin(self) -> list[str]:
        """Return the lines to begin the connection with."""
        return self._negotiation.begin() + self._introduction()

    def heard(self, line: ReceivedLine) -> list[str]:
        """Take in a line from before 001, or 001 itself, as far as CAP and SASL go."""
        lines = self._negotiation.heard(line.command, line.parameters)
        if self._negotiation.failure:
            self.failure = f"was given up, because {self._negotiation.failure}"
            self.refused = self._negotiation.refused
            return lines
        return lines + self._introduction()

    def _introduction(self) -> list[str]:
        """Say who we are, once nothing is before that."""
        if self._introduced or not self._negotiation.authenticated:
            return []
        self._introduced = True
        password, self._server_password = self._server_password, None
        return [
            *([] if password is None else [f"PASS :{password}"]),
            f"NICK {self._settings.nick}",
            f"USER {self._settings.username} 0 * :{self._settings.realname}",
        ]

    def welcome(self, nick: str, now: float) -> bool:
        """Take in 001, which calls us this; whether it is one."""
        if not self._introduced or self.welcomed or not is_name(nick):
            return False
        self._welcomed_at = now
        return True

    def nick_taken(self, named: str) -> list[str]:
        """Take in 433, 436 or 437, which named this nick."""
        return self._ask_for(self._choice.after_taken(named))

    def nick_refused(self) -> list[str]:
        """Take in 432: no client may be called that."""
        return self._ask_for(self._choice.after_refused())

    def _ask_for(self, nick: str | None) -> list[str]:
        if nick is not None:
            return [f"NICK {nick}"]
        self.failure = (
            f"was given up, because the server accepts neither the nick {self._settings.nick} nor one like "
            "it: choose another nick"
        )
        return []

    def password_refused(self) -> None:
        """Take in 464."""
        self.refused = True
        self.failure = (
            "was given up, because the server wants a password, or another one: check what is set as the "
            "password of the server"
        )

    def complete(self, now: float) -> bool:
        """Whether the server has had the time to say everything that follows on 001."""
        return self._welcomed_at is not None and now >= self._welcomed_at + _WELCOME_PATIENCE

    def tick(self, now: float) -> None:
        """Fail if it has taken too long."""
        if now < self._register_by:
            return
        owed = "did not let us in" if self._introduced else self._negotiation.overdue
        self.failure = (
            f"was given up, because the server {owed} within {self._settings.registration_timeout:g} "
            "seconds: check the address, and whether this port expects TLS"
        )
