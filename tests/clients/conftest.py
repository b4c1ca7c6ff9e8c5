"""Real servers and clients for one test, ended after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.drivers.inspircd import Inspircd
from tests.clients.drivers.irssi import Irssi
from tests.clients.drivers.ngircd import Ngircd
from tests.clients.drivers.weechat import WeeChat

IrssiFactory = Callable[[str], Irssi]
WeeChatFactory = Callable[..., WeeChat]


@pytest.fixture
def ngircd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ngircd]:
    """A running ngircd; indirect parameters are more text for its configuration."""
    with Ngircd(tmp_path / "ngircd", extra=getattr(request, "param", "")) as server:
        yield server


@pytest.fixture
def irssi(tmp_path: Path, ngircd: Ngircd) -> Iterator[IrssiFactory]:
    """Makes an irssi of the given nick that has connected to the test's server and has its key."""
    with ExitStack() as running:
        yield lambda nick: running.enter_context(Irssi(nick, tmp_path / f"irssi-{nick}", ngircd.port))


@pytest.fixture
def inspircd(tmp_path: Path) -> Iterator[Inspircd]:
    """A running InspIRCd."""
    with Inspircd(tmp_path / "inspircd") as server:
        yield server


@pytest.fixture
def weechat(tmp_path: Path) -> Iterator[WeeChatFactory]:
    """Makes a WeeChat of the given nick that has connected to the server at a port."""
    with ExitStack() as running:

        def make(nick: str, port: int, kind: type[WeeChat] = WeeChat, **more: object) -> WeeChat:
            made: WeeChat = kind(nick, tmp_path / f"weechat-{nick}", port, **more)  # type: ignore[arg-type]
            return running.enter_context(made)

        yield make
