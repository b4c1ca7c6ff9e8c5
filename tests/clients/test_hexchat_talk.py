"""Two HexChats with our script, on a server that allows nicks of 30 characters: a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from tests.clients.drivers.hexchat import HexChat, private, status
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.proxy import without_upkeep
from tests.clients.hexchat_support import (
    notes,
    readable,
    received,
    secure,
    sent,
    start,
    talk,
    talk_both_ways,
    wait_note,
)

# As long as the server allows, so that the prefix in front of delivered lines is as long as it gets.
ALICE = "Alice-" + "a" * 24
BOB = "bob"
CHANNEL = "#test"

SECURED = "Secured: the conversation with {} is encrypted"
UNVERIFIED = "\x0307\N{WARNING SIGN}\x0f "
ENDED = "\N{HEAVY MULTIPLICATION X} "
NOT_ENCRYPTED = "\x0304[not encrypted]\x0f "

TEXTS = [
    "Grüße aus Zürich, 你好, 👋🏽",
    "   blanks in front,  and  two  inside",
    '"quoted", and "once more',
    "100% %s %n %1 $1 &1 <b>bold?</b> &amp;",
    "?OTR is my secret",
    "?OTR:AAMD, it begins",
    ":colons: at both ends:",
]
LONG = ("A line of two thousand characters, which IRC has no room for, from first to last. " * 30)[:2000]
WIDE = "Größe 你好 👋🏽 " * 60
BOLD_AND_RED = "\x02bold\x02 and \x0304red\x03"

LOGGING, SCROLLBACK = 11, 13
"""Bits of a tab's flags; each with the next one, which tells that there is no value of its own."""

PARROT = """\
import hexchat

__module_name__ = "parrot"
__module_version__ = "1"
__module_description__ = "says what it is told to"


def heard(word, word_eol, data):
    if "say: " in word[1]:
        hexchat.command("say " + word[1].partition("say: ")[2])


hexchat.hook_print("Private Message to Dialog", heard)
"""

_numbers = count(1)


