"""What tests of the world share: small maps, and zones that exist only as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actors.world.record import WorldRecord
from actors.world.seen import ZoneSeen
from cluster.errors import Fenced, NotOwner, Unavailable
from cluster.ports.actors import Node
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap

A, B, C = "zon_a", "zon_b", "zon_c"
EAST, WEST, HEAD = "e" * 56, "w" * 56, "0" * 56
NODES = (Node(HEAD, "head", "10.0.0.1", head=True), Node(EAST, "east", "10.0.0.2"), Node(WEST, "west", "10.0.0.3"))


def ground(min_x: float, min_z: float, max_x: float, max_z: float) -> Bounds:
    return Bounds(min_x=min_x, min_z=min_z, max_x=max_x, max_z=max_z)


def zone(zone_id: str, *edges: float, declared: str = "", **more: Any) -> MapZone:
    return MapZone(zone_id, zone_id.removeprefix("zon_").title(), ground(*edges), declared or zone_id, **more)


def row(*names: str, side: float = 100.0, version: int = 7) -> WorldMap:
    """Squares side by side along x."""
    zones = (zone(name, n * side, 0, (n + 1) * side, side) for n, name in enumerate(names))
    return WorldMap(version, tuple(zones))


def crowd(seed: int, count: int, min_x: float, max_x: float, depth: float = 100.0) -> np.ndarray:
    """(count, 2), float32."""
    rng = np.random.default_rng(seed)
    return np.column_stack((rng.uniform(min_x, max_x, count), rng.uniform(0, depth, count))).astype(np.float32)


def seen(zone_id: str, slot: int = 0, node: str = EAST, **more: Any) -> ZoneSeen:
    return ZoneSeen(zone_id, slot, node, **more)


class Killed(BaseException):
    """The supervisor's process ends here."""


@dataclass
class Actor:
    node: str
    role: str = "starting"


