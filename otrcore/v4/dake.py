"""The interactive deniable key exchange (v4, "Interactive Deniable Authenticated Key Exchange (DAKE)").

    initiator (Bob)                  responder (Alice)
        Identity              ->                      profile, Y, B, first ratchet keys
                              <-     Auth-R           profile, X, A, ring signature, first ratchet keys
        Auth-I                ->                      ring signature

The ring signatures hide who has signed: the responder's is by {F_b, H_a, Y}, the
initiator's by {H_b, F_a, X}.  Both cover profiles, ephemeral keys and the shared session
state phi: instance tags, first ratchet keys, and the names of both in the chat network.

One frozen value per state owns what that state knows; what does not verify changes
nothing.  An exchange is with one instance of the peer; the Identity message that goes to
all of them is an exchange of its own, of which whoever answers gets a `fork`.

Loss.  An exchange without progress is helped on by saying the same again, byte for byte:
other clients answer a fresh Identity message by fresh keys, which makes an answer that is
on its way worthless.  Who has sent Auth-I is done, and lingers for a while, as only a
repeated Auth-R tells that it was lost.  Who has repeated the Identity message lingers with its secrets, and
takes an Auth-R with other keys too: it is the last one that such a client waits with.  All this ends once the
peer has spoken in the session.

Replays.  A session that was opened a second time would read old messages again, and believe in MAC keys that
are public by then.  So no ephemeral key of the peer is finished with twice, however its message is written:
an Auth-R with X or A of an earlier one is refused, and so is an Identity message that has led to a session.

Crossing starts.  The higher hash of B wins.  The winner ignores the other's Identity
message, and does not repeat its own, which would only do harm (above).  The loser answers,
and keeps its own Identity message as *yielded*: other clients do not insist on theirs, and
answer, too, after which both would wait for ever.  An Auth-R that comes for a yielded
Identity message makes us the initiator after all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain

from ..crypto import ring
from ..crypto.dh3072 import BraceKeyPair, is_member
from ..crypto.ed448 import KeyPair, Point
from ..crypto.secret import Secret
from ..crypto.shake import kdf, shake256
from ..errors import MalformedMessage, PeerError, Reason
from ..events import HandshakeEnd, HandshakeStep
from ..identity import Identity as LongTermIdentity
from ..model import SessionInfo
from ..protocols import NOTHING, Outcome, Party
from ..wire import codec
from ..wire.codec import Reader
from ..wire.header import ANY_INSTANCE, VERSION_4, Header, MessageType
from ..wire.messages4 import AuthI, AuthR, DakeMessage, DataMessage, Identity, parse
from ..wire.profile import ClientProfile
from .channel import DataChannel
from .kdf import KEY_BYTES, Usage, first_root_key, mixed_shared_secret, session_id, third_brace_key
from .profile import Claim, legal_point, validate
from .ratchet import Ratchet

LIFETIME = 90.0
"""Seconds after which an exchange without progress is given up and its secrets are wiped.  The Identity
message takes 6 lines and Auth-R 7, which a client that paces its lines, as IRC servers want it, sends in
10 to 20 seconds each."""

INITIATOR_RETRIES = 45.0
RESPONDER_RETRIES = 60.0
"""Seconds without progress after which either side helps on; not the same, lest both do at once."""

REPEAT_PAUSE = 10.0
"""Seconds in which the same is not said again, and a third Identity message of the instance is not answered:
whoever repeats what it has recorded must not make us send 7 lines each time."""

MOST_REPEATS = 2
"""Times that the same is said again because of what comes, beside the once by the clock: whoever asks or
replays for ever must not get lines for ever, nor use up what may be answered to the peer."""

NAMES: dict[type[DakeMessage], str] = {Identity: "Identity", AuthR: "Auth-R", AuthI: "Auth-I"}

_HASHED_B_BYTES = 32


@dataclass(frozen=True, slots=True)
class FirstKeys:
    """The first keys of the double ratchet on our side."""

    ecdh: KeyPair
    dh: BraceKeyPair


@dataclass(frozen=True, slots=True)
class TheirFirstKeys:
    """The first keys of the double ratchet on the peer's side, validated."""

    ecdh: Point
    dh: int


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """Our Identity message with its secrets, who sent it, and the names of both at that time."""

    y: KeyPair
    b: BraceKeyPair
    first: FirstKeys
    signer: LongTermIdentity
    names: tuple[str, str]
    message: Identity

    @property
    def rank(self) -> bytes:
        """What decides a crossing."""
        return _rank(self.b.public)


