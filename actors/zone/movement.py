"""Authoritative movement (row 7.1): which moves become the truth.

A move is refused when it is not finite, out of bounds, too fast, too sudden, into or through an obstacle, or not newer than the
last one. Speed is judged by a budget in metres that fills at `max_speed * tolerance` up to `budget_s` seconds' worth: late and
bunched packets are no crime, a teleport is. Acceleration is judged by acceleration.py, with the same tolerance and patience.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from actors.zone.entities import EntityTable
from actors.zone.geometry import Geometry
from cluster.world_settings import PLAYER, Bounds, WorldSettings

OK, STALE_SEQUENCE, NOT_FINITE, OUT_OF_BOUNDS, TOO_FAST, TOO_SUDDEN, BLOCKED = range(7)
REASONS = ("ok", "stale_sequence", "not_finite", "out_of_bounds", "too_fast", "too_sudden", "blocked")

ANY_TYPE = 0  # the kind of every type that has no limits of its own


def nowhere(ground: np.ndarray) -> np.ndarray:
    """Nobody leaves the zone's own ground."""
    return np.zeros(len(ground), bool)


@dataclass(slots=True)
class Rules:
    """The limits of one zone. `low`, `high`: its ground and heights, (3,) x, y, z in metres. `late_s`: how late a packet may be.

    By kind (`EntityTable.kind`), with the tolerance in them: `speeds` in m/s, `accelerations` in m/s2, `caps` of the budget in
    metres. `allowed`: which places (n, 2) x, z outside the zone's own ground one may walk to.
    """

    low: np.ndarray
    high: np.ndarray
    late_s: float
    kinds: dict[str, int]
    speeds: np.ndarray
    accelerations: np.ndarray
    caps: np.ndarray
    geometry: Geometry
    allowed: Callable[[np.ndarray], np.ndarray] = nowhere

    @classmethod
    def of(cls, bounds: Bounds, world: WorldSettings, table: EntityTable, geometry: Geometry | None = None) -> Rules:
        """`table` learns the kinds. Without `geometry`: the world's obstacles, as far as they are near."""
        movement = world.movement
        types = sorted({PLAYER, *world.types})
        # One place more at the front: types that nobody has declared.
        limits = [world.limits(name) for name in ("", *types)]
        speeds = np.array([each.max_speed for each in limits]) * movement.tolerance
        # As float32, like the moves: who walks along a border at 200.1 m would be outside by its rounding.
        rules = cls(
            low=np.array([bounds.min_x, movement.min_y, bounds.min_z], np.float32),
            high=np.array([bounds.max_x, movement.max_y, bounds.max_z], np.float32),
            late_s=movement.budget_s,
            kinds={name: kind for kind, name in enumerate(types, start=ANY_TYPE + 1)},
            speeds=speeds,
            accelerations=np.array([each.max_acceleration for each in limits]) * movement.tolerance,
            caps=speeds * movement.budget_s,
            geometry=Geometry.of(world.obstacles, bounds) if geometry is None else geometry,
        )
        table.learn_kinds(rules.kinds)
        return rules

    def allow(self, allowed: Callable[[np.ndarray], np.ndarray]) -> None:
        """From now on one may also walk where `allowed` says; it is asked only about places outside the zone's own ground."""
        self.allowed = allowed

    def speed_of(self, entity_type: str) -> float:
        """m/s, with the tolerance."""
        return float(self.speeds[self.kinds.get(entity_type, ANY_TYPE)])

    def budget_cap_of(self, entity_type: str) -> float:
        """Metres that one may go at once."""
        return float(self.caps[self.kinds.get(entity_type, ANY_TYPE)])

    def earned(self, table: EntityTable, number: int, now: float) -> float:
        """Metres by which the entity's budget has grown since it was last judged."""
        who = np.array([number])
        return float(self.budgets(table, who, table.kind[who], now)[0] - table.budget[number])

    def budgets(self, table: EntityTable, who: np.ndarray, kind: np.ndarray, now: float) -> np.ndarray:
        """Metres that each may go at time `now`. What a restored zone grants above the cap is kept, and does not grow."""
        budget = table.budget[who]
        grown = budget + self.speeds[kind] * np.maximum(now - table.budget_at[who], 0.0)
        left: np.ndarray = np.minimum(np.maximum(self.caps[kind], budget), grown)
        return left

    def clip(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """The nearest place in the zone. What is not finite counts as the middle: it would stop every tick."""
        low, high, wanted = self.low, self.high, np.array([x, y, z])
        inside = np.where(np.isfinite(wanted), np.clip(wanted, low, high), (low + high) / 2)
        x, y, z = inside.tolist()
        return x, y, z

    def standing_place(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """The nearest place in the zone that is in no obstacle: for those who come."""
        x, y, z = self.clip(x, y, z)
        x, z = self.geometry.free_place(x, z)
        return x, y, z

    def within(self, places: np.ndarray, before: np.ndarray, finite: np.ndarray) -> np.ndarray:
        """Which of the `places` (n, 3) may be gone to from the places `before`. Those that are not `finite` are not asked about."""
        inside: np.ndarray = np.all((places >= self.low) & (places <= self.high), axis=1)
        if inside.all():
            return inside
        outside = np.flatnonzero(~inside & finite & (places[:, 1] >= self.low[1]) & (places[:, 1] <= self.high[1]))
        if len(outside):
            ground = places[outside][:, [0, 2]]
            # Who stands outside, because the ground became less or a neighbour died, may come back.
            nearer = self._beyond(ground) < self._beyond(before[outside][:, [0, 2]])
            inside[outside] = nearer | self.allowed(ground)
        return inside

    def _beyond(self, ground: np.ndarray) -> np.ndarray:
        """Metres from the zone's own ground along the two axes together."""
        low, high = self.low[[0, 2]], self.high[[0, 2]]
        metres: np.ndarray = np.maximum(np.maximum(low - ground, ground - high), 0.0).sum(1)
        return metres


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
    who = moves["number"].astype(np.intp)
    kind = table.kind[who]
    at = np.empty((len(moves), 3))
    at[:, 0], at[:, 1], at[:, 2] = moves["x"], moves["y"], moves["z"]
    finite = np.isfinite(at).all(1) & np.isfinite(moves["yaw"])
    at[~finite] = 0.0
    before = table.position[who].astype(np.float64)
    way = at - before
    far = np.sqrt((way * way).sum(1))
    budget = rules.budgets(table, who, kind, now)
    newer = moves["sequence"] > table.sequence[who]
    top, acceleration = rules.speeds[kind], rules.accelerations[kind]
    motion = table.motion

    verdict = np.where(far <= motion.allowance(who, top, acceleration, rules.late_s, now), OK, TOO_SUDDEN)
    verdict[far > budget] = TOO_FAST
    verdict[~rules.within(at, before, finite)] = OUT_OF_BOUNDS
    verdict[~finite] = NOT_FINITE
    verdict[~newer] = STALE_SEQUENCE
    if rules.geometry:
        walks = np.flatnonzero(verdict == OK)
        stopped = rules.geometry.blocked(before[walks][:, [0, 2]], at[walks][:, [0, 2]])
        verdict[walks[stopped]] = BLOCKED

    good = verdict == OK
    table.budget[who] = np.where(good, budget - far, budget)
    table.budget_at[who] = now
    table.sequence[who[newer]] = moves["sequence"][newer]
    moved = who[good]
    motion.went(moved, far[good], top[good], acceleration[good], rules.late_s, now)
    table.position[moved] = at[good]
    table.yaw[moved] = moves["yaw"][good]
    return verdict
