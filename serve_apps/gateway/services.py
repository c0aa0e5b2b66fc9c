"""What handlers may use: the realm's actors and stores, and this gateway's clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cluster.ports.accounts import CharacterStore
from cluster.ports.calls import Calls, zone_actor
from cluster.settings import Settings
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.outgoing import Priority


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    hub: Hub
    calls: Calls
    characters: CharacterStore
    wall_clock: Callable[[], float]

    async def session(self, client: Client, method: str, *args: Any, idempotent: bool = True) -> Any:
        """Call the client's session actor, as this attach of it."""
        return await self.calls.call(
            client.actor,
            method,
            client.session_id,
            client.attach_epoch,
            *args,
            deadline_s=self.settings.gateway.call_deadline_s,
            idempotent=idempotent,
        )

    async def zone(self, client: Client, method: str, *args: Any, idempotent: bool = False) -> Any:
        """Call the zone the client is in."""
        return await self.calls.call(
            zone_actor(client.zone_id),
            method,
            client.session_id,
            *args,
            deadline_s=self.settings.gateway.call_deadline_s,
            idempotent=idempotent,
        )

    def notify(self, client: Client, method: str, params_json: bytes, priority: Priority) -> None:
        self.hub.notify(client, method, params_json, priority)

    def close(self, client: Client, code: Close, reason: str) -> None:
        self.hub.close(client, code, reason)
