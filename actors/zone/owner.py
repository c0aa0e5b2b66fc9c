"""One incarnation of a zone at work: its ticks, what it tells others, what it keeps. Plain asyncio over ports.

`zone_actor.py` decides whether this process owns the zone, and makes one of these when it does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from actors.zone import records, reports
from actors.zone.announcing import Announcements, Publish, to_nobody
from actors.zone.arrivals import Arrival, Standing
from actors.zone.calls import CallDesk, Done, messages
from actors.zone.game import make_game, no_game
from actors.zone.game_world import ZoneWorld
from actors.zone.orphans import EVERY_S, Orphans
from actors.zone.replication import Replication
from actors.zone.telling_events import TellingEvents
from actors.zone.ticker import Ticker
from actors.zone.ticktimes import TickTimes
from actors.zone.transit import Transit
from actors.zone.writer import Writer
from actors.zone.zone import Happening, Zone
from cluster.errors import Elsewhere, Fenced, RealmError, Unavailable
from cluster.periodic import every
from cluster.ports.accounts import CharacterStore
from cluster.ports.bus import Bus, Subscription
from cluster.ports.events import EventSink, NoEvents
from cluster.ports.sessions import SessionStore
from cluster.ports.zones import ZoneStore
from cluster.refusals import to_refusal
from cluster.settings import Settings
from cluster.subjects import Subjects
from cluster.telemetry.zone_metrics import ZoneMetrics
from cluster.worldmap import WorldMap
from realm_proto import internal_pb2

SWEEP_S = 1.0
MAX_PROBES = 1_000
BACKGROUND_LIMIT = 10_000
HUSH_S = 0.2  # players wait no longer for what is being written when the zone is given away

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What an owner works with. Clocks are seconds: `clock` monotonic, `wall_clock` Unix."""

    settings: Settings
    bus: Bus
    subjects: Subjects
    store: ZoneStore
    sessions: SessionStore
    characters: CharacterStore
    metrics: ZoneMetrics
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    rng: random.Random
    on_fenced: Callable[[], None]
    events: EventSink = field(default_factory=NoEvents)
    publish: Publish = to_nobody


