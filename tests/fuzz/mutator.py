"""Inputs out of real messages, by a seed: the characters, the bytes, the fields, and behind the MAC.

Most changes keep the header valid, as everything else is refused before it gets anywhere.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from otrcore.v4.ratchet import Ratchet
from otrcore.wire import codec
from otrcore.wire import text as wire_text
from otrcore.wire.fragment import MAX_PIECES, MAX_TOTAL, cut
from otrcore.wire.header import STARTS, Header, MessageType, parse_header
from otrcore.wire.text import ENCODED_MARK, TAG_BASE, TAG_GROUPS
from otrcore.wire.tlv import Tlv, join
from tests.fuzz.changes import LONG, NUMBERS, Changes
from tests.fuzz.forge import DataForger, Forger, SignatureForger, SigningForger
from tests.fuzz.forge4 import DakeForger, RatchetForger
from tests.fuzz.formats import (
    EXTRA_KEYS,
    HEADER_BYTES,
    MESSAGE_TYPES,
    TYPES,
    VERSIONS,
    asked,
    fields_of,
    fields_of_record,
    header_of,
    message_of,
    raw_of,
)
from tests.fuzz.states import ANOTHER_TAG, BEGUN, DakeKeys, Scene, SendingKeys, SigningKeys
from tests.pair import TAGS
from tests.robustness.scenes import PEER, SUBJECT

MANY_EXTRA_KEYS = {version: bytes((0, kind, 0, 4, 0, 0, 0, 1)) * 40 for version, kind in EXTRA_KEYS.items()}
TLV_TYPES = (*range(10), 0x100, 0xFFFF)
MARKS = (
    *(
        "?OTR",
        "?OTR:",
        "?OTR,",
        "?OTR|",
        "?OTR?",
        "?OTRv",
        "?OTRv3?",
        "?OTRv2?",
        "?OTRv23?",
        "?OTR?v3?",
        "?OTRv34?",
    ),
    *(
        "?OTR Error:",
        "?OTR Error: ?OTRv3?",
        "?OTR Error: ERROR_2: x",
        "?OTRv4?",
        "?OTR?v?",
        "?OTRv24x3?",
        "?OTR:===.",
        "?OTR:.",
        "?otrv3?",
    ),
    *(
        TAG_BASE,
        TAG_BASE + TAG_GROUPS[2],
        TAG_BASE + TAG_GROUPS[3],
        TAG_BASE + TAG_GROUPS[4],
        *TAG_GROUPS.values(),
    ),
    *(
        ",00001,00002,",
        ",65535,65535,",
        ".",
        "=",
        "AAMD",
        "AAID",
        "AAMC",
        "AAQD",
        f"|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x},",
        f"?OTR|1|{TAGS[PEER]:x}|{TAGS[SUBJECT]:x},",
    ),
    *("\0", "\r\n", "\x1b[31m", "%n%s", "ä", "\u202e", "\ud800", "💬", "hello"),
)
TEXTS = (b"", b"hello", b"\xff\xfe", b"\xc3", b"?OTRv3?", b"?OTR Error: x", b"\r\nQUIT", b"\x1b]0;x\x07")
QUESTIONS = (b"", b"who?", b"\xff\xfe", b"?OTRv3?", b"\r\nQUIT :x", b"\x1b[2J", b"q" * LONG)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Lines to hand over in this order, after so many seconds; `forged` with the peer's own keys."""

    lines: tuple[str, ...]
    level: str
    forged: bool = False
    wait: float = 0.0


