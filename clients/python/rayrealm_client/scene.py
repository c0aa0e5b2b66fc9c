"""The entities in view, brought up to one view after another (PROTOCOL.md, "Views")."""

from __future__ import annotations

from rayrealm_client.errors import CodecError
from rayrealm_client.view import NO_CHANGES, Changes, Entity, State, View, merged, newer_sequence


class Scene:
    """What one viewer sees. Every view counts whole, or is refused and changes nothing.

    `entities`: by number, without the viewer's own. `own`: its own entity as the zone has stated it, without a place; None before.
    `number`: its own; None before the first reset. `zone`, `epoch`: of the newest reset, "" and 0 before.
    """

    def __init__(self) -> None:
        self.entities: dict[int, Entity] = {}
        self.own: Entity | None = None
        self.number: int | None = None
        self.zone = ""
        self.epoch = 0
        self.tick = 0
        self._own_is_whole = False

    def clear(self) -> tuple[Entity, ...]:
        """Out of the world. Returns who was in view."""
        gone = tuple(self.entities.values())
        self.entities.clear()
        self.own = self.number = None
        self._own_is_whole = False
        self.zone, self.epoch = "", 0
        return gone

    def apply(self, view: View) -> Changes:
        """In the protocol's order. Raises CodecError for a row or a change of an entity that the viewer does not hold."""
        entities = self.entities
        seldom = view.reset is not None or view.leaves or view.states
        if seldom:
            self._check_seldom(view)
        else:
            for place in view.places:
                if place.number not in entities:
                    raise CodecError(f"a place of {place.number}, which is not in view")
            placed = {place.number for place in view.places}
            for move in view.moves:
                entity = entities.get(move.number)
                if entity is None or (entity.cm is None and move.number not in placed):
                    raise CodecError(f"a move of {move.number}, which has no place")
        changes = self._apply_seldom(view) if seldom else NO_CHANGES
        tick = self.tick = view.tick
        for number, sequence, x, y, z, yaw in view.places:
            entity = entities[number]
            entity.cm = (x, y, z)
            entity.yaw, entity.sequence, entity.tick = yaw, sequence, tick
        for number, low, dx, dy, dz, yaw in view.moves:
            entity = entities[number]
            x, y, z = entity.cm or (0, 0, 0)  # checked above
            entity.cm = (x + dx, y + dy, z + dz)
            entity.yaw, entity.sequence, entity.tick = yaw, newer_sequence(entity.sequence, low), tick
        return changes

    def _check_seldom(self, view: View) -> None:
        number = self.number if view.reset is None else view.reset.number
        own_is_whole = self._own_is_whole and view.reset is None
        held = {} if view.reset is not None else self.entities
        placed = {n: entity.cm is not None for n, entity in held.items()}  # of whom the viewer holds when rows come
        for gone in view.leaves:
            placed.pop(gone, None)
        for state in view.states:
            n = state.number
            if n == number:
                if state.change and not own_is_whole:
                    raise CodecError("a change of the own state, which was never whole")
                own_is_whole = True
            elif state.change and n not in placed:
                raise CodecError(f"a change of {n}, which is not in view")
            elif not state.change and not (n in placed and n in held and held[n].entity_id == state.entity_id):
                placed[n] = False
        for place in view.places:
            if place.number not in placed:
                raise CodecError(f"a place of {place.number}, which is not in view")
            placed[place.number] = True
        for move in view.moves:
            if not placed.get(move.number):
                raise CodecError(f"a move of {move.number}, which has no place")

    def _apply_seldom(self, view: View) -> Changes:
        entities = self.entities
        left: list[Entity] = []
        known: dict[str, Entity] = {}  # before a reset, by id: those that are stated again go on as the same
        if view.reset is not None:
            known = {entity.entity_id: entity for entity in entities.values()}
            entities.clear()
            self.zone, self.epoch, self.number = view.reset.zone, view.reset.epoch, view.reset.number
            self._own_is_whole = False
            if self.own is not None:
                self.own.number = view.reset.number
        for number in view.leaves:
            gone = entities.pop(number, None)
            if gone is not None:
                left.append(gone)
        entered: list[Entity] = []
        restated: list[Entity] = []
        own = False
        for state in view.states:
            if state.number == self.number:
                self._state_own(state)
                own = True
                continue
            entity = entities.get(state.number)
            if entity is None or not (state.change or entity.entity_id == state.entity_id):
                if entity is not None:  # the number means someone else now
                    left.append(entity)
                entity = known.pop(state.entity_id, None)
                if entity is None:
                    entity = Entity(state.number, state.entity_id, state.entity_type, state.name)
                    entered.append(entity)
                else:
                    entity.number, entity.cm = state.number, None
                    restated.append(entity)
                entities[state.number] = entity
            else:
                restated.append(entity)
            _state(entity, state)
        return Changes(tuple(entered), tuple(restated), (*left, *known.values()), own)

    def _state_own(self, state: State) -> None:
        if self.own is None or not (state.change or self.own.entity_id == state.entity_id):
            self.own = Entity(state.number, state.entity_id, state.entity_type, state.name)
        _state(self.own, state)
        self._own_is_whole = True


def _state(entity: Entity, state: State) -> None:
    if state.change:
        entity.properties = merged(entity.properties, state.properties)
    else:
        entity.entity_type, entity.name, entity.properties = state.entity_type, state.name, dict(state.properties)
    entity.version, entity.link_dead = state.version, state.link_dead
