"""How long the last ticks of a zone took: what the supervisor's policy looks at (row 7.3)."""

from __future__ import annotations

import numpy as np

KEPT = 600  # half a minute at 20 Hz


class TickTimes:
    """Seconds of work of the last ticks. `overruns`: ticks so far that took longer than `period_s`."""

    def __init__(self, period_s: float) -> None:
        self.overruns = 0
        self._period_s = period_s
        self._ring = np.zeros(KEPT)
        self._count = 0

    def add(self, seconds: float) -> None:
        self._ring[self._count % KEPT] = seconds
        self._count += 1
        self.overruns += seconds > self._period_s

    def p95_ms(self) -> float:
        """Of 100 of the last ticks 95 took no longer, in milliseconds; 0 before the first."""
        return self._percentile_ms(95)

    def p50_ms(self) -> float:
        """Half of the last ticks took no longer, in milliseconds; 0 before the first."""
        return self._percentile_ms(50)

    def _percentile_ms(self, percent: int) -> float:
        kept = self._ring[: min(self._count, KEPT)]
        return float(np.percentile(kept, percent)) * 1_000 if len(kept) else 0.0
