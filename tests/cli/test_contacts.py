"""`otr contacts`: who is known, and what the user decides about their keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otrcore.model import Fingerprint, Trust
from otrcore.policy import ALWAYS, DEFAULT, MANUAL
from otrcore.store.store import Store
from tests.cli.managing import OtrInTerminal, otr
from tests.mends import commands, obey

ONE, TWO, THREE = (Fingerprint(bytes([0xA0 + number]) * 20) for number in range(3))
FOUR = Fingerprint(bytes([0xA0]) * 20 + bytes(range(36)))
"""Begins as the first does, and is for version 4."""
COMPARED = "verified by comparing fingerprints"


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A home whose user has met bob by one key on two networks, and carol by two keys on one."""
    with Store(tmp_path / "data") as store:
        store.contacts.met("libera.chat", "bob", ONE)
        store.contacts.met("oftc", "Bob", ONE)
        store.contacts.met("oftc", "carol", TWO)
        store.contacts.met("oftc", "carol", THREE)
        store.contacts.met("oftc", "erin", TWO)
    return tmp_path


def trust(folder: Path, network: str, nick: str, fingerprint: Fingerprint) -> Trust | None:
    """Return how far a key is trusted; None for one that is not known."""
    with Store(folder / "data") as store:
        keys = [key for contact in store.contacts.find(nick, network) for key in contact.keys]
    return next((key.trust for key in keys if key.fingerprint == fingerprint), None)


def trusted(folder: Path) -> list[tuple[str, str, Fingerprint]]:
    with Store(folder / "data") as store:
        return [
            (contact.network, contact.nick, key.fingerprint)
            for contact in store.contacts.all()
            for key in contact.keys
            if key.trust is not Trust.NONE
        ]


# ---- the list


def test_nobody_yet(tmp_path: Path) -> None:
    assert "Nobody is known" in otr(tmp_path, "contacts").told
    assert otr(tmp_path, "contacts", "--json").data == []


def test_everything_that_is_known(known: Path) -> None:
    with Store(known / "data") as store:
        store.contacts.judge("oftc", "carol", THREE, Trust.SMP)
        store.contacts.set_policy("oftc", "dan", ALWAYS)
        store.contacts.add("oftc", "frank", ONE, Trust.NONE, "irssi")
        (carol,) = store.contacts.find("carol")
    heading, *lines = otr(known, "contacts").told.splitlines()
    assert heading.split() == ["NICK", "NETWORK", "FINGERPRINT", "OTR", "VERIFIED", "LAST", "MET", "POLICY"]
    found = {(line.split()[0], line.split()[1]): line for line in lines if str(TWO) not in line}
    assert "by a shared secret" in found["carol", "oftc"]
    assert str(THREE) in found["carol", "oftc"]
    assert " no " in found["bob", "oftc"]
    assert found["dan", "oftc"].split()[2:] == ["none", "known", "always"]
    assert " never" in found["frank", "oftc"]
    assert len(lines) == 7

    data = {(one["network"], one["nick"]): one for one in otr(known, "contacts", "--json").data}
    assert data["oftc", "dan"] == {
        "network": "oftc",
        "nick": "dan",
        "policy": "always",
        "versions": [],
        "keys": [],
    }
    assert data["oftc", "carol"]["keys"][1] == {
        "fingerprint": str(THREE),
        "versions": [2, 3],
        "trust": "smp",
        "verified": carol.keys[1].verified,
        "first_seen": carol.keys[1].first_seen,
        "last_seen": carol.keys[1].last_seen,
    }


def test_of_one_network(known: Path) -> None:
    for words in (["contacts", "--network", "Libera.Chat"], ["contacts", "--network", "libera.chat"]):
        assert [one["nick"] for one in otr(known, *words, "--json").data] == ["bob"]
    assert "No network is called" in otr(known, "contacts", "--network", "").refusal
    refusal = otr(known, "contacts", "--network", "libera").refusal
    assert "libera.chat" in obey(refusal, known).stdout


