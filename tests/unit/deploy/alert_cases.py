"""For each alert series that fire it, and series that do not (in promtool's notation, a sample every 15 s)."""

from __future__ import annotations

from dataclasses import dataclass, field

Series = dict[str, str]
UP = 'up{job="rayrealm", process="web", instance="web", kind="web", host="one"}'
ZONE = '{zone_id="zon_a", process="zone/zon_a"}'
GATEWAY = '{process="gtw_1"}'
ON = 'process="web", instance="web", kind="web", host="one", job="rayrealm"'
WEB = {"process": "web", "instance": "web", "kind": "web", "host": "one", "job": "rayrealm"}
OF_ZONE = {"zone_id": "zon_a", "process": "zone/zon_a"}
STEADY = "0+15x80"  # 1 a second
STILL = "5+0x80"
LATE = {"0.128": "0+0x80", "0.256": "0+0x80", "0.512": "0+150x80", "+Inf": "0+150x80"}
EARLY = {"0.128": "0+150x80", "0.256": "0+150x80", "0.512": "0+150x80", "+Inf": "0+150x80"}


@dataclass(frozen=True, slots=True)
class Case:
    """`labels` the alert has besides its name and severity; `says`: the value as its description has it; `at`: when it is there."""

    fires: Series
    quiet: Series
    labels: dict[str, str] = field(default_factory=dict)
    says: str = ""
    at: str = "15m"


def histogram(name: str, buckets: Series, labels: str = "") -> Series:
    rest = f", {labels}" if labels else ""
    return {f'{name}_bucket{{le="{le}"{rest}}}': values for le, values in buckets.items()}


def rising(metric: str, **labels: str) -> Case:
    """Fires when the counter rises by one now and then, and not while it stands still."""
    said = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    series = f"{metric}{{{said}}}" if said else metric
    return Case({series: "0+0x40 1+0x40"}, {series: STILL}, dict(labels), at="11m")


