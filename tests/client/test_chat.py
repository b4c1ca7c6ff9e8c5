"""What the scripts of all clients share, with an engine of another make: nothing is lost, nothing leaks."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from otrcore.client.app import Incoming, Option, Outgoing, Status
from otrcore.client.chat import Chat
from otrcore.client.exchange import MOST_MISSED
from otrcore.client.guard import Held
from otrcore.client.injected import Injected
from otrcore.client.link import DEADLINE, State
from otrcore.client.messages import MAX_GIVEN_BACK, PASTE_SECONDS
from tests.client.screen import Client, plan

PASS, DROP = Outgoing("pass"), Outgoing("drop")
ENCRYPTED = {
    "a": "status",
    "server": "net",
    "peer": "bob",
    "state": "encrypted",
    "trust": "smp",
    "version": 3,
}
PLAINTEXT = {"a": "status", "server": "net", "peer": "bob", "state": "plaintext"}
SLOW = DEADLINE + 0.5


def note(line: str, peer: str = "bob", **more: Any) -> dict[str, Any]:
    return {"a": "note", "server": "net", "peer": peer, "lines": [line], **more}


def send(*lines: str, to: str = "bob") -> dict[str, Any]:
    return {"a": "send", "server": "net", "to": to, "lines": list(lines)}


def decisions(*decided: dict[str, Any]) -> str:
    """Return a text that the engine decides on in this way."""
    return plan(answer={"decisions": [{"to": "bob", **decision} for decision in decided]})


def say(client: Client, text: str, to: str = "bob") -> Outgoing:
    return client.chat.outgoing("net", to, text)


def encrypted(client: Client) -> Chat:
    """Have an encrypted conversation with bob."""
    chat = client.up()
    chat.command("net", "bob", plan(before=[{"actions": [ENCRYPTED]}]))
    assert chat.guard.held("net", "bob") is Held.ENCRYPTED
    client.screen.done.clear()
    return chat


def break_off(client: Client) -> None:
    """Kill the engine, and have no other one come."""
    client.plan(crashes=True)
    (engine,) = client.engines()
    os.kill(engine, signal.SIGKILL)
    client.screen.until(lambda: client.chat.link.state is State.FAILED)
    client.screen.done.clear()


def kinds(client: Client) -> list[str]:
    return [did.what for did in client.screen.done]


# Messages with an engine


def test_a_plain_text_passes_and_leaves_no_trace(client: Client) -> None:
    client.up()
    assert say(client, "hi") == PASS
    (asked,) = client.asked("outgoing")
    assert asked == {
        "n": 3,
        "do": "outgoing",
        "server": "net",
        "to": "bob",
        "text": "hi",
        "command": "PRIVMSG",
        "limit": None,
    }
    assert client.screen.done == []


def test_the_engine_hears_how_much_fits(client: Client) -> None:
    client.screen.limits = {"bob": 390, "carol": 380}
    client.up()
    say(client, "hi")
    say(client, "hi", "bob,#chan,carol")
    client.chat.incoming("net", "carol!c@h", "alice", "hi")
    client.chat.command("net", "bob", "status")
    assert [asked["limit"] for asked in client.asked("outgoing")] == [390, 380]
    assert client.asked("incoming")[0]["limit"] == 380
    assert client.asked("command")[0]["limit"] == 390


@pytest.mark.parametrize(
    "to", ["#chan", "&chan", "@#chan", "NickServ", "*status", "irc.example.org", "=bob", "$$*", ""]
)
@pytest.mark.parametrize("engine", ["up", "dead"])
def test_who_is_no_person_is_never_held_up(client: Client, to: str, engine: str) -> None:
    client.up()
    if engine == "dead":
        break_off(client)
    assert say(client, "hi", to) == PASS
    assert client.asked("outgoing") == []
    assert client.screen.done == []


def test_a_client_that_answers_a_ctcp_is_not_held_up(client: Client) -> None:
    encrypted(client)
    for command in ("NOTICE", "notice"):
        assert client.chat.outgoing("net", "bob", "\x01VERSION x\x01", command) == PASS
    assert client.asked("outgoing") == []
    for command in ("PRIVMSG", "privmsg"):
        assert client.chat.outgoing("net", "bob", "\x01ACTION waves\x01", command) == DROP
    assert [asked["command"] for asked in client.asked("outgoing")] == ["PRIVMSG"] * 2


def test_what_the_engine_encrypts_is_sent_in_its_order(client: Client) -> None:
    client.up()
    own = {"a": "own", "server": "net", "peer": "bob", "text": "hi", "action": False, "encrypted": True}
    text = decisions({"verdict": "drop", "actions": [own, send("?OTR:1.", "?OTR:2."), note("sent")]})
    assert say(client, text) == DROP
    assert client.screen.done == [
        ("own", "net", "bob", ("hi", False, True)),
        ("send", "net", "bob", ("?OTR:1.", "PRIVMSG")),
        ("send", "net", "bob", ("?OTR:2.", "PRIVMSG")),
        ("note", "net", "bob", ("sent", "info", None, False)),
    ]


def test_a_replaced_text_takes_the_place_of_the_typed_one(client: Client) -> None:
    client.up()
    assert say(client, decisions({"verdict": "replace", "text": "hi \t"})) == Outgoing(
        "replace", "bob", "hi \t"
    )


def test_targets_that_are_encrypted_are_taken_out_of_a_list(client: Client) -> None:
    client.up()
    text = plan(
        answer={
            "decisions": [
                {"to": "bob", "verdict": "drop", "actions": [send("?OTR:1.")]},
                {"to": "#chan", "verdict": "pass"},
                {"to": "carol", "verdict": "pass"},
            ]
        }
    )
    assert say(client, text, "bob,#chan,carol") == Outgoing("replace", "#chan,carol", text)
    assert client.screen.sent() == ["?OTR:1."]


def test_an_offer_for_some_of_a_list_is_left_out(client: Client) -> None:
    client.up()
    bob, carol = {"to": "bob", "verdict": "replace", "text": "tagged"}, {"to": "carol", "verdict": "pass"}
    text = plan(answer={"decisions": [bob, carol]})
    assert say(client, text, "bob,carol") == PASS
    text = plan(answer={"decisions": [bob, {**carol, "verdict": "replace", "text": "tagged"}]})
    assert say(client, text, "bob,carol") == Outgoing("replace", "bob,carol", "tagged")


def test_a_target_that_is_named_twice_is_decided_on_twice(client: Client) -> None:
    client.up()
    text = decisions(*({"verdict": "drop", "actions": [send(line)]} for line in ("?OTR:1.", "?OTR:2.")))
    assert say(client, text, "bob,bob") == DROP
    assert client.screen.sent() == ["?OTR:1.", "?OTR:2."]


@pytest.mark.parametrize(
    "answer",
    [
        {"decisions": []},
        {"decisions": None},
        {"decisions": [{"to": "carol", "verdict": "pass"}]},
        {"decisions": [{"to": "bob"}]},
        {"decisions": [{"to": "bob", "verdict": "perhaps"}]},
        {"decisions": [{"to": "bob", "verdict": "replace"}]},
        {"decisions": [{"to": "bob", "verdict": "replace", "text": 5}]},
        {"decisions": ["pass"]},
        {"ok": False, "why": "No."},
        {"ok": False},
    ],
    ids=str,
)
def test_on_any_doubt_a_text_is_not_sent_and_not_lost(client: Client, answer: dict[str, Any]) -> None:
    client.up()
    text = plan(answer=answer)
    assert say(client, text) == DROP
    assert client.screen.typed() == [text]
    assert client.screen.notes("bob")[0].startswith("Not sent to bob.")
    assert say(client, "hi") == PASS


def test_the_engine_cannot_have_an_encrypted_conversation_go_on_unencrypted(client: Client) -> None:
    encrypted(client)
    assert say(client, "hi") == DROP
    assert client.screen.typed() == ["hi"]
    assert "/otr end" in client.screen.notes("bob")[0]
    assert client.screen.done[-1] == ("status", "net", "bob", (Status("finished"),))
    client.chat.command("net", "bob", "end")
    assert say(client, "hi") == PASS


def test_the_engine_may_tell_of_the_end_in_the_same_breath(client: Client) -> None:
    encrypted(client)
    assert say(client, decisions({"verdict": "pass", "actions": [PLAINTEXT]})) == PASS
    assert say(client, "hi") == PASS


def test_what_an_answer_tells_behind_its_decisions_counts(client: Client) -> None:
    encrypted(client)
    decided = [{"to": "bob", "verdict": "pass", "actions": [note("1")]}]
    assert say(client, plan(answer={"decisions": decided, "actions": [PLAINTEXT, note("2")]})) == PASS
    client.screen.until(lambda: kinds(client) == ["note", "status", "note"])
    decided = [{"to": "bob", "verdict": "pass", "actions": [PLAINTEXT]}]
    text = plan(answer={"decisions": decided, "actions": [ENCRYPTED]})
    assert say(client, text) == DROP


def test_a_message_that_comes_is_judged(client: Client) -> None:
    chat = client.up()
    assert chat.incoming("net", "bob!b@h", "alice", "hi") == Incoming("pass")
    assert client.asked("incoming")[0] == {
        "n": 3,
        "do": "incoming",
        "server": "net",
        "from": "bob!b@h",
        "to": "alice",
        "text": "hi",
        "command": "PRIVMSG",
        "limit": None,
    }
    message = {
        "a": "message",
        "server": "net",
        "peer": "bob",
        "mask": "bob!b@h",
        "lines": ["a", "b"],
        "protection": "encrypted",
        "action": True,
        "notice": False,
    }
    text = plan(answer={"verdict": "drop", "actions": [message]})
    assert chat.incoming("net", "bob!b@h", "alice", text) == Incoming("drop")
    assert client.screen.done == [
        ("message", "net", "bob", ("bob!b@h", ["a", "b"], "encrypted", True, False)),
    ]
    text = plan(answer={"verdict": "replace", "text": "untagged"})
    assert chat.incoming("net", "bob!b@h", "ALICE", text) == Incoming("replace", "untagged")
    for verdict in ("odd", None, "replace"):
        text = plan(answer={"verdict": verdict})
        assert chat.incoming("net", "bob!b@h", "alice", text) == Incoming("drop")


@pytest.mark.parametrize(
    ("server", "sender", "to"),
    [
        ("net", "bob!b@h", "#chan"),
        ("net", "bob!b@h", "@#chan"),
        ("net", "NickServ!s@services", "alice"),
        ("net", "irc.example.org", "alice"),
        ("other", "bob!b@h", "alice"),
    ],
)
def test_what_is_no_private_message_is_not_asked_about(
    client: Client, server: str, sender: str, to: str
) -> None:
    assert client.up().incoming(server, sender, to, "?OTRv3? is a query") == Incoming("pass")
    assert client.asked("incoming") == []


def test_own_lines_that_come_back_are_not_shown_again(client: Client) -> None:
    chat = client.up()
    chat.command("net", "bob", plan(before=[{"actions": [send("?OTRv23? hello")]}]))
    for me in ("alice!a@host", "ALICE"):
        assert chat.incoming("net", me, "bob", "hi") == Incoming("pass")
        assert chat.incoming("net", me, "bob", "?OTR:AAMC.") == Incoming("drop"), "of another client of ours"
    assert chat.incoming("net", "alice!a@host", "bob", "?OTRv23? hello") == Incoming("drop")
    assert chat.incoming("net", "alice!a@host", "bob", "?OTRv23? hello") == Incoming("pass"), "typed by us"
    assert client.asked("incoming") == []


# Order


def test_pushes_that_came_first_are_carried_out_first(client: Client) -> None:
    client.up()
    text = plan(
        before=[{"actions": [note("1"), note("2")]}, {"actions": [note("3")]}],
        answer={"decisions": [{"to": "bob", "verdict": "drop", "actions": [note("4"), note("5")]}]},
        behind=[{"actions": [note("6")]}],
    )
    assert say(client, text) == DROP
    assert client.screen.notes() == ["1", "2", "3", "4", "5"]
    client.screen.turn()
    client.screen.turn()
    assert client.screen.notes() == ["1", "2", "3", "4", "5", "6"], "though its descriptor is silent"


@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_what_follows_a_message_that_the_client_shows_is_done_after_it(client: Client, way: str) -> None:
    chat = client.up()
    verdict = {"verdict": "pass", "actions": [note("after")]}
    before = [{"actions": [note("before")]}]
    if way == "outgoing":
        text = plan(before=before, answer={"decisions": [{"to": "bob", **verdict}]})
        assert say(client, text) == PASS
    else:
        assert chat.incoming("net", "bob!b@h", "alice", plan(before=before, answer=verdict)) == Incoming(
            "pass"
        )
    assert client.screen.notes() == ["before"], "the client has not shown the message yet"
    client.screen.until(lambda: client.screen.notes() == ["before", "after"])


def test_what_is_put_off_is_done_before_the_next_thing(client: Client) -> None:
    client.up()
    say(client, decisions({"verdict": "pass", "actions": [note("1")]}))
    say(client, plan(before=[{"actions": [note("2")]}]))
    assert client.screen.notes() == ["1", "2"]


def test_what_happens_in_between_does_not_change_the_order(client: Client) -> None:
    """A line that is shown makes another script say something, which comes by our own hook."""
    client.up()
    answers: list[Outgoing] = []

    def speak() -> None:
        del client.screen.then["own"]
        answers.append(say(client, decisions({"verdict": "drop", "actions": [send("?OTR:other.")]})))
        answers.append(say(client, "hi", "carol"))
        assert kinds(client) == ["own"], "one thing after the other"

    client.screen.then["own"] = speak
    own = {"a": "own", "server": "net", "peer": "bob", "text": "hi"}
    say(client, decisions({"verdict": "drop", "actions": [own, send("?OTR:1."), note("2")]}))
    assert answers == [DROP, PASS]
    assert kinds(client) == ["own", "send", "note", "send"]
    assert client.screen.sent() == ["?OTR:1.", "?OTR:other."]


def test_a_push_is_carried_out_when_it_comes(client: Client) -> None:
    chat = client.up()
    say(client, plan(behind=[{"actions": [note("1")]}]))
    chat.on_readable()
    assert client.screen.notes() == ["1"]
    chat.on_readable()


# Lines of our own


def test_a_line_that_we_send_is_known_once(client: Client) -> None:
    chat = client.up()
    known: list[bool] = []
    client.screen.then["send"] = lambda: known.append(chat.mine("net", "PRIVMSG bob :?OTR:1."))
    say(client, decisions({"verdict": "drop", "actions": [send("?OTR:1.")]}))
    assert known == [True]
    assert not chat.mine("net", "PRIVMSG bob :?OTR:1."), "typed by the user, it is a text like any other"
    client.screen.then["send"] = lambda: None
    say(client, decisions({"verdict": "drop", "actions": [send("?OTR:2.")]}))
    assert not chat.mine("other", "PRIVMSG bob :?OTR:2.")
    assert not chat.mine("net", "PRIVMSG carol :?OTR:2.")
    assert not chat.mine("net", "PRIVMSG bob :?OTR:2")
    assert chat.mine("net", "PRIVMSG bob :?OTR:2.")


def test_lines_are_known_for_a_while_and_not_without_end() -> None:
    now = 0.0
    injected = Injected(10, most=3, clock=lambda: now)
    for line in ("a", "b", "b", "c"):
        injected.add("net", line)
    assert [injected.take("net", line) for line in ("a", "b", "b", "b", "c")] == [
        False,
        True,
        True,
        False,
        True,
    ]
    injected.add("net", "old")
    now = 5.0
    injected.add("net", "new")
    now = 10.5
    assert not injected.take("net", "old")
    assert injected.take("net", "new")


def test_a_line_that_became_too_long_is_cut_again(client: Client) -> None:
    client.plan(
        plans={"recut": {"answer": {"lines": ["?OTR:1", "ü2."]}, "before": [{"actions": [note("x")]}]}}
    )
    client.up()
    client.screen.limits = {"bob": 7}
    say(client, decisions({"verdict": "drop", "actions": [send("?OTR:1ü."), note("done")]}))
    assert client.asked("recut")[0] == {
        "n": 4,
        "do": "recut",
        "server": "net",
        "to": "bob",
        "command": "PRIVMSG",
        "lines": ["?OTR:1ü."],
        "limit": 7,
    }
    assert client.screen.sent() == ["?OTR:1", "ü2."]
    assert client.screen.notes() == ["done", "x"]
    assert client.chat.mine("net", "PRIVMSG bob :ü2.")


@pytest.mark.parametrize(
    "answer",
    [{"ok": False, "why": "No room."}, {"lines": ["?OTR:12."]}, {"lines": "?"}, {"lines": [1]}, {}],
    ids=str,
)
def test_a_line_that_cannot_be_cut_again_is_not_sent(client: Client, answer: dict[str, Any]) -> None:
    client.plan(plans={"recut": {"answer": answer}})
    client.up()
    client.screen.limits = {"bob": 7}
    say(client, decisions({"verdict": "drop", "actions": [send("?OTR:1.", "?OTR:12."), note("done")]}))
    assert client.screen.sent() == [], "all of a message, or nothing"
    assert client.screen.notes()[0].startswith("Not sent to bob: there is less room")
    assert client.screen.notes()[1] == "done"


@pytest.mark.parametrize(
    "action",
    [
        send("?OTR:1.\r\nQUIT"),
        send("?OTR:1.\nQUIT"),
        send("?OTR:1.\0"),
        send("?OTR:1.", to="bob\r\nQUIT"),
        send("?OTR:1.", to="bob :hi"),
        {**send("?OTR:1."), "command": "QUIT\r\nPRIVMSG"},
    ],
    ids=str,
)
def test_no_line_of_the_engine_becomes_two(client: Client, action: dict[str, Any]) -> None:
    client.up()
    say(client, decisions({"verdict": "drop", "actions": [action]}))
    assert client.screen.sent() == []
    assert "Not sent to bob" in client.screen.notes()[0]


# Actions


def test_every_action_reaches_the_client(client: Client) -> None:
    chat = client.up()
    server = {"server": "net", "peer": "bob"}
    actions = [
        {**ENCRYPTED, "starting": True, "requires": True, "percent": 40},
        note("hi", level="warning", typed="lost", highlight=True),
        note("for the server", peer=""),
        {"a": "ask", **server, "number": 7, "by_peer": True, "question": "who?", "lines": ["bob asks"]},
        {"a": "unask", **server, "number": 7},
        {"a": "log", **server, "on": True},
        {"a": "rename", "server": "net", "old": "bob", "new": "bobby"},
        {"a": "message", **server, "lines": ["hi"], "protection": "plain"},
        {"a": "something newer", **server},
        {**send("hi", to="bobby"), "command": "NOTICE"},
    ]
    chat.command("net", "bob", plan(answer={"actions": actions}))
    assert client.screen.done == [
        ("status", "net", "bob", (Status("encrypted", True, "smp", 3, True, 40),)),
        ("note", "net", "bob", ("hi", "warning", "lost", True)),
        ("note", "net", "", ("for the server", "info", None, False)),
        ("ask", "net", "bob", (7, True, "who?", ["bob asks"])),
        ("unask", "net", "bob", (7,)),
        ("log", "net", "bob", (True,)),
        ("renamed", "net", "bob", ("bobby",)),
        ("message", "net", "bob", ("bob", ["hi"], "plain", False, False)),
        ("send", "net", "bobby", ("hi", "NOTICE")),
    ]
    assert chat.guard.held("net", "bobby") is Held.ENCRYPTED
    assert chat.guard.held("net", "bob") is Held.UNKNOWN


@pytest.mark.parametrize(
    "action",
    [
        {"a": "send", "server": "net", "to": "bob"},
        {"a": "send", "server": "net", "lines": ["x"]},
        {"a": "send", "server": "net", "to": 5, "lines": ["x"]},
        {"a": "send", "server": "net", "to": "bob", "lines": "x"},
        {"a": "send", "server": "net", "to": "bob", "lines": [1]},
        {"a": "status", "server": "net", "peer": "bob"},
        {"a": "status", "server": "net", "peer": "bob", "state": "odd"},
        {"a": "message", "server": "net", "peer": "bob", "lines": ["x"]},
        {"a": "own", "server": "net", "peer": "bob"},
        {"a": "ask", "server": "net", "peer": "bob", "lines": []},
        {"a": "unask", "server": "net", "peer": "bob", "number": "7"},
        {"a": "note", "server": "net", "peer": "bob", "lines": None},
        {"a": "rename", "server": "net", "old": "bob"},
        {"a": None},
        {},
        "text",
        None,
    ],
    ids=str,
)
def test_an_action_that_makes_no_sense_keeps_nothing_else_from_being_done(
    client: Client, action: Any
) -> None:
    client.up()
    client.chat.command("net", "bob", plan(answer={"actions": [note("1"), action, note("2")]}))
    notes = client.screen.notes()
    assert (notes[0], notes[-1]) == ("1", "2")
    assert client.screen.sent() == []
    assert all("error inside OTR (ValueError)" in told for told in notes[1:-1])


@pytest.mark.parametrize(
    "what", ["send", "own", "message", "status", "ask", "unask", "log", "renamed", "note"]
)
def test_a_client_that_fails_keeps_nothing_else_from_being_done(client: Client, what: str) -> None:
    def fail() -> None:
        raise RuntimeError("the client's own trouble")

    chat = client.up()
    client.screen.then[what] = fail
    server = {"server": "net", "peer": "bob"}
    actions = [
        send("?OTR:1.", "?OTR:2."),
        {"a": "own", **server, "text": "hi"},
        {"a": "message", **server, "lines": ["hi"], "protection": "plain"},
        ENCRYPTED,
        {"a": "ask", **server, "number": 7, "lines": []},
        {"a": "unask", **server, "number": 7},
        {"a": "log", **server, "on": True},
        {"a": "rename", "server": "net", "old": "carol", "new": "caroline"},
        note("done"),
    ]
    assert say(client, decisions({"verdict": "drop", "actions": actions})) == DROP
    assert set(kinds(client)) == {
        "send",
        "own",
        "message",
        "status",
        "ask",
        "unask",
        "log",
        "renamed",
        "note",
    }
    assert client.screen.notes()[-1] == "done" or what == "note"
    if what != "note":
        assert "error inside OTR (RuntimeError)" in client.screen.notes()[0]
    if what == "send":
        assert client.screen.sent() == ["?OTR:1."], "half a message is of no use"
    assert chat.guard.held("net", "bob") is Held.ENCRYPTED


@pytest.mark.parametrize("what", ["later", "watch", "limit"])
def test_a_client_that_fails_otherwise_is_still_protected(
    client: Client, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("the client's own trouble")

    encrypted(client)
    monkeypatch.setattr(client.screen, what, fail)
    text = decisions({"verdict": "drop", "actions": [send("?OTR:1.")]})
    assert say(client, text) == DROP
    os.kill(client.engines()[0], signal.SIGKILL)
    time.sleep(0.2)
    assert say(client, "hi") == DROP
    assert "hi" in client.screen.typed()


# An error of ours


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1), MemoryError()])
@pytest.mark.parametrize("mute", [False, True])
def test_whatever_goes_wrong_a_text_is_not_sent(
    client: Client, error: BaseException, mute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **fields: Any) -> None:
        raise error

    chat = client.up()
    monkeypatch.setattr(chat.link, "request", fail)
    if mute:
        monkeypatch.setattr(client.screen, "note", fail)
    assert say(client, "hi") == DROP
    assert say(client, "hi", "#chan,bob") == Outgoing("replace", "#chan", "hi")
    assert chat.incoming("net", "bob!b@h", "alice", "?OTR:AAMD.") == Incoming("drop")
    assert chat.incoming("net", "bob!b@h", "alice", "hi") == Incoming("pass")
    if not mute:
        assert client.screen.typed() == ["hi", "hi"]
        assert all("error inside OTR" in told for told in client.screen.notes())


@pytest.mark.parametrize(
    "step",
    [
        lambda chat: chat.begin(),
        lambda chat: chat.on_readable(),
        lambda chat: chat.command("net", "bob", "status"),
        lambda chat: chat.answer("net", "bob", 1, "secret"),
        lambda chat: chat.complete("net", "bob", ""),
        lambda chat: chat.settings(policies=[]),
        lambda chat: chat.connected("net", "h", "alice", None, []),
        lambda chat: chat.mask("net", "alice", "a!b@c"),
        lambda chat: chat.nick_changed("net", "bob", "bobby"),
        lambda chat: chat.peer_gone("net", "bob", ""),
        lambda chat: chat.disconnected("net"),
        lambda chat: chat.buffer_closed("net", "bob"),
        lambda chat: chat.quit(),
        lambda chat: chat.restart(),
        lambda chat: chat.unload(),
    ],
    ids=count(),
)
def test_no_method_raises(
    client: Client, step: Callable[[Chat], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **fields: Any) -> None:
        raise RuntimeError("x")

    chat = client.up()
    for name in ("request", "begin", "poll", "wait", "close", "restart"):
        with monkeypatch.context() as patch:
            patch.setattr(chat.link, name, fail)
            step(chat)
    assert not any("Traceback" in told for told in client.screen.notes())


# No answer


def test_a_text_without_an_answer_is_given_back(client: Client) -> None:
    client.up()
    text = plan(
        sleep=SLOW, answer={"decisions": [{"to": "bob", "verdict": "drop", "actions": [send("?OTR:1.")]}]}
    )
    assert say(client, text) == DROP
    assert client.screen.typed() == [text]
    assert "does not answer" in client.screen.notes("bob")[0]
    assert say(client, "/me waves") == DROP, "nothing is known of bob"
    client.screen.until(lambda: client.asked("not_sent"))
    client.screen.until(lambda: client.chat.link.state is State.UP)
    assert [asked["re"] for asked in client.asked("not_sent")] == [client.asked("outgoing")[0]["n"]]
    assert client.screen.sent() == [], "what came too late is thrown away"
    assert say(client, "hi") == PASS
    assert len(client.engines()) == 1


def test_a_message_without_an_answer_comes_later(client: Client) -> None:
    chat = client.up()
    message = {"a": "message", "server": "net", "peer": "bob", "lines": ["hi"], "protection": "encrypted"}
    slow = plan(sleep=SLOW, answer={"verdict": "drop", "actions": [message, send("?OTR:1.")]})
    assert chat.incoming("net", "bob!b@h", "alice", slow) == Incoming("pass"), "it does not look like OTR"
    client.screen.until(lambda: "send" in kinds(client))
    assert kinds(client) == ["message", "send"], "it exists nowhere else"
    assert client.asked("not_sent") == []


def test_otr_without_an_answer_is_not_shown(client: Client) -> None:
    client.plan(plans={"incoming": {"sleep": SLOW, "answer": {"verdict": "drop", "actions": [note("read")]}}})
    chat = client.up()
    assert chat.incoming("net", "bob!b@h", "alice", "?OTR:AAMD.") == Incoming("drop")
    assert "comes later" in client.screen.notes("bob")[0]
    assert chat.incoming("net", "bob!b@h", "alice", "?OTR:AAMD.") == Incoming("drop")
    assert "ask for it again" in client.screen.notes("bob")[1]
    client.screen.until(lambda: client.screen.notes("bob")[2:] == ["read"])


@pytest.mark.parametrize("do", ["command", "answer"])
def test_what_the_user_asked_for_too_long_is_not_done_later(client: Client, do: str) -> None:
    client.plan(plans={"answer": {"sleep": SLOW, "answer": {"actions": [send("?OTR:1.")]}}})
    chat = client.up()
    if do == "command":
        chat.command("net", "bob", plan(sleep=SLOW, answer={"actions": [send("?OTR:1.")]}))
        assert client.screen.notes("bob")[0].startswith("That was not done.")
    else:
        chat.answer("net", "bob", 3, "the secret")
        assert client.screen.notes("bob")[0].startswith("The secret was not used.")
        assert "the secret" not in str(client.screen.done)
    client.screen.until(lambda: client.asked("not_sent"))
    client.screen.rest()
    assert client.screen.sent() == []


def test_an_engine_that_is_killed_in_mid_request_costs_one_text(client: Client) -> None:
    client.up()
    text = plan(end="killed")
    assert say(client, text) == DROP
    assert client.screen.typed() == [text]
    assert "being started again" in client.screen.notes("bob")[0]
    assert say(client, "hi") == PASS, "it waits for the new engine"
    assert [asked["nick"] for asked in client.asked("connected")] == ["alice", "alice"]
    assert len(client.engines()) == 2


# Without an engine


@pytest.mark.parametrize(
    ("state", "more", "told"),
    [
        ("encrypted", {}, "to be encrypted"),
        ("encrypted", {"requires": True}, "to be encrypted"),
        ("plaintext", {"starting": True}, "to be encrypted"),
        ("finished", {}, "was ended there"),
        ("plaintext", {"requires": True}, "by your policy"),
    ],
)
def test_who_is_protected_is_so_without_an_engine(
    client: Client, state: str, more: dict[str, Any], told: str
) -> None:
    chat = client.up()
    chat.command("net", "bob", plan(answer={"actions": [{**PLAINTEXT, "state": state, **more}]}))
    break_off(client)
    for text in ("hi", "again"):
        assert say(client, text) == DROP
    assert say(client, "\x01ACTION waves\x01") == DROP
    assert chat.outgoing("net", "BOB", "hi", "NOTICE") == DROP
    assert client.screen.typed() == ["hi", "again", "/me waves", "hi"]
    assert told in client.screen.notes("bob")[0]
    assert "again and again" in client.screen.notes("bob")[0]


def test_who_was_plain_stays_so_without_an_engine(client: Client) -> None:
    client.up()
    say(client, "hi")
    break_off(client)
    assert say(client, "hi") == PASS
    assert client.screen.done == []


def test_who_is_not_known_is_held_up_once_without_an_engine(client: Client) -> None:
    client.up()
    break_off(client)
    assert say(client, "hi") == DROP
    assert client.screen.typed() == ["hi"]
    (told,) = client.screen.notes("bob")
    for way in ("/otr restart", "once more", "without this script"):
        assert way in told
    time.sleep(PASTE_SECONDS)
    assert say(client, "hi") == PASS
    assert say(client, "hi", "carol") == DROP


def test_who_pastes_to_somebody_not_known_has_every_line_back(client: Client) -> None:
    """What follows a line that is given back was sent before anybody could have read why."""
    client.up()
    break_off(client)
    lines = ["one line", "another line", "one line"]
    assert [say(client, line) for line in lines] == [DROP] * 3
    assert client.screen.typed() == lines
    time.sleep(PASTE_SECONDS)
    assert say(client, "something else") == DROP
    assert say(client, "another line") == PASS


def test_no_more_is_remembered_than_is_useful_of_what_was_given_back(client: Client) -> None:
    client.up()
    break_off(client)
    for number in range(MAX_GIVEN_BACK + 1):
        assert say(client, f"line {number}") == DROP
    time.sleep(PASTE_SECONDS)
    assert say(client, "line 0") == DROP
    assert say(client, f"line {MAX_GIVEN_BACK}") == PASS


@pytest.mark.parametrize("state", ["encrypted", "finished"])
@pytest.mark.parametrize("nick", ["BobServ", "alis", "bob.x", "#bob", "*bob", "=bob", "bob!b", "bo,b"])
def test_whoever_is_renamed_by_the_server_stays_a_person(client: Client, state: str, nick: str) -> None:
    client.plan(plans={"connected": {"before": [{"actions": [{**ENCRYPTED, "state": state}]}]}})
    chat = client.up()
    chat.nick_changed("net", "bob", nick)
    break_off(client)
    assert say(client, "for bob alone", nick) == DROP
    assert client.screen.typed() == ["for bob alone"]


def test_a_policy_for_a_network_holds_without_an_engine(client: Client) -> None:
    client.plan(plans={"connected": {"answer": {"requires": True}}})
    client.up()
    break_off(client)
    assert say(client, "hi") == DROP
    assert say(client, "hi") == DROP
    assert "policy" in client.screen.notes("bob")[0]


def test_a_policy_for_somebody_holds_without_an_engine(client: Client) -> None:
    guarded = [{**PLAINTEXT, "peer": nick, "requires": True} for nick in ("bob", "carol")]
    client.plan(plans={"connected": {"before": [{"actions": guarded}], "answer": {"requires": False}}})
    client.up()
    break_off(client)
    assert [client.chat.guard.held("net", nick) for nick in ("bob", "carol", "dave")] == [
        Held.REQUIRED,
        Held.REQUIRED,
        Held.UNKNOWN,
    ]


def test_a_policy_that_cannot_be_told_yet_stays_as_it_was(client: Client) -> None:
    client.plan(plans={"connected": {"answer": {"requires": True}}})
    chat = client.up()
    client.plan()
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: len(client.asked("connected")) == 2)
    assert chat.guard.held("net", "bob") is Held.REQUIRED


def test_a_policy_for_a_network_may_change(client: Client) -> None:
    chat = client.up()
    chat.command("net", "", plan(answer={"actions": [{**PLAINTEXT, "peer": "", "requires": True}]}))
    assert chat.guard.held("net", "carol") is Held.REQUIRED
    assert client.screen.done == []


def test_a_list_is_sorted_without_an_engine(client: Client) -> None:
    encrypted(client)
    say(client, "hi", "carol")
    break_off(client)
    assert say(client, "hi", "#chan,bob,carol") == Outgoing("replace", "#chan,carol", "hi")
    assert client.screen.typed() == ["hi"]


def test_messages_without_an_engine(client: Client) -> None:
    chat = encrypted(client)
    say(client, "hi", "carol")
    break_off(client)
    assert chat.incoming("net", "carol!c@h", "alice", "hi") == Incoming("pass")
    assert chat.incoming("net", "dave!c@h", "alice", "hi") == Incoming("pass")
    assert chat.incoming("net", "bob!b@h", "alice", "\x01PING 1\x01") == Incoming("pass")
    assert client.screen.done == []
    assert chat.incoming("net", "carol!c@h", "alice", "?OTRv23?") == Incoming("drop")
    assert "could not be read: ask for it again" in client.screen.notes("carol")[0]
    client.screen.done.clear()
    assert chat.incoming("net", "bob!b@h", "alice", "hi") == Incoming("drop")
    assert chat.incoming("net", "bob!b@h", "alice", "\x01ACTION waves\x01") == Incoming("drop")
    assert chat.incoming("net", "bob!b@h", "alice", "hi", "NOTICE") == Incoming("drop")
    assert client.screen.done == [
        ("message", "net", "bob", ("bob!b@h", ["hi"], "unexpected", False, False)),
        ("message", "net", "bob", ("bob!b@h", ["waves"], "unexpected", True, False)),
        ("message", "net", "bob", ("bob!b@h", ["hi"], "unexpected", False, True)),
    ]


def test_a_server_that_is_not_known_is_like_no_engine(client: Client) -> None:
    chat = client.up()
    assert chat.outgoing("other", "bob", "hi") == DROP
    assert "not heard yet" in client.screen.notes("bob")[0]
    time.sleep(PASTE_SECONDS)
    assert chat.outgoing("other", "bob", "hi") == PASS
    assert client.asked("outgoing") == []


def test_a_server_that_the_engine_cannot_do_is_like_no_engine(client: Client) -> None:
    client.plan(plans={"connected": {"answer": {"ok": False, "why": "Your keys cannot be read."}}})
    chat = client.up()
    assert client.screen.done == [("note", "net", "", ("Your keys cannot be read.", "warning", None, False))]
    assert say(client, "hi") == DROP
    assert "Your keys cannot be read." in client.screen.notes("bob")[0]
    time.sleep(PASTE_SECONDS)
    assert say(client, "hi") == PASS
    assert chat.guard.held("net", "bob") is None


def test_trouble_is_told_once(client: Client) -> None:
    client.up()
    client.plan(crashes=True)
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: client.chat.link.state is State.FAILED)
    for _ in range(3):
        client.chat.on_readable()
    assert [told for told in client.screen.done if "again and again" in told.rest[0]] == [
        client.screen.done[0]
    ]
    assert client.screen.done[0][:3] == ("note", "", "")
    client.plan()
    client.chat.command("net", "bob", "restart")
    client.screen.until(lambda: client.chat.link.state is State.UP)
    assert "started anew" in client.screen.notes()[-1]
    client.plan(crashes=True)
    os.kill(client.engines()[-1], signal.SIGKILL)
    client.screen.until(lambda: client.chat.link.state is State.FAILED)
    assert "again and again" in client.screen.notes()[-1], "trouble that comes again is told again"


# Another engine


def test_a_conversation_that_went_with_its_engine_does_not_go_on_unencrypted(client: Client) -> None:
    chat = encrypted(client)
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: len(client.asked("connected")) == 2)
    assert client.screen.done[:1] == [("status", "net", "bob", (Status("finished"),))]
    assert "is over" in client.screen.notes("bob")[0]
    assert "/otr start" in client.screen.notes("bob")[0]
    client.screen.done.clear()
    # The new engine would let it pass.
    for text in ("hi", "again"):
        assert say(client, text) == DROP
    assert client.screen.typed() == ["hi", "again"]
    assert say(client, "hi", "carol") == PASS
    chat.on_readable()
    client.screen.done.clear()

    chat.command("net", "bob", "END")
    assert client.screen.done == [
        ("status", "net", "bob", (Status("plaintext"),)),
        ("note", "net", "bob", (client.screen.notes()[0], "info", None, False)),
    ]
    assert "goes out unencrypted" in client.screen.notes()[0]
    assert [asked["typed"] for asked in client.asked("command")][1:] == [], (
        "there is nothing that it could end"
    )
    assert say(client, "hi") == PASS


def test_an_engine_that_knows_nothing_of_a_conversation_cannot_call_it_plain(client: Client) -> None:
    client.plan(hello={"states": [{**PLAINTEXT, "requires": True}]})
    encrypted(client)
    client.screen.done.clear()
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: len(client.asked("connected")) == 2)
    offer = {"to": "bob", "verdict": "replace", "text": "tagged"}
    for _ in range(2):
        text = plan(answer={"decisions": [offer], "actions": [PLAINTEXT]})
        assert say(client, text) == DROP
    client.screen.rest(0.05)
    states = {did.rest[0].state for did in client.screen.done if did.what == "status"}
    assert states == {"finished"}


def test_a_conversation_that_went_may_begin_again(client: Client) -> None:
    chat = encrypted(client)
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: len(client.asked("connected")) == 2)
    chat.command("net", "bob", plan(answer={"actions": [{**PLAINTEXT, "starting": True}]}))
    assert say(client, decisions({"verdict": "drop", "actions": [note("waits")]})) == DROP
    chat.command("net", "bob", plan(answer={"actions": [ENCRYPTED]}))
    text = decisions({"verdict": "drop", "actions": [send("?OTR:1.")]})
    assert say(client, text) == DROP
    assert client.screen.sent() == ["?OTR:1."]
    chat.command("net", "bob", "end")
    assert client.asked("command")[-1]["typed"] == "end", "which the engine does"


@pytest.mark.parametrize("typed", ["end", "finish", "stop now", "end bob", "END BOB", "end carol", "status"])
def test_which_words_end_a_conversation_that_went(client: Client, typed: str) -> None:
    chat = encrypted(client)
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: len(client.asked("connected")) == 2)
    chat.command("net", "bob", typed)
    ended = typed in ("end", "finish", "end bob", "END BOB")
    assert (chat.guard.held("net", "bob") is None) == ended


def test_without_an_engine_the_user_may_go_on_unencrypted(client: Client) -> None:
    chat = encrypted(client)
    break_off(client)
    assert say(client, "hi") == DROP
    chat.command("net", "bob", "end")
    assert say(client, "hi") == PASS


def test_a_reloaded_script_goes_on_where_it_was(client: Client) -> None:
    client.plan(hello={"states": [ENCRYPTED]})
    chat = encrypted(client)
    chat.unload()
    assert "unloaded" in client.screen.notes()[0]
    assert "bob" in client.screen.notes()[0]
    client.screen.done.clear()
    kept = json.loads(json.dumps(chat.guard.kept))
    again = client.load(kept)
    assert again.outgoing("net", "bob", "hi") == DROP, "also before the engine is there"
    client.up()
    assert len(client.engines()) == 1
    assert client.screen.done[-1] == ("status", "net", "bob", (Status("encrypted", False, "smp", 3),))
    assert again.guard.held("net", "bob") is Held.ENCRYPTED


def test_what_ended_while_the_script_was_away_is_plain(client: Client) -> None:
    chat = encrypted(client)
    chat.unload()
    client.load(chat.guard.kept)
    client.up()
    assert client.chat.guard.held("net", "bob") is None
    assert client.screen.done[-1] == ("status", "net", "bob", (Status("plaintext"),))


def test_a_script_that_is_loaded_after_its_engine_is_gone_protects_all_the_same(client: Client) -> None:
    chat = encrypted(client)
    chat.unload()
    os.kill(client.engines()[0], signal.SIGKILL)
    client.load(chat.guard.kept)
    client.up()
    assert say(client, "hi") == DROP
    assert "knows nothing of it any more" in client.screen.notes("bob")[-1]


def test_a_script_that_knows_nothing_learns_it_from_the_engine(client: Client) -> None:
    client.plan(hello={"states": [ENCRYPTED, {**ENCRYPTED, "server": "other", "peer": "carol"}]})
    chat = client.up()
    assert sorted(chat.guard.protected()) == [("net", "bob"), ("other", "carol")]
    assert kinds(client) == ["status", "status"]


def test_unloading_without_conversations_says_nothing(client: Client) -> None:
    client.up().unload()
    assert client.screen.done == []
    assert client.chat.link.state is State.CLOSED
    assert client.screen.watched is None


def test_who_is_superseded_protects_and_says_nothing(client: Client) -> None:
    chat = encrypted(client)
    other = Client(client.folder)
    newer = other.load(json.loads(json.dumps(chat.guard.kept)))
    newer.begin()
    deadline = time.monotonic() + 20
    while chat.link.state is not State.SUPERSEDED:
        assert time.monotonic() < deadline
        other.screen.turn()
        client.screen.turn()
    assert say(client, "hi") == DROP
    assert "unload this one" in client.screen.notes("bob")[0]
    client.screen.done.clear()
    chat.restart()
    assert "unload this one" in client.screen.notes()[0]
    client.screen.done.clear()
    chat.quit()
    chat.unload()
    assert client.screen.done == []
    assert client.asked("shutdown") == []
    assert client.is_engine(client.engines()[0])
    other.close()


# The end


def test_leaving_ends_conversations_for_the_peers(client: Client) -> None:
    disconnect = [note("The conversation is over."), PLAINTEXT, send("?OTR:bye.")]
    client.plan(plans={"shutdown": {"answer": {"actions": disconnect}}})
    chat = encrypted(client)
    chat.quit()
    assert client.screen.sent() == ["?OTR:bye."]
    client.screen.until(lambda: not client.is_engine(client.engines()[0]))
    assert chat.link.state is State.CLOSED
    assert say(client, "hi") == DROP, "nobody has chosen to go on unencrypted"
    client.screen.rest()
    assert len(client.engines()) == 1, "and nothing is started again"


def test_restarting_ends_conversations_and_says_so(client: Client) -> None:
    client.plan(plans={"shutdown": {"answer": {"actions": [PLAINTEXT, send("?OTR:bye.")]}}})
    chat = encrypted(client)
    chat.command("net", "bob", " Restart ")
    assert client.screen.sent() == ["?OTR:bye."]
    client.screen.until(lambda: len(client.asked("connected")) == 2)
    assert len(client.engines()) == 2
    assert "is over" in client.screen.notes("bob")[-1]
    assert say(client, "hi") == DROP
    assert client.asked("command")[1:] == []


def test_a_restart_starts_what_was_not_running(client: Client) -> None:
    client.chat.restart()
    client.screen.until(lambda: client.chat.link.state is State.UP)


def test_a_restart_that_cannot_work_says_why(client: Client) -> None:
    client.up()
    os.chmod(os.path.join(client.folder, "data"), 0o755)
    client.chat.restart()
    assert "can be used by others" in client.screen.notes()[-1]
    assert "started anew" not in str(client.screen.done)


# The network


def test_the_engine_hears_of_the_network(client: Client) -> None:
    chat = client.up()
    chat.mask("net", "alice", "alice!a@elsewhere")
    chat.mask("net", "alice", "alice!a@elsewhere")
    chat.nick_changed("net", "bob", "bobby")
    chat.nick_changed("net", "Alice", "alice2")
    chat.peer_gone("net", "bobby", "Quit: bye")
    chat.buffer_closed("net", "bobby")
    chat.settings(policies=[{"server": None, "peer": None, "name": "x", "value": "y"}])
    chat.disconnected("net")
    told = [{key: value for key, value in event.items() if key != "n"} for event in client.events()[4:]]
    assert told == [
        {"do": "mask", "server": "net", "nick": "alice", "mask": "alice!a@elsewhere"},
        {"do": "nick_changed", "server": "net", "old": "bob", "new": "bobby"},
        {"do": "nick_changed", "server": "net", "old": "Alice", "new": "alice2"},
        {"do": "peer_gone", "server": "net", "nick": "bobby", "reason": "Quit: bye"},
        {"do": "buffer_closed", "server": "net", "peer": "bobby"},
        {"do": "settings", "policies": [{"server": None, "peer": None, "name": "x", "value": "y"}]},
        {"do": "disconnected", "server": "net"},
    ]


def test_a_new_engine_hears_how_things_are_now(client: Client) -> None:
    chat = client.up()
    chat.connected("other", "irc.other.org", "al", None, [])
    chat.settings(policies=[1])
    chat.nick_changed("net", "alice", "alice2")
    chat.mask("net", "alice2", "alice2!a@elsewhere")
    chat.disconnected("other")
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: chat.link.state is State.STARTING)
    chat.nick_changed("net", "alice2", "alice3")
    client.screen.until(lambda: len(client.asked("hello")) == 2 and chat.link.state is State.UP)
    at = [event.get("do") for event in client.events()].index("hello", 5)
    settings, connected = client.events()[at + 1 :]
    assert (settings["do"], settings["policies"]) == ("settings", [1])
    assert (connected["do"], connected["server"], connected["nick"]) == ("connected", "net", "alice3")


def test_an_engine_that_was_away_hears_what_it_missed(client: Client) -> None:
    chat = encrypted(client)
    say(client, plan(sleep=SLOW))
    assert chat.link.state is State.BROKEN
    chat.nick_changed("net", "bob", "bobby")
    assert chat.guard.held("net", "bobby") is Held.ENCRYPTED, "known here at once"
    chat.peer_gone("net", "carol", "")
    client.screen.until(lambda: client.asked("peer_gone"))
    assert [asked["new"] for asked in client.asked("nick_changed")] == ["bobby"]
    for number in range(MOST_MISSED * 2):
        chat.nick_changed("net", f"x{number}", f"y{number}")
    assert len(client.asked("nick_changed")) == 1 + MOST_MISSED * 2, "it is there again"


def test_what_an_engine_missed_is_bounded(client: Client) -> None:
    chat = client.up()
    say(client, plan(sleep=SLOW))
    for number in range(MOST_MISSED + 5):
        chat.nick_changed("net", f"x{number}", f"y{number}")
    client.screen.until(lambda: chat.link.state is State.UP)
    assert [asked["old"] for asked in client.asked("nick_changed")] == [
        f"x{n}" for n in range(5, MOST_MISSED + 5)
    ]


@pytest.mark.parametrize("do", ["hello", "connected", "complete", "recut", "not_sent", "mask", "settings"])
def test_what_any_answer_tells_is_heard(client: Client, do: str) -> None:
    """The engine tells of a change in whatever it says next."""
    told = {"answer": {"actions": [ENCRYPTED], "lines": ["x"], "decisions": []}}
    client.plan(plans={do: told})
    chat = client.up()
    client.screen.limits = {"carol": 3}
    chat.complete("net", "bob", "")
    chat.mask("net", "alice", "alice!b@c")
    chat.settings(policies=[])
    chat.command("net", "bob", plan(answer={"actions": [send("long", to="carol")]}))
    if do == "not_sent":
        say(client, plan(sleep=SLOW))
        client.screen.until(lambda: client.asked("not_sent"))
    client.screen.until(lambda: "status" in kinds(client))
    assert chat.guard.held("net", "bob") is Held.ENCRYPTED


def test_leaving_a_server_ends_what_is_encrypted_there(client: Client) -> None:
    chat = encrypted(client)
    chat.connected("other", "irc.other.org", "al", None, [])
    others = [
        {**ENCRYPTED, "peer": "carol"},
        {**PLAINTEXT, "peer": "dave"},
        {**ENCRYPTED, "server": "other", "peer": "erin"},
    ]
    chat.command("net", "bob", plan(before=[{"actions": others}]))
    chat.leave("net")
    closed = [(asked["server"], asked["peer"]) for asked in client.asked("buffer_closed")]
    assert sorted(closed) == [("net", "bob"), ("net", "carol")]
    chat.leave("nowhere")
    assert len(client.asked("buffer_closed")) == 2


OWN = "01234567 89ABCDEF 01234567 89ABCDEF 01234567"
OTHER = OWN[::-1]


def test_the_keys_in_use(client: Client) -> None:
    client.plan(plans={"connected": {"answer": {"fingerprint": OWN}}})
    chat = client.up()
    assert client.screen.until(lambda: chat.fingerprint("net")) == OWN
    assert chat.fingerprint("other") is None
    another = {"a": "status", "server": "net", "peer": "", "requires": False, "fingerprint": OTHER}
    theirs = {**ENCRYPTED, "fingerprint": OWN}
    chat.command("net", "bob", plan(before=[{"actions": [another, theirs]}]))
    assert chat.fingerprint("net") == OTHER
    (did,) = client.screen.done
    assert did.rest[0].fingerprint == OWN
    chat.command("net", "bob", plan(before=[{"actions": [{**theirs, "fingerprint": 7}]}]))
    assert client.screen.done[-1].rest[0].fingerprint is None
    chat.disconnected("net")
    assert chat.fingerprint("net") is None


# Options


def test_a_client_without_options_declares_none(client: Client) -> None:
    client.up()
    assert set(client.asked("hello")[0]) == {"n", "do", "protocol", "version", "client"}


def test_options_are_declared_and_heard_of(client: Client) -> None:
    client.settable = [Option("log", "off", "write the log", ("off", "on")), Option("sign", "+", "in front")]
    client.load()
    log = {"a": "option", "name": "log", "value": "on"}
    client.plan(hello={"actions": [log]})
    chat = client.up()
    assert client.asked("hello")[0]["settable"] == [
        {"name": "log", "default": "off", "about": "write the log", "choices": ["off", "on"]},
        {"name": "sign", "default": "+", "about": "in front", "choices": []},
    ]
    assert [(did.what, did.rest) for did in client.screen.done] == [("option", ("log", "on"))]
    chat.command("", "", plan(before=[{"actions": [{**log, "value": "off"}]}]))
    assert client.screen.done[-1].rest == ("log", "off")
    os.kill(client.engines()[0], signal.SIGKILL)
    client.screen.until(lambda: len(client.asked("hello")) == 2 and chat.link.state is State.UP)
    assert client.screen.done[-1].rest == ("log", "on"), "after each greeting"


@pytest.mark.parametrize("action", [{"name": "log"}, {"value": "on"}, {"name": "log", "value": 7}])
def test_an_option_that_makes_no_sense_is_told_about(client: Client, action: dict[str, Any]) -> None:
    chat = client.up()
    chat.command("", "", plan(before=[{"actions": [{"a": "option", **action}]}]))
    assert kinds(client) == ["note"]


def test_words_to_complete(client: Client) -> None:
    client.plan(plans={"complete": {"answer": {"words": ["start", "status", 5]}}})
    chat = client.up()
    assert chat.complete("net", "bob", "st") == ["start", "status"]
    asked = client.asked("complete")[0]
    assert (asked["server"], asked["peer"], asked["typed"]) == ("net", "bob", "st")
    break_off(client)
    assert chat.complete("net", "bob", "") == ["restart"]
    assert chat.complete("net", "bob", "RES") == ["restart"]
    assert chat.complete("net", "bob", "st") == []
    assert chat.complete("net", "bob", "smp ") == []
    assert client.screen.done == []


def test_a_command_that_is_not_done_is_told_about(client: Client) -> None:
    chat = client.up()
    chat.command("net", "bob", plan(answer={"ok": False, "why": "No such thing."}))
    assert client.screen.notes("bob") == ["That was not done. No such thing."]


def test_a_secret_reaches_the_engine_and_nothing_else(client: Client) -> None:
    chat = client.up()
    chat.answer("net", "bob", 7, "the secret")
    (asked,) = client.asked("answer")
    assert (asked["number"], asked["secret"]) == (7, "the secret")
    assert client.screen.done == []
