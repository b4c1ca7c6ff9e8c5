"""A real HexChat on a screen of its own, typed into like a user would and read by an addon inside it.

What was learnt about it, and is taken care of here:
- Run by root it asks a question and hangs, so then it is run by `nobody` (see `desktop`).
- Its Python loads addons in the order in which the file system lists them, and the probe has to come
  before all others: it is given a name that is listed first.
- It would load every plugin that is installed: it is shown a folder with those that a test names.
- It holds back lines to spare servers (`net_throttle`), which is lifted.
- `/quit` only disconnects; Ctrl+Q, or closing the window, ends it, which takes two seconds: so long it
  sleeps for the sake of the last line that it sent.
- What comes over the bus is done when the call returns; a key that is pressed is not.
- The tab of a server is called by the network's own name as soon as that is known; here it has none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tests.clients.drivers.desktop import Desktop, give, handed_over
from tests.clients.drivers.probed import SERVER, SHOWN, WELCOMED, ProbedClient
from tests.clients.drivers.programs import surroundings
from tests.clients.drivers.proxy import RecordingProxy
from tests.support import require

_PROBE = Path(__file__).with_name("hexchat_probe.py")

_SERVICE = ("org.hexchat.service", "/org/hexchat/Remote")
_INTERFACE = "org.hexchat.plugin"

_START_SECONDS = 40.0

# mIRC's codes, and HexChat's own for hidden text.
_CODES = re.compile(
    r"\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[0-9a-fA-F]{6})?|[\x02\x07\x08\x0f\x11\x16\x1d\x1e\x1f]"
)

_TRACEBACK = "Traceback (most recent call last)"
_FAULTS = (_TRACEBACK, "Failed to load module", "CRITICAL **", "Failed to set text")

# Settings of whoever runs the tests that would reach HexChat, or the Python inside it.
_NOT_PASSED_ON = (
    "DBUS_SESSION_BUS_ADDRESS",
    "GTK_MODULES",
    "PYTHONHOME",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
)

_BASICS = {
    "gui_join_dialog": "0",
    "gui_quit_dialog": "0",
    "gui_slist_skip": "1",
    "gui_tray": "0",
    "gui_win_height": "600",
    "gui_win_left": "0",
    "gui_win_save": "0",
    "gui_win_top": "0",
    "gui_win_width": "1000",
    "identd_server": "0",
    "irc_skip_motd": "1",
    "net_throttle": "0",
    "text_font": "DejaVu Sans Mono 9",
    "text_font_main": "DejaVu Sans Mono 9",
}

# Of a tab's flags: connected, and the end of the welcome has come.
_REGISTERED = 1 << 0 | 1 << 3

# Cycle through the servers, the user's own names, connect at the start.
_NETWORK = "N={name}\nE=UTF-8 (Unicode)\nF=11\nD=0\nS=127.0.0.1/{port}\n"


class Where(NamedTuple):
    """A tab."""

    network: str
    name: str
    """Of a server's own tab, empty."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was shown in a tab."""

    where: Where
    event: str
    """The text event, empty for what an addon, or Python, has printed past them."""
    nick: str
    """What stands in the left column, without colours; of an event, its first word."""
    text: str
    """What stands in the right column, without colours; of an event, its second word."""
    words: tuple[str, ...]
    """The words of an event as they are, and what was printed with its codes for colours."""
    time: int = 0
    """When it was said by the server, in seconds since 1970; 0 for now."""


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab as it is now."""

    where: Where
    name: str
    """By which HexChat knows it."""
    label: str
    """What the tree of tabs shows."""
    color: str
    """Of the label, as `#rrggbb`; empty for the ordinary one."""
    type: int
    """1 is a server, 2 a channel, 3 a dialog."""
    queue: int
    """Bytes that wait for the throttle."""
    flags: int
    front: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A window as it is now, with all that can be seen in it."""

    number: int
    """X's."""
    title: str
    kind: str
    """GTK's type of it."""
    active: bool
    labels: tuple[str, ...]
    """Of buttons, menus and texts."""
    entries: tuple[str, ...]
    """What stands in lines to type into."""


def program() -> str:
    """Return the path of HexChat, which the environment variable `OTR_TEST_HEXCHAT` may have."""
    return require(os.environ.get("OTR_TEST_HEXCHAT") or "hexchat")


def plugin(name: str) -> Path:
    """Return the path of one of HexChat's plugins."""
    above = Path(program()).resolve().parents[1]
    for pattern in ("lib*/hexchat/plugins", "lib*/*/hexchat/plugins"):
        for folder in above.glob(pattern):
            if (folder / name).exists():
                return folder / name
    return Path(require(f"HexChat's plugin {name}"))


