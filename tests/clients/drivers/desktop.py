"""A desktop of its own for a program with windows: a screen, a window manager and a bus for messages.

HexChat does not want to be run by root. So all of this, and what is started on it, belongs to the
user `nobody` when root runs the tests.

What was learnt about it, and is taken care of here:
- A window that comes while the window manager starts is never managed, so that has to be up first.
- A bus without folders of services starts no programs of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.clients.drivers.waiting import wait_for
from tests.support import require

# What subprocess needs to know to start a program as somebody without rights.
UNPRIVILEGED: dict[str, Any] = (
    {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
)

_BUS = """\
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

_END_SECONDS = 10


@contextmanager
def handed_over(folder: Path) -> Iterator[Path]:
    """Yield the folder to use in place of one that `nobody` shall own, where that user can reach it.

    Meanwhile the folder is a link to that place, and afterwards it has all that is there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not UNPRIVILEGED:
        folder.mkdir(exist_ok=True)
        yield folder
        return
    place = Path(tempfile.mkdtemp(prefix="otr-test-"))
    if folder.is_dir():
        for path in folder.iterdir():
            shutil.move(path, place)
        folder.rmdir()
    folder.symlink_to(place)
    try:
        give(place)
        yield place
    finally:
        folder.unlink()
        shutil.move(place, folder)


def give(path: Path) -> None:
    """Make the user without rights the owner of a file, or of a folder and all in it."""
    if not UNPRIVILEGED:
        return
    for each in [path, *path.rglob("*")]:
        shutil.chown(each, UNPRIVILEGED["user"], UNPRIVILEGED["group"])


class Desktop:
    """A screen of `width` x `height` pixels in true colour; `folder` is for its files.

    `environment` is what its programs get, and what leads others to it.
    """

    width = 1000
    height = 640

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self.environment = dict(environment)
        programs = ("Xvfb", "openbox", "dbus-daemon", "xdotool", "xclip", "xprop", "gdbus", "import")
        self._programs = {name: require(name) for name in programs}
        self._running = ExitStack()
        try:
            self.environment["DISPLAY"] = self._screen()
            self.environment["DBUS_SESSION_BUS_ADDRESS"] = self._bus()
            self.start("openbox", self._programs["openbox"], "--sm-disable")
            self._wait_managed()
        except BaseException:
            # Whatever went wrong, nobody has the object yet to close it.
            self.close()
            raise

    # Its life.

    def start(self, name: str, *command: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start a program on it, which ends with it; what it writes is in the file `name`.log."""
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self.environment,
                **UNPRIVILEGED,
                **more,
            )
        self._running.callback(_end, process)
        return process

    def log(self, name: str) -> str:
        """Return what a program has written."""
        path = self._folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """End all that was started, the last first."""
        self._running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Windows, keys and pictures.

    def windows(self, kind: str) -> dict[int, str]:
        """Return the visible windows of a class of programs, with their titles."""
        found = self._do("xdotool", "search", "--onlyvisible", "--class", kind, ok=(0, 1)).split()
        return {int(number): self._title(number) for number in found}

    def activate(self, window: int) -> None:
        """Bring a window to the front, where it gets the keys."""
        self._do("xdotool", "windowactivate", "--sync", str(window))

    def press(self, *keys: str) -> None:
        """Press keys, by X's names, in the window in front: `Return`, or `alt+t`."""
        self._do("xdotool", "key", "--clearmodifiers", *keys)

    def type(self, text: str) -> None:
        """Press the keys of a text, in ASCII, one after the other."""
        self._do("xdotool", "type", "--clearmodifiers", "--delay", "4", "--", text)

    def click(self, place: tuple[int, int], button: int = 1) -> None:
        """Click at a place of the screen, in pixels from its upper left corner."""
        self._point(place)
        self._do("xdotool", "click", str(button))

    def select(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        """Drag the mouse between two places as `click` has them, and return what is selected by that."""
        with self.copied("nothing", "primary"):
            pass  # whoever had something selected has not any more
        middle = ((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
        self._point(start)
        self._do("xdotool", "mousedown", "1")
        # A program may take two moves for one, and one for a click.
        self._point(middle)
        self._point(end)
        self._do("xdotool", "mouseup", "1")
        return wait_for(lambda: self._copied("primary"), "a selection", _END_SECONDS)

    @contextmanager
    def copied(self, text: str, selection: str = "clipboard") -> Iterator[None]:
        """Have a text in the clipboard, or in another of X's selections, and nothing there afterwards."""
        command = [self._programs["xclip"], "-selection", selection, "-quiet"]
        with (self._folder / "xclip.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self._folder,
                env=self.environment,
                **UNPRIVILEGED,
            )
        try:
            assert process.stdin is not None
            process.stdin.write(text.encode())
            process.stdin.close()
            wait_for(lambda: self._copied(selection) == text, f"the text in {selection}", _END_SECONDS)
            yield
        finally:
            _end(process)

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole screen, as PNG."""
        picture = self._folder / "screen.png"
        self._do("import", "-window", "root", str(picture))
        shutil.move(picture, path)

    # Messages.

    def call(self, service: str, path: str, method: str, *arguments: str) -> str:
        """Call a method over the bus and return its answer; that and the arguments are GVariant's texts."""
        there = ["--dest", service, "--object-path", path, "--method", method]
        return self._do("gdbus", "call", "--session", *there, "--", *arguments)

    # Its parts.

    def _screen(self) -> str:
        reader, writer = os.pipe()
        try:
            size = f"{self.width}x{self.height}x24"
            options = ["-displayfd", str(writer), "-screen", "0", size, "-nolisten", "tcp", "-noreset"]
            server = self.start("Xvfb", self._programs["Xvfb"], *options, pass_fds=(writer,))
        finally:
            os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            number = answer.readline().strip().decode()
        if not number:
            _end(server)
            raise RuntimeError(f"Xvfb does not start: {self.log('Xvfb')}")
        return f":{number}"

    def _bus(self) -> str:
        # Not in the folder: a socket's whole path may only have about 100 bytes.
        place = Path(tempfile.mkdtemp(prefix="otr-test-bus-"))
        self._running.callback(shutil.rmtree, place)
        socket, configuration = place / "bus", place / "bus.conf"
        configuration.write_text(_BUS.format(socket=socket))
        give(place)
        options = ["--nofork", "--nopidfile", f"--config-file={configuration}"]
        self.start("dbus-daemon", self._programs["dbus-daemon"], *options)
        wait_for(socket.exists, lambda: f"the bus: {self.log('dbus-daemon')}", _END_SECONDS)
        return f"unix:path={socket}"

    def _wait_managed(self) -> None:
        def managed() -> bool:
            return "window id" in self._do("xprop", "-root", "_NET_SUPPORTING_WM_CHECK", ok=(0, 1))

        wait_for(managed, lambda: f"openbox: {self.log('openbox')}", _END_SECONDS)

    def _title(self, window: str) -> str:
        return self._do("xdotool", "getwindowname", window, ok=(0, 1)).rstrip("\n")

    def _copied(self, selection: str) -> str:
        return self._do("xclip", "-selection", selection, "-out", ok=(0, 1))

    def _point(self, place: tuple[int, int]) -> None:
        self._do("xdotool", "mousemove", "--sync", *map(str, place))

    def _do(self, name: str, *arguments: str, ok: Sequence[int] = (0,)) -> str:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [self._programs[name], *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self._folder,
            env=self.environment,
            check=False,
            timeout=20,
            **UNPRIVILEGED,
        )
        if done.returncode not in ok:
            raise RuntimeError(f"{name} {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(_END_SECONDS)
