"""Bans in this process."""

from __future__ import annotations

from collections.abc import Callable

from cluster.ports.bans import Ban


class MemoryBans:
    """Implements `cluster.ports.bans.Bans`. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bans: dict[str, tuple[str, float | None]] = {}

    async def ban(self, user_id: str, for_s: float | None, reason: str) -> None:
        self._bans[user_id] = (reason, None if for_s is None else self._clock() + for_s)

    async def lift(self, user_id: str) -> bool:
        there = await self.banned(user_id) is not None
        self._bans.pop(user_id, None)
        return there

    async def banned(self, user_id: str) -> Ban | None:
        reason, until = self._bans.get(user_id, ("", 0.0))
        if until is None:
            return Ban(reason, None)
        left_s = until - self._clock()
        return Ban(reason, left_s) if left_s > 0 else None
