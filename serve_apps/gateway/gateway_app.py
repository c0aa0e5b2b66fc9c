"""The gateway as a Ray Serve deployment: N replicas, each with its own id, sockets and connections to Redis and NATS."""

from __future__ import annotations

import asyncio
import gc
import random
import secrets
import time
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Response
from ray import serve
from ray.serve import Application

from actors.chat.filtering import load_filter
from cluster.adapters.jwks import issuers_of
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.chat import RedisChatStore
from cluster.adapters.redis.connection import guard
from cluster.adapters.redis.device_keys import RedisDeviceKeys
from cluster.adapters.redis.limits import RedisLimiter
from cluster.adapters.redis.parties import RedisPartyStore
from cluster.adapters.redis.protection import RedisProtection
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.social import RedisSocialStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.adapters.redis.world import RedisWorldStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, until_available
from cluster.guarding import start_guarding
from cluster.limiting import SharedLimits
from cluster.ports.protection import Protection
from cluster.realm import Realm
from cluster.security.checking import TokenChecker
from cluster.security.rotation import LiveKeys
from cluster.telemetry.gateway_metrics import GatewayMetrics
from cluster.telemetry.tracing import Sampling
from realm_proto import internal_pb2
from serve_apps.gateway.admission import Admission
from serve_apps.gateway.authority import Authority
from serve_apps.gateway.beat import GatewayBeat
from serve_apps.gateway.connection import Close
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.firewall import Firewall
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.limits.floods import Floods
from serve_apps.gateway.limits.registry import Registry
from serve_apps.gateway.maintenance import MaintenanceGuard
from serve_apps.gateway.orders import Orders
from serve_apps.gateway.party_link import PartyLink
from serve_apps.gateway.picows_app import Door
from serve_apps.gateway.reporting import Reporter
from serve_apps.gateway.routed import Routed
from serve_apps.gateway.router import Router
from serve_apps.gateway.routes import (
    auth,
    channels,
    chat,
    friends,
    game,
    history,
    keys,
    party,
    presence,
    sealed,
    session,
    state,
    system,
    world,
)
from serve_apps.gateway.services import Services
from serve_apps.gateway.signing import Rotation, signed_only
from serve_apps.gateway.upgrade import Refusal

SWEEP_S = 1.0
ROSTER_S = 10.0
DRAIN_LOOK_S = 0.1
PROBE_KEY_S = 60
# Sockets do not count as requests of Serve (they leave its HTTP server); plain GETs do, and must never queue.
MAX_ONGOING = 1_000_000

log = structlog.get_logger(__name__)
http = FastAPI(openapi_url=None)


def build_router() -> Router:
    """Every method a client may call."""
    router = Router()
    for routes in (
        system,
        session,
        world,
        state,
        game,
        presence,
        friends,
        party,
        chat,
        channels,
        history,
        keys,
        sealed,
        auth,
    ):
        routes.add_to(router)
    return router


