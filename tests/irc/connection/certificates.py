"""Certificates of our own, for servers and clients on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from otrcore.irc.connection.options import Login


def make_certificate(path: Path, passphrase: bytes = b"") -> Path:
    """Write a self-signed certificate for 127.0.0.1 and ::1, with its key, as PEM."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "irc.test")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def fingerprint(path: Path) -> str:
    """Return the SHA-1 of a certificate, as services keep it: 40 lower-case hex digits."""
    pem = path.read_bytes()
    return (
        x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT") :]).fingerprint(hashes.SHA1()).hex()
    )


def trusting(certificate: Path) -> Callable[[], Login]:
    """Return what makes a connection trust this certificate."""
    return lambda: Login(tls_context=ssl.create_default_context(cafile=certificate))
