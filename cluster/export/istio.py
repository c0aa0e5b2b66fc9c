"""`rayrealm export istio`: what an Istio mesh must know of a realm, as manifests in YAML (row 4.4).

Members are those of Istio's v1 API. Only the players' port is the mesh's: Ray's own traffic, gateways' ports, Redis and NATS pass
it by, which deploy/kuberay says by annotations on the pods. Limits by address stay with the edges, to which the mesh's ingress says
whose address a connection has; a sidecar speaks from 127.0.0.6, so `edge.trusted_proxies` must have that.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import yaml

from cluster.errors import SettingsError
from cluster.export import upstreams
from cluster.settings import Settings

SIDECAR = "127.0.0.6"
HTTPS, HTTP = 443, 80
LABELS = {"app.kubernetes.io/name": "rayrealm", "app.kubernetes.io/component": "edge"}
INGRESS = {"istio": "ingressgateway"}

Json = dict[str, Any]


def render(
    settings: Settings,
    host: str,
    namespace: str = "rayrealm",
    service: str = "rayrealm-edge",
    credential: str = "rayrealm-tls",
) -> str:
    """Several documents. `host`: what players type. `service`: the Service of the edges, with the port `settings.port`.
    `credential`: the Secret with the certificate, in the ingress's namespace; "" for plain HTTP.

    TLS ends at the mesh's ingress, and goes on as the mesh's own: the edges themselves have none. Raises SettingsError.
    """
    upstreams.believed(settings)
    problems = []
    if not any(ip_address(SIDECAR) in network for network in settings.edge.trusted_proxies):
        why = f"must have {SIDECAR}/32, from where the sidecar speaks: all players would count as loopback, which has no limits"
        problems.append(("edge.trusted_proxies", why))
    if settings.edge.proxy_protocol:
        problems.append(("edge.proxy_protocol", "the mesh speaks no PROXY protocol to pods: it says X-Forwarded-For"))
    if settings.edge.tls.on:
        problems.append(
            ("edge.tls", "the mesh has its own: leave certificate and key empty, and give the ingress a credential")
        )
    if problems:
        raise SettingsError(problems)
    target = f"{service}.{namespace}.svc.cluster.local"
    documents = [
        _gateway(host, namespace, credential),
        _routes(settings, host, namespace, target),
        _destination(settings, namespace, target),
        _mutual_tls(namespace),
    ]
    return "---\n".join(yaml.safe_dump(document, sort_keys=False) for document in documents)


def _gateway(host: str, namespace: str, credential: str) -> Json:
    secure = {
        "port": {"number": HTTPS, "name": "https", "protocol": "HTTPS"},
        "hosts": [host],
        "tls": {"mode": "SIMPLE", "credentialName": credential, "minProtocolVersion": "TLSV1_2"},
    }
    plain: Json = {"port": {"number": HTTP, "name": "http", "protocol": "HTTP"}, "hosts": [host]}
    if credential:
        plain["tls"] = {"httpsRedirect": True}
    servers = [secure, plain] if credential else [plain]
    return _document(
        "networking.istio.io/v1", "Gateway", "rayrealm", namespace, {"selector": INGRESS, "servers": servers}
    )


def _routes(settings: Settings, host: str, namespace: str, target: str) -> Json:
    """Sockets have no deadline (0s), and nothing of theirs is said twice: a gateway's refusal is an answer."""
    to = [{"destination": {"host": target, "port": {"number": settings.port}}}]
    sockets = {
        "name": "sockets",
        "match": [{"uri": {"exact": path}} for path in upstreams.SOCKETS],
        "route": to,
        "timeout": "0s",
        "retries": {"attempts": 2, "retryOn": "connect-failure,refused-stream"},
    }
    rest = {
        "name": "web",
        "route": to,
        "timeout": f"{upstreams.API_DEADLINE_S:.0f}s",
        "retries": {"attempts": 2, "retryOn": "connect-failure,refused-stream"},
    }
    spec = {"hosts": [host], "gateways": ["rayrealm"], "http": [sockets, rest]}
    return _document("networking.istio.io/v1", "VirtualService", "rayrealm", namespace, spec)


def _destination(settings: Settings, namespace: str, target: str) -> Json:
    most = upstreams.most_sockets(settings)
    policy = {
        "loadBalancer": {"simple": "LEAST_REQUEST", "warmupDurationSecs": "30s"},
        "connectionPool": {
            "tcp": {
                "maxConnections": most,
                "connectTimeout": "2s",
                "tcpKeepalive": {"probes": 3, "time": "5s", "interval": "2s"},
                # Of a connection that carries nothing at all: gateways ping within this.
                "idleTimeout": f"{upstreams.silence_s(settings)}s",
            },
            "http": {
                "http1MaxPendingRequests": most,
                "http2MaxRequests": most,  # its name notwithstanding: of requests under way, and a socket is one
                "maxRetries": 50,
                "idleTimeout": f"{upstreams.silence_s(settings)}s",
                "h2UpgradePolicy": "DO_NOT_UPGRADE",  # WebSockets need HTTP/1.1
            },
        },
        # A gateway that is full, or a realm under maintenance, answers 503 and is well: only what could not be reached counts.
        "outlierDetection": {
            "splitExternalLocalOriginErrors": True,
            "consecutiveLocalOriginFailures": 5,
            "consecutive5xxErrors": 0,
            "consecutiveGatewayErrors": 0,
            "interval": "5s",
            "baseEjectionTime": "10s",
            "maxEjectionPercent": 50,
        },
        "tls": {"mode": "ISTIO_MUTUAL"},
    }
    return _document(
        "networking.istio.io/v1", "DestinationRule", "rayrealm", namespace, {"host": target, "trafficPolicy": policy}
    )


def _mutual_tls(namespace: str) -> Json:
    """STRICT for the pods with an edge: what comes past the mesh to the players' port is refused."""
    spec = {"selector": {"matchLabels": LABELS}, "mtls": {"mode": "STRICT"}}
    return _document("security.istio.io/v1", "PeerAuthentication", "rayrealm", namespace, spec)


def _document(version: str, kind: str, name: str, namespace: str, spec: Json) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