class GatewayRunner:
    """Everything but Serve: the hub, its connections and its loops."""

    hub: Hub

    def __init__(self, open_with: OpenRuntime = open_runtime) -> None:
        self._open = open_with
        self._loops: list[asyncio.Task[None]] = []
        self._probes = 0

    async def start(self, realm: Realm) -> None:
        settings, limits = realm.settings, realm.settings.gateway
        self._realm = realm
        router = build_router()
        metrics = GatewayMetrics(router.methods, list(Close))
        gateway_id = f"gtw_{secrets.token_hex(6)}"
        runtime = await self._open(realm, "gateway", gateway_id, metrics.registry)
        store = RedisSessionStore(runtime.redis, settings.namespace)
        characters = RedisCharacters(runtime.redis, settings.namespace)
        topics = RedisTopicLog(runtime.redis, settings.namespace)
        bus, subjects, calls = runtime.bus, runtime.subjects, runtime.calls
        self._guarding, keeping = await start_guarding(
            RedisProtection(runtime.redis, settings.namespace),
            bus,
            subjects,
            settings.firewall.refresh_s,
            until_available,
        )
        hub = Hub(gateway_id, realm, bus, subjects, calls, time.monotonic, time.time, metrics)
        checker = TokenChecker(settings, LiveKeys(realm.keys.public_only()), issuers_of(settings))
        authority = Authority(
            settings.identity,
            checker,
            RedisBans(runtime.redis, settings.namespace),
            hub.notify,
            hub.close,
            hub.spawn,
            time.time,
            metrics,
        )
        limiter = RedisLimiter(runtime.redis, settings.namespace)
        shared = SharedLimits(limiter, settings.limits.without_store, time.monotonic)
        services = Services(
            settings,
            hub,
            calls,
            characters,
            topics,
            bus,
            subjects,
            time.time,
            RedisSocialStore(runtime.redis, settings.namespace),
            RedisPartyStore(runtime.redis, settings.namespace),
            RedisChatStore(runtime.redis, settings.namespace),
            shared,
            load_filter(settings.chat.filter, settings.chat.words, settings.chat.max_text),
            RedisDeviceKeys(runtime.redis, settings.namespace),
            authority,
        )
        signed = signed_only(router.methods, settings.signing.methods)
        traces = settings.telemetry.tracing
        sampling = Sampling(traces, time.monotonic, random.Random()) if traces.otlp else None  # noqa: S311 - which to trace
        hub.use(Dispatcher(router, services, time.monotonic, limits.max_pending_requests, metrics, signed, sampling))
        hub.watchers.append(Rotation(settings.signing, hub.notify, metrics))
        link = PartyLink(
            gateway_id, settings, services.parties, services.social, bus, subjects, hub.notify, time.monotonic
        )
        hub.use_parties(link)
        registry = Registry(settings.limits, settings.firewall.exempt)
        firewall = Firewall(settings.firewall, self._guarding.banned, time.monotonic, time.time, hub.kick)
        self._guarding.listeners.append(lambda _: firewall.enforce(list(hub.clients.values())))
        floods = Floods(
            settings.limits,
            gateway_id,
            limiter,
            RedisBans(runtime.redis, settings.namespace),
            RedisAuditLog(runtime.redis, settings.namespace, settings.abuse.audit_log),
            store,
            bus,
            subjects,
            hub.spawn,
            time.time,
        )
        reporter = Reporter(gateway_id, bus, subjects, settings.abuse.report_s, Door.addresses, registry)
        closed = MaintenanceGuard(lambda: self._guarding.maintenance, time.time, hub.close)
        beat = GatewayBeat(hub, metrics)
        runtime.beating.add(beat.values)
        hub.watchers += [
            registry,
            firewall,
            floods,
            authority,
            closed,
            beat,
            *([reporter] if settings.abuse.enabled else []),
        ]

        def learn(protection: Protection) -> None:
            if checker.learn(protection, time.time()):
                authority.changed(hub.clients.values())

        self._guarding.listeners.append(learn)
        learn(self._guarding.current)
        metrics.watch_limits(lambda: registry.refused, lambda: shared.counts, lambda: floods.banned)
        metrics.watch_reports(reporter)
        metrics.watch_zones(hub.zones)
        metrics.watch_reliable(hub.reliable, lambda: len(hub.degraded))
        metrics.watch_hub(hub)
        await bus.subscribe(subjects.gateway_output(gateway_id), hub.zones.receive)
        await bus.subscribe(subjects.gateway_control(gateway_id), hub.control)
        await bus.subscribe(subjects.gateways_control(), hub.control)
        await bus.subscribe(subjects.gateways_control(), Orders(hub, reporter, time.monotonic).take)
        await bus.subscribe(subjects.gateway_reliable(gateway_id), hub.reliable.receive)
        await bus.respond(subjects.gateway_session(gateway_id, "*"), Routed(hub.clients, hub.notify).respond)
        await bus.subscribe(subjects.gateway_alive(), hub.heard_gateway)
        await bus.subscribe(subjects.world_map(), hub.world.take)
        hub.world.take((await until_available(RedisWorldStore(runtime.redis, settings.namespace).load))[0])
        self.hub = hub
        self._runtime = runtime
        Door.hub = hub
        Door.edge_secret = realm.edge_secret
        Door.firewall = firewall
        Door.admission = Admission(
            gateway_id, realm, store, calls, time.monotonic, time.time, checker, closed.refusal, sampling
        )
        await self._alive()
        self._loops = [
            keeping,
            asyncio.create_task(every(limits.input_flush_s, self._pulse, "pulse")),
            asyncio.create_task(every(SWEEP_S, self._sweep, "sweep")),
            asyncio.create_task(every(limits.heartbeat_s, self._alive, "heartbeat")),
            asyncio.create_task(every(limits.probe_s, self._probe, "probe")),
            asyncio.create_task(every(limits.probe_s, self._probe_redis, "probe_redis")),
            asyncio.create_task(every(ROSTER_S, self._roster, "roster")),
            asyncio.create_task(every(settings.social.party_positions_s, link.step, "parties")),
        ]
        log.info("gateway_started", gateway=gateway_id)

    async def _pulse(self) -> None:
        self.hub.pulse()

    async def _sweep(self) -> None:
        self.hub.sweep()
        self.hub.look()

    async def _roster(self) -> None:
        self.hub.reliable.roster(self.hub.clients.values())

    async def _probe(self) -> None:
        """Through NATS, and through the zones that this gateway's players are in, and back (see health.py)."""
        hub, subjects = self.hub, self._runtime.subjects
        self._probes += 1
        number = self._probes
        probe = internal_pb2.GatewayControl(probe=internal_pb2.GatewayProbe(number=number, part="nats"))
        hub.health.asked("nats", number, time.monotonic())
        self._runtime.bus.publish(subjects.gateway_control(hub.gateway_id), probe.SerializeToString())
        for zone_id in hub.zones.probe(number):
            hub.health.asked(f"zone:{zone_id}", number, time.monotonic())

    async def _probe_redis(self) -> None:
        """Apart, because it may take long. A write, which a server without memory and a replica refuse."""
        self._probes += 1
        number, hub = self._probes, self.hub
        hub.health.asked("redis", number, time.monotonic())
        key = f"{self._runtime.subjects.namespace}:probe:{hub.gateway_id}"
        async with guard():
            await self._runtime.redis.set(key, number, ex=PROBE_KEY_S)
        hub.health.answered("redis", number, time.monotonic())

    async def _alive(self) -> None:
        """While this is heard, sessions believe that their sockets are open."""
        self._runtime.bus.publish(self._runtime.subjects.gateway_alive(), self.hub.alive())

    def check(self) -> None:
        """Raises RuntimeError when a loop has ended, which none should."""
        for loop in self._loops:
            if loop.done():
                raise RuntimeError("a loop of the gateway has ended")

    async def drain(self) -> None:
        """Everyone is asked to connect elsewhere, and who does not is closed; `gateway.drain_s` at most."""
        hub, deadline_s = self.hub, self._realm.settings.gateway.drain_s
        hub.leaving.drain(time.monotonic(), deadline_s)
        until = time.monotonic() + deadline_s + 1.0
        while not hub.leaving.done and time.monotonic() < until:  # noqa: ASYNC110 - the pulse drives it
            await asyncio.sleep(DRAIN_LOOK_S)

    def stop(self) -> None:
        """Sockets are told, loops end; the process's connections end with the process."""
        self.hub.stop()
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
    graceful_shutdown_timeout_s=28.0,  # more than gateway.drain_s, less than Kubernetes' 30 s
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

    async def __del__(self) -> None:
        """Serve calls and awaits this when the replica stops in an orderly way."""
        await self._runner.drain()
        self._runner.stop()


def build(realm: Realm) -> Application:
    """The application for cluster/launch.py, by import string."""
    deployment: Any = Gateway
    application: Application = deployment.options(num_replicas=realm.settings.gateways).bind(
        realm.without_private_keys()
    )
    return application
