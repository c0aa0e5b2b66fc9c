"""What the watch on abuse measures (row 6.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter

from cluster.telemetry.collectors import CounterSource, GaugeSource, HistogramSource
from cluster.telemetry.counts import PlainHistogram, exponential
from cluster.telemetry.metrics import Metrics

SCORE = tuple(step / 20 for step in range(1, 21))
BATCH_S = exponential(0.000_1, 4, 9)


class WatchedEnforcer(Protocol):
    """Measures that wait for the store, and those that waited for too long."""

    @property
    def waiting(self) -> int: ...

    @property
    def lost(self) -> int: ...


class WatchMetrics(Metrics):
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._reports = 0
        self._sessions = 0
        self._scores = PlainHistogram(SCORE)
        self._batch_s = PlainHistogram(BATCH_S)
        self._judged = Counter(
            "rayrealm_abuse_judgements",
            "Judgements, by the pattern and the level",
            ("reason", "level"),
            registry=self.registry,
        )
        self.add(
            CounterSource("rayrealm_abuse_reports_total", "Reports of gateways", lambda: self._reports),
            CounterSource("rayrealm_abuse_sessions_total", "Sessions in them", lambda: self._sessions),
            HistogramSource("rayrealm_abuse_anomaly_score", "Smoothed scores of users", lambda: self._scores),
            HistogramSource("rayrealm_abuse_report_seconds", "CPU time for one report", lambda: self._batch_s),
        )

    def watch(self, held: Sized, enforcer: WatchedEnforcer) -> None:
        """Once the watch has started. `held`: against whom something is held."""
        self.add(
            GaugeSource("rayrealm_abuse_subjects", "Users and addresses with a record", lambda: len(held)),
            GaugeSource("rayrealm_abuse_waiting", "Measures that wait for the store", lambda: enforcer.waiting),
            CounterSource("rayrealm_abuse_lost_total", "Measures that waited too long", lambda: enforcer.lost),
        )

    def judged(self, reason: str, level: str) -> None:
        """`reason` is a pattern's name: there are few."""
        self._judged.labels(reason, level).inc()

    def reported(self, sessions: int, scores: Iterable[float], cpu_s: float) -> None:
        """A report was taken in."""
        self._reports += 1
        self._sessions += sessions
        for score in scores:
            self._scores.observe(score)
        self._batch_s.observe(cpu_s)
