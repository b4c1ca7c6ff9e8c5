"""What an operator can choose, as values: frozen, checked, with the defaults of the echo peer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from otrbot.settings.credentials import SecretFile

from otrcore.errors import OtrcoreError
from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.connection.pacing import Pace
from otrcore.store.folder import default_folder

APPLICATION = "otr-bot"
REALNAME = "OTR test peer, write !help to it"


class ConfigError(OtrcoreError):
    """The configuration cannot be used; `mistakes` are all of them, a sentence each."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Mechanism(StrEnum):
    """How SASL proves who the bot is."""

    PLAIN = "plain"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Sasl:
    """An account with the network's services; who cannot log in to it does not connect."""

    mechanism: Mechanism
    account: str = ""
    """Empty for EXTERNAL where the certificate says it all."""
    password: SecretFile | None = None
    """For PLAIN; read anew for each connection."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """One network."""

    name: str
    """What the operator calls it: in logs and metrics, and in the store unless `Config.new_keys`."""
    server: ServerAddress
    nick: str = "otr-echo"
    altnicks: tuple[str, ...] = ()
    """Asked for in their order when the nick is taken, before any that is made up."""
    realname: str = REALNAME
    server_password: SecretFile | None = None
    """For PASS; read anew for each connection."""
    sasl: Sasl | None = None
    client_cert: Path | None = None
    """PEM, with its key unless `client_key` has that."""
    client_key: Path | None = None
    ca_file: Path | None = None
    """PEM, in place of the system's authorities."""
    pace: Pace = Pace.DEFAULT
    bot_mode: bool = True
    """Whether the bot tells the server that it is one (by the mode that ISUPPORT BOT= names)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Who may do how much, on each network; the numbers can change while the bot runs."""

    conversations: int = 500
    idle_seconds: float = 1800.0
    akes_per_minute: int = 4
    akes_per_minute_all: int = 20
    smps_per_minute: int = 2
    smps_at_once: int = 1
    input_burst: int = 20
    input_per_second: float = 2.0
    ignore_seconds: float = 60.0
    ignore_seconds_max: float = 3600.0
    """Each time doubles `ignore_seconds`, up to here."""
    same_text_times: int = 5
    same_text_seconds: float = 10.0
    """So many times the same text within so many seconds: another bot, which is ignored."""
    queue_lines_per_peer: int = 40
    queue_lines: int = 400
    hint_seconds: float = 600.0
    echo_bytes: int = 4000
    """What is longer comes back cut."""
    big_bytes: int = 2000
    fragment_min: int = 100
    fragment_max: int = 440


class LogFormat(StrEnum):
    """How a line of the log is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """What is left out of the log: everything below."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogConfig:
    """The log, which goes to standard error."""

    format: LogFormat = LogFormat.TEXT
    level: LogLevel = LogLevel.INFO
    nicks: bool = False
    """Whether nicks of others may stand in it; else their hashes, salted anew by each process."""


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where /healthz and /metrics are served; `port` 0 for nowhere."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    networks: tuple[NetworkConfig, ...]
    limits: Limits = field(default_factory=Limits)
    admins: tuple[str, ...] = ()
    """Fingerprints, 40 upper-case hex digits."""
    bans: tuple[str, ...] = ()
    """nick!user@host with * and ?."""
    log: LogConfig = field(default_factory=LogConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    data_dir: Path = field(default_factory=partial(default_folder, APPLICATION))
    """Of the keys; not where chat clients have theirs, so that nobody takes an echo for its operator."""
    passphrase_file: Path | None = None
    once: bool = False
    """End when a connection fails or is lost, and do not try again."""
    new_keys: bool = False
    """Without a file: keys are made when first used, and kept under what servers call their networks."""
