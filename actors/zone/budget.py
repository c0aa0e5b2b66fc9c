"""What a viewer's rows may cost (row 3.5): a token bucket of bytes for each; who is far away waits first."""

from __future__ import annotations

import numpy as np

BURST_S = 1.0  # a bucket holds what comes in within so long


class Budget:
    """`bytes_per_s` 0: no limit. `patience_s`: the longest that a row may wait; the caller sees to it."""

    def __init__(self, capacity: int, bytes_per_s: int, patience_s: float) -> None:
        self._rate = bytes_per_s
        self._patience = patience_s
        self._full = bytes_per_s * BURST_S
        self._tokens = np.full(capacity, self._full)
        self._filled_at = float("-inf")

    def pick(
        self,
        now: float,
        viewer: np.ndarray,
        cost: np.ndarray,
        must: np.ndarray,
        gap: np.ndarray,
        waited: np.ndarray,
    ) -> np.ndarray | None:
        """Which of the rows go now: a mask, or None for all. Every argument but `now` is an array with an element for each row.

        `viewer`: number, sorted; `cost`: bytes; `must`: goes whatever it costs, and no debt is made; `gap`: squared metres;
        `waited`: seconds. The nearest go first. One that has waited counts as nearer, so that those far away come in turn, and not
        all at once when their patience ends.
        """
        if not self._rate:
            return None
        tokens = self._tokens
        passed = now - self._filled_at
        self._filled_at = now
        if passed > 0:
            np.minimum(tokens + self._rate * min(passed, BURST_S), self._full, out=tokens)
        needed = np.bincount(viewer, cost, len(tokens))
        over = needed > tokens
        if not over.any():
            tokens -= needed
            return None
        self._pay(viewer[must], cost[must])
        asking = np.flatnonzero(over[viewer] & ~must)
        urgency = np.sqrt(gap[asking]) * np.maximum(1 - waited[asking] / self._patience, 0.0)
        asking = asking[np.lexsort((urgency, viewer[asking]))]
        whose = viewer[asking]
        total = np.cumsum(cost[asking])
        first = np.searchsorted(whose, whose)  # the position of the viewer's first row
        spent = total - (total[first] - cost[asking[first]])
        picked = np.ones(len(viewer), bool)
        picked[asking[spent > tokens[whose]]] = False
        paid = picked & ~must
        self._pay(viewer[paid], cost[paid])
        return picked

    def _pay(self, viewer: np.ndarray, cost: np.ndarray) -> None:
        np.maximum(self._tokens - np.bincount(viewer, cost, len(self._tokens)), 0.0, out=self._tokens)
