"""The same conversation twice: libotr with us, and libotr with libotr, and what can be seen of both.

A conversation is a list of steps, made by a seed.  A step is one operation, or two at once, with what the
network does to its lines; then lines are carried until none is left, and all that can be seen is compared.
Bytes are not: libotr draws its own randomness.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from otrcore.events import (
    ExtraKey,
    HeldBack,
    NotSent,
    Received,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpSucceeded,
)
from otrcore.model import Protection, Trust
from otrcore.policy import Policy, Tagging
from otrcore.wire.messages3 import DataMessage
from otrcore.wire.text import encode, with_tag
from tests.interop.oracle import LibotrPeer
from tests.interop.ours import Ours, message_in
from tests.pair import seeded

Who = Literal["x", "bob"]
WHO: tuple[Who, Who] = ("x", "bob")
OTHER: dict[Who, Who] = {"x": "bob", "bob": "x"}
"""`bob` is libotr in both conversations, `x` is we in one and libotr in the other."""

TroubleKind = Literal["lose", "repeat", "damage", "lose fragment", "repeat fragment"]
FLAGS = ("tag", "tagstart", "errstart", "require")
COMPARED = (
    "log_heartbeat_rcvd",
    "msg_reflected",
    "rcvdmsg_for_other_instance",
    "rcvdmsg_general_err",
    "rcvdmsg_malformed",
    "rcvdmsg_not_in_private",
    "rcvdmsg_unreadable",
    "rcvdmsg_unrecognized",
    "setup_error",
)
"""The first is for every message without a text, as all of SMP are."""

MAX_ROUNDS = 60
SECRETS = ("blue", "red")


@dataclass(frozen=True, slots=True)
class Rules:
    """Policy and longest line of one side; `words` are those of the oracle."""

    versions: frozenset[int]
    flags: frozenset[str]

    @property
    def words(self) -> str:
        """For libotr."""
        return "+".join([*(f"v{version}" for version in sorted(self.versions)), *sorted(self.flags)])

    @property
    def policy(self) -> Policy:
        """For us."""
        return Policy(
            self.versions,
            send_tag=Tagging.EVERYBODY if "tag" in self.flags else Tagging.NOBODY,
            start_on_tag="tagstart" in self.flags,
            start_on_error="errstart" in self.flags,
            require_encryption="require" in self.flags,
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """What a user does, or what somebody on the way slips in to this side; `detail` says more."""

    side: Who
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.side} {self.name}{f' {self.detail!r}' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the network does to the message of this number from this side, or to one of its fragments."""

    what: TroubleKind
    side: Who
    number: int = 0

    def __str__(self) -> str:
        return f"{self.what} of {self.side} number {self.number}"


@dataclass(frozen=True, slots=True)
class Step:
    """Operations at once, what becomes of their lines, and the seconds that pass before."""

    operations: tuple[Operation, ...]
    trouble: Trouble | None = None
    seconds: int = 0
    first: Who = "x"

    def __str__(self) -> str:
        parts = [f"after {self.seconds} s"] if self.seconds else []
        parts.append(" while ".join(map(str, self.operations)))
        parts += [str(self.trouble)] if self.trouble else []
        return ", ".join([*parts, f"{self.first} heard first"])

    def has(self, *names: str, side: Who | None = None) -> bool:
        """Whether one of these operations is in it, of this side or of either."""
        return any(op.name in names and side in (None, op.side) for op in self.operations)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A whole conversation."""

    seed: int
    rules: dict[Who, Rules]
    line_limit: int | None
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, lines of {self.line_limit}"]
        lines += [f"{side}: {self.rules[side].words}" for side in WHO]
        return "\n".join([*lines, *(f"  {step}" for step in self.steps)])


@dataclass(frozen=True, slots=True)
class View:
    """What one side shows at rest, and what it was told since the last time."""

    state: str
    sessions: int
    version: int | None
    trust: str
    texts: tuple[tuple[str, str], ...]
    smp: tuple[str, ...]
    keys: tuple[str, ...]
    refused: int
    events: tuple[str, ...] = ()
    """Of libotr's message events those that do not come with a text; of `bob` only, as ours are others."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Both sides, and whether they are in one session."""

    x: View
    bob: View
    agreed: bool
    renewed: bool
    """Whether the session of bob is another one than before."""

    def look(self, name: str) -> object:
        """Return the value of this name."""
        value: object = self
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def differences(self, other: Observation) -> frozenset[str]:
        """Names of what is not the same, such as `x.state`."""
        names = {name for name in ("agreed", "renewed") if getattr(self, name) != getattr(other, name)}
        for side in WHO:
            mine, theirs = getattr(self, side), getattr(other, side)
            names |= {
                f"{side}.{name}"
                for name in View.__dataclass_fields__
                if getattr(mine, name) != getattr(theirs, name)
            }
        return frozenset(names)


class Party(Protocol):
    """One side, driven by operations."""

    ssid: str | None

    def take(self) -> Sequence[str]: ...
    def receive(self, wire: str) -> None: ...
    def do(self, operation: Operation) -> None: ...
    def can(self, name: str) -> bool: ...
    def wait(self, seconds: int) -> None: ...
    def look(self) -> View: ...


