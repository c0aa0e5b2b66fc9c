"""Whether a token is good, by all that this process knows (row 4.1): the realm's keys, outside providers', and revocations."""

from __future__ import annotations

from cluster.errors import Unauthorized
from cluster.ports.protection import PAGE, Protection
from cluster.security.issuers import Issuers
from cluster.security.revocations import Revoked
from cluster.security.rotation import LiveKeys
from cluster.security.tokens import AccessClaims, verify_access
from cluster.settings import Settings


class TokenChecker:
    """Gateways and the HTTP API have one each. Times are Unix seconds."""

    def __init__(self, settings: Settings, keys: LiveKeys, issuers: Issuers) -> None:
        self.keys = keys
        self.revoked = Revoked()
        self._issuers = issuers
        self._realm = settings.namespace
        self._skew_s = settings.accounts.clock_skew_s

    async def check(self, token: str | None, now: float) -> AccessClaims:
        """Raises Unauthorized: `token_missing`, `token_invalid`, `token_expired`, `token_revoked`; Unavailable: its provider is
        away, and none of its keys are known."""
        issuer = self._issuers.named(token) if token and self._issuers else None
        if issuer is not None and token is not None:
            claims = await self._issuers.verify(issuer, token, now)
        else:
            claims = verify_access(self.keys.ring(now), token, now, self._skew_s, self._realm)
        if self.revoked.fits(claims.user_id, claims.token_id, claims.issued_at, now):
            raise Unauthorized("token_revoked")
        return claims

    def key_counts(self, issuer: str, key_id: str, now: float) -> bool:
        """Whether the key that signed a token, now on an open socket, would still be accepted. `key_id` "": not known."""
        if issuer:
            return self._issuers.knows(issuer, key_id)
        return not key_id or self.keys.ring(now).verifier(key_id, now) is not None

    def learn(self, protection: Protection, now: float) -> bool:
        """What has changed, or all there is: revocations, and in processes that do not make them, keys. Says whether any is new."""
        keys_changed = self.keys.adopt(protection.keys, now)
        if protection.since == -1:
            before, self.revoked = self.revoked, Revoked(protection.revocations)
            return keys_changed or set(before.all()) != set(self.revoked.all())
        added = self.revoked.add(protection.revocations)
        self.revoked.forget(now, 2 * PAGE)  # more than came: what is over does not pile up
        return keys_changed or added
