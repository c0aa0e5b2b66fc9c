"""The front's text; tests/contract/test_haproxy_*.py asks HAProxy itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.edge import front
from cluster.edge.orders import Orders
from serve_apps.accounts.limits import NO_CONTENT_ALLOWED

ORDERS = Orders(secret="a-secret-of-this-test-only")


@pytest.mark.parametrize(
    ("rate", "most", "within_s"),
    [((5.0, 50), 50, 10), ((20.0, 200), 200, 10), ((100.0, 10), 100, 1), ((0.001, 50), 4, 3_600), ((0.1, 3), 3, 30)],
)
def test_window(rate: tuple[float, int], most: int, within_s: int) -> None:
    """So many at once, and not more in the long run than the rate says."""
    assert front.window(rate) == (most, within_s)
    assert most / within_s <= max(rate[0], 1 / within_s) * 1.2


@pytest.mark.parametrize(
    ("host", "binds"),
    [
        ("127.0.0.1", ["127.0.0.1:80"]),
        ("play.example.org", ["play.example.org:80"]),
        ("2001:db8::1", ["[2001:db8::1]:80"]),
        ("::", ["0.0.0.0:80", ":::80"]),
    ],
)
def test_binds(host: str, binds: list[str]) -> None:
    lines = front.binds(replace(ORDERS, host=host), 80, "").splitlines()
    assert [line.split()[1] for line in lines] == binds


def test_nobody_is_trusted_unless_told() -> None:
    text = front.rules(ORDERS)
    assert "acl rr_trusted always_false\n" in text
    assert "set-src" not in text
    assert "expect-proxy" not in text


def test_a_proxys_word_counts_once_it_is_known_whose_it_is() -> None:
    text = front.rules(replace(ORDERS, trusted_proxies=("10.0.0.0/8",)))
    assert "http-request set-src req.hdr_ip(x-forwarded-for,-1) if rr_behind\n" in text
    spoken = front.rules(replace(ORDERS, trusted_proxies=("10.0.0.0/8",), proxy_protocol=True))
    assert "tcp-request connection expect-proxy layer4 if rr_trusted\n" in spoken
    assert "set-src" not in spoken  # the header is a client's


def test_what_clients_say_goes_before_what_the_edge_says() -> None:
    lines = front.rules(ORDERS).splitlines()
    deleted = [number for number, line in enumerate(lines) if "http-request del-header" in line]
    told = [number for number, line in enumerate(lines) if "http-request set-header" in line]
    assert max(deleted) < min(told)


def test_hsts_is_for_tls_alone() -> None:
    assert "Strict-Transport" not in front.rules(replace(ORDERS, hsts_s=60))
    with_tls = replace(ORDERS, hsts_s=60, certificate="c", key="k")
    assert 'Strict-Transport-Security "max-age=60"' in front.rules(with_tls)
    assert "Strict-Transport" not in front.rules(replace(with_tls, hsts_s=0))


@pytest.mark.parametrize("pem", ["", "/run/edge.pem"])
def test_no_http_2(pem: str) -> None:
    assert all(" proto h1" in line for line in front.binds(ORDERS, 80, pem).splitlines())


def test_every_table_is_taught_to_the_next_process() -> None:
    text = front.tables(ORDERS, "/run/h")
    assert 'bind "unix@/run/h/peers.sock" mode 600\n' in text
    tables = [line for line in text.splitlines() if "stick-table" in line]
    assert len(tables) == 3
    assert all(f" peers {front.PEERS} store " in line for line in tables)


def test_a_careful_answer_is_the_web_applications_own() -> None:
    assert front.CAREFUL["Content-Security-Policy"] == NO_CONTENT_ALLOWED


def test_quoted() -> None:
    assert front.quoted('/a "b"/$c\\d e') == '"/a \\"b\\"/\\$c\\\\d e"'


@pytest.mark.parametrize(("port", "shown"), [(443, "%[pathq]"), (8_443, ":8443%[pathq]")])
def test_redirect(port: int, shown: str) -> None:
    text = front.redirect(replace(ORDERS, port=port, redirect_port=80, certificate="c", key="k"))
    assert f"regsub(:[0-9]*$,)]{shown} code 308\n" in text
    assert " ssl " not in text
