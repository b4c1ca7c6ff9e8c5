"""What a user sees of our script in HexChat's window: tabs, menus, and the windows that ask."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.clients.drivers.hexchat import HexChat, Window, private, status
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.programs import run
from tests.clients.drivers.proxy import without_upkeep
from tests.clients.hexchat_support import SCRIPT, notes, readable, runtime, secure, start, talk, wait_note
from tests.clients.pictures import WORDS, picture

QUESTION = "Where did we eat the best pancakes?"
SECRET = "Grüner Baum 7"
TYPED = "hush hush 7"
"""A secret of keys that `xdotool` presses on any keyboard."""
LOOK = 0.8
"""Seconds in which a window has opened, or does not."""
PASSPHRASE = "correct horse, grün"

TAB, NICK = (88, 87), (262, 87)
"""Places on the screen: a conversation in the tree of tabs, and the nick in front of its first line."""

UNVERIFIED, VERIFIED = "\N{WARNING SIGN}", "\N{HEAVY CHECK MARK}"
ENDED = "\N{HEAVY MULTIPLICATION X}"

MENU = (
    "Start an encrypted conversation",
    "End it, and go on without",
    "Verify by a question...",
    "Verify by a secret...",
    "Answer a verification...",
    "Compare the fingerprint...",
    "Fingerprints",
    "Status",
    "Options",
    "Help",
)
_numbers = count(1)


class Pair:
    """Two clients on a server."""

    def __init__(self, alice: HexChat, bob: HexChat, port: int) -> None:
        self.alice, self.bob, self.port = alice, bob, port


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("window")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd"))
        alice, bob = start(running, folder, server.port, "alice", "bob", settings={"gui_win_height": "420"})
        yield Pair(alice, bob, server.port)
        assert alice.errors() == bob.errors() == []


@pytest.fixture
def secured(pair: Pair) -> Pair:
    """In an encrypted conversation, which is in front at both."""
    for client, peer in ((pair.alice, "bob"), (pair.bob, "alice")):
        client.open_query(peer)
    if label(pair.alice, "bob")[0] not in (UNVERIFIED, VERIFIED):
        secure(pair.alice, pair.bob)
    for client, peer in ((pair.alice, "bob"), (pair.bob, "alice")):
        client.show(private(peer))
        while client.dialogs():
            client.wait_dialog()
            client.press_button("Cancel")
    return pair


@pytest.fixture
def peer(pair: Pair) -> Iterator[OtrPeer]:
    """Somebody new, in an encrypted conversation with alice that they have begun."""
    with OtrPeer(pair.port, f"peer{next(_numbers)}") as peer:
        peer.start("alice")
        wait_note(pair.alice, peer.nick, "Secured: ")
        yield peer


def label(client: HexChat, nick: str) -> str:
    """Return the name of a tab as it is shown."""
    return client.tabs()[private(nick)].label


def wait_label(client: HexChat, nick: str, wanted: str) -> None:
    client.wait(lambda: label(client, nick) == wanted, f"the tab {wanted!r}")


def choose(client: HexChat, key: str) -> None:
    """Choose an entry of the menu OTR by its underlined letter."""
    client.press("alt+r")
    client.wait(lambda: menu(client), "the menu")
    client.desktop.press(key)
    client.wait(lambda: not menu(client), "the end of the menu")


def menu(client: HexChat) -> list[Window]:
    """Return the open menu, if there is one."""
    return [window for window in client.windows() if MENU[0] in window.labels and window.kind == "GtkWindow"]


def menus(client: HexChat) -> list[tuple[str, ...]]:
    """Return the entries of all open menus."""
    return [window.labels for window in client.windows() if not window.title and len(window.labels) > 1]


def close_menus(client: HexChat) -> None:
    client.desktop.press("Escape", "Escape")
    client.wait(lambda: not menus(client), "the end of the menus")


def nowhere(secret: str, *clients: tuple[HexChat, str]) -> None:
    """Assert that a secret is in no tab, no history, no file, and on no wire."""
    for client, peer in clients:
        assert not [line for line in client.printed() if secret in line.text]
        assert not client.files_with(secret)
        assert not readable([client], secret)
        assert not [kept for kept in history(client, peer) if secret in kept]


def history(client: HexChat, peer: str) -> list[str]:
    """Return what the key Up brings back in a conversation, the last at first."""
    client.show(private(peer))
    found: list[str] = []
    for _ in range(4):
        client.press("Up")
        found.append(client.input_line(private(peer)))
    client.press(*["Down"] * 6, "ctrl+a", "Delete")
    client.wait(lambda: not client.input_line(private(peer)), "an empty line")
    return found


# A conversation from its beginning, of which the pictures are.


def test_a_conversation_is_verified(pair: Pair) -> None:
    alice, bob = pair.alice, pair.bob
    alice.say("bob", "hi bob")
    bob.wait(lambda: bob.received("alice"), "the first text")
    bob.show(private("alice"))
    assert (label(alice, "bob"), label(bob, "alice")) == ("bob", "alice")
    choose(alice, "s")
    wait_note(alice, "bob", "Secured: ")
    wait_note(bob, "alice", "Secured: ")
    wait_label(alice, "bob", f"{UNVERIFIED} bob")
    wait_label(bob, "alice", f"{UNVERIFIED} alice")

    for one, other in ((alice, bob), (bob, alice)):
        one.show(private(other.nick))
        choose(one, "q")
        one.wait_dialog(f"A question to which only you and {other.nick} know")
        one.fill_in(QUESTION)
        one.wait_dialog("The answer that")
        assert not notes(other, one.nick, "wants to verify you"), "the secret comes first"
        one.fill_in(SECRET)
        wait_note(other, one.nick, f'asks: "{QUESTION}"')
        wait_label(one, other.nick, f"{UNVERIFIED} 25 % {other.nick}")
        # In front of the user it opens by itself.
        asked = other.wait_dialog(f"Your answer for {one.nick}")
        assert "pancakes" in asked.labels[0]
        assert "others at your screen can read it" in asked.labels[0]
        if one is alice:
            other.desktop.type("the Green Tr")
            other.wait(lambda: "Green Tr" in "".join(bob.dialogs()[0].entries), "an answer")
            picture("hexchat-question", bob.screenshot)
        other.fill_in(SECRET)
        wait_note(one, other.nick, f"Verified: {other.nick} knows the answer")
        wait_label(one, other.nick, f"{VERIFIED} {other.nick}")
    nowhere("Grüner", (alice, "bob"), (bob, "alice"))

    for client, nick in ((alice, "bob"), (bob, "alice")):
        client.command("/clear", private(nick))
    alice.say("bob", "/otr status")
    wait_note(alice, "bob", "and verified by a shared secret")
    clients = {"alice": alice, "bob": bob}
    for nick, text in WORDS:
        other = clients["bob" if nick == "alice" else "alice"]
        clients[nick].say(other.nick, text)
        other.wait_printed(text.removeprefix("/me "), private(nick))
    alice.wait_printed("the others", private("bob"))
    picture("hexchat-conversation", alice.screenshot)
    alice.press("alt+r", "Down", "Down")
    alice.wait(lambda: menu(alice), "the menu")
    picture("hexchat-menu", alice.screenshot)
    close_menus(alice)
    said = [
        line.words[1]
        for line in alice.printed(private("bob"))
        if line.event and line.text.startswith(VERIFIED)
    ]
    assert said == [f"\x0303{VERIFIED}\x0f {text.removeprefix('/me ')}" for _, text in WORDS]
    seen = alice.shown(private("bob"))
    assert f"{VERIFIED} pancakes, as back then at the lake?" in seen
    assert f"{VERIFIED} fetches the big pan" in seen


def test_the_menu(secured: Pair) -> None:
    alice = secured.alice
    (main,) = [window for window in alice.windows() if "HexChat" in window.title]
    assert main.labels.index("OTR") < main.labels.index("Help")
    alice.press("alt+r")
    (shown,) = alice.wait(lambda: menu(alice), "the menu")
    assert shown.labels == MENU
    close_menus(alice)

    choose(alice, "t")
    wait_note(alice, "bob", "The conversation with bob is encrypted")
    choose(alice, "g")
    wait_note(alice, "bob", "Keys of bob")
    choose(alice, "o")
    wait_note(alice, "bob", "The options of this chat client")
    choose(alice, "h")
    wait_note(alice, "bob", "/otr smp ask [QUESTION?]")


def test_the_menu_where_there_is_no_conversation(secured: Pair) -> None:
    alice = secured.alice
    alice.show(status())
    choose(alice, "q")
    alice.wait_printed("open its tab first", status())
    choose(alice, "f")
    alice.wait_printed("There is no encrypted conversation in this tab", status())
    choose(alice, "s")
    alice.wait_printed("With whom?", status())
    alice.command("/otr_client about start testnet", status())  # as the menu of the server's tab does
    alice.wait_printed("testnet is nobody with whom there is a conversation", status())
    alice.open_query("nobody")
    alice.show(private("nobody"))
    choose(alice, "f")
    wait_note(alice, "nobody", "There is no encrypted conversation in this tab")
    assert alice.dialogs() == []


def test_the_menus_of_tabs_and_nicks(secured: Pair) -> None:
    alice = secured.alice
    alice.command("/clear", private("bob"))
    talk(secured.bob, alice, "click on my nick")
    for place in (TAB, NICK):
        alice.desktop.click(place, 3)
        (shown,) = alice.wait(lambda: [labels for labels in menus(alice) if "OTR" in labels], "a menu")
        for _ in range(len(shown) + 2):
            alice.desktop.press("Up", "Right")
            if ("Start", "End", "Status") in menus(alice):
                break
            if len(menus(alice)) > 1:
                alice.desktop.press("Left")
        assert ("Start", "End", "Status") in menus(alice), (shown, menus(alice))
        before = len(notes(alice, "bob", "The conversation with bob is encrypted"))
        alice.desktop.press("Up", "Return")
        wait_note(alice, "bob", "The conversation with bob is encrypted", before + 1)


# Verifying.


@pytest.mark.parametrize("asker", ["alice", "bob"])
@pytest.mark.parametrize(("given", "outcome"), [("Hush hush 7", "NOT verified: "), (TYPED, "Verified: ")])
def test_verifying_by_a_question(secured: Pair, asker: str, given: str, outcome: str) -> None:
    clients = (secured.alice, secured.bob)
    one, other = clients if asker == "alice" else clients[::-1]
    before = len(notes(one, other.nick, outcome))
    one.say(other.nick, "/otr smp ask What do you say, and how often?")
    one.wait_dialog("The answer that")
    press(one, TYPED)
    other.wait_dialog(f"Your answer for {one.nick}")
    press(other, given)
    wait_note(one, other.nick, outcome, before + 1)
    wait_label(one, other.nick, f"{VERIFIED if outcome == 'Verified: ' else UNVERIFIED} {other.nick}")
    nowhere("ush hush", (one, other.nick), (other, one.nick))


def press(client: HexChat, text: str) -> None:
    """Press the keys of a text in a dialog, as a user does: nothing is cleared before."""
    (dialog,) = client.dialogs()
    client.desktop.type(text)
    client.wait(lambda: text in "".join(client.dialogs()[0].entries), f"{text!r} in {dialog.labels}")
    client.desktop.press("Return")
    client.wait(lambda: not client.dialogs(), "the end of a dialog")


def test_verifying_by_a_secret_that_both_know(secured: Pair) -> None:
    alice, bob = secured.alice, secured.bob
    done = len(notes(alice, "bob", "Verified: "))
    choose(alice, "c")
    alice.wait_dialog("The secret that only bob and you know")
    alice.fill_in(SECRET)
    bob.wait_dialog("Your answer for alice")
    # Not now; by the menu, it is asked for once more.
    bob.press_button("Cancel")
    assert not bob.dialogs()
    choose(bob, "a")
    bob.wait_dialog("Your answer for alice")
    bob.fill_in(SECRET)
    wait_note(alice, "bob", "Verified: ", done + 1)
    nowhere("Grüner", (alice, "bob"), (bob, "alice"))


def test_what_is_not_filled_in_asks_nobody(secured: Pair) -> None:
    alice, bob = secured.alice, secured.bob
    before = len(notes(bob, "alice", "wants to verify you"))
    choose(alice, "q")
    alice.wait_dialog("A question to which")
    alice.press_button("Cancel")
    choose(alice, "q")
    alice.wait_dialog("A question to which")
    alice.press_button("OK")
    choose(alice, "c")
    alice.wait_dialog("The secret that")
    alice.press_button("Cancel")
    talk(alice, bob, "and on we go")
    choose(alice, "c")
    alice.wait_dialog("The secret that")
    alice.press_button("OK")
    wait_note(alice, "bob", "bob was asked nothing")
    talk(alice, bob, "and on")
    assert len(notes(bob, "alice", "wants to verify you")) == before
    assert bob.dialogs() == []


def test_a_window_is_in_nobodys_way(secured: Pair) -> None:
    alice, bob = secured.alice, secured.bob
    bob.show(status())
    asked(alice, bob)
    assert bob.dialogs() == [], "another tab is in front"
    bob.show(private("alice"))
    bob.wait_dialog("Your answer for alice")
    bob.press_button("Cancel")

    bob.desktop.type("half a line")
    bob.wait(lambda: bob.input_line(private("alice")) == "half a line", "what is typed")
    asked(alice, bob)
    assert bob.dialogs() == [], "something is typed"
    bob.desktop.press("ctrl+a", "Delete")
    bob.wait_dialog("Your answer for alice")
    bob.press_button("Cancel")

    bob.say("alice", "/otr set dialogs off")
    wait_note(bob, "alice", "dialogs is off now")
    asked(alice, bob)
    assert bob.dialogs() == [], "so it is wished"
    bob.say("alice", "/otr set dialogs default")
    bob.say("alice", "/otr smp abort")
    wait_note(alice, "bob", "bob has called off the verification")
    assert bob.dialogs() == []


def asked(one: HexChat, other: HexChat) -> None:
    """Ask by a secret, once more if need be, and give a window all the time that it takes to open."""
    before = len(notes(other, one.nick, "wants to verify you"))
    one.say(other.nick, "/otr smp ask")
    one.wait_dialog("The secret that")
    one.fill_in(SECRET)
    wait_note(other, one.nick, "wants to verify you", before + 1)
    time.sleep(LOOK)


def test_a_question_that_is_called_off_before_it_is_seen(secured: Pair) -> None:
    alice, bob = secured.alice, secured.bob
    bob.show(status())
    asked(alice, bob)
    off = len(notes(bob, "alice", "alice has called off the verification"))
    alice.say("bob", "/otr smp abort")
    wait_note(bob, "alice", "alice has called off the verification", off + 1)
    bob.show(private("alice"))
    time.sleep(LOOK)
    assert bob.dialogs() == []


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ('is "it" you?" "otr end" "x', "is 'it' you?' 'otr end' 'x"),
        ("<b>bold</b> & <i>", "<b>bold</b> & <i>"),
        ("%s %n %1 $1 \\ \\n", "%s %n %1 $1 \\ \\n"),
        ("one\ntwo\rthree\x02\x07\x1b[31m", None),
        ("wide " * 2000, None),
        ("\N{RIGHT-TO-LEFT OVERRIDE}?uoy ti sI", None),
        ('"', "'"),
    ],
)
def test_a_peers_question_breaks_nothing(pair: Pair, peer: OtrPeer, question: str, shown: str | None) -> None:
    alice = pair.alice
    alice.show(private(peer.nick))
    before = len(alice.wire.sent())
    peer.verify("alice", SECRET, question)
    dialog = alice.wait_dialog(f"Your answer for {peer.nick}")
    text = " ".join(dialog.labels[0].split())
    assert dialog.labels[1:] == ("OK", "Cancel")
    assert dialog.entries == ("\N{ZERO WIDTH SPACE}",)
    assert max(map(len, dialog.labels[0].split("\n"))) <= 60
    assert not [sign for sign in dialog.labels[0] if sign < " " and sign != "\n"]
    if shown is not None:
        assert f"'{shown}'" in text
    assert without_upkeep(alice.wire.sent()[before:]) == []
    alice.fill_in(SECRET)
    peer.wait(lambda: notes(alice, peer.nick, f"{peer.nick} has verified you"), "the answer to be right")
    assert notes(alice, peer.nick, "error") == []


def test_comparing_fingerprints(pair: Pair, peer: OtrPeer) -> None:
    alice = pair.alice
    alice.show(private(peer.nick))
    told = notes(alice, peer.nick)
    theirs, ours = (
        "\n".join(line.split(":")[-1].strip() for line in told[at : at + 3])
        for at in (next(at for at, line in enumerate(told) if text in line) for text in THEIRS_AND_OURS)
    )
    assert len(theirs.split()) == len(ours.split()) == 14
    choose(alice, "f")
    dialog = alice.wait_dialog(f"does {peer.nick} read this to you?")
    assert theirs in dialog.labels[0]
    assert ours in dialog.labels[0]
    assert dialog.title == f"Verify {peer.nick}"
    alice.press_button("No")
    wait_note(alice, peer.nick, f"{peer.nick} is not verified")
    assert label(alice, peer.nick) == f"{UNVERIFIED} {peer.nick}"
    choose(alice, "f")
    alice.wait_dialog(theirs)
    picture("hexchat-compare", alice.screenshot)
    alice.press_button("Yes")
    wait_label(alice, peer.nick, f"{VERIFIED} {peer.nick}")
    peer.say("alice", "thanks")
    alice.wait_printed(f"{VERIFIED} thanks", private(peer.nick))
    alice.command("/otr distrust", private(peer.nick))
    wait_label(alice, peer.nick, f"{UNVERIFIED} {peer.nick}")


THEIRS_AND_OURS = ("'s fingerprint:", "your fingerprint:")


def test_the_tab_tells_how_it_stands(pair: Pair) -> None:
    alice = pair.alice
    with OtrPeer(pair.port, "slow") as slow:
        slow.answering = False
        alice.say("slow", "/otr start")
        wait_label(alice, "slow", "\N{HORIZONTAL ELLIPSIS} slow")
        slow.wait(lambda: slow.messages, "a question for OTR")
        slow.answering = True
        slow.take("alice", slow.messages[0].text)
        slow.wait_secured("alice")
        wait_label(alice, "slow", f"{UNVERIFIED} slow")
        alice.show(status())
        slow.say("alice", "are you there?")
        alice.wait(lambda: alice.tabs()[private("slow")].color, "a colour of the tab")
        slow.end("alice")
        wait_label(alice, "slow", f"{ENDED} slow")
        alice.say("slow", "/otr end")
        wait_label(alice, "slow", "slow")


# Keys that are locked.


def test_a_passphrase_is_asked_for(pair: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "carol"
    locked(folder)
    with HexChat("carol", folder, pair.port, addons=[SCRIPT], changes=runtime()) as carol:
        carol.wait_dialog("Passphrase of your private keys")
        carol.fill_in("wrong")
        carol.wait_dialog("Passphrase of your private keys")
        carol.press_button("Cancel")
        carol.say("bob", "too early")
        wait_note(carol, "bob", "Not sent to bob")
        assert not readable([carol], "too early")
        carol.command("/otr keys", status())
        carol.wait_dialog("Passphrase of your private keys")
        carol.fill_in(PASSPHRASE)
        carol.command("/otr keys", status())
        carol.wait_printed("you have the key", status())
        assert carol.dialogs() == []
        secure(carol, pair.bob)
        talk(carol, pair.bob, "now")
        nowhere("correct horse", (carol, "bob"))
        assert carol.errors() == []


def locked(folder: Path) -> None:
    """Put a key that is locked into the home of a HexChat to be."""
    (folder / "home").mkdir(parents=True)
    secret = folder / "home" / "passphrase"
    secret.touch(0o600)
    secret.write_text(PASSPHRASE + "\n")
    for command in (["generate", "default"], ["passphrase", "--file", str(secret)]):
        done = run(folder, "otr", "keys", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    secret.unlink()
