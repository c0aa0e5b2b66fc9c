"""`rayrealm export envoy`: an Envoy before the edges of several nodes, as a bootstrap file in JSON (row 4.4).

Members are those of Envoy's v3 API. What it says of a client's address is what `edge.trusted_proxies` and `edge.proxy_protocol`
expect: it appends its peer's to X-Forwarded-For, and the edges believe the last entry; or it speaks the PROXY protocol. So it must
be the first that clients reach, or be behind what keeps their addresses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from cluster.edge.front import CIPHERS
from cluster.export import upstreams
from cluster.settings import Settings

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
ADMIN_PORT = 9901
BUFFER_BYTES = 64 * 1024  # for each connection: a client that does not read is held back, not stored
DRAIN_S = 600
TYPES = "type.googleapis.com/envoy"
GATEWAYS, WEB = "rayrealm_sockets", "rayrealm_web"

Json = dict[str, Any]


def render(settings: Settings, nodes: Sequence[str], server_name: str = "", admin_port: int = ADMIN_PORT) -> str:
    """`nodes`: HOST or HOST:PORT of each edge. Where `edge.tls` is on, the edges are spoken to over TLS, too, and must have a
    certificate for `server_name`. `admin_port`: on loopback; 0 for none.

    Raises SettingsError.
    """
    upstreams.believed(settings)
    upstreams.given_certificate(settings)
    places = upstreams.places(nodes, settings.port)
    bootstrap: Json = {
        "node": {"id": "edge", "cluster": settings.namespace},
        "static_resources": {
            "listeners": _listeners(settings),
            "clusters": [
                _cluster(GATEWAYS, settings, places, upstreams.SOCKETS_HEALTH, server_name),
                _cluster(WEB, settings, places, upstreams.HEALTH, server_name),
            ],
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{TYPES}.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": str(upstreams.most_sockets(settings)),
                    },
                }
            ]
        },
    }
    if admin_port:
        bootstrap["admin"] = {"address": _address("127.0.0.1", admin_port)}
    return json.dumps(bootstrap, indent=2) + "\n"


# --- clients' side ---------------------------------------------------------------------------------------------------


def _listeners(settings: Settings) -> list[Json]:
    tls = settings.edge.tls
    listeners = [_listener("players", settings.port, settings, _routes(settings), _own_certificate(settings))]
    if tls.on and tls.redirect_port:
        redirect = {
            "match": {"prefix": "/"},
            "redirect": {
                "https_redirect": True,
                "port_redirect": settings.port,
                "response_code": "PERMANENT_REDIRECT",
            },
        }
        listeners.append(_listener("plain", tls.redirect_port, settings, [redirect], None))
    return listeners


def _listener(name: str, port: int, settings: Settings, routes: list[Json], certificate: Json | None) -> Json:
    firewall = settings.firewall
    manager: Json = {
        "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "HTTP1",  # WebSockets need it, and one connection is one socket
        "use_remote_address": True,  # a client's own X-Forwarded-For is kept, and the true address is appended
        "skip_xff_append": settings.edge.proxy_protocol,
        "server_header_transformation": "PASS_THROUGH",
        "normalize_path": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": math.ceil(firewall.head_bytes / 1024),
        "request_headers_timeout": f"{firewall.head_s}s",
        "request_timeout": "0s",  # the routes have their own: this one would end sockets
        "stream_idle_timeout": f"{upstreams.API_DEADLINE_S}s",
        "drain_timeout": f"{DRAIN_S}s",
        "upgrade_configs": [{"upgrade_type": "websocket", "enabled": False}],
        "common_http_protocol_options": {
            "max_headers_count": firewall.headers,
            "idle_timeout": f"{upstreams.API_DEADLINE_S}s",
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "route_config": {
            "name": name,
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}],
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{TYPES}.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    chain: Json = {
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
        # A handshake that never ends.
        "transport_socket_connect_timeout": f"{firewall.head_s}s",
    }
    if certificate is not None:
        chain["transport_socket"] = certificate
    return {
        "name": name,
        "address": {"socket_address": {"address": "::", "port_value": port, "ipv4_compat": True}},
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [chain],
        # Clients that have vanished: the gateways' own pings find them, and end the tunnel from the other side.
        "tcp_backlog_size": 1024,
    }


def _routes(settings: Settings) -> list[Json]:
    """Sockets have no deadline, and are tried elsewhere only if nobody has read anything of the request."""
    elsewhere: Json = {
        "retry_on": "connect-failure",
        "num_retries": 2,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{TYPES}.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": "3",
    }
    sockets = [
        {
            "match": {"path": path},
            "route": {
                "cluster": GATEWAYS,
                "timeout": "0s",
                "idle_timeout": f"{upstreams.silence_s(settings)}s",
                "upgrade_configs": [{"upgrade_type": "websocket", "enabled": True}],
                "retry_policy": elsewhere,
            },
        }
        for path in upstreams.SOCKETS
    ]
    rest = {"cluster": WEB, "timeout": f"{upstreams.API_DEADLINE_S}s", "retry_policy": elsewhere}
    return [*sockets, {"match": {"prefix": "/"}, "route": rest}]


def _own_certificate(settings: Settings) -> Json | None:
    tls = settings.edge.tls
    if not tls.on:
        return None
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                **_suites(),
                "tls_certificates": [
                    {"certificate_chain": {"filename": tls.certificate}, "private_key": {"filename": tls.key}}
                ],
            },
        },
    }


# --- the edges' side -------------------------------------------------------------------------------------------------


def _cluster(name: str, settings: Settings, places: Sequence[tuple[str, int]], health: str, server_name: str) -> Json:
    most = upstreams.most_sockets(settings)
    limits = {"max_connections": most, "max_pending_requests": most, "max_requests": most, "max_retries": 50}
    host = server_name or "rayrealm"
    cluster: Json = {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST",  # an open socket is a request that is under way
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "circuit_breakers": {"thresholds": [{"priority": "DEFAULT", **limits}]},
        # With nobody well everybody is tried: one application behind all nodes answers this check.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1.0}},
        "least_request_lb_config": {"slow_start_config": {"slow_start_window": "30s"}},
        "health_checks": [
            {
                "timeout": f"{upstreams.CHECK_DEADLINE_S}s",
                "interval": f"{upstreams.CHECK_EVERY_S}s",
                "no_traffic_interval": f"{upstreams.CHECK_EVERY_S}s",
                "unhealthy_threshold": upstreams.CHECKS_FAILED,
                "healthy_threshold": upstreams.CHECKS_PASSED,
                "http_health_check": {"path": health, "host": host},
            }
        ],
        # A gateway that is full, or a realm under maintenance, answers 503 and is well: only what could not be reached counts.
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 5,
            "enforcing_consecutive_local_origin_failure": 100,
            "enforcing_local_origin_success_rate": 0,
            "enforcing_consecutive_5xx": 0,
            "enforcing_consecutive_gateway_failure": 0,
            "enforcing_success_rate": 0,
            "interval": "5s",
            "base_ejection_time": "10s",
            "max_ejection_percent": 50,
        },
        "upstream_connection_options": {
            # A node that has vanished is noticed by the kernel.
            "tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 5, "keepalive_interval": 2}
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(*place)}} for place in places]}],
        },
    }
    if (transport := _transport(settings, server_name)) is not None:
        cluster["transport_socket"] = transport
    return cluster


def _transport(settings: Settings, server_name: str) -> Json | None:
    """What wraps the connection to an edge: TLS, and the PROXY protocol before it."""
    inner: Json | None = None
    if settings.edge.tls.on:
        names = [{"san_type": "DNS", "matcher": {"exact": server_name}}] if server_name else []
        validation: Json = {"trusted_ca": {"filename": AUTHORITIES}}
        if names:
            validation["match_typed_subject_alt_names"] = names
        inner = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                **({"sni": server_name} if server_name else {}),
                "common_tls_context": {**_suites(), "validation_context": validation},
            },
        }
    if not settings.edge.proxy_protocol:
        return inner
    plain = {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {"@type": f"{TYPES}.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
    }
    return {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            "@type": f"{TYPES}.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": {"version": "V2"},
            "transport_socket": inner or plain,
        },
    }


def _suites() -> Json:
    return {
        "tls_params": {
            "tls_minimum_protocol_version": "TLSv1_2",
            "cipher_suites": CIPHERS.split(":"),
            "ecdh_curves": ["X25519", "P-256"],
        },
        "alpn_protocols": ["http/1.1"],
    }


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}
