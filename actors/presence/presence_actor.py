"""The presence index as a Ray actor. It rebuilds itself from session records, so its death makes nobody offline."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

import orjson
import ray
import structlog

from actors.presence.changes import SessionPresence, UserPresence, presence_of
from actors.presence.index import PresenceIndex
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, until_available
from cluster.errors import Unavailable
from cluster.realm import Realm
from cluster.telemetry.metrics import PresenceMetrics

REBUILD_LIMIT = 1_000_000
GONE_SWEEP_S = 30.0
GONE_BATCH = 500
FLUSH_S = 0.05
RETRY_S = (0.25, 0.5)
TOLD_AT_ONCE = 500
POST_DEADLINE_S = 5.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _News:
    """A user's newest presence, and the sessions of one actor that have not been told of it."""

    user: UserPresence
    sessions: dict[str, None]

    def add(self, user: UserPresence, session_id: str) -> None:
        self.user = user
        self.sessions[session_id] = None


class PresenceRunner:
    def __init__(self, realm: Realm, name: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._open = open_with
        self._name = name
        self._metrics = PresenceMetrics(name)
        self._untold: dict[str, dict[str, _News]] = {}  # actor -> user -> news
        self._waits: dict[str, float] = {}  # actor -> when to try it again
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> PresenceIndex:
        self._runtime = await self._open(self._realm, "presence", self._name, self._metrics.registry)
        epoch = await until_available(lambda: self._runtime.epochs.take("presence", self._name))
        store = RedisSessionStore(self._runtime.redis, self._realm.settings.namespace)
        index = PresenceIndex()
        records = await until_available(lambda: store.online(REBUILD_LIMIT))
        index.rebuild(presence_of(record) for record in records)
        self._metrics.watch(index)
        self._loops = [
            asyncio.create_task(every(GONE_SWEEP_S, lambda: self._sweep_gone(index, store), "gone")),
            asyncio.create_task(every(FLUSH_S, self._flush, "presence")),
        ]
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
        """Changes from a session actor; watchers are told through theirs."""
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
        """For the next flush; newest wins, so that this is bounded by who watches whom."""
        for watcher in watchers:
            self._untold.setdefault(watcher.actor, {}).setdefault(user.user_id, _News(user, {})).add(
                user, watcher.session_id
            )

    async def _flush(self) -> None:
        """To each session actor, which numbers and keeps them (the reliable lane). What one did not take is told again."""
        now = time.monotonic()
        for actor in [a for a in self._untold if now >= self._waits.get(a, 0.0)]:
            news = self._untold.pop(actor)
            part = dict(list(news.items())[:TOLD_AT_ONCE])
            rest = {user_id: n for user_id, n in news.items() if user_id not in part}
            if rest:
                self._untold[actor] = rest
            messages = [(list(n.sessions), "presence.changed", orjson.dumps(n.user.public())) for n in part.values()]
            try:
                await self._runtime.calls.call(actor, "post", messages, deadline_s=POST_DEADLINE_S)
            except Unavailable as error:
                log.warning("presence_waits", actor=actor, error=str(error))
                self._waits[actor] = time.monotonic() + random.uniform(*RETRY_S)  # noqa: S311 - jitter
                for user_id, old in part.items():
                    newer = self._untold.setdefault(actor, {}).setdefault(user_id, old)
                    for session_id in old.sessions:
                        newer.sessions[session_id] = None

    async def info(self) -> dict[str, Any]:
        """Health check."""
        index = await self._index()
        return {"actor": self._name, "users": len(index)}


PresenceActor = ray.remote(PresenceRunner)
