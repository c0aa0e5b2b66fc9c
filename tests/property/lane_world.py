"""Session actors, gateways and players around one reliable lane, in one process, with everything that may go wrong.

Time stands still unless `World.advance` moves it; what happens next is drawn from one seed. Stores fail before or after they act,
or act late; the bus loses, repeats and reorders; actors, gateways and sockets die at any await.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from actors.session.attaching import Attach, Attached
from actors.session.belongings import Belongings
from actors.session.host import SessionHost
from actors.session.lane import ReliableLane
from actors.session.table import SessionTable
from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.memory.characters import MemoryCharacters
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.errors import Fenced, RealmError, Unavailable
from cluster.ports.sessions import Fence
from cluster.ports.topics import TopicMessage
from cluster.settings import SessionSettings, Settings
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from tests.hearings import listening
from tests.journeys import journey
from tests.property.lane_faults import WALL, Bus, Rough, Subscribed, Told

ACTOR = "sessions/0"
SUBJECTS = Subjects("test")


class Actor:
    """One incarnation of the session actor, with its loops."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ready = self.over = False
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in order, so that a seed is always the same walk
        self._subscriptions: list[Subscribed] = []
        self._unlisted: dict[str, int] = {}

    def spawn(self, work: Callable[[], Awaitable[Any]]) -> asyncio.Task[Any]:
        task = self.world.spawn(self._guarded(work))
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    async def _guarded(self, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await work()
        except Fenced:
            self.world.counts["fenced"] += 1
            self.kill()
            raise Unavailable("sessions") from None

    def kill(self) -> None:
        """Wherever it stands. A zombie is one that nobody killed when the next one began."""
        self.ready, self.over = False, True
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()
        for subscription in self._subscriptions:
            subscription._handlers[:] = [h for h in subscription._handlers if h != subscription._handler]

    async def start(self) -> None:
        world = self.world
        while True:
            try:
                self.fence = Fence(ACTOR, await world.epochs.take("sessions", ACTOR))
                break
            except Unavailable:
                await world.turns(3)
        self._assemble()
        while True:
            try:
                await self.host.restore()
                break
            except Unavailable:
                await world.turns(3)
        for subject, handler in (
            (SUBJECTS.session_reports(ACTOR), self._reports),
            (SUBJECTS.session_roster(ACTOR), self._roster),
        ):
            self._subscriptions.append(await world.bus.subscribe(subject, handler))
        self.ready = True
        await self._log_for_ever()

    def _assemble(self) -> None:
        world, limits = self.world, self.world.settings.session
        table = SessionTable(self.fence, world.store, limits.record_ttl_s, world.clock)
        self.lane = ReliableLane(
            self.fence,
            limits,
            world.outbox_log,
            table.sessions,
            lambda gateway_id, data: world.bus.publish(SUBJECTS.gateway_reliable(gateway_id), data),
            lambda session: self.host.outrun(session),
            world.clock,
            world.wall_clock,
            random.Random(world.rng.random()),
        )
        self.following, hearing = listening(
            self.fence, world.topics, world.outbox_log, self.lane, self._listen, table.sessions, world.wall_clock
        )
        self.host = SessionHost(
            table,
            self.lane,
            hearing,
            world.settings,
            MemoryCharacters(lambda _session: True),
            journey(world.settings, MemoryCalls({}), MemoryCharacters(lambda _session: True), 1),
            lambda _change: None,
            self._close_socket,
            world.clock,
            world.wall_clock,
            random.Random(world.rng.random()),
        )
        self.belongings = Belongings(
            table,
            hearing,
            self.host.announce,
            limits.max_subscriptions,
            world.settings.presence,
        )

    async def _listen(self, topic: str, handler: Callable[[bytes], None]) -> Subscribed:
        if self.world.fails():
            raise Unavailable("nats")
        subscription = await self.world.bus.subscribe(SUBJECTS.topic(topic), handler)
        self._subscriptions.append(subscription)
        return subscription

    def _close_socket(self, gateway_id: str, session_id: str, attach_epoch: int, code: int, reason: str) -> None:
        close = internal_pb2.GatewayClose(session_id=session_id, attach_epoch=attach_epoch, code=code, reason=reason)
        self.world.counts[reason] += 1
        self.world.bus.publish(SUBJECTS.gateway_control(gateway_id), close.SerializeToString())

    def _reports(self, data: bytes) -> None:
        for r in internal_pb2.SessionReports.FromString(data).reports:
            self.host.reported(r.session_id, r.attach_epoch, r.delivered, r.acked, missing=r.missing, heard=r.heard)

    def _roster(self, data: bytes) -> None:
        said = internal_pb2.SessionRoster.FromString(data)
        held = dict(zip(said.session_ids, said.attach_epochs, strict=True))
        self._unlisted |= self.host.roster(said.gateway_id, held)

    async def _log_for_ever(self) -> None:
        while True:
            await self.lane.wait_for_work()
            await self.world.turns(2)
            try:
                await self.lane.flush()
            except Unavailable:
                await self.world.turns(5)

    def tick(self) -> None:
        """What the actor's other loops do, when their time has come."""
        if not self.ready:
            return
        self.lane.expire()
        self.lane.resend()
        for step in (self._sweep, self.following.look, self.following.catch_up):
            self.spawn(partial(self._step, step))

    async def _sweep(self) -> None:
        while self._unlisted:
            await self.host.detach(*self._unlisted.popitem())
        await self.host.sweep()

    async def _step(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Unavailable:
            self.world.counts["step failed"] += 1


class World:
    """`rough`: things go wrong. Everything random comes from `rng`."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        self.settings = Settings(
            realm="test",
            session=SessionSettings(
                grace_s=1e6,
                record_ttl_s=1e6,
                outbox_count=rng.choice([8, 1_000]),
                outbox_bytes=rng.choice([1_024, 262_144]),
                outbox_age_s=rng.choice([12.0, 10_000.0]),
                topic_log=rng.choice([10, 1_000]),
            ),
        )
        self.now = 1_000.0
        self.rough = True
        self.outage = False
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.errors: list[BaseException] = []
        self.bus = Bus(self)
        self.epochs = MemoryEpochStore()
        records = MemorySessionStore(self.epochs)
        self.records = records
        self.told = Told(MemoryOutboxLog(self.epochs, records))
        self.topic_log = MemoryTopicLog()
        self.store: Any = Rough(self, records)
        self.outbox_log: Any = Rough(self, self.told, frozenset({"append"}))
        self.topics: Any = Rough(self, self.topic_log)
        self.published: defaultdict[str, list[TopicMessage]] = defaultdict(list)
        # (session, topic) -> (joined?, "asked" or "done", how many messages the topic had)
        self.windows: defaultdict[tuple[str, str], list[tuple[bool, str, int]]] = defaultdict(list)
        self._background: set[asyncio.Task[Any]] = set()
        self.zombies: list[Actor] = []

    # --- what everything here goes by ---------------------------------------------------------------------------

    def clock(self) -> float:
        return self.now

    def wall_clock(self) -> float:
        return WALL + self.now

    def fails(self) -> bool:
        return self.rough and self.rng.random() < (0.9 if self.outage else 0.05)

    async def turns(self, most: int) -> None:
        """Others go on meanwhile."""
        for _ in range(self.rng.randint(0, most) if self.rough else 0):
            await asyncio.sleep(0)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, RealmError):
            self.errors.append(error)

    async def settle(self) -> None:
        """Until whatever was begun is done, except for what never ends."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def end(self) -> None:
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    # --- the actor ----------------------------------------------------------------------------------------------

    def start_actor(self) -> None:
        self.actor = Actor(self)
        self.actor.spawn(self.actor.start)

    def replace_actor(self) -> None:
        """It died, or the realm only thinks so."""
        if self.rng.random() < 0.3:
            self.zombies.append(self.actor)
        else:
            self.actor.kill()
        self.counts["actor replaced"] += 1
        self.start_actor()

    async def call(self, part: str, method: str, *args: Any) -> Any:
        """As gateways call session actors: whatever happens to the actor, the caller hears Unavailable."""
        actor = self.actor
        if not actor.ready:
            raise Unavailable("sessions")
        await self.turns(3)
        task = actor.spawn(partial(getattr(getattr(actor, part), method), *args))
        await asyncio.wait([task])
        if task.cancelled():
            raise Unavailable("sessions")
        result = task.result()
        await self.turns(2)
        if self.fails():
            raise Unavailable("sessions")
        return result

    async def attach(self, wanted: Attach) -> Attached:
        attached: Attached = await self.call("host", "attach", wanted)
        return attached

    # --- topics -------------------------------------------------------------------------------------------------

    async def publish(self, topic: str) -> None:
        """Kept first, then said; a publisher may die between, which is as a message that the bus lost."""
        number = len(self.published[topic])
        params = b'{"topic":"%s","number":%d,"pad":"%s"}' % (topic.encode(), number, b"x" * self.rng.choice([0, 0, 90]))
        made = await self.topic_log.publish(topic, "system.topic", params, self.settings.session.topic_log)
        assert made.message is not None
        self.published[topic].append(made.message)
        m = made.message
        said = internal_pb2.TopicMessage(topic=topic, method=m.method, params_json=params, id=m.id, previous=m.previous)
        await self.turns(2)
        self.bus.publish(SUBJECTS.topic(topic), said.SerializeToString())
