"""`otr tool` beside libotr's tools on the same messages: where it does the same, and where it does not."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

import pytest

from otrcore.toolkit.describe import digits
from otrcore.toolkit.escape import escape
from otrcore.wire.fragment import cut
from otrcore.wire.messages3 import DataMessage
from tests.cli.managing import Outcome
from tests.interop.ours import message_in
from tests.toolkit.commands import libotr_tool, otr_tool
from tests.toolkit.recorded import SAID, Recorded, Spoken, pieces

NEW = "Something else altogether."


def plainly(outcome: Outcome) -> str:
    """All that a tool printed."""
    return outcome.told


def parsed(outcome: Outcome) -> str:
    """What otr_parse printed, as we do: with blanks for tabs."""
    return outcome.told.expandtabs()


def with_escapes(outcome: Outcome) -> str:
    """What otr_readforge printed, as we do: with nothing in it that a terminal would act on."""
    return escape(outcome.told.removesuffix("\n")) + "\n"


def texts(outcome: Outcome) -> str:
    """What we print of a text, without its TLVs, of which otr_readforge shows nothing."""
    return re.sub(r"(?m)^TLV .*\n", "", outcome.told)


def without_ids(outcome: Outcome) -> str:
    """What otr_sesskeys and we print alike: not the session id, nor the extra key that is ours only."""
    kept = [line for line in outcome.told.split("\n") if not re.match("Session id|Extra", line)]
    return "\n".join(kept).strip()


def forged(outcome: Outcome) -> str:
    """The message that otr_readforge makes, which it prints the text of the old one in front of."""
    return outcome.told.splitlines(keepends=True)[-1]


Words = Callable[[Spoken], list[str]]
Print = Callable[[Outcome], str]


COMMANDS: dict[str, tuple[str, Words, Print, Print]] = {
    "parse": ("otr_parse", lambda one: [], parsed, plainly),
    "sesskeys": (
        "otr_sesskeys",
        lambda one: [one.private.hex(), digits(one.public).hex()],
        without_ids,
        without_ids,
    ),
    "mackey": ("otr_mackey", lambda one: [one.made_with.aes.hex()], plainly, plainly),
    "mackey in capitals": ("otr_mackey", lambda one: [one.made_with.aes.hex().upper()], plainly, plainly),
    "readforge": ("otr_readforge", lambda one: [one.made_with.aes.hex()], with_escapes, texts),
    "readforge with a text": ("otr_readforge", lambda one: [one.made_with.aes.hex(), NEW], forged, plainly),
    "readforge with no text": ("otr_readforge", lambda one: [one.made_with.aes.hex(), ""], forged, plainly),
    "readforge with bytes": (
        "otr_readforge",
        lambda one: [one.made_with.aes.hex(), "\udcff\x07ü"],
        forged,
        plainly,
    ),
    "modify": ("otr_modify", lambda one: [one.made_with.mac.hex(), "a", "b", "0"], plainly, plainly),
    "modify in the middle": (
        "otr_modify",
        lambda one: [one.made_with.mac.hex(), "ü", "xy", str(len(one.message.encrypted) // 3)],
        plainly,
        plainly,
    ),
    "remac": ("otr_remac", pieces, plainly, plainly),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_as_libotr(recorded: Recorded, name: str) -> None:
    program, words, of_theirs, of_ours = COMMANDS[name]
    for one in recorded.spoken():
        if program == "otr_remac" and recorded.version == 2:
            continue  # otr_remac makes version 3 only
        if "modify" in name and len(one.message.encrypted) < 10:
            continue
        theirs = libotr_tool(program, *words(one), stdin=one.line)
        ours = otr_tool(name.partition(" ")[0], *words(one), stdin=one.line)
        assert of_ours(ours) == of_theirs(theirs)
        assert of_ours(ours)


def test_a_whole_log_parses_as_by_libotr(recorded: Recorded) -> None:
    theirs = parsed(libotr_tool("otr_parse", stdin=recorded.text))
    ours = otr_tool("parse", stdin=recorded.text).told
    query = f"Query Message:\n        Versions: {recorded.version}\n\n"
    assert ours == query + theirs
    assert theirs.count("Message:") == len(recorded.messages) == 4 + len(SAID) + 1


def test_libotr_reads_what_is_forged(recorded: Recorded) -> None:
    for one in recorded.spoken():
        header = one.message.header
        words = ["forge", one.made_with.aes.hex(), NEW, "--version", str(recorded.version)]
        words += [
            "--sender-instance",
            str(header.sender_tag),
            "--receiver-instance",
            str(header.receiver_tag),
        ]
        words += ["--flags", "1", "--sender-keyid", "7", "--rcpt-keyid", "8", "--counter", "9"]
        words += ["--next-key", digits(one.public).hex(), "--reveal", "ab" * 40]
        line = otr_tool(*words).told
        assert (
            libotr_tool("otr_readforge", one.made_with.aes.hex(), stdin=line).told
            == f"Plaintext: ``{NEW}''\n"
        )
        assert parsed(libotr_tool("otr_parse", stdin=line)) == otr_tool("parse", stdin=line).told
        message = message_in(line)
        assert isinstance(message, DataMessage)
        assert message.header == header
        assert (message.flags, message.sender_keyid, message.recipient_keyid) == (1, 7, 8)
        assert (message.next_dh, message.counter, message.old_mac_keys) == (one.public, 9, b"\xab" * 40)


def test_each_forgery_has_a_new_key_unless_it_is_named() -> None:
    """The sender's next D-H key, which nobody could use again."""
    keys = set()
    for _ in range(3):
        line = otr_tool("forge", "ab" * 16, NEW).told
        assert otr_tool("readforge", "ab" * 16, stdin=line).told == f"Plaintext: ``{NEW}''\n"
        (document,) = json.loads(otr_tool("parse", "--json", stdin=line).told)
        keys.add(document["dh_y"])
        assert len(document["dh_y"]) > 370
    assert len(keys) == 3


