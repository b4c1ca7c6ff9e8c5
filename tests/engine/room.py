"""Chat clients with engines, joined by a server that treats their lines as real ones do.

room = Room()
alice, bob = room.join("alice", client), room.join("bob", other)
room.secure(alice, bob)
alice.say("bob", "hello")
room.until(lambda: bob.heard == [("hello", "encrypted")])
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otrcore.engine.frames import Frame
from tests.engine.engines import PATIENCE, Asked

MAX_LINE = 510


@dataclass(frozen=True)
class Line:
    """A line as it is delivered."""

    sender: str
    to: str
    text: str
    command: str


class Client:
    """A chat client on some servers: does what its engine wants done."""

    def __init__(self) -> None:
        self.engine: Asked
        self.people: dict[str, Person] = {}
        """Our own user on each server."""
        self.prompts: dict[int, Frame] = {}
        """The secrets that are asked for."""
        self.done: list[Frame] = []
        """All actions in their order."""

    def heard(self, frame: Frame) -> None:
        """Take a push."""
        self.take(frame.get("actions", []))

    def take(self, actions: list[Frame]) -> None:
        """Carry actions out."""
        for action in actions:
            self.done.append(action)
            if action["a"] == "ask":
                self.prompts[action["number"]] = action
            elif action["a"] == "unask":
                self.prompts.pop(action["number"], None)
            elif action["server"]:
                self.people[action["server"]].carry_out(action)

    def ask(self, do: str, **fields: Any) -> Frame:
        """Ask the engine, which must be able to answer; carry out what the answer wants."""
        answer = self.engine.ask(do, **fields)
        assert answer["ok"], answer
        self.take(answer.get("actions", []))
        return answer

    def answer(self, number: int, secret: str) -> None:
        """Give a secret that was asked for."""
        del self.prompts[number]
        self.ask("answer", number=number, secret=secret)

    def notes(self) -> list[str]:
        """Return the lines of all notes."""
        return [line for action in self.done if action["a"] == "note" for line in action["lines"]]


class Person:
    """The user of a client, on one server."""

    def __init__(self, room: Room, nick: str, client: Client, server: str) -> None:
        self.room = room
        self.nick = nick
        self._address = f"~{nick}@{nick}.example"
        self.client = client
        self.server = server
        self.heard: list[tuple[str, str]] = []
        """Messages shown: text, and how it came."""
        self.shown: list[Frame] = []
        self.statuses: dict[str, Frame] = {}
        self.told: list[Frame] = []
        """All statuses in their order."""
        self.limit: int | None = None

    @property
    def mask(self) -> str:
        return f"{self.nick}!{self._address}"

    def ask(self, do: str, **fields: Any) -> Frame:
        return self.client.ask(do, server=self.server, **fields)

    def connect(self, **fields: Any) -> Frame:
        """Tell the engine of the server."""
        about = {"host": "irc.example", "nick": self.nick, "mask": self.mask, "isupport": self.room.isupport}
        return self.ask("connected", **{**about, **fields})

    def carry_out(self, action: Frame) -> None:
        match action["a"]:
            case "send":
                for line in action["lines"]:
                    self.room.put(self, action["to"], line, action["command"])
            case "message":
                self.shown.append(action)
                self.heard.append(("\n".join(action["lines"]), action["protection"]))
            case "status":
                self.told.append(action)
                self.statuses[action["peer"]] = action
            case "rename":
                moved = self.statuses.pop(action["old"], None)
                if moved is not None:
                    self.statuses[action["new"]] = moved

    def say(self, to: str, text: str, command: str = "PRIVMSG") -> list[Frame]:
        """What typing does."""
        answer = self.ask("outgoing", to=to, text=text, command=command, limit=self.limit)
        for decision in answer["decisions"]:
            if decision["verdict"] != "drop":
                said = text if decision["verdict"] == "pass" else decision["text"]
                self.room.put(self, decision["to"], said, command)
            self.client.take(decision["actions"])
        decisions: list[Frame] = answer["decisions"]
        return decisions

    def command(self, peer: str, typed: str) -> None:
        """What `/otr` does."""
        self.ask("command", peer=peer, typed=typed, limit=self.limit)

    def hear(self, line: Line) -> Frame:
        """Take a line that was delivered."""
        fields = {"from": line.sender, "to": line.to, "text": line.text, "command": line.command}
        answer = self.client.engine.ask("incoming", server=self.server, limit=self.limit, **fields)
        assert answer["ok"], answer
        if answer["verdict"] != "drop":
            self.heard.append((line.text if answer["verdict"] == "pass" else answer["text"], "pass"))
        self.client.take(answer["actions"])
        return answer

    def state(self, peer: str) -> str:
        """Return how a conversation stands, as far as the client was told."""
        status = self.statuses.get(peer)
        return str(status["state"]) if status is not None else "plaintext"

    def own(self) -> list[tuple[str, bool]]:
        """Return what was shown of our own texts, and whether it is encrypted."""
        return [
            (action["text"], action["encrypted"])
            for action in self.client.done
            if action["a"] == "own" and action["server"] == self.server
        ]


class Room:
    """An IRC network."""

    def __init__(self, name: str = "Testnet") -> None:
        self.isupport = [f"NETWORK={name}", "CASEMAPPING=ascii", "CHANTYPES=#"]
        self.people: list[Person] = []
        self.lines: list[Line] = []
        """Every line that crossed the server."""
        self.on_the_way: deque[Line] = deque()

    def join(self, nick: str, client: Client, server: str = "net") -> Person:
        """Let somebody in."""
        person = Person(self, nick, client, server)
        client.people[server] = person
        self.people.append(person)
        person.connect()
        return person

    def put(self, sender: Person, to: str, text: str, command: str) -> None:
        """Take a line of somebody, and cut it as servers do."""
        room = MAX_LINE - len(f":{sender.mask} {command} {to} :".encode())
        arriving = text.encode(errors="replace")[:room].decode(errors="replace")
        line = Line(sender.mask, to, arriving, command)
        self.lines.append(line)
        self.on_the_way.append(line)

    def deliver(self) -> None:
        """Deliver what is on the way, and what that brings about at once."""
        while self.on_the_way:
            line = self.on_the_way.popleft()
            for person in self.people:
                if person.nick.lower() == line.to.lower():
                    person.hear(line)

    def rest(self, seconds: float = 0.5) -> None:
        """Let everybody talk until nobody has said anything for so long."""
        lines, since = len(self.lines), time.monotonic()
        while time.monotonic() < since + seconds:
            for client in {id(person.client): person.client for person in self.people}.values():
                client.engine.poll()
            self.deliver()
            if len(self.lines) != lines:
                lines, since = len(self.lines), time.monotonic()

    def until(self, happened: Callable[[], object]) -> None:
        """Let everybody talk until something is true."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for client in {id(person.client): person.client for person in self.people}.values():
                client.engine.poll()
            self.deliver()
            if happened():
                return
            assert time.monotonic() < deadline, [
                (person.nick, person.heard, person.client.notes(), person.statuses) for person in self.people
            ]
            time.sleep(0.002)

    def secure(self, one: Person, other: Person) -> None:
        """Start an encrypted conversation, and forget what was shown."""
        one.command(other.nick, "start")
        self.until(lambda: one.state(other.nick) == other.state(one.nick) == "encrypted")
        self.lines.clear()

    def rename(self, person: Person, nick: str) -> None:
        """Change a nick, and tell everybody."""
        old, person.nick = person.nick, nick
        for other in self.people:
            other.ask("nick_changed", old=old, new=nick)

    def crossed(self, text: str) -> bool:
        """Whether a text crossed the server for all to read."""
        return any(text in line.text for line in self.lines)
