"""Bans in this process."""

from __future__ import annotations

from collections.abc import Callable

from cluster.ports.bans import Ban, Held


class MemoryBans:
    """Implements `cluster.ports.bans.Bans`. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bans: dict[str, tuple[str, float | None]] = {}

    async def ban(self, user_id: str, for_s: float | None, reason: str, *, extend_only: bool = False) -> None:
        there = await self.banned(user_id)
        if extend_only and there is not None and _lasts(there.left_s) >= _lasts(for_s):
            return
        self._bans[user_id] = (reason, None if for_s is None else self._clock() + for_s)

    async def lift(self, user_id: str, reason: str = "") -> bool:
        there = await self.banned(user_id)
        if there is None or not there.reason.startswith(reason):
            return False
        del self._bans[user_id]
        return True

    async def banned(self, user_id: str) -> Ban | None:
        reason, until = self._bans.get(user_id, ("", 0.0))
        if until is None:
            return Ban(reason, None)
        left_s = until - self._clock()
        return Ban(reason, left_s) if left_s > 0 else None

    async def held(self, offset: int, limit: int) -> Held:
        found = [(user_id, ban) for user_id in self._bans if (ban := await self.banned(user_id)) is not None]
        found.sort(key=lambda each: (_lasts(each[1].left_s), each[0]))
        return Held(len(found), tuple(found[offset : offset + limit]))


def _lasts(for_s: float | None) -> float:
    return float("inf") if for_s is None else for_s
