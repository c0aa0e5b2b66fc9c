"""What each kind of process measures (row 5.4): names, labels, buckets. Labels are bounded and never name a player.

`websocket_*` and `game_*` are the names that dashboards of this field expect; the realm's own start with `rayrealm_`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from cluster.errors import Theirs
from cluster.telemetry.collectors import (
    AnySource,
    CounterSource,
    CountsCollector,
    GaugeSource,
    HistogramSource,
)
from cluster.telemetry.counts import (
    DEPENDENCY_ERRORS,
    BusCounts,
    PlainHistogram,
    ViewCounts,
    exponential,
)

UNKNOWN = "unknown"
TICK_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 1.0)
STORE_S = exponential(0.001, 2, 12)
CALL_S = exponential(0.001, 2, 13)

BUS = {
    "published": "Messages handed to the bus for sending",
    "published_bytes": "Bytes handed to the bus for sending",
    "dropped": "Messages never sent: the buffer was full or the bus was away for too long",
    "received": "Messages that came",
    "received_bytes": "Bytes that came",
    "handler_errors": "Messages whose handler or responder raised",
    "unanswered": "Requests that came while too many were being answered",
    "connects": "Connections made to the bus, the first one included",
}

Labels = tuple[tuple[str, str], ...]


def reader(counts: BusCounts | ViewCounts, name: str) -> Callable[[], float]:
    """Reads one of the counts at a scrape."""
    return lambda: float(getattr(counts, name))


def process_registry() -> CollectorRegistry:
    """A registry of a process's own: its CPU, memory, file descriptors and start time, and the servers' failures."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    help_text = "Calls of a server or an actor that failed or came too late"
    errors = CounterSource("rayrealm_dependency_errors_total", help_text, lambda: DEPENDENCY_ERRORS, "dependency")
    registry.register(CountsCollector([errors]))
    return registry


class Metrics:
    """What the classes below share: a registry, their own unless they are given one to share."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = process_registry() if registry is None else registry

    def add(self, *sources: AnySource) -> None:
        self.registry.register(CountsCollector(sources))


def watch_bus(registry: CollectorRegistry, counts: BusCounts) -> None:
    """Add a bus to the process's metrics."""
    registry.register(
        CountsCollector(
            CounterSource(f"rayrealm_bus_{name}_total", text, reader(counts, name)) for name, text in BUS.items()
        )
    )


class WatchedIntake(Protocol):
    """What becomes of moves: totals since the zone started."""

    @property
    def applied(self) -> int: ...
    @property
    def refused(self) -> Mapping[str, int]: ...
    @property
    def dropped(self) -> Mapping[str, int]: ...


class WatchedZone(Protocol):
    """What a zone says about itself: totals since it started."""

    @property
    def epoch(self) -> int: ...
    @property
    def ticks(self) -> int: ...
    @property
    def resyncs(self) -> int: ...
    @property
    def intake(self) -> WatchedIntake: ...
    @property
    def own(self) -> int: ...
    @property
    def ghosts(self) -> int: ...
    @property
    def handed_over(self) -> int: ...
    @property
    def admitted(self) -> int: ...


class WatchedDesk(Protocol):
    """Totals by method, and by reason."""

    @property
    def done(self) -> Mapping[str, int]: ...
    @property
    def dropped(self) -> Mapping[str, int]: ...


class WatchedGame(Protocol):
    """Totals by hook."""

    @property
    def errors(self) -> Mapping[str, int]: ...
    @property
    def slow(self) -> Mapping[str, int]: ...


