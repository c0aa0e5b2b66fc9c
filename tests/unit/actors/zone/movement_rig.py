"""What tests of movement share: a zone of 100 m by 100 m, and players at 8 m/s with a tolerance of 1.25.

Their budget fills at 10 m/s, up to 10 m. A cart may go at 16 m/s, and speeds up by 2 m/s2.
"""

from __future__ import annotations

import numpy as np

from actors.zone.entities import Entity, EntityTable
from actors.zone.movement import Rules, judge
from actors.zone.rows import MOVE_IN
from cluster.world_settings import Bounds, EntityTypeSettings, MovementSettings, WorldSettings

BOUNDS = Bounds(min_x=0, min_z=0, max_x=100, max_z=100)
WORLD = WorldSettings(
    movement=MovementSettings(max_speed=8.0, tolerance=1.25, budget_s=1.0, min_y=-5.0, max_y=20.0),
    types={"cart": EntityTypeSettings(max_speed=16.0, max_acceleration=2.0)},
)
RULES = Rules.of(BOUNDS, WORLD, EntityTable(1))
CAP = 10.0

Place = tuple[float, float, float]


def table_of(
    *places: Place, sequence: int = 0, budget: float = CAP, now: float = 0.0, kind: str = "player"
) -> EntityTable:
    table = EntityTable(max(4, len(places)))
    table.learn_kinds(RULES.kinds)
    for name, (x, y, z) in enumerate(places):
        number = table.next_number()
        entity = Entity(number, 1, f"ent_{name}", kind, "", f"ses_{name}", "usr", f"chr_{name}", "gtw", 1)
        table.add(entity, x, y, z, 0.0, sequence, budget, now)
    return table


def rows(*moves: tuple[int, int, float, float, float, float]) -> np.ndarray:
    return np.array(list(moves), MOVE_IN)


def try_one(
    table: EntityTable, at: Place, sequence: int = 1, now: float = 0.0, yaw: float = 0.0, rules: Rules = RULES
) -> int:
    return int(judge(table, rules, rows((0, sequence, *at, yaw)), now)[0])
