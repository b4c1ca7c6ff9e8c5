"""The client in a real WeeChat, whose scripts run in sub-interpreters: starting, reloading, upgrading."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import otrcore
from tests.client.screen import FAKE_ENGINE, Client
from tests.support import require

SCRIPT = """
import json, sys, time
import weechat
began = time.monotonic()
sys.path.append({sources!r})
from otrcore.client.chat import Chat

weechat.register({name!r}, "otrcore", "1", "MIT", "a script for a test", "unload", "")

def say(**what):
    with open({log!r}, "a") as file:
        file.write(json.dumps(dict(what, script={name!r})) + "\\n")

class App:
    def __init__(self):
        self.steps, self.hook, self.state = {{}}, None, None

    def note(self, server, peer, lines, level, typed, highlight):
        say(note=" ".join(lines))

    def status(self, server, peer, status):
        say(status=status.state)

    def limit(self, server, to):
        return None

    def later(self, seconds, step):
        number = str(len(self.steps))
        self.steps[number] = step
        weechat.hook_timer(max(1, int(seconds * 1000)), 0, 1, "later", number)

    def watch(self, descriptor):
        if self.hook:
            weechat.unhook(self.hook)
        self.hook = descriptor and weechat.hook_fd(descriptor, 1, 0, 0, "readable", "")

def told(step):
    step()
    if app.state is not chat.link.state:
        app.state = chat.link.state
        say(state=app.state.name)

def later(number, remaining):
    told(app.steps.pop(number))
    return weechat.WEECHAT_RC_OK

def readable(data, descriptor):
    told(chat.on_readable)
    return weechat.WEECHAT_RC_OK

def unload():
    began = time.monotonic()
    chat.unload()
    weechat.buffer_set(main, "localvar_set_kept_" + {name!r}, json.dumps(chat.guard.kept))
    say(unload=time.monotonic() - began)
    return weechat.WEECHAT_RC_OK

def judge(data, buffer, arguments):
    began = time.monotonic()
    judged = chat.outgoing("net", "bob", arguments)
    say(outgoing=judged.verdict, took=time.monotonic() - began)
    return weechat.WEECHAT_RC_OK

