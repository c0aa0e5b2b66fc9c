"""What a zone shows of itself to the zones near it, and what it sees of them (row 7.2). Plain Python over the table.

Each tick a zone tells every zone near it which of its own entities stand within the margin of the other's ground. The other keeps
them as ghosts: seen by its viewers, never simulated. A ghost that is handed over becomes the zone's own and keeps its number, and
the other way round, so that no viewer sees it leave.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import structlog

from actors.zone import records
from actors.zone.entities import Entity, EntityTable
from actors.zone.former_ground import FormerGround, away
from actors.zone.rows import BORDER_ROW
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap
from realm_proto import internal_pb2

KEEP_TELLING_S = 0.5  # a zone that has nothing to say says so, that its neighbours know it is there
SILENT_S = 2.0  # nobody is handed over to a zone that was not heard for so long
FORGET_S = 15.0  # its ghosts go
UNBOUND_S = 5.0  # a ghost that its new owner never spoke of
OVERLAP_M = 20.0  # how far into a neighbour's ground one may walk before the owner has changed
STRETCH_M = 2.0  # who is within the margin stays told for so much longer
NOBODY = -1
NUMBERS = 65_536

log = structlog.get_logger(__name__)


def distance(position: np.ndarray, bounds: Bounds) -> np.ndarray:
    """Metres from each (x, y, z) to the ground, along the farther axis; 0 inside."""
    return away(position[:, 0], position[:, 2], bounds)


@dataclass(slots=True)
class Neighbour:
    """One zone near this one. `told`: a mask of the entities it knows of us. `names`: its numbers -> ours."""

    zone: MapZone
    told: np.ndarray
    number: int = 0  # of our newest output to it
    whole: bool = True  # the next one begins again
    told_at: float = float("-inf")
    hint: bool = False
    ask: bool = True  # begin again, please: nothing of it is known
    epoch: int = 0
    heard: int = 0  # the number of its newest output
    lost: bool = True  # one of its outputs: none is believed until one begins again
    heard_at: float = float("-inf")
    since: float | None = None  # when it was first looked at
    room: int = 0
    departed: list[int] = field(default_factory=list)  # entities it was told of that belong to somebody else now
    names: np.ndarray = field(default_factory=lambda: np.full(NUMBERS, NOBODY, np.int32))


@dataclass(slots=True)
class Seen:
    """What came in: ghosts that moved, are new or have changed, and those that went (removed from the table already)."""

    moved: list[np.ndarray] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    gone: list[int] = field(default_factory=list)


class Borders:
    """Times are seconds on the zone's clock. The table is the zone's; ghosts are added to it and removed from it here."""

    def __init__(self, table: EntityTable, zone_id: str, epoch: int, margin: float, hysteresis: float) -> None:
        self.map = WorldMap(0, ())
        self.me: MapZone | None = None
        self.strange = 0  # outputs that did not follow on what was known
        self._table = table
        self._zone_id = zone_id
        self._epoch = epoch
        self._margin = margin
        self._hysteresis = hysteresis
        self._former = FormerGround(OVERLAP_M)
        self._near: dict[str, Neighbour] = {}
        self._unbound: dict[int, float] = {}  # ghosts that were handed over, until their new owner speaks of them
        self._unheard: dict[int, set[str]] = {}  # ghosts that seemed newer -> zones that spoke of the entity
        self._unseen: set[str] = set()  # zones that spoke of somebody for whom there was no room
        self._changed: set[int] = set()

    # --- the map -----------------------------------------------------------------------------------------------

    def remap(self, world_map: WorldMap) -> list[int]:
        """The world has changed. Returns ghosts that went. An older map than the one known changes nothing."""
        if world_map.version < self.map.version:
            return []
        before, self.map, self.me = self.me, world_map, world_map.find(self._zone_id)
        if before is not None and self.me is not None and before.bounds != self.me.bounds:
            self._former.lost(before.bounds)
        near = {zone.id: zone for zone in world_map.near(self._zone_id, self._margin + STRETCH_M)}
        gone = []
        for zone_id in self._near.keys() - near.keys():
            gone += self._remove(self._ghosts_of(zone_id))
            del self._near[zone_id]
        for zone_id, zone in near.items():
            known = self._near.get(zone_id)
            if known is None:
                self._near[zone_id] = Neighbour(zone, np.zeros(self._table.capacity, bool))
            else:
                known.zone = zone
        return gone

    def alive(self, zone_id: str, now: float) -> bool:
        """Whether entities may be handed over to it: it was heard, and has room."""
        other = self._near.get(zone_id)
        return other is not None and now - other.heard_at < SILENT_S and other.room > 0

    def allowed(self, ground: np.ndarray, now: float) -> np.ndarray:
        """Which of the places (n, 2: x and z) outside this zone's ground one of its entities may walk to."""
        me = self.me
        good = np.zeros(len(ground), bool)
        if me is None:
            return good
        x, z = ground[:, 0], ground[:, 1]
        close = away(x, z, me.bounds) <= OVERLAP_M
        if me.into:  # without ground it has nothing of its own to stand on, but everybody is still somewhere
            close[:] = True
        for zone_id, other in self._near.items():
            if other.since is None:
                other.since = now
            # One that the map has just made, as by a split, has not been heard yet: nobody is to run into it like into a wall,
            # nor is who stands deep in what was this zone's ground until now.
            new = now - other.since < SILENT_S
            if ((new and not other.epoch) or self.alive(zone_id, now)) and not other.zone.into:
                o = other.zone.bounds
                there = (x >= o.min_x) & (x <= o.max_x) & (z >= o.min_z) & (z <= o.max_z)
                good |= there if new else close & there
        good |= self._former.allowed(x, z, self.map, now)
        return good

    # --- who crosses -------------------------------------------------------------------------------------------

    def strays(self) -> np.ndarray:
        """Own entities that stand beyond the border by more than the hysteresis, whether or not they can be handed over now."""
        table, me = self._table, self.me
        if me is None:
            return np.empty(0, np.int64)
        if me.into:
            return np.flatnonzero(table.mine)
        mine = np.flatnonzero(table.mine)
        return mine[distance(table.position[mine], me.bounds) > self._hysteresis]

    def crossers(self, now: float) -> dict[str, list[int]]:
        """Whom to hand over, by zone."""
        table, me = self._table, self.me
        crossing: dict[str, list[int]] = {}
        for number in self.strays().tolist():
            if table.frozen[number] or me is None:
                continue
            x, _, z = table.position[number].tolist()
            there = self.map.at(x, z)
            to = there.id if there is not None else me.into
            if to and to != self._zone_id and self.alive(to, now):
                crossing.setdefault(to, []).append(number)
        for to, numbers in crossing.items():
            del numbers[self._near[to].room :]
        return crossing

    def departed(self, number: int, to: str, now: float) -> bool:
        """An own entity belongs to another zone now: it stays as a ghost if it is close. Returns whether it does."""
        entity, other = self._table.by_number[number], self._near.get(to)
        for known in self._near.values():
            if known.told[number]:
                known.told[number] = False
                known.departed.append(number)
        self._ask_again(number)
        if other is None or self.me is None:
            return False
        other.hint = True
        bounds = self.me.bounds
        if distance(self._table.position[number : number + 1], bounds)[0] > self._margin + STRETCH_M:
            return False
        entity.owner = to
        self._table.own(number)
        self._unbound[number] = now
        return True

    def _ask_again(self, number: int) -> None:
        """Zones that spoke of the entity in vain begin again."""
        for zone_id in self._unheard.pop(number, ()):
            if zone_id in self._near:
                other = self._near[zone_id]
                other.lost = other.ask = True  # until it does: the question may be lost, too

    def admitted(self, number: int) -> None:
        """A ghost has another owner now. The former one may still speak of it, and is not listened to."""
        self._unbound.pop(number, None)
        self._unheard.pop(number, None)
        for other in self._near.values():
            other.names[other.names == number] = NOBODY

    # --- what others are told ----------------------------------------------------------------------------------

    def changed(self, number: int) -> None:
        """Others are told anew who the entity is."""
        self._changed.add(number)

    def outputs(self, moved: np.ndarray, now: float) -> list[tuple[str, bytes]]:
        """(zone id, serialised BorderOutput) for each zone near that is to hear something."""
        table, made = self._table, []
        changed = np.zeros(table.capacity, bool)
        changed[list(self._changed)] = True
        self._changed.clear()
        mine = table.mine
        numbers = np.flatnonzero(mine) if self._near else np.empty(0, np.int64)
        for zone_id, other in self._near.items():
            told = np.zeros(table.capacity, bool)
            if len(numbers):
                far = distance(table.position[numbers], other.zone.bounds)
                told[numbers] = far <= self._margin + np.where(other.told[numbers], STRETCH_M, 0.0)
            first = other.whole
            fresh = told if first else told & (~other.told | changed)
            gone = np.flatnonzero(other.told & ~told) if not first else np.empty(0, np.int64)
            rows = np.flatnonzero(told & (moved | fresh))
            idle = not (len(rows) or len(gone) or fresh.any() or other.hint or other.ask or other.departed)
            if idle and now - other.told_at < KEEP_TELLING_S:
                continue
            other.told, other.number, other.told_at, other.whole = told, other.number + 1, now, False
            out = internal_pb2.BorderOutput(
                zone_id=self._zone_id,
                epoch=self._epoch,
                number=other.number,
                rows=self._rows(rows),
                leaves=gone.tolist(),
                room=table.room,
                arrivals=other.hint,
                resync=other.ask,
                departed=other.departed,
                whole=first,
            )
            for number in np.flatnonzero(fresh).tolist():
                out.entities.add(number=number, record=records.dump(self.record(number)))
            other.hint = other.ask = False
            other.departed.clear()
            made.append((zone_id, out.SerializeToString()))
        return made

    def hints(self, now: float) -> list[tuple[str, bytes]]:
        """Between ticks: that something was handed over need not wait for the next one."""
        return self.outputs(np.zeros(self._table.capacity, bool), now)

    def record(self, number: int) -> records.Record:
        """The entity as others may know it; its budget is nobody's business but the next owner's."""
        return records.Record(self._table.by_number[number], self._table.standing(number), self._zone_id)

    def _rows(self, numbers: np.ndarray) -> bytes:
        table, rows = self._table, np.empty(len(numbers), BORDER_ROW)
        rows["number"], rows["sequence"] = numbers, table.sequence[numbers]
        position = table.position[numbers]
        rows["x"], rows["y"], rows["z"] = position[:, 0], position[:, 1], position[:, 2]
        rows["yaw"] = table.yaw[numbers]
        return rows.tobytes()

    # --- what others tell --------------------------------------------------------------------------------------

    def receive(self, out: internal_pb2.BorderOutput, now: float) -> Seen:
        """A BorderOutput. One of an older incarnation, or of a zone that is not near, is not believed."""
        seen, other = Seen(), self._near.get(out.zone_id)
        if other is None or out.epoch < other.epoch:
            return seen
        if out.epoch == other.epoch and out.number <= other.heard:
            return seen  # late, or said twice
        if out.epoch != other.epoch:
            other.epoch, other.lost = out.epoch, True
            other.names[:] = NOBODY
        other.lost |= out.number != other.heard + 1
        other.heard = out.number
        other.heard_at, other.room = now, out.room
        if out.resync:
            other.whole = True
        if other.lost and not out.whole:
            self.strange += 1
            other.ask = True
            return seen
        other.lost = False
        self._let_go(other, out.departed, now)
        before: set[int] = set()
        if out.whole:
            before = set(self._ghosts_of(out.zone_id)) - self._unbound.keys()
            other.names[:] = NOBODY
        for said in out.entities:
            number = self._ghost(other, said, now)
            if number is not None:
                seen.changed.add(number)
                before.discard(number)
        left = [n for n in out.leaves if n < NUMBERS]
        leaving = [int(n) for n in other.names[left] if n != NOBODY]
        other.names[left] = NOBODY
        seen.gone = self._remove([*leaving, *before])
        seen.changed.difference_update(seen.gone)
        self._move(other, np.frombuffer(out.rows, BORDER_ROW), seen)
        return seen

    def _let_go(self, other: Neighbour, numbers: Iterable[int], now: float) -> None:
        """It handed these over. Their new owner may not have anything to say of them to us: then the ghosts go."""
        for theirs in numbers:
            if theirs < NUMBERS and (number := int(other.names[theirs])) != NOBODY:
                other.names[theirs] = NOBODY
                self._unbound[number] = now

    def _ghost(self, other: Neighbour, said: internal_pb2.BorderEntity, now: float) -> int | None:
        try:
            record = records.load(said.record)
        except ValueError:
            log.exception("border_entity_unreadable", zone=self._zone_id, other=other.zone.id)
            return None
        told, table = record.entity, self._table
        known = table.by_id.get(told.entity_id)
        if known is not None and (not known.owner or told.transfer < known.transfer):
            # It is ours, or somebody newer's: what is said is older than that. Unless that one has left and came again, or we do
            # not know yet that it is ours no more: then who spoke in vain is asked again.
            if known.owner or told.transfer >= known.transfer:
                self._unheard.setdefault(known.number, set()).add(other.zone.id)
            return None
        if known is None:
            if not table.room:
                self._unseen.add(other.zone.id)
                return None
            number = table.next_number()
        else:
            number = known.number
            if number in self._unbound or known.owner != other.zone.id:
                self.admitted(number)  # whoever spoke of it before speaks of it no more
            elif said.number < NUMBERS and other.names[said.number] != number:
                other.names[other.names == number] = NOBODY  # it left and came again: the leave is of its old number
        at = record.standing
        ghost = _as_ghost(told, number, other.zone.id)
        if known is None:
            table.add(ghost, at.x, at.y, at.z, at.yaw, at.sequence, 0.0, now)
        else:
            table.replace(ghost)
        if said.number < NUMBERS:
            other.names[said.number] = number
        return number

    def _move(self, other: Neighbour, rows: np.ndarray, seen: Seen) -> None:
        rows = rows[rows["number"] < NUMBERS]
        numbers = other.names[rows["number"]]
        rows, numbers = rows[numbers != NOBODY], numbers[numbers != NOBODY]
        if not len(numbers):
            return
        table = self._table
        table.position[numbers, 0], table.position[numbers, 1] = rows["x"], rows["y"]
        table.position[numbers, 2] = rows["z"]
        table.yaw[numbers], table.sequence[numbers] = rows["yaw"], rows["sequence"]
        seen.moved.append(numbers)

    def sweep(self, now: float) -> list[int]:
        """Now and then: ghosts of zones that are silent for good, and those that nobody owns up to. Returns who went."""
        if self._table.room:
            for zone_id in self._unseen & self._near.keys():
                self._near[zone_id].lost = self._near[zone_id].ask = True
            self._unseen.clear()
        for number in [number for number in self._unheard if number not in self._table.by_number]:
            self._ask_again(number)
        gone = [number for number, since in self._unbound.items() if now - since > UNBOUND_S]
        for zone_id, other in self._near.items():
            if not other.lost and now - other.heard_at > FORGET_S:
                other.lost = other.ask = True
                other.names[:] = NOBODY
                gone += self._ghosts_of(zone_id)
        return self._remove(gone)

    def _ghosts_of(self, zone_id: str) -> list[int]:
        return [entity.number for entity in self._table.by_number.values() if entity.owner == zone_id]

    def _remove(self, numbers: Iterable[int]) -> list[int]:
        gone = []
        for number in dict.fromkeys(numbers):
            entity = self._table.by_number.get(number)
            if entity is not None and entity.owner:
                self._table.remove(number)
                self._unbound.pop(number, None)
                self._ask_again(number)
                gone.append(number)
        return gone


def _as_ghost(told: Entity, number: int, owner: str) -> Entity:
    told.number, told.owner = number, owner
    return told
