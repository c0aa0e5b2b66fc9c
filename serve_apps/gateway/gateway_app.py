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
from cluster.adapters.runtime import OpenRuntime, every, open_runtime
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


class GatewayRunner:
    """Everything but Serve: the hub, its connections and its loops."""

    hub: Hub

    def __init__(self, open_with: OpenRuntime = open_runtime) -> None:
        self._open = open_with
        self._loops: list[asyncio.Task[None]] = []

    async def start(self, realm: Realm) -> None:
        settings, limits = realm.settings, realm.settings.gateway
        router = build_router()
        metrics = GatewayMetrics(router.methods, list(Close))
        gateway_id = f"gtw_{secrets.token_hex(6)}"
        runtime = await self._open(realm, "gateway", gateway_id, metrics.registry)
        store = RedisSessionStore(runtime.redis, settings.namespace)
        characters = RedisCharacters(runtime.redis, settings.namespace)
        hub = Hub(gateway_id, settings, runtime.bus, runtime.subjects, runtime.calls, time.monotonic, metrics)
        services = Services(settings, hub, runtime.calls, characters, time.time)
        hub.use(Dispatcher(router, services, time.monotonic, limits.max_pending_requests, metrics))
        metrics.watch_queues(lambda: sum(c.outgoing.queued_bytes for c in hub.clients.values()))
        await runtime.bus.subscribe(runtime.subjects.gateway_output(gateway_id), hub.zones.receive)
        await runtime.bus.subscribe(runtime.subjects.gateway_control(gateway_id), hub.control)
        self.hub = hub
        self._runtime = runtime
        self._beat = gateway_id.encode()
        Door.hub = hub
        Door.admission = Admission(gateway_id, settings, realm.keys, store, runtime.calls, time.time)
        await self._alive()
        self._loops = [
            asyncio.create_task(every(limits.input_flush_s, self._pulse, "pulse")),
            asyncio.create_task(every(SWEEP_S, self._sweep, "sweep")),
            asyncio.create_task(every(limits.heartbeat_s, self._alive, "heartbeat")),
        ]
        log.info("gateway_started", gateway=gateway_id)

    async def _pulse(self) -> None:
        self.hub.pulse()

    async def _sweep(self) -> None:
        self.hub.sweep()

    async def _alive(self) -> None:
        """While this is heard, sessions believe that their sockets are open."""
        self._runtime.bus.publish(self._runtime.subjects.gateway_alive(), self._beat)

    def check(self) -> None:
        """Raises RuntimeError when a loop has ended, which none should."""
        for loop in self._loops:
            if loop.done():
                raise RuntimeError("a loop of the gateway has ended")

    def stop(self) -> None:
        """Sockets are told, loops end; the process's connections end with the process."""
        self.hub.close_all(Close.RESTART, "restart")
        for loop in self._loops:
            loop.cancel()


@http.get("/{path:path}")
async def not_a_websocket(path: str) -> Response:
    """A plain GET of the WebSocket endpoint."""
    refusal = Refusal(HTTPStatus.BAD_REQUEST, "bad_request", f"a WebSocket upgrade is needed at /{path}")
    return Response(refusal.body(), refusal.status, media_type="application/problem+json")


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
        self._runner = GatewayRunner()
        await self._runner.start(realm)
        gc.collect()
        gc.freeze()

    def check_health(self) -> None:
        """Serve replaces a replica whose loops have died."""
        self._runner.check()

    def __del__(self) -> None:
        """Serve calls this when the replica stops in an orderly way."""
        self._runner.stop()


def build(realm: Realm) -> Application:
    """The application for cluster/launch.py, by import string."""
    deployment: Any = Gateway
    application: Application = deployment.options(num_replicas=realm.settings.gateways).bind(
        realm.without_private_keys()
    )
    return application
