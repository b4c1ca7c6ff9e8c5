"""For how long WeeChat stands still when our script is loaded for the first time, in wall-clock time."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread

from .linked import deadline, private_home
from .ours import Ours, WorkNotDone

STOPWATCH = Path(__file__).with_name("stopwatch.py")

_WHERE = "from importlib.resources import files; print(files('otrcore.scripts.weechat') / 'otr_client.py')"
_WELCOME = "".join(
    f":localhost {line}\r\n"
    for line in ("001 alice :Welcome", "005 alice NETWORK=Test :are supported", "422 alice :No message")
)


def script_load(ours: Ours) -> float:
    """Seconds for which WeeChat, connected to a server, does nothing else; with no key made before."""
    weechat = shutil.which(os.environ.get("OTR_TEST_WEECHAT") or "weechat-headless")
    if weechat is None:
        raise WorkNotDone("there is no weechat-headless")
    # As the engine finds it, and not by the folder that this was started in.
    found = subprocess.run([sys.executable, "-I", "-c", _WHERE], capture_output=True, text=True, check=False)
    if found.returncode:
        raise WorkNotDone("WeeChat's script is not installed")
    script = Path(found.stdout.strip())
    with private_home() as (home, environment), socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=_welcome, args=(server,), daemon=True).start()
        commands = (
            f"/server add test 127.0.0.1/{server.getsockname()[1]} -nicks=alice",
            "/set irc.server.test.ssl off",
            "/set irc.server.test.tls off",
            "/connect test",
            f"/python load {STOPWATCH}",
        )
        result = home / "seconds"
        process = subprocess.Popen(
            [weechat, "--dir", home / "weechat", *(word for line in commands for word in ("-r", line))],
            cwd=home,
            env={
                **environment,
                "OTR_CLIENT_PYTHON": sys.executable,
                "OTR_CLIENT_PACKAGES": str(script.parents[3]),
                "STOPWATCH_SCRIPT": str(script),
                "STOPWATCH_RESULT": str(result),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process, deadline(process):
            said, _ = process.communicate()
        if not result.exists():
            raise WorkNotDone(f"WeeChat did not load the script: {said.strip()[-200:]}")
        seconds = float(result.read_text("ascii"))
    if not seconds:
        raise WorkNotDone("WeeChat did not stand still at all")
    return seconds


def _welcome(server: socket.socket) -> None:
    """Be the IRC server: take whoever comes, and hear it until it leaves."""
    with suppress(OSError):
        connection, _ = server.accept()
        with connection:
            connection.sendall(_WELCOME.encode())
            while connection.recv(1 << 16):
                pass
