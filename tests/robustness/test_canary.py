"""Nothing secret shows in what an error report, a log line or a debugger's print would show."""

from __future__ import annotations

import base64
import itertools
from collections import deque
from collections.abc import Iterator, Mapping

from gmpy2 import mpz, powmod

from otrcore.crypto.modp import PRIME
from otrcore.crypto.secret import Secret
from otrcore.errors import PeerError
from otrcore.events import Transmit
from otrcore.v3.kdf import ake_keys, extra_key, session_keys
from otrcore.wire.codec import MAC_BYTES
from otrcore.wire.fragment import Reassembler, parse_fragment
from otrcore.wire.messages3 import DataMessage, RevealSignature
from tests.pair import SIDES, Pair, Seeded, identity
from tests.robustness.rogue import minimal
from tests.robustness.scenes import channel_of, each_scene, message_of, play
from tests.snapshot import attributes, secrets_in, snapshot

NOT_LOOKED_INTO = (bytes, int, float, type(None), type(mpz()), Seeded, RevealSignature)


def forms_of(secret: bytes) -> Iterator[str]:
    """How a secret could be printed."""
    number = int.from_bytes(secret, "big")
    yield repr(secret)[2:-1]
    yield repr(bytearray(secret))[12:-2]
    yield str(list(secret))[1:-1]
    yield secret.hex()
    yield secret.hex().upper()
    yield f"{number}"
    yield f"{number:x}"
    yield f"{number:X}"
    yield base64.b64encode(secret).decode().rstrip("=")
    yield base64.urlsafe_b64encode(secret).decode().rstrip("=")


def revealed(pair: Pair) -> set[bytes]:
    """Every r and every MAC key that went out: the protocol wants them known then."""
    reassembler = Reassembler()
    known: set[bytes] = set()
    for _, line in pair.lines:
        fragment = parse_fragment(line)
        whole = reassembler.add(fragment, 0.0) if fragment else line
        message = message_of(whole) if whole and whole.startswith("?OTR:") else None
        if isinstance(message, RevealSignature):
            known.add(message.r)
        elif isinstance(message, DataMessage):
            keys = message.old_mac_keys
            known |= {keys[at : at + MAC_BYTES] for at in range(0, len(keys), MAC_BYTES)}
    return known


def secrets_of(pair: Pair) -> set[bytes]:
    """What both sides keep as secrets now."""
    secrets = set().union(*(secrets_in(snapshot(pair.talks[side])) for side in SIDES))
    return secrets - revealed(pair)


def secrets_ever_had(pair: Pair) -> set[bytes]:
    """All that was drawn, and what follows from it, whether the code takes it for a secret or not."""
    exponents: list[int] = []
    secrets: set[bytes] = set()
    for side in SIDES:
        random = pair.randoms[side]
        assert isinstance(random, Seeded)
        exponents += [int.from_bytes(drawn, "big") | 1 << 319 for drawn in random.drawn["dh"]]
        secrets |= set(random.drawn["r"])
        secrets.add(identity(side).dsa._key.private_numbers().x.to_bytes(20, "big"))
    secrets |= {exponent.to_bytes(40, "big") for exponent in exponents}
    for one, other in itertools.combinations(exponents, 2):
        shared = Secret(minimal(int(powmod(powmod(2, one, PRIME), other, PRIME))))
        ake = ake_keys(shared)
        sending, receiving = session_keys(shared, ours_is_larger=True)
        secrets |= {
            bytes(secret)
            for secret in (
                *(shared, ake.c, ake.c_prime, ake.m1, ake.m2, ake.m1_prime, ake.m2_prime),
                *(sending.aes, sending.mac, receiving.aes, receiving.mac, extra_key(shared)),
            )
        }
    return secrets - revealed(pair)


def assert_no_secret_in(text: str, pair: Pair) -> None:
    """Of this pair, whatever its form."""
    for secret in secrets_ever_had(pair):
        for form in forms_of(secret):
            assert form not in text


def everything_in(value: object, seen: set[int]) -> Iterator[object]:
    """The value and all that hangs on it; but no secret itself, and no message as it went over the wire."""
    if id(value) in seen or isinstance(value, NOT_LOOKED_INTO):
        return
    seen.add(id(value))
    yield value
    if isinstance(value, Mapping):
        children: list[object] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset | deque):
        children = list(value)
    elif isinstance(value, str):
        children = []
    else:
        children = [child for _, child in attributes(value)]
    for child in children:
        yield from everything_in(child, seen)


@each_scene
def test_nothing_secret_in_any_repr(name: str, version: int) -> None:
    pair = play(name, version)
    shown = []
    for side in SIDES:
        seen: set[int] = set()
        for thing in everything_in(pair.accounts[side], seen):
            shown += [repr(thing), str(thing), f"{thing}", "%s %r" % (thing, thing)]  # noqa: UP031
        for event in pair.events(side):
            shown += [repr(event), str(event)]
        account, talk = pair.accounts[side], pair.talks[side]
        shown += [repr(account), repr(talk), repr(talk.info), repr(list(account)), repr(talk.state)]
    text = "\n".join(shown)
    assert "Conversation" in text
    assert_no_secret_in(text, pair)


def test_the_search_would_find_a_secret() -> None:
    for secret in (bytes(range(40)), b"\x00\xff" * 8):
        for text in (repr(secret), secret.hex(), str(int.from_bytes(secret, "big")), str([*secret])):
            assert any(form in text for form in forms_of(secret))


@each_scene
def test_what_is_kept_is_among_what_is_searched_for(name: str, version: int) -> None:
    pair = play(name, version)
    if name.startswith("encrypted"):
        for side in SIDES:
            channel_of(pair.talks[side])._ratchet.sending_pair()
    kept, known = secrets_of(pair), secrets_ever_had(pair)
    assert bool(kept) == (name not in {"plaintext", "finished", "ended by us"})
    assert kept <= known


@each_scene
def test_nothing_secret_in_what_is_sent(name: str, version: int) -> None:
    """Of all keys of both sides that are still in use, none goes over the wire."""
    pair = play(name, version)
    secrets = secrets_of(pair)
    sent = b"".join(
        base64.b64decode(line.removeprefix("?OTR:").removesuffix("."))
        for _, line in pair.lines
        if line.startswith("?OTR:")
    )
    for secret in secrets:
        assert secret not in sent


@each_scene
def test_nothing_secret_in_errors(name: str, version: int) -> None:
    pair = play(name, version)
    shown = []
    for side in SIDES:
        talk = pair.talks[side]
        for _, line in pair.lines:
            for damaged in (
                line,
                line[:-9] + ".",
                line.replace("AAM", "AAL").replace("AAI", "AAL"),
                line[: len(line) // 2],
            ):
                try:
                    events = talk._receive(damaged, pair.clock.now)
                except PeerError as error:
                    shown += [repr(error), str(error), repr(error.args)]
                else:
                    shown += [repr(event) for event in events if not isinstance(event, Transmit)]
    assert_no_secret_in("\n".join(shown), pair)
