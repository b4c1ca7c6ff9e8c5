"""The authenticated key exchange (v3, "Authenticated Key Exchange (AKE)", "The protocol state machine").

    initiator                        responder
        D-H Commit            ->                      AES_r(g^x), hash(g^x)
                              <-     D-H Key          g^y
        Reveal Signature      ->                      r, signature under keys of s = g^xy
                              <-     Signature        signature under keys of s

One frozen value per authentication state owns what that state knows.  A message that
does not verify changes nothing: the specification's prose would reset the state, which
let anybody stop an exchange; its table says "ignore", and libotr does.

Instances.  An exchange is with one instance of the peer.  The Commit that goes to all
of them at once is an exchange of its own, which only ever waits for a D-H Key; whoever
answers gets a `fork` of it.

Loss.  An exchange without progress is helped on: the initiator sends a fresh Commit, as a
responder that has finished ignores a repeated Reveal Signature; the responder repeats
its D-H Key, which the initiator answers with the same Reveal Signature again.

Crossing starts.  When both sides have sent a Commit, the higher hash wins, and the
winner's side ignores the other's Commit and repeats its own.  The loser keeps its own
Commit as *yielded*: clients that keep no such memory exist, with which the plain rule
ends in silence on both sides.  If such a peer answers the yielded Commit and sends no
Reveal Signature within RESUME_AFTER, we go on as initiator after all; our other half of
the exchange is destroyed then, as both roles at once would let a reflected message
authenticate us to ourselves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from ..crypto.cipher import aes_ctr
from ..crypto.dsa import SIGNATURE_BYTES, verify
from ..crypto.hashes import mac_sha256, mac_sha256_160, same
from ..crypto.modp import DhKeyPair, is_public
from ..crypto.random import Random
from ..crypto.secret import Secret
from ..errors import MalformedMessage, PeerError, Reason
from ..events import HandshakeEnd, HandshakeStep
from ..identity import Identity
from ..model import DsaPublicKey, SessionInfo
from ..protocols import NOTHING, Outcome
from ..wire import codec
from ..wire.codec import Reader
from ..wire.header import ANY_INSTANCE, VERSION_2, VERSION_3, Header, MessageType
from ..wire.keys import fingerprint, read_public_key, serialise_public_key
from ..wire.messages3 import (
    R_BYTES,
    AkeMessage,
    DataMessage,
    DhCommit,
    DhKey,
    RevealSignature,
    Signature,
    parse,
)
from .channel import DataChannel
from .kdf import AkeKeys, ake_keys
from .ratchet import Ratchet

OUR_KEYID = 1
"""Number of the D-H key that the exchange is made with."""

LIFETIME = 60.0
"""Seconds after which an exchange without progress is given up and its secrets are wiped."""

INITIATOR_RETRIES = 30.0
RESPONDER_RETRIES = 40.0
"""Seconds without progress after which either side helps on; not the same, lest both do at once.  Clients
that pace their lines, as IRC servers want it, may well take 10 seconds for a message in fragments."""

MAX_RETRIES = 2
"""How often that happens between a start and its end, and without progress only once: where the same
message is lost each time, as on a way that cuts long lines, both would otherwise try for ever."""

REPEAT_PAUSE = 10.0
"""Seconds in which a Commit that is out already is not said again: anybody can make up queries, and each
would make us send it.  A start within that time is remembered."""

RESUME_AFTER = {VERSION_2: 0.0, VERSION_3: 5.0}
"""Seconds that the winner of a crossing has for its Reveal Signature.  In version 2 none: libotr never
insists on its own Commit there, so that a D-H Key for ours means that it has given its own up."""

NAMES = {
    DhCommit: "D-H Commit",
    DhKey: "D-H Key",
    RevealSignature: "Reveal Signature",
    Signature: "Signature",
}


@dataclass(frozen=True, slots=True)
class OwnCommit:
    """What we committed ourselves to; `message` is kept to be repeated."""

    keys: DhKeyPair
    r: Secret
    message: DhCommit


@dataclass(frozen=True, slots=True)
class Yielded:
    """Our Commit that lost against the peer's; `answer` is a D-H Key that came for it all the same.

    From `resume` on we act on such an answer; from `expires` on the Commit is of no use any more.
    """

    commit: OwnCommit
    resume: float
    expires: float
    answer: DhKey | None = None


@dataclass(frozen=True, slots=True)
class AuthStateNone:
    """AUTHSTATE_NONE."""


@dataclass(frozen=True, slots=True)
class AwaitingDhKey:
    """AUTHSTATE_AWAITING_DHKEY: our Commit is out."""

    commit: OwnCommit


@dataclass(frozen=True, slots=True)
class AwaitingRevealSignature:
    """AUTHSTATE_AWAITING_REVEALSIG: we answered the peer's Commit with `reply`."""

    commit: DhCommit
    keys: DhKeyPair
    reply: DhKey
    yielded: Yielded | None = None


