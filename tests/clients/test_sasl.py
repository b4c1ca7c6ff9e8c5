"""SASL with a real server and real services: InspIRCd with atheme."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.options import Login
from otrcore.irc.connection.sasl import AuthenticationRefused, Credentials, External, Plain
from tests.clients.drivers.atheme import Atheme
from tests.clients.drivers.waiting import free_port
from tests.irc.connection.certificates import fingerprint, make_certificate
from tests.irc.connection.hostile_server import Client

PASSWORD = "correct-horse"
TLS = """\
<module name="ssl_gnutls">
<module name="sslinfo">
<sslprofile name="tls" provider="gnutls" certfile="{pem}" keyfile="{pem}" hash="sha1">
<bind address="127.0.0.1" port="{port}" type="clients" sslprofile="tls">
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("atheme")


@pytest.fixture(scope="module")
def certificates(folder: Path) -> dict[str, Path]:
    """The server's, the account owner's, and that of somebody unknown."""
    return {name: make_certificate(folder / f"{name}.pem") for name in ("server", "owner", "stranger")}


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def services(folder: Path, certificates: dict[str, Path], tls_port: int) -> Iterator[Atheme]:
    with Atheme(folder / "running", TLS.format(pem=certificates["server"], port=tls_port)) as running:
        running.register(
            "owner",
            PASSWORD,
            f"PRIVMSG NickServ :CERT ADD {fingerprint(certificates['owner'])}",
        )
        yield running


def attempt(
    address: ServerAddress, credentials: Credentials, context: ssl.SSLContext | None = None
) -> Client:
    """A client that has been let in, or has given up."""
    client = Client(
        address,
        "echo",
        login=lambda: Login(credentials, tls_context=context),
        capabilities=("message-tags",),
        registration_timeout=5.0,
        bot_mode=True,
    ).connect()
    client.drive(lambda: client.connection.own_mask or client.connection.lost)
    return client


def test_the_right_password(services: Atheme) -> None:
    client = attempt(ServerAddress("127.0.0.1", services.port), Plain("owner", PASSWORD))
    assert client.connection.registered
    # Whether we are logged in, and a bot, is for the server to say.
    numerics: dict[str, list[str]] = {}
    client.connection._transport.reactor.add_global_handler(
        "all_events", lambda _, event: numerics.setdefault(event.type.code, event.arguments)
    )
    client.connection._transport.send_raw("WHOIS echo")
    client.drive(lambda: "318" in numerics)
    assert numerics["330"][:3] == ["echo", "echo", "owner"]
    assert "is a bot" in numerics["335"][-1].lower()
    client.connection.quit()


@pytest.mark.parametrize(
    "wrong", [Plain("owner", "wrong"), Plain("nobody", PASSWORD), Plain("owner", "x" * 900)]
)
def test_wrong_credentials_are_refused(services: Atheme, wrong: Plain) -> None:
    client = attempt(ServerAddress("127.0.0.1", services.port), wrong)
    assert isinstance(client.connection.lost, AuthenticationRefused), client.connection.lost
    assert not any(event[0] == "ready" for event in client.heard.events)


@pytest.mark.parametrize("who", ["owner", "stranger", None])
def test_a_certificate(
    services: Atheme, certificates: dict[str, Path], tls_port: int, who: str | None
) -> None:
    context = ssl.create_default_context(cafile=certificates["server"])
    if who is not None:
        context.load_cert_chain(certificates[who])
    client = attempt(ServerAddress("127.0.0.1", tls_port, True), External(), context)
    assert client.connection.registered == (who == "owner"), client.connection.lost
    assert isinstance(client.connection.lost, AuthenticationRefused) == (who != "owner")
    client.connection.quit()


def test_services_that_are_away_let_nobody_in(tmp_path: Path) -> None:
    with Atheme(tmp_path / "running") as running:
        running.register("owner", PASSWORD)
        address = ServerAddress("127.0.0.1", running.port)
        attempt(address, Plain("owner", PASSWORD)).connection.quit()
        running.stop_services()
        client = attempt(address, Plain("owner", PASSWORD))
    assert not client.connection.registered
    assert client.connection.lost is not None
    assert not isinstance(client.connection.lost, AuthenticationRefused), "they may come back"