class OurParty:
    """We."""

    def __init__(self, rules: Rules, line_limit: int | None, seed: object) -> None:
        self.side = Ours(rules.policy, line_limit=line_limit, random=seeded(seed))
        self.take, self.receive = self.side.take, self.side.receive
        self.ssid: str | None = None

    def wait(self, seconds: int) -> None:
        self.side.wait(seconds)

    def can(self, name: str) -> bool:
        match name:
            case "ask" | "abort" | "key":
                return self.side.session is not None
            case "answer":
                return self.side.talk.smp_waiting
            case _:
                return True

    def do(self, operation: Operation) -> None:
        talk = self.side.talk
        match operation.name:
            case "start":
                self.side.start()
            case "text":
                self.side.send(operation.detail)
            case "end":
                self.side.end()
            case "ask":
                secret, _, question = operation.detail.partition(":")
                self.side.note(talk.smp_start(secret, question or None))
            case "answer":
                self.side.note(talk.smp_answer(operation.detail))
            case "abort":
                self.side.note(talk.smp_abort())
            case "key":
                self.side.note(talk.extra_key(7, operation.detail.encode()))

    def look(self) -> View:
        texts: list[tuple[str, str]] = []
        smp: list[str] = []
        keys: list[str] = []
        refused = 0
        for event in self.side.shown():
            match event:
                case Received(text, protection):
                    texts.append((PROTECTIONS[protection], text))
                case SmpAsked(question):
                    smp.append(f"asked {question or ''}")
                case SmpSucceeded():
                    smp.append("success")
                case SmpFailed():
                    smp.append("failure")
                case SmpAborted(reason) if reason is not SmpEnd.HERE:
                    smp.append("aborted")
                case ExtraKey(key, 7, data):
                    keys.append(f"{data.decode()} {bytes(key).hex()}")
                case NotSent(reason=HeldBack.FINISHED):
                    refused += 1
        info = self.side.session
        self.ssid = info.ssid.hex() if info else None
        return View(
            self.side.state.value,
            len(self.side.talk.sessions),
            info.version if info else None,
            "smp" if self.side.talk.trust is Trust.SMP else "",
            tuple(texts),
            once(smp),
            tuple(keys),
            refused,
        )


class LibotrParty:
    """libotr."""

    def __init__(self, side: LibotrPeer) -> None:
        self.side = side
        self.take, self.receive = side.take, side.receive
        self.ssid: str | None = None
        self._waiting = False
        self._keys: list[str] = []

    def wait(self, seconds: int) -> None:
        if seconds:
            self.side.command("clock", add=seconds)
            self.side.command("poll")

    def can(self, name: str) -> bool:
        match name:
            case "ask" | "key" | "abort":
                return self.side.session is not None
            case "answer":
                return self._waiting and self.side.session is not None
            case _:
                return True

    def do(self, operation: Operation) -> None:
        command = self.side.command
        match operation.name:
            case "start":
                self.side.start()
            case "text":
                self.side.send(operation.detail)
            case "end":
                self.side.end()
            case "ask":
                secret, _, question = operation.detail.partition(":")
                command("smp", secret=secret, **({"question": question} if question else {}))
            case "answer":
                self._waiting = False
                command("smp_respond", secret=operation.detail)
            case "abort":
                self._waiting = False
                command("smp_abort")
            case "key":
                key = command("symkey", use=7, data=operation.detail)["key"]
                self._keys.append(f"{operation.detail} {key}")

    def look(self) -> View:
        texts: list[tuple[str, str]] = []
        smp: list[str] = []
        events: list[str] = []
        refused = 0
        for event in self.side.events():
            match event:
                case {"ev": "deliver", "text": text}:
                    texts.append(("encrypted" if event.get("encrypted") else "plain", text))
                case {"ev": "msg_event", "event": "rcvdmsg_unencrypted", "message": text}:
                    texts.append(("marked", text))
                case {"ev": "msg_event", "event": "connection_ended"}:
                    refused += 1
                case {"ev": "msg_event", "event": str(name)} if name in COMPARED:
                    events.append(name)
                case {"ev": "smp", "event": name}:
                    if name.startswith("ask_for"):
                        smp.append(f"asked {event.get('question', '')}")
                    elif name in ("success", "failure"):
                        smp.append(name)
                    elif name != "in_progress":
                        smp.append("aborted")
                    if name != "in_progress":
                        self._waiting = name.startswith("ask_for")
                case {"ev": "received_symkey", "use": 7}:
                    data = bytes.fromhex(event["usedata_hex"]).decode()
                    self._keys.append(f"{data} {event['key']}")
        keys, self._keys = self._keys, []
        contexts = self.side.status()
        encrypted = [context for context in contexts if context["msgstate"] == "encrypted"]
        # A master has its sessions in version 2, though a query may make its number that of another version.
        best = max(encrypted, key=lambda context: bool(context["kind"] == "child"), default=None)
        finished = any(context["msgstate"] == "finished" for context in contexts)
        self.ssid = best["ssid"] if best else None
        return View(
            "encrypted" if best else "finished" if finished else "plaintext",
            len(encrypted),
            best["version"] if best else None,
            str(best.get("trust") or "") if best else "",
            tuple(texts),
            once(smp),
            tuple(keys),
            refused,
            tuple(events),
        )


