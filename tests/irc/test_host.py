"""Verdicts and actions of the host layer, over a server that cuts long lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otrcore.account import Account
from otrcore.conversation import QUERY_PATIENCE_4, Conversation
from otrcore.errors import StoreError
from otrcore.events import (
    HandshakeEnd,
    HandshakeFailed,
    HandshakeStep,
    HeldBack,
    NotSent,
    Queued,
    Rejected,
    SessionEnd,
    SessionEnded,
    SessionOpened,
)
from otrcore.irc import conversations
from otrcore.irc.actions import Send, ShowMessage, ShowNote, ShowOwn, Verdict
from otrcore.irc.conversations import MAX_CONVERSATIONS
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.memory import STRANGER
from otrcore.model import MessageState, Protection
from otrcore.policy import DEFAULT, MANUAL, NEVER
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import LIFETIME
from otrcore.wire.text import MARK, TAG_BASE, TAG_GROUPS
from tests.irc.network import Line, Network, User, carried
from tests.keepers import Given
from tests.pair import Clock, identity

TAG = TAG_BASE + TAG_GROUPS[3]
QUERY = "?OTRv34?"
SECRET = "the secret words"

UNTOUCHED = ["#chan", "&local", "@#chan", "+@&x", "NickServ", "alis", "global", "*status", "=bob", "$$*.net"]
"""Targets and senders that OTR has nothing to do with."""

OTR_TEXTS = [
    QUERY,
    "?OTR?v23?",
    "?OTR:AAMDAAAAAQ==.",
    "?OTR,1,2,abc,",
    "?OTR|00000101|00000000,00001,00002,abc,",
    "?OTR Error: whatever",
    "?OTR",
    f"hello{TAG} there",
]


# An encoded message or a piece of one, and not a character besides.
ONLY_CIPHERTEXT = re.compile(
    r"\?OTR:[A-Za-z0-9+/]+=*\.|\?OTR(?:\|[0-9a-f]{8}){2,3},[0-9]{5},[0-9]{5},(\?OTR:)?[A-Za-z0-9+/]*=*\.?,"
)


def note(user: User) -> ShowNote:
    """The one note that was shown."""
    (found,) = [action for action in user.shown if isinstance(action, ShowNote)]
    return found


def finish(alice: User, bob: User) -> None:
    """Let Bob end an encrypted conversation, so that Alice's is finished."""
    bob.end("alice")
    assert alice.host.state("bob") is MessageState.FINISHED
    alice.clear()
    alice.network.lines.clear()


# ---- talking


def test_a_conversation_from_start_to_end(network: Network, alice: User, bob: User) -> None:
    alice.say("bob", "plain hello")
    assert bob.texts() == [("plain hello", Protection.PLAIN)]

    alice.start("bob")
    for who, peer in ((alice, "bob"), (bob, "alice")):
        (opened,) = [a for a in who.shown if isinstance(a, ShowNote) and isinstance(a.event, SessionOpened)]
        assert opened.lines[0] == f"Secured: the conversation with {peer} is encrypted (OTR version 4)."
        for name in ("alice", "bob"):
            for part in identity(name).fingerprint_4.lines():
                assert any(part in line for line in opened.lines)
    network.secure(alice, bob)

    alice.say("bob", SECRET)
    bob.say("alice", f"re: {SECRET} é€😀")
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]
    assert alice.texts() == [(f"re: {SECRET} é€😀", Protection.ENCRYPTED)]
    assert network.lines
    assert all(line.text.startswith("?OTR") for line in network.lines)
    assert not network.crossed("secret")

    alice.clear()
    bob.clear()
    alice.end("bob")
    assert [type(action.event) for action in alice.shown if isinstance(action, ShowNote)] == [SessionEnded]
    assert bob.host.state("alice") is MessageState.FINISHED
    assert note(bob).event == SessionEnded(SessionEnd.PEER)
    bob.end("alice")
    assert bob.say("alice", "plain again")[0].verdict is Verdict.PASS
    assert alice.texts()[-1] == ("plain again", Protection.PLAIN)


