"""Messages and records as lists of fields, by version and type: what may be changed one by one.

A field is its kind and its bytes, a length in front of them included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from otrcore.smp import machine
from otrcore.wire import codec, messages3, messages4, tlv
from otrcore.wire import text as wire_text
from otrcore.wire.header import VERSION_2, VERSION_4, Header, parse_header, version_of
from otrcore.wire.tlv import Tlv
from tests.pair import TAGS
from tests.robustness.scenes import PEER, SUBJECT
from tests.wire import hand_typed, hand_typed4

Field = tuple[str, bytes]
Message = messages3.Message | messages4.Message

VERSIONS = (2, 3, 4)

_PROFILE = (
    *("int", "short", "int", "short", "short", "point", "short", "short", "point"),
    *("short", "data", "short", "int64", "signature"),
)
"""Of the client profile: number of fields, then type and value of each; without those that nobody sends."""

_OLD = {kind.type: tuple(kinds) for kind, kinds in hand_typed.LAYOUTS.items()}
_NEW = {
    kind.type: tuple(chain.from_iterable(_PROFILE if one == "profile" else (one,) for one in kinds))
    for kind, kinds in hand_typed4.LAYOUTS.items()
}
_LAYOUTS = {2: _OLD, 3: _OLD, 4: _NEW}
_SIZES = {2: hand_typed.FIXED_BYTES, 3: hand_typed.FIXED_BYTES, 4: hand_typed4.FIXED_BYTES}

TYPES = {version: tuple(layouts) for version, layouts in _LAYOUTS.items()}
"""By version: the types of its messages."""

MESSAGE_TYPES = tuple(sorted({*_OLD})) + tuple(sorted({*_NEW} - {*_OLD}))
"""Those of all versions."""

EXTRA_KEYS = {2: tlv.EXTRA_KEY, 3: tlv.EXTRA_KEY, 4: tlv.EXTRA_KEY_4}
"""By version: the type of the record that names an extra symmetric key."""

HEADER_BYTES = {**hand_typed.HEADER_BYTES, 4: hand_typed4.HEADER_BYTES}

_SMP_4 = {2: machine.MESSAGE_1, 3: machine.MESSAGE_2, 4: machine.MESSAGE_3, 5: machine.MESSAGE_4}
"""Elements, challenges and scalars, by the type of the record in version 4."""


def raw_of(line: str) -> bytes:
    """Return the bytes of an encoded message that is not cut into fragments."""
    return wire_text.decode(line)


def message_of(line: str) -> Message:
    """Return the message that a line carries whole."""
    raw = raw_of(line)
    return messages4.parse(raw) if version_of(raw) == VERSION_4 else messages3.parse(raw)


def header_of(version: int, message_type: int) -> Header:
    """Return the header of a message from the peer to the subject."""
    if version == VERSION_2:
        return Header(version, message_type)
    return Header(version, message_type, TAGS[PEER], TAGS[SUBJECT])


def fields_of(raw: bytes) -> tuple[bytes, list[Field]]:
    """Return the header, and each field behind it."""
    header = parse_header(raw)
    sizes = _SIZES[header.version]
    fields = list(_cut(raw[header.length :], _LAYOUTS[header.version][header.type], sizes))
    return raw[: header.length], fields


def fields_of_record(version: int, record: Tlv) -> list[Field]:
    """Return the fields of a record of SMP; of any other one what can be seen as such."""
    return list(_new_record(record) if version == VERSION_4 else _old_record(record.value))


def asked(version: int, question: bytes, mark: bytes, record: Tlv) -> Tlv:
    """Return the record with a question before what it holds; `mark` ends that, where it has no length."""
    if version == VERSION_4:
        return Tlv(min(_SMP_4), codec.data(question) + record.value)
    return Tlv(7, question + mark + record.value)


def _new_record(record: Tlv) -> Iterator[Field]:
    """The question, with its length, before the first message; points and scalars."""
    kinds = ["point" if kind == "e" else "scalar" for kind in _SMP_4.get(record.type, "")]
    question = ["data"] if record.type == min(_SMP_4) else []
    return _cut(record.value, [*question, *kinds], {"point": 57, "scalar": 57})


def _old_record(value: bytes) -> Iterator[Field]:
    """The question, with a zero byte behind it, if there is one; the number of MPIs, and those."""
    if value[:1] != b"\0":
        # A count never begins with anything but a zero byte, a question never with one.
        text, mark, value = value.partition(b"\0")
        yield "text", text + mark
    yield "count", value[:4]
    yield from _cut(value[4:], ["mpi"] * int.from_bytes(value[:4], "big"), {})


def _cut(content: bytes, kinds: Iterable[str], sizes: dict[str, int]) -> Iterator[Field]:
    at = 0
    for kind in kinds:
        size = sizes.get(kind) or 4 + int.from_bytes(content[at : at + 4], "big")
        yield kind, content[at : at + size]
        at += size
    assert at == len(content), "the layout does not describe this message"
