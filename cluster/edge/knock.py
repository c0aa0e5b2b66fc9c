"""Where a realm is reached, and whether it answers there as one should (row 6.5)."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from cluster.security.addresses import within
from cluster.security.certificates import name_in
from cluster.settings import Settings

LOOPBACK = "127.0.0.1"
ANY_HOST = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not bound
TIMEOUT_S = 5.0


def url_of(settings: Settings) -> str:
    """What players type: with TLS the certificate's own name, if it has one."""
    tls = settings.edge.tls
    host = (name_in(Path(tls.certificate)) if tls.certificate else "") or here(settings)
    return f"http{'s' if tls.on else ''}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def here(settings: Settings) -> str:
    """The host under which this machine reaches it."""
    return LOOPBACK if settings.host in ANY_HOST else settings.host


def status(settings: Settings, path: str, headers: Mapping[str, str]) -> int | str:
    """Of a GET, or the name of what went wrong. Nothing secret is sent, so it does not matter who answers."""
    connection = http.client.HTTPConnection(here(settings), settings.port)
    try:
        connection.sock = _connected(settings)
        connection.request("GET", path, headers=dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def _connected(settings: Settings) -> socket.socket:
    """As a load balancer connects, if the realm takes this machine for one. Raises OSError."""
    edge = settings.edge
    plain = socket.create_connection((here(settings), settings.port), TIMEOUT_S)
    try:
        if edge.proxy_protocol and within(plain.getsockname()[0], edge.trusted_proxies):
            plain.sendall(b"PROXY UNKNOWN\r\n")  # its version 1: the peer is the client
        if not edge.tls.on:
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(plain)
    except OSError:
        plain.close()
        raise
