"""Whatever goes wrong in the addon or its engine: nothing leaves readable, and the user is told."""

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
from tests.clients.drivers.hexchat import HexChat, Line, private, status
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.hexchat_support import (
    NAME,
    SCRIPT,
    notes,
    readable,
    runtime,
    secure,
    start,
    talk,
    talk_both_ways,
    wait_note,
)
from tests.clients.weechat_support import engine_of

Act = Callable[[HexChat, HexChat, str], None]

# The hook of a name, and the place in which it has the function that it calls.
HOOK = "next(hook for _, _, hook, _ in hooks if hook.__name__ == {!r})"
CELL = "(lambda hook: hook.__closure__[hook.__code__.co_freevars.index('function')])(" + HOOK + ")"
RAISES = "lambda *given: [][1]"

MENU = "OTR"

_numbers = count(1)


def canary() -> str:
    """Return a text that was never said before."""
    return f"canary no. {next(_numbers)} sings"


def set_hook(client: HexChat, name: str, function: str) -> None:
    """Have a hook call something else."""
    client.evaluate(f"setattr({CELL.format(name)}, 'cell_contents', {function})", addon=NAME)


def mend_hook(client: HexChat, name: str) -> None:
    """Have a hook call again what it should."""
    set_hook(client, name, f"{HOOK.format(name)}.__wrapped__")


def shown(client: HexChat, text: str, *events: str) -> list[Line]:
    """Return the lines that have a text."""
    return [line for line in client.printed(None, *events) if text in line.text]


def menus(client: HexChat) -> int:
    """Return how many menus of ours there are."""
    return sum(window.labels.count(MENU) for window in client.windows())


def secure_again(alice: HexChat, bob: HexChat) -> None:
    """Have a conversation again that is over, and use it."""
    before = [len(notes(*both, " is encrypted (OTR version")) for both in ((alice, "bob"), (bob, "alice"))]
    alice.say("bob", "/otr start")
    wait_note(alice, "bob", " is encrypted (OTR version", before[0] + 1)
    wait_note(bob, "alice", " is encrypted (OTR version", before[1] + 1)
    talk_both_ways(alice, bob, canary())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngircd]:
    with Ngircd(tmp_path_factory.mktemp("faults") / "ngircd") as server:
        yield server


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, server: Ngircd) -> Iterator[list[HexChat]]:
    """Alice and bob are in an encrypted conversation."""
    with ExitStack() as running:
        alice, bob = start(running, tmp_path_factory.mktemp("people"), server.port, "alice", "bob")
        secure(alice, bob)
        yield [alice, bob]
        assert [alice.errors(), bob.errors()] == [[], []]


def does(line: str, where: str = "bob") -> Act:
    return lambda alice, bob, text: alice.command(
        line.replace("TEXT", text), private(where) if where else status()
    )


def hears(alice: HexChat, bob: HexChat, text: str) -> None:
    bob.command(text, private("alice"))


def loses_the_connection(alice: HexChat, bob: HexChat, text: str) -> None:
    alice.evaluate("hexchat.emit_print('Disconnected', 'as a test')", status())


# What makes HexChat call each hook, and what the user is told has not been done.
HOOKS: dict[str, tuple[Act, str]] = {
    "typed": (does("TEXT"), "sent"),
    "me": (does("/me TEXT"), "sent"),
    "to_somebody": (does("/msg bob TEXT", ""), "sent"),
    "as_raw": (does("/quote PRIVMSG bob :TEXT", ""), "sent"),
    "from_a_file": (does("/load -e nothing", ""), "done"),
    "incoming": (hears, "shown"),
    "signed": (hears, "done"),
    "commanded": (does("/otr status"), "done"),
    "from_a_dialog": (does("/otr_client compared x 0"), "done"),
    "numeric": (does("/whois nobody", ""), "done"),
    "renamed": (does("/recv :a!b@c NICK :d", ""), "done"),
    "gone": (does("/recv :a!b@c QUIT :bye", ""), "done"),
    "masked": (does("/recv :a!b@c JOIN #nowhere", ""), "done"),
    "disconnected": (loses_the_connection, "done"),
    "opened": (does("/query -nofocus somebody", ""), "done"),
    "closed": (does("/close", "somebody"), "done"),
    "leaving": (does("/server", ""), "done"),
    "about_to_unload": (does("/unload nothing.so", ""), "done"),
}


