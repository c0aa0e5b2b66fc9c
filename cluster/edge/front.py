"""The players' front of the realm's HAProxy as text: TLS, addresses, limits by address, refusals (rows 6.1 and 6.4).

Directives are HAProxy 2.8's (its configuration manual, sections 4.2, 5.1 and 7.3). The standard library alone: see orders.py.
"""

from __future__ import annotations

import json
import math

from cluster.edge.orders import Orders

MARK = "X-Rayrealm-Edge"
# TLS 1.2: what the requirements name, with forward secrecy (RFC 7525). TLS 1.3 has no weak suites.
CIPHERS = ":".join(
    f"ECDHE-{kind}-{suite}" for suite in ("AES256-GCM-SHA384", "AES128-GCM-SHA256") for kind in ("ECDSA", "RSA")
)
CURVES = "X25519:P-256"
ANY = {"::": ("0.0.0.0:{port}", ":::{port} v6only")}  # two sockets: through one, IPv4 addresses would look like IPv6
TABLE_ENTRIES = 100_000
REASONS_KEPT = 32
HANG_UP_AT = 2  # times a limit: no answer any more, and for a new connection not even a handshake
LONGEST_PERIOD_S = 3_600
LONGEST_RETRY_S = 60
CONNECTIONS, REQUESTS, REFUSED = "rr_connections", "rr_requests", "rr_refused"
ADDRESS = "src,ipmask(32,64)"
REDIRECT = "rr_redirect"
PEERS, PEER = "rr_peers", "rayrealm"
PEER_SOCKET = "peers.sock"

# What a client may not tell a server behind the edge: where it comes from, and what Serve takes orders from.
CLIENTS_OWN = (
    "forwarded",
    "x-real-ip",
    "x-request-disconnect-disabled",
    "x-request-timeout-seconds",
    "serve_multiplexed_model_id",
    "serve-multiplexed-model-id",
)
CLIENTS_OWN_PREFIXES = ("x-forwarded-", "x-rayrealm-", "x-serve-")

# For an answer that does not say it itself: the edge's own, Ray's pages, a gateway's refusals. As the web application's own.
CAREFUL = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

TITLES = {400: "Bad Request", 403: "Forbidden", 429: "Too Many Requests", 431: "Request Header Fields Too Large"}


def binds(orders: Orders, port: int, pem: str) -> str:
    """The lines that listen. `pem`: chain and key in one file, for TLS.

    HTTP/1.1 alone: WebSockets need it, and nothing else. ALPN is not enough: HAProxy also knows HTTP/2 by its first bytes, and
    one connection would carry many sockets (RFC 8441).
    """
    options = " proto h1"
    if pem:
        options += (
            f" ssl crt {quoted(pem)} ssl-min-ver TLSv1.2 ciphers {CIPHERS} curves {CURVES} alpn http/1.1 no-tls-tickets"
        )
    host = f"[{orders.host}]" if ":" in orders.host else orders.host
    places = [place.format(port=port) for place in ANY.get(orders.host, (f"{host}:{port}",))]
    return "".join(f"    bind {place}{options}\n" for place in places)


def rules(orders: Orders) -> str:
    """Everything that happens to a connection and a request before Ray's own rules."""
    parts = [
        _networks("rr_trusted", orders.trusted_proxies),
        _networks("rr_exempt", orders.exempt),
        _networks("rr_may_measure", orders.metrics_from),
        _networks("rr_may_operate", orders.console_from),
        "    acl rr_behind var(sess.rr_behind) -m bool\n",
        _connections(orders),
        _requests(orders),
        _headers(orders),
        _answers(),
    ]
    if orders.tls and orders.hsts_s:
        parts.append(f'    http-after-response set-header Strict-Transport-Security "max-age={orders.hsts_s}"\n')
    return "".join(parts)


def window(rate: tuple[float, int]) -> tuple[int, int]:
    """(most, within seconds) for a rate and a burst: so many at once, and so many a second in the long run."""
    per_s, burst = rate
    period = min(max(burst / per_s, 1.0), LONGEST_PERIOD_S)
    return max(1, math.ceil(per_s * period)), math.ceil(period)


def _networks(name: str, networks: tuple[str, ...]) -> str:
    if not networks:
        return f"    acl {name} always_false\n"
    return "".join(f"    acl {name} src {network}\n" for network in networks)


def _connections(orders: Orders) -> str:
    """Counted as early as the address is known. Twice over the limit, connections end without TLS and without an answer."""
    most, _ = window(orders.connects)
    flood = f"sc0_conn_cur gt {HANG_UP_AT * orders.connections}", f"sc0_conn_rate gt {HANG_UP_AT * most}"
    lines = ["tcp-request connection set-var(sess.rr_behind) bool(true) if rr_trusted"]
    if orders.proxy_protocol:
        lines.append("tcp-request connection expect-proxy layer4 if rr_trusted")
    stages = {"connection": "!rr_trusted !rr_exempt"} | (
        {"session": "rr_behind !rr_exempt"} if orders.proxy_protocol else {}
    )
    for stage, who in stages.items():
        lines.append(f"tcp-request {stage} track-sc0 {ADDRESS} table {CONNECTIONS} if {who}")
        for full in flood:
            lines.append(f"tcp-request {stage} track-sc2 str(dropped) table {REFUSED} if {{ {full} }}")
            lines.append(f"tcp-request {stage} sc-inc-gpc0(2) if {{ {full} }}")
            lines.append(f"tcp-request {stage} reject if {{ {full} }}")
    return "".join(f"    {line}\n" for line in lines)


