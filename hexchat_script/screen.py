"""What the client of the engine sees of HexChat, as `otrcore.client.app` has it."""

from __future__ import annotations

import heapq
import re
import time
from contextlib import contextmanager
from itertools import count
from typing import Any, Callable, Iterator, Sequence, Tuple

import hexchat  # type: ignore[import-not-found,unused-ignore]

from otrcore.client.app import Option, Status
from otrcore.client.chat import Chat
from otrcore.client.guard import Held

from . import beside, raw
from .dialogs import Dialogs, Prompt
from .logs import Logs
from .progress import Progress
from .servers import SAFE, Servers
from .tabs import DIALOG, Tab, Tabs

Key = Tuple[str, str]
"""A server, and somebody's folded nick."""

ON, OFF = "on", "off"

SETTABLE = (
    Option("dialogs", ON, "a window opens when somebody wants to verify you", (ON, OFF)),
    Option("log", OFF, "HexChat logs what is said encrypted, unless /otr log says otherwise", (ON, OFF)),
    Option("tab", ON, "the tab's name shows how the conversation stands", (ON, OFF)),
    Option("sign.verified", "\N{HEAVY CHECK MARK}", "in front of encrypted lines: nobody is in between"),
    Option(
        "sign.unverified", "\N{WARNING SIGN}", "in front of encrypted lines: somebody could be in between"
    ),
)

_COLORS = {"info": "\00310", "good": "\00303", "warning": "\00304"}
_RESET = "\017"
_VERIFIED, _UNVERIFIED, _UNEXPECTED = "\00303", "\00307", "\00304[not encrypted]\017 "
_TAB_ACTIVITY = {"info": 1, "good": 2, "warning": 3}
"""HexChat's numbers of colours for tabs in the background: something, a message, something urgent."""

