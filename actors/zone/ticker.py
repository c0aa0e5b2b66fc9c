"""When the next tick is due: a fixed rate without drift."""

from __future__ import annotations


class Ticker:
    """Ticks are due at multiples of `period_s` after `start_s`; those that cannot be kept are skipped and counted."""

    def __init__(self, period_s: float, start_s: float) -> None:
        self.period_s = period_s
        self.due_s = start_s
        self.skipped = 0

    def after(self, now_s: float) -> float:
        """Called when a tick is done. Returns the seconds until the next one, 0 if it is due already."""
        self.due_s += self.period_s
        late = now_s - self.due_s
        if late > self.period_s:
            missed = int(late / self.period_s)
            self.skipped += missed
            self.due_s += missed * self.period_s
        return max(0.0, self.due_s - now_s)
