from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cluster.errors import NotFound
from cluster.telemetry.counts import DEPENDENCY_ERRORS, BusCounts
from cluster.telemetry.gateway_metrics import GatewayMetrics
from cluster.telemetry.metrics import (
    PresenceMetrics,
    SessionMetrics,
    SupervisorMetrics,
    WebMetrics,
    ZoneMetrics,
    watch_bus,
)

ZONE = {"zone_id": "zon_meadow"}


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


@dataclass
class FakeIntake:
    applied: int = 50
    refused: Counter[str] = field(default_factory=lambda: Counter(too_fast=3))
    dropped: Counter[str] = field(default_factory=lambda: Counter(torn=1))


@dataclass
class FakeZone:
    epoch: int = 7
    ticks: int = 100
    resyncs: int = 2
    intake: FakeIntake = field(default_factory=lambda: FakeIntake())
    own: int = 2
    ghosts: int = 5
    handed_over: int = 11
    admitted: int = 13


@dataclass
class FakeGame:
    errors: Counter[str] = field(default_factory=lambda: Counter(on_tick=2))
    slow: Counter[str] = field(default_factory=lambda: Counter(on_enter=1))


class TestZone:
    def test_what_the_zone_counts_is_read_at_the_scrape(self) -> None:
        metrics, zone = ZoneMetrics("zon_meadow"), FakeZone()
        metrics.watch(zone)
        zone.intake.applied += 1
        zone.own += 1
        zone.intake.refused["stale_sequence"] += 2
        registry = metrics.registry
        assert value(registry, "game_zone_population", **ZONE) == 3
        assert value(registry, "rayrealm_zone_ghosts", **ZONE) == 5
        assert value(registry, "rayrealm_zone_handed_over_total", **ZONE) == 11
        assert value(registry, "rayrealm_zone_admitted_total", **ZONE) == 13
        assert value(registry, "rayrealm_zone_resyncs_total", **ZONE) == 2
        assert value(registry, "rayrealm_zone_epoch", **ZONE) == 7
        assert value(registry, "rayrealm_zone_ticks_total", **ZONE) == 100
        assert value(registry, "rayrealm_zone_moves_applied_total", **ZONE) == 51
        assert value(registry, "rayrealm_zone_moves_refused_total", reason="too_fast", **ZONE) == 3
        assert value(registry, "rayrealm_zone_moves_refused_total", reason="stale_sequence", **ZONE) == 2
        assert value(registry, "rayrealm_zone_inputs_dropped_total", reason="torn", **ZONE) == 1

    def test_the_next_incarnation_in_the_same_process_takes_over(self) -> None:
        metrics = ZoneMetrics("zon_meadow")
        metrics.watch(FakeZone())
        metrics.watch(FakeZone(epoch=9, own=4))
        assert value(metrics.registry, "rayrealm_zone_epoch", **ZONE) == 9
        assert value(metrics.registry, "game_zone_population", **ZONE) == 4

    def test_the_game_s_hooks(self) -> None:
        metrics = ZoneMetrics("zon_meadow")
        metrics.watch_game(FakeGame())
        assert value(metrics.registry, "rayrealm_game_errors_total", hook="on_tick", **ZONE) == 2
        metrics.watch_game(FakeGame(errors=Counter(on_tick=3)))
        assert value(metrics.registry, "rayrealm_game_errors_total", hook="on_tick", **ZONE) == 3
        assert value(metrics.registry, "rayrealm_game_slow_total", hook="on_enter", **ZONE) == 1

    def test_ticks_and_checkpoints(self) -> None:
        metrics = ZoneMetrics("zon_meadow")
        metrics.ticked(0.004, 0)
        metrics.ticked(0.2, 3)
        metrics.tick_failed()
        metrics.checkpointed(0.003)
        metrics.checkpoint_failed()
        registry = metrics.registry
        assert value(registry, "rayrealm_zone_tick_seconds_bucket", le="0.005", **ZONE) == 1
        assert value(registry, "rayrealm_zone_tick_seconds_count", **ZONE) == 2
        assert value(registry, "rayrealm_zone_tick_seconds_sum", **ZONE) == pytest.approx(0.204)
        assert value(registry, "rayrealm_zone_ticks_skipped_total", **ZONE) == 3
        assert value(registry, "rayrealm_zone_tick_failures_total", **ZONE) == 1
        assert value(registry, "rayrealm_zone_checkpoint_seconds_count", **ZONE) == 1
        assert value(registry, "rayrealm_zone_checkpoint_failures_total", **ZONE) == 1


