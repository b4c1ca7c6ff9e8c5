"""S-expressions, compared with libgcrypt's own reader and writer."""

from __future__ import annotations

import base64
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.store.formats import sexp
from otrcore.store.formats.sexp import MAX_DEPTH, Atom, List
from otrcore.store.formats.values import MAX_FILE_BYTES, FormatError
from tests.store.formats.real_libotr import RealLibgcrypt
from tests.store.formats.samples import KEYS, complaint


@pytest.fixture(scope="module")
def libgcrypt() -> RealLibgcrypt:
    return RealLibgcrypt()


def canonical(value: Atom | List) -> bytes:
    if isinstance(value, Atom):
        return b"%d:%s" % (len(value.data), value.data)
    return b"(" + b"".join(map(canonical, value.items)) + b")"


GOOD = [
    b"()",
    b"(a)",
    b"(a b)",
    b"(a (b c) (d))",
    b" \t\v\r\n\f( a\r\n b ) \n",
    b"(a -b b.c/d_e:f*g+h=i)",
    b'(a "")',
    b'(a "two words")',
    b'(a "\\b\\t\\v\\n\\f\\r\\"\\\'\\\\")',
    b'(a "\\x41\\101\\000\\377")',
    b'(a "x\\\ny" "x\\\r\ny" "x\\\n\ry" "x\\\ry")',
    b'(a "caf\xc3\xa9 \xff\x00")',
    b"(a ##)",
    b"(a #616263#)",
    b"(a #61 62\n63 aB#)",
    b"(a 3:abc)",
    b"(a 3:(\n))",
    b"(a 3#616263#)",
    b'(a 3"abc")',
    b"(a |YWJj|)",
    b"(a 3|YWJj|)",
    b"(a|YWI=|b)",
    b'(a"b"c)',
    b"(3:abc4:defg)",
    b"(:: (: 1::))",
    b"((a) b)",
    b"(" * MAX_DEPTH + b")" * MAX_DEPTH,
    KEYS,
]


@pytest.mark.parametrize("data", GOOD)
def test_what_libgcrypt_reads_is_read(libgcrypt: RealLibgcrypt, data: bytes) -> None:
    assert canonical(sexp.read(data)) == libgcrypt.canonical(data)


# Each with the line that is to blame.
BAD: list[tuple[bytes, int, str]] = [
    (b"", 0, "nothing in it"),
    (b" \n ", 0, "nothing in it"),
    (b"a", 1, "does not begin with"),
    (b"\xef\xbb\xbf(a)", 1, "0xef"),
    (b")", 1, "does not begin with"),
    (b"\n\n(a))", 3, "follows the last parenthesis"),
    (b"(a)\n(b)", 2, "follows the last parenthesis"),
    (b"(a)\nb", 2, "follows the last parenthesis"),
    (b"(a)\0", 1, "0x00"),
    (b"(a\n(b\n(c)\n", 2, "not closed"),
    (b"(" * (MAX_DEPTH + 1), 1, "deep"),
    (b"(a #616#)", 1, "no partner"),
    (b"(a\n #6g#)", 2, "cut off"),
    (b"(a #61", 1, "cut off"),
    (b'(a "b', 1, "cut off"),
    (b'(a "b\\")', 1, "cut off"),
    (b"(a |YWJj", 1, "cut off"),
    (b"(a |YWJ|)", 1, "base 64"),
    (b"(a |Y=WJ|)", 1, "base 64"),
    (b"(a ||)", 1, "base 64"),
    (b"(a | |)", 1, "base 64"),
    (b"(a |====|)", 1, "base 64"),
    (b'(a "\\q")', 1, "backslash"),
    (b'(a "\\x4")', 1, "backslash"),
    (b'(a "\\400")', 1, "backslash"),
    (b"(a 03:abc)", 1, "a number from"),
    (b"(a 0:)", 1, "a number from"),
    (b"(a 4:abc)", 1, "not closed"),
    (b"(a 5:abc)", 1, "1 of 5 bytes"),
    (b"(a 100000000:abc)", 1, "a number from"),
    (b"(a 104857600#", 1, "a number from"),
    (b"(a " + b"9" * 100_000 + b":abc)", 1, "a number from"),
    (b'(a 2"abc")', 1, "a length says 2, and there are 3"),
    (b"(a 3#6162#)", 1, "a length says 3, and there are 2"),
    (b"(a 1b)", 1, "a length is not followed"),
    (b"(a 1 1:b)", 1, "a length is not followed"),
    (b"(a 3", 1, "ends behind a length"),
    (b"(a {YWJj})", 1, "0x7b"),
    (b"(a [h]b)", 1, "0x5b"),
    (b"(a ; comment\n)", 1, "0x3b"),
    (b"(a\xe9)", 1, "0xe9"),
    (b"(a " + b"x" * 5000 + b")", 1, "longer than 4096"),
    (b"(a #" + b"61" * 5000 + b"#)", 1, "longer than 4096"),
    (b"(" + b"a " * 200_000 + b")", 1, "more than 100000"),
    (b"(" + b" " * MAX_FILE_BYTES + b")", 0, "longer than 4 MiB"),
]


