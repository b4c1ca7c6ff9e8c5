"""Verifying by commands, over a server that cuts long lines: prompts, secrets, and what people are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from otrcore.events import (
    SessionOpened,
    SmpAborted,
    SmpAsked,
    SmpEnd,
    SmpFailed,
    SmpProgress,
    SmpSucceeded,
)
from otrcore.irc.actions import AskSecret, CloseSecret, Send, ShowNote
from otrcore.irc.commands import COMMANDS, OTR
from otrcore.irc.host import IrcHost
from otrcore.irc.isupport import Features
from otrcore.irc.texts import MAX_QUESTION
from otrcore.model import MessageState, Trust
from tests.irc.network import Network, User
from tests.keepers import Given

SECRET = "correct horse Batterie größe"
QUESTION = "Where did we meet?"
NOBODY = AskSecret("bob", None, True, 999)
"""A prompt that was never opened."""


def noted(user: User, kind: type[Any]) -> list[Any]:
    """The events of one kind that notes were shown about."""
    return [
        action.event
        for action in user.shown
        if isinstance(action, ShowNote) and isinstance(action.event, kind)
    ]


def last_note(user: User) -> str:
    """The lines of the last note that was shown."""
    return "\n".join([action for action in user.shown if isinstance(action, ShowNote)][-1].lines)


def ask(alice: User, words: str = "smp ask") -> None:
    """Alice asks, and gives her secret."""
    alice.command("bob", words)
    alice.secret(SECRET)


def answer(bob: User, secret: str = SECRET) -> None:
    """Bob gives his."""
    bob.command("alice", "smp answer")
    bob.secret(secret)


def trust(user: User, peer: str) -> Trust:
    return user.account.conversation(peer).trust


# ---- from the command to the result


@pytest.mark.parametrize("words", ["smp ask", f"smp ask {QUESTION}"])
@pytest.mark.parametrize("right", [True, False])
def test_from_the_command_to_the_result(
    secured: Network, alice: User, bob: User, words: str, right: bool
) -> None:
    question = QUESTION if QUESTION in words else None
    alice.command("bob", words)
    assert alice.prompts == [AskSecret("bob", question, False, 1)]
    assert secured.lines == [], "nothing goes out before the secret is there"

    alice.secret(SECRET)
    assert noted(alice, SmpProgress) == [SmpProgress(25)]
    assert noted(bob, SmpAsked) == [SmpAsked(question)]
    assert "/otr smp answer" in last_note(bob)
    if question:
        assert f'"{question}"' in last_note(bob)
    assert bob.prompts == [], "nobody is asked before he says so: he may be typing something else"

    bob.command("alice", "smp answer")
    assert bob.prompts == [AskSecret("alice", question, True, 1)]
    bob.secret(SECRET if right else SECRET.lower())
    assert alice.host.state("bob") is bob.host.state("alice") is MessageState.ENCRYPTED
    if right:
        assert noted(alice, SmpSucceeded) == [SmpSucceeded(trusts=True)]
        assert noted(bob, SmpSucceeded) == [SmpSucceeded(trusts=question is None)]
        assert trust(alice, "bob") is Trust.SMP
        assert trust(bob, "alice") is (Trust.NONE if question else Trust.SMP)
    else:
        assert noted(alice, SmpFailed) == [SmpFailed(trusts=True)]
        assert noted(bob, SmpFailed) == [SmpFailed(trusts=question is None)]
        assert last_note(alice).startswith("NOT verified: bob")
        assert last_note(bob).startswith("NOT verified: ")
        assert trust(alice, "bob") is trust(bob, "alice") is Trust.NONE


def test_who_is_verified_to_whom_is_told(secured: Network, alice: User, bob: User) -> None:
    """A question verifies the one who answers it, and nobody else."""
    ask(alice, f"smp ask {QUESTION}")
    answer(bob)
    assert last_note(alice).startswith("Verified: bob knows the answer")
    assert "bob has not thereby verified you" in last_note(alice)
    assert last_note(bob).startswith(
        "alice has verified you by your answer. You have not thereby verified alice"
    )
    assert "/otr smp ask" in last_note(bob)

    bob.command("alice", "smp ask And what is my dog's name?")
    bob.secret("Rex")
    alice.command("bob", "smp answer")
    alice.secret("Rex")
    assert last_note(bob).startswith("Verified: alice knows the answer")
    assert last_note(alice) == "bob has verified you by your answer. You had verified bob before."

    ask(alice)
    answer(bob)
    for user in (alice, bob):
        assert "That holds for both of you" in last_note(user)


@pytest.mark.parametrize("words", ["smp ask", f"smp ask {QUESTION}"])
def test_the_secret_is_nowhere_to_be_seen(secured: Network, alice: User, bob: User, words: str) -> None:
    """In no note, no message, no line that is sent, whole or in parts, and in nobody's prompt."""
    ask(alice, words)
    answer(bob)
    ask(alice, words)
    answer(bob, "not the same")
    parts = {SECRET, *SECRET.split()}
    for user in (alice, bob):
        assert user.done
        for action in user.done:
            assert not any(part in repr(action) for part in parts)
    assert secured.lines
    for line in secured.lines:
        assert line.text.startswith("?OTR")
        assert not any(part in line.text for part in parts)


