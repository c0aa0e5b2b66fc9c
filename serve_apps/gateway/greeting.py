"""What a client is told of its session: the params of session.ready, and recovery tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cluster.realm import Realm
from cluster.security.recovery import RecoveryClaims, sign_recovery
from serve_apps.gateway.client import Client

PROTOCOL_VERSION = 1


class Greeting:
    """`wall_clock` is in Unix seconds."""

    def __init__(self, gateway_id: str, realm: Realm, wall_clock: Callable[[], float]) -> None:
        self._gateway_id = gateway_id
        self._realm = realm
        self._wall_clock = wall_clock

    def token(self, client: Client) -> dict[str, Any]:
        """A recovery token for the client's present attach: `{"token", "expires_in"}`."""
        settings = self._realm.settings
        ttl_s = settings.session.recovery_ttl_s
        claims = RecoveryClaims(client.user_id, client.session_id, client.attach_epoch)
        token = sign_recovery(self._realm.recovery_secret, claims, self._wall_clock(), ttl_s, settings.namespace)
        return {"token": token, "expires_in": ttl_s}

    def info(self, client: Client, degraded: tuple[str, ...]) -> dict[str, Any]:
        """The result of system.info; session.ready has a recovery token, too."""
        settings = self._realm.settings
        limits = settings.gateway
        return {
            "session_id": client.session_id,
            "user_id": client.user_id,
            "resumed": client.resumed,
            "recovered": client.recovered,
            "stream": client.stream,
            "seq": client.delivered,
            "state": client.state.value,
            "realm": settings.realm,
            "gateway": self._gateway_id,
            "protocol": PROTOCOL_VERSION,
            "limits": {
                "max_frame_bytes": limits.max_frame_bytes,
                "max_pending_requests": limits.max_pending_requests,
                "max_subscriptions": settings.session.max_subscriptions,
            },
            "topics": sorted(client.topics),
            "degraded": list(degraded),
            "world": client.world,
        }

    def ready(self, client: Client, degraded: tuple[str, ...]) -> dict[str, Any]:
        """The params of session.ready."""
        return {**self.info(client, degraded), "seq": client.seq, "recovery": self.token(client)}
