"""Log levels in this process."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.ports.log_levels import EVERYBODY, LogLevel, newest


class MemoryLogLevels:
    """Implements `cluster.ports.log_levels.LogLevels`."""

    def __init__(self) -> None:
        self._levels: dict[str, LogLevel] = {}

    async def set(self, processes: Iterable[str], level: LogLevel) -> None:
        names = list(processes)
        if EVERYBODY in names:
            self._levels.clear()
        self._levels |= dict.fromkeys(names, level)

    async def of(self, process: str, now: float) -> LogLevel | None:
        return newest((self._levels[name] for name in (EVERYBODY, process) if name in self._levels), now)
