"""`rayrealm export haproxy`: an HAProxy of one's own before the edges of several nodes (row 4.4).

Directives are HAProxy 2.8's (its configuration manual). What it says of a client's address is what `edge.trusted_proxies` and
`edge.proxy_protocol` expect: the last entry of X-Forwarded-For, or the PROXY protocol. Limits by address stay with the edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from cluster.edge.front import CIPHERS, CURVES, quoted
from cluster.export import upstreams
from cluster.settings import Settings

CERTIFICATE = "/etc/haproxy/rayrealm.pem"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
FILES_PER_SOCKET, FILES_BESIDES = 2, 100  # both ends; checks, listeners
STATS = "/run/haproxy/admin.sock"


def render(
    settings: Settings,
    nodes: Sequence[str],
    certificate: str = CERTIFICATE,
    server_name: str = "",
    admin: str = STATS,
) -> str:
    """haproxy.cfg. `nodes`: HOST or HOST:PORT of each edge. `certificate`: chain and key in one file, where `edge.tls` is on; then
    the edges are spoken to over TLS, too, and must have a certificate for `server_name`. `admin`: its socket, "" for none.

    Raises SettingsError.
    """
    upstreams.believed(settings)
    upstreams.given_certificate(settings)
    places = upstreams.places(nodes, settings.port)
    most = upstreams.most_sockets(settings)
    return "".join(
        (
            _global(most, admin),
            _defaults(settings),
            _front(settings, certificate),
            _backend("rayrealm_sockets", settings, places, upstreams.SOCKETS_HEALTH, server_name),
            _backend("rayrealm_web", settings, places, upstreams.HEALTH, server_name),
        )
    )


def _global(most: int, admin: str) -> str:
    socket = f"    stats socket {quoted(admin)} mode 600 level admin\n    stats timeout 30s\n" if admin else ""
    files = FILES_PER_SOCKET * most + FILES_BESIDES
    lines = ("log stdout format raw local0 info", f"maxconn {most}", "hard-stop-after 1d")
    return f"# It needs `ulimit -n {files}` or more.\nglobal\n" + "".join(f"    {line}\n" for line in lines) + socket


def _everywhere(port: int) -> tuple[str, str]:
    """Two sockets: through one, IPv4 addresses would look like IPv6."""
    return f"0.0.0.0:{port}", f":::{port} v6only"


def _defaults(settings: Settings) -> str:
    head_s = max(1, math.ceil(settings.firewall.head_s))
    lines = (
        "mode http",
        "log global",
        "option dontlognull",
        # The query is left out: it may have a token.
        'log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %HM %HP"',
        "timeout connect 2s",
        f"timeout http-request {head_s}s",
        "timeout http-keep-alive 15s",
        f"timeout client {math.ceil(upstreams.API_DEADLINE_S)}s",
        f"timeout server {math.ceil(upstreams.API_DEADLINE_S)}s",
        "timeout queue 2s",
        # Gateways look after silent players themselves; a tunnel that ends here ends without a close code.
        f"timeout tunnel {upstreams.silence_s(settings)}s",
        "option redispatch 1",
        "retries 2",
        "retry-on conn-failure",
    )
    return "defaults\n" + "".join(f"    {line}\n" for line in lines)


def _front(settings: Settings, certificate: str) -> str:
    tls = settings.edge.tls
    options = " proto h1"  # WebSockets need HTTP/1.1, and nothing else is spoken
    if tls.on:
        options += (
            f" ssl crt {quoted(certificate)} ssl-min-ver TLSv1.2 ciphers {CIPHERS} curves {CURVES}"
            " alpn http/1.1 no-tls-tickets"
        )
    lines = [f"bind {place}{options}" for place in _everywhere(settings.port)]
    # Whatever the client says of its own address goes. The edges add the rest.
    lines += [f"http-request del-header {name}" for name in ("forwarded", "x-real-ip")]
    lines.append("http-request del-header x-forwarded- -m beg")
    if not settings.edge.proxy_protocol:
        lines.append("http-request set-header X-Forwarded-For %[src]")
    sockets = " ".join(upstreams.SOCKETS)
    lines += [f"use_backend rayrealm_sockets if {{ path {sockets} }}", "default_backend rayrealm_web"]
    text = "frontend players\n" + "".join(f"    {line}\n" for line in lines)
    if tls.on and tls.redirect_port:
        port = "" if settings.port == 443 else f":{settings.port}"
        text += (
            "frontend plain\n"
            + "".join(f"    bind {place} proto h1\n" for place in _everywhere(tls.redirect_port))
            + f"    http-request redirect location https://%[req.hdr(host),regsub(:[0-9]*$,)]{port}%[pathq] code 308\n"
        )
    return text


def _backend(name: str, settings: Settings, places: Sequence[tuple[str, int]], health: str, server_name: str) -> str:
    """Sockets last: the node with the fewest gets the next one. A node that comes back gets its share within half a minute."""
    said = server_name or "rayrealm"
    checks = (
        f"check inter {upstreams.CHECK_EVERY_S}s fall {upstreams.CHECKS_FAILED} rise {upstreams.CHECKS_PASSED}"
        " slowstart 30s"
    )
    if settings.edge.proxy_protocol:
        checks += " send-proxy-v2 check-send-proxy"
    if settings.edge.tls.on:
        verify = f"verify required ca-file {AUTHORITIES}"
        if server_name:
            verify += f" sni str({server_name}) verifyhost {server_name} check-sni {server_name}"
        checks += f" ssl {verify} ssl-min-ver TLSv1.2 alpn http/1.1"
    lines = [
        "balance leastconn",
        "option httpchk",
        f"http-check send meth GET uri {health} ver HTTP/1.1 hdr Host {said}",
        "http-check expect status 200",
        f"timeout check {upstreams.CHECK_DEADLINE_S}s",
        f"default-server {checks}",
    ]
    for number, (host, port) in enumerate(places):
        address = f"[{host}]" if ":" in host else host
        lines.append(f"server node{number} {address}:{port}")
    return f"backend {name}\n" + "".join(f"    {line}\n" for line in lines)
