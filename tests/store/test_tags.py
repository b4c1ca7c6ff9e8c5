"""Instance tags that no two running clients share."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
from pathlib import Path

import pytest

from otrcore.errors import StoreError, StoreUnavailable
from otrcore.store.database import FILE_NAME, Database
from otrcore.store.tags import LOCKS_FOLDER, MAX_TAGS, InstanceTags
from otrcore.wire.header import SMALLEST_INSTANCE_TAG
from tests.store.processes import Process, in_child
from tests.store.sentences import sentence


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


# ---- what comes from elsewhere


def test_a_tag_of_another_client_is_used(folder: Path, tags: InstanceTags) -> None:
    tags.add("net", 0x100)
    tags.add("net", 0xFFFFFFFF)
    tags.add("other", 0x12345)
    tags.add("net", 0x100)
    assert tags.rows("net") == (0x100, 0xFFFFFFFF)
    assert set(tags.rows()) == {0x100, 0xFFFFFFFF, 0x12345}
    assert tags.claim("net") == 0x100
    second = opened(folder)
    assert second.claim("net") == 0xFFFFFFFF
    second.close()


@pytest.mark.parametrize("tag", [-1, 0, 1, 0xFF, 1 << 32, 1 << 63, 1 << 200])
def test_what_is_no_tag_is_refused(tags: InstanceTags, tag: int) -> None:
    with pytest.raises(StoreError) as caught:
        tags.add("net", tag)
    assert "no instance tag" in sentence(caught.value)
    assert tags.rows() == ()


@pytest.mark.parametrize("tag", [-1, 0, 0xFF, 1 << 32, (1 << 63) - 1])
def test_a_damaged_tag_is_not_used(folder: Path, database: Database, tags: InstanceTags, tag: int) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO instance_tag VALUES ('net', ?)", (tag,))
    assert tags.rows("net") == ()
    claimed = tags.claim("net")
    assert SMALLEST_INSTANCE_TAG <= claimed < 1 << 32
    assert tags.rows("net") == (claimed,)


def test_tags_are_bounded(folder: Path, tags: InstanceTags) -> None:
    for tag in range(0x1000, 0x1000 + MAX_TAGS + 5):
        tags.add("net", tag)
    assert tags.rows("net") == tuple(range(0x1000, 0x1000 + MAX_TAGS))
    clients = [opened(folder) for _ in range(MAX_TAGS + 3)]
    claimed = [client.claim("net") for client in clients]
    assert len(set(claimed)) == len(claimed)
    assert tags.rows("net") == tuple(range(0x1000, 0x1000 + MAX_TAGS))
    for client in clients:
        client.close()


# ---- hindrances


def test_a_tag_that_cannot_be_remembered_is_given_back(folder: Path, tags: InstanceTags) -> None:
    tags.claim("net")
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        (folder / FILE_NAME).rename(folder / "away")
        with pytest.raises(StoreUnavailable) as caught:
            tags.claim("other")
        sentence(caught.value)
        (folder / "away").rename(folder / FILE_NAME)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert tags.claim("other") == tags.rows("other")[0]


def test_a_data_folder_that_was_removed_does_not_come_back(folder: Path, tags: InstanceTags) -> None:
    shutil.rmtree(folder)
    with pytest.raises(StoreUnavailable) as caught:
        tags.claim("net")
    sentence(caught.value)
    assert not folder.exists()


def test_a_lock_that_cannot_be_had_is_told(
    folder: Path, tags: InstanceTags, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems have none: to draw tags until one can be locked would be for ever."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreUnavailable) as caught:
        tags.claim("net")
    assert "no locks available" in sentence(caught.value)
    monkeypatch.undo()
    tags.claim("net")


def test_no_more_descriptors_is_a_sentence(folder: Path) -> None:
    def claim() -> None:
        client = opened(folder)
        for number in range(100):
            client.claim(f"net{number}")

    def with_few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, 4096))
        claim()

    said = in_child(with_few)
    assert said is not None
    sentence(said)


@pytest.mark.parametrize("kind", ["link", "folder", "readable"])
def test_something_else_in_place_of_a_lock_is_told(folder: Path, tags: InstanceTags, kind: str) -> None:
    tags.add("net", 0x1234)
    path = folder / LOCKS_FOLDER / "00001234.lock"
    path.parent.mkdir(mode=0o700)
    if kind == "link":
        path.symlink_to(folder / FILE_NAME)
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch(mode=0o600)
        path.chmod(0o644)
    with pytest.raises(StoreError) as caught:
        tags.claim("net")
    assert path.name in sentence(caught.value)
