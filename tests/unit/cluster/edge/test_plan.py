from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from cluster.edge.knock import here, url_of
from cluster.edge.orders import Orders
from cluster.edge.plan import orders_of
from cluster.errors import StartRefused
from cluster.security.certificates import LocalFiles
from cluster.security_settings import EdgeSettings, FirewallSettings, Rate, TlsSettings
from cluster.settings import Settings

SECRET = "a-secret-of-this-test-only"
GIVEN = TlsSettings(certificate="/etc/chain.pem", key="/etc/key.pem", redirect_port=80)


def settings(**values: Any) -> Settings:
    return Settings(**values)


def test_the_defaults() -> None:
    orders = orders_of(settings(), SECRET)
    assert orders == Orders(secret=SECRET)
    assert Orders.parse(orders.dump()) == orders


def test_all_of_it() -> None:
    made = orders_of(
        settings(
            host="::",
            port=443,
            edge=EdgeSettings(
                tls=GIVEN,
                trusted_proxies=(ip_network("10.0.0.0/8"),),
                proxy_protocol=True,
                metrics_from=(ip_network("10.1.0.0/16"),),
            ),
            firewall=FirewallSettings(
                exempt=(), connections_per_address=7, connects_per_address=Rate(per_s=2.0, burst=9), head_s=2.5
            ),
        ),
        SECRET,
    )
    assert (made.host, made.port, made.redirect_port) == ("::", 443, 80)
    assert (made.certificate, made.key, made.hsts_s) == ("/etc/chain.pem", "/etc/key.pem", 31_536_000)
    assert (made.trusted_proxies, made.proxy_protocol) == (("10.0.0.0/8",), True)
    assert (made.metrics_from, made.exempt) == (("10.1.0.0/16",), ())
    assert (made.connections, made.connects, made.head_s) == (7, (2.0, 9), 2.5)


def test_a_certificate_of_this_machine_asks_nothing_of_other_servers_on_it(tmp_path: Path) -> None:
    local = LocalFiles(tmp_path / "ca.pem", tmp_path / "certificate.pem", tmp_path / "key.pem")
    made = orders_of(settings(edge=EdgeSettings(tls=TlsSettings(local=True))), SECRET, local)
    assert (made.certificate, made.key) == (str(local.certificate), str(local.key))
    assert made.hsts_s == 0


@pytest.mark.parametrize(
    "edge",
    [
        EdgeSettings(tls=TlsSettings(redirect_port=80)),
        EdgeSettings(tls=GIVEN.model_copy(update={"redirect_port": 8_000})),
        EdgeSettings(proxy_protocol=True),
        EdgeSettings(tls=TlsSettings(local=True)),
    ],
    ids=["a redirect to nowhere", "one port for both", "nobody to believe", "a local certificate for many nodes"],
)
def test_what_makes_no_sense(edge: EdgeSettings) -> None:
    with pytest.raises(StartRefused):
        orders_of(settings(edge=edge), SECRET)


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:8000"),
        ("::", False, "http://127.0.0.1:8000"),
        ("::1", True, "https://[::1]:8000"),
        ("0.0.0.0", True, "https://127.0.0.1:8000"),  # noqa: S104 - text, nothing is bound
    ],
)
def test_url(host: str, tls: bool, url: str) -> None:
    made = settings(host=host, edge=EdgeSettings(tls=TlsSettings(local=tls)))
    assert url_of(made) == url
    assert here(made) in url