class TestActors:
    def test_session_calls_by_outcome(self) -> None:
        metrics = SessionMetrics("sessions/0")
        with metrics.call("attach"):
            pass
        with pytest.raises(NotFound), metrics.call("attach"):
            raise NotFound("not_found")
        with pytest.raises(RuntimeError), metrics.call("attach"):
            raise RuntimeError
        for outcome in ("done", "refused", "failed"):
            labels = {"method": "attach", "outcome": outcome}
            assert value(metrics.registry, "rayrealm_session_calls_total", **labels) == 1
        assert value(metrics.registry, "rayrealm_session_call_seconds_count", method="attach") == 3

    def test_sessions_held(self) -> None:
        @dataclass
        class Host:
            sessions: dict[str, str]

        metrics, host = SessionMetrics("sessions/0"), Host({})
        metrics.watch(host)
        host.sessions["ses_1"] = ""
        assert value(metrics.registry, "rayrealm_sessions", actor="sessions/0") == 1

    def test_users_online(self) -> None:
        metrics = PresenceMetrics("presence")
        metrics.watch(["usr_1", "usr_2"])
        assert value(metrics.registry, "game_active_users", actor="presence") == 2

    def test_health_checks(self) -> None:
        metrics = SupervisorMetrics()
        for well in (True, False, False):
            metrics.checked("zone/zon_meadow", well)
        assert value(metrics.registry, "rayrealm_actor_up", actor="zone/zon_meadow") == 0
        assert value(metrics.registry, "rayrealm_actor_checks_failed_total", actor="zone/zon_meadow") == 2


class TestGateway:
    def test_sockets(self) -> None:
        metrics = GatewayMetrics(["system.ping"], [1000, 4001, 4002])
        metrics.opened += 3
        metrics.closed(4001, 10.0)
        metrics.closed(4002, 40_000.0)
        metrics.refused("token_expired")
        metrics.failed("reset")
        registry = metrics.registry
        assert value(registry, "websocket_active_connections") == 1
        assert value(registry, "websocket_connections_total") == 3
        assert value(registry, "websocket_connection_duration_seconds_bucket", le="16.0") == 1
        assert value(registry, "websocket_connection_duration_seconds_bucket", le="16384.0") == 1
        assert value(registry, "websocket_connection_duration_seconds_count") == 2
        assert value(registry, "rayrealm_gateway_closes_total", code="1000") == 0
        assert value(registry, "rayrealm_gateway_closes_total", code="4001") == 1
        assert value(registry, "rayrealm_gateway_slow_consumers_total") == 1
        assert value(registry, "rayrealm_gateway_heartbeat_timeouts_total") == 1
        assert value(registry, "rayrealm_gateway_upgrades_refused_total", reason="token_expired") == 1
        assert value(registry, "websocket_connection_errors_total", reason="reset") == 1

    def test_messages(self) -> None:
        metrics = GatewayMetrics(["system.ping"], [1000])
        for method in ("system.ping", "made.up", "usr_1"):
            metrics.received.add(method)
            metrics.latency_s.observe(method, 0.003)
        metrics.sent.add("view")
        metrics.size_bytes.observe("out", 100)
        metrics.processing_s.observe(0.000_1)
        metrics.compression.observe(0.25)
        metrics.protocol_error("parse_error")
        metrics.views.sent += 2
        metrics.watch_queues(lambda: 5)
        registry = metrics.registry
        assert value(registry, "websocket_messages_received_total", method="system.ping") == 1
        assert value(registry, "websocket_messages_received_total", method="unknown") == 2
        assert value(registry, "websocket_messages_received_total", method="usr_1") is None
        assert value(registry, "websocket_message_latency_seconds_bucket", method="unknown", le="0.004") == 2
        assert value(registry, "websocket_message_latency_seconds_bucket", method="unknown", le="0.512") == 2
        assert value(registry, "websocket_messages_sent_total", kind="view") == 1
        assert value(registry, "websocket_message_size_bytes_sum", direction="out") == 100
        assert value(registry, "websocket_processing_time_seconds_count") == 1
        assert value(registry, "websocket_compression_ratio_count") == 1
        assert value(registry, "websocket_protocol_errors_total", reason="parse_error") == 1
        assert value(registry, "rayrealm_gateway_views_sent_total") == 2
        assert value(registry, "websocket_queue_depth") == 5

    def test_one_registry_for_sockets_and_http(self) -> None:
        gateway = GatewayMetrics(["system.ping"], [1000])
        web = WebMetrics(["/v1/characters/{id}"], gateway.registry)
        web.answered("/v1/characters/{id}", 200, 0.01)
        web.answered("/etc/passwd", 404, 0.01)
        assert value(web.registry, "rayrealm_http_requests_total", route="unknown", status="404") == 1
        assert value(web.registry, "rayrealm_http_request_seconds_count", route="/v1/characters/{id}") == 1
        assert value(web.registry, "websocket_active_connections") == 0


class TestEveryProcess:
    def test_the_process_itself_the_bus_and_failed_calls(self) -> None:
        registry, counts = SupervisorMetrics().registry, BusCounts(published=3)
        watch_bus(registry, counts)
        counts.published += 1
        before = DEPENDENCY_ERRORS.get("redis", 0)
        DEPENDENCY_ERRORS.add("redis")
        assert value(registry, "rayrealm_bus_published_total") == 4
        assert value(registry, "rayrealm_dependency_errors_total", dependency="redis") == before + 1
        for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"):
            assert (value(registry, f"process_{name}") or 0) > 0

    def test_the_page_can_be_parsed(self) -> None:
        metrics = ZoneMetrics("zon_meadow")
        metrics.watch(FakeZone())
        names = {f.name for f in text_string_to_metric_families(generate_latest(metrics.registry).decode())}
        assert {"rayrealm_zone_tick_seconds", "game_zone_population", "process_resident_memory_bytes"} <= names
