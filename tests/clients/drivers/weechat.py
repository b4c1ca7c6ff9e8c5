"""A real WeeChat, headless or in a terminal, typed into like a user would and read by a script inside it.

What was learnt about it, and is taken care of here:
- It holds back lines to spare servers, which is lifted. WeeChat 4.2 has renamed the option, and since
  4.0 connections are encrypted unless told otherwise.
- What comes through its pipe runs in order: a question that is put last is answered when all before
  it is done. A text that the pipe sends leaves no trace in the input's history, unlike a typed one;
  so texts are put into the input line and sent from there.
- `/input insert` eats blanks at both ends, and knows backslashes: everything special is escaped.
- `/upgrade` replaces the process by itself under the same pid and forgets what is left in the pipe.
- In a terminal, it may ask whether several lines were meant to be pasted, which it is told not to.
- The content of a bar item is made anew at the next redraw, not at once.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from tests.clients.drivers.probed import SERVER, SHOWN, WELCOMED, ProbedClient
from tests.clients.drivers.programs import surroundings
from tests.clients.drivers.proxy import RecordingProxy
from tests.clients.drivers.terminal import Terminal
from tests.support import require

CORE = "core.weechat"
"""The buffer that is always there."""

Stage = Literal["in", "out1", "out"]
"""Of an IRC line: came and went through every script; about to be split; about to leave."""

_PROBE = Path(__file__).with_name("probe.py")

# WeeChat 4 brings the settings that it is given up to date, and warns of the way back.
_UPDATED = "Important: file "
_PYTHON = "python: stdout/stderr"

# Settings of whoever runs the tests that would reach the Python inside WeeChat, or WeeChat.
_NOT_PASSED_ON = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "WEECHAT_HOME", "WEECHAT_PASSPHRASE")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a buffer shows."""

    buffer: str
    date: int
    """In seconds since 1970."""
    tags: tuple[str, ...]
    prefix: str
    text: str
    colored: str
    """The text as WeeChat keeps it, with its codes for colours and attributes."""
    shown: bool
    """Not hidden by a filter."""
    highlight: bool


def program(name: str) -> str:
    """Return the path of `weechat-headless` or `weechat`.

    The environment variable `OTR_TEST_WEECHAT` has the path of a headless one to test instead of
    the installed one; its sibling for terminals lies beside it.
    """
    chosen = Path(os.environ.get("OTR_TEST_WEECHAT") or "weechat-headless")
    return require(str(chosen.with_name(name)))


@lru_cache
def version() -> tuple[int, ...]:
    """Return the version of the WeeChat that is tested."""
    command = [program("weechat-headless"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said)[:3])


def private(nick: str, server: str = SERVER) -> str:
    """Return the name of the buffer of a conversation, or of a channel."""
    return f"irc.{server}.{nick}"


def status(server: str = SERVER) -> str:
    """Return the name of a server's own buffer."""
    return f"irc.server.{server}"


