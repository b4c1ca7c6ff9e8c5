"""Slow steps in threads: waited for shortly, handed over later, and never in the way of the rest."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gmpy2
import pytest

from otrcore.irc.lanes import PATIENCE, WORKERS, Inline, Threads

DEADLINE = 20.0


class Gate:
    """A step that ends when a test lets it."""

    def __init__(self, value: object = "done") -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.value = value

    def __call__(self) -> object:
        self.begun.set()
        assert self.open.wait(DEADLINE)
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def lanes() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    threads.close()


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    """Gates of a test, all open at its end."""
    made: list[Gate] = []
    yield made
    for gate in made:
        gate.open.set()


def readable(lanes: Threads, seconds: float = 0.0) -> bool:
    return bool(select.select([lanes], [], [], seconds)[0])


def results(found: list[object]) -> Callable[[Callable[[], object]], None]:
    """Return what takes results, or what was raised in their place."""

    def then(result: Callable[[], object]) -> None:
        try:
            found.append(result())
        except Exception as error:
            found.append(error)

    return then


def settled(lanes: Threads, found: list[object], count: int) -> list[object]:
    while len(found) < count:
        assert readable(lanes, DEADLINE)
        lanes.settle()
    return found


@pytest.mark.parametrize("kind", [Inline, partial(Threads, DEADLINE)], ids=["inline", "threads"])
def test_what_is_done_in_time_is_handed_back(kind: Callable[[], Inline | Threads]) -> None:
    patient = kind()
    found: list[object] = []
    result = patient.run(lambda: 42, results(found))
    assert result is not None and result() == 42
    failing = patient.run(lambda: 1 / 0, results(found))
    assert failing is not None
    with pytest.raises(ZeroDivisionError):
        failing()
    assert found == []
    if isinstance(patient, Threads):
        patient.close()


def test_inline_there_is_nothing_to_wait_for() -> None:
    Inline().wait()


def test_what_takes_long_comes_later(lanes: Threads, gates: list[Gate]) -> None:
    gates += [Gate(), Gate(ValueError("slow and wrong"))]
    found: list[object] = []
    began = time.monotonic()
    assert [lanes.run(gate, results(found)) for gate in gates] == [None, None]
    assert time.monotonic() - began >= 2 * PATIENCE
    assert not readable(lanes)
    lanes.settle()
    assert found == []
    gates[1].open.set()
    assert isinstance(settled(lanes, found, 1)[0], ValueError)
    gates[0].open.set()
    assert settled(lanes, found, 2)[1] == "done"
    assert not readable(lanes)


def test_results_are_handed_over_in_the_thread_that_settles(lanes: Threads, gates: list[Gate]) -> None:
    gates.append(Gate())
    threads: list[str] = []
    assert lanes.run(gates[0], lambda result: threads.append(threading.current_thread().name)) is None
    gates[0].open.set()
    assert readable(lanes, DEADLINE)
    assert threads == []
    lanes.settle()
    assert threads == [threading.current_thread().name]


def test_without_a_free_thread_nobody_waits(lanes: Threads, gates: list[Gate]) -> None:
    gates += [Gate(number) for number in range(WORKERS + 20)]
    found: list[object] = []
    for gate in gates[:WORKERS]:
        assert lanes.run(gate, results(found)) is None
    began = time.monotonic()
    for gate in gates[WORKERS:]:
        assert lanes.run(gate, results(found)) is None
    assert time.monotonic() - began < 20 * PATIENCE
    for gate in gates:
        gate.open.set()
    assert sorted(map(str, settled(lanes, found, len(gates)))) == sorted(str(gate.value) for gate in gates)


def test_waiting_for_whichever_is_done_first(lanes: Threads, gates: list[Gate]) -> None:
    gates += [Gate("first"), Gate("second")]
    found: list[object] = []
    for gate in gates:
        assert lanes.run(gate, results(found)) is None
    threading.Timer(0.05, gates[1].open.set).start()
    lanes.wait()
    assert found == ["second"]
    gates[0].open.set()
    lanes.wait()
    assert found == ["second", "first"]
    lanes.settle()


def test_a_result_may_ask_for_the_next_step_and_wait_for_it(lanes: Threads, gates: list[Gate]) -> None:
    gates += [Gate("one"), Gate("two")]
    found: list[object] = []

    def then(result: Callable[[], object]) -> None:
        found.append(result())
        gates[1].open.set()
        lanes.wait()

    for gate, handed in zip(gates, (then, results(found)), strict=True):
        assert lanes.run(gate, handed) is None
    gates[0].open.set()
    assert settled(lanes, found, 2) == ["one", "two"]


def test_arithmetic_in_a_lane_leaves_the_rest_of_the_program_alone(lanes: Threads) -> None:
    """While a long power is taken, this thread goes on, and does not even wait for all of it."""
    modulus = gmpy2.mpz(2) ** 12_000 - 1
    found: list[object] = []
    result = lanes.run(lambda: gmpy2.powmod(3, modulus - 2, modulus), results(found))
    assert result is None
    settled(lanes, found, 1)


def test_closing_lets_what_is_under_way_end_and_gives_up_the_rest(gates: list[Gate]) -> None:
    lanes = Threads(0.0)
    gates += [Gate() for _ in range(WORKERS + 3)]
    found: list[Any] = []
    for gate in gates:
        assert lanes.run(gate, results(found)) is None
    for gate in gates[:WORKERS]:
        assert gate.begun.wait(DEADLINE)
    for gate in gates[:WORKERS]:
        threading.Timer(0.05, gate.open.set).start()
    lanes.close()
    assert found == []
    assert not any(gate.begun.is_set() for gate in gates[WORKERS:])


def test_news_without_end_are_no_trouble() -> None:
    lanes = Threads(0.0)
    found: list[object] = []
    count = 0
    for number in range(5000):
        count += lanes.run(lambda number=number: number, results(found)) is None  # type: ignore[misc]
    settled(lanes, found, count)
    assert len(found) == count
    lanes.close()
