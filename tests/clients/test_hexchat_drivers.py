"""HexChat's driver by itself: plain talk over a real server, and what a test must be able to see and do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.clients.drivers.desktop import UNPRIVILEGED
from tests.clients.drivers.hexchat import HexChat, Line, Where, private, status
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.waiting import wait_for
from tests.clients.hexchat_support import runtime
from tests.support import require

# As long as the server allows, and in mixed case.
ALICE = "Alice-" + "a" * 24
BOB = "bob"
MARK = "OTR_TEST_MARK"

TEXTS = [
    "Grüße, 你好, 👋🏽",
    "  two  blanks  inside",
    "%B $nick; \\n \"quoted\" 'so' true 7",
    "//looks like a command",
]

SPEAKS = """\
import hexchat

__module_name__ = "speaks"
__module_version__ = "2.5"
__module_description__ = "speaks up"

kept = ["something"]


def fault(words, from_there, data):
    raise ValueError("on purpose")


hexchat.hook_command("fault", fault)
hexchat.prnt("LEFT\\t\\x0304right\\x0f side")
print("printed")
"""


class Pair:
    """Two HexChats on one server."""

    def __init__(self, alice: HexChat, bob: HexChat, port: int) -> None:
        self.alice, self.bob, self.port = alice, bob, port


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("hexchats")
    with ExitStack() as running:
        port = running.enter_context(Ngircd(folder / "ngircd")).port
        with ThreadPoolExecutor(2) as pool:
            alice, bob = pool.map(lambda nick: HexChat(nick, folder / nick, port), [ALICE, BOB])
        running.enter_context(alice)
        running.enter_context(bob)
        yield Pair(alice, bob, port)


def processes_marked(mark: str) -> list[int]:
    """Return the processes that were started with a mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # One may end meanwhile, and what others run cannot be seen.
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in path.read_bytes().split(b"\0") and path.parent.name != "self":
                found.append(int(path.parent.name))
    return found


def test_two_hexchats_talk(pair: Pair) -> None:
    alice, bob = pair.alice, pair.bob
    assert list(alice.tabs()) == [status()]
    for text in TEXTS:
        alice.say(BOB, text)
        bob.say(ALICE, text)
    said = [*TEXTS[:-1], "/looks like a command"]
    for one, other in ((alice, bob), (bob, alice)):
        one.wait_received(other.nick, said[-1])
        assert one.received(other.nick) == one.sent(other.nick) == said
        assert [line for line in one.wire.sent() if "PRIVMSG" in line] == [
            f"PRIVMSG {other.nick} :{text}" for text in said
        ]
    assert alice.tabs()[private(BOB)].type == 3
    assert alice.front() == private(BOB)

    alice.say(BOB, "/me dances")
    line = bob.wait_printed("dances", private(ALICE))
    assert (line.event, line.nick) == ("Private Action to Dialog", ALICE)
    assert alice.printed(private(BOB), "Your Action")[-1].text == "dances"
    assert alice.errors() == bob.errors() == []


def test_every_way_to_type(pair: Pair) -> None:
    alice, bob = pair.alice, pair.bob
    alice.open_query(BOB)
    alice.press_keys("Pressed, (key) by key!", private(BOB))
    alice.command("past the input box", private(BOB))
    alice.paste("first ü\nsecond\n", private(BOB))
    for text in ("Pressed, (key) by key!", "past the input box", "first ü", "second"):
        bob.wait_received(ALICE, text)
    alice.type("/query somebody", private(BOB))
    alice.wait(lambda: alice.front() == private("somebody"), "another tab")
    with pytest.raises(LookupError):
        alice.command("hello", private("nobody-there"))


def test_what_is_printed(pair: Pair) -> None:
    alice = pair.alice
    alice.open_query("printing")
    alice.show(private("printing"))
    alice.load("speaks", SPEAKS)
    assert alice.addons() == {"speaks": "2.5"}
    assert alice.evaluate("kept", addon="speaks") == ["something"]
    assert alice.printed(private("printing"), "") == [
        Line(private("printing"), "", "LEFT", "right side", ("LEFT\t\x0304right\x0f side",)),
        Line(private("printing"), "", "", "printed", ("printed",)),
    ]
    # What the probe tells is what can be seen.
    assert [line.strip() for line in alice.shown(private("printing")).splitlines()] == [
        "LEFT right side",
        "printed",
    ]
    alice.reload("speaks")
    assert alice.notices("printing") == ["right side", "printed"] * 2

    assert not alice.errors()
    alice.command("/fault", private("printing"))
    (error,) = alice.errors()
    assert "in fault" in error
    assert error.endswith("ValueError: on purpose")
    alice.unload("speaks")
    assert alice.addons() == {}


def test_tabs(pair: Pair) -> None:
    alice, there = pair.alice, private("elsewhere")
    alice.open_query("elsewhere")
    alice.show(status())
    colors = set()
    for number in range(4):
        alice.command(f"/gui color {number}", there)
        colors.add(alice.tabs()[there].color)
    assert len(colors) == 4
    assert "" in colors
    alice.command("/settab * label", there)
    tab = alice.tabs()[there]
    assert (tab.label, tab.name, tab.front) == ("* label", "elsewhere", False)
    assert alice.evaluate("hexchat.get_info('channel')", there) == "elsewhere"
    alice.command("/close", there)
    assert there not in alice.tabs()


