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
        settings, who, now = self._realm.settings, client.identity, self._wall_clock()
        # Not longer than the client's right to its socket: a new one is given out with each new access token.
        left_s = max(0.0, who.expires_at + settings.identity.grace_s - now)
        ttl_s = min(settings.session.recovery_ttl_s, left_s)
        claims = RecoveryClaims(
            client.user_id,
            client.session_id,
            client.attach_epoch,
            who.token_id,
            who.issued_at,
            who.expires_at,
            who.premium,
            who.issuer,
            who.key_id,
            who.role,
        )
        token = sign_recovery(self._realm.recovery_secret, claims, now, ttl_s, settings.namespace)
        return {"token": token, "expires_in": ttl_s if ttl_s == settings.session.recovery_ttl_s else round(ttl_s, 3)}

    def info(self, client: Client, degraded: tuple[str, ...]) -> dict[str, Any]:
        """The result of system.info; session.ready has a recovery token, too."""
        settings = self._realm.settings
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
            "limits": self.limits(client.identity.premium),
            "topics": sorted(client.topics),
            "degraded": list(degraded),
            "world": client.world,
        }

    def limits(self, premium: bool) -> dict[str, int | float]:
        """What a client does well to stay within. Sizes are bytes."""
        gateway, limits = self._realm.settings.gateway, self._realm.settings.limits
        times = limits.premium if premium else 1.0
        return {
            "max_frame_bytes": gateway.max_frame_bytes,
            "max_pending_requests": gateway.max_pending_requests,
            "max_subscriptions": self._realm.settings.session.max_subscriptions,
            "messages_per_s": limits.user.per_s * times,
            "messages_burst": round(limits.user.burst * times),
            "message_unit_bytes": limits.unit_bytes,
        }

    def ready(self, client: Client, degraded: tuple[str, ...]) -> dict[str, Any]:
        """The params of session.ready."""
        signer = client.connection.signer
        signing = {} if signer is None else {"signing": signer.offer()}
        return {**self.info(client, degraded), "seq": client.seq, "recovery": self.token(client), **signing}
