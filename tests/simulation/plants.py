"""Planted faults: what the checker must find. Each changes a class of the realm for a while, which knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np

from actors.zone.owner import ZoneOwner
from actors.zone.showing import Showing
from actors.zone.zone import Zone
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.ports.zones import Parcel
from cluster.worldmap import WorldMap


async def _answer_at_once(self: ZoneOwner, done: list[Any]) -> None:
    """Acknowledged first, written when it is."""
    self._send(done)


async def _any_epoch(self: MemoryZoneStore, zone_id: str, _epoch: int) -> Any:
    return self._zones[zone_id]


async def _any_write(self: MemoryZoneStore, zone_id: str, _epoch: int) -> Any:
    """Whoever it is."""
    next(self._numbers)
    await self._on_the_way()
    return self._zones[zone_id]


async def _add_then_remove(
    self: MemoryZoneStore, zone_id: str, epoch: int, to_zone: str, parcels: Sequence[Parcel]
) -> None:
    """Two steps, in the wrong order."""
    zone, other = await self._write(zone_id, epoch), self._zones[to_zone]
    for parcel in parcels:
        if parcel.entity_id in zone.entities:
            other.arrivals[parcel.entity_id] = (parcel.transfer, parcel.record)
    await self._on_the_way()
    for parcel in parcels:
        zone.entities.pop(parcel.entity_id, None)
        zone.transfers.pop(parcel.entity_id, None)
        if parcel.session_id:
            self._zone_of[parcel.session_id] = to_zone
    await self._on_the_way()


_claim = MemoryZoneStore.claim


async def _claim_again(self: MemoryZoneStore, zone_id: str, *rest: Any) -> dict[str, bytes]:
    """What was claimed stays among the arrivals, and comes again."""
    arrivals = dict(self._zones[zone_id].arrivals)
    claimed = await _claim(self, zone_id, *rest)
    self._zones[zone_id].arrivals |= arrivals
    return claimed


_tick = Zone.tick


def _take_ghosts(self: Zone, now: float) -> Any:
    """Who stands on the zone's ground is its own, whatever the store says."""
    table, b = self.table, self.bounds
    ghosts = np.flatnonzero(table.alive & ~table.mine)
    x, z = table.position[ghosts, 0], table.position[ghosts, 2]
    inside = (x > b.min_x) & (x < b.max_x) & (z > b.min_z) & (z < b.max_z)
    for number in ghosts[inside].tolist():
        table.by_number[number].owner = ""
        table.own(number)
    return _tick(self, now)


_remap = Zone.remap


def _drop_strays(self: Zone, world_map: WorldMap) -> None:
    """The map has changed, and who stands on ground that is another zone's now is not handed over, but forgotten."""
    before = self.borders.map.version
    _remap(self, world_map)
    if before and world_map.version > before:
        for number in self.borders.strays().tolist():
            entity = self.table.by_number[number]
            self.on_gone(entity.entity_id, entity.session_id)
            self.population.remove(number)


_look = Showing._look


def _forget_leaves(self: Showing) -> Any:
    """Nobody is told who went out of view."""
    change = _look(self)
    return replace(change, ended=change.ended[:0])


def _patch(target: Any, **changes: Any) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch.multiple(target, **changes)


@dataclass(frozen=True, slots=True)
class Plant:
    """`found_as`: the violations that it must be found by, any of them."""

    put: Callable[[], AbstractContextManager[Any]]
    found_as: frozenset[str]


def _plant(put: Callable[[], AbstractContextManager[Any]], *found_as: str) -> Plant:
    return Plant(put, frozenset(found_as))


PLANTS: Mapping[str, Plant] = {
    "ack_before_commit": _plant(_patch(ZoneOwner, _answer=_answer_at_once), "lost_acks"),
    "skip_epoch_check": _plant(
        _patch(MemoryZoneStore, _fenced=_any_epoch, _write=_any_write), "unfenced_writes", "double_owners"
    ),
    "add_before_remove": _plant(_patch(MemoryZoneStore, hand_over=_add_then_remove), "doubled_entities"),
    "claim_again": _plant(_patch(MemoryZoneStore, claim=_claim_again), "doubled_entities", "came_back"),
    "take_ghosts": _plant(_patch(Zone, tick=_take_ghosts), "doubled_entities"),
    "drop_strays": _plant(_patch(Zone, remap=_drop_strays), "lost_entities"),
    "forget_leaves": _plant(_patch(Showing, _look=_forget_leaves), "wrong_views"),
}