class Pair:
    """Two clients in an encrypted conversation."""

    def __init__(self, alice: HexChat, bob: HexChat, port: int) -> None:
        self.alice, self.bob, self.port = alice, bob, port

    def both(self) -> list[tuple[HexChat, HexChat]]:
        return [(self.alice, self.bob), (self.bob, self.alice)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("talk")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd"))
        alice, bob = start(running, folder, server.port, ALICE, BOB, channels=(CHANNEL,))
        assert alice.addons()["otr_client"]
        talk(alice, bob, "in the clear")
        secure(alice, bob)
        yield Pair(alice, bob, server.port)
        for client in (alice, bob):
            assert client.errors() == []
            shown = [line.text for line in client.printed() if "?OTR" in line.text]
            assert not [text for text in shown if not any(text.endswith(ours) for ours in SAID)]


SAID = [*TEXTS, "?OTRv23? in a channel", "?OTR:AAMDfaked."]
"""What may be shown though it looks like OTR."""


@pytest.fixture
def peer(pair: Pair) -> Iterator[OtrPeer]:
    """Somebody new, in an encrypted conversation with the first of the two that they have begun."""
    with OtrPeer(pair.port, f"peer{next(_numbers)}") as peer:
        peer.start(ALICE)
        wait_note(pair.alice, peer.nick, SECURED.format(peer.nick))
        yield peer


def heard(alice: HexChat, peer: OtrPeer) -> list[str]:
    """Return what was shown as said by a peer, and wait for everything before."""
    text = f"end {next(_numbers)}"
    peer.say(ALICE, text)
    alice.wait(lambda: text in received(alice, peer.nick), f"{text} of {peer.nick}")
    return alice.received(peer.nick)[:-1]


def words(client: HexChat, nick: str, *events: str) -> list[str]:
    """Return the second words of text events in a conversation, with their codes."""
    return [line.words[1] for line in client.printed(private(nick), *events)]


# What is said.


def test_what_is_typed_arrives_and_is_readable_nowhere_else(pair: Pair) -> None:
    assert pair.alice.sent(BOB) == pair.bob.received(ALICE) == ["in the clear"]
    assert len(readable([pair.alice], "in the clear")) == 1

    before = len(pair.alice.wire.lines)
    for text in TEXTS:
        talk_both_ways(pair.alice, pair.bob, text)
    lines = pair.alice.wire.lines[before:]
    carried = [line.text for line in lines if "PRIVMSG" in line.text]
    assert len(carried) >= 2 * len(TEXTS)
    assert all(" :?OTR:AAQD" in line or " :?OTR|" in line for line in carried)
    assert not [text for text in TEXTS if readable([pair.alice, pair.bob], text)]
    for one, other in pair.both():
        # Once each, with the sign, and as HexChat shows what is said without OTR.
        assert sent(one, other.nick)[-len(TEXTS) :] == received(other, one.nick)[-len(TEXTS) :] == TEXTS
        marked = [UNVERIFIED + text for text in TEXTS]
        assert words(one, other.nick, "Your Message")[-len(TEXTS) :] == marked
        assert words(other, one.nick, "Private Message to Dialog")[-len(TEXTS) :] == marked
        assert {line.nick for line in one.printed(private(other.nick), "Your Message")} == {one.nick}


def test_slashes_blanks_and_formatting(pair: Pair) -> None:
    for one, other in pair.both():
        one.say(other.nick, "//not a command")
        one.say(other.nick, BOLD_AND_RED)
        other.wait(lambda: received(other, one.nick)[-1:] == ["bold and red"], "the last")  # noqa: B023
        assert received(other, one.nick)[-2:] == ["/not a command", "bold and red"]
        assert words(other, one.nick, "Private Message to Dialog")[-1] == UNVERIFIED + BOLD_AND_RED
        assert words(one, other.nick, "Your Message")[-1] == UNVERIFIED + BOLD_AND_RED
        assert not readable([one], "not a command")


@pytest.mark.parametrize("text", [LONG, WIDE.strip()], ids=["long", "wide"])
def test_long_lines_arrive_whole_and_fit(pair: Pair, text: str) -> None:
    for one, other in pair.both():
        before = len(other.wire.lines)
        talk(one, other, text)
        lines = [line for line in other.wire.lines[before:] if line.direction == "received"]
        carried = [line for line in lines if b" PRIVMSG " in line.data]
        assert len(carried) > 4
        assert max(len(line.data) for line in carried) <= 512
        assert all(line.text.split(" :", 1)[1].startswith("?OTR|") for line in carried)


def test_actions(pair: Pair) -> None:
    for one, other in pair.both():
        one.say(other.nick, "/me waves at all")
        other.wait_printed("waves at all", private(one.nick))
        assert words(one, other.nick, "Your Action")[-1] == UNVERIFIED + "waves at all"
        assert words(other, one.nick, "Private Action to Dialog")[-1] == UNVERIFIED + "waves at all"
        assert not readable([one], "waves at all")
    assert not [text for one, other in pair.both() for text in one.sent(other.nick) if "waves" in text]


def test_several_lines_are_pasted(pair: Pair) -> None:
    before = len(received(pair.bob, ALICE))
    pair.alice.paste("first\n  second\n\n//third\n/me is the fourth", private(BOB))
    pair.bob.wait_printed("is the fourth", private(ALICE))
    assert received(pair.bob, ALICE)[before:] == ["first", "  second", "/third"]
    assert not readable([pair.alice], "second")


def test_keys_that_are_pressed(pair: Pair) -> None:
    pair.alice.press_keys("typed by hand", private(BOB))
    pair.bob.wait(lambda: received(pair.bob, ALICE)[-1] == "typed by hand", "what was typed")
    assert not readable([pair.alice], "by hand")


def test_channels_are_left_alone(pair: Pair) -> None:
    where = private(CHANNEL)
    for client in (pair.alice, pair.bob):
        client.wait(lambda: where in client.tabs(), "the channel")  # noqa: B023
    pair.alice.type("good morning, everybody", where)
    pair.bob.wait_printed("good morning, everybody", where)
    assert [line.text for line in pair.alice.printed(where, "Your Message")] == ["good morning, everybody"]
    pair.alice.type("?OTRv23? in a channel", where)
    pair.bob.wait_printed("?OTRv23? in a channel", where)
    pair.bob.type("/me nods", where)
    pair.alice.wait_printed("nods", where)
    assert len(readable([pair.alice], "good morning")) == 1
    assert not [line for line in pair.bob.wire.sent() if line.startswith(f"PRIVMSG {CHANNEL} :?OTR")]
    assert notes(pair.alice, CHANNEL) == notes(pair.bob, CHANNEL) == []


# What is kept of it.


def kept(client: HexChat, nick: str) -> list[str]:
    """Return what is chosen for a tab: for its log, and for its scrollback."""
    flags = client.tabs()[private(nick)].flags
    return [
        "unset" if flags >> (bit + 1) & 1 else "on" if flags >> bit & 1 else "off"
        for bit in (LOGGING, SCROLLBACK)
    ]


def filed(client: HexChat, text: str) -> set[str]:
    """Return the kinds of HexChat's files that have a text."""
    return {path.relative_to(client.data).parts[0] for path in client.files_with(text)}


def test_it_stays_out_of_logs_and_scrollback(pair: Pair) -> None:
    for one, other in pair.both():
        talk(one, other, f"a secret of {one.nick}")
        assert filed(one, f"a secret of {one.nick}") == filed(other, f"a secret of {one.nick}") == set()
        assert filed(one, "in the clear") == {"logs", "scrollback"}
        assert kept(one, other.nick) == ["off", "off"]


def test_it_is_logged_if_so_wished(pair: Pair) -> None:
    pair.alice.say(BOB, "/otr log on")
    talk(pair.alice, pair.bob, "for the record")
    talk(pair.bob, pair.alice, "noted")
    assert filed(pair.alice, "for the record") == filed(pair.alice, "noted") == {"logs", "scrollback"}
    assert not filed(pair.bob, "for the record")
    pair.alice.say(BOB, "/otr log off")
    talk(pair.alice, pair.bob, "off the record")
    assert not filed(pair.alice, "off the record")
    # As a setting for all, which a command for one overrides.
    pair.bob.say(ALICE, "/otr set log on")
    talk(pair.alice, pair.bob, "on the record by default")
    assert filed(pair.bob, "on the record by default") == {"logs", "scrollback"}
    assert not filed(pair.alice, "on the record by default")
    pair.bob.say(ALICE, "/otr log off")
    talk(pair.alice, pair.bob, "off the record here")
    assert not filed(pair.bob, "off the record here")
    pair.bob.say(ALICE, "/otr set log default")
    wait_note(pair.bob, ALICE, "log is off now")


@pytest.mark.parametrize(("logging", "scrollback"), [("on", "off"), ("off", "on"), ("unset", "unset")])
def test_what_was_chosen_is_put_back(pair: Pair, logging: str, scrollback: str) -> None:
    finish(pair.alice, pair.bob)
    pair.alice.command(f"/chanopt -quiet text_logging {logging}", private(BOB))
    pair.alice.command(f"/chanopt -quiet text_scrollback {scrollback}", private(BOB))
    secure(pair.alice, pair.bob)
    assert kept(pair.alice, BOB) == ["off", "off"]
    finish(pair.bob, pair.alice)
    assert kept(pair.alice, BOB) == [logging, scrollback]
    text = f"written down: {logging}, {scrollback}"
    talk(pair.alice, pair.bob, text)
    assert ("logs" in filed(pair.alice, text)) == (logging != "off")
    assert ("scrollback" in filed(pair.alice, text)) == (scrollback != "off")
    secure(pair.bob, pair.alice)


def finish(one: HexChat, other: HexChat) -> None:
    """End the conversation at one side, and then at the other."""
    one.say(other.nick, "/otr end")
    other.wait(lambda: label(other, one.nick).startswith(ENDED), "the end")
    other.say(one.nick, "/otr end")
    other.wait(lambda: label(other, one.nick).startswith(one.nick[:9]), "the end here")
    assert label(one, other.nick).startswith(other.nick[:9])


def label(client: HexChat, nick: str) -> str:
    """Return the name of a tab as it is shown; HexChat cuts long ones."""
    return client.tabs()[private(nick)].label


# What is told, and can be changed.


def test_help_and_status(pair: Pair) -> None:
    pair.alice.type("/otr", private(BOB))
    wait_note(pair.alice, BOB, "/otr smp ask [QUESTION?]")
    wait_note(pair.alice, BOB, "/otr set [NAME [VALUE]]")
    for typed in (f"/otr status {BOB}", f"/OTR info {BOB} test"):
        before = len(notes(pair.alice, BOB, "is encrypted (OTR version 4)"))
        pair.alice.type(typed, status())
        wait_note(pair.alice, BOB, "is encrypted (OTR version 4)", before + 1)
    pair.alice.type("/otr keys", status())
    pair.alice.wait_printed("you have the key", status())
    pair.alice.type("/otr status", status())
    pair.alice.wait_printed("With whom?", status())
    pair.alice.type("/otr dance", private(BOB))
    wait_note(pair.alice, BOB, "There is no such command")
    assert not readable([pair.alice], "dance")


def test_a_command_in_a_channel_is_about_whom_it_names(pair: Pair) -> None:
    before = len(pair.alice.wire.sent())
    for name in ("status", "start", "end", "smp ask"):
        pair.alice.type(f"/otr {name}", private(CHANNEL))
        pair.alice.wait_printed(f"Here it takes a nick: /otr {name} NICK", private(CHANNEL))
    assert without_upkeep(pair.alice.wire.sent()[before:]) == []


def test_signs_are_options_and_stay(pair: Pair) -> None:
    pair.alice.say(BOB, "/otr set")
    wait_note(pair.alice, BOB, "sign.unverified = \N{WARNING SIGN}")
    wait_note(pair.alice, BOB, "dialogs         = on")
    pair.alice.say(BOB, "/otr set sign.unverified <%s & who knows>")
    wait_note(pair.alice, BOB, "sign.unverified is <%s & who knows> now.")
    pair.bob.say(ALICE, "one")
    pair.alice.wait_printed("> one", private(BOB))
    assert words(pair.alice, BOB, "Private Message to Dialog")[-1] == "\x0307<%s & who knows>\x0f one"
    assert label(pair.alice, BOB) == f"<%s & who knows> {BOB}"
    pair.alice.say(BOB, "/otr set tab off")
    pair.alice.wait(lambda: label(pair.alice, BOB) == BOB, "a tab without a sign")
    pair.alice.say(BOB, "/otr set colour red")
    wait_note(pair.alice, BOB, "There is no such option")
    pair.alice.say(BOB, "/otr set tab maybe")
    wait_note(pair.alice, BOB, "Nothing was changed")

    pair.alice.quit()
    wait_note(pair.bob, ALICE, "has ended the encrypted conversation")
    pair.alice.start()
    pair.bob.say(ALICE, "/otr end")
    secure(pair.alice, pair.bob)
    talk(pair.alice, pair.bob, "two")
    assert words(pair.alice, BOB, "Your Message")[-1] == "\x0307<%s & who knows>\x0f two"
    assert label(pair.alice, BOB) == BOB
    for name in ("sign.unverified", "tab"):
        pair.alice.say(BOB, f"/otr set {name} default")
    pair.alice.wait(lambda: label(pair.alice, BOB) == f"\N{WARNING SIGN} {BOB}", "the first signs")


def test_policies(pair: Pair) -> None:
    pair.alice.say("carol", "/otr policy always")
    pair.alice.say("carol", "/otr policy")
    wait_note(pair.alice, "carol", "Policy for carol: always")
    pair.alice.say("carol", "is anybody there?")
    wait_note(pair.alice, "carol", "Waiting: it leaves encrypted once")
    assert not readable([pair.alice], "is anybody there?")
    pair.alice.say("carol", "/otr policy never")
    pair.alice.type("/otr policy network", status())
    pair.alice.wait_printed("who is known to have OTR is offered it", status())
    pair.alice.say("dave", "/otr policy opportunistic")
    pair.alice.say("dave", "hello dave, how are you?")
    pair.alice.wait(lambda: pair.alice.sent("dave"), "the text")
    (line,) = [line for line in pair.alice.wire.sent() if line.startswith("PRIVMSG dave :")]
    assert " \t  \t\t\t\t \t \t \t  " in line
    assert pair.alice.sent("dave") == ["hello dave, how are you?"]


# What comes in, from a peer that can send anything.


def test_nobody_speaks_in_anybody_elses_name(pair: Pair, peer: OtrPeer) -> None:
    before = len(pair.alice.wire.sent())
    peer.say_bytes(ALICE, b"one\r\n:chanserv!c@services PRIVMSG alice :two\rPRIVMSG alice :three\nfour\0five")
    assert heard(pair.alice, peer) == [
        "\N{WARNING SIGN} one",
        "\N{WARNING SIGN} :chanserv!c@services PRIVMSG alice :two",
        "\N{WARNING SIGN} PRIVMSG alice :three",
        "\N{WARNING SIGN} four",
    ]
    assert private("chanserv") not in pair.alice.tabs()
    assert [line for line in pair.alice.wire.sent()[before:] if "PRIVMSG" in line] == []


def test_no_command_of_another_client_in_a_text(pair: Pair, peer: OtrPeer) -> None:
    before, tabs = len(pair.alice.wire.sent()), set(pair.alice.tabs())
    for text in ("\x01VERSION\x01", "\x01PING 1\x01", "\x01DCC CHAT chat 2130706433 9\x01", "/me bows"):
        peer.say(ALICE, text)
    peer.say(ALICE, "\x01ACTION nods\x01")
    shown = heard(pair.alice, peer)
    assert [line.text for line in pair.alice.printed(private(peer.nick), "Private Action to Dialog")] == [
        "\N{WARNING SIGN} bows"
    ]
    sign = "\N{WARNING SIGN} "
    assert [text.removeprefix(sign) for text in shown] == [
        "VERSION",
        "PING 1",
        "DCC CHAT chat 2130706433 9",
        "ACTION nods",
    ]
    assert without_upkeep(pair.alice.wire.sent()[before:]) == []
    assert set(pair.alice.tabs()) == tabs


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("schöne Grüße".encode("latin-1"), None),
        (b"\xed\xa0\x80 lone", None),
        (b"a\ttab", "a\ttab"),
        (b"\x1b[31mred?", None),
        (b"%s%n %d %", "%s%n %d %"),
        (b"   blanks around   ", "   blanks around   "),
        ("\u202eright to left".encode(), "\u202eright to left"),
        (b"?OTR:AAMDfaked.", None),
        (b"\x01", None),
        (b"", None),
    ],
)
def test_strange_texts(pair: Pair, peer: OtrPeer, data: bytes, text: str | None) -> None:
    peer.say_bytes(ALICE, data)
    shown = heard(pair.alice, peer)
    if text is not None:
        assert shown == [f"\N{WARNING SIGN} {text}"]
    assert len(shown) <= 1
    assert notes(pair.alice, peer.nick, "error inside OTR") == []