PROTECTIONS = {
    Protection.PLAIN: "plain",
    Protection.ENCRYPTED: "encrypted",
    Protection.UNEXPECTED_PLAIN: "marked",
}


def once(words: Sequence[str]) -> tuple[str, ...]:
    """Leave out what is only said again: libotr tells an abort once by itself and once as an error."""
    return tuple(word for at, word in enumerate(words) if at == 0 or words[at - 1] != word)


class World:
    """One conversation that is under way."""

    def __init__(self, parties: dict[Who, Party]) -> None:
        self._parties = parties
        self._ssid: str | None = None
        self._last: dict[Who, list[str]] = {"x": [], "bob": []}
        """The lines of the last data message that reached a side."""

    def can(self, operation: Operation) -> bool:
        """Whether the operation makes sense now."""
        if operation.name == "replayed":
            return bool(self._last[operation.side])
        return self._parties[operation.side].can(operation.name)

    def run(self, step: Step) -> Observation:
        """Take a step, and look at both sides when nothing is on its way any more."""
        for party in self._parties.values():
            party.wait(step.seconds)
        if step.seconds:
            self._settle(step.first, None)
        slipped_in: list[tuple[Who, Sequence[str]]] = []
        for operation in step.operations:
            lines = self._slipped_in(operation)
            if lines is None:
                self._parties[operation.side].do(operation)
            else:
                slipped_in.append((operation.side, lines))
        for side, lines in slipped_in:
            for line in lines:
                self._parties[side].receive(line)
        self._settle(step.first, step.trouble)
        views = {side: self._parties[side].look() for side in WHO}
        views["x"] = replace(views["x"], events=())
        x, bob = self._parties["x"].ssid, self._parties["bob"].ssid
        x_keys, bob_keys = views["x"].keys, views["bob"].keys
        views = {side: replace(view, keys=self._compared(x_keys, bob_keys)) for side, view in views.items()}
        renewed, self._ssid = bob != self._ssid, bob
        return Observation(views["x"], views["bob"], x is not None and x == bob, renewed)

    @staticmethod
    def _compared(x_keys: Sequence[str], bob_keys: Sequence[str]) -> tuple[str, ...]:
        """The extra keys that both have, by name, and whether they are the same."""
        return ("equal" if sorted(x_keys) == sorted(bob_keys) else "different",) if x_keys or bob_keys else ()

    def _slipped_in(self, operation: Operation) -> Sequence[str] | None:
        """The lines of an attacker or of a mishap; None for what a user does."""
        match operation.name:
            case "hears":
                return [operation.detail]
            case "hears a tag":
                return [with_tag(f"tagged {operation.detail}", map(int, operation.detail))]
            case "replayed":
                return self._last[operation.side]
            case _:
                return None

    def _settle(self, first: Who, trouble: Trouble | None) -> None:
        seen = {"x": 0, "bob": 0}
        for _ in range(MAX_ROUNDS):
            quiet = True
            for side in (first, OTHER[first]):
                # The empty line that libotr sends instead of a text that it refuses: IRC has no such line.
                for message in messages(filter(None, self._parties[side].take())):
                    quiet = False
                    lines = message
                    if trouble is not None and (trouble.side, trouble.number) == (side, seen[side]):
                        lines = troubled(message, trouble)
                    seen[side] += 1
                    self._carry(lines, OTHER[side])
            if quiet:
                return
        raise AssertionError("the peers do not come to rest")

    def _carry(self, lines: Sequence[str], to: Who) -> None:
        if lines and (lines[0].startswith(("?OTR,", "?OTR|")) or is_data(lines[0])):
            self._last[to] = list(lines)
        for line in lines:
            self._parties[to].receive(line)


def is_data(line: str) -> bool:
    """Whether the line is a whole data message."""
    return isinstance(message_in(line), DataMessage)


def messages(lines: Iterable[str]) -> Iterator[list[str]]:
    """Group the lines of one message, which is one or all of its fragments."""
    group: list[str] = []
    for line in lines:
        group.append(line)
        numbers = line.split(",")
        if not line.startswith(("?OTR,", "?OTR|")) or int(numbers[1]) == int(numbers[2]):
            yield group
            group = []
    assert not group


def troubled(message: list[str], trouble: Trouble) -> list[str]:
    """Return what arrives of a message."""
    middle = len(message) // 2
    match trouble.what:
        case "lose":
            return []
        case "repeat":
            return message + message
        case "lose fragment" if len(message) > 1:
            return message[:middle] + message[middle + 1 :]
        case "repeat fragment" if len(message) > 1:
            return message[: middle + 1] + message[middle:]
        case "damage" if len(message) == 1 and is_data(message[0]):
            data = message_in(message[0])
            assert isinstance(data, DataMessage)
            return [encode(replace(data, mac=bytes(20)).serialise())]
        case _:
            return message