def test_all_hooks_are_tested(people: list[HexChat]) -> None:
    hooks = set(people[0].evaluate("[hook.__name__ for _, _, hook, _ in hooks]", addon=NAME))
    assert hooks == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_in_a_hook(people: list[HexChat], hook: str) -> None:
    alice, bob = people
    text, (cause, verb) = canary(), HOOKS[hook]
    before = len(alice.printed())
    sentence = f"Not {verb}, because of an error inside OTR (IndexError): please report it."
    if hook == "closed":
        alice.open_query("somebody")
    set_hook(alice, hook, RAISES)
    cause(alice, bob, text)
    alice.wait(lambda: sentence in [line.text for line in alice.printed()[before:]], sentence)
    mend_hook(alice, hook)
    talk_both_ways(alice, bob, canary())
    told = [line.text for line in alice.printed()[before:] if text in line.text]
    if verb == "sent":
        assert told
        assert all(line.startswith("  your text: ") for line in told)
        assert not shown(bob, text)
    elif hook == "signed":
        assert told == [text]
    else:
        assert not told
    assert not readable(people, text)
    assert not alice.files_with(text)
    assert not [line for line in alice.printed()[before:] if "?OTR" in line.text]


@pytest.mark.parametrize("hook", ["typed", "me", "to_somebody", "as_raw", "incoming"])
def test_an_error_that_cannot_be_told(people: list[HexChat], hook: str) -> None:
    alice, bob = people
    text = canary()
    alice.evaluate("setattr(hexchat, 'prnt_', hexchat.prnt)")
    alice.evaluate(f"setattr(hexchat, 'prnt', {RAISES})")
    set_hook(alice, hook, RAISES)
    HOOKS[hook][0](alice, bob, text)
    bob.command("/notice alice that was all", status())
    mend_hook(alice, hook)
    alice.evaluate("setattr(hexchat, 'prnt', hexchat.prnt_)")
    talk_both_ways(alice, bob, canary())
    assert not readable(people, text)
    assert not shown(bob if hook != "incoming" else alice, text)


def test_an_error_of_what_the_hooks_call(people: list[HexChat]) -> None:
    """Wherever it comes from."""
    alice, bob = people
    for broken in ("screen.tabs, 'here'", "screen.chat, 'outgoing'", "screen, 'send'", "screen, 'own'"):
        text = canary()
        owner, name = broken.split(", ")
        alice.evaluate(f"setattr({broken}, {RAISES})", addon=NAME)
        for line in ("TEXT", "/me TEXT", "/msg bob TEXT", "/quote PRIVMSG bob :TEXT"):
            alice.command(line.replace("TEXT", text), private("bob"))
        alice.evaluate(f"delattr({owner}, {name})", addon=NAME)
        assert not readable(people, text)
        assert shown(alice, text) or "own" in broken
    talk_both_ways(alice, bob, canary())


def test_an_error_of_the_timer(people: list[HexChat]) -> None:
    alice, bob = people
    for prnt in ("hexchat.prnt", RAISES):
        alice.evaluate("setattr(hexchat, 'prnt_', hexchat.prnt)")
        alice.evaluate(f"setattr(hexchat, 'prnt', {prnt})")
        alice.evaluate("last_told.pop('tick', '')", addon=NAME)
        alice.evaluate("setattr(screen, 'ticks', [])", addon=NAME)
        alice.evaluate("setattr(screen, 'tick', lambda: screen.ticks.append(1) or [][1])", addon=NAME)
        alice.wait(lambda: alice.evaluate("len(screen.ticks)", addon=NAME) > 2, "ticks that go on")
        alice.evaluate("delattr(screen, 'tick')", addon=NAME)
        alice.evaluate("setattr(hexchat, 'prnt', hexchat.prnt_)")
    told = [line for line in alice.printed() if "An error inside OTR (IndexError)" in line.text]
    assert len(told) == 1
    talk_both_ways(alice, bob, canary())