@pytest.mark.parametrize("knows_mask", [True, False])
@pytest.mark.parametrize(
    ("one", "other", "user", "host"),
    [
        ("a", "b", "u", "h"),
        ("a" * 30, "b" * 30, "~" + "u" * 10, "h" * 63),
        ("a" * 9, "b" * 30, "~user", "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
    ],
)
def test_every_line_arrives_whole(one: str, other: str, user: str, host: str, knows_mask: bool) -> None:
    network = Network()
    alice, bob = (network.join(nick, user=user, host=host, knows_mask=knows_mask) for nick in (one, other))
    network.secure(alice, bob)
    for size in (1, 100, 250, 300, 1000, 5000):
        text = "x" * (size - 1) + "."
        alice.say(other, text)
        bob.say(one, text)
    assert [len(text) for text, _ in bob.texts()] == [1, 100, 250, 300, 1000, 5000]
    assert alice.texts() == bob.texts()
    assert not any(line.cut for line in network.lines)
    longest = max(len(line.text) for line in network.lines)
    prefix = len(f":{alice.mask} PRIVMSG {other} :")
    # Room is used, too: with the mask known, the longest line has all of the 510 bytes.
    assert longest == (510 - prefix if knows_mask else longest)


def test_the_server_of_these_tests_does_cut(network: Network, alice: User, bob: User) -> None:
    alice.say("bob", "x" * 600)
    assert network.lines[0].cut
    assert len(f":alice!~user@host.example PRIVMSG bob :{bob.texts()[0][0]}\r\n") == 512


def test_lines_of_a_text_are_shown_apart(secured: Network, alice: User, bob: User) -> None:
    # Our own hosts send one line at a time, other clients do not.
    alice.do([Send("bob", line.lines) for line in raw_send(alice, "bob", "one\r\ntwo\n\nthree\rfour\0")])
    (message,) = bob.shown
    assert isinstance(message, ShowMessage)
    assert message.lines == ("one", "two", "", "three", "four")
    assert message.protection is Protection.ENCRYPTED


def raw_send(user: User, peer: str, text: str) -> list[Send]:
    """What the conversation itself makes of a text, past the host's cleaning."""
    events = user.account.conversation(peer).send(text)
    return [Send(peer, event.lines) for event in events if hasattr(event, "lines")]


def test_actions_travel_encrypted_both_ways(secured: Network, alice: User, bob: User) -> None:
    for text in ("\x01ACTION waves\x01", "\x01ACTION waves", "\x01action waves\x01"):
        bob.clear()
        alice.say("bob", text)
        assert bob.shown == [ShowMessage("alice", ("waves",), Protection.ENCRYPTED, is_action=True)]
    bob.say("alice", "\x01ACTION waves back\x01")
    assert alice.shown == [ShowMessage("bob", ("waves back",), Protection.ENCRYPTED, is_action=True)]
    assert not secured.crossed("waves")
    assert not secured.crossed("\x01")


def test_a_word_that_only_begins_like_an_action_is_text(secured: Network, alice: User, bob: User) -> None:
    alice.say("bob", "/men at work")
    assert bob.shown == [ShowMessage("alice", ("/men at work",), Protection.ENCRYPTED)]


def test_status_texts(network: Network, alice: User, bob: User) -> None:
    def status(user: User, nick: str) -> tuple[str, ...]:
        (answer,) = user.host.status(nick)
        assert isinstance(answer, ShowNote)
        return answer.lines

    assert status(alice, "bob") == ("The conversation with bob is not encrypted. /otr start to change that.",)
    alice.do([action for action in alice.host.start("nobody") if not isinstance(action, Send)])
    assert status(alice, "nobody") == ("An encrypted conversation with nobody is being set up.",)
    network.secure(alice, bob)
    lines = status(alice, "BOB")
    assert "is encrypted (OTR version 4), and not verified" in lines[0]
    parts = [*identity("alice").fingerprint_4.lines(), *identity("bob").fingerprint_4.lines()]
    assert [part in line for part, line in zip(parts, lines[1:7], strict=True)] == 6 * [True]
    ours, theirs = lines[7].split(" (")[0], status(bob, "alice")[7].split(" (")[0]
    assert ours.split() == theirs.split(), "the session id is the same on both sides"
    assert ("you read out the first half" in lines[7]) is ("the second)" in lines[7])
    assert ("you read out the first" in lines[7]) is not ("you read out the first" in status(bob, "alice")[7])
    assert network.lines == [], "asking sends nothing"
    finish(alice, bob)
    assert "/otr start" in status(alice, "bob")[0]
    assert "/otr end" in status(alice, "bob")[0]


# ---- what OTR has nothing to do with


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_is_sent_to_no_person_is_untouched(alice: User, name: str) -> None:
    for text in ["hello", "\x01ACTION waves\x01", "\x01VERSION\x01", *OTR_TEXTS]:
        for command in ("PRIVMSG", "NOTICE"):
            (decision,) = alice.host.outgoing(name, text, command)
            assert (decision.target, decision.verdict) == (name, Verdict.PASS)
            assert (decision.actions, decision.text) == ((), None)
    assert len(alice.account) == 0


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_comes_from_no_person_is_untouched(alice: User, name: str) -> None:
    for text in ["hello", *OTR_TEXTS]:
        for command in ("PRIVMSG", "NOTICE"):
            decision = alice.host.incoming(name, "alice", text, command)
            assert (decision.verdict, decision.actions, decision.text) == (Verdict.PASS, (), None)
    assert len(alice.account) == 0


@pytest.mark.parametrize("channel", ["#chan", "&local", "@#chan", "+@&x"])
def test_what_is_said_in_a_channel_is_untouched(
    secured: Network, alice: User, bob: User, channel: str
) -> None:
    for text in ["hello", *OTR_TEXTS]:
        decision = alice.host.incoming("bob", channel, text)
        assert (decision.verdict, decision.actions, decision.text) == (Verdict.PASS, (), None)
    (decision,) = alice.host.outgoing(channel, SECRET)
    assert (decision.verdict, decision.actions) == (Verdict.PASS, ())


@pytest.mark.parametrize("name", [*UNTOUCHED, "bob,carol", "", ",", "bob,#chan"])
def test_no_conversation_can_be_started_with_no_person(alice: User, name: str) -> None:
    (answer,) = alice.host.start(name)
    assert isinstance(answer, ShowNote)
    assert "two people" in answer.lines[0]
    assert len(alice.account) == 0


def test_own_messages_are_untouched(secured: Network, alice: User) -> None:
    """With echo-message a server sends back what we sent; others may share our account."""
    for text in ["hello", *OTR_TEXTS]:
        for sender, target in (("alice", "bob"), ("alice", "alice"), ("ALICE", "alice")):
            decision = alice.host.incoming(sender, target, text)
            assert (decision.verdict, decision.actions, decision.text) == (Verdict.PASS, (), None)
    assert [talk.peer for talk in alice.account] == ["bob"]


def test_nothing_of_ours_is_added_to_what_is_typed(network: Network, alice: User, bob: User) -> None:
    """No whitespace tag goes out to strangers, on no kind of message."""
    typed = ["hello", "", "\x01ACTION waves\x01", "\x01PING 1\x01", QUERY, "?OTR Error: x", f"a{TAG}b"]
    for text in typed:
        for command in ("PRIVMSG", "NOTICE"):
            assert alice.say("carol", text, command)[0].verdict is Verdict.PASS
    assert [line.text for line in network.lines] == [text for text in typed for _ in range(2)]
    assert len(alice.account) == 0


def test_a_policy_of_never_reads_and_sends_no_otr(network: Network, alice: User) -> None:
    never = network.join("never", policy=NEVER)
    for text in OTR_TEXTS:
        decision = never.host.incoming("alice", "never", text)
        assert (decision.verdict, decision.actions) == (Verdict.PASS, ())
    never.start("alice")
    assert "switched off" in note(never).lines[0]
    assert network.lines == []


def test_not_connected_yet() -> None:
    host = IrcHost("net", Given(lambda name: Account(identity("alice"))), lambda actions: None)
    assert host.outgoing("bob", "hello")[0].verdict is Verdict.PASS
    assert host.incoming("bob", "alice", QUERY).verdict is Verdict.PASS
    for answer in (host.start("bob"), host.end("bob"), host.status("bob")):
        assert [type(action) for action in answer] == [ShowNote]
    assert host.start("bob")[0] == ShowNote("bob", ("Not connected yet: try again in a moment.",))
    assert (host.network, host.fingerprint, host.next_tick) == ("", None, None)
    assert host.state("bob") is MessageState.PLAINTEXT
    assert host.shutdown() == []
    host.nick_changed("bob", "bobby")
    host.tick()


def test_keys_that_cannot_be_had_are_the_callers_matter() -> None:
    def refuse(name: str) -> Account:
        raise StoreError("The folder is not there.")

    host = IrcHost("net", Given(refuse), lambda actions: None)
    with pytest.raises(StoreError, match="not there"):
        host.connected("alice", Features())
    assert host.incoming("bob", "alice", QUERY).verdict is Verdict.PASS


# ---- nothing leaves in the clear


@pytest.fixture(scope="module")
def states() -> dict[MessageState, User]:
    """Alice in each state towards Bob; no test that uses these changes the state."""
    users = {}
    for state in MessageState:
        network = Network()
        alice, bob = network.join("alice"), network.join("bob")
        if state is not MessageState.PLAINTEXT:
            network.secure(alice, bob)
        if state is MessageState.FINISHED:
            finish(alice, bob)
        users[state] = alice
    return users


text = st.text(st.characters(codec="utf-8"), max_size=80)
framed = st.builds(
    "\x01{} {}{}".format,
    st.sampled_from(["ACTION", "action", "VERSION", "PING", "DCC", ""]),
    text,
    st.sampled_from(["\x01", "", "\x01 tail"]),
)
tagged = st.builds(lambda a, b: f"{a}{TAG}{b}", text, text)
marked = st.builds(lambda mark, a: f"{mark}{a}", st.sampled_from(OTR_TEXTS), text)
payloads = text | framed | tagged | marked
targets = st.sampled_from(["bob", "BOB", "Bob", "bob!u@h", "bob@server", "carol,bob", "bob,bob"])


@given(payloads, targets, st.sampled_from(["PRIVMSG", "NOTICE"]))
@pytest.mark.parametrize("state", [MessageState.ENCRYPTED, MessageState.FINISHED])
def test_nothing_plain_leaves_towards_an_encrypted_or_finished_peer(
    states: dict[MessageState, User], state: MessageState, text: str, targets: str, command: str
) -> None:
    alice = states[state]
    cleaned = "".join(character for character in text if character not in "\r\n\0")
    is_ctcp = cleaned.startswith("\x01") and cleaned.strip("\x01").partition(" ")[0].upper() != "ACTION"
    for decision in alice.host.outgoing(targets, text, command):
        assert "\r" not in decision.target
        if not decision.target.lower().startswith("bob"):
            continue
        if command == "NOTICE" and is_ctcp:
            # The client's own answer to a CTCP, which nobody typed.
            assert decision.verdict is not Verdict.DROP
            assert carried(decision, text) == cleaned
            continue
        assert decision.verdict is Verdict.DROP
        assert decision.actions, "a text never vanishes without a word"
        for action in decision.actions:
            if isinstance(action, Send):
                assert state is MessageState.ENCRYPTED
                assert action.target == "bob"
                assert all(ONLY_CIPHERTEXT.fullmatch(line) for line in action.lines)
            elif isinstance(action, ShowOwn):
                assert state is MessageState.ENCRYPTED
                assert action.text in (cleaned, content(cleaned))
            else:
                assert isinstance(action, ShowNote)
                assert action.typed is not None, "what was typed stays within reach"
                assert action.typed in (cleaned, f"/me {content(cleaned)}", content(cleaned))
    assert alice.host.state("bob") is state


def content(action: str) -> str:
    """The words of a CTCP ACTION."""
    return action.strip("\x01").partition(" ")[2]


@pytest.mark.parametrize("command", ["PRIVMSG", "NOTICE"])
@pytest.mark.parametrize("typed", ["hello", "\x01ACTION waves\x01", "\x01VERSION\x01", QUERY])
def test_in_the_plain_state_everything_passes(
    states: dict[MessageState, User], typed: str, command: str
) -> None:
    (decision,) = states[MessageState.PLAINTEXT].host.outgoing("bob", typed, command)
    assert (decision.verdict, decision.actions, decision.text) == (Verdict.PASS, (), None)


@pytest.mark.parametrize(
    ("typed", "waiting"), [(SECRET, SECRET), (f"\x01ACTION tells {SECRET}\x01", f"/me tells {SECRET}")]
)
def test_what_is_typed_while_a_conversation_is_being_set_up_waits_for_it(
    network: Network, alice: User, bob: User, typed: str, waiting: str
) -> None:
    query = alice.host.start("bob")
    (decision,) = alice.host.outgoing("bob", typed)
    assert decision.verdict is Verdict.DROP
    own, told = decision.actions
    assert own == ShowOwn("bob", waiting.removeprefix("/me "), is_action=waiting.startswith("/me "))
    assert isinstance(told, ShowNote)
    assert told.event == Queued(waiting)
    alice.do(query)
    (message,) = [action for action in bob.shown if isinstance(action, ShowMessage)]
    assert message.protection is Protection.ENCRYPTED
    assert SECRET in message.lines[0]
    assert not network.crossed(SECRET)


def test_no_notice_leaves_while_a_conversation_is_being_set_up(alice: User) -> None:
    alice.host.start("bob")
    (decision,) = alice.host.outgoing("bob", SECRET, "NOTICE")
    assert decision.verdict is Verdict.DROP
    (refused,) = decision.actions
    assert isinstance(refused, ShowNote)
    assert refused.typed == SECRET


def test_held_back_texts_are_handed_back(secured: Network, alice: User, bob: User) -> None:
    finish(alice, bob)
    alice.say("bob", SECRET)
    held = note(alice)
    assert (held.typed, held.event) == (SECRET, NotSent(SECRET, HeldBack.FINISHED))
    assert "/otr start" in held.lines[0]
    alice.clear()
    alice.say("bob", f"\x01ACTION tells {SECRET}\x01")
    assert note(alice).typed == f"/me tells {SECRET}"
    assert not secured.crossed(SECRET)


def test_a_text_that_is_too_long_is_handed_back(secured: Network, alice: User, bob: User) -> None:
    alice.say("bob", "x" * 40_000)
    held = note(alice)
    assert held.typed == "x" * 40_000
    assert isinstance(held.event, NotSent)
    assert held.event.reason is HeldBack.TOO_LARGE
    alice.say("bob", "shorter")
    assert bob.texts() == [("shorter", Protection.ENCRYPTED)]


def test_where_names_leave_no_room_a_text_is_handed_back(secured: Network, alice: User, bob: User) -> None:
    """Sent, it would arrive cut, and neither side would know what it was."""
    alice.address = f"u@{'h' * 450}"
    alice.host.mask_changed("alice", alice.mask)
    alice.say("bob", SECRET)
    assert (SECRET, Protection.ENCRYPTED) in bob.texts() or note(alice).typed == SECRET
    alice.end("bob")
    assert alice.host.state("bob") is MessageState.PLAINTEXT, "to end is always possible"


def test_a_list_of_targets_has_a_verdict_each(secured: Network, alice: User, bob: User) -> None:
    carol = secured.join("carol")
    decisions = alice.say("bob,carol,#chan", SECRET)
    assert [(decision.target, decision.verdict) for decision in decisions] == [
        ("bob", Verdict.DROP),
        ("carol", Verdict.PASS),
        ("#chan", Verdict.PASS),
    ]
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]
    assert carol.texts() == [(SECRET, Protection.PLAIN)]


