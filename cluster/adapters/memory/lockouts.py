"""Locks of accounts in this process: for tests."""

from __future__ import annotations

from collections.abc import Callable

from cluster.ports.lockouts import KNOWN_ADDRESSES, KNOWN_S, LockRule


class MemoryLockouts:
    """Implements `cluster.ports.lockouts.Lockouts`. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, dict[str, float]] = {}  # name -> address -> its last success
        # (name, address; "" for all strangers) -> failures, since when, when they are forgotten
        self._counts: dict[tuple[str, str], tuple[int, float, float]] = {}

    async def guess(self, name: str, address: str, rule: LockRule) -> float:
        now, key = self._clock(), self._key(name, address)
        failures, since, _ = self._count(key, now)
        wait = min(since, now) + rule.lock(failures) - now
        if wait > 0:
            return wait
        self._counts[key] = (failures + 1, now, now + rule.kept(failures + 1))
        return 0.0

    async def right(self, name: str, address: str) -> None:
        self._counts.pop(self._key(name, address), None)
        known = self._known.setdefault(name, {})
        known.pop(address, None)
        known[address] = self._clock()
        while len(known) > KNOWN_ADDRESSES:
            del known[next(iter(known))]

    async def unjudged(self, name: str, address: str, rule: LockRule) -> None:
        now, key = self._clock(), self._key(name, address)
        failures, _, end = self._count(key, now)
        if failures <= 1:
            self._counts.pop(key, None)
        else:
            self._counts[key] = (failures - 1, now - rule.lock(failures - 1), end)

    async def forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._counts.pop((name, ""), None)

    def _key(self, name: str, address: str) -> tuple[str, str]:
        seen = self._known.get(name, {}).get(address)
        return (name, address if seen is not None and seen > self._clock() - KNOWN_S else "")

    def _count(self, key: tuple[str, str], now: float) -> tuple[int, float, float]:
        count = self._counts.get(key)
        return (0, now, now) if count is None or now >= count[2] else count
