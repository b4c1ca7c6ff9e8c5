"""What a fresh process does for `benchmarks.fresh`: `python -m benchmarks.child SAMPLE`.

SAMPLE is first_handshake, memory or memory_4.  Private keys come as PKCS #8 in hexadecimal,
one a line of standard input; the last line of standard output is the sample.  Memory's own
lines are JSON: what one side transmits, each time as a list; the empty one from the other side
ends a conversation's exchange.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from time import process_time

from otrcore import Account, Conversation, Event, Identity, Received, Transmit
from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.wire.header import VERSION_3, VERSION_4

from .ours import POLICIES, TEXT, run_ake

CONVERSATIONS = 1000
WARMING = 20
"""Conversations before the first look at the memory: by then all is loaded that one needs."""


def read_account(version: int = VERSION_3) -> Account:
    """Return an account with the key that stands on the next line, which speaks one version."""
    key = DsaPrivateKey.from_der(bytes.fromhex(sys.stdin.readline()))
    return Account(Identity(key), POLICIES[version])


def first_handshake() -> float:
    """Return seconds of CPU time, from the start of the interpreter to both sides encrypted."""
    run_ake((read_account(), read_account()))
    return process_time()


def memory_per_conversation(version: int = VERSION_3) -> float:
    """Return resident bytes for our side of one of many encrypted conversations, with a text each way."""
    import gc

    account = read_account(version)
    for number in range(WARMING):
        _converse(account.conversation(f"warming {number}"))
    gc.collect()
    before = _resident()
    for number in range(CONVERSATIONS):
        _converse(account.conversation(f"peer {number}"))
    gc.collect()
    return (_resident() - before) / CONVERSATIONS


def _converse(talk: Conversation) -> None:
    """Open a conversation with the parent process, and answer its text."""
    import json

    events = talk.start()
    while True:
        print(json.dumps(transmitted(events)), flush=True)
        lines = json.loads(sys.stdin.readline())
        if not lines:
            return
        events = [event for line in lines for event in talk.receive(line)]
        if any(isinstance(event, Received) for event in events):
            events += talk.send(TEXT)


def transmitted(events: list[Event]) -> list[str]:
    """Return the lines to hand over."""
    return [line for event in events if isinstance(event, Transmit) for line in event.lines]


def _resident() -> int:
    """Return the bytes of this process that lie in memory (Linux)."""
    import resource

    with open("/proc/self/statm", encoding="ascii") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    SAMPLES: dict[str, Callable[[], float]] = {
        "first_handshake": first_handshake,
        "memory": memory_per_conversation,
        "memory_4": partial(memory_per_conversation, VERSION_4),
    }
    print(SAMPLES[sys.argv[1]]())