class ZoneOwner:
    """Everything durable is in the store before the caller is answered. Raises Elsewhere for who was handed over."""

    def __init__(self, zone: Zone, slot: int, tools: Tools) -> None:
        self.zone = zone
        self.slot = slot
        self.times = TickTimes(1.0 / tools.settings.world.tick_hz)
        self.replication = Replication(zone, slot)
        self.telling = TellingEvents(zone, tools.events, tools.settings.events, tools.wall_clock)
        self.writer = Writer(zone.id, zone.epoch, tools.store, self._stored, tools.clock, tools.rng, tools.on_fenced)
        self.writer.on_committed = self.telling.committed
        world = ZoneWorld(zone, lambda: self.writer.away, tools.wall_clock)
        self.announcements = Announcements(f"{zone.id}/{zone.epoch}", tools.publish, tools.rng)
        self.game = make_game(tools.settings.world, world, self.announcements.put)
        message, guarded = (self.game.message, self.game.guarded) if self.game is not None else (no_game, frozenset())
        if self.game is not None:
            tools.metrics.watch_game(self.game)
        self.desk = CallDesk(world, message, guarded)
        tools.metrics.watch_calls(self.desk)
        self._tools = tools
        self._probes: dict[str, int] = {}  # gateway -> what it asked to hear
        self.transit = Transit(zone, self.writer, tools.bus, tools.subjects, tools.clock, tools.wall_clock, tools.rng)
        self.orphans = Orphans(zone, tools.store, tools.sessions, tools.characters, self.leave, self.transit.tell)
        self._work: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._subscriptions: list[Subscription] = []
        self.ticker = Ticker(1.0 / tools.settings.world.tick_hz, tools.clock())
        zone.on_change = self.writer.put
        zone.on_gone = self._gone
        zone.on_properties = self.telling.changed
        zone.on_happening = self._happened

    # --- beginning and end -------------------------------------------------------------------------------------

    async def begin(self, world_map: WorldMap, places: bytes | None = None, places_at: float = 0.0) -> None:
        """Take everything back from the store, then live. `places`, as of `places_at`: a follower's, newer than the store's."""
        tools, zone = self._tools, self.zone
        zone.remap(world_map)
        stored = await tools.store.load(zone.id)
        if places is None:
            places, places_at = stored.places, stored.places_at
        wall = tools.wall_clock()
        age = wall - places_at if places_at else 0.0
        left_over = zone.restore(self._readable(stored.entities), places, age, tools.clock())
        for entity in left_over:
            log.warning("left_over_dropped", zone=zone.id, entity=entity.entity_id)
            self.writer.drop(entity.entity_id, entity.session_id)
        tools.metrics.watch(zone, self)
        subjects = tools.subjects
        for subject, take in (
            (subjects.zone_input(zone.id), self._take_input),
            (subjects.zone_border(zone.id), self._take_border),
            (subjects.zone_follower(zone.id), self._take_follower),
            (subjects.world_map(), self._take_map),
        ):
            self._subscriptions.append(await tools.bus.subscribe(subject, take))
        self._loops = [asyncio.create_task(self.writer.run())]
        await self.transit.claim()
        self.telling.begun()
        if self.game is not None:
            self.game.start()
        self._live()
        log.info("zone_started", zone=zone.id, epoch=zone.epoch, slot=self.slot, entities=zone.own)

    def _live(self) -> None:
        world = self._tools.settings.world
        self._loops += [
            asyncio.create_task(self._tick_for_ever()),
            asyncio.create_task(self.transit.claim_for_ever()),
            asyncio.create_task(self._every(world.checkpoint_s, self._checkpoint, "checkpoint")),
            asyncio.create_task(self._every(SWEEP_S, self._sweep, "sweep")),
            asyncio.create_task(self._every(EVERY_S, self.orphans.sweep, "orphans")),
            *(asyncio.create_task(part.run()) for part in (self.telling, self.announcements)),
        ]

    def _readable(self, stored: Mapping[str, bytes]) -> list[records.Record]:
        """One entity that cannot be read must not keep the zone from starting: its session brings it back when it attaches."""
        read = []
        for entity_id, data in stored.items():
            try:
                read.append(records.load(data))
            except ValueError:
                log.exception("stored_entity_unreadable", zone=self.zone.id, entity=entity_id)
        return read

    async def stop(self) -> None:
        """No more ticks, nothing more taken in. What is not written is lost; `last_words` writes first."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        self._subscriptions.clear()
        for task in (*self._loops, *self._work):
            task.cancel()
        await asyncio.gather(*self._loops, *self._work, return_exceptions=True)
        self._loops.clear()
        self.writer.stop()

    async def last_words(self) -> bytes:
        """Stop to give the zone to a follower: everything is written, no tick follows. Returns where everybody stands.

        Raises Unavailable while the store is away; then the zone goes on, and so it does when this is cancelled.
        """
        self._check_store()
        await self.writer.written()
        writing, *living = self._loops
        self._loops = [writing]
        for task in living:
            task.cancel()
        try:
            async with asyncio.timeout(HUSH_S):
                await asyncio.gather(*living, return_exceptions=True)
                if self._work:
                    await asyncio.wait(self._work)
                await self.writer.written()
        except BaseException as error:
            self._live()
            if isinstance(error, TimeoutError):
                raise Unavailable("redis") from None
            raise
        return self.zone.places()

    # --- the hot lane ------------------------------------------------------------------------------------------

    def _take_input(self, data: bytes) -> None:
        batch = internal_pb2.ZoneInput.FromString(data)
        if batch.probe:
            if len(self._probes) < MAX_PROBES:
                self._probes[batch.gateway_id] = batch.probe
            return
        if batch.resync:
            self.zone.showing.resync(batch.gateway_id)
        if batch.shown:
            self.zone.showing.shown(batch.gateway_id, memoryview(batch.shown).cast("H").tolist())
        if batch.calls:
            self.desk.take(batch.gateway_id, batch.calls, self._tools.clock())
        if batch.rows:
            self.zone.take_input(batch.gateway_id, batch.rows)

    def _take_border(self, data: bytes) -> None:
        if self.zone.take_border(data, self._tools.clock()):
            self.transit.hinted()

    def _take_follower(self, _data: bytes) -> None:
        self.replication.asked(self._tools.clock())

    def _take_map(self, data: bytes) -> None:
        try:
            self.zone.remap(WorldMap.load(data))
        except ValueError:
            log.exception("map_unreadable", zone=self.zone.id)

    async def _tick_for_ever(self) -> None:
        zone, clock, metrics = self.zone, self._tools.clock, self._tools.metrics
        self.ticker = Ticker(1.0 / self._tools.settings.world.tick_hz, clock())
        while True:
            began = clock()
            try:
                self._tick(began)
            except Exception:
                # A bug in one tick must not stop the world; the next tick starts from the same entities.
                log.exception("tick_failed", zone=zone.id, tick=zone.ticks)
                metrics.tick_failed()
                zone.showing.start_over()
            ended = clock()
            metrics.ticked(ended - began, self.ticker.skipped)
            self.times.add(ended - began)
            await asyncio.sleep(self.ticker.after(ended))

    def _tick(self, now: float) -> None:
        zone, bus, subjects = self.zone, self._tools.bus, self._tools.subjects
        done = self.desk.run(now)
        if self.game is not None:
            self.game.tick()
        ticked = zone.tick(now)
        for gateway_id, message in ticked.outputs:
            bus.publish(subjects.gateway_output(gateway_id), message)
        for zone_id, message in ticked.borders:
            bus.publish(subjects.zone_border(zone_id), message)
        if self.game is not None:
            for gateway_id, message in self.game.notices():
                bus.publish(subjects.gateway_control(gateway_id), message)
        if self._probes:
            probes, self._probes = self._probes, {}
            for gateway_id, message in reports.probed(zone, probes):
                bus.publish(subjects.gateway_control(gateway_id), message)
        for message in self.replication.tell(ticked.moved, now):
            bus.publish(subjects.zone_replica(zone.id), message)
        if done:
            self._spawn(self._answer(done))
        for to, parcels in self.transit.due(now).items():
            self._spawn(self.transit.hand_over(to, parcels), 2 * BACKGROUND_LIMIT)  # not many, and none may be left out

    def _happened(self, happening: Happening) -> None:
        """For the game: before what it changes by it is committed."""
        if self.game is None:
            return
        if happening.came:
            self.game.came(happening.entity, happening.why)
        else:
            self.game.left(happening.entity, happening.at, happening.why)

    # --- answers to calls --------------------------------------------------------------------------------------

    async def _answer(self, done: list[Done]) -> None:
        """At once what changed nothing; the rest when it is in the store."""
        self._send([one for one in done if not one.durable])
        durable = [one for one in done if one.durable]
        if not durable:
            return
        try:
            await self.writer.written()
        except RealmError as error:
            # It is done here, and written when the store is back; that it was is not known.
            durable = [_unknown(one, error) for one in durable]
        self._send(durable)

    def _send(self, done: list[Done]) -> None:
        for gateway_id, message in messages(self.zone.id, self.zone.epoch, done):
            self._tools.bus.publish(self._tools.subjects.gateway_control(gateway_id), message)
        self.desk.sent(done)

    # --- what outlives the process -----------------------------------------------------------------------------

    def _stored(self, entity_id: str) -> tuple[str, bytes] | None:
        record = self.zone.record(entity_id)
        if record is None:
            return None
        self.telling.recorded(record.entity)
        return record.entity.session_id, records.dump(record)

    def _gone(self, entity_id: str, session_id: str) -> None:
        self.telling.forget(entity_id)
        self.writer.drop(entity_id, session_id)

    async def _checkpoint(self) -> None:
        began = self._tools.clock()
        try:
            await self._tools.store.save_places(
                self.zone.id, self.zone.epoch, self.zone.places(), self._tools.wall_clock()
            )
        except Fenced:
            self._tools.on_fenced()
        except RealmError:
            self._tools.metrics.checkpoint_failed()
            raise
        self._tools.metrics.checkpointed(self._tools.clock() - began)

    async def _sweep(self) -> None:
        self.zone.sweep(self._tools.clock())

    # --- the control lane --------------------------------------------------------------------------------------

    async def enter(self, who: Arrival) -> Standing:
        """Durable when it returns. Raises RateLimited (full), Conflict, Elsewhere, Unavailable."""
        self._check_store()
        await self.transit.look_for(who.session_id)
        await self._not_elsewhere(who.session_id)
        standing = self.zone.enter(who, self._tools.clock(), int(self._tools.wall_clock()))
        await self.writer.written()
        return standing

    async def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        self._check_store()
        await self.transit.look_for(session_id)
        standing = self.zone.attach(session_id, gateway_id, attach_epoch, instead_of)
        await self.writer.written()
        return standing

    async def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> bool:
        """Returns whether the session's entity is here."""
        await self.transit.look_for(session_id)
        self.zone.detach(session_id, attach_epoch, instead_of)
        here = session_id in self.zone.table.by_session
        await self.writer.written()
        return here

    async def leave(self, session_id: str) -> Standing | None:
        self._check_store()
        await self.transit.look_for(session_id)
        standing = self.zone.leave(session_id)
        await self.writer.written()
        return standing

    async def _not_elsewhere(self, session_id: str) -> None:
        """The answer to an entry may be lost, and the entity in another zone when it is asked for again: there must not be two."""
        here = session_id in self.zone.table.by_session
        kept = "" if here else (await self._tools.store.zones_of([session_id])).get(session_id, "")
        if kept != self.zone.id and self.zone.borders.map.find(kept) is not None:
            raise Elsewhere(kept)

    def _check_store(self) -> None:
        if self.writer.away:
            raise Unavailable("redis")

    async def remap(self, world_map: WorldMap) -> None:
        self.zone.remap(world_map)

    async def retire(self) -> bool:
        """Whether nothing is left of the zone: neither here nor in the store, which forgets it."""
        await self.transit.claim()
        if self.zone.own or self.transit.under_way:
            return False
        await self.writer.written()
        return await self._tools.store.discard(self.zone.id, self.zone.epoch)

    # --- pieces ------------------------------------------------------------------------------------------------

    def _every(self, period_s: float, step: Callable[[], Awaitable[None]], what: str) -> Coroutine[Any, Any, None]:
        return every(period_s, step, what, lambda _: self._tools.on_fenced())

    def _spawn(self, work: Coroutine[Any, Any, None], limit: int = BACKGROUND_LIMIT) -> None:
        if len(self._work) >= limit:
            work.close()
            log.error("background_full", zone=self.zone.id, limit=limit)
            return
        task = asyncio.create_task(self._guarded(work))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        task.add_done_callback(lambda _: work.close())  # if it was cancelled before it began

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Fenced:
            self._tools.on_fenced()
        except RealmError as error:
            log.warning("zone_work_failed", zone=self.zone.id, error=str(error))


def _unknown(done: Done, error: RealmError) -> Done:
    return replace(done, answer=internal_pb2.ZoneAnswer(id=done.id, refusal=to_refusal(error)))
