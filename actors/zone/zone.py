"""The zone: a world of entities that ticks. Plain Python; `owner.py` gives it a clock, a bus and a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.zone import keeping
from actors.zone.arrivals import Arrival, Standing
from actors.zone.borders import Borders
from actors.zone.entities import Entity, EntityTable
from actors.zone.geometry import Geometry
from actors.zone.history import History
from actors.zone.intake import Intake
from actors.zone.movement import Rules
from actors.zone.population import Population
from actors.zone.records import Record
from actors.zone.showing import Showing
from actors.zone.views import encode_correction
from cluster.ports.zones import Parcel
from cluster.world_settings import Bounds, WorldSettings, ZoneSpec
from cluster.worldmap import MapZone, WorldMap
from realm_proto import internal_pb2

MARGIN_BEYOND_M = 5.0  # wider than what viewers see, so that nobody stands in view and is not told of


@dataclass(slots=True)
class Ticked:
    """What a tick has to say: (gateway id, ZoneOutput) and (zone id, BorderOutput), and who moved of the zone's own."""

    outputs: list[tuple[str, bytes]]
    borders: list[tuple[str, bytes]]
    moved: np.ndarray


@dataclass(frozen=True, slots=True)
class Happening:
    """Someone came or went, and where, for the game. `why`: enter, crossing; leave, crossing."""

    came: bool
    entity: Entity
    why: str
    at: Standing


@dataclass(slots=True)
class Timings:
    """Seconds of the last tick by part, for benchmarks and metrics; filled in only while `clock` is given."""

    clock: Callable[[], float] | None = None
    parts: dict[str, float] = field(default_factory=dict)
    _at: float = 0.0

    def start(self) -> None:
        if self.clock is not None:
            self._at = self.clock()

    def done(self, part: str) -> None:
        if self.clock is not None:
            now = self.clock()
            self.parts[part] = now - self._at
            self._at = now