def test_dialogs_and_menus(pair: Pair, tmp_path: Path) -> None:
    alice = pair.alice
    alice.open_query("asking")
    alice.show(private("asking"))
    alice.command('/getstr "before" "say answered" "What <b>now?"', private("asking"))
    dialog = alice.wait_dialog("What <b>now?")
    assert dialog.entries == ("before",)
    assert "Cancel" in dialog.labels
    alice.screenshot(tmp_path / "dialog.png")
    alice.fill_in('Grüße, "x"  y')
    alice.wait_printed('answered Grüße, "x"  y', private("asking"))

    alice.command('/getbool "say chosen" "A title" Really?', private("asking"))
    assert alice.wait_dialog("A title").labels[0] == "Really?"
    alice.press_button("No")
    alice.wait_printed("chosen 0", private("asking"))

    alice.command('/gui msgbox "A &lt;box&gt;"')
    alice.wait_dialog("A <box>")
    alice.press_button("OK")
    assert alice.dialogs() == []

    alice.command('/menu -p-1 add "T_EST"')
    alice.command('/menu add "TEST/_Speak" "say from the menu"')
    alice.show(private("asking"))
    alice.choose("TEST", "Speak")
    alice.wait_printed("from the menu", private("asking"))
    alice.command('/menu add "$TAB/Of the tab" "say from the tab"')
    alice.open_tab_menu(private("asking"))
    alice.choose("Of the tab")
    alice.wait_printed("from the tab", private("asking"))
    alice.command('/menu add "$NICK/Of somebody" "say from the menu of %s"')
    alice.command("/join #menus", status())
    alice.wait(lambda: private("#menus") in alice.tabs(), "the channel")
    alice.open_nick_menu(ALICE, private("#menus"))
    alice.choose("Of somebody")
    alice.wait_printed(f"from the menu of {ALICE}", private("#menus"))

    alice.screenshot(tmp_path / "window.png")
    pictures = [tmp_path / "dialog.png", tmp_path / "window.png"]
    identify = [require("identify"), "-format", "%w %h %k\n", *map(str, pictures)]
    told = subprocess.run(identify, check=True, capture_output=True, text=True).stdout.splitlines()
    sizes = [[int(number) for number in line.split()] for line in told]
    assert [size[:2] for size in sizes] == [[alice.desktop.width, alice.desktop.height]] * 2
    # Text on a window has its colours smoothed, an empty screen has one.
    assert min(colors for *_, colors in sizes) > 20
    assert pictures[0].read_bytes() != pictures[1].read_bytes()


def test_files(pair: Pair) -> None:
    alice = pair.alice
    alice.say("writing", "leaves a trace")
    alice.wait(lambda: alice.files_with("leaves a trace"), "the text in a file")
    assert {path.parent.parent.name for path in alice.files_with("leaves a trace")} <= {"scrollback", "logs"}
    assert alice.files_with("leaves no trace") == []


def test_throttle(pair: Pair) -> None:
    alice, bob = pair.alice, pair.bob
    assert alice.option("net_throttle") == 0
    begun = time.monotonic()
    for number in range(12):
        alice.command(f"/msg {BOB} {'quick ' * 60}{number}")
    bob.wait(lambda: [text for text in bob.received(ALICE) if text.endswith("quick 11")], "all lines")
    assert time.monotonic() - begun < 5

    alice.set_option("net_throttle", "1")
    for number in range(4):
        alice.command(f"/msg {BOB} {'slow ' * 70}{number}")
    assert alice.tabs()[status()].queue > 0
    alice.set_option("net_throttle", "0")
    bob.wait(lambda: [text for text in bob.received(ALICE) if text.endswith("slow 3")], "all lines")
    assert alice.tabs()[status()].queue == 0


def test_life(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, str(tmp_path))
    folder = tmp_path / "hexchat"
    with Ngircd(tmp_path / "ngircd") as second:
        carol = HexChat("carol", folder, pair.port, servers={"other": second.port}, channels=["#test"])
        with carol:
            here = Where("other", "#test")
            carol.wait(lambda: {private("#test"), here} <= set(carol.tabs()), "both channels")
            carol.command("hello", here)
            assert "PRIVMSG #test :hello" in carol.wires["other"].sent()
            assert "PRIVMSG #test :hello" not in carol.wire.sent()
            carol.quit()
            assert not carol.running()
            carol.start()
            assert carol.welcomes() == carol.welcomes("other") == 2
            carol.kill(signal.SIGTERM)
            with pytest.raises(RuntimeError, match="has ended"):
                carol.wait_printed("anything else")
            carol.start(connected=False)
            assert processes_marked(str(tmp_path))
    wait_for(lambda: not processes_marked(str(tmp_path)), lambda: f"{processes_marked(str(tmp_path))} to end")
    assert not folder.is_symlink()
    assert carol.files_with("PRIVMSG") == []
    assert (carol.data / "hexchat.conf").exists()


def test_a_start_that_fails_leaves_nothing(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.setenv("OTR_TEST_HEXCHAT", require("true"))
    with pytest.raises(RuntimeError, match="has ended"):
        HexChat("dave", tmp_path / "hexchat", pair.port)
    wait_for(lambda: not processes_marked(str(tmp_path)), lambda: f"{processes_marked(str(tmp_path))} to end")


def test_what_is_installed_runs_for_everybody() -> None:
    changes = runtime()
    assert runtime() is changes
    python, packages = changes["OTR_CLIENT_PYTHON"], Path(changes["OTR_CLIENT_PACKAGES"])
    program = "import otrcore.engine, otrcore.cli.main, otrbot; print(otrcore.__file__)"
    done = subprocess.run(
        [python, "-I", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.defpath},
        **UNPRIVILEGED,
    )
    assert (done.stderr, done.stdout) == ("", f"{packages / 'otrcore/__init__.py'}\n")
    assert (packages / "otrcore/scripts/hexchat/otr_client.py").exists()
