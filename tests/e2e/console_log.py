"""Log lines of the mock console: kept, filtered as the realm does, and told to who follows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.e2e.console_parts import Params

LEVELS = ("debug", "info", "warning", "error", "critical")
SENT = 500  # lines in one message of the feed
HOSTILE = '<script>window.hit=1</script><img src=x onerror="window.hit=1">'
EVENTS = ("session_attached", "zone_tick_overrun", "redis_slow", "bus_reconnected", "view_sent")


class _Topics(Mapping[str, Callable[[], Any]]):
    """`logs` with any filter behind it."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def __contains__(self, topic: object) -> bool:
        return isinstance(topic, str) and topic.partition("?")[0] == "logs"

    def __getitem__(self, topic: str) -> Callable[[], Any]:
        if topic not in self:
            raise KeyError(topic)
        asked = dict(parse_qsl(topic.partition("?")[2]))
        return lambda: self._log.tail({**asked, "limit": SENT})

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Log:
    def __init__(self) -> None:
        self.lines: list[Params] = []
        self.level: Params | None = None
        self.topics = _Topics(self)
        began = time.time() - 300
        for n in range(300):
            level = LEVELS[(1, 1, 2, 1, 0, 1, 3)[n % 7]]
            self.write(EVENTS[n % len(EVENTS)], level, at=began + n, ms=n % 90, session=f"ses_{n:08x}")

    def write(
        self,
        event: str,
        level: str = "info",
        *,
        kind: str = "",
        process: str = "",
        at: float | None = None,
        **fields: Any,
    ) -> None:
        n = len(self.lines)
        kind = kind or ("gateway", "zone", "sessions")[n % 3]
        self.lines.append(
            {
                "id": n + 1,
                "at": time.time() if at is None else at,
                "level": level,
                "event": event,
                "kind": kind,
                "process": process or f"{kind}:{n % 4}",
                "node": f"node-{n % 3 + 1}",
                "fields": fields,
            }
        )

    def tail(self, params: Params) -> Params:
        q, after = str(params.get("q", "")).casefold(), int(params.get("after", 0) or 0)
        least = LEVELS.index(params.get("level") or "debug")
        found = [
            line
            for line in self.lines
            if line["id"] > after
            and LEVELS.index(line["level"]) >= least
            and all(not params.get(name) or params[name] == line[name] for name in ("kind", "process"))
            and (not q or q in f"{line['event']} {line['fields']}".casefold())
        ]
        return {"lines": found[-int(params.get("limit", 200)) :], "next": len(self.lines)}

    def set_level(self, params: Params) -> Params:
        self.level = params
        return {"outcome": "done", "level": params["level"]}