# ---- what comes in the clear


@pytest.mark.parametrize("state", [MessageState.ENCRYPTED, MessageState.FINISHED])
@pytest.mark.parametrize(
    ("received", "command", "is_action"),
    [
        ("psst", "PRIVMSG", False),
        ("psst", "NOTICE", False),
        ("\x01ACTION psst\x01", "PRIVMSG", True),
        ("\x01ACTION psst", "PRIVMSG", True),
    ],
)
def test_plain_text_in_an_encrypted_conversation_is_told_apart(
    states: dict[MessageState, User], state: MessageState, received: str, command: str, is_action: bool
) -> None:
    decision = states[state].host.incoming("bob", "alice", received, command)
    assert decision.verdict is Verdict.DROP
    shown = ShowMessage("bob", ("psst",), Protection.UNEXPECTED_PLAIN, is_action, command == "NOTICE")
    assert decision.actions == (shown,)


def test_a_tag_in_an_encrypted_conversation_starts_nothing(secured: Network, alice: User) -> None:
    decision = alice.host.incoming("bob", "alice", f"psst{TAG}")
    assert decision.actions == (ShowMessage("bob", ("psst",), Protection.UNEXPECTED_PLAIN),)


@pytest.mark.parametrize("state", MessageState)
@pytest.mark.parametrize("command", ["PRIVMSG", "NOTICE"])
def test_ctcp_is_the_clients_own_matter(
    states: dict[MessageState, User], state: MessageState, command: str
) -> None:
    for ctcp in ("\x01VERSION\x01", "\x01PING 1", f"\x01X {QUERY}\x01", f"\x01X {TAG}\x01", "\x01"):
        decision = states[state].host.incoming("bob", "alice", ctcp, command)
        assert (decision.verdict, decision.actions, decision.text) == (Verdict.PASS, (), None)


