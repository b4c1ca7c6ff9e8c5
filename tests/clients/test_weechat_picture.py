"""A whole conversation as WeeChat shows it in a terminal: the one of which there is a picture."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from tests.clients.drivers.desktop import Desktop, handed_over
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.waiting import wait_for
from tests.clients.drivers.weechat import CursesWeeChat, WeeChat, private
from tests.clients.pictures import WORDS, picture
from tests.clients.weechat_support import answer, start, wait_note
from tests.support import require

SECRET = "the Green Tram"


class Wide(CursesWeeChat):
    """In a window as people have them."""

    columns = 100
    rows = 30


def test_a_conversation_is_verified(tmp_path: Path) -> None:
    with ExitStack() as running:
        server = running.enter_context(Ngircd(tmp_path / "ngircd"))
        looks = {
            "weechat.bar.status.items": "[otr],buffer_name",
            "weechat.bar.buflist.hidden": "on",
            "weechat.look.buffer_time_format": "%H:%M",
            "irc.look.server_buffer": "independent",
        }
        (alice,) = start(running, tmp_path, server.port, "alice", kind=Wide, settings=looks)
        (bob,) = start(running, tmp_path, server.port, "bob")
        assert isinstance(alice, CursesWeeChat)
        alice.open_query("bob")
        alice.type("/otr start", private("bob"))
        wait_note(alice, "bob", "Secured: ")
        wait_note(bob, "alice", "Secured: ")
        alice.type("/otr smp ask Where did we get lost in the snow?", private("bob"))
        alice.wait_screen("[alice] secret>")
        alice.type(SECRET, private("bob"))
        wait_note(bob, "alice", "asks:")
        bob.say("alice", "/otr smp answer")
        answer(bob, "alice", SECRET)
        wait_note(alice, "bob", "Verified: bob knows the answer")
        for nick, text in WORDS:
            if nick == "alice":
                alice.type(text, private("bob"))
            else:
                bob.say("alice", text)
            said = text.removeprefix("/me ")
            alice.wait_screen(said)
            wait_printed(bob, "alice", said)
        alice.wait_screen("[OTR4: encrypted, verified]")
        shown = alice.screen()
        assert not [line for line in shown.splitlines() if len(line) > Wide.columns]
        assert SECRET not in shown
        for text in ("Verified: bob knows the answer", *(text.removeprefix("/me ") for _, text in WORDS)):
            assert text in shown
        picture("weechat-conversation", lambda path: _draw(alice, tmp_path, path))


def wait_printed(client: WeeChat, peer: str, text: str) -> None:
    """Wait until a text stands in a conversation."""
    client.wait(lambda: [line for line in client.printed(private(peer)) if text in line.text], repr(text))


def _draw(weechat: CursesWeeChat, folder: Path, path: Path) -> None:
    """Have a real terminal draw the screen, and write a picture of it."""
    with handed_over(folder / "desktop") as place:
        (place / "screen").write_text("\x1b[?25l" + weechat.drawing())
        environment = {"PATH": os.environ["PATH"], "HOME": str(place), "LC_ALL": "C.UTF-8"}
        with Desktop(place, environment) as desktop:
            size = f"{Wide.columns}x{Wide.rows}+0+0"
            look = ["-fa", "DejaVu Sans Mono", "-fs", "10", "-bg", "#1d1f21", "-fg", "#d0d0d0", "-b", "4"]
            look += ["-xrm", "XTerm*faceSize:10", "-T", "WeeChat"]
            show = ["tail", "-n", "+1", "-f", str(place / "screen")]
            desktop.start("xterm", require("xterm"), *look, "-geometry", size, "-e", *show)
            wait_for(lambda: desktop.windows("xterm"), lambda: f"xterm: {desktop.log('xterm')}")
            wait_for(lambda: _drawn(desktop, place), "the screen to be drawn")
            desktop.screenshot(path)


def _drawn(desktop: Desktop, place: Path) -> bool:
    """Whether the picture does not change any more."""
    sizes = []
    for name in ("before.png", "after.png"):
        desktop.screenshot(place / name)
        sizes.append((place / name).stat().st_size)
    return sizes[0] == sizes[1] > 8000
