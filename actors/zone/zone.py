"""The zone: a world of entities that ticks. Plain Python; `zone_actor.py` gives it a clock, a bus and a store."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson

from actors.zone.arrivals import Arrival, Standing
from actors.zone.entities import NO_GATEWAY, Entity, EntityTable
from actors.zone.intake import Intake
from actors.zone.interest import MASK, NOTHING, SHIFT, look
from actors.zone.movement import Rules
from actors.zone.oversize import parts
from actors.zone.rows import PLACE
from actors.zone.views import Columns, Tick, encode_correction, outputs
from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound
from cluster.settings import WorldSettings, ZoneSpec
from realm_proto import internal_pb2, realtime_pb2

MAX_PROPERTIES_BYTES = 4096
MAX_OUTAGE_S = 30.0


class Zone:
    """One incarnation of a zone; `epoch` is what fences it off from earlier ones.

    Times are seconds on any monotonic clock, the same in all calls.
    """

    def __init__(self, spec: ZoneSpec, world: WorldSettings, epoch: int) -> None:
        self.spec = spec
        self.world = world
        self.epoch = epoch
        self.ticks = 0
        self.table = EntityTable(world.zone_capacity)
        self.rules = Rules.of(spec.bounds, world.movement)
        self.intake = Intake(self.table, self.rules)
        self.resyncs = 0
        self._columns = Columns(self.table.position, self.table.yaw, self.table.sequence, self.table.gateway)
        self._edges = NOTHING
        self._gateways: dict[str, int] = {}
        self._gateway_names: list[str] = []
        self._outputs: dict[str, int] = {}
        self._state_bytes: dict[int, bytes] = {}
        self._fresh: dict[int, int] = {}  # entity number -> the attach that its views begin for
        self._restated: set[int] = set()
        self._unsettled = True  # someone came, left or moved since interest was last computed
        self._incarnations = 0

    # --- who is here -------------------------------------------------------------------------------------------

    def enter(self, who: Arrival, now: float) -> Standing:
        """Bring an entity in, or attach the session's entity again if it is here already (idempotent by session)."""
        known = self.table.by_session.get(who.session_id)
        if known is not None:
            if known.character_id != who.character_id:
                raise InvalidState("other_character_in_world", "in_world")
            return self.attach(who.session_id, who.gateway_id, who.attach_epoch)
        if who.entity_id in self.table.by_id:
            raise Conflict("entity_exists")
        number = self.table.next_number()
        self._incarnations += 1
        entity = Entity(
            number,
            self._incarnations,
            who.entity_id,
            "player",
            who.name,
            who.session_id,
            who.user_id,
            who.character_id,
            who.gateway_id,
            who.attach_epoch,
        )
        self.table.add(entity, *self._inside(who.x, who.y, who.z, who.yaw), 0, self.rules.budget_cap, now)
        self._connect(entity)
        return self.standing(entity)

    def attach(self, session_id: str, gateway_id: str, attach_epoch: int, instead_of: int = 0) -> Standing:
        """The session's views go to `gateway_id` from now on, and start from nothing.

        An older attach is refused, unless it is to hold again `instead_of` the present one, which failed elsewhere.
        """
        entity = self.of_session(session_id)
        if attach_epoch < entity.attach_epoch != instead_of:
            raise Conflict("newer_attach")
        was_dead = entity.link_dead
        entity.gateway_id, entity.attach_epoch = gateway_id, attach_epoch
        self._connect(entity)
        if was_dead:
            self._restate(entity)
        return self.standing(entity)

    def detach(self, session_id: str, attach_epoch: int, instead_of: int = 0) -> None:
        """No views any more; the entity stays. Ignored if a newer attach holds; `instead_of` as for `attach`."""
        entity = self.table.by_session.get(session_id)
        if entity is None or attach_epoch < entity.attach_epoch != instead_of:
            return
        was_dead, entity.attach_epoch, entity.gateway_id = entity.link_dead, attach_epoch, ""
        self._connect(entity)
        if not was_dead:
            self._restate(entity)

    def leave(self, session_id: str) -> Standing | None:
        """Take the session's entity out; None if it is not here (idempotent)."""
        entity = self.table.by_session.get(session_id)
        if entity is None:
            return None
        standing = self.standing(entity)
        self.table.remove(entity.number)
        self._state_bytes.pop(entity.number, None)
        self._fresh.pop(entity.number, None)
        self._restated.discard(entity.number)
        self._unsettled = True
        return standing

    def of_session(self, session_id: str) -> Entity:
        entity = self.table.by_session.get(session_id)
        if entity is None:
            raise InvalidState("not_in_zone", "authenticated")
        return entity

    def standing(self, entity: Entity) -> Standing:
        n = entity.number
        x, y, z = (float(v) for v in self.table.position[n])
        return Standing(entity.entity_id, n, x, y, z, float(self.table.yaw[n]), int(self.table.sequence[n]))

    def _inside(self, x: float, y: float, z: float, yaw: float) -> tuple[float, float, float, float]:
        """The nearest place in bounds. What is not finite counts as the middle: it would stop every tick of the zone."""
        low, high, wanted = self.rules.low, self.rules.high, np.array([x, y, z])
        x, y, z = np.where(np.isfinite(wanted), np.clip(wanted, low, high), (low + high) / 2).tolist()
        return x, y, z, yaw if math.isfinite(yaw) else 0.0

    def _connect(self, entity: Entity) -> None:
        number, gateway_id = entity.number, entity.gateway_id
        self.table.gateway[number] = self._gateway_index(gateway_id) if gateway_id else NO_GATEWAY
        self._fresh.pop(number, None)
        if gateway_id:
            self._fresh[number] = entity.attach_epoch
        self._unsettled = True

    def _restate(self, entity: Entity) -> None:
        """Viewers are told of the entity's state with the next tick."""
        self._state_bytes.pop(entity.number, None)
        self._restated.add(entity.number)

    def _gateway_index(self, gateway_id: str) -> int:
        index = self._gateways.get(gateway_id)
        if index is None:
            index = self._gateways[gateway_id] = len(self._gateway_names)
            self._gateway_names.append(gateway_id)
        return index

    # --- moves in ----------------------------------------------------------------------------------------------

    def take_input(self, gateway_id: str, rows: bytes) -> None:
        """MOVE_IN rows from a gateway."""
        self.intake.take(self._gateways.get(gateway_id), rows)

    def resync(self, gateway_id: str) -> None:
        """The gateway has lost an output: the next view of each of its viewers starts from nothing; its outputs count from 1."""
        index = self._gateways.get(gateway_id)
        if index is None:
            return
        self.resyncs += 1
        self._outputs.pop(gateway_id, None)
        for number in np.flatnonzero(self.table.gateway == index).tolist():
            self._fresh[number] = self.table.by_number[number].attach_epoch
            self._unsettled = True

    def outputs_to(self, gateway_id: str) -> int:
        """How many outputs the gateway was sent since its views began from nothing."""
        return self._outputs.get(gateway_id, 0)

    # --- the tick ----------------------------------------------------------------------------------------------

    def tick(self, now: float) -> list[tuple[str, bytes]]:
        """Advance one tick. Returns (gateway id, serialised ZoneOutput) for every gateway with news, no viewer twice."""
        self.ticks += 1
        table = self.table
        moved = np.zeros(table.capacity, bool)
        acked = np.zeros(table.capacity, bool)
        refused = self.intake.apply(now, moved, acked) if self.intake else {}
        # Only now: a later move of the same tick may have been good.
        corrections = {number: encode_correction(self._columns, number, why) for number, why in refused.items()}
        if not (self._unsettled or self._restated or corrections or moved.any() or acked.any()):
            return []
        fresh, self._fresh = self._fresh, {}
        if fresh:
            starts = np.zeros(table.capacity, bool)
            starts[list(fresh)] = True
            self._edges = self._edges[~starts[self._edges >> SHIFT]]
        interest = self.world.interest
        change = look(
            table.position,
            table.alive,
            table.gateway != NO_GATEWAY,
            self._edges,
            interest.radius,
            interest.hysteresis,
        )
        self._edges = change.edges
        tick = Tick(moved, acked, self._restated, fresh, corrections)
        made = outputs(change, tick, self._columns, self._active_gateways(), self._state_of)
        self._restated = set()
        self._unsettled = False
        table.end_tick()
        messages: list[tuple[str, bytes]] = []
        for index, out in made.items():
            out.zone_id, out.epoch, out.tick = self.spec.id, self.epoch, self.ticks & 0xFFFFFFFF
            gateway_id = self._gateway_names[index]
            messages += ((gateway_id, self._numbered(gateway_id, data)) for data in parts(out))
        return messages

    def _numbered(self, gateway_id: str, data: bytes) -> bytes:
        """With the output's number, by which the gateway knows that it has them all. Fields of a message may come piecemeal."""
        self._outputs[gateway_id] = number = self._outputs.get(gateway_id, 0) + 1
        return data + internal_pb2.ZoneOutput(number=number).SerializeToString()

    def start_over(self) -> None:
        """Every viewer's next view starts from nothing: a tick failed, and nobody knows what was sent of it."""
        self._edges = NOTHING
        self._outputs.clear()
        viewers = np.flatnonzero(self.table.gateway != NO_GATEWAY).tolist()
        self._fresh = {number: self.table.by_number[number].attach_epoch for number in viewers}
        self._unsettled = True

    def _active_gateways(self) -> list[int]:
        used = self.table.gateway[self.table.alive]
        return [int(index) for index in np.unique(used) if index != NO_GATEWAY]

    def _state_of(self, number: int) -> bytes:
        made = self._state_bytes.get(number)
        if made is None:
            e = self.table.by_number[number]
            made = realtime_pb2.EntityState(
                number=number,
                entity_id=e.entity_id,
                entity_type=e.entity_type,
                name=e.name,
                version=e.version,
                properties_json=orjson.dumps(e.properties).decode() if e.properties else "",
                link_dead=e.link_dead,
            ).SerializeToString()
            self._state_bytes[number] = made
        return made

    # --- state (row 3.4, first form) ---------------------------------------------------------------------------

    def snapshot(self, session_id: str) -> dict[str, Any]:
        """What the session's entity sees, itself first: the result of state.sync.request."""
        me = self.of_session(session_id)
        mine = self._edges[(self._edges >> SHIFT) == me.number] & MASK
        numbers = [me.number, *(n for n in mine.tolist() if n in self.table.by_number)]
        return {"tick": self.ticks, "zone": self.spec.id, "entities": [self.describe(n) for n in numbers]}

    def describe(self, number: int) -> dict[str, Any]:
        e = self.table.by_number[number]
        s = self.standing(e)
        return {
            "number": number,
            "entity_id": e.entity_id,
            "entity_type": e.entity_type,
            "name": e.name,
            "version": e.version,
            "properties": e.properties,
            "link_dead": e.link_dead,
            "position": {"x": s.x, "y": s.y, "z": s.z},
            "yaw": s.yaw,
            "sequence": s.sequence,
        }

    def plan_change(
        self, session_id: str, entity_id: str, version: int, properties: dict[str, Any]
    ) -> tuple[Entity, dict[str, Any]]:
        """What the entity's properties would be; nothing is changed yet. None removes a property.

        Raises NotFound (not there, or not the session's own), Conflict with the current state, InvalidInput (too large).
        """
        entity = self.table.by_id.get(entity_id)
        if entity is None or entity.session_id != session_id:
            raise NotFound("no_such_entity")
        if version != entity.version:
            raise Conflict("stale_version", self.describe(entity.number))
        merged = {k: v for k, v in {**entity.properties, **properties}.items() if v is not None}
        try:
            size = len(orjson.dumps(merged))
        except orjson.JSONEncodeError:
            raise InvalidInput([("properties", "nested too deeply, or no JSON")]) from None
        if size > MAX_PROPERTIES_BYTES:
            raise InvalidInput([("properties", f"more than {MAX_PROPERTIES_BYTES} bytes in all")])
        return entity, merged

    def commit_change(self, entity: Entity, properties: dict[str, Any]) -> int:
        """Make a planned change true and tell the viewers at the next tick. Returns the new version."""
        entity.properties, entity.version = properties, entity.version + 1
        self._restate(entity)
        return entity.version

    # --- what outlives a process (row 1.9) ---------------------------------------------------------------------

    def places(self) -> bytes:
        """PLACE rows of all entities."""
        numbers = np.flatnonzero(self.table.alive)
        rows = np.empty(len(numbers), PLACE)
        rows["number"] = numbers
        rows["incarnation"] = [self.table.by_number[n].incarnation for n in numbers.tolist()]
        rows["sequence"] = self.table.sequence[numbers]
        position = self.table.position[numbers]
        rows["x"], rows["y"], rows["z"] = position[:, 0], position[:, 1], position[:, 2]
        rows["yaw"] = self.table.yaw[numbers]
        return rows.tobytes()

    def restore(self, entities: list[tuple[Entity, Standing]], places: bytes, age_s: float, now: float) -> list[Entity]:
        """Fill an empty zone from the store. `age_s`: how old `places` is; an entity may have walked that long meanwhile.

        Returns the entities that are not taken in, because the store kept them though they had left.
        """
        rows = np.frombuffer(places, PLACE)
        known = {int(row["number"]): row for row in rows}
        self._incarnations = int(rows["incarnation"].max(initial=0))
        budget = self.rules.budget_cap + self.rules.speed * min(max(age_s, 0.0), MAX_OUTAGE_S)
        table, refused = self.table, []
        # Newest first: of two with one number or session, the older one had left, and the store was not told.
        for entity, entered in sorted(entities, key=lambda pair: -pair[0].incarnation):
            row = known.get(entity.number)
            x, y, z, yaw, sequence = entered.x, entered.y, entered.z, entered.yaw, entered.sequence
            # An entity is also stored when it changes hands, which may be after the checkpoint.
            if row is not None and row["incarnation"] == entity.incarnation and row["sequence"] >= sequence:
                x, y, z, yaw, sequence = (row[f].item() for f in ("x", "y", "z", "yaw", "sequence"))
            double = entity.number in table.by_number or entity.session_id in table.by_session
            if double or entity.number >= table.capacity:
                refused.append(entity)
                continue
            table.reserve(entity.number)
            table.add(entity, *self._inside(x, y, z, yaw), sequence, budget, now)
            self._incarnations = max(self._incarnations, entity.incarnation)
            self._connect(entity)
        self._unsettled = True
        return refused
