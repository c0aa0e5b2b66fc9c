from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cluster.errors import NotFound
from cluster.settings import Settings
from cluster.telemetry.counts import COMPRESSION, Tally
from cluster.telemetry.gateway_metrics import GatewayMetrics
from cluster.telemetry.metrics import (
    FORGET_S,
    PresenceMetrics,
    SessionMetrics,
    SupervisorMetrics,
    WebMetrics,
)
from cluster.telemetry.zone_metrics import ZoneMetrics

ZONE = {"zone_id": "zon_meadow"}


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


@dataclass
class FakeIntake:
    applied: int = 50
    refused: Counter[str] = field(default_factory=lambda: Counter(too_fast=3))
    dropped: Counter[str] = field(default_factory=lambda: Counter(torn=1))
    waiting: int = 6


@dataclass
class FakeZone:
    epoch: int = 7
    ticks: int = 100
    resyncs: int = 2
    intake: FakeIntake = field(default_factory=lambda: FakeIntake())
    own: int = 2
    players: int = 2
    ghosts: int = 5
    handed_over: int = 11
    admitted: int = 13


@dataclass
class FakeTimes:
    overruns: int = 0


@dataclass
class FakeWriter:
    commits: int = 9
    failures: int = 2
    waiting: int = 4


class FakeAnnouncements(list[str]):
    lost = 5


@dataclass
class FakeTransit:
    under_way: set[str] = field(default_factory=lambda: {"zon_east"})


@dataclass
class FakeDesk:
    waiting: int = 3
    done: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass
class FakeOwner:
    times: FakeTimes = field(default_factory=FakeTimes)
    writer: FakeWriter = field(default_factory=FakeWriter)
    announcements: FakeAnnouncements = field(default_factory=lambda: FakeAnnouncements(["x"]))
    transit: FakeTransit = field(default_factory=FakeTransit)
    desk: FakeDesk = field(default_factory=FakeDesk)


@dataclass
class FakeGame:
    errors: Counter[str] = field(default_factory=lambda: Counter(on_tick=2))
    slow: Counter[str] = field(default_factory=lambda: Counter(on_enter=1))


class TestZone:
    def test_what_the_zone_counts_is_read_at_the_scrape(self) -> None:
        metrics, zone = ZoneMetrics("zon_meadow"), FakeZone()
        metrics.watch(zone, FakeOwner())
        zone.intake.applied += 1
        zone.own += 1
        zone.players += 2
        zone.intake.refused["stale_sequence"] += 2
        registry = metrics.registry
        assert value(registry, "game_zone_population", **ZONE) == 4
        assert value(registry, "rayrealm_zone_entities", **ZONE) == 3
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

    def test_what_waits_and_what_is_lost(self) -> None:
        metrics = ZoneMetrics("zon_meadow")
        metrics.watch(FakeZone(), FakeOwner(FakeTimes(8)))
        registry = metrics.registry
        waiting = {"moves": 6, "calls": 3, "writes": 4, "announcements": 1, "handing_over": 1}
        for queue, depth in waiting.items():
            assert value(registry, "rayrealm_zone_queue", queue=queue, **ZONE) == depth
        assert value(registry, "rayrealm_zone_tick_overruns_total", **ZONE) == 8
        assert value(registry, "rayrealm_zone_commits_total", **ZONE) == 9
        assert value(registry, "rayrealm_zone_commit_failures_total", **ZONE) == 2
        assert value(registry, "rayrealm_zone_announcements_lost_total", **ZONE) == 5

    def test_the_next_incarnation_in_the_same_process_takes_over(self) -> None:
        metrics = ZoneMetrics("zon_meadow")
        metrics.watch(FakeZone(), FakeOwner())
        metrics.watch(FakeZone(epoch=9, players=4), FakeOwner(FakeTimes(3)))
        assert value(metrics.registry, "rayrealm_zone_tick_overruns_total", **ZONE) == 3
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

    def test_the_page_can_be_parsed(self) -> None:
        metrics = ZoneMetrics("zon_meadow")
        metrics.watch(FakeZone(), FakeOwner())
        names = {f.name for f in text_string_to_metric_families(generate_latest(metrics.registry).decode())}
        assert {"rayrealm_zone_tick_seconds", "game_zone_population", "process_resident_memory_bytes"} <= names


