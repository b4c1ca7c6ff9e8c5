"""Every drill with libotr and with our own client: they do what docs/bot-drills.md says that they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from otrbot.drills import DRILLS

from otrcore.policy import DEFAULT, Policy
from tests.bot.drills.page import PAGE, cell, table
from tests.bot.drills.rehearsal import BOT, CLIENT, Client, Hosted, Libotr, Rehearsal
from tests.interop.oracle import BINARY, LibotrPeer
from tests.pair import Clock, speaking
from tests.support import require

COLUMNS = ("libotr", "otrcore 3", "otrcore 4")
"""Of the page, in its order: our client speaks both versions unless it is told otherwise."""

NOT_ENCRYPTED_AFTERWARDS = {
    ("otrcore 3", "v2only"),
    ("otrcore 4", "v2only"),
    ("otrcore 4", "v3only"),
    ("libotr", "v4only"),
    ("otrcore 3", "v4only"),
}
"""Who does not speak that version, or not after version 4; the last line says how to begin anew."""

OF_VERSION_4 = {"skipratchet", "errorcodes", "mixedfrag", "expired", "v3inside"}
"""Drills that an older version has nothing for."""

MakeClient = Callable[[Clock], Client]


def speaking_by_itself(version: int) -> Policy:
    """What our client is set up for, in one version."""
    return replace(DEFAULT, versions=frozenset({version}))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all libotr clients here have their one key."""
    return tmp_path_factory.mktemp("drills") / "key"


@pytest.fixture
def clients(key: Path) -> Iterator[dict[str, MakeClient]]:
    """The clients by the heads of their columns, as their users get them."""
    peers: list[LibotrPeer] = []

    def libotr(clock: Clock, policy: str = "opportunistic") -> Client:
        program = Path(require(str(BINARY)))
        peer = LibotrPeer(CLIENT, policy, options=["--keyfile", str(key)], program=program)
        peers.append(peer)
        if not key.exists():
            peer.genkey()
        return Libotr(peer)

    yield {
        "libotr": libotr,
        "libotr v2": lambda clock: libotr(clock, "v2"),
        "otrcore 3": lambda clock: Hosted(CLIENT, BOT, speaking_by_itself(3), clock),
        "otrcore 4": lambda clock: Hosted(CLIENT, BOT, DEFAULT, clock),
        "otrcore v2": lambda clock: Hosted(CLIENT, BOT, speaking(2), clock),
    }
    for peer in peers:
        peer.close()


@pytest.mark.parametrize("name", DRILLS)
@pytest.mark.parametrize("column", COLUMNS)
def test_a_client_does_what_the_page_says(clients: dict[str, MakeClient], column: str, name: str) -> None:
    played = Rehearsal(clients[column])
    played.secure()
    did = cell(played.run(DRILLS[name]))
    assert table("What clients did")[name][1 + COLUMNS.index(column)] == did
    assert played.said is not None
    assert table("What the bot says afterwards")[name][COLUMNS.index(column)] == played.said
    assert "WRONG" not in did + played.said
    if (column, name) in NOT_ENCRYPTED_AFTERWARDS:
        assert not played.encrypted
        assert "Start anew" in played.said
        played.client.start()
        played.settle()
    played.echo("still there?")
    played.echo("and once more?")


@pytest.mark.parametrize("name", DRILLS)
@pytest.mark.parametrize("column", ["libotr v2", "otrcore v2"])
def test_a_client_of_version_2_alone_survives_it_too(
    clients: dict[str, MakeClient], column: str, name: str
) -> None:
    played = Rehearsal(clients[column], speaking(2, 3))
    played.secure()
    did = cell(played.run(DRILLS[name]))
    assert played.said is not None
    assert "WRONG" not in did + played.said
    if name == "badtag":
        assert "version 2 has no instance tags" in played.said
        assert did == "nothing"
    if name in OF_VERSION_4:
        assert "Start anew in version 4" in played.said
        assert did == "nothing"
    if name in ("v3only", "v4only"):
        assert not played.encrypted
        played.client.start()
        played.settle()
    played.echo("still there?")


@pytest.mark.parametrize("column", COLUMNS)
def test_one_drill_after_the_other_in_one_conversation(clients: dict[str, MakeClient], column: str) -> None:
    played = Rehearsal(clients[column])
    played.secure()
    assert played.talk is not None
    assert played.talk.info is not None
    assert played.talk.info.version == (4 if column == "otrcore 4" else 3)
    for name, drill in DRILLS.items():
        played.run(drill)
        if (column, name) in NOT_ENCRYPTED_AFTERWARDS:
            played.client.start()
            played.settle()
        played.echo(f"after {name}")


def test_the_page_has_the_drills_of_the_table_in_their_order() -> None:
    did = table("What clients did")
    assert list(did) == list(DRILLS) == list(table("What the bot says afterwards"))
    assert {name: row[0] for name, row in did.items()} == {
        name: drill.expected for name, drill in DRILLS.items()
    }
    assert {name: row[0] for name, row in table("The drills").items()} == {
        name: drill.about for name, drill in DRILLS.items()
    }


def test_the_page_names_the_version_of_libotr(clients: dict[str, MakeClient]) -> None:
    with LibotrPeer(program=Path(require(str(BINARY)))) as peer:
        assert f"| libotr {peer.ready['libotr']} |" in PAGE.read_text("utf-8")
