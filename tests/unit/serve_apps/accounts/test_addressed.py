"""Who asks, as the HTTP API knows it, and who may read metrics (row 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from serve_apps.accounts.addressed import Addressed
from serve_apps.accounts.http import build_http

SECRET = "the edge's own mark, in this test"
VOUCHED = {"X-Rayrealm-Edge": SECRET}


def asked(secret: str, peer: str) -> Callable[[dict[str, str]], httpx.AsyncClient]:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        state = Request(scope).state
        await JSONResponse([state.address, state.vouched])(scope, receive, send)

    transport = httpx.ASGITransport(Addressed(app, secret), client=(peer, 50_000))
    return lambda headers: httpx.AsyncClient(transport=transport, base_url="http://realm", headers=headers)


@pytest.mark.parametrize(
    ("secret", "headers", "seen"),
    [
        ("", {}, ["127.0.0.1", False]),
        ("", {"X-Forwarded-For": "203.0.113.7", "X-Rayrealm-Edge": ""}, ["127.0.0.1", False]),
        (SECRET, {"X-Forwarded-For": "203.0.113.7"}, ["127.0.0.1", False]),
        (SECRET, {"X-Forwarded-For": "203.0.113.7", "X-Rayrealm-Edge": "1"}, ["127.0.0.1", False]),
        (SECRET, {"X-Forwarded-For": "203.0.113.7", **VOUCHED}, ["203.0.113.7", True]),
    ],
)
async def test_the_address(secret: str, headers: dict[str, str], seen: list[object]) -> None:
    async with asked(secret, "127.0.0.1")(headers) as http:
        assert (await http.get("/")).json() == seen


@pytest.mark.parametrize(
    ("secret", "peer", "headers", "status"),
    [
        ("", "127.0.0.1", {}, 200),
        ("", "203.0.113.7", {}, 403),
        ("", "203.0.113.7", {"X-Forwarded-For": "127.0.0.1"}, 403),
        (SECRET, "127.0.0.1", {}, 403),  # through another edge everybody seems to be here
        (SECRET, "127.0.0.1", {"X-Forwarded-For": "127.0.0.1", **VOUCHED}, 200),
        (SECRET, "127.0.0.1", {"X-Forwarded-For": "203.0.113.7", **VOUCHED}, 403),
    ],
)
async def test_metrics(app: FastAPI, secret: str, peer: str, headers: dict[str, str], status: int) -> None:
    marked = build_http(replace(app.state.deps, edge_secret=secret))
    transport = httpx.ASGITransport(marked, client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://realm", headers=headers) as http:
        answer = await http.get("/metrics")
        assert answer.status_code == status
        if status == 403:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["reason"] == "metrics_refused"
