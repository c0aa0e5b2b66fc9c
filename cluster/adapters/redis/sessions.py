"""Session records in Redis (row 3.1).

`{ns}:session:{id}` hash with TTL; `{ns}:user:{id}:sessions`, `{ns}:gateway:{id}:sessions`, `{ns}:actor:{name}:sessions` sets;
`{ns}:online` sorted by last activity; `{ns}:session-actors` sorted by load. `{ns}:ban:user:{id}` (bans.py) keeps a user out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Fenced, InvalidState, RateLimited, SessionGone, Unauthorized, Unavailable
from cluster.ports.sessions import Fence, Placed, SessionRecord

PLACE = Script(__file__, "session_place.lua")
REGISTER = Script(__file__, "session_register.lua")
WRITE = Script(__file__, "session_write.lua")
END = Script(__file__, "session_end.lua")
TOUCH = Script(__file__, "session_touch.lua")
ZONES = Script(__file__, "session_zones.lua")

TOO_MANY_RETRY_S = 30.0


def to_fields(record: SessionRecord) -> list[str | bytes]:
    """The hash's fields and values, flat. `seq` is not among them: the outbox's log keeps it (outbox_append.lua)."""
    return [
        "session_id", record.session_id, "user_id", record.user_id, "actor", record.actor, "state", record.state,
        "gateway_id", record.gateway_id, "attach_epoch", str(record.attach_epoch),
        "character_id", record.character_id, "character_name", record.character_name, "zone_id", record.zone_id,
        "status", record.status, "connected_at", repr(record.connected_at), "last_activity", repr(record.last_activity),
        "attributes", orjson.dumps(record.attributes), "subscriptions", orjson.dumps(record.subscriptions),
        "watching", orjson.dumps(record.watching),
        "stream", record.stream, "recovered_from", str(record.recovered_from),
        "role", record.role, "idle", str(int(record.idle)), "status_text", record.status_text,
        "status_metadata", orjson.dumps(record.status_metadata), "address", record.address,
        "edition", str(record.edition),
    ]  # fmt: skip


def milliseconds(ttl_s: float) -> int:
    """For PEXPIRE, which deletes a key at once when it is told 0."""
    return max(1, round(ttl_s * 1000))


def from_fields(fields: dict[bytes, bytes]) -> SessionRecord:
    def text(name: str, default: str = "") -> str:
        return fields.get(name.encode(), default.encode()).decode()

    def data(name: str, default: str) -> Any:
        return orjson.loads(fields.get(name.encode(), default.encode()))

    return SessionRecord(
        session_id=text("session_id"),
        user_id=text("user_id"),
        actor=text("actor"),
        state=text("state"),
        gateway_id=text("gateway_id"),
        attach_epoch=int(text("attach_epoch", "0")),
        character_id=text("character_id"),
        character_name=text("character_name"),
        zone_id=text("zone_id"),
        status=text("status", "online"),
        connected_at=float(text("connected_at", "0")),
        last_activity=float(text("last_activity", "0")),
        attributes=data("attributes", "{}"),
        subscriptions=tuple(data("subscriptions", "[]")),
        watching=tuple(data("watching", "[]")),
        stream=text("stream"),
        seq=int(text("seq", "0")),
        recovered_from=int(text("recovered_from", "0")),
        role=text("role", "player"),
        idle=text("idle", "0") == "1",
        status_text=text("status_text"),
        status_metadata=data("status_metadata", "{}"),
        address=text("address"),
        edition=int(text("edition", "0")),
    )


class RedisSessionStore:
    """Implements `cluster.ports.sessions.SessionStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace
        self._numbers = itertools.count(1)  # orders the writes of one actor's incarnation

    @guard()
    async def place(
        self,
        session_id: str,
        new_session_id: str,
        user_id: str,
        per_user: int,
        per_actor: int,
        ttl_s: float,
        now: float,
    ) -> Placed:
        args: list[str | int] = [
            self._ns,
            session_id,
            new_session_id,
            user_id,
            per_user,
            per_actor,
            milliseconds(ttl_s),
            repr(now),
        ]
        found, actor, created = await PLACE(self._client, [], args)
        if found == b"banned":
            raise Unauthorized("banned")
        if found == b"not_yours":
            raise Unauthorized("session_not_yours")
        if found == b"too_many":
            raise RateLimited("too_many_sessions", TOO_MANY_RETRY_S)
        return Placed(found.decode(), actor.decode(), created == b"1")

    @guard()
    async def room(self, per_actor: int) -> int:
        key = f"{self._ns}:session-actors"
        loads: list[tuple[bytes, float]] = await self._client.zrange(key, 0, -1, withscores=True)  # type: ignore[assignment]
        return sum(max(0, per_actor - int(load)) for _, load in loads)

    @guard()
    async def actors(self) -> dict[str, int]:
        loads: list[tuple[bytes, float]] = await self._client.zrange(  # type: ignore[assignment]
            f"{self._ns}:session-actors", 0, -1, withscores=True
        )
        return {name.decode(): int(load) for name, load in sorted(loads)}

    @guard()
    async def register_actor(self, fence: Fence) -> None:
        self._check(await REGISTER(self._client, [], [self._ns, fence.actor, fence.epoch]))

    @guard()
    async def write(self, record: SessionRecord, fence: Fence, from_states: Sequence[str], ttl_s: float) -> None:
        args: list[str | bytes | int | float] = [
            self._ns, fence.actor, fence.epoch, record.session_id, milliseconds(ttl_s), next(self._numbers), len(from_states),
            *from_states,
            *to_fields(record),
        ]  # fmt: skip
        self._check(await WRITE(self._client, [], args))

    @guard()
    async def end(self, session_id: str, fence: Fence) -> None:
        self._check(await END(self._client, [], [self._ns, fence.actor, fence.epoch, session_id]))

    @guard()
    async def touch(self, session_ids: Sequence[str], fence: Fence, ttl_s: float, now: float) -> set[str]:
        args: list[str | int] = [self._ns, fence.actor, fence.epoch, milliseconds(ttl_s), *session_ids]
        answer = await TOUCH(self._client, [], args)
        if isinstance(answer, bytes):
            self._check(answer)
        return {gone.decode() for gone in answer}

    @guard()
    async def get(self, session_id: str) -> SessionRecord | None:
        records = await self._many([session_id])
        return records[0] if records else None

    @guard()
    async def of_actor(self, actor: str) -> list[SessionRecord]:
        return await self._many(await self._client.smembers(f"{self._ns}:actor:{actor}:sessions"))

    @guard()
    async def of_user(self, user_id: str) -> list[SessionRecord]:
        return await self._many(await self._client.smembers(f"{self._ns}:user:{user_id}:sessions"))

    @guard()
    async def of_gateway(self, gateway_id: str) -> list[SessionRecord]:
        return await self._many(await self._client.smembers(f"{self._ns}:gateway:{gateway_id}:sessions"))

    @guard()
    async def online(self, limit: int) -> list[SessionRecord]:
        newest: list[bytes] = await self._client.zrevrange(f"{self._ns}:online", 0, limit - 1)  # type: ignore[assignment]
        ids = [name.decode() for name in newest]
        records = await self._many(ids)
        expired = set(ids) - {record.session_id for record in records}
        if expired:
            await self._client.zrem(f"{self._ns}:online", *expired)
        return records

    @guard()
    async def missing(self, session_ids: Sequence[str]) -> set[str]:
        async with self._client.pipeline(transaction=False) as pipe:
            for session_id in session_ids:
                pipe.exists(f"{self._ns}:session:{session_id}")
            there = await pipe.execute()
        return {session_id for session_id, found in zip(session_ids, there, strict=True) if not found}

    @guard()
    async def zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        found = await ZONES(self._client, [], [self._ns, *session_ids])
        return {
            session_id: zone.decode() for session_id, zone in zip(session_ids, found, strict=True) if zone is not None
        }

    async def _many(self, ids: Iterable[bytes | str]) -> list[SessionRecord]:
        """The records that still exist; the order of `ids`."""
        async with self._client.pipeline(transaction=False) as pipe:
            for session_id in ids:
                name = session_id.decode() if isinstance(session_id, bytes) else session_id
                pipe.hgetall(f"{self._ns}:session:{name}")
            return [from_fields(fields) for fields in await pipe.execute() if fields]

    @staticmethod
    def _check(answer: bytes) -> None:
        if answer == b"fenced":
            raise Fenced("a newer session actor holds this session")
        if answer == b"gone":
            raise SessionGone("session_expired")
        if answer == b"late":
            raise Unavailable("redis")
        if answer.startswith(b"state:"):
            raise InvalidState("illegal_transition", answer[6:].decode())
