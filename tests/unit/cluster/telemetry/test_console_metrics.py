"""What the console measures of itself (cluster/telemetry/console_metrics.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from cluster.telemetry.catalogue import catalogue
from cluster.telemetry.console_metrics import OUTCOMES, ConsoleMetrics
from cluster.telemetry.counts import MOST_VALUES, Tally


@dataclass
class Console:
    begun: int = 3
    ended: Tally = field(default_factory=lambda: Tally(OUTCOMES))
    running: int = 2
    readers: int = 5


def test_what_is_told() -> None:
    registry, console = CollectorRegistry(), Console()
    metrics = ConsoleMetrics(registry)
    metrics.watch(console, console)
    console.ended.add("failed")
    for status in (200, 200, 404):
        metrics.answered("/api/v1/me", status, 0.1)
    values = {
        "jobs_begun_total": 3.0,
        "jobs_running": 2.0,
        "feed_readers": 5.0,
    }
    for name, value in values.items():
        assert registry.get_sample_value(f"rayrealm_console_{name}") == value
    for outcome in OUTCOMES:
        found = registry.get_sample_value("rayrealm_console_jobs_ended_total", {"outcome": outcome})
        assert found == float(outcome == "failed")
    assert registry.get_sample_value("rayrealm_console_requests_total", {"status": "200"}) == 2.0
    assert registry.get_sample_value("rayrealm_console_requests_total", {"status": "404"}) == 1.0


def test_statuses_have_a_bound() -> None:
    registry = CollectorRegistry()
    metrics = ConsoleMetrics(registry)
    for status in range(1_000):
        metrics.answered("", status, 0.0)
    (family,) = registry.collect()
    assert len(list(family.samples)) <= MOST_VALUES + 1


def test_the_reference_has_them_and_what_all_have_is_still_of_all() -> None:
    found = {one.name: one.of for one in catalogue()}
    assert found["rayrealm_console_jobs_ended_total"] == ("console",)
    assert found["rayrealm_bus_published_total"] == ("every process",)
