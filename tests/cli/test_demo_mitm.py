"""`otr demo --mitm`, run as a user runs it: the attack works, is seen for what it is, and is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otrcore.cli import demo_mitm
from otrcore.cli.demo import DemoFailed
from otrcore.cli.demo_mitm import FIRST, FOURTH, SECOND, SECRET, THIRD
from otrcore.cli.relay import GUESS, Middleman
from otrcore.model import MessageState
from tests.cli.processes import family, marked
from tests.clients.drivers.programs import run
from tests.clients.drivers.waiting import wait_for

FINGERPRINT = r"[0-9A-F]{8}(?: [0-9A-F]{8}){4}"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What one run has shown; it has ended with 0 and left nothing."""
    folder = tmp_path_factory.mktemp("demo")
    done = run(folder, "otr", "demo", "--mitm", changes=marked(folder))
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout
    wait_for(lambda: not family(folder), lambda: f"the end of {family(folder)}")
    assert list((folder / "tmp").iterdir()) == []
    return done.stdout.splitlines()


def part(shown: list[str], title: str) -> list[str]:
    """The lines of one step."""
    start = next(number for number, line in enumerate(shown) if line.startswith("== ") and title in line)
    rest = shown[start + 1 :]
    stop = next((number for number, line in enumerate(rest) if line.startswith("== ")), len(rest))
    return rest[:stop]


def on_screen(lines: list[str], name: str) -> list[str]:
    return [line.split(" | ", 1)[1] for line in lines if line.startswith(f"{name:5} | ")]


STARTS = ["An honest server", "Somebody in between", "Without the relay", "The relay once more"]
READING = ["Somebody in between", "The relay once more"]


@pytest.mark.parametrize("name", ["alice", "bob"])
@pytest.mark.parametrize("title", STARTS)
def test_both_see_that_nothing_is_verified_at_every_start(shown: list[str], title: str, name: str) -> None:
    lines = on_screen(part(shown, title), name)
    secured = next(number for number, line in enumerate(lines) if line.startswith("-- Secured"))
    assert any(line.startswith("-- Not verified: ") for line in lines[secured:])
    warned = any(line.startswith("-- WARNING: ") for line in lines[:secured])
    assert warned is (title in READING)


def test_the_keys_that_they_see_are_the_relays(shown: list[str]) -> None:
    def keys(title: str, name: str) -> list[str]:
        return re.findall(rf"fingerprint: +({FINGERPRINT})", "\n".join(on_screen(part(shown, title), name)))

    for title in ("An honest server", "Without the relay"):
        assert keys(title, "alice")[:2] == keys(title, "bob")[1::-1]
    for title in READING:
        alice, bob = keys(title, "alice"), keys(title, "bob")
        assert len({*alice, *bob}) == 4, "each has its own key, and sees one of the relay's"


def test_the_relay_reads_what_is_said_and_no_more(shown: list[str]) -> None:
    read = [line for line in shown if line.startswith("RELAY | ")]
    assert read == [f"RELAY | has read: <alice> {SECOND}", f"RELAY | has read: <bob> {THIRD}"]
    assert f"[encrypted] <alice> {FIRST}" in on_screen(shown, "bob")
    assert f"[encrypted] <alice> {SECOND}" in on_screen(shown, "bob")
    assert f"[encrypted] <bob> {THIRD}" in on_screen(shown, "alice")


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_the_right_secret_fails_through_the_relay_and_holds_without_it(shown: list[str], name: str) -> None:
    through = on_screen(part(shown, "both give the right one"), name)
    without = on_screen(part(shown, "Without the relay"), name)
    assert any(line.startswith("-- NOT verified: ") for line in through)
    assert not any(line.startswith("-- Verified: ") for line in through)
    assert any(line.startswith("-- Verified: ") for line in without)
    assert not any(line.startswith("-- NOT verified: ") for line in without)


def test_a_text_for_a_verified_peer_is_held(shown: list[str]) -> None:
    lines = part(shown, "The relay once more")
    alice, bob = on_screen(lines, "alice"), on_screen(lines, "bob")
    told = next(number for number, line in enumerate(alice) if "meant for another key" in line)
    assert alice[told + 1] == f"--   {FOURTH}"
    assert not any(FOURTH in line for line in bob)


def test_it_ends_with_what_to_learn(shown: list[str]) -> None:
    lessons = "\n".join(part(shown, "What to learn"))
    for word in ("/otr smp ask", "WARNING", "Not verified", "NOT verified"):
        assert word in lessons


def test_the_secret_is_nowhere(shown: list[str]) -> None:
    assert not any(SECRET in line for line in shown)


def test_wire_shows_that_nothing_crossed_the_server_in_the_clear(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "demo", "--mitm", "--wire", changes=marked(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    raw = [line for line in done.stdout.splitlines() if line.startswith("   wire ")]
    assert len(raw) > 50
    for text in (FIRST, SECOND, THIRD, FOURTH):
        assert not any(text in line for line in raw)


def test_a_relay_that_does_nothing_fails_the_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its exit code means something: without an attack there is nothing to be seen."""
    monkeypatch.setattr(demo_mitm, "LISTEN", "rest")
    with pytest.raises(DemoFailed, match="got no warning of the other key"):
        demo_mitm.play(tmp_path, show_wire=False)
    assert "What to learn" not in capfd.readouterr().out


def test_the_relay_passes_on_what_is_plain_and_answers_a_query_to_both() -> None:
    between = Middleman("alice", "bob")
    assert between.hear("alice", "plain text") == [("bob", "plain text")]
    assert between.read == []
    assert [name for name, _ in between.hear("alice", "?OTRv3?")] == ["alice", "bob"]
    between.begin()
    assert all(talk.state is MessageState.PLAINTEXT for talk in between._talks.values())
    assert GUESS != SECRET
