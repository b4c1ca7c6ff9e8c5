"""Whatever goes wrong in the script or its engine: nothing leaves readable, and the user is told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from otrcore.client.messages import PASTE_SECONDS
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.waiting import wait_for
from tests.clients.drivers.weechat import CORE, WeeChat, private, status
from tests.clients.weechat_support import (
    NAME,
    RUNTIME,
    SCRIPT,
    engine_of,
    notes,
    readable,
    secure,
    start,
    talk,
    wait_bar,
    wait_note,
)

# Put into a copy of the script: `/break NAME` has that function of it fail, `/break` none.
CALL = "                result = function(*args)\n"
CALL_BROKEN = "                result = BROKEN.get(function.__name__, function)(*args)\n"
BREAK = """

BROKEN = {}
intact = dict(globals())


def raises(*args):
    raise RuntimeError("on purpose")


def break_it(data, buffer, words):
    BROKEN.clear()
    globals().update(is_command=intact["is_command"])
    if words.startswith("is_command"):
        globals().update(is_command=raises)
    elif words:
        BROKEN[words.split()[0]] = raises if words.endswith("raises") else lambda *args: None
    return OK


weechat.hook_command("break", "", "", "", "", "break_it", "")
begin()
"""

# Put behind a copy of the script: with the line "and now" the policy for gina changes.
BETWEEN = """

judge = screen.chat.outgoing


def changing(server, to, text, command):
    judged = judge(server, to, text, command)
    if "and now" in text:
        screen.chat.command(server, "gina", "policy always")
    return judged


screen.chat.outgoing = changing
"""

# Newer WeeChats send texts of several lines at once: another script does so in every one.
LINES = """\
import weechat

weechat.register("several_lines", "test", "1", "MIT", "makes lines of a text", "", "")
weechat.hook_modifier("5000|irc_out1_PRIVMSG", "lines", "")


def lines(data, modifier, server, line):
    return line.replace(" | ", "\\n")
"""

_numbers = count(1)


def canary() -> str:
    """Return a text that was never said before."""
    return f"canary no. {next(_numbers)} sings"


def ended(pid: int) -> bool:
    """Whether a process does not run any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngircd]:
    with Ngircd(tmp_path_factory.mktemp("faults") / "ngircd") as server:
        yield server


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, server: Ngircd) -> Iterator[list[WeeChat]]:
    """Alice's script can be broken; she and bob are in an encrypted conversation."""
    folder = tmp_path_factory.mktemp("breakable")
    source, end, nothing = SCRIPT.read_text().rpartition("\n\nbegin()\n")
    assert end
    assert not nothing
    assert source.count(CALL) == 1
    (folder / SCRIPT.name).write_text(source.replace(CALL, CALL_BROKEN) + BREAK)
    with ExitStack() as running:
        (alice,) = start(running, folder, server.port, "alice", script=folder / SCRIPT.name)
        (bob,) = start(running, folder, server.port, "bob")
        talk(alice, bob, "hello")
        secure(alice, bob)
        yield [alice, bob]


def types(line: str, buffer: str = private("bob")) -> Callable[[WeeChat, WeeChat, str], None]:
    return lambda alice, bob, text: alice.type(line.replace("TEXT", text), buffer)


def completes(alice: WeeChat, bob: WeeChat, text: str) -> None:
    assert alice.completions("/otr st", private("bob"), most=2) == []


def hears(alice: WeeChat, bob: WeeChat, text: str) -> None:
    bob.say("alice", text)


def shows_the_bar(alice: WeeChat, bob: WeeChat, text: str) -> None:
    wait_bar(alice, "bob", "")


def shows_the_input(alice: WeeChat, bob: WeeChat, text: str) -> None:
    alice.show(CORE)
    alice.show(private("bob"))


def sets_a_policy(alice: WeeChat, bob: WeeChat, text: str) -> None:
    for word in ("manual", "never"):
        alice.type(f"/set otrcore.policy.test.somebody {word}", CORE)


