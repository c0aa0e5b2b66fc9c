"""Banned addresses get nothing of the HTTP API."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI

from serve_apps.accounts.http import build_http

SECRET = "the edge's own mark, in this test"
BANNED = "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        (BANNED, {}, 403),
        ("203.0.113.8", {}, 200),
        ("127.0.0.1", {"X-Rayrealm-Edge": SECRET, "X-Forwarded-For": BANNED}, 403),
        ("127.0.0.1", {"X-Rayrealm-Edge": "1", "X-Forwarded-For": BANNED}, 200),
    ],
)
async def test_who_is_banned(app: FastAPI, peer: str, headers: dict[str, str], status: int) -> None:
    deps = replace(app.state.deps, edge_secret=SECRET)
    barred = build_http(deps, banned=lambda address: address == BANNED)
    transport = httpx.ASGITransport(barred, client=(peer, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://realm", headers=headers) as http:
        answer = await http.get("/v1/openapi.json")
    assert answer.status_code == status
    if status == 403:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == "address_banned"
        assert answer.headers["x-content-type-options"] == "nosniff"
