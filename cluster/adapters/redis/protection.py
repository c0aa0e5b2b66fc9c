"""Protection in Redis: hashes `{ns}:protection` (version, floor, keys, sealed, maintenance, and `maintained`: when that was
ordered), `:bans` and `:revocations`; sorted sets of when entries of these end (`:ban-ends`, `:revocation-ends:{kind}`, `:lifted`),
and of their versions (`:changes`, "b:" and a network, "r:" and whom). Times are of the server's clock.

A look reads what has a newer version than it knows, in pages. A lifted ban keeps its place in `:changes` for LIFTED_S; `floor` is
the newest version that was forgotten.
"""

from __future__ import annotations

from typing import Any

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import InvalidInput
from cluster.ports.protection import (
    KINDS,
    LIFTED_S,
    MAX_BANS,
    MAX_REVOCATIONS,
    PAGE,
    Maintenance,
    NetworkBan,
    Protection,
    Revocation,
    canonical,
    whole,
)

LOAD = Script(__file__, "protection_load.lua")
STEP = Script(__file__, "protection_step.lua")


class RedisProtection:
    """Implements `cluster.ports.protection.ProtectionStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._state = f"{namespace}:protection"

    async def load(self, known: int) -> Protection | None:
        return await whole(self, known)

    @guard()
    async def changes(self, known: int, cursor: int = -1) -> Protection | None:
        keys = [self._state, *(f"{self._state}:{part}" for part in ("changes", "bans", "revocations"))]
        reply = await LOAD(self._client, keys, [known, cursor, PAGE])
        if reply is None:
            return None
        version, since, more, signed, flat, closed = reply
        bans, lifted, revocations = list[NetworkBan](), list[str](), list[Revocation]()
        for i in range(0, len(flat), 2):
            kind, _, whom = flat[i].decode().partition(":")
            value = flat[i + 1]
            if kind == "b":
                if value:
                    bans.append(_ban(whom, value))
                else:
                    lifted.append(whom)
            elif value:
                revocations.append(_revocation(whom, value))
        return Protection(
            int(version),
            tuple(bans),
            tuple(revocations),
            signed.decode(),
            tuple(lifted),
            int(since),
            bool(more),
            _maintenance(closed),
        )

    @guard()
    async def ban(
        self, network: str, for_s: float | None, reason: str, by: str, *, extend_only: bool = False
    ) -> NetworkBan:
        network = canonical(network)
        details = orjson.dumps([reason, by])
        seconds = "" if for_s is None else repr(float(for_s))
        holds = await self._step("ban", network, seconds, details, MAX_BANS, int(extend_only))
        if holds is None:
            raise InvalidInput([("network", f"{MAX_BANS} are banned already")])
        return _ban(network, holds)

    @guard()
    async def lift(self, network: str) -> bool:
        return bool(await self._step("lift", canonical(network), LIFTED_S))

    @guard()
    async def revoke(self, revocation: Revocation) -> None:
        before, until = repr(float(revocation.before)), repr(float(revocation.until))
        made = await self._step("revoke", revocation.kind, revocation.subject, before, until, MAX_REVOCATIONS)
        if made is None:
            raise InvalidInput([("subject", f"{MAX_REVOCATIONS} revocations of this kind have not expired")])

    @guard()
    async def maintain(self, maintenance: Maintenance | None, ordered_at: float) -> bool:
        closed = "" if maintenance is None else orjson.dumps(maintenance)
        return bool(await self._step("maintain", closed, repr(float(ordered_at))))

    @guard()
    async def keep_keys(self, public: str, sealed: str) -> None:
        await self._step("keys", public, sealed)

    @guard()
    async def sealed_keys(self) -> str:
        sealed = await self._client.hget(self._state, "sealed")
        return sealed.decode() if isinstance(sealed, bytes) else ""

    async def _step(self, what: str, *args: str | bytes | float) -> Any:
        parts = ("changes", "bans", "ban-ends", "lifted", "revocations", *(f"revocation-ends:{kind}" for kind in KINDS))
        return await STEP(self._client, [self._state, *(f"{self._state}:{part}" for part in parts)], [what, *args])


def _ban(network: str, value: bytes) -> NetworkBan:
    ends, _, details = value.partition(b"\n")
    reason, by = orjson.loads(details)
    return NetworkBan(network, float(ends) if ends else None, reason, by)


def _maintenance(value: bytes) -> Maintenance | None:
    if not value:
        return None
    said = orjson.loads(value)
    return Maintenance(**{**said, "allow": tuple(said["allow"])})


def _revocation(whom: str, value: bytes) -> Revocation:
    kind, _, subject = whom.partition(":")
    before, until = value.split(b" ")
    return Revocation(kind, subject, float(before), float(until))  # type: ignore[arg-type] # as `revoke` wrote it
