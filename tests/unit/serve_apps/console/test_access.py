"""Cookies and addresses of the console, without a server (serve_apps/console/access.py)."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from cluster.errors import Unauthorized
from serve_apps.console.access import PLAIN_COOKIE, SECURE_COOKIE, cookie, end_cookies, expect_own_page, set_cookie


def request(vouched: Any = False, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/console/",
        "server": ("realm", 80),
        "query_string": b"",
        "headers": [(b"host", b"realm.example:8000"), *raw],
        "state": {"address": "127.0.0.1", "vouched": vouched},
    }
    return Request(scope)


BOTH = f"{PLAIN_COOKIE}=plain; {SECURE_COOKIE}=secure"


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (request(cookie=BOTH), "secure"),
        (request(cookie=f"{PLAIN_COOKIE}=plain"), "plain"),
        (request(), ""),
        # Over TLS one that could have been set in the clear, by anybody on the way, counts for nothing.
        (request(True, cookie=f"{PLAIN_COOKIE}=plain", x_forwarded_proto="https"), ""),
        (request(cookie=f"{PLAIN_COOKIE}=plain", origin="https://realm.example:8000"), ""),
        # Nobody but the edge says how somebody came.
        (request(False, cookie=f"{PLAIN_COOKIE}=plain", x_forwarded_proto="https"), "plain"),
    ],
)
def test_which_cookie_counts(sent: Request, wanted: str) -> None:
    assert cookie(sent) == wanted


def test_over_tls_it_is_for_this_host_alone() -> None:
    response = Response()
    set_cookie(response, request(True, x_forwarded_proto="https"), "secret", 59.5)
    said = response.headers["set-cookie"]
    assert said.startswith(f"{SECURE_COOKIE}=secret;")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=strict", "Max-Age=60"} <= set(said.split("; "))
    assert "Domain" not in said


def test_both_are_ended() -> None:
    response = Response()
    end_cookies(response, request(cookie=BOTH))
    said = [value for name, value in response.headers.items() if name == "set-cookie"]
    assert [each.split("=")[0] for each in said] == [SECURE_COOKIE, PLAIN_COOKIE]
    assert all("Max-Age=0" in each for each in said)


@pytest.mark.parametrize("origin", ["http://realm.example:8000", "HTTP://REALM.example:8000"])
def test_its_own_page(origin: str) -> None:
    expect_own_page(request(origin=origin))


@pytest.mark.parametrize(
    "origin", ["", "null", "http://realm.example", "http://evil.example:8000", "realm.example:8000"]
)
def test_other_pages(origin: str) -> None:
    with pytest.raises(Unauthorized):
        expect_own_page(request(**({"origin": origin} if origin else {})))
