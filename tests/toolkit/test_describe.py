"""What a message is said to consist of; tests/cli compares it with what otr_parse says."""

from __future__ import annotations

import json

import pytest

from otrcore.toolkit.describe import Description, Field, describe
from otrcore.toolkit.search import Damaged
from otrcore.wire.header import Header
from otrcore.wire.messages3 import DataMessage, DhCommit, DhKey, Message, RevealSignature, Signature
from otrcore.wire.text import ErrorText, Query, Tagged

VERSION_2 = Header(2, 0)
VERSION_3 = Header(3, 0, 256, 512)
IN_3 = {"version": 3, "sender_instance": 256, "receiver_instance": 512}

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
    (Query(frozenset({3, 2})), {"kind": "Query Message", "versions": [2, 3]}),
    (Tagged("", frozenset({3})), {"kind": "Whitespace Tag", "versions": [3]}),
    (ErrorText("no\x1b"), {"kind": "Error Message", "text": "no\x1b"}),
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


def test_texts_of_others_are_escaped_for_people() -> None:
    assert describe(ErrorText("\x1b[2J\\")).lines()[1] == r"        Text: \x1b[2J\\"


def test_a_query_for_nothing() -> None:
    assert describe(Query(frozenset())).lines()[1] == "        Versions: none"


def test_more_fields() -> None:
    description = Description("Kind", (Field("One", 1),)).extended(Field("Two", "2"))
    assert description.json() == {"kind": "Kind", "one": 1, "two": "2"}
