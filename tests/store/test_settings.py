"""Settings of chat clients are kept by kind and name, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrcore.errors import StoreError, StoreUnavailable
from otrcore.store.database import Database
from otrcore.store.settings import MAX_KEY, MAX_ROWS, MAX_SETTINGS, MAX_VALUE, Settings
from otrcore.store.store import Store
from tests.store.sentences import sentence


@pytest.fixture
def settings(database: Database) -> Settings:
    return Settings(database)


def test_what_is_set_is_there_the_next_time(folder: Path, settings: Settings) -> None:
    assert settings.all("hexchat") == {}
    settings.set("hexchat", "log", "off")
    settings.set("hexchat", "log", "on")
    settings.set("hexchat", "sign", "\N{LOCK} 'x'")
    settings.set("zoitechat", "log", "off")
    with Store(folder) as store:
        assert store.settings.all("hexchat") == {"log": "on", "sign": "\N{LOCK} 'x'"}
        assert store.settings.all("zoitechat") == {"log": "off"}


def test_what_is_put_back_is_gone(settings: Settings) -> None:
    settings.set("hexchat", "log", "on")
    for _ in range(2):
        settings.set("hexchat", "log", None)
        assert settings.all("hexchat") == {}


def test_one_client_cannot_fill_the_store(settings: Settings) -> None:
    for number in range(MAX_SETTINGS):
        settings.set("hexchat", f"n{number}", "x")
    with pytest.raises(StoreError) as caught:
        settings.set("hexchat", "more", "x")
    assert "too many" in sentence(caught.value)
    assert len(settings.all("hexchat")) == MAX_SETTINGS
    settings.set("hexchat", "n0", "another")
    settings.set("other", "log", "on")
    assert settings.all("hexchat")["n0"] == "another"


def test_nor_can_many_clients(database: Database, settings: Settings) -> None:
    with database.transaction() as connection:
        connection.executemany(
            "INSERT INTO setting VALUES (?, 'log', 'on')",
            [(f"client{number}",) for number in range(MAX_ROWS)],
        )
    with pytest.raises(StoreError):
        settings.set("hexchat", "log", "on")
    assert settings.all("hexchat") == {}


@pytest.mark.parametrize(
    ("client", "name", "value"),
    [
        ("x" * (MAX_KEY + 1), "log", "on"),
        ("x", "n" * (MAX_KEY + 1), "on"),
        ("x", "log", "v" * (MAX_VALUE + 1)),
    ],
)
def test_what_is_too_long_is_neither_written_nor_read(
    database: Database, settings: Settings, client: str, name: str, value: str
) -> None:
    with pytest.raises(ValueError, match="too long"):
        settings.set(client, name, value)
    with database.transaction() as connection:
        connection.execute("INSERT INTO setting VALUES ('x', ?, ?)", (name, value))
    assert settings.all("x") == ({"log": "on"} if len(client) > MAX_KEY else {})


def test_a_value_of_another_type_is_damage(database: Database, settings: Settings) -> None:
    with database.transaction() as connection:
        connection.execute("DROP TABLE setting")
        connection.execute("CREATE TABLE setting (client, name, value)")
        connection.execute("INSERT INTO setting VALUES ('hexchat', 'log', 1)")
    with pytest.raises(StoreUnavailable) as caught:
        settings.all("hexchat")
    assert "damaged" in sentence(caught.value)
