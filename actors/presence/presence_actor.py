"""The presence index as a Ray actor. It rebuilds itself from session records and ties, so its death makes nobody offline."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray
import structlog

from actors.presence.asked import Asked, beat
from actors.presence.changes import SessionPresence, presence_of
from actors.presence.index import PresenceIndex
from actors.presence.looking import TiesAgain
from actors.presence.privacy import Circle, circle_of
from actors.presence.telling import Courier, Encoder, Message, announcement, presences
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.social import RedisSocialStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, until_available
from cluster.errors import Unavailable
from cluster.ports.social import Profile
from cluster.realm import Realm
from cluster.telemetry.metrics import PresenceMetrics
from cluster.telemetry.tracing import Traced
from cluster.world_control import responder

REBUILD_LIMIT = 1_000_000
GONE_SWEEP_S = 30.0
GONE_BATCH = 500
TIES_AT_ONCE = 500
TIES_ROUND_S, TIES_REST_S = 55.0, 5.0  # all are looked up again, and then a pause
SEEN_S = 0.5
SEEN_AT_ONCE = 64
MAX_SEEN = 100_000
POST_DEADLINE_S = 5.0

log = structlog.get_logger(__name__)


class PresenceRunner(Traced):
    def __init__(self, realm: Realm, name: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._open = open_with
        self._name = name
        self._metrics = PresenceMetrics(name)
        self._couriers: dict[str, Courier] = {}
        self._seen: dict[str, tuple[float, str]] = {}  # user -> when, and the character's name: not in the store yet
        self._changed = asyncio.Event()
        self._taking = asyncio.Lock()  # changes and ties are taken in the order in which they come
        self._rng = random.Random()  # noqa: S311 - jitter
        self._loops: list[asyncio.Task[None]] = []
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> PresenceIndex:
        settings = self._realm.settings
        self._runtime = await self._open(self._realm, "presence", self._name, self._metrics.registry)
        self._events = self._runtime.events()
        self._social = RedisSocialStore(self._runtime.redis, settings.namespace)
        epoch = await until_available(lambda: self._runtime.epochs.take("presence", self._name))
        store = RedisSessionStore(self._runtime.redis, settings.namespace)
        index = PresenceIndex(epoch)
        self._encoder = Encoder(index)
        records = await until_available(lambda: store.online(REBUILD_LIMIT))
        sessions = [presence_of(record) for record in records]
        users = index.unknown(sessions)
        circles = await until_available(lambda: self._circles(users))
        index.rebuild(sessions, circles)
        self._metrics.watch(index)
        self._again = TiesAgain(index, self._circles, self._changed.set)
        self._loops += [
            asyncio.create_task(every(GONE_SWEEP_S, lambda: self._sweep_gone(index, store), "gone")),
            asyncio.create_task(every(TIES_REST_S, self._look_again, "ties")),
            asyncio.create_task(every(SEEN_S, self._write_seen, "seen")),
            asyncio.create_task(every(settings.presence.flush_s, lambda: self._flush(index), "presence")),
        ]
        self._runtime.beating.add(lambda: beat(index))
        subject = self._runtime.subjects.actor_control(self._name)
        await self._runtime.bus.respond(subject, responder(Asked(index, self.get).methods))
        log.info("presence_started", name=self._name, epoch=epoch, users=len(index))
        return index

    async def _index(self) -> PresenceIndex:
        return await asyncio.shield(self._started)

    # --- what comes in -----------------------------------------------------------------------------------------

    async def apply(self, changes: list[SessionPresence]) -> int:
        """Changes from a session actor; watchers are told through theirs. Returns this incarnation's epoch. Raises Unavailable."""
        index = await self._index()
        await self._take(index, changes)
        return index.epoch

    async def watch(self, change: SessionPresence, user_ids: list[str]) -> list[dict[str, Any]]:
        """Take in what the session watches now and return how `user_ids` are at this very moment: no change is lost between.

        Presences as that session may see them (PROTOCOL.md). Raises Unavailable.
        """
        index = await self._index()
        await self._take(index, [change])
        return await presences(index, index.see(change.user_id, user_ids), self._past)

    async def get(self, viewer_user_id: str, user_ids: list[str]) -> list[dict[str, Any]]:
        """How these users are, as that one may see them, in the order of the ids. Raises Unavailable."""
        index = await self._index()
        own = None if index.knows(viewer_user_id) else (await self._circles([viewer_user_id]))[viewer_user_id]
        return await presences(index, index.see(viewer_user_id, user_ids, own), self._past)

    async def refresh_users(self, user_ids: list[str]) -> None:
        """Ties or choices of these users have changed in the store: of a tie, both. Raises Unavailable."""
        index = await self._index()
        async with self._taking:
            circles = await self._circles(user_ids)
            self._again.came(circles)
            index.refresh(circles)
        self._changed.set()

    async def info(self) -> dict[str, Any]:
        """Health check."""
        index = await self._index()
        return {"actor": self._name, "epoch": index.epoch, "users": len(index)}

    async def _take(self, index: PresenceIndex, changes: Sequence[SessionPresence]) -> None:
        async with self._taking:
            circles = await self._circles(index.unknown(changes))
            self._again.came(circles)
            index.apply(changes, circles)
        if changes:
            self._changed.set()

    async def _circles(self, user_ids: Sequence[str]) -> dict[str, Circle]:
        made: dict[str, Circle] = {}
        for start in range(0, len(user_ids), TIES_AT_ONCE):
            part = user_ids[start : start + TIES_AT_ONCE]
            ties, profiles = await asyncio.gather(self._social.ties(part), self._social.profiles(part))
            made |= {user_id: circle_of(ties.get(user_id), profiles.get(user_id)) for user_id in part}
        return made

    # --- loops -------------------------------------------------------------------------------------------------

    async def _sweep_gone(self, index: PresenceIndex, store: RedisSessionStore) -> None:
        """Sessions whose record expired with nobody to say so, because their actor was away for too long."""
        known = index.sessions()
        for start in range(0, len(known), GONE_BATCH):
            gone = await store.missing(known[start : start + GONE_BATCH])
            await self._take(index, index.over(gone))

    async def _look_again(self) -> None:
        """Who changes a tie tells this index; should that be lost, privacy must not be for longer than this."""
        await self._again.look(TIES_ROUND_S, time.monotonic, asyncio.sleep)

    async def _flush(self, index: PresenceIndex) -> None:
        """At once if nothing changed for a while; what changes meanwhile goes with the next."""
        await self._changed.wait()
        self._changed.clear()
        news = index.take_news()
        for actor, untold in news.watchers.items():
            self._courier(actor, index).add(untold)
        now = time.time()
        for user_id, name in news.seen.items():
            self._seen.pop(user_id, None)
            self._seen[user_id] = (now, name)
        while len(self._seen) > MAX_SEEN:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            log.error("last_online_lost", user=oldest)
        for user_id in news.public:
            event_id, body = announcement(index, user_id, now)
            self._events.publish("presence", user_id, body, event_id)

    def _courier(self, actor: str, index: PresenceIndex) -> Courier:
        """One for each session actor there is."""
        courier = self._couriers.get(actor)
        if courier is None:
            courier = Courier(actor, index, self._encoder, self._post, self._past, self._rng)
            self._couriers[actor] = courier
            self._loops.append(asyncio.create_task(courier.run()))
        return courier

    async def _post(self, actor: str, messages: list[Message]) -> None:
        await self._runtime.calls.call(actor, "post", messages, deadline_s=POST_DEADLINE_S)

    # --- when somebody was online last -------------------------------------------------------------------------

    async def _past(self, user_ids: Iterable[str]) -> Mapping[str, Profile]:
        found = dict(await self._social.profiles(list(user_ids)))
        for user_id, profile in found.items():
            at, name = self._seen.get(user_id, (0.0, ""))
            if at > profile.last_online:
                found[user_id] = replace(profile, last_online=at, name=name or profile.name)
        return found

    async def _write_seen(self) -> None:
        """The newest of each; what the store does not take now it is asked to take again."""
        todo = list(self._seen.items())
        for start in range(0, len(todo), SEEN_AT_ONCE):
            part = todo[start : start + SEEN_AT_ONCE]
            done = await asyncio.gather(
                *(self._social.seen(user_id, at, name) for user_id, (at, name) in part), return_exceptions=True
            )
            for (user_id, said), failure in zip(part, done, strict=True):
                if failure is None and self._seen.get(user_id) == said:
                    del self._seen[user_id]
                elif failure is not None and not isinstance(failure, Unavailable):
                    raise failure
            if any(failure is not None for failure in done):
                raise Unavailable("social")


PresenceActor = ray.remote(PresenceRunner)