CASES: dict[str, Case] = {
    # processes
    "Down": Case({UP: "0x80"}, {UP: "1x80"}),
    "ProcessDown": Case({UP: "1x20 0x60"}, {UP: "1x80"}, WEB, at="8m"),
    "ProcessRestarts": Case(
        {f"process_start_time_seconds{{{ON}}}": "100+100x4 500x76"},
        {f"process_start_time_seconds{{{ON}}}": "100 200 300x78"},
        WEB,
        "4",
        "10m",
    ),
    "FileDescriptors": Case(
        {f"process_open_fds{{{ON}}}": "900x80", f"process_max_fds{{{ON}}}": "1000x80"},
        {f"process_open_fds{{{ON}}}": "700x80", f"process_max_fds{{{ON}}}": "1000x80"},
        WEB,
        "90%",
    ),
    "VersionsMixed": Case(
        {
            'rayrealm_build_info{version="1", process="a"}': "1x300",
            'rayrealm_build_info{version="2", process="b"}': "1x300",
        },
        {
            'rayrealm_build_info{version="2", process="a"}': "1x300",
            'rayrealm_build_info{version="2", process="b"}': "1x300",
        },
        says="2",
        at="61m",
    ),
    "GameErrors": Case(
        {'rayrealm_game_errors_total{zone_id="zon_a", hook="on_tick"}': STEADY},
        {'rayrealm_game_errors_total{zone_id="zon_a", hook="on_tick"}': STILL},
        {"zone_id": "zon_a", "hook": "on_tick"},
        "1",
    ),
    # zones
    "ZoneAway": Case(
        {'rayrealm_zone_owned{zone_id="zon_a"}': "1x10 0x70"},
        {'rayrealm_zone_owned{zone_id="zon_a"}': "1x80"},
        {"zone_id": "zon_a"},
    ),
    "SupervisorAway": Case({UP: "1x80"}, {'rayrealm_zone_owned{zone_id="zon_a"}': "1x80"}),
    "TickOverruns": Case(
        {f"rayrealm_zone_tick_overruns_total{ZONE}": "0+30x80", f"rayrealm_zone_ticks_total{ZONE}": "0+300x80"},
        {f"rayrealm_zone_tick_overruns_total{ZONE}": "0+3x80", f"rayrealm_zone_ticks_total{ZONE}": "0+300x80"},
        {"zone_id": "zon_a"},
        "10%",
    ),
    "TicksSkipped": Case(
        {f"rayrealm_zone_ticks_skipped_total{ZONE}": "0+60x80"},
        {f"rayrealm_zone_ticks_skipped_total{ZONE}": "0+3x80"},
        {"zone_id": "zon_a"},
        "4",
    ),
    "TickFailures": rising("rayrealm_zone_tick_failures_total", zone_id="zon_a"),
    "CheckpointsFail": Case(
        {f"rayrealm_zone_checkpoint_failures_total{ZONE}": STEADY},
        {f"rayrealm_zone_checkpoint_failures_total{ZONE}": "0+0x10 1x70"},
        {"zone_id": "zon_a"},
    ),
    "ZoneQueueGrows": Case(
        {'rayrealm_zone_queue{zone_id="zon_a", queue="writes"}': "0+100x80"},
        {
            'rayrealm_zone_queue{zone_id="zon_a", queue="writes"}': "900x80",
            'rayrealm_zone_queue{zone_id="zon_a", queue="calls"}': "1500x80",
            'rayrealm_zone_queue{zone_id="zon_a", queue="moves"}': "5000x80",
        },
        {"zone_id": "zon_a", "queue": "writes"},
        "6k",
    ),
    "MovesDropped": Case(
        {'rayrealm_zone_inputs_dropped_total{zone_id="zon_a", reason="overflow"}': "0+150x80"},
        {
            'rayrealm_zone_inputs_dropped_total{zone_id="zon_a", reason="overflow"}': "0+3x80",
            'rayrealm_zone_inputs_dropped_total{zone_id="zon_a", reason="handed_over"}': "0+150x80",
        },
        {"zone_id": "zon_a", "reason": "overflow"},
        "10",
    ),
    "CallsDropped": Case(
        {'rayrealm_zone_calls_dropped_total{zone_id="zon_a", reason="full"}': STEADY},
        {'rayrealm_zone_calls_dropped_total{zone_id="zon_a", reason="full"}': STILL},
        {"zone_id": "zon_a", "reason": "full"},
        "1",
    ),
    "AnnouncementsLost": rising("rayrealm_zone_announcements_lost_total", zone_id="zon_a"),
    "PlanRolledBack": rising("rayrealm_plans_total", outcome="rolled back"),
    "PlanStuck": Case({"rayrealm_plan_running": "1x80"}, {"rayrealm_plan_running": "1x20 0x7 1x52"}),
    # gateways
    "AnswersSlow": Case(
        histogram("websocket_message_latency_seconds", LATE),
        histogram("websocket_message_latency_seconds", EARLY),
        says="509.4ms",
    ),
    "GatewayFull": Case(
        {f"websocket_active_connections{GATEWAY}": "950x80", f"rayrealm_gateway_capacity{GATEWAY}": "1000x80"},
        {f"websocket_active_connections{GATEWAY}": "850x80", f"rayrealm_gateway_capacity{GATEWAY}": "1000x80"},
        {"process": "gtw_1"},
        "95%",
    ),
    "GatewaysFull": Case(
        {
            f"websocket_active_connections{GATEWAY}": "880x80",
            'websocket_active_connections{process="gtw_2"}': "880x80",
            f"rayrealm_gateway_capacity{GATEWAY}": "1000x80",
            'rayrealm_gateway_capacity{process="gtw_2"}': "1000x80",
        },
        {
            f"websocket_active_connections{GATEWAY}": "880x80",
            'websocket_active_connections{process="gtw_2"}': "100x80",
            f"rayrealm_gateway_capacity{GATEWAY}": "1000x80",
            'rayrealm_gateway_capacity{process="gtw_2"}': "1000x80",
        },
        says="88%",
    ),
    "UpgradesRefused": Case(
        {'rayrealm_gateway_upgrades_refused_total{process="gtw_1", reason="full"}': "0+60x80"},
        {'rayrealm_gateway_upgrades_refused_total{process="gtw_1", reason="token_expired"}': "0+60x80"},
        {"reason": "full"},
        "4",
    ),
    "ClientQueuesGrow": Case(
        {f"websocket_queue_depth{GATEWAY}": "33554432+1048576x80"},
        {f"websocket_queue_depth{GATEWAY}": "33554432x80"},
        {"process": "gtw_1"},
        "92Mi",
    ),
    "SlowConsumers": Case(
        {f"rayrealm_gateway_slow_consumers_total{GATEWAY}": STEADY},
        {f"rayrealm_gateway_slow_consumers_total{GATEWAY}": "0+1x80"},
        {"process": "gtw_1"},
        "1",
    ),
    "SocketsLost": Case(
        {'websocket_connection_errors_total{process="gtw_1", reason="lost"}': "0+150x80"},
        {'websocket_connection_errors_total{process="gtw_1", reason="lost"}': STEADY},
        {"reason": "lost"},
        "10",
    ),
    "ConsequencesLost": rising("rayrealm_gateway_consequences_lost_total", reason="no_room"),
    "OldIncarnationSpeaks": Case(
        {'rayrealm_epoch_refusals_total{process="gtw_1", kind="zone_output"}': STEADY},
        {
            'rayrealm_epoch_refusals_total{process="gtw_1", kind="zone_output"}': STILL,
            'rayrealm_epoch_refusals_total{process="web", kind="zone"}': STEADY,
        },
        {"kind": "zone_output"},
    ),
    "Fenced": Case(
        {'rayrealm_epoch_refusals_total{process="web", kind="zone"}': "0+0x40 1+0x40"},
        {'rayrealm_epoch_refusals_total{process="gtw_1", kind="zone_output"}': STEADY},
        {"kind": "zone"},
        at="11m",
    ),
    # sessions
    "RecoveriesFail": Case(
        {
            'rayrealm_gateway_attaches_total{process="gtw_1", outcome="resumed"}': "0+15x80",
            'rayrealm_gateway_attaches_total{process="gtw_1", outcome="recovered"}': "0+45x80",
        },
        {
            'rayrealm_gateway_attaches_total{process="gtw_1", outcome="resumed"}': "0x80",
            'rayrealm_gateway_attaches_total{process="gtw_1", outcome="recovered"}': "0+45x80",
        },
        says="25%",
    ),
    "SessionGaps": rising("rayrealm_session_gaps_total"),
    "SessionCallsFail": Case(
        {
            'rayrealm_session_calls_total{method="attach", outcome="failed"}': "0+15x80",
            'rayrealm_session_calls_total{method="attach", outcome="done"}': "0+135x80",
        },
        {
            'rayrealm_session_calls_total{method="attach", outcome="refused"}': "0+15x80",
            'rayrealm_session_calls_total{method="attach", outcome="done"}': "0+135x80",
        },
        says="10%",
    ),
    "LaneWaits": Case(
        {'rayrealm_session_lane_waiting{actor="sessions/0"}': "5000x80"},
        {'rayrealm_session_lane_waiting{actor="sessions/0"}': "500x80"},
        {"actor": "sessions/0"},
        "5k",
    ),
    "OutboxesGrow": Case(
        {
            'rayrealm_session_outbox_bytes{actor="sessions/0"}': "2097152x80",
            'rayrealm_sessions{actor="sessions/0"}': "10x80",
        },
        {
            'rayrealm_session_outbox_bytes{actor="sessions/0"}': "2097152x80",
            'rayrealm_sessions{actor="sessions/0"}': "100x80",
        },
        {"actor": "sessions/0"},
        "204.8ki",
    ),
    # dependencies
    "RedisAway": Case(
        {'rayrealm_redis_up{process="web"}': "0x80"}, {'rayrealm_redis_up{process="web"}': "1x80"}, {"process": "web"}
    ),
    "RedisNotSaving": Case(
        {'rayrealm_redis_saving{process="web"}': "0x80", 'rayrealm_redis_up{process="web"}': "1x80"},
        {'rayrealm_redis_saving{process="web"}': "0x80", 'rayrealm_redis_up{process="web"}': "0x80"},
        {"process": "web"},
    ),
    "RedisEvicts": rising("rayrealm_redis_evicted_keys_total", process="web"),
    "RedisMemory": Case(
        {
            'rayrealm_redis_memory_bytes{process="web"}': "90x80",
            'rayrealm_redis_memory_limit_bytes{process="web"}': "100x80",
        },
        {
            'rayrealm_redis_memory_bytes{process="web"}': "90x80",
            'rayrealm_redis_memory_limit_bytes{process="web"}': "0x80",
        },
        {"process": "web"},
        "90%",
    ),
    "RedisConnections": Case(
        {'rayrealm_redis_clients{process="web"}': "90x80", 'rayrealm_redis_clients_limit{process="web"}': "100x80"},
        {'rayrealm_redis_clients{process="web"}': "70x80", 'rayrealm_redis_clients_limit{process="web"}': "100x80"},
        {"process": "web"},
        "90%",
    ),
    "RedisSlow": Case(
        histogram("rayrealm_dependency_seconds", LATE, 'dependency="redis"'),
        histogram("rayrealm_dependency_seconds", LATE, 'dependency="nats"')
        | histogram("rayrealm_dependency_seconds", {"0.05": STEADY, "+Inf": STEADY}, 'dependency="redis"'),
        says="509.4ms",
    ),
    "NatsAway": Case(
        {'rayrealm_bus_connected{process="web"}': "0x80"},
        {'rayrealm_bus_connected{process="web"}': "1x80"},
        {"process": "web"},
    ),
    "NatsSlow": Case(
        histogram("rayrealm_dependency_seconds", LATE, 'dependency="nats"'),
        histogram("rayrealm_dependency_seconds", LATE, 'dependency="redis"')
        | histogram("rayrealm_dependency_seconds", {"0.05": STEADY, "+Inf": STEADY}, 'dependency="nats"'),
        says="509.4ms",
    ),
    "BusDrops": Case(
        {"rayrealm_bus_dropped_total" + GATEWAY: "0+15x80"},
        {"rayrealm_bus_dropped_total" + GATEWAY: STILL},
        {"process": "gtw_1"},
        "300",
    ),
    "EventsDropped": rising("rayrealm_events_dropped_total", stream="state"),
    "PartsDegraded": Case(
        {f"rayrealm_gateway_degraded_parts{GATEWAY}": "2x80"},
        {f"rayrealm_gateway_degraded_parts{GATEWAY}": "0x80"},
        {"process": "gtw_1"},
        "2",
    ),
    "DependencyErrors": Case(
        {'rayrealm_dependency_errors_total{process="gtw_1", dependency="ray"}': "0+60x80"},
        {'rayrealm_dependency_errors_total{process="gtw_1", dependency="ray"}': "0+1x80"},
        {"dependency": "ray"},
        "4",
    ),
    "BreakerOpen": Case(
        {'rayrealm_breakers_open{process="gtw_1", dependency="redis"}': "1x80"},
        {'rayrealm_breakers_open{process="gtw_1", dependency="redis"}': "0x80"},
        {"process": "gtw_1", "dependency": "redis"},
        "1",
    ),
    "HttpErrors": Case(
        {
            'rayrealm_http_requests_total{route="/v1/realm", status="500"}': "0+15x80",
            'rayrealm_http_requests_total{route="/v1/realm", status="200"}': "0+135x80",
        },
        {
            'rayrealm_http_requests_total{route="/v1/realm", status="404"}': "0+15x80",
            'rayrealm_http_requests_total{route="/v1/realm", status="200"}': "0+135x80",
        },
        says="10%",
    ),
    # nodes
    "NodeLost": Case({UP: "1x20 stale"}, {UP: "1x80"}, {"host": "one"}, "1", "13m"),
    "NodeMemory": Case(
        {f"rayrealm_node_memory_available_bytes{{{ON}}}": "5x80", f"rayrealm_node_memory_bytes{{{ON}}}": "100x80"},
        {f"rayrealm_node_memory_available_bytes{{{ON}}}": "20x80", f"rayrealm_node_memory_bytes{{{ON}}}": "100x80"},
        {"host": "one"},
        "95%",
    ),
    "NodeCpu": Case(
        {f'rayrealm_node_cpu_seconds_total{{{ON}, mode="busy"}}': "0+60x80", f"rayrealm_node_cpus{{{ON}}}": "4x80"},
        {f'rayrealm_node_cpu_seconds_total{{{ON}, mode="busy"}}': "0+30x80", f"rayrealm_node_cpus{{{ON}}}": "4x80"},
        {"host": "one"},
        "100%",
        "19m",
    ),
    "DiskFull": Case(
        {
            f'rayrealm_node_disk_free_bytes{{{ON}, path="/"}}': "5x80",
            f'rayrealm_node_disk_bytes{{{ON}, path="/"}}': "100x80",
        },
        {
            f'rayrealm_node_disk_free_bytes{{{ON}, path="/"}}': "20x80",
            f'rayrealm_node_disk_bytes{{{ON}, path="/"}}': "100x80",
        },
        {"host": "one", "path": "/"},
        "95%",
    ),
    "CertificateEnds": Case(
        {'rayrealm_edge_certificate_ends_seconds{process="web"}': "87300x80"},
        {'rayrealm_edge_certificate_ends_seconds{process="web"}': "6048000x80"},
        {"process": "web"},
        "1d 0h 0m 0s",
    ),
    # abuse
    "LoginFlood": Case(
        {'rayrealm_login_attempts_total{outcome="bad_credentials"}': "0+150x80"},
        {'rayrealm_login_attempts_total{outcome="done"}': "0+150x80"},
        says="10",
    ),
    "WatchBans": Case(
        {'rayrealm_abuse_judgements_total{level="ban", reason="flood"}': "0+1x80"},
        {'rayrealm_abuse_judgements_total{level="monitor", reason="flood"}': "0+1x80"},
        {"reason": "flood"},
        "60",
    ),
    "FloodersBanned": Case(
        {f"rayrealm_gateway_flooders_banned_total{GATEWAY}": "0+1x80"},
        {f"rayrealm_gateway_flooders_banned_total{GATEWAY}": STILL},
        says="60",
    ),
    "MeasuresLost": Case({"rayrealm_abuse_lost_total": "0+1x80"}, {"rayrealm_abuse_lost_total": STILL}, says="60"),
    "EdgeRefusals": Case(
        {'rayrealm_edge_refused_total{process="web", reason="too_fast"}': "0+1500x80"},
        {'rayrealm_edge_refused_total{process="web", reason="too_fast"}': STEADY},
        {"reason": "too_fast"},
        "100",
    ),
    # service levels
    "SloBurns": Case(
        {f"rayrealm_zone_tick_overruns_total{ZONE}": "0+30x300", f"rayrealm_zone_ticks_total{ZONE}": "0+300x300"},
        {f"rayrealm_zone_tick_overruns_total{ZONE}": "0+1x300", f"rayrealm_zone_ticks_total{ZONE}": "0+300x300"},
        {"slo": "ticks"},
        "10%",
        "65m",
    ),
}
