"""The newest log lines of every process, as they come over the bus, and what the live feed tells of them (row 7.8)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import orjson

LEVELS = ("debug", "info", "warning", "error", "critical")
AT_ONCE = 200  # lines in one message: of more, the newest
LONGEST = 64 * 1024  # bytes of one line (cluster/telemetry/log_tap.py)
MOST_FILTER = 200
MOST_MESSAGE = 1024 * 1024

Line = Mapping[str, Any]


class LogLines:
    """The newest `keep` of them, numbered as they came."""

    def __init__(self, keep: int) -> None:
        self._lines: deque[Line] = deque(maxlen=keep)
        self._heard = 0

    @property
    def heard(self) -> int:
        return self._heard

    def take(self, data: bytes) -> None:
        """A line as JSON, or several. What is no line, or of another version, is dropped: it is for people."""
        if len(data) > MOST_MESSAGE:
            return
        try:
            said = orjson.loads(data)
        except ValueError:
            return
        many = said if isinstance(said, list) else [said]
        for line in many:
            if len(data) > LONGEST and len(orjson.dumps(line)) > LONGEST:
                continue  # so many are kept that a few long ones must not be all of this process's memory
            if isinstance(line, dict) and isinstance(line.get("at"), int | float):
                self._lines.append(line)
                self._heard += 1

    def after(self, number: int) -> Iterable[Line]:
        """Those that came after so many, as far as they are kept; oldest first."""
        skip = max(0, len(self._lines) - (self._heard - number))
        return islice(self._lines, skip, None)


class LogsTopic:
    """Lines that fit, oldest first. `wanted`: level (and those above), kind, process, node, q (somewhere in the line)."""

    def __init__(self, lines: LogLines, wanted: Mapping[str, str]) -> None:
        self._lines = lines
        level = wanted.get("level", "").lower()
        self._levels = frozenset(LEVELS[LEVELS.index(level) :]) if level in LEVELS else None
        self._exact = {name: wanted[name] for name in ("kind", "process", "node") if wanted.get(name)}
        self._q = wanted.get("q", "")[:MOST_FILTER].casefold()

    async def refresh(self) -> None:
        """They come by themselves."""

    def news(self, known: int | None) -> tuple[int, Any] | None:
        heard = self._lines.heard
        if known == heard:
            return None
        found = [line for line in self._lines.after(known or 0) if self._fits(line)]
        if known is not None and not found:
            return None
        kept = found[-AT_ONCE:]
        return heard, {"lines": kept, "skipped": len(found) - len(kept) if known is not None else 0}

    def _fits(self, line: Line) -> bool:
        if self._levels is not None and str(line.get("level", "")) not in self._levels:
            return False
        if any(str(line.get(name, "")) != value for name, value in self._exact.items()):
            return False
        return not self._q or self._q in orjson.dumps(line, default=str).decode().casefold()