@dataclass(frozen=True, slots=True)
class Yielded:
    """Our Identity message that lost against the peer's, and until when an answer to it counts."""

    own: OwnIdentity
    expires: float


@dataclass(frozen=True, slots=True)
class Start:
    """START: no exchange is under way."""


@dataclass(frozen=True, slots=True)
class WaitingAuthR:
    """WAITING_AUTH_R: our Identity message is out, so many times."""

    own: OwnIdentity
    times: int = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """An Identity message that `signer` has answered by `reply`; x and a are forgotten already."""

    identity: Identity
    signer: LongTermIdentity
    claim: Claim
    x: Point
    k: Secret
    first: FirstKeys
    their_first: TheirFirstKeys
    t: bytes = field(repr=False)
    """What the peer's ring signature must cover."""
    reply: AuthR
    since: float
    said: float
    """When `reply` went out first, and last."""
    repeats: int = 0
    """Times that the same Identity message was answered again."""


@dataclass(frozen=True, slots=True)
class WaitingAuthI:
    """WAITING_AUTH_I: the peer may sign for the last Identity message that we have answered, or `earlier`.

    Anybody can replay an Identity message, or make one up around a profile that was seen: one must
    not push out what the peer itself is about to sign.
    """

    latest: Answered
    earlier: Answered | None = None
    yielded: Yielded | None = None

    @property
    def answered(self) -> tuple[Answered, ...]:
        """All of them, the last one first."""
        return (self.latest,) if self.earlier is None else (self.latest, self.earlier)


@dataclass(frozen=True, slots=True)
class Lingering:
    """Our Identity message after the end, if it went out more than once.

    Another client has made fresh keys for each then, and waits for an Auth-I to its last Auth-R,
    which may come only now.  So many more answers count, and none with a key of those that we have `taken`.
    """

    own: OwnIdentity
    more: int
    taken: frozenset[int | bytes]


@dataclass(frozen=True, slots=True)
class Done:
    """We have sent Auth-I, and the session runs; the same Auth-R gets the same answer again."""

    answer: AuthR
    reply: AuthI
    lingering: Lingering | None = None


DakeState = Start | WaitingAuthR | WaitingAuthI | Done
_START = Start()