def test_pieces_of_version_2(recorded: Recorded) -> None:
    if recorded.version != 2:
        return
    for one in recorded.spoken():
        assert otr_tool("remac", *pieces(one), "--version", "2").told.strip() == one.line


def test_fragments(recorded: Recorded) -> None:
    one = recorded.spoken()[4]
    pieces = "\n".join(cut(one.line, 200, one.message.header))
    assert otr_tool("parse", stdin=pieces).told == otr_tool("parse", stdin=one.line).told
    key = one.made_with.aes.hex()
    assert otr_tool("readforge", key, stdin=pieces).told == otr_tool("readforge", key, stdin=one.line).told


# What libotr's tools do, and what we do instead: docs/decisions/0016.


def test_libotr_is_content_with_a_wrong_key(recorded: Recorded) -> None:
    one = recorded.spoken()[0]
    theirs = libotr_tool("otr_readforge", "00" * 16, stdin=one.line)
    assert (theirs.code, theirs.out) == (0, "")
    assert "key" in otr_tool("readforge", "00" * 16, stdin=one.line).refusal
    theirs = libotr_tool("otr_readforge", "00" * 16, NEW, stdin=one.line)
    ours = otr_tool("readforge", "00" * 16, NEW, stdin=one.line)
    assert ours.out == theirs.out
    assert ours.code == theirs.code == 0
    assert ours.err == "The key opens none of the messages, so the forgery is modelled on the first.\n"


@pytest.mark.parametrize(("old", "new", "offset"), [("100", "900", 10_000), ("euros?", "EUROS!", 25)])
def test_libotr_cuts_what_goes_beyond_the_end(recorded: Recorded, old: str, new: str, offset: int) -> None:
    one = recorded.spoken()[0]
    words = [one.made_with.mac.hex(), old, new, str(offset)]
    size = len(one.message.encrypted)
    if offset < size:
        words[-1] = str(size - 1)
    assert libotr_tool("otr_modify", *words, stdin=one.line).told
    assert f"has {size} bytes" in otr_tool("modify", *words, stdin=one.line).refusal


def test_libotr_shows_the_session_id_of_version_1(recorded: Recorded) -> None:
    one = recorded.spoken()[0]
    words = one.private.hex(), digits(one.public).hex()
    theirs = re.search("Session id: (.*)", libotr_tool("otr_sesskeys", *words).told)
    ours = re.search("Session id: (.*)", otr_tool("sesskeys", *words).told)
    assert theirs is not None
    assert ours is not None
    assert len(theirs[1]) == 2 * hashlib.sha1().digest_size
    assert ours[1] == recorded.ssid.hex()


@pytest.mark.parametrize(
    ("private", "public"), [("00", "09"), ("05", "01"), ("01", "02"), ("", "09"), ("05", "")]
)
def test_libotr_takes_keys_that_nobody_has(private: str, public: str) -> None:
    assert libotr_tool("otr_sesskeys", private, public).told
    assert otr_tool("sesskeys", private, public).refusal


def test_libotr_reads_no_fragments(recorded: Recorded) -> None:
    one = recorded.spoken()[0]
    pieces = "\n".join(cut(one.line, 200, one.message.header))
    assert "Data Message:" not in libotr_tool("otr_parse", stdin=pieces).told
    assert "Data Message:" in otr_tool("parse", stdin=pieces).told


def test_libotr_prints_what_a_terminal_would_act_on(recorded: Recorded) -> None:
    (one,) = (one for one, (_, text) in zip(recorded.spoken(), SAID, strict=False) if "\x1b" in text)
    key = one.made_with.aes.hex()
    assert "\x1b[31m" in libotr_tool("otr_readforge", key, stdin=one.line).told
    ours = otr_tool("readforge", key, stdin=one.line).told
    assert ours.replace("\n", "").isprintable()
    assert r"\x1b[31mred\x1b[0m \u202e backslash \\ bell \x07" in ours


@pytest.mark.parametrize("text", ["?OTR:AAMDAAAA.", "?OTR:AAkD.", "hello", ""])
def test_libotr_is_content_with_what_it_cannot_read(text: str) -> None:
    assert libotr_tool("otr_parse", stdin=text).code == 0
    ours = otr_tool("parse", stdin=text)
    assert ours.code == 1
    assert ours.err


def test_libotr_makes_messages_of_pieces_that_do_not_fit(recorded: Recorded) -> None:
    words = pieces(recorded.spoken()[0])
    for at, wrong in [(1, "0x100"), (3, "300"), (9, "abcd")]:
        bad = [*words[:at], wrong, *words[at + 1 :]]
        assert libotr_tool("otr_remac", *bad).told
        assert otr_tool("remac", *bad).code == 2
