"""From the settings to the edge's orders (`cluster/edge/orders.py`), and what is wrong with the certificate they name."""

from __future__ import annotations

from cluster.edge.orders import Orders
from cluster.errors import StartRefused
from cluster.security.certificates import LocalFiles
from cluster.settings import Settings


def orders_of(settings: Settings, secret: str, local: LocalFiles | None = None) -> Orders:
    """`local`: the certificate that was made for this machine, if `edge.tls.local` says so. Raises StartRefused."""
    edge, firewall, tls = settings.edge, settings.firewall, settings.edge.tls
    if tls.redirect_port and not tls.on:
        raise StartRefused("edge.tls.redirect_port leads to HTTPS, and there is none: give a certificate, or --tls")
    if tls.redirect_port == settings.port:
        raise StartRefused("edge.tls.redirect_port is the port of HTTPS itself: choose another")
    if edge.proxy_protocol and not edge.trusted_proxies:
        raise StartRefused("edge.proxy_protocol needs edge.trusted_proxies: nobody else is believed")
    if tls.local and local is None:
        raise StartRefused("edge.tls.local is for a realm of one machine: give the nodes a certificate and a key")
    return Orders(
        secret=secret,
        host=settings.host,
        port=settings.port,
        certificate=str(local.certificate) if local is not None else tls.certificate,
        key=str(local.key) if local is not None else tls.key,
        redirect_port=tls.redirect_port,
        # Not with a local certificate: browsers would want HTTPS of everything else on this machine, too.
        hsts_s=tls.hsts_s if tls.certificate else 0,
        trusted_proxies=tuple(map(str, edge.trusted_proxies)),
        proxy_protocol=edge.proxy_protocol,
        metrics_from=tuple(map(str, edge.metrics_from)),
        console_from=tuple(map(str, edge.console_from)),
        exempt=tuple(map(str, firewall.exempt)),
        connections=firewall.connections_per_address,
        connects=(firewall.connects_per_address.per_s, firewall.connects_per_address.burst),
        requests=(firewall.requests_per_address.per_s, firewall.requests_per_address.burst),
        head_s=firewall.head_s,
        head_bytes=firewall.head_bytes,
    )