app = App()
main = weechat.buffer_search_main()
kept = json.loads(weechat.buffer_get_string(main, "localvar_kept_" + {name!r}) or "{{}}")
client = "weechat " + weechat.info_get("version", "")
chat = Chat(app, {command!r}, "0.1", client, kept=kept, data={data!r}, options={options!r})
chat.begin()
chat.connected("net", "irc.example.org", "alice", None, [])
weechat.hook_command("judge_" + {name!r}, "", "", "", "", "judge", "")
say(loaded=time.monotonic() - began)
"""


class WeeChat:
    """A WeeChat without a screen, with a folder and a home of its own."""

    def __init__(self, client: Client, data: Path) -> None:
        """`data` is the data folder of OTR."""
        self.client = client
        self.data = data
        self.folder = Path(client.folder, "weechat")
        self.autoload = self.folder / "python" / "autoload"
        self.autoload.mkdir(parents=True)
        self.log = Path(client.folder, "script.log")
        self._pipe = self.folder / "fifo"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [
                *(require("weechat-headless"), "--dir", str(self.folder)),
                *("--run-command", f"/set fifo.file.path {self._pipe}"),
            ],
            env={**environ, "HOME": client.folder, "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )
        self.until(self._pipe.exists)

    def until(self, happened: Callable[[], Any]) -> Any:
        """Wait until something has happened."""
        deadline = time.monotonic() + 30
        while not (result := happened()):
            assert self.process.poll() is None, self.errors()
            assert time.monotonic() < deadline, ("this did not happen", self.said(), self.errors())
            time.sleep(0.02)
        return result

    def errors(self) -> str:
        """Return what WeeChat has printed."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def run(self, command: str) -> None:
        """Have WeeChat run a command."""
        descriptor = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        os.write(descriptor, f"*{command}\n".encode())
        os.close(descriptor)

    def load(self, name: str = "probe") -> None:
        """Load the script under a name."""
        path = self.folder / "python" / f"{name}.py"
        path.write_text(
            SCRIPT.format(
                name=name,
                sources=str(Path(otrcore.__file__).parents[1]),
                log=str(self.log),
                command=[sys.executable, FAKE_ENGINE],
                data=str(self.data),
                options=self.client.options,
            )
        )
        (self.autoload / path.name).symlink_to(path)  # from where they are loaded after an upgrade
        self.run(f"/python load {path}")

    def said(self, name: str = "probe") -> list[dict[str, Any]]:
        """Return what the script of this name has written down."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [said for said in map(json.loads, lines) if said.pop("script") == name]

    def states(self, name: str = "probe") -> list[str]:
        """Return the states that the link of a script has had."""
        return [said["state"] for said in self.said(name) if "state" in said]

    def up(self, times: int, name: str = "probe") -> None:
        """Wait until the link of a script has come up so often."""
        self.until(lambda: self.states(name).count("UP") == times)

    def zombies(self) -> list[str]:
        """Return ended children that nobody has taken note of."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[:2] == ["Z", str(self.process.pid)]:
                found.append(path.parent.name)
        return found

    def end(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._errors.close()


@pytest.fixture
def weechat(client: Client) -> Iterator[WeeChat]:
    weechat = WeeChat(client, Path(client.folder, "data"))
    yield weechat
    weechat.end()


def encrypted(weechat: WeeChat) -> None:
    """Have an encrypted conversation with bob."""
    status = {"a": "status", "server": "net", "peer": "bob", "state": "encrypted"}
    weechat.run(
        "/judge_probe " + json.dumps({"before": [{"actions": [status]}], "answer": {"decisions": []}})
    )
    weechat.until(lambda: {"status": "encrypted"} in weechat.said())


def test_an_engine_survives_reloading_and_upgrading(weechat: WeeChat) -> None:
    weechat.load()
    weechat.up(1)
    (engine,) = weechat.client.engines()
    (loaded,) = (said["loaded"] for said in weechat.said() if "loaded" in said)
    assert loaded < 0.3, "loading blocks the screen"
    weechat.run("/judge_probe hi")
    weechat.until(lambda: any(said.get("outgoing") == "pass" for said in weechat.said()))

    for times in (2, 3, 4):
        weechat.run("/python reload probe")
        weechat.up(times)
    weechat.run("/upgrade")
    weechat.up(5)
    assert weechat.client.engines() == [engine]
    assert [event["client"][:8] for event in weechat.client.asked("hello")] == ["weechat "] * 5
    assert weechat.zombies() == []

    weechat.run("/quit")
    assert weechat.process.wait(20) == 0, weechat.errors()
    assert "Fatal" not in weechat.errors()


def test_an_engine_that_is_killed_is_replaced_and_nothing_leaks(weechat: WeeChat) -> None:
    weechat.load()
    weechat.up(1)
    encrypted(weechat)
    os.kill(weechat.client.engines()[0], signal.SIGKILL)
    weechat.until(lambda: {"status": "finished"} in weechat.said())
    weechat.until(lambda: len(weechat.client.asked("connected")) == 2)
    weechat.run("/judge_probe secret")
    assert (
        weechat.until(lambda: [said for said in weechat.said() if "outgoing" in said][1:])[0]["outgoing"]
        == "drop"
    )
    weechat.run("/python reload probe")
    weechat.until(lambda: len(weechat.client.asked("connected")) == 3)
    weechat.run("/judge_probe secret")
    outgoing = weechat.until(lambda: [said for said in weechat.said() if "outgoing" in said][2:])
    assert outgoing[0]["outgoing"] == "drop", "what it knew has outlived the script"
    assert [asked["text"] for asked in weechat.client.asked("outgoing")][1:] == ["secret", "secret"]
    assert len(weechat.client.engines()) == 2
    assert weechat.zombies() == []


def test_a_second_script_takes_over_and_gives_back(weechat: WeeChat) -> None:
    weechat.load()
    weechat.up(1)
    weechat.load("other")
    weechat.up(1, "other")
    weechat.until(lambda: weechat.states()[-1] == "SUPERSEDED")
    weechat.run("/python unload other")
    weechat.until(lambda: any("unload" in said for said in weechat.said("other")))
    weechat.run("/python reload probe")
    weechat.up(2)
    assert len(weechat.client.engines()) == 1
    weechat.run("/python unload probe")
    weechat.until(lambda: any("unload" in said for said in weechat.said()[-1:]))
    assert weechat.process.poll() is None
    assert weechat.zombies() == []


def test_two_weechats_have_an_engine_each(weechat: WeeChat, tmp_path: Path) -> None:
    second = WeeChat(Client(str(tmp_path)), weechat.data)
    try:
        for one in (weechat, second):
            one.load()
        for one in (weechat, second):
            one.up(1)
        assert len(list((weechat.data / "run").glob("*.lock"))) == 2
        first = weechat.client.engines()[0]
        assert second.client.engines() != [first]
        weechat.end()
        second.until(lambda: not weechat.client.is_engine(first))
        second.run("/judge_probe hi")
        second.until(lambda: any(said.get("outgoing") == "pass" for said in second.said()))
        assert len(second.client.engines()) == 1
    finally:
        second.end()
        second.client.close()
