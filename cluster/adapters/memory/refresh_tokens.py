"""Refresh tokens in this process's memory: for tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cluster.errors import Unauthorized
from cluster.ports.accounts import TokenReused


@dataclass(frozen=True, slots=True)
class _Family:
    user_id: str
    current: str


class MemoryRefreshTokens:
    """RefreshStore."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._tokens: dict[str, tuple[str, float]] = {}

    async def start(self, family_id: str, user_id: str, token_hash: str, now: float, ttl_s: float) -> None:
        self._families[family_id] = _Family(user_id, token_hash)
        self._tokens[token_hash] = (family_id, now + ttl_s)

    async def rotate(self, token_hash: str, successor_hash: str, now: float, ttl_s: float) -> str:
        family_id, expires_at = self._tokens.get(token_hash, ("", 0.0))
        family = self._families.get(family_id)
        if family is None or now >= expires_at:
            raise Unauthorized("token_invalid")
        if family.current == successor_hash:
            return family.user_id
        if family.current != token_hash:
            del self._families[family_id]
            raise TokenReused(family.user_id)
        self._families[family_id] = replace(family, current=successor_hash)
        self._tokens[successor_hash] = (family_id, now + ttl_s)
        return family.user_id

    async def revoke(self, token_hash: str) -> None:
        family_id, _ = self._tokens.get(token_hash, ("", 0.0))
        self._families.pop(family_id, None)
