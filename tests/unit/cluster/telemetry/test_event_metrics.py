"""What a process that publishes events measures."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from cluster.telemetry.event_metrics import EventCounts, watch_events


def test_counts_are_by_stream() -> None:
    registry, counts = CollectorRegistry(), EventCounts()
    watch_events(registry, counts, lambda: 7)
    counts.published.add("state", 3)
    counts.dropped.add("presence")
    counts.streams_ready = True
    page = generate_latest(registry).decode()
    for line in (
        'rayrealm_events_published_total{stream="state"} 3.0',
        'rayrealm_events_dropped_total{stream="presence"} 1.0',
        'rayrealm_events_kept_total{stream="presence"} 0.0',
        'rayrealm_events_suppressed_total{stream="state"} 0.0',
        'rayrealm_events_repeated_total{stream="position"} 0.0',
        "rayrealm_events_waiting 7.0",
        "rayrealm_event_streams_ready 1.0",
    ):
        assert line in page.splitlines()