def test_the_engine_is_killed(people: list[HexChat]) -> None:
    alice, bob = people
    # Bob's would begin anew by itself, which is not what this is about.
    bob.say("alice", "/otr policy manual")
    text, engine = canary(), engine_of(alice)
    os.kill(engine, signal.SIGKILL)
    alice.say("bob", text)
    wait_note(alice, "bob", text)
    assert notes(alice, "bob")[-2].startswith("Not sent to bob: the encrypted conversation")
    assert alice.wait(lambda: engine_of(alice) != engine, "another engine")
    # What is encrypted for the old one is not shown, and said to be lost.
    bob.say("alice", text)
    wait_note(alice, "bob", "bob sent an encrypted message, but there is no encrypted conversation here.")
    for number, line in enumerate(["TEXT", "/me TEXT", "/msg bob TEXT", "/quote PRIVMSG bob :TEXT"], 2):
        alice.command(line.replace("TEXT", text), private("bob"))
        wait_note(alice, "bob", text, number)
    assert not shown(alice, text, "Your Message", "Your Action", "Private Message to Dialog")
    assert not readable(people, text)
    assert not alice.files_with(text)
    secure_again(alice, bob)
    bob.say("alice", "/otr policy default")


def test_the_engine_hangs(people: list[HexChat]) -> None:
    alice, bob = people
    text, engine = canary(), engine_of(alice)
    os.kill(engine, signal.SIGSTOP)
    try:
        for number in range(3):
            begin = time.monotonic()
            alice.command(f"{text} {number}", private("bob"))
            # Two seconds are waited once, then it is known that nobody is there.
            assert (1.5 if number == 0 else 0) < time.monotonic() - begin < (4 if number == 0 else 1)
            wait_note(alice, "bob", f"your text: {text} {number}")
        assert notes(alice, "bob")[-2].startswith("Not sent to bob")
        assert not alice.files_with(text)
    finally:
        os.kill(engine, signal.SIGCONT)
    alice.wait(lambda: said(alice, bob, canary()), "the engine to come back", 10)
    assert not shown(bob, text)
    assert not readable(people, text)
    assert engine_of(alice) == engine


def said(alice: HexChat, bob: HexChat, text: str) -> bool:
    """Type a text; tell whether it was read by the other, and not given back."""
    alice.command(text, private(bob.nick))
    alice.wait(lambda: shown(alice, text), "the text")
    if notes(alice, bob.nick, text):
        return False
    bob.wait(lambda: shown(bob, text), "the text")
    return True


def lines_of_help(client: HexChat) -> int:
    """Ask for help; return how many lines have come."""
    before = len(notes(client, "bob"))
    client.command("/otr help", private("bob"))
    return len(notes(client, "bob")) - before


def messages(lines: list[str]) -> set[str]:
    """Return what tells OTR messages apart: the first words of a whole one, or what its fragments share."""
    said = [line.partition(":?OTR")[2] for line in lines if "?OTR" in line]
    return {text.split(",")[0] for text in said}


def test_reload(people: list[HexChat]) -> None:
    alice, bob = people
    engine = engine_of(alice)
    help_before = lines_of_help(alice)
    by_name = f"/py reload {NAME}"
    for number, command in enumerate([by_name, by_name, by_name, f"/reload {NAME}.py"]):
        if number == 1:
            set_hook(alice, "typed", RAISES)
            alice.command("lost", private("bob"))
        before = len(alice.wire.sent())
        alice.command(command, status())
        text = canary()
        talk_both_ways(alice, bob, text)
        assert len(shown(alice, text)) == len(shown(bob, text)) == 2
        assert not readable(people, text)
        assert not alice.files_with(text)
        assert len(messages(alice.wire.sent()[before:])) == 1
        assert engine_of(alice) == engine
        assert menus(alice) == 1
        assert list(alice.addons()) == [NAME]
        assert lines_of_help(alice) == help_before > 0
    assert alice.tabs()[private("bob")].label != "bob"


