"""The counts, read as Prometheus reads them, and without its library."""

from __future__ import annotations

import sys

import pytest
from otrbot.reports.metrics import Metrics
from prometheus_client.parser import text_string_to_metric_families


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return the samples by name and labels in alphabetical order."""
    assert metrics.text is not None
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text.decode())
        for sample in family.samples
    }


def test_everything_that_is_counted() -> None:
    metrics = Metrics()
    one = metrics.of("one")
    metrics.of("two")
    one.sessions(3)
    one.queue_lines(4)
    one.ake(3, "ok")
    one.ake(3, "ok")
    one.ake(99, "anything a peer could choose")
    one.smp("aborted")
    one.line("in")
    one.line("out", 5)
    one.throttled()
    one.reconnected()
    one.handler_error(2)
    one.restarted()
    one.crypto(0.02)
    found = samples(metrics)
    assert found["otrbot_sessions", "one"] == 3
    assert found["otrbot_queue_lines", "one"] == 4
    assert found["otrbot_ake_total", "one", "ok", "3"] == 2
    assert found["otrbot_ake_total", "one", "failed", "other"] == 1
    assert found["otrbot_smp_total", "one", "aborted"] == 1
    assert found["otrbot_lines_total", "in", "one"] == 1
    assert found["otrbot_lines_total", "out", "one"] == 5
    assert found["otrbot_throttled_total", "one"] == 1
    assert found["otrbot_reconnects_total", "one"] == 1
    assert found["otrbot_handler_errors_total", "one"] == 2
    assert found["otrbot_thread_restarts_total", "one"] == 1
    assert found["otrbot_crypto_seconds_count", "one"] == 1
    assert found["otrbot_crypto_seconds_bucket", "0.01", "one"] == 0
    assert found["otrbot_crypto_seconds_bucket", "0.025", "one"] == 1
    assert found["otrbot_lines_total", "in", "two"] == found["otrbot_reconnects_total", "two"] == 0


def test_two_do_not_share_their_counts() -> None:
    first, second = Metrics(), Metrics()
    first.of("one").throttled()
    assert samples(second).get(("otrbot_throttled_total", "one")) is None


def test_without_the_library_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    metrics = Metrics()
    one = metrics.of("one")
    for count in (one.throttled, one.reconnected, one.handler_error, one.restarted):
        count()
    one.sessions(1)
    one.queue_lines(1)
    one.ake(3, "ok")
    one.smp("ok")
    one.line("in")
    one.crypto(1.0)
    assert metrics.text is None
