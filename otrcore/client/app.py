"""What a chat client's script offers, and what it is answered."""

from __future__ import annotations

from typing import Callable, NamedTuple, Protocol, Sequence

PASS, REPLACE, DROP = "pass", "replace", "drop"


class Outgoing(NamedTuple):
    """What becomes of a message that is about to be sent.

    PASS: send it as it is; REPLACE: send `text` to `to` in its place; DROP: send nothing, all is done.
    """

    verdict: str
    to: str = ""
    text: str = ""


class Incoming(NamedTuple):
    """What becomes of a message that came: show it as it is, `text` in its place, or nothing."""

    verdict: str
    text: str = ""


class Status(NamedTuple):
    """How a conversation stands, for bars and variables."""

    state: str
    """plaintext, encrypted or finished."""
    starting: bool = False
    trust: str = "none"
    """none, compared or smp."""
    version: int | None = None
    """Of OTR."""
    requires: bool = False
    """By the policy nothing leaves unencrypted."""
    percent: int | None = None
    """Of a verification that is under way."""
    fingerprint: str | None = None
    """Of the peer's key in the encrypted conversation: groups of eight hexadecimal digits, five of them or,
    for version 4, fourteen."""
    own_fingerprint: str | None = None
    """Of ours there, likewise."""


class Option(NamedTuple):
    """An option of a chat client that has no settings of its own: set by `/otr set`, kept by the engine."""

    name: str
    """Lower case, such as "sign.verified"."""
    default: str
    about: str
    """What it does, for the list of `/otr set`."""
    choices: Sequence[str] = ()
    """All values that there are, in lower case; empty for any line of text."""


class App(Protocol):
    """The script in the chat client.  Servers go by the client's own names for them.

    What raises here is told to the user in a sentence, and keeps nothing else from being done.
    """

    def send(self, server: str, to: str, line: str, command: str) -> None:
        """Send one message, unseen; it comes by the hook for outgoing messages, where `mine` knows it."""

    def message(
        self,
        server: str,
        peer: str,
        mask: str,
        lines: Sequence[str],
        protection: str,
        action: bool,
        notice: bool,
        said: str,
    ) -> None:
        """Show a message of the peer; `protection` is plain, encrypted or unexpected.

        `said` is what Chat.incoming was told with its last line; empty for now.
        """

    def own(self, server: str, peer: str, text: str, action: bool, encrypted: bool) -> None:
        """Show a text of our own user."""

    def note(
        self, server: str, peer: str, lines: Sequence[str], level: str, typed: str | None, highlight: bool
    ) -> None:
        """Show lines of our own: without `peer` on the server, without `server` for the whole client.

        `level` is info, good or warning; `typed` was not sent, and is to stay within reach of the user.
        """

    def status(self, server: str, peer: str, status: Status) -> None:
        """A conversation stands in another way than before."""

    def ask(
        self,
        server: str,
        peer: str,
        number: int,
        by_peer: bool,
        question: str | None,
        lines: Sequence[str],
    ) -> None:
        """Ask the user for a secret, unseen and kept nowhere, for `Chat.answer`."""

    def unask(self, server: str, peer: str, number: int) -> None:
        """Take that back."""

    def log(self, server: str, peer: str, on: bool) -> None:
        """This conversation may be written to the client's logs, or may not."""

    def renamed(self, server: str, old: str, new: str) -> None:
        """What was shown for a nick belongs to another nick now."""

    def option(self, name: str, value: str) -> None:
        """An option that was declared has this value now; called for each of them once an engine is there."""

    def limit(self, server: str, to: str) -> int | None:
        """Return how many bytes of text reach the target in one line; None if that is not known."""

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Call `step` once, from the client's main loop."""

    def watch(self, descriptor: int | None) -> None:
        """Call `Chat.on_readable` whenever this is readable, in place of what was watched before."""
