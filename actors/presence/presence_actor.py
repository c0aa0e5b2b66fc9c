"""The presence index as a Ray actor. It rebuilds itself from session records, so its death makes nobody offline."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import ray
import structlog

from actors.presence.changes import SessionPresence, UserPresence, presence_of
from actors.presence.index import PresenceIndex
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, until_available
from cluster.realm import Realm
from cluster.telemetry.metrics import PresenceMetrics
from realm_proto import internal_pb2

REBUILD_LIMIT = 1_000_000
GONE_SWEEP_S = 30.0
GONE_BATCH = 500

log = structlog.get_logger(__name__)


class PresenceRunner:
    def __init__(self, realm: Realm, name: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._open = open_with
        self._name = name
        self._metrics = PresenceMetrics(name)
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> PresenceIndex:
        self._runtime = await self._open(self._realm, "presence", self._name, self._metrics.registry)
        epoch = await until_available(lambda: self._runtime.epochs.take("presence", self._name))
        store = RedisSessionStore(self._runtime.redis, self._realm.settings.namespace)
        index = PresenceIndex()
        records = await until_available(lambda: store.online(REBUILD_LIMIT))
        index.rebuild(presence_of(record) for record in records)
        self._metrics.watch(index)
        self._loops = [asyncio.create_task(every(GONE_SWEEP_S, lambda: self._sweep_gone(index, store), "gone"))]
        log.info("presence_started", name=self._name, epoch=epoch, users=len(index))
        return index

    async def _sweep_gone(self, index: PresenceIndex, store: RedisSessionStore) -> None:
        """Sessions whose record expired with nobody to say so, because their actor was away for too long."""
        known = index.sessions()
        for start in range(0, len(known), GONE_BATCH):
            gone = await store.missing(known[start : start + GONE_BATCH])
            for user, watchers in index.apply(index.over(gone)):
                self._tell(user, watchers)

    async def _index(self) -> PresenceIndex:
        return await asyncio.shield(self._started)

    async def apply(self, changes: list[SessionPresence]) -> None:
        """Changes from a session actor; watchers are told over the bus."""
        index = await self._index()
        for user, watchers in index.apply(changes):
            self._tell(user, watchers)

    async def watch(self, change: SessionPresence, user_ids: list[str]) -> list[UserPresence]:
        """Take in what the session watches now and return how `user_ids` are at this very moment: no change is lost between."""
        index = await self._index()
        for user, watchers in index.apply([change]):
            self._tell(user, watchers)
        return [index.of_user(user_id) for user_id in user_ids]

    def _tell(self, user: UserPresence, watchers: list[SessionPresence]) -> None:
        by_gateway: dict[str, list[str]] = {}
        for watcher in watchers:
            by_gateway.setdefault(watcher.gateway_id, []).append(watcher.session_id)
        for gateway_id, session_ids in by_gateway.items():
            notice = internal_pb2.GatewayNotice(
                session_ids=session_ids, method="presence.changed", params_json=orjson.dumps(user.public())
            )
            message = internal_pb2.GatewayControl(notice=notice).SerializeToString()
            self._runtime.bus.publish(self._runtime.subjects.gateway_control(gateway_id), message)

    async def info(self) -> dict[str, Any]:
        """Health check."""
        index = await self._index()
        return {"actor": self._name, "users": len(index)}


PresenceActor = ray.remote(PresenceRunner)
