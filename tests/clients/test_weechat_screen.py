"""What a user sees of our script in a terminal of 80 by 24."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.weechat import CORE, CursesWeeChat, WeeChat, private
from tests.clients.weechat_support import answer, readable, secure, start, wait_note

SECRET = "grün 7, and no less"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CursesWeeChat, WeeChat]]:
    folder = tmp_path_factory.mktemp("screen")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd"))
        items = {"weechat.bar.status.items": "[otr],buffer_name"}
        (alice,) = start(running, folder, server.port, "alice", kind=CursesWeeChat, settings=items)
        (bob,) = start(running, folder, server.port, "bob")
        assert isinstance(alice, CursesWeeChat)
        yield alice, bob
        assert alice.errors() == []


@pytest.fixture
def secured(pair: tuple[CursesWeeChat, WeeChat]) -> tuple[CursesWeeChat, WeeChat]:
    """In an encrypted conversation, which is in front."""
    alice, bob = pair
    alice.open_query("bob")
    if alice.variables(private("bob")).get("otr_encrypted") != "true":
        secure(alice, bob)
    alice.show(private("bob"))
    return pair


def test_the_bar_and_the_input_line(pair: tuple[CursesWeeChat, WeeChat]) -> None:
    alice, bob = pair
    alice.say("bob", "hello")
    alice.wait_screen("[OTR: not encrypted]")
    assert "[alice]" in alice.screen()
    assert "OTR>" not in alice.screen()

    secure(alice, bob)
    alice.wait_screen("[OTR4: encrypted, NOT verified]")
    alice.insert("what I am about to say", private("bob"))
    alice.wait_screen("[alice] OTR> what I am about to say")
    alice.command("/input delete_line", private("bob"))
    alice.show(CORE)
    alice.wait(lambda: "OTR4" not in alice.screen(), "no word of OTR where nobody is talked with")
    alice.show(private("bob"))
    alice.type("/otr log on", private("bob"))
    alice.wait_screen("[OTR4: encrypted, NOT verified, logged]")
    alice.type("/otr log off", private("bob"))
    alice.wait(lambda: ", logged]" not in alice.screen(), "the end of logging")


def test_a_secret_is_unseen(secured: tuple[CursesWeeChat, WeeChat]) -> None:
    alice, bob = secured
    alice.insert("half a line", private("bob"))
    alice.command("/otr smp ask", private("bob"))
    alice.wait_screen("[alice] secret>")
    assert "half a line" not in alice.screen(), "it is put away, and not taken for the secret"
    alice.insert(SECRET, private("bob"))
    alice.wait_screen("[alice] secret> " + "*" * len(SECRET))
    alice.command("/input return", private("bob"))
    alice.wait_screen("[alice] OTR> half a line")
    alice.wait_screen("NOT verified, 25 %]")
    alice.command("/input delete_line", private("bob"))
    # Up and undo bring nothing back.
    for key in ("history_previous", "history_previous", "undo", "undo", "redo", "clipboard_paste"):
        alice.command(f"/input {key}", private("bob"))
        assert "grün" not in alice.input_line(private("bob")), key
    alice.command("/input delete_line", private("bob"))

    wait_note(bob, "alice", "wants to verify you")
    bob.say("alice", "/otr smp answer")
    answer(bob, "alice", SECRET)
    alice.wait_screen("[OTR4: encrypted, verified]")
    assert not [line for line in alice.printed() if "grün" in line.text]
    assert not readable([alice, bob], "grün")


def test_the_end(secured: tuple[CursesWeeChat, WeeChat]) -> None:
    alice, bob = secured
    bob.say("alice", "/otr end")
    alice.wait_screen("[OTR: ended there]")
    alice.insert("is this safe?", private("bob"))
    alice.wait_screen("[alice] not sent> is this safe?")
    alice.command("/input return", private("bob"))
    alice.wait_screen("your text: is this safe?")
    assert not readable([alice], "is this safe?")
    alice.type("/otr end", private("bob"))
    alice.wait_screen("[OTR: not encrypted]")
    assert (
        not alice.screen()
        .split("\n")[-1]
        .removeprefix(" ")
        .strip("│ 0123456789.abcdefghijklmnopqrstuvwxyz[]")
    )


def test_colours_and_texts_are_options(secured: tuple[CursesWeeChat, WeeChat]) -> None:
    alice, _ = secured
    alice.set_option("otrcore.look.encrypted", '"${color:red}nobody may read this"')
    alice.wait_screen("[nobody may read this, ")
    alice.set_option("otrcore.look.input_encrypted", '""')
    alice.insert("unmarked", private("bob"))
    alice.wait_screen("[alice] unmarked")
    alice.command("/input delete_line", private("bob"))
    alice.command("/save otrcore")
    assert "look" in (alice.data / "otrcore.conf").read_text()
    assert not [line for line in (alice.data / "otrcore.conf").read_text().split("\n") if "bob" in line]
