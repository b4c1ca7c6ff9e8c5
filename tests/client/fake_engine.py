"""An engine without OTR: speaks the link as it is written down, and does what each request asks it to.

Runs with any Python that the client runs with.  A request whose text (or what was typed) is a JSON
object is a plan: what to send before the answer, what to answer, what to send behind it, how long
to take, or how to end.  Everything that comes is written to a file, a JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Frame = dict[str, Any]


class Engine:
    def __init__(self, options: argparse.Namespace, settings: Frame) -> None:
        self.options = options
        self.settings = settings
        self.connection: socket.socket | None = None
        self.rest = b""
        self.pushes = 0
        self.idle_since = time.monotonic()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(options.socket)
        self.listening.listen(settings.get("backlog", 5))

    def note(self, **what: Any) -> None:
        with open(self.options.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")

    def run(self) -> None:
        while True:
            watched = [self.listening] + ([self.connection] if self.connection else [])
            ready = select.select(watched, [], [], 0.05)[0]
            try:
                os.kill(self.options.client_pid, 0)
            except ProcessLookupError:
                return
            if self.connection is None and time.monotonic() - self.idle_since > self.options.patience:
                return
            if self.listening in ready:
                self.accept()
            elif self.connection is not None and self.connection in ready:
                self.read(self.connection)

    def accept(self) -> None:
        newest = self.listening.accept()[0]
        if self.connection is not None:
            self.push({"superseded": True})
            self.connection.close()
        self.connection, self.rest, self.pushes = newest, b"", 0
        self.note(connected=True)

    def read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            connection.close()
            self.connection, self.idle_since = None, time.monotonic()
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            self.note(**request)
            self.handle(request)

    def send(self, frame: Frame) -> None:
        self.raw(json.dumps(frame).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        assert self.connection is not None
        try:
            self.connection.sendall(data)
        except OSError:
            self.note(gone=True)

    def push(self, frame: Frame) -> None:
        self.pushes += 1
        self.send(dict(frame, push=self.pushes))

    def handle(self, request: Frame) -> None:
        do = request["do"]
        plan = self.plan(request)
        time.sleep(plan.get("sleep", 0))
        if plan.get("end") == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        for frame in plan.get("before", []):
            self.push(frame)
        if plan.get("end") == "silent":
            return
        if "raw" in plan:
            self.raw(plan["raw"].encode("latin-1") * plan.get("times", 1))
        answer = {"re": request["n"], "ok": True, **self.answer(do, request), **plan.get("answer", {})}
        behind = [dict(frame, push=self.pushes + 1 + at) for at, frame in enumerate(plan.get("behind", []))]
        self.pushes += len(behind)
        # In one piece, so that the client has read what is behind the answer when it has the answer.
        self.raw(b"".join(json.dumps(frame).encode() + b"\n" for frame in [answer, *behind]))
        if do == "shutdown" or plan.get("end") == "closed":
            self.note(ended=do)
            os.unlink(self.options.socket)
            sys.exit()

    def plan(self, request: Frame) -> Frame:
        said = str(request.get("text", request.get("typed", "")))
        if said.startswith("{"):
            planned: Frame = json.loads(said)
        else:
            planned = self.settings.get("plans", {}).get(request["do"], {})
        return planned

    def answer(self, do: str, request: Frame) -> Frame:
        if do == "hello":
            known = {"protocol": 1, "version": "0.1", "pid": os.getpid(), "servers": [], "states": []}
            return {**known, **self.settings.get("hello", {})}
        if do == "outgoing":
            return {"decisions": [{"to": to, "verdict": "pass"} for to in request["to"].split(",")]}
        if do == "incoming":
            return {"verdict": "pass"}
        return {}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("socket", "client-start", "data-dir", "log", "settings"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--client-pid", type=int, required=True)
    parser.add_argument("--patience", type=float, default=20)
    options = parser.parse_args()
    with open(options.settings, encoding="utf-8") as file:
        settings = json.load(file)
    with open(options.log, "a", encoding="utf-8") as file:
        started = {
            "started": os.getpid(),
            "arguments": sys.argv[1:],
            "environ": dict(os.environ),
            "folder": os.getcwd(),
            "session": os.getsid(0),
            "parent": os.getppid(),
            "mask": os.umask(0o077),
            "open": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else [],
            "standard": [os.fstat(number).st_rdev for number in range(3)],
        }
        file.write(json.dumps(started) + "\n")
    if settings.get("crashes"):
        sys.exit(1)
    time.sleep(settings.get("delay", 0))
    if settings.get("deaf"):
        time.sleep(60)
        return
    Engine(options, settings).run()


if __name__ == "__main__":
    main()
