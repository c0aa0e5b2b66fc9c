"""The audit log in this process."""

from __future__ import annotations

from collections import deque

from cluster import auditing
from cluster.ports.audit import AuditEntry


class MemoryAuditLog:
    """Implements `cluster.ports.audit.AuditLog`. `keep` entries stay."""

    def __init__(self, keep: int) -> None:
        self._entries: deque[tuple[int, bytes]] = deque(maxlen=keep)
        self._added = 0

    async def add(self, entry: AuditEntry) -> str:
        self._added += 1
        self._entries.append((self._added, auditing.encode(entry)))
        return f"{self._added}-0"

    async def newest(self, count: int, before: str = "") -> list[AuditEntry]:
        if count <= 0:
            return []
        until = int(before.partition("-")[0]) if before else self._added + 1
        found = [(number, data) for number, data in reversed(self._entries) if number < until]
        return [auditing.decode(data, f"{number}-0") for number, data in found[:count]]
