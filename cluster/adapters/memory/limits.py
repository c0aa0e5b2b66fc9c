"""Limits in this process."""

from __future__ import annotations

from collections.abc import Callable


class MemoryLimiter:
    """Implements `cluster.ports.limits.Limiter`. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at: dict[str, int] = {}  # key -> microseconds when its bucket will be full again

    async def take(self, key: str, per_s: float, burst: int) -> float:
        now = round(self._clock() * 1e6)
        interval = max(1, round(1e6 / per_s))
        full_at = min(max(self._full_at.get(key, now), now), now + burst * interval)
        wait = full_at - now - (burst - 1) * interval
        if wait > 0:
            return wait / 1e6
        self._full_at[key] = full_at + interval
        return 0.0
