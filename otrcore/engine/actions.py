"""The actions of a host as the link carries them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..events import Event, HandshakeStep, SessionOpened, SmpAsked, SmpSucceeded
from ..irc import texts
from ..irc.actions import Action, AskSecret, CloseSecret, LogOn, Send, ShowMessage, ShowNote, ShowOwn
from ..model import Protection, Trust
from .frames import Frame

_PROTECTION = {
    Protection.PLAIN: "plain",
    Protection.ENCRYPTED: "encrypted",
    Protection.UNEXPECTED_PLAIN: "unexpected",
}
_SLOW_STEPS = ("Identity", "Auth-R")
"""Six or seven lines each, which chat clients send slowly."""
_LOUD = ("WARNING", "NOT ", "Not sent")


def frames(server: str, actions: Iterable[Action], masks: Mapping[str, str]) -> Iterator[Frame]:
    """Return actions of a server's host; `masks` are nick!user@host of people, by their nicks as seen."""
    for action in actions:
        if isinstance(action, ShowNote) and _is_in_the_way(action.event):
            continue
        yield {"server": server, **_frame(action, masks)}


def _is_in_the_way(event: Event | None) -> bool:
    """Whether an event is for who wants to see how it works: nobody waits long for that step."""
    return isinstance(event, HandshakeStep) and not (event.sent and event.message in _SLOW_STEPS)


def _frame(action: Action, masks: Mapping[str, str]) -> Frame:
    match action:
        case Send(target, lines, command):
            return {"a": "send", "to": target, "lines": list(lines), "command": command}
        case ShowMessage(peer, lines, protection, is_action, is_notice, said):
            return {
                "a": "message",
                "peer": peer,
                "mask": masks.get(peer, peer),
                "lines": list(lines),
                "protection": _PROTECTION[protection],
                "action": is_action,
                "notice": is_notice,
                "said": said,
            }
        case ShowOwn(peer, text, is_action, encrypted):
            return {"a": "own", "peer": peer, "text": text, "action": is_action, "encrypted": encrypted}
        case ShowNote(peer, lines, event, typed):
            level = "warning" if any(line.startswith(_LOUD) for line in lines) else "info"
            if isinstance(event, SmpSucceeded) or (
                isinstance(event, SessionOpened) and event.trust is not Trust.NONE and level == "info"
            ):
                level = "good"
            asked = isinstance(event, SmpAsked)
            return {
                "a": "note",
                "peer": peer,
                "lines": list(lines),
                "level": level,
                "typed": typed,
                "highlight": asked,
            }
        case AskSecret(peer, question, by_peer, number):
            return {
                "a": "ask",
                "peer": peer,
                "number": number,
                "by_peer": by_peer,
                "question": question,
                "lines": list(texts.prompt(action)),
            }
        case LogOn(peer, on):
            return {"a": "log", "peer": peer, "on": on}
        case CloseSecret(prompt):
            return {"a": "unask", "peer": prompt.peer, "number": prompt.number}
