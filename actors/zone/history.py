"""Where everybody was (row 7.11): what a shooter saw is judged where the others were when it saw them.

A ring of the positions of the last ticks. An entity has no past from before it came, jumped, or got its number from another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

JUMP_M = 100.0  # a leap, not a way: nothing lies between
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Past:
    """One moment: `position` (capacity, 3) in metres, meaningless where not `alive` (capacity,)."""

    position: np.ndarray
    alive: np.ndarray


class History:
    """The positions of `capacity` entities over `rewind_s` seconds at `tick_hz`. Ticks are numbers that grow by one."""

    def __init__(self, capacity: int, rewind_s: float, tick_hz: float) -> None:
        self.rewind_ticks = rewind_s * tick_hz
        # The moment asked for lies between two ticks.
        self._size = math.ceil(self.rewind_ticks) + 2
        self._ticks = np.full(self._size, -1, np.int64)
        self._position = np.zeros((self._size, capacity, 3), np.float32)
        self._alive = np.zeros((self._size, capacity), bool)
        self._since = np.full(capacity, NEVER, np.int64)  # the first tick of each entity's past
        self._last = -1

    def record(self, tick: int, position: np.ndarray, alive: np.ndarray) -> None:
        """Where everybody is after `tick`: `position` (capacity, 3), `alive` (capacity,). Both are copied.

        Raises ValueError unless the tick is newer than the last one.
        """
        if tick <= self._last:
            raise ValueError(f"tick {tick} after {self._last}")
        slot, before = tick % self._size, self._last % self._size
        self._position[slot], self._alive[slot], self._ticks[slot] = position, alive, tick
        self._since[~alive] = NEVER
        if self._last >= 0:
            way = position[:, [0, 2]] - self._position[before][:, [0, 2]]
            self._since[(way * way).sum(1) > JUMP_M * JUMP_M] = NEVER
        self._since[alive & (self._since == NEVER)] = tick
        self._last = tick

    def forget(self, number: int) -> None:
        """The entity's past ends here; the next tick begins another."""
        self._since[number] = NEVER

    def at(self, tick: float) -> Past:
        """The moment `tick`, which may lie between two ticks. Never longer ago than is kept, and never later than now.

        What is no number is now: it comes from clients.
        """
        if self._last < 0:
            return Past(self._position[0].copy(), self._alive[0].copy())
        kept = self._ticks[self._ticks >= 0]
        oldest = max(self._last - self.rewind_ticks, float(kept.min()))
        tick = min(max(tick, oldest), float(self._last)) if math.isfinite(tick) else float(self._last)
        earlier, later = int(kept[kept <= tick].max()), int(kept[kept >= tick].min())
        a, b = earlier % self._size, later % self._size
        known = self._alive[a] & (self._since <= earlier)
        if earlier == later:
            return Past(self._position[a].copy(), known)
        share = np.float32((tick - earlier) / (later - earlier))
        return Past(self._position[a] + (self._position[b] - self._position[a]) * share, known & self._alive[b])

    def hit_ray(
        self,
        shooter: int,
        origin: tuple[float, float],
        yaw: float,
        range_m: float,
        radius_m: float,
        seen_tick: float,
        eligible: np.ndarray | None = None,
    ) -> int | None:
        """Who stood first on the ray from `origin` (x, z) when the shooter saw `seen_tick`; see `first_on_ray`. Never the shooter.

        `eligible`: a mask (capacity,) of those that can be hit; all if None.
        """
        past = self.at(seen_tick)
        targets = past.alive.copy() if eligible is None else past.alive & eligible
        targets[shooter] = False
        return first_on_ray(past.position, targets, origin, yaw, range_m, radius_m)

    def within(self, point: tuple[float, float], radius_m: float, seen_tick: float) -> np.ndarray:
        """The numbers of those that stood within `radius_m` of `point` (x, z) then, growing; see `near_point`."""
        past = self.at(seen_tick)
        return near_point(past.position, past.alive, point, radius_m)


def first_on_ray(
    position: np.ndarray,
    targets: np.ndarray,
    origin: tuple[float, float],
    yaw: float,
    range_m: float,
    radius_m: float,
) -> int | None:
    """The number whose circle of `radius_m` on the ground the ray meets first within `range_m`; None if it meets none.

    `position` (n, 3), `targets` a mask (n,). `yaw` 0 looks along +z and grows towards +x. Of two that are equally far, the lower
    number. What is not finite hits nobody.
    """
    met = ray_order(position, targets, origin, yaw, range_m, radius_m)
    return met[0] if met else None


def ray_order(
    position: np.ndarray,
    targets: np.ndarray,
    origin: tuple[float, float],
    yaw: float,
    range_m: float,
    radius_m: float,
) -> list[int]:
    """All that the ray meets, in the order in which it does; otherwise as `first_on_ray`."""
    if not all(map(math.isfinite, (*origin, yaw, range_m, radius_m))):
        return []
    numbers = np.flatnonzero(targets)
    gap = position[numbers][:, [0, 2]].astype(np.float64) - origin
    ahead = gap @ np.array([math.sin(yaw), math.cos(yaw)])
    aside = (gap * gap).sum(1) - ahead * ahead  # squared
    half = np.sqrt(np.maximum(radius_m * radius_m - aside, 0.0))  # of the chord
    entry = np.maximum(ahead - half, 0.0)
    met = (aside <= radius_m * radius_m) & (ahead + half >= 0.0) & (entry <= range_m)
    order: list[int] = numbers[met][np.argsort(entry[met], kind="stable")].tolist()
    return order


def near_point(position: np.ndarray, targets: np.ndarray, point: tuple[float, float], radius_m: float) -> np.ndarray:
    """The numbers of the `targets` (n,) whose `position` (n, 3) is within `radius_m` of `point` (x, z) on the ground, growing."""
    numbers = np.flatnonzero(targets)
    gap = position[numbers][:, [0, 2]].astype(np.float64) - point
    near: np.ndarray = numbers[(gap * gap).sum(1) <= radius_m * radius_m]
    return near
