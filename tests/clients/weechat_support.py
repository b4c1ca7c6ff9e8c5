"""WeeChats with our script in them, and what tests of it look for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from importlib import resources
from pathlib import Path
from typing import Protocol

import otrcore
from tests.clients.drivers.probed import SERVER
from tests.clients.drivers.weechat import CORE, WeeChat, private

NAME = "otr_client"
SCRIPT = Path(str(resources.files("otrcore.scripts.weechat") / f"{NAME}.py"))

# What `otr install weechat` writes into the script, else.
RUNTIME = {
    "OTR_CLIENT_PYTHON": sys.executable,
    "OTR_CLIENT_PACKAGES": str(Path(otrcore.__file__).parents[1]),
}

_SECURED = "Secured: the conversation with {} is encrypted"


def start(
    running: ExitStack,
    folder: Path,
    port: int,
    *nicks: str,
    kind: type[WeeChat] = WeeChat,
    script: Path = SCRIPT,
    servers: Mapping[str, int] | None = None,
    settings: Mapping[str, str] | None = None,
) -> list[WeeChat]:
    """Start WeeChats with our script at the same time; they end with `running`."""

    def one(nick: str) -> WeeChat:
        return kind(
            nick,
            folder / f"weechat-{nick}",
            port,
            servers=servers,
            settings=settings,
            scripts=[script],
            changes=RUNTIME,
        )

    with ThreadPoolExecutor(len(nicks)) as pool:
        starting = [pool.submit(one, nick) for nick in nicks]
    return [running.enter_context(client.result()) for client in starting]


def secure(alice: WeeChat, bob: WeeChat, server: str = SERVER) -> None:
    """Start an encrypted conversation by a command, and wait until both have it."""
    pairs = [(alice, bob.nick), (bob, alice.nick)]
    before = [len(notes(client, peer, _SECURED.format(peer), server)) for client, peer in pairs]
    alice.say(bob.nick, "/otr start", server)
    for (client, peer), times in zip(pairs, before, strict=True):
        wait_note(client, peer, _SECURED.format(peer), times + 1, server)


def notes(client: WeeChat, peer: str, text: str = "", server: str = SERVER) -> list[str]:
    """Return the lines with a text that OTR has said in a conversation."""
    return [line.text for line in client.printed(private(peer, server), "otr") if text in line.text]


def wait_note(client: WeeChat, peer: str, text: str, times: int = 1, server: str = SERVER) -> None:
    """Wait until OTR has said something in a conversation, so many times."""
    client.wait(lambda: len(notes(client, peer, text, server)) >= times, f"OTR to say {text!r} with {peer}")


def talk(alice: WeeChat, bob: WeeChat, text: str, server: str = SERVER) -> None:
    """Have a text typed, and wait until it is read."""
    before = bob.received(alice.nick, server).count(text)
    alice.say(bob.nick, text, server)
    bob.wait_received(alice.nick, text, before + 1, server)


def readable(clients: Iterable[WeeChat], text: str) -> list[str]:
    """Return the lines between clients and servers in which a text can be read."""
    wires = [wire for client in clients for wire in client.wires.values()]
    return [line.text for wire in wires for line in wire.lines if text in without_offer(line.text)]


def without_offer(line: str) -> str:
    """Return a line without an offer of OTR, which stands between two words of it, in blanks."""
    return re.sub(r"[ \t]{16,}", " ", line)


def answer(client: WeeChat, peer: str, secret: str, server: str = SERVER) -> None:
    """Type the secret that is asked for in a conversation."""
    client.type(secret, private(peer, server))


class Client(Protocol):
    """A chat client that may have an engine."""

    @property
    def pid(self) -> int: ...

    @property
    def environment(self) -> Mapping[str, str]: ...

    def wait(self, look: Callable[[], int], what: str) -> int: ...


def engine_of(client: Client) -> int:
    """Return the process that is the engine of a client, once there is one."""
    run = Path(client.environment["HOME"]) / ".local/share/otrcore/run"

    def found() -> int:
        for path in run.glob(f"{client.pid}-*.lock"):
            with suppress(ValueError, OSError):
                pid = int(path.read_text())
                if Path(f"/proc/{pid}/cmdline").read_bytes().count(b"otrcore.engine"):
                    return pid
        return 0

    return client.wait(found, "an engine")


def wait_bar(client: WeeChat, peer: str, text: str, server: str = SERVER) -> None:
    """Wait until the bar item shows a text for a conversation; without a terminal, bars are only made anew
    when another buffer is shown."""

    def looked() -> bool:
        client.show(CORE)
        client.show(private(peer, server))
        return client.bar_item("otr") == text

    client.wait(looked, f"otr to show {text!r}")