@pytest.mark.parametrize(
    ("one", "other", "user", "host"), [("a", "b", "u", "h"), ("a" * 30, "b" * 30, "~" + "u" * 10, "h" * 63)]
)
def test_every_line_arrives_whole(one: str, other: str, user: str, host: str) -> None:
    network = Network()
    alice, bob = (network.join(nick, user=user, host=host) for nick in (one, other))
    network.secure(alice, bob)
    alice.command(other, "smp ask " + "x" * 300 + "?")
    alice.secret(SECRET)
    bob.command(one, "smp answer")
    bob.secret(SECRET)
    assert noted(alice, SmpSucceeded)
    assert network.lines
    assert not any(line.cut for line in network.lines)


def test_everybody_verifies_everybody_at_once(network: Network) -> None:
    """Each conversation has a prompt and a run of its own."""
    alice, bob, carol = (network.join(nick) for nick in ("alice", "bob", "carol"))
    network.secure(alice, bob)
    network.secure(alice, carol)
    alice.command("bob", "smp ask for bob?")
    alice.command("carol", "smp ask for carol?")
    for_bob, for_carol = alice.prompts
    alice.do(alice.host.secret(for_bob, "bob's"))
    alice.do(alice.host.secret(for_carol, "carol's"))
    assert noted(bob, SmpAsked) == [SmpAsked("for bob?")]
    assert noted(carol, SmpAsked) == [SmpAsked("for carol?")]
    for user in (bob, carol):
        user.command("alice", "smp answer")
        user.secret("bob's")
    assert noted(alice, SmpSucceeded) == [SmpSucceeded(trusts=True)]
    assert noted(alice, SmpFailed) == [SmpFailed(trusts=True)]


def test_a_nick_in_other_capitals_is_the_same(secured: Network, alice: User, bob: User) -> None:
    alice.command("BOB", "smp ask")
    alice.secret(SECRET)
    assert noted(bob, SmpAsked) == [SmpAsked(None)]


def test_status_tells_how_far_it_is(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "status")
    assert "and not verified" in last_note(alice)
    assert "Next: /otr smp ask" in last_note(alice)
    ask(alice)
    alice.command("bob", "status")
    assert "bob has not answered yet" in last_note(alice)
    bob.command("alice", "status")
    assert "alice waits for your secret: /otr smp answer" in last_note(bob)
    answer(bob)
    for user, peer in ((alice, "bob"), (bob, "alice")):
        user.command(peer, "status")
        assert "and verified by a shared secret" in last_note(user)
        assert "not verified" not in last_note(user)
        assert "smp ask" not in last_note(user)


def test_the_next_session_is_known_to_be_verified(secured: Network, alice: User, bob: User) -> None:
    """Even after the conversation itself was forgotten."""
    ask(alice)
    answer(bob)
    alice.end("bob")
    bob.end("alice")
    alice.host.gone("bob", "quit")
    assert len(alice.account) == 0
    for user in (alice, bob):
        user.clear()
    alice.start("bob")
    (opened,) = noted(alice, SessionOpened)
    assert opened.trust is Trust.SMP
    assert any(line.startswith("Verified: bob") for line in alice.notes())
    assert not any("ot verified" in line for line in alice.notes())


