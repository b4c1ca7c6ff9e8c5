"""A long-term identity: what peers verify."""

from __future__ import annotations

from dataclasses import dataclass, field

from .crypto.dsa import DsaPrivateKey
from .crypto.ed448 import Point, SigningKey
from .model import Fingerprint
from .wire.header import VERSION_4
from .wire.keys import fingerprint, fingerprint_4


def new_forging_key() -> Point:
    """Return a forging key whose secret half is forgotten at once.

    Nobody can see that: whoever is shown a conversation of ours cannot exclude that we kept it, and
    forged the conversation by it (v4, "Forger Keys").
    """
    return SigningKey.generate().public


@dataclass(frozen=True, slots=True)
class Identity:
    """The signing keys of versions 2 and 3 and of version 4, and their fingerprints.

    What was an identity before version 4 gets keys for it by leaving them out here.
    """

    dsa: DsaPrivateKey
    ed448: SigningKey = field(default_factory=SigningKey.generate)
    forging_key: Point = field(default_factory=new_forging_key)
    fingerprint: Fingerprint = field(init=False)
    """Of the key for versions 2 and 3."""
    fingerprint_4: Fingerprint = field(init=False)
    """Of the keys for version 4."""

    def __post_init__(self) -> None:
        """Work both fingerprints out, once: every key exchange asks for one."""
        object.__setattr__(self, "fingerprint", fingerprint(self.dsa.public))
        of_4 = fingerprint_4(self.ed448.public.encoded, self.forging_key.encoded)
        object.__setattr__(self, "fingerprint_4", of_4)

    @classmethod
    def generate(cls) -> Identity:
        """Make a new one; takes 20 to 200 ms."""
        return cls(DsaPrivateKey.generate())

    def fingerprint_in(self, version: int) -> Fingerprint:
        """Return the fingerprint that a peer sees in a conversation of this version."""
        return self.fingerprint if version < VERSION_4 else self.fingerprint_4
