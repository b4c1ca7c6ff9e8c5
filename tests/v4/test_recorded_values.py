"""Every value of a traced conversation of otr4j with itself, from what was drawn and typed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from otrcore.crypto import ring
from otrcore.crypto.cipher import CHACHA20_KEY_BYTES, chacha20
from otrcore.crypto.dh3072 import BraceKeyPair
from otrcore.crypto.ed448 import KeyPair, Point, SigningKey
from otrcore.crypto.secret import Secret
from otrcore.model import Fingerprint
from otrcore.v4 import kdf
from otrcore.v4.dake import _auth_i_context, _auth_r_context, _phi
from otrcore.v4.profile import validate
from otrcore.v4.ratchet import Chain, MessageKeys
from otrcore.v4.smp import SmpRecords, compared
from otrcore.wire import tlv
from otrcore.wire.messages4 import AuthI, AuthR, DataMessage, Identity, parse
from tests.pair import SIDES, Side
from tests.v4.recorded import DAY, Drawn, drawn, exchanged, long_term, profile, turns
from tests.wire import recorded4

WHO = pytest.mark.parametrize("who", SIDES)
LAST_RATCHET = 13
DAKE = recorded4.vectors()["dake"]


def derived(usage: str, who: Side) -> list[str]:
    """What one side derived for a usage, in its order."""
    return [
        event["out"]
        for event in recorded4.events("trace")
        if event["ev"] == "kdf" and (event["usage"], event["who"]) == (usage, who)
    ]


@dataclass(frozen=True)
class Pairs:
    """The key pairs of a side in the order in which they were made: of the exchange, first, then others."""

    ecdh: list[KeyPair]
    dh: list[BraceKeyPair]

    @classmethod
    @cache
    def of(cls, who: Side) -> Pairs:
        random = Drawn(who)
        return cls(
            [KeyPair.generate(random) for _ in drawn(who, "ecdh_r")],
            [BraceKeyPair.generate(random) for _ in drawn(who, "dh_r")],
        )


def dake() -> tuple[Identity, AuthR, AuthI]:
    """The three messages, Bob's, Alice's and Bob's."""
    (_, identity), (_, auth_r), (_, auth_i) = exchanged("trace")[:3]
    assert isinstance(identity, Identity)
    assert isinstance(auth_r, AuthR)
    assert isinstance(auth_i, AuthI)
    return identity, auth_r, auth_i


def shared(number: int) -> tuple[Secret, Secret]:
    """K_ecdh and k_dh of the exchange (0), or of the first keys (1)."""
    alice, bob = Pairs.of("alice"), Pairs.of("bob")
    k_ecdh = alice.ecdh[number].shared_secret(bob.ecdh[number].public)
    assert k_ecdh == bob.ecdh[number].shared_secret(alice.ecdh[number].public)
    k_dh = alice.dh[number].shared_secret(bob.dh[number].public)
    assert k_dh == bob.dh[number].shared_secret(alice.dh[number].public)
    return k_ecdh, k_dh


# ---- who they are


@pytest.mark.parametrize("name", recorded4.CONVERSATIONS)
@WHO
def test_profiles_and_fingerprints(name: str, who: Side) -> None:
    keys, recorded = long_term(name)[who], profile(name, who)
    assert recorded.serialise() == recorded4.profiles(name)[who]
    assert SigningKey(bytes.fromhex(keys["lt_sym"])).sign(recorded.signed()) == recorded.signature
    claim = validate(recorded, recorded.owner_tag, recorded.expires - 14 * DAY)
    assert claim.public_key.encoded.hex() == keys["lt_pub"]
    assert claim.forging_key.encoded.hex() == keys["forging_pub"]
    assert claim.fingerprint.digest.hex() == keys["fingerprint"]


# ---- the key exchange


def test_the_messages_hold_the_keys_that_were_drawn() -> None:
    identity, auth_r, _ = dake()
    alice, bob = Pairs.of("alice"), Pairs.of("bob")
    assert [identity.y, identity.first_ecdh] == [pair.public.encoded for pair in bob.ecdh[:2]]
    assert [identity.b, identity.first_dh] == [pair.public for pair in bob.dh[:2]]
    assert [auth_r.x, auth_r.first_ecdh] == [pair.public.encoded for pair in alice.ecdh[:2]]
    assert [auth_r.a, auth_r.first_dh] == [pair.public for pair in alice.dh[:2]]


def test_phi_and_t() -> None:
    identity, auth_r, _ = dake()
    assert _phi(auth_r, identity, ("alice", "bob")).hex() == DAKE["phiR"]
    assert _phi(identity, auth_r, ("bob", "alice")).hex() == DAKE["phiI"]
    assert _auth_r_context(identity, auth_r, ("alice", "bob")).hex() == DAKE["tR"]
    assert _auth_i_context(identity, auth_r, ("bob", "alice")).hex() == DAKE["tI"]


