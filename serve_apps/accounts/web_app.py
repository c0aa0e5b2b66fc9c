"""The HTTP API as a Ray Serve deployment: one replica, with its own connections to Redis and NATS."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from prometheus_client import generate_latest
from ray import serve
from ray.serve import Application

import serve_apps.play
from cluster.adapters.jwks import issuers_of
from cluster.adapters.realm_watch import watch_realm
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.connection import guard
from cluster.adapters.redis.limits import RedisLimiter
from cluster.adapters.redis.lockouts import RedisLockouts
from cluster.adapters.redis.protection import RedisProtection
from cluster.adapters.redis.refresh_tokens import RedisRefreshTokens
from cluster.adapters.runtime import OpenRuntime, Runtime, every, open_runtime, until_available
from cluster.edge.counted import EdgeRefusals
from cluster.errors import StartRefused, Unavailable
from cluster.guarding import start_guarding, tell_change
from cluster.limiting import SharedLimits
from cluster.realm import Realm
from cluster.security.checking import TokenChecker
from cluster.security.rotation import LiveKeys
from cluster.telemetry.login_metrics import LoginMetrics
from cluster.telemetry.metrics import WebMetrics
from cluster.telemetry.scrape import collect, collect_one
from cluster.telemetry.targets import Targets
from serve_apps.accounts.desk import responder_of
from serve_apps.accounts.gateways import Gateways
from serve_apps.accounts.http import ROUTES, build_http
from serve_apps.accounts.key_desk import KeyDesk
from serve_apps.accounts.login_guard import LoginGuard
from serve_apps.accounts.password_rules import PasswordRules
from serve_apps.accounts.passwords import Passwords
from serve_apps.accounts.routes import HttpDeps
from serve_apps.accounts.service import AccountService

NAME = "web"
MAX_ONGOING = 1_000
PING_DEADLINE_S = 2.0
MEND_S = 5.0


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
    metrics.registry.register(EdgeRefusals())
    runtime = await open_with(realm, NAME, NAME, metrics.registry)
    namespace = realm.settings.namespace
    store = RedisProtection(runtime.redis, namespace)
    guarding, keeping = await start_guarding(
        store,
        runtime.bus,
        runtime.subjects,
        realm.settings.firewall.refresh_s,
        until_available,
    )

    def changed() -> None:
        tell_change(runtime.bus, runtime.subjects)

    keys = LiveKeys(realm.keys)
    desk = KeyDesk(realm.settings, keys, store, time.time, changed)
    await until_available(desk.load)
    checker = TokenChecker(realm.settings, keys, issuers_of(realm.settings))
    guarding.listeners.append(lambda protection: checker.learn(protection, time.time()))
    checker.learn(guarding.current, time.time())
    passwords, logins = Passwords(realm.settings.accounts), LoginMetrics(metrics.registry)
    service = AccountService(
        settings=realm.settings,
        checker=checker,
        protection=store,
        look=guarding.refresh,
        changed=changed,
        accounts=RedisAccounts(runtime.redis, namespace),
        characters=RedisCharacters(runtime.redis, namespace),
        refresh_tokens=RedisRefreshTokens(runtime.redis, namespace),
        passwords=passwords,
        rules=PasswordRules(realm.settings.login, realm.settings.realm),
        guard=LoginGuard(
            realm.settings.login,
            realm.settings.firewall.exempt,
            SharedLimits(RedisLimiter(runtime.redis, namespace), realm.settings.limits.without_store, time.monotonic),
            RedisLockouts(runtime.redis, namespace),
        ),
        clock=time.time,
        rng=random.Random(),  # noqa: S311 - where newcomers stand
        tried=logins.attempt,
        revoked=logins.revoked,
        maintenance=lambda: guarding.maintenance,
    )

    async def mend() -> None:
        await desk.mend(guarding.current.keys)

    mending = asyncio.create_task(every(MEND_S, mend, "keys"))
    await runtime.bus.respond(runtime.subjects.accounts(), responder_of(service, desk))

    gateways = Gateways()
    await runtime.bus.subscribe(runtime.subjects.gateway_alive(), lambda data: gateways.heard(data, time.monotonic()))

    async def health() -> dict[str, bool]:
        return {
            "redis": await _redis_answers(runtime),
            "nats": await _nats_delivers(runtime),
            "gateways": gateways.serving(time.monotonic()) > 0,
        }

    targets = Targets(time.monotonic)
    await runtime.bus.subscribe(runtime.subjects.beats(), targets.heard)
    watching = asyncio.create_task(watch_realm(runtime, metrics.registry))

    async def scrape(process: str) -> bytes:
        if process == NAME:  # without the bus: then it can say that the bus is away
            return generate_latest(metrics.registry)
        if process:
            return await collect_one(runtime.bus, runtime.subjects, process)
        return await collect(runtime.bus, runtime.subjects)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        keeping.cancel()
        mending.cancel()
        watching.cancel()
        passwords.close()
        await runtime.close()

    runtime.beating.add(lambda: {"gateways": gateways.serving(time.monotonic())})
    deps = HttpDeps(
        service,
        scrape,
        health,
        play_folder(),
        targets=targets.groups,
        answered=metrics.answered,
        edge_secret=realm.edge_secret,
    )
    return build_http(deps, lifespan, lambda address: guarding.banned(address, time.time()) is not None)


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
