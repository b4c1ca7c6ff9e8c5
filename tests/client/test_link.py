"""The link: found, started, greeted, asked, lost and found again; never waited for more than two seconds."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otrcore.client.errors import ClientError, NoAnswer, NoLink, Refused
from otrcore.client.frames import MAX_FRAME, Frame
from otrcore.client.launch import Launcher
from otrcore.client.link import DEADLINE, Link, State
from otrcore.client.place import Place
from tests.client.screen import Client, plan

SLOW = DEADLINE + 0.5
BOUND = DEADLINE + 5
"""What a deadline may take on a busy machine."""


class Listener:
    """Keeps what a link tells."""

    def __init__(self) -> None:
        self.greetings: list[Frame] = []
        self.pushes: list[Frame] = []
        self.lates: list[tuple[str, int]] = []
        self.watched: list[Any] = []

    def greeted(self, answer: Frame) -> None:
        self.greetings.append(answer)

    def pushed(self, frame: Frame) -> None:
        self.pushes.append(frame)

    def late(self, do: str, number: int, answer: Frame) -> None:
        self.lates.append((do, number))

    def watch(self, descriptor: int | None) -> None:
        self.watched.append(descriptor)


class Linked:
    """A link with its listener, to engines of a client's."""

    def __init__(self, client: Client, **changes: Any) -> None:
        self.client = client
        self.listener = Listener()
        launcher = Launcher(changes.get("command", client.command), client.options)
        greeting = {"version": "0.1", "client": "test 1"}
        data = changes.get("data", os.path.join(client.folder, "data"))
        self.link = Link(lambda: Place(data), launcher, greeting, self.listener)

    def until(self, happened: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, ("this did not happen", self.link.state, self.link.why)
            self.link.poll()
            time.sleep(self.link.next_poll or 0.01)

    def up(self) -> Link:
        self.link.begin()
        self.until(lambda: self.link.state is State.UP)
        return self.link

    def say(self, **what: Any) -> Frame:
        return self.link.request("outgoing", server="net", to="bob", text=plan(**what), command="PRIVMSG")


@pytest.fixture
def linked(client: Client) -> Iterator[Linked]:
    linked = Linked(client)
    yield linked
    linked.link.close()


def timed(step: Callable[[], object]) -> float:
    since = time.monotonic()
    step()
    return time.monotonic() - since


# Begin


def test_nothing_is_started_before_it_begins(linked: Linked) -> None:
    assert linked.link.state is State.CLOSED
    assert linked.link.next_poll is None
    assert linked.link.fileno() is None
    with pytest.raises(NoLink, match="/otr restart"):
        linked.link.request("outgoing")
    assert linked.client.engines() == []


def test_an_engine_is_started_and_greeted(linked: Linked) -> None:
    link = linked.up()
    (hello,) = linked.client.asked("hello")
    assert hello == {"n": 1, "do": "hello", "protocol": 1, "version": "0.1", "client": "test 1"}
    assert linked.listener.greetings[0]["pid"] == linked.client.engines()[0]
    assert linked.listener.watched == [link.fileno()]
    assert link.why == ""
    assert link.trouble == ""
    assert link.next_poll is None


def test_beginning_does_not_wait(linked: Linked) -> None:
    linked.client.plan(delay=1)
    assert timed(linked.link.begin) < 0.8
    assert linked.link.state is State.STARTING
    assert linked.link.next_poll is not None
    linked.until(lambda: linked.link.state is State.UP)


def test_requests_are_numbered_and_answered(linked: Linked) -> None:
    link = linked.up()
    for number in range(2, 6):
        assert link.request("outgoing", server="net", to="bob", text="hi")["re"] == number
    assert [request["n"] for request in linked.client.asked("outgoing")] == [2, 3, 4, 5]


def test_any_text_travels(linked: Linked) -> None:
    text = "\0\r\n \udcff\ud800 \U0001f512 ü " + '"\\'
    linked.up().request("outgoing", server="net", to="bob", text=text, command="PRIVMSG")
    assert linked.client.asked("outgoing")[0]["text"] == text


def test_a_refusal_is_the_engines_sentence(linked: Linked) -> None:
    link = linked.up()
    with pytest.raises(Refused, match=r"^No such thing\.$"):
        linked.say(answer={"ok": False, "why": "No such thing."})
    with pytest.raises(Refused, match="did not say why"):
        linked.say(answer={"ok": None})
    assert link.state is State.UP


def test_what_is_too_long_is_refused_before_it_is_sent(linked: Linked) -> None:
    link = linked.up()
    with pytest.raises(ClientError, match="too long"):
        link.request("outgoing", text="x" * MAX_FRAME)
    assert link.request("outgoing", server="net", to="bob", text="hi")["re"] == 2


def test_a_long_request_and_a_long_answer_travel(linked: Linked) -> None:
    linked.up()
    answer = linked.say(answer={"why": "y" * (MAX_FRAME // 2)}, filler="x" * (MAX_FRAME // 2 - 1000))
    assert len(answer["why"]) == MAX_FRAME // 2


def test_many_requests(linked: Linked) -> None:
    link = linked.up()
    for number in range(10_000):
        assert link.request("outgoing", server="net", to="bob", text="hi")["re"] == number + 2
    assert linked.client.engines() == [linked.listener.greetings[0]["pid"]]
    assert len(os.listdir("/proc/self/fd")) < 100


# What comes unasked


def test_pushes_come_before_the_answer_or_behind_it_as_they_were_sent(linked: Linked) -> None:
    link = linked.up()
    linked.say(before=[{"actions": [1]}, {"actions": [2]}], behind=[{"actions": [3]}, {"actions": [4]}])
    assert [push["actions"] for push in linked.listener.pushes] == [[1], [2]]
    assert link.unread, "what was read beyond the answer would leave the descriptor silent"
    link.poll()
    assert [push["push"] for push in linked.listener.pushes] == [1, 2, 3, 4]
    assert not link.unread


def test_pushes_that_wait_come_before_those_of_the_next_answer(linked: Linked) -> None:
    linked.up()
    linked.say(behind=[{"actions": [1]}])
    linked.say(before=[{"actions": [2]}])
    assert [push["actions"] for push in linked.listener.pushes] == [[1], [2]]


# No answer


def test_an_engine_that_is_killed_in_mid_request_is_replaced(linked: Linked) -> None:
    link = linked.up()
    with pytest.raises(NoAnswer, match=r"being started again: try again in a moment\.$"):
        linked.say(end="killed")
    assert link.state is State.STARTING
    linked.until(lambda: link.state is State.UP)
    first, second = linked.client.engines()
    assert first != second
    assert [greeting["pid"] for greeting in linked.listener.greetings] == [first, second]
    assert link.request("outgoing", server="net", to="bob", text="hi")["re"] == 2, "numbers begin anew"
    # For a moment, a process that is being killed may still take connections.
    watched = linked.listener.watched
    assert watched[-2:] == [None, link.fileno()]
    assert [descriptor is None for descriptor in watched] == [False, *[True, False] * (len(watched) // 2)]


def test_an_engine_that_is_killed_between_requests_is_replaced_before_the_next(linked: Linked) -> None:
    link = linked.up()
    os.kill(linked.client.engines()[0], signal.SIGKILL)
    assert select.select([linked.listener.watched[0]], [], [], 20)[0]
    assert link.request("outgoing", server="net", to="bob", text="hi")["re"] == 2
    assert len(linked.client.engines()) == 2


def test_two_seconds_are_waited_once(linked: Linked) -> None:
    link = linked.up()
    (engine,) = linked.client.engines()
    os.kill(engine, signal.SIGSTOP)

    def ask() -> None:
        with pytest.raises(NoAnswer, match="does not answer"):
            linked.say()

    assert DEADLINE <= timed(ask) < BOUND
    assert link.state is State.BROKEN

    def ask_again() -> None:
        for _ in range(50):
            with pytest.raises(NoLink, match="does not answer"):
                linked.say()

    assert timed(ask_again) < DEADLINE
    os.kill(engine, signal.SIGCONT)
    linked.until(lambda: link.state is State.UP)
    assert linked.say()["ok"]


def test_a_late_answer_is_told_apart_and_the_link_is_up_again(linked: Linked) -> None:
    link = linked.up()
    with pytest.raises(NoAnswer):
        linked.say(sleep=SLOW, before=[{"actions": [1]}], behind=[{"actions": [2]}])
    since = time.monotonic()
    with pytest.raises(NoLink, match="/otr restart"):
        linked.say()
    assert time.monotonic() - since < DEADLINE / 2
    linked.until(lambda: link.state is State.UP)
    assert linked.listener.lates == [("outgoing", 2)]
    assert [push["actions"] for push in linked.listener.pushes] == [[1], [2]]
    assert [request["n"] for request in linked.client.asked("hello")] == [1, 3], "on the same connection"
    assert len(linked.client.engines()) == 1
    assert linked.say()["re"] == 4


def test_an_engine_that_hangs_is_not_waited_for_while_it_starts(linked: Linked) -> None:
    linked.client.plan(deaf=True)
    linked.link.begin()

    def ask() -> None:
        with pytest.raises(NoLink, match="being started"):
            linked.say()

    assert DEADLINE <= timed(ask) < BOUND
    assert timed(ask) < DEADLINE
    linked.until(lambda: linked.link.trouble)
    assert "does not start" in linked.link.trouble
    assert "otr doctor" in linked.link.why
    assert linked.link.next_poll == pytest.approx(0.5)


def test_a_request_waits_for_an_engine_that_is_on_its_way(linked: Linked) -> None:
    linked.client.plan(delay=0.4)
    linked.link.begin()
    assert linked.say()["ok"]


def test_an_engine_that_does_not_read_freezes_nobody(linked: Linked) -> None:
    link = linked.up()
    (engine,) = linked.client.engines()
    os.kill(engine, signal.SIGSTOP)

    def ask() -> None:
        with pytest.raises(NoAnswer):
            link.request("outgoing", server="net", to="bob", text="x" * (MAX_FRAME - 1000), command="PRIVMSG")

    assert DEADLINE <= timed(ask) < BOUND
    assert link.state is State.BROKEN
    os.kill(engine, signal.SIGCONT)
    linked.until(lambda: link.state is State.UP)
    assert linked.listener.lates == [("outgoing", 2)], "the rest of the request was sent all the same"
    assert linked.say()["ok"]


def test_patience_is_new_with_each_start(linked: Linked) -> None:
    linked.client.plan(deaf=True)
    linked.link.begin()
    with pytest.raises(NoLink):
        linked.say()
    linked.client.plan(delay=0.4)
    linked.link.restart()
    assert linked.say()["ok"]


# Nonsense


@pytest.mark.parametrize(
    "raw",
    ["garbage\n", "[]\n", '{"re": 77, "ok": true}\n', '{"re": "x"}\n', "{}\n", '{"re": [1]}\n', "\xff\n"],
)
def test_nonsense_ends_the_connection_and_not_more(linked: Linked, raw: str) -> None:
    link = linked.up()
    with pytest.raises(NoAnswer):
        linked.say(raw=raw)
    linked.until(lambda: link.state is State.UP)
    assert linked.say()["ok"]
    assert len(linked.client.engines()) == 1, "it is greeted again"


def test_a_line_without_an_end_is_not_kept_for_ever(linked: Linked) -> None:
    link = linked.up()
    with pytest.raises(NoAnswer):
        linked.say(raw="x" * 1024, times=3 * 1024)
    linked.until(lambda: link.state is State.UP)
    assert linked.say()["ok"]


# Versions


@pytest.mark.parametrize("ok", [True, False])
def test_an_engine_with_another_protocol_is_not_used(linked: Linked, ok: bool) -> None:
    linked.client.plan(hello={"protocol": 2, "version": "9.9", "ok": ok, "why": "Too old."})
    linked.link.begin()
    linked.until(lambda: linked.link.state is State.FAILED)
    for said in ("0.1", "9.9", "/otr restart", "otr install"):
        assert said in linked.link.why
    assert linked.link.trouble == linked.link.why
    with pytest.raises(NoLink, match=r"9\.9"):
        linked.say()
    assert linked.listener.greetings == []
    assert linked.link.next_poll is None
    assert len(linked.client.engines()) == 1


def test_an_engine_that_refuses_the_greeting_is_not_used(linked: Linked) -> None:
    linked.client.plan(hello={"ok": False, "why": "The data folder is gone."})
    linked.link.begin()
    linked.until(lambda: linked.link.state is State.FAILED)
    assert linked.link.why == "The data folder is gone."


def test_a_restart_brings_the_engine_that_is_installed_now(linked: Linked) -> None:
    linked.client.plan(hello={"protocol": 2})
    linked.link.begin()
    linked.until(lambda: linked.link.state is State.FAILED)
    linked.client.plan()
    linked.link.restart()
    linked.until(lambda: linked.link.state is State.UP)
    first, second = linked.client.engines()
    assert not linked.client.is_engine(first)
    assert linked.client.is_engine(second)


# Found again


def test_a_reloaded_script_finds_the_engine_again(linked: Linked) -> None:
    linked.up()
    linked.link.close()
    assert linked.link.fileno() is None
    again = Linked(linked.client)
    again.link.begin()
    again.until(lambda: again.link.state is State.UP)
    assert again.say()["ok"]
    again.link.close()
    assert len(linked.client.engines()) == 1


def test_an_engine_that_nobody_came_back_to_is_replaced(client: Client) -> None:
    class Impatient(Client):
        options = property(lambda self: [*super().options, "--patience", "0.2"])

    impatient = Impatient(client.folder)
    first = Linked(impatient)
    first.up()
    first.link.close()
    first.until(lambda: not impatient.is_engine(impatient.engines()[0]))
    again = Linked(impatient)
    again.up()
    assert len(impatient.engines()) == 2
    again.link.close()
    impatient.close()


def test_two_scripts_of_one_client_have_one_engine(linked: Linked) -> None:
    """Both before it listens: the second waits for what the first has started."""
    linked.client.plan(delay=0.3)
    other = Linked(linked.client)
    linked.link.begin()
    other.link.begin()
    linked.until(lambda: linked.link.state is State.UP)
    other.until(lambda: other.link.state is State.UP)
    linked.until(lambda: linked.link.state is State.SUPERSEDED)
    assert len(linked.client.engines()) == 1
    other.link.close()


def test_who_is_superseded_leaves_everything_alone(linked: Linked) -> None:
    link = linked.up()
    newer = Linked(linked.client)
    newer.up()
    linked.until(lambda: link.state is State.SUPERSEDED)
    assert linked.listener.watched[-1] is None
    assert linked.listener.pushes == []
    for step in (link.begin, link.poll, link.close, link.begin):
        step()
    with pytest.raises(NoLink, match="unload this one"):
        linked.say()
    with pytest.raises(ClientError, match="unload this one"):
        link.restart()
    assert link.state is State.SUPERSEDED
    assert newer.say()["ok"]
    assert len(linked.client.engines()) == 1
    newer.link.close()


def test_being_superseded_instead_of_an_answer_is_no_reason_to_wait(linked: Linked) -> None:
    link = linked.up()

    def ask() -> None:
        with pytest.raises(NoAnswer):
            linked.say(before=[{"superseded": True}], end="silent")

    assert timed(ask) < DEADLINE
    assert link.state is State.SUPERSEDED


def test_being_superseded_in_mid_request_is_no_reason_to_come_back(linked: Linked) -> None:
    link = linked.up()
    newer = Linked(linked.client)
    newer.link.begin()
    os.kill(linked.client.engines()[0], signal.SIGSTOP)
    newer.link.poll()
    os.kill(linked.client.engines()[0], signal.SIGCONT)
    with pytest.raises((NoAnswer, NoLink)):
        while True:
            linked.say()
    assert link.state is State.SUPERSEDED
    newer.until(lambda: newer.link.state is State.UP)
    newer.link.close()


def test_a_stale_socket_is_replaced(linked: Linked) -> None:
    place = Place(os.path.join(linked.client.folder, "data"))
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(place.socket()))
    left.close()
    linked.up()
    assert len(linked.client.engines()) == 1


def test_somebody_else_at_the_socket_is_not_talked_with(linked: Linked) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can let somebody else listen here")
    path = Place(os.path.join(linked.client.folder, "data")).socket()
    code = (
        "import os, socket, sys; listening = socket.socket(socket.AF_UNIX); listening.bind(sys.argv[1]); "
        "os.chmod(sys.argv[1], 0o666); os.setuid(65534); listening.listen(); print(flush=True)\n"
        "connection = listening.accept()[0]; print(connection.recv(100))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        linked.up()
        assert linked.say()["ok"]
        assert other.communicate(timeout=20)[0] == "b''\n", "it has got nothing"
    assert len(linked.client.engines()) == 1


def test_something_else_in_place_of_the_socket_is_replaced(linked: Linked) -> None:
    place = Place(os.path.join(linked.client.folder, "data"))
    Path(str(place.socket())).write_text("no socket")
    linked.up()


def test_an_engine_far_away_is_found_again(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    data = str(folder / ("x" * 100))
    first = Linked(client, data=data)
    first.up()
    first.link.close()
    again = Linked(client, data=data)
    again.up()
    assert again.say()["ok"]
    again.link.close()
    assert len(client.engines()) == 1


# Failures


def test_a_place_that_is_not_safe_is_told_about_and_can_be_mended(linked: Linked) -> None:
    data = Path(linked.client.folder, "data")
    data.mkdir(mode=0o700)
    data.chmod(0o755)
    linked.link.begin()
    assert linked.link.state is State.FAILED
    assert "can be used by others" in linked.link.trouble
    with pytest.raises(ClientError, match="can be used by others"):
        linked.link.restart()
    data.chmod(0o700)
    linked.link.restart()
    linked.until(lambda: linked.link.state is State.UP)


def test_a_folder_that_vanishes_is_made_again(linked: Linked) -> None:
    link = linked.up()
    (engine,) = linked.client.engines()
    run = Path(linked.client.folder, "data", "run")
    for path in run.iterdir():
        path.unlink()
    run.rmdir()
    assert linked.say()["ok"], "what is connected stays so"
    os.kill(engine, signal.SIGKILL)
    linked.until(lambda: len(linked.client.engines()) == 2 and link.state is State.UP)


def test_a_missing_python_is_told_about(client: Client) -> None:
    linked = Linked(client, command=["/nowhere/python"])
    linked.link.begin()
    assert linked.link.state is State.FAILED
    assert "otr install" in linked.link.trouble


def test_an_engine_that_crashes_at_once_is_given_up(linked: Linked) -> None:
    linked.client.plan(crashes=True)
    linked.link.begin()
    linked.until(lambda: linked.link.state is State.FAILED)
    assert "again and again" in linked.link.trouble
    assert len(linked.client.engines()) == 3
    linked.client.plan()
    linked.link.restart()
    linked.until(lambda: linked.link.state is State.UP)


def test_a_restart_ends_an_engine_that_hangs(linked: Linked) -> None:
    link = linked.up()
    os.kill(linked.client.engines()[0], signal.SIGSTOP)
    assert timed(link.restart) < 10
    linked.until(lambda: link.state is State.UP)
    assert len(linked.client.engines()) == 2
    assert not linked.client.is_engine(linked.client.engines()[0])