@pytest.mark.parametrize("command", ["PRIVMSG", "NOTICE"])
def test_plain_text_in_the_plain_state_passes(alice: User, command: str) -> None:
    for received in ("hello", "", "\x01ACTION waves\x01", "/me waves", "\t \t  \t"):
        decision = alice.host.incoming("bob", "alice", received, command)
        assert (decision.verdict, decision.actions, decision.text) == (Verdict.PASS, (), None)
    assert len(alice.account) == 0


@pytest.mark.parametrize("received", [*OTR_TEXTS, f"\x01ACTION {QUERY}\x01", f"\x01ACTION waves{TAG}\x01"])
def test_a_notice_never_starts_anything(alice: User, received: str) -> None:
    decision = alice.host.incoming("bob", "alice", received, "NOTICE")
    assert (decision.verdict, decision.actions, decision.text) == (Verdict.PASS, (), None)
    assert len(alice.account) == 0


def test_an_action_never_starts_anything(alice: User) -> None:
    for received in (f"\x01ACTION {QUERY}\x01", f"\x01ACTION waves{TAG}\x01"):
        assert alice.host.incoming("bob", "alice", received).verdict is Verdict.PASS
    assert len(alice.account) == 0


@pytest.mark.parametrize(
    ("received", "shown"),
    [(f"hello{TAG}", "hello"), (f"{TAG}hello", "hello"), (f"hel{TAG}lo", "hello"), (TAG, "")],
)
def test_a_tag_is_taken_out(network: Network, received: str, shown: str) -> None:
    alice = network.join("alice", policy=MANUAL)
    decision = alice.host.incoming("bob", "alice", received)
    assert (decision.verdict, decision.text, decision.actions) == (Verdict.REPLACE, shown, ())
    assert len(alice.account) == 0, "a conversation with nothing to remember is forgotten"


def test_a_tag_is_answered_when_policy_says_so(network: Network, alice: User) -> None:
    carol = network.join("carol", policy=MANUAL)
    network.put(carol, "alice", f"hello{TAG}", "PRIVMSG")
    network.settle()
    assert alice.texts() == [("hello", Protection.PLAIN)]
    assert alice.host.state("carol") is carol.host.state("alice") is MessageState.ENCRYPTED


def test_a_query_in_the_midst_of_a_text_is_heard(network: Network, alice: User, bob: User) -> None:
    network.put(alice, "bob", f"let us talk {QUERY}", "PRIVMSG")
    network.settle()
    assert alice.host.state("bob") is MessageState.ENCRYPTED


def test_line_breaks_are_taken_out_both_ways(network: Network, alice: User, bob: User) -> None:
    """A host that does as the verdict says neither sends nor shows CR, LF or NUL."""
    nasty = "a\rQUIT\nb\0c"
    (decision,) = alice.host.outgoing("bob", nasty)
    assert carried(decision, nasty) == "aQUITbc"
    assert carried(alice.host.incoming("bob", "alice", nasty), nasty) == "aQUITbc"
    assert carried(alice.host.incoming("bob", "alice", nasty + TAG), nasty) == "aQUITbc"


def test_line_breaks_inside_a_conversation(secured: Network, alice: User, bob: User) -> None:
    alice.say("bob", "a\rQUIT\nb\0c")
    assert bob.texts() == [("aQUITbc", Protection.ENCRYPTED)]
    for received in ("x\ry\nz\0", "\x01ACTION x\ry\nz\0\x01"):
        bob.clear()
        bob.hear(Line("alice", "bob", received, "PRIVMSG", cut=False))
        assert bob.texts() == [("xyz", Protection.UNEXPECTED_PLAIN)]


