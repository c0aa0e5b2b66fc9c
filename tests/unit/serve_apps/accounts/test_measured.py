from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from serve_apps.accounts.http import ROUTES, build_http
from serve_apps.accounts.measured import Measured
from serve_apps.accounts.routes import HttpDeps

Seen = list[tuple[str, int, float]]


@pytest.fixture
def seen() -> Seen:
    return []


@pytest.fixture
def measured(app: FastAPI, seen: Seen) -> FastAPI:
    deps: HttpDeps = app.state.deps
    return build_http(
        HttpDeps(deps.service, deps.metrics, deps.health, deps.mount_play, lambda *answer: seen.append(answer))
    )


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/v1/realm", "/v1/realm", 200),
        ("DELETE", "/v1/characters/chr_secret", "/v1/characters/{character_id}", 401),
        ("POST", "/v1/auth/login", "/v1/auth/login", 422),
        ("GET", "/v1/openapi.json", "/v1/openapi.json", 200),
        ("GET", "/v1/docs", "/v1/docs", 200),
        ("GET", "/", "/", 307),
        ("GET", "/play/js/main.js", "/play/", 200),
        ("GET", "/play/nope", "/play/", 404),
    ],
)
async def test_paths_are_told_by_their_template(
    measured: FastAPI, seen: Seen, method: str, path: str, route: str, status: int
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(measured), base_url="http://realm") as http:
        await http.request(method, path)
    (answer,) = seen
    assert answer[:2] == (route, status)
    assert 0 <= answer[2] < 10
    assert route in ROUTES


async def test_a_path_that_is_none_of_ours(measured: FastAPI, seen: Seen) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(measured), base_url="http://realm") as http:
        await http.get("/wp-login.php")
    assert seen[0][0] not in ROUTES
    assert "wp-login" not in seen[0][0]


async def test_the_time_is_the_clocks() -> None:
    times: Iterator[float] = iter([10.0, 12.5])
    seen: Seen = []

    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    async def nothing(*_: object) -> None:
        return None

    middleware = Measured(app, (), lambda *answer: seen.append(answer), lambda: next(times))
    await middleware({"type": "http", "path": "/x"}, nothing, nothing)  # type: ignore[arg-type]
    assert seen == [("", 200, 2.5)]


async def test_no_answer_is_not_counted() -> None:
    seen: Seen = []

    async def app(scope: object, receive: object, send: object) -> None:
        return None

    async def nothing(*_: object) -> None:
        return None

    await Measured(app, (), lambda *answer: seen.append(answer), lambda: 0.0)({"type": "http"}, nothing, nothing)  # type: ignore[arg-type]
    assert seen == []
