"""What each kind of process measures (row 5.4): names, labels, buckets. Labels are bounded and never name a player.

`websocket_*` and `game_*` are the names that dashboards of this field expect; the realm's own start with `rayrealm_`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram

from cluster.errors import Theirs
from cluster.telemetry.collectors import AnySource, CounterSource, CountsCollector, GaugeSource
from cluster.telemetry.counts import BusCounts, ViewCounts, exponential
from cluster.telemetry.process_metrics import process_registry

UNKNOWN = "unknown"
CALL_S = exponential(0.001, 2, 13)
FORGET_S = 60.0

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


class Metrics:
    """What the classes below share: a registry, their own unless they are given one to share."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = process_registry() if registry is None else registry

    def add(self, *sources: AnySource) -> None:
        self.registry.register(CountsCollector(sources))


class WatchedBus(Protocol):
    @property
    def counts(self) -> BusCounts: ...
    @property
    def connected(self) -> bool: ...
    @property
    def pending_bytes(self) -> int: ...


def watch_bus(registry: CollectorRegistry, bus: WatchedBus) -> None:
    """Add a bus to the process's metrics."""
    totals = [CounterSource(f"rayrealm_bus_{name}_total", text, reader(bus.counts, name)) for name, text in BUS.items()]
    connected = GaugeSource("rayrealm_bus_connected", "Whether the bus has a server", lambda: float(bus.connected))
    pending = GaugeSource(
        "rayrealm_bus_pending_bytes", "What waits for the bus's server to take it", lambda: bus.pending_bytes
    )
    registry.register(CountsCollector([*totals, connected, pending]))


class WatchedOutbox(Sized, Protocol):
    @property
    def bytes(self) -> int: ...


class WatchedSession(Protocol):
    @property
    def outbox(self) -> WatchedOutbox: ...


class WatchedSessions(Protocol):
    """By id."""

    @property
    def sessions(self) -> Mapping[str, WatchedSession]: ...


class WatchedLane(Protocol):
    """Totals; and what waits for the log."""

    sent: int
    resent: int

    @property
    def waiting(self) -> int: ...


class WatchedFollowing(Sized, Protocol):
    gaps: int


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
        fixed = self._fixed
        self.add(
            GaugeSource("rayrealm_sessions", "Sessions held", lambda: len(host.sessions), fixed=fixed),
            GaugeSource(
                "rayrealm_session_outbox_messages",
                "Reliable notifications that clients have not acknowledged",
                lambda: sum(len(session.outbox) for session in host.sessions.values()),
                fixed=fixed,
            ),
            GaugeSource(
                "rayrealm_session_outbox_bytes",
                "... their size",
                lambda: sum(session.outbox.bytes for session in host.sessions.values()),
                fixed=fixed,
            ),
        )

    def watch_lane(self, lane: WatchedLane, following: WatchedFollowing) -> None:
        """The reliable lane, once the actor has started."""
        self.add(
            GaugeSource("rayrealm_session_topics", "Topics read", lambda: len(following), fixed=self._fixed),
            CounterSource(
                "rayrealm_session_gaps_total",
                "Topics of which messages were lost, which members are told (session.gap)",
                lambda: following.gaps,
                fixed=self._fixed,
            ),
            GaugeSource(
                "rayrealm_session_lane_waiting",
                "Reliable notifications that wait for the log",
                lambda: lane.waiting,
                fixed=self._fixed,
            ),
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
    """`clock`: monotonic seconds. Actors that are checked no more are forgotten after FORGET_S."""

    def __init__(self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(registry)
        self._clock = clock
        self._up: dict[str, float] = {}
        self._failures: dict[str, float] = {}
        self._checked: dict[str, float] = {}
        self.add(
            GaugeSource("rayrealm_actor_up", "Whether the actor answered last time", self._known(self._up), "actor"),
            CounterSource(
                "rayrealm_actor_checks_failed_total",
                "Health checks without an answer",
                self._known(self._failures),
                "actor",
            ),
        )

    def checked(self, name: str, well: bool) -> None:
        """An actor answered its health check, or did not."""
        self._up[name] = float(well)
        self._failures[name] = self._failures.get(name, 0) + (not well)
        self._checked[name] = self._clock()

    def _known(self, values: dict[str, float]) -> Callable[[], Mapping[str, float]]:
        def read() -> Mapping[str, float]:
            until = self._clock() - FORGET_S
            for name in [name for name, at in self._checked.items() if at < until]:
                del self._up[name], self._failures[name], self._checked[name]
            return values

        return read

    def watch(
        self,
        zones: Callable[[], Mapping[str, bool]],
        nodes: Callable[[], Mapping[str, int]],
        plans: Mapping[str, int],
        planning: Callable[[], bool],
    ) -> None:
        """Once the world is known. `zones`: whether each zone of the map has an owner; `nodes`: how many are `fit` and `draining`;
        `plans`: how many ended how; `planning`: one is being carried out.
        """
        self.add(
            GaugeSource(
                "rayrealm_zone_owned",
                "Whether somebody answered as the zone's owner last time",
                lambda: {zone: float(owned) for zone, owned in zones().items()},
                "zone_id",
            ),
            GaugeSource("rayrealm_nodes", "Nodes that are alive", nodes, "state"),
            CounterSource("rayrealm_plans_total", "Plans that ended: split, merge, move", lambda: plans, "outcome"),
            GaugeSource("rayrealm_plan_running", "Whether a plan is being carried out", lambda: float(planning())),
        )


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
