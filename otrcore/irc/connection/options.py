"""How a connection is to behave, and with what to be let in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from ..lines import printable
from ..names import is_name
from .dial import TlsContext
from .pacing import MAX_LINES, MAX_LINES_PER_TARGET, Pace
from .sasl import Credentials

_MAX_PASSWORD_BYTES = 400
_MAX_REALNAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Login:
    """With what to be let in; ValueError, without the password, for one that cannot be sent."""

    sasl: Credentials | None = None
    """With these, nothing is ever registered that SASL has not let in."""
    server_password: str | None = field(default=None, repr=False)
    tls_context: TlsContext | None = None
    """Whom to trust, and our certificate; None for the system's authorities and none."""

    def __post_init__(self) -> None:
        if self.server_password is None:
            return
        try:
            size = len(self.server_password.encode())
        except UnicodeEncodeError:
            size = 0
        if not 0 < size <= _MAX_PASSWORD_BYTES or set("\r\n\0") & set(self.server_password):
            raise ValueError(
                f"The server's password must be one line of 1 to {_MAX_PASSWORD_BYTES} bytes of UTF-8: "
                "mend the configuration."
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """The names and options of a connection; ValueError for a name that cannot be sent."""

    nick: str
    realname: str
    username: str = "otrcore"
    pace: Pace = Pace.DEFAULT
    altnicks: Sequence[str] = ()
    """Asked for in their order when the nick is taken, before any that is made up."""
    login: Callable[[], Login] = Login
    """Called for each connection; what it raises comes out of `Connection.connect`."""
    capabilities: Collection[str] = ()
    """Asked for where the server offers them."""
    regain_nick: bool = False
    """Whether to take the nick that was wanted once it is free."""
    bot_mode: bool = False
    """Whether to tell the server that we are a bot, if it has a mode for that."""
    queue_lines: int = MAX_LINES
    """Lines that may wait for their turn."""
    queue_lines_per_target: int = MAX_LINES_PER_TARGET
    """Those of them that may be for one target."""
    connect_timeout: float = 20.0
    """Seconds that `Connection.connect` may take, looking the name up aside, which the system bounds."""
    registration_timeout: float = 60.0
    """Seconds from there to `Listener.ready`."""
    ping_after: float = 60.0
    """Seconds since the server has last answered a PING, until it is sent the next."""
    drop_after: float = 120.0
    """Seconds since the server has last answered a PING, until the connection is given up."""

    def __post_init__(self) -> None:
        for name in (self.nick, *self.altnicks):
            if not is_name(name):
                raise ValueError(f"{name!r} cannot be a nick: choose one word without commas and colons.")
        if not is_name(self.username):
            raise ValueError(
                f"{self.username!r} cannot be a user name: choose one word without commas and colons."
            )
        realname = self.realname
        if not realname or printable(realname) != realname or len(realname.encode()) > _MAX_REALNAME_BYTES:
            raise ValueError(
                f"The real name must be a printable text of 1 to {_MAX_REALNAME_BYTES} bytes: choose another."
            )
        if not 0 < self.ping_after < self.drop_after:
            raise ValueError("drop_after must be later than ping_after")
