"""The fields of a message in words, in the order and under the names that libotr's `otr_parse` gives them.

Those of version 4, which libotr does not know, have the specification's names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..wire import messages4
from ..wire.codec import CTR_BYTES, MAC_BYTES, MAC_KEY_BYTES_4
from ..wire.header import VERSION_2, Header
from ..wire.keys import fingerprint_4
from ..wire.messages3 import DataMessage, DhCommit, DhKey, RevealSignature
from ..wire.messages4 import AuthI, AuthR, Identity
from ..wire.profile import ClientProfile
from ..wire.text import ErrorText, Query, Tagged
from .escape import escape
from .search import Damaged, Message

INDENT = " " * 8
"""As wide as the tab that otr_parse prints."""

REVEALED = "Revealed MAC keys"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Value = int | str | list[int] | list[str]


@dataclass(frozen=True, slots=True)
class Field:
    """One value with its label; binary values are in hex."""

    label: str
    value: Value
    digits: int = 1
    """How many digits a number is shown with at least."""

    @property
    def name(self) -> str:
        """The label as the key of a JSON object."""
        return self.label.lower().replace("-", "").replace(" ", "_")

    def lines(self) -> Iterator[str]:
        """Yield the lines to show; a list of keys without any has none."""
        match self.value:
            case int(value):
                yield f"{INDENT}{self.label}: {value:0{self.digits}}"
            case str(value):
                yield f"{INDENT}{self.label}: {escape(value)}"
            case values if self.label == REVEALED:
                if values:
                    yield f"{INDENT}{self.label}:"
                for count, key in enumerate(values, 1):
                    yield f"{INDENT}{INDENT}Key {count}: {key}"
            case values:
                yield f"{INDENT}{self.label}: {', '.join(map(str, values)) or 'none'}"


@dataclass(frozen=True, slots=True)
class Description:
    """What a message is called, and its fields."""

    kind: str
    fields: tuple[Field, ...]

    def extended(self, *fields: Field) -> Description:
        """Return it with more fields at its end."""
        return Description(self.kind, (*self.fields, *fields))

    def lines(self) -> list[str]:
        """Return the lines to show, which a terminal finds nothing to act on in; the last is empty."""
        return [f"{self.kind}:", *(line for field in self.fields for line in field.lines()), ""]

    def json(self) -> dict[str, object]:
        """Return what `json.dumps` takes, with nothing escaped."""
        return {"kind": self.kind, **{field.name: field.value for field in self.fields}}


def describe(content: Message | Query | ErrorText | Tagged | Damaged) -> Description:
    """Return a message in words."""
    match content:
        case Damaged(line, reason):
            return Description("Damaged Message", (Field("Line", line), Field("Reason", reason)))
        case Query(versions):
            return Description("Query Message", (Field("Versions", sorted(versions)),))
        case Tagged(_, versions):
            return Description("Whitespace Tag", (Field("Versions", sorted(versions)),))
        case ErrorText(text, code):
            known = () if code is None else (Field("Code", code),)
            return Description("Error Message", (*known, Field("Text", text)))
        case DhCommit(header, encrypted_gx, hashed_gx):
            values = {"Encrypted Key": encrypted_gx, "Hashed Key": hashed_gx}
            return _of_key_exchange("D-H Commit Message", header, values)
        case DhKey(header, gy):
            return _of_key_exchange("D-H Key Message", header, {"D-H Key": digits(gy)})
        case RevealSignature(header, r, encrypted_signature, mac):
            values = {"Key": r, "Encrypted Signature": encrypted_signature, "MAC": mac}
            return _of_key_exchange("Reveal Signature Message", header, values)
        case DataMessage():
            return Description("Data Message", _of_data(content))
        case messages4.DataMessage():
            return Description("Data Message", _of_data_4(content))
        case Identity(header, profile, y, b, first_ecdh, first_dh):
            values = {"Y": y, "B": digits(b), "First ECDH key": first_ecdh, "First D-H key": digits(first_dh)}
            return _of_key_exchange("Identity Message", header, values, _of_profile(profile))
        case AuthR(header, profile, x, a, sigma, first_ecdh, first_dh):
            values = {"X": x, "A": digits(a), "Sigma": sigma}
            values |= {"First ECDH key": first_ecdh, "First D-H key": digits(first_dh)}
            return _of_key_exchange("Auth-R Message", header, values, _of_profile(profile))
        case AuthI(header, sigma):
            return _of_key_exchange("Auth-I Message", header, {"Sigma": sigma})
        case _:
            values = {"Encrypted Signature": content.encrypted_signature, "MAC": content.mac}
            return _of_key_exchange("Signature Message", content.header, values)


def digits(value: int) -> bytes:
    """Return the bytes of a number, without zeros in front."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _of_key_exchange(
    kind: str, header: Header, values: dict[str, bytes], profile: tuple[Field, ...] = ()
) -> Description:
    fields = (Field(label, value.hex()) for label, value in values.items())
    return Description(kind, (_version(header), *_instances(header), *profile, *fields))


def _of_profile(profile: ClientProfile) -> tuple[Field, ...]:
    """Return what an instance says of itself; nothing of it is verified here."""
    optional = {"DSA key": profile.dsa_key, "Transitional signature": profile.transitional_signature}
    return (
        Field("Profile of instance", profile.owner_tag),
        Field("Profile fingerprint", fingerprint_4(profile.public_key, profile.forging_key).digest.hex()),
        Field("Public key", profile.public_key.hex()),
        Field("Forging key", profile.forging_key.hex()),
        Field("Profile versions", profile.versions),
        Field("Profile expires", _date(profile.expires)),
        *(Field(label, value.hex()) for label, value in optional.items() if value is not None),
        Field("Profile signature", profile.signature.hex()),
    )


def _date(seconds: int) -> str:
    """Return a time since 1970 in UTC, or its seconds where no calendar goes that far."""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return str(seconds)


def _of_data(message: DataMessage) -> tuple[Field, ...]:
    return (
        _version(message.header),
        Field("Flags", message.flags),
        *_instances(message.header),
        Field("Sender keyid", message.sender_keyid),
        Field("Rcpt keyid", message.recipient_keyid),
        Field("DH y", digits(message.next_dh).hex()),
        Field("Counter", message.counter.to_bytes(CTR_BYTES, "big").hex()),
        Field("Encrypted message", message.encrypted.hex()),
        Field("MAC", message.mac.hex()),
        Field(REVEALED, _pieces(message.old_mac_keys, MAC_BYTES)),
    )


def _of_data_4(message: messages4.DataMessage) -> tuple[Field, ...]:
    return (
        _version(message.header),
        Field("Flags", message.flags),
        *_instances(message.header),
        Field("Previous chain", message.previous_count),
        Field("Ratchet id", message.ratchet_id),
        Field("Message id", message.message_id),
        Field("ECDH key", message.ecdh.hex()),
        Field("D-H key", digits(message.dh or 0).hex()),
        Field("Encrypted message", message.encrypted.hex()),
        Field("MAC", message.mac.hex()),
        Field(REVEALED, _pieces(message.old_mac_keys, MAC_KEY_BYTES_4)),
    )


def _pieces(content: bytes, size: int) -> list[str]:
    return [content[at : at + size].hex() for at in range(0, len(content), size)]


def _version(header: Header) -> Field:
    return Field("Version", header.version, digits=2)


def _instances(header: Header) -> tuple[Field, ...]:
    if header.version == VERSION_2:
        return ()
    return Field("Sender instance", header.sender_tag), Field("Receiver instance", header.receiver_tag)
