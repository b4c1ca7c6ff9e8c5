"""Samples that need a process of their own: its first handshake, and what a conversation takes of its memory.

Keys are made here, as a user's lie ready.  Of the conversations that the process holds open,
this one plays the other sides, one after the other, so that only one side is weighed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from otrcore import Account, MessageState, SessionOpened

from .child import CONVERSATIONS, WARMING, transmitted
from .ours import TEXT, Ours, Sides, WorkNotDone

ROOT = Path(__file__).parents[1]
DEADLINE = 60.0
"""Seconds after which a process has failed; one takes less than three."""


def first_handshake(ours: Ours) -> float:
    """Seconds of CPU time of a process that imports otrcore and opens its first conversation."""
    with _start("first_handshake") as process:
        try:
            output, _ = process.communicate("".join(map(_key, ours.accounts)), DEADLINE)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise WorkNotDone("a first handshake took too long") from error
    if process.returncode:
        raise WorkNotDone("a first handshake failed")
    return float(output)


def memory_per_conversation(ours: Ours) -> float:
    """Bytes that one side of an encrypted conversation adds to a process that holds many of them."""
    return _memory("memory", ours.accounts)


def memory_per_conversation_4(ours: Ours) -> float:
    """The same in version 4."""
    return _memory("memory_4", ours.accounts_4)


def _memory(sample: str, accounts: Sides) -> float:
    account, theirs = accounts
    with _start(sample) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(_key(theirs), end="", file=process.stdin, flush=True)
            for _ in range(WARMING + CONVERSATIONS):
                lines = None
                account.forget("peer")
                while lines != []:
                    lines = _answer(account, process.stdout.readline())
                    print(json.dumps(lines), file=process.stdin, flush=True)
                if account.conversation("peer").state is not MessageState.ENCRYPTED:
                    raise WorkNotDone("a conversation was not encrypted")
            return float(process.stdout.readline())
        except (BrokenPipeError, ValueError) as error:
            raise WorkNotDone("the process that held conversations has ended") from error
        finally:
            process.kill()


def _answer(account: Account, lines: str) -> list[str]:
    """Return what the other side transmits next: a text first of all, once it is encrypted."""
    talk = account.conversation("peer")
    events = [event for line in json.loads(lines) for event in talk.receive(line)]
    if any(isinstance(event, SessionOpened) for event in events):
        events += talk.send(TEXT)
    return transmitted(events)


def _start(sample: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.child", sample],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _key(account: Account) -> str:
    return account.identity.dsa.to_der().hex() + "\n"