class ZoneMetrics(Metrics):
    def __init__(self, zone_id: str, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._tick_s = PlainHistogram(TICK_S)
        self._checkpoint_s = PlainHistogram(STORE_S)
        self._skipped = 0
        self._failed_ticks = 0
        self._failed_checkpoints = 0
        self._zone: Labels = (("zone_id", zone_id),)
        self._watched: WatchedZone | None = None
        self._game: WatchedGame | None = None
        self._desk: WatchedDesk | None = None
        self.add(
            HistogramSource("rayrealm_zone_tick_seconds", "Work of a tick", lambda: self._tick_s, fixed=self._zone),
            CounterSource(
                "rayrealm_zone_ticks_skipped_total",
                "Ticks left out because earlier ones took too long",
                lambda: self._skipped,
                fixed=self._zone,
            ),
            CounterSource(
                "rayrealm_zone_tick_failures_total",
                "Ticks that raised",
                lambda: self._failed_ticks,
                fixed=self._zone,
            ),
            HistogramSource(
                "rayrealm_zone_checkpoint_seconds",
                "Time to store where everyone stands",
                lambda: self._checkpoint_s,
                fixed=self._zone,
            ),
            CounterSource(
                "rayrealm_zone_checkpoint_failures_total",
                "Checkpoints that failed",
                lambda: self._failed_checkpoints,
                fixed=self._zone,
            ),
        )

    def watch(self, zone: WatchedZone) -> None:
        """Whenever an incarnation of the zone has started here: totals are its own."""
        first, self._watched = self._watched is None, zone
        if not first:
            return
        fixed, now = self._zone, self._present
        self.add(
            GaugeSource("game_zone_population", "Entities in the zone", lambda: now().own, fixed=fixed),
            GaugeSource("rayrealm_zone_ghosts", "Entities of zones near", lambda: now().ghosts, fixed=fixed),
            CounterSource(
                "rayrealm_zone_handed_over_total",
                "Entities given to zones near",
                lambda: now().handed_over,
                fixed=fixed,
            ),
            CounterSource(
                "rayrealm_zone_admitted_total", "Entities taken from zones near", lambda: now().admitted, fixed=fixed
            ),
            GaugeSource("rayrealm_zone_epoch", "The zone's incarnation", lambda: now().epoch, fixed=fixed),
            CounterSource("rayrealm_zone_ticks_total", "Ticks", lambda: now().ticks, fixed=fixed),
            CounterSource(
                "rayrealm_zone_moves_applied_total", "Moves that became true", lambda: now().intake.applied, fixed=fixed
            ),
            CounterSource(
                "rayrealm_zone_resyncs_total", "Gateways that had lost an output", lambda: now().resyncs, fixed=fixed
            ),
            CounterSource(
                "rayrealm_zone_moves_refused_total", "Moves refused", lambda: now().intake.refused, "reason", fixed
            ),
            CounterSource(
                "rayrealm_zone_inputs_dropped_total",
                "Moves that were never judged",
                lambda: now().intake.dropped,
                "reason",
                fixed,
            ),
        )

    def watch_calls(self, desk: WatchedDesk) -> None:
        """Whenever an incarnation of the zone has started here."""
        first, self._desk = self._desk is None, desk
        if not first:
            return

        def now() -> WatchedDesk:
            assert self._desk is not None  # noqa: S101 - sources are added when there is one
            return self._desk

        done, dropped = "Requests of players that were judged", "Requests refused or lost because too many waited"
        self.add(
            CounterSource("rayrealm_zone_calls_total", done, lambda: now().done, "method", self._zone),
            CounterSource("rayrealm_zone_calls_dropped_total", dropped, lambda: now().dropped, "reason", self._zone),
        )

    def watch_game(self, game: WatchedGame) -> None:
        """Whenever an incarnation of a zone with a game has started here."""
        first, self._game = self._game is None, game
        if not first:
            return

        def now() -> WatchedGame:
            assert self._game is not None  # noqa: S101 - sources are added when there is one
            return self._game

        for name, text, counts in (
            ("rayrealm_game_errors_total", "Hooks of the game that raised", lambda: now().errors),
            (
                "rayrealm_game_slow_total",
                "Hooks of the game that took a quarter of a tick or longer",
                lambda: now().slow,
            ),
        ):
            self.add(CounterSource(name, text, counts, "hook", self._zone))

    def ticked(self, seconds: float, skipped: int) -> None:
        """A tick's work took `seconds`; `skipped` ticks were left out since the start."""
        self._tick_s.observe(seconds)
        self._skipped = skipped

    def tick_failed(self) -> None:
        self._failed_ticks += 1

    def checkpointed(self, seconds: float) -> None:
        self._checkpoint_s.observe(seconds)

    def checkpoint_failed(self) -> None:
        self._failed_checkpoints += 1

    def _present(self) -> WatchedZone:
        assert self._watched is not None  # noqa: S101 - sources are added when there is one
        return self._watched


class WatchedSessions(Protocol):
    @property
    def sessions(self) -> Sized: ...


class WatchedLane(Protocol):
    sent: int
    resent: int


class SessionMetrics(Metrics):
    """A session actor; attaches are the calls of `attach`."""

    def __init__(self, name: str, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._fixed: Labels = (("actor", name),)
        self._calls = Counter(
            "rayrealm_session_calls",
            "Calls by method and outcome: done, refused (the caller's fault), failed (ours)",
            ("method", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rayrealm_session_call_seconds",
            "Time to answer a call",
            ("method",),
            buckets=CALL_S,
            registry=self.registry,
        )

    def watch(self, host: WatchedSessions) -> None:
        """Once the actor has started."""
        self.add(GaugeSource("rayrealm_sessions", "Sessions held", lambda: len(host.sessions), fixed=self._fixed))

    def watch_lane(self, lane: WatchedLane, following: Sized) -> None:
        """The reliable lane, once the actor has started."""
        self.add(
            GaugeSource("rayrealm_session_topics", "Topics read", lambda: len(following), fixed=self._fixed),
            CounterSource(
                "rayrealm_reliable_sent", "Reliable notifications sent", lambda: lane.sent, fixed=self._fixed
            ),
            CounterSource("rayrealm_reliable_resent", "... and sent again", lambda: lane.resent, fixed=self._fixed),
        )

    @contextmanager
    def call(self, method: str) -> Iterator[None]:
        """Around each call. `method` comes from our own code, so there are few."""
        began = time.monotonic()
        outcome = "failed"
        try:
            yield
            outcome = "done"
        except Theirs:
            outcome = "refused"
            raise
        finally:
            self._calls.labels(method, outcome).inc()
            self._seconds.labels(method).observe(time.monotonic() - began)


class PresenceMetrics(Metrics):
    def __init__(self, name: str, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._fixed: Labels = (("actor", name),)

    def watch(self, index: Sized) -> None:
        """Once the index is built; its length is the number of users who are online."""
        self.add(GaugeSource("game_active_users", "Users online", lambda: len(index), fixed=self._fixed))


class SupervisorMetrics(Metrics):
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._up: dict[str, float] = {}
        self._failures: dict[str, float] = {}
        self.add(
            GaugeSource("rayrealm_actor_up", "Whether the actor answered last time", lambda: self._up, "actor"),
            CounterSource(
                "rayrealm_actor_checks_failed_total",
                "Health checks without an answer",
                lambda: self._failures,
                "actor",
            ),
        )

    def checked(self, name: str, well: bool) -> None:
        """An actor answered its health check, or did not."""
        self._up[name] = float(well)
        self._failures[name] = self._failures.get(name, 0) + (not well)


class WebMetrics(Metrics):
    """The HTTP API. `routes` are the path templates that exist; any other path is `unknown`."""

    def __init__(self, routes: Collection[str], registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._routes = frozenset(routes)
        self._requests = Counter(
            "rayrealm_http_requests",
            "Requests answered, by route and status",
            ("route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rayrealm_http_request_seconds",
            "Time to answer a request",
            ("route",),
            buckets=CALL_S,
            registry=self.registry,
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        known = route if route in self._routes else UNKNOWN
        self._requests.labels(known, str(status)).inc()
        self._seconds.labels(known).observe(seconds)
