"""The gateway as a Ray Serve deployment: N replicas, each with its own id, sockets and connections to Redis and NATS."""

from __future__ import annotations

import asyncio
import gc
import secrets
import time
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Response
from ray import serve
from ray.serve import Application

from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.runtime import every, open_runtime
from cluster.realm import Realm
from cluster.telemetry.metrics import GatewayMetrics
from serve_apps.gateway.admission import Admission
from serve_apps.gateway.connection import Close
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.picows_app import Door
from serve_apps.gateway.router import Router
from serve_apps.gateway.routes import chat, presence, state, system, world
from serve_apps.gateway.services import Services
from serve_apps.gateway.upgrade import Refusal

SWEEP_S = 1.0
# Sockets do not count as requests of Serve (they leave its HTTP server); plain GETs do, and must never queue.
MAX_ONGOING = 1_000_000

log = structlog.get_logger(__name__)
http = FastAPI(openapi_url=None)


def build_router() -> Router:
    """Every method a client may call."""
    router = Router()
    for routes in (system, world, state, presence, chat):
        routes.add_to(router)
    return router


@serve.deployment(
    max_ongoing_requests=MAX_ONGOING,
    ray_actor_options={"num_cpus": 0},
    health_check_period_s=2.0,
    health_check_timeout_s=5.0,
    graceful_shutdown_timeout_s=10.0,
)
@serve.ingress(http)
class Gateway:
    async def __init__(self, realm: Realm) -> None:  # type: ignore[misc] # Serve awaits it
        settings = realm.settings
        router = build_router()
        self._metrics = GatewayMetrics(router.methods)
        gateway_id = f"gtw_{secrets.token_hex(6)}"
        runtime = await open_runtime(realm, "gateway", gateway_id, self._metrics.registry)
        store = RedisSessionStore(runtime.redis, settings.namespace)
        hub = Hub(
            gateway_id,
            settings,
            runtime.bus,
            runtime.subjects,
            runtime.calls,
            time.monotonic,
            self._metrics.connection_closed,
        )
        characters = RedisCharacters(runtime.redis, settings.namespace)
        services = Services(settings, hub, runtime.calls, characters, time.time)
        limits = settings.gateway
        hub.use(Dispatcher(router, services, time.monotonic, limits.max_pending_requests, self._metrics.handled))
        await runtime.bus.subscribe(runtime.subjects.gateway_output(gateway_id), hub.zones.receive)
        await runtime.bus.subscribe(runtime.subjects.gateway_control(gateway_id), hub.control)
        self._metrics.watch(hub)
        self._hub = hub
        self._runtime = runtime
        self._beat = gateway_id.encode()
        Door.hub = hub
        Door.admission = Admission(gateway_id, settings, realm.keys, store, runtime.calls, time.time)
        self._loops = [
            asyncio.create_task(every(limits.input_flush_s, self._pulse, "pulse")),
            asyncio.create_task(every(SWEEP_S, self._sweep, "sweep")),
            asyncio.create_task(every(limits.heartbeat_s, self._alive, "heartbeat")),
        ]
        await self._alive()
        gc.collect()
        gc.freeze()
        log.info("gateway_started", gateway=gateway_id)

    async def _pulse(self) -> None:
        self._hub.pulse()

    async def _sweep(self) -> None:
        self._hub.sweep()

    async def _alive(self) -> None:
        """While this is heard, sessions believe that their sockets are open."""
        self._runtime.bus.publish(self._runtime.subjects.gateway_alive(), self._beat)

    def check_health(self) -> None:
        """Serve replaces a replica whose loops have died."""
        for loop in self._loops:
            if loop.done():
                raise RuntimeError("a loop of the gateway has ended")

    @http.get("/{path:path}")
    async def not_a_websocket(self, path: str) -> Response:
        """A plain GET of the WebSocket endpoint."""
        refusal = Refusal(HTTPStatus.BAD_REQUEST, "bad_request", "a WebSocket upgrade is needed here")
        return Response(refusal.body(), 400, media_type="application/problem+json")

    async def __del__(self) -> None:
        """Serve calls this when the replica stops in an orderly way."""
        self._hub.close_all(Close.RESTART, "restart")
        for loop in self._loops:
            loop.cancel()
        await self._runtime.close()


def build(realm: Realm) -> Application:
    """The application for cluster/launch.py, by import string."""
    settings = realm.settings
    deployment: Any = Gateway
    application: Application = deployment.options(num_replicas=settings.gateways).bind(realm.without_private_keys())
    return application
