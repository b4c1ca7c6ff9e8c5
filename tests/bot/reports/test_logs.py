"""What is written into the log, and what never is."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from otrbot.reports import logs
from otrbot.settings.config import LogConfig, LogFormat, LogLevel

CANARY = "unmentionable"


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Give the process back what `set_up` has changed."""
    root, library = logging.getLogger(), logging.getLogger("irc")
    before = (root.handlers[:], root.level, library.level, logging.raiseExceptions)
    hooks = (sys.excepthook, threading.excepthook)
    yield
    logs.set_up(LogConfig())
    root.handlers[:], root.level, library.level, logging.raiseExceptions = before
    sys.excepthook, threading.excepthook = hooks


def fail() -> None:
    raise ValueError(CANARY)


def test_text_is_one_line_each(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogConfig())
    log = logging.getLogger("otrbot.test")
    log.info("a conversation is encrypted", extra=logs.facts(network="one", version=3))
    log.warning("two\nlines \x1b[31m and a %s", "\u202e")
    log.debug("not shown")
    log.info("%s", "x" * 5000)
    first, second, third = capfd.readouterr().err.splitlines()
    assert first == "INFO a conversation is encrypted network=one version=3"
    assert second == r"WARNING two\nlines \x1b[31m and a \u202e"
    assert len(third) < 1100


def test_json_is_one_object_each(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogConfig(format=LogFormat.JSON, level=LogLevel.ERROR))
    log = logging.getLogger("otrbot.test")
    log.warning("not shown")
    log.error("it is %s", "so\n", extra=logs.facts(network="one", level="mine", number=3))
    (line,) = capfd.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "error",
        "part": "otrbot.test",
        "message": r"it is so\n",
        "network": "one",
        "number": 3,
    }


@pytest.mark.parametrize("style", LogFormat)
def test_an_exception_is_its_class_and_its_place(capfd: pytest.CaptureFixture[str], style: LogFormat) -> None:
    logs.set_up(LogConfig(format=style))
    log = logging.getLogger("otrbot.test")
    try:
        fail()
    except ValueError as error:
        log.exception("it failed")
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    log.error("%d", CANARY)  # a mistake in a call of ours: logging would print its arguments
    written = capfd.readouterr().err
    assert CANARY not in written
    assert "Traceback" not in written
    assert written.count("ValueError at fail:") == 3


def test_nicks_are_hashes_unless_they_may_be_shown() -> None:
    logs.set_up(LogConfig())
    hidden = logs.nick("Xylophone")
    assert hidden == logs.nick("xylophone") != logs.nick("xylophon")
    assert hidden.startswith("~") and len(hidden) == 9
    logs.set_up(LogConfig(nicks=True))
    assert logs.nick("Xylophone") == "Xylophone"


def test_a_nick_of_any_bytes_has_a_hash() -> None:
    assert logs.nick("\udcff\ud800").startswith("~")


def test_the_irc_library_never_shows_lines(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogConfig(level=LogLevel.DEBUG))
    logging.getLogger("irc.client").debug("FROM SERVER: %s", CANARY)
    assert CANARY not in capfd.readouterr().err
