"""Zones that touch, and what they say to each other, which a test may lose, repeat, hold up and mix. No store, no loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from actors.zone.borders import STRETCH_M, distance
from actors.zone.entities import Entity
from actors.zone.zone import Zone
from cluster.world_settings import Bounds, WorldSettings
from cluster.worldmap import MapZone, WorldMap
from realm_proto import internal_pb2
from tests.unit.actors.zone_model import arrival, make_world, move

TICK_S = 0.05
WALL = 1_700_000_000.0
MARGIN = 10.0 + 2.0 + 5.0  # of make_world: radius, hysteresis, and what is beyond


def ground(name: str, min_x: float, min_z: float, max_x: float, max_z: float) -> MapZone:
    return MapZone(name, name, Bounds(min_x=min_x, min_z=min_z, max_x=max_x, max_z=max_z), name)


TWO = (ground("west", 0, 0, 100, 100), ground("east", 100, 0, 200, 100))
FOUR = (*TWO, ground("south", 0, 100, 100, 200), ground("corner", 100, 100, 200, 200))


@dataclass(frozen=True)
class Letter:
    """A BorderOutput on its way."""

    sender: str
    to: str
    data: bytes

    @property
    def said(self) -> internal_pb2.BorderOutput:
        return internal_pb2.BorderOutput.FromString(self.data)


class Land:
    """`zones` by id. `post` is what the last tick said; a test that delivers by hand takes it from there."""

    def __init__(self, grounds: Iterable[MapZone] = TWO, world: WorldSettings | None = None, **made: Any) -> None:
        self.world = world or make_world(**made)
        self.map = WorldMap(1, tuple(grounds))
        self.zones: dict[str, Zone] = {}
        self.now = 100.0
        self.post: list[Letter] = []
        self.sequences: dict[str, int] = {}
        for zone in self.map:
            self.begin(zone.id)

    def begin(self, zone_id: str, epoch: int = 1) -> Zone:
        """An incarnation that knows nothing yet."""
        spec = self.map.find(zone_id)
        assert spec is not None
        zone = self.zones[zone_id] = Zone(spec, self.world, epoch)
        zone.remap(self.map)
        return zone

    def remap(self, *changed: MapZone, without: tuple[str, ...] = ()) -> None:
        self.map = self.map.changed(*changed, without=without)
        for zone in self.zones.values():
            zone.remap(self.map)

    # --- time --------------------------------------------------------------------------------------------------

    def tick(self, *zone_ids: str) -> list[Letter]:
        """These zones, or all, advance; what they say to each other is in `post`, and not delivered."""
        self.now += TICK_S
        self.post = []
        for zone_id in zone_ids or tuple(self.zones):
            self.post += (Letter(zone_id, to, data) for to, data in self.zones[zone_id].tick(self.now).borders)
        return self.post

    def deliver(self, *letters: Letter) -> None:
        for letter in letters:
            if letter.to in self.zones:
                self.zones[letter.to].take_border(letter.data, self.now)

    def step(self, times: int = 1) -> None:
        """Ticks that everybody hears of."""
        for _ in range(times):
            self.deliver(*self.tick())

    def wait(self, seconds: float) -> None:
        """Nobody ticks, nobody hears anything."""
        self.now += seconds

    # --- entities ----------------------------------------------------------------------------------------------

    def enter(self, zone_id: str, name: str, x: float, z: float = 50.0, **more: Any) -> Entity:
        zone = self.zones[zone_id]
        zone.enter(arrival(name, x, z, **more), self.now, int(self.now))
        return zone.table.by_session[f"ses_{name}"]

    def walk(self, zone_id: str, name: str, x: float, z: float = 50.0) -> None:
        """A move, for the zone's next tick."""
        zone = self.zones[zone_id]
        entity = zone.table.by_session[f"ses_{name}"]
        self.sequences[name] = self.sequences.get(name, 0) + 1
        zone.take_input(entity.gateway_id, move(entity.number, self.sequences[name], x, z))

    def hand_over(self, name: str, sender: str, to: str) -> None:
        """As the owner does, when the store has said yes; the other one claims at once."""
        zone, entity_id = self.zones[sender], f"ent_{name}"
        parcels = zone.pack([zone.table.by_id[entity_id].number], self.now, WALL)
        zone.depart(parcels, to, self.now)
        self.zones[to].admit({parcel.entity_id: parcel.record for parcel in parcels}, self.now, WALL)

    def entity(self, zone_id: str, name: str) -> Entity | None:
        return self.zones[zone_id].table.by_id.get(f"ent_{name}")

    def numbers(self, name: str) -> dict[str, int]:
        """By the zones that know it."""
        return {zone_id: e.number for zone_id in self.zones if (e := self.entity(zone_id, name)) is not None}

    def place(self, zone_id: str, name: str) -> tuple[float, float, int]:
        """Where the zone believes it to be, and of which move."""
        zone = self.zones[zone_id]
        standing = zone.table.standing(zone.table.by_id[f"ent_{name}"].number)
        return standing.x, standing.z, standing.sequence

    # --- what must be true -------------------------------------------------------------------------------------

    def ghosts(self, zone_id: str) -> dict[str, str]:
        """Name -> owner."""
        table = self.zones[zone_id].table
        return {e.name: e.owner for e in table.by_number.values() if e.owner}

    def holders(self, name: str) -> list[str]:
        """The zones that have the entity as their own."""
        return [zone_id for zone_id in self.zones if (e := self.entity(zone_id, name)) is not None and not e.owner]

    def check(self) -> None:
        """Every zone's ghosts are what the zones near it have within the margin of its ground."""
        for zone_id in self.zones:
            here = self.zones[zone_id]
            spec = self.map.find(zone_id)
            assert spec is not None
            must, may = set[str](), set[str]()
            for near in self.map.near(zone_id, MARGIN + STRETCH_M):
                there = self.zones.get(near.id)
                if there is None:
                    continue
                for number, entity in there.table.by_number.items():
                    far = float(distance(there.table.position[number : number + 1], spec.bounds)[0])
                    if entity.owner or far > MARGIN + STRETCH_M:
                        continue
                    (must if far <= MARGIN else may).add(entity.entity_id)
                    ghost = here.table.by_id.get(entity.entity_id)
                    if ghost is None:
                        continue
                    assert ghost.owner == near.id
                    assert (ghost.name, ghost.version, ghost.properties) == (
                        entity.name,
                        entity.version,
                        entity.properties,
                    )
                    assert (ghost.link_dead, ghost.transfer) == (entity.link_dead, entity.transfer)
                    mine, theirs = here.standing(ghost), there.standing(entity)
                    assert (mine.x, mine.y, mine.z, mine.yaw, mine.sequence) == (
                        theirs.x,
                        theirs.y,
                        theirs.z,
                        theirs.yaw,
                        theirs.sequence,
                    )
            known = {e.entity_id for e in here.table.by_number.values() if e.owner}
            assert must <= known <= must | may, (zone_id, sorted(must), sorted(known))
