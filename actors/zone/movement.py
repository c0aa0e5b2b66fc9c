"""Authoritative movement (row 7.1): which moves become the truth.

A move is refused when it is not finite, out of the zone, too fast, or not newer than the last one. Speed is judged by a budget in
metres that fills at `max_speed * tolerance` up to `budget_s` seconds' worth: late and bunched packets are no crime, a teleport is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actors.zone.entities import EntityTable
from cluster.settings import Bounds, MovementSettings

OK, STALE_SEQUENCE, NOT_FINITE, OUT_OF_BOUNDS, TOO_FAST = range(5)
REASONS = ("ok", "stale_sequence", "not_finite", "out_of_bounds", "too_fast")


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of one zone; `speed` in m/s with the tolerance in it, `budget_cap` in metres."""

    low: np.ndarray
    high: np.ndarray
    speed: float
    budget_cap: float

    @classmethod
    def of(cls, bounds: Bounds, movement: MovementSettings) -> Rules:
        speed = movement.max_speed * movement.tolerance
        # As float32, like the moves: who walks along a border at 200.1 m would be outside by its rounding.
        low = np.array([bounds.min_x, movement.min_y, bounds.min_z], np.float32)
        high = np.array([bounds.max_x, movement.max_y, bounds.max_z], np.float32)
        return cls(low, high, speed, speed * movement.budget_s)


def newest(moves: np.ndarray, limit: int) -> np.ndarray:
    """`moves` without all but the last `limit` rows of each entity; the order stays."""
    if len(moves) <= limit or np.bincount(moves["number"]).max() <= limit:
        return moves
    order = np.argsort(moves["number"], kind="stable")
    numbers = moves["number"][order]
    ends = np.searchsorted(numbers, numbers, side="right")
    return moves[np.sort(order[ends - np.arange(len(moves)) <= limit])]


def judge(table: EntityTable, rules: Rules, moves: np.ndarray, now: float) -> np.ndarray:
    """Apply `moves` (MOVE_IN rows, at most one per entity, all of living entities) at time `now`.

    Returns a verdict per move, one of the constants above. Moves that are OK are the truth afterwards.
    """
    who = moves["number"]
    at = np.empty((len(moves), 3))
    at[:, 0], at[:, 1], at[:, 2] = moves["x"], moves["y"], moves["z"]
    finite = np.isfinite(at).all(1) & np.isfinite(moves["yaw"])
    at[~finite] = 0.0
    inside = ((at >= rules.low) & (at <= rules.high)).all(1)
    way = at - table.position[who]
    far = np.sqrt((way * way).sum(1))
    budget = np.minimum(
        np.maximum(rules.budget_cap, table.budget[who]),
        table.budget[who] + rules.speed * np.maximum(now - table.budget_at[who], 0.0),
    )
    newer = moves["sequence"] > table.sequence[who]

    verdict = np.where(far <= budget, OK, TOO_FAST)
    verdict[~inside] = OUT_OF_BOUNDS
    verdict[~finite] = NOT_FINITE
    verdict[~newer] = STALE_SEQUENCE

    good = verdict == OK
    table.budget[who] = np.where(good, budget - far, budget)
    table.budget_at[who] = now
    table.sequence[who[newer]] = moves["sequence"][newer]
    moved = who[good]
    table.position[moved] = at[good]
    table.yaw[moved] = moves["yaw"][good]
    return verdict
