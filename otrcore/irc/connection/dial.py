"""How a socket to a server comes about: its name found, connected, with TLS, within a time limit.

Every way in which that can fail has its own sentence, because each needs something else from the user. The
socket that comes out never blocks.
"""

from __future__ import annotations

import socket
import ssl
import time

from ...errors import ConnectionFailed
from ..lines import printable
from .address import ServerAddress

TlsContext = ssl.SSLContext
"""Whom to trust on TLS connections, and our certificate."""


def words(error: OSError) -> str:
    """What the system or the TLS library calls this error."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS error").replace("_", " ").lower()
    return error.strerror or type(error).__name__


def open_socket(address: ServerAddress, timeout: float, context: TlsContext | None) -> socket.socket:
    """A connected socket, with TLS if the address says so, that does not block. Raises ConnectionFailed."""
    # Real time, whatever clock the connection has: it is the network that is waited for.
    deadline = time.monotonic() + timeout
    sock = _open_tcp(address, deadline, timeout)
    if address.tls:
        sock = _start_tls(sock, address, deadline, timeout, context or ssl.create_default_context())
    # A time-out that stays on the socket would turn up as an error in the middle of a quiet connection.
    sock.setblocking(False)
    return sock


def _open_tcp(address: ServerAddress, deadline: float, timeout: float) -> socket.socket:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    # UnicodeError: a name that no DNS label can hold, such as one with two dots in a row.
    except (OSError, UnicodeError) as error:
        raise ConnectionFailed(
            f"The name of the server {address} was not found: check its spelling and your network."
        ) from error
    last: OSError = TimeoutError()
    for family, kind, protocol, _, place in found:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # an address family that this machine does not have
            last = error
            continue
        try:
            sock.settimeout(left)
            sock.connect(place)
            # Lines are small and wait for nothing: without this each waits for the acknowledgement of the
            # last.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            last = error
    if isinstance(last, ConnectionRefusedError):
        sentence = f"Nothing accepts connections at {address}: check the port, and that the server runs."
    elif isinstance(last, TimeoutError):
        sentence = f"{address} did not answer within {timeout:g} seconds: check the address, or try later."
    else:
        sentence = f"{address} cannot be reached ({words(last)}): check the address and your network."
    raise ConnectionFailed(sentence) from last


def _start_tls(
    sock: socket.socket, address: ServerAddress, deadline: float, timeout: float, context: TlsContext
) -> ssl.SSLSocket:
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        return context.wrap_socket(sock, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        raise ConnectionFailed(
            f"The TLS certificate of {address} is not trusted ({printable(error.verify_message)}): if "
            "you know that it is the right server, name its certificate in the environment variable "
            "SSL_CERT_FILE."
        ) from error
    except TimeoutError as error:
        raise ConnectionFailed(
            f"{address} did not answer the TLS handshake within {timeout:g} seconds: check that this port "
            "expects TLS."
        ) from error
    except OSError as error:
        raise ConnectionFailed(
            f"{address} refused the TLS handshake ({words(error)}): check that this port expects TLS."
        ) from error