# What makes WeeChat call each hook, and what the user is told has not been done.
HOOKS: dict[str, tuple[Callable[[WeeChat, WeeChat, str], None], str]] = {
    "outgoing": (types("TEXT"), "sent"),
    "by_a_channel": (types("/quote CPRIVMSG bob #room :TEXT"), "sent"),
    "incoming": (hears, "shown"),
    "commanded": (types("/otr status"), "done"),
    "completed": (completes, "done"),
    "entered": (types("TEXT"), "done"),
    "remembered": (types("TEXT"), "remembered"),
    "printed": (types("TEXT"), "shown with its tags"),
    "bar_item": (shows_the_bar, "shown"),
    "input_hidden": (shows_the_input, "shown"),
    "input_marked": (shows_the_input, "shown"),
    "policy_made": (types("/set otrcore.policy.test.anybody never"), "done"),
    "policy_changed": (sets_a_policy, "done"),
    "redraw": (types("/set otrcore.look.separator ,"), "done"),
    "on_time": (types("TEXT"), "done"),
    "welcomed": (types("/motd"), "done"),
    "heard": (types("/whois nobody"), "done"),
    "opened": (types("/query somebody"), "done"),
    "closing": (types("/close", private("somebody")), "done"),
    "disconnecting": (types("/disconnect nowhere"), "done"),
    "leaving": (lambda alice, bob, text: alice.upgrade(), "done"),
    "unloaded": (lambda alice, bob, text: alice.reload(NAME), "done"),
}
# Whose None would let a text go, or be shown, as it is.
JUDGES = ["outgoing", "by_a_channel", "incoming", "remembered", "printed", "bar_item"]


@pytest.mark.parametrize(
    ("hook", "way"), [*((hook, "raises") for hook in HOOKS), *((hook, "returns None") for hook in JUDGES)]
)
def test_an_error_in_a_hook(people: list[WeeChat], hook: str, way: str) -> None:
    alice, bob = people
    text = canary()
    cause, verb = HOOKS[hook]
    name = "RuntimeError" if way == "raises" else "TypeError"
    sentence = f"Not {verb}, because of an error inside OTR ({name}): please report it."
    before = alice.printed()
    if hook == "closing":
        alice.open_query("somebody")
    alice.command(f"/break {hook} {way}")
    cause(alice, bob, text)
    if hook not in {"leaving", "unloaded"}:  # which load the script anew
        told_once = way == "returns None" and hook in {"printed", "bar_item"}
        if not told_once:
            alice.wait(lambda: sentence in [line.text for line in alice.printed()[len(before) :]], sentence)
        alice.command("/break")
    assert not readable(people, text)
    assert not alice.files_with(text)
    if hook in {"outgoing", "incoming"}:
        assert not [line for line in alice.printed() if text in line.text and "self_msg" not in line.tags]
    talk(alice, bob, canary())
    talk(bob, alice, canary())
    if hook == "outgoing":
        assert not [line for line in bob.printed() if text in line.text]


def test_an_error_while_a_secret_is_typed(people: list[WeeChat]) -> None:
    alice, bob = people
    text = canary()
    alice.say("bob", "/otr smp ask")
    alice.command("/break is_command")
    alice.type(text, private("bob"))
    alice.wait_printed("Not sent, because of an error inside OTR (RuntimeError)")
    alice.command("/break")
    alice.type("/otr smp abort", private("bob"))
    wait_note(alice, "bob", "bob was asked nothing")
    assert text not in alice.history() + alice.history(private("bob"))
    talk(alice, bob, canary())
    assert not [line for client in people for line in client.printed() if text in line.text]


def test_an_error_at_the_end_of_a_connection(people: list[WeeChat]) -> None:
    alice, bob = people
    text, times = canary(), alice.welcomes()
    alice.command("/break disconnected raises")
    alice.type("/disconnect", status())
    alice.wait_printed("Not done, because of an error inside OTR (RuntimeError)", status())
    alice.command("/break")
    alice.type("/connect test", status())
    alice.wait_connected(times=times + 1)
    bob.say("alice", text)
    wait_note(bob, "alice", f"your text: {text}")
    secured = len(notes(alice, "bob", "Secured"))
    alice.say("bob", "/otr start")
    wait_note(alice, "bob", "Secured", secured + 1)
    talk(alice, bob, canary())
    assert not readable(people, text)


