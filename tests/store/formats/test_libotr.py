"""libotr's three files: read and written as libotr itself does, and refused where they are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.model import Fingerprint, Trust
from otrcore.store.formats import libotr, sexp
from otrcore.store.formats.dsa_numbers import numbers_of
from otrcore.store.formats.values import MAX_FILE_BYTES, FormatError, FoundContact, FoundKey, FoundTag
from tests.interop.oracle import BINARY, LibotrPeer
from tests.store.formats.real_libotr import RealLibotr
from tests.store.formats.samples import FINGERPRINTS, KEYS, OF_ACCOUNTS, TAGS, complaint, hex_of
from tests.support import require

NICKS = [
    "bob",
    "[bob]",
    "{bob}|away",
    "bob^_-`",
    "gefährte",
    "à",
    "\N{SLIGHTLY SMILING FACE}",
    'quo"te',
    "back\\slash",
    "it's",
    "two words",
    "1st",
    "#hash",
    "x\N{NO-BREAK SPACE}y",
]
"""Of these, libgcrypt writes some as tokens, some in quotes and some in hex digits."""


def refused(read: Callable[[bytes], object], data: bytes) -> tuple[int, str]:
    """Return what is said of a file, and of which line."""
    with pytest.raises(FormatError) as caught:
        read(data)
    return caught.value.line, complaint(caught.value)


# ---- private keys


def test_keys_of_libotr() -> None:
    found = libotr.read_keys(KEYS)
    assert {key.account: hex_of(key.key) for key in found} == {
        account: digits for account, digits in OF_ACCOUNTS.items() if account.count(".")
    }
    assert [key.protocol for key in found] == ["prpl-irc", "prpl-irc", "prpl-jabber"]
    lines = KEYS.split(b"\n")
    assert [lines[key.line - 1] for key in found] == [b" (account"] * 3


def test_they_are_written_byte_for_byte_as_libotr_does() -> None:
    assert libotr.write_keys(libotr.read_keys(KEYS)) == KEYS


@pytest.mark.parametrize("nick", NICKS)
def test_accounts_of_every_kind_of_name(tmp_path: Path, nick: str) -> None:
    """libotr writes an account, we read it; we write one, libotr finds it; both write the same."""
    path = tmp_path / "otr.private_key"
    account = f"{nick}@irc.example"
    options = ["--keyfile", str(path), "--protocol", "prpl-irc"]
    with LibotrPeer(account, options=options, program=Path(require(str(BINARY)))) as peer:
        made = peer.genkey()
    (found,) = libotr.read_keys(path.read_bytes())
    assert (found.account, found.protocol, hex_of(found.key)) == (account, "prpl-irc", made)
    assert libotr.write_keys([found]) == path.read_bytes()


def test_libotr_finds_every_key_that_we_write(tmp_path: Path) -> None:
    keys = [FoundKey(f"{nick}@irc.example", "IRC", DsaPrivateKey.generate()) for nick in NICKS[:3]]
    path = tmp_path / "otr.key"
    path.write_bytes(libotr.write_keys(keys))
    real = RealLibotr()
    assert real.read_keys(path)
    assert [real.fingerprint(key.account, "IRC") for key in keys] == [hex_of(key.key) for key in keys]
    assert real.fingerprint("nobody@irc.example", "IRC") == ""


def test_numbers_that_begin_with_zeros_or_could_be_texts() -> None:
    """Lengths of numbers differ: libgcrypt puts a zero in front of a top bit, and nothing else."""
    lengths = set()
    for _ in range(12):
        key = FoundKey("a@b", "IRC", DsaPrivateKey.generate())
        text = libotr.write_keys([key])
        assert libotr.read_keys(text)[0].key.public == key.key.public
        dsa = sexp.read(text).lists(b"account")[0].lists(b"private-key")[0].lists(b"dsa")[0]
        for number, name in zip(numbers_of(key.key), (b"p", b"q", b"g", b"y", b"x"), strict=True):
            value = dsa.lists(name)[0].items[1]
            assert isinstance(value, sexp.Atom)
            assert int.from_bytes(value.data, "big", signed=True) == number
            assert number.to_bytes(len(value.data), "big", signed=True) == value.data
            lengths.add(len(value.data))
    assert {129, 128} <= lengths


def test_no_keys() -> None:
    assert libotr.read_keys(b"(privkeys)") == ()
    assert libotr.read_keys(libotr.write_keys([])) == ()


def test_no_cut_of_a_key_file_is_read() -> None:
    for end in range(len(KEYS.rstrip())):
        refused(libotr.read_keys, KEYS[:end])


def test_no_secret_is_told() -> None:
    """Whatever is damaged, what is said holds no digits of a private key."""
    secrets = [f"{numbers_of(key.key).x:x}" for key in libotr.read_keys(KEYS)]
    parts = [secret[at : at + 12] for secret in secrets for at in range(0, len(secret) - 12, 6)]
    said = []
    for at in range(0, len(KEYS), 7):
        try:
            libotr.read_keys(KEYS[:at] + b"!" + KEYS[at + 1 :])
        except FormatError as error:
            said.append(complaint(error))
    assert len(said) > 100
    assert not [part for part in parts for text in said if part in text.lower()]


def changed(old: bytes, new: bytes, count: int = 1) -> bytes:
    assert old in KEYS
    return KEYS.replace(old, new, count)


FIRST_P = KEYS.split(b"(p #")[1].split(b"#")[0]
FIRST_X = KEYS.split(b"(x #")[1].split(b"#")[0]
FIRST_Y = KEYS.split(b"(y #")[1].split(b"#")[0]
SECOND_X = KEYS.split(b"(x #")[2].split(b"#")[0]

BAD_KEYS: dict[str, tuple[bytes, int, str]] = {
    "another kind of file": (b"(genkey (dsa))", 1, "does not begin as a file of private keys"),
    "a public key": (b"(public-key (dsa))", 1, "does not begin as a file of private keys"),
    "a stray token": (changed(b"(privkeys\n", b"(privkeys\nx"), 2, "something else than an account"),
    "a stray list": (changed(b"(privkeys\n", b"(privkeys\n(x)"), 2, "something else than an account"),
    "no name": (changed(b"(name ", b"(nam "), 2, "no (name ...)"),
    "two names": (changed(b"(protocol", b"(name x)(protocol"), 2, "no (name ...)"),
    "an empty name": (changed(b'"alice@irc.oftc.net"', b'""'), 2, "name is empty"),
    "a name of two words": (changed(b'"alice@irc.oftc.net"', b"a b"), 3, "does not have one value"),
    "a name that is a list": (changed(b'"alice@irc.oftc.net"', b"(a)"), 3, "does not have one value"),
    "control bytes in a name": (changed(b'"alice@irc', b'"al\\x1bice@irc'), 2, "control characters"),
    "a line end in a name": (changed(b'"alice@irc', b'"al\\nice@irc'), 2, "control characters"),
    "a name in Latin 1": (changed(b'"alice@irc', b'"\xe4lice@irc'), 2, "UTF-8"),
    "a long name": (changed(b'"alice@irc', b'"' + b"a" * 400), 2, "longer than 400"),
    "a control byte in the protocol": (changed(b"prpl-irc", b'"prpl\\x00"'), 2, "control characters"),
    "no protocol": (changed(b"(protocol", b"(protokoll"), 2, "no (protocol ...)"),
    "no key": (changed(b"(private-key", b"(public-key"), 2, "no (private-key ...)"),
    "a key of another kind": (changed(b"(dsa", b"(rsa"), 5, "no (dsa ...)"),
    "no x": (changed(b"(x #", b"(z #"), 6, "no (x ...)"),
    "two x": (changed(b"(x #", b"(x 1:a)\n(x #"), 6, "no (x ...)"),
    "x of another key": (changed(FIRST_X, SECOND_X), 6, "x and y do not belong together"),
    "x of zero": (changed(FIRST_X, b"00"), 6, "x and y do not belong together"),
    "no digits of x": (changed(FIRST_X, b""), 6, "x and y do not belong together"),
    "y of zero": (changed(FIRST_Y, b"00"), 6, "y does not lie"),
    "a short p": (changed(FIRST_P, FIRST_P[:-8]), 6, "bits, and that of an OTR key has 1024"),
    "a long p": (changed(FIRST_P, b"01" + FIRST_P), 6, "bits, and that of an OTR key has 1024"),
    "a p of 4000 bytes": (changed(FIRST_P, b"7F" * 4000), 6, "bits, and that of an OTR key has 1024"),
    "another p": (changed(FIRST_P, FIRST_P[:-2] + b"FE"), 6, "not a prime"),
    "an account twice": (
        KEYS.replace(b"alice@irc.libera.chat", b"alice@irc.oftc.net"),
        15,
        "has another key above",
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + KEYS, 1, "0xef"),
    "UTF-16": (KEYS.decode().encode("utf-16-le"), 1, "0x00"),
    "an empty file": (b"", 0, "nothing in it"),
    "100 MB": (b"(privkeys " + b"a" * (100 << 20), 0, "longer than 4 MiB"),
    "a length of 100 MB": (b"(privkeys (account (name 104857600:x", 1, "a length is not a number"),
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_bad_key_file_names_its_line(name: str) -> None:
    data, line, said = BAD_KEYS[name]
    told = refused(libotr.read_keys, data)
    assert said in told[1]
    assert told[0] == line


GOOD_KEYS = {
    "line ends of Windows": KEYS.replace(b"\n", b"\r\n"),
    "on one line": KEYS.replace(b"\n", b" "),
    "an account twice with one key": KEYS.replace(b"(privkeys\n", KEYS.rstrip()[:-1]),
    "in another order": KEYS.replace(b"(name ", b"(hint of what) (name "),
}


@pytest.mark.parametrize("name", GOOD_KEYS)
def test_a_key_file_of_another_look(name: str) -> None:
    keys = {key.account: key.key.public for key in libotr.read_keys(KEYS)}
    assert {key.account: key.key.public for key in libotr.read_keys(GOOD_KEYS[name])} == keys


# ---- fingerprints


def test_fingerprints_of_libotr() -> None:
    found = libotr.read_fingerprints(FINGERPRINTS)
    assert [(contact.nick, contact.account.partition("@")[2], contact.trust) for contact in found] == [
        ("bob", "irc.libera.chat", Trust.NONE),
        ("bob", "irc.oftc.net", Trust.SMP),
        ("bob", "jabber.example", Trust.NONE),
        ("carol", "irc.libera.chat", Trust.COMPARED),
        ("carol", "irc.oftc.net", Trust.COMPARED),
        ("carol", "jabber.example", Trust.COMPARED),
    ]
    assert [str(contact.line) for contact in found] == list("123456")
    assert found[0].fingerprint == Fingerprint.parse("58AC4C62D88E54067700C25624DED2336A3EF2DC")
    assert libotr.write_fingerprints(found, "verified") == FINGERPRINTS


def test_libotr_reads_what_we_write(tmp_path: Path) -> None:
    contacts = [
        FoundContact(
            nick,
            f"{nick}@irc.example",
            "prpl-irc",
            Fingerprint(bytes([number]) * 20),
            list(Trust)[number % 3],
        )
        for number, nick in enumerate(NICKS)
    ]
    path = tmp_path / "otr.fingerprints"
    path.write_bytes(libotr.write_fingerprints(contacts, "verified"))
    # libotr keeps contacts in an order of its own.
    assert sorted(RealLibotr().rewrite_fingerprints(path).split(b"\n")) == sorted(
        libotr.write_fingerprints(contacts, "verified").split(b"\n")
    )
    assert set(libotr.read_fingerprints(path.read_bytes())) == set(contacts)


LINE = b"bob\talice@irc.example\tprpl-irc\t" + b"0123456789abcdefABCD" * 2


@pytest.mark.parametrize(
    ("word", "trust", "unknown"),
    [
        (b"", Trust.NONE, ""),
        (b"\t", Trust.NONE, ""),
        (b"\tverified", Trust.COMPARED, ""),
        (b"\tmanual", Trust.COMPARED, ""),
        (b"\tsmp", Trust.SMP, ""),
        (b"\tVerified", Trust.NONE, "Verified"),
        (b"\tno", Trust.NONE, "no"),
        (b"\t ", Trust.NONE, " "),
        (b"\tsmp?", Trust.NONE, "smp?"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_words_for_trust(word: bytes, trust: Trust, unknown: str, end: bytes) -> None:
    (found,) = libotr.read_fingerprints(LINE + word + end)
    assert (found.trust, found.unknown_word) == (trust, unknown)


def test_of_a_key_that_stands_twice_the_last_line_counts(tmp_path: Path) -> None:
    data = LINE + b"\tverified\n" + LINE + b"\tsmp\n" + LINE.replace(b"alice", b"other") + b"\t\n"
    path = tmp_path / "otr.fingerprints"
    path.write_bytes(data)
    ours = libotr.read_fingerprints(data)
    assert {(contact.account, contact.trust) for contact in ours} == {
        ("alice@irc.example", Trust.SMP),
        ("other@irc.example", Trust.NONE),
    }
    assert set(libotr.read_fingerprints(RealLibotr().rewrite_fingerprints(path))) == set(ours)


def test_empty_lines_and_comments_are_passed_over() -> None:
    data = b"\n# written by hand\n\r\n" + LINE + b"\t\n\n#"
    assert [contact.line for contact in libotr.read_fingerprints(data)] == [4]
    assert libotr.read_fingerprints(b"") == ()


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "one column": (b"bob", "there should be 4 or 5 columns, and there are 1"),
    "three columns": (LINE.rpartition(b"\t")[0], "there are 3"),
    "six columns": (LINE + b"\tsmp\tx", "there are 6"),
    "blanks for tabs": (LINE.replace(b"\t", b"    "), "there are 1"),
    "a short fingerprint": (LINE[:-1], "this one 39"),
    "a long fingerprint": (LINE + b"0", "this one 41"),
    "no fingerprint": (LINE[:-40], "this one 0"),
    "a fingerprint in groups": (LINE[:-40] + b"01234567 89abcdef 01234567 89abcdef 01234567", "this one 44"),
    "no hex digits": (LINE[:-1] + b"g", "other characters than hex digits"),
    "a sign": (LINE[:-40] + b"+" + LINE[-39:], "other characters than hex digits"),
    "digits of another script": (LINE[:-40] + "\N{ARABIC-INDIC DIGIT ONE}".encode() * 20, "other characters"),
    "columns in another order": (b"\t".join(reversed(LINE.split(b"\t"))), "this one 3"),
    "no nick": (LINE.removeprefix(b"bob"), "the name is empty"),
    "no account": (LINE.replace(b"alice@irc.example", b""), "the account is empty"),
    "no protocol": (LINE.replace(b"prpl-irc", b""), "the protocol is empty"),
    "a control byte": (LINE.replace(b"bob", b"b\x1bob"), "control characters"),
    "a NUL": (LINE.replace(b"bob", b"b\0ob"), "control characters"),
    "a carriage return": (LINE.replace(b"bob", b"b\rob"), "control characters"),
    "a control character of Unicode": (LINE.replace(b"bob", "b\x9bob".encode()), "control characters"),
    "a line separator": (LINE.replace(b"bob", "b\u2028ob".encode()), "control characters"),
    "a surrogate": (LINE.replace(b"bob", b"b\xed\xa0\x80b"), "UTF-8"),
    "Latin 1": (LINE.replace(b"bob", b"b\xf6b"), "UTF-8"),
    "a long nick": (LINE.replace(b"bob", b"b" * 401), "longer than 400"),
    "a control byte in the trust": (LINE + b"\tsm\x07p", "control characters"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named(name: str) -> None:
    bad, said = BAD_LINES[name]
    told = refused(libotr.read_fingerprints, LINE + b"\tsmp\n\n" + bad + b"\n" + LINE + b"\n")
    assert said in told[1]
    assert told[0] == 3


def test_a_table_with_a_byte_order_mark() -> None:
    assert refused(libotr.read_fingerprints, b"\xef\xbb\xbf" + LINE + b"\n")[0] == 1


def test_a_table_of_100_mb() -> None:
    assert "longer than 4 MiB" in refused(libotr.read_fingerprints, (LINE + b"\n") * (1 << 20))[1]


def test_a_full_table_is_read() -> None:
    line = LINE + b"\tverified\n"
    count = MAX_FILE_BYTES // (len(line) + 6)
    data = b"".join(b"%06d" % number + line for number in range(count))
    assert len(libotr.read_fingerprints(data)) == count


def test_a_cut_of_a_table_is_refused_or_whole_lines() -> None:
    whole = libotr.read_fingerprints(FINGERPRINTS)
    for end in range(len(FINGERPRINTS)):
        cut = FINGERPRINTS[:end]
        if cut.endswith(b"\n") or not cut:
            assert libotr.read_fingerprints(cut) == whole[: cut.count(b"\n")]
        else:
            assert refused(libotr.read_fingerprints, cut)[0] == cut.count(b"\n") + 1


# ---- instance tags


def test_tags_of_libotr(tmp_path: Path) -> None:
    found = libotr.read_tags(TAGS)
    assert found == (
        FoundTag("alice@jabber.example", "prpl-jabber", 0x8D6433E5),
        FoundTag("alice@irc.libera.chat", "prpl-irc", 0x943C373A),
        FoundTag("alice@irc.oftc.net", "prpl-irc", 0x108E01BB),
    )
    assert [tag.line for tag in found] == [2, 3, 4]
    path = tmp_path / "otr.instance_tags"
    path.write_bytes(libotr.write_tags(found))
    assert set(libotr.read_tags(RealLibotr().rewrite_tags(path))) == set(found)


TAG = b"alice@irc.example\tprpl-irc\t"

BAD_TAGS: dict[str, tuple[bytes, str]] = {
    "two columns": (b"alice\t12345678", "there should be 3 columns, and there are 2"),
    "four columns": (TAG + b"12345678\tx", "there are 4"),
    "a short tag": (TAG + b"1234567", "this one 7"),
    "a long tag": (TAG + b"123456789", "this one 9"),
    "no hex digits": (TAG + b"0x123456", "other characters"),
    "a sign": (TAG + b"-1234567", "other characters"),
    "a tag of the specification": (TAG + b"000000ff", "below 00000100"),
    "no tag": (TAG + b"00000000", "below 00000100"),
    "no account": (b"\tprpl-irc\t12345678", "the account is empty"),
    "control bytes": (b"a\x02\tprpl-irc\t12345678", "control characters"),
}


@pytest.mark.parametrize("name", BAD_TAGS)
def test_a_bad_tag_is_named(name: str) -> None:
    bad, said = BAD_TAGS[name]
    told = refused(libotr.read_tags, TAGS + bad + b"\n")
    assert said in told[1]
    assert told[0] == TAGS.count(b"\n") + 1


def test_smallest_and_largest_tag() -> None:
    data = TAG + b"00000100\n" + TAG + b"FFFFFFFF\r\n"
    assert [tag.tag for tag in libotr.read_tags(data)] == [0x100, 0xFFFFFFFF]


# ---- generated

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40
)
contacts = st.builds(
    FoundContact,
    names,
    names,
    names,
    st.binary(min_size=20, max_size=20).map(Fingerprint),
    st.sampled_from(Trust),
)
tags = st.builds(FoundTag, names, names, st.integers(0x100, 0xFFFFFFFF))


@settings(max_examples=100)
@given(st.lists(contacts, max_size=5, unique_by=lambda c: (c.nick, c.account, c.protocol, c.fingerprint)))
def test_contacts_there_and_back(written: list[FoundContact]) -> None:
    data = libotr.write_fingerprints(written, "manual")
    if data.startswith((b"\xef\xbb\xbf",)):
        return
    assert libotr.read_fingerprints(data) == tuple(written)


@settings(max_examples=100)
@given(st.lists(tags, max_size=5))
def test_tags_there_and_back(written: list[FoundTag]) -> None:
    assert libotr.read_tags(libotr.write_tags(written)) == tuple(written)


def test_a_line_that_libotr_would_cut_is_not_written() -> None:
    long = FoundContact("b" * 400, "a" * 400, "p" * 400, Fingerprint(bytes(20)), Trust.NONE)
    with pytest.raises(FormatError, match="too long for a file of libotr"):
        libotr.write_fingerprints([long], "verified")


READERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (libotr.read_keys, KEYS),
    (libotr.read_fingerprints, FINGERPRINTS),
    (libotr.read_tags, TAGS),
]


@settings(max_examples=200)
@given(st.sampled_from(READERS), st.data())
def test_damage_is_one_sentence(reader: tuple[Callable[[bytes], object], bytes], data: st.DataObject) -> None:
    read, whole = reader
    text = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
    try:
        read(bytes(text))
    except FormatError as error:
        complaint(error)
