"""The port to log levels that operators have set (row 7.8): kept, so that processes that start later have them as well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

EVERYBODY = "*"
KEPT_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class LogLevel:
    """`level`: as in the settings, "" for the settings' own. `at`, `until`: Unix seconds; `until` 0: until another one is set."""

    level: str
    at: float
    until: float = 0.0

    def holds(self, now: float) -> bool:
        return not self.until or now < self.until


def newest(found: Iterable[LogLevel], now: float) -> LogLevel | None:
    """Of those for everybody and for one process, the one that was set last counts."""
    holding = [level for level in found if level.holds(now)]
    return max(holding, key=lambda level: level.at, default=None)


class LogLevels(Protocol):
    async def set(self, processes: Iterable[str], level: LogLevel) -> None:
        """For these, or for EVERYBODY; then what was set for single ones is over. Forgotten after KEPT_S. Raises Unavailable."""

    async def of(self, process: str, now: float) -> LogLevel | None:
        """What holds for the process; None: the settings. Raises Unavailable."""
