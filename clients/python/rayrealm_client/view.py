"""What a viewer is told of its zone: views, and the entities they describe.

PROTOCOL.md, "Views". Plain data: no clock, no socket. Places are whole centimetres, as they travel, so that thousands of
differences one after another add up to exactly where the zone has the entity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

CM_PER_M = 100


class Position(NamedTuple):
    """Metres; y is up."""

    x: float
    y: float
    z: float


ORIGIN = Position(0.0, 0.0, 0.0)


class Place(NamedTuple):
    """Where an entity is: `x`, `y`, `z` in centimetres, `yaw` in radians. `sequence` is the low 16 bits of the mover's own."""

    number: int
    sequence: int
    x: int
    y: int
    z: int
    yaw: float


class Move(NamedTuple):
    """By how much an entity has moved since the viewer was told last, in cm. `sequence`: the low 8 bits of the mover's own."""

    number: int
    sequence: int
    dx: int
    dy: int
    dz: int
    yaw: float


@dataclass(frozen=True, slots=True)
class State:
    """What an entity is. `link_dead`: its player lost the connection and may come back.

    `change`: `properties` are those that changed, None for one that is gone; `entity_id`, `entity_type` and `name` are empty.
    """

    number: int
    entity_id: str
    entity_type: str
    name: str
    version: int
    properties: dict[str, Any]
    link_dead: bool = False
    change: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget every entity; `epoch` is that of the zone's incarnation, `number` the viewer's own there."""

    zone: str
    epoch: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Correction:
    """A move of the viewer's own was refused; `position`: where its character is, all moves up to `sequence` having been judged."""

    sequence: int
    position: Position
    reason: str
    yaw: float


@dataclass(frozen=True, slots=True)
class View:
    """What one viewer is told after one tick; `ack` is its own newest move that the zone has judged."""

    tick: int
    ack: int
    places: tuple[Place, ...] = ()
    moves: tuple[Move, ...] = ()
    states: tuple[State, ...] = ()
    leaves: tuple[int, ...] = ()
    reset: Reset | None = None
    correction: Correction | None = None


@dataclass(slots=True)
class Entity:
    """Someone or something in view. `cm`: x, y, z in centimetres, None before it was placed; `tick`: the zone's tick of that.

    `sequence`: the low 16 bits of the mover's own; `link_dead` as in State.
    """

    number: int
    entity_id: str
    entity_type: str
    name: str
    version: int = 0
    properties: dict[str, Any] = field(default_factory=dict)
    cm: tuple[int, int, int] | None = None
    yaw: float = 0.0
    sequence: int = 0
    tick: int = 0
    link_dead: bool = False

    @property
    def position(self) -> Position:
        """ORIGIN before it was placed."""
        if self.cm is None:
            return ORIGIN
        x, y, z = self.cm
        return Position(x / CM_PER_M, y / CM_PER_M, z / CM_PER_M)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a view changed: who came, whose properties changed, who left (as last seen); whether the viewer's own state did.

    Who is in view before a `reset` and after it neither left nor came.
    """

    entered: tuple[Entity, ...] = ()
    restated: tuple[Entity, ...] = ()
    left: tuple[Entity, ...] = ()
    own: bool = False


NO_CHANGES = Changes()


def merged(properties: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """`properties` after a change; a null takes one away."""
    return {
        name: value for name, value in {**properties, **changed}.items() if name not in changed or value is not None
    }


def newer_sequence(held: int, low: int) -> int:
    """The next 16-bit sequence from `held` on that ends in these 8 bits."""
    return (held + ((low - held) & 0xFF)) & 0xFFFF
