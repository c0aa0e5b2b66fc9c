"""Dashboards of what the realm stands on, and of who means it harm."""

from __future__ import annotations

from cluster.export.dashboards import GATEWAYS, OVERVIEW, SESSIONS, ZONES, Dashboard, graph, number, quantiles, rate

DEPENDENCIES = Dashboard(
    "rayrealm-dependencies",
    "Rayrealm / Dependencies",
    "Redis, NATS, calls of actors, the HTTP API.",
    (
        number("Redis", "short", "rayrealm_redis_up"),
        number("Redis saves", "short", "rayrealm_redis_saving"),
        number("Processes with NATS", "short", "sum(rayrealm_bus_connected)"),
        number("Parts degraded", "short", "max(rayrealm_gateway_degraded_parts)", warn=1),
        number("Breakers open", "short", "sum(rayrealm_breakers_open)", warn=1),
        number("HTTP requests", "ops", rate("rayrealm_http_requests_total")),
        graph("Redis: round trips", "s", *quantiles("rayrealm_dependency_seconds", 'dependency="redis"')),
        graph("NATS: echoes", "s", *quantiles("rayrealm_dependency_seconds", 'dependency="nats"')),
        graph("Calls of actors", "s", *quantiles("rayrealm_dependency_seconds", 'dependency="ray"')),
        graph("Calls that failed", "ops", (rate("rayrealm_dependency_errors_total", "dependency"), "{{dependency}}")),
        graph(
            "Circuit breakers",
            "short",
            ("sum by (dependency) (rayrealm_breakers_open)", "{{dependency}} open"),
            ("sum by (dependency) (increase(rayrealm_breaker_trips_total[1m]))", "{{dependency}} opened"),
        ),
        graph("Failed at once", "ops", (rate("rayrealm_breaker_refused_total", "dependency"), "{{dependency}}")),
        graph(
            "Redis: memory",
            "bytes",
            ("rayrealm_redis_memory_bytes", "used"),
            ("rayrealm_redis_memory_limit_bytes > 0", "limit"),
        ),
        graph("Redis: commands", "ops", (rate("rayrealm_redis_commands_total"), "commands")),
        graph(
            "Redis: connections",
            "short",
            ("rayrealm_redis_clients", "open"),
            ("sum(increase(rayrealm_redis_rejected_connections_total[1m]))", "refused"),
        ),
        graph(
            "NATS: messages",
            "ops",
            (rate("rayrealm_bus_published_total"), "sent"),
            (rate("rayrealm_bus_received_total"), "received"),
            (rate("rayrealm_bus_dropped_total"), "dropped"),
        ),
        graph(
            "NATS: bytes",
            "Bps",
            (rate("rayrealm_bus_published_bytes_total"), "sent"),
            (rate("rayrealm_bus_received_bytes_total"), "received"),
        ),
        graph("NATS: waiting to be sent", "bytes", ("topk(10, rayrealm_bus_pending_bytes)", "{{process}}")),
        graph("HTTP: answers", "ops", (rate("rayrealm_http_requests_total", "status"), "{{status}}"), stacked=True),
        graph("HTTP: time", "s", *quantiles("rayrealm_http_request_seconds")),
        graph(
            "Events for other services",
            "ops",
            (rate("rayrealm_events_kept_total", "stream"), "{{stream}} kept"),
            (rate("rayrealm_events_dropped_total", "stream"), "{{stream}} dropped"),
        ),
    ),
)

ABUSE = Dashboard(
    "rayrealm-abuse",
    "Rayrealm / Abuse",
    "Who is turned away, slowed and banned, and why.",
    (
        graph("Logins", "ops", (rate("rayrealm_login_attempts_total", "outcome"), "{{outcome}}")),
        graph("Registrations", "ops", (rate("rayrealm_register_attempts_total", "outcome"), "{{outcome}}")),
        graph("Turned away at the edge", "ops", (rate("rayrealm_edge_refused_total", "reason"), "{{reason}}")),
        graph("Upgrades refused", "ops", (rate("rayrealm_gateway_upgrades_refused_total", "reason"), "{{reason}}")),
        graph("Messages over a limit", "ops", (rate("rayrealm_gateway_messages_limited_total", "limit"), "{{limit}}")),
        graph("Shared limits", "ops", (rate("rayrealm_gateway_shared_limits_total", "answer"), "{{answer}}")),
        graph(
            "Judgements of the watch",
            "ops",
            (rate("rayrealm_abuse_judgements_total", "reason, level"), "{{level}}: {{reason}}"),
        ),
        graph(
            "Held against",
            "short",
            ("sum(rayrealm_abuse_subjects)", "users and addresses"),
            ("sum(rayrealm_abuse_waiting)", "measures that wait"),
        ),
        graph("Anomaly scores", "short", *quantiles("rayrealm_abuse_anomaly_score")),
        graph(
            "Flooders banned",
            "ops",
            (rate("rayrealm_gateway_flooders_banned_total"), "banned"),
            (rate("rayrealm_abuse_lost_total"), "measures lost"),
        ),
        graph("Tokens of open sockets", "ops", (rate("rayrealm_gateway_tokens_total", "outcome"), "{{outcome}}")),
        graph("Bad signatures", "ops", (rate("rayrealm_gateway_bad_signatures_total", "reason"), "{{reason}}")),
    ),
)

NODES = Dashboard(
    "rayrealm-nodes",
    "Rayrealm / Nodes",
    "Machines and processes.",
    (
        graph("CPU", "percentunit", ('host:node_cpu:ratio_rate5m{host=~"$host"}', "{{host}}"), warn=0.9),
        graph("Memory", "percentunit", ('host:node_memory:ratio{host=~"$host"}', "{{host}}"), warn=0.9),
        graph("Disk", "percentunit", ('host:node_disk:ratio{host=~"$host"}', "{{host}} {{path}}"), warn=0.9),
        graph(
            "Processes", "short", ('count by (host, kind) (up{host=~"$host"} == 1)', "{{host}} {{kind}}"), stacked=True
        ),
        graph(
            "CPU of processes",
            "percentunit",
            ('topk(10, rate(process_cpu_seconds_total{host=~"$host"}[1m]))', "{{process}}"),
            warn=0.9,
            text="Of one CPU: a process's event loop cannot use more.",
        ),
        graph(
            "Memory of processes", "bytes", ('topk(10, process_resident_memory_bytes{host=~"$host"})', "{{process}}")
        ),
        graph(
            "File descriptors",
            "percentunit",
            ('topk(10, process_open_fds{host=~"$host"} / process_max_fds)', "{{process}}"),
            warn=0.8,
        ),
        graph(
            "Starts", "short", ('sum by (kind) (changes(process_start_time_seconds{host=~"$host"}[5m]))', "{{kind}}")
        ),
        graph("Ray's nodes", "short", ("sum by (state) (rayrealm_nodes)", "{{state}}")),
        number("Certificate ends in", "s", "rayrealm_edge_certificate_ends_seconds - time()"),
        number("Spans lost a second", "ops", rate("rayrealm_spans_total", where='outcome=~"failed|dropped"')),
        number("Log lines too many", "ops", rate("rayrealm_log_lines_total", where='outcome="over"')),
    ),
    "host",
    "label_values(rayrealm_build_info, host)",
)

DASHBOARDS = (OVERVIEW, GATEWAYS, ZONES, SESSIONS, DEPENDENCIES, ABUSE, NODES)
