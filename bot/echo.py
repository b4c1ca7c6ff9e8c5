"""What the echo peer answers: everything encrypted comes back, everything plain gets one hint."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from otrcore import Protection, SessionEnded, SessionOpened, SmpAsked
from otrcore.irc.actions import AskSecret, ShowMessage, ShowNote
from otrcore.irc.connection import IncomingMessage
from otrcore.irc.dial import ServerAddress
from otrcore.irc.isupport import Features
from otrcore.irc.keeper import Keeper
from otrcore.irc.names import Payload, Target, classify, fold
from otrcore.irc.pacing import Pace
from otrcore.irc.runner import Runner

_log = logging.getLogger(__name__)

REALNAME = "OTR echo peer"
HINT = (
    "I echo what you send me encrypted, by OTR. To begin: /otr init in irssi, /otr start in most others, "
    "or your client's OTR menu."
)
WORD = "otrcore"
"""The secret by which anybody may verify the bot, to try it: it is published, and so proves nothing."""
UNENCRYPTED = "Your last message reached me unencrypted: others could read it."

HINT_EVERY = 600.0
"""Seconds between two times that a nick is told the same: who does not heed it may be another bot."""

MAX_HINTED = 1000
"""Hints that are remembered."""

MAX_ECHOED_LINES = 10
"""Lines of one message that are echoed: each is an OTR message of its own again."""


class EchoPeer:
    """The screen of a runner that nobody looks at.  Its log never holds texts or nicks of others."""

    def __init__(
        self,
        address: ServerAddress,
        nick: str,
        keeper: Keeper,
        pace: Pace = Pace.DEFAULT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """ValueError for a nick that cannot be sent."""
        self._clock = clock
        self._hinted: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.lost: str | None = None
        self.runner = Runner(address, nick, self, keeper, realname=REALNAME, pace=pace, clock=clock)

    def ready(self) -> None:
        """Tell the operator."""
        runner = self.runner
        _log.info("ready on %s as %s, fingerprint %s", runner.network, runner.nick, runner.fingerprint)

    def plain(self, message: IncomingMessage) -> None:
        """Tell a person who writes plain text how to start; notices, services and CTCP get no answer."""
        from_person = "!" in message.mask and not self._is_own(message.sender)
        if message.command != "PRIVMSG" or not self._is_own(message.target) or not from_person:
            return
        addressed = classify(message.sender, message.text, Features())
        if addressed.payload in (Payload.TEXT, Payload.ACTION) and all(
            sender.kind is Target.PERSON for sender in addressed.recipients
        ):
            self._hint(message.sender, HINT)

    def show(self, action: ShowMessage | ShowNote) -> None:
        """Echo; and once the other side has ended, be ready for plain text again without being told."""
        if isinstance(action, ShowNote):
            match action.event:
                case SessionOpened(info):
                    _log.info("a conversation is encrypted, OTR version %d", info.version)
                case SmpAsked():
                    self.runner.command(action.peer, "smp answer")
                case SessionEnded(by_peer=True):
                    self.runner.end(action.peer)
                case SessionEnded():
                    _log.info("a conversation has ended")
        elif action.protection is Protection.ENCRYPTED:
            for line in filter(None, action.lines[:MAX_ECHOED_LINES]):
                if action.is_action:
                    self.runner.act(action.peer, line)
                else:
                    self.runner.say(action.peer, line)
        elif not action.is_notice:
            self._hint(action.peer, UNENCRYPTED)

    def ask_secret(self, prompt: AskSecret) -> None:
        """Give the word that everybody can know."""
        self.runner.secret(prompt, WORD)

    def close_secret(self, prompt: AskSecret) -> None:
        """Nobody is in the middle of typing one."""

    def renamed(self, old: str, new: str) -> None:
        """Conversations follow by themselves."""

    def disconnected(self, reason: str) -> None:
        """Keep the reason; who drives the runner looks for it."""
        self.lost = reason

    def _is_own(self, nick: str) -> bool:
        return fold(nick, Features()) == fold(self.runner.nick, Features())

    def _hint(self, nick: str, text: str) -> None:
        """Say something to somebody who does not talk encrypted, seldom enough for no loop to come of it."""
        now = self._clock()
        key = fold(nick, Features()), text
        last = self._hinted.get(key)
        if last is not None and now < last + HINT_EVERY:
            return
        self._hinted[key] = now
        self._hinted.move_to_end(key)
        if len(self._hinted) > MAX_HINTED:
            self._hinted.popitem(last=False)
        self.runner.say(nick, text)
