"""Instance tags that no two running clients share."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrcore.store.database import Database
from otrcore.store.tags import LOCKS_FOLDER, InstanceTags
from otrcore.wire.header import SMALLEST_INSTANCE_TAG
from tests.store.processes import Process


@pytest.fixture
def tags(database: Database) -> InstanceTags:
    return InstanceTags(database)


def opened(folder: Path) -> InstanceTags:
    """What a client does that starts."""
    return InstanceTags(Database(folder))


def test_the_tag_is_the_same_the_next_time(folder: Path, tags: InstanceTags) -> None:
    first = tags.claim("net")
    assert SMALLEST_INSTANCE_TAG <= first < 1 << 32
    tags.close()
    for _ in range(5):
        again = opened(folder)
        assert again.claim("net") == first
        again.close()
    assert len(list((folder / LOCKS_FOLDER).iterdir())) == 1


def test_a_second_process_takes_another_tag(folder: Path, tags: InstanceTags) -> None:
    ours = tags.claim("net")
    with Process("claim", folder, "net") as second, Process("claim", folder, "net") as third:
        claimed = [ours, int(second.said()), int(third.said())]
        assert len(set(claimed)) == 3
        second.go_on()
        third.go_on()


def test_two_that_are_started_again_in_order_have_their_tags_again(folder: Path) -> None:
    seen = []
    for _ in range(2):
        clients = [opened(folder) for _ in range(2)]
        seen.append([client.claim("net") for client in clients])
        for client in clients:
            client.close()
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 2


def test_the_tag_of_a_killed_process_is_free(folder: Path) -> None:
    with Process("claim", folder, "net") as other:
        theirs = int(other.said())
        beside = opened(folder)
        assert beside.claim("net") != theirs
        beside.close()
        other.kill()
        ours = opened(folder)
        assert ours.claim("net") == theirs
        ours.close()


def test_a_killed_client_leaves_no_more_behind_than_its_tag(folder: Path) -> None:
    for _ in range(3):
        with Process("claim", folder, "net") as other:
            other.said()
            other.kill()
    assert len(list((folder / LOCKS_FOLDER).iterdir())) == 1


def test_each_network_has_tags_of_its_own(folder: Path, tags: InstanceTags) -> None:
    claimed = {network: tags.claim(network) for network in ("one", "two")}
    assert claimed["one"] != claimed["two"]
    with Process("claim", folder, "three") as other:
        assert int(other.said()) not in claimed.values()
    tags.close()
    again = opened(folder)
    assert {network: again.claim(network) for network in ("two", "one")} == claimed
    again.close()


def test_a_client_that_comes_back_to_a_network_keeps_its_tag(folder: Path, tags: InstanceTags) -> None:
    """The tag belongs to the running client: no other process has it, so it need not take another."""
    first = tags.claim("net")
    tags.claim("elsewhere")
    assert tags.claim("net") == first
    assert len(list((folder / LOCKS_FOLDER).iterdir())) == 2


def test_closing_twice_is_closing(tags: InstanceTags) -> None:
    tags.claim("net")
    tags.close()
    tags.close()
