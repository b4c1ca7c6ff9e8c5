"""What becomes of each message: on any doubt it is not sent, rather than sent unencrypted."""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from typing import Callable, Sequence

from . import texts
from .app import DROP, PASS, REPLACE, Incoming, Outgoing
from .errors import ClientError, NoAnswer, NoLink
from .exchange import Exchange, frames, status
from .frames import Frame
from .guard import FINISHED, Held

PASTE_SECONDS = 0.5
"""Within these a line that comes again belongs to the same paste; nobody reads a note and decides as fast."""

MAX_GIVEN_BACK = 200

_NOTICE = "NOTICE"
_CTCP = "\x01"
_ACTION = "\x01ACTION "
_OTR = "?OTR"
_CIPHERTEXT = ("?OTR:", "?OTR,", "?OTR|")


class Messages:
    """Judges messages with the engine's help, or without where it cannot be had."""

    def __init__(self, exchange: Exchange, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds that only grow."""
        self._exchange = exchange
        self._clock = clock
        self._given_back: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        """When it was: texts to people of whom nothing is known, which leave if they are sent once more."""
        self._guard = exchange.guard
        self._tell = exchange.actions.tell

    def outgoing(self, server: str, to: str, text: str, command: str) -> Outgoing:
        """Judge a message that is about to be sent."""
        # Somebody whom the server has renamed to a list of people is one person still.
        targets = [to] if self._protects(server, to) else [target for target in to.split(",") if target]
        people = [target for target in targets if self._is_person(server, target)]
        # A CTCP in a notice is the client's own answer to one, nothing that anybody typed.
        if not people or (command == _NOTICE and text.startswith(_CTCP)):
            return Outgoing(PASS)
        leaving: dict[int, str] = {}
        try:
            leaving = self._leaving(server, targets, people, to, text, command)
        # Whatever happens: in the clients, an exception in a hook lets the text go as it is.
        except BaseException as error:
            self._not_sent(server, people, text, partial(texts.unanswered, why=texts.broken("sent", error)))
            leaving = {at: text for at, target in enumerate(targets) if target not in people}
        finally:
            self._exchange.settle(shows=len(leaving) == len(targets))
        if not leaving:
            return Outgoing(DROP)
        # Targets share the line that is left: an offer of OTR that only some would get is left out.
        left = set(leaving.values())
        said = left.pop() if len(left) == 1 else text
        if len(leaving) == len(targets) and said == text:
            return Outgoing(PASS)
        return Outgoing(REPLACE, ",".join(targets[at] for at in sorted(leaving)), said)

    def incoming(self, server: str, sender: str, to: str, text: str, command: str, said: str) -> Incoming:
        """Judge a message that came."""
        judged = Incoming(DROP if text.startswith(_OTR) else PASS)
        try:
            judged = self._incoming(server, sender, to, text, command, said)
        except BaseException as error:
            self._tell(server, sender.partition("!")[0], texts.broken("read", error))
        finally:
            self._exchange.settle(shows=judged.verdict != DROP)
        return judged

    def _leaving(
        self, server: str, targets: Sequence[str], people: Sequence[str], to: str, text: str, command: str
    ) -> dict[int, str]:
        """Return what leaves as the client's own message: the text, by the number of its target."""
        leaving = {at: text for at, target in enumerate(targets) if target not in people}
        limits = [limit for limit in (self._exchange.limit(server, person) for person in people) if limit]
        fields = {"server": server, "to": to, "text": text, "command": command}
        try:
            answer = self._exchange.ask("outgoing", server, limit=min(limits, default=None), **fields)
        except NoLink as error:
            for at, target in enumerate(targets):
                if target in people and not self._holds(server, target, text, str(error)):
                    leaving[at] = text
            return leaving
        except ClientError as error:
            # What the engine has done with it is not known.
            self._not_sent(server, people, text, partial(texts.unanswered, why=str(error)))
            return leaving
        decisions = frames(answer.get("decisions"))
        decided = {at: _first(decisions, target) for at, target in enumerate(targets) if target in people}
        # What all of them tell of conversations is known before one of them is acted on.
        for frame in (*decided.values(), answer):
            self._exchange.take(frame)
        for at, decision in decided.items():
            said = self._decided(server, targets[at], text, decision)
            if said is not None:
                leaving[at] = said
        return leaving

    def _decided(self, server: str, target: str, text: str, decision: Frame) -> str | None:
        """Return what leaves unencrypted by a decision of the engine; None if nothing does."""
        verdict, said = decision.get("verdict"), decision.get("text")
        if verdict == DROP:
            return None
        if verdict == PASS:
            said = text
        if verdict not in (PASS, REPLACE) or not isinstance(said, str):
            self._not_sent(server, [target], text, partial(texts.unanswered, why=texts.NO_DECISION))
            return None
        if self._protects(server, target):
            self._guard.lose(server, target)
            self._exchange.actions.add([status(server, target, FINISHED)])
            self._holds(server, target, text, "")
            return None
        self._guard.passed(server, target)
        return said

    def _incoming(self, server: str, sender: str, to: str, text: str, command: str, said: str) -> Incoming:
        known = self._exchange.servers.get(server)
        naming = self._guard.naming(server)
        nick = sender.partition("!")[0]
        if known is None or not self._is_person(server, sender):
            return Incoming(PASS)
        own = naming.fold(known.nick)
        if naming.fold(nick) == own:
            # By a server that echoes, or from another client of ours: shown when it was sent, or not for us.
            echo = self._exchange.actions.echoes.take(server, f"{command} {to} :{text}")
            return Incoming(DROP if echo or text.startswith(_CIPHERTEXT) else PASS)
        if naming.fold(to) != own:
            return Incoming(PASS)
        fields = {"server": server, "from": sender, "to": to, "text": text, "command": command}
        if said:
            fields["said"] = said
        try:
            answer = self._exchange.ask(
                "incoming", server, limit=self._exchange.limit(server, nick), **fields
            )
        except ClientError as error:
            return self._unjudged(server, sender, text, command, said, error)
        self._exchange.take(answer)
        verdict, shown = answer.get("verdict"), answer.get("text")
        if verdict == PASS:
            return Incoming(PASS)
        if verdict == REPLACE and isinstance(shown, str):
            return Incoming(REPLACE, shown)
        return Incoming(DROP)

    def _unjudged(
        self, server: str, sender: str, text: str, command: str, said: str, error: ClientError
    ) -> Incoming:
        """Go on without the engine: what should have been encrypted is told apart."""
        nick = sender.partition("!")[0]
        if text.startswith(_OTR):
            told = texts.delayed(nick) if isinstance(error, NoAnswer) else texts.unreadable(nick, str(error))
            self._tell(server, nick, told)
            return Incoming(DROP)
        action = text.startswith(_ACTION)
        other_ctcp = text.startswith(_CTCP) and not action
        if other_ctcp or self._guard.held(server, nick) in (None, Held.UNKNOWN):
            return Incoming(PASS)
        message = {
            "a": "message",
            "server": server,
            "peer": nick,
            "mask": sender,
            "lines": [text[len(_ACTION) :].rstrip(_CTCP) if action else text],
            "protection": "unexpected",
            "action": action,
            "notice": command == _NOTICE,
            "said": said,
        }
        self._exchange.actions.add([message])
        return Incoming(DROP)

    def _holds(self, server: str, person: str, text: str, why: str) -> bool:
        """Keep a text back if it must not leave unencrypted, and tell so."""
        reason = self._guard.held(server, person)
        if reason is None:
            return False
        if reason is Held.UNKNOWN and self._is_sent_again(server, person, text):
            self._guard.warned(server, person)
            return False
        self._tell(server, person, texts.held(person, reason, why), typed=_as_typed(text))
        return True

    def _is_sent_again(self, server: str, person: str, text: str) -> bool:
        """Whether a text was given back before that is sent now; if not, take note that it is given back.

        Not the next line: it may be of the same paste.
        """
        key, now = (server, self._guard.naming(server).key(person), text), self._clock()
        given_back = self._given_back.get(key)
        if given_back is not None and now >= given_back + PASTE_SECONDS:
            return True
        self._given_back[key] = now
        self._given_back.move_to_end(key)
        if len(self._given_back) > MAX_GIVEN_BACK:
            self._given_back.popitem(last=False)
        return False

    def _not_sent(self, server: str, people: Sequence[str], text: str, told: Callable[[str], str]) -> None:
        for person in people:
            self._tell(server, person, told(person), typed=_as_typed(text))

    def _is_person(self, server: str, target: str) -> bool:
        try:
            # With whom there is a conversation is a person under any name: a server can give out all of them.
            return self._guard.naming(server).is_person(target) or self._protects(server, target)
        except Exception:
            return True  # on doubt, somebody to protect

    def _protects(self, server: str, name: str) -> bool:
        """Whether a conversation with somebody of this name is more than plain, as far as is known here."""
        return self._guard.held(server, name) in (Held.ENCRYPTED, Held.FINISHED, Held.LOST)


def _first(decisions: list[Frame], target: str) -> Frame:
    """Take the first decision about a target, which may be named twice, out of the list."""
    for at, decision in enumerate(decisions):
        if decision.get("to") == target:
            return decisions.pop(at)
    return {}


def _as_typed(text: str) -> str:
    return "/me " + text[len(_ACTION) :].rstrip(_CTCP) if text.startswith(_ACTION) else text
