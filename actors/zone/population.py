"""Who is in a zone: those who enter and leave, and those who are handed over from zone to zone (rows 1.9 and 7.2). Plain Python."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

import structlog

from actors.zone import records
from actors.zone.arrivals import Arrival, Standing
from actors.zone.borders import Borders
from actors.zone.entities import Entity, EntityTable
from actors.zone.movement import Rules
from actors.zone.showing import Showing
from cluster.errors import Conflict, Elsewhere, InvalidState, RateLimited
from cluster.ports.zones import Parcel

MAX_LIMBO_S = 30.0  # nobody may have walked for longer while nobody looked
DEPARTED_LIMIT = 20_000
FULL_RETRY_S = 5.0

log = structlog.get_logger(__name__)


class Population:
    """Times are seconds on the zone's clock; `wall` is Unix seconds."""

    def __init__(
        self, zone_id: str, table: EntityTable, rules: Callable[[], Rules], showing: Showing, borders: Borders
    ) -> None:
        self.incarnations = 0
        self.handed_over = 0
        self.admitted = 0
        self._zone_id = zone_id
        self._table = table
        self._rules = rules
        self._showing = showing
        self._borders = borders
        self._waiting: dict[str, records.Record] = {}  # own entities that found no room, by id
        self._departed: OrderedDict[str, str] = OrderedDict()  # session -> the zone that has it now

    # --- players -----------------------------------------------------------------------------------------------

    def enter(self, who: Arrival, now: float, transfer: int = 0) -> Standing:
        """Bring a player in, or attach the session's entity again if it is here already (idempotent by session).

        `transfer`: higher than any that an earlier entity of that id can have had, as of a session that ended in the middle of
        things.
        """
        known = self._table.by_session.get(who.session_id)
        if known is not None:
            if known.character_id != who.character_id:
                raise InvalidState("other_character_in_world", "in_world")
            return self.attach(who.session_id, who.gateway_id, who.attach_epoch)
        self._not_waiting(who.session_id)
        there = self._table.by_id.get(who.entity_id)
        if there is not None:
            raise Elsewhere(there.owner) if there.owner else Conflict("entity_exists")
        entity = Entity(
            number=self._table.next_number(),
            incarnation=self._next_incarnation(),
            entity_id=who.entity_id,
            entity_type="player",
            name=who.name,
            session_id=who.session_id,
            user_id=who.user_id,
            character_id=who.character_id,
            gateway_id=who.gateway_id,
            attach_epoch=who.attach_epoch,
            transfer=transfer,
        )
        self._departed.pop(who.session_id, None)
        place = self.inside(who.x, who.y, who.z, who.yaw)
        self._table.add(entity, *place, 0, self._rules().budget_cap_of(entity.entity_type), now)
        self._showing.connect(entity)
        return self._table.standing(entity.number)

    def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        """The session's views go to `gateway_id` from now on, and start from nothing.

        An older attach is refused, unless it is to hold again `instead_of` the present one, which failed elsewhere.
        """
        entity = self.of_session(session_id)
        if attach_epoch < entity.attach_epoch != instead_of:
            raise Conflict("newer_attach")
        was_dead = entity.link_dead
        entity.gateway_id, entity.attach_epoch = gateway_id, attach_epoch
        self._showing.connect(entity)
        if was_dead:
            self.restate(entity.number)
        return self._table.standing(entity.number)

    def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> Entity | None:
        """No views any more; the entity stays. Ignored if a newer attach holds; `instead_of` as for `attach`. Returns who is
        detached.
        """
        entity = self._table.by_session.get(session_id)
        if entity is None:
            self._not_departed(session_id)
            return None
        self.of_session(session_id)
        if attach_epoch < entity.attach_epoch != instead_of:
            return None
        was_dead, entity.attach_epoch, entity.gateway_id = entity.link_dead, attach_epoch, ""
        self._showing.connect(entity)
        if not was_dead:
            self.restate(entity.number)
        return entity

    def leave(self, session_id: str) -> Standing | None:
        """Take the session's entity out, even if it only waits for room; None if it is not here (idempotent)."""
        waiting = self._waiting_of(session_id)
        if waiting is not None:
            del self._waiting[waiting.entity.entity_id]
            return waiting.standing
        if session_id not in self._table.by_session:
            self._not_departed(session_id)
            return None
        entity = self.of_session(session_id)
        standing = self._table.standing(entity.number)
        self.remove(entity.number)
        return standing

    def of_session(self, session_id: str) -> Entity:
        """The session's entity. Raises Elsewhere if it was or is being handed over, RateLimited while there is no room for it,
        InvalidState if the zone knows nothing of it.
        """
        entity = self._table.by_session.get(session_id)
        if entity is None:
            self._not_departed(session_id)
            raise InvalidState("not_in_zone", "authenticated")
        if self._table.frozen[entity.number]:
            raise Elsewhere("")
        return entity

    def _not_departed(self, session_id: str) -> None:
        self._not_waiting(session_id)
        to = self._departed.get(session_id)
        if to is not None:
            raise Elsewhere(to)

    def _not_waiting(self, session_id: str) -> None:
        """It is this zone's, and nobody may take it for one that is nowhere: there would be two of it."""
        if self._waiting_of(session_id) is not None:
            raise RateLimited("zone_full", FULL_RETRY_S)

    def _waiting_of(self, session_id: str) -> records.Record | None:
        return next((record for record in self._waiting.values() if record.entity.session_id == session_id), None)

    # --- everyone ----------------------------------------------------------------------------------------------

    def spawn(
        self, entity_id: str, entity_type: str, name: str, at: tuple[float, float, float, float], now: float
    ) -> Entity:
        """An entity without a session; `at` is x, y, z, yaw. Raises Conflict if there is one of that id, RateLimited if full."""
        if entity_id in self._table.by_id:
            raise Conflict("entity_exists")
        number = self._table.next_number()
        entity = Entity(number, self._next_incarnation(), entity_id, entity_type, name, "", "", "", "", 0)
        self._table.add(entity, *self.inside(*at), 0, 0.0, now)
        self._showing.connect(entity)
        return entity

    def connect_again(self, entity: Entity) -> None:
        """An entity of the store is in the table again: its views start from nothing.

        They say whose they are: this zone may have died before the gateway heard that the entity was handed over to it.
        """
        self._showing.connect(entity, handed_over=True)

    def remove(self, number: int) -> None:
        """An own entity is gone for good."""
        self._table.remove(number)
        self._showing.forget(number)

    def restate(self, number: int, names: Iterable[str] | None = None) -> None:
        """Viewers and neighbours are told of the entity's state with the next tick; of these properties, or of all of it."""
        self._showing.changed(number, names)
        self._borders.changed(number)

    def inside(self, x: float, y: float, z: float, yaw: float) -> tuple[float, float, float, float]:
        """The nearest place in the zone where one can stand. What is not finite counts as the middle: it would stop every tick."""
        return *self._rules().standing_place(x, y, z), yaw if math.isfinite(yaw) else 0.0

    def as_left(self, x: float, y: float, z: float, yaw: float) -> tuple[float, float, float, float]:
        """Where an entity of the store stands: its place if that is ground of any zone, since it may be on its way there."""
        here = self._borders.map.at(x, z) if math.isfinite(x) and math.isfinite(z) else None
        inside = self.inside(x, y, z, yaw)
        return (x, inside[1], z, inside[3]) if here is not None else inside

    def _next_incarnation(self) -> int:
        self.incarnations += 1
        return self.incarnations

    # --- from zone to zone -------------------------------------------------------------------------------------

    def pack(self, numbers: Iterable[int], now: float, wall: float) -> list[Parcel]:
        """Own entities as the next owner gets them. They move no more until they have departed, or until `unpack`."""
        parcels = []
        for number in numbers:
            entity = self._table.by_number[number]
            entity.transfer += 1
            self._table.frozen[number] = True
            record = records.Record(
                entity,
                self._table.standing(number),
                self._zone_id,
                float(self._table.budget[number] + self._rules().earned(self._table, number, now)),
                wall,
            )
            parcels.append(Parcel(entity.entity_id, entity.session_id, entity.transfer, records.dump(record)))
        return parcels

    def unpack(self, parcels: Iterable[Parcel]) -> None:
        """Nothing was handed over: they go on here."""
        for parcel in parcels:
            entity = self._table.by_id.get(parcel.entity_id)
            if entity is not None and not entity.owner:
                self._table.frozen[entity.number] = False

    def depart(self, parcels: Iterable[Parcel], to: str, now: float) -> list[int]:
        """The store says that these belong to another zone. Returns their numbers; those close to the border stay as ghosts."""
        departed = []
        for parcel in parcels:
            entity = self._table.by_id.get(parcel.entity_id)
            if entity is None or entity.owner or entity.transfer != parcel.transfer:
                continue
            number = entity.number
            departed.append(number)
            self.handed_over += 1
            if entity.session_id:
                self._departed[entity.session_id] = to
                while len(self._departed) > DEPARTED_LIMIT:
                    self._departed.popitem(last=False)
            if self._borders.departed(number, to, now):
                self._showing.disconnect(number)
            else:
                self.remove(number)
        return departed

    def admit(self, arrived: Mapping[str, bytes], now: float, wall: float) -> list[Entity]:
        """Those that were handed over to this zone: the store says that they are its own. Returns them; the caller stores them
        anew.
        """
        admitted = []
        due, self._waiting = self._waiting, {}
        for entity_id, data in arrived.items():
            try:
                due[entity_id] = records.load(data)
            except ValueError:
                log.exception("arrival_unreadable", zone=self._zone_id, entity=entity_id)
        for record in due.values():
            try:
                entity = self._admit(record, now, wall)
            except RateLimited:
                # The zones near were told how much room there is, but others came first.
                self._waiting[record.entity.entity_id] = record
                if record.entity.entity_id in arrived:
                    log.warning("no_room_for_arrival", zone=self._zone_id, entity=record.entity.entity_id)
                continue
            if entity is not None:
                admitted.append(entity)
                self.admitted += 1
        return admitted

    def wait(self, record: records.Record) -> None:
        """The store says that it is this zone's, but there is no room: `admit` tries again."""
        log.warning("no_room_for_stored", zone=self._zone_id, entity=record.entity.entity_id)
        self._waiting[record.entity.entity_id] = record

    def _admit(self, record: records.Record, now: float, wall: float) -> Entity | None:
        entity, at, table = record.entity, record.standing, self._table
        known = table.by_id.get(entity.entity_id)
        if known is not None and not known.owner and known.transfer >= entity.transfer:
            return None  # it is here already
        entity.number = known.number if known is not None else table.next_number()
        entity.owner, entity.incarnation = "", self._next_incarnation()
        rules = self._rules()
        limbo = min(max(wall - record.at, 0.0), MAX_LIMBO_S)
        budget = max(record.budget, 0.0) + rules.speed_of(entity.entity_type) * limbo
        x, y, z, yaw = at.x, at.y, at.z, at.yaw
        if known is not None:
            table.replace(entity)
            number = entity.number
            table.position[number], table.yaw[number], table.sequence[number] = (x, y, z), yaw, at.sequence
            table.budget[number], table.budget_at[number] = budget, now
            self._borders.admitted(number)
        else:
            table.add(entity, x, y, z, yaw, at.sequence, budget, now)
        self._departed.pop(entity.session_id, None)
        self._showing.connect(entity, handed_over=True)
        self.restate(entity.number)
        return entity
