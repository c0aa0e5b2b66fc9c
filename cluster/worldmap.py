"""The world's map: which zone has which ground (row 7.3). A value that changes as a whole; the store keeps it, the bus tells of it.

Zones whose grounds touch are one land: entities walk from one to the other. Ground is half-open, so that every point of the land
has one owner: a zone has its lower edges, and its upper ones only where no other zone begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson

from cluster.schema import known
from cluster.world_settings import Bounds, WorldSettings


@dataclass(frozen=True, slots=True)
class MapZone:
    """`declared`: the id of the operator's zone that it came from. `into`: it has no ground any more, all of it goes to that zone.

    `node`: the Ray node it should run on, "" for any. `ordered`: an operator has decided on the standby, whatever the settings say.
    `template`: what it was added from, "" for what the settings declare.
    """

    id: str
    name: str
    bounds: Bounds
    declared: str
    standby: bool = False
    node: str = ""
    into: str = ""
    ordered: bool = False
    template: str = ""

    def contains(self, x: float, z: float) -> bool:
        """With all its edges; `WorldMap.at` says whose an edge is."""
        b = self.bounds
        return not self.into and b.min_x <= x <= b.max_x and b.min_z <= z <= b.max_z

    def distance(self, other: Bounds) -> float:
        """Metres between two grounds along the axes; 0 if they touch or overlap."""
        b = self.bounds
        return max(b.min_x - other.max_x, other.min_x - b.max_x, b.min_z - other.max_z, other.min_z - b.max_z, 0.0)


@dataclass(frozen=True, slots=True)
class WorldMap:
    """`version` grows with every change: an older map is never taken for a newer one."""

    version: int
    zones: tuple[MapZone, ...]

    def __iter__(self) -> Iterator[MapZone]:
        return iter(self.zones)

    def find(self, zone_id: str) -> MapZone | None:
        return next((zone for zone in self.zones if zone.id == zone_id), None)

    def at(self, x: float, z: float) -> MapZone | None:
        """The zone whose ground it is; None outside the land."""

        def claim(zone: MapZone) -> tuple[int, float, float]:
            # Nobody's upper edge counts against a zone that begins there; on the land's own edge the upper zone has the corner.
            b = zone.bounds
            return ((x < b.max_x) + (z < b.max_z), b.min_x, b.min_z)

        return max((zone for zone in self.zones if zone.contains(x, z)), key=claim, default=None)

    def near(self, zone_id: str, margin: float) -> tuple[MapZone, ...]:
        """The other zones with ground within `margin` metres, and the one that a zone without ground goes into."""
        me = self.find(zone_id)
        if me is None:
            return ()
        return tuple(
            zone
            for zone in self.zones
            if zone.id != zone_id and (zone.id == me.into or zone.into == me.id or zone.distance(me.bounds) <= margin)
        )

    def changed(self, *zones: MapZone, without: tuple[str, ...] = ()) -> WorldMap:
        """The next version: `zones` added or in place of those with their ids, `without` those."""
        new = {zone.id: zone for zone in self.zones} | {zone.id: zone for zone in zones}
        return WorldMap(self.version + 1, tuple(zone for zone in new.values() if zone.id not in without))

    def dump(self) -> bytes:
        return orjson.dumps(
            {
                "version": self.version,
                "zones": [{**_members(zone), "bounds": zone.bounds.model_dump()} for zone in self],
            }
        )

    @classmethod
    def load(cls, data: bytes) -> WorldMap:
        """Raises ValueError if it is no map."""
        try:
            said = orjson.loads(data)
            zones = tuple(
                MapZone(**known(MapZone, {**zone, "bounds": Bounds(**zone["bounds"])})) for zone in said["zones"]
            )
            return cls(int(said["version"]), zones)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no map of the world: {error}") from None

    def with_declared(self, world: WorldSettings) -> WorldMap:
        """This map with what the operator changed since: zones that are new and lie apart from the others, names and standbys.

        Zones keep their ground, whatever the settings say of it now, and those that are not declared any more stay.
        """
        specs = {zone.id: _as_declared(zone.id, world) for zone in world.zones}
        known = {
            zone.id: replace(zone, name=spec.name, standby=zone.standby if zone.ordered else spec.standby)
            for zone in self
            if (spec := specs.get(zone.declared)) is not None
        }
        new = [
            spec
            for spec in specs.values()
            if self.find(spec.id) is None and not any(spec.bounds.overlaps(zone.bounds) for zone in self)
        ]
        different = [*(zone for zone in known.values() if zone != self.find(zone.id)), *new]
        return self.changed(*different) if different else self

    @classmethod
    def declared(cls, world: WorldSettings) -> WorldMap:
        """The map of a world that nobody has changed yet: version 1, the operator's zones."""
        return cls(1, tuple(_as_declared(zone.id, world) for zone in world.zones))


def _members(zone: MapZone) -> dict[str, object]:
    return {name: getattr(zone, name) for name in MapZone.__dataclass_fields__}


def _as_declared(zone_id: str, world: WorldSettings) -> MapZone:
    spec = next(zone for zone in world.zones if zone.id == zone_id)
    standby = world.standby if spec.standby is None else spec.standby
    return MapZone(spec.id, spec.name, spec.bounds, spec.id, standby)


def retired(zone: MapZone, into: str) -> MapZone:
    """The zone without ground."""
    return replace(zone, into=into)
