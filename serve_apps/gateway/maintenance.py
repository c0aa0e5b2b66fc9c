"""A realm that is closed for maintenance (row 7.8), at one gateway: who may open a socket, and whose is closed. Plain Python.

Health stays well: the gateway works, and operators, moderators and those who are allowed come in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from http import HTTPStatus

from cluster.ports.protection import Maintenance
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.upgrade import Refusal

REASON = "maintenance"
DETAIL = "the realm is closed for maintenance"


class MaintenanceGuard:
    """It is also a watcher (`serve_apps/gateway/watcher.py`). `held`: what holds now, None while the realm is open."""

    def __init__(
        self,
        held: Callable[[], Maintenance | None],
        wall_clock: Callable[[], float],
        close: Callable[[Client, Close, str], None],
    ) -> None:
        self._held = held
        self._wall_clock = wall_clock
        self._close = close

    def refusal(self, who: Identity) -> Refusal | None:
        held = self._held()
        if held is None or held.lets_in(who.user_id, who.role):
            return None
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, REASON, DETAIL, held.retry_s(self._wall_clock()))

    # --- Watcher -----------------------------------------------------------------------------------------------

    def opened(self, client: Client, now: float) -> None:
        """One that was let in before stays until it is time; one that came too late for that is closed by the next sweep."""

    def gone(self, client: Client, now: float) -> None:
        """Nothing is kept."""

    def sweep(self, clients: Collection[Client], now: float) -> None:
        held = self._held()
        if held is None or held.close_at is None or held.close_at > self._wall_clock():
            return
        for client in [client for client in clients if not held.lets_in(client.user_id, client.role)]:
            self._close(client, Close.TRY_LATER, REASON)