# ---- prompts


def test_an_empty_secret_calls_it_off_and_says_so(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "smp ask")
    (prompt,) = alice.prompts
    alice.secret("")
    assert secured.lines == []
    assert last_note(alice) == "bob was asked nothing."
    alice.do(alice.host.secret(prompt, SECRET))
    assert secured.lines == [], "the prompt is gone"
    assert "not asked for any more" in last_note(alice)


def test_an_empty_answer_refuses(secured: Network, alice: User, bob: User) -> None:
    ask(alice)
    answer(bob, "")
    assert noted(bob, SmpAborted) == [SmpAborted(SmpEnd.HERE)]
    assert noted(alice, SmpAborted) == [SmpAborted(SmpEnd.PEER)]


def test_blanks_are_a_secret(secured: Network, alice: User, bob: User) -> None:
    """Only nothing at all calls it off: whether blanks make sense is not ours to judge."""
    alice.command("bob", "smp ask")
    alice.secret(" ")
    answer(bob, " ")
    assert noted(alice, SmpSucceeded)


def test_a_secret_that_nobody_asked_for_does_nothing(secured: Network, alice: User, bob: User) -> None:
    ask(alice)
    secured.lines.clear()
    for user in (alice, bob):
        user.do(user.host.secret(NOBODY, SECRET))
        assert "not asked for any more" in last_note(user)
        assert SECRET not in repr(user.done)
    assert secured.lines == []


def test_a_secret_is_taken_once(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "smp ask")
    (prompt,) = alice.prompts
    alice.secret(SECRET)
    lines = len(secured.lines)
    alice.do(alice.host.secret(prompt, "what was meant as a message"))
    assert len(secured.lines) == lines
    assert "what was meant" not in repr(alice.done)


def test_the_last_prompt_counts(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "smp ask first?")
    alice.command("bob", "smp ask second?")
    first, second = alice.prompts
    alice.do(alice.host.secret(first, SECRET))
    assert secured.lines == []
    alice.do(alice.host.secret(second, SECRET))
    assert noted(bob, SmpAsked) == [SmpAsked("second?")]


def test_to_ask_back_before_answering(secured: Network, alice: User, bob: User) -> None:
    ask(alice)
    bob.command("alice", "smp ask")
    bob.secret(SECRET)
    assert noted(alice, SmpAborted) == [SmpAborted(SmpEnd.PEER)]
    assert noted(alice, SmpAsked) == [SmpAsked(None)]
    alice.command("bob", "smp answer")
    alice.secret(SECRET)
    assert noted(bob, SmpSucceeded) == [SmpSucceeded(trusts=True)]


def test_an_abort_closes_the_prompt(secured: Network, alice: User) -> None:
    alice.command("bob", "smp ask")
    (prompt,) = alice.prompts
    alice.command("bob", "smp abort")
    assert alice.closed == [CloseSecret(prompt)]
    assert last_note(alice) == "bob was asked nothing."
    alice.secret(SECRET)
    assert secured_lines(alice) == []
    assert "not asked for any more" in last_note(alice)


def secured_lines(user: User) -> list[Any]:
    return user.network.lines


def test_the_peer_gives_up_while_our_user_types(secured: Network, alice: User, bob: User) -> None:
    ask(alice)
    bob.command("alice", "smp answer")
    (prompt,) = bob.prompts
    alice.command("bob", "smp abort")
    assert noted(bob, SmpAborted) == [SmpAborted(SmpEnd.PEER)]
    assert bob.closed == [CloseSecret(prompt)]
    secured.lines.clear()
    bob.secret(SECRET)
    assert secured.lines == []
    assert noted(bob, SmpProgress) == []
    assert "not asked for any more" in last_note(bob)


