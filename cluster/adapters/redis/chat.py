"""What chat keeps beside its messages, in Redis (rows 2.3 and 3.3). Channels and topics are in hex in the keys.

`{ns}:chat-channel:{channel}` hash of owner, private, slow_s, created_at; it ends when nobody spoke for long.
`{ns}:chat-invited:{channel}` set of users, ending with it; `{ns}:user:{id}:channels` set of the channels that a user made, ending
with the last of them.
`{ns}:chat-gate:{channel}:{user}` hash of tokens, and when the user last spoke; `{ns}:chat-opened:{user}` the same for topics that
nobody had spoken in (`{ns}:topic:{topic}:newest`, see topics.py). `{ns}:chat-mute:{channel}:{user}` while it lasts.
`{ns}:chat-said:{key}` the id that a message passed the gate with. `{ns}:topic-key:{key}` is the topic log's (topics.py).
`{ns}:chat-deleted:{topic}` message ids by when they were deleted.
`{ns}:chat-members:{channel}` hash of session -> user and name.
`{ns}:chat-inbox:{user}` message ids by when they end, `{ns}:chat-unread:{user}` hash of id -> params.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.adapters.redis.sessions import milliseconds
from cluster.errors import Conflict, InvalidState, NotFound, RateLimited
from cluster.ports.chat import Channel, Gate, Passed, Presence, Waiting

CREATE = Script(__file__, "chat_create.lua")
CHANGE = Script(__file__, "chat_change.lua")
INVITE = Script(__file__, "chat_invite.lua")
GATE = Script(__file__, "chat_gate.lua")
DELETE = Script(__file__, "chat_delete.lua")
JOIN = Script(__file__, "chat_join.lua")
MEMBERS = Script(__file__, "chat_members.lua")
KEEP = Script(__file__, "chat_keep.lua")
UNREAD = Script(__file__, "chat_unread.lua")
READ = Script(__file__, "chat_read.lua")

KEY_TTL_S = 600.0
MEMBERS_TTL_S = 30 * 86_400.0  # after the last one joined: no session is that old
STATES = frozenset({"muted", "not_invited"})


class RedisChatStore:
    """Implements `cluster.ports.chat.ChatStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def channel(self, name: str) -> Channel | None:
        fields = ("owner", "private", "slow_s", "created_at")
        found: list[Any] = await self._client.hmget(f"{self._ns}:chat-channel:{_hex(name)}", fields)
        return _channel(name, found) if found[0] is not None else None

    @guard()
    async def create(self, channel: Channel, most_of_owner: int, keep_s: float) -> None:
        args: list[str | int] = [
            self._ns, _hex(channel.name), channel.owner, _flag(channel.private), repr(float(channel.slow_s)),
            repr(float(channel.created_at)), most_of_owner, milliseconds(keep_s),
        ]  # fmt: skip
        outcome = await CREATE(self._client, [], args)
        if outcome == b"taken":
            raise Conflict("channel_taken")
        if outcome == b"too_many":
            raise Conflict("too_many_channels")

    @guard()
    async def change(self, name: str, private: bool | None, slow_s: float | None, most_invited: int) -> Channel:
        changes = ["" if private is None else _flag(private), "" if slow_s is None else repr(float(slow_s))]
        found = await CHANGE(self._client, [], [self._ns, _hex(name), *changes, most_invited])
        if not found:
            raise NotFound("no_such_channel")
        if found == [b"too_many"]:
            raise Conflict("too_many_invited")
        return _channel(name, found)

    @guard()
    async def invite(self, name: str, user_id: str, most: int) -> None:
        outcome = await INVITE(self._client, [], [self._ns, _hex(name), user_id, most])
        if outcome == b"no_such_channel":
            raise NotFound("no_such_channel")
        if outcome == b"too_many":
            raise Conflict("too_many_invited")

    @guard()
    async def invited(self, name: str, user_id: str) -> bool:
        return bool(await self._client.sismember(f"{self._ns}:chat-invited:{_hex(name)}", user_id))

    # --- who may speak -----------------------------------------------------------------------------------------

    @guard()
    async def pass_gate(self, channel: str, user_id: str, gate: Gate, key: str, message_id: str) -> Passed:
        args: list[str | int] = [
            self._ns, _hex(channel), user_id, repr(float(gate.rate_per_s)), gate.burst, _flag(gate.moderator),
            key, message_id, milliseconds(KEY_TTL_S), milliseconds(gate.keep_s), _hex(gate.topic), gate.new_per_minute,
        ]  # fmt: skip
        outcome, said = (part.decode() for part in await GATE(self._client, [], args))
        if outcome in STATES:
            raise InvalidState(outcome, outcome)
        if outcome not in ("done", "passed"):
            raise RateLimited(outcome, float(said))
        return Passed(said, outcome == "done")

    @guard()
    async def mute(self, channel: str, user_id: str, until: float) -> None:
        # PXAT with a time that is past deletes the key.
        key = f"{self._ns}:chat-mute:{_hex(channel)}:{user_id}"
        await self._client.set(key, 1, pxat=max(1, round(until * 1000)))

    @guard()
    async def delete(self, topic: str, message_id: str, most: int, keep_s: float) -> bool:
        return bool(await DELETE(self._client, [], [self._ns, _hex(topic), message_id, most, milliseconds(keep_s)]))

    @guard()
    async def deleted(self, topic: str, message_ids: Sequence[str]) -> set[str]:
        if not message_ids:
            return set()
        found = await self._client.zmscore(f"{self._ns}:chat-deleted:{_hex(topic)}", list(message_ids))
        return {message_id for message_id, at in zip(message_ids, found, strict=True) if at is not None}

    # --- who listens -------------------------------------------------------------------------------------------

    @guard()
    async def joined(self, channel: str, who: Presence) -> None:
        args: list[str | int] = [
            self._ns, _hex(channel), who.session_id, who.user_id, who.name, milliseconds(MEMBERS_TTL_S)
        ]  # fmt: skip
        await JOIN(self._client, [], args)

    @guard()
    async def left(self, channel: str, session_id: str) -> None:
        await self._client.hdel(f"{self._ns}:chat-members:{_hex(channel)}", session_id)

    @guard()
    async def members(self, channel: str, cursor: int, limit: int) -> tuple[list[Presence], int]:
        cursor_after, *found = await MEMBERS(self._client, [], [self._ns, _hex(channel), cursor, limit])
        told = zip(found[::2], found[1::2], strict=True)
        who = [(session_id.decode(), *value.decode().split(" ", 1)) for session_id, value in told]
        return [Presence(*each) for each in who], int(cursor_after)

    # --- direct messages ---------------------------------------------------------------------------------------

    @guard()
    async def keep(self, user_id: str, waiting: Waiting, most: int, keep_s: float) -> None:
        args: list[str | bytes | int] = [
            self._ns, user_id, waiting.message_id, waiting.params_json, most, milliseconds(keep_s)
        ]  # fmt: skip
        await KEEP(self._client, [], args)

    @guard()
    async def unread(self, user_id: str, limit: int, after: int = 0) -> tuple[list[Waiting], int]:
        place, *found = await UNREAD(self._client, [], [self._ns, user_id, limit, after])
        told = zip(found[::2], found[1::2], strict=True)
        return [Waiting(message_id.decode(), params) for message_id, params in told], int(place)

    @guard()
    async def read(self, user_id: str, message_ids: Sequence[str]) -> int:
        return int(await READ(self._client, [], [self._ns, user_id, *message_ids]))


def _hex(name: str) -> str:
    return name.encode().hex()


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _channel(name: str, fields: Sequence[bytes]) -> Channel:
    owner, private, slow_s, created_at = (field.decode() for field in fields)
    return Channel(name, owner, private == "1", float(slow_s), float(created_at))
