"""Whose files they are, and what of them belongs to IRC."""

from __future__ import annotations

import re

import pytest

from otrcore.errors import UsageError
from otrcore.model import Trust
from otrcore.store.formats.programs import PROGRAMS, is_known, parts_of, read
from otrcore.store.formats.values import FormatError
from tests.store.formats.samples import (
    FINGERPRINTS,
    FPR,
    KEY3,
    KEYS,
    LIBOTR,
    OF_ACCOUNTS,
    TAGS,
    WEECHAT_OTR,
    complaint,
    files_of,
    hex_of,
)
from tests.store.sentences import sentence

LINE = "bob\t{account}\t{protocol}\t" + "0123456789" * 4 + "\tsmp\n"


def line(account: str, protocol: str = "IRC") -> bytes:
    return LINE.format(account=account, protocol=protocol).encode()


def test_a_folder_of_pidgin() -> None:
    found = read(None, files_of(LIBOTR))
    assert found.program.name == "pidgin"
    assert {key.account: hex_of(key.key) for key in found.keys} == {
        account: OF_ACCOUNTS[account] for account in ("alice@irc.libera.chat", "alice@irc.oftc.net")
    }
    assert [(contact.nick, contact.trust) for contact in found.contacts] == [
        ("bob", Trust.NONE),
        ("bob", Trust.SMP),
        ("carol", Trust.COMPARED),
        ("carol", Trust.COMPARED),
    ]
    assert [tag.tag for tag in found.tags] == [0x943C373A, 0x108E01BB]
    assert found.left_out == {"prpl-jabber": 4}


def test_a_folder_of_weechat() -> None:
    found = read(None, {**files_of(WEECHAT_OTR), "README": b"anything"})
    assert found.program.name == "weechat"
    assert {key.account: hex_of(key.key) for key in found.keys} == {
        account: OF_ACCOUNTS[account] for account in ("alice@libera", "alice_@libera", "alice@oftc")
    }
    assert {contact.nick for contact in found.contacts} == {"bob", "carol", "dave", "gefährte"}
    assert len(found.contacts) == 12
    assert (found.tags, found.left_out) == ((), {})


@pytest.mark.parametrize(
    ("files", "program"),
    [
        ({"otr.fp": line("libera")}, "irssi"),
        ({"otr.fp": line("alice@Libera.Chat")}, "hexchat"),
        ({"otr.fp": line("alice@irc.libera.chat") + line("libera")}, "irssi"),
        ({"otr.instag": b"alice@OFTC\tIRC\t12345678\n"}, "hexchat"),
        ({"otr.key": b"(privkeys)"}, "irssi"),
        ({"otr.private_key": KEYS}, "pidgin"),
        ({"otr.fingerprints": FINGERPRINTS}, "pidgin"),
        ({"otr.instance_tags": TAGS}, "pidgin"),
        ({"otr.fingerprints": line("alice@irc.libera.chat")}, "pidgin"),
        ({"a@b.key3": KEY3}, "weechat"),
        ({"a@b.fpr": FPR}, "weechat"),
    ],
)
def test_files_tell_whose_they_are(files: dict[str, bytes], program: str) -> None:
    assert read(None, files).program.name == program
    for name in PROGRAMS:
        if PROGRAMS[name].files == PROGRAMS[program].files:
            assert read(name, files).program.name == name, "what the user says counts"
        else:
            with pytest.raises(UsageError):
                read(name, files)


def test_files_of_several_programs() -> None:
    files = {**files_of(LIBOTR), **files_of(WEECHAT_OTR)}
    with pytest.raises(UsageError) as caught:
        read(None, files)
    assert "--from one of pidgin, weechat, libotr" in sentence(str(caught.value))
    assert len(read("pidgin", files).keys) == 2
    assert len(read("weechat", files).keys) == 3


@pytest.mark.parametrize("name", [None, *PROGRAMS])
def test_no_files_of_any_program(name: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        read(name, {"otr.keys": KEYS, ".key": KEY3, "otr.key.bak": b""})
    assert re.search(r"There are no OTR files of .*: look for \S", sentence(str(caught.value)))


def test_an_unknown_program() -> None:
    with pytest.raises(UsageError) as caught:
        read("trillian", {})
    assert "choose one of pidgin, irssi" in sentence(str(caught.value))


def test_known_names() -> None:
    assert all(map(is_known, [*files_of(LIBOTR), *files_of(WEECHAT_OTR), "otr.key", "otr.fp", "otr.instag"]))
    assert not any(map(is_known, ["otr.key.tmp", "OTR.KEY", "config", "otr.private_key~", "key3", ""]))


@pytest.mark.parametrize(
    ("account", "parts"),
    [
        ("libera", ("", "libera")),
        ("alice@libera", ("alice", "libera")),
        ("alice@irc.libera.chat", ("alice", "irc.libera.chat")),
        ("alice@", ("alice", "")),
        ("a@b@c", ("a", "b@c")),
    ],
)
def test_parts_of_an_account(account: str, parts: tuple[str, str]) -> None:
    assert parts_of(account) == parts


@pytest.mark.parametrize("nick", ["", " ", "two words", "b\N{NO-BREAK SPACE}b", "x" * 129, "@libera"])
def test_what_is_no_nick(nick: str) -> None:
    bad = line("libera").replace(b"bob", nick.encode())
    with pytest.raises(FormatError) as caught:
        read("irssi", {"otr.fp": line("libera") + bad, "otr.key": b"(privkeys)"})
    assert (caught.value.file, caught.value.line) == ("otr.fp", 2)
    complaint(caught.value)


def test_other_protocols_have_names_of_their_own() -> None:
    other = line("alice@jabber.example", "prpl-jabber").replace(b"bob", b"Bob the Builder")
    found = read(None, {"otr.fingerprints": other})
    assert (found.contacts, found.left_out) == ((), {"prpl-jabber": 1})


@pytest.mark.parametrize("file", ["otr.private_key", "otr.fingerprints", "otr.instance_tags"])
def test_the_file_is_named(file: str) -> None:
    files = {**files_of(LIBOTR), file: b"nonsense\n"}
    with pytest.raises(FormatError) as caught:
        read(None, files)
    assert str(caught.value).startswith(f"{file}, line 1: ")


def test_a_damaged_binary_file_is_named() -> None:
    with pytest.raises(FormatError) as caught:
        read(None, {"alice@libera.key3": KEY3[:-1]})
    assert str(caught.value).startswith("alice@libera.key3: it is cut off")


@pytest.mark.parametrize(
    "file", ["alice\x1b[2J@libera.key3", "al\nice@libera.key3", "al\udcff@libera.key3", ".key3"]
)
def test_a_file_name_that_is_no_account(file: str) -> None:
    with pytest.raises(FormatError, match="its name") as caught:
        read(None, {file: KEY3})
    assert str(caught.value).isprintable()
    sentence(caught.value)