def test_unload_and_load_again(people: list[HexChat]) -> None:
    alice, bob = people
    flags = alice.tabs()[private("bob")].flags
    for unload, load in (
        (f"/py unload {NAME}", f"/py load {NAME}.py"),
        (f"/unload {NAME}.py", f"/load {alice.data}/addons/{NAME}.py"),
    ):
        before = len(notes(alice, "bob", "OTR is being unloaded"))
        told = len(shown(alice, "OTR is being unloaded"))
        alice.command(unload, private("bob"))
        alice.wait(lambda: len(shown(alice, "OTR is being unloaded")) > told, "what it means")  # noqa: B023
        assert len(notes(alice, "bob", "OTR is being unloaded")) <= before + 1
        assert menus(alice) == 0
        assert not alice.addons()
        tab = alice.tabs()[private("bob")]
        assert tab.label == "bob"
        assert tab.flags != flags
        plain = canary()
        alice.command(f"/msg bob {plain}", status())
        bob.wait(lambda: shown(bob, plain), "what is not encrypted any more")  # noqa: B023
        assert readable([alice], plain)
        alice.command(load, status())
        alice.wait(alice.addons, "the addon")
        text = canary()
        talk_both_ways(alice, bob, text)
        assert not readable(people, text)
        assert not alice.files_with(text)
        assert menus(alice) == 1
        assert alice.tabs()[private("bob")].flags == flags


HOSTILE = [
    ":bob!b@h PRIVMSG alice",
    ":bob!b@h PRIVMSG alice :",
    ":bob!b@h PRIVMSG",
    ":bob!b@h PRIVMSG  alice   :two blanks",
    ":bob!b@h PRIVMSG :alice",
    ":bob PRIVMSG alice :no host",
    ":!@ PRIVMSG alice :no nick",
    ": PRIVMSG alice :no sender",
    "PRIVMSG alice :no prefix",
    "@time=x :bob!b@h PRIVMSG alice :?OTRv3?",
    "@time=99999-01-01T00:00:00.000Z :bob!b@h PRIVMSG alice :?OTR:AAMD.",
    ":irc.loopback.test NOTICE alice :?OTRv3?",
    ":irc.loopback.test NOTICE * :*** looking up",
    "NOTICE alice :?OTR Error: no",
    "NOTICE :x",
    ":irc.loopback.test NOTICE",
    ":bob!b@h NOTICE alice :?OTR:AAMD.",
    ":bob!b@h NOTICE alice :\x01PING\x01",
    ":bob!b@h PRIVMSG alice :\x01",
    ":bob!b@h PRIVMSG alice :\x01\x01",
    ":bob!b@h PRIVMSG alice :\x01ACTION\x01",
    ":bob!b@h PRIVMSG alice :\x01ACTION ?OTRv3?\x01",
    ":bob!b@h PRIVMSG #room :?OTR:AAMD.",
    ":bob!b@h PRIVMSG @#room :?OTRv3?",
    ":bob!b@h PRIVMSG $* :?OTRv3?",
    ":alice!a@h PRIVMSG bob :?OTR:AAMD.",
    ":alice!a@h PRIVMSG alice :?OTRv3?",
    ":somebody!b@h QUIT",
    ":somebody!b@h NICK",
    ":somebody!b@h NICK :",
    "NICK x",
    ":somebody!b@h JOIN",
    "JOIN",
    ":alice!a@h CHGHOST",
    ":alice!a@h CHGHOST a",
    ":alice JOIN #nowhere",
    ":irc.loopback.test 401",
    ":irc.loopback.test 401 alice",
    ":irc.loopback.test 401 alice somebody",
    ":irc.loopback.test 396",
    ":irc.loopback.test 396 alice",
    ":irc.loopback.test 396 alice :",
    ":irc.loopback.test 351",
    ":irc.loopback.test 005 alice",
    ":irc.loopback.test 005 alice CASEMAPPING= = NETWORK :x",
    ":irc.loopback.test 005 " + "x " * 40,
    "?OTRv3?",
]
GARBAGE = [
    "?OTR",
    "?OTR?",
    "?OTR:",
    "?OTR:.",
    "?OTR:AAMD.",
    "?OTR:AAMDEawjm7pFqj4AAAAAAQAAAAEAAADAKq9T.",
    "?OTR,1,2,?OTR:x,",
    "?OTR,2,1,x,",
    "?OTR|1|2,1,65535,x,",
    "?OTR|zz|2,00001,00002,x,",
    "?OTR Error: <b>&amp;\x03",
    "?OTRv",
    "?OTRv3?" * 60,
]


