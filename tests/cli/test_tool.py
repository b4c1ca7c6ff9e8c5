"""`otr tool` as a command: what it is given, what it prints, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from otrcore.cli import tool, tool_input
from otrcore.toolkit.describe import digits
from tests.cli.managing import OtrInTerminal
from tests.clients.drivers.programs import run
from tests.interop.ours import message_in
from tests.toolkit.commands import otr_tool
from tests.toolkit.recorded import SAID, Recorded, pieces, record

NEW = "Something else altogether."
AES, MAC = "a0" * 16, "b1" * 20


@pytest.fixture(scope="module", params=[2, 3])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A conversation that somebody in between has recorded."""
    return record(request.param, "ours", tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def line() -> str:
    """A message of the AES key above."""
    return otr_tool("forge", AES, "A text.").told


def test_for_programs(recorded: Recorded) -> None:
    one, *_, last = recorded.spoken()
    aes, mac = one.made_with.aes.hex(), one.made_with.mac.hex()
    assert otr_tool("mackey", "--json", aes).data == {"aes_key": aes, "mac_key": mac}
    keys = otr_tool("sesskeys", "--json", one.private.hex(), digits(one.public).hex()).data
    assert keys == {
        "high_end": one.keys.we_are_high,
        "our_public_key": digits(one.keys.our_public).hex(),
        "session_id": recorded.ssid.hex(),
        "sending": {"aes_key": one.keys.sending.aes.hex(), "mac_key": one.keys.sending.mac.hex()},
        "receiving": {"aes_key": aes, "mac_key": mac},
        "extra_key": one.keys.extra.hex(),
    }
    said = otr_tool("readforge", "--json", last.made_with.aes.hex(), stdin=last.line).data
    assert [(entry["line"], entry["text"], entry["text_hex"]) for entry in said] == [(1, "", "")]
    assert {"type": 1, "value": ""} in said[0]["tlvs"]
    for words in (
        ["readforge", aes, NEW],
        ["modify", mac, "Do", "Ma", "0"],
        ["remac", *pieces(one), "--version", str(recorded.version)],
        ["forge", aes, NEW, "--next-key", "ab"],
    ):
        line = otr_tool(*words, stdin=one.line).told.strip()
        assert otr_tool(*words, "--json", stdin=one.line).data == {"message": line}
    entries = otr_tool("parse", "--json", stdin=recorded.text).data
    kinds = [entry["kind"] for entry in entries]
    assert kinds[:3] == ["Query Message", "D-H Commit Message", "D-H Key Message"]
    assert kinds[5:] == ["Data Message"] * (len(SAID) + 1)
    assert {entry["file"] for entry in entries} == {"-"}
    numbered = recorded.text.split("\n")
    assert all(
        message_in(numbered[entry["line"] - 1].partition("> ")[2]) in recorded.messages
        for entry in entries[1:]
    )


def test_published_keys_are_shown_with_the_messages_that_they_made(recorded: Recorded) -> None:
    entries = otr_tool("parse", "--json", "--mac-keys", stdin=recorded.text).data
    data = [entry for entry in entries if entry["kind"] == "Data Message"]
    published = {key for entry in data for key in entry["revealed_mac_keys"]}
    for entry, one in zip(data, recorded.spoken(), strict=True):
        key = one.made_with.mac.hex()
        assert entry.get("made_with_mac_key") == (key if key in published else None)
    shown = otr_tool("parse", "--mac-keys", stdin=recorded.text).told
    assert f"        Made with MAC key: {data[0]['made_with_mac_key']}\n\n" in shown


def test_several_files(recorded: Recorded, tmp_path: Path) -> None:
    """A forgery is verified by the key that another file publishes."""
    one = recorded.spoken()[0]
    log, forged = tmp_path / "log", tmp_path / "forged"
    log.write_text(recorded.text)
    forged.write_text(
        "\n" + otr_tool("modify", one.made_with.mac.hex(), "100", "900", "16", stdin=one.line).told
    )
    entries = otr_tool("parse", "--json", "--mac-keys", str(log), str(forged)).data
    assert (entries[-1]["file"], entries[-1]["line"]) == (str(forged), 2)
    assert entries[-1]["made_with_mac_key"] == one.made_with.mac.hex()
    assert otr_tool("parse", "--json", str(forged)).data[0].get("made_with_mac_key") is None


def test_the_message_that_a_key_belongs_to_is_found(recorded: Recorded) -> None:
    """libotr's tools look at the first message only."""
    for one in recorded.spoken():
        aes, mac = one.made_with.aes.hex(), one.made_with.mac.hex()
        same = [other for other in recorded.spoken() if other.made_with.aes == one.made_with.aes]
        assert one.line in [other.line for other in same]
        both = otr_tool("readforge", aes, stdin=recorded.text).told
        assert both == "".join(otr_tool("readforge", aes, stdin=other.line).told for other in same)
        for words in (["readforge", aes, NEW], ["modify", mac, "", "", "0"]):
            assert otr_tool(*words, stdin=recorded.text) == otr_tool(*words, stdin=same[0].line)


def test_the_message_of_one_line(recorded: Recorded) -> None:
    two = [one for one in recorded.spoken() if one.who == "bob"][:2]
    aes = two[0].made_with.aes.hex()
    assert aes == two[1].made_with.aes.hex()
    text = "\n".join(["hello", *(one.line for one in two)])
    for line, (_, said) in enumerate(SAID[1:3], 2):
        assert otr_tool("readforge", aes, "--line", str(line), stdin=text).told == f"Plaintext: ``{said}''\n"
    assert "data message in line 1" in otr_tool("readforge", aes, "--line", "1", stdin=text).refusal
    modified = otr_tool("modify", two[0].made_with.mac.hex(), "At", "By", "0", "--line", "3", stdin=text)
    assert otr_tool("readforge", aes, stdin=modified.told).told == "Plaintext: ``By five.''\n"


# What is given


PIECES = ["0" * 40, "256", "512", "0", "1", "1", "ab", "0" * 16, "", ""]
USAGE = {
    "no such command": ["nothing"],
    "a short AES key": ["mackey", "ab"],
    "a long AES key": ["mackey", "ab" * 17],
    "half a byte": ["mackey", "a" * 31],
    "other characters": ["mackey", "é" * 32],
    "digits of another script": ["mackey", "٣" * 32],
    "blanks": ["mackey", "ab " * 16],
    "a short MAC key": ["modify", AES, "a", "b", "0"],
    "an offset below 0": ["modify", MAC, "a", "b", "--", "-1"],
    "no offset": ["modify", MAC, "a", "b"],
    "an offset that is no number": ["modify", MAC, "a", "b", "x"],
    "a public key that is none": ["sesskeys", "ab", "xy"],
    "line 0": ["readforge", AES, "--line", "0"],
    "another version": ["forge", AES, "x", "--version", "4"],
    "version 2 with instances": ["forge", AES, "x", "--version", "2", "--sender-instance", "256"],
    "a counter of 9 bytes": ["forge", AES, "x", "--counter", str(2**64)],
    "half a published key": ["forge", AES, "x", "--reveal", "ab" * 30],
    "a next key that is none": ["forge", AES, "x", "--next-key", "xy"],
    **{
        f"remac with {wrong!r} at {at}": ["remac", *PIECES[:at], wrong, *PIECES[at + 1 :]]
        for at, wrong in [
            (0, "ab"),
            (1, str(2**32)),
            (2, "x"),
            (3, "256"),
            (4, str(2**32)),
            (5, ""),
            (6, "abc"),
            (7, "01"),
            (8, "x"),
            (9, "ab" * 19),
        ]
    },
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage(name: str, line: str) -> None:
    outcome = otr_tool(*USAGE[name], stdin=line)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Error: " in outcome.err


def test_pieces_that_do_fit() -> None:
    assert message_in(otr_tool("remac", *PIECES).told.strip())


REFUSED: dict[str, tuple[list[str], str, str]] = {
    "no message": (["parse"], "hello\n", "There is no OTR message in that"),
    "nothing": (["parse"], "", "There is no OTR message in that"),
    "no file": (["parse", "nothing.log"], "", "nothing.log cannot be read: no such file"),
    "a folder": (["parse", "."], "", ". cannot be read: is a directory"),
    "a name with NUL": (["parse", "a\0b"], "", "cannot be read"),
    "no file with a key": (["mackey", "@nothing.key"], "", "nothing.key cannot be read"),
    "no line with a key": (["mackey", "-"], "", "Standard input ended before AESKEY"),
    "no message to read": (["readforge", AES], "?OTRv3?", "There is no OTR data message in that"),
    "no message to forge after": (["readforge", AES, NEW], "", "There is no OTR data message in that"),
    "no message to change": (["modify", MAC, "a", "b", "0"], "", "There is no OTR data message in that"),
    "no message in the line": (["readforge", AES, "--line", "2"], "{line}", "data message in line 2"),
    "the key of another message": (["readforge", "00" * 16], "{line}", "try another key"),
    "the MAC key of another": (["modify", "00" * 20, "a", "b", "0"], "{line}", "has a MAC of this key"),
    "a longer text": (["modify", MAC, "a", "ü", "0"], "{line}", "has 1 bytes and the new one 2"),
    "a private key of 193 bytes": (["sesskeys", "ab" * 193, "09"], "", "at most 192 bytes"),
    "a public key of one": (["sesskeys", "05", "01"], "", "from 2 to the prime minus 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words, typed, sentence = REFUSED[name]
    refusal = otr_tool(*words, stdin=typed.replace("{line}", line)).refusal
    assert sentence in refusal
    assert refusal.endswith(".")


def test_what_can_be_read_is_shown_beside_what_is_damaged(line: str) -> None:
    text = f"?OTR:AAMD.\n{line}"
    outcome = otr_tool("parse", stdin=text)
    assert outcome.code == 1
    assert outcome.out.startswith(
        "Damaged Message:\n        Line: 1\n        Reason: the header is cut off\n\nData"
    )
    assert outcome.err == "1 of 2 OTR messages could not be read: look whether they are whole.\n"
    outcome = otr_tool("parse", "--json", stdin=text)
    assert outcome.code == 1
    assert [entry["kind"] for entry in json.loads(outcome.out)] == ["Damaged Message", "Data Message"]
    outcome = otr_tool("readforge", AES, stdin=text)
    assert (outcome.code, outcome.out) == (0, "Plaintext: ``A text.''\n")
    assert outcome.err == "1 of 2 OTR messages could not be read, and were left out.\n"


def test_keys_from_files_and_from_standard_input(line: str, tmp_path: Path) -> None:
    key, log = tmp_path / "aes.key", tmp_path / "chat.log"
    key.write_text(f"\n  {AES}\n")
    log.write_text(line)
    expected = otr_tool("readforge", AES, stdin=line)
    assert expected.told == "Plaintext: ``A text.''\n"
    assert otr_tool("readforge", f"@{key}", stdin=line) == expected
    assert otr_tool("readforge", f"@{key}", "--messages", str(log)) == expected
    assert otr_tool("readforge", "-", "--messages", str(log), stdin=AES) == expected
    assert otr_tool("readforge", "-", stdin=f"{AES}\r\nhello\n{line}") == expected
    assert otr_tool("readforge", "-", "--line", "2", stdin=f"{AES}\nhello\n{line}") == expected


def test_each_dash_is_a_line(tmp_path: Path) -> None:
    expected = otr_tool("sesskeys", "05" * 40, "abcd")
    assert expected.told
    assert otr_tool("sesskeys", "-", "-", stdin=f"{'05' * 40}\nabcd\n") == expected
    assert otr_tool("sesskeys", "05" * 40, "-", stdin="abcd") == expected
    pieces_in = "\n".join([PIECES[0], PIECES[6], PIECES[7], "abcd", "ab" * 20])
    pieces_out = [*PIECES[:8], "abcd", "ab" * 20]
    dashes = [value if at in (1, 2, 3, 4, 5) else "-" for at, value in enumerate(pieces_out)]
    assert otr_tool("remac", *dashes, stdin=pieces_in) == otr_tool("remac", *pieces_out)


def test_no_complaint_repeats_a_secret(tmp_path: Path) -> None:
    canary = "5ec2e7" * 7 + "zz"
    file = tmp_path / "key"
    file.write_text(canary)
    for given in (canary, "-", f"@{file}"):
        for words in (
            ["mackey", given],
            ["sesskeys", given, "09"],
            ["readforge", given],
            ["modify", given, "a", "b", "0"],
            ["forge", given, "x"],
            ["remac", given, *PIECES[1:]],
        ):
            outcome = otr_tool(*words, stdin=canary)
            assert outcome.code == 2
            assert "5ec2e7" not in outcome.out + outcome.err


def test_so_much_is_read(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_input, "MAX_INPUT", len(line))
    file = tmp_path / "chat.log"
    file.write_text(line)
    assert otr_tool("parse", stdin=line).told == otr_tool("parse", str(file)).told
    file.write_text(line + "\n")
    for words in (
        ["parse"],
        ["parse", str(file)],
        ["readforge", "-"],
        ["mackey", f"@{file}"],
        ["mackey", "-"],
    ):
        assert "holds more than" in otr_tool(*words, stdin="a" * (len(line) + 1)).refusal


def test_so_much_is_read_in_all(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_input, "MAX_INPUT", 2 * len(line))
    file = tmp_path / "chat.log"
    file.write_text(line)
    assert otr_tool("parse", str(file), "-", stdin=line).told
    assert "more than is read" in otr_tool("parse", str(file), "-", str(file), stdin=line).refusal
    assert "more than is read" in otr_tool("readforge", "-", stdin=f"{AES}\n{line}{line}").refusal


def test_so_many_messages_are_taken(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "MAX_FOUND", 2)
    assert otr_tool("parse", stdin=line * 2).told
    assert "more than 2 OTR messages" in otr_tool("parse", stdin=line * 3).refusal


# As a process of its own


def test_a_process(line: str, tmp_path: Path) -> None:
    (tmp_path / "aes.key").write_text(AES)
    done = run(tmp_path, "otr", "tool", "readforge", "@aes.key", typed=line)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Plaintext: ``A text.''\n", "")
    done = run(tmp_path, "otr", "tool", "readforge", "-", typed=f"{'00' * 16}\n{line}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    done = run(tmp_path, "otr", "tool", "mackey", "ab")
    assert (done.returncode, done.stdout) == (2, "")


def test_endless_input_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "tool", "parse", "/dev/zero")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "/dev/zero holds more than is read, 16 MB in all: give a part of it.\n"


def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path) -> None:
    line = otr_tool("forge", AES, "ü 🙂").told
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = run(tmp_path, "otr", "tool", "readforge", AES, typed=line, changes=ascii_only)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Plaintext: ``\\xfc \\U0001f642''\n", "")


def test_a_key_is_typed_unseen(line: str, tmp_path: Path) -> None:
    (tmp_path / "chat.log").write_text(line)
    with OtrInTerminal(tmp_path, "tool", "readforge", "-", "--messages", "chat.log") as terminal:
        terminal.wait_unseen("AESKEY: ")
        terminal.type(AES)
        assert terminal.exit_code() == 0
        assert "Plaintext: ``A text.''" in terminal.screen()
        assert AES not in terminal.screen()


def test_a_key_that_is_not_typed(tmp_path: Path) -> None:
    with OtrInTerminal(tmp_path, "tool", "mackey", "-") as terminal:
        terminal.wait_unseen("AESKEY: ")
        terminal.press(b"\x04")
        assert terminal.exit_code() == 1
        assert "Standard input ended before AESKEY" in terminal.screen()


def test_help_teaches(tmp_path: Path) -> None:
    done = run(tmp_path, "otr", "tool", "--help")
    commands = re.findall(r"(?m)^  ([a-z]+)  ", done.stdout)
    assert commands == ["parse", "sesskeys", "mackey", "readforge", "modify", "remac", "forge"]
    assert "other users can see" in " ".join(done.stdout.split())
    for command in commands:
        assert "Example" in otr_tool(command, "--help").told
