"""Refresh tokens in this process's memory: for tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cluster.errors import Unauthorized
from cluster.ports.accounts import REPEAT_S, Rotated, TokenReused


@dataclass(frozen=True, slots=True)
class _Family:
    user_id: str
    current: str
    started_at: float
    rotated_at: float = 0.0


class MemoryRefreshTokens:
    """RefreshStore."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._ended: dict[str, float] = {}

    async def start(self, family_id: str, user_id: str, token_hash: str, now: float, ttl_s: float) -> None:
        self._families[family_id] = _Family(user_id, token_hash, now)
        self._tokens[token_hash] = (family_id, now + ttl_s)

    async def rotate(self, token_hash: str, successor_hash: str, now: float, ttl_s: float) -> Rotated:
        family_id, expires_at = self._tokens.get(token_hash, ("", 0.0))
        family = self._families.get(family_id)
        if family is None or now >= expires_at:
            raise Unauthorized("token_invalid")
        if family.started_at < self._ended.get(family.user_id, 0.0):
            del self._families[family_id]
            raise Unauthorized("token_revoked")
        if family.current == successor_hash and now - family.rotated_at <= REPEAT_S:
            return Rotated(family.user_id, family_id, family.started_at)
        if family.current != token_hash:
            del self._families[family_id]
            raise TokenReused(family.user_id, family_id)
        self._families[family_id] = replace(family, current=successor_hash, rotated_at=now)
        self._tokens[successor_hash] = (family_id, now + ttl_s)
        return Rotated(family.user_id, family_id, family.started_at)

    async def revoke(self, token_hash: str) -> None:
        family_id, _ = self._tokens.get(token_hash, ("", 0.0))
        self._families.pop(family_id, None)

    async def login_of(self, token_hash: str) -> Rotated | None:
        family_id, _ = self._tokens.get(token_hash, ("", 0.0))
        family = self._families.get(family_id)
        return None if family is None else Rotated(family.user_id, family_id, family.started_at)

    async def end_user(self, user_id: str, before: float, keep_s: float) -> None:
        self._ended[user_id] = max(before, self._ended.get(user_id, 0.0))
