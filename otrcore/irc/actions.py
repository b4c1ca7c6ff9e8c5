"""What an IrcHost answers: a verdict on one message, and actions to carry out in their order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..events import Event
from ..model import Protection
from .lines import Command


class Verdict(Enum):
    """What becomes of the message that was asked about."""

    PASS = "as it is"
    REPLACE = "with another text"
    DROP = "not at all; what is to be done instead is in the actions"


@dataclass(frozen=True, slots=True)
class Send:
    """Send these lines to `target`, together and in this order."""

    target: str
    lines: tuple[str, ...]
    command: Command = "PRIVMSG"


@dataclass(frozen=True, slots=True)
class ShowMessage:
    """Show a message of the peer, and how it came."""

    peer: str
    lines: tuple[str, ...]
    protection: Protection
    is_action: bool = False
    is_notice: bool = False
    said: str | None = None
    """When it was said, as `IrcHost.incoming` was told of its last line; None for now."""


@dataclass(frozen=True, slots=True)
class ShowOwn:
    """Show a text of our own user that has left, or waits to, where the client does not show it by itself."""

    peer: str
    text: str
    is_action: bool = False
    encrypted: bool = True


@dataclass(frozen=True, slots=True)
class ShowNote:
    """Show lines of our own about the conversation; `event` is what they are about.

    `typed` is a text of the user that was not sent: it must stay within reach.
    """

    peer: str
    lines: tuple[str, ...]
    event: Event | None = None
    typed: str | None = None


@dataclass(frozen=True, slots=True)
class AskSecret:
    """Ask the user for a secret, unseen and kept nowhere, and hand it to `IrcHost.secret` with this.

    `question` is what is asked, by the peer or by our own user.  `number` tells prompts apart:
    one that comes with a number seen before is the same prompt, and the peer has another nick
    now; one with a new number takes the place of the older one for this peer, and what was
    typed for that must not be used for this.
    """

    peer: str
    question: str | None
    by_peer: bool
    number: int


@dataclass(frozen=True, slots=True)
class CloseSecret:
    """The secret of this prompt is of no use any more; what is typed for it goes nowhere."""

    prompt: AskSecret


@dataclass(frozen=True, slots=True)
class LogOn:
    """Let what is said encrypted with a peer go into the client's log, or keep it out."""

    peer: str
    on: bool


Action = Send | ShowMessage | ShowOwn | ShowNote | AskSecret | CloseSecret | LogOn


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer about one message to, or from, one target."""

    target: str
    verdict: Verdict
    actions: tuple[Action, ...] = ()
    text: str | None = None