def test_a_key_for_version_4_is_shown_in_lines_of_five_groups(known: Path) -> None:
    with Store(known / "data") as store:
        store.contacts.met("oftc", "bob", FOUR)
        store.contacts.judge("oftc", "bob", ONE, Trust.SMP)
    lines = otr(known, "contacts").told.splitlines()
    (at,) = (at - 1 for at, line in enumerate(lines) if FOUR.lines()[1] in line)
    assert FOUR.lines()[0] in lines[at]
    assert FOUR.lines() == (
        "A0A0A0A0 A0A0A0A0 A0A0A0A0 A0A0A0A0 A0A0A0A0",
        "00010203 04050607 08090A0B 0C0D0E0F 10111213",
        "14151617 18191A1B 1C1D1E1F 20212223",
    )
    assert lines[at].split()[:2] == ["bob", "oftc"]
    assert lines[at].split()[7:9] == ["4", "no"]
    assert [line.strip() for line in lines[at + 1 : at + 3]] == [*FOUR.lines()[1:]]
    below = [line.index(start) for line, start in zip(lines[at:], ("A0A0", "0001", "1415"), strict=False)]
    assert len(set(below)) == 1, "one below the other"
    assert "2, 3" in lines[at - 1]
    assert "by a shared secret" in lines[at - 1]
    (bob,) = otr(known, "contacts", "--network", "oftc", "--json").data[:1]
    assert [(key["fingerprint"], key["versions"]) for key in bob["keys"]] == [
        (str(ONE), [2, 3]),
        (str(FOUR), [4]),
    ]
    history = otr(known, "contacts", "history", "bob").told.splitlines()
    assert [line.strip() for line in history].count(FOUR.lines()[1]) == 1


# ---- trusting


def test_who_gives_the_fingerprint_has_compared_it(known: Path) -> None:
    typed = str(ONE).lower().split()
    told = otr(known, "contacts", "trust", "--yes", "--network", "oftc", "BOB", *typed).told
    assert "bob has not verified you" in told
    assert trusted(known) == [("oftc", "bob", ONE)]
    assert "already" in otr(known, "contacts", "trust", "bob", "--network", "oftc").told


@pytest.mark.parametrize("form", [str, lambda mark: mark.digest.hex(), lambda mark: "\n".join(mark.lines())])
def test_a_fingerprint_for_version_4_is_taken_as_well_and_counts_for_itself(
    known: Path, form: Callable[[Fingerprint], str]
) -> None:
    with Store(known / "data") as store:
        store.contacts.met("oftc", "bob", FOUR)
    words = ["contacts", "trust", "--yes", "--network", "oftc", "bob"]
    assert otr(known, *words, *form(FOUR).split(" ")).code == 0
    assert trusted(known) == [("oftc", "bob", FOUR)]
    otr(known, *words, str(ONE))
    otr(known, "contacts", "distrust", "--network", "oftc", "bob", form(FOUR))
    assert trusted(known) == [("oftc", "bob", ONE)]
    otr(known, "contacts", "forget", "--yes", "--network", "oftc", "bob", form(FOUR))
    assert trust(known, "oftc", "bob", FOUR) is None
    assert trust(known, "oftc", "bob", ONE) is Trust.COMPARED


def test_nothing_is_trusted_unseen(known: Path) -> None:
    """Without a terminal, and without a fingerprint, nobody can have compared anything."""
    only = ["contacts", "trust", "--network", "libera.chat", "bob"]
    outcome = otr(known, *only)
    assert outcome.code == 1
    assert "--yes" in outcome.err.splitlines()[-1]
    assert "FINGERPRINT" in otr(known, *only, "--yes").refusal
    assert trusted(known) == []


def test_another_fingerprint_than_any_that_was_met(known: Path) -> None:
    refusal = otr(known, "contacts", "trust", "--yes", "bob", str(THREE)).refusal
    assert "somebody else" in refusal
    assert str(ONE) in obey(refusal, known).stdout
    assert trusted(known) == []


@pytest.mark.parametrize("typed", ["A0", "A0" * 21, "XY" * 20, str(ONE)[:-1]])
def test_no_fingerprint_at_all(known: Path, typed: str) -> None:
    outcome = otr(known, "contacts", "trust", "--yes", "--network", "oftc", "bob", typed)
    assert outcome.code == 2
    assert "no fingerprint" in outcome.err