@dataclass(frozen=True, slots=True)
class AwaitingSignature:
    """AUTHSTATE_AWAITING_SIG: we answered the peer's D-H Key with `reply`."""

    commit: OwnCommit
    answer: DhKey
    shared_secret: Secret
    keys: AkeKeys
    reply: RevealSignature = field(repr=False)


AuthState = AuthStateNone | AwaitingDhKey | AwaitingRevealSignature | AwaitingSignature
_NONE = AuthStateNone()


class Ake:
    """The exchange with one instance of a peer, from any start to a channel; then ready for the next."""

    __slots__ = (
        "_again",
        "_identity",
        "_own_tag",
        "_random",
        "_retried",
        "_retries",
        "_their_tag",
        "_touched",
        "_version",
        "state",
    )

    def __init__(
        self, version: int, identity: Identity, own_tag: int, random: Random, their_tag: int = ANY_INSTANCE
    ) -> None:
        """Begin in AUTHSTATE_NONE; `their_tag` is 0 for a start with all instances of the peer.

        Version 2 has no instance tags: there our own counts as 0 as well.
        """
        self._version = version
        self._identity = identity
        self._own_tag = ANY_INSTANCE if version == VERSION_2 else own_tag
        self._their_tag = their_tag
        self._random = random
        self._touched = 0.0
        self._retries = 0
        self._retried = False
        """Since the last progress."""
        self._again = False
        """Whether a start waits for the end of the pause."""
        self.state: AuthState = _NONE

    @property
    def running(self) -> bool:
        """Whether the state is another than AUTHSTATE_NONE."""
        return not isinstance(self.state, AuthStateNone)

    @property
    def lingers(self) -> bool:
        """The same: who is done has nothing to say any more."""
        return self.running

    @property
    def answered(self) -> float | None:
        """When the peer last took part in the exchange that is under way; None if it has not yet."""
        taking_part = isinstance(self.state, AwaitingRevealSignature | AwaitingSignature)
        return self._touched if taking_part else None

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, None if never."""
        match self.state:
            case AuthStateNone():
                return None
            case AwaitingDhKey() if self._again:
                return self._touched + REPEAT_PAUSE
            case AwaitingRevealSignature(yielded=Yielded(resume=resume, answer=DhKey())):
                return min(resume, self._patience_ends)
            case AwaitingRevealSignature(yielded=Yielded(expires=expires)):
                return min(expires, self._patience_ends)
            case _:
                return self._patience_ends

    @property
    def _patience_ends(self) -> float:
        if self._retried or self._retries >= MAX_RETRIES:
            return self._touched + LIFETIME
        responding = isinstance(self.state, AwaitingRevealSignature)
        return self._touched + (RESPONDER_RETRIES if responding else INITIATOR_RETRIES)

    def fork(self, their_tag: int) -> Ake:
        """Return an exchange in the same state with one instance, which has answered a Commit to all."""
        forked = Ake(self._version, self._identity, self._own_tag, self._random, their_tag)
        forked.state, forked._touched = self.state, self._touched
        forked._retries, forked._retried, forked._again = self._retries, self._retried, self._again
        return forked

    def cancel(self) -> None:
        """Back to AUTHSTATE_NONE, without a word to the peer."""
        self.state = _NONE
        self._retries = 0

    def start(self, now: float) -> Outcome:
        """Send a D-H Commit; while one is unanswered, the same again, though not at once.

        Not another one, as its hash decides a crossing.
        """
        if isinstance(self.state, AwaitingDhKey) and now < self._touched + REPEAT_PAUSE:
            self._again = True
            return NOTHING
        commit = self.state.commit if isinstance(self.state, AwaitingDhKey) else self._commit()
        self._retries = 0
        return self._enter(AwaitingDhKey(commit), now, reply=commit.message)

    def tick(self, now: float) -> Outcome:
        """Help on what has made no progress, and give it up at the end of its LIFETIME.

        Where the winner of a crossing stays silent, go on as initiator.
        """
        deadline = self.deadline
        if deadline is None or now < deadline:
            return NOTHING
        if now >= self._touched + LIFETIME:
            unanswered = isinstance(self.state, AwaitingDhKey)
            self.cancel()
            return Outcome(failed=HandshakeEnd.NO_ANSWER if unanswered else HandshakeEnd.INCOMPLETE)
        match self.state:
            case AwaitingDhKey() if self._again:
                return self.start(now)
            case AwaitingRevealSignature(yielded=Yielded(expires=expires)) if now >= expires:
                self.state = replace(self.state, yielded=None)
                return self.tick(now)
            case AwaitingRevealSignature(yielded=Yielded(commit, answer=DhKey() as answer)):
                return self._reveal(commit, answer, now)
        return self._retry(now)

    def _retry(self, now: float) -> Outcome:
        if isinstance(self.state, AwaitingRevealSignature):
            reply = self.state.reply
            outcome = Outcome(replies=(reply.serialise(),), steps=_steps(None, reply))
        else:
            commit = self._commit()
            outcome = self._enter(AwaitingDhKey(commit), now, reply=commit.message)
        self._retried = True
        self._retries += 1
        return outcome

    @property
    def sent(self) -> frozenset[int | bytes]:
        """The D-H values and the hash that we have sent and can still use."""
        match self.state:
            case AwaitingDhKey(commit=own) | AwaitingSignature(commit=own):
                return frozenset({own.keys.public, own.message.hashed_gx})
            case AwaitingRevealSignature(keys=keys, yielded=None):
                return frozenset({keys.public})
            case AwaitingRevealSignature(keys=keys, yielded=Yielded(commit=own)):
                return frozenset({keys.public, own.keys.public, own.message.hashed_gx})
            case _:
                return frozenset()

    def receive(
        self, raw: bytes, header: Header, now: float, elsewhere: frozenset[int | bytes] = frozenset()
    ) -> Outcome:
        """Take a message by the table of the specification; PeerError, and the state is unchanged."""
        message = parse(raw, header)
        state = self.state
        match state, message:
            case _, DataMessage():
                raise MalformedMessage("not a message of the key exchange")

            # What we have sent ourselves, in an exchange of another version.
            case _, DhCommit(hashed_gx=value) | DhKey(gy=value) if value in elsewhere:
                raise PeerError(Reason.REFLECTED)

            # The hash of a Commit that is still ours to use can only have come from us.
            case (
                (
                    AwaitingDhKey(commit=own)
                    | AwaitingSignature(commit=own)
                    | AwaitingRevealSignature(yielded=Yielded(commit=own))
                ),
                DhCommit(),
            ) if own.message.hashed_gx == message.hashed_gx:
                raise PeerError(Reason.REFLECTED)

            # Both have sent a Commit: the higher hash, as a big-endian number, wins.
            case AwaitingDhKey(commit=own), DhCommit() if own.message.hashed_gx > message.hashed_gx:
                # To this instance only: another may have gone on with its own Commit in the meantime.
                directed = replace(own.message.header, receiver_tag=self._their_tag)
                return _repeat(message, replace(own.message, header=directed))
            case AwaitingDhKey(commit=own), DhCommit():
                kept = Yielded(own, now + RESUME_AFTER[self._version], now + LIFETIME)
                return self._answer(message, now, kept)

            # The Commit that we answered, once more, or another in its place: the same D-H Key.
            case AwaitingRevealSignature(commit=old), DhCommit() if old == message:
                return _repeat(message, state.reply)
            case AwaitingRevealSignature(yielded=yielded), DhCommit():
                useful = yielded if yielded and now < yielded.expires else None
                replaced = replace(state, commit=message, yielded=useful)
                return self._enter(replaced, now, took=message, reply=state.reply)
            case _, DhCommit():
                return self._answer(message, now, None)

            case AwaitingDhKey(commit=own), DhKey():
                return self._reveal(own, message, now)
            # The same D-H Key again: our Reveal Signature was lost.  Another one is not ours.
            case AwaitingSignature(answer=answer), DhKey() if answer == message:
                return _repeat(message, state.reply)
            # The winner answers our Commit all the same: wait whether it goes on with its own.
            case AwaitingRevealSignature(yielded=Yielded() as yielded), DhKey() if now < yielded.expires:
                return self._hold(state, yielded, message, now)

            case AwaitingRevealSignature(), RevealSignature():
                return self._finish_as_responder(state, message)
            case AwaitingSignature(), Signature():
                return self._finish_as_initiator(state, message)

            case _:
                raise PeerError(Reason.OUT_OF_TURN, NAMES[type(message)])

    def _enter(
        self, state: AuthState, now: float, *, reply: AkeMessage, took: AkeMessage | None = None
    ) -> Outcome:
        """Change the state, as the last thing, and say what happened."""
        outcome = Outcome(replies=(reply.serialise(),), steps=_steps(took, reply))
        self.state = state
        self._touched = now
        self._retried = self._again = False
        return outcome

    def _commit(self) -> OwnCommit:
        keys = DhKeyPair.generate(self._random)
        r = Secret(self._random("r", R_BYTES))
        gx = codec.mpi(keys.public)
        header = Header(self._version, MessageType.DH_COMMIT, self._own_tag, self._their_tag)
        return OwnCommit(keys, r, DhCommit(header, aes_ctr(r, 0, gx), hashlib.sha256(gx).digest()))

    def _answer(self, commit: DhCommit, now: float, yielded: Yielded | None) -> Outcome:
        """Send a D-H Key with a fresh y."""
        keys = DhKeyPair.generate(self._random)
        reply = DhKey(commit.header.reply(MessageType.DH_KEY, self._own_tag), keys.public)
        state = AwaitingRevealSignature(commit, keys, reply, yielded)
        return self._enter(state, now, took=commit, reply=reply)

    def _hold(self, state: AwaitingRevealSignature, yielded: Yielded, answer: DhKey, now: float) -> Outcome:
        """Keep a D-H Key for our yielded Commit; use it once the winner has been silent too long."""
        _check_public(answer.gy, yielded.commit.keys, state.keys)
        if now >= yielded.resume:
            return self._reveal(yielded.commit, answer, now)
        self.state = replace(state, yielded=replace(yielded, answer=answer))
        return NOTHING

    def _reveal(self, commit: OwnCommit, answer: DhKey, now: float) -> Outcome:
        """Send the Reveal Signature that answers a D-H Key."""
        _check_public(answer.gy, commit.keys)
        shared_secret = commit.keys.shared_secret(answer.gy)
        keys = ake_keys(shared_secret)
        encrypted, mac = self._sign(commit.keys.public, answer.gy, keys.m1, keys.c, keys.m2)
        reply = RevealSignature(
            answer.header.reply(MessageType.REVEAL_SIGNATURE, self._own_tag), bytes(commit.r), encrypted, mac
        )
        state = AwaitingSignature(commit, answer, shared_secret, keys, reply)
        return self._enter(state, now, took=answer, reply=reply)

    def _finish_as_responder(self, state: AwaitingRevealSignature, message: RevealSignature) -> Outcome:
        """Open the Commit, check the initiator's signature, and send ours."""
        gx_mpi = aes_ctr(message.r, 0, state.commit.encrypted_gx)
        if not same(hashlib.sha256(gx_mpi).digest(), state.commit.hashed_gx):
            raise PeerError(Reason.UNVERIFIED, "the revealed value is not the committed one")
        reader = Reader(gx_mpi)
        gx = reader.mpi()
        reader.end()
        _check_public(gx, state.keys)
        shared_secret = state.keys.shared_secret(gx)
        keys = ake_keys(shared_secret)
        their_key, their_keyid = _check_signature(message, gx, state.keys.public, keys.m1, keys.c, keys.m2)
        encrypted, mac = self._sign(state.keys.public, gx, keys.m1_prime, keys.c_prime, keys.m2_prime)
        reply = Signature(message.header.reply(MessageType.SIGNATURE, self._own_tag), encrypted, mac)
        ratchet = Ratchet(self._random, state.keys, OUR_KEYID, gx, their_keyid, shared_secret)
        return self._finish(ratchet, keys, their_key, message, reply)

    def _finish_as_initiator(self, state: AwaitingSignature, message: Signature) -> Outcome:
        """Check the responder's signature."""
        ours, gy, keys = state.commit.keys, state.answer.gy, state.keys
        their_key, their_keyid = _check_signature(
            message, gy, ours.public, keys.m1_prime, keys.c_prime, keys.m2_prime
        )
        ratchet = Ratchet(self._random, ours, OUR_KEYID, gy, their_keyid, state.shared_secret)
        return self._finish(ratchet, keys, their_key, message, None)

    def _finish(
        self,
        ratchet: Ratchet,
        keys: AkeKeys,
        their_key: DsaPublicKey,
        took: RevealSignature | Signature,
        reply: Signature | None,
    ) -> Outcome:
        """Hand the channel over and be as new."""
        info = SessionInfo(
            version=took.header.version,
            ssid=keys.ssid,
            initiator=reply is None,
            our_fingerprint=self._identity.fingerprint,
            their_fingerprint=fingerprint(their_key),
            their_instance_tag=took.header.sender_tag,
        )
        outcome = Outcome(
            replies=(reply.serialise(),) if reply else (),
            steps=_steps(took, reply),
            channel=DataChannel(ratchet, info, self._own_tag),
        )
        self.cancel()
        return outcome

    def _sign(self, own: int, theirs: int, m1: Secret, c: Secret, m2: Secret) -> tuple[bytes, bytes]:
        """Return AES_c(public key, key id, signature) and the MAC over it with its length."""
        public = serialise_public_key(self._identity.dsa.public) + codec.integer(OUR_KEYID)
        m = mac_sha256(m1, codec.mpi(own) + codec.mpi(theirs) + public)
        encrypted = aes_ctr(c, 0, public + self._identity.dsa.sign(m))
        return encrypted, mac_sha256_160(m2, codec.data(encrypted))


