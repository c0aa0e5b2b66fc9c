"""What a load balancer before a realm must know, whichever it is: where the edges are, and how long a socket may be silent."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from cluster.errors import SettingsError
from cluster.haproxy import TUNNEL_S
from cluster.preflight import MIN_CONNECTIONS
from cluster.settings import Settings

HEALTH = "/v1/healthz"
"""The web application answers: what is behind everything but sockets."""
SOCKETS_HEALTH = "/-/healthz"
"""The node's own HAProxy answers: sockets go on while the web application is started again."""
SOCKETS = ("/ws", "/console/ws")
API_DEADLINE_S = 30.0
CHECK_EVERY_S, CHECK_DEADLINE_S, CHECKS_FAILED, CHECKS_PASSED = 2, 2, 3, 1
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


def places(nodes: Sequence[str], port: int) -> list[tuple[str, int]]:
    """(host, port) of HOST or HOST:PORT, IPv6 in brackets; without a port `port`. Raises SettingsError."""
    found = []
    for node in nodes:
        host, colon, given = node.rpartition(":")
        if not colon or given.endswith("]"):
            host, given = node, str(port)
        if not HOST.fullmatch(host) or not given.isdigit() or not 0 < int(given) < 65_536:
            raise SettingsError([("nodes", f"{node!r} is no HOST or HOST:PORT")])
        found.append((host.strip("[]"), int(given)))
    if not found:
        raise SettingsError([("nodes", "name the nodes of the realm: HOST or HOST:PORT, each runs an edge")])
    return found


def believed(settings: Settings) -> None:
    """Raises SettingsError if the realm's edges would take the load balancer for the one client that there is.

    Loopback has no limits by address, and may read metrics: a sidecar's address is loopback, too.
    """
    if not settings.edge.trusted_proxies:
        why = "name the load balancer's network here: otherwise all players have its address, and its limits"
        raise SettingsError([("edge.trusted_proxies", why)])


def given_certificate(settings: Settings) -> None:
    """Raises SettingsError where the certificate is good for one machine alone."""
    if settings.edge.tls.local:
        raise SettingsError([("edge.tls.local", "is for a realm of one machine: give a certificate and a key")])


def silence_s(settings: Settings) -> int:
    """How long a socket may carry nothing: more than what gateways themselves allow, who ping every `ping_interval_s`."""
    return max(TUNNEL_S, math.ceil(settings.gateway.idle_timeout_s) + 60)


def most_sockets(settings: Settings) -> int:
    """What all gateways hold, and some to be refused by them, who say why."""
    return settings.gateways * settings.gateway.capacity * 5 // 4 + MIN_CONNECTIONS
