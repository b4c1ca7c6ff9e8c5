"""The log: a line for each thing, to standard error, as text or JSON; never a text, a key or a password.

Nicks of others come into it through `nick` alone, and exceptions by their class and their place in the code:
what they say may quote somebody.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
import secrets
import sys
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType

from otrbot.settings.config import LogConfig, LogFormat

MAX_MESSAGE = 1000
"""Characters of one entry."""

_FACTS = "otrbot_facts"
_SALT = secrets.token_bytes(16)

_log = logging.getLogger(__name__)


class _Nicks:
    """How nicks of others are written."""

    plain = False


def nick(name: str) -> str:
    """Return what stands for a nick in the log: a hash that means nothing to another process."""
    if _Nicks.plain:
        return name
    digest = hashlib.blake2s(name.lower().encode(errors="surrogatepass"), key=_SALT, digest_size=4)
    return f"~{digest.hexdigest()}"


def facts(**known: str | int | float | bool) -> Mapping[str, object]:
    """Return what goes into `extra` of a logger's call: facts beside the sentence, by their names."""
    return {_FACTS: known}


def set_up(config: LogConfig) -> None:
    """Have everything that is logged in this process written as chosen."""
    _Nicks.plain = config.nicks
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if config.format is LogFormat.JSON else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    # Below this it writes down every line that crosses the wire.
    logging.getLogger("irc").setLevel(max(logging.INFO, root.level))
    # A handler that fails must not print the entry that it failed over.
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def failure(error: BaseException) -> str:
    """Return the class of an exception and where in the code it came up; not what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    _log.critical("ended by an error in the bot: %s", failure(error) if error is not None else kind.__name__)


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.exc_info is not None and record.exc_info[1] is not None:
        message = f"{message}: {failure(record.exc_info[1])}"
    return _visible(message)


def _visible(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "replace").decode()
        for character in text[:MAX_MESSAGE]
    )


def _facts_of(record: logging.LogRecord) -> Mapping[str, object]:
    known: Mapping[str, object] = getattr(record, _FACTS, {})
    return known


class _Text(logging.Formatter):
    """LEVEL sentence name=value…; the time is the supervisor's, who has a clock too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        pairs = (f"{name}={_visible(str(value))}" for name, value in _facts_of(record).items())
        return " ".join((record.levelname, _message(record), *pairs))


class _Json(logging.Formatter):
    """One object: time (UTC, ISO 8601), level, part (a module of ours), message, and the facts."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        return json.dumps(
            {
                **_facts_of(record),
                "time": time.isoformat(timespec="milliseconds"),
                "level": record.levelname.lower(),
                "part": record.name,
                "message": _message(record),
            },
            default=str,
        )
