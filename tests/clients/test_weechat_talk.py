"""Two WeeChats with our script, on a server that allows nicks of 30 characters: a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from otrcore.irc.lines import text_limit
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.weechat import CORE, WeeChat, private, status
from tests.clients.weechat_support import answer, notes, readable, secure, start, talk, wait_bar, wait_note

# As long as the server allows, so that the prefix in front of delivered lines is as long as it gets.
ALICE = "Alice-" + "a" * 24
BOB = "bob"

TEXTS = [
    "Grüße aus Zürich, 你好, 👋🏽",
    "  two  blanks  inside",
    "${info:version} %n $nick; \\n *",
    "?OTR is my secret",
    "?OTR:AAMD, it begins",
]
LONG = ("A line of two thousand characters, ü among them, which IRC has no room for. " * 27)[:2000]
BOLD_AND_RED = "\x02bold\x02 and \x0304red\x03"


class Pair:
    """Two clients in an encrypted conversation."""

    def __init__(self, alice: WeeChat, bob: WeeChat) -> None:
        self.alice, self.bob = alice, bob

    def both(self) -> list[tuple[WeeChat, WeeChat]]:
        return [(self.alice, self.bob), (self.bob, self.alice)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("talk")
    with ExitStack() as running:
        server = running.enter_context(Ngircd(folder / "ngircd"))
        alice, bob = start(running, folder, server.port, ALICE, BOB)
        assert alice.scripts()["otr_client"]
        talk(alice, bob, "in the clear")
        secure(alice, bob)
        yield Pair(alice, bob)
        assert alice.errors() == bob.errors() == []


def test_what_is_typed_arrives_and_is_readable_nowhere_else(pair: Pair) -> None:
    assert pair.alice.sent(BOB) == pair.bob.received(ALICE) == ["in the clear"]
    assert len(readable([pair.alice], "in the clear")) == 1

    before = len(pair.alice.wire.lines)
    for text in TEXTS:
        for one, other in pair.both():
            talk(one, other, text)
    lines = pair.alice.wire.lines[before:]
    carried = [line.text for line in lines if "PRIVMSG" in line.text]
    assert len(carried) >= 2 * len(TEXTS)
    assert all(" :?OTR:AAQD" in line or " :?OTR|" in line for line in carried)
    assert not [text for text in TEXTS if readable([pair.alice, pair.bob], text)]
    # Once, and as WeeChat shows what it sends itself.
    for one, other in pair.both():
        assert one.sent(other.nick)[-len(TEXTS) :] == other.received(one.nick)[-len(TEXTS) :] == TEXTS
        plain, *_, own = one.printed(private(other.nick), "self_msg")
        assert set(plain.tags) <= set(own.tags) or one is pair.bob
        assert (own.prefix, own.highlight) == (one.nick, False)
        assert {"irc_privmsg", "self_msg", "notify_none", f"nick_{one.nick}"} <= set(own.tags)
        heard = one.printed(private(other.nick), f"nick_{other.nick}")[-1]
        assert {"irc_privmsg", "notify_private", f"nick_{other.nick}"} <= set(heard.tags)


def test_long_lines_arrive_whole_and_fit(pair: Pair) -> None:
    for one, other in pair.both():
        before = len(other.wire.lines)
        talk(one, other, LONG)
        lines = [line for line in other.wire.lines[before:] if line.direction == "received"]
        carried = [line for line in lines if b" PRIVMSG " in line.data]
        assert max(len(line.data) for line in carried) <= 512
        # As long as WeeChat itself lets them be, which reckons with a longest nick, and we, who reckon
        # with a longer user; nobody tells how others see us.
        limit = min(394 - len(other.nick), text_limit(one.nick, None, other.nick))
        texts = [line.text.split(" :", 1)[1] for line in carried]
        assert limit - 4 < max(map(len, texts)) <= limit
        assert all(text.startswith("?OTR|") and text.endswith(",") for text in texts)


def test_actions_and_formatting(pair: Pair) -> None:
    for one, other in pair.both():
        one.say(other.nick, "/me waves at all")
        shown = other.wait_printed(f"{one.nick} waves at all", private(one.nick))
        assert {"irc_action", "notify_private"} <= set(shown.tags)
        own = one.wait_printed(f"{one.nick} waves at all", private(other.nick))
        assert {"irc_action", "self_msg"} <= set(own.tags)
        assert not readable([one], "waves at all")

    pair.alice.command(f"/msg {BOB} {BOLD_AND_RED}", status())
    shown = pair.bob.wait_printed("bold and red", private(ALICE))
    assert shown.colored != shown.text, "the formatting is shown as such"
    # Once each, though WeeChat shows what is sent by /msg before it sends it.
    assert [line.text for line in pair.alice.printed(private(BOB), "self_msg")][-2:] == [
        f"{ALICE} waves at all",
        "bold and red",
    ]


def test_several_lines_in_a_message(pair: Pair) -> None:
    """Other clients do send texts of several lines; here, a script of theirs."""
    pair.bob.type("first\nsecond\n\nthird", private(ALICE))
    pair.alice.wait_received(BOB, "third")
    assert pair.alice.received(BOB)[-3:] == ["first", "second", "third"]


def test_it_stays_out_of_logs_and_files(pair: Pair) -> None:
    for one, other in pair.both():
        talk(one, other, f"a secret of {one.nick}")
        assert not one.files_with(f"a secret of {one.nick}")
        assert not other.files_with(f"a secret of {one.nick}")
        assert "in the clear" in one.log(private(other.nick))
        with pytest.raises(RuntimeError, match="no option"):
            one.option(f"logger.level.irc.test.{other.nick}")
    pair.alice.say(BOB, "/otr log on")
    talk(pair.alice, pair.bob, "for the record")
    talk(pair.bob, pair.alice, "noted")
    assert "for the record" in pair.alice.log(private(BOB))
    assert "noted" in pair.alice.log(private(BOB))
    assert not pair.bob.files_with("for the record")
    assert pair.alice.variables(private(BOB))["otr_logged"] == "true"
    pair.alice.say(BOB, "/otr log off")
    talk(pair.alice, pair.bob, "off the record")
    assert not pair.alice.files_with("off the record")
    assert pair.alice.variables(private(BOB))["otr_logged"] == "false"
    # As a setting for all, which a command for one overrides.
    pair.bob.set_option("otrcore.log.encrypted", "on")
    talk(pair.alice, pair.bob, "on the record by default")
    assert "on the record by default" in pair.bob.log(private(ALICE))
    pair.bob.say(ALICE, "/otr log off")
    talk(pair.alice, pair.bob, "off the record here")
    assert not pair.bob.files_with("off the record here")
    pair.bob.set_option("otrcore.log.encrypted", "off")


def test_what_others_read(pair: Pair) -> None:
    for one, other in pair.both():
        assert {
            name: value for name, value in one.variables(private(other.nick)).items() if "otr" in name
        } == {
            "otr_encrypted": "true",
            "otr_authenticated": "false",
            "otr_logged": "false",
            "otr_version": "4",
        }
        wait_bar(one, other.nick, "OTR4: encrypted, NOT verified")
    pair.alice.show(CORE)
    pair.alice.wait_bar_item("otr", "")
    pair.alice.set_option("otrcore.look.unverified", '"who knows"')
    wait_bar(pair.alice, BOB, "OTR4: encrypted, who knows")
    pair.alice.set_option("otrcore.look.unverified", '"NOT verified"')
    pair.alice.open_query("stranger")
    assert pair.alice.variables(private("stranger"))["otr_encrypted"] == "false"
    wait_bar(pair.alice, "stranger", "OTR: not encrypted")


def test_commands_from_elsewhere(pair: Pair) -> None:
    for typed in (f"/otr status {BOB}", f"/otr status {BOB} test", f"/otr info {BOB}"):
        before = len(notes(pair.alice, BOB, "is encrypted (OTR version 4)"))
        pair.alice.type(typed, CORE)
        wait_note(pair.alice, BOB, "is encrypted (OTR version 4)", before + 1)
    pair.alice.type("/otr", private(BOB))
    wait_note(pair.alice, BOB, "/otr smp ask [QUESTION?]")
    pair.alice.type("/otr keys", CORE)
    pair.alice.wait_printed("you have the key", CORE)
    pair.alice.type("/otr dance", private(BOB))
    wait_note(pair.alice, BOB, "There is no such command")
    assert not readable([pair.alice], "dance")


def test_completion(pair: Pair) -> None:
    everything = pair.alice.completions("/otr ", private(BOB))
    assert {"/otr start ", "/otr smp ", "/otr policy ", "/otr restart "} <= set(everything)
    assert not [line for line in everything if BOB in line]
    assert pair.alice.completions("/otr st", private(BOB)) == ["/otr start ", "/otr status "]
    assert pair.alice.completions("/otr smp a", private(BOB)) == [
        "/otr smp abort ",
        "/otr smp answer ",
        "/otr smp ask ",
    ]
    assert "/otr policy always " in pair.alice.completions("/otr policy ", private(BOB))
    assert pair.alice.completions("/otr policy network al", private(BOB))[0] == "/otr policy network always "
    assert pair.alice.completions("/otr status b", status())[0] == f"/otr status {BOB} "
    assert pair.alice.completions(f"/otr status {BOB} te", status())[0] == f"/otr status {BOB} test "


@pytest.mark.parametrize("asker", ["alice", "bob"])
@pytest.mark.parametrize(("given", "outcome"), [("Grün 7", "NOT verified"), ("grün 7", "Verified")])
def test_verifying_by_a_question(pair: Pair, asker: str, given: str, outcome: str) -> None:
    one, other = (pair.alice, pair.bob) if asker == "alice" else (pair.bob, pair.alice)
    told = "NOT verified: " if outcome == "NOT verified" else "Verified: "
    before = len(notes(one, other.nick, told))
    asked, asks = (
        len(notes(other, one.nick, "wants to verify you")),
        len(notes(one, other.nick, "The answer that")),
    )
    one.say(other.nick, "/otr smp ask Which colour, and how many?")
    wait_note(one, other.nick, "The answer that", asks + 1)
    assert len(notes(other, one.nick, "wants to verify you")) == asked, "the secret comes first"
    answer(one, other.nick, "grün 7")
    wait_note(other, one.nick, "wants to verify you", asked + 1)
    line = other.printed(private(one.nick), "otr_info")[-2]
    assert 'asks: "Which colour, and how many?"' in line.text
    assert line.highlight
    other.say(one.nick, "/otr smp answer")
    answer(other, one.nick, given)
    wait_note(one, other.nick, told, before + 1)
    verified = "verified" if outcome == "Verified" else "NOT verified"
    wait_bar(one, other.nick, f"OTR4: encrypted, {verified}")
    assert one.variables(private(other.nick))["otr_authenticated"] == str(outcome == "Verified").lower()
    for client, peer in ((one, other.nick), (other, one.nick)):
        # Nowhere: on no screen, in no history, in no file, on no wire.
        assert not [line for line in client.printed() if "rün 7" in line.text]
        assert not [line for line in client.history() + client.history(private(peer)) if "rün 7" in line]
        assert not client.files_with("rün 7")
        assert not readable([client], "rün 7")
        assert client.input_line(private(peer)) == ""


def test_a_question_is_called_off_by_an_empty_line(pair: Pair) -> None:
    pair.alice.say(BOB, "/otr smp ask")
    pair.alice.wait_printed("An empty line calls it off", private(BOB))
    pair.alice.type("", private(BOB))
    wait_note(pair.alice, BOB, "bob was asked nothing")
    talk(pair.alice, pair.bob, "and on we go")


def test_a_secret_from_the_safe(pair: Pair) -> None:
    pair.alice.command("/secure set between_us grün 8")
    done = len(notes(pair.alice, BOB, "Verified: "))
    asked = len(notes(pair.bob, ALICE, "wants to verify you"))
    pair.alice.say(BOB, "/otr smp ask")
    answer(pair.alice, BOB, "${sec.data.between_us}")
    wait_note(pair.bob, ALICE, "wants to verify you", asked + 1)
    pair.bob.say(ALICE, "/otr smp answer")
    answer(pair.bob, ALICE, "grün 8")
    wait_note(pair.alice, BOB, "Verified: ", done + 1)


def test_a_secret_typed_behind_a_command_by_habit_is_not_kept(pair: Pair) -> None:
    pair.alice.say(BOB, "/otr smp ask is it you? hush hush")
    wait_note(pair.alice, BOB, "has to end with a question mark")
    assert not [line for line in pair.alice.history() + pair.alice.history(private(BOB)) if "hush" in line]
    assert not readable([pair.alice], "hush")
    assert not [line for line in pair.alice.printed() if "hush" in line.text]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("/otr smp hunter2", False),
        ("/otr  SMP  hunter2 ", False),
        ("/otr smp answers", False),
        ("/otr smp respond hunter2", False),
        ("/otr auth hunter2", False),
        ("/otr smp", True),
        ("/otr smp ask", True),
        ("/otr smp start", True),
        ("/otr smp answer", True),
        ("/otr smp respond", True),
        ("/otr smp cancel", True),
        ("/otr smp abort ", True),
    ],
)
def test_a_secret_alone_behind_a_command_is_not_kept(pair: Pair, typed: str, kept: bool) -> None:
    before = pair.alice.history().count(typed), pair.alice.history(private(BOB)).count(typed)
    pair.alice.say(BOB, typed)
    after = pair.alice.history().count(typed), pair.alice.history(private(BOB)).count(typed)
    assert after == (before[0] + kept, before[1] + kept)
    pair.alice.say(BOB, "/otr smp abort")
    assert not [line for line in pair.alice.printed() if "hunter2" in line.text]
    assert not readable([pair.alice], "hunter2")


def test_while_a_secret_is_asked_for_commands_are_commands(pair: Pair) -> None:
    pair.alice.say(BOB, "/otr smp ask")
    pair.alice.type("/otr status", private(BOB))
    pair.alice.wait_printed("is encrypted (OTR version 4)", private(BOB))
    called_off = len(notes(pair.alice, BOB, "bob was asked nothing"))
    pair.alice.type("/otr smp abort", private(BOB))
    wait_note(pair.alice, BOB, "bob was asked nothing", called_off + 1)
    talk(pair.alice, pair.bob, "no secret any more")
    assert "no secret any more" in pair.alice.history(private(BOB))


def test_the_end_and_what_is_typed_then(pair: Pair) -> None:
    pair.alice.say(BOB, "/otr end")
    wait_note(pair.bob, ALICE, "has ended the encrypted conversation")
    pair.bob.say(ALICE, "this must not leave")
    wait_note(pair.bob, ALICE, "Not sent")
    wait_note(pair.bob, ALICE, "your text: this must not leave")
    wait_bar(pair.bob, ALICE, "OTR: ended there")
    assert not readable([pair.bob], "this must not leave")
    assert not pair.bob.files_with("this must not leave")
    assert pair.bob.variables(private(ALICE))["otr_encrypted"] == "false"
    pair.bob.say(ALICE, "/otr end")
    talk(pair.bob, pair.alice, "in the clear again")
    talk(pair.alice, pair.bob, "this too")
    assert len(readable([pair.bob], "this too")) == 1
    assert pair.bob.sent(ALICE)[-1] == "in the clear again"
    assert "this too" in pair.bob.log(private(ALICE))
    secure(pair.bob, pair.alice)
    talk(pair.alice, pair.bob, "once more in private")
    assert not readable([pair.alice], "once more")


def test_an_offer_in_the_clear_is_not_shown(pair: Pair) -> None:
    """It is some blanks in the text, which only other clients look at."""
    pair.alice.say("dave", "/otr policy opportunistic")
    pair.alice.say("dave", "hello dave, how are you?")
    pair.alice.wait(lambda: pair.alice.sent("dave"), "the text")
    (sent,) = [line for line in pair.alice.wire.sent() if line.startswith("PRIVMSG dave :")]
    assert " \t  \t\t\t\t \t \t \t  " in sent
    assert pair.alice.sent("dave") == ["hello dave, how are you?"]


def test_policies_are_options(pair: Pair) -> None:
    pair.alice.command("/set otrcore.policy.test.carol always")
    pair.alice.say("carol", "/otr policy")
    wait_note(pair.alice, "carol", "Policy for carol: always")
    pair.alice.say("carol", "is anybody there?")
    wait_note(pair.alice, "carol", "Waiting: it leaves encrypted once")
    assert not readable([pair.alice], "is anybody there?")
    pair.alice.command("/set otrcore.policy.test.carol never")
    pair.alice.say("carol", "/otr policy")
    wait_note(pair.alice, "carol", "Policy for carol: never")
    pair.alice.command("/set otrcore.policy.test manual")
    pair.alice.type("/otr policy network", status())
    pair.alice.wait_printed("manual, a conversation begins when one of you asks for it", status())
    pair.alice.command("/set otrcore.policy.test nonsense")
    pair.alice.wait_printed("There is no policy 'nonsense'")
    pair.alice.command("/unset otrcore.policy.test")
    pair.alice.command("/save otrcore")
    assert 'test.carol = "never"' in (pair.alice.data / "otrcore.conf").read_text()
    pair.alice.reload("otr_client")
    pair.alice.say("carol", "/otr policy")
    wait_note(pair.alice, "carol", "Policy for carol: never", 2)
