"""The environment that Ray and Serve 2.60 read as they are imported: set in the launcher, inherited by every process.

Each variable is explained by what happens without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.haproxy import ORDERS
from cluster.preflight import max_connections
from cluster.settings import Settings

MAX_HAPROXY_THREADS = 4
EDGE_FILE = "/etc/rayrealm/edge.json"


@dataclass(frozen=True, slots=True)
class RayFacts:
    """`session` is the folder of this start, short, because Unix socket paths end at 107 bytes."""

    cpus: int
    session: Path
    token_file: Path
    haproxy: Path
    """The wrapper (`cluster/haproxy.py`)."""
    ports: tuple[int, int, int]
    """Free ones for HAProxy's metrics, its statistics, and Serve's fallback proxy."""


def serve_flags(settings: Settings, open_files: int, replica_callback: str) -> dict[str, str]:
    """What Serve needs on every node, wherever Ray runs; `rayrealm config ray-env` prints it for `ray start`."""
    return {
        # Without: the Python proxy, twelve times slower.
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # Without: 4,096, and no start at all when it does not fit the limit of open files.
        "RAY_SERVE_HAPROXY_MAXCONN": str(max_connections(settings, open_files)),
        # Without: live sockets are cut two minutes after a replica was added or lost.
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "86400",
        # Without: as long as the above. A thousand gateways that crash within a day would use up all ports.
        # HAProxy's old workers open nothing new, and drop idle connections sooner than this.
        "RAY_SERVE_PORT_QUARANTINE_S": "300",
        # Without: a gateway that is full or leaving is offered new sockets for 5 s more, and refuses each.
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
        # Without: 250 ms, which is also how long HAProxy waits for these checks. Gateways that are busy with a thousand reconnects
        # would be offered none of them.
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_FASTINTER": "1s",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_DOWNINTER": "500ms",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_RISE": "1",
        # Without: a datagram and a Python task for each HTTP request, for metrics that the realm counts itself.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # Without: `send` never waits, and a client that does not read grows the gateway's memory.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        # The only way into the replica before its server is built: picows takes the WebSockets there.
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": replica_callback,
        # Without: half a minute until a HAProxy, or its manager, that was killed is replaced. Here: a few seconds.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        # Without: on a busy machine the proxies, which get 5 s to start, are killed and started again and again.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        # Without: a stop takes 30 s more. Draining players is the gateway's business, not Serve's.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        # Without: uvicorn believes what any process of this machine says of a client's address, HAProxy's clients included.
        "FORWARDED_ALLOW_IPS": "none",
        # Without: each replica's log also goes to its standard error, in a second copy.
        "RAY_SERVE_LOG_TO_STDERR": "0",
        # Without: actors run at nice 15.
        "RAY_worker_niceness": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def node_flags(scripts: Path, given: Mapping[str, str]) -> dict[str, str]:
    """What nodes of a Ray that others start need on top; `scripts` is the folder of `rayrealm`, the same on each node.

    Not for a realm's own Ray on one machine: that must not lose its only node because it was busy for some seconds.
    """
    return {
        # Without: HAProxy as Ray has it, which does not try another gateway (cluster/haproxy.py says what else).
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(scripts / "rayrealm-haproxy"),
        # Without: HAProxy does not start. The file is what `rayrealm config edge` prints, mode 0600, the same on each node.
        ORDERS: given.get(ORDERS) or EDGE_FILE,
        # Without: a node that vanishes is missed after a minute. Here: at most 3 x (1 + 1) s. Read by the head.
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "1000",
        "RAY_health_check_failure_threshold": "3",
        # Without: `ray start --head` wants tokens if this user's home folder has one, and nobody else knows of it.
        **joined_flags(given),
    }


def local_flags(settings: Settings, facts: RayFacts) -> dict[str, str]:
    """What a Ray that the launcher starts for itself needs on top: everything on loopback, in one folder, with a token."""
    # Without these and the control loop's interval an idle realm takes 0.28 instead of 0.21 cores (measured).
    # They are what the dashboard shows; with the interval a killed replica is noticed 50 ms later on average.
    measures = (
        {}
        if settings.ray.dashboard_port
        else {
            "RAY_enable_metrics_collection": "0",
            "RAY_task_events_report_interval_ms": "0",
        }
    )
    haproxy = facts.session / "h"
    metrics, statistics, fallback = facts.ports
    return measures | {
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.2",
        # `ray.init` without it turns tokens on and writes one into the home folder; `ray start` does not.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(facts.token_file),
        # Its name notwithstanding: on Linux, 0 makes Ray use 127.0.0.1 as the address of its one node. Without it
        # Ray takes the machine's address, listens on every interface, and breaks when a laptop changes networks.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(facts.haproxy),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        # Half the cores: the gateways need the others. Whether one thread is cheaper than two is not settled (docs/performance.md).
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, min(facts.cpus // 2, MAX_HAPROXY_THREADS))),
        # Without: 9101, 8404 and 8500, so that two realms on a machine collide.
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
    }


def joined_flags(given: Mapping[str, str]) -> dict[str, str]:
    """For a launcher that joins a Ray which others started: `ray start` has no tokens unless it is told to."""
    return {"RAY_AUTH_MODE": given.get("RAY_AUTH_MODE", "disabled")}


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """The flags, as NAME=VALUE, that a Ray started by others lacks. `found` is the environment of its workers."""
    ours_alone = {"RAY_SERVE_HAPROXY_MAXCONN", "RAY_USAGE_STATS_ENABLED", "RAY_SERVE_LOG_TO_STDERR"}
    lacking = [
        f"{name}={value}" for name, value in wanted.items() if name not in ours_alone and found.get(name) != value
    ]
    return lacking + ([] if found.get(ORDERS) else [f"{ORDERS}={EDGE_FILE}"])
