"""Automatic away (row 3.2): a client that does nothing for a while is idle, until its next deed. Time is an argument."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from cluster.errors import Theirs, Unavailable
from cluster.ports.calls import Calls
from serve_apps.gateway.client import Client
from serve_apps.gateway.messages import Call, Decoded

# What a client's library says by itself is no deed of anybody's.
QUIET = frozenset({"system.ping", "session.ack"})
PLACE_AT = 8  # in a MOVE_IN row: after the entity's number and the move's own
AT_ONCE = 200  # calls on their way: many clients of an event fall silent together

log = structlog.get_logger(__name__)


class Idling:
    """`spawn(work)` runs something in the background, or has no room for it. `after_s`: seconds without a deed."""

    def __init__(
        self, calls: Calls, spawn: Callable[[Coroutine[Any, Any, None]], bool], after_s: float, deadline_s: float
    ) -> None:
        self._calls = calls
        self._spawn = spawn
        self._after_s = after_s
        self._deadline_s = deadline_s
        self._telling: set[Client] = set()

    def moved(self, client: Client, row: bytes, now: float) -> None:
        """A MOVE_IN row, before it is the client's last one. Who says again where it stands does nothing."""
        if row[PLACE_AT:] != client.last_move[PLACE_AT:]:
            self._deed(client, now)

    def said(self, client: Client, decoded: Decoded, now: float) -> None:
        """A frame with requests and notifications."""
        for item in decoded.items:
            if not isinstance(item, Call) or item.method not in QUIET:
                self._deed(client, now)
                return

    def sweep(self, clients: Iterable[Client], now: float) -> None:
        """Called about once a second; what a session's actor was not told for want of an answer it is told again."""
        for client in clients:
            idle = now - client.deed_at >= self._after_s
            if idle != client.idle:
                self._tell(client, idle)

    def _deed(self, client: Client, now: float) -> None:
        client.deed_at = now
        if client.idle:
            self._tell(client, False)

    def _tell(self, client: Client, idle: bool) -> None:
        if client.closed or client in self._telling or len(self._telling) >= AT_ONCE:
            return
        if self._spawn(self._told(client, idle)):
            self._telling.add(client)

    async def _told(self, client: Client, idle: bool) -> None:
        try:
            await self._calls.call(
                client.actor,
                "set_idle",
                client.session_id,
                client.attach_epoch,
                idle,
                deadline_s=self._deadline_s,
                idempotent=True,
            )
        except Unavailable as error:  # a sweep tries again
            log.warning("idle_not_told", session=client.session_id, error=str(error))
        except Theirs as refusal:  # the session is another socket's by now, or gone
            log.info("idle_refused", session=client.session_id, reason=refusal.reason)
            client.idle = idle
        else:
            client.idle = idle
        finally:
            self._telling.discard(client)
