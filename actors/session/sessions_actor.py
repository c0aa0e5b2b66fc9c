"""A session host as a Ray actor. One actor holds up to `sessions_per_actor` sessions; with 1, each has a process of its own."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import ray
import structlog

from actors.presence.changes import SessionPresence
from actors.session.host import Attached, SessionHost
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, stop_fenced, until_available
from cluster.errors import Fenced, Unavailable
from cluster.ports.calls import presence_actor
from cluster.ports.sessions import Fence
from cluster.realm import Realm
from cluster.telemetry.metrics import SessionMetrics
from realm_proto import internal_pb2

SWEEP_S = 1.0
PRESENCE_FLUSH_S = 0.05
PRESENCE_BATCH = 1_000

log = structlog.get_logger(__name__)


class SessionsRunner:
    def __init__(self, realm: Realm, name: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._open = open_with
        self._name = name
        self._metrics = SessionMetrics(name)
        self._untold: dict[str, SessionPresence] = {}  # newest by session: bounded by the sessions there are
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> SessionHost:
        settings = self._realm.settings
        self._runtime = await self._open(self._realm, "sessions", self._name, self._metrics.registry)
        runtime = self._runtime
        epoch = await until_available(lambda: runtime.epochs.take("sessions", self._name))
        store = RedisSessionStore(runtime.redis, settings.namespace)
        host = SessionHost(
            Fence(self._name, epoch),
            settings,
            store,
            RedisCharacters(runtime.redis, settings.namespace),
            runtime.calls,
            self._tell_presence,
            self._close_socket,
            time.monotonic,
            time.time,
            random.Random(),  # noqa: S311 - where characters appear
        )
        restored = await until_available(host.restore)
        await runtime.bus.subscribe(runtime.subjects.gateway_alive(), lambda data: host.heard(data.decode()))
        await until_available(lambda: store.register_actor(host.fence))
        self._metrics.watch(host)
        self._loops = [
            asyncio.create_task(every(SWEEP_S, host.sweep, "sweep")),
            asyncio.create_task(every(settings.session.record_ttl_s / 3, host.keep_alive, "keep_alive")),
            asyncio.create_task(every(PRESENCE_FLUSH_S, self._flush_presence, "presence")),
        ]
        log.info("sessions_started", actor=self._name, epoch=epoch, restored=restored)
        return host

    async def _host(self) -> SessionHost:
        return await asyncio.shield(self._started)

    def _tell_presence(self, change: SessionPresence) -> None:
        self._untold[change.session_id] = change

    async def _flush_presence(self) -> None:
        """Changes go in batches, so that a storm of attaches costs the presence index few calls; what failed is sent again."""
        if not self._untold:
            return
        ids = list(self._untold)[:PRESENCE_BATCH]
        batch = [self._untold.pop(session_id) for session_id in ids]
        try:
            await self._runtime.calls.call(presence_actor(), "apply", batch, deadline_s=2.0)
        except Unavailable:
            for change in batch:
                self._untold.setdefault(change.session_id, change)
            raise

    def _close_socket(self, gateway_id: str, session_id: str, attach_epoch: int, code: int, reason: str) -> None:
        close = internal_pb2.GatewayClose(session_id=session_id, attach_epoch=attach_epoch, code=code, reason=reason)
        message = internal_pb2.GatewayControl(close=close).SerializeToString()
        self._runtime.bus.publish(self._runtime.subjects.gateway_control(gateway_id), message)

    async def _run(self, method: str, *args: Any) -> Any:
        host = await self._host()
        with self._metrics.call(method):
            try:
                return await getattr(host, method)(*args)
            except Fenced:
                stop_fenced(self._name)

    # --- the control lane: see SessionHost for what each does and raises -----------------------------------------

    async def attach(self, session_id: str, user_id: str, gateway_id: str) -> Attached:
        attached: Attached = await self._run("attach", session_id, user_id, gateway_id)
        return attached

    async def detach(self, session_id: str, attach_epoch: int) -> None:
        await self._run("detach", session_id, attach_epoch)

    async def enter(
        self, session_id: str, attach_epoch: int, key: str, character_id: str, zone_id: str
    ) -> dict[str, Any]:
        result: dict[str, Any] = await self._run("enter", session_id, attach_epoch, key, character_id, zone_id)
        return result

    async def leave(self, session_id: str, attach_epoch: int) -> None:
        await self._run("leave", session_id, attach_epoch)

    async def subscribe(self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]) -> tuple[str, ...]:
        topics: tuple[str, ...] = await self._run("subscribe", session_id, attach_epoch, add, remove)
        return topics

    async def set_status(self, session_id: str, attach_epoch: int, status: str) -> str:
        now: str = await self._run("set_status", session_id, attach_epoch, status)
        return now

    async def watch(
        self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]
    ) -> tuple[SessionPresence, int]:
        watching: tuple[SessionPresence, int] = await self._run("watch", session_id, attach_epoch, add, remove)
        return watching

    async def set_attribute(self, session_id: str, attach_epoch: int, name: str, value: Any) -> None:
        await self._run("set_attribute", session_id, attach_epoch, name, value)

    async def info(self) -> dict[str, Any]:
        """Health check."""
        host = await self._host()
        return {"actor": self._name, "epoch": host.fence.epoch, "sessions": len(host.sessions)}


SessionsActor = ray.remote(SessionsRunner)