def has_valid_header(line: str, versions: frozenset[int], tags: frozenset[int]) -> bool:
    """Whether a line is an encoded message from the peer to the subject, of a kind and version in use.

    `tags` are those of the peer's clients.
    """
    if not line.startswith(ENCODED_MARK):
        return False
    try:
        raw = binascii.a2b_base64(line[len(ENCODED_MARK) :].rstrip("."))
    except ValueError:
        return False
    version = int.from_bytes(raw[:2], "big")
    if version not in versions or len(raw) < HEADER_BYTES[version]:
        return False
    if raw[2] not in TYPES[version]:
        return False
    sender, receiver = raw[3:7], raw[7:11]
    return version == 2 or (
        int.from_bytes(sender, "big") in tags
        and int.from_bytes(receiver, "big") in ({TAGS[SUBJECT], 0} if raw[2] in STARTS else {TAGS[SUBJECT]})
    )


class Mutator:
    """Makes attempts at one room, the same for the same seed and the same messages."""

    def __init__(self, scene: Scene, random: Random) -> None:
        self._scene = scene
        self._random = random
        self._version = scene.state.version
        self._changes = Changes(self._version, random)
        self._data = forger_of(scene)
        self._signature = signing_forger_of(scene)
        self._due = [line for line in scene.due if line.startswith(ENCODED_MARK)] or scene.peers
        self._levels: list[Callable[[], Attempt]] = []
        for count, level in (
            (16, self._bytes),
            (22, self._fields),
            (6, self._header),
            (1, self._long),
            (4, self._characters),
            (4, self._base64),
            (4, self._markers),
            (5, self._replay),
            (2, self._run_together),
            (2, self._cut_apart),
            (2, self._fragments),
            (1, self._wait),
            (24 if self._data else 0, self.plaintext),
            (8 if self._data else 0, self._data_fields),
            (12 if self._signature else 0, self._signed),
            (3 if BEGUN in scene.state.beside else 0, self._rest),
        ):
            self._levels += [level] * count

    def of_every_level(self) -> Iterator[Attempt]:
        """Return one of each kind."""
        return (level() for level in dict.fromkeys(self._levels))

    def attempt(self) -> Attempt:
        """Return the next one."""
        return self._random.choice(self._levels)()

    # --- what is changed ---

    def _real(self) -> str:
        """Any real message of the peer; most often the one that is due."""
        roll = self._random.random()
        if roll < 0.5:
            return self._random.choice(self._due)
        return self._random.choice(self._scene.peers if roll < 0.85 else self._scene.others)

    # --- levels, from the outside to the inside ---

    def _characters(self) -> Attempt:
        random = self._random
        line = self._real()
        for _ in range(random.choice((1, 1, 2, 3))):
            at, span = random.randrange(len(line) + 1), random.choice((0, 1, 4, 30))
            new = random.choice((*MARKS, line[at : at + span] * 2, chr(random.randrange(0x20, 0x250))))
            line = line[:at] + new + line[at + span :]
        return Attempt((line,), "characters")

    def _base64(self) -> Attempt:
        """The digits between mark and dot: padding, blanks, strange digits, an odd number of them."""
        random = self._random
        digits = self._real()[len(ENCODED_MARK) : -1]
        at = random.randrange(len(digits) + 1)
        match random.randrange(6):
            case 0:
                digits = digits[:at] + random.choice(("=", "==", "===", "A===")) + digits[at:]
            case 1:
                digits = digits[:at] + random.choice((" ", "\n", "\t", "\0", "-", "_", "%3D")) + digits[at:]
            case 2:
                digits = digits[:at]
            case 3:
                digits = digits[: at // 4 * 4] + "=" * random.randrange(4)
            case 4:
                digits = digits[::-1]
            case _:
                digits = digits[:at] + random.choice("+/Aaz09") * random.randrange(1, 6) + digits[at:]
        return Attempt(
            (ENCODED_MARK + digits + random.choice((".", ".", "", "..", ",", ". hello")),), "base64"
        )

    def _markers(self) -> Attempt:
        random = self._random
        return Attempt(("".join(random.choices(MARKS, k=random.randrange(1, 6))),), "markers")

    def _replay(self) -> Attempt:
        """Real messages as they are, in any order, our own and strangers' among them."""
        random = self._random
        scene = self._scene
        said = (scene.due or scene.peers, scene.peers, scene.own, scene.others)
        lines = [random.choice(random.choice(said)) for _ in range(random.choice((1, 1, 2, 3)))]
        if random.random() < 0.3:
            lines.append(lines[0])
        if random.random() < 0.2:
            # Our own words under the peer's name: nothing but the keys tells whose they are.
            lines = [self._readdressed(line) if line in scene.own else line for line in lines]
        return Attempt(tuple(lines), "replay")

    def _readdressed(self, line: str) -> str:
        message = message_of(line)
        header = header_of(message.header.version, message.type)
        return wire_text.encode(header.serialise() + raw_of(line)[message.header.length :])

    def _run_together(self) -> Attempt:
        random = self._random
        others = (self._real(), random.choice(MARKS), "hello ")
        pieces = [self._real(), random.choice(others)]
        random.shuffle(pieces)
        return Attempt((random.choice(("", " ", ",")).join(pieces),), "run together")

    def _cut_apart(self) -> Attempt:
        """A message in up to four lines, as a server cuts it that knows no fragments."""
        random = self._random
        line = self._real()
        cuts = sorted(random.randrange(1, len(line)) for _ in range(random.choice((1, 1, 2, 3))))
        lines = [line[begin:end] for begin, end in zip((0, *cuts), (*cuts, len(line)), strict=True)]
        at = random.randrange(len(lines))
        match random.randrange(8):
            case 0:
                lines[at] = self._changes.damaged(lines[at].encode()).decode("latin-1")
            case 1:
                lines.insert(at, random.choice(("hello", self._digits(), line, *MARKS)))
            case 2:
                del lines[at]
            case 3:
                lines[at] += random.choice(("=", "==", ".", "=.", " "))
            case _:
                pass
        return Attempt(tuple(lines), "cut apart", wait=random.choice((0.0,) * 8 + (11.0,)))

    def _digits(self) -> str:
        """A line of nothing but base64."""
        random = self._random
        count = random.choice((1, 4, 199, 200, 201, 400, 8_000))
        return "".join(random.choices("+/Aaz09", k=min(count, 60))) * -(-count // 60) + random.choice(
            ("", "", ".", "=.", "==")
        )

    def _rest(self) -> Attempt:
        """What may come behind a line that begins a message: its rest, another one, or an ordinary line."""
        random = self._random
        rest = self._scene.due[0]
        match random.randrange(6):
            case 0:
                lines = [self._changes.damaged(rest.encode()).decode("latin-1")]
            case 1:
                lines = [self._digits()]
            case 2:
                lines = [self._digits(), rest]
            case 3:
                at = random.randrange(len(rest) + 1)
                lines = [rest[:at], rest[at:]]
            case 4:
                lines = [random.choice(MARKS), rest]
            case _:
                lines = [self._digits()] * random.choice((2, 2, 10))
        return Attempt(tuple(lines), "rest", wait=random.choice((0.0,) * 8 + (11.0,)))

    def _fragments(self) -> Attempt:
        random = self._random
        line = self._real()
        header = parse_header(raw_of(line))
        if random.random() < 0.2:
            header = Header(random.choice(VERSIONS), header.type, TAGS[PEER], TAGS[SUBJECT])
        identifier = random.choice((0, 1, 2**32 - 1))
        if random.random() < 0.3:
            line = random.choice((f"?OTR,1,1,{line},", random.choice(MARKS) or "x", "plain text", line[::-1]))
        pieces = list(cut(line, max(60, len(line) // random.randrange(1, 5) + 50), header, identifier))
        if len(pieces) == 1:
            pieces = [f"?OTR,1,1,{line},"]
        match random.randrange(11):
            case 0:
                random.shuffle(pieces)
            case 1:
                pieces.insert(random.randrange(len(pieces)), random.choice(pieces))
            case 2:
                del pieces[random.randrange(len(pieces))]
            case 3:
                pieces.insert(
                    random.randrange(len(pieces)), random.choice(("plain text", "?OTR", self._real()))
                )
            case 4:
                numbers = (0, 1, 2, 3, 65534, 65535, 65536, 65537, 99999, 1 << 64)
                tags = f"{TAGS[PEER]:x}|{TAGS[SUBJECT]:x}"
                head = random.choice(("?OTR", f"?OTR|{tags}", f"?OTR|{identifier:x}|{tags}"))
                pieces = [
                    f"{head},{random.choice(numbers)},{random.choice(numbers)},{piece}," for piece in pieces
                ]
            case 5:
                at = random.randrange(len(pieces))
                tag = random.choice((0, 1, 0xFF, 0x100, TAGS[PEER], TAGS[SUBJECT], 2**32 - 1))
                pieces[at] = pieces[at].replace(f"{random.choice(tuple(TAGS.values())):08x}", f"{tag:x}")
            case 6:
                at = random.randrange(len(pieces))
                pieces[at] = self._changes.damaged(pieces[at].encode(errors="surrogatepass")).decode(
                    "latin-1"
                )
            case 7:
                pieces = [f"?OTR,{at},{MAX_PIECES},{piece}" for at, piece in enumerate(pieces, 1)]
            case 8:
                # Pieces of many messages at once, none of which gets its last.
                head = f"{TAGS[PEER]:x}|{TAGS[SUBJECT]:x},{random.randrange(1, 9)},9"
                pieces = [f"?OTR|{number:x}|{head},{line[:300]}," for number in random.sample(range(40), 20)]
            case _:
                pass
        return Attempt(tuple(pieces), "fragments")

    def _wait(self) -> Attempt:
        seconds = self._random.choice((1.0, 5.0, 10.0, 30.0, 40.0, 61.0, 1000.0))
        return Attempt((self._real(),), "wait", wait=seconds)

    def _header(self) -> Attempt:
        """Another version, type or instance; half of them only another instance."""
        random = self._random
        raw = raw_of(self._real())
        genuine = parse_header(raw)
        tags = (
            0,
            1,
            0xFF,
            0x100,
            ANOTHER_TAG,
            TAGS[PEER],
            TAGS[PEER],
            TAGS[SUBJECT],
            TAGS[SUBJECT],
            2**32 - 1,
        )
        if random.random() < 0.5:
            header = replace(genuine, sender_tag=random.choice((ANOTHER_TAG, ANOTHER_TAG, *tags)))
        else:
            version, kind = (
                random.choice((0, 1, 2, 2, 3, 3, 4, 4, 5, 0xFFFF)),
                random.choice((*MESSAGE_TYPES, 0, 0xFF)),
            )
            header = Header(version, kind, random.choice(tags), random.choice(tags))
        return Attempt((wire_text.encode(header.serialise() + raw[genuine.length :]),), "header")

    def _long(self) -> Attempt:
        """What is at the limits of size, or beyond them."""
        random = self._random
        size = random.choice((MAX_TOTAL // 2, MAX_TOTAL - 1, MAX_TOTAL, MAX_TOTAL + 1, 2 * MAX_TOTAL))
        line = self._real()
        raw = raw_of(line)
        match random.randrange(5):
            case 0:
                return Attempt((line[:-1] + "A" * size + ".",), "long")
            case 1:
                return Attempt(("hello" * (size // 5),), "long")
            case 2:
                commit = codec.data(random.randbytes(size // 2)) + codec.data(random.randbytes(32))
                header = header_of(self._version, MessageType.DH_COMMIT)
                return Attempt((wire_text.encode(header.serialise() + commit),), "long")
            case 3:
                message = wire_text.encode(raw + bytes(size * 3 // 4))
                return Attempt(cut(message, random.choice((8_000, 30_000)), parse_header(raw), 1), "long")
            case _:
                pieces = (f"?OTR,{at},{MAX_PIECES},{'x' * (size // 3)}," for at in range(1, 6))
                return Attempt(tuple(pieces), "long")

    def _bytes(self) -> Attempt:
        raw = raw_of(self._real())
        length = parse_header(raw).length
        contents = [raw_of(line)[length:] for line in self._random.sample(self._scene.peers, 1)]
        return Attempt(
            (wire_text.encode(raw[:length] + self._changes.damaged(raw[length:], contents)),), "bytes"
        )

    def _fields(self) -> Attempt:
        """One or two fields of a message whose format is known, or their order or number."""
        header, fields = fields_of(raw_of(self._real()))
        return Attempt((wire_text.encode(header + self._changes.fields(fields)),), "fields")

    # --- behind the MAC ---

    def _data_fields(self) -> Attempt:
        """A data message whose MAC is right and whose fields are not."""
        assert self._data
        line = self._data.hostile(self._content(), self._changes)
        if self._random.random() < 0.3:
            line = self._data.resealed(line, self._changes)
        return Attempt((line,), "data fields", forged=True)

    def plaintext(self) -> Attempt:
        """A data message in which everything is right but what it says."""
        assert self._data
        return Attempt((self._data.line(self._content()),), "plaintext", forged=True)

    def _content(self) -> bytes:
        random = self._random
        records = [self._record() for _ in range(random.choice((0, 1, 1, 1, 2, 5)))]
        content = join(random.choice(TEXTS), records)
        match random.randrange(8):
            case 0:
                return self._changes.damaged(content)
            case 1:
                return random.randbytes(random.randrange(60))
            case 2:
                return content + random.choice(
                    (
                        b"\0",
                        b"\0\1",
                        b"\0\2\xff\xff",
                        b"\0" * 40,
                        b"\0\1\0\0" * 40,
                        MANY_EXTRA_KEYS[self._version],
                    )
                )
            case 3:
                return b"\0" * random.randrange(3) + content
            case _:
                return content

    def _record(self) -> Tlv:
        """A real record of SMP with other fields, or any other record."""
        random, changes = self._random, self._changes
        if random.random() < 0.2:
            return Tlv(random.choice(TLV_TYPES), changes.blob())
        if random.random() < 0.1:
            value = changes.damaged(codec.integer(random.choice(NUMBERS)) + random.choice(TEXTS))
            return Tlv(EXTRA_KEYS[self._version], value)
        due = self._scene.records[0]
        record = due if random.random() < 0.5 else random.choice(self._scene.records)
        match random.randrange(12):
            case 0:
                return record
            case 1:
                return Tlv(random.choice(TLV_TYPES), record.value)
            case 2:
                return Tlv(record.type, changes.damaged(record.value))
            case 3:
                return asked(
                    self._version, random.choice(QUESTIONS), random.choice((b"\0", b"", b"\0\0")), record
                )
            case _:
                fields = fields_of_record(self._version, record)
                return Tlv(record.type, changes.fields(fields, (1, 1, 1, 2, len(fields))))

    def _signed(self) -> Attempt:
        """A message of the key exchange whose MAC or signatures are right, and what they cover is not."""
        assert self._signature
        return Attempt((self._signature.hostile(self._changes),), "signed", forged=True)


def forger_of(scene: Scene) -> Forger | None:
    """Return what makes data messages of the peer, None if there are no keys."""
    match scene.sending:
        case Ratchet():
            return RatchetForger(scene.sending)
        case SendingKeys():
            return DataForger(scene.state.version, scene.sending)
        case _:
            return None


def signing_forger_of(scene: Scene) -> SigningForger | None:
    """Return what makes the message of a key exchange that is due, None if it is no such message."""
    match scene.signing:
        case DakeKeys():
            return DakeForger(scene.signing)
        case SigningKeys():
            return SignatureForger(scene.signing)
        case _:
            return None