def test_a_marker_cannot_hide_behind_a_line_break(alice: User) -> None:
    decision = alice.host.incoming("bob", "alice", "?O\rT\0RVv3?".replace("V", ""))
    assert decision.verdict is Verdict.DROP
    assert any(isinstance(action, Send) for action in decision.actions)


# ---- start, end, time


def test_start_in_an_encrypted_conversation_does_not_re_key(secured: Network, alice: User, bob: User) -> None:
    before = alice.account.conversation("bob").info
    for nick in ("bob", "BOB"):
        alice.clear()
        alice.start(nick)
        assert "is encrypted" in note(alice).lines[0]
    assert secured.lines == []
    assert alice.account.conversation("bob").info == before
    assert bob.shown == []


def test_start_by_the_full_name_does_not_re_key_either(secured: Network, alice: User) -> None:
    alice.start("bob!~user@host.example")
    assert secured.lines == []
    assert "is encrypted" in note(alice).lines[0]


def test_both_may_start(network: Network, alice: User, bob: User) -> None:
    for one, other in ((alice, bob), (bob, alice)):
        for action in one.host.start(other.nick):
            assert isinstance(action, Send)
            for line in action.lines:
                network.put(one, action.target, line, "PRIVMSG")
    network.settle()
    ours, theirs = alice.account.conversation("bob").info, bob.account.conversation("alice").info
    assert ours is not None
    assert theirs is not None
    assert ours.ssid == theirs.ssid


def test_a_query_can_be_read_by_people(network: Network, alice: User, bob: User) -> None:
    (action,) = alice.host.start("bob")
    assert isinstance(action, Send)
    (line,) = action.lines
    assert line.startswith(f"{QUERY} ")
    assert "OTR" in line.removeprefix(QUERY)


def test_end_when_nothing_runs(network: Network, alice: User, bob: User) -> None:
    alice.end("bob")
    assert "not encrypted" in note(alice).lines[0]
    assert network.lines == []
    assert len(alice.account) == 0


def test_end_of_what_has_ended(secured: Network, alice: User, bob: User) -> None:
    for _ in range(2):
        alice.clear()
        alice.end("bob")
        assert alice.notes(), "a command is never answered by silence"
    assert bob.host.state("alice") is MessageState.FINISHED
    for _ in range(2):
        bob.clear()
        bob.end("alice")
        assert bob.notes()


def test_end_of_an_attempt(network: Network, alice: User) -> None:
    alice.start("bob")
    alice.clear()
    alice.end("bob")
    assert isinstance(note(alice).event, HandshakeFailed)
    assert alice.say("bob", "plain")[0].verdict is Verdict.PASS
    assert alice.host.next_tick is None


def test_a_query_without_answer_is_given_up_through_the_sink(network: Network, alice: User) -> None:
    alice.start("bob")
    assert alice.host.next_tick == network.clock.now + QUERY_PATIENCE_4
    network.wait(QUERY_PATIENCE_4 - 1)
    assert alice.from_sink == []
    assert alice.host.outgoing("bob", "x")[0].verdict is Verdict.DROP
    network.wait(1)
    told, given_back = alice.from_sink
    assert isinstance(told, ShowNote)
    assert told.peer == "bob"
    assert "did not answer" in told.lines[0]
    assert isinstance(given_back, ShowNote)
    assert (given_back.event, given_back.typed) == (NotSent("x", HeldBack.NO_SESSION), "x")
    assert alice.host.outgoing("bob", "x")[0].verdict is Verdict.PASS
    assert alice.host.next_tick is None


def test_a_handshake_that_stops_is_given_up_through_the_sink(network: Network, alice: User) -> None:
    alice.hear(Line("carol", "alice", QUERY, "PRIVMSG", cut=False))
    assert alice.host.outgoing("carol", "x")[0].verdict is Verdict.DROP
    network.wait(300)
    identity_again, *told = alice.from_sink
    assert isinstance(identity_again, Send)
    assert [action.event for action in told if isinstance(action, ShowNote)] == [
        HandshakeStep("Identity", sent=True),
        HandshakeFailed(HandshakeEnd.NO_ANSWER),
        NotSent("x", HeldBack.NO_SESSION),
    ]
    assert len(alice.account) == 0
    assert alice.host.next_tick is None


def test_time_goes_on_where_names_leave_no_room_for_otr(network: Network, alice: User) -> None:
    """A server may give us a mask of any length; a host that is told to tick again and again would spin."""
    alice.start("bob")
    alice.hear(Line("carol", "alice", "?OTR,1,2,abc,", "PRIVMSG", cut=False))
    alice.clear()
    alice.host.mask_changed("alice", f"alice!u@{'h' * 450}")
    network.wait(300)
    assert alice.host.next_tick is None
    assert len(alice.notes()) <= 2


