"""Who is closed for flooding again and again is banned for a while (row 5.3), at all gateways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import structlog

from cluster.kicking import order_close
from cluster.ports.audit import AuditEntry, AuditLog
from cluster.ports.bans import Bans
from cluster.ports.bus import Bus
from cluster.ports.limits import Limiter
from cluster.ports.sessions import SessionStore
from cluster.security_settings import LimitSettings
from cluster.subjects import Subjects
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close

REASON = "flooding"
ROUNDS, PAUSE_S = 4, 0.5  # of closing the user's other sockets: the bus may lose an order

log = structlog.get_logger(__name__)


class Floods:
    """Implements `serve_apps.gateway.watcher.Watcher`. `limiter` is the store's own: without it nobody is banned.

    Closes are counted by a bucket of `closes` - 1 that gets one back every `ban_window_s`: as many within that time are the end.
    """

    def __init__(
        self,
        limits: LimitSettings,
        gateway_id: str,
        limiter: Limiter,
        bans: Bans,
        audit: AuditLog,
        sessions: SessionStore,
        bus: Bus,
        subjects: Subjects,
        spawn: Callable[[Coroutine[Any, Any, None]], bool],
        wall_clock: Callable[[], float],
    ) -> None:
        self.banned = 0
        self._limits = limits
        self._gateway_id = gateway_id
        self._limiter = limiter
        self._bans = bans
        self._audit = audit
        self._sessions = sessions
        self._bus = bus
        self._subjects = subjects
        self._spawn = spawn
        self._wall_clock = wall_clock

    def opened(self, client: Client, now: float) -> None: ...

    def sweep(self, clients: Collection[Client], now: float) -> None: ...

    def gone(self, client: Client, now: float) -> None:
        if client.close_code == Close.FLOODING and client.meter.flooding:
            self._spawn(self._flooded(client.user_id, client.address, client.meter.refused))

    async def _flooded(self, user_id: str, address: str, refused: int) -> None:
        limits = self._limits
        if limits.closes > 1:
            key, per_s = f"floods/{user_id}", 1.0 / limits.ban_window_s
            if await self._limiter.take(key, per_s, limits.closes - 1) == 0.0:
                return
        await self._bans.ban(user_id, limits.ban_s, REASON, extend_only=True)  # an operator's may last longer
        self.banned += 1
        log.warning("banned", user=user_id, reason=REASON, for_s=limits.ban_s)
        entry = AuditEntry(
            self._wall_clock(),
            self._gateway_id,
            "user.ban",
            user_id,
            REASON,
            details={"for_s": limits.ban_s, "address": address, "refused": refused},
        )
        await self._audit.add(entry)
        for _ in range(ROUNDS):
            for record in await self._sessions.of_user(user_id):
                order_close(self._bus, self._subjects, record, Close.FLOODING.value, REASON)
            await asyncio.sleep(PAUSE_S)
