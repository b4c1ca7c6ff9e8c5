"""Whatever a client asks, it gets an answer of one of two forms, and the engine goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from otrcore.engine.frames import Frame, encode
from otrcore.engine.requests import MAX_FIELD, MAX_ITEMS, BadRequest, Request
from otrcore.irc.lanes import Inline
from tests.engine.conftest import Joining
from tests.engine.engines import Local, furnished

REQUESTS: dict[str, Frame] = {
    "hello": {"protocol": 1, "version": "1", "client": "test"},
    "connected": {
        "server": "net",
        "host": "irc.example",
        "nick": "alice",
        "mask": "alice!user@host",
        "isupport": ["NETWORK=Testnet"],
        "limits": None,
    },
    "mask": {"server": "net", "nick": "alice", "mask": None},
    "incoming": {
        "server": "net",
        "from": "bob!user@host",
        "to": "alice",
        "text": "?OTRv3?",
        "command": "PRIVMSG",
        "limit": 400,
    },
    "outgoing": {"server": "net", "to": "bob", "text": "hello", "command": "PRIVMSG", "limit": 400},
    "command": {"server": "net", "peer": "bob", "typed": "start", "limit": 400},
    "complete": {"server": "net", "peer": "bob", "typed": "smp "},
    "answer": {"number": 1, "secret": "pond"},
    "nick_changed": {"server": "net", "old": "bob", "new": "robert"},
    "peer_gone": {"server": "net", "nick": "bob", "reason": "bye"},
    "disconnected": {"server": "net"},
    "buffer_closed": {"server": "net", "peer": "bob"},
    "settings": {"policies": [{"server": None, "peer": None, "name": "policy", "value": "manual"}]},
    "not_sent": {"re": 1},
    "recut": {"server": "net", "to": "bob", "command": "PRIVMSG", "lines": ["?OTRv3?"], "limit": 200},
}
"""Of each kind one that makes sense."""

NICKS = some.sampled_from(
    [
        "",
        "bob",
        "BOB",
        "alice",
        "#chan",
        "*status",
        "NickServ",
        "a b",
        "bob,carol",
        ",",
        "x" * 500,
        "\ud800",
        "é",
    ]
)
TEXTS = (
    NICKS
    | some.sampled_from(
        ["?OTR", "?OTRv3?", "?OTR:AAMD.", "?OTR|1|2,1,2,x,", "\x01ACTION x\x01", "\r\n\0", "help"]
    )
    | some.text(some.characters(exclude_categories=()), max_size=30)
)
VALUES = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-(10**18), 10**18),
    some.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    some.lists(TEXTS | some.integers(), max_size=3),
    some.dictionaries(TEXTS, TEXTS, max_size=2),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """One engine for all examples: what the earlier ones have left behind is a part of the trial."""
    local = Local(furnished(tmp_path_factory.mktemp("data"), "alice"), lanes=Inline())
    yield local
    local.close()


def well_formed(answer: Frame) -> bool:
    encode(answer)
    if answer["ok"] is False:
        return isinstance(answer["why"], str) and 0 < len(answer["why"]) < 500
    return answer["ok"] is True


@pytest.mark.parametrize("do", REQUESTS)
def test_each_request_is_answered(local: Joining, do: str) -> None:
    alice = local("alice")
    answer = alice.client.engine.ask(do, **REQUESTS[do])
    assert well_formed(answer)
    assert answer["ok"] is (do != "answer"), answer  # there is no such prompt


@pytest.mark.parametrize("do", REQUESTS)
def test_each_field_is_looked_at(local: Joining, do: str) -> None:
    alice = local("alice")
    optional = {"limit", "limits", "mask", "version", "client", "policies"}
    unused = {("recut", "command"), ("complete", "server"), ("answer", "secret")}
    for field in REQUESTS[do]:
        without = {name: value for name, value in REQUESTS[do].items() if name != field}
        answer = alice.client.engine.ask(do, **without)
        assert well_formed(answer)
        if field not in optional and (do, field) not in unused:
            assert answer["ok"] is False, (do, field)
            assert answer["why"] == f"{field} is missing."


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=some.data())
def test_fields_of_any_type_and_content(engine: Local, data: some.DataObject) -> None:
    do = data.draw(some.sampled_from(sorted(REQUESTS)))
    fields: dict[str, Any] = dict(REQUESTS[do])
    for field in data.draw(some.sets(some.sampled_from(sorted(fields)), min_size=1, max_size=3)):
        fields[field] = data.draw(
            TEXTS if isinstance(fields[field], str) and data.draw(some.booleans()) else VALUES
        )
    if data.draw(some.integers(0, 9)) == 0:
        del fields[data.draw(some.sampled_from(sorted(fields)))]
    answer = engine.ask(do, **fields)
    assert well_formed(answer), answer
    assert "error inside" not in str(answer), answer
    again = engine.ask("connected", **REQUESTS["connected"])
    assert again["ok"], again
    assert engine.ask("hello", **REQUESTS["hello"])["ok"]


@given(VALUES)
def test_fields(value: object) -> None:
    request = Request({"field": value})
    for reader, kind in ((request.text, str), (request.integer, int)):
        try:
            read: object = reader("field")
        except BadRequest:
            assert not isinstance(value, kind) or isinstance(value, bool)
        else:
            assert read == value
            assert isinstance(read, kind)


def test_a_field_is_not_endless() -> None:
    with pytest.raises(BadRequest):
        Request({"field": "x" * (MAX_FIELD + 1)}).text("field")
    with pytest.raises(BadRequest):
        Request({"field": ["x"] * (MAX_ITEMS + 1)}).texts("field")
    with pytest.raises(BadRequest):
        Request({"field": [{}] * (MAX_ITEMS + 1)}).objects("field")
    assert Request({"field": ["x"] * MAX_ITEMS}).texts("field") == ("x",) * MAX_ITEMS


def test_before_a_server_is_known_nothing_goes_to_people(folder: Path) -> None:
    engine = Local(furnished(folder, "alice"), lanes=Inline())
    decisions = engine.ask("outgoing", **{**REQUESTS["outgoing"], "to": "#chan,bob,NickServ"})["decisions"]
    assert [(decision["to"], decision["verdict"]) for decision in decisions] == [
        ("#chan", "pass"),
        ("bob", "drop"),
        ("NickServ", "pass"),
    ]
    (note,) = decisions[1]["actions"]
    assert note["typed"] == "hello" and "Not sent to bob" in note["lines"][0]
    assert engine.ask("incoming", **REQUESTS["incoming"])["verdict"] == "drop"
    assert engine.ask("incoming", **{**REQUESTS["incoming"], "text": "hi"})["verdict"] == "pass"
    for do in ("mask", "command", "nick_changed", "peer_gone", "disconnected", "buffer_closed", "recut"):
        answer = engine.ask(do, **REQUESTS[do])
        assert answer["ok"] is False and "try again" in answer["why"], do
    engine.close()


def test_a_bug_over_one_request_leaves_the_others(local: Joining, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = local("alice")
    monkeypatch.setattr("otrcore.irc.host.IrcHost.mask_changed", lambda *_: 1 / 0)
    answer = alice.client.engine.ask("mask", **REQUESTS["mask"])
    assert answer["ok"] is False and "ZeroDivisionError" in answer["why"]
    assert alice.say("bob", "still here")[0]["verdict"] == "pass"


def test_settings_are_policies(local: Joining) -> None:
    alice = local("alice")
    both = [
        {"server": None, "peer": None, "name": "policy", "value": "always"},
        {"server": "net", "peer": "bob", "name": "policy", "value": "manual"},
        {"server": "elsewhere", "peer": None, "name": "policy", "value": "never"},
        {"server": "net", "peer": "carol", "name": "policy", "value": None},
        {"server": "net", "peer": None, "name": "colour", "value": "red"},
    ]
    alice.client.ask("settings", policies=both)
    assert alice.say("bob", "plain")[0]["verdict"] == "pass"
    assert alice.say("carol", "held")[0]["verdict"] == "drop"
    assert alice.statuses[""]["requires"] is True
    assert not any("policy" in line.lower() for line in alice.client.notes())
    # What the user chooses later by a command holds, until the setting is another one.
    alice.command("", "policy network manual")
    alice.client.ask("settings", policies=both)
    assert alice.connect()["requires"] is False
    wrong = alice.client.engine.ask(
        "settings", policies=[{"server": None, "peer": None, "name": "policy", "value": "sometimes"}]
    )
    assert wrong["ok"] is False and "sometimes" in wrong["why"]


def test_settings_hold_for_servers_that_come_later(folder: Path) -> None:
    engine = Local(furnished(folder, "alice"), lanes=Inline())
    rows = [
        {"server": None, "peer": None, "name": "policy", "value": "always"},
        {"server": "net", "peer": None, "name": "policy", "value": "manual"},
    ]
    assert engine.ask("settings", policies=rows)["ok"]
    assert engine.ask("connected", **REQUESTS["connected"])["ok"]
    assert engine.ask("outgoing", **REQUESTS["outgoing"])["decisions"][0]["verdict"] == "pass"
    other = {**REQUESTS["connected"], "server": "other", "isupport": ["NETWORK=Othernet"]}
    assert engine.ask("connected", **other)["ok"]
    held = engine.ask("outgoing", **{**REQUESTS["outgoing"], "server": "other"})
    assert held["decisions"][0]["verdict"] == "drop"
    engine.close()
