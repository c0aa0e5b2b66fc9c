"""What a zone measures (row 5.4): ticks, who is in it, what becomes of moves and calls, and what waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import Protocol

from prometheus_client import CollectorRegistry

from cluster.telemetry.collectors import AnySource, CounterSource, GaugeSource, HistogramSource
from cluster.telemetry.counts import PlainHistogram, exponential
from cluster.telemetry.metrics import Labels, Metrics

TICK_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 1.0)
STORE_S = exponential(0.001, 2, 12)


class WatchedIntake(Protocol):
    """What becomes of moves: totals since the zone started."""

    @property
    def applied(self) -> int: ...
    @property
    def refused(self) -> Mapping[str, int]: ...
    @property
    def dropped(self) -> Mapping[str, int]: ...
    @property
    def waiting(self) -> int: ...


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
    def players(self) -> int: ...
    @property
    def ghosts(self) -> int: ...
    @property
    def handed_over(self) -> int: ...
    @property
    def admitted(self) -> int: ...


class WatchedTimes(Protocol):
    @property
    def overruns(self) -> int: ...


class WatchedWriter(Protocol):
    """What is written to the store: totals, and what waits."""

    @property
    def commits(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def waiting(self) -> int: ...


class WatchedAnnouncements(Sized, Protocol):
    @property
    def lost(self) -> int: ...


class WatchedTransit(Protocol):
    @property
    def under_way(self) -> Sized: ...


class WatchedOwner(Protocol):
    """Around the zone: what an incarnation works with."""

    @property
    def times(self) -> WatchedTimes: ...
    @property
    def writer(self) -> WatchedWriter: ...
    @property
    def announcements(self) -> WatchedAnnouncements: ...
    @property
    def transit(self) -> WatchedTransit: ...
    @property
    def desk(self) -> WatchedDesk: ...


class WatchedDesk(Protocol):
    """Totals by method, and by reason; and what waits for a tick."""

    @property
    def waiting(self) -> int: ...

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
        self._owner: WatchedOwner | None = None
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

    def watch(self, zone: WatchedZone, owner: WatchedOwner) -> None:
        """Whenever an incarnation of the zone has started here: totals are its own."""
        first, self._watched, self._owner = self._watched is None, zone, owner
        if not first:
            return
        fixed, now = self._zone, self._present
        self.add(
            *self._around(),
            GaugeSource("game_zone_population", "Players in the zone", lambda: now().players, fixed=fixed),
            GaugeSource("rayrealm_zone_entities", "Entities of the zone, players too", lambda: now().own, fixed=fixed),
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

    def _around(self) -> Iterable[AnySource]:
        """Of what an incarnation works with."""
        fixed = self._zone

        def now() -> WatchedOwner:
            assert self._owner is not None  # noqa: S101 - sources are added when there is one
            return self._owner

        yield CounterSource(
            "rayrealm_zone_tick_overruns_total",
            "Ticks whose work took longer than a tick may",
            lambda: now().times.overruns,
            fixed=fixed,
        )
        yield GaugeSource(
            "rayrealm_zone_queue",
            "What waits: moves and calls for the next tick, entities to be written, messages for topics, "
            "zones that entities are being handed over to",
            lambda: {
                "moves": self._present().intake.waiting,
                "calls": now().desk.waiting,
                "writes": now().writer.waiting,
                "announcements": len(now().announcements),
                "handing_over": len(now().transit.under_way),
            },
            "queue",
            fixed,
        )
        yield CounterSource(
            "rayrealm_zone_commits_total",
            "Groups of changes that were written",
            lambda: now().writer.commits,
            fixed=fixed,
        )
        yield CounterSource(
            "rayrealm_zone_commit_failures_total",
            "Tries to write that the store did not take; they are repeated",
            lambda: now().writer.failures,
            fixed=fixed,
        )
        yield CounterSource(
            "rayrealm_zone_announcements_lost_total",
            "Messages of the game for topics that nobody will get: too many waited, or the store refused them",
            lambda: now().announcements.lost,
            fixed=fixed,
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
