"""What the client of the engine sees of WeeChat, as `otrcore.client.app` has it.

It stands behind the script, which WeeChat loads: WeeChat looks there for the functions that are named
here, `on_time`, `on_readable` and `redraw`.
"""

from __future__ import annotations

import functools
import json
import re
from collections import deque
from contextlib import contextmanager, suppress
from typing import Any, Callable, Iterator, NamedTuple, Sequence, Tuple

import weechat  # type: ignore[import-not-found,unused-ignore]

from otrcore.client.app import Status
from otrcore.client.chat import Chat
from otrcore.client.guard import Held

Key = Tuple[str, str]
"""A server, and somebody's folded nick."""

OPTIONS = {
    "look.prefix": ("${color:cyan}OTR", "in front of the lines that OTR has to say"),
    "look.unexpected": ("[not encrypted] ", "in front of what came readable and should have been encrypted"),
    "look.input_encrypted": ("${color:green}OTR> ", "input line: what you type leaves encrypted"),
    "look.input_finished": ("${color:red}not sent> ", "input line: nothing leaves until you choose"),
    "look.input_secret": ("${color:yellow}secret> ", "input line: what you type is a secret, and unseen"),
    "look.separator": (", ", "between the parts of the bar item otr"),
    "look.plaintext": ("OTR: not encrypted", "bar item: others can read what you type"),
    "look.starting": ("${color:yellow}OTR: starting", "bar item: an encrypted conversation is being set up"),
    "look.encrypted": ("${color:green}OTR${version}: encrypted", "bar item: what you type leaves encrypted"),
    "look.finished": ("${color:red}OTR: ended there", "bar item: nothing leaves until you choose"),
    "look.verified": ("${color:green}verified", "bar item: nobody is in between"),
    "look.unverified": ("${color:yellow}NOT verified", "bar item: somebody could be in between"),
    "look.logged": ("${color:yellow}logged", "bar item: WeeChat logs what is said encrypted"),
    "look.unlogged": ("", "bar item: WeeChat does not log what is said encrypted"),
    "look.verifying": ("${percent} %", "bar item: how far a verification is"),
    "color.info": ("${color:default}", "lines of OTR that tell something"),
    "color.good": ("${color:green}", "lines of OTR that tell something good"),
    "color.warning": ("${color:lightred}", "lines of OTR that warn"),
    "log.encrypted": ("off", "on: WeeChat logs what is said encrypted, unless /otr log says otherwise"),
    "keys.passphrase": ("", "of your private keys, such as ${sec.data.otr}; if empty, you are asked"),
}
"""By section and name: value, which WeeChat evaluates, and description."""

PASSPHRASE = 0
"""Number of the prompt for it."""

LONGEST = 512
"""Bytes of a line."""

OLD_HABIT = re.compile(
    r"/otr\s+(smp(?!\s+(ask|start|answer|respond|abort|cancel)\s*$)|authq?|verify|answer)\s+\S", re.I
)
"""What has a secret in it in other clients, and here by habit."""