def test_what_was_not_encrypted_is_marked(pair: Pair, peer: OtrPeer) -> None:
    peer.say_plain(ALICE, "nobody else can read this")
    peer.say_plain(ALICE, "\x01ACTION whispers\x01")
    peer.raw(f"NOTICE {ALICE} :take notice")
    pair.alice.wait_printed("take notice")
    shown = heard(pair.alice, peer)
    assert shown == ["[not encrypted] nobody else can read this"]
    where = private(peer.nick)
    assert words(pair.alice, peer.nick, "Private Message to Dialog")[0].startswith(NOT_ENCRYPTED)
    assert words(pair.alice, peer.nick, "Private Action to Dialog") == [NOT_ENCRYPTED + "whispers"]
    (notice,) = [line for line in pair.alice.printed(None, "Notice") if "take notice" in line.text]
    assert notice.text == "[not encrypted] take notice"
    warned = notes(pair.alice, peer.nick, "came NOT encrypted")
    assert len(warned) == 3
    texts = [line.text for line in pair.alice.printed(where)]
    assert texts.index(warned[0]) < texts.index("[not encrypted] nobody else can read this")


def test_lines_that_others_have_cut(pair: Pair, peer: OtrPeer) -> None:
    """Clients without fragments send their lines as they are, and have them cut anywhere."""
    text = ("long " * 60).strip()
    whole = peer.encrypted(ALICE, text)
    assert whole.startswith("?OTR:AAQD")
    assert whole.endswith(".")
    for at in range(0, len(whole), 300):
        peer.say_plain(ALICE, whole[at : at + 300])
    pair.alice.wait(lambda: received(pair.alice, peer.nick) == [text], "the text in one piece")