def test_a_clock_that_fails_once_and_for_all_is_not_asked_for_ever(
    network: Network, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.start("bob")
    monkeypatch.setattr(Conversation, "tick", broken)
    alice.clear()
    network.wait(300)
    assert len(alice.notes()) <= 10


@pytest.mark.parametrize("state", [MessageState.ENCRYPTED, MessageState.FINISHED])
def test_a_failed_start_does_not_say_what_is_not_so(
    network: Network, alice: User, bob: User, state: MessageState
) -> None:
    """What a note says about the next text must be true of it."""
    network.secure(alice, bob)
    if state is MessageState.FINISHED:
        finish(alice, bob)
        alice.do([action for action in alice.host.start("bob") if not isinstance(action, Send)])
    else:
        alice.host.incoming("bob", "alice", QUERY)  # what we answer is lost
    alice.clear()
    network.wait(300)
    assert alice.host.state("bob") is state
    assert alice.host.outgoing("bob", SECRET)[0].verdict is Verdict.DROP
    assert alice.notes(), "that nothing came of it is told"
    for line in alice.notes():
        assert "goes out unencrypted" not in line
        assert state is MessageState.FINISHED or "No encrypted conversation" not in line


def test_the_advice_about_an_unreadable_message_works(secured: Network, alice: User, bob: User) -> None:
    """A note may only name a command that does there what the note says."""
    talk = bob.account.conversation("alice")
    talk.line_limit = None
    (sent,) = raw_send(bob, "alice", "x")
    raw = bytearray(wire_text.decode(sent.lines[0]))
    raw[-5] ^= 1  # the last byte of the MAC; behind it is only the length of an empty list of keys
    alice.hear(Line("bob", "alice", wire_text.encode(bytes(raw)), "PRIVMSG", cut=False))
    (told,) = [a for a in alice.shown if isinstance(a, ShowNote) and isinstance(a.event, Rejected)]
    assert "could not be read" in told.lines[0]
    if "/otr end" in told.lines[0]:
        alice.end("bob")
    assert "/otr start" in told.lines[0]
    before = alice.account.conversation("bob").info
    alice.start("bob")
    assert alice.account.conversation("bob").info != before, "these are no fresh keys"


def test_idle_conversations_are_forgotten(network: Network, alice: User) -> None:
    for received in ("?OTRv2?", "?OTR:AAMD.", "?OTR", f"x{TAG_BASE}"):
        alice.hear(Line("bob", "alice", received, "PRIVMSG", cut=False))
        assert len(alice.account) == 0, received
    alice.hear(Line("bob", "alice", "?OTR,1,2,abc,", "PRIVMSG", cut=False))
    assert len(alice.account) == 1
    network.wait(LIFETIME)
    assert len(alice.account) == 0


def test_another_key_than_last_time_is_told(secured: Network, alice: User, bob: User) -> None:
    alice.end("bob")
    secured.users.remove(bob)
    stranger = secured.join("bob", key="mallory")
    alice.clear()
    alice.start("bob")
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    (warning,) = [line for line in alice.notes() if line.startswith("WARNING")]
    assert str(identity("bob").fingerprint_4) in warning
    assert not any(line.startswith("WARNING") for line in stranger.notes())
    alice.end("bob")
    alice.clear()
    alice.start("bob")
    assert not any(line.startswith("WARNING") for line in alice.notes()), "told once"


def test_what_is_remembered_of_ended_conversations_makes_room(
    network: Network, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "MAX_CONVERSATIONS", 2)
    for nick in ("bob", "carol", "dave", "eve"):
        other = network.join(nick)
        network.secure(alice, other)
        alice.end(nick)
        assert len(alice.account) <= 2


# ---- people come and go


def test_a_conversation_follows_their_nick(secured: Network, alice: User, bob: User) -> None:
    secured.rename(bob, "Bobby")
    alice.say("bobby", SECRET)
    bob.say("alice", "yes")
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]
    assert alice.texts() == [("yes", Protection.ENCRYPTED)]
    assert isinstance(alice.shown[0], ShowMessage)
    assert alice.shown[0].peer == "Bobby"
    assert alice.host.state("bob") is MessageState.PLAINTEXT, "whoever is bob now is somebody else"
    somebody = secured.join("bob")
    assert alice.say("bob", "hello stranger")[0].verdict is not Verdict.DROP
    assert somebody.texts()[0] == ("hello stranger", Protection.PLAIN)


def test_a_conversation_goes_on_under_our_new_nick(secured: Network, alice: User, bob: User) -> None:
    secured.rename(alice, "alicia")
    alice.say("bob", SECRET)
    bob.say("alicia", "yes")
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]
    assert alice.texts() == [("yes", Protection.ENCRYPTED)]
    assert alice.host.incoming("bob", "alice", QUERY).verdict is Verdict.PASS, "that is not us any more"


def test_lines_fit_behind_our_new_nick(secured: Network, alice: User, bob: User) -> None:
    secured.rename(alice, "alice" + "_" * 25)
    alice.say("bob", "x" * 1000)
    assert not any(line.cut for line in secured.lines)
    assert bob.texts() == [("x" * 1000, Protection.ENCRYPTED)]


def test_lines_fit_behind_our_new_host(network: Network, alice: User, bob: User) -> None:
    network.secure(alice, bob)
    alice.address = f"~user@{'cloak.' * 12}example"
    alice.host.mask_changed("alice", alice.mask)
    for _ in range(3):
        bob.say("alice", "x" * 1000)
        alice.say("bob", "x" * 1000)
    assert len(bob.texts()) == 3
    assert not any(line.cut for line in network.lines)


def test_a_nick_in_other_capitals_is_the_same(secured: Network, alice: User, bob: User) -> None:
    secured.rename(bob, "BOB")
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    alice.say("bob", SECRET)
    bob.say("Alice", "yes")
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]
    assert alice.shown == [ShowMessage("BOB", ("yes",), Protection.ENCRYPTED)]
    secured.rename(alice, "ALICE")
    bob.say("alice", "again")
    assert alice.texts()[-1] == ("again", Protection.ENCRYPTED)
    assert [len(user.account) for user in (alice, bob)] == [1, 1]


def test_folding_is_the_servers() -> None:
    network = Network(Features(network="Testnet", casemapping="rfc1459"))
    alice, bob = network.join("alice"), network.join("bob[]")
    network.secure(alice, bob)
    assert alice.host.state("BOB{}") is MessageState.ENCRYPTED
    assert alice.host.outgoing("bob{}", SECRET)[0].verdict is Verdict.DROP
    assert alice.host.state("bob()") is MessageState.PLAINTEXT


def test_a_stranger_who_takes_a_nick_has_no_part_in_the_conversation(
    secured: Network, alice: User, bob: User
) -> None:
    """Somebody changes to the nick that we talk with: the server says the first one is not there."""
    carol = secured.join("carol")
    secured.secure(alice, carol)
    secured.users.remove(bob)
    secured.rename(carol, "bob")
    alice.say("bob", SECRET)
    assert carol.texts() == [(SECRET, Protection.ENCRYPTED)]
    assert len(alice.account) == 1


def test_to_somebody_who_has_gone_nothing_is_sent_plain(secured: Network, alice: User, bob: User) -> None:
    secured.users.remove(bob)
    alice.do(alice.host.gone("BOB", "Ping timeout"))
    assert any("Ping timeout" in line for line in alice.notes())
    assert SessionEnded(SessionEnd.PEER) in [a.event for a in alice.shown if isinstance(a, ShowNote)]
    assert secured.lines == [], "nobody is there to be told"
    stranger = secured.join("bob")
    alice.clear()
    alice.say("bob", SECRET)
    assert note(alice).typed == SECRET
    assert stranger.shown == []
    secured.secure(alice, stranger)
    alice.say("bob", "hello")
    assert stranger.texts() == [("hello", Protection.ENCRYPTED)]