class WeeChat(ProbedClient):
    """A headless WeeChat that has connected as `nick` to the server on `port` of 127.0.0.1.

    `servers` are more servers by WeeChat's name, with their ports; `wires` records what crosses to
    each, `wire` is the first of them. `settings` are WeeChat's options by full name, `scripts` are
    put into its autoload folder. It lives in one folder, `data`, or where a user has it,
    `in_home`; both lie below `folder`, which is its home too. `changes` are to its environment.
    """

    name = "WeeChat"

    def __init__(
        self,
        nick: str,
        folder: Path,
        port: int,
        *,
        servers: Mapping[str, int] | None = None,
        settings: Mapping[str, str] | None = None,
        scripts: Iterable[Path] = (),
        in_home: bool = False,
        changes: Mapping[str, str | None] | None = None,
        connected: bool = True,
    ) -> None:
        super().__init__(nick, folder)
        self.environment = surroundings(folder, dict.fromkeys(_NOT_PASSED_ON) | dict(changes or {}))
        home = Path(self.environment["HOME"])
        self.data = home / ".local/share/weechat" if in_home else folder / "weechat"
        self.configuration = home / ".config/weechat" if in_home else self.data
        self._arguments = [] if in_home else ["--dir", str(self.data)]
        self._install([_PROBE, *scripts])
        try:
            for name, at in ({SERVER: port} | dict(servers or {})).items():
                self.wires[name] = RecordingProxy(at)
            self._configure(self._basics() | dict(settings or {}))
            self.start(connected=connected)
        except BaseException:
            # Whatever went wrong, nobody has the object yet to close it.
            self.close()
            raise

    # Its life.

    def start(self, *, connected: bool = True) -> None:
        """Start it, also again after its end, and wait until it has connected unless it need not."""
        self._pipe.unlink(missing_ok=True)
        before = len(self._happened())
        welcomes = {server: self.welcomes(server) for server in self.wires}
        self.pid = 0
        self._launch()
        self.wait(lambda: self._since(before, "start"), "the script that reads it")
        self._settle()
        if connected:
            for server, times in welcomes.items():
                self.wait_connected(server, times + 1)

    def welcomes(self, server: str = SERVER) -> int:
        """Return how often a server has welcomed it."""
        return sum(WELCOMED.match(line) is not None for line in self.irc_lines("in", server))

    def wait_connected(self, server: str = SERVER, times: int = 1) -> None:
        """Wait until a server has welcomed it so many times."""
        self.wait(lambda: self.welcomes(server) >= times, f"the welcome of {server}")

    def quit(self) -> None:
        """Type /quit, and wait for its end."""
        self._send(CORE, "/quit")
        self.wait_end("to quit")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal, and wait for its end."""
        self._signal(number)
        self.wait_end(f"to end of {number.name}")

    def upgrade(self) -> None:
        """Let it replace itself by a freshly started WeeChat that takes everything over."""
        before = len(self._happened())
        self._send(CORE, "/upgrade -yes")
        self.wait(
            lambda: [event for event in self._since(before, "signal") if event["name"] == "upgrade_ended"],
            "the upgrade",
        )
        self._settle()

    def close(self) -> None:
        """Kill it if it still runs; the server finds its connection closed."""
        self._end()
        for wire in self.wires.values():
            wire.close()

    # Typing.

    def command(self, line: str, buffer: str = CORE) -> None:
        """Run a command, or say a text, in a buffer as other programs do: past the input line."""
        before = len(self._happened())
        self._send(buffer, line)
        self._settle()
        missing = f'fifo: buffer "{buffer}" not found'
        if any(event["line"]["text"] == missing for event in self._since(before, "line")):
            raise LookupError(f"{buffer} is none of {self.buffers()}")

    def type(self, line: str, buffer: str = CORE) -> None:
        """Switch to a buffer and type there a line, or several as a paste does, with Enter at the end."""
        self.show(buffer)
        self._send(buffer, "/input insert " + _escaped(line))
        self._send(buffer, "/input return")
        self._settle()

    def say(self, nick: str, text: str, server: str = SERVER) -> None:
        """Type a text to somebody; a slash in front makes it a command."""
        self.open_query(nick, server)
        self.type(text, private(nick, server))

    def insert(self, text: str, buffer: str = CORE) -> None:
        """Put a text into a buffer's input line, behind what is there, without Enter."""
        self.command("/input insert " + _escaped(text), buffer)

    def completions(self, text: str, buffer: str = CORE, most: int = 40) -> list[str]:
        """Return the input lines that pressing Tab again and again behind `text` leads through."""
        self.command("/input delete_line", buffer)
        self.insert(text, buffer)
        numbers = []
        for _ in range(most):
            self._send(buffer, "/input complete_next")
            numbers.append(self._question("input", name=buffer))
        lines: list[str] = []
        for number in numbers:
            line = self._answer(number)
            if line in lines or line == text:
                break
            lines.append(line)
        self._answer(numbers[-1])
        self.command("/input delete_line", buffer)
        return lines

    def show(self, buffer: str) -> None:
        """Switch to a buffer."""
        self.command(f"/buffer {buffer}")

    def open_query(self, nick: str, server: str = SERVER) -> None:
        """Open a buffer for a conversation, if there is none yet."""
        if private(nick, server) not in self.buffers():
            self.command(f"/query -server {server} {nick}")
            self.wait(lambda: private(nick, server) in self.buffers(), f"a buffer for {nick}")

    def set_option(self, option: str, value: str) -> None:
        """Set one of WeeChat's options."""
        self.command(f"/set {option} {value}")

    # Scripts.

    def load(self, name: str, source: str, *, autoload: bool = False) -> None:
        """Write a script that registers as `name`, and load it, here or at each start too."""
        (self.data / "python" / f"{name}.py").write_text(source)
        if autoload:
            self._autoload(f"{name}.py")
        self.command(f"/python load {name}.py")
        if name not in self.scripts():
            raise RuntimeError(f"{name} did not load:\n" + "\n".join(self.errors()))

    def reload(self, name: str = "") -> None:
        """Load a script anew; without a name unload all, and load those of the autoload folder."""
        self.command(f"/python reload {name}".rstrip())

    def unload(self, name: str) -> None:
        """Unload a script."""
        self.command(f"/python unload {name}")

    def scripts(self) -> dict[str, str]:
        """Return the loaded Python scripts and their versions."""
        loaded: dict[str, str] = self._ask("scripts")
        return loaded

    # Reading what has happened, from the start on and whatever has become of the process.

    def printed(self, buffer: str | None = None, *tags: str) -> list[Line]:
        """Return every line that was printed, in a buffer and with all of these tags if so told."""
        lines = [_line(event["line"]) for event in self._since(0, "line")]
        return [line for line in lines if buffer in {None, line.buffer} and set(tags) <= set(line.tags)]

    def irc_lines(self, stage: Stage, server: str = SERVER) -> list[str]:
        """Return every line of IRC at a stage; bytes that are not UTF-8 are lone surrogates."""
        lines = self._since(0, "raw")
        return [line["text"] for line in lines if (line["stage"], line["server"]) == (stage, server)]

    def received(self, nick: str, server: str = SERVER) -> list[str]:
        """Return the texts that were shown as said by somebody in private."""
        return [
            line.text
            for line in self.printed(private(nick, server), "irc_privmsg", f"nick_{nick}")
            if not {"self_msg", "irc_action"} & set(line.tags)
        ]

    def sent(self, nick: str, server: str = SERVER) -> list[str]:
        """Return the texts that were shown as said to somebody in private."""
        lines = self.printed(private(nick, server), "irc_privmsg", "self_msg")
        return [line.text for line in lines if "irc_action" not in line.tags]

    def notices(self, nick: str, server: str = SERVER) -> list[str]:
        """Return the lines of a conversation's buffer that nobody has said: what scripts tell there."""
        lines = self.printed(private(nick, server))
        return [line.text for line in lines if not any(tag.startswith("irc_") for tag in line.tags)]

    def errors(self) -> list[str]:
        """Return the lines that were printed as errors, and what faulty Python scripts wrote."""
        return [
            line.text
            for line in self.printed()
            if (line.prefix == "=!=" and not line.text.startswith(_UPDATED)) or line.text.startswith(_PYTHON)
        ]

    def signals(self, name: str) -> list[str]:
        """Return the values of one of the signals that the probe hooks, each time it came."""
        return [event["value"] for event in self._since(0, "signal") if event["name"] == name]

    def log(self, buffer: str) -> str:
        """Return the file in which WeeChat logs a buffer; empty if there is none."""
        path = self.data / "logs" / f"{buffer.lower()}.weechatlog"
        return path.read_text(errors="surrogateescape") if path.exists() else ""

    # Reading what is there now.

    def buffers(self) -> list[str]:
        """Return the names of all buffers, in their order."""
        names: list[str] = self._ask("buffers")
        return names

    def lines(self, buffer: str) -> list[Line]:
        """Return the lines that a buffer has."""
        return [_line(line) for line in self._ask("buffer", name=buffer)["lines"]]

    def variables(self, buffer: str) -> dict[str, str]:
        """Return the local variables of a buffer."""
        variables: dict[str, str] = self._ask("buffer", name=buffer)["variables"]
        return variables

    def input_line(self, buffer: str = CORE) -> str:
        """Return what stands in a buffer's input line."""
        return str(self._ask("input", name=buffer))

    def history(self, buffer: str | None = None) -> list[str]:
        """Return the texts, newest first, that the input line offers again: a buffer's, or everywhere's."""
        texts: list[str] = self._ask("history", name=buffer or "")
        return texts

    def option(self, name: str) -> str | None:
        """Return the value of an option, None if it has none."""
        value: str | None = self._ask("option", name=name)
        return value

    def evaluate(self, expression: str, buffer: str = CORE) -> str:
        """Return what WeeChat makes of an expression such as `${sec.data.name}`."""
        return str(self._ask("evaluate", expression=expression, name=buffer))

    def hotlist(self) -> dict[str, list[int]]:
        """Return the buffers with news: how many lines of low level, messages, private ones, highlights."""
        counts: dict[str, list[int]] = self._ask("hotlist")
        return counts

    def bar_item(self, name: str) -> str:
        """Return what a bar shows for an item, without colours and what the bar puts around it.

        It is made for the buffer in front. An item that is in no bar is given one.
        """
        shown: list[str] = self._ask("items", name=name)
        if not shown:
            self.command(f"/bar add probe_{name} window bottom 1 0 {name}")
            shown = self.wait(lambda: self._ask("items", name=name), f"a bar with {name}")
        return shown[0]

    # Waiting.

    def wait_printed(self, text: str, buffer: str | None = None, times: int = 1) -> Line:
        """Wait until a line that contains a text was printed, so many times, and return the last."""

        def found() -> list[Line]:
            lines = [line for line in self.printed(buffer) if text in line.text]
            return lines if len(lines) >= times else []

        lines = self.wait(found, f"{text!r} in {buffer or 'any buffer'}")
        return lines[-1]

    def wait_bar_item(self, name: str, text: str) -> None:
        """Wait until a bar item shows exactly a text."""
        self.wait(lambda: self.bar_item(name) == text, f"{name} to show {text!r}")

    # What differs in a terminal.

    def _launch(self) -> None:
        with (self.folder / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                [program("weechat-headless"), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=self.folder,
                env=self.environment,
            )

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def _complaints(self) -> str:
        path = self.folder / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    # Before its start.

    def _install(self, scripts: Iterable[Path]) -> None:
        folder = self.data / "python"
        (folder / "autoload").mkdir(parents=True, exist_ok=True)
        for script in scripts:
            shutil.copy(script, folder / script.name)
            self._autoload(script.name)

    def _autoload(self, name: str) -> None:
        link = self.data / "python/autoload" / name
        link.unlink(missing_ok=True)
        link.symlink_to(f"../{name}")

    def _basics(self) -> dict[str, str]:
        at_once = ["anti_flood"] if version() >= (4, 2) else ["anti_flood_prio_high", "anti_flood_prio_low"]
        basics = {f"irc.server_default.{name}": "0" for name in at_once}
        basics |= {
            "fifo.file.enabled": "on",
            "fifo.file.path": "${weechat_data_dir}/fifo",
            "irc.look.server_buffer": "independent",
            "irc.server_default.nicks": self.nick,
            "irc.server_default.username": self.nick,
            "irc.server_default.realname": self.nick,
            "logger.file.flush_delay": "0",
            "weechat.look.paste_max_lines": "-1",
            "weechat.startup.display_logo": "off",
        }
        for name, wire in self.wires.items():
            basics |= {
                f"irc.server.{name}.addresses": f"127.0.0.1/{wire.port}",
                f"irc.server.{name}.autoconnect": "on",
                f"irc.server.{name}.{'tls' if version() >= (4, 0) else 'ssl'}": "off",
            }
        return basics

    def _configure(self, settings: Mapping[str, str]) -> None:
        files: dict[str, dict[str, list[str]]] = {}
        for option, value in settings.items():
            file, section, name = option.split(".", 2)
            files.setdefault(file, {}).setdefault(section, []).append(f'{name} = "{value}"')
        self.configuration.mkdir(parents=True, exist_ok=True)
        for file, sections in files.items():
            texts = ["\n".join([f"[{section}]", *lines, ""]) for section, lines in sections.items()]
            (self.configuration / f"{file}.conf").write_text("\n".join(texts))

    # To the probe and back.

    @property
    def _pipe(self) -> Path:
        return self.data / "fifo"

    def _send(self, buffer: str, line: str) -> None:
        if "\n" in line or "\r" in line:
            raise ValueError(f"the pipe takes single lines only: {line!r}")
        data = f"{buffer} *{line}\n".encode(errors="surrogateescape")
        pipe = self.wait(self._opened_pipe, "its pipe")
        assert pipe is not None
        try:
            while data:
                written = self.wait(partial(_written, pipe, data), "room in its pipe")
                data = data[written:]
        finally:
            os.close(pipe)

    def _opened_pipe(self) -> int | None:
        try:
            return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            # Not made yet, or left behind by a process that reads it no more.
            if error.errno not in {errno.ENOENT, errno.ENXIO}:
                raise
            return None

    def _question(self, what: str, **about: object) -> int:
        number = next(self._numbers)
        self._send(CORE, "/probe " + json.dumps({"number": number, "what": what, "about": about}))
        return number

    def _answer(self, number: int) -> Any:
        def came() -> list[dict[str, Any]]:
            return [event for event in self._since(0, "answer") if event["number"] == number]

        (event,) = self.wait(came, "an answer of the script that reads it")
        if event["error"]:
            raise RuntimeError(event["error"])
        return event["answer"]

    def _ask(self, what: str, **about: object) -> Any:
        return self._answer(self._question(what, **about))

    def _settle(self) -> None:
        self._ask("done")

    @property
    def _records(self) -> Path:
        return self.data / "probe.jsonl"

    def _happened(self) -> list[dict[str, Any]]:
        before = len(self._events)
        events = super()._happened()
        for event in events[before:]:
            if event["event"] == "start":
                self.pid = event["pid"]
        return events

    def _last_words(self) -> str:
        lines = [f"{line.buffer}: {line.prefix} {line.text}" for line in self.printed()]
        telling = [line for line in lines if "New key binding" not in line]
        return "\n".join([f"WeeChat of {self.nick} printed:", *telling[-SHOWN:], self._complaints()])


class CursesWeeChat(WeeChat):
    """A WeeChat in a terminal: as the headless one, with a screen to look at and real keys to type."""

    columns = 80
    rows = 24

    _terminal: Terminal | None = None

    def screen(self) -> str:
        """Return what can be read on the screen now."""
        return self._terminal.screen() if self._terminal is not None else ""

    def drawing(self) -> str:
        """Return the screen with its colours, for a terminal to draw it again."""
        return self._terminal.drawing() if self._terminal is not None else ""

    def wait_screen(self, text: str) -> None:
        """Wait until the screen shows a text."""
        self.wait(lambda: text in self.screen(), f"{text!r} on the screen")

    def type(self, line: str, buffer: str = CORE) -> None:
        assert self._terminal is not None
        self.show(buffer)
        before = len(self._happened())
        self._terminal.enter(line)
        self.wait(lambda: self._since(before, "enter"), "Enter")
        self._settle()

    def running(self) -> bool:
        return self._terminal is not None and self._terminal.running()

    def _launch(self) -> None:
        self._end()
        unwanted = [f"--unset={name}" for name in os.environ if name not in self.environment]
        # What is as it was is left to the terminal, which has a TERM of its own.
        changed = [
            f"{name}={value}" for name, value in self.environment.items() if os.environ.get(name) != value
        ]
        command = [require("env"), *unwanted, *changed, program("weechat"), *self._arguments]
        self._terminal = Terminal(self.folder, command, columns=self.columns, rows=self.rows)

    def _signal(self, number: signal.Signals) -> None:
        if self._terminal is not None and self._terminal.running():
            os.kill(self.pid, number)

    def _end(self) -> None:
        if self._terminal is None:
            return
        terminal, self._terminal = self._terminal, None
        terminal.close()

    def _complaints(self) -> str:
        return f"and shows:\n{self.screen()}"


def _line(told: dict[str, Any]) -> Line:
    return Line(**told | {"tags": tuple(told["tags"])})


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(" ", "\\x20").replace("\n", "\\n").replace("\t", "\\t")


def _written(pipe: int, data: bytes) -> int:
    try:
        return os.write(pipe, data)
    except (BlockingIOError, BrokenPipeError):
        return 0