def test_comparing_in_a_terminal(known: Path) -> None:
    with Store(known / "data") as store:
        ours = store.identities.generate("libera.chat").fingerprint
    words = ["--data-dir", str(known / "data"), "contacts", "trust", "--network", "libera.chat", "bob"]
    for answer, code in [("n", 1), ("y", 0)]:
        with OtrInTerminal(known, *words) as terminal:
            terminal.wait_shown("[y/N]")
            shown = terminal.screen()
            assert shown.index(str(ours)) < shown.index(str(ONE)), "ours above theirs"
            assert trusted(known) == []
            terminal.type(answer)
            assert terminal.exit_code() == code, terminal.screen()
    assert trusted(known) == [("libera.chat", "bob", ONE)]


def test_comparing_for_version_4_in_a_terminal(known: Path) -> None:
    with Store(known / "data") as store:
        ours = store.identities.generate("libera.chat")
        store.contacts.met("libera.chat", "dora", FOUR)
    words = ["contacts", "trust", "--data-dir", str(known / "data"), "dora"]
    with OtrInTerminal(known, *words, columns=70) as terminal:
        terminal.wait_shown("[y/N]")
        shown = terminal.screen()
        places = [shown.index(f"    {line}\n") for line in (*ours.fingerprint_4.lines(), *FOUR.lines())]
        assert places == sorted(places), "ours above theirs, and each line whole"
        assert str(ours.fingerprint) not in shown
        assert "all of these 112 digits" in shown
        terminal.type(b"y")
        assert terminal.exit_code() == 0, terminal.screen()
    assert trusted(known) == [("libera.chat", "dora", FOUR)]


# ---- who is meant


@pytest.mark.parametrize(
    "words",
    [
        ["trust", "--yes", "bob", str(ONE)],
        ["forget", "--yes", "bob"],
        ["policy", "bob", "always"],
    ],
    ids=lambda words: words[0],
)
def test_one_of_several_is_chosen_by_the_commands_that_are_shown(known: Path, words: list[str]) -> None:
    before = otr(known, "contacts", "--json").data
    refused = otr(known, "contacts", *words)
    assert refused.code == 1
    assert refused.out == ""
    *lines, last = refused.err.splitlines()
    assert "may be one of several" in last
    assert len(lines) == 2
    assert otr(known, "contacts", "--json").data == before
    networks = set()
    for line in lines:
        extra = "  " + line.strip().replace(" -- ", " --yes -- ") if "--yes" in words else line
        done = obey(extra, known)
        assert done.returncode == 0, done
        networks |= {name for name in ("libera.chat", "oftc") if name in done.stdout}
    assert networks == {"libera.chat", "oftc"}


def test_one_of_several_keys(known: Path) -> None:
    refused = otr(known, "contacts", "trust", "carol")
    *lines, _ = refused.err.splitlines()
    assert [line.split("'")[1] for line in lines] == [str(TWO), str(THREE)]
    # The commands that are shown were not compared by anybody: they ask.
    assert "--yes" not in "".join(lines)
    assert obey(lines[0], known).returncode == 1
    assert trusted(known) == []


def test_a_nick_that_a_shell_or_an_option_could_be(known: Path) -> None:
    nicks = ["--help", "$(id);a b", "it's"]
    with Store(known / "data") as store:
        for nick in nicks:
            store.contacts.met("libera.chat", nick, ONE)
            store.contacts.met("oftc", nick, ONE)
    for nick in nicks:
        refused = otr(known, "contacts", "trust", "--", nick)
        line = refused.err.splitlines()[1]
        assert len(commands(line)) == 1
        done = obey(line.replace(" -- ", " --yes -- ") + f" {ONE.digest.hex()}", known)
        assert done.returncode == 0, done
    with Store(known / "data") as store:
        expected = {contact.nick for nick in nicks for contact in store.contacts.find(nick)}
    assert {nick for network, nick, _ in trusted(known) if network == "oftc"} == expected
    assert len(expected) == len(nicks)


def test_nobody_of_that_name(known: Path) -> None:
    for words in (["trust", "bobby"], ["history", "bobby"], ["policy", "carol", "--network", "libera.chat"]):
        refusal = otr(known, "contacts", *words).refusal
        assert "Nobody is known as" in refusal
        assert "carol" in obey(refusal, known).stdout


def test_somebody_without_a_key(known: Path) -> None:
    with Store(known / "data") as store:
        store.contacts.set_policy("oftc", "dan", ALWAYS)
    assert "no key of dan is known" in otr(known, "contacts", "trust", "dan").refusal
    assert "Forgotten" in otr(known, "contacts", "forget", "--yes", "dan").told
    assert "Nobody" in otr(known, "contacts", "history", "dan").refusal


