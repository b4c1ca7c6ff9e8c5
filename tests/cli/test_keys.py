"""`otr keys`: the user's own identities, listed, made, replaced, deleted and locked."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otrcore.cli.keys import Program, Reader
from otrcore.cli.passphrase import VARIABLE
from otrcore.model import Fingerprint
from otrcore.store.database import FILE_NAME
from otrcore.store.formats.programs import PROGRAMS
from otrcore.store.store import Store
from tests.cli.managing import OtrInTerminal, otr
from tests.mends import obey


def fingerprint(folder: Path, network: str) -> str | None:
    """Return the fingerprint that a chat client would have on a network of its own, if it has one."""
    with Store(folder / "data") as store:
        identity = store.identities.find(network)
    return None if identity is None else str(identity.fingerprint)


def for_version_4(folder: Path, network: str) -> Fingerprint:
    """Return the other fingerprint of a network that has a key."""
    with Store(folder / "data") as store:
        identity = store.identities.find(network)
    assert identity is not None
    return identity.fingerprint_4


def in_lines(told: str, fingerprint: Fingerprint) -> bool:
    """Whether a fingerprint for version 4 stands there in lines of five groups."""
    lines = [re.findall(r"\b[0-9A-F]{8}\b", line) for line in told.splitlines()]
    groups = fingerprint.digest.hex(" ", -4).upper().split()
    wanted = [groups[:5], groups[5:10], groups[10:]]
    return any(lines[at : at + 3] == wanted for at in range(len(lines)))


def passphrase_file(folder: Path, name: str, passphrase: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(passphrase.encode() if isinstance(passphrase, str) else passphrase)
    path.chmod(0o600)
    return path


# ---- one's own keys


def test_none_yet(tmp_path: Path) -> None:
    assert "no keys" in otr(tmp_path, "keys").told
    assert otr(tmp_path, "keys", "--json").data == {"locked": False, "keys": []}


def test_a_key_that_was_made_is_the_one_that_is_used_and_listed(tmp_path: Path) -> None:
    made = otr(tmp_path, "keys", "generate", "Libera.Chat")
    ours = fingerprint(tmp_path, "libera.chat")
    assert ours is not None
    assert ours in made.told
    assert ours in otr(tmp_path, "keys").told
    other = for_version_4(tmp_path, "libera.chat")
    assert in_lines(made.told, other)
    assert in_lines(otr(tmp_path, "keys").told, other)
    (row,) = otr(tmp_path, "keys", "--json").data["keys"]
    assert row | {"created": ""} == {
        "network": "libera.chat",
        "fingerprint": ours,
        "fingerprint_4": str(other),
        "created": "",
        "retired": None,
    }
    assert otr(tmp_path, "keys", "generate", "oftc", "--json").data == {
        "network": "oftc",
        "fingerprint": fingerprint(tmp_path, "oftc"),
        "fingerprint_4": str(for_version_4(tmp_path, "oftc")),
    }


def test_the_list_says_which_fingerprint_is_for_which_version(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    former = for_version_4(tmp_path, "oftc")
    otr(tmp_path, "keys", "rotate", "oftc", "--yes")
    told = otr(tmp_path, "keys").told
    heading, *lines = told.splitlines()
    at = heading.index("OTR")
    assert [line[at : at + 4].strip() for line in lines] == ["2, 3", "4", "", "", "2, 3", "4", "", ""]
    assert in_lines(told, for_version_4(tmp_path, "oftc"))
    assert in_lines(told, former)


def test_a_key_from_before_version_4_has_one_fingerprint_until_it_is_used(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    with closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as connection, connection:
        connection.execute(
            "UPDATE identity SET fingerprint_4 = NULL, ed448_private_key = NULL, forging_key = NULL"
        )
    told = otr(tmp_path, "keys").told
    assert "before OTR version 4" in told
    assert len(told.splitlines()) == 3
    (row,) = otr(tmp_path, "keys", "--json").data["keys"]
    assert row["fingerprint_4"] is None
    other = for_version_4(tmp_path, "oftc")
    told = otr(tmp_path, "keys").told
    assert in_lines(told, other)
    assert "before OTR version 4" not in told


def test_a_key_is_not_made_over_another(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    before = fingerprint(tmp_path, "oftc")
    assert "already" in otr(tmp_path, "keys", "generate", "oftc").refusal
    assert fingerprint(tmp_path, "oftc") == before


def test_a_name_that_no_server_has_told_is_pointed_out(tmp_path: Path) -> None:
    told = otr(tmp_path, "keys", "generate", "libera").told
    assert "libera" in obey(told.splitlines()[-1], tmp_path).stdout
    with Store(tmp_path / "data") as store:
        store.networks.place("OFTC", "irc.oftc.net")
    assert "otr networks" not in otr(tmp_path, "keys", "generate", "oftc").told
    assert "otr networks" not in otr(tmp_path, "keys", "generate", "default").told


def test_rotating(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    before = fingerprint(tmp_path, "oftc")
    told = otr(tmp_path, "keys", "rotate", "oftc", "--yes").told
    after = fingerprint(tmp_path, "oftc")
    assert after is not None
    assert after != before
    assert after in told
    assert "verify you anew" in told
    assert in_lines(told, for_version_4(tmp_path, "oftc"))
    rows = otr(tmp_path, "keys", "--json").data["keys"]
    assert [(row["fingerprint"], row["retired"] is None) for row in rows] == [(after, True), (before, False)]


def test_deleting(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    before = fingerprint(tmp_path, "oftc")
    assert before is not None
    told = otr(tmp_path, "keys", "delete", "oftc", "--yes").told
    assert before in told
    assert fingerprint(tmp_path, "oftc") is None
    assert "not used since" in otr(tmp_path, "keys").told


@pytest.mark.parametrize("subcommand", ["rotate", "delete"])
def test_a_script_has_to_say_that_it_means_it(tmp_path: Path, subcommand: str) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    before = fingerprint(tmp_path, "oftc")
    assert "--yes" in otr(tmp_path, "keys", subcommand, "oftc").refusal
    assert fingerprint(tmp_path, "oftc") == before


@pytest.mark.parametrize("subcommand", ["rotate", "delete"])
def test_a_key_that_is_not_there(tmp_path: Path, subcommand: str) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    refusal = otr(tmp_path, "keys", subcommand, "--yes", "ofct").refusal
    assert fingerprint(tmp_path, "oftc") in obey(refusal, tmp_path).stdout  # type: ignore[operator]


def test_on_a_terminal_it_is_asked_back(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    before = fingerprint(tmp_path, "oftc")
    data = ["--data-dir", str(tmp_path / "data")]
    for answer, code, same in [(b"", 1, True), (b"\xffy", 1, True), (b"y", 0, False)]:
        with OtrInTerminal(tmp_path, "keys", "delete", "oftc", *data) as terminal:
            terminal.wait_shown("[y/N]")
            terminal.type(answer)
            if code and answer:
                terminal.answer("invalid", b"n")
            assert terminal.exit_code() == code, terminal.screen()
        assert (fingerprint(tmp_path, "oftc") == before) is same


@pytest.mark.parametrize("name", ["", " ", "two words", "a\x1b[31mb", "-rf", "x" * 65, "a;b", "$(a)", "../a"])
def test_names_that_no_network_can_have(tmp_path: Path, name: str) -> None:
    assert "cannot be the name" in otr(tmp_path, "keys", "generate", "--", name).refusal
    assert otr(tmp_path, "keys", "--json").data["keys"] == []


# ---- which store


@pytest.mark.parametrize(
    "words",
    [
        ["--data-dir", "OTHER", "keys"],
        ["keys", "--data-dir", "OTHER"],
        ["--data-dir", "OTHER", "keys", "generate", "oftc"],
        ["keys", "--data-dir", "OTHER", "generate", "oftc"],
        ["keys", "generate", "--data-dir", "OTHER", "oftc"],
        ["keys", "--data-dir", "ELSEWHERE", "generate", "--data-dir", "OTHER", "oftc"],
    ],
    ids=" ".join,
)
def test_the_data_folder_can_stand_anywhere_and_the_last_one_counts(tmp_path: Path, words: list[str]) -> None:
    other = tmp_path / "other"
    places = {"OTHER": str(other), "ELSEWHERE": str(tmp_path / "ELSEWHERE")}
    assert otr(tmp_path, *[places.get(word, word) for word in words]).code == 0
    assert (other / FILE_NAME).exists()
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "ELSEWHERE").exists()


@pytest.mark.parametrize(
    "words", [["keys", "--json", "generate", "oftc"], ["keys", "generate", "oftc", "--json"]]
)
def test_so_can_json(tmp_path: Path, words: list[str]) -> None:
    assert otr(tmp_path, *words).data["network"] == "oftc"


def test_a_store_that_is_refused(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    (tmp_path / "data").chmod(0o750)
    refusal = otr(tmp_path, "keys").refusal
    assert "can be read by others" in refusal
    assert obey(refusal, tmp_path).returncode == 0
    assert "oftc" in otr(tmp_path, "keys").told


# ---- the passphrase


def test_locking_changing_and_unlocking(tmp_path: Path) -> None:
    """With files for all of them, as a script does it."""
    otr(tmp_path, "keys", "generate", "oftc")
    ours = fingerprint(tmp_path, "oftc")
    old = passphrase_file(tmp_path, "old", "correct horse\n")
    new = passphrase_file(tmp_path, "new", b"\xff\xfe no UTF-8\nsecond line")

    def told(*words: str, by: Path) -> str:
        return otr(tmp_path, "keys", *words, changes={VARIABLE: str(by)}).told

    told("passphrase", by=old)
    assert "locked by a passphrase" in otr(tmp_path, "keys").told
    assert otr(tmp_path, "keys", "--json").data["locked"] is True
    assert (
        "not the passphrase"
        in otr(tmp_path, "keys", "rotate", "--yes", "oftc", changes={VARIABLE: str(new)}).refusal
    )
    told("passphrase", "--file", str(new), by=old)
    assert (
        "not the passphrase"
        in otr(tmp_path, "keys", "passphrase", "--remove", changes={VARIABLE: str(old)}).refusal
    )
    told("generate", "libera.chat", by=new)
    told("passphrase", "--remove", by=new)
    assert fingerprint(tmp_path, "oftc") == ours
    assert "not locked" in otr(tmp_path, "keys", "passphrase", "--remove").refusal
    assert otr(tmp_path, "keys", "passphrase", "--remove", "--file", str(new)).code == 2


def test_locking_in_a_terminal(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    data = ["--data-dir", str(tmp_path / "data")]
    with OtrInTerminal(tmp_path, "keys", "passphrase", *data) as terminal:
        terminal.answer("New passphrase: ", b"\xfcber")
        terminal.answer("Once more: ", b"\xfcber")
        assert terminal.exit_code() == 0, terminal.screen()
        assert "ber" not in terminal.screen()
    with OtrInTerminal(tmp_path, "keys", "passphrase", *data) as terminal:
        terminal.answer("Passphrase of your private keys: ", b"ueber")
        assert terminal.exit_code() == 1
        assert "not the passphrase" in terminal.screen()
        assert "New passphrase: " not in terminal.screen()
    with OtrInTerminal(tmp_path, "keys", "passphrase", *data, "--remove") as terminal:
        terminal.answer("Passphrase of your private keys: ", b"\xfcber")
        assert terminal.exit_code() == 0, terminal.screen()
    assert fingerprint(tmp_path, "oftc") is not None


# ---- other programs


def test_there_and_back(tmp_path: Path) -> None:
    """What is written for another program can be read by another user of ours."""
    there = tmp_path / "bob's files"
    with Store(tmp_path / "data") as store:
        ours = store.identities.generate("oftc").fingerprint
        store.contacts.met("oftc", "carol", ours)
    export = ["keys", "export", str(there), "--nick", "bob", "--server", "irc.oftc.net"]
    assert str(ours) in otr(tmp_path, *export).told
    assert "already" in otr(tmp_path, *export).refusal

    other = tmp_path / "other"
    other.mkdir()
    words = ["keys", "import", str(there), "--from", "libotr", "--network", "oftc"]
    data = otr(other, *words, "--json").data
    assert [(one["network"], one["fingerprint"]) for one in data["identities"]] == [("oftc", str(ours))]
    assert fingerprint(other, "oftc") == str(ours)
    assert "there already" in otr(other, *words).told

    otr(other, "keys", "rotate", "--yes", "oftc")
    assert "--replace" in otr(other, *words).refusal
    otr(other, *words, "--replace")
    assert fingerprint(other, "oftc") == str(ours)


def test_an_export_of_a_network_that_is_not_known(tmp_path: Path) -> None:
    otr(tmp_path, "keys", "generate", "oftc")
    refusal = otr(tmp_path, "keys", "export", str(tmp_path / "files"), "--network", "ofct").refusal
    assert "oftc" in obey(refusal, tmp_path).stdout
    assert not (tmp_path / "files").exists()


def test_every_program_that_is_known_can_be_named() -> None:
    assert {program.value for program in Program} == set(PROGRAMS)
    assert {program.value for program in Reader} == {name for name, one in PROGRAMS.items() if one.files.tags}