class FakeOutbox(list[int]):
    def __init__(self, kept: list[int], size: int) -> None:
        super().__init__(kept)
        self.bytes = size


@dataclass
class FakeSession:
    outbox: FakeOutbox


@dataclass
class FakeHost:
    sessions: dict[str, FakeSession]


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
        metrics, host, labels = SessionMetrics("sessions/0"), FakeHost({}), {"actor": "sessions/0"}
        metrics.watch(host)
        host.sessions |= {"ses_1": FakeSession(FakeOutbox([1, 2], 500)), "ses_2": FakeSession(FakeOutbox([3], 20))}
        assert value(metrics.registry, "rayrealm_sessions", **labels) == 2
        assert value(metrics.registry, "rayrealm_session_outbox_messages", **labels) == 3
        assert value(metrics.registry, "rayrealm_session_outbox_bytes", **labels) == 520

    def test_the_reliable_lane(self) -> None:
        @dataclass
        class Lane:
            sent: int = 40
            resent: int = 3
            waiting: int = 7

        class Following(list[str]):
            gaps = 1

        metrics, labels = SessionMetrics("sessions/0"), {"actor": "sessions/0"}
        metrics.watch_lane(Lane(), Following(["chat:general"]))
        read = {
            "reliable_sent_total": 40,
            "reliable_resent_total": 3,
            "session_lane_waiting": 7,
            "session_topics": 1,
            "session_gaps_total": 1,
        }
        for name, expected in read.items():
            assert value(metrics.registry, f"rayrealm_{name}", **labels) == expected

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

    def test_actors_that_are_not_checked_any_more_are_forgotten(self) -> None:
        now = 1_000.0
        metrics = SupervisorMetrics(clock=lambda: now)
        metrics.checked("zone/zon_merged", True)
        now += FORGET_S
        metrics.checked("zone/zon_meadow", True)
        assert value(metrics.registry, "rayrealm_actor_up", actor="zone/zon_merged") == 1
        now += 1.0
        assert value(metrics.registry, "rayrealm_actor_up", actor="zone/zon_merged") is None
        assert value(metrics.registry, "rayrealm_actor_checks_failed_total", actor="zone/zon_merged") is None
        assert value(metrics.registry, "rayrealm_actor_up", actor="zone/zon_meadow") == 1

    def test_the_world(self) -> None:
        metrics, plans = SupervisorMetrics(), Tally(("done", "rolled back"))
        metrics.watch(lambda: {"zon_a": True, "zon_b": False}, lambda: {"fit": 2, "draining": 1}, plans, lambda: True)
        plans.add("done")
        registry = metrics.registry
        assert value(registry, "rayrealm_zone_owned", zone_id="zon_a") == 1
        assert value(registry, "rayrealm_zone_owned", zone_id="zon_b") == 0
        assert value(registry, "rayrealm_nodes", state="draining") == 1
        assert value(registry, "rayrealm_plans_total", outcome="done") == 1
        assert value(registry, "rayrealm_plans_total", outcome="rolled back") == 0
        assert value(registry, "rayrealm_plan_running") == 1