def test_who_is_ignored_is_not_shown(pair: Pair, peer: OtrPeer) -> None:
    pair.alice.command(f"/ignore {peer.nick}!*@* ALL QUIET", status())
    peer.say(ALICE, "you do not hear me")
    peer.say(ALICE, "/me is not seen")
    peer.say_plain(ALICE, "nor me")
    peer.settle()
    pair.alice.command("/otr status", private(peer.nick))
    wait_note(pair.alice, peer.nick, "is encrypted (OTR version 4)")
    pair.alice.command(f"/unignore {peer.nick}!*@* QUIET", status())
    assert heard(pair.alice, peer) == []
    assert not [line for line in pair.alice.printed() if "not seen" in line.text]
    assert not pair.alice.files_with("you do not hear me")


def test_a_message_just_before_the_end(pair: Pair) -> None:
    """What comes in one go is shown in its order, and not written down."""
    with OtrPeer(pair.port, "hasty") as hasty:
        hasty.raw(f"JOIN {CHANNEL}")
        hasty.start(ALICE)
        wait_note(pair.alice, "hasty", SECURED.format("hasty"))
        hasty.say(ALICE, "my last words")
        hasty.end(ALICE)
        hasty.raw("QUIT :gone")
    pair.alice.wait(lambda: pair.alice.printed(private("hasty"), "Quit"), "that hasty has gone")
    wait_note(pair.alice, "hasty", "has ended the encrypted conversation")
    texts = [line.text for line in pair.alice.printed(private("hasty"))]
    last = texts.index("\N{WARNING SIGN} my last words")
    assert last < next(at for at, text in enumerate(texts) if "has ended" in text)
    assert not pair.alice.files_with("my last words")


