"""What a viewer sees of its zone: views, the entities they describe, and how one becomes the other.

PROTOCOL.md, "Views". Plain data and functions: no clock, no socket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Position(NamedTuple):
    """Metres; y is up."""

    x: float
    y: float
    z: float


ORIGIN = Position(0.0, 0.0, 0.0)


class Move(NamedTuple):
    """An entity's place. `sequence` is the low 16 bits of the mover's own; `yaw` is radians."""

    number: int
    sequence: int
    x: float
    y: float
    z: float
    yaw: float


@dataclass(frozen=True, slots=True)
class State:
    """What an entity is; always whole, never a difference. `link_dead`: its player lost the connection and may come back."""

    number: int
    entity_id: str
    entity_type: str
    name: str
    version: int
    properties: dict[str, Any]
    link_dead: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget every entity; `epoch` is that of the zone's incarnation."""

    zone: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Correction:
    """The viewer's own move `sequence` was refused; `position` is where its character really is."""

    sequence: int
    position: Position
    reason: str
    yaw: float


@dataclass(frozen=True, slots=True)
class View:
    """What one viewer sees after one tick; `ack` is its own newest move that the zone has judged."""

    tick: int
    ack: int
    moves: tuple[Move, ...] = ()
    states: tuple[State, ...] = ()
    leaves: tuple[int, ...] = ()
    reset: Reset | None = None
    correction: Correction | None = None


@dataclass(slots=True)
class Entity:
    """Someone or something in view. `tick` is the zone's tick of `position`; `link_dead` as in State."""

    number: int
    entity_id: str
    entity_type: str
    name: str
    version: int = 0
    properties: dict[str, Any] = field(default_factory=dict)
    position: Position = ORIGIN
    yaw: float = 0.0
    sequence: int = 0
    tick: int = 0
    link_dead: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What a view changed: who came, whose properties changed, who left (as last seen)."""

    entered: tuple[Entity, ...] = ()
    restated: tuple[Entity, ...] = ()
    left: tuple[Entity, ...] = ()


NO_CHANGES = Changes()


def apply(view: View, entities: dict[int, Entity]) -> Changes:
    """Bring `entities` up to `view`, in the protocol's order. A move of an unknown number is passed over."""
    changes = NO_CHANGES
    if view.reset is not None or view.leaves or view.states:
        changes = _apply_seldom(view, entities)
    tick = view.tick
    for number, sequence, x, y, z, yaw in view.moves:
        entity = entities.get(number)
        if entity is not None:
            entity.position = Position(x, y, z)
            entity.yaw = yaw
            entity.sequence = sequence
            entity.tick = tick
    return changes


def _apply_seldom(view: View, entities: dict[int, Entity]) -> Changes:
    left: list[Entity] = []
    if view.reset is not None:
        left += entities.values()
        entities.clear()
    for number in view.leaves:
        gone = entities.pop(number, None)
        if gone is not None:
            left.append(gone)
    entered: list[Entity] = []
    restated: list[Entity] = []
    for state in view.states:
        entity = entities.get(state.number)
        if entity is None or entity.entity_id != state.entity_id:
            if entity is not None:  # the number means someone else now
                left.append(entity)
            entity = Entity(state.number, state.entity_id, state.entity_type, state.name)
            entities[state.number] = entity
            entered.append(entity)
        else:
            restated.append(entity)
        entity.entity_type = state.entity_type
        entity.name = state.name
        entity.version = state.version
        entity.properties = state.properties
        entity.link_dead = state.link_dead
    return Changes(tuple(entered), tuple(restated), tuple(left))


def merge(older: View, newer: View) -> View:
    """One view that leaves the same entities as `older` and then `newer`.

    Only places passed on the way are lost, so a slow reader never misses a state or a leave. Its size is
    bounded by the number of entities, not of views.
    """
    correction = newer.correction or older.correction
    if newer.reset is not None:
        return View(newer.tick, newer.ack, newer.moves, newer.states, newer.leaves, newer.reset, correction)
    gone = set(newer.leaves)
    states = {state.number: state for state in older.states if state.number not in gone}
    replaced = set()
    for state in newer.states:
        before = states.get(state.number)
        if before is not None and before.entity_id != state.entity_id:
            replaced.add(state.number)
        states[state.number] = state
    moves = {m.number: m for m in older.moves if m.number not in gone and m.number not in replaced}
    moves.update((move.number, move) for move in newer.moves)
    leaves = dict.fromkeys((*older.leaves, *newer.leaves))
    return View(
        newer.tick,
        newer.ack,
        tuple(moves.values()),
        tuple(states.values()),
        tuple(leaves),
        older.reset,
        correction,
    )
