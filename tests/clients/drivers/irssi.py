"""A real irssi with its OTR plugin, typed into like a user would and read from its own log.

What was learnt about it, and is taken care of here:
- The plugin is loaded at the start and its key made before the first conversation: irssi
  loses the key exchange during which it has to make one.
- It has a flood limit of its own, a line every few seconds, which is lifted.
- `/otr init`, `/otr finish` and `/otr trust` act on the query window that is in front.
- The log of a conversation holds texts and the plugin's notices, but stays empty without
  a time in front of its lines.
- A typed text that is too long for one IRC line is split before the plugin sees it: each
  part becomes an OTR message of its own.
- A text that begins with "/me " is OTR's way to carry an action: the plugin sends actions
  so, and shows such texts as "* nick does something".
- A text typed after the peer has ended the conversation shows as sent, but leaves as an
  empty line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.clients.drivers.proxy import RecordingProxy
from tests.clients.drivers.terminal import Terminal
from tests.clients.drivers.waiting import wait_for
from tests.support import require

# irssi's name for the network; the plugin keeps one key for each.
NETWORK = "test"

CONFIGURATION = """\
servers = (
  {{ address = "127.0.0.1"; port = "{port}"; chatnet = "{network}"; autoconnect = "yes"; use_tls = "no"; }}
);
chatnets = {{ {network} = {{ type = "IRC"; nick = "{nick}"; }}; }};
settings = {{
  core = {{ nick = "{nick}"; user_name = "{nick}"; real_name = "{nick}"; }};
  "fe-common/core" = {{ autolog = "yes"; autolog_path = "{folder}/log/$0"; autolog_level = "all"; }};
  "irc/core" = {{ cmd_queue_speed = "1msec"; cmds_max_at_once = "1000"; }};
}};
"""

_SECURED = "Session secured"
_ENDED_HERE = "-!- Finished conversation with {nick}"
_ENDED_THERE = "{nick} has finished the OTR session. Use /otr init to restart or /otr finish to finish."

# "12:34 " in front of every line of the log.
_TIME = re.compile(r"^\d\d:\d\d ", re.MULTILINE)


class Irssi:
    """An irssi that has connected as `nick` to a server on `port` of 127.0.0.1.

    `wire` has every raw line that it sent and received; its files are in `folder`.
    """

    def __init__(self, nick: str, folder: Path, port: int) -> None:
        folder.mkdir(parents=True)
        self.nick = nick
        self._folder = folder
        program = require("irssi")
        self.wire = RecordingProxy(port)
        settings = CONFIGURATION.format(nick=nick, folder=folder, port=self.wire.port, network=NETWORK)
        (folder / "config").write_text(settings)
        (folder / "startup").write_text("load otr\n")
        self._terminal: Terminal | None = None
        try:
            self._terminal = Terminal(folder, [program, f"--home={folder}"])
            self._wait(lambda: [line for line in self.wire.received() if " 376 " in line], "the welcome")
            self.command(f"/otr genkey {NETWORK}")
            self._wait(lambda: f"OTR key generation for {NETWORK} completed" in self.screen(), "its key")
        except Exception:
            # Whatever went wrong, nobody has the object yet to close it.
            self.close()
            raise

    def command(self, line: str) -> None:
        """Type a line into whatever window is in front."""
        assert self._terminal is not None
        self._terminal.enter(line)

    def screen(self) -> str:
        """Return what can be read on the screen now."""
        return self._terminal.screen() if self._terminal is not None else ""

    def start_otr(self, nick: str) -> None:
        """Ask `nick` for an OTR conversation."""
        self._in_query(nick, "/otr init")

    def end_otr(self, nick: str) -> None:
        """End the OTR conversation with `nick`, and wait until irssi says so."""
        notice = _ENDED_HERE.format(nick=nick)
        before = self.shown(nick).count(notice)
        self._in_query(nick, "/otr finish")
        self._wait(lambda: self.shown(nick).count(notice) > before, f"the end of OTR with {nick}")

    def trust(self, nick: str) -> None:
        """Mark the key of `nick` in the present conversation as trusted."""
        self._in_query(nick, "/otr trust")
        self._wait(
            lambda: [line for line in self.shown(nick) if line.startswith("Trusting ")],
            f"the key of {nick} to be trusted",
        )

    def verify(self, nick: str, secret: str) -> None:
        """Answer `nick` by a secret if it has asked, else ask."""
        self._in_query(nick, f"/otr auth {secret}")

    def say(self, nick: str, text: str) -> None:
        """Type a text to `nick`."""
        # irssi takes what stands behind "/ " as a text, also when that begins with a slash.
        self._in_query(nick, f"/ {text}" if text.startswith("/") else text)

    def secured(self, nick: str) -> bool:
        """Whether, by the notices, the conversation with `nick` is encrypted now."""
        ends = {_ENDED_HERE.format(nick=nick), _ENDED_THERE.format(nick=nick)}
        notices = [line for line in self.shown(nick) if line == _SECURED or line in ends]
        return notices[-1:] == [_SECURED]

    def wait_secured(self, nick: str) -> None:
        """Wait until the conversation with `nick` is encrypted."""
        self._wait(lambda: self.secured(nick), f"OTR with {nick} to be secured")

    def wait_ended(self, nick: str) -> None:
        """Wait until the conversation with `nick` has ended, on whichever side."""
        self._wait(lambda: not self.secured(nick), f"OTR with {nick} to end")

    def fingerprints(self, nick: str) -> dict[str, str]:
        """Return whose key irssi showed with which fingerprint, 40 upper-case hex digits, last time."""
        found = re.findall(r"^OTR key fingerprint: ([0-9A-F ]{44}) for (.+)$", self._log(nick), re.MULTILINE)
        return {owner: fingerprint.replace(" ", "") for fingerprint, owner in found}

    def received(self, nick: str) -> list[str]:
        """Return the texts that irssi has shown as said by `nick`, encrypted or not."""
        mark = f"<{nick}> "
        return [line.removeprefix(mark) for line in self.shown(nick) if line.startswith(mark)]

    def wait_received(self, nick: str, text: str) -> None:
        """Wait until `nick` has said `text`."""
        self._wait(lambda: text in self.received(nick), f"{text!r} from {nick}")

    def shown(self, nick: str) -> list[str]:
        """Return every line of the conversation with `nick`: both sides' texts and the notices."""
        return self._log(nick).split("\n")[:-1]

    def close(self) -> None:
        """End irssi; the server finds its connection closed."""
        if self._terminal is not None:
            self._terminal.close()
        self.wire.close()

    def __enter__(self) -> Irssi:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _in_query(self, nick: str, line: str) -> None:
        self.command(f"/query {nick}")
        self.command(line)

    def _log(self, nick: str) -> str:
        # irssi names its logs in lower case.
        log = self._folder / "log" / nick.lower()
        return _TIME.sub("", log.read_text(errors="surrogateescape")) if log.exists() else ""

    def _wait(self, look: Callable[[], object], what: str) -> None:
        wait_for(look, lambda: f"{what}; irssi shows {self.nick}:\n{self.screen()}")