@dataclass
class Lands:
    """The executor's hands over zones that hand entities over, follow and take over at each `tick`; `at` seconds have passed.

    `kill`: (n, after) ends the supervisor at the n-th thing it does, before or after its effect. `broken` calls raise Unavailable.
    """

    store: tuple[bytes, bytes] = (b"", b"")
    epoch: int = 1
    owners: dict[str, int] = field(default_factory=dict)
    actors: dict[tuple[str, int], Actor] = field(default_factory=dict)
    maps: dict[str, WorldMap] = field(default_factory=dict)
    entities: dict[str, tuple[float, float, str]] = field(default_factory=dict)  # x, z, zone
    discarded: set[str] = field(default_factory=set)
    where: dict[str, str] = field(default_factory=dict)  # node asked for -> node that it becomes
    broken: set[str] = field(default_factory=set)
    kill: tuple[int, bool] | None = None
    done: list[str] = field(default_factory=list)
    at: float = 0.0

    @classmethod
    def of(cls, world: WorldMap, positions: np.ndarray, standbys: bool = False) -> Lands:
        lands = cls()
        for zone in world:
            lands.owners[zone.id] = 0
            lands.actors[zone.id, 0] = Actor(EAST, "owner")
            if standbys:
                lands.actors[zone.id, 1] = Actor(WEST, "following")
            lands.maps[zone.id] = world
        for number, (x, z) in enumerate(positions.tolist()):
            owner = world.at(x, z)
            assert owner is not None
            lands.entities[f"ent_{number}"] = (x, z, owner.id)
        return lands

    # --- time ----------------------------------------------------------------------------------------------------

    async def pause(self, seconds: float) -> None:
        self.at += seconds
        self.tick()

    def tick(self) -> None:
        for (zone_id, slot), actor in self.actors.items():
            if actor.role == "starting":
                self.owners.setdefault(zone_id, slot)
                actor.role = "owner" if self.owners[zone_id] == slot else "following"
        for zone_id in list(self.maps):
            for entity in self.strays(zone_id)[:7]:  # as many at once
                x, z, _ = self.entities[entity]
                there = self.maps[zone_id].at(x, z)
                if there is not None and there.id in self.maps and there.id not in self.discarded:
                    self.entities[entity] = (x, z, there.id)

    def strays(self, zone_id: str) -> list[str]:
        world = self.maps[zone_id]
        mine = {entity: (x, z) for entity, (x, z, owner) in self.entities.items() if owner == zone_id}
        return [entity for entity, (x, z) in mine.items() if (there := world.at(x, z)) is None or there.id != zone_id]

    def population(self) -> dict[str, int]:
        owners = [owner for _, _, owner in self.entities.values()]
        return {zone_id: owners.count(zone_id) for zone_id in sorted(set(owners))}

    # --- the hands ------------------------------------------------------------------------------------------------

    def _do(self, what: str, after: bool) -> None:
        if not after:
            if what.split()[0] in self.broken:
                raise Unavailable(what)
            self.done.append(what)
        if self.kill == (len(self.done), after):
            self.kill = None
            raise Killed

    async def save(self, record: WorldRecord) -> None:
        await self.save_as(self.epoch, record)

    async def save_as(self, epoch: int, record: WorldRecord) -> None:
        self._do("save", False)
        if epoch != self.epoch:
            raise Fenced("a newer supervisor exists")
        self.store = record.dump()
        self._do("save", True)

    def record(self) -> WorldRecord:
        return WorldRecord.load(*self.store)

    async def start(self, zone_id: str, slot: int, node: str) -> None:
        self._do(f"start {zone_id}/{slot}", False)
        if (zone_id, slot) not in self.actors:
            self.actors[zone_id, slot] = Actor(self.where.get(node, node or EAST))
            self.discarded.discard(zone_id)  # it is taken anew
            self.maps.setdefault(zone_id, self.record().map)
        self._do("start", True)

    async def stop(self, zone_id: str, slot: int) -> None:
        self._do(f"stop {zone_id}/{slot}", False)
        self.actors.pop((zone_id, slot), None)
        if not any(name == zone_id for name, _ in self.actors):
            self.maps.pop(zone_id, None)
        self._do("stop", True)

    async def info(self, zone_id: str, slot: int) -> Mapping[str, Any]:
        self._do(f"info {zone_id}/{slot}", False)
        actor = self._actor(zone_id, slot)
        return {
            "role": actor.role,
            "node": actor.node,
            "strays": len(self.strays(zone_id)),
            "map_version": self.maps[zone_id].version,
            "retired": zone_id in self.discarded,
        }

    async def owner(self, zone_id: str) -> int:
        self._do(f"owner {zone_id}", False)
        return self.owners.get(zone_id, 0)

    async def promote(self, zone_id: str, slot: int) -> None:
        self._do(f"promote {zone_id}/{slot}", False)
        if self._actor(zone_id, slot).role == "starting":
            raise Unavailable("it follows nobody yet")
        for (name, other), actor in self.actors.items():
            if name == zone_id:
                actor.role = "owner" if other == slot else "following"
        self.owners[zone_id] = slot
        self._do("promote", True)

    async def remap(self, zone_id: str, world_map: bytes) -> None:
        self._do(f"remap {zone_id}", False)
        self._owner(zone_id)
        self.maps[zone_id] = max(self.maps[zone_id], WorldMap.load(world_map), key=lambda world: world.version)
        self._do("remap", True)

    async def retire(self, zone_id: str) -> bool:
        self._do(f"retire {zone_id}", False)
        self._owner(zone_id)
        empty = all(owner != zone_id for _, _, owner in self.entities.values())
        if empty:
            self.discarded.add(zone_id)
        self._do("retire", True)
        return empty

    def _actor(self, zone_id: str, slot: int) -> Actor:
        if (zone_id, slot) not in self.actors:
            raise Unavailable(f"{zone_id}/{slot}")
        return self.actors[zone_id, slot]

    def _owner(self, zone_id: str) -> None:
        slot = self.owners[zone_id]
        if self._actor(zone_id, slot).role != "owner":
            raise NotOwner(1 - slot)