# ---- doubting, forgetting, and what has happened


def test_distrusting(known: Path) -> None:
    with Store(known / "data") as store:
        store.contacts.judge("oftc", "carol", THREE, Trust.SMP)
    assert "not verified any more" in otr(known, "contacts", "distrust", "carol").told
    assert trusted(known) == []
    assert "no key of carol is verified" in otr(known, "contacts", "distrust", "carol").refusal
    assert "no key of carol is verified" in otr(known, "contacts", "distrust", "carol", str(TWO)).refusal


def test_forgetting(known: Path) -> None:
    assert "--yes" in otr(known, "contacts", "forget", "carol", str(TWO)).refusal
    assert trust(known, "oftc", "carol", TWO) is Trust.NONE
    otr(known, "contacts", "forget", "--yes", "carol", str(TWO))
    assert trust(known, "oftc", "carol", TWO) is None
    assert trust(known, "oftc", "carol", THREE) is Trust.NONE
    assert otr(known, "contacts", "forget", "--yes", "carol", "--json").data == {
        "network": "oftc",
        "nick": "carol",
        "fingerprint": None,
    }
    assert trust(known, "oftc", "carol", THREE) is None
    assert trust(known, "oftc", "erin", TWO) is Trust.NONE


def test_history(known: Path) -> None:
    otr(known, "contacts", "trust", "--yes", "--network", "oftc", "bob", str(ONE))
    rows = otr(known, "contacts", "history", "bob", "--network", "oftc", "--json").data
    assert [row["what"] for row in rows] == ["met", COMPARED]
    assert {row["fingerprint"] for row in rows} == {str(ONE)}
    told = otr(known, "contacts", "history", "bob").told
    assert told.count(str(ONE)) == 3
    assert COMPARED in told


# ---- policies


def test_the_policy_for_one(known: Path) -> None:
    assert "usual" in otr(known, "contacts", "policy", "erin").told
    assert "always" in otr(known, "contacts", "policy", "erin", "always").told
    with Store(known / "data") as store:
        assert store.contacts.find("erin")[0].policy == ALWAYS
    assert otr(known, "contacts", "policy", "erin", "--json").data["policy"] == "always"
    assert "usual" in otr(known, "contacts", "policy", "erin", "usual").told
    with Store(known / "data") as store:
        assert store.contacts.find("erin")[0].policy is None
    assert otr(known, "contacts", "policy", "erin", "alway").code == 2


def test_versions_for_one(known: Path) -> None:
    """They are said of the peer, so that another word leaves them."""
    assert "always, OTR versions 3 and 4" in otr(known, "contacts", "policy", "erin", "always").told
    assert "always, OTR version 3 alone" in otr(known, "contacts", "policy", "erin", "NO-v4").told
    assert "manual, OTR version 3 alone" in otr(known, "contacts", "policy", "erin", "manual").told
    told = otr(known, "contacts", "policy", "erin", "--json").data
    assert (told["policy"], told["versions"]) == ("manual", [3])
    assert "no version of OTR would be left" in otr(known, "contacts", "policy", "erin", "no-v3").refusal
    with Store(known / "data") as store:
        assert store.contacts.find("erin")[0].policy == replace(MANUAL, versions=frozenset({3}))
    assert "never." in otr(known, "contacts", "policy", "erin", "never").told
    assert "no version of OTR would be left" in otr(known, "contacts", "policy", "erin", "v4").refusal
    assert "manual, OTR versions 3 and 4" in otr(known, "contacts", "policy", "erin", "manual").told


def test_a_version_for_one_beside_what_holds_on_the_network(known: Path) -> None:
    with Store(known / "data") as store:
        contact = store.contacts.find("erin")[0]
        store.policies.set(contact.network, ALWAYS)
    assert "always, OTR versions 2, 3 and 4" in otr(known, "contacts", "policy", "erin", "v2").told


def test_versions_and_padding_that_were_chosen_stay(known: Path) -> None:
    with Store(known / "data") as store:
        store.contacts.set_policy("oftc", "erin", replace(DEFAULT, versions=frozenset({2, 3}), padding=64))
    otr(known, "contacts", "policy", "erin", "manual")
    with Store(known / "data") as store:
        assert store.contacts.find("erin")[0].policy == replace(
            MANUAL, versions=frozenset({2, 3}), padding=64
        )
