"""What a process tells other services (row 4.3): events by stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry

from cluster.telemetry.collectors import CounterSource, CountsCollector, GaugeSource
from cluster.telemetry.counts import Tally

STREAMS = ("presence", "state", "position")
TEXTS = {
    "published": "Events handed over for sending",
    "kept": "Events that JetStream has acknowledged; places are not acknowledged",
    "suppressed": "... of those, how many it had already",
    "repeated": "Events sent again because no acknowledgement came in time",
    "dropped": "Events that were given up",
}


class EventCounts:
    """By stream, since the process started."""

    def __init__(self) -> None:
        self.published, self.kept, self.suppressed, self.repeated, self.dropped = (Tally(STREAMS) for _ in TEXTS)
        self.streams_ready = False


def watch_events(registry: CollectorRegistry, counts: EventCounts, waiting: Callable[[], int]) -> None:
    """Add them to the process's metrics. `waiting`: how many are not acknowledged yet."""

    def by_stream(name: str) -> Callable[[], Mapping[str, float]]:
        return lambda: getattr(counts, name)

    registry.register(
        CountsCollector(
            [
                *(
                    CounterSource(f"rayrealm_events_{name}_total", text, by_stream(name), "stream")
                    for name, text in TEXTS.items()
                ),
                GaugeSource("rayrealm_events_waiting", "Events not acknowledged yet", waiting),
                GaugeSource(
                    "rayrealm_event_streams_ready",
                    "Whether the streams are there, as far as this process knows",
                    lambda: float(counts.streams_ready),
                ),
            ]
        )
    )