def test_odd_lines(people: list[HexChat]) -> None:
    alice, bob = people
    before = len(alice.printed())
    lines = HOSTILE + [
        f":mallory!m@h {word} alice :{text}" for text in GARBAGE for word in ("PRIVMSG", "NOTICE")
    ]
    alice.evaluate(f"[hexchat.command('RECV ' + line) for line in {lines!r}]", status())
    talk(bob, alice, canary())
    talk(alice, bob, canary())
    assert alice.errors() == []
    told = [line.text for line in alice.printed()[before:]]
    assert not [line for line in told if "error inside OTR" in line]


def test_a_flood(people: list[HexChat]) -> None:
    alice, bob = people
    lines = [f":mallory{number % 20}!m@h PRIVMSG alice :{GARBAGE[number % 12]}" for number in range(1000)]
    begin = time.monotonic()
    for at in range(0, len(lines), 100):
        alice.evaluate(
            f"[hexchat.command('RECV ' + line) for line in {lines[at : at + 100]!r}] and 0", status()
        )
    assert time.monotonic() - begin < 30
    talk_both_ways(alice, bob, canary())
    events = {line.event for line in alice.printed() if line.where.name.startswith("mallory")}
    assert "" in events
    assert not [event for event in events if "Private" in event]
    assert alice.errors() == []


def test_without_an_engine(tmp_path: Path, server: Ngircd) -> None:
    changes = runtime() | {"OTR_CLIENT_PYTHON": str(tmp_path / "no such python")}
    with HexChat("erin", tmp_path / "erin", server.port, addons=[SCRIPT], changes=changes) as erin:
        erin.wait_printed("OTR's engine cannot be started")
        erin.say("fred", "is it you?")
        wait_note(erin, "fred", "Not sent to fred: whether it should be encrypted is not known.")
        assert not readable([erin], "is it you?")
        time.sleep(PASTE_SECONDS)
        erin.say("fred", "is it you?")
        erin.wait(lambda: readable([erin], "PRIVMSG fred :is it you?"), "the text, said once more")
        erin.say("fred", "/otr status")
        wait_note(erin, "fred", "That was not done.")
        assert erin.errors() == []


def test_without_otrcore(tmp_path: Path, server: Ngircd) -> None:
    changes = runtime() | {"OTR_CLIENT_PACKAGES": str(tmp_path)}
    with HexChat("grace", tmp_path / "grace", server.port, addons=[SCRIPT], changes=changes) as grace:
        told = "There is no OTR, as otrcore is not found: run `otr install hexchat` in a terminal."
        grace.wait_printed(told)
        assert NAME not in grace.addons()
        grace.say("fred", "hello")
        grace.wait(lambda: "PRIVMSG fred :hello" in grace.wire.sent(), "what is plain")
        assert grace.sent("fred") == ["hello"]
