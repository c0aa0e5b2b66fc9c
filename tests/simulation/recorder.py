"""Writes the history of a simulated world: what the store does, what owners have, and what is true when everyone rests."""

from __future__ import annotations

from typing import Any

from actors.zone import records
from actors.zone.zone import Zone
from cluster.chaos.history import History
from cluster.chaos.world_history import ARRIVING, IN
from cluster.ports.zones import StoredZone
from tests.simulation.server import Kept, Watch


def in_order(values: dict[str, Any]) -> dict[str, Any]:
    """Protobuf's maps have another order in every process, and a seed is to have one history."""
    return dict(sorted(values.items()))


class Recorder(Watch):
    """`watch` of the server."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.crossings = 0
        self.zones: set[str] = set()
        """Every zone that ever was."""
        self._faults = 0

    # --- the store ---------------------------------------------------------------------------------------------

    def taken(self, process: int, zone_id: str, slot: int, epoch: int) -> None:
        self.zones.add(zone_id)
        self.history.add("taken", zone=zone_id, epoch=epoch, slot=slot, by=process)

    def wrote(self, process: int, what: str, zone_id: str, epoch: int, before: Kept, after: Kept) -> None:
        put: list[list[Any]] = []
        gone: list[list[str]] = []
        for zone, now in after.items():
            was = before[zone]
            for place, old, new in ((IN, was.entities, now.entities), (ARRIVING, was.arrivals, now.arrivals)):
                gone += [[name, zone, place] for name in old if name not in new]
                put += [_put(name, zone, place, data) for name, data in new.items() if old.get(name) != data]
        self.crossings += sum(1 for one in put if one[2] == ARRIVING)
        self.history.add("wrote", zone=zone_id, epoch=epoch, by=process, what=what, put=put, gone=gone)

    # --- what is done to the realm -----------------------------------------------------------------------------

    def fault(self, what: str, on: str) -> int:
        self._faults += 1
        self.history.add("fault", n=self._faults, what=what, on=on)
        return self._faults

    def back(self, number: int) -> None:
        self.history.add("back", n=number)

    # --- looking in --------------------------------------------------------------------------------------------

    def sample(self, owners: list[tuple[int, Zone]]) -> None:
        """(process, zone) of each that takes itself for an owner."""
        told = []
        for process, zone in owners:
            own, leaving = {}, []
            for entity in zone.table.by_number.values():
                if entity.owner:
                    continue
                if zone.table.frozen[entity.number]:
                    leaving.append(entity.entity_id)
                else:
                    own[entity.entity_id] = entity.version
            told.append({"by": process, "zone": zone.id, "epoch": zone.epoch, "own": own, "leaving": leaving})
        self.history.add("sample", owners=told)

    def truth(self, calm: int, zone: Zone) -> None:
        entities = {}
        for entity in zone.table.by_number.values():
            if not entity.owner:
                x, y, z = (float(v) for v in zone.table.position[entity.number])
                entities[entity.entity_id] = [x, y, z, entity.version, in_order(entity.properties)]
        self.history.add("truth", calm=calm, zone=zone.id, epoch=zone.epoch, entities=entities)

    def stored(self, calm: int, zone_id: str, kept: StoredZone) -> None:
        entities = {}
        for name, data in kept.entities.items():
            entity = records.load(data).entity
            entities[name] = [entity.version, in_order(entity.properties)]
        self.history.add("stored", calm=calm, zone=zone_id, entities=entities, arriving=sorted(kept.arrivals))


def _put(name: str, zone: str, place: str, data: bytes) -> list[Any]:
    entity = records.load(data).entity
    return [name, zone, place, entity.version, entity.transfer, in_order(entity.properties)]
