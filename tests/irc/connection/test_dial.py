"""Reaching a server, with TLS or without; each way to fail has its own sentence."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from otrcore.errors import ConnectionFailed
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.options import Login
from tests.irc.connection.certificates import make_certificate, trusting
from tests.irc.connection.hostile_server import (
    SENTINEL,
    Client,
    HostileServer,
    Peer,
    Script,
    then_sentinel,
)

pytestmark = pytest.mark.usefixtures("no_descriptor_is_leaked")


# ---- reaching the server


def refused(client: Client) -> str:
    """The sentence with which connecting failed."""
    with pytest.raises(ConnectionFailed) as caught:
        client.connect()
    sentence = str(caught.value)
    assert str(client.connection.address) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not client.connection.connected
    assert client.heard.events == []
    return sentence


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_nothing_listens(closed_port: int) -> None:
    assert "Nothing accepts connections" in refused(Client(ServerAddress("127.0.0.1", closed_port)))


def test_a_name_that_cannot_be_one() -> None:
    assert "was not found" in refused(Client(ServerAddress("a..b", 6667)))


def test_a_name_that_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert "was not found" in refused(Client(ServerAddress("irc.invalid", 6667)))


def test_an_address_without_a_route() -> None:
    assert "cannot be reached (" in refused(Client(ServerAddress("255.255.255.255", 6667)))


def test_a_server_that_does_not_accept() -> None:
    """A full backlog drops the handshake's first packet, as a firewall would."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
            client = Client(ServerAddress("127.0.0.1", full.getsockname()[1]), connect_timeout=0.3)
            assert "did not answer within 0.3 seconds" in refused(client)
        finally:
            for sock in waiting:
                sock.close()


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    with HostileServer(then_sentinel()) as server:
        real = socket.getaddrinfo("127.0.0.1", server.address.port, type=socket.SOCK_STREAM)
        dead = socket.getaddrinfo("127.0.0.1", closed_port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: dead + real)
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        client.connection.quit()


# ---- TLS


def test_tls_with_a_certificate_that_nobody_vouches_for(serving: ssl.SSLContext) -> None:
    def script(_: Peer) -> None:
        raise AssertionError("the client went on without trust")

    with pytest.raises(ssl.SSLError), HostileServer(script, tls=serving) as server:
        sentence = refused(Client(server.address))
        assert "is not trusted (self-signed certificate)" in sentence
        assert "SSL_CERT_FILE" in sentence


def test_tls_trust_by_the_environment_variable_that_the_sentence_names(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, serving: ssl.SSLContext
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with HostileServer(then_sentinel(), tls=serving) as server:
        client = Client(server.address).connect()
        client.until_text(SENTINEL)
        client.connection.quit()


def test_tls_with_a_certificate_for_another_name(certificate: Path, serving: ssl.SSLContext) -> None:
    with pytest.raises(ssl.SSLError), HostileServer(lambda _: None, tls=serving) as server:
        address = ServerAddress("localhost", server.address.port, True)
        login = trusting(certificate)
        assert "is not trusted (Hostname mismatch" in refused(Client(address, login=login))


def tls_address(server: HostileServer) -> ServerAddress:
    return ServerAddress(server.address.host, server.address.port, True)


def test_tls_handshake_that_is_never_answered() -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(100_000)
        peer.sock.recv(1)

    with HostileServer(script) as server:
        client = Client(tls_address(server), connect_timeout=0.3)
        assert "did not answer the TLS handshake within 0.3 seconds" in refused(client)


def test_tls_to_a_server_that_speaks_plainly() -> None:
    def script(peer: Peer) -> None:
        peer.send(":irc.test NOTICE * :*** Looking up your hostname")
        peer.sock.recv(100_000)

    with HostileServer(script) as server:
        assert "refused the TLS handshake (wrong version number)" in refused(Client(tls_address(server)))


@pytest.mark.parametrize("end", [lambda _: None, Peer.reset], ids=["close", "reset"])
def test_tls_handshake_that_is_cut_off(end: Script) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(100_000)
        end(peer)

    with HostileServer(script) as server:
        assert "refused the TLS handshake (" in refused(Client(tls_address(server)))


def test_a_failed_connect_can_be_repeated() -> None:
    with HostileServer(lambda _: None, then_sentinel()) as server:
        client = Client(server.address)
        client.connection.address = tls_address(server)
        refused(client)
        client.connection.address = server.address
        client.connect()
        client.until_text(SENTINEL)
        client.connection.quit()


# ---- IPv6


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.parametrize("tls", [False, True])
def test_ipv6(tls: bool, tmp_path: Path) -> None:
    serving: ssl.SSLContext | None = None
    login: Callable[[], Login] = Login
    if tls:
        certificate = make_certificate(tmp_path / "server.pem")
        login = trusting(certificate)
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificate)
    with HostileServer(then_sentinel(), tls=serving, host="::1") as server:
        client = Client(server.address, login=login).connect()
        client.until_text(SENTINEL)
        client.connection.quit()