def _check_signature(
    message: RevealSignature | Signature, theirs: int, own: int, m1: Secret, c: Secret, m2: Secret
) -> tuple[DsaPublicKey, int]:
    """Return the signer's public key and key id; PeerError if MAC, format or signature is bad.

    The signer's D-H value comes first in what is signed.  The MAC is checked before
    anything is decrypted.
    """
    if not same(mac_sha256_160(m2, codec.data(message.encrypted_signature)), message.mac):
        raise PeerError(Reason.UNVERIFIED, "wrong MAC over the signature")
    content = aes_ctr(c, 0, message.encrypted_signature)
    reader = Reader(content)
    key = read_public_key(reader)
    keyid = reader.integer()
    signature = reader.take(SIGNATURE_BYTES)
    reader.end()
    if keyid == 0:
        raise MalformedMessage("key id 0")
    # Signed is what came, never what would be written for it.
    m = mac_sha256(m1, codec.mpi(theirs) + codec.mpi(own) + content[:-SIGNATURE_BYTES])
    if not verify(key, m, signature):
        raise PeerError(Reason.UNVERIFIED, "wrong signature")
    return key, keyid


def _check_public(value: int, *ours: DhKeyPair) -> None:
    """Refuse a D-H value outside the group's range, and any of our own that comes back."""
    if not is_public(value):
        raise PeerError(Reason.UNVERIFIED, "an illegal D-H value")
    if any(value == keys.public for keys in ours):
        raise PeerError(Reason.REFLECTED)


def _repeat(took: AkeMessage, reply: AkeMessage) -> Outcome:
    """Say again what was said: no progress, or replaying old messages would keep an exchange alive."""
    return Outcome(replies=(reply.serialise(),), steps=_steps(took, reply))


def _steps(took: AkeMessage | None, reply: AkeMessage | None) -> tuple[HandshakeStep, ...]:
    received = (HandshakeStep(NAMES[type(took)], sent=False),) if took else ()
    sent = (HandshakeStep(NAMES[type(reply)], sent=True),) if reply else ()
    return received + sent
