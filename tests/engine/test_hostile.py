"""A client that makes no sense, does not read, or asks for too much."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

import pytest

from otrcore.engine.frames import MAX_FRAME, Frame
from otrcore.engine.server import MAX_UNSENT
from tests.engine.conftest import Joining
from tests.engine.engines import Closed, Link, Process, furnished, until
from tests.engine.room import Room


def memory(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def serves(engine: Process) -> bool:
    """Whether a new client is served as if nothing had happened."""
    link = engine.connect()
    answer = link.greet()
    link.close()
    return bool(answer["ok"])


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"hello\n",
        b"[]\n",
        b'{"n": 1, "do": "hello"\n',
        b"\xff\n",
        b"x" * (MAX_FRAME + 1),
        b'{"n": 1' + b"0" * 5000 + b', "do": "hello"}\n',
        b'{"a": ' + b"[" * 200_000 + b"\n",
        bytes(random.Random(1).randbytes(5000)) + b"\n",
    ],
)
def test_what_is_no_frame_ends_the_connection_and_nothing_else(folder: Path, data: bytes) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        link.greet()
        link.raw(data)
        with pytest.raises(Closed):
            link.next()
        assert serves(engine)


def test_frames_that_come_byte_by_byte_or_all_at_once(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        for byte in b'{"n":1,"do":"hello","protocol":1}\n':
            link.raw(bytes([byte]))
        assert link.answer(1)["ok"]
        link.raw(b"".join(b'{"n":%d,"do":"hello","protocol":1}\n' % number for number in range(2, 500)))
        assert all(link.answer(number)["ok"] for number in range(2, 500))


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"n": 1},
        {"do": "hello", "protocol": 1},
        {"n": "1", "do": "hello", "protocol": 1},
        {"n": 1.5, "do": "hello", "protocol": 1},
        {"n": True, "do": "hello", "protocol": 1},
        {"n": 1, "do": 1},
        {"n": 1, "do": None},
        {"n": 1, "do": ["hello"]},
        {"n": 1, "do": "x" * 1000},
        {"n": 1, "do": "__class__"},
        {"n": 1, "do": "hello", "protocol": "1"},
        {"n": 1, "do": "hello"},
    ],
)
def test_an_odd_request_is_answered(folder: Path, frame: dict[str, object]) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        link.greet()
        link.raw(json.dumps(frame).encode() + b"\n")
        answer = link.next()
        assert answer is not None
        assert answer["re"] == (1 if frame.get("n") is not True and isinstance(frame.get("n"), int) else 0)
        assert answer["ok"] or len(answer["why"]) < 200
        assert serves(engine)


def test_a_client_that_does_not_read_is_given_up(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        link.greet()
        before = memory(engine.process.pid)
        link.socket.settimeout(20)
        with pytest.raises(OSError):
            while True:
                link.post("hello", protocol=1)
        assert serves(engine)
        assert memory(engine.process.pid) - before < 4 * MAX_UNSENT


def test_a_client_that_reads_late_gets_everything(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        link.greet()
        numbers = [link.post("hello", protocol=1) for _ in range(150)]
        time.sleep(0.5)
        assert all(link.answer(number)["ok"] for number in numbers)


def test_a_long_answer_is_refused_and_the_engine_lives(folder: Path) -> None:
    with Process(folder, data=furnished(folder / "data", "alice")) as engine:
        link = engine.connect()
        link.greet()
        about: Frame = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": []}
        assert link.ask("connected", server="net", **about)["ok"]
        assert link.ask("command", server="net", peer="", typed="policy network always")["ok"]
        to = ",".join(f"nick{number}" for number in range(400))
        answer = link.ask("outgoing", server="net", to=to, text="x" * 20_000, command="PRIVMSG")
        assert answer["ok"] is False and "too long" in answer["why"]
        assert link.ask("complete", server="", peer="", typed="")["ok"]


def test_the_memory_of_masks_prompts_and_servers_is_bounded(real: Joining, room: Room) -> None:
    """A peer that asks again and again, and people without number."""
    alice, bob = real("alice"), real("bob")
    room.secure(alice, bob)
    link = alice.client.engine
    assert isinstance(link, Link)
    about: Frame = {"host": "irc.example", "nick": "alice", "mask": None}

    def flood(count: int) -> None:
        for number in range(count):
            sender = f"n{number}-{random.random()}!user@{'host' * 20}.example"
            link.ask("incoming", server="net", to="alice", text="hi", command="PRIVMSG", **{"from": sender})
            link.ask("not_sent", re=number)
        for number in range(count // 20):
            link.ask("connected", server=f"net{number}", isupport=[f"NETWORK={number % 3}"], **about)
            link.ask("disconnected", server=f"net{number}")

    flood(2000)
    pid = int(link.greet()["pid"])
    before = memory(pid)
    flood(4000)
    assert memory(pid) - before < 8 << 20
    assert len(link.greet()["servers"]) <= 200


def test_too_many_servers(folder: Path) -> None:
    with Process(folder, data=furnished(folder / "data", "alice")) as engine:
        link = engine.connect()
        link.greet()
        about: Frame = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": ["NETWORK=x"]}
        answers = [link.ask("connected", server=f"net{number}", **about) for number in range(201)]
        assert [answer["ok"] for answer in answers] == [True] * 200 + [False]
        assert "leave one" in answers[-1]["why"]
        assert link.ask("disconnected", server="net7")["ok"]
        assert link.ask("connected", server="one more", **about)["ok"]
        assert "net7" not in link.greet()["servers"]


def test_connections_that_come_and_go(folder: Path) -> None:
    with Process(folder) as engine:
        last = engine.connect()
        last.greet()
        descriptors = Path(f"/proc/{engine.process.pid}/fd")
        before = len(list(descriptors.iterdir()))
        for _ in range(50):
            link, last = last, engine.connect()
            link.close()
        assert last.greet()["ok"]
        until(lambda: len(list(descriptors.iterdir())) <= before + 1)
