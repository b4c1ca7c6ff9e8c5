"""Logging in before a server lets us in: capabilities (CAP) and SASL, by lines in and lines out.

Fails closed: who wants SASL gives neither nick nor user name before it has succeeded, so that no server can
register us without it. Pure.

Sources: https://ircv3.net/specs/extensions/capability-negotiation and
https://ircv3.net/specs/extensions/sasl-3.1, sasl-3.2
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from ...errors import ConnectionFailed

CHUNK = 400
"""Characters of base64 in an AUTHENTICATE; one that is full says that another follows."""


class AuthenticationRefused(ConnectionFailed):
    """The server does not take these credentials: trying again with them is of no use."""


@dataclass(frozen=True, slots=True)
class Plain:
    """An account and its password. ValueError, without the password, where SASL cannot say one of them."""

    mechanism: ClassVar[str] = "PLAIN"
    account: str
    password: str = field(repr=False)
    """Surrogates stand for bytes that are no UTF-8."""

    def __post_init__(self) -> None:
        if not self.account or "\0" in self.account or not _encodes(self.account):
            raise ValueError("The account for SASL must be a text without NUL: mend the configuration.")
        if not self.password or "\0" in self.password or not _encodes(self.password):
            raise ValueError("The password for SASL must be a text without NUL: mend the configuration.")

    def response(self) -> bytes:
        """Return the whole proof."""
        return b"\0".join((b"", _bytes(self.account), _bytes(self.password)))


@dataclass(frozen=True, slots=True)
class External:
    """What the TLS client certificate says; `account` only where that belongs to several."""

    mechanism: ClassVar[str] = "EXTERNAL"
    account: str = ""

    def __post_init__(self) -> None:
        if "\0" in self.account or not _encodes(self.account):
            raise ValueError("The account for SASL must be a text without NUL: mend the configuration.")

    def response(self) -> bytes:
        """Return the whole proof."""
        return _bytes(self.account)


Credentials = Plain | External


class _Step(Enum):
    """What the server owes us; the value completes a sentence."""

    OFFER = "did not say whether it knows SASL"
    GRANT = "did not answer our wish for SASL"
    CHALLENGE = "did not begin with SASL"
    OUTCOME = "did not say whether SASL has succeeded"
    NOTHING = "let us in"


class Negotiation:
    """One registration's CAP and SASL. Once there is a `failure`, the connection must be given up."""

    def __init__(self, credentials: Credentials | None = None, useful: Collection[str] = ()) -> None:
        """`useful` are capabilities that are asked for where they are offered, and done without elsewhere."""
        self._credentials = credentials
        self._useful = useful
        self._offered: dict[str, str] = {}
        self._unanswered: set[str] = set()
        self._step = _Step.OFFER if credentials is not None else _Step.NOTHING
        self._over = credentials is None and not useful
        self.failure = ""
        """What has failed, why and what to do, to follow on `because`; empty while nothing has."""
        self.refused = False
        """Whether it failed for credentials that the server does not take."""
        self.granted: set[str] = set()

    @property
    def authenticated(self) -> bool:
        """Whether nothing is between us and registering: SASL has succeeded, or is not wanted."""
        return self._step is _Step.NOTHING and not self.failure

    @property
    def overdue(self) -> str:
        """What the server has not done yet, to follow on `the server`; for when time is up."""
        return self._step.value

    def begin(self) -> list[str]:
        """Return the lines to begin the connection with, before NICK and USER."""
        return [] if self._over else ["CAP LS 302"]

    def heard(self, command: str, parameters: Sequence[str]) -> list[str]:
        """Take in a line of the server's before it has let us in; return those to answer with."""
        if self._over or self.failure:
            return []
        match command.upper():
            case "CAP":
                return self._cap(parameters)
            case "AUTHENTICATE":
                return self._authenticate(parameters)
            case "410":
                return self._no_cap()
            case "421" | "451" if len(parameters) > 1 and parameters[1].upper() in ("CAP", "AUTHENTICATE"):
                return self._no_cap()
            case "451" if self._step is _Step.OFFER:  # some name no command
                return self._no_cap()
            case "903":
                return self._succeed()
            case "001":
                return self._welcome()
            case "901" | "902" | "904" | "905" | "906" | "907" | "908" as numeric:
                return self._fail_by(numeric, parameters)
        return []

    # ---- capabilities

    def _cap(self, parameters: Sequence[str]) -> list[str]:
        if len(parameters) < 3:
            return []
        subcommand, names = parameters[1].upper(), parameters[-1].split()
        match subcommand:
            case "LS":
                return self._offer(names, more=parameters[2] == "*" and len(parameters) > 3)
            case "ACK":
                return self._answer(names, granted=True)
            case "NAK":
                return self._answer(names, granted=False)
            case "DEL" if "sasl" in names and self._step is not _Step.NOTHING:
                return self._fail("SASL was taken away by the server: try again later")
        return []

    def _offer(self, names: Sequence[str], *, more: bool) -> list[str]:
        if self._unanswered or self._step not in (_Step.OFFER, _Step.NOTHING):
            return []
        for name in names:
            key, _, value = name.partition("=")
            # Nothing else, as a server may offer capabilities without end.
            if key == "sasl" or key in self._useful:
                self._offered[key] = value
        if more:
            return []
        wanted = [name for name in self._useful if name in self._offered]
        if self._credentials is not None:
            refusal = self._why_not(self._credentials)
            if refusal:
                return self._fail(refusal)
            wanted.append("sasl")
            self._step = _Step.GRANT
        self._unanswered = set(wanted)
        return [f"CAP REQ :{name}" for name in wanted] or self._end()

    def _why_not(self, credentials: Credentials) -> str:
        if "sasl" not in self._offered:
            return "the server does not offer SASL now: its services may be away, or it has none"
        mechanisms = self._offered["sasl"].upper().split(",")
        if mechanisms != [""] and credentials.mechanism not in mechanisms:
            return f"the server does not offer SASL {credentials.mechanism}: choose another mechanism"
        return ""

    def _answer(self, names: Sequence[str], *, granted: bool) -> list[str]:
        answered = self._unanswered & set(names)
        self._unanswered -= answered
        if granted:
            self.granted |= answered
        lines = []
        if "sasl" in answered and self._credentials is not None:
            if not granted:
                return self._fail("the server does not let us use SASL: try again later")
            self._step = _Step.CHALLENGE
            lines = [f"AUTHENTICATE {self._credentials.mechanism}"]
        return lines + self._end()

    def _end(self) -> list[str]:
        if self._unanswered or not self.authenticated or self._over:
            return []
        self._over = True
        return ["CAP END"]

    def _no_cap(self) -> list[str]:
        if self._step is _Step.NOTHING:
            self._over = True
            return []
        return self._fail("the server does not know SASL: do without it, or choose another server")

    # ---- SASL

    def _authenticate(self, parameters: Sequence[str]) -> list[str]:
        if self._step is not _Step.CHALLENGE or self._credentials is None:
            return []
        if list(parameters[:1]) != ["+"]:
            return [*self._fail("the server asks for something else than it should"), "AUTHENTICATE *"]
        self._step = _Step.OUTCOME
        return [f"AUTHENTICATE {chunk}" for chunk in chunks(self._credentials.response())]

    def _succeed(self) -> list[str]:
        # Before the proof has left, it is no answer to it.
        if self._step is not _Step.OUTCOME:
            return []
        self._step = _Step.NOTHING
        return self._end()

    def _welcome(self) -> list[str]:
        if self._step is _Step.NOTHING:
            self._over = True
            return []
        return self._fail("the server would have let us in without it: do without SASL, or try again later")

    def _fail_by(self, numeric: str, parameters: Sequence[str]) -> list[str]:
        if self._step not in (_Step.CHALLENGE, _Step.OUTCOME):
            return []
        match numeric:
            case "901":
                return self._fail("the server has logged us out again: try again later")
            case "902":
                return self._refuse("the account may not be used: ask the network's staff")
            case "904":
                return self._refuse(_ADVICE[type(self._credentials)])
            case "905":
                return self._refuse("the server finds the account or the password too long: shorten them")
            case "907":
                return self._fail("the server says that we are logged in already, and not as whom")
            case "908":
                offered = " ".join(parameters[1:2]).upper().split(",")
                if self._credentials is not None and self._credentials.mechanism in offered:
                    return []  # only for information; what has gone wrong follows
                return self._fail("the server does not take this mechanism now: choose another, or try later")
        return self._fail("the server has called it off: its services may be away, so try again later")

    def _fail(self, why: str) -> list[str]:
        self.failure = f"SASL failed, as {why}"
        return []

    def _refuse(self, why: str) -> list[str]:
        self.failure, self.refused = f"SASL was refused, as {why}", True
        return []


_ADVICE: dict[type[object], str] = {
    Plain: "the account or its password is wrong: check both",
    External: "the certificate is not the account's: add its fingerprint to the account",
}


def chunks(response: bytes) -> list[str]:
    """Return what stands behind AUTHENTICATE, line by line, to send a response."""
    encoded = base64.b64encode(response).decode()
    pieces = [encoded[at : at + CHUNK] for at in range(0, len(encoded), CHUNK)]
    # Only a chunk that is not full ends it.
    return pieces if pieces and len(pieces[-1]) < CHUNK else [*pieces, "+"]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _encodes(text: str) -> bool:
    try:
        _bytes(text)
    except UnicodeEncodeError:
        return False
    return True