@pytest.mark.parametrize("broken", [False, True])
def test_the_engine_is_killed(people: list[WeeChat], broken: bool) -> None:
    alice, bob = people
    # Bob's would begin anew by itself, which is not what this is about.
    bob.say("alice", "/otr policy manual")
    text, engine = canary(), engine_of(alice)
    if broken:
        alice.command("/break on_readable raises")
    os.kill(engine, signal.SIGKILL)
    if broken:
        alice.wait_printed("Not done, because of an error inside OTR (RuntimeError)")
    alice.say("bob", text)
    # Whether the new engine has been greeted by then, or not yet: the words differ.
    wait_note(alice, "bob", f"  your text: {text}")
    alice.wait(lambda: alice.variables(private("bob"))["otr_encrypted"] == "false", "the end in the buffer")
    alice.command("/break")
    wait_bar(alice, "bob", "OTR: ended there")
    assert engine_of(alice) != engine, "another one was started at once"
    # What is encrypted for the old one is not shown, and said to be lost.
    lost = "bob sent an encrypted message, but there is no encrypted conversation here."
    before = len(notes(alice, "bob", lost))
    bob.say("alice", text)
    wait_note(alice, "bob", lost, before + 1)
    alice.say("bob", text)
    alice.wait(lambda: len(notes(alice, "bob", f"your text: {text}")) == 2, "the text, given back again")
    assert len([line for line in alice.printed() if "because of an error inside OTR" in line.text]) < 200
    assert not readable(people, text)
    before = len(notes(alice, "bob", "Secured"))
    alice.say("bob", "/otr start")
    wait_note(alice, "bob", "Secured", before + 1)
    talk(alice, bob, text)
    talk(bob, alice, text)
    assert not readable(people, text)
    bob.say("alice", "/otr policy default")


def test_the_engine_hangs(people: list[WeeChat]) -> None:
    alice, bob = people
    text, engine = canary(), engine_of(alice)
    os.kill(engine, signal.SIGSTOP)
    try:
        for number in range(3):
            begin = time.monotonic()
            alice.say("bob", f"{text} {number}")
            wait_note(alice, "bob", f"your text: {text} {number}")
            # Two seconds are waited once, then it is known that nobody is there.
            assert (1.5 if number == 0 else 0) < time.monotonic() - begin < (4 if number == 0 else 1)
        assert notes(alice, "bob")[-2].startswith("Not sent to bob")
        assert not alice.files_with(text)
    finally:
        os.kill(engine, signal.SIGCONT)
    alice.wait(lambda: said(alice, bob, canary()), "the engine to come back", 10)
    assert not [line for line in bob.printed() if text in line.text]
    assert not readable(people, text)
    assert engine_of(alice) == engine


def said(alice: WeeChat, bob: WeeChat, text: str) -> bool:
    """Type a text; tell whether it was read by the other, and not given back."""
    alice.say(bob.nick, text)
    alice.wait(lambda: [line for line in alice.printed(private(bob.nick)) if text in line.text], "the text")
    if notes(alice, bob.nick, text):
        return False
    bob.wait_received(alice.nick, text)
    return True


def test_the_engine_ends_with_its_client(tmp_path: Path, server: Ngircd) -> None:
    with ExitStack() as running:
        carol, dave = start(running, tmp_path, server.port, "carol", "dave")
        engines = engine_of(carol), engine_of(dave)
        assert len(set(engines)) == 2
        carol.kill()
        wait_for(lambda: ended(engines[0]), "the engine to end", 3)
        dave.quit()
        wait_for(lambda: ended(engines[1]), "the engine to end", 3)


