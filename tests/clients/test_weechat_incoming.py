"""What comes in, from a peer that can send anything: how WeeChat shows it, and what it must not do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count

import pytest

from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.otr_peer import OtrPeer
from tests.clients.drivers.weechat import CORE, WeeChat, private, status
from tests.clients.weechat_support import notes, start, wait_note

PARROT = """\
import weechat

weechat.register("parrot", "test", "1", "MIT", "says what it is told to", "", "")
weechat.hook_print("", "irc_privmsg", "say: ", 1, "heard", "")


def heard(data, buffer, date, tags, displayed, highlight, prefix, message):
    if "self_msg" not in tags:
        weechat.command(buffer, message.partition("say: ")[2])
    return weechat.WEECHAT_RC_OK
"""

SECURED = "Secured: the conversation with {} is encrypted"

_numbers = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngircd]:
    with Ngircd(tmp_path_factory.mktemp("incoming") / "ngircd") as server:
        yield server


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory, server: Ngircd) -> Iterator[WeeChat]:
    with ExitStack() as running:
        (alice,) = start(running, tmp_path_factory.mktemp("alice"), server.port, "alice")
        yield alice
        assert alice.errors() == []


@pytest.fixture
def peer(alice: WeeChat, server: Ngircd) -> Iterator[OtrPeer]:
    """Somebody new, in an encrypted conversation that they have begun."""
    with OtrPeer(server.port, f"peer{next(_numbers)}") as peer:
        peer.start("alice")
        wait_note(alice, peer.nick, SECURED.format(peer.nick))
        yield peer


def shown(alice: WeeChat, peer: OtrPeer) -> list[str]:
    """Return what was shown as said by a peer, and wait for everything before."""
    text = f"end {next(_numbers)}"
    peer.say("alice", text)
    alice.wait_received(peer.nick, text)
    return alice.received(peer.nick)[:-1]


def test_nobody_speaks_in_anybody_elses_name(alice: WeeChat, peer: OtrPeer) -> None:
    sent = len(alice.wire.sent())
    peer.say_bytes(
        "alice", b"one\r\n:chanserv!c@services PRIVMSG alice :two\rPRIVMSG alice :three\nfour\0five"
    )
    assert shown(alice, peer) == [
        "one",
        ":chanserv!c@services PRIVMSG alice :two",
        "PRIVMSG alice :three",
        "four",
    ]
    assert private("chanserv") not in alice.buffers()
    assert [line for line in alice.wire.sent()[sent:] if "PRIVMSG" in line] == []


def test_no_command_of_another_client_in_a_text(alice: WeeChat, peer: OtrPeer) -> None:
    sent = len(alice.wire.sent())
    peer.say("alice", "\x01VERSION\x01")
    peer.say("alice", "\x01ACTION bows\x01")
    peer.say("alice", "/me bows")
    alice.wait_printed(f"{peer.nick} bows", private(peer.nick))
    assert shown(alice, peer) == ["VERSION", "ACTION bows"]
    assert not [line for line in alice.wire.sent()[sent:] if "VERSION" in line or "NOTICE" in line]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("schöne Grüße".encode("latin-1"), None),
        (b"\xed\xa0\x80 lone", None),
        (b"a\ttab", "a\ttab"),
        (b"\x1b[31mred?", None),
        (b"\x19F05 a code of WeeChat's own", None),
        (b"   blanks around   ", "   blanks around   "),
        ("\u202eright to left".encode(), "\u202eright to left"),
    ],
)
def test_strange_texts(alice: WeeChat, peer: OtrPeer, data: bytes, text: str | None) -> None:
    peer.say_bytes("alice", data)
    (found,) = shown(alice, peer)
    assert text in {None, found}
    assert notes(alice, peer.nick, "error inside OTR") == []


def test_what_was_not_encrypted_is_marked(alice: WeeChat, peer: OtrPeer) -> None:
    peer.say_plain("alice", "nobody else can read this")
    peer.say_plain("alice", "\x01ACTION whispers\x01")
    peer.raw("NOTICE alice :take notice")
    alice.wait_printed(f"{peer.nick} [not encrypted] whispers", private(peer.nick))
    notice = alice.wait_printed("[not encrypted] take notice")
    assert "irc_notice" in notice.tags
    assert shown(alice, peer) == ["[not encrypted] nobody else can read this"]
    alice.set_option("otrcore.look.unexpected", '"!! "')
    peer.say_plain("alice", "again")
    assert shown(alice, peer)[-1] == "!! again"
    alice.command("/unset otrcore.look.unexpected")


def test_lines_that_others_have_cut(alice: WeeChat, peer: OtrPeer) -> None:
    """Clients without fragments send their lines as they are, and have them cut anywhere."""
    text = ("long " * 60).strip()
    whole = peer.encrypted("alice", text)
    assert whole.startswith("?OTR:AAQD")
    assert whole.endswith(".")
    for at in range(0, len(whole), 300):
        peer.say_plain("alice", whole[at : at + 300])
    alice.wait_received(peer.nick, text)


def test_the_time_of_a_message(alice: WeeChat, peer: OtrPeer) -> None:
    """What a bouncer has kept is shown as of when it was said, though reading it may take a moment."""
    for number in range(2):  # the first one brings new keys, which takes longer
        line = f"PRIVMSG alice :{peer.encrypted('alice', f'some time ago, {number}')}"
        time = f"2026-01-02T03:04:0{number}.678Z"
        alice.command(f"/server fakerecv @time={time} :{peer.nick}!p@127.0.0.1 {line}", status())
    alice.wait_received(peer.nick, "some time ago, 1")
    said = [line.date for line in alice.printed(private(peer.nick)) if "some time ago" in line.text]
    assert [datetime.fromtimestamp(date, UTC).isoformat() for date in said] == [
        "2026-01-02T03:04:00+00:00",
        "2026-01-02T03:04:01+00:00",
    ]


def test_highlights_notifications_and_the_hotlist(alice: WeeChat, peer: OtrPeer) -> None:
    alice.show(CORE)
    alice.command("/input hotlist_clear")
    peer.say("alice", "hey, alice: look here")
    line = alice.wait_printed("look here", private(peer.nick))
    assert {"notify_private", f"nick_{peer.nick}", "irc_privmsg"} <= set(line.tags)
    assert any(tag.startswith("host_") for tag in line.tags)
    peer.say("alice", "just so")
    alice.wait_received(peer.nick, "just so")
    assert f"{peer.nick}\they, alice: look here" in alice.signals("weechat_highlight")
    assert f"{peer.nick}\tjust so" in alice.signals("weechat_pv")
    assert alice.hotlist()[private(peer.nick)][2:] == [1, 1]


def test_who_is_ignored_is_not_shown(alice: WeeChat, peer: OtrPeer) -> None:
    alice.type(f"/ignore add {peer.nick}", status())
    peer.say("alice", "you do not hear me")
    peer.say_plain("alice", "nor me")
    peer.settle()
    alice.type("/ignore del -all", status())
    assert shown(alice, peer) == []
    assert not alice.files_with("you do not hear me")


def test_a_message_just_before_the_end(alice: WeeChat, server: Ngircd) -> None:
    """What comes in one go is shown in its order."""
    with OtrPeer(server.port, "hasty") as hasty:
        hasty.raw("JOIN #hasty")
        alice.type("/join #hasty", status())
        alice.wait(lambda: private("#hasty") in alice.buffers(), "the channel")
        hasty.start("alice")
        wait_note(alice, "hasty", SECURED.format("hasty"))
        hasty.say("alice", "my last words")
        hasty.end("alice")
        hasty.raw("QUIT :gone")
    wait_note(alice, "hasty", "hasty is not there")
    texts = [line.text for line in alice.printed(private("hasty"))]
    assert texts.index("my last words") < next(at for at, text in enumerate(texts) if "has ended" in text)
    assert not alice.files_with("my last words")


def test_first_words_stay_out_of_the_log(alice: WeeChat, server: Ngircd) -> None:
    """They may come before it is known here that the conversation is encrypted."""
    for number in range(5):
        with OtrPeer(server.port, f"quick{number}") as quick:
            quick.start("alice")
            for text in ("my first words", "and more"):
                quick.say("alice", text)
            alice.wait_received(quick.nick, "and more")
    assert not alice.files_with("my first words")


def test_an_answer_from_within_a_message(alice: WeeChat, peer: OtrPeer) -> None:
    """A script of somebody's answers while WeeChat takes lines in."""
    alice.load("parrot", PARROT)
    peer.say("alice", "say: hello")
    peer.wait_received("alice", "hello")
    peer.say("alice", "say: once more")
    peer.wait_received("alice", "hello", "once more")
    alice.wait(lambda: alice.sent(peer.nick) == ["hello", "once more"], "what was answered, once each")
    peer.say_plain("alice", "say: out loud")
    peer.wait_received("alice", "hello", "once more", "out loud")
    alice.unload("parrot")
    assert not [line for line in alice.printed() if "?OTR" in line.text]
    assert shown(alice, peer) == ["say: hello", "say: once more", "[not encrypted] say: out loud"]


def test_texts_in_the_clear_that_offer_otr(alice: WeeChat, server: Ngircd) -> None:
    with OtrPeer(server.port, "shy") as shy:
        shy.say_plain("alice", "hello \t  \t\t\t\t \t \t \t    \t\t  \t\t there")
        alice.wait(lambda: alice.received("shy"), "a text")
        assert "\t" not in alice.received("shy")[0]
        shy.wait_secured("alice")
        wait_note(alice, "shy", SECURED.format("shy"))
