"""Alert rules on what the realm stands on, machines and servers, on abuse, and on service levels."""

from __future__ import annotations

from cluster.export.alerts import GROUPS as OF_THE_REALM
from cluster.export.alerts import Alert, critical, named, warning
from cluster.export.rules import quantile

REDIS, NATS = 'dependency="redis"', 'dependency="nats"'
FAST_BURN = 14.4  # the budget of 30 days would be gone in two (SRE Workbook, chapter 5)

DEPENDENCIES = named(
    "dependencies",
    critical(
        "RedisAway",
        "rayrealm_redis_up == 0",
        "10s",
        "Redis does not answer",
        "Players move on; nothing can be stored, and nobody can log in.",
    ),
    critical(
        "RedisNotSaving",
        "rayrealm_redis_saving == 0 and rayrealm_redis_up == 1",
        "1m",
        "Redis cannot write its data to disk",
        "What is acknowledged now would not survive Redis.",
    ),
    critical(
        "RedisEvicts",
        "increase(rayrealm_redis_evicted_keys_total[10m]) > 0",
        "0s",
        "Redis throws data away",
        "It is out of memory and its policy is not `noeviction`: what it drops is data of the realm.",
    ),
    warning(
        "RedisMemory",
        "rayrealm_redis_memory_bytes / (rayrealm_redis_memory_limit_bytes > 0) > 0.85",
        "5m",
        "Redis is nearly full",
        "{{ $value | humanizePercentage }} of the memory that it may use. Then it refuses to write.",
    ),
    warning(
        "RedisConnections",
        "rayrealm_redis_clients / rayrealm_redis_clients_limit > 0.8",
        "5m",
        "Redis runs out of connections",
        "{{ $value | humanizePercentage }} are in use.",
    ),
    warning(
        "RedisSlow",
        quantile(0.99, "rayrealm_dependency_seconds").replace(
            "rate(rayrealm_dependency_seconds_bucket[", 'rate(rayrealm_dependency_seconds_bucket{dependency="redis"}['
        )
        + " > 0.1",
        "5m",
        "Redis answers late",
        "Of 100 round trips one takes {{ $value | humanizeDuration }} or longer.",
    ),
    critical(
        "NatsAway",
        "rayrealm_bus_connected == 0",
        "10s",
        "{{ $labels.process }} has lost NATS",
        "If it is all processes, nobody sees anybody move.",
    ),
    warning(
        "NatsSlow",
        quantile(0.99, "rayrealm_dependency_seconds").replace(
            "rate(rayrealm_dependency_seconds_bucket[", 'rate(rayrealm_dependency_seconds_bucket{dependency="nats"}['
        )
        + " > 0.1",
        "5m",
        "NATS answers late",
        "Of 100 echoes one takes {{ $value | humanizeDuration }} or longer.",
    ),
    warning(
        "BusDrops",
        "sum by (process) (increase(rayrealm_bus_dropped_total[5m])) > 0",
        "0s",
        "{{ $labels.process }} could not send all messages",
        "{{ $value | humanize }} messages were dropped: NATS was away for too long, or takes less than is sent.",
    ),
    warning(
        "EventsDropped",
        "sum by (stream) (increase(rayrealm_events_dropped_total[10m])) > 0",
        "0s",
        "Events for other services were dropped: {{ $labels.stream }}",
        "JetStream did not acknowledge them in time.",
    ),
    warning(
        "PartsDegraded",
        "max by (process) (rayrealm_gateway_degraded_parts) > 0",
        "30s",
        "{{ $labels.process }} finds parts of the realm degraded",
        "{{ $value | humanize }} parts do not answer its probes, or always slowly. Its players were told.",
    ),
    warning(
        "DependencyErrors",
        "sum by (dependency) (rate(rayrealm_dependency_errors_total[5m])) > 1",
        "2m",
        "Calls of {{ $labels.dependency }} fail",
        "{{ $value | humanize }} a second.",
    ),
    warning(
        "BreakerOpen",
        "max by (process, dependency) (rayrealm_breakers_open) > 0",
        "15s",
        "{{ $labels.process }} has given up {{ $labels.dependency }} for now",
        "{{ $value | humanize }} circuit breakers are open: calls fail at once, and one tries now and then.",
    ),
    warning(
        "HttpErrors",
        'sum(rate(rayrealm_http_requests_total{status=~"5.."}[5m])) '
        "/ clamp_min(sum(rate(rayrealm_http_requests_total[5m])), 0.01) > 0.02",
        "2m",
        "The HTTP API fails",
        "{{ $value | humanizePercentage }} of its answers are errors of ours.",
    ),
)

