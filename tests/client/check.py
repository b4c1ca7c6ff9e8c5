"""A check of the client that any Python can run by itself: `python3.8 -I -S check.py SOURCES WORK`."""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import sys
from importlib import import_module
from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))


def import_everything() -> ModuleType:
    """Import all of the package, and see that nothing else of ours comes along."""
    package = import_module("otrcore.client")
    for module in pkgutil.iter_modules(package.__path__):
        import_module("otrcore.client." + module.name)
    ours = [name for name in sys.modules if name.split(".")[0] == "otrcore"]
    strays = [name for name in ours if name != "otrcore" and not name.startswith("otrcore.client")]
    assert not strays, strays
    foreign = [
        name
        for name, module in sys.modules.items()
        if "site-packages" in (getattr(module, "__file__", None) or "")
    ]
    assert not foreign, foreign
    assert "threading" not in sys.modules or sys.modules["threading"].active_count() == 1
    return import_module("screen")


def talk(screen: ModuleType, folder: str) -> None:
    """Go through the life of a script."""
    plan = screen.plan
    client = screen.Client(folder)
    try:
        chat = client.up()
        assert chat.outgoing("net", "bob", "grüße \udcff \U0001f512").verdict == "pass"
        assert client.asked("outgoing")[0]["text"] == "grüße \udcff \U0001f512"
        encrypted = {"a": "status", "server": "net", "peer": "bob", "state": "encrypted"}
        sent = {"a": "send", "server": "net", "to": "bob", "lines": ["?OTR:1."]}
        decided = {"to": "bob", "verdict": "drop", "actions": [sent]}
        text = plan(before=[{"actions": [encrypted]}], answer={"decisions": [decided]})
        assert chat.outgoing("net", "bob", text).verdict == "drop"
        assert [did.what for did in client.screen.done] == ["status", "send"]
        assert chat.mine("net", "PRIVMSG bob :?OTR:1.")
        assert chat.incoming("net", "bob!b@h", "alice", "hi").verdict == "pass"

        os.kill(client.engines()[0], signal.SIGKILL)
        client.screen.until(lambda: len(client.asked("connected")) == 2)
        assert chat.outgoing("net", "bob", "secret").verdict == "drop"
        assert client.screen.typed() == ["secret"]

        chat.unload()
        kept = json.loads(json.dumps(chat.guard.kept))
        chat = client.load(kept)
        client.up()
        assert len(client.engines()) == 2, "the script has found its engine again"
        assert chat.outgoing("net", "bob", "secret").verdict == "drop"
        chat.command("net", "bob", "end")
        assert chat.outgoing("net", "bob", "hi").verdict == "pass"

        chat.restart()
        client.screen.until(lambda: len(client.engines()) == 3 and chat.link.state.name == "UP")
        chat.quit()
        client.screen.until(lambda: not any(map(client.is_engine, client.engines())))
        assert chat.outgoing("net", "carol", "hi").verdict == "drop"
        try:
            ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            ended = (0, 0)
        assert ended == (0, 0), "a process was left to be reaped"
    finally:
        client.close()


if __name__ == "__main__":
    sys.path += [sys.argv[1], HERE]
    talk(import_everything(), sys.argv[2])
    print("fine on", ".".join(map(str, sys.version_info[:2])))
