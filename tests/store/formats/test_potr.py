"""Files that potr and weechat-otr have written, and damaged ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otrcore.model import Trust
from otrcore.store.formats import potr
from otrcore.store.formats.dsa_numbers import numbers_of
from otrcore.store.formats.values import FormatError
from otrcore.wire import codec
from tests.store.formats.samples import FPR, KEY3, OF_ACCOUNTS, WEECHAT_OTR, complaint, hex_of

NUMBERS = numbers_of(potr.read_key(KEY3))


@pytest.mark.parametrize("account", ["alice@libera", "alice_@libera", "alice@oftc"])
def test_keys_of_potr(account: str) -> None:
    key = potr.read_key((WEECHAT_OTR / f"{account}.key3").read_bytes())
    assert hex_of(key) == OF_ACCOUNTS[account]


def test_fingerprints_of_weechat_otr() -> None:
    found = potr.read_fingerprints(FPR)
    assert [(contact.nick, contact.trust) for contact in found] == [
        ("bob@libera", Trust.NONE),
        ("carol@libera", Trust.COMPARED),
        ("dave@libera", Trust.SMP),
        ("gefährte@libera", Trust.NONE),
    ]
    assert {(contact.account, contact.protocol) for contact in found} == {("alice@libera", "irc")}
    assert found[0].fingerprint.digest.hex() == "d708fb65d8c78555ce1b9e5fc15795528572986b"


def written(*numbers: int, kind: int = 0) -> bytes:
    return codec.short(kind) + b"".join(map(codec.mpi, numbers))


BAD = {
    "empty": (b"", "cut off"),
    "another kind of key": (written(*NUMBERS, kind=1), "does not begin as a private key"),
    "a public key": (written(*NUMBERS[:4]), "cut off"),
    "something behind it": (KEY3 + b"\0", "damaged"),
    "one number more": (KEY3 + codec.mpi(5), "damaged"),
    "a zero in front": (
        codec.short(0) + codec.data(b"\0" + codec.mpi(NUMBERS.p)[4:]) + KEY3[2 + 132 :],
        "damaged",
    ),
    "a length of 100 MB": (codec.short(0) + codec.integer(100 << 20) + KEY3[6:], "cut off"),
    "a length of 4 GB": (codec.short(0) + b"\xff" * 4 + KEY3[6:], "cut off"),
    "x of another key": (written(*NUMBERS[:4], NUMBERS.x - 1), "do not belong together"),
    "order of libotr's memory": (written(NUMBERS.y, *NUMBERS[:3], NUMBERS.x), "bits"),
    "a large p": (written(1 << 2047, *NUMBERS[1:]), "2048 bits"),
    "zeros": (written(0, 0, 0, 0, 0), "0 bits"),
    "a file of libotr": (b"(privkeys\n (account\n", "does not begin as a private key"),
    "100 MB": (bytes(100 << 20), "longer than 4 MiB"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_key(name: str) -> None:
    data, said = BAD[name]
    with pytest.raises(FormatError) as caught:
        potr.read_key(data)
    assert said in complaint(caught.value)
    assert caught.value.line == 0


def test_no_cut_of_a_key_is_read() -> None:
    for end in range(len(KEY3)):
        with pytest.raises(FormatError) as caught:
            potr.read_key(KEY3[:end])
        complaint(caught.value)


LINE = FPR.split(b"\n")[1]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (LINE.rpartition(b"\t")[0], "there should be 5 columns, and there are 4"),
        (LINE + b"\t", "there are 6"),
        (LINE.replace(b"carol", b"ca\x03rol"), "control characters"),
        (LINE.replace(b"6173", b"617"), "this one 39"),
    ],
)
def test_a_bad_line_is_named(bad: bytes, said: str) -> None:
    with pytest.raises(FormatError) as caught:
        potr.read_fingerprints(FPR + bad + b"\n")
    assert said in complaint(caught.value)
    assert caught.value.line == 5


@settings(max_examples=150)
@given(st.integers(0, len(KEY3)), st.integers(0, 8), st.binary(max_size=8))
def test_damage_is_one_sentence(at: int, gone: int, come: bytes) -> None:
    data = KEY3[:at] + come + KEY3[at + gone :]
    try:
        key = potr.read_key(data)
    except FormatError as error:
        complaint(error)
    else:
        assert hex_of(key) == OF_ACCOUNTS["alice@libera"]
