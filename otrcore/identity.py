"""A long-term identity: what peers verify."""

from __future__ import annotations

from dataclasses import dataclass, field

from .crypto.dsa import DsaPrivateKey
from .model import Fingerprint
from .wire.keys import fingerprint


@dataclass(frozen=True, slots=True)
class Identity:
    """The signing key of versions 2 and 3, and its fingerprint."""

    dsa: DsaPrivateKey
    fingerprint: Fingerprint = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", fingerprint(self.dsa.public))

    @classmethod
    def generate(cls) -> Identity:
        """Make a new one; takes 20 to 200 ms."""
        return cls(DsaPrivateKey.generate())
