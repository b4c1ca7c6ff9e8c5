"""From file, environment and flags to a `Config`, each over the one before; and the file as first written.

All mistakes are found at once, each a sentence that names its place.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otrbot.settings.config import (
    Config,
    ConfigError,
    HttpConfig,
    Limits,
    LogConfig,
    Mechanism,
    NetworkConfig,
    Sasl,
)
from otrbot.settings.credentials import SecretFile
from otrbot.settings.table import NETWORK, SECTIONS, SETTINGS, Setting

from otrcore.irc.connection.address import ServerAddress
from otrcore.irc.lines import printable

PREFIX = "OTRBOT_"
MAX_BYTES = 1 << 20
"""Of the file: a thousand bans have room."""

MAX_NETWORKS = 50
MAX_MISTAKES = 50
"""That are told; somebody who gave us another kind of file need not read more."""

ONLY_NETWORK = "irc"
"""The name of the network where neither a file nor a flag names one."""

NETWORK_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")

TAKEN = frozenset({"server"})
"""Names of networks whose variables would be called as others are: OTRBOT_NETWORK_SERVER_PASSWORD_FILE."""

OUTSIDE = frozenset({"OTRBOT_CONFIG"})
"""Variables of ours that are no settings."""

Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was found, and where; `typed` if TOML says what it is."""

    value: object
    place: str
    typed: bool


def load(path: Path | None, environment: Mapping[str, str], flags: Mapping[tuple[str, str], str]) -> Config:
    """Put the configuration together; ConfigError with every mistake.

    `flags` are texts by section and key.  A file's relative paths start from its folder.
    """
    reading = _Reading(path)
    reading.file()
    reading.environment(environment)
    reading.flags(flags)
    return reading.config()