def private(nick: str, server: str = SERVER) -> Where:
    """Return the tab of a conversation, or of a channel."""
    return Where(server, nick)


def status(server: str = SERVER) -> Where:
    """Return the tab of a server."""
    return Where(server, "")


class HexChat(ProbedClient):
    """A HexChat that has connected as `nick` to the server on `port` of 127.0.0.1.

    `servers` are more networks by HexChat's name, with their ports; `wires` records what crosses to
    each, `wire` is the first of them. `settings` are HexChat's by name, `addons` Python files that it
    loads at each start, `plugins` those of its own that it loads. All its files are below `folder`,
    which has its home too. `changes` are to its environment.
    """

    name = "HexChat"

    def __init__(
        self,
        nick: str,
        folder: Path,
        port: int,
        *,
        addons: Iterable[Path] = (),
        settings: Mapping[str, str] | None = None,
        plugins: Iterable[str] = ("python.so",),
        servers: Mapping[str, int] | None = None,
        channels: Iterable[str] = (),
        changes: Mapping[str, str | None] | None = None,
        connected: bool = True,
    ) -> None:
        super().__init__(nick, folder)
        self._window = 0
        self._running = ExitStack()
        try:
            # Until it is closed, all is elsewhere.
            self._running.callback(setattr, self, "folder", folder)
            self.folder = self._running.enter_context(handed_over(folder))
            for name, at in ({SERVER: port} | dict(servers or {})).items():
                self.wires[name] = self._running.enter_context(RecordingProxy(at))
            self._install(addons)
            self._configure(settings or {}, channels)
            environment = dict.fromkeys(_NOT_PASSED_ON) | {"NO_AT_BRIDGE": "1"}
            environment["HEXCHAT_LIBDIR"] = str(self._choose(plugins))
            self.environment = surroundings(self.folder, environment | dict(changes or {}))
            give(self.folder)
            self.desktop = self._running.enter_context(Desktop(self.folder, self.environment))
            self.start(connected=connected)
        except BaseException:
            # Whatever went wrong, nobody has the object yet to close it.
            self.close()
            raise

    @property
    def data(self) -> Path:
        """HexChat's configuration folder."""
        return self.folder / "hexchat"

    # Its life.

    def start(self, *, connected: bool = True) -> None:
        """Start it, also again after its end, and wait until it has connected unless it need not."""
        self._put_probe_first()
        before = len(self._happened())
        welcomes = {server: self.welcomes(server) for server in self.wires}
        self._process = self.desktop.start("hexchat", program(), "--cfgdir", str(self.data))
        self.pid = self._process.pid
        self.wait(lambda: self._since(before, "start"), "the addon that reads it", _START_SECONDS)
        self._window = self.wait(self._main_window, "its window", _START_SECONDS)
        self.wait(self._on_the_bus, "its name on the bus", _START_SECONDS)
        if connected:
            for server, times in welcomes.items():
                self.wait_connected(server, times + 1)

    def welcomes(self, server: str = SERVER) -> int:
        """Return how often a server has welcomed it."""
        return sum(WELCOMED.match(line) is not None for line in self.wires[server].received())

    def wait_connected(self, server: str = SERVER, times: int = 1) -> None:
        """Wait until a server has welcomed it so many times, and it has taken note."""
        self.wait(lambda: self.welcomes(server) >= times, f"the welcome of {server}", _START_SECONDS)
        self.wait(partial(self._registered, server), f"{server} to be registered with")

    def quit(self) -> None:
        """Press Ctrl+Q, and wait for its end."""
        self.press("ctrl+q")
        self.wait_end("to quit")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal, and wait for its end."""
        assert self._process is not None
        self._process.send_signal(number)
        self.wait_end(f"to end of {number.name}")

    def close(self) -> None:
        """Kill it if it still runs; the server finds its connection closed."""
        if self._process is not None and self.running():
            self._process.kill()
        self._running.close()

    # Typing.

    def command(self, line: str, where: Where | None = None) -> None:
        """Run a command, or say a text, in a tab as other programs do: past the input box."""
        self._enter(where)
        self._call("Command", line[1:] if line.startswith("/") else f"say {line}")

    def type(self, line: str, where: Where | None = None) -> None:
        """Switch to a tab and put there a line into the input box, and press Enter."""
        self._ask("compose", where=where, text=line)
        self._press_enter()

    def press_keys(self, text: str, where: Where | None = None) -> None:
        """Switch to a tab and press the keys of a text in ASCII, and Enter."""
        self.show(where)
        self.desktop.activate(self._window)
        self.desktop.type(text)
        self._press_enter()

    def paste(self, text: str, where: Where | None = None) -> None:
        """Switch to a tab and paste a text, of several lines too, and press Enter."""
        self.show(where)
        self.desktop.activate(self._window)
        with self.desktop.copied(text):
            before = self.input_line(where)
            self.desktop.press("ctrl+v")
            self.wait(lambda: self.input_line(where) != before, "what was pasted")
        self._press_enter()

    def press(self, *keys: str) -> None:
        """Press keys, by X's names, in the main window."""
        self.desktop.activate(self._window)
        self.desktop.press(*keys)

    def say(self, nick: str, text: str, server: str = SERVER) -> None:
        """Type a text to somebody; a slash in front makes it a command."""
        self.open_query(nick, server)
        self.type(text, private(nick, server))

    def show(self, where: Where | None) -> None:
        """Switch to a tab."""
        if where is not None:
            self.command("/gui focus", where)

    def open_query(self, nick: str, server: str = SERVER) -> None:
        """Open a tab for a conversation, if there is none yet."""

        def there() -> bool:
            return any(_same(where, private(nick, server)) for where in self.tabs())

        if not there():
            self.command(f"/query -nofocus {nick}", status(server))
            self.wait(there, f"a tab for {nick}")

    def set_option(self, name: str, value: str) -> None:
        """Set one of HexChat's options."""
        self.command(f"/set -quiet {name} {value}")

    # Addons.

    def load(self, name: str, source: str) -> None:
        """Write an addon that calls itself `name`, and load it."""
        path = self.data / "addons" / f"{name}.py"
        path.write_text(source)
        give(path)
        self.command(f"/py load {path}")
        if name not in self.addons():
            raise RuntimeError(f"{name} did not load:\n" + "\n".join(self.errors()))

    def reload(self, name: str) -> None:
        """Load an addon anew."""
        self.command(f"/py reload {name}")

    def unload(self, name: str) -> None:
        """Unload an addon."""
        self.command(f"/py unload {name}")

    def addons(self) -> dict[str, str]:
        """Return the loaded Python addons and their versions."""
        loaded: dict[str, str] = self._ask("loaded")
        del loaded["probe"]
        return loaded

    def evaluate(self, expression: str, where: Where | None = None, addon: str = "") -> Any:
        """Return what the Python inside makes of an expression, in a tab, and among an addon's names.

        `hexchat` is there. What JSON does not know comes as its `repr`.
        """
        return self._ask("evaluate", where=where, expression=expression, addon=addon)

    # Windows.

    def windows(self) -> list[Window]:
        """Return all visible windows, menus too."""
        told = self._ask("windows")
        return [Window(**each | {name: tuple(each[name]) for name in ("labels", "entries")}) for each in told]

    def dialogs(self, text: str = "") -> list[Window]:
        """Return the dialogs with a text in the title or on them."""
        return [
            window
            for window in self.windows()
            if window.kind.endswith("Dialog") and any(text in on for on in (window.title, *window.labels))
        ]

    def wait_dialog(self, text: str = "") -> Window:
        """Wait for a dialog with a text in its title or on it, and bring it to the front."""
        dialog = self.wait(lambda: self.dialogs(text), f"a dialog with {text!r}")[-1]
        self.desktop.activate(dialog.number)
        return dialog

    def fill_in(self, text: str) -> None:
        """Paste a text into the dialog in front in place of what is there, press Enter and see it close."""
        dialog = self._dialog_in_front()
        self.desktop.press("ctrl+a")
        with self.desktop.copied(text):
            self.desktop.press("ctrl+v")
            self.wait(
                lambda: [each for each in self.dialogs() if text in each.entries], f"{text!r} in a dialog"
            )
        self._close_dialog(dialog, "Return")

    def press_button(self, label: str) -> None:
        """Press a button of the dialog in front by the key of its first letter, and see the dialog close.

        Buttons are Yes, No, OK and Cancel.
        """
        self._close_dialog(self._dialog_in_front(), f"alt+{label[0].lower()}")

    def choose(self, *labels: str) -> None:
        """Click at labels one after the other, each as soon as it can be seen: a menu, and what is in it."""
        for label in labels:
            self.wait(partial(self._labelled, label), f"{label!r} to click at")
            self.desktop.click(self._ask("label place", text=label))

    def open_tab_menu(self, where: Where) -> None:
        """Click with the right button at a tab."""
        self.desktop.click(self._ask("tab place", of=where), 3)

    def open_nick_menu(self, nick: str, where: Where) -> None:
        """Click with the right button at somebody in the list of users of a channel."""
        self.show(where)
        self.desktop.click(self.wait(partial(self._nick_place, nick), f"{nick} in the list"), 3)

    def shown(self, where: Where | None = None) -> str:
        """Switch to a tab and return its lines that can be seen, selected by the mouse as a user would."""
        self.show(where)
        left, top, width, height = self._ask("text area")
        self.desktop.activate(self._window)
        return self.desktop.select((left + 1, top + 1), (left + width - 3, top + height - 3))

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole screen, as PNG."""
        self.desktop.screenshot(path)

    # Reading what has happened, from the start on and whatever has become of the process.

    def printed(self, where: Where | None = None, *events: str) -> list[Line]:
        """Return every line that was shown, in a tab and by these text events if so told."""
        lines = [line for event in self._happened() for line in _lines(event)]
        return [
            line
            for line in lines
            if (where is None or _same(line.where, where)) and (not events or line.event in events)
        ]

    def received(self, nick: str, server: str = SERVER) -> list[str]:
        """Return the texts that were shown as said by somebody in private."""
        events = ("Private Message to Dialog", "Private Message")
        return [line.text for line in self.printed(private(nick, server), *events)]

    def sent(self, nick: str, server: str = SERVER) -> list[str]:
        """Return the texts that were shown as said to somebody in private."""
        return [line.text for line in self.printed(private(nick, server), "Your Message")]

    def notices(self, nick: str, server: str = SERVER) -> list[str]:
        """Return the lines of a conversation's tab that are no event: what addons tell there."""
        return [line.text for line in self.printed(private(nick, server), "")]

    def errors(self) -> list[str]:
        """Return the tracebacks that Python has printed, and what GTK complained about."""
        found: list[str] = []
        unfinished = False
        for line in [*(line.text for line in self.printed(None, "")), *self._written().splitlines()]:
            if unfinished:
                found[-1] += f"\n{line}"
                unfinished = line.startswith(" ")
            elif any(fault in line for fault in _FAULTS):
                found.append(line)
                unfinished = line.startswith(_TRACEBACK)
        return found

    # Reading what is there now.

    def tabs(self) -> dict[Where, Tab]:
        """Return all tabs."""
        tabs = [Tab(**each | {"where": Where(*each["where"])}) for each in self._ask("tabs")]
        return {tab.where: tab for tab in tabs}

    def front(self) -> Where:
        """Return the tab in front."""
        return next(tab.where for tab in self.tabs().values() if tab.front)

    def input_line(self, where: Where | None = None) -> str:
        """Return what stands in a tab's input box."""
        return str(self._ask("composed", where=where))

    def option(self, name: str) -> str | int | None:
        """Return the value of one of HexChat's options, None if it has none."""
        value: str | int | None = self.evaluate(f"hexchat.get_prefs({name!r})")
        return value

    # Waiting.

    def wait_printed(self, text: str, where: Where | None = None, times: int = 1) -> Line:
        """Wait until a line that contains a text was shown, so many times, and return the last."""

        def found() -> list[Line]:
            lines = [line for line in self.printed(where) if text in line.text]
            return lines if len(lines) >= times else []

        return self.wait(found, f"{text!r} in {where or 'any tab'}")[-1]

    # Before its start.

    def _install(self, addons: Iterable[Path]) -> None:
        folder = self.data / "addons"
        folder.mkdir(parents=True, exist_ok=True)
        for path in addons:
            shutil.copy(path, folder)

    def _put_probe_first(self) -> None:
        folder = self.data / "addons"
        for path in folder.glob("probe*.py"):
            path.unlink()
        for number in count():
            path = folder / f"probe{number}.py"
            shutil.copy(_PROBE, path)
            if os.listdir(folder)[0] == path.name:
                give(path)
                return
            path.unlink()

    def _choose(self, plugins: Iterable[str]) -> Path:
        """Make a folder that has these plugins only, and what Python's needs beside it."""
        library = self.folder / "library"
        (library / "plugins").mkdir(parents=True, exist_ok=True)
        for name in plugins:
            path = plugin(name)
            links = {library / "plugins" / name: path, library / "python": path.parents[1] / "python"}
            for link, target in links.items():
                link.unlink(missing_ok=True)
                link.symlink_to(target)
        return library / "plugins"

    def _configure(self, settings: Mapping[str, str], channels: Iterable[str]) -> None:
        names = {
            "irc_nick1": self.nick,
            "irc_nick2": f"{self.nick}_",
            "irc_nick3": f"{self.nick}__",
            "irc_real_name": self.nick,
            "irc_user_name": self.nick,
        }
        lines = [f"{name} = {value}\n" for name, value in (_BASICS | names | dict(settings)).items()]
        (self.data / "hexchat.conf").write_text("version = 2.16.1\n" + "".join(lines))
        joined = "".join(f"J={channel}\n" for channel in channels)
        networks = [_NETWORK.format(name=name, port=wire.port) + joined for name, wire in self.wires.items()]
        (self.data / "servlist.conf").write_text("v=2.16.1\n\n" + "\n".join(networks) + "\n")

    # To HexChat and back.

    def _call(self, method: str, *arguments: str | int) -> str:
        texts = [json.dumps(each, ensure_ascii=False) for each in arguments]
        try:
            return self.desktop.call(*_SERVICE, f"{_INTERFACE}.{method}", *texts)
        except RuntimeError as error:
            if self.running():
                raise
            raise RuntimeError(f"HexChat has ended; {self._last_words()}") from error

    def _on_the_bus(self) -> bool:
        with suppress(RuntimeError):
            return bool(self._call("GetInfo", "version"))
        return False

    def _enter(self, where: Where | None) -> None:
        """Have the next command run in a tab; without one, in that in front."""
        if where is not None and not where.name and where in (tabs := self.tabs()):
            where = Where(where.network, tabs[where].name)
        found = re.search(r"uint32 (\d+)", self._call("FindContext", *(where or ("", ""))))
        if found is None or found[1] == "0":
            raise LookupError(f"{where} is none of {list(self.tabs())}")
        self._call("SetContext", int(found[1]))

    def _press_enter(self) -> None:
        self.press("Return")
        self.wait(lambda: not self._ask("composed"), "Enter")

    def _ask(self, what: str, **about: Any) -> Any:
        number = next(self._numbers)
        before = len(self._happened())
        question = "probe " + json.dumps({"number": number, "what": what, "about": about})
        for attempt in range(2):
            if attempt:
                self._enter(None)  # that in which the last command was may be closed, and then nothing runs
            self._call("Command", question)
            for event in self._since(before, "answer"):
                if event["number"] == number:
                    if event["error"]:
                        raise RuntimeError(event["error"])
                    return event["answer"]
        raise RuntimeError(f"the addon that reads it does not answer; {self._last_words()}")

    def _registered(self, server: str) -> bool:
        tab = self.tabs().get(status(server))
        return tab is not None and tab.flags & _REGISTERED == _REGISTERED

    def _labelled(self, label: str) -> list[Window]:
        return [window for window in self.windows() if label in window.labels]

    def _nick_place(self, nick: str) -> Any:
        with suppress(RuntimeError):  # the list is filled some time after its channel is joined
            return self._ask("nick place", nick=nick)
        return None

    def _dialog_in_front(self) -> Window:
        return self.wait(lambda: [each for each in self.dialogs() if each.active], "a dialog in front")[0]

    def _close_dialog(self, dialog: Window, key: str) -> None:
        self.desktop.press(key)
        self.wait(
            lambda: dialog.number not in [each.number for each in self.dialogs()],
            f"{dialog.title or dialog.labels} to close",
        )

    @property
    def _records(self) -> Path:
        return self.data / "probe.jsonl"

    def _main_window(self) -> int:
        """Return the number of the main window, 0 if there is none yet."""
        found = self.desktop.windows("hexchat")
        # It is the first that is made.
        return min((number for number, title in found.items() if "HexChat" in title), default=0)

    def _last_words(self) -> str:
        lines = [f"{line.where.name}: {line.event} <{line.nick}> {line.text}" for line in self.printed()]
        return "\n".join([f"HexChat of {self.nick} printed:", *lines[-SHOWN:], self._written()])

    def _written(self) -> str:
        path = self.folder / "hexchat.log"
        return path.read_text(errors="replace") if path.exists() else ""


def plain(text: str) -> str:
    """Return a text without its codes for colours and attributes."""
    return _CODES.sub("", text)


def _same(one: Where, other: Where) -> bool:
    return (one.network, one.name.lower()) == (other.network, other.name.lower())


def _lines(told: dict[str, Any]) -> list[Line]:
    if told["event"] == "text":
        words = tuple(told["words"])
        nick, text = words[:2] if len(words) > 1 else ("", "".join(words))
        return [Line(Where(*told["where"]), told["name"], plain(nick), plain(text), words, told["time"])]
    if told["event"] == "print":
        found = []
        for line in told["text"].split("\n"):
            left, tab, right = line.partition("\t")
            nick, text = (left, right) if tab else ("", left)
            found.append(Line(Where(*told["where"]), "", plain(nick), plain(text), (line,)))
        return found
    return []