@pytest.mark.parametrize("second", ["And what is your password?", ""])
def test_an_answer_is_to_the_question_that_was_prompted_for(
    secured: Network, alice: User, bob: User, second: str
) -> None:
    """A new question while the user types takes the prompt's place: the old answer is not for it."""
    ask(alice, f"smp ask {QUESTION}")
    bob.command("alice", "smp answer")
    # As libotr, which begins anew without ending what was there before.
    alice.account.conversation("bob").smp_abort()
    ask(alice, f"smp ask {second}")
    first, newer = bob.prompts
    assert (first.question, newer.question) == (QUESTION, second or None)
    assert first.number != newer.number
    secured.lines.clear()
    bob.do(bob.host.secret(first, SECRET))
    assert secured.lines == []
    bob.do(bob.host.secret(newer, SECRET))
    assert noted(alice, SmpSucceeded) == [SmpSucceeded(trusts=True)]


def test_a_peer_that_asks_anew_has_taken_back_what_it_asked_before(
    secured: Network, alice: User, bob: User
) -> None:
    ask(alice, f"smp ask {QUESTION}")
    bob.command("alice", "smp answer")
    (prompt,) = bob.prompts
    ask(alice, "smp ask And now?")
    assert bob.closed == [CloseSecret(prompt)]
    secured.lines.clear()
    bob.secret(SECRET)
    assert secured.lines == []
    answer(bob)
    assert noted(alice, SmpSucceeded) == [SmpSucceeded(trusts=True)]


def test_when_both_ask_at_once_the_one_who_is_slower_answers(
    secured: Network, alice: User, bob: User
) -> None:
    """Both were told to type the same command: the prompt that is open becomes that of the answer."""
    bob.command("alice", "smp ask")
    ask(alice)
    own, theirs = bob.prompts
    assert (own.by_peer, theirs.by_peer) == (False, True)
    bob.do(bob.host.secret(theirs, SECRET))
    for user in (alice, bob):
        assert noted(user, SmpSucceeded) == [SmpSucceeded(trusts=True)]


def test_a_question_is_shown_in_bounds_and_as_one_line(secured: Network, alice: User, bob: User) -> None:
    talk = alice.account.conversation("bob")
    events = talk.smp_start(SECRET, "a\r\nb\0" + "?" * 5000)
    alice.do([Send("bob", event.lines) for event in events if hasattr(event, "lines")])
    bob.command("alice", "smp answer")
    (prompt,) = bob.prompts
    assert prompt.question is not None
    assert prompt.question.startswith("ab???")
    for text in (prompt.question, *bob.notes()):
        assert len(text) <= MAX_QUESTION + 150
        assert not set(text) & set("\r\n\0")


# ---- when the session or the peer is another


def ends(network: Network, alice: User, bob: User) -> dict[str, Callable[[], object]]:
    """Ways in which an encrypted conversation comes to its end, or to another session."""
    elsewhere = Features(network="Othernet", casemapping="ascii")
    return {
        "our end": lambda: alice.end("bob"),
        "their end": lambda: bob.end("alice"),
        "gone": lambda: alice.do(alice.host.gone("bob", "quit")),
        "renewed by us": lambda: alice.command("bob", "refresh"),
        "renewed by them": lambda: bob.command("alice", "refresh"),
        "another network": lambda: alice.host.connected("alice", elsewhere),
        "switched off": lambda: alice.command("bob", "policy never"),
    }


WAYS = list(ends(Network(), None, None))  # type: ignore[arg-type]  # only their names


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("asking", [True, False], ids=["to ask", "to answer"])
def test_the_prompt_is_closed_when_its_session_ends(
    secured: Network, alice: User, bob: User, way: str, asking: bool
) -> None:
    """The next session may be with somebody else: what was meant for this one is not used in it."""
    if asking:
        alice.command("bob", f"smp ask {QUESTION}")
    else:
        bob.command("alice", "smp ask")
        bob.secret(SECRET)
        alice.command("bob", "smp answer")
    (prompt,) = alice.prompts
    ends(secured, alice, bob)[way]()
    assert alice.closed == [CloseSecret(prompt)]
    if alice.host.state("bob") is not MessageState.ENCRYPTED and way not in (
        "another network",
        "switched off",
    ):
        alice.command("bob", "start")
        assert alice.host.state("bob") is MessageState.ENCRYPTED
    secured.lines.clear()
    for user in (alice, bob):
        user.clear()
    alice.secret(SECRET)
    assert secured.lines == []
    assert "not asked for any more" in last_note(alice)


