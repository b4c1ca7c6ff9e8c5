"""The engine as a process: where it listens, whom it serves, and when it ends."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from otrcore.engine.frames import MAX_FRAME, Frame
from otrcore.engine.server import LOOK_EVERY, MAX_UNHEARD, Engine
from otrcore.engine.watch import Watch, start_time
from otrcore.model import Trust
from otrcore.store.store import Store
from tests.engine.conftest import Joining
from tests.engine.engines import Closed, Link, Process, Sleeper, furnished, kill, until
from tests.engine.room import Client, Room
from tests.pair import identity

WITHIN = 1.0
SLACK = 2.0
"""Seconds that a busy machine may take on top."""


def test_the_socket_is_nobody_elses(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        mode = stat.S_IMODE(os.stat(engine.path).st_mode)
        assert mode & 0o177 == 0
        assert link.greet()["pid"] == engine.process.pid


def test_a_dead_client_ends_the_engine(folder: Path) -> None:
    with Sleeper() as client, Process(folder, client=client) as engine:
        engine.connect()
        kill(client)
        assert engine.ended() < WITHIN + SLACK
        assert engine.process.returncode == 0
        assert not engine.path.exists()
        assert engine.said() == ""


def test_an_engine_whose_client_is_dead_already_ends_at_once(folder: Path) -> None:
    with Sleeper() as client:
        start = start_time(client)
    with Process(folder, client=client, start=start) as engine:
        engine.ended()
        assert not engine.path.exists()


def test_another_process_of_the_same_number_is_not_the_client(folder: Path) -> None:
    with Sleeper() as client, Process(folder, client=client, start="1") as engine:
        engine.ended()
        assert not engine.path.exists()


@pytest.mark.parametrize("pid", [-1, 0, 1 << 40])
def test_a_number_that_no_process_has(folder: Path, pid: int) -> None:
    with Process(folder, client=pid, start="1") as engine:
        engine.ended()


def test_the_watch_goes_by_the_process_and_not_by_its_number() -> None:
    with Sleeper() as client:
        right, wrong = Watch(client, str(start_time(client))), Watch(client, "12345")
        assert right.alive()
        assert not wrong.alive()
        kill(client)
        until(lambda: not right.alive())  # though nobody has taken note of its end yet
        assert start_time(client) is None
    right.close()
    wrong.close()


def test_a_client_that_lives_and_does_not_come_back(folder: Path) -> None:
    with Process(folder, patience=0.5) as engine:
        link = engine.connect()
        link.greet()
        time.sleep(0.8)
        assert engine.process.poll() is None  # connected
        link.close()
        assert 0.4 < engine.ended() < 0.5 + SLACK
        assert not engine.path.exists()


def test_a_client_that_never_comes(folder: Path) -> None:
    with Process(folder, patience=0.3) as engine:
        engine.ended()


def test_shutdown_ends_it(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        assert link.ask("shutdown") == {"re": 1, "ok": True, "actions": []}
        with pytest.raises(Closed):
            link.next()
        assert engine.ended() < WITHIN + SLACK
        assert not engine.path.exists()


def test_a_client_that_does_not_read_the_answer_does_not_keep_it_from_ending(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        link.greet()
        for _ in range(300):
            link.post("hello", protocol=1)
        link.post("shutdown")
        engine.ended()


def test_a_second_engine_leaves_the_first_one_alone(folder: Path) -> None:
    with Process(folder) as first:
        link = first.connect()
        with Process(folder) as second:
            second.ended()
            assert second.process.returncode != 0
            assert "in use" in second.said()
        assert link.greet()["pid"] == first.process.pid
        assert first.connect().greet()["ok"]


def test_an_engine_removes_no_socket_but_its_own(folder: Path) -> None:
    with Process(folder, patience=0.3) as first:
        first.connect().close()
        first.path.unlink()
        other = socket.socket(socket.AF_UNIX)
        other.bind(str(first.path))
        first.ended()
        assert first.path.exists()
        other.close()


def test_descriptors_that_it_does_not_know_stay_open(folder: Path) -> None:
    """By one of them the client knows that the engine lives."""
    reading, writing = os.pipe()
    with Sleeper() as client, ExitStack() as running:
        engine = Process.__new__(Process)
        engine.path = folder / "engine.sock"
        engine.process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-m", "otrcore.engine", "--socket", str(engine.path)),
                *("--client-pid", str(client), "--client-start", str(start_time(client))),
                *("--data-dir", str(folder / "data")),
            ],
            pass_fds=[writing],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.enter_context(engine)
        os.close(writing)
        engine.connect()
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
        kill(client)
        engine.ended()
        assert os.read(reading, 1) == b""
    os.close(reading)


def test_only_the_client_is_served(folder: Path) -> None:
    with Sleeper() as client, Process(folder, client=client) as engine:
        link = engine.connect()
        with pytest.raises(Closed):
            link.ask("hello", protocol=1)


def test_a_child_of_the_client_is_not_the_client(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        link.greet()
        asked = (
            "import socket, sys; link = socket.socket(socket.AF_UNIX); link.connect(sys.argv[1]);"
            'link.sendall(b\'{"n":1,"do":"hello","protocol":1}\\n\'); sys.exit(len(link.recv(100)))'
        )
        child = subprocess.run(
            [sys.executable, "-c", asked, str(engine.path)], capture_output=True, check=False
        )
        assert child.returncode == 0 or b"Reset" in child.stderr or b"Broken" in child.stderr
        assert link.greet()["ok"]  # and has not taken the place of the client


def test_another_user_is_not_served(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    with Process(folder) as engine:
        engine.connect().close()
        os.chmod(folder, 0o755)
        os.chmod(engine.path, 0o777)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setuid(65534)
                link = socket.socket(socket.AF_UNIX)
                link.connect(str(engine.path))
                link.sendall(b'{"n":1,"do":"hello","protocol":1}\n')
                os.write(writing, b"%d" % len(link.recv(100)))
            except OSError:
                os.write(writing, b"0")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 10) == b"0"
        os.close(reading)
        os.close(writing)


def test_the_newest_connection_takes_over(folder: Path) -> None:
    with Process(folder) as engine:
        old = engine.connect()
        old.greet()
        new = engine.connect()
        assert new.greet()["ok"]
        frame = old.next()
        assert frame == {"push": 1, "superseded": True}
        assert old.closed()
        assert new.ask("complete", server="", peer="", typed="stat")["words"] == ["status"]


def test_what_happens_while_no_client_is_connected_is_told_to_the_next_one(
    real: Joining, room: Room, folder: Path
) -> None:
    alice, bob = real("alice"), real("bob")
    # In version 4 nothing is asked for inside a conversation.
    alice.command("bob", "policy no-v4")
    room.secure(alice, bob)
    # A query that nobody answers is given up by time; meanwhile the script is loaded again.
    alice.command("bob", "start")
    link = alice.client.engine
    assert isinstance(link, Link)
    fields = {"from": bob.mask, "to": "alice", "command": "PRIVMSG", "limit": None}
    bob.command("alice", "refresh")
    (query,) = [line.text for line in room.on_the_way if line.sender == bob.mask]
    link.post("incoming", server="net", text=query, **fields)
    link.close()

    client = Client()
    again = Link(folder / "alice" / "engine.sock", client.heard)
    client.engine, client.people = again, {"net": alice}
    alice.client = client
    hello = again.greet()
    assert [state["state"] for state in hello["states"]] == ["encrypted"]
    alice.say("bob", "from the new script")
    room.until(lambda: bob.heard == [("from the new script", "encrypted")])
    again.close()


def test_a_change_while_nobody_listens_is_told_to_the_next_client(
    real: Joining, room: Room, folder: Path
) -> None:
    alice, bob = real("alice"), real("bob")
    room.secure(alice, bob)
    link = alice.client.engine
    assert isinstance(link, Link)
    link.close()
    with Store(folder / "alice" / "data") as store:
        store.contacts.judge("testnet", "bob", identity("bob").fingerprint_4, Trust.COMPARED)
    time.sleep(LOOK_EVERY + 0.5)
    again = Link(folder / "alice" / "engine.sock")
    (state,) = again.greet()["states"]
    assert state["trust"] == "compared"
    pushed = again.next()
    assert pushed is not None and pushed["push"] == 1
    assert [action["a"] for action in pushed["actions"]] == ["note", "status"]
    assert pushed["actions"][-1]["trust"] == "compared"
    again.close()


def test_what_nobody_hears_is_bounded_and_said_to_be(folder: Path) -> None:
    pid = os.getpid()
    engine = Engine(folder / "engine.sock", pid, str(start_time(pid)), furnished(folder / "data", "alice"))
    many: list[Frame] = [{"a": "note", "number": number} for number in range(MAX_UNHEARD + 20)]
    for action in many:
        engine._push([action])
    running = threading.Thread(target=engine.run)
    running.start()
    link = Link(engine._path)
    link.greet()
    pushed = link.next()
    assert pushed is not None
    first, *rest = pushed["actions"]
    assert first["lines"] == [
        "20 things that OTR had to do or to show were too many. Messages may be missing: ask for them again; "
        "/otr status tells how a conversation stands."
    ]
    assert first["level"] == "warning"
    assert rest == many[20:]
    link.ask("shutdown")
    running.join()


def test_what_does_not_fit_into_the_link_is_told_with_a_way_out(folder: Path) -> None:
    pid = os.getpid()
    engine = Engine(folder / "engine.sock", pid, str(start_time(pid)), furnished(folder / "data", "alice"))
    engine._push([{"a": "message", "lines": ["x" * MAX_FRAME]}])
    engine._servers.handle = lambda request: {  # type: ignore[method-assign]
        "re": request.number,
        "ok": True,
        "words": ["x" * (MAX_FRAME if request.name == "complete" else 1)],
    }
    running = threading.Thread(target=engine.run)
    running.start()
    link = Link(engine._path)
    link.greet()
    pushed = link.next()
    assert pushed is not None
    assert [action["lines"] for action in pushed["actions"]] == [
        [
            "Something that OTR had to show was too long for its link to the chat client. If it was a "
            "message, ask for it in parts."
        ]
    ]
    refused = link.ask("complete", server="", peer="", typed="")
    assert (refused["ok"], refused["why"]) == (
        False,
        "The answer to that is too long for the link to the chat client: try it in parts, or in a terminal "
        "with `otr`.",
    )
    del engine._servers.handle
    link.ask("shutdown")
    running.join()


def test_a_bug_in_what_nobody_has_asked_for_is_told_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = os.getpid()
    engine = Engine(folder / "engine.sock", pid, str(start_time(pid)), furnished(folder / "data", "alice"))
    monkeypatch.setattr(engine._servers, "catch_up", lambda: 1 / 0)
    running = threading.Thread(target=engine.run)
    running.start()
    link = Link(engine._path)
    link.greet()
    pushed = link.next()
    assert pushed is not None and "ZeroDivisionError" in pushed["actions"][0]["lines"][0]
    time.sleep(LOOK_EVERY + 0.3)
    assert link.next(0.0) is None
    assert link.ask("shutdown")["ok"]
    running.join()


def test_hello_comes_first(folder: Path) -> None:
    with Process(folder) as engine:
        link = engine.connect()
        refused = link.ask("complete", server="", peer="", typed="")
        assert refused["ok"] is False and "hello" in refused["why"]
        other = link.ask("hello", protocol=2, version="2", client="test")
        assert other["ok"] is False
        assert (other["protocol"], other["pid"]) == (1, engine.process.pid)
        assert "versions" in other["why"] and other["version"]
        assert link.ask("complete", server="", peer="", typed="")["ok"] is False
        assert link.greet()["ok"]
        assert link.greet()["ok"]  # and again, after a time-out


def test_answers_come_in_the_order_of_the_requests(folder: Path) -> None:
    with Process(folder, data=furnished(folder / "data", "alice")) as engine:
        link = engine.connect()
        link.greet()
        about: Frame = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": []}
        numbers = [link.post("connected", server="net", **about)]
        numbers += [
            link.post("outgoing", server="net", to="bob", text=str(count), command="PRIVMSG")
            for count in range(100)
        ]
        assert all(link.answer(number)["ok"] for number in numbers)


def test_the_store_is_closed_with_the_engine(folder: Path) -> None:
    with (
        Sleeper() as client,
        Process(folder, client=client, data=furnished(folder / "data", "alice")) as engine,
    ):
        engine.connect()
        kill(client)
        engine.ended()
        with Store(folder / "data") as store:
            assert not store.problem


def test_pushes_are_numbered(real: Joining, room: Room) -> None:
    alice, bob = real("alice"), real("bob")
    room.secure(alice, bob)
    link = alice.client.engine
    assert isinstance(link, Link)
    pushes = [frame["push"] for frame in link.frames if "push" in frame]
    assert pushes == list(range(1, len(pushes) + 1)) and pushes
