"""What the watch on abuse measures."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.telemetry.watch_metrics import WatchMetrics


@dataclass
class Enforcing:
    waiting: int = 2
    lost: int = 1


def test_all_of_it() -> None:
    metrics = WatchMetrics()
    metrics.watch(["usr_a"], Enforcing())
    metrics.judged("replay", "block")
    metrics.judged("replay", "block")
    metrics.reported(30, [0.5, 0.91], 0.002)
    metrics.reported(1, [], 0.001)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert value("rayrealm_abuse_judgements_total", reason="replay", level="block") == 2
    assert value("rayrealm_abuse_reports_total") == 2
    assert value("rayrealm_abuse_sessions_total") == 31
    assert value("rayrealm_abuse_anomaly_score_count") == 2
    assert value("rayrealm_abuse_anomaly_score_bucket", le="0.9") == 1
    assert value("rayrealm_abuse_report_seconds_count") == 2
    assert value("rayrealm_abuse_subjects") == 1
    assert value("rayrealm_abuse_waiting") == 2
    assert value("rayrealm_abuse_lost_total") == 1
