"""Friends, blocks and profiles in Redis (rows 3.2 and 3.3).

`{ns}:user:{id}:friends`, `:incoming`, `:outgoing`, `:blocked`, `:blocked-by`: sets of user ids sorted by the time since when.
`{ns}:user:{id}:names`: a hash of what the user called those in its `outgoing` and `blocked`, without those that it named by id.
`{ns}:user:{id}:profile`: a hash. `{ns}:social-call:{call}`: the answer of a call, for as long as it may be repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import cast

import orjson
from redis.asyncio import Redis

from cluster.adapters.redis.connection import DEADLINE_S, Script, guard, texts
from cluster.adapters.redis.sessions import milliseconds
from cluster.errors import Conflict, InvalidState, NotFound
from cluster.ports.social import Asked, Audience, Limits, Link, Profile, Relations, Ties, check_choices, check_others

STEP = Script(__file__, "social_step.lua")
SEEN = Script(__file__, "social_seen.lua")

CALL_TTL_S = 4 * DEADLINE_S
_ANY = Limits(0, 0, 0, 0)  # for steps that look at none


class RedisSocialStore:
    """Implements `cluster.ports.social.SocialStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    async def request(self, user_id: str, other_id: str, limits: Limits, now: float, name: str = "") -> Asked:
        check_others(user_id, other_id)
        return cast(Asked, await self._step("request", user_id, other_id, limits, now, name))

    async def accept(self, user_id: str, other_id: str, limits: Limits, now: float) -> bool:
        return await self._step("accept", user_id, other_id, limits, now) == "friends"

    async def decline(self, user_id: str, other_id: str) -> bool:
        return await self._step("decline", user_id, other_id) == "changed"

    async def cancel(self, user_id: str, other_id: str) -> bool:
        return await self._step("cancel", user_id, other_id) == "changed"

    async def remove(self, user_id: str, other_id: str) -> bool:
        return await self._step("remove", user_id, other_id) == "changed"

    async def block(self, user_id: str, other_id: str, limits: Limits, now: float, name: str = "") -> bool:
        check_others(user_id, other_id)
        return await self._step("block", user_id, other_id, limits, now, name) == "changed"

    async def unblock(self, user_id: str, other_id: str) -> bool:
        return await self._step("unblock", user_id, other_id) == "changed"

    @guard()
    async def relations(self, user_id: str) -> Relations:
        async with self._client.pipeline(transaction=True) as pipe:
            for name in ("friends", "incoming", "outgoing", "blocked"):
                pipe.zrange(self._key(user_id, name), 0, -1, withscores=True)
            pipe.zrange(self._key(user_id, "blocked-by"), 0, -1)
            pipe.hgetall(self._key(user_id, "names"))
            friends, incoming, outgoing, blocked, blocked_by, stored = await pipe.execute()
        names = texts(stored)
        return Relations(
            _links(friends), _links(incoming), _links(outgoing, names), _links(blocked, names), _ids(blocked_by)
        )

    @guard()
    async def ties(self, user_ids: Sequence[str]) -> dict[str, Ties]:
        if not user_ids:
            return {}
        async with self._client.pipeline(transaction=True) as pipe:
            for user_id in user_ids:
                for name in ("friends", "blocked", "blocked-by"):
                    pipe.zrange(self._key(user_id, name), 0, -1)
            found = [_ids(members) for members in await pipe.execute()]
        return {
            user_id: Ties(friends, blocked, blocked_by)
            for user_id, friends, blocked, blocked_by in zip(
                user_ids, found[::3], found[1::3], found[2::3], strict=True
            )
        }

    @guard()
    async def profiles(self, user_ids: Sequence[str]) -> dict[str, Profile]:
        if not user_ids:
            return {}
        async with self._client.pipeline(transaction=False) as pipe:
            for user_id in user_ids:
                pipe.hgetall(self._key(user_id, "profile"))
            found = await pipe.execute()
        return {user_id: _profile(fields) for user_id, fields in zip(user_ids, found, strict=True)}

    @guard()
    async def choose(self, user_id: str, changes: Mapping[str, object]) -> Profile:
        check_choices(changes)
        key = self._key(user_id, "profile")
        async with self._client.pipeline(transaction=True) as pipe:
            if changes:
                pipe.hset(key, mapping={name: _stored(value) for name, value in changes.items()})
            pipe.hgetall(key)
            return _profile((await pipe.execute())[-1])

    @guard()
    async def seen(self, user_id: str, now: float, name: str) -> None:
        await SEEN(self._client, [self._key(user_id, "profile")], [repr(float(now)), name])

    @guard()
    async def _step(
        self, step: str, user_id: str, other_id: str, limits: Limits = _ANY, now: float = 0.0, name: str = ""
    ) -> str:
        args: list[str | bytes | int | float] = [
            self._ns, secrets.token_hex(8), milliseconds(CALL_TTL_S), step, user_id, other_id, repr(float(now)),
            limits.friends, limits.outgoing, limits.incoming, limits.blocked, name,
        ]  # fmt: skip
        answer: str = (await STEP(self._client, [], args)).decode()
        match answer:
            case "blocked":
                raise InvalidState("blocked", "blocked")
            case "no_such_request":
                raise NotFound("no_such_request")
            case "too_many_friends" | "too_many_requests" | "too_many_blocked":
                raise Conflict(answer)
        return answer

    def _key(self, user_id: str, name: str) -> str:
        return f"{self._ns}:user:{user_id}:{name}"


def _ids(members: Sequence[bytes]) -> frozenset[str]:
    return frozenset(member.decode() for member in members)


def _links(members: Sequence[tuple[bytes, float]], names: Mapping[str, str] | None = None) -> tuple[Link, ...]:
    names = names or {}
    return tuple(Link(user_id := member.decode(), at, names.get(user_id, "")) for member, at in members)


def _stored(value: object) -> str | bytes:
    return value if isinstance(value, str) else orjson.dumps(value)


def _profile(fields: Mapping[bytes | str, bytes | str]) -> Profile:
    stored, default = texts(fields), Profile()
    return Profile(
        status=stored.get("status", default.status),
        text=stored.get("text", default.text),
        metadata=orjson.loads(stored.get("metadata", "{}")),
        show_zone=cast(Audience, stored.get("show_zone", default.show_zone)),
        show_character=cast(Audience, stored.get("show_character", default.show_character)),
        last_online=float(stored.get("last_online", default.last_online)),
        name=stored.get("name", default.name),
    )
