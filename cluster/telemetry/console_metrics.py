"""What the console measures of itself: the jobs it carries out, who follows its live feed, and how it answers (row 7.8).

Labels are bounded: statuses of HTTP, and what becomes of a job.
"""

from __future__ import annotations

from typing import Protocol

from prometheus_client import CollectorRegistry

from cluster.telemetry.collectors import CounterSource, GaugeSource
from cluster.telemetry.counts import Tally
from cluster.telemetry.metrics import Metrics

# `lost`: another console carries it on; `not_kept`: it has ended, and the store could not be told.
OUTCOMES = ("done", "failed", "cancelled", "lost", "not_kept")


class WatchedJobs(Protocol):
    """`begun`: so often this console has begun a job, its own or another's. `ended`: by what became of these."""

    begun: int
    ended: Tally

    @property
    def running(self) -> int: ...


class WatchedFeed(Protocol):
    @property
    def readers(self) -> int: ...


class ConsoleMetrics(Metrics):
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._requests = Tally()
        self.add(
            CounterSource(
                "rayrealm_console_requests_total",
                "Requests to the console answered, by status",
                lambda: self._requests,
                "status",
            )
        )

    def watch(self, jobs: WatchedJobs, feed: WatchedFeed) -> None:
        """Once the console has started."""
        self.add(
            CounterSource(
                "rayrealm_console_jobs_begun_total", "Jobs begun, those carried on included", lambda: jobs.begun
            ),
            CounterSource(
                "rayrealm_console_jobs_ended_total", "Jobs by what became of them here", lambda: jobs.ended, "outcome"
            ),
            GaugeSource("rayrealm_console_jobs_running", "Jobs that are carried out now", lambda: jobs.running),
            GaugeSource("rayrealm_console_feed_readers", "Pages that follow the live feed", lambda: feed.readers),
        )

    def answered(self, _route: str, status: int, _seconds: float) -> None:
        self._requests.add(str(status))
