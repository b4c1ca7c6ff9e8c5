"""Client profiles: ours is made and renewed, the peer's is validated (v4, "Client Profile").

Ours says "4" alone and carries no transitional signature, which anybody can forge who knows
the public values in it; a peer's may carry one, to which nothing is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..crypto.ed448 import Point, verify
from ..errors import MalformedMessage, PeerError, Reason
from ..identity import Identity
from ..model import Fingerprint
from ..wire.codec import Reader
from ..wire.keys import fingerprint_4
from ..wire.profile import ClientProfile

_DAY = 24 * 60 * 60

LIFETIME = 7 * _DAY
"""Seconds that a profile of ours is valid, as the specification recommends."""

RENEWED_BEFORE = _DAY
"""Seconds before its end at which a profile is replaced, so that no peer's clock finds it expired."""

LONGEST_LIFETIME = 366 * _DAY
"""Seconds ahead that a peer's profile may end: a key that was lost must not speak for its owner for ever."""

_VERSIONS = "4"


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose profile it is: the long-term key H, the forging key F, and their fingerprint."""

    public_key: Point
    forging_key: Point
    fingerprint: Fingerprint


def make(identity: Identity, own_tag: int, now: float) -> ClientProfile:
    """Make and sign a profile; `now` in seconds since 1970 (v4, "Creating a Client Profile")."""
    unsigned = ClientProfile(
        owner_tag=own_tag,
        public_key=identity.ed448.public.encoded,
        forging_key=identity.forging_key.encoded,
        versions=_VERSIONS,
        expires=int(now) + LIFETIME,
        dsa_key=None,
        transitional_signature=None,
        signature=b"",
    )
    return replace(unsigned, signature=identity.ed448.sign(unsigned.signed()))


def validate(profile: ClientProfile, sender_tag: int, now: float) -> Claim:
    """Check a peer's profile, in the order of "Validating a Client Profile"; PeerError."""
    if not verify(profile.public_key, profile.signed(), profile.signature):
        raise PeerError(Reason.UNVERIFIED, "wrong signature of a client profile")
    if profile.owner_tag != sender_tag:
        raise PeerError(Reason.UNVERIFIED, "the client profile of another instance")
    if not now < profile.expires <= now + LONGEST_LIFETIME:
        raise PeerError(Reason.UNVERIFIED, "a client profile that has expired, or never will")
    if _VERSIONS not in profile.versions or set(profile.versions) & set("12"):
        raise PeerError(Reason.UNVERIFIED, "a client profile of no version 4")
    public_key, forging_key = legal_point(profile.public_key), legal_point(profile.forging_key)
    return Claim(public_key, forging_key, fingerprint_4(profile.public_key, profile.forging_key))


def legal_point(encoded: bytes, reason: Reason = Reason.UNVERIFIED) -> Point:
    """Return a point that a message holds; PeerError, for this reason, if it is not in the group."""
    try:
        return Point.decode(encoded)
    except ValueError as error:
        raise PeerError(reason, "an illegal point") from error


class OwnProfile:
    """The profile of one instance, for the identity that it has; replaced before it expires."""

    __slots__ = ("_good_for", "_own_tag", "_serialised", "_unix_time")

    def __init__(self, own_tag: int, unix_time: Callable[[], float], stored: bytes = b"") -> None:
        """`stored` is what an earlier run has made, if there is one; anything else is replaced."""
        self._own_tag = own_tag
        self._unix_time = unix_time
        self._serialised = stored
        self._good_for: tuple[Fingerprint, int] | None = None
        """Whose the profile is and when it expires, once it was found good."""

    def serialised(self, identity: Identity) -> bytes:
        """Return the bytes of a profile of this identity that has not expired."""
        if self._good_for is None:
            self._good_for = self._examine()
        now = self._unix_time()
        whose, expires = self._good_for or (None, 0)
        if whose != identity.fingerprint_4 or not now + RENEWED_BEFORE < expires <= now + LIFETIME:
            profile = make(identity, self._own_tag, now)
            self._serialised = profile.serialise()
            self._good_for = identity.fingerprint_4, profile.expires
        return self._serialised

    def _examine(self) -> tuple[Fingerprint, int] | None:
        """Return whose profile an earlier run has left, and when it expires; None if it is none of ours."""
        try:
            reader = Reader(self._serialised)
            profile = ClientProfile.read(reader)
            reader.end()
            claim = validate(profile, self._own_tag, self._unix_time())
        except (MalformedMessage, PeerError):
            return None
        return claim.fingerprint, profile.expires
