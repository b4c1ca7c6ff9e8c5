"""Options of a chat client: declared in its greeting, set by `/otr set`, kept for its kind, and pushed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from otrcore.engine.frames import Frame
from otrcore.engine.options import MAX_CHOICES
from otrcore.engine.servers import PROTOCOL
from otrcore.store.database import FILE_NAME
from otrcore.store.settings import MAX_KEY, MAX_SETTINGS, MAX_VALUE
from otrcore.store.store import Store
from tests.engine.conftest import Joining
from tests.engine.engines import Local, Process, furnished, until
from tests.engine.room import Client, Person, Room

LOG: Frame = {"name": "log", "default": "off", "about": "write the log", "choices": ["off", "on"]}
SIGN: Frame = {"name": "sign.verified", "default": "+", "about": "what stands in front", "choices": []}
SETTABLE = [LOG, SIGN]
HEXCHAT = "HexChat 2.16.1"


class Script:
    """A client on no server, whose engine is in this process."""

    def __init__(self, folder: Path) -> None:
        self.pushed: list[Frame] = []
        self.engine = Local(folder, lambda frame: self.pushed.extend(frame["actions"]))

    def greet(self, client: str = HEXCHAT, settable: list[Frame] | None = None) -> list[Frame]:
        """Return the actions of the answer."""
        answer = self.hello(client, SETTABLE if settable is None else settable)
        assert answer["ok"], answer
        actions: list[Frame] = answer["actions"]
        return actions

    def hello(self, client: str, settable: Any) -> Frame:
        return self.engine.ask("hello", protocol=PROTOCOL, version="1", client=client, settable=settable)

    def told(self) -> dict[str, str]:
        """Return the values of the options that were pushed since the last time."""
        pushed, self.pushed[:] = list(self.pushed), []
        return options(pushed)

    def command(self, typed: str, server: str = "") -> list[str]:
        """Return what a command has us read."""
        answer = self.engine.ask("command", server=server, peer="", typed=typed)
        assert answer["ok"], answer
        assert all(action["a"] == "note" for action in answer["actions"])
        return [line for action in answer["actions"] for line in action["lines"]]


def options(actions: list[Frame]) -> dict[str, str]:
    return {action["name"]: action["value"] for action in actions if action["a"] == "option"}


Opening = Callable[[], Script]


@pytest.fixture
def data(folder: Path) -> Path:
    return folder / "data"


@pytest.fixture
def script(data: Path) -> Iterator[Opening]:
    """Starts an engine for a script that has not greeted it."""
    with ExitStack() as running:

        def start() -> Script:
            script = Script(data)
            running.callback(script.engine.close)
            return script

        yield start


def test_every_option_is_told_after_each_greeting(script: Opening) -> None:
    one = script()
    for _ in range(2):
        assert options(one.greet()) == {"log": "off", "sign.verified": "+"}
    assert one.told() == {}


def test_a_change_is_pushed_and_outlives_the_engine(script: Opening) -> None:
    one = script()
    one.greet()
    assert one.command("set log ON") == ["log is on now."]
    assert one.told() == {"log": "on"}
    assert one.command("SET Sign.Verified  [ok]  ") == ["sign.verified is [ok] now."]
    assert one.told() == {"sign.verified": "[ok]"}
    assert options(script().greet()) == {"log": "on", "sign.verified": "[ok]"}
    one.command("set log default")
    assert one.told() == {"log": "off"}
    assert options(script().greet()) == {"log": "off", "sign.verified": "[ok]"}


def test_each_kind_of_client_has_its_own(script: Opening) -> None:
    one = script()
    one.greet("hexchat 2.16.1")
    one.command("set log on")
    assert options(script().greet("hexchat 2.14"))["log"] == "on"
    assert options(script().greet("zoitechat 2.18"))["log"] == "off"


def test_a_client_without_options_has_no_such_command(script: Opening) -> None:
    one = script()
    assert one.greet("weechat 4.0", []) == []
    assert "no such command" in one.command("set log on")[0]
    assert not any(line.startswith("/otr set") for line in one.command("help"))
    assert one.engine.ask("complete", server="", peer="", typed="se")["words"] == ["send"]
    one.greet()
    assert any(line.startswith("/otr set [NAME [VALUE]]") for line in one.command("help"))


def test_they_are_listed(script: Opening) -> None:
    one = script()
    one.greet()
    one.command("set log on")
    opening, log, sign = one.command("set")
    assert "/otr set NAME VALUE" in opening
    assert log == "  log           = on  write the log (off, on; default: off)"
    assert sign == "  sign.verified = +  what stands in front (default: +)"
    assert one.command("set log") == [log.strip()]


@pytest.mark.parametrize(
    "typed",
    [
        "set log perhaps",
        "set log on off",
        "set sign.verified " + "x" * (MAX_VALUE + 1),
        "set sign.verified a\x03b",
        "set sign.verified a\nb",
        "set sign.verified a\u2028b",
        "set sign.verified a\udc80b",
        "set nothing pond",
        "set logs",
    ],
)
def test_what_makes_no_sense_changes_nothing_and_is_not_repeated(script: Opening, typed: str) -> None:
    one = script()
    one.greet()
    lines = one.command(typed)
    assert "othing was changed" in lines[0]
    assert typed.split(" ", 2)[-1] not in str(lines)
    assert one.told() == {}
    assert options(script().greet()) == {"log": "off", "sign.verified": "+"}


def test_the_longest_value(script: Opening) -> None:
    one = script()
    one.greet()
    one.command("set sign.verified " + "\N{LOCK}" * MAX_VALUE)
    assert options(script().greet())["sign.verified"] == "\N{LOCK}" * MAX_VALUE


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("set", ["set"]),
        ("set ", ["log", "sign.verified"]),
        ("set l", ["log"]),
        ("set log ", ["off", "on", "default"]),
        ("set log o", ["off", "on"]),
        ("set sign.verified ", ["default"]),
        ("set log on ", []),
    ],
)
@pytest.mark.parametrize("peer", ["", "bob"])
def test_completion(script: Opening, typed: str, words: list[str], peer: str) -> None:
    one = script()
    one.greet()
    assert one.engine.ask("complete", server="", peer=peer, typed=typed)["words"] == words


def test_what_is_in_the_store_and_fits_no_more_is_as_at_first(script: Opening, data: Path) -> None:
    with Store(data) as store:
        store.settings.set("hexchat", "log", "sometimes")
        store.settings.set("hexchat", "sign.verified", "a\x02b")
        store.settings.set("hexchat", "gone", "on")
    one = script()
    assert options(one.greet()) == {"log": "off", "sign.verified": "+"}
    assert "gone" not in str(one.command("set"))


@pytest.mark.parametrize(
    "row",
    [
        {**LOG, "name": ""},
        {**LOG, "name": "Log"},
        {**LOG, "name": "log file"},
        {**LOG, "name": "x" * (MAX_KEY + 1)},
        {**LOG, "default": "perhaps"},
        {**LOG, "choices": ["off", "off"]},
        {**LOG, "choices": ["off", "very on"]},
        {**LOG, "choices": ["off", "default"]},
        {**LOG, "choices": ["off", *(f"on{number}" for number in range(MAX_CHOICES))]},
        {**LOG, "choices": "off"},
        {**LOG, "about": 7},
        {**SIGN, "default": "\x02"},
        {**SIGN, "default": "x" * (MAX_VALUE + 1)},
        {"name": "log"},
        "log",
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(script: Opening, row: object) -> None:
    assert script().hello(HEXCHAT, [row])["ok"] is False


@pytest.mark.parametrize(
    ("client", "settable"),
    [
        (HEXCHAT, [LOG, LOG]),
        (HEXCHAT, [{**LOG, "name": f"log{number}"} for number in range(MAX_SETTINGS + 1)]),
        (HEXCHAT, {"log": "off"}),
        ("", SETTABLE),
        ("../hexchat 2", SETTABLE),
        ("x" * (MAX_KEY + 1), SETTABLE),
    ],
)
def test_so_are_too_many_and_clients_without_a_name(script: Opening, client: str, settable: Any) -> None:
    assert script().hello(client, settable)["ok"] is False


def test_as_many_as_there_can_be(script: Opening) -> None:
    one = script()
    many = [{**LOG, "name": f"log{number}"} for number in range(MAX_SETTINGS)]
    assert len(options(one.greet(settable=many))) == MAX_SETTINGS
    for row in many:
        one.command(f"set {row['name']} on")
    assert set(options(script().greet(settable=many)).values()) == {"on"}


def test_the_store_is_let_alone_without_options(script: Opening, data: Path) -> None:
    script().greet("weechat 4.0", [])
    assert not data.exists()


def test_without_a_store_they_hold_for_the_process(script: Opening, data: Path) -> None:
    data.mkdir(0o700)
    (data / FILE_NAME).write_bytes(b"no database" * 1000)
    (data / FILE_NAME).chmod(0o600)
    one = script()
    told = one.greet()
    assert options(told) == {"log": "off", "sign.verified": "+"}
    (warning,) = [action for action in told if action["a"] == "note"]
    assert warning["level"] == "warning" and "cannot be used" in warning["lines"][0]
    changed, unsaved = one.command("set log on")
    assert changed == "log is on now."
    assert "cannot be used" in unsaved and "ends with this program" in unsaved
    assert one.told() == {"log": "on"}
    assert options(one.greet()) == {"log": "on", "sign.verified": "+"}


def test_what_could_not_be_saved_is_saved_with_what_comes_next(script: Opening, data: Path) -> None:
    one = script()
    one.greet()
    other = sqlite3.connect(data / FILE_NAME)
    other.execute("BEGIN EXCLUSIVE")
    assert "ends with this program" in one.command("set log on")[1]
    other.rollback()
    other.close()
    assert one.command("set sign.verified x") == ["sign.verified is x now."]
    assert options(script().greet()) == {"log": "on", "sign.verified": "x"}


def test_what_another_program_changes_is_pushed(folder: Path, data: Path) -> None:
    pushed: list[Frame] = []
    with Process(folder, data=data) as engine:
        link = engine.connect(lambda frame: pushed.extend(frame["actions"]))
        assert options(link.greet(client=HEXCHAT, settable=SETTABLE)["actions"])["log"] == "off"
        with Store(data) as store:
            store.settings.set("hexchat", "log", "on")

        def heard() -> bool:
            link.poll()
            return options(pushed) == {"log": "on"}

        until(heard)
        link.close()


def test_no_passphrase_is_needed_for_them(script: Opening, data: Path) -> None:
    furnished(data, "alice")
    with Store(data) as store:
        store.identities.seal("correct horse")
    one = script()
    assert options(one.greet())["log"] == "off"
    about: Frame = {"host": "irc.example", "nick": "alice", "mask": None, "isupport": []}
    asked = one.engine.ask("connected", server="net", **about)["actions"]
    assert [action["a"] for action in asked] == ["ask"]
    assert one.command("set log on", "net") == ["log is on now."]
    assert one.engine.ask("answer", number=0, secret="correct horse")["ok"]
    assert one.engine.ask("connected", server="net", **about)["fingerprint"]
    assert one.command("set log off", "net") == ["log is off now."]


# What needs no server


@pytest.mark.parametrize("server", ["", "somewhere"])
def test_what_is_about_nobody_needs_no_server(script: Opening, data: Path, server: str) -> None:
    one = script()
    one.greet()
    assert "/otr start" in one.command("help", server)[0]
    assert "no such command" in one.command("nonsense", server)[0]
    assert str(data) in one.command("version", server)[0]
    assert one.command("keys", server) == ["You have no key yet: the first server brings one."]
    assert "Nothing may stand behind /otr restart" in one.command("restart now", server)[0]
    assert one.command("restart", server) == [
        "The script of this chat client does not start OTR anew: restart the chat client."
    ]
    furnished(data, "alice")
    lines = one.command("keys", server)
    assert lines[0] == "Your keys:" and lines[1].split()[0] == "default,"
    for typed in ("status bob", "contacts", "start bob"):
        refused = one.engine.ask("command", server=server, peer="", typed=typed)
        assert refused["ok"] is False and "connected" in refused["why"]


# Keys that a client can ask about


def test_the_key_in_use_is_told(join: Joining, room: Room) -> None:
    alice, bob = join("alice"), join("bob")
    room.secure(alice, bob)
    assert alice.statuses["bob"]["fingerprint"] == bob.statuses["alice"]["own_fingerprint"]
    assert len(alice.statuses["bob"]["fingerprint"].split()) == 14
    bob.command("alice", "end")
    room.until(lambda: alice.state("bob") == "finished")
    assert alice.statuses["bob"]["fingerprint"] is None


def test_our_own_key_is_told_when_it_is_another_one(folder: Path, room: Room) -> None:
    client = Client()
    engine = client.engine = Local(furnished(folder / "alice", "alice"), client.heard)
    alice: Person = room.join("alice", client)
    before = alice.connect()["fingerprint"]
    with Store(folder / "alice") as store:
        after = str(store.identities.rotate("default").fingerprint)
    alice.say("bob", "hi")
    assert alice.statuses[""]["fingerprint"] == after != before
    engine.close()
