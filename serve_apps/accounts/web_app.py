"""The HTTP API as a Ray Serve deployment: one replica, with its own connections to Redis and NATS."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

import serve_apps.play
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.connection import guard
from cluster.adapters.redis.refresh_tokens import RedisRefreshTokens
from cluster.adapters.runtime import OpenRuntime, Runtime, open_runtime
from cluster.errors import StartRefused, Unavailable
from cluster.realm import Realm
from cluster.telemetry.metrics import WebMetrics
from cluster.telemetry.scrape import collect
from serve_apps.accounts.gateways import Gateways
from serve_apps.accounts.http import ROUTES, build_http
from serve_apps.accounts.passwords import Passwords
from serve_apps.accounts.routes import HttpDeps
from serve_apps.accounts.service import AccountService

NAME = "web"
MAX_ONGOING = 1_000
PING_DEADLINE_S = 2.0


def play_folder() -> Path:
    """The play page: inside the package where it was installed, beside it in a checkout. Raises StartRefused."""
    package = Path(serve_apps.play.__file__).parent
    for folder in (package / "web", package.parent.parent / "clients" / "web"):
        if (folder / "index.html").is_file():
            return folder
    raise StartRefused(f"the play page is missing from {package}: install rayrealm again")


async def start(realm: Realm, open_with: OpenRuntime = open_runtime) -> FastAPI:
    """The app over real connections, which its lifespan closes."""
    metrics = WebMetrics(ROUTES)
    runtime = await open_with(realm, NAME, NAME, metrics.registry)
    namespace = realm.settings.namespace
    passwords = Passwords(realm.settings.accounts)
    service = AccountService(
        settings=realm.settings,
        keys=realm.keys,
        accounts=RedisAccounts(runtime.redis, namespace),
        characters=RedisCharacters(runtime.redis, namespace),
        refresh_tokens=RedisRefreshTokens(runtime.redis, namespace),
        passwords=passwords,
        clock=time.time,
        rng=random.Random(),  # noqa: S311 - where newcomers stand
    )

    gateways = Gateways()
    await runtime.bus.subscribe(runtime.subjects.gateway_alive(), lambda data: gateways.heard(data, time.monotonic()))

    async def health() -> dict[str, bool]:
        return {
            "redis": await _redis_answers(runtime),
            "nats": await _nats_delivers(runtime),
            "gateways": gateways.serving(time.monotonic()) > 0,
        }

    async def scrape() -> bytes:
        return await collect(runtime.bus, runtime.subjects)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        passwords.close()
        await runtime.close()

    return build_http(HttpDeps(service, scrape, health, play_folder(), metrics.answered), lifespan)


async def _redis_answers(runtime: Runtime) -> bool:
    try:
        async with guard(PING_DEADLINE_S):
            await runtime.redis.ping()
    except Unavailable:
        return False
    return True


async def _nats_delivers(runtime: Runtime) -> bool:
    """A message goes to the server and comes back: a connection that is open says little."""
    try:
        await runtime.bus.flush(PING_DEADLINE_S)
    except Unavailable:
        return False
    return True


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=MAX_ONGOING,
    ray_actor_options={"num_cpus": 0},
    health_check_period_s=2.0,
    health_check_timeout_s=5.0,
    graceful_shutdown_timeout_s=10.0,
)
@serve.ingress()
class Web:
    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Serve calls this on the replica's loop, then runs the app's lifespan."""
        return await start(self._realm)


def build(realm: Realm) -> Application:
    """The application for cluster/launch.py, by import string. Its replica signs tokens: it gets the private key."""
    deployment: Any = Web
    application: Application = deployment.bind(realm)
    return application
