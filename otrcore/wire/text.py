"""What a line of chat is to OTR: query, error, encoded message, fragment, tagged or plain text.

Markers count anywhere in the line, as libotr finds them, and case matters.  The
specification asks for fragments to be looked for before anything else.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import MalformedMessage
from .fragment import Fragment, parse_fragment

MARK = "?OTR"
ENCODED_MARK = "?OTR:"
ERROR_MARK = "?OTR Error:"

UNREADABLE, NOT_PRIVATE, MALFORMED = 1, 2, 3
"""Codes of errors (v4, "OTR Error Messages"): undecryptable, no session, and a broken message."""

TAG_BASE = " \t  \t\t\t\t \t \t \t  "
TAG_GROUPS = {1: " \t \t  \t ", 2: "  \t\t  \t ", 3: "  \t\t  \t\t", 4: "  \t\t \t  "}
_GROUP_LENGTH = 8
_ERROR_CODE = re.compile(r"ERROR_([1-3]):\s*")
_NO_BASE64 = re.compile("[^A-Za-z0-9+/]")


@dataclass(frozen=True, slots=True)
class Plain:
    """A text that has nothing to do with OTR."""

    text: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """A text with its whitespace tag taken out, and the versions that the tag offered."""

    text: str
    versions: frozenset[int]


@dataclass(frozen=True, slots=True)
class Query:
    """A Query Message; `versions` may be empty ("a bizarre claim", says the specification)."""

    versions: frozenset[int]


@dataclass(frozen=True, slots=True)
class ErrorText:
    """An OTR Error Message with its human-readable part, and version 4's code for it, from 1 to 3.

    Version 4 knows error messages at the start of a line only: elsewhere, a code is text.
    """

    text: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """The binary content of an encoded message, not looked into yet."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Unrecognized:
    """Something that carries our marker and follows no known form: never shown to a user."""


Line = Plain | Tagged | Query | ErrorText | Encoded | Fragment | Unrecognized


def classify(line: str) -> Line:
    """Tell what `line` is; MalformedMessage for a fragment or encoded message with broken content."""
    mark = line.find(MARK)
    if mark < 0:
        return _tagged_or_plain(line)
    fragment = parse_fragment(line)
    if fragment is not None:
        return fragment
    if line.startswith(ENCODED_MARK, mark):
        return Encoded(decode(line, mark))
    if line.startswith((MARK + "?", MARK + "v"), mark):
        return Query(_query_versions(line, mark + len(MARK)))
    if line.startswith(ERROR_MARK, mark):
        return _error(line[mark + len(ERROR_MARK) :].strip(), coded=mark == 0)
    return Unrecognized()


def encode(raw: bytes) -> str:
    """Return the line that carries an encoded message."""
    return f"{ENCODED_MARK}{binascii.b2a_base64(raw, newline=False).decode('ascii')}."


def decode(line: str, mark: int = 0) -> bytes:
    """Return the binary content behind the marker at `mark`.

    As by libotr, characters that are no base64 are skipped, the final dot may be missing, and of a
    text that was cut off what is whole is decoded: enough to tell its sender which message was lost.
    """
    text, _, _ = line[mark + len(ENCODED_MARK) :].partition(".")
    try:
        # What nobody has tampered with is regular; all the rest is for the others.
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    digits = _NO_BASE64.sub("", text)
    whole = len(digits) - len(digits) % 4
    padded = digits + "=" * (-len(digits) % 4) if "=" in text else digits[:whole]
    try:
        return binascii.a2b_base64(padded)
    except ValueError as error:
        raise MalformedMessage("the base64 text is damaged") from error


def error_line(text: str, code: int | None = None) -> str:
    """Return the line of an OTR Error Message; `code`, from 1 to 3, is for version 4."""
    return f"{ERROR_MARK} {text}" if code is None else f"{ERROR_MARK} ERROR_{code}: {text}"


def with_tag(text: str, versions: Iterable[int]) -> str:
    """Return the text with a whitespace tag that offers these versions, or as it is if none fits in.

    The tag stands between the first two words, or in front of a single one: at the end of
    a line, servers and clients take blanks away.  Blanks behind it could be read as a part of it.
    """
    tag = TAG_BASE + "".join(TAG_GROUPS[version] for version in sorted(versions))
    first, _, rest = text.partition(" ")
    before, after = (first, text[len(first) :]) if rest.strip() else ("", text)
    blanks = len(after) - len(after.lstrip(" \t"))
    return text if blanks >= _GROUP_LENGTH or not text.strip() else before + tag + after


def _error(text: str, *, coded: bool) -> ErrorText:
    found = _ERROR_CODE.match(text) if coded else None
    return ErrorText(text[found.end() :], int(found[1])) if found else ErrorText(text)


def _query_versions(line: str, at: int) -> frozenset[int]:
    """Read the version string behind `?OTR`: a `?` for version 1, then `v`, letters and an optional `?`."""
    versions = set()
    if line.startswith("?", at):
        versions.add(1)
        at += 1
    if line.startswith("v", at):
        for letter in line[at + 1 :]:
            if letter == "?":
                break
            if letter in "123456789":
                versions.add(int(letter))
    return frozenset(versions)


def _tagged_or_plain(line: str) -> Tagged | Plain:
    """Take the whitespace tag out; version groups come in any order, unknown ones are skipped."""
    start = line.find(TAG_BASE)
    if start < 0:
        return Plain(line)
    stop = start + len(TAG_BASE)
    versions: set[int] = set()
    while len(group := line[stop : stop + _GROUP_LENGTH]) == _GROUP_LENGTH and not group.strip(" \t"):
        versions.update(version for version, known in TAG_GROUPS.items() if known == group)
        stop += _GROUP_LENGTH
    return Tagged(line[:start] + line[stop:], frozenset(versions))