class Dake:
    """The exchange with one instance of a peer, from any start to a channel; then ready for the next."""

    __slots__ = ("_party", "_retried", "_said", "_their_tag", "_touched", "state")

    def __init__(self, party: Party, their_tag: int = ANY_INSTANCE) -> None:
        """Begin in the state START; `their_tag` is 0 for a start with all instances of the peer."""
        self._party = party
        self._their_tag = their_tag
        self._touched = 0.0
        self._said = 0.0
        """When we last sent what the state waits for an answer to."""
        self._retried = False
        self.state: DakeState = _START

    @property
    def running(self) -> bool:
        """Whether an answer is waited for."""
        return isinstance(self.state, WaitingAuthR | WaitingAuthI)

    @property
    def lingers(self) -> bool:
        """Whether it is running, or may have to repeat its last message."""
        return not isinstance(self.state, Start)

    @property
    def answered(self) -> float | None:
        """When the peer last took part in the exchange that is under way; None if it has not yet."""
        return self._touched if isinstance(self.state, WaitingAuthI) else None

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, None if never."""
        match self.state:
            case Start():
                return None
            case WaitingAuthR() if not self._retried:
                return max(self._touched + INITIATOR_RETRIES, self._said + REPEAT_PAUSE)
            case WaitingAuthI(latest=latest, earlier=earlier):
                next_step = latest.since + (LIFETIME if self._retried else RESPONDER_RETRIES)
                return next_step if earlier is None else min(next_step, earlier.since + LIFETIME)
            case _:
                return self._touched + LIFETIME

    @property
    def sent(self) -> frozenset[int | bytes]:
        """The public keys that we have sent and can still use."""
        match self.state:
            case WaitingAuthR(own=own):
                return _public_keys(own.message)
            case WaitingAuthI(yielded=yielded) as state:
                replies = [_public_keys(answered.reply) for answered in state.answered]
                own_keys = _public_keys(yielded.own.message) if yielded else frozenset[int | bytes]()
                return own_keys.union(*replies)
            case Done(lingering=Lingering(own=own)):
                return _public_keys(own.message)
            case _:
                return frozenset()

    def fork(self, their_tag: int) -> Dake:
        """Return an exchange in the same state with one instance, which has answered a start with all."""
        forked = Dake(self._party, their_tag)
        forked.state, forked._touched, forked._said = self.state, self._touched, self._said
        forked._retried = self._retried
        return forked

    def cancel(self) -> None:
        """Back to START, without a word to the peer."""
        self.state = _START

    def start(self, now: float) -> Outcome:
        """Send an Identity message; while one is unanswered, the same again, but not at once or for ever."""
        match self.state:
            case WaitingAuthR(own=own, times=times) if now < self._touched + LIFETIME:
                if now < self._said + REPEAT_PAUSE or times > MOST_REPEATS:
                    return NOTHING
                return self._say_again(WaitingAuthR(own, times + 1), own.message, now)
            case _:
                own = self._identity()
                return self._enter(WaitingAuthR(own), now, reply=own.message)

    def tick(self, now: float) -> Outcome:
        """Help on what has made no progress, and give it up at the end of its LIFETIME."""
        match self.state:
            case WaitingAuthI(earlier=Answered(since=since)) as state if now >= since + LIFETIME:
                self.state = replace(state, earlier=None)
        deadline = self.deadline
        if deadline is None or now < deadline:
            return NOTHING
        match self.state:
            case WaitingAuthR(own=own, times=times) if now < self._touched + LIFETIME:
                self._retried = True
                return self._say_again(WaitingAuthR(own, times + 1), own.message, now)
            case WaitingAuthI(latest=latest) as state if now < latest.since + LIFETIME:
                self._retried = True
                if not self._party.may_answer(now):
                    return NOTHING
                latest = replace(latest, said=now)
                return self._say_again(replace(state, latest=latest), latest.reply, now)
        ended = {WaitingAuthR: HandshakeEnd.NO_ANSWER, WaitingAuthI: HandshakeEnd.INCOMPLETE}
        failed = ended.get(type(self.state))
        self.cancel()
        return Outcome(failed=failed)

    def receive(
        self, raw: bytes, header: Header, now: float, elsewhere: frozenset[int | bytes] = frozenset()
    ) -> Outcome:
        """Take a message by the state machine of the specification; PeerError, and the state is unchanged."""
        message = parse(raw, header)
        state = self.state
        match state, message:
            case _, DataMessage():
                raise MalformedMessage("not a message of the key exchange")

            # What we have sent ourselves, in this exchange or in another one.
            case _, Identity() | AuthR() if _public_keys(message) & (elsewhere | self.sent):
                raise PeerError(Reason.REFLECTED)
            case _, Identity() if self._party.is_spent(message.y):
                raise PeerError(Reason.REPLAYED)

            # Both have sent an Identity message: the higher hash, as a big-endian number, wins.
            case WaitingAuthR(own=own), Identity() if own.rank > _rank(message.b):
                self._validate(message)
                return Outcome(steps=_steps(message, None))
            case WaitingAuthR(own=own), Identity():
                return self._answer(message, now, Yielded(own, now + LIFETIME))

            case WaitingAuthI(), Identity():
                return self._answer_besides(state, message, now)
            case _, Identity():
                return self._answer(message, now)

            case WaitingAuthR(own=own, times=times), AuthR():
                return self._finish_as_initiator(own, message, now, more=times - 1)
            # The winner answers our Identity message all the same: it does not insist on its own.
            case WaitingAuthI(yielded=Yielded(own, expires)), AuthR() if now < expires:
                return self._finish_as_initiator(own, message, now, more=0)
            # Our Auth-I was lost.
            case Done(answer=answer, reply=reply), AuthR() if answer == message:
                if now < self._said + REPEAT_PAUSE:
                    raise PeerError(Reason.REPLAYED)
                return self._say_again(state, reply, now, took=message)
            # One that has led to a session already: the current one, written otherwise, or an older one.
            case Done(lingering=Lingering(taken=taken)), AuthR() if taken & {message.x, message.a}:
                raise PeerError(Reason.REPLAYED)
            # It has answered our Identity message each time that it came.
            case Done(lingering=Lingering() as lingering), AuthR():
                return self._finish_once_more(lingering, message, now)

            case WaitingAuthI(), AuthI():
                return self._finish_as_responder(state, message, now)

            case _:
                raise PeerError(Reason.OUT_OF_TURN, NAMES[type(message)])

    def _enter(
        self, state: DakeState, now: float, *, reply: DakeMessage, took: DakeMessage | None = None
    ) -> Outcome:
        """Change the state, as the last thing, and say what happened."""
        outcome = Outcome(replies=(reply.serialise(),), steps=_steps(took, reply))
        self.state = state
        self._touched = self._said = now
        self._retried = False
        return outcome

    def _say_again(
        self, state: DakeState, reply: DakeMessage, now: float, took: DakeMessage | None = None
    ) -> Outcome:
        """Say again what was said: no progress, or replaying old messages would keep an exchange alive."""
        outcome = Outcome(replies=(reply.serialise(),), steps=_steps(took, reply))
        self.state = state
        self._said = now
        return outcome

    def _require_ration(self, now: float) -> None:
        """Let no more Auth-R go out than all instances together may have, as their tags can be made up."""
        if not self._party.may_answer(now):
            raise PeerError(Reason.TOO_MANY)

    def _header(self, message_type: int) -> Header:
        return Header(VERSION_4, message_type, self._party.own_tag, self._their_tag)

    def _profile(self) -> ClientProfile:
        return ClientProfile.read(Reader(self._party.client_profile()))

    def _identity(self) -> OwnIdentity:
        """Make an Identity message (v4, "Identity Message"); who we are and both names are frozen by it."""
        y, b, first = self._ephemeral_keys()
        message = Identity(
            self._header(MessageType.IDENTITY),
            self._profile(),
            y.public.encoded,
            b.public,
            first.ecdh.public.encoded,
            first.dh.public,
        )
        return OwnIdentity(y, b, first, self._party.identity, self._party.names, message)

    def _ephemeral_keys(self) -> tuple[KeyPair, BraceKeyPair, FirstKeys]:
        random = self._party.random
        keys, brace = KeyPair.generate(random), BraceKeyPair.generate(random)
        return keys, brace, FirstKeys(KeyPair.generate(random), BraceKeyPair.generate(random))

    def _validate(self, message: Identity | AuthR) -> tuple[Claim, Point, int, TheirFirstKeys]:
        """Return whose message it is, its ephemeral keys and its first keys; PeerError."""
        claim = validate(message.profile, message.header.sender_tag, self._party.unix_time())
        ecdh, dh = (message.y, message.b) if isinstance(message, Identity) else (message.x, message.a)
        key = legal_point(ecdh)
        first = TheirFirstKeys(legal_point(message.first_ecdh), message.first_dh)
        if not is_member(dh) or not is_member(first.dh):
            raise PeerError(Reason.UNVERIFIED, "an illegal D-H value")
        return claim, key, dh, first

    def _answer_besides(self, state: WaitingAuthI, message: Identity, now: float) -> Outcome:
        """Answer one of those that were answered by the same Auth-R, another one if there is room for it."""
        for answered in state.answered:
            if answered.identity == message:
                return self._answer_again(state, answered, now)
        # The oldest of three gives way, and not before its Auth-I had time to come.
        if state.earlier is not None and now < state.latest.since + REPEAT_PAUSE:
            raise PeerError(Reason.TOO_MANY)
        return self._answer(message, now, state.yielded, earlier=state.latest)

    def _answer_again(self, state: WaitingAuthI, answered: Answered, now: float) -> Outcome:
        if now < answered.said + REPEAT_PAUSE or answered.repeats >= MOST_REPEATS:
            raise PeerError(Reason.REPLAYED)
        self._require_ration(now)
        again = replace(answered, said=now, repeats=answered.repeats + 1)
        latest = answered is state.latest
        state = replace(state, latest=again) if latest else replace(state, earlier=again)
        return self._say_again(state, answered.reply, now, took=answered.identity)

    def _answer(
        self,
        message: Identity,
        now: float,
        yielded: Yielded | None = None,
        *,
        earlier: Answered | None = None,
    ) -> Outcome:
        """Send Auth-R with fresh keys (v4, "Auth-R Message"); who we are and both names are frozen by it."""
        claim, y, b, their_first = self._validate(message)
        signer, names = self._party.identity, self._party.names
        members = _ring(claim.forging_key, signer.ed448.public, y)
        self._require_ration(now)
        x, a, first = self._ephemeral_keys()
        k = mixed_shared_secret(x.shared_secret(y), third_brace_key(a.shared_secret(b)))
        reply = AuthR(
            message.header.reply(MessageType.AUTH_R, self._party.own_tag),
            self._profile(),
            x.public.encoded,
            a.public,
            b"",
            first.ecdh.public.encoded,
            first.dh.public,
        )
        t = _auth_r_context(message, reply, names)
        reply = replace(reply, sigma=ring.sign(self._party.random, signer.ed448.pair, members, t))
        expected = _auth_i_context(message, reply, names[::-1])
        latest = Answered(
            message, signer, claim, x.public, k, first, their_first, expected, reply, since=now, said=now
        )
        return self._enter(WaitingAuthI(latest, earlier, yielded), now, took=message, reply=reply)

    def _finish_once_more(self, lingering: Lingering, message: AuthR, now: float) -> Outcome:
        """Go on by another Auth-R for the same Identity message, whose secrets live no longer for it."""
        since, own, taken = self._touched, lingering.own, lingering.taken
        outcome = self._finish_as_initiator(own, message, now, more=lingering.more - 1, taken=taken)
        self._touched = since
        return outcome

    def _finish_as_initiator(
        self,
        own: OwnIdentity,
        message: AuthR,
        now: float,
        *,
        more: int,
        taken: frozenset[int | bytes] = frozenset(),
    ) -> Outcome:
        """Check the responder's signature, and send ours (v4, "Auth-I Message").

        So many `more` answers may count; those with the keys in `taken` have.
        """
        claim, x, a, their_first = self._validate(message)
        signer = own.signer
        # The Identity message may have been for any instance; the answer is by one.
        t = _auth_r_context(own.message, message, own.names[::-1])
        members = _ring(signer.forging_key, claim.public_key, own.y.public)
        if not ring.verify(members, t, message.sigma):
            raise PeerError(Reason.UNVERIFIED, "wrong ring signature")
        k = mixed_shared_secret(own.y.shared_secret(x), third_brace_key(own.b.shared_secret(a)))
        sigma = ring.sign(
            self._party.random,
            signer.ed448.pair,
            _ring(signer.ed448.public, claim.forging_key, x),
            _auth_i_context(own.message, message, own.names),
        )
        reply = AuthI(message.header.reply(MessageType.AUTH_I, self._party.own_tag), sigma)
        info = self._info(k, signer, claim, message.header, initiator=True)
        channel = self._channel(info, k, own.first, their_first)
        lingering = Lingering(own, more, taken | {message.x, message.a}) if more else None
        outcome = self._enter(Done(message, reply, lingering), now, took=message, reply=reply)
        return replace(outcome, channel=channel)

    def _finish_as_responder(self, state: WaitingAuthI, message: AuthI, now: float) -> Outcome:
        """Check the initiator's signature, which is for one of those that we have answered."""
        for answered in state.answered:
            members = _ring(answered.claim.public_key, answered.signer.forging_key, answered.x)
            if now < answered.since + LIFETIME and ring.verify(members, answered.t, message.sigma):
                break
        else:
            raise PeerError(Reason.UNVERIFIED, "wrong ring signature")
        info = self._info(answered.k, answered.signer, answered.claim, message.header, initiator=False)
        channel = self._channel(info, answered.k, answered.first, answered.their_first)
        self._party.spend(answered.identity.y)
        self.cancel()
        return Outcome(steps=_steps(message, None), channel=channel)

    def _info(
        self, k: Secret, signer: LongTermIdentity, claim: Claim, header: Header, *, initiator: bool
    ) -> SessionInfo:
        return SessionInfo(
            version=VERSION_4,
            ssid=session_id(k),
            initiator=initiator,
            our_fingerprint=signer.fingerprint_4,
            their_fingerprint=claim.fingerprint,
            their_instance_tag=header.sender_tag,
        )

    def _channel(self, info: SessionInfo, k: Secret, first: FirstKeys, theirs: TheirFirstKeys) -> DataChannel:
        ratchet = Ratchet(
            self._party.random,
            first_root_key(k),
            first.ecdh,
            first.dh,
            theirs.ecdh,
            theirs.dh,
            receives=info.initiator,
        )
        return DataChannel(ratchet, info, self._party.own_tag)


