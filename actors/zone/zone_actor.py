"""A zone as a Ray actor: a clock, a bus and a store around `zone.Zone`."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import ray
import structlog

from actors.zone import records
from actors.zone.arrivals import Arrival, Standing
from actors.zone.entities import Entity
from actors.zone.ticker import Ticker
from actors.zone.zone import Zone
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.adapters.runtime import OpenRuntime, Runtime, every, open_runtime, stop_fenced, until_available
from cluster.errors import Fenced, NotFound, RealmError
from cluster.ports.calls import zone_actor
from cluster.realm import Realm
from cluster.telemetry.metrics import ZoneMetrics
from realm_proto import internal_pb2

ORPHAN_SWEEP_S = 10.0
MAX_PROBES = 1_000

log = structlog.get_logger(__name__)


class ZoneRunner:
    """Everything public here is the control lane; moves and views go over the bus."""

    def __init__(self, realm: Realm, zone_id: str, open_with: OpenRuntime = open_runtime) -> None:
        self._realm = realm
        self._open = open_with
        self._spec = next(zone for zone in realm.settings.world.zones if zone.id == zone_id)
        self._metrics = ZoneMetrics(zone_id)
        # Writes of one session go to the store in the order of its changes; those of others do not wait for them.
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._strays: set[tuple[str, int]] = set()
        self._probes: dict[str, int] = {}  # gateway -> what it asked to hear
        # Ray runs __init__ on the actor's own event loop, and again after every restart.
        self._started = asyncio.create_task(self._start())

    async def _start(self) -> Zone:
        settings = self._realm.settings
        name = zone_actor(self._spec.id)
        self._runtime: Runtime = await self._open(self._realm, "zone", name, self._metrics.registry)
        runtime = self._runtime
        epoch = await until_available(lambda: runtime.epochs.take("zone", self._spec.id))
        self._store = RedisZoneStore(runtime.redis, settings.namespace)
        self._sessions = RedisSessionStore(runtime.redis, settings.namespace)
        self._characters = RedisCharacters(runtime.redis, settings.namespace)
        stored = await until_available(lambda: self._store.load(self._spec.id))
        zone = Zone(self._spec, settings.world, epoch)
        now = time.monotonic()
        age = time.time() - stored.places_at if stored.places_at else 0.0
        left_over = zone.restore(self._readable(stored.entities), stored.places, age, now)
        self._zone = zone
        for entity in left_over:
            log.warning("left_over_dropped", zone=self._spec.id, entity=entity.entity_id)
            await until_available(partial(self._drop, entity.entity_id))
        self._metrics.watch(zone)
        await runtime.bus.subscribe(runtime.subjects.zone_input(self._spec.id), self._take_input)
        gc.collect()
        gc.freeze()
        self._loops = [
            asyncio.create_task(self._tick_for_ever()),
            asyncio.create_task(every(settings.world.checkpoint_s, self._checkpoint, "checkpoint")),
            asyncio.create_task(every(ORPHAN_SWEEP_S, self._sweep_orphans, "orphans")),
        ]
        log.info("zone_started", zone=self._spec.id, epoch=epoch, entities=len(zone.table))
        return zone

    def _readable(self, stored: Mapping[str, bytes]) -> list[tuple[Entity, Standing]]:
        """One entity that cannot be read must not keep the zone from starting: its session brings it back when it attaches."""
        read = []
        for entity_id, data in stored.items():
            try:
                read.append(records.load(data))
            except ValueError:
                log.exception("stored_entity_unreadable", zone=self._spec.id, entity=entity_id)
        return read

    async def _ready(self) -> Zone:
        return await asyncio.shield(self._started)

    # --- the hot lane ------------------------------------------------------------------------------------------

    def _take_input(self, data: bytes) -> None:
        batch = internal_pb2.ZoneInput.FromString(data)
        if batch.probe:
            if len(self._probes) < MAX_PROBES:
                self._probes[batch.gateway_id] = batch.probe
            return
        if batch.resync:
            self._zone.resync(batch.gateway_id)
            return
        self._zone.take_input(batch.gateway_id, batch.rows)

    def _answer_probes(self) -> None:
        """After a tick: who asks is told that moves come in here, ticks pass, and what goes out arrives."""
        probes, self._probes = self._probes, {}
        for gateway_id, number in probes.items():
            zone = self._zone
            probe = internal_pb2.GatewayProbe(
                number=number, part=f"zone:{zone.spec.id}", epoch=zone.epoch, outputs=zone.outputs_to(gateway_id)
            )
            message = internal_pb2.GatewayControl(probe=probe).SerializeToString()
            self._runtime.bus.publish(self._runtime.subjects.gateway_control(gateway_id), message)

    async def _tick_for_ever(self) -> None:
        zone, runtime, metrics = self._zone, self._runtime, self._metrics
        ticker = Ticker(1.0 / self._realm.settings.world.tick_hz, time.monotonic())
        while True:
            began = time.monotonic()
            try:
                for gateway_id, message in zone.tick(began):
                    runtime.bus.publish(runtime.subjects.gateway_output(gateway_id), message)
                if self._probes:
                    self._answer_probes()
            except Exception:
                # A bug in one tick must not stop the world; the next tick starts from the same entities.
                log.exception("tick_failed", zone=self._spec.id, tick=zone.ticks)
                metrics.tick_failed()
                zone.start_over()
            ended = time.monotonic()
            metrics.ticked(ended - began, ticker.skipped)
            await asyncio.sleep(ticker.after(ended))

    # --- what outlives the process -----------------------------------------------------------------------------

    async def _checkpoint(self) -> None:
        began = time.monotonic()
        try:
            await self._store.save_places(self._spec.id, self._zone.epoch, self._zone.places(), time.time())
        except RealmError:
            self._metrics.checkpoint_failed()
            raise
        self._metrics.checkpointed(time.monotonic() - began)

    async def _sweep_orphans(self) -> None:
        """Entities whose session ended while this zone was away, and those left over from an entry that failed."""
        entities = dict(self._zone.table.by_session)
        zones = await self._sessions.zones_of(list(entities))
        elsewhere = set()
        for session_id, entity in entities.items():
            zone_id = zones.get(session_id)
            if zone_id is None:
                await self._remove_orphan(entity)
            elif zone_id != self._spec.id:
                # The record is written after the entry: only who is a stray twice is one.
                elsewhere.add((session_id, entity.incarnation))
        for session_id, _ in elsewhere & self._strays:
            log.info("stray_removed", zone=self._spec.id, entity=entities[session_id].entity_id)
            await self.leave(session_id)
        self._strays = elsewhere

    async def _remove_orphan(self, entity: Entity) -> None:
        """Nobody else will: keep where it stood, take it out, and let its character go."""
        log.info("orphan_removed", zone=self._spec.id, entity=entity.entity_id)
        at = self._zone.standing(entity)
        try:
            await self._characters.save_place(entity.character_id, self._spec.id, at.x, at.y, at.z, at.yaw)
        except NotFound:
            log.warning("character_gone", character=entity.character_id)
        await self.leave(entity.session_id)
        await self._characters.release(entity.character_id, entity.session_id)

    async def _put(self, session_id: str) -> None:
        zone = self._zone
        entity = zone.of_session(session_id)
        data = records.dump(entity, zone.standing(entity))
        try:
            await self._store.put_entity(self._spec.id, zone.epoch, entity.entity_id, data)
        except Fenced:
            stop_fenced(self._spec.id)

    async def _drop(self, entity_id: str) -> None:
        try:
            await self._store.drop_entity(self._spec.id, self._zone.epoch, entity_id)
        except Fenced:
            stop_fenced(self._spec.id)

    def _in_order(self, session_id: str) -> asyncio.Lock:
        return self._writing.setdefault(session_id, asyncio.Lock())

    # --- the control lane --------------------------------------------------------------------------------------

    async def enter(self, who: Arrival) -> Standing:
        """Durable when it returns. Raises RateLimited (full), Conflict, Unavailable."""
        zone = await self._ready()
        async with self._in_order(who.session_id):
            known = who.session_id in zone.table.by_session
            standing = zone.enter(who, time.monotonic())
            try:
                await self._put(who.session_id)
            except RealmError:
                if not known:
                    # The store may have it all the same; then the next incarnation finds a stray.
                    zone.leave(who.session_id)
                raise
            return standing

    async def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        zone = await self._ready()
        async with self._in_order(session_id):
            standing = zone.attach(session_id, gateway_id, attach_epoch, instead_of)
            await self._put(session_id)
            return standing

    async def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> None:
        zone = await self._ready()
        async with self._in_order(session_id):
            zone.detach(session_id, attach_epoch, instead_of)
            if session_id in zone.table.by_session:
                await self._put(session_id)

    async def leave(self, session_id: str) -> Standing | None:
        zone = await self._ready()
        async with self._in_order(session_id):
            entity = zone.table.by_session.get(session_id)
            if entity is None:
                return None
            await self._drop(entity.entity_id)
            return zone.leave(session_id)

    async def snapshot(self, session_id: str) -> dict[str, Any]:
        return (await self._ready()).snapshot(session_id)

    async def change(self, session_id: str, entity_id: str, version: int, properties: dict[str, Any]) -> int:
        """state.sync.delta: durable when it returns the new version. Raises Conflict, NotFound, InvalidInput, Unavailable."""
        zone = await self._ready()
        async with self._in_order(session_id):
            entity, merged = zone.plan_change(session_id, entity_id, version, properties)
            planned = records.dump(entity.changed(merged), zone.standing(entity))
            try:
                await self._store.put_entity(self._spec.id, zone.epoch, entity_id, planned)
            except Fenced:
                stop_fenced(self._spec.id)
            return zone.commit_change(entity, merged)

    async def info(self) -> dict[str, Any]:
        """Health check, and what `rayrealm zones list` shows."""
        zone = await self._ready()
        return {
            "zone": self._spec.id,
            "epoch": zone.epoch,
            "population": len(zone.table),
            "ticks": zone.ticks,
        }


ZoneActor = ray.remote(ZoneRunner)
