"""HOST:PORT, and what is no such thing."""

from __future__ import annotations

import pytest

from otrcore.irc.connection.address import ServerAddress


@pytest.mark.parametrize(
    ("text", "tls", "host", "port"),
    [
        ("irc.example", False, "irc.example", 6667),
        ("irc.example", True, "irc.example", 6697),
        ("irc.example:7000", True, "irc.example", 7000),
        ("127.0.0.1:1", False, "127.0.0.1", 1),
        ("[::1]", False, "::1", 6667),
        ("[::1]:65535", True, "::1", 65535),
    ],
)
def test_what_is_a_server_address(text: str, tls: bool, host: str, port: int) -> None:
    address = ServerAddress.parse(text, tls)
    assert address == ServerAddress(host, port, tls)
    assert ServerAddress.parse(str(address), tls) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", ":6667", "::1", "::1:6667", "[::1", "[]", "[]:6667", "a b", "a\nb", "a\0b", "\x1b[2J"),
        *("host:", "host:x", "host:0", "host:65536", "host:-1", "host:1:2", "host:٦", "host: 1"),
        "host:" + "9" * 5000,
    ],
)
def test_what_is_no_server_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.+\.$") as caught:
        ServerAddress.parse(text)
    assert str(caught.value).isprintable()
