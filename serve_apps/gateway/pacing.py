"""A bounded rate of attaches (row 1.6): reconnects come at a pace that session actors and zones bear. Plain rules."""

from __future__ import annotations

BURST_S = 0.1
SLACK = 1e-6  # sums of floats


class Pacer:
    """`rate` a second, `waiting` in the queue at most. Times are seconds on one clock."""

    def __init__(self, rate: float, waiting: int) -> None:
        self._rate = rate
        self._waiting = waiting
        self._next = float("-inf")

    def reserve(self, now: float) -> float | None:
        """Seconds to wait for one's turn; None: the queue is full, try again later."""
        start = max(self._next, now - BURST_S)
        wait = max(0.0, start - now)
        if wait * self._rate > self._waiting + SLACK:
            return None
        self._next = start + 1.0 / self._rate
        return wait

    def clear_s(self, now: float) -> float:
        """Seconds until the queue of now is empty."""
        return max(0.0, self._next - now)
