"""All that a realm keeps in Redis, key by key, out of one server and into another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast, get_args
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from cluster.adapters.redis.connection import client_name, connect, guard, text
from cluster.backup.archive import Entry, Kind
from cluster.errors import Conflict, Ours, StartRefused
from cluster.settings import RedisSettings

PAGE = 500
PARTS_AT_ONCE = 2_000
TIMEOUT_S = 30.0  # large values
SYNC_DEADLINE_S = 300.0
PAUSE_S = 0.05


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(url), timeout_s=TIMEOUT_S), "rayrealm-transfer")
    try:
        yield client
    finally:
        await client.aclose()


async def dump(client: Redis, namespace: str) -> AsyncIterator[Entry]:
    """Every key of the namespace; each as it is at the moment when it is read. Raises Unavailable."""
    async for keys in _pages(client, namespace):
        for entry in await _page(client, keys):
            yield entry


async def _pages(client: Redis, namespace: str) -> AsyncIterator[list[bytes]]:
    """The keys of the namespace, some at a time."""
    cursor: Any = 0
    found: Any
    while True:
        async with guard():
            cursor, found = await client.scan(cursor, match=f"{namespace}:*", count=PAGE)
        yield found
        if not int(cursor):
            return


async def _page(client: Redis, keys: list[bytes]) -> list[Entry]:
    if not keys:
        return []
    async with guard():
        pipe: Any = client.pipeline(transaction=False)
        for key in keys:
            pipe.type(key).pttl(key)
        facts = await pipe.execute()
    found = []
    for key, kind, ttl in zip(keys, facts[::2], facts[1::2], strict=True):
        name: Any = text(kind)
        if name == "none":  # it has expired meanwhile
            continue
        if name not in get_args(Kind):
            raise Ours(f"{key!r} is a {name}, which no realm makes: is this Redis the realm's own?")
        found.append(Entry(key, name, int(ttl), await _value(client, key, name)))
    return found


@guard()
async def _value(client: Redis, key: bytes, kind: Kind) -> list[bytes]:
    answer: Any
    if kind == "string":
        answer = await client.get(key)
        return [answer]
    if kind == "hash":
        answer = await client.hgetall(key)
        return [part for pair in sorted(answer.items()) for part in pair]
    if kind == "list":
        answer = await client.lrange(key, 0, -1)
        return list(answer)
    if kind == "set":
        answer = await client.smembers(key)
        return sorted(answer)
    if kind == "zset":
        answer = await client.zrange(key, 0, -1, withscores=True)
        return [part for member, score in answer for part in (member, repr(float(score)).encode())]
    answer = await client.xrange(key)
    info = await client.xinfo_stream(key)
    value: list[bytes] = [info["last-generated-id"]]
    for entry_id, fields in answer:
        value += [entry_id, str(2 * len(fields)).encode(), *(part for pair in fields.items() for part in pair)]
    return value


async def is_empty(client: Redis, namespace: str) -> bool:
    """Raises Unavailable."""
    async for keys in _pages(client, namespace):
        if keys:
            return False
    return True


async def users(client: Redis, namespace: str) -> list[str]:
    """The names of the realm's processes that are connected to the server now, from any machine.

    Raises StartRefused if the server does not tell, Unavailable.
    """
    async with guard():
        try:
            clients: Any = await client.client_list()
        except ResponseError as error:
            raise StartRefused(f"the server does not tell who is connected ({error})") from error
    prefix = client_name(namespace, "")
    names = {str(each.get("name", "")) for each in clients}
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))


async def clear(client: Redis, namespace: str) -> None:
    """Forget everything of the namespace. Raises Unavailable."""
    async for keys in _pages(client, namespace):
        if keys:
            async with guard():
                await client.unlink(*keys)


async def load(client: Redis, namespace: str, entries: Iterable[Entry]) -> int:
    """Into a server that has none of them; how many there were. Raises Conflict if it has some, StartRefused, Unavailable."""
    if not await is_empty(client, namespace):
        raise Conflict("not_empty", {"namespace": namespace})
    count = 0
    for entry in entries:
        if not entry.key.startswith(f"{namespace}:".encode()):
            raise StartRefused(f"the backup has a key of another realm: {entry.key!r}")
        if entry.key.startswith(f"{namespace}:operator-session".encode()):
            continue  # some may have been ended since; operators log in again
        await _put(client, entry)
        count += 1
    return count


@guard()
async def _put(client: Redis, entry: Entry) -> None:
    pipe: Any = client.pipeline(transaction=True)
    key, value = entry.key, entry.value
    if entry.kind == "string":
        pipe.set(key, value[0])
    elif entry.kind == "stream":
        _put_stream(pipe, key, value)
    else:
        for parts in _slices(value, PARTS_AT_ONCE):  # an even number, so that pairs stay together
            if entry.kind == "hash":
                pipe.execute_command("HSET", key, *parts)
            elif entry.kind == "list":
                pipe.rpush(key, *parts)
            elif entry.kind == "set":
                pipe.sadd(key, *parts)
            else:
                swapped = [part for member, score in _slices(parts, 2) for part in (score, member)]
                pipe.execute_command("ZADD", key, *swapped)
    if entry.ttl_ms >= 0:
        pipe.pexpire(key, max(1, entry.ttl_ms))
    await pipe.execute()


def _slices(parts: list[bytes], length: int) -> Iterator[list[bytes]]:
    return (parts[at : at + length] for at in range(0, len(parts), length))


def _put_stream(pipe: Any, key: bytes, value: list[bytes]) -> None:
    at = 1
    while at < len(value):
        entry_id, parts = value[at], int(value[at + 1])
        pipe.execute_command("XADD", key, entry_id, *value[at + 2 : at + 2 + parts])
        at += 2 + parts
    if at == 1:  # all of it was trimmed: it goes on from its last number
        pipe.execute_command("XADD", key, value[0], "-", "-")
        pipe.xtrim(key, maxlen=0, approximate=False)
    pipe.execute_command("XSETID", key, value[0])


async def follow(replica: Redis, source: Redis, url: str) -> None:
    """Make `replica` (a server of our own, with nothing in it) what `source` at `url` is now, and let it go: all is of one moment.

    Raises StartRefused if the source does not let itself be followed, Unavailable.
    """
    where, server = urlsplit(url), cast(Any, replica)
    if where.scheme != "redis" or not where.hostname or where.path.strip("/") not in ("", "0"):
        raise StartRefused("only a server without TLS and its database 0 can be followed: use --live")
    async with guard():
        info: Any = await source.info("replication")
        if info.get("role") == "slave":
            raise StartRefused("that server is a replica itself: back up its primary, or use --live")
        if where.username:
            await replica.config_set("masteruser", unquote(where.username))
        if where.password:
            await replica.config_set("masterauth", unquote(where.password))
        await server.execute_command("REPLICAOF", where.hostname, where.port or 6379)
    try:
        await _synchronised(replica, source)
    finally:
        async with guard():
            await server.execute_command("REPLICAOF", "NO", "ONE")


async def _synchronised(replica: Redis, source: Redis) -> None:
    until = time.monotonic() + SYNC_DEADLINE_S
    wanted = -1
    while True:
        async with guard():
            try:
                said: Any = await replica.info("replication")
            except ResponseError as error:
                raise StartRefused(f"the server does not let itself be followed ({error}): use --live") from error
            if said.get("master_link_status") == "up":
                if wanted < 0:
                    there: Any = await source.info("replication")
                    wanted = int(there["master_repl_offset"])
                if int(said["slave_repl_offset"]) >= wanted:
                    return
        if time.monotonic() > until:
            raise StartRefused(f"the server could not be followed within {SYNC_DEADLINE_S:.0f} s: use --live")
        await asyncio.sleep(PAUSE_S)