class _Reading:
    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._mistakes: list[str] = []
        self._networks: list[str] = []
        self._given: dict[tuple[str, str], Given] = {}
        """By section, of which a network's is "network.NAME", and key."""

    def file(self) -> None:
        if self._path is None:
            return
        for section, content in self._parsed(self._path).items():
            if section not in SECTIONS:
                self._wrong(
                    f"in {self._path}", f"there is no section [{printable(section)}]", section, SECTIONS
                )
            elif not isinstance(content, dict):
                self._add(f"In {self._path}, [{section}] must be a section, and not a value.")
            elif section != NETWORK:
                self._section(section, section, content)
            else:
                self._network_sections(content)

    def environment(self, environment: Mapping[str, str]) -> None:
        known = dict(self._variables())
        for variable in sorted(environment):
            if not variable.startswith(PREFIX) or variable in OUTSIDE:
                continue
            if variable not in known:
                self._wrong("in the environment", f"{printable(variable)} is no setting", variable, known)
                continue
            section, key = known[variable]
            if section == NETWORK:
                section = self._only_network(variable)
            if section:
                self._given[section, key] = Given(
                    environment[variable], f"{variable} in the environment", False
                )

    def flags(self, flags: Mapping[tuple[str, str], str]) -> None:
        for (section, key), text in flags.items():
            flag = "--" + key.replace("_", "-")
            if section == NETWORK:
                section = self._only_network(flag)
            if section:
                self._given[section, key] = Given(text, flag, False)

    def config(self) -> Config:
        read = {
            section: self._values(section)
            for section in (*(s for s in SECTIONS if s != NETWORK), *self._networks)
        }
        networks = [self._network(section, read[section]) for section in self._networks]
        if not self._networks:
            place = (
                f"in {self._path}: add a section [network.{ONLY_NETWORK}]"
                if self._path
                else (f"in the environment: set {PREFIX}NETWORK_SERVER")
            )
            self._add(f"No network is named {place}.")
        bot, log, http, limits = read["bot"], read["log"], read["http"], read["limits"]
        self._order(limits, "fragment_min", "fragment_max")
        self._order(limits, "ignore_seconds", "ignore_seconds_max")
        self._order(limits, "queue_lines_per_peer", "queue_lines")
        if self._mistakes:
            more = len(self._mistakes) - MAX_MISTAKES
            rest = [f"There are {more} more mistakes."] if more > 0 else []
            raise ConfigError(*self._mistakes[:MAX_MISTAKES], *rest)
        listening: Any = http.pop("listen", None)
        arguments: dict[str, Any] = dict(bot)
        return Config(
            tuple(network for network in networks if network is not None),
            limits=Limits(**_any(limits)),
            log=LogConfig(**_any(log)),
            http=HttpConfig(*listening) if listening else HttpConfig(),
            **arguments,
        )

    def _parsed(self, path: Path) -> Mapping[str, object]:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise ConfigError(f"{path} is too long for a configuration: name another file.")
            return tomllib.loads(content.decode())
        except OSError as error:
            why = (error.strerror or type(error).__name__).lower()
            raise ConfigError(
                f"{path} cannot be read: {why}: name another by --config, or make one by  otr-bot init."
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not UTF-8: save it as that.") from error
        # RecursionError: brackets in brackets, thousands of them.
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            why = printable(str(error)) if isinstance(error, tomllib.TOMLDecodeError) else "too deeply nested"
            raise ConfigError(f"{path} is not TOML: {why}.") from error

    def _network_sections(self, content: Mapping[str, object]) -> None:
        if len(content) > MAX_NETWORKS:
            self._add(f"In {self._path} there are more than {MAX_NETWORKS} networks: run another process.")
            return
        for name, network in content.items():
            if not NETWORK_NAME.fullmatch(name) or name in TAKEN or not isinstance(network, dict):
                self._add(
                    f"In {self._path}, [network.{printable(name)}] is no network: write [network.NAME], the "
                    "name of small letters, digits and - only (not server), and its settings below."
                )
                continue
            section = f"{NETWORK}.{name}"
            self._networks.append(section)
            self._section(section, NETWORK, network)

    def _section(self, section: str, kind: str, content: Mapping[str, object]) -> None:
        keys = [setting.key for setting in SETTINGS if setting.section == kind]
        for key, value in content.items():
            place = f"{self._path}, [{section}] {printable(key)}"
            if key in keys:
                self._given[section, key] = Given(value, place, True)
            else:
                self._wrong(f"in {self._path}", f"[{section}] has no setting {printable(key)}", key, keys)

    def _variables(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield what the environment can name: what is for the only network, and each network's own."""
        for setting in SETTINGS:
            yield _variable(setting.section, setting.key), (setting.section, setting.key)
        for section in self._networks:
            for setting in SETTINGS:
                if setting.section == NETWORK:
                    yield _variable(section, setting.key), (section, setting.key)

    def _only_network(self, name: str) -> str:
        if len(self._networks) > 1:
            example = _variable(self._networks[0], "nick")
            self._add(
                f"{name} does not say for which of the networks: say so in the file, or as {example} does."
            )
            return ""
        if not self._networks:
            self._networks.append(f"{NETWORK}.{ONLY_NETWORK}")
        return self._networks[0]

    def _values(self, section: str) -> Values:
        kind = section.partition(".")[0]
        values: Values = {}
        for setting in SETTINGS:
            given = self._given.get((section, setting.key))
            if setting.section != kind or given is None:
                continue
            try:
                value = setting.kind.read(given.value, typed=given.typed)
            except ValueError as error:
                self._add(f"{given.place}: it must be {error}.")
                continue
            if isinstance(value, Path) and given.typed and self._path is not None:
                value = self._path.parent / value
            values[setting.key] = value
        return values

    def _network(self, section: str, values: Values) -> NetworkConfig | None:
        """Return a network, or None once it has been told what is wrong with it."""
        before = len(self._mistakes)
        chosen: dict[str, Any] = dict(values)
        tls, server = chosen.pop("tls", True), chosen.pop("server", None)
        mechanism, account = chosen.pop("sasl", None), chosen.pop("account", "")
        password = self._secret(section, chosen, "password")
        server_password = self._secret(section, chosen, "server_password")
        if server is None and (section, "server") not in self._given:
            self._add(f'[{section}] names no server: add one, as  server = "irc.example.org".')
        if mechanism is None and (account or password):
            self._add(f'[{section}] has an account or its password, but no sasl: add  sasl = "plain".')
        if mechanism is Mechanism.PLAIN and not (account and password):
            self._add(f'[{section}] needs account and password_file for  sasl = "plain".')
        if mechanism is Mechanism.EXTERNAL and (password or "client_cert" not in chosen):
            self._add(f'[{section}] needs client_cert, and no password, for  sasl = "external".')
        if "client_key" in chosen and "client_cert" not in chosen:
            self._add(f"[{section}] has client_key without client_cert: name both.")
        for key in ("ca_file", "client_cert"):
            if not tls and key in chosen:
                self._add(f"[{section}] has {key}, which is of use with  tls = true  only.")
        if len(self._mistakes) > before or server is None:
            return None
        address = ServerAddress.parse(server, tls)
        if (password or server_password) and not tls and not _is_loopback(address.host):
            self._add(f"[{section}] would send a password unencrypted: set  tls = true.")
        sasl = Sasl(mechanism, account, password) if mechanism is not None else None
        name = section.partition(".")[2]
        return NetworkConfig(name, address, sasl=sasl, server_password=server_password, **chosen)

    def _secret(self, section: str, values: dict[str, Any], key: str) -> SecretFile | None:
        path, credential = values.pop(f"{key}_file", None), values.pop(f"{key}_credential", None)
        if path is not None and credential is not None:
            self._add(f"[{section}] has {key}_file and {key}_credential: keep one of them.")
        return SecretFile(path, credential) if path is not None or credential is not None else None

    def _order(self, limits: Values, low: str, high: str) -> None:
        defaults = Limits()
        below, above = (limits.get(key, getattr(defaults, key)) for key in (low, high))
        if isinstance(below, int | float) and isinstance(above, int | float) and below > above:
            self._add(f"[limits] {low} ({below:g}) must not be more than {high} ({above:g}).")

    def _wrong(self, where: str, what: str, name: str, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(name[:100], list(known), 1)
        hint = f"do you mean {near[0]}?" if near else "look at what  otr-bot init  writes."
        self._add(f"{where[0].upper()}{where[1:]}, {what}: {hint}")

    def _add(self, mistake: str) -> None:
        self._mistakes.append(mistake)


def variables() -> Iterator[tuple[str, Setting]]:
    """Yield the variables of the environment, and what each sets."""
    for setting in SETTINGS:
        yield _variable(setting.section, setting.key), setting


def template(values: Mapping[tuple[str, str], str], network: str) -> str:
    """Return a file to begin with: every setting with its default and what it is about.

    `values` are those of the operator by section and key, in TOML.
    """
    own = _variable(f"{NETWORK}.{network}", "nick")
    lines = [
        "# Configuration of otr-bot; TOML. What stands behind a # is the default, or an example.",
        f"# The environment goes over this file, by variables such as {PREFIX}LIMITS_CONVERSATIONS=200 and",
        f"# {own}=echo (or {PREFIX}NETWORK_NICK=echo if there is one network);",
        "# flags of  otr-bot run  go over both. Paths start from the folder of this file.",
        "# Look for mistakes:  otr-bot check-config --config FILE.  SIGHUP has the running bot read limits,",
        "# admins and bans again. Passwords never stand in here, but in files that only the bot can read.",
    ]
    for section in SECTIONS:
        lines += ["", f"[{section}.{network}]" if section == NETWORK else f"[{section}]"]
        if section == NETWORK:
            lines.append("# One such section for each network, each with a name and a key of its own:")
            lines.append("# otr-bot init --keys-only  makes the key of one that is added.")
        for setting in SETTINGS:
            if setting.section == section:
                given = values.get((section, setting.key))
                mark = "" if given is not None or setting.shown else "# "
                lines += [f"# {setting.about}", f"{mark}{setting.key} = {given or setting.default}"]
    return "\n".join(lines) + "\n"


def toml_text(text: str) -> str:
    """Write a text as TOML does."""
    escaped = "".join(
        f"\\u{ord(one):04x}" if ord(one) < 32 or ord(one) == 127 else "\\" + one if one in '"\\' else one
        for one in text
    )
    return f'"{escaped}"'


def _variable(section: str, key: str) -> str:
    return PREFIX + f"{section}_{key}".upper().replace(".", "_").replace("-", "_")


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(\.[0-9]{1,3}){3}", host))


def _any(values: Values) -> dict[str, Any]:
    return dict(values)