_KEPT = "otr_client_kept"
"""Variable of WeeChat's own buffer, for the script that is loaded next."""
_FROM_SAFE = re.compile(r"\$\{sec\.data\.[^{}]+\}")
_NO_LINE = re.compile("[\r\n\x00\x01]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Prompt(NamedTuple):
    """A secret that is asked for in a buffer."""

    number: int
    server: str
    peer: str
    before: str
    """What stood in the input line."""


class View(NamedTuple):
    """How the conversation of a buffer stands."""

    status: Status
    logged: bool

    @property
    def encrypted(self) -> bool:
        """Whether what is typed leaves encrypted, which it does not once the peer has ended it."""
        return self.status.state == "encrypted"

    @property
    def variables(self) -> dict[str, str]:
        """What others read of it in the buffer's local variables."""
        trusted = self.encrypted and self.status.trust != "none"
        values = {"encrypted": self.encrypted, "authenticated": trusted, "logged": self.logged}
        version = str(self.status.version or "") if self.encrypted else ""
        return {**{name: str(value).lower() for name, value in values.items()}, "version": version}

    @property
    def text(self) -> str:
        """What the bar item shows."""
        parts = ["starting" if self.status.starting and not self.encrypted else self.status.state]
        if self.encrypted:
            parts.append("unverified" if self.status.trust == "none" else "verified")
            parts.append("logged" if self.logged else "unlogged")
            parts += [] if self.status.percent is None else ["verifying"]
        values = {"version": str(self.status.version or ""), "percent": str(self.status.percent)}
        shown = [part for part in (option("look." + part, **values) for part in parts) if part]
        reset = weechat.color("reset")
        return str((reset + option("look.separator")).join(shown) + reset)


def in_order(do: Callable[..., None]) -> Callable[..., None]:
    """Do this behind what waits."""

    def put(self: Screen, *args: Any) -> None:
        self.waiting.append((functools.partial(do, self), args))
        self.go_on()

    return put


class Screen:
    """What is shown and sent, and what is asked for."""

    def __init__(self) -> None:
        self.chat: Chat
        self.statuses: dict[Key, Status] = {}
        self.logs: dict[Key, bool] = {}
        """Whether the user wants a conversation in the log, or not."""
        self.unlogged: set[Key] = set()
        """Of whom something is shown just now that was said encrypted."""
        self.prompts: dict[str, Prompt] = {}
        """By buffer."""
        self.asked_in = ""
        """The buffer in which the user has given a command that is carried out."""
        self.sending = ""
        """The line that is sent just now."""
        self.faking = self.receiving = self.idle = False
        """A message is shown by us; WeeChat takes a line in, and waits for us; its main loop has called, and
        so it can be given lines: it would take in once more those that it is at."""
        self.waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self.steps: dict[str, Callable[[], None]] = {}
        self._watching = ""
        self._unlocking = self._unlocked = False

    # Lines.

    def send(self, server: str, to: str, line: str, command: str) -> None:
        """Send a line by `/quote`; the script's hook `outgoing` knows it by `sending`, and lets it pass."""
        raw = f"{command} {to} :{line}"
        self.sending = raw.rstrip()  # as WeeChat will have it
        try:
            weechat.command(buffer_of(server), f"/quote -server {server} {raw}")
        finally:
            self.sending = ""
            self.chat.mine(server, raw)

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
        """Show a peer's message as any that comes; one that should have been encrypted gets a mark."""
        kind, to = "NOTICE" if notice else "PRIVMSG", weechat.info_get("irc_nick", server)
        mark = option("look.unexpected") if how == "unexpected" else ""
        for line in lines:
            self._put(server, peer, f"{mask} {kind} {to}", mark + line, action, how == "encrypted", said)

    def own(self, server: str, peer: str, text: str, action: bool, encrypted: bool) -> None:
        """Show what our own user has said as WeeChat shows what a server echoes."""
        nick, known = weechat.info_get("irc_nick", server), context(buffer_of(server, peer))[1]
        # To a nick in other letters, WeeChat would rename the buffer.
        self._put(server, peer, f"{nick} PRIVMSG {known or peer}", text, action, encrypted)

    def _put(
        self, server: str, peer: str, head: str, text: str, action: bool, encrypted: bool, tags: str = ""
    ) -> None:
        """Have WeeChat show a message as if it came from the server, in its turn."""
        text = _NO_LINE.sub("", text) or " "
        line = f":{head} :" + (f"\x01ACTION {text}\x01" if action else text)
        unlogged = {self.key(server, peer)} if encrypted else set()
        self.waiting.append((self._fake, (server, line, unlogged, tags)))
        self.go_on()

    def _fake(self, server: str, line: str, unlogged: set[Key], tags: str) -> None:
        self.unlogged, self.faking = unlogged, True
        try:
            weechat.command(buffer_of(server), f"/server fakerecv {tags}{line}")
        finally:
            self.unlogged, self.faking = set(), False

    def taken(self, server: str, sender: str) -> str:
        """Return the message that waits in front of all else, if it is the sender's, as a raw line."""
        line = ""
        if self.waiting and self.waiting[0][0] == self._fake:
            where, first, keys, _ = self.waiting[0][1]
            if where == server and first.startswith(f":{sender} "):
                line, self.unlogged = first, self.unlogged | keys
                self.waiting.popleft()
        if line or self.waiting:
            self.later(0, self.unlogged.clear)  # when the line is shown
        return line

    def go_on(self) -> None:
        """Do what waits, in its order."""
        while self.waiting and not self.receiving:
            do, args = self.waiting[0]
            if do == self._fake and not (self.idle and takes_lines(args[0])):
                self.later(0.01 if self.idle else 0, lambda: None)
                return
            self.waiting.popleft()
            do(*args)

    def limit(self, server: str, to: str) -> int | None:
        """Return how many bytes WeeChat leaves in one line, before it would split a text; None if unknown."""
        head = f"PRIVMSG {to} :"
        asked = {"server": server, "message": head + "x" * LONGEST}
        first = weechat.info_get_hashtable("irc_message_split", asked).get("msg1", "")
        return max(0, len(first) - len(head)) or None

    # What is told, and asked for.

    @in_order
    def note(
        self, server: str, peer: str, lines: Sequence[str], level: str, typed: str | None, highlight: bool
    ) -> None:
        """Print lines in the conversation, or where a command was given; without a server, also in front."""
        buffer = self.asked_in if self.asked_in and not peer else buffer_of(server, peer, create=True)
        notify = (
            "notify_highlight" if highlight else "notify_private" if level == "warning" else "notify_none"
        )
        for line in [*lines, *([] if typed is None else ["  your text: " + typed])]:
            for place in {buffer} if server else {buffer, weechat.current_buffer()}:
                tell(place, line, level, notify)

    def torn(self, server: str, lines: Sequence[tuple[str, str]]) -> None:
        """Tell of the lines of a text, by their targets, that none was sent, as the targets differ."""
        for targets, line in lines:
            names = targets.replace(",", ", ")
            why = f"Not sent to {names}, as not all lines of this text may go to the same people: try again."
            self.note(server, "", [why], "warning", line, False)

    @in_order
    def ask(
        self, server: str, peer: str, number: int, by_peer: bool, question: str | None, lines: Sequence[str]
    ) -> None:
        """Have the next line typed in the buffer be the secret; a passphrase of the options is tried once."""
        known = option("keys.passphrase") if number == PASSPHRASE else ""
        if known and not self._unlocked:
            if not self._unlocking:
                self._unlocking = True
                self.later(0, lambda: self._unlock(server, peer, known))
            return
        self._unask(number)
        buffer = buffer_of(server, peer, create=True)
        self.close_prompt(buffer)
        self.prompts[buffer] = Prompt(number, server, peer, weechat.buffer_get_string(buffer, "input"))
        weechat.buffer_set(buffer, "input", "")
        for line in lines:
            tell(buffer, line)
        if self.asked_in:
            weechat.buffer_set(buffer, "display", "1")

    def _unlock(self, server: str, peer: str, passphrase: str) -> None:
        """Answer once what the user need not be asked; if that was wrong, the user is."""
        self._unlocked = True
        self.chat.answer(server, peer, PASSPHRASE, passphrase)

    @in_order
    def unask(self, server: str, peer: str, number: int) -> None:
        """Close the prompt of this number, wherever it is."""
        self._unask(number)

    def _unask(self, number: int) -> None:
        for buffer in [buffer for buffer, prompt in self.prompts.items() if prompt.number == number]:
            self.close_prompt(buffer)

    def answered(self, buffer: str, typed: str) -> None:
        """The secret was typed that is asked for in a buffer."""
        prompt = self.prompts[buffer]
        self.close_prompt(buffer)
        if _FROM_SAFE.fullmatch(typed):
            typed = evaluated(typed)
            if not typed:
                tell(
                    buffer,
                    "There is nothing of that name in WeeChat's safe: /secure lists what is.",
                    "warning",
                )
        self.chat.answer(prompt.server, prompt.peer, prompt.number, typed)

    def close_prompt(self, buffer: str) -> None:
        """Ask no more in a buffer; what was typed there goes nowhere."""
        if buffer in self.prompts:
            weechat.buffer_set(buffer, "input", self.prompts.pop(buffer).before)

    # How conversations stand.

    @in_order
    def status(self, server: str, peer: str, status: Status) -> None:
        """Show how a conversation stands; with its end, what `/otr log` has said of it is over, too."""
        key = self.key(server, peer)
        self.statuses[key] = status
        if status.state != "encrypted":
            self.logs.pop(key, None)
        if status.state == "plaintext" and not status.starting:
            del self.statuses[key]
        self.draw(server, peer)

    @in_order
    def log(self, server: str, peer: str, on: bool) -> None:
        """Let WeeChat log what is said encrypted in a conversation, or tell it not to."""
        self.logs[self.key(server, peer)] = on
        self.draw(server, peer)

    def option(self, name: str, value: str) -> None:
        """WeeChat has options of its own, and so nothing is set by `/otr set`."""

    @in_order
    def renamed(self, server: str, old: str, new: str) -> None:
        """Go on under another nick with what is known of a conversation."""
        before, now = self.key(server, old), self.key(server, new)
        if before in self.statuses:
            self.statuses[now] = self.statuses.pop(before)
        if before in self.logs:
            self.logs[now] = self.logs.pop(before)
        self.draw(server, old)
        self.draw(server, new)

    def key(self, server: str, peer: str) -> Key:
        """Return what a conversation is kept under: the nicks that a server takes for one have one key."""
        return server, self.chat.guard.naming(server).key(peer)

    def held(self, server: str, peer: str) -> bool:
        """Whether nothing may go to somebody as it is typed."""
        return self.chat.guard.held(server, peer) not in (None, Held.UNKNOWN)

    def view(self, buffer: str) -> View:
        """Return how the conversation of a buffer stands."""
        key = self.key(*context(buffer))
        status = self.statuses.get(key, Status("plaintext"))
        encrypted = status.state == "encrypted" or key in self.unlogged
        return View(status, not encrypted or self.logs.get(key, option("log.encrypted") == "on"))

    def mark(self, buffer: str) -> str:
        """Return what stands in front of the input line of a buffer."""
        state = self.view(buffer).status.state if context(buffer)[1] else ""
        kind = "secret" if buffer in self.prompts else state
        mark = option("look.input_" + kind) if kind in ("secret", "encrypted", "finished") else ""
        return mark + str(weechat.color("reset")) if mark else ""

    def adopt(self, buffer: str) -> None:
        """Go on with a conversation as a script before this one has left it."""
        server, peer = context(buffer)
        if peer and weechat.buffer_get_string(buffer, "localvar_otr_encrypted") == "true":
            self.logs[self.key(server, peer)] = (
                weechat.buffer_get_string(buffer, "localvar_otr_logged") == "true"
            )
        elif peer:
            self.draw(server, peer)

    def draw(self, server: str, peer: str) -> None:
        """Bring bars, and what others read, up to date."""
        buffer = buffer_of(server, peer)
        if context(buffer)[1]:
            for name, value in self.view(buffer).variables.items():
                weechat.buffer_set(buffer, "localvar_set_otr_" + name, value)
        weechat.bar_item_update("otr")
        weechat.bar_item_update("input_text")

    # The end.

    def end_all(self, leaving: set[str]) -> None:
        """Tell everybody on servers that it is over."""
        with at_once(leaving):
            for server in leaving:
                self.chat.leave(server)

    def keep(self) -> None:
        """Leave what is known of conversations to whoever is loaded next."""
        for buffer in list(self.prompts):
            self.close_prompt(buffer)
        known = json.dumps(self.chat.guard.kept)
        weechat.buffer_set(weechat.buffer_search_main(), "localvar_set_" + _KEPT, known)

    def kept(self) -> dict[str, Any]:
        """Return what a script before this one has left."""
        with suppress(ValueError):
            found = json.loads(weechat.buffer_get_string(weechat.buffer_search_main(), "localvar_" + _KEPT))
            return found if isinstance(found, dict) else {}
        return {}

    # WeeChat's main loop.

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Call a step once, from a timer of WeeChat, but not before a millisecond has passed."""
        number = str(1 + max(map(int, self.steps), default=0))
        self.steps[number] = step
        weechat.hook_timer(max(1, int(seconds * 1000)), 0, 1, "on_time", number)

    def watch(self, descriptor: int | None) -> None:
        """Have WeeChat call `on_readable` for this descriptor alone; None ends it."""
        if self._watching:
            weechat.unhook(self._watching)
        watching = "" if descriptor is None else weechat.hook_fd(descriptor, 1, 0, 0, "on_readable", "")
        self._watching = watching

    def from_top(self, step: Callable[[], None]) -> None:
        """Do something that the main loop calls for, and then what had to wait for that."""
        self.idle = True
        try:
            step()
            self.go_on()
        finally:
            self.idle = False


def context(buffer: str) -> tuple[str, str]:
    """Return server and peer of a buffer; neither if it is not of IRC, no peer if it is no conversation."""
    if weechat.buffer_get_string(buffer, "plugin") != "irc":
        return "", ""
    private = weechat.buffer_get_string(buffer, "localvar_type") == "private"
    peer = weechat.buffer_get_string(buffer, "localvar_channel") if private else ""
    return weechat.buffer_get_string(buffer, "localvar_server"), peer


def buffer_of(server: str, peer: str = "", create: bool = False) -> str:
    """Return the buffer of a conversation, where there is none that of the server, or WeeChat's own."""
    around = str((weechat.info_get("irc_buffer", server) if server else "") or weechat.buffer_search_main())
    found = str(weechat.info_get("irc_buffer", f"{server},{peer}") if peer else "")
    if found and context(found)[1]:
        return found
    if peer and create:
        weechat.command(around, f"/query -noswitch -server {server} {peer}")
        return buffer_of(server, peer)
    return around


def parse(server: str, line: str) -> tuple[str, dict[str, str]]:
    """Return the tags of a line, as written, and its parts."""
    parts = weechat.info_get_hashtable("irc_message_parse", {"server": server, "message": line})
    return f"@{parts['tags']} " if parts["tags"] else "", parts


def without_channel(server: str, line: str) -> str:
    """Return the PRIVMSG or NOTICE that a CPRIVMSG or CNOTICE is, which names a common channel, too."""
    tags, parts = parse(server, line)
    to, _, behind = parts["arguments"].partition(" ")
    text = behind.lstrip(" ").partition(" ")[2].lstrip(" ")
    return f"{tags}{parts['command'].upper()[1:]} {to} :{text[1:] if text.startswith(':') else text}"


def is_command(typed: str) -> bool:
    """Whether WeeChat would take this for a command that it knows, and not for text."""
    word = typed[1:].partition(" ")[0] if typed.startswith("/") else ""
    return word != "" and [word] in entries("hook", "command", "command")


def takes_lines(server: str) -> bool:
    """Whether WeeChat is not in the middle of a line from a server: another would be put behind that half."""
    return not any(half for name, half in entries("irc_server", server, "name", "unterminated_message"))


def tell(buffer: str, line: str, level: str = "info", notify: str = "notify_none") -> None:
    """Print a line of our own."""
    said = option("look.prefix") + "\t" + option("color." + level) + _CONTROL.sub(" ", line)
    weechat.prnt_date_tags(buffer, 0, f"no_log,otr,otr_{level},{notify}", said)


def evaluated(text: str, **values: str) -> str:
    """Return what WeeChat makes of `${...}` in a text."""
    return str(weechat.string_eval_expression(text, {}, values, {}))


def option(name: str, **values: str) -> str:
    """Return what an option stands for."""
    return evaluated(weechat.config_string(weechat.config_get("otrcore." + name)), **values)


def configure() -> None:
    """Make the options, and read what the user has set."""
    file = weechat.config_new("otrcore", "", "")
    sections: dict[str, str] = {}
    for full, (value, about) in OPTIONS.items():
        section, _, name = full.partition(".")
        if section not in sections:
            sections[section] = weechat.config_new_section(file, section, 0, 0, *[""] * 10)
        _make(file, sections[section], name, about, value, value, "redraw")
    weechat.config_new_section(file, "policy", 1, 1, *[""] * 6, "policy_made", "", "", "")
    weechat.config_read(file)


def make_policy(file: str, section: str, name: str, value: str) -> None:
    """Make an option that the user has thought of: otrcore.policy.default, .SERVER or .SERVER.NICK."""
    about = "policy for one person, or for everybody on a server, or everywhere: a word of /otr policy"
    _make(file, section, name, about, "default", value, "policy_changed")


def policies() -> Iterator[dict[str, Any]]:
    """Yield the policies that the user has set."""
    for name, value in entries("option", "otrcore.policy.*", "option_name", "value"):
        server, _, peer = name.rpartition(".")
        if any(entries("irc_server", name, "name")):  # whose name may have dots in it, too
            server, peer = name, ""
        elif not server:
            server, peer = ("" if name == "default" else name), ""
        yield {"server": server or None, "peer": peer or None, "name": "policy", "value": value}


def _make(file: str, section: str, name: str, about: str, usual: str, value: str, changed: str) -> None:
    kind = name, "string", about, "", 0, 0, usual, value, 0
    weechat.config_new_option(file, section, *kind, "", "", changed, "", changed, "")


def entries(name: str, about: str, *fields: str) -> Iterator[list[str]]:
    """Yield fields of what WeeChat lists; `about` is a pointer for a nicklist, else arguments."""
    infolist = weechat.infolist_get(name, *((about, "") if name == "nicklist" else ("", about)))
    try:
        while weechat.infolist_next(infolist):
            yield [weechat.infolist_string(infolist, field) for field in fields]
    finally:
        weechat.infolist_free(infolist)


@contextmanager
def at_once(servers: set[str]) -> Iterator[None]:
    """Let lines leave without the pauses that spare a server, which is about to be left."""
    names = [f"irc.server.{server}.anti_flood{more}" for server in servers for more in ("", "_prio_high")]
    pauses = [pause for pause in map(weechat.config_get, names) if pause]
    before = [
        None if weechat.config_option_is_null(pause) else weechat.config_integer(pause) for pause in pauses
    ]
    for pause in pauses:
        weechat.config_option_set(pause, "0", 1)
    try:
        yield
    finally:
        for pause, value in zip(pauses, before):
            if value is None:
                weechat.config_option_set_null(pause, 1)
            else:
                weechat.config_option_set(pause, str(value), 1)
