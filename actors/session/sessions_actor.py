"""A session host as a Ray actor. One actor holds up to `sessions_per_actor` sessions; with 1, each has a process of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import ray
import structlog

from actors.presence.changes import SessionPresence
from actors.session.asked import Asked, beat
from actors.session.attaching import Attach, Attached
from actors.session.belongings import Belongings
from actors.session.following import Following
from actors.session.gate import RefreshGate
from actors.session.hearing import Hearing
from actors.session.host import SessionHost
from actors.session.journey import Journey
from actors.session.lane import ReliableLane
from actors.session.moves import Moves
from actors.session.presence_news import PresenceNews
from actors.session.table import SessionTable
from actors.session.ties import Ties
from actors.session.usernames import Usernames
from actors.session.whereabouts import Whereabouts
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.outbox import RedisOutboxLog
from cluster.adapters.redis.parties import RedisPartyStore
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.social import RedisSocialStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.adapters.redis.world import RedisWorldStore
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.adapters.runtime import OpenRuntime, every, open_runtime, stop_fenced, until_available
from cluster.errors import Fenced, RealmError, Unavailable
from cluster.mapwatch import MapWatch
from cluster.ports.bus import Subscription
from cluster.ports.calls import presence_actor
from cluster.ports.sessions import Fence
from cluster.realm import Realm
from cluster.telemetry.metrics import SessionMetrics
from cluster.telemetry.tracing import Traced
from cluster.world_control import responder
from cluster.worldmap import WorldMap
from cluster.zone_calls import ZoneOwners
from realm_proto import internal_pb2

SWEEP_S = 1.0
LOOK_S = 1.0
ECHO_S = 0.5
RESEND_S = 0.2
CATCH_UP_S = 0.05
FLUSH_PAUSE_S = 0.1  # after the log was away
REFRESH_PAUSE_S = 2.0  # at most, while the stores of friends and parties are away
TIES_AGAIN_S = 60.0  # at most, should a refresh have been lost
RETRY_S = 1.0  # at most, before what failed for single sessions is tried again
MOVES_S = 0.2
NAMES_S = 1.0
POST_DEADLINE_S = 4.0
PRESENCE_DEADLINE_S = 2.0

log = structlog.get_logger(__name__)


class SessionsRunner(Traced):
    def __init__(self, realm: Realm, name: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._open = open_with
        self._name = name
        self._metrics = SessionMetrics(name)
        self._unlisted: dict[str, int] = {}
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> SessionHost:
        settings = self._realm.settings
        self._runtime = await self._open(self._realm, "sessions", self._name, self._metrics.registry)
        runtime = self._runtime
        epoch = await until_available(lambda: runtime.epochs.take("sessions", self._name))
        fence = Fence(self._name, epoch)
        self._news = PresenceNews(epoch)
        world = RedisWorldStore(runtime.redis, settings.namespace)
        watch = MapWatch(WorldMap.declared(settings.world))
        kept, _ = await until_available(world.load)
        watch.take(kept)
        await runtime.bus.subscribe(runtime.subjects.world_map(), watch.take)
        host = self._assemble(fence, watch)
        restored = await until_available(host.restore)
        subjects, bus = runtime.subjects, runtime.bus
        await bus.subscribe(subjects.gateway_alive(), self._alive)
        await bus.subscribe(subjects.session_reports(self._name), self._reports)
        await bus.subscribe(subjects.session_roster(self._name), self._roster)
        await bus.subscribe(subjects.sessions_moved(), self._moved)
        store = RedisSessionStore(runtime.redis, settings.namespace)
        await until_available(lambda: store.register_actor(fence))
        self._metrics.watch(host)
        self._metrics.watch_lane(self._lane, self._following)
        names = Usernames(host.sessions, RedisAccounts(runtime.redis, settings.namespace).usernames)
        asked = Asked(host.sessions, names.names, self.post)
        await bus.respond(subjects.actor_control(self._name), responder(asked.methods))
        runtime.beating.add(lambda: beat(host.sessions.values(), self._lane, len(self._following)))
        self._loops = [
            asyncio.create_task(every(NAMES_S, names.look, "names")),
            asyncio.create_task(self._log_for_ever()),
            asyncio.create_task(every(SWEEP_S, self._sweep, "sweep")),
            asyncio.create_task(every(RESEND_S, self._resend, "resend")),
            asyncio.create_task(every(CATCH_UP_S, self._catch_up, "catch_up")),
            asyncio.create_task(every(LOOK_S, self._following.look, "look")),
            asyncio.create_task(every(settings.session.record_ttl_s / 3, host.keep_alive, "keep_alive")),
            asyncio.create_task(every(MOVES_S, self._settle_moves, "moves")),
            asyncio.create_task(every(RETRY_S / 2, self._retry_topics, "topics")),
            asyncio.create_task(self._refresh_for_ever()),
            asyncio.create_task(every(TIES_AGAIN_S / 2, self._look_again, "ties")),
            asyncio.create_task(every(settings.presence.flush_s, self._flush_presence, "presence")),
        ]
        log.info("sessions_started", actor=self._name, epoch=epoch, restored=restored)
        return host

    def _assemble(self, fence: Fence, watch: MapWatch) -> SessionHost:
        runtime, settings = self._runtime, self._realm.settings
        limits = settings.session
        store = RedisSessionStore(runtime.redis, settings.namespace)
        outbox_log = RedisOutboxLog(runtime.redis, settings.namespace)
        rng = random.Random()  # noqa: S311 - where characters appear, names of streams, jitter
        table = SessionTable(fence, store, limits.record_ttl_s, time.monotonic)
        self._lane = ReliableLane(
            fence,
            limits,
            outbox_log,
            table.sessions,
            lambda gateway_id, data: runtime.bus.publish(runtime.subjects.gateway_reliable(gateway_id), data),
            lambda session: self._sessions.outrun(session),
            time.monotonic,
            time.time,
            rng,
        )
        topic_log = RedisTopicLog(runtime.redis, settings.namespace)
        ties = Ties()
        gate = RefreshGate(ties)
        self._following = Following(fence, topic_log, outbox_log, self._lane, self._listen, gate)
        social = RedisSocialStore(runtime.redis, settings.namespace)
        parties = RedisPartyStore(runtime.redis, settings.namespace)
        self._hearing = Hearing(table.sessions, self._following, ties, gate, social, parties, time.time)
        characters = RedisCharacters(runtime.redis, settings.namespace)
        zones = RedisZoneStore(runtime.redis, settings.namespace)
        where = Whereabouts(ZoneOwners(runtime.calls), zones.zones_of, watch, time.monotonic, rng)
        self._sessions = SessionHost(
            table,
            self._lane,
            self._hearing,
            settings,
            characters,
            Journey(settings, watch, where, characters, rng),
            self._news.add,
            self._close_socket,
            time.monotonic,
            time.time,
            rng,
        )
        self._moves = Moves(table, self._hearing, self._sessions.announce)
        self._belongings = Belongings(
            table, self._hearing, self._sessions.announce, limits.max_subscriptions, settings.presence
        )
        return self._sessions

    # --- the bus -----------------------------------------------------------------------------------------------

    async def _listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscription:
        return await self._runtime.bus.subscribe(self._runtime.subjects.topic(topic), handler)

    def _alive(self, data: bytes) -> None:
        self._sessions.heard(internal_pb2.GatewayAlive.FromString(data).gateway_id)

    def _reports(self, data: bytes) -> None:
        for r in internal_pb2.SessionReports.FromString(data).reports:
            self._sessions.reported(
                r.session_id, r.attach_epoch, r.delivered, r.acked, missing=r.missing, heard=r.heard
            )

    def _roster(self, data: bytes) -> None:
        said = internal_pb2.SessionRoster.FromString(data)
        held = dict(zip(said.session_ids, said.attach_epochs, strict=True))
        for session_id, attach_epoch in self._sessions.roster(said.gateway_id, held):
            log.warning("socket_never_opened", session=session_id, gateway=said.gateway_id)
            self._unlisted[session_id] = attach_epoch

    def _moved(self, data: bytes) -> None:
        said = internal_pb2.SessionsMoved.FromString(data)
        self._moves.moved(said.zone_id, said.session_ids)

    # --- loops -------------------------------------------------------------------------------------------------

    async def _log_for_ever(self) -> None:
        """One batch after another, as they come: the next one fills while this one is on its way."""
        while True:
            await self._lane.wait_for_work()
            try:
                await self._lane.flush()
            except Fenced:
                stop_fenced(self._name)
            except RealmError as error:
                log.warning("outbox_waits", actor=self._name, error=str(error))
                await asyncio.sleep(FLUSH_PAUSE_S)
            except Exception:
                log.exception("outbox_failed", actor=self._name)
                await asyncio.sleep(FLUSH_PAUSE_S)

    async def _refresh_for_ever(self) -> None:
        """What messages on users' topics say has changed: looked up until the stores answer, and then the messages go on."""
        pause = FLUSH_PAUSE_S
        while True:
            await self._hearing.wait_for_work()
            try:
                await self._hearing.refresh()
                if self._following.behind:
                    await self._following.catch_up()
            except Fenced:
                stop_fenced(self._name)
            except Exception as error:
                if not isinstance(error, RealmError):
                    log.exception("refresh_failed", actor=self._name)
                await asyncio.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311 - jitter
                pause = min(2 * pause, REFRESH_PAUSE_S)
            else:
                pause = FLUSH_PAUSE_S

    async def _look_again(self) -> None:
        """Each actor at moments of its own, so that the stores are not asked by all of them at once."""
        await asyncio.sleep(random.uniform(0.0, TIES_AGAIN_S / 2))  # noqa: S311 - jitter
        await self._hearing.look_again()

    async def _retry_topics(self) -> None:
        await asyncio.sleep(random.uniform(0.0, RETRY_S / 2))  # noqa: S311 - jitter
        await self._hearing.retry()

    async def _settle_moves(self) -> None:
        await self._moves.settle()
        if self._moves.waiting:
            await asyncio.sleep(random.uniform(0.5, 1.0) * RETRY_S)  # noqa: S311 - jitter

    async def _sweep(self) -> None:
        self._lane.expire()
        while self._unlisted:
            await self._sessions.detach(*self._unlisted.popitem())
        await self._sessions.sweep(deaf=await self._deaf())

    async def _deaf(self) -> bool:
        try:
            await self._runtime.bus.flush(ECHO_S)
        except Unavailable:
            return True
        return False

    async def _resend(self) -> None:
        self._lane.resend()

    async def _catch_up(self) -> None:
        if self._following.behind:
            await self._following.catch_up()

    async def _host(self) -> SessionHost:
        return await asyncio.shield(self._started)

    async def _flush_presence(self) -> None:
        """Changes go in batches, so that a storm of attaches costs the presence index few calls; what failed is sent again."""
        await self._news.wait()
        batch = self._news.take(time.monotonic())
        if batch is None:
            return
        try:
            epoch = await self._runtime.calls.call(presence_actor(), "apply", batch, deadline_s=PRESENCE_DEADLINE_S)
        except Unavailable:
            self._news.failed(batch)
            raise
        self._news.told(batch, epoch, time.monotonic())

    def _close_socket(self, gateway_id: str, session_id: str, attach_epoch: int, code: int, reason: str) -> None:
        close = internal_pb2.GatewayClose(session_id=session_id, attach_epoch=attach_epoch, code=code, reason=reason)
        message = internal_pb2.GatewayControl(close=close).SerializeToString()
        self._runtime.bus.publish(self._runtime.subjects.gateway_control(gateway_id), message)

    async def _run(self, part: str, method: str, *args: Any) -> Any:
        await self._host()
        with self._metrics.call(method):
            try:
                return await getattr(getattr(self, part), method)(*args)
            except Fenced:
                stop_fenced(self._name)

    # --- the control lane: see SessionHost and Belongings for what each does and raises --------------------------

    async def attach(self, wanted: Attach) -> Attached:
        attached: Attached = await self._run("_sessions", "attach", wanted)
        return attached

    async def detach(self, session_id: str, attach_epoch: int) -> None:
        await self._run("_sessions", "detach", session_id, attach_epoch)

    async def post(self, messages: list[tuple[list[str], str, bytes]]) -> None:
        """Reliable notifications for sessions of this actor: (session ids, method, params). Durable when it returns."""
        await self._run("_lane", "post", messages, POST_DEADLINE_S)

    async def enter(
        self, session_id: str, attach_epoch: int, key: str, character_id: str, zone_id: str
    ) -> dict[str, Any]:
        result: dict[str, Any] = await self._run(
            "_sessions", "enter", session_id, attach_epoch, key, character_id, zone_id
        )
        return result

    async def leave(self, session_id: str, attach_epoch: int) -> None:
        await self._run("_sessions", "leave", session_id, attach_epoch)

    async def subscribe(self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]) -> tuple[str, ...]:
        topics: tuple[str, ...] = await self._run("_belongings", "subscribe", session_id, attach_epoch, add, remove)
        return topics

    async def set_presence(
        self,
        session_id: str,
        attach_epoch: int,
        status: str | None,
        text: str | None,
        metadata: dict[str, str] | None,
    ) -> dict[str, Any]:
        now: dict[str, Any] = await self._run(
            "_belongings", "set_presence", session_id, attach_epoch, status, text, metadata
        )
        return now

    async def set_idle(self, session_id: str, attach_epoch: int, idle: bool) -> None:
        await self._run("_belongings", "set_idle", session_id, attach_epoch, idle)

    async def watch(
        self, session_id: str, attach_epoch: int, add: list[str], remove: list[str]
    ) -> tuple[SessionPresence, int]:
        change, watching = await self._run("_belongings", "watch", session_id, attach_epoch, add, remove)
        return self._news.add(change), watching

    async def set_attribute(self, session_id: str, attach_epoch: int, name: str, value: Any) -> dict[str, Any]:
        now: dict[str, Any] = await self._run("_belongings", "set_attribute", session_id, attach_epoch, name, value)
        return now

    async def attributes(self, session_id: str, attach_epoch: int) -> dict[str, Any]:
        now: dict[str, Any] = await self._run("_belongings", "attributes", session_id, attach_epoch)
        return now

    async def info(self) -> dict[str, Any]:
        """Health check."""
        host = await self._host()
        return {"actor": self._name, "epoch": host.fence.epoch, "sessions": len(host.sessions)}


SessionsActor = ray.remote(SessionsRunner)