_NO_LINE = re.compile("[\r\n\x00\x01]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_PLAIN = Status("plaintext")


class Screen:
    """What is shown and sent, and what is asked for."""

    def __init__(self, kept: Any) -> None:
        """`kept` has what addons before this one have left, and is left to those after it."""
        for name in ("guard", "names", "tokens"):
            vars(kept).setdefault(name, {})
        self.tabs = Tabs(kept.names)
        self.servers = Servers(self.tabs, kept.tokens)
        self.logs = Logs(lambda server, nick: self.chat.guard.naming(server).key(nick))
        self.dialogs = Dialogs(self)
        self.progress = Progress(self.tabs, self.draw, self._tell_progress)
        self.statuses: dict[Key, Status] = {}
        self.logged: dict[Key, bool] = {}
        """Whether the user wants a conversation in the log, or not."""
        self.options = {option.name: option.default for option in SETTABLE}
        self.asked: Tab | None = None
        """The tab in which the user has given a command that is carried out."""
        self.sending = self.passing = ""
        """A raw line, or a command, that is sent just now."""
        self.faking = False
        """A message is shown by us."""
        self.aside = False
        """Whether hexchat-otr does what we would do."""
        self.unloading = False
        """By the user, and not as HexChat ends."""
        self._chat: Chat | None = None
        self._sign = ""
        self._steps: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._looked = 0.0

    @property
    def chat(self) -> Chat:
        """The engine's client."""
        if self._chat is None:
            raise RuntimeError("OTR has not begun")
        return self._chat

    def begin(self, chat: Chat) -> None:
        """Find or start the engine, and tell it of what is there."""
        self._chat = self.servers.chat = chat
        self._look_beside()
        chat.begin()
        self.servers.begin()

    # Lines.

    def send(self, server: str, to: str, line: str, command: str) -> None:
        """Send one message, unseen."""
        tab = self.tabs.of(server)
        message = f"{command} {to} :{line}"
        self.sending = message.rstrip()
        try:
            if tab is None:
                raise LookupError("no tab of that server")
            tab.context.command("QUOTE " + message)
            queue = max((now.queue for now in self.tabs.all() if now.number == tab.number), default=0)
            self.progress.sent(server, to, tab.number, len(message.encode()) + 2, waits=queue > tab.queue)
        finally:
            self.sending = ""
            self.chat.mine(server, message)

    def passed(self, command: str) -> None:
        """Have HexChat send and show something by itself."""
        self.passing = command
        try:
            hexchat.command(command)
        finally:
            self.passing = ""

    def offered(self, tab: Tab, to: str, text: str, offer: str, command: str) -> bool:
        """Send a plain text with an offer of OTR in it, and show it without; False if that is too long."""
        if len(offer.encode()) > (self.servers.limit(tab.server, to) or SAFE):
            return False
        self.send(tab.server, to, offer, command)
        own = self.tab(tab.server, to)
        bare = raw.bare(text)
        if command == "NOTICE" or own is None:
            event = "Notice Send" if command == "NOTICE" else "Message Send"
            hexchat.emit_print(event, to, bare)
        else:
            own.context.emit_print("Your Message" if bare == text else "Your Action", self._nick(own), bare)
        return True

    def message(
        self,
        server: str,
        peer: str,
        mask: str,
        lines: Sequence[str],
        how: str,
        action: bool,
        notice: bool,
        said: str,
    ) -> None:
        """Show a message of the peer as if the server had brought it."""
        if how == "unexpected":
            self.tell(
                server, peer, f"What follows came NOT encrypted: it may be from somebody else than {peer}."
            )
        tab = self.tabs.of(server)
        to = self._nick(tab) if tab is not None else ""
        for line in lines:
            text = _NO_LINE.sub("", line) or " "
            body = f"\x01ACTION {text}\x01" if action else text
            self._sign = (
                _UNEXPECTED if how == "unexpected" else self._sign_of(server, peer, how == "encrypted")
            )
            try:
                with self._unlogged(self.tab(server, peer), how == "encrypted"):
                    self.fake(server, f"{said}:{mask} {'NOTICE' if notice else 'PRIVMSG'} {to} :{body}")
            finally:
                self._sign = ""

    def fake(self, server: str, line: str) -> None:
        """Give HexChat a line as if the server had sent it."""
        tab = self.tabs.of(server)
        if tab is None:
            raise LookupError("no tab of that server")
        self.faking = True
        try:
            tab.context.command(f"RECV {line}")
        finally:
            self.faking = False

    def take_sign(self) -> str:
        """Return what stands in front of the line that is shown just now; once, as it is shown again then."""
        sign, self._sign = self._sign, ""
        return sign

    def own(self, server: str, peer: str, text: str, action: bool, encrypted: bool) -> None:
        """Show a text of the user."""
        tab = self.tab(server, peer, create=True)
        if tab is None:
            raise LookupError("no tab of that server")
        shown = self._sign_of(server, peer, encrypted) + (_NO_LINE.sub("", text) or " ")
        with self._unlogged(tab, encrypted):
            tab.context.emit_print("Your Action" if action else "Your Message", self._nick(tab), shown)

    def _sign_of(self, server: str, peer: str, encrypted: bool) -> str:
        if not encrypted:
            return ""
        verified = self.status_of(server, peer).trust != "none"
        sign = self.options["sign.verified" if verified else "sign.unverified"]
        return f"{_VERIFIED if verified else _UNVERIFIED}{sign}{_RESET} "

    def _nick(self, tab: Tab) -> str:
        return str(tab.context.get_info("nick"))

    def limit(self, server: str, to: str) -> int | None:
        """Return the bytes of text that reach somebody in a line."""
        return self.servers.limit(server, to)

    # What is told, and asked for.

    @contextmanager
    def asked_in(self, tab: Tab) -> Iterator[None]:
        """The user has given a command in this tab."""
        before, self.asked = self.asked, tab
        self.dialogs.forget(tab.server, tab.peer)
        try:
            yield
        finally:
            self.asked = before

    def tell(self, server: str, peer: str, line: str, level: str = "warning") -> None:
        """Show a line of our own."""
        self.note(server, peer, [line], level, None, False)

    def _tell_progress(self, server: str, peer: str, line: str) -> None:
        self.tell(server, peer, line, "info")

    def note(
        self, server: str, peer: str, lines: Sequence[str], level: str, typed: str | None, highlight: bool
    ) -> None:
        """Show lines of our own; a highlight is somebody who wants to verify the user."""
        front = self.tabs.front() or hexchat.get_context()
        tab = self.tab(server, peer, create=True) if peer else self.asked
        tab = tab or (self.tabs.of(server) if server else None)
        places = [front] if tab is None else [tab.context]
        if tab is not None and not server and tab.context != front:
            places.append(front)
        for place in places:
            with self._unlogged(tab):
                for line in [*lines, *([] if typed is None else ["  your text: " + typed])]:
                    place.prnt(f"{_COLORS[level]}OTR{_RESET}\t{_CONTROL.sub(' ', line)}")
            if place != front:
                place.command(f"GUI COLOR {3 if highlight else _TAB_ACTIVITY[level]}")
        if not highlight:
            self.dialogs.forget(server, peer)  # there is other news of the verification, perhaps
        elif self.options["dialogs"] == ON:
            self.dialogs.invite(server, peer)

    def ask(
        self, server: str, peer: str, number: int, by_peer: bool, question: str | None, lines: Sequence[str]
    ) -> None:
        """Ask for a secret."""
        self.dialogs.ask(number, Prompt(server, peer, lines[0] if lines else ""))

    def unask(self, server: str, peer: str, number: int) -> None:
        """Do not ask for it any more."""
        self.dialogs.unask(number)

    # How conversations stand.

    def status(self, server: str, peer: str, status: Status) -> None:
        """A conversation stands in another way."""
        key = self.key(server, peer)
        self.statuses[key] = status
        if status.state == "plaintext" and not status.starting:
            del self.statuses[key]
            self.logged.pop(key, None)
        self.draw(server, peer)

    def status_of(self, server: str, peer: str) -> Status:
        """Return how a conversation stands."""
        return self.statuses.get(self.key(server, peer), _PLAIN)

    def log(self, server: str, peer: str, on: bool) -> None:
        """The user wants a conversation in the log, or not."""
        self.logged[self.key(server, peer)] = on
        self.draw(server, peer)

    def renamed(self, server: str, old: str, new: str) -> None:
        """A conversation goes on with another nick; HexChat has not renamed the tab yet."""
        before, now = self.key(server, old), self.key(server, new)
        if before in self.statuses:
            self.statuses[now] = self.statuses.pop(before)
        if before in self.logged:
            self.logged[now] = self.logged.pop(before)
        self.logs.moved(server, old, new)
        self.later(0, lambda: self.draw(server, new))

    def option(self, name: str, value: str) -> None:
        """The user has chosen."""
        self.options[name] = value
        for tab in self.tabs.all():
            if tab.kind == DIALOG:
                self.draw(tab.server, tab.name)

    def key(self, server: str, peer: str) -> Key:
        """Return what a conversation is kept under: the nicks that a server takes for one have one key."""
        return server, self.chat.guard.naming(server).key(peer)

    def tab(self, server: str, peer: str, create: bool = False) -> Tab | None:
        """Return the tab of a conversation."""
        return self.tabs.dialog(server, peer, self.chat.guard.naming(server).key, create)

    def protects(self, server: str, to: str) -> bool:
        """Whether nothing may go to one of the targets as it is typed."""
        held = (self.chat.guard.held(server, target) for target in to.split(",") if target)
        return any(reason in (Held.ENCRYPTED, Held.FINISHED, Held.LOST) for reason in held)

    def draw(self, server: str, peer: str) -> None:
        """Bring the tab of a conversation up to date: its name, and what is written down of it."""
        tab = self.tab(server, peer)
        if tab is None:
            return
        status = self.status_of(server, peer)
        secret = status.state == "encrypted" or status.starting
        if secret and not self._may_log(server, peer):
            self.logs.off(tab)
        else:
            self.logs.back(tab)
        tab.context.command(f"SETTAB {self._label(tab, status)}")

    def _label(self, tab: Tab, status: Status) -> str:
        if self.options["tab"] == OFF:
            return tab.name
        mark = ""
        if status.state == "finished":
            mark = "\N{HEAVY MULTIPLICATION X}"
        elif status.state == "encrypted":
            mark = self.options["sign.unverified" if status.trust == "none" else "sign.verified"]
        elif status.starting:
            mark = "\N{HORIZONTAL ELLIPSIS}"
        sent = self.progress.of(tab.server, tab.name)
        parts = [  # in front of the nick, as HexChat shows the first twenty characters
            *([mark] if mark else []),
            *([f"{status.percent} %"] if status.percent is not None else []),
            *([f"sending {sent.lines + 1} of {sent.of}"] if sent is not None else []),
            tab.name,
        ]
        return " ".join(parts)

    @contextmanager
    def _unlogged(self, tab: Tab | None, yes: bool = True) -> Iterator[None]:
        """What is shown meanwhile is not written down, however things stand now."""
        if tab is None or not yes or tab.kind != DIALOG or self._may_log(tab.server, tab.name):
            yield
        else:
            with self.logs.pause(tab):
                yield

    def _may_log(self, server: str, peer: str) -> bool:
        return self.logged.get(self.key(server, peer), self.options["log"] == ON)

    # HexChat's main loop.

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Do something from the main loop."""
        heapq.heappush(self._steps, (time.monotonic() + seconds, next(self._numbers), step))

    def watch(self, descriptor: int | None) -> None:
        """HexChat cannot tell when there is something to read: `tick` looks."""

    def tick(self) -> None:
        """Do what time asks for, and look what the engine has to say."""
        now = time.monotonic()
        while self._steps and self._steps[0][0] <= now:
            heapq.heappop(self._steps)[2]()
        self.chat.on_readable()
        self.servers.tick()
        self.dialogs.tick()
        self.progress.tick()
        if now - self._looked >= beside.EVERY:
            self._look_beside()

    def _look_beside(self) -> None:
        self._looked = time.monotonic()
        before, self.aside = self.aside, beside.is_loaded()
        if before != self.aside:
            if self.aside:
                self.tell("", "", beside.TOLD)
            else:
                self.tell("", "", beside.BACK, "good")

    # The end.

    def leave(self, server: str) -> None:
        """End every encrypted conversation on a server properly, which is about to be left."""
        with self.at_once():
            self.chat.leave(server)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let lines leave without the pauses that spare a server: what waits when it is left is lost."""
        throttled = hexchat.get_prefs("net_throttle")
        if throttled:
            hexchat.command("SET -quiet net_throttle 0")
        try:
            yield
        finally:
            if throttled:
                hexchat.command("SET -quiet net_throttle 1")

    def put_back(self) -> None:
        """Leave HexChat's tabs and logs as they were found."""
        for tab in self.tabs.all():
            if tab.kind == DIALOG:
                self.logs.back(tab)
                tab.context.command(f"SETTAB {tab.name}")
