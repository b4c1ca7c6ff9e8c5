"""`otr-bot init`: a configuration to begin with, and the keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from otrbot.settings.config import Config, ConfigError
from otrbot.settings.file import load, template, toml_text
from otrbot.settings.keys import Fingerprints, KeyRing


def begin(path: Path, network: str, given: Mapping[tuple[str, str], str]) -> dict[str, Fingerprints]:
    """Write a configuration and make its keys; return their fingerprints by networks.

    `given` are texts of the operator by section and key.  ConfigError if there is a file already, or it
    cannot be written; StoreError.
    """
    if os.path.lexists(path):
        raise ConfigError(
            f"{path} is there already, and was left as it is: name another by --config, "
            "or make the keys that are missing by --keys-only."
        )
    content = template({place: toml_text(text) for place, text in given.items()}, network)
    # Everything is tried under another name: the file is there when all has gone well, or not at all.
    trial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(
            os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
        ) as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
        made = make_keys(load(trial, {}, {}))
        os.link(trial, path)
    except FileExistsError as error:
        raise ConfigError(
            f"{path} is there already, and was left as it is: name another by --config."
        ) from error
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise ConfigError(f"{path} cannot be written: {why}: name another by --config.") from error
    finally:
        with suppress(OSError):
            trial.unlink()
    return made


def make_keys(config: Config) -> dict[str, Fingerprints]:
    """Make the keys that are missing, and return the fingerprints by networks; StoreError."""
    return KeyRing(config).make()