NODES = named(
    "nodes",
    warning(
        "NodeLost",
        'count by (host) (up{job="rayrealm"} offset 10m) unless count by (host) (up{job="rayrealm"} == 1)',
        "1m",
        "Nothing on {{ $labels.host }} answers any more",
        "{{ $value | humanize }} processes were there ten minutes ago. If it was drained, all is well.",
    ),
    warning(
        "NodeMemory",
        "host:node_memory:ratio > 0.9",
        "5m",
        "{{ $labels.host }} runs out of memory",
        "{{ $value | humanizePercentage }} are in use. Ray ends processes when there is none left.",
    ),
    warning(
        "NodeCpu",
        "host:node_cpu:ratio_rate5m > 0.9",
        "10m",
        "{{ $labels.host }} is busy",
        "{{ $value | humanizePercentage }} of its CPUs are in use: ticks will be late.",
    ),
    critical(
        "DiskFull",
        "host:node_disk:ratio > 0.9",
        "5m",
        "{{ $labels.path }} on {{ $labels.host }} is nearly full",
        "{{ $value | humanizePercentage }} are in use. Ray, Valkey and logs stop when there is no room.",
    ),
    warning(
        "CertificateEnds",
        "rayrealm_edge_certificate_ends_seconds - time() < 604800",
        "0s",
        "The edge's certificate ends soon",
        "In {{ $value | humanizeDuration }}. Then no client connects any more.",
    ),
)

ABUSE = named(
    "abuse",
    warning(
        "LoginFlood",
        'sum(rate(rayrealm_login_attempts_total{outcome=~"bad_credentials|locked|too_many_attempts"}[5m])) > 5',
        "2m",
        "Somebody tries passwords",
        "{{ $value | humanize }} logins a second fail.",
    ),
    warning(
        "WatchBans",
        'sum by (reason) (increase(rayrealm_abuse_judgements_total{level="ban"}[15m])) > 10',
        "0s",
        "The watch bans many: {{ $labels.reason }}",
        "{{ $value | humanize }} bans within 15 minutes: an attack, or a pattern that fits honest players.",
    ),
    warning(
        "FloodersBanned",
        "sum(increase(rayrealm_gateway_flooders_banned_total[15m])) > 10",
        "0s",
        "Gateways ban many users for flooding",
        "{{ $value | humanize }} within 15 minutes: an attack, or limits that a new client does not keep.",
    ),
    warning(
        "MeasuresLost",
        "sum(increase(rayrealm_abuse_lost_total[15m])) > 0",
        "0s",
        "The watch could not do what it had decided",
        "{{ $value | humanize }} measures waited too long for Redis.",
    ),
    warning(
        "EdgeRefusals",
        "sum by (reason) (rate(rayrealm_edge_refused_total[5m])) > 50",
        "2m",
        "The edge turns many away: {{ $labels.reason }}",
        "{{ $value | humanize }} requests a second.",
    ),
)

LEVELS = named(
    "service-levels",
    critical(
        "SloBurns",
        f"rayrealm:slo_errors:ratio_rate5m > on (slo) {FAST_BURN} * rayrealm:slo_budget:ratio "
        f"and on (slo) rayrealm:slo_errors:ratio_rate1h > on (slo) {FAST_BURN} * rayrealm:slo_budget:ratio",
        "2m",
        "The service level `{{ $labels.slo }}` is being missed",
        "{{ $value | humanizePercentage }} went wrong in the last 5 minutes; a month's budget would be gone in two days.",
    ),
)

GROUPS: tuple[tuple[str, tuple[Alert, ...]], ...] = (*OF_THE_REALM, DEPENDENCIES, NODES, ABUSE, LEVELS)
ALERTS: tuple[Alert, ...] = tuple(alert for _, alerts in GROUPS for alert in alerts)
