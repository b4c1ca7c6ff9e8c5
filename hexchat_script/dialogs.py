"""The small windows in which secrets are asked for, and fingerprints compared.

HexChat makes them of a command, and runs another one with what was typed: `/otr_client`.
"""

from __future__ import annotations

import re
import textwrap
import time
from typing import TYPE_CHECKING, NamedTuple, Tuple

from .menu import ABOUT, ASK, COMPARE
from .tabs import DIALOG, Tab

if TYPE_CHECKING:
    from .screen import Screen

MAX_SHOWN = 300
"""Characters of what stands in a window."""

WIDTH = 44
"""Of its lines, in characters."""

NOTHING = "\N{ZERO WIDTH SPACE}"
"""What stands in an empty window: HexChat would take no text at all for a quotation mark."""

MAX_WAITING = 50
"""People who want to verify the user."""

SECRET, QUESTION, COMPARED = "secret", "question", "compared"
"""What windows send, beside what menus do."""

LOOK_EVERY = 0.5
"""Seconds."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Prompt(NamedTuple):
    """A secret that is asked for."""

    server: str
    peer: str
    text: str


Peer = Tuple[str, str]
"""A server, and a nick."""


class Dialogs:
    """Windows that are open, or wait until they are in nobody's way."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._prompts: dict[int, Prompt] = {}
        self._waiting: dict[Peer, None] = {}
        self._next = 0.0

    def ask(self, number: int, prompt: Prompt) -> None:
        """Ask for a secret, as the user has wished."""
        self._prompts[number] = prompt
        self._open(number, prompt)

    def again(self) -> None:
        """Ask once more for what concerns no peer: the user may have closed the window of it."""
        for number, prompt in list(self._prompts.items()):
            if not prompt.peer:
                self._open(number, prompt)

    def _open(self, number: int, prompt: Prompt) -> None:
        tab = self._screen.tab(prompt.server, prompt.peer) if prompt.peer else None
        tab = tab or self._screen.tabs.of(prompt.server) or self._screen.tabs.all()[0]
        self._line(tab, f"{prompt.text}\n(others at your screen can read it)", f"{SECRET} {number}")

    def unask(self, number: int) -> None:
        """Do not ask for it any more; a window that is open stays, and what is typed there goes nowhere."""
        self._prompts.pop(number, None)

    def invite(self, server: str, peer: str) -> None:
        """Have the user answer a peer as soon as that is in nobody's way."""
        while len(self._waiting) >= MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[server, peer] = None

    def forget(self, server: str, peer: str) -> None:
        """A peer need not be answered any more, or the user takes care of it without us."""
        self._waiting.pop((server, peer), None)

    def tick(self) -> None:
        """Open what waits, in the tab that the user looks at, and while nothing is typed there."""
        now = time.monotonic()
        if not self._waiting or now < self._next:
            return
        self._next = now + LOOK_EVERY
        front = self._screen.tabs.front()
        if front is None or front.get_info("inputbox"):
            return
        for server, peer in list(self._waiting):
            tab = self._screen.tab(server, peer)
            if tab is not None and tab.context == front:
                del self._waiting[server, peer]
                with self._screen.asked_in(tab):
                    self._screen.chat.command(server, peer, "smp answer")
                return

    def answered(self, tab: Tab, typed: str) -> None:
        """Take what a menu or a window sends."""
        what, _, rest = typed.replace(NOTHING, "").partition(" ")
        chat = self._screen.chat
        if what == SECRET:
            number, _, secret = rest.partition(" ")
            if number.isdigit():
                prompt = self._prompts.pop(int(number), Prompt("", "", ""))
                chat.answer(prompt.server, prompt.peer, int(number), secret)
        elif what == QUESTION:
            asked = rest.strip()
            if asked:
                chat.command(tab.server, tab.peer, f"smp ask {asked.rstrip('?')}?")
        elif what == ABOUT:  # a tab in front of which another one may be
            command, _, name = rest.partition(" ")
            theirs = [other.kind for other in self._screen.tabs.all() if other.name == name]
            if theirs and DIALOG not in theirs:
                self._screen.tell(tab.server, "", f"{name} is nobody with whom there is a conversation.")
            else:
                chat.command(tab.server, name, command)
        elif what == ASK:
            self._line(tab, f"A question to which only you and {tab.peer} know the answer", QUESTION)
        elif what == COMPARE:
            self._compare(tab)
        elif what == COMPARED:
            fingerprint, _, yes = rest.rpartition(" ")
            if yes == "1":
                chat.command(tab.server, tab.peer, f"trust {fingerprint.replace('-', ' ')}")
            else:
                told = f"{tab.peer} is not verified: somebody may be in between, if the fingerprints differ."
                self._screen.note(tab.server, tab.peer, [told], "warning", None, False)

    def _line(self, tab: Tab, text: str, then: str) -> None:
        if not tab.peer and not then.startswith(SECRET):
            self._screen.tell(tab.server, "", "That is for a conversation: open its tab first, with /query.")
            return
        # Its window is twice as wide as the longest line.
        shown = "\n".join(part for line in text.splitlines() for part in textwrap.wrap(_plain(line), WIDTH))
        tab.context.command(f'GETSTR "{NOTHING}" "otr_client {then}" "{shown}"')

    def _compare(self, tab: Tab) -> None:
        status = self._screen.status_of(tab.server, tab.peer) if tab.kind == DIALOG else None
        if status is None or status.fingerprint is None:
            told = "There is no encrypted conversation in this tab: /otr start first."
            self._screen.tell(tab.server, tab.peer, told)
            return
        text = (
            f"By voice or in person, does {_plain(tab.peer)} read this to you?\n\n"
            f"{_lines(status.fingerprint)}\n\n"
            f"And this is yours, for {_plain(tab.peer)}:\n\n{_lines(status.own_fingerprint or '')}"
        )
        then = f"otr_client {COMPARED} {status.fingerprint.replace(' ', '-')}"
        tab.context.command(f'GETBOOL "{then}" "Verify {_plain(tab.peer)}" {text}')


def _lines(fingerprint: str) -> str:
    """Return a fingerprint in lines of five groups, as it stands in the conversation."""
    groups = fingerprint.split()
    return "\n".join(" ".join(groups[at : at + 5]) for at in range(0, len(groups), 5))


def _plain(text: str) -> str:
    """Return a text as it may stand between quotation marks in a command."""
    return _CONTROL.sub(" ", text).replace('"', "'")[:MAX_SHOWN]
