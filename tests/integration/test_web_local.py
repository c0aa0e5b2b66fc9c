"""The HTTP API over a real socket with real Valkey and NATS, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.runtime import Runtime
from cluster.beating import Beating
from cluster.process_control import ProcessControl
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.settings import AccountSettings, NatsSettings, RedisSettings, Settings
from cluster.subjects import Subjects
from cluster.telemetry.scrape import serve_metrics
from realm_proto.internal_pb2 import GatewayAlive
from serve_apps.accounts.limits import BodyLimit
from serve_apps.accounts.web_app import play_folder, start
from tests.servers import Valkey

CREDENTIALS = {"username": "ada", "password": "correct horse"}
CHEAP = AccountSettings(argon2_memory_kib=8, argon2_time_cost=1)
STOP_DEADLINE_S = 10.0


async def open_runtime(realm: Realm, kind: str, name: str, registry: CollectorRegistry) -> Runtime:
    settings, subjects = realm.settings, Subjects(realm.settings.namespace)
    client = connect(settings.redis, name)
    bus = await NatsBus.connect(settings.nats, name)
    await serve_metrics(bus, subjects, registry, name)
    epochs = RedisEpochStore(client, settings.namespace)
    beating = Beating(kind, name, "", settings.telemetry.beat_s, lambda data: bus.publish(subjects.beats(), data))
    control = ProcessControl(name, settings.console.chaos, beating.now)
    return Runtime(realm, kind, name, subjects, client, bus, MemoryCalls({}), epochs, registry, beating, control)


@contextlib.asynccontextmanager
async def listening(app: ASGIApp, lifespan: Literal["on", "off"]) -> AsyncIterator[httpx.AsyncClient]:
    # asyncio turns Nagle's algorithm off only if it sees that this is TCP: else every answer with a body takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)  # clients that connect before the server runs wait here
    server = uvicorn.Server(uvicorn.Config(app, lifespan=lifespan, log_config=None, timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        async with asyncio.timeout(STOP_DEADLINE_S):
            await task


@contextlib.asynccontextmanager
async def serving(realm: Realm) -> AsyncIterator[httpx.AsyncClient]:
    async with listening(await start(realm, open_runtime), "on") as client:
        yield client


@pytest.fixture
def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> Realm:
    settings = Settings(
        realm=namespace,
        redis=RedisSettings(url=SecretStr(valkey_url)),
        nats=NatsSettings(url=SecretStr(nats_url), token=SecretStr(nats_token)),
        accounts=CHEAP,
    )
    return Realm(settings, KeyRing.create(time.time()), b"recovery tokens of this test only")


@pytest.fixture
async def http(realm: Realm) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(realm) as client:
        yield client


async def test_a_player_from_registration_to_logout(http: httpx.AsyncClient) -> None:
    registered = await http.post("/v1/auth/register", json=CREDENTIALS)
    assert registered.status_code == 201
    tokens = (await http.post("/v1/auth/login", json=CREDENTIALS)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    created = await http.post("/v1/characters", json={"name": "Ada Ærø"}, headers=headers)
    assert created.status_code == 201
    assert (await http.get("/v1/characters", headers=headers)).json() == {"characters": [created.json()]}
    deleted = await http.delete(f"/v1/characters/{created.json()['character_id']}", headers=headers)
    assert deleted.status_code == 204
    assert (await http.get("/v1/characters", headers=headers)).json() == {"characters": []}
    body = {"refresh_token": tokens["refresh_token"]}
    assert (await http.post("/v1/auth/logout", json=body)).status_code == 204
    assert (await http.post("/v1/auth/refresh", json=body)).status_code == 401


async def test_of_two_refreshes_at_once_one_wins_and_the_family_ends(http: httpx.AsyncClient) -> None:
    first = (await http.post("/v1/auth/register", json=CREDENTIALS)).json()
    body = {"refresh_token": first["refresh_token"]}
    answers = await asyncio.gather(*(http.post("/v1/auth/refresh", json=body) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    after = await http.post("/v1/auth/refresh", json={"refresh_token": won["refresh_token"]})
    assert (after.status_code, after.json()["reason"]) == (401, "token_invalid")


async def test_a_restart_finds_the_accounts_and_the_logins_again(realm: Realm) -> None:
    async with serving(realm) as http:
        tokens = (await http.post("/v1/auth/register", json=CREDENTIALS)).json()
    async with serving(realm) as http:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await http.get("/v1/characters", headers=headers)).status_code == 200
        assert (await http.post("/v1/auth/login", json=CREDENTIALS)).json()["user_id"] == tokens["user_id"]
        refreshed = await http.post("/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert refreshed.status_code == 200


@pytest.fixture
async def gateway(realm: Realm) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Says once that there is a gateway, and that all is well with it."""
    bus = await NatsBus.connect(realm.settings.nats, "test")
    subject = Subjects(realm.settings.namespace).gateway_alive()

    async def beat() -> None:
        bus.publish(subject, GatewayAlive(gateway_id="gtw_a").SerializeToString())
        await bus.flush(STOP_DEADLINE_S)

    yield beat
    await bus.close()


async def test_health_metrics_and_the_page(http: httpx.AsyncClient, gateway: Callable[[], Awaitable[None]]) -> None:
    health = await http.get("/v1/healthz")
    checks = {"redis": True, "nats": True, "gateways": False}
    assert (health.status_code, health.json()) == (503, {"status": "unavailable", "checks": checks})
    await gateway()
    health = await http.get("/v1/healthz")
    assert (health.status_code, health.json()) == (200, {"status": "ok", "checks": {**checks, "gateways": True}})
    metrics = await http.get("/metrics")
    assert 'rayrealm_http_requests_total{process="web",route="/v1/healthz",status="200"} 1.0' in metrics.text
    page = await http.get("/", follow_redirects=True)
    assert page.url.path == "/play/"
    assert page.text == (play_folder() / "index.html").read_text()


async def test_without_redis_it_says_so_and_then_goes_on(
    realm: Realm, tmp_path: Path, gateway: Callable[[], Awaitable[None]]
) -> None:
    with Valkey(tmp_path) as server:
        redis = RedisSettings(url=SecretStr(server.url), timeout_s=0.5)
        settings = realm.settings.model_copy(update={"redis": redis})
        async with serving(replace(realm, settings=settings)) as http:
            server.kill()
            health = await http.get("/v1/healthz")
            assert (health.status_code, health.json()["checks"]) == (
                503,
                {"redis": False, "nats": True, "gateways": False},
            )
            answer = await http.post("/v1/auth/register", json=CREDENTIALS)
            assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            server.start()
            assert (await http.post("/v1/auth/register", json=CREDENTIALS)).status_code == 201
            await gateway()
            assert (await http.get("/v1/healthz")).status_code == 200


async def test_a_body_that_never_ends_is_given_up_with_its_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("without its body no request gets here")

    async with listening(BodyLimit(app, deadline_s=0.05), "off") as http:
        assert http.base_url.port is not None
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: realm\r\nContent-Length: 100\r\n\r\n{")
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"request_timeout" in answer
        writer.close()
        await writer.wait_closed()