def _ring(*members: Point) -> ring.Ring:
    """Return the keys of a ring; PeerError if two are the same, which would show who has signed."""
    first, second, third = members
    if len(set(members)) < len(members):
        raise PeerError(Reason.UNVERIFIED, "a ring of equal keys")
    return first, second, third


def _rank(b: int) -> bytes:
    """Return the hash that decides a crossing: 32 bytes, compared as a big-endian number."""
    return shake256(codec.mpi(b), _HASHED_B_BYTES)


def _public_keys(message: Identity | AuthR) -> frozenset[int | bytes]:
    own = (message.y, message.b) if isinstance(message, Identity) else (message.x, message.a)
    return frozenset((*own, message.first_ecdh, message.first_dh))


def _phi(sender: Identity | AuthR, receiver: Identity | AuthR, names: tuple[str, str]) -> bytes:
    """Return the shared session state, the sender's part first (v4, "Shared Session State").

    The names are those of the sender and of the receiver in the chat network.  `sender` is who
    signs: the Auth-R when that is sent, the Identity when the Auth-I is.
    """
    tags = codec.integer(sender.profile.owner_tag) + codec.integer(receiver.profile.owner_tag)
    keys = ((side.first_ecdh, codec.mpi(side.first_dh)) for side in (sender, receiver))
    texts = (codec.data(_name_bytes(name)) for name in names)
    return b"".join((tags, *chain.from_iterable(keys), *texts))