class Zone:
    """One incarnation of a zone; `epoch` is what fences it off from earlier ones.

    Times are seconds on any monotonic clock, the same in all calls.
    """

    def __init__(self, spec: ZoneSpec | MapZone, world: WorldSettings, epoch: int) -> None:
        self.id = spec.id
        self.world = world
        self.epoch = epoch
        self.ticks = 0
        self.table = EntityTable(world.zone_capacity)
        self.showing = Showing(self.table, world, spec.id, epoch)
        interest = world.interest
        margin = interest.radius + interest.hysteresis + MARGIN_BEYOND_M
        self.borders = Borders(self.table, spec.id, epoch, margin, world.border_hysteresis)
        self.timings = Timings()
        self.on_change: Callable[[str], None] = lambda entity_id: None  # something durable of it changed
        self.on_gone: Callable[[str, str], None] = lambda entity_id, session_id: None
        self.on_happening: Callable[[Happening], None] = lambda happening: None
        self.on_properties: Callable[[Entity, Iterable[str]], None] = lambda entity, names: None  # these have changed
        self.writes = 0  # durable changes so far
        self.bounds = spec.bounds
        self.geometry = Geometry.of(world.obstacles, spec.bounds)
        self.rules = Rules.of(spec.bounds, world, self.table, self.geometry)
        self.intake = Intake(self.table, self.rules)
        self._use(spec.bounds)
        self.history = History(self.table.capacity, world.rewind_s, world.tick_hz)
        self.population = Population(spec.id, self.table, lambda: self.rules, self.showing, self.borders)
        self._moved = np.zeros(self.table.capacity, bool)  # by others than their players, since the last tick
        self._now = 0.0

    def _use(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.geometry = Geometry.of(self.world.obstacles, bounds)
        self.rules = Rules.of(bounds, self.world, self.table, self.geometry)
        self.rules.allow(lambda ground: self.borders.allowed(ground, self._now))
        self.intake.use(self.rules)

    def remap(self, world_map: WorldMap) -> None:
        """The world's map has changed, perhaps this zone's own ground. An older one than the present changes nothing."""
        self._lost(self.borders.remap(world_map))
        me = self.borders.me
        if me is not None and me.bounds != self.bounds:
            self._use(me.bounds)

    # --- who is here -------------------------------------------------------------------------------------------

    def enter(self, who: Arrival, now: float, transfer: int = 0) -> Standing:
        """See Population.enter; the entity must be stored before the caller is answered. The same goes for the next three."""
        known = who.session_id in self.table.by_session
        standing = self.population.enter(who, now, transfer)
        entity = self.table.by_session[who.session_id]
        if not known:
            self._came(entity, "enter")
        self._wrote(entity)
        return standing

    def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        standing = self.population.attach(session_id, gateway_id, attach_epoch, instead_of)
        self._wrote(self.table.by_session[session_id])
        return standing

    def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> None:
        entity = self.population.detach(session_id, attach_epoch, instead_of)
        if entity is not None:
            self._wrote(entity)

    def leave(self, session_id: str) -> Standing | None:
        entity = self.table.by_session.get(session_id)
        standing = self.population.leave(session_id)
        if entity is not None and standing is not None:
            self.on_happening(Happening(False, entity, "leave", standing))
        if standing is not None:
            self.writes += 1
            self.on_gone(standing.entity_id, session_id)
        return standing

    def spawn(
        self,
        entity_id: str,
        entity_type: str,
        name: str,
        at: tuple[float, float, float, float],
        properties: Mapping[str, Any],
    ) -> Entity:
        """An entity without a session; `at` is x, y, z, yaw. Raises Conflict if there is one of that id, RateLimited if full."""
        entity = self.population.spawn(entity_id, entity_type, name, at, self._now)
        entity.properties = dict(properties)
        self.history.forget(entity.number)
        self.on_properties(entity, properties)
        self._wrote(entity)
        return entity

    def despawn(self, entity: Entity) -> None:
        """An own entity without a session is gone for good."""
        self.population.remove(entity.number)
        self.writes += 1
        self.on_gone(entity.entity_id, "")

    def _came(self, entity: Entity, why: str) -> None:
        self.history.forget(entity.number)
        self.on_happening(Happening(True, entity, why, self.standing(entity)))

    def _wrote(self, entity: Entity) -> None:
        self.writes += 1
        self.on_change(entity.entity_id)

    def of_session(self, session_id: str) -> Entity:
        return self.population.of_session(session_id)

    def standing(self, entity: Entity) -> Standing:
        return self.table.standing(entity.number)

    def record(self, entity_id: str) -> Record | None:
        """What is stored of an own entity; None if it is not here."""
        entity = self.table.by_id.get(entity_id)
        if entity is None or entity.owner:
            return None
        return Record(entity, self.table.standing(entity.number), self.id)

    @property
    def own(self) -> int:
        """How many entities it has, ghosts not counted."""
        return int(np.count_nonzero(self.table.mine))

    @property
    def players(self) -> int:
        """Of these, how many have a session."""
        return len(self.table.by_session)

    @property
    def ghosts(self) -> int:
        return len(self.table) - self.own

    @property
    def resyncs(self) -> int:
        return self.showing.resyncs

    @property
    def handed_over(self) -> int:
        return self.population.handed_over

    @property
    def admitted(self) -> int:
        return self.population.admitted

    # --- from zone to zone -------------------------------------------------------------------------------------

    def crossers(self, now: float) -> dict[str, list[int]]:
        """Who is to be handed over, by zone."""
        return self.borders.crossers(now)

    def pack(self, numbers: Iterable[int], now: float, wall: float) -> list[Parcel]:
        return self.population.pack(numbers, now, wall)

    def unpack(self, parcels: Iterable[Parcel]) -> None:
        """They were not handed over after all."""
        self.population.unpack(parcels)

    def depart(self, parcels: Iterable[Parcel], to: str, now: float) -> None:
        parcels = list(parcels)
        leaving = [self.table.by_id[p.entity_id] for p in parcels if p.entity_id in self.table.by_id]
        standing = {entity.number: self.standing(entity) for entity in leaving}
        numbers = set(self.population.depart(parcels, to, now))
        for entity in leaving:
            if entity.number in numbers:
                self.on_happening(Happening(False, entity, "crossing", standing[entity.number]))

    def admit(self, arrived: Mapping[str, bytes], now: float, wall: float) -> list[Entity]:
        """See Population.admit; those who are new here are to be stored anew."""
        admitted = self.population.admit(arrived, now, wall)
        for entity in admitted:
            self._came(entity, "crossing")
        for entity_id in arrived:
            # The store has the record that came; what is true may be newer, or have another number.
            known = self.table.by_id.get(entity_id)
            if known is not None and not known.owner:
                self._wrote(known)
        return admitted

    def take_border(self, data: bytes, now: float) -> bool:
        """A BorderOutput of a zone near. Returns whether something was handed over: look into the store."""
        out = internal_pb2.BorderOutput.FromString(data)
        seen = self.borders.receive(out, now)
        for numbers in seen.moved:
            self._moved[numbers] = True
        for number in seen.changed:
            self._moved[number] = True
            self.showing.changed(number)
        self._lost(seen.gone)
        if seen.moved or seen.changed:
            self.showing.unsettle()
        return bool(out.arrivals)

    def sweep(self, now: float) -> None:
        """About once a second."""
        self._lost(self.borders.sweep(now))

    def _lost(self, ghosts: Iterable[int]) -> None:
        for number in ghosts:
            self.showing.forget(number)
            self.history.forget(number)

    # --- moves in ----------------------------------------------------------------------------------------------

    def take_input(self, gateway_id: str, rows: bytes) -> None:
        """MOVE_IN rows from a gateway."""
        self.intake.take(self.showing.known_gateway(gateway_id), rows)

    def walk(self, number: int, x: float, z: float, yaw: float) -> bool:
        """Put an own entity there, which the game moves: no limit of speed, but no way through an obstacle either.

        Returns whether it is there: not if something is in the way, or nobody may stand there.
        """
        table, rules = self.table, self.rules
        before = table.position[number : number + 1].astype(np.float64)
        after = np.array([[x, before[0, 1], z]], np.float32).astype(np.float64)
        if table.frozen[number] or not rules.within(after, before, np.array([np.isfinite(after).all()]))[0]:
            return False
        if rules.geometry and rules.geometry.blocked(before[:, [0, 2]], after[:, [0, 2]])[0]:
            return False
        table.position[number], table.yaw[number] = after[0], yaw
        self._moved[number] = True
        return True

    # --- the tick ----------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Ticked:
        """Advance one tick. No viewer is in two of the outputs."""
        self.ticks += 1
        self._now = now
        self.timings.start()
        table = self.table
        moved, self._moved = self._moved, np.zeros(table.capacity, bool)
        acked = np.zeros(table.capacity, bool)
        refused = self.intake.apply(now, moved, acked) if self.intake else {}
        self.timings.done("intake")
        # Only now: a later move of the same tick may have been good.
        corrections = {number: encode_correction(table, number, why) for number, why in refused.items()}
        self.history.record(self.ticks, table.position, table.alive)
        self.timings.done("history")
        outputs = self.showing.tick(now, self.ticks, moved, acked, corrections)
        self.timings.done("views")
        borders = self.borders.outputs(moved, now)
        self.timings.done("borders")
        table.end_tick()
        return Ticked(outputs, borders, moved & table.mine)

    # --- state (row 3.4) ---------------------------------------------------------------------------------------

    def snapshot(self, session_id: str) -> dict[str, Any]:
        """What the session's entity sees, itself first: the result of state.sync.request."""
        me = self.of_session(session_id)
        numbers = [me.number, *(n for n in self.showing.seen_by(me.number) if n in self.table.by_number)]
        entities = [self.describe(n, me.number) for n in numbers]
        return {"tick": self.ticks, "zone": self.id, "entities": entities}

    def describe(self, number: int, viewer: int) -> dict[str, Any]:
        """An entity as `viewer` may see it."""
        e = self.table.by_number[number]
        s = self.standing(e)
        return {
            "number": number,
            "entity_id": e.entity_id,
            "entity_type": e.entity_type,
            "name": e.name,
            "version": e.version,
            "properties": self.showing.visible(e, viewer),
            "link_dead": e.link_dead,
            "position": {"x": s.x, "y": s.y, "z": s.z},
            "yaw": s.yaw,
            "sequence": s.sequence,
        }

    def change(self, entity: Entity, properties: Mapping[str, Any]) -> int:
        """Change properties of an own entity; None removes one. Viewers are told at the next tick. Returns the new version."""
        for name, value in properties.items():
            if value is None:
                entity.properties.pop(name, None)
            else:
                entity.properties[name] = value
        entity.version += 1
        self.population.restate(entity.number, properties)
        self.on_properties(entity, properties)
        self._wrote(entity)
        return entity.version

    # --- what outlives a process (row 1.9) ---------------------------------------------------------------------

    def places(self, numbers: np.ndarray | None = None) -> bytes:
        """PLACE rows of all own entities, or of those."""
        return keeping.places(self.table, numbers)

    def restore(self, stored: Iterable[Record], kept: bytes, age_s: float, now: float) -> list[Entity]:
        """See keeping.restore. Returns those that are not taken in; those with other numbers are to be stored anew."""
        refused, renumbered = keeping.restore(
            self.population, self.table, self.rules, self.id, stored, kept, age_s, now
        )
        for entity in renumbered:
            self._wrote(entity)
        return refused
