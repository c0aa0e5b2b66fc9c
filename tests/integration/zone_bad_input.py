"""What clients must not ask a zone, and what each gets for it (rows 3.4, 7.1 and 7.6). Data for the tests of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.players import Player

MISSING = object()
WALL_X = 110.0
OBSTACLES = (
    {"rect": (WALL_X, 80, WALL_X + 0.5, 140)},
    {"rect": (120, 120, 130, 130)},
    {"polygon": ((140, 100), (150, 100), (145, 110))},
    {"rect": (204, 80, 205, 120)},  # beyond the border
)
WORLD = {
    "zones": [
        {"id": "zon_meadow", "name": "Meadow", "bounds": {"min_x": 0, "min_z": 0, "max_x": 200, "max_z": 200}},
        {"id": "zon_harbour", "name": "Harbour", "bounds": {"min_x": 200, "min_z": 0, "max_x": 400, "max_z": 200}},
    ],
    "spawn_zone": "zon_meadow",
    "game": "tests.games.ledger:Ledger",
    "obstacles": OBSTACLES,
    "policy": {"enabled": False},
}


def nested(levels: int) -> Any:
    """Arrays in arrays."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def delta(player: Player, version: int, /, **other: Any) -> dict[str, Any]:
    """A change that is fine but for the `other` params; MISSING leaves one out."""
    params = {"entity_id": player.world["entity_id"], "version": version, "properties": {"hat": "red"}} | other
    return {name: value for name, value in params.items() if value is not MISSING}


# name -> (params that are wrong, the fields that the answer names)
DELTAS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "an unknown entity": ({"entity_id": "ent_nobody"}, {"params"}),
    "an entity without a name": ({"entity_id": ""}, {"entity_id"}),
    "an entity with too long a name": ({"entity_id": "e" * 65}, {"entity_id"}),
    "no entity": ({"entity_id": MISSING}, {"entity_id"}),
    "version 0": ({"version": 0}, {"version"}),
    "a negative version": ({"version": -1}, {"version"}),
    "too large a version": ({"version": 2**32}, {"version"}),
    "half a version": ({"version": 2.5}, {"version"}),
    "a version that is text": ({"version": "latest"}, {"version"}),
    "no version": ({"version": MISSING}, {"version"}),
    "a version that is null": ({"version": None}, {"version"}),
    "properties that are no object": ({"properties": ["hat"]}, {"properties"}),
    "properties that are text": ({"properties": "hat"}, {"properties"}),
    "properties that are null": ({"properties": None}, {"properties"}),
    "no properties": ({"properties": MISSING}, {"properties"}),
    "not one property": ({"properties": {}}, {"properties"}),
    "65 properties": ({"properties": {f"p{n}": n for n in range(65)}}, {"properties"}),
    "65 removals": ({"properties": {f"p{n}": None for n in range(65)}}, {"properties"}),
    "too long a name": ({"properties": {"n" * 65: 1}}, {"properties"}),
    "an empty name": ({"properties": {"": 1, "hat": "red"}}, {"properties"}),
    "5 KB in one": ({"properties": {"hat": "x" * 5_000}}, {"properties"}),
    "5 KB in ten": ({"properties": {f"p{n}": "x" * 500 for n in range(10)}}, {"properties"}),
    "4 KB of small values": ({"properties": {"list": [0] * 2_100}}, {"properties"}),
    "9 levels": ({"properties": {"deep": nested(9), "hat": "red"}}, {"properties.deep"}),
    "9 levels of objects": (
        {"properties": {"deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}}},
        {"properties.deep"},
    ),
    "what is the game's": ({"properties": {"gold": 1_000_000, "hat": "red"}}, {"properties.gold"}),
    "taking away what is the game's": ({"properties": {"gold": None}}, {"properties.gold"}),
    "a misspelt name": ({"versions": 1, "version": MISSING}, {"version"}),
}

# name -> (params of game.message, the fields that the answer names)
GAME_MESSAGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no type": ({}, {"type"}),
    "an empty type": ({"type": ""}, {"type"}),
    "too long a type": ({"type": "t" * 65}, {"type"}),
    "a type that is none": ({"type": 7}, {"type"}),
    "5 KB of data": ({"type": "say", "data": "x" * 5_000}, {"data"}),
    "4 KB in a list": ({"type": "say", "data": [0] * 2_100}, {"data"}),
    "9 levels": ({"type": "say", "data": nested(9)}, {"data"}),
    "a tick before all": ({"type": "say", "tick": -1}, {"tick"}),
    "a misspelt type": ({"typ": "say"}, {"type"}),
}

# name -> (params of game.message, the game's reason)
REFUSED_BY_THE_GAME: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown type": ({"type": "fly"}, "not_understood"),
    "data that are none": ({"type": "spend", "data": [3]}, "how_much"),
    "a negative price": ({"type": "spend", "data": {"gold": -3}}, "how_much"),
    "too much": ({"type": "spend", "data": {"gold": 6}}, "too_poor"),
}


@dataclass(frozen=True)
class Step:
    """From where to where (x, z), and why not; `y` and `yaw` as in a move."""

    start: tuple[float, float]
    to: tuple[float, float]
    reason: str
    y: float = 0.0
    yaw: float = 0.0


NAN, INFINITE = float("nan"), float("inf")
STEPS: dict[str, Step] = {
    "into a wall": Step((109, 100), (110.25, 100), "blocked"),
    "through a wall": Step((109, 100), (111, 100), "blocked"),
    "through a wall aslant": Step((109.5, 78.5), (110.6, 81), "blocked"),
    "into a block": Step((119, 125), (121, 125), "blocked"),
    "across the corner of a block": Step((119.5, 121), (121.5, 119.5), "blocked"),
    "into a triangle": Step((145, 99), (145, 101), "blocked"),
    "a teleport": Step((50, 50), (150, 150), "too_fast"),
    "a teleport past a wall": Step((105, 100), (116, 100), "too_fast"),
    "to no place": Step((50, 50), (NAN, 50), "not_finite"),
    "to the end of the world": Step((50, 50), (50, INFINITE), "not_finite"),
    "to no height": Step((50, 50), (50.5, 50), "not_finite", y=NAN),
    "into the sky": Step((50, 50), (50.5, 50), "out_of_bounds", y=1_001.0),
    "looking nowhere": Step((50, 50), (50.5, 50), "not_finite", yaw=INFINITE),
    "off the land": Step((1, 100), (-0.5, 100), "out_of_bounds"),
    "off the land beside a border": Step((199, 1), (201, -1), "out_of_bounds"),
    "a jump over a border": Step((190, 50), (215, 50), "too_fast"),
    "into a wall beyond the border": Step((199, 100), (204.5, 100), "blocked"),
    "through a wall beyond the border": Step((199, 100), (206, 100), "blocked"),
}
IN_JSON = {name: step for name, step in STEPS.items() if step.reason != "not_finite"}
