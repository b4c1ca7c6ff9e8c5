"""What otr4j sent in the recorded conversations of version 4."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from otrcore.crypto import ed448

FOLDER = Path(__file__).parent.parent / "vectors" / "otr4"
CONVERSATIONS = ("trace", "bobfirst", "frag350")


@cache
def events(name: str) -> tuple[dict[str, Any], ...]:
    """The events of a conversation."""
    lines = (FOLDER / f"conversation.{name}.jsonl").read_text("utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def injected(name: str) -> list[str]:
    """The lines that were sent in it."""
    return [event["msg"] for event in events(name) if event["ev"] == "inject"]


def fragments(name: str) -> list[list[str]]:
    """The lines of each message that was cut."""
    messages: dict[str, list[str]] = {}
    for line in injected(name):
        if line.startswith("?OTR|"):
            messages.setdefault(line.split(",")[0], []).append(line)
    return list(messages.values())


def joined(lines: list[str]) -> str:
    """The message in lines that are in order, by their commas alone."""
    return "".join(line.split(",")[3] for line in lines)


def messages(name: str) -> list[bytes]:
    """The encoded messages that were sent whole in it."""
    sent = (event["hex"] for event in events(name) if event["ev"] == "inject")
    return [bytes.fromhex(raw) for raw in sent if raw]


def for_number(draw: bytes) -> bytes:
    """What we have to draw to come to the number that otr4j made of this draw, which it prunes."""
    return (ed448.secret_scalar(draw) % ed448.ORDER).to_bytes(2 * ed448.ENCODED_BYTES, "little")


def profiles(name: str) -> dict[str, bytes]:
    """The client profile of either side."""
    return {event["who"]: bytes.fromhex(event["hex"]) for event in events(name) if event["ev"] == "profile"}


def vectors() -> dict[str, Any]:
    """The values of the conversation `trace` by name."""
    values: dict[str, Any] = json.loads((FOLDER / "vectors.otr4j.json").read_text("utf-8"))
    return values