def _name_bytes(name: str) -> bytes:
    """Return a name in UTF-8, with bytes that are none as they came; some bytes for any string at all."""
    try:
        return name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return name.encode(errors="surrogatepass")


def _auth_r_context(identity: Identity, auth_r: AuthR, names: tuple[str, str]) -> bytes:
    """Return t of the Auth-R message; `names` are its sender's and its receiver's."""
    usages = (Usage.AUTH_R_BOB_CLIENT_PROFILE, Usage.AUTH_R_ALICE_CLIENT_PROFILE, Usage.AUTH_R_PHI)
    return b"\x00" + _context(identity, auth_r, usages, _phi(auth_r, identity, names))


def _auth_i_context(identity: Identity, auth_r: AuthR, names: tuple[str, str]) -> bytes:
    """Return t of the Auth-I message; `names` are its sender's and its receiver's."""
    usages = (Usage.AUTH_I_BOB_CLIENT_PROFILE, Usage.AUTH_I_ALICE_CLIENT_PROFILE, Usage.AUTH_I_PHI)
    return b"\x01" + _context(identity, auth_r, usages, _phi(identity, auth_r, names))


def _context(identity: Identity, auth_r: AuthR, usages: tuple[int, int, int], phi: bytes) -> bytes:
    bob, alice, state = usages
    return b"".join(
        (
            kdf(bob, identity.profile.serialise(), size=KEY_BYTES),
            kdf(alice, auth_r.profile.serialise(), size=KEY_BYTES),
            identity.y,
            auth_r.x,
            codec.mpi(identity.b),
            codec.mpi(auth_r.a),
            kdf(state, phi, size=KEY_BYTES),
        )
    )


def _steps(took: DakeMessage | None, reply: DakeMessage | None) -> tuple[HandshakeStep, ...]:
    received = (HandshakeStep(NAMES[type(took)], sent=False),) if took else ()
    sent = (HandshakeStep(NAMES[type(reply)], sent=True),) if reply else ()
    return received + sent