def test_the_ring_signatures() -> None:
    identity, auth_r, auth_i = dake()
    alice, bob = (
        [Point.decode(key) for key in (message.profile.public_key, message.profile.forging_key)]
        for message in (auth_r, identity)
    )
    rings: dict[Side, ring.Ring] = {
        "alice": (bob[1], alice[0], Point.decode(identity.y)),
        "bob": (bob[0], alice[1], Point.decode(auth_r.x)),
    }
    signed: dict[Side, tuple[str, bytes]] = {
        "alice": (DAKE["tR"], auth_r.sigma),
        "bob": (DAKE["tI"], auth_i.sigma),
    }
    for who, (t, sigma) in signed.items():
        pair = SigningKey(bytes.fromhex(long_term("trace")[who]["lt_sym"])).pair
        assert ring.verify(rings[who], bytes.fromhex(t), sigma)
        assert ring.sign(Drawn(who), pair, rings[who], bytes.fromhex(t)) == sigma


def test_what_the_key_exchange_agrees_on() -> None:
    k_ecdh, k_dh = shared(0)
    brace = kdf.third_brace_key(k_dh)
    k = kdf.mixed_shared_secret(k_ecdh, brace)
    first_root = kdf.first_root_key(k)
    assert brace.hex() == DAKE["brace0"]
    assert k.hex() == DAKE["K"]
    assert kdf.session_id(k).hex() == DAKE["ssid"]
    assert first_root.hex() == DAKE["first_root"]

    k_ecdh, k_dh = shared(1)
    brace = kdf.third_brace_key(k_dh)
    k = kdf.mixed_shared_secret(k_ecdh, brace)
    root, chain = kdf.ratchet_keys(first_root, k)
    assert brace.hex() == DAKE["brace1"]
    assert k.hex() == DAKE["K1"]
    assert root.hex() == DAKE["root0"]
    assert chain.hex() == DAKE["chain0"]


# ---- the ratchets


@dataclass(frozen=True)
class Ratchet:
    """One ratchet of either side and the keys in its messages."""

    who: Side
    number: int
    brace: Secret
    k: Secret
    root: Secret
    chain: Secret
    ecdh: KeyPair
    dh: BraceKeyPair


def ratchets() -> Iterator[Ratchet]:
    """Alice's with the first keys; then both in turn, Bob first, each with a new pair."""
    root, brace = Secret(bytes.fromhex(DAKE["first_root"])), Secret(bytes.fromhex(DAKE["brace1"]))
    ecdh = {side: iter(Pairs.of(side).ecdh[1:]) for side in SIDES}
    dh = {side: iter(Pairs.of(side).dh[1:]) for side in SIDES}
    now_ecdh = {side: next(ecdh[side]) for side in SIDES}
    now_dh = {side: next(dh[side]) for side in SIDES}

    def ratchet(who: Side, number: int) -> Ratchet:
        k = kdf.mixed_shared_secret(now_ecdh["alice"].shared_secret(now_ecdh["bob"].public), brace)
        return Ratchet(who, number, brace, k, *kdf.ratchet_keys(root, k), now_ecdh[who], now_dh[who])

    made = ratchet("alice", 0)
    yield made
    for number in range(LAST_RATCHET + 1):
        root = made.root
        who: Side = "alice" if number % 2 else "bob"
        now_ecdh[who] = next(ecdh[who])
        if number % 3 == 0:
            now_dh[who] = next(dh[who])
            brace = kdf.third_brace_key(now_dh["alice"].shared_secret(now_dh["bob"].public))
        else:
            brace = kdf.brace_key(brace)
        made = ratchet(who, number)
        yield made
    assert not [*ecdh["alice"], *ecdh["bob"], *dh["alice"], *dh["bob"]]


@WHO
def test_every_ratchet_has_the_recorded_keys(who: Side) -> None:
    """Both sides derive the same ones, in the same order."""
    made = list(ratchets())
    assert len(made) == LAST_RATCHET + 2
    assert [ratchet.root.hex() for ratchet in made] == derived("ROOT_KEY", who)
    assert [ratchet.chain.hex() for ratchet in made] == derived("CHAIN_KEY", who)
    # The first K is that of the key exchange.
    assert [ratchet.k.hex() for ratchet in made] == derived("SHARED_SECRET", who)[1:]
    third = [ratchet.brace.hex() for ratchet in made[1:] if ratchet.number % 3 == 0]
    assert third == derived("THIRD_BRACE_KEY", who)[2:]
    others = [ratchet.brace.hex() for ratchet in made if ratchet.number % 3]
    assert others == derived("BRACE_KEY", who)