def _requests(orders: Orders) -> str:
    connects, connect_s = window(orders.connects)
    requests, request_s = window(orders.requests)
    lines = []
    if orders.trusted_proxies and not orders.proxy_protocol:
        # Of the entries only the last one is the proxy's own word. Its connections are shared, so sockets are counted instead.
        lines.append("http-request set-src req.hdr_ip(x-forwarded-for,-1) if rr_behind")
        upgrade = "rr_behind !rr_exempt { req.hdr(upgrade) -m found }"
        lines.append(f"http-request track-sc0 {ADDRESS} table {CONNECTIONS} if {upgrade}")
    lines.append(f"http-request track-sc1 {ADDRESS} table {REQUESTS} if !rr_exempt")
    text = "".join(f"    {line}\n" for line in lines)
    text += refusal(
        429,
        "too_many_connections",
        "too many connections from this address",
        f"{{ sc0_conn_cur gt {orders.connections} }}",
        connect_s,
    )
    text += refusal(
        429,
        "connecting_too_fast",
        "too many new connections from this address",
        f"{{ sc0_conn_rate gt {connects} }}",
        connect_s,
    )
    text += refusal(
        429, "too_fast", "too many requests from this address", f"{{ sc1_http_req_rate gt {requests} }}", request_s
    )
    text += refusal(
        431,
        "head_too_large",
        f"the headers of a request have at most {orders.head_bytes} bytes",
        f"{{ req.hdrs,length gt {orders.head_bytes} }}",
    )
    text += refusal(
        403,
        "metrics_refused",
        "metrics are not for this address (edge.metrics_from)",
        "{ path,url_dec -i /metrics /metrics/targets } !rr_may_measure",
    )
    return text + refusal(
        403,
        "console_refused",
        "the console is not for this address (edge.console_from)",
        "{ path,url_dec -i -m beg /console } !rr_may_operate",
    )


def refusal(status: int, reason: str, detail: str, when: str, retry_s: int = 0) -> str:
    """An answer of the edge's own (RFC 9457), counted by reason, after which the connection ends."""
    problem = {
        "type": f"urn:rayrealm:problem:{reason}",
        "title": TITLES[status],
        "status": status,
        "detail": detail,
        "reason": reason,
    }
    retry = f" hdr Retry-After {min(retry_s, LONGEST_RETRY_S)}" if retry_s else ""
    answer = f"content-type application/problem+json{retry} hdr Connection close string '{json.dumps(problem)}'"
    return (
        f"    http-request track-sc2 str({reason}) table {REFUSED} if {when}\n"
        f"    http-request sc-inc-gpc0(2) if {when}\n"
        f"    http-request return status {status} {answer} if {when}\n"
    )


def _headers(orders: Orders) -> str:
    lines = [f"http-request del-header {name}" for name in CLIENTS_OWN]
    lines += [f"http-request del-header {prefix} -m beg" for prefix in CLIENTS_OWN_PREFIXES]
    lines.append("http-request set-header X-Forwarded-For %[src]")
    lines.append(f"http-request set-header X-Forwarded-Proto {'https' if orders.tls else 'http'}")
    lines.append(f"http-request set-header {MARK} {orders.secret}")
    return "".join(f"    {line}\n" for line in lines)


def _answers() -> str:
    """What serves a realm is nobody's business. A socket's 101 is no page."""
    lines = ["http-after-response del-header server"]
    lines += [
        f"http-after-response set-header {name} {quoted(value)} if !{{ status 101 }} !{{ res.hdr({name}) -m found }}"
        for name, value in CAREFUL.items()
    ]
    return "".join(f"    {line}\n" for line in lines)


def redirect(orders: Orders) -> str:
    """A front for plain HTTP that sends browsers to TLS (308, RFC 9110); whatever else was in the clear is refused."""
    port = "" if orders.port == 443 else f":{orders.port}"
    place = f"https://%[req.hdr(host),regsub(:[0-9]*$,)]{port}%[pathq]"
    return (
        f"frontend {REDIRECT}\n"
        + binds(orders, orders.redirect_port, "")
        + _networks("rr_trusted", orders.trusted_proxies)
        + _networks("rr_exempt", orders.exempt)
        + "    acl rr_behind var(sess.rr_behind) -m bool\n"
        + _connections(orders)
        + refusal(403, "https_needed", "this port leads to HTTPS, and takes nothing else", "!METH_GET !METH_HEAD")
        + refusal(
            400,
            "bad_request",
            "a Host header is needed",
            r"!{ req.hdr(host) -m reg ^([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?$ }",
        )
        + f"    http-request redirect location {place} code 308\n"
        + _answers()
    )


def tables(orders: Orders, folder: str) -> str:
    """Bounded: the entries that were used least recently make room.

    A process that is told to make room for the next one teaches it the rates and counts (HAProxy's manual, section 3.5), by a
    socket in `folder`. Not the connections that are open: those end without the next one.
    """
    _, connect_s = window(orders.connects)
    _, request_s = window(orders.requests)
    return (
        f"peers {PEERS}\n    bind {quoted(f'unix@{folder}/{PEER_SOCKET}')} mode 600\n    server {PEER}\n"
        f"backend {CONNECTIONS}\n    stick-table type ipv6 size {TABLE_ENTRIES} expire {max(60, connect_s)}s"
        f" peers {PEERS} store conn_cur,conn_rate({connect_s}s)\n"
        f"backend {REQUESTS}\n    stick-table type ipv6 size {TABLE_ENTRIES} expire {max(60, request_s)}s"
        f" peers {PEERS} store http_req_rate({request_s}s)\n"
        f"backend {REFUSED}\n    stick-table type string len 32 size {REASONS_KEPT} peers {PEERS} store gpc0\n"
    )


def quoted(text: str) -> str:
    """One word of HAProxy's configuration (its manual, section 2.2)."""
    return '"' + "".join(f"\\{c}" if c in '\\"$' else c for c in text) + '"'