def test_to_somebody_who_left_during_the_start_nothing_is_sent_plain_without_a_word(
    network: Network, alice: User
) -> None:
    alice.start("bob")
    alice.clear()
    alice.do(alice.host.gone("bob", "No such nick"))
    assert any("No such nick" in line for line in alice.notes()), (
        "who asked for an encrypted conversation is told that there will be none"
    )


def test_what_a_leaver_says_is_one_line(alice: User) -> None:
    alice.do(alice.host.gone("nobody", "x\r\ny\0z {peer} %s"))
    (line,) = alice.notes()
    assert "xyz {peer} %s" in line
    alice.host.nick_changed("nobody", "somebody")
    assert len(alice.account) == 0


def test_reconnecting_to_the_same_network_keeps_conversations(
    secured: Network, alice: User, bob: User
) -> None:
    alice.host.connected("alice2", secured.features)
    alice.nick = "alice2"
    bob.host.nick_changed("alice", "alice2")
    assert alice.asked_for == ["testnet"]
    alice.say("bob", SECRET)
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]


def test_another_network_has_another_identity_and_other_people(
    secured: Network, alice: User, bob: User
) -> None:
    alice.host.connected("alice", Features(network="Elsewhere"))
    assert alice.asked_for == ["testnet", "elsewhere"]
    assert alice.host.network == "elsewhere"
    assert alice.host.state("bob") is MessageState.FINISHED
    assert alice.host.memory("bob") == STRANGER
    alice.start("bob")
    assert alice.host.state("bob") is MessageState.ENCRYPTED
    assert [talk.peer for talk in alice.account] == ["bob"]


ELSEWHERE = {
    "network": Features(network="Elsewhere"),
    "casemapping": Features(network="Testnet", casemapping="rfc1459-strict"),
    "both": Features(network="Elsewhere", casemapping="ascii"),
}


@pytest.mark.parametrize("features", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("finished", [False, True])
def test_encrypted_conversations_do_not_turn_plain_with_the_network(
    secured: Network, alice: User, bob: User, finished: bool, features: Features
) -> None:
    """The server alone says which network it is, and how it compares nicks, at any moment."""
    if finished:
        finish(alice, bob)
    alice.host.connected("alice", features)
    assert any("Nothing is sent until you choose" in line for line in alice.notes())
    for _ in range(2):
        (decision,) = alice.host.outgoing("bob", SECRET)
        assert decision.verdict is Verdict.DROP, "what the note says is so"
    assert alice.host.state("bob") is MessageState.FINISHED
    alice.host.connected("alice", features)
    assert alice.host.outgoing("bob", SECRET)[0].verdict is Verdict.DROP
    assert not secured.crossed(SECRET)
    alice.end("bob")
    assert alice.host.outgoing("bob", "a plain word")[0].verdict is not Verdict.DROP


def test_what_was_being_set_up_on_another_network_is_told(network: Network, alice: User) -> None:
    alice.start("carol")
    alice.say("carol", SECRET)
    alice.clear()
    alice.host.connected("alice", Features(network="Elsewhere"))
    assert any("no encrypted conversation with carol was begun" in line for line in alice.notes())
    assert [note.typed for note in alice.shown if isinstance(note, ShowNote) and note.typed] == [SECRET]
    assert not network.crossed(SECRET)


RENAMED = ["BobServ", "alis", "bob.x", "#bob", "&bob", "*bob", "=bob", "$bob", "@#bob", "bob!b", "bo,B"]


@pytest.mark.parametrize("nick", RENAMED)
@pytest.mark.parametrize("finished", [False, True])
def test_whoever_is_renamed_by_the_server_stays_a_person(
    secured: Network, alice: User, bob: User, nick: str, finished: bool
) -> None:
    """Names of channels and services pass unencrypted, and the server can give one to anybody."""
    if finished:
        finish(alice, bob)
    secured.lines.clear()
    assert alice.host.nick_changed("bob", nick)
    for command in ("PRIVMSG", "NOTICE"):
        decisions = alice.host.outgoing(nick, SECRET, command)
        assert [decision.verdict for decision in decisions] == [Verdict.DROP]
    assert not secured.crossed(SECRET)
    alice.end(nick)
    assert "is over" in alice.notes()[-1]


def test_channels_and_services_still_pass(secured: Network, alice: User) -> None:
    for nick in RENAMED[:-2]:
        assert [one.verdict for one in alice.host.outgoing(nick, "identify")] == [Verdict.PASS], nick


def test_the_clients_name_counts_where_the_network_has_none(network: Network) -> None:
    network.features = Features()
    alice = network.join("alice")
    assert (alice.asked_for, alice.host.network) == (["irc.example"], "irc.example")
    assert alice.host.fingerprint == identity("alice").fingerprint


def test_shutdown_tells_everybody(network: Network, alice: User) -> None:
    others = [network.join(nick) for nick in ("bob", "carol", "dave")]
    for other in others[:2]:
        network.secure(alice, other)
    alice.start("eve")
    alice.hear(Line("frank", "alice", "?OTR,1,2,abc,", "PRIVMSG", cut=False))
    network.lines.clear()
    alice.do(alice.host.shutdown())
    assert {line.target for line in network.lines if not line.cut} == {"bob", "carol"}
    for other in others[:2]:
        assert note(other).event == SessionEnded(SessionEnd.PEER)
        assert other.host.state("alice") is MessageState.FINISHED
    assert others[2].shown == []


def test_the_last_message_fits_behind_a_new_host(network: Network, alice: User, bob: User) -> None:
    network.secure(alice, bob)
    for _ in range(3):
        alice.say("bob", "x")
        bob.say("alice", "x")
    alice.address = f"~user@{'cloak.' * 15}example"
    alice.host.mask_changed("alice", alice.mask)
    network.lines.clear()
    alice.do(alice.host.shutdown())
    assert not any(line.cut for line in network.lines)
    assert bob.host.state("alice") is MessageState.FINISHED


# ---- bounds


def test_thousands_of_strangers_leave_memory_bounded(secured: Network, alice: User, bob: User) -> None:
    for number in range(4 * MAX_CONVERSATIONS):
        piece = f"?OTR,1,2,{number},"
        assert alice.host.incoming(f"stranger{number}", "alice", piece).verdict is Verdict.DROP
        assert len(alice.account) <= MAX_CONVERSATIONS
    assert len(alice.account) == MAX_CONVERSATIONS
    alice.say("bob", SECRET)
    bob.say("alice", "yes")
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]
    assert alice.texts() == [("yes", Protection.ENCRYPTED)]
    secured.wait(LIFETIME)
    assert [talk.peer for talk in alice.account] == ["bob"]


