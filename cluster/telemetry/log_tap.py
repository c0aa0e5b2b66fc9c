"""What becomes of a process's log lines beside being written (row 7.8): the newest are kept, and go over the bus at a bounded rate.

Nobody who logs ever waits. Secrets are hidden before a line comes here (logs.py). Lines may come from any thread.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from structlog.typing import EventDict, WrappedLogger

from cluster.errors import InvalidInput
from cluster.ports.log_levels import LogLevel
from cluster.telemetry import logs
from cluster.telemetry.counts import LOG_LINES

KEEP = 1_000  # lines
FLUSH_S = 0.25
AT_ONCE = 50  # lines in FLUSH_S: 200 a second
WAITING = 4 * AT_ONCE
MOST_BYTES = 256 * 1024  # of one message
MOST_LINE = 64 * 1024  # a server takes a message of 1 MiB
LEAST_BYTES = 4 * 1024  # of one answer: some lines, if only what they are called
LEVELS = ("debug", "info", "warning", "error", "critical")
ITS_OWN = frozenset({"at", "level", "event", "kind", "process", "node"})


class LogTap:
    """`tell(data)` publishes a JSON array of lines: `{at, level, event, kind, process, node, fields}`, `at` in Unix seconds.

    More than AT_ONCE lines in FLUSH_S wait, WAITING at most; what is over is counted, and said in a line of its own.
    """

    def __init__(self, kind: str, process: str, node: str, tell: Callable[[bytes], None], keep: int = KEEP) -> None:
        self._about = {"kind": kind, "process": process, "node": node}
        self._tell = tell
        self._kept: deque[dict[str, Any]] = deque(maxlen=keep)
        self._waiting: deque[dict[str, Any]] = deque()
        self._over = 0

    def take(self, event: Mapping[str, Any]) -> None:
        """A line as it will be written."""
        said = event.get("at")
        at = datetime.fromisoformat(said).timestamp() if isinstance(said, str) else time.time()
        fields = {key: value for key, value in event.items() if key not in ITS_OWN and not key.startswith("_")}
        line = {"at": at, "level": event.get("level", "info"), "event": str(event.get("event", "")), **self._about}
        line["fields"] = fields
        self._kept.append(line)
        if len(self._waiting) >= WAITING:
            self._over += 1
            LOG_LINES.add("over")
        else:
            self._waiting.append(line)

    def flush(self) -> None:
        """Called every FLUSH_S."""
        lines, size = list[bytes](), 0
        while self._waiting and len(lines) < AT_ONCE and size < MOST_BYTES:
            lines.append(_json(self._waiting.popleft()))
            size += len(lines[-1])
        if self._over and not self._waiting:
            over, self._over = self._over, 0
            said = {"at": time.time(), "level": "warning", "event": "log_lines_over", **self._about}
            lines.append(_json({**said, "fields": {"lines": over}}))
        if lines:
            LOG_LINES.add("published", len(lines))
            self._tell(b"[" + b",".join(lines) + b"]")

    def lines(
        self, q: str = "", level: str = "", after: float = 0.0, limit: int = 200, most_bytes: int = MOST_BYTES
    ) -> list[dict[str, Any]]:
        """The newest that fit, oldest first: of at least that level, with `q` somewhere in it, later than `after`.

        Never more than `most_bytes` of JSON (LEAST_BYTES to MOST_BYTES): of a line that is longer than a quarter of that its event
        is left.
        """
        most_bytes = min(max(most_bytes, LEAST_BYTES), MOST_BYTES)
        levels = LEVELS[LEVELS.index(level) :] if level in LEVELS else LEVELS
        wanted, found, size = q.casefold(), list[dict[str, Any]](), 0
        for line in reversed(tuple(self._kept)):
            if line["at"] <= after or len(found) >= limit:
                break
            if line["level"] not in levels:
                continue
            text = _json(line)
            if wanted and wanted not in text.decode().casefold():
                continue
            if len(text) > most_bytes // 4:
                text = _event_alone(line, len(text))
            size += len(text) + 1  # a comma
            if size > most_bytes:
                break
            found.append(orjson.loads(text))
        return found[::-1]


def tapped(tap: LogTap) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """A processor."""

    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        tap.take(event)
        return event

    return processor


class LogControl:
    """What other processes ask of this one's log (cluster/process_control.py): `methods`. `now`: Unix seconds."""

    def __init__(self, tap: LogTap, kind: str, configured: str, now: Callable[[], float]) -> None:
        self._tap = tap
        self._kind = kind
        self._configured = configured
        self._now = now
        self._until = 0.0

    async def logs(
        self,
        q: str = "",
        level: str = "",
        kind: str = "",
        after: float = 0.0,
        limit: int = 200,
        most_bytes: int = MOST_BYTES,
    ) -> list[dict[str, Any]]:
        """See LogTap.lines; none if this is of another kind."""
        return self._tap.lines(q, level, after, limit, most_bytes) if kind in ("", self._kind) else []

    async def log_level(self, level: str, until: float = 0.0) -> str:
        """The level that holds from now on. Raises InvalidInput."""
        if level and level not in LEVELS:
            raise InvalidInput([("level", f"one of {', '.join(LEVELS)}, or nothing for the settings' own")])
        self.apply(LogLevel(level, self._now(), until))
        return logs.level()

    def apply(self, level: LogLevel | None) -> None:
        """None: as the settings say."""
        self._until = 0.0 if level is None else level.until
        logs.set_level((level.level if level is not None else "") or self._configured)

    def step(self) -> None:
        """Called every FLUSH_S: lines go out, and a level that was set for a while ends."""
        if self._until and self._now() >= self._until:
            self.apply(None)
        self._tap.flush()


def _json(line: Mapping[str, Any]) -> bytes:
    """What cannot be said in UTF-8 or in 64 bits (it may be a client's) is said otherwise, and what is too long is left out: one
    line must not stop the others."""
    try:
        said = orjson.dumps(line, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        fields = {str(key): repr(value) for key, value in line["fields"].items()}
        plain = {**line, "event": ascii(line["event"]), "fields": fields}
        said = json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace")
    if len(said) <= MOST_LINE:
        return said
    return _event_alone(line, len(said))


def _event_alone(line: Mapping[str, Any], size: int) -> bytes:
    return orjson.dumps({**line, "event": ascii(line["event"])[:200], "fields": {"bytes_left_out": size}})