def test_restart(people: list[WeeChat]) -> None:
    alice, bob = people
    text, engine = canary(), engine_of(alice)
    over = len(notes(bob, "alice", "has ended the encrypted conversation"))
    alice.type("/otr restart", private("bob"))
    wait_note(bob, "alice", "has ended the encrypted conversation", over + 1)
    alice.wait(lambda: engine_of(alice) != engine, "another engine")
    alice.say("bob", text)
    wait_note(alice, "bob", f"your text: {text}")
    assert not readable(people, text)
    before = len(notes(alice, "bob", "Secured"))
    alice.say("bob", "/otr start")
    wait_note(alice, "bob", "Secured", before + 1)
    talk(alice, bob, text)


def test_without_an_engine(tmp_path: Path, server: Ngircd) -> None:
    with ExitStack() as running:
        erin = running.enter_context(
            WeeChat(
                "erin",
                tmp_path / "erin",
                server.port,
                scripts=[SCRIPT],
                changes=RUNTIME | {"OTR_CLIENT_PYTHON": str(tmp_path / "no such python")},
            )
        )
        erin.wait_printed("OTR's engine cannot be started", CORE)
        erin.say("fred", "is it you?")
        wait_note(erin, "fred", "Not sent to fred: whether it should be encrypted is not known.")
        assert not readable([erin], "is it you?")
        time.sleep(PASTE_SECONDS)
        erin.say("fred", "is it you?")
        erin.wait(lambda: readable([erin], "PRIVMSG fred :is it you?"), "the text, said once more")
        erin.type("/otr status", private("fred"))
        wait_note(erin, "fred", "That was not done.")


def test_lines_that_may_not_go_to_the_same_people(tmp_path: Path, server: Ngircd) -> None:
    """What WeeChat sends of a text has one list of targets: one line's must not become another's."""
    script = tmp_path / SCRIPT.name
    script.write_text(SCRIPT.read_text() + BETWEEN)
    with ExitStack() as running:
        (alice,) = start(running, tmp_path, server.port, "hannah", script=script)
        alice.load("several_lines", LINES)
        first, second = canary(), canary()
        alice.command(f"/quote PRIVMSG fred,gina :{first}, and now | {second}", status())
        alice.wait_printed(f"your text: {first}, and now", status())
        alice.wait_printed(f"your text: {second}", status())
        told = [line.text for line in alice.printed(status(), "otr") if "Not sent" in line.text]
        assert [line.partition(", as ")[0] for line in told] == ["Not sent to fred, gina", "Not sent to fred"]
        alice.command("/quote PING :done", status())
        alice.wait(lambda: "PING :done" in alice.wire.sent(), "the end")
        assert not readable([alice], first)
        assert not readable([alice], second)
        assert not alice.files_with(first)
        assert not alice.files_with(second)


def test_logs_though_nothing_is_known_of_the_conversation(tmp_path: Path, server: Ngircd) -> None:
    """Each text stays out of the log by itself, if it was encrypted."""
    source = SCRIPT.read_text()
    assert source.endswith("\n\nbegin()\n")
    script = tmp_path / SCRIPT.name
    script.write_text(source.replace("\n\nbegin()\n", "\n\nscreen.status = lambda *args: None\nbegin()\n"))
    with ExitStack() as running:
        (carol,) = start(running, tmp_path, server.port, "carol", script=script)
        (dave,) = start(running, tmp_path, server.port, "dave")
        talk(dave, carol, "in the clear")
        secure(carol, dave)
        assert carol.variables(private("dave"))["otr_encrypted"] == "false"
        text = canary()
        talk(carol, dave, text)
        talk(dave, carol, text)
        carol.wait(lambda: carol.sent("dave") == [text], "what was sent")
        assert not carol.files_with(text)
        assert "in the clear" in carol.log(private("dave"))


def test_without_otrcore(tmp_path: Path, server: Ngircd) -> None:
    with WeeChat(
        "grace",
        tmp_path / "grace",
        server.port,
        scripts=[SCRIPT],
        changes=RUNTIME | {"OTR_CLIENT_PACKAGES": str(tmp_path)},
    ) as grace:
        grace.wait_printed(
            "There is no OTR, as otrcore is not found: run `otr install weechat` in a terminal."
        )
        assert NAME not in grace.scripts()
