"""What a configuration names beside itself: passwords, certificates, keys; and how it is shown."""

from __future__ import annotations

import os
import shlex
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from otrbot.settings.config import Config, NetworkConfig
from otrbot.settings.credentials import DIRECTORY, SecretFile
from otrbot.settings.file import toml_text
from otrbot.settings.keys import KeyRing

from otrcore.errors import OtrcoreError
from otrcore.irc.connection.dial import words
from otrcore.irc.connection.pacing import Pace


def surroundings(config: Config) -> list[str]:
    """Return what is wrong with the files that a configuration names, a sentence each."""
    found = secrets(config, outside=True)
    try:
        KeyRing(config).fingerprints()
    except OtrcoreError as error:
        found.append(str(error))
    return found


def secrets(config: Config, *, outside: bool = False) -> list[str]:
    """Return what is wrong with passwords and certificates, a sentence each.

    `outside` of systemd nothing can be said about its credentials.
    """
    found = []
    for network in config.networks:
        for secret in (network.server_password, network.sasl.password if network.sasl else None):
            if secret is None or (outside and secret.path is None and not os.environ.get(DIRECTORY)):
                continue
            try:
                secret.read()
            except OtrcoreError as error:
                found.append(f"[network.{network.name}] {error}")
        found += [f"[network.{network.name}] {mistake}" for mistake in _certificates(network)]
    return found


def described(config: Config) -> Iterator[str]:
    """Yield what holds, a line each: places of secrets, and no secret."""
    yield "[bot]"
    yield f"data_dir = {_shown(config.data_dir)}"
    yield from _optional("passphrase_file", config.passphrase_file)
    yield f"admins = {_shown(config.admins)}"
    yield f"bans = {_shown(config.bans)}"
    yield "[log]"
    yield f"format = {_shown(str(config.log.format))}"
    yield f"level = {_shown(str(config.log.level))}"
    yield f"nicks = {_shown(config.log.nicks)}"
    yield "[http]"
    host = f"[{config.http.host}]" if ":" in config.http.host else config.http.host
    yield f"listen = {_shown(f'{host}:{config.http.port}' if config.http.port else '')}"
    for network in config.networks:
        yield f"[network.{network.name}]"
        yield f"server = {_shown(str(network.server))}"
        yield f"tls = {_shown(network.server.tls)}"
        for key in ("nick", "altnicks", "realname", "bot_mode", "ca_file", "client_cert", "client_key"):
            yield from _optional(key, getattr(network, key))
        yield from _secret("server_password", network.server_password)
        if network.sasl is not None:
            yield f"sasl = {_shown(str(network.sasl.mechanism))}"
            yield from _optional("account", network.sasl.account or None)
            yield from _secret("password", network.sasl.password)
        rate = f"{network.pace.burst}/{network.pace.per_second:g}"
        yield f"pace = {_shown('none' if network.pace == Pace.NONE else rate)}"
    yield "[limits]"
    for key in type(config.limits).__slots__:
        yield f"{key} = {getattr(config.limits, key):g}"


def _optional(key: str, value: object) -> Iterator[str]:
    if value is not None:
        yield f"{key} = {_shown(value)}"


def _secret(key: str, secret: SecretFile | None) -> Iterator[str]:
    if secret is not None and secret.path is not None:
        yield f"{key}_file = {_shown(secret.path)}"
    elif secret is not None:
        yield f"{key}_credential = {_shown(secret.credential)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_shown(one) for one in value)}]"
    return toml_text(str(value))


def _certificates(network: NetworkConfig) -> Iterator[str]:
    if network.ca_file is not None:
        try:
            ssl.create_default_context(cafile=str(network.ca_file))
        except OSError as error:
            yield f"ca_file {network.ca_file} cannot be used ({words(error)}): name certificates in PEM."
    if network.client_cert is None:
        return
    key = network.client_key or network.client_cert
    try:
        if stat.S_IMODE(key.stat().st_mode) & 0o077:
            yield f"{key} can be read by others: run  chmod go= {shlex.quote(str(key))}  and change the key."
            return
        context = ssl.create_default_context()
        # An empty passphrase, where the library would ask for one in the terminal.
        context.load_cert_chain(network.client_cert, _path(network.client_key), password=lambda: "")
    except OSError as error:
        why = words(error)
        yield f"client_cert {network.client_cert} cannot be used ({why}): name it and its key in PEM."


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)