def test_every_data_message_and_all_keys_of_it() -> None:
    vectors = iter(recorded4.vectors()["data"])
    chains: dict[tuple[Side, int], Chain] = {}
    keys: dict[tuple[Side, int], Ratchet] = {}
    for ratchet in ratchets():
        place = ratchet.who, ratchet.number
        keys[place], chains[place] = ratchet, Chain(ratchet.number, ratchet.chain)
    lengths: Counter[tuple[Side, int]] = Counter()
    for who, message in exchanged("trace")[3:]:
        assert isinstance(message, DataMessage)
        vector = next(vectors)
        place = who, message.ratchet_id
        ratchet, chain = keys[place], chains[place]
        assert (who, chain.ratchet_id, chain.count) == (vector["who"], vector["i"], vector["j"])
        assert message == parse(bytes.fromhex(vector["wire"]))
        assert (message.ratchet_id, message.message_id) == (chain.ratchet_id, chain.count)
        assert message.ecdh == ratchet.ecdh.public.encoded
        assert message.dh == (ratchet.dh.public if vector["dh"] else None)
        # Both begin with a ratchet 0; Alice goes on with 1, Bob with 2.
        previous = max(message.ratchet_id - 2, 0)
        assert message.previous_count == (lengths[who, previous] if message.ratchet_id else 0)
        message_keys = MessageKeys.of(chain.key)
        assert chain.key.hex() == vector["chain"]
        assert message_keys.encryption.hex() == vector["mk"]
        assert message_keys.mac.hex() == vector["mac_key"]
        assert message_keys.extra.hex() == vector["esk"]
        plaintext = chacha20(message_keys.encryption[:CHACHA20_KEY_BYTES], message.encrypted)
        assert plaintext.hex() == vector["plain"]
        assert kdf.authenticator(message_keys.mac, message.authenticated()) == message.mac
        chains[place] = chain.next()
        lengths[place] += 1
    assert next(vectors, None) is None
    assert sum(lengths.values()) == 27
    assert sorted(lengths) == sorted(chains)


def test_what_was_revealed_are_the_mac_keys_of_what_the_other_has_sent() -> None:
    vectors = recorded4.vectors()["data"]
    keys = {vector["mac_key"]: (vector["who"], vector["i"]) for vector in vectors}
    assert len(keys) == len(vectors)
    size = 2 * kdf.KEY_BYTES
    revealed: defaultdict[tuple[Side, int], list[tuple[Side, int]]] = defaultdict(list)
    for vector in vectors:
        row = vector["revealed"]
        revealed[vector["who"], vector["i"]] += [keys[row[at : at + size]] for at in range(0, len(row), size)]
    sent = Counter(keys.values())
    for (who, number), found in revealed.items():
        # The very first message was read by Bob, but his ratchet was new before: it comes with his next.
        late = [("alice", 0)] if number == 2 else []
        other: Side = "bob" if who == "alice" else "alice"
        expected = late + [(other, number - 1)] * sent[other, number - 1] if number else []
        assert sorted(found) == sorted(expected)


# ---- what the users and SMP had to say


def test_the_plaintexts_are_what_the_users_typed_and_the_records_of_smp() -> None:
    typed = iter([turn.argument.encode() for turn in turns("trace") if turn.command == "send"])
    verified = iter(recorded4.vectors()["smp"])
    kinds: Counter[int] = Counter()
    for vector in recorded4.vectors()["data"]:
        text, records = tlv.split(bytes.fromhex(vector["plain"]))
        assert tlv.join(text, records).hex() == vector["plain"]
        if not records:
            assert text == next(typed)
            continue
        (record,) = records
        assert text == b""
        kinds[record.type] += 1
        if record.type == tlv.DISCONNECTED:
            continue
        expected = next(verified)
        assert (record.type, record.value.hex()) == (expected["type"], expected["value"])
        step = SmpRecords().read(record)
        assert step is not None
        assert step[0] == record.type - 1
    assert kinds == {tlv.DISCONNECTED: 1, 2: 2, 3: 2, 4: 2, 5: 2}
    assert next(typed, None) is None
    assert next(verified, None) is None


@pytest.mark.parametrize(
    ("number", "asker", "answerer", "secrets"),
    [
        (0, "alice", "bob", {"alice": b"sekrit", "bob": b"sekrit"}),
        (4, "bob", "alice", {"alice": b"two", "bob": b"one"}),
    ],
)
def test_what_smp_compares(number: int, asker: Side, answerer: Side, secrets: dict[Side, bytes]) -> None:
    recorded = recorded4.vectors()["smp"][number]
    identities = long_term("trace")
    one, other = (Fingerprint(bytes.fromhex(identities[who]["fingerprint"])) for who in (asker, answerer))
    assert recorded["who"] == asker
    for who in SIDES:
        x = compared(one, other, bytes.fromhex(DAKE["ssid"]), secrets[who])
        assert x == int(recorded["x"][who], 16)
