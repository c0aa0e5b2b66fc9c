"""Locks of accounts in Redis. Names and addresses are digests; times are of the server's clock; all of it expires.

`{ns}:lockout:{name}` and `{ns}:lockout:{name}:{address}` count failures: hashes {failures, since (microseconds)}.
`{ns}:lockout-known:{name}` is a sorted set of known addresses by their last success (microseconds).
"""

from __future__ import annotations

import hashlib
import math

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.ports.lockouts import KNOWN_ADDRESSES, KNOWN_S, LockRule

_GUESS = Script(__file__, "lockout_guess.lua")
_RIGHT = Script(__file__, "lockout_right.lua")
_UNJUDGED = Script(__file__, "lockout_unjudged.lua")
_DIGEST_BYTES = 16
_KNOWN_US = round(KNOWN_S * 1e6)


class RedisLockouts:
    """Implements `cluster.ports.lockouts.Lockouts`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def guess(self, name: str, address: str, rule: LockRule) -> float:
        keys, whence = self._keys(name, address)
        return float(await _GUESS(self._client, keys, [whence, *_arguments(rule)])) / 1e6

    @guard()
    async def right(self, name: str, address: str) -> None:
        keys, whence = self._keys(name, address)
        await _RIGHT(self._client, keys, [whence, KNOWN_ADDRESSES, _KNOWN_US])

    @guard()
    async def unjudged(self, name: str, address: str, rule: LockRule) -> None:
        keys, whence = self._keys(name, address)
        await _UNJUDGED(self._client, keys, [whence, *_arguments(rule)])

    @guard()
    async def forget(self, name: str) -> None:
        known, strangers, _ = self._keys(name, "")[0]
        await self._client.delete(known, strangers)

    def _keys(self, name: str, address: str) -> tuple[list[str], str]:
        """The scripts' keys, and the address as they know it: of each name another, so that lists cannot be joined."""
        who = _digest(name)
        whence = _digest(f"{who}/{address}")
        count = f"{self._ns}:lockout:{who}"
        return [f"{self._ns}:lockout-known:{who}", count, f"{count}:{whence}"], whence


def _arguments(rule: LockRule) -> list[int]:
    return [rule.failures, math.ceil(rule.lock_s * 1e6), math.ceil(rule.max_lock_s * 1e6), _KNOWN_US]


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