def test_the_prompt_follows_their_nick(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", f"smp ask {QUESTION}")
    secured.rename(bob, "robert")
    before, now = alice.prompts
    assert (now.peer, now.question, now.number) == ("robert", QUESTION, before.number)
    alice.do(alice.host.secret(before, SECRET))
    assert noted(bob, SmpAsked) == [SmpAsked(QUESTION)]
    answer(bob)
    assert last_note(alice).startswith("Verified: robert knows the answer")


def test_a_stranger_under_the_old_nick_has_no_part_in_it(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", f"smp ask {QUESTION}")
    secured.rename(bob, "robert")
    stranger = secured.join("bob", key="stranger")
    secured.secure(alice, stranger)
    alice.secret(SECRET)
    assert noted(stranger, SmpAsked) == []
    assert noted(bob, SmpAsked) == [SmpAsked(QUESTION)]


def test_who_takes_the_nick_gets_no_answer_for_the_one_who_had_it(
    secured: Network, alice: User, bob: User
) -> None:
    carol = secured.join("carol")
    secured.secure(alice, carol)
    ask(alice)
    bob.command("alice", "smp ask")
    bob.secret(SECRET)
    alice.command("bob", "smp answer")
    (prompt,) = alice.prompts
    secured.users.remove(bob)
    secured.rename(carol, "bob")
    assert alice.closed == [CloseSecret(prompt)]
    secured.lines.clear()
    alice.do(alice.host.secret(prompt, SECRET))
    assert secured.lines == []


def test_prompts_are_bounded_by_conversations(network: Network, alice: User) -> None:
    for number in range(50):
        alice.command(f"stranger{number}", "smp ask")
    assert alice.prompts == []
    assert len(alice.host._verification._prompts) == 0


# ---- where it is not possible


@pytest.mark.parametrize("words", ["smp ask", "smp ask Which?", "smp answer", "smp abort", "auth", "trust"])
def test_without_an_encrypted_conversation(network: Network, alice: User, bob: User, words: str) -> None:
    alice.command("bob", words)
    assert alice.prompts == []
    assert network.lines == []
    assert "encrypted conversation" in last_note(alice) or last_note(alice).startswith("No verification")
    assert len(alice.account) == 0, "nothing is left behind"


@pytest.mark.parametrize("words", ["smp ask", "smp ask Which?", "smp answer", "auth", "trust"])
def test_while_one_is_being_set_up(alice: User, words: str) -> None:
    alice.command("carol", "start")
    alice.command("carol", words)
    assert alice.prompts == []
    assert 'wait for "Secured"' in last_note(alice)
    assert "/otr start" not in last_note(alice)


@pytest.mark.parametrize("words", ["smp ask", "smp answer", "smp abort", "auth"])
def test_in_a_finished_conversation(secured: Network, alice: User, bob: User, words: str) -> None:
    bob.end("alice")
    secured.lines.clear()
    alice.command("bob", words)
    assert alice.prompts == []
    assert secured.lines == []
    assert "encrypted conversation" in last_note(alice) or last_note(alice).startswith("No verification")


@pytest.mark.parametrize("name", ["#chan", "NickServ", "bob,carol", ""])
@pytest.mark.parametrize("words", [command.name for command in COMMANDS])
def test_with_no_person(alice: User, name: str, words: str) -> None:
    alice.command(name, words)
    assert alice.prompts == []
    assert alice.network.lines == []
    assert last_note(alice)
    assert len(alice.account) == 0


def test_not_connected_yet() -> None:
    host = IrcHost("irc.example", Given(lambda name: pytest.fail("no keys are needed")), lambda actions: None)
    for command in COMMANDS:
        (note,) = OTR.run(host, "bob", command.name)
        assert isinstance(note, ShowNote)
        assert note.lines
    (note,) = host.secret(NOBODY, SECRET)
    assert isinstance(note, ShowNote)
    assert SECRET not in repr(note)


def test_nothing_to_answer(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "smp answer")
    assert alice.prompts == []
    assert last_note(alice) == "bob has asked nothing: /otr smp ask to ask bob."


def test_nothing_to_abort(secured: Network, alice: User) -> None:
    """A command that does nothing says so."""
    alice.command("bob", "smp abort")
    assert last_note(alice) == "No verification with bob is under way."
    assert secured.lines == []


def test_a_question_that_is_too_long_is_refused_before_the_secret(secured: Network, alice: User) -> None:
    alice.command("bob", "smp ask " + "?" * 70_000)
    assert alice.prompts == []
    assert secured.lines == []
    assert "too long" in last_note(alice)


# ---- what other clients take as secrets


@pytest.mark.parametrize("name", ["smp answer", "smp respond", "answer", "auth", "AUTH", "verify", "smp"])
@pytest.mark.parametrize("asked", [True, False])
def test_a_secret_typed_behind_a_command_is_neither_sent_nor_shown(
    secured: Network, alice: User, bob: User, name: str, asked: bool
) -> None:
    """As irssi and weechat-otr want it: a habit that must not give the secret away."""
    if asked:
        bob.command("alice", "smp ask")
        bob.secret("hunter2")
    alice.command("bob", f"{name} hunter2")
    assert any("neither used nor sent" in line for line in alice.notes())
    if asked:
        (prompt,) = alice.prompts
        assert prompt.by_peer
    for prompt in alice.prompts:
        assert prompt.question is None
        alice.secret("hunter2")
    for user in (alice, bob):
        assert "hunter2" not in repr(user.done)
    assert all(event.question is None for event in noted(bob, SmpAsked))


@pytest.mark.parametrize(
    "typed",
    [
        "smp ask hunter2",
        "authq Where? hunter2",
        '"smp ask" hunter2',
        'smp ask "Where did we meet?" hunter2',
        "smp ask bob freenode hunter2",
        "smp ask Where hunter2",
        "smp start hunter2",
        "smpask hunter2",
        "auht hunter2",
        "set secret hunter2",
        "hunter2",
        "start hunter2",
        "policy hunter2",
        "trust hunter2",
        "distrust hunter2",
        "client hunter2",
    ],
)
@pytest.mark.parametrize("encrypted", [True, False])
def test_what_may_be_a_secret_is_no_question_and_in_no_note(
    network: Network, alice: User, bob: User, typed: str, encrypted: bool
) -> None:
    if encrypted:
        network.secure(alice, bob)
    alice.command("bob", typed)
    assert network.lines == []
    assert alice.prompts == []
    assert last_note(alice)
    assert "hunter2" not in repr(alice.done)


def test_auth_answers_or_asks(secured: Network, alice: User, bob: User) -> None:
    """As irssi's does, which has one command for both."""
    alice.command("bob", "auth")
    alice.secret(SECRET)
    bob.command("alice", "auth")
    (prompt,) = bob.prompts
    assert prompt.by_peer
    bob.secret(SECRET)
    assert noted(alice, SmpSucceeded) == noted(bob, SmpSucceeded) == [SmpSucceeded(trusts=True)]


@pytest.mark.parametrize(
    "words",
    ["smp ask a\r\nPRIVMSG carol :b?", "smp ask a\0b?", "x\r\nQUIT", "\0", "smp answer\nQUIT", "start\rQUIT"],
)
def test_no_line_break_goes_anywhere(secured: Network, alice: User, bob: User, words: str) -> None:
    alice.command("bob", words)
    if alice.prompts:
        alice.secret("a\r\nQUIT :\0")
    for user in (alice, bob):
        for action in user.done:
            if isinstance(action, Send | ShowNote):
                for line in action.lines:
                    assert not set(line) & set("\r\n\0")


def test_a_secret_may_hold_anything(secured: Network, alice: User, bob: User) -> None:
    secret = "a\r\n\0\x01ACTION\x01 %s{} \udcff ?OTRv3?"
    alice.command("bob", "smp ask")
    alice.secret(secret)
    answer(bob, secret)
    assert noted(alice, SmpSucceeded)
    assert not secured.crossed("ACTION")


def test_bytes_that_are_no_text_stay_apart(secured: Network, alice: User, bob: User) -> None:
    alice.command("bob", "smp ask")
    alice.secret("caf\udce9")
    answer(bob, "caf\udce8")
    assert noted(alice, SmpFailed)
