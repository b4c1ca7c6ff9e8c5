"""The client's side of the IRC protocol on one connection: what the server's lines mean, and what to answer.

From the first line to the last: registration, our nick and mask, who comes and goes, messages, signs of life.
Without input and output: lines go out by a function that is handed in, and what others must know goes to a
listener.

Source: https://modern.ircdocs.horse
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ...errors import ConnectionFailed
from ..isupport import Features
from ..lines import Command, printable
from ..names import fold, is_name
from .keepalive import KeepAlive
from .listener import IncomingMessage, Listener
from .nickregain import NickRegain
from .options import Login, Settings
from .ownmask import OwnMask
from .pacing import OutboundQueue
from .received import ReceivedLine
from .registration import Registration
from .sasl import AuthenticationRefused

_THROTTLED = re.compile(r"\*\*\* Message to (?P<target>\S+) throttled due to flooding")
"""A server's notice that it drops lines to a target; for those that are notices, it drops without a word."""


class Server(Protocol):
    """The way to the server."""

    def send_raw(self, string: str) -> None:
        """Send one line."""

    def flush(self) -> bool:
        """Let out what can go out now."""

    def disconnect(self, message: str, said: str = "") -> None:
        """End the connection: why, to follow on `The connection`, and what the server said."""


class ClientProtocol:
    """One connection to the server of this name. `tell` calls a method of the listener.

    `registered`, `nick`, `features`, `lost` and the counters are for others to read.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        login: Login,
        server: Server,
        listener: Listener,
        tell: Callable[..., None],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._settings = settings
        self._server = server
        self._listener = listener
        self._tell = tell
        self._clock = clock
        self.nick = settings.nick
        self.features = Features()
        self.queue: OutboundQueue[tuple[Command, str]] = OutboundQueue(
            settings.pace,
            max_lines=settings.queue_lines,
            max_lines_per_target=settings.queue_lines_per_target,
            fold=lambda nick: fold(nick, self.features),
        )
        self.registered = False
        self.throttled = self.received = 0
        self.lost: ConnectionFailed | None = None
        self.parting_words = ""
        self._registration = Registration(settings, login, clock())
        self._own_mask = OwnMask()
        self._regain: NickRegain | None = None
        self._keepalive: KeepAlive | None = None
        # Nobody else can guess it, so nobody else's notice is swallowed for ours.
        self._probe = f"own mask {secrets.token_hex(8)}"
        self._handlers: dict[str, Callable[[Any], None]] = {
            "welcome": self._on_welcome,
            "featurelist": self._on_features,
            "endofmotd": self._on_end_of_motd,
            "nomotd": self._on_end_of_motd,
            "erroneusnickname": self._on_nick_refused,
            "nicknameinuse": self._on_nick_taken,
            "nickcollision": self._on_nick_taken,
            "unavailresource": self._on_nick_taken,
            "396": self._on_host_changed,
            "nosuchnick": self._on_no_such_nick,
            "passwdmismatch": self._on_password_refused,
            "ison": self._on_ison,
            "731": self._on_offline,
            "734": self._on_monitor_full,
            "privmsg": self._on_message,
            "notice": self._on_message,
            "nick": self._on_nick,
            "quit": self._on_quit,
            "pong": self._on_pong,
            "error": self._on_error,
        }

    @property
    def own_mask(self) -> str | None:
        """nick!user@host as others see us; None while unknown."""
        return self._own_mask.mask

    @property
    def answered_at(self) -> float | None:
        """When, by the clock, the server has last let us in or answered a PING; None before that."""
        return self._keepalive.answered_at if self._keepalive is not None else None

    def begin(self) -> None:
        """Say what comes first on a connection."""
        self._say(self._registration.begin())

    # ---- time

    def next_moment(self) -> float:
        """When, by the clock, there is something to do even if nothing arrives; the queue aside."""
        if not self.registered or self._keepalive is None:
            return self._registration.next_moment
        moments = [self._keepalive.next_moment]
        if self._regain is not None and self._regain.next_ask is not None:
            moments.append(self._regain.next_ask)
        return min(moments)

    def tick(self) -> None:
        """Do what is due because nothing happened."""
        now = self._clock()
        if self.lost is not None:
            return
        if not self.registered or self._keepalive is None:
            if self._registration.complete(now):
                self._become_ready()
            else:
                self._registration.tick(now)
                self._register(())
            return
        if self._regain is not None:
            self._say(self._regain.tick(now))
        if self._keepalive.silent(now):
            self._server.disconnect(
                "was given up, because the server has not answered for "
                f"{self._settings.drop_after:g} seconds: connect again"
            )
        elif self._keepalive.ping(now):
            self._say(["PING alive"])

    # ---- the beginning and the end

    def take_first(self, line: ReceivedLine) -> bool:
        """Take in what comes before we are let in; whether it ends the connection."""
        if self._registration.welcomed:
            return False
        self._register(self._registration.heard(line))
        return self.lost is not None

    def closed(self, what: str, said: str) -> None:
        """Take in the end of the connection: what has become of it, and what the server said."""
        self.registered = False
        self.parting_words = said
        kind = AuthenticationRefused if self._registration.refused else ConnectionFailed
        self.lost = kind(f"The connection to {self._name} {what}.")
        with_words = what.replace(":", f" ({said}):", 1) if said else what
        self._tell(self._listener.disconnected, f"The connection to {self._name} {with_words}.")

    def _register(self, lines: Iterable[str]) -> None:
        """Go on registering by these lines, or give it up."""
        self._say(lines)
        if self._registration.failure:
            self._server.flush()
            self._server.disconnect(self._registration.failure)

    def _on_welcome(self, event: Any) -> None:
        if event.arguments and self._registration.welcome(event.arguments[0], self._clock()):
            # Not the nick that was asked for: some servers cut a long one without a word.
            self.nick = event.arguments[0]

    def _on_features(self, event: Any) -> None:
        self.features = self.features.updated(event.arguments[1:])

    def _on_end_of_motd(self, _event: object) -> None:
        if self._registration.welcomed and not self.registered:
            self._become_ready()

    def _become_ready(self) -> None:
        now = self._clock()
        self.registered = True
        self._keepalive = KeepAlive(self._settings.ping_after, self._settings.drop_after, now)
        self._say([f"NOTICE {self.nick} :{self._probe}"])
        if self._settings.bot_mode and self.features.bot:
            self._say([f"MODE {self.nick} +{self.features.bot}"])
        if self._settings.regain_nick:
            self._regain = NickRegain(
                self._nick_to_regain(),
                lambda one, other: self._same_nick(one)(other),
                monitor=self.features.monitor,
            )
            self._say(self._regain.under(self.nick, now))
        if self.registered:
            self._tell(self._listener.ready)

    def _nick_to_regain(self) -> str:
        wanted = self._settings.nick[: self.features.nicklen]
        asked = self._registration.asked_nick
        if asked != self.nick and asked.startswith(self.nick):
            # The server has cut it without a word: what does not fit is not to be had.
            wanted = wanted[: len(self.nick)]
        return wanted

    def _on_nick_taken(self, event: Any) -> None:
        if not self._registration.welcomed:
            named = event.arguments[1] if len(event.arguments) > 1 else ""
            self._register(self._registration.nick_taken(named))

    def _on_nick_refused(self, _event: object) -> None:
        if not self._registration.welcomed:
            self._register(self._registration.nick_refused())
        elif self._regain is not None:
            self._regain.refused()

    def _on_password_refused(self, _event: object) -> None:
        if not self._registration.welcomed:
            self._registration.password_refused()
            self._register(())

    def _on_error(self, event: Any) -> None:
        said = printable(event.arguments[-1]) if event.arguments else ""
        self._server.disconnect("was closed by the server: connect again", said or "no reason given")

    # ---- we ourselves

    def handle(self, event: Any) -> None:
        """Take in a line as the library's event, in whose `arguments` are all parameters of the line."""
        source = event.source
        if self._registration.welcomed and source.nick == self.nick:
            self._learn_mask(self._own_mask.seen(str(source)))
        handler = self._handlers.get(event.type)
        if handler is not None:
            handler(event)

    def _learn_mask(self, changed: bool) -> None:
        if changed:
            self._tell(self._listener.own_mask_changed)

    def _on_host_changed(self, event: Any) -> None:
        if len(event.arguments) > 1:
            self._learn_mask(self._own_mask.host_changed(event.arguments[1]))

    def _on_pong(self, _event: object) -> None:
        self._answered()

    def _answered(self) -> None:
        if self._keepalive is not None:
            self._keepalive.answered(self._clock())

    def _on_ison(self, event: Any) -> None:
        if self._regain is not None and len(event.arguments) > 1:
            self._say(self._regain.online(event.arguments[-1].split(), self._clock()))

    def _on_offline(self, event: Any) -> None:
        for nick in event.arguments[-1].split(",") if len(event.arguments) > 1 else ():
            self._is_free(nick.partition("!")[0])

    def _on_monitor_full(self, _event: object) -> None:
        if self._regain is not None:
            self._regain.unwatched(self._clock())

    def _is_free(self, nick: str) -> None:
        """Somebody was seen to leave a nick."""
        if self._regain is not None:
            self._say(self._regain.free(nick, self._clock()))

    # ---- others

    def _on_message(self, event: Any) -> None:
        source = event.source
        if not self.registered or not is_name(source.nick) or len(event.arguments) < 2:
            return
        target, text = event.arguments[:2]
        if source.nick == self.nick and text == self._probe:
            self._answered()
            return
        throttled = _THROTTLED.match(text) if event.type == "notice" and "!" not in source else None
        if throttled is not None and is_name(throttled["target"]):
            self.throttled += 1
            self.queue.throttled(throttled["target"], self._clock())
        self.received += 1
        command: Command = "PRIVMSG" if event.type == "privmsg" else "NOTICE"
        self._tell(
            self._listener.message,
            IncomingMessage(source.nick, str(source), target, text, command, event.tags),
        )

    def _on_nick(self, event: Any) -> None:
        old = event.source.nick
        if not is_name(old) or not event.arguments or not is_name(event.arguments[0]):
            return
        new = event.arguments[0]
        if old == self.nick:
            self.nick = new
            self._learn_mask(self._own_mask.nick_changed(new))
            if self._regain is not None:
                self._say(self._regain.under(new, self._clock()))
        else:
            self.queue.rename(self._same_nick(old), new)
            if not self._same_nick(old)(new):
                self._is_free(old)
        if self.registered:
            self._tell(self._listener.nick_changed, old, new)

    def _on_quit(self, event: Any) -> None:
        nick = event.source.nick
        if nick and nick != self.nick:
            self._forget(nick, event.arguments[0] if event.arguments else "")

    def _on_no_such_nick(self, event: Any) -> None:
        if len(event.arguments) >= 2 and event.arguments[1][:1] not in self.features.chantypes:
            self._forget(event.arguments[1], event.arguments[-1])

    def _forget(self, nick: str, reason: str) -> None:
        self.queue.discard(self._same_nick(nick))
        self._tell(self._listener.gone, nick, reason)
        self._is_free(nick)

    def _same_nick(self, nick: str) -> Callable[[str], bool]:
        """Whether a target, in whatever capitals our user wrote it, is this nick for the server."""
        folded = fold(nick, self.features)
        return lambda target: fold(target, self.features) == folded

    def _say(self, lines: Iterable[str]) -> None:
        """Send lines past the queue."""
        for line in lines:
            if self.lost is None:
                self._server.send_raw(line)