class TestGateway:
    def test_sockets(self) -> None:
        metrics = GatewayMetrics(["system.ping"], [1000, 4001, 4002])
        metrics.opened += 3
        metrics.closed(4001, 10.0)
        metrics.closed(4002, 40_000.0)
        metrics.refused("token_expired")
        metrics.closed(1006, 1.0)
        registry = metrics.registry
        assert value(registry, "websocket_active_connections") == 0
        assert value(registry, "websocket_connections_total") == 3
        assert value(registry, "websocket_connection_duration_seconds_bucket", le="16.0") == 2
        assert value(registry, "websocket_connection_duration_seconds_bucket", le="16384.0") == 2
        assert value(registry, "websocket_connection_duration_seconds_count") == 3
        assert value(registry, "rayrealm_gateway_closes_total", code="1000") == 0
        assert value(registry, "rayrealm_gateway_closes_total", code="4001") == 1
        assert value(registry, "rayrealm_gateway_slow_consumers_total") == 1
        assert value(registry, "rayrealm_gateway_heartbeat_timeouts_total") == 1
        assert value(registry, "rayrealm_gateway_upgrades_refused_total", reason="token_expired") == 1
        assert value(registry, "websocket_connection_errors_total", reason="lost") == 1
        assert value(registry, "websocket_connection_errors_total", reason="too_big") == 0
        assert value(registry, "rayrealm_gateway_closes_total", code="1006") == 1

    def test_messages(self) -> None:
        metrics = GatewayMetrics(["system.ping"], [1000])
        for method in ("system.ping", "made.up", "usr_1"):
            metrics.received.add(method)
            metrics.latency_s.observe(method, 0.003)
            metrics.size_bytes.observe(method, 100)
        metrics.sent.add("answer")
        metrics.processing_s.observe(0.000_1)
        compressed = COMPRESSION.counts[2]
        COMPRESSION.observe(0.25)
        metrics.protocol_error("parse_error")
        metrics.views.sent += 2
        metrics.probed("zone:zon_meadow", 0.03)
        registry = metrics.registry
        assert value(registry, "websocket_messages_received_total", method="system.ping") == 1
        assert value(registry, "websocket_messages_received_total", method="unknown") == 2
        assert value(registry, "websocket_messages_received_total", method="usr_1") is None
        assert value(registry, "websocket_message_latency_seconds_bucket", method="unknown", le="0.004") == 2
        assert value(registry, "websocket_message_latency_seconds_bucket", method="unknown", le="0.512") == 2
        assert value(registry, "websocket_messages_sent_total", kind="answer") == 1
        assert value(registry, "websocket_messages_sent_total", kind="view") == 2
        assert value(registry, "websocket_message_size_bytes_sum", method="system.ping") == 100
        assert value(registry, "websocket_message_size_bytes_sum", method="unknown") == 200
        assert value(registry, "websocket_processing_time_seconds_count") == 1
        assert COMPRESSION.counts[2] == compressed + 1
        assert (value(registry, "websocket_compression_ratio_count") or 0) >= 1
        assert value(registry, "rayrealm_gateway_probe_seconds_bucket", part="zone", le="0.032") == 1
        assert value(registry, "websocket_protocol_errors_total", reason="parse_error") == 1
        assert value(registry, "rayrealm_gateway_views_sent_total") == 2

    def test_what_it_holds_now(self) -> None:
        @dataclass
        class Outgoing:
            queued_bytes: int

        @dataclass
        class Client:
            pending_requests: int
            outgoing: Outgoing

        @dataclass
        class Leaving:
            draining: bool = True

        @dataclass
        class Counted:
            stale_outputs: int = 2
            lost_outputs: int = 0
            crossings: int = 5
            stale: int = 1
            delivered: int = 0
            duplicates: int = 0
            missing: int = 0
            bad_acks: int = 0

        @dataclass
        class Hub:
            clients: dict[str, Client]
            settings: Settings
            leaving: Leaving
            zones: Counted
            reliable: Counted

        clients = {"a": Client(1, Outgoing(100)), "b": Client(2, Outgoing(400))}
        metrics = GatewayMetrics(["system.ping"], [1000])
        hub = Hub(clients, Settings(), Leaving(), Counted(), Counted())
        metrics.watch_hub(hub)
        read = {
            "websocket_queue_depth": 500,
            "rayrealm_gateway_queue_worst_bytes": 400,
            "rayrealm_gateway_requests_waiting": 3,
            "rayrealm_gateway_capacity": hub.settings.gateway.capacity,
            "rayrealm_gateway_draining": 1,
            "rayrealm_gateway_crossings_total": 5,
        }
        for name, expected in read.items():
            assert value(metrics.registry, name) == expected
        assert value(metrics.registry, "rayrealm_epoch_refusals_total", kind="zone_output") == 2
        assert value(metrics.registry, "rayrealm_epoch_refusals_total", kind="reliable_batch") == 1
        clients.clear()
        assert value(metrics.registry, "rayrealm_gateway_queue_worst_bytes") == 0

    def test_one_registry_for_sockets_and_http(self) -> None:
        gateway = GatewayMetrics(["system.ping"], [1000])
        web = WebMetrics(["/v1/characters/{id}"], gateway.registry)
        web.answered("/v1/characters/{id}", 200, 0.01)
        web.answered("/etc/passwd", 404, 0.01)
        assert value(web.registry, "rayrealm_http_requests_total", route="unknown", status="404") == 1
        assert value(web.registry, "rayrealm_http_request_seconds_count", route="/v1/characters/{id}") == 1
        assert value(web.registry, "websocket_active_connections") == 0
