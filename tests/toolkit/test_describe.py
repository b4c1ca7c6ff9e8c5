"""What a message is said to consist of; tests/cli compares it with what otr_parse says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from otrcore.toolkit.describe import Description, Field, describe
from otrcore.toolkit.search import Damaged, Message
from otrcore.wire import messages4
from otrcore.wire.header import Header
from otrcore.wire.messages3 import DataMessage, DhCommit, DhKey, RevealSignature, Signature
from otrcore.wire.messages4 import AuthI, AuthR, Identity
from otrcore.wire.profile import ClientProfile
from otrcore.wire.text import ErrorText, Query, Tagged
from tests.wire import recorded4

VERSION_2 = Header(2, 0)
VERSION_3 = Header(3, 0, 256, 512)
VERSION_4 = Header(4, 0, 256, 512)
IN_3 = {"version": 3, "sender_instance": 256, "receiver_instance": 512}
IN_4 = {"version": 4, "sender_instance": 256, "receiver_instance": 512}

PROFILE = ClientProfile(257, b"\1" * 57, b"\2" * 57, "34", 1_767_225_599, None, None, b"\3" * 114)
DESCRIBED_PROFILE = {
    "profile_of_instance": 257,
    # SHAKE-256("OTRv4" || 00 || both keys), 56 bytes.
    "profile_fingerprint": hashlib.shake_256(b"OTRv4\0" + b"\1" * 57 + b"\2" * 57).hexdigest(56),
    "public_key": "01" * 57,
    "forging_key": "02" * 57,
    "profile_versions": "34",
    "profile_expires": "2025-12-31T23:59:59Z",
}

DESCRIBED: list[tuple[Message | Query | ErrorText | Tagged | Damaged, dict[str, object]]] = [
    (
        DhCommit(VERSION_3, b"\1\2", b"\3" * 32),
        {"kind": "D-H Commit Message", **IN_3, "encrypted_key": "0102", "hashed_key": "03" * 32},
    ),
    (DhKey(VERSION_2, 0x0ABC), {"kind": "D-H Key Message", "version": 2, "dh_key": "0abc"}),
    (
        RevealSignature(VERSION_2, b"\1" * 16, b"\2", b"\3" * 20),
        {
            "kind": "Reveal Signature Message",
            "version": 2,
            "key": "01" * 16,
            "encrypted_signature": "02",
            "mac": "03" * 20,
        },
    ),
    (
        Signature(VERSION_3, b"\2", b"\3" * 20),
        {"kind": "Signature Message", **IN_3, "encrypted_signature": "02", "mac": "03" * 20},
    ),
    (
        DataMessage(VERSION_3, 1, 2, 3, 0, 5, b"\6", b"\7" * 20, b"\x08" * 20 + b"\x09" * 20),
        {
            "kind": "Data Message",
            "version": 3,
            "flags": 1,
            "sender_instance": 256,
            "receiver_instance": 512,
            "sender_keyid": 2,
            "rcpt_keyid": 3,
            "dh_y": "",
            "counter": "0000000000000005",
            "encrypted_message": "06",
            "mac": "07" * 20,
            "revealed_mac_keys": ["08" * 20, "09" * 20],
        },
    ),
    (
        Identity(VERSION_4, PROFILE, b"\4" * 57, 0x0ABC, b"\5" * 57, 0x0DEF),
        {
            "kind": "Identity Message",
            **IN_4,
            **DESCRIBED_PROFILE,
            "profile_signature": "03" * 114,
            "y": "04" * 57,
            "b": "0abc",
            "first_ecdh_key": "05" * 57,
            "first_dh_key": "0def",
        },
    ),
    (
        AuthR(
            VERSION_4,
            replace(PROFILE, expires=2**63, dsa_key=b"\6", transitional_signature=b"\7" * 40),
            b"\4" * 57,
            0x0ABC,
            b"\x08" * 342,
            b"\5" * 57,
            0x0DEF,
        ),
        {
            "kind": "Auth-R Message",
            **IN_4,
            **DESCRIBED_PROFILE,
            # No calendar goes that far.
            "profile_expires": "9223372036854775808",
            "dsa_key": "06",
            "transitional_signature": "07" * 40,
            "profile_signature": "03" * 114,
            "x": "04" * 57,
            "a": "0abc",
            "sigma": "08" * 342,
            "first_ecdh_key": "05" * 57,
            "first_dh_key": "0def",
        },
    ),
    (AuthI(VERSION_4, b"\x08" * 342), {"kind": "Auth-I Message", **IN_4, "sigma": "08" * 342}),
    (
        messages4.DataMessage(
            VERSION_4, 1, 2, 3, 4, b"\5" * 57, None, b"\6", b"\7" * 64, b"\x08" * 64 + b"\x09" * 64
        ),
        {
            "kind": "Data Message",
            "version": 4,
            "flags": 1,
            "sender_instance": 256,
            "receiver_instance": 512,
            "previous_chain": 2,
            "ratchet_id": 3,
            "message_id": 4,
            "ecdh_key": "05" * 57,
            "dh_key": "",
            "encrypted_message": "06",
            "mac": "07" * 64,
            "revealed_mac_keys": ["08" * 64, "09" * 64],
        },
    ),
    (Query(frozenset({3, 2})), {"kind": "Query Message", "versions": [2, 3]}),
    (Tagged("", frozenset({3})), {"kind": "Whitespace Tag", "versions": [3]}),
    (ErrorText("no\x1b"), {"kind": "Error Message", "text": "no\x1b"}),
    (ErrorText("no", 2), {"kind": "Error Message", "code": 2, "text": "no"}),
    (Damaged(7, "cut off"), {"kind": "Damaged Message", "line": 7, "reason": "cut off"}),
]


@pytest.mark.parametrize(("content", "fields"), DESCRIBED)
def test_for_programs(
    content: Message | Query | ErrorText | Tagged | Damaged, fields: dict[str, object]
) -> None:
    document = describe(content).json()
    assert document == fields
    assert list(document) == list(fields)
    assert json.loads(json.dumps(document)) == fields


def test_for_people() -> None:
    message = DataMessage(VERSION_3, 1, 2, 3, 0xABC, 5, b"\6", b"\7" * 20, b"\x08" * 25)
    assert describe(message).lines() == [
        "Data Message:",
        "        Version: 03",
        "        Flags: 1",
        "        Sender instance: 256",
        "        Receiver instance: 512",
        "        Sender keyid: 2",
        "        Rcpt keyid: 3",
        "        DH y: 0abc",
        "        Counter: 0000000000000005",
        "        Encrypted message: 06",
        f"        MAC: {'07' * 20}",
        "        Revealed MAC keys:",
        f"                Key 1: {'08' * 20}",
        f"                Key 2: {'08' * 5}",
        "",
    ]


def test_of_version_4_for_people() -> None:
    """A D-H key stands in every third ratchet only; MAC keys have 64 bytes."""
    message = messages4.DataMessage(VERSION_4, 0, 0, 3, 1, b"\5" * 57, 0xABC, b"\6", b"\7" * 64, b"\x08" * 64)
    assert describe(message).lines() == [
        "Data Message:",
        "        Version: 04",
        "        Flags: 0",
        "        Sender instance: 256",
        "        Receiver instance: 512",
        "        Previous chain: 0",
        "        Ratchet id: 3",
        "        Message id: 1",
        f"        ECDH key: {'05' * 57}",
        "        D-H key: 0abc",
        "        Encrypted message: 06",
        f"        MAC: {'07' * 64}",
        "        Revealed MAC keys:",
        f"                Key 1: {'08' * 64}",
        "",
    ]


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_what_otr4j_sent(who: str) -> None:
    """The fingerprint and the keys are those that it had."""
    known = next(
        event for event in recorded4.events("trace") if event["ev"] == "identity" and event["who"] == who
    )
    described = [describe(messages4.parse(raw)).json() for raw in recorded4.messages("trace")]
    (own,) = [one for one in described if one.get("profile_fingerprint") == known["fingerprint"]]
    assert (own["public_key"], own["forging_key"]) == (known["lt_pub"], known["forging_pub"])
    assert {one["kind"] for one in described} == {
        *("Identity Message", "Auth-R Message", "Auth-I Message", "Data Message"),
    }


def test_texts_of_others_are_escaped_for_people() -> None:
    assert describe(ErrorText("\x1b[2J\\")).lines()[1] == r"        Text: \x1b[2J\\"


def test_a_query_for_nothing() -> None:
    assert describe(Query(frozenset())).lines()[1] == "        Versions: none"


def test_more_fields() -> None:
    description = Description("Kind", (Field("One", 1),)).extended(Field("Two", "2"))
    assert description.json() == {"kind": "Kind", "one": 1, "two": "2"}
