"""Files that the real programs have written, and what is wrong with files, as tests look at it."""

from __future__ import annotations

from pathlib import Path

from otrcore.crypto.dsa import DsaPrivateKey
from otrcore.store.formats.values import FormatError
from otrcore.wire.keys import fingerprint
from tests.store.sentences import sentence

LIBOTR = Path(__file__).parent / "libotr"
WEECHAT_OTR = Path(__file__).parent / "weechat_otr"

KEYS = (LIBOTR / "otr.private_key").read_bytes()
FINGERPRINTS = (LIBOTR / "otr.fingerprints").read_bytes()
TAGS = (LIBOTR / "otr.instance_tags").read_bytes()
KEY3 = (WEECHAT_OTR / "alice@libera.key3").read_bytes()
FPR = (WEECHAT_OTR / "alice@libera.fpr").read_bytes()

OF_ACCOUNTS = {
    "alice@irc.libera.chat": "1c8cd3cf966bd1ba7aa6efbd747b65d719125fb5",
    "alice@irc.oftc.net": "b4f658a42b56dd712e3b8a5c7dd2fdc0fd191a3b",
    "alice@jabber.example": "72d40c2f1a0471f8b4c8004d42435d9ecaba4f0a",
    "alice@libera": "f0d53c0e2f324db724db4ccaa6b8cc6eae496ff7",
    "alice_@libera": "045239138879cc8d3d2d57b43af88c2012ae9cdc",
    "alice@oftc": "dac9efc78a60193c5d469604f13daf31c51d7aae",
}
"""Their fingerprints, as the programs that made them showed them."""


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by their names."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "README.md"}


def hex_of(key: DsaPrivateKey) -> str:
    """Return the fingerprint of a key, 40 lower-case hex digits."""
    return fingerprint(key.public).digest.hex()


def complaint(error: FormatError) -> str:
    """Return what a FormatError says, having looked at its form."""
    return sentence(error.within("FILE"))