def test_first_words_stay_out_of_the_log(pair: Pair) -> None:
    """They may come before it is known here that the conversation is encrypted."""
    for number in range(3):
        with OtrPeer(pair.port, f"quick{number}") as quick:
            quick.start(ALICE)
            for text in ("my first words", "and more"):
                quick.say(ALICE, text)
            pair.alice.wait(lambda: "and more" in received(pair.alice, quick.nick), "the words")
    assert not pair.alice.files_with("my first words")


def test_another_addon_answers(pair: Pair, peer: OtrPeer) -> None:
    """From within a message, while HexChat takes it in; it sees what was said, and no sign."""
    pair.alice.load("parrot", PARROT)
    peer.say(ALICE, "say: hello")
    peer.wait_received(ALICE, "hello")
    peer.say(ALICE, "say: once more")
    peer.wait_received(ALICE, "hello", "once more")
    assert sent(pair.alice, peer.nick) == ["hello", "once more"]
    pair.alice.unload("parrot")
    sign = "\N{WARNING SIGN} "
    assert heard(pair.alice, peer) == [f"{sign}say: hello", f"{sign}say: once more"]


# The end.


def test_the_end_and_what_is_typed_then(pair: Pair) -> None:
    pair.alice.say(BOB, "/otr end")
    pair.bob.wait(lambda: label(pair.bob, ALICE).startswith(ENDED), "the end")
    pair.bob.say(ALICE, "this must not leave")
    wait_note(pair.bob, ALICE, "your text: this must not leave")
    assert not readable([pair.bob], "this must not leave")
    assert not pair.bob.files_with("this must not leave")
    pair.bob.say(ALICE, "/otr end")
    talk_both_ways(pair.bob, pair.alice, "in the clear again")
    assert len(readable([pair.bob], "in the clear again")) == 2
    assert pair.bob.sent(ALICE)[-1] == pair.bob.received(ALICE)[-1] == "in the clear again"
    assert filed(pair.bob, "in the clear again") == {"logs", "scrollback"}
    secure(pair.bob, pair.alice)
    talk(pair.alice, pair.bob, "once more in private")
    assert not readable([pair.alice], "once more")
