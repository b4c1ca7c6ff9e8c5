"""Where a server is: HOST:PORT, and whether with TLS. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..lines import printable

PORT = 6667
TLS_PORT = 6697


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server listens. Written HOST:PORT, an IPv6 address in brackets."""

    host: str
    port: int
    tls: bool = False

    @classmethod
    def parse(cls, text: str, tls: bool = False) -> ServerAddress:
        """Read HOST[:PORT]; ValueError, with one sentence for the user, when that is not what `text` is."""
        match = re.fullmatch(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[^\[\]:]+))(?::(?P<port>.*))?", text)
        host = (match["host"] or match["ipv6"]) if match else ""
        if match is None or printable(host) != host or " " in host:
            raise ValueError(
                f"{text!r} is not a server: write HOST or HOST:PORT, an IPv6 address as [::1]:6667."
            )
        digits = match["port"]
        if digits is None:
            return cls(host, TLS_PORT if tls else PORT, tls)
        # isascii: isdigit alone accepts digits of other scripts. The length keeps int() from a huge text.
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 0 < int(digits) < 65536):
            raise ValueError(f"{digits!r} is not a port: write a number from 1 to 65535, or leave it out.")
        return cls(host, int(digits), tls)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