@pytest.mark.parametrize(("data", "line", "said"), BAD)
def test_what_is_wrong_is_told_with_its_line(data: bytes, line: int, said: str) -> None:
    with pytest.raises(FormatError) as caught:
        sexp.read(data)
    assert said in complaint(caught.value)
    assert caught.value.line == line


def test_no_cut_of_a_file_is_read() -> None:
    for end in range(len(KEYS.rstrip())):
        with pytest.raises(FormatError) as caught:
            sexp.read(KEYS[:end])
        complaint(caught.value)


HUGE: dict[str, Callable[[], bytes]] = {
    "parentheses": lambda: b"(" * MAX_FILE_BYTES,
    "closing ones": lambda: b"(" + b")" * (MAX_FILE_BYTES - 1),
    "pairs": lambda: b"(" + b"()" * (MAX_FILE_BYTES // 2 - 1) + b")",
    "tokens": lambda: b"(" + b"a " * (MAX_FILE_BYTES // 2 - 1) + b")",
    "one token": lambda: b"(" + b"a" * (MAX_FILE_BYTES - 1),
    "digits": lambda: b"(" + b"1" * (MAX_FILE_BYTES - 1),
    "an open string": lambda: b'("' + b"a" * (MAX_FILE_BYTES - 2),
    "an open string of escapes": lambda: b'("' + b"\\n" * (MAX_FILE_BYTES // 2 - 1),
    "open hex": lambda: b"(#" + b"a" * (MAX_FILE_BYTES - 2),
    "open base 64": lambda: b"(|" + b"a" * (MAX_FILE_BYTES - 2),
    "empty strings": lambda: b"(" + b'""' * (MAX_FILE_BYTES // 2 - 1),
    "blanks": lambda: b" " * MAX_FILE_BYTES,
    "lines": lambda: b"\n" * MAX_FILE_BYTES,
    "too much": lambda: b"a" * (100 << 20),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_files_take_little(name: str) -> None:
    data = HUGE[name]()
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(FormatError) as caught:
            sexp.read(data)
        took, most = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    complaint(caught.value)
    assert took < 10
    assert most < 64 << 20


# ---- generated


atoms = st.binary(max_size=30) | st.text(max_size=20).map(str.encode)


def encodings(data: bytes) -> list[bytes]:
    """Every way to write an atom."""
    ways = [
        sexp.written(data),
        b"#" + data.hex().encode() + b"#",
        b'"' + b"".join(b"\\x%02x" % byte for byte in data) + b'"',
        b'"' + b"".join(b"\\%03o" % byte for byte in data) + b'"',
    ]
    if data:
        ways += [
            b"|" + base64.b64encode(data) + b"|",
            b"%d:%s" % (len(data), data),
            b"%d" % len(data) + ways[1],
            b"%d" % len(data) + ways[2],
        ]
    return ways


@st.composite
def expressions(draw: st.DrawFn, depth: int = 0) -> tuple[bytes, bytes]:
    """A list in any of its many forms, and in the canonical one."""
    text, plain = [b"("], [b"("]
    for _ in range(draw(st.integers(0, 4))):
        if depth < 4 and draw(st.booleans()):
            inner, inner_plain = draw(expressions(depth + 1))
            text.append(inner)
            plain.append(inner_plain)
        else:
            data = draw(atoms)
            text.append(draw(st.sampled_from(encodings(data))))
            plain.append(b"%d:%s" % (len(data), data))
        text.append(draw(st.sampled_from([b" ", b"\n", b"\t \r\n"])))
    return b"".join([*text, b")"]), b"".join([*plain, b")"])


@settings(max_examples=150)
@given(expressions())
def test_every_form_is_read_as_libgcrypt_reads_it(expression: tuple[bytes, bytes]) -> None:
    text, plain = expression
    assert canonical(sexp.read(text)) == plain
    assert RealLibgcrypt().canonical(text) == plain


@settings(max_examples=300)
@given(expressions(), st.data())
def test_what_is_read_of_damaged_files_is_what_libgcrypt_reads(
    expression: tuple[bytes, bytes], data: st.DataObject
) -> None:
    text = bytearray(expression[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"(", b")", b"#", b'"', b"|", b"3:", b"\\"])
        )
    try:
        read = sexp.read(bytes(text))
    except FormatError as error:
        complaint(error)
        return
    assert RealLibgcrypt().canonical(bytes(text)) == canonical(read)


@settings(max_examples=300)
@given(atoms)
def test_atoms_are_written_as_libgcrypt_writes_them(data: bytes) -> None:
    text = b"(" + sexp.written(data) + b")\n"
    assert sexp.read(text).items == (Atom(1, data),)
    assert RealLibgcrypt().advanced(b'("' + b"".join(b"\\x%02x" % byte for byte in data) + b'")') == text