def test_handshakes_of_strangers_are_bounded_too(
    secured: Network, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "MAX_CONVERSATIONS", 20)
    for number in range(60):
        alice.host.incoming(f"stranger{number}", "alice", QUERY)
        assert len(alice.account) <= 20
    alice.say("bob", SECRET)
    assert bob.texts() == [(SECRET, Protection.ENCRYPTED)]


def test_with_encrypted_conversations_only_no_more_begin(
    network: Network, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "MAX_CONVERSATIONS", 2)
    others = [network.join(nick) for nick in ("bob", "carol", "dave")]
    for other in others[:2]:
        network.secure(alice, other)
    alice.start("dave")
    assert "end one of them first" in note(alice).lines[0]
    alice.clear()
    others[2].start("alice")
    assert note(alice).peer == "dave"
    assert "end one of them first" in note(alice).lines[0]
    assert [line.target for line in network.lines] == ["alice"], "dave's query is not answered"
    assert alice.say("dave", "plain")[0].verdict is Verdict.PASS
    for other in others[:2]:
        alice.say(other.nick, SECRET)
        assert other.texts() == [(SECRET, Protection.ENCRYPTED)]
    alice.end("bob")
    network.secure(alice, others[2])


@pytest.mark.parametrize("renamed", [False, True])
def test_a_flood_does_not_undo_what_the_user_asked_for(
    network: Network, alice: User, monkeypatch: pytest.MonkeyPatch, renamed: bool
) -> None:
    """Who asked for an encrypted conversation does not see the next text leave in the clear."""
    monkeypatch.setattr(conversations, "MAX_CONVERSATIONS", 5)
    alice.start("bob")
    nick = "bob"
    if renamed:
        nick = "bobby"
        alice.host.nick_changed("bob", nick)
    alice.clear()
    for number in range(10):
        alice.hear(Line(f"stranger{number}", "alice", "?OTR,1,2,abc,", "PRIVMSG", cut=False))
    (decision,) = alice.host.outgoing(nick, SECRET)
    assert decision.verdict is Verdict.DROP or any(nick in line for line in alice.notes())


# ---- when something inside is wrong


def broken(*_: object, **__: object) -> NoReturn:
    raise RuntimeError(f"a bug that knows {SECRET}")


@pytest.mark.parametrize("typed", [SECRET, f"\x01ACTION {SECRET}\x01"])
def test_an_error_while_sending_lets_nothing_out(
    secured: Network, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    carol = secured.join("carol")
    monkeypatch.setattr(Conversation, "send", broken)
    decisions = alice.say("bob,carol", typed)
    assert [decision.verdict for decision in decisions] == [Verdict.DROP, Verdict.PASS]
    failed = note(alice)
    assert failed.peer == "bob"
    assert failed.typed is not None
    assert SECRET in failed.typed
    assert "RuntimeError" in failed.lines[0]
    assert SECRET not in "".join(failed.lines)
    assert bob.shown == []
    assert carol.texts() == [(typed, Protection.PLAIN)]
    monkeypatch.undo()
    alice.say("bob", "works again")
    assert bob.texts() == [("works again", Protection.ENCRYPTED)]


def test_an_error_while_receiving_shows_nothing_raw(
    secured: Network, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conversation, "receive", broken)
    for received in ("hello", QUERY, "?OTR:AAMD."):
        decision = alice.host.incoming("bob", "alice", received)
        assert decision.verdict is Verdict.DROP
        (failed,) = decision.actions
        assert isinstance(failed, ShowNote)
        assert "RuntimeError" in failed.lines[0]
        assert SECRET not in failed.lines[0]
        assert received not in failed.lines[0]
    assert alice.host.state("bob") is MessageState.ENCRYPTED


def test_an_error_in_one_conversation_does_not_keep_the_others_from_ending(
    network: Network, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [network.join(nick) for nick in ("bob", "carol")]
    for other in others:
        network.secure(alice, other)
    fail_for("bob", monkeypatch, "end", Conversation.end)
    alice.do(alice.host.shutdown())
    assert others[1].host.state("alice") is MessageState.FINISHED


def test_an_error_in_one_conversation_does_not_stop_the_clock_of_the_others(
    network: Network, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.start("bob")
    alice.start("carol")
    alice.clear()
    fail_for("bob", monkeypatch, "tick", Conversation.tick)
    network.clock.advance(QUERY_PATIENCE_4)
    alice.host.tick()
    assert any("carol did not answer" in line for line in alice.notes())


def fail_for(
    peer: str, monkeypatch: pytest.MonkeyPatch, name: str, real: Callable[[Conversation], object]
) -> None:
    """Make a call of Conversation fail for one peer."""

    def call(self: Conversation) -> object:
        return broken() if self.peer == peer else real(self)

    monkeypatch.setattr(Conversation, name, call)


@given(st.text(), st.text(max_size=40), st.sampled_from(["PRIVMSG", "NOTICE"]))
def test_anything_may_come(received: str, sender: str, command: str) -> None:
    alice = Network().join("alice")
    decision = alice.host.incoming(sender, "alice", received, command)
    sent = [line for action in decision.actions if isinstance(action, Send) for line in action.lines]
    assert not set("".join(sent)) & set("\r\n\0")


@given(st.lists(st.sampled_from(OTR_TEXTS) | st.text(max_size=20), max_size=4).map(" ".join))
def test_any_mixture_of_markers_may_come(marks: str) -> None:
    marks = marks.lstrip("\x01\r\n\0")  # CTCP is another matter
    alice = Network().join("alice", policy=DEFAULT)
    decision = alice.host.incoming("bob", "alice", marks)
    if decision.verdict is not Verdict.DROP:
        shown = carried(decision, marks)
        assert MARK not in shown
        assert TAG_BASE not in shown or decision.verdict is Verdict.REPLACE
    for action in decision.actions:
        assert isinstance(action, Send | ShowMessage | ShowNote), "only the user's command asks for a secret"
        assert action.lines


def test_the_clock_is_the_accounts() -> None:
    clock = Clock()
    host = IrcHost("net", Given(lambda name: Account(identity("alice"), clock=clock)), lambda actions: None)
    host.connected("alice", Features())
    host.start("bob")
    assert host.next_tick == clock.now + QUERY_PATIENCE_4
