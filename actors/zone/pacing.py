"""When a viewer gets a row of an entity (rows 3.5 and 3.6): near ones every tick, far ones every few, within a byte budget.

An edge either holds the entity's last broadcast place, or is owed one since some moment. One that holds it can be told a step; one
that missed a step gets the place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actors.zone.budget import Budget
from actors.zone.interest import MASK, SHIFT, Change
from actors.zone.rows import MOVE_OUT, PLACE_OUT
from cluster.world_settings import InterestSettings

HOLDS = np.inf  # in place of the moment since which a row is owed
SLACK_S = 1e-6  # clocks and sums of floats


@dataclass(slots=True)
class Turn:
    """What each edge gets in a tick; masks by edge, as `seer` and `seen`. `flipped`: went from near to far or back."""

    seer: np.ndarray
    seen: np.ndarray
    steps: np.ndarray
    places: np.ndarray
    flipped: np.ndarray | None = None


class Pacing:
    """Remembers edges by their position. `far`: a mask of them. `period_s`: of the tick."""

    def __init__(self, interest: InterestSettings, period_s: float, capacity: int) -> None:
        self.owing = False  # some edge is owed a row
        near = interest.near_radius
        self._bands = near is not None and near < interest.radius + interest.hysteresis
        self._near = (near or 0.0) ** 2
        self._still_near = ((near or 0.0) + interest.hysteresis) ** 2
        self._far_every = interest.far_every
        self._patience = interest.starve_s - period_s + SLACK_S  # who waits longer now would starve by the next tick
        self._budget = Budget(capacity, interest.bytes_per_s, interest.starve_s)
        self._numbers = np.arange(capacity)
        self.clear()

    def clear(self) -> None:
        """There are no edges."""
        self._since = np.empty(0)
        self.far = np.empty(0, bool)
        self._gap = np.empty(0)
        self.owing = False

    def keep(self, kept: np.ndarray) -> None:
        """Only these edges are left (a mask)."""
        self._since, self.far, self._gap = self._since[kept], self.far[kept], self._gap[kept]

    def same(self, edges: np.ndarray) -> Change:
        """Nothing has changed since the last turn."""
        count = len(edges)
        return Change(edges, np.zeros(count, bool), edges[:0], np.arange(count), self._gap)

    def turn(self, change: Change, news: np.ndarray, stepped: np.ndarray, now: float, ticks: int) -> Turn:
        """`news`, `stepped`: masks by entity: whose place was broadcast in this tick, and for whom a step says it."""
        edges, entered = change.edges, change.entered
        seer, seen = edges >> SHIFT, edges & MASK
        flipped = self._follow(change)
        due = news[seen] | entered
        steps = stepped[seen] & ~entered
        since = self._since
        if self.owing:
            steps &= since == HOLDS
            due |= since < HOLDS
        owed = due
        if self._bands:
            now_far = (self._numbers + ticks) % self._far_every == 0
            due = owed & (~self.far | now_far[seen])
        must = entered
        if due is not owed or self.owing:
            since = np.where(owed, np.minimum(since, now), HOLDS)
            must = entered | (now - since > self._patience)
            due = due | must
        at = np.flatnonzero(due)
        cost = np.where(steps[at], MOVE_OUT.itemsize, PLACE_OUT.itemsize)
        waited = np.maximum(now - since[at], 0.0)
        picked = self._budget.pick(now, seer[at], cost, must[at], change.gap[at], waited)
        sent = due
        if picked is not None:
            sent = np.zeros(len(edges), bool)
            sent[at[picked]] = True
        left = owed & ~sent
        self.owing = bool(left.any())
        self._since = np.where(left, np.minimum(since, now), HOLDS)
        return Turn(seer, seen, sent & steps, sent & ~steps, flipped)

    def _follow(self, change: Change) -> np.ndarray | None:
        """Take what is remembered over to the edges that hold now. Returns which of them changed their band."""
        entered, gap = change.entered, change.gap
        count = len(entered)
        self._gap = gap
        if not len(self._since):
            self._since = np.full(count, HOLDS)
            self.far = gap > self._near if self._bands else np.zeros(count, bool)
            return None
        self._since = self._since[change.was]
        self._since[entered] = HOLDS
        if not self._bands:
            self.far = np.zeros(count, bool)
            return None
        before = self.far[change.was]
        self.far = gap > np.where(before | entered, self._near, self._still_near)
        flipped: np.ndarray = (self.far != before) & ~entered
        return flipped
