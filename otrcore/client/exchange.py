"""What is exchanged with the engine: questions and answers, what it sends, and what it has to hear of."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, NamedTuple, Sequence

from . import texts
from .actions import Actions, size, status_of
from .app import App
from .errors import ClientError, NoAnswer, NoLink, Refused
from .frames import Frame
from .guard import ENCRYPTED, FINISHED, PLAINTEXT, Guard, Held
from .launch import Launcher
from .link import Link, State
from .names import Naming
from .place import Place, start_time

MOST_MISSED = 200
"""Events that are remembered for an engine that does not answer just now."""

_BY_USER = {"outgoing", "command", "answer", "recut"}
"""What the user was told about when no answer came in time: nothing of a late answer is done."""


class Server(NamedTuple):
    """A server that we are registered with."""

    host: str
    nick: str
    mask: str | None
    isupport: tuple[str, ...]


class Exchange:
    """Keeps engine, guard and chat client in step, whichever of them has just been started."""

    def __init__(
        self,
        app: App,
        guard: Guard,
        find: Callable[[], Place],
        launcher: Launcher,
        greeting: Frame,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._ready: set[str] = set()
        self._refusals: dict[str, str] = {}
        self._settings: Frame = {}
        self._missed: deque[tuple[str, Frame]] = deque(maxlen=MOST_MISSED)
        self._ticking = False
        self._catching_up = False
        self._announced = ""
        self.guard = guard
        self.servers: dict[str, Server] = {}
        self.fingerprints: dict[str, str] = {}
        """Of our own keys, by servers."""
        self.actions = Actions(app, self._recut, clock)
        self.link = Link(find, launcher, greeting, self, clock)

    def ask(self, do: str, on: str | None = None, **fields: Any) -> Frame:
        """Ask the engine; `on` is the server that it has to know of for that.  ClientError.

        Everything that came before the answer has been done then; what is in the answer is
        for `take`.
        """
        self.actions.run()
        if on is not None and on not in self._ready and self.link.wait() and on not in self._ready:
            raise NoLink(self._refusals.get(on, texts.NOT_CONNECTED))
        try:
            return self.link.request(do, **fields)
        finally:
            self.actions.run()

    def limit(self, server: str, to: str) -> int | None:
        """Return how many bytes of text reach a target in one line; None if that is not known."""
        try:
            return self._app.limit(server, to)
        except Exception:
            return None  # the engine assumes the least

    def take(self, frame: Frame) -> None:
        """Queue the actions of a frame; what they tell of conversations is known from now on."""
        for action in frames(frame.get("actions")):
            self.actions.add([self._learned(action)])

    def carry_out(self, frame: Frame) -> None:
        """Do what a frame wants done."""
        self.take(frame)
        self.actions.run()

    def inform(self, do: str, server: str, **fields: Any) -> None:
        """Tell the engine of something that has happened on a server; what it misses it hears later."""
        if server not in self.servers:
            return
        try:
            if self.link.state is not State.UP:
                raise NoLink
            if server in self._ready:
                self.carry_out(self.link.request(do, server=server, **fields))
        except NoLink:
            self._missed.append((do, {"server": server, **fields}))
        except ClientError:
            return  # it has heard of it: what it has to say comes late, or is about nothing that was asked

    def set_settings(self, settings: Frame) -> None:
        """These are the user's settings, for every engine that comes."""
        self._settings = settings
        if self.link.state is State.UP:
            self._tell_settings()

    def connected(self, server: str, known: Server) -> None:
        """Registered with a server; the engine hears of it as soon as it can."""
        self.servers[server] = known
        self.guard.set_naming(server, Naming(known.isupport))
        self._ready.discard(server)
        if self.link.state is State.UP:  # else when it is
            self._introduce(server)

    def disconnected(self, server: str) -> None:
        """Not registered with a server any more."""
        self.inform("disconnected", server)
        self.servers.pop(server, None)
        self.fingerprints.pop(server, None)
        self._ready.discard(server)

    def safely(self, step: Callable[[], None]) -> None:
        """Do something as a whole: what goes wrong is told to the user, what is left over is done later."""
        try:
            step()
        except ClientError as error:
            self.actions.tell("", "", str(error))
        except Exception as error:
            self.actions.tell("", "", texts.broken("done", error))
        finally:
            self.settle()

    def settle(self, *, shows: bool = False) -> None:
        """Do what is left to do, now and later; `shows`: the client still shows or sends a message first."""
        try:
            if not shows:
                self.actions.run()
            elif self.actions.waiting:
                self._app.later(0.0, self._go_on)
            if self.link.unread and not self._catching_up:
                self._catching_up = True
                self._app.later(0.0, self._catch_up)
            pause = self.link.next_poll
            if pause is not None and not self._ticking:
                self._ticking = True
                self._app.later(pause, self._tick)
            self._announce()
        # This is the last thing that is done in a hook, where nothing at all may be raised.
        except BaseException as error:
            self.actions.tell("", "", texts.broken("done", error))

    # What the link tells.

    def watch(self, descriptor: int | None) -> None:
        """Hand on what is to be watched."""
        try:
            self._app.watch(descriptor)
        except Exception as error:
            self.actions.tell("", "", texts.broken("watched", error))

    def pushed(self, frame: Frame) -> None:
        """Queue what the engine sends of its own accord."""
        self.take(frame)

    def late(self, do: str, number: int, answer: Frame) -> None:
        """Throw an answer away of which the user was told that it did not come; do what others want done."""
        if do in _BY_USER:
            self.link.tell("not_sent", self.take, re=number)
        else:
            self.take(answer)

    def greeted(self, answer: Frame) -> None:
        """Bring the engine up to date, and ourselves."""
        pid = answer.get("pid")
        engine = f"{pid}-{start_time(pid)}" if isinstance(pid, int) else ""
        same = self._compare(engine, [state for state in frames(answer.get("states")) if state.get("peer")])
        self.take(answer)
        self._ready.clear()
        missed = list(self._missed) if same else []  # another one starts from how things are now
        self._missed.clear()
        if self._settings:
            self._tell_settings()
        for server in list(self.servers):
            self._introduce(server)
        for do, fields in missed:
            self.inform(do, **fields)

    def _compare(self, engine: str, states: list[Frame]) -> bool:
        """Put together what an engine and we know of conversations; tell if it is the one from before."""
        same = engine != "" and engine == self.guard.engine
        protected = [
            (str(state.get("server")), str(state.get("peer")))
            for state in states
            if state.get("state") in (ENCRYPTED, FINISHED)
        ]
        lost, plain = self.guard.reconcile(engine, protected)
        self.actions.add([status(server, peer, PLAINTEXT) for server, peer in plain])
        for server, peer in lost:
            told = note(server, peer, texts.lost(peer), "warning")
            self.actions.add([status(server, peer, FINISHED), told])
        self.take({"actions": states})
        return same

    def _introduce(self, server: str) -> None:
        """Tell the engine of a server."""
        fields = {"server": server, **self.servers[server]._asdict()}
        try:
            answer = self.link.request("connected", **fields)
        except (NoLink, NoAnswer):
            return  # it is greeted again first, and told then
        except ClientError as error:
            self._refusals[server] = str(error)
            self.actions.tell(server, "", str(error))
            return
        self._refusals.pop(server, None)
        self._ready.add(server)
        self._learn_own(server, answer)
        if "requires" in answer:  # not while the keys are locked
            self.guard.require(server, bool(answer["requires"]))
        self.take(answer)

    def _tell_settings(self) -> None:
        try:
            self.carry_out(self.link.request("settings", **self._settings))
        except (NoLink, NoAnswer):
            return  # it is greeted again first, and told then
        except ClientError as error:
            self.actions.tell("", "", str(error))

    def _learned(self, action: Frame) -> Frame:
        """Know from now on what an action tells of conversations; return what is to be done."""
        server, peer = str(action.get("server") or ""), str(action.get("peer") or "")
        if action.get("a") == "rename":
            self.guard.move(server, str(action.get("old")), str(action.get("new")))
        elif action.get("a") == "status" and not peer:
            self.guard.require(server, bool(action.get("requires")))
            self._learn_own(server, action)
        elif action.get("a") == "status":
            try:
                now = status_of(action)
                self.guard.learn(server, peer, now.state, starting=now.starting, requires=now.requires)
            except ValueError:
                return action  # told when it is carried out
            if self.guard.held(server, peer) is Held.LOST:
                return {**action, "state": FINISHED}
        return action

    def _learn_own(self, server: str, told: Frame) -> None:
        fingerprint = told.get("fingerprint")
        if isinstance(fingerprint, str):
            self.fingerprints[server] = fingerprint

    def _recut(self, server: str, to: str, command: str, lines: Sequence[str], limit: int) -> Sequence[str]:
        fields = {"server": server, "to": to, "command": command, "lines": list(lines), "limit": limit}
        answer = self.link.request("recut", **fields)
        self.take(answer)
        cut = answer.get("lines")
        if not isinstance(cut, list) or any(not isinstance(line, str) or size(line) > limit for line in cut):
            raise Refused(texts.NOT_CUT)
        return cut

    def _go_on(self) -> None:
        self.safely(self.actions.run)

    def _catch_up(self) -> None:
        self._catching_up = False
        self.safely(self.link.poll)

    def _tick(self) -> None:
        self._ticking = False
        self.safely(self.link.poll)

    def _announce(self) -> None:
        """Tell once that there will be no engine for a while."""
        trouble = self.link.trouble
        if trouble and trouble != self._announced:
            self.actions.tell("", "", trouble)
        if trouble or self.link.state is State.UP:
            self._announced = trouble


def frames(value: object) -> list[Frame]:
    """Return what should be a list of objects as far as it is one."""
    return [frame for frame in value if isinstance(frame, dict)] if isinstance(value, list) else []


def status(server: str, peer: str, state: str) -> Frame:
    """Return the action that shows a state of which the engine has not told."""
    return {"a": "status", "server": server, "peer": peer, "state": state}


def note(server: str, peer: str, line: str, level: str = "info") -> Frame:
    """Return the action that shows a line."""
    return {"a": "note", "server": server, "peer": peer, "lines": [line], "level": level}
