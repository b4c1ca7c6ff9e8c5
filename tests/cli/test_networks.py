"""`otr networks`: which networks are known, and which servers belong to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from otrcore.policy import ALWAYS, OPPORTUNISTIC
from otrcore.store.store import Store
from tests.cli.managing import otr
from tests.mends import obey

ELSEWHERE = "irc.elsewhere.example"


@pytest.fixture
def known(tmp_path: Path) -> Path:
    with Store(tmp_path / "data") as store:
        store.networks.place("OFTC", "irc.oftc.net")
        store.networks.place("OFTC", ELSEWHERE)
        store.policies.set("imported", ALWAYS)
    return tmp_path


def test_none_yet(tmp_path: Path) -> None:
    assert "No network is known" in otr(tmp_path, "networks").told
    assert otr(tmp_path, "networks", "--json").data == []


def test_what_is_known(known: Path) -> None:
    with Store(known / "data") as store:
        own = store.networks.place("OFTC", ELSEWHERE).name
    rows = otr(known, "networks", "--json").data
    assert {row["network"]: row["hosts"] for row in rows} == {
        "oftc": ["irc.oftc.net"],
        own: [ELSEWHERE],
        "imported": [],
    }
    assert [row["claim"] for row in rows] == ["oftc", "oftc", None]
    assert [row["policy"] for row in rows] == [None, None, "always"]
    told = otr(known, "networks").told
    assert own in told
    assert "not met yet" in told


def test_joining(known: Path) -> None:
    told = otr(known, "networks", "join", "OFTC", ELSEWHERE).told
    assert obey(told.splitlines()[1], known).returncode == 0
    with Store(known / "data") as store:
        assert store.networks.place("OFTC", ELSEWHERE).name == "oftc"


def test_what_a_client_says_of_a_server_that_claims_a_known_name_can_be_done(known: Path) -> None:
    with Store(known / "data") as store:
        *_, told = store.networks.place("OFTC", "third.example").told
    assert obey(told, known, changes={"XDG_DATA_HOME": str(known / "elsewhere")}).returncode == 1
    assert otr(known, "networks", "join", "--", "oftc", "third.example").code == 0


def test_joining_nothing_that_is_known(known: Path) -> None:
    refusal = otr(known, "networks", "join", "ofct", ELSEWHERE).refusal
    assert "oftc" in obey(refusal, known).stdout


def test_the_policy_of_a_network(known: Path) -> None:
    assert "usual" in otr(known, "networks", "policy", "oftc").told
    assert "opportunistic" in otr(known, "networks", "policy", "OFTC", "opportunistic").told
    with Store(known / "data") as store:
        assert store.policies.get("oftc") == OPPORTUNISTIC
    assert otr(known, "networks", "policy", "oftc", "usual", "--json").data == {
        "network": "oftc",
        "policy": None,
        "versions": None,
    }
    assert "default, OTR version 4 alone" in otr(known, "networks", "policy", "oftc", "no-v3").told
    assert "usual" in otr(known, "networks", "policy", "oftc", "usual").told
    with Store(known / "data") as store:
        assert store.policies.get("oftc") is None
    assert otr(known, "networks", "policy", "ofct", "always").code == 1
