"""Connections to Redis or Valkey (row 5.1): a bounded pool, outages as Unavailable, Lua from files."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.exceptions as refusals
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.maint_notifications import MaintNotificationsConfig

from cluster.errors import Unavailable
from cluster.settings import RedisSettings
from cluster.telemetry.counts import DEPENDENCY_ERRORS

DEADLINE_S = 5.0
RETRIES = 2
BACKOFF_BASE_S = 0.02
BACKOFF_CAP_S = 0.25
# A server that is away, is loading its data, has no memory left, or has just become a replica, one without its primary.
OUTAGES = (
    refusals.ConnectionError,  # LOADING is one, too
    refusals.TimeoutError,
    refusals.OutOfMemoryError,
    refusals.ReadOnlyError,
    refusals.MasterDownError,
    TimeoutError,
)
# It cannot write its data to disk, lacks replicas to write to, or runs a script that does not end: for redis-py these are errors
# like any other. A pipeline says before them which of its commands it was.
REFUSED_FOR_NOW = re.compile(r"(?:^|of pipeline caused error: \(['\"])(?:MISCONF|NOREPLICAS|BUSY) ")


class _Cancellable:
    """Whoever is cancelled while it sends a command is cancelled.

    redis-py sends by asyncio.wait_for. Up to Python 3.11 that swallows a cancellation that comes when the command has just been
    sent (github.com/python/cpython/issues/86296), and the task goes on as if nobody had asked it to end.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        await super().send_packed_command(command, check_health)  # type: ignore[misc]
        if task is not None and task.cancelling() > before:
            # Nobody will read the answer, and the next command must not take it for its own.
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise asyncio.CancelledError


class _CancellableConnection(_Cancellable, Connection):
    pass


class _CancellableTls(_Cancellable, SSLConnection):
    pass


def connect(settings: RedisSettings, client_name: str) -> Redis:
    """A client with a pool of at most `max_connections`, opened as they are needed; `aclose()` ends them all.

    Replies are bytes (RESP3). A command whose connection breaks or is silent is sent again, with backoff, and
    may have run before: scripts must bear that. `client_name` (no spaces) shows in the server's CLIENT LIST.
    """
    pool = BlockingConnectionPool.from_url(
        settings.url.get_secret_value(),
        max_connections=settings.max_connections,
        timeout=settings.timeout_s,
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        socket_keepalive=True,
        health_check_interval=settings.health_check_s,
        retry=Retry(FullJitterBackoff(cap=BACKOFF_CAP_S, base=BACKOFF_BASE_S), RETRIES),
        protocol=3,
        decode_responses=False,
        client_name=client_name,
        # Notices of one cloud's servers; asking others for them is an error in their logs.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    pool.connection_class = (
        _CancellableTls if issubclass(pool.connection_class, SSLConnection) else _CancellableConnection
    )
    return Redis.from_pool(pool)


@asynccontextmanager
async def guard(deadline_s: float = DEADLINE_S) -> AsyncIterator[None]:
    """`async with guard():` or `@guard()`: raises Unavailable("redis") for an outage, and after `deadline_s`.

    The deadline covers everything inside: waiting for the pool, connecting, and the retries of each.
    """
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except OUTAGES as error:
        DEPENDENCY_ERRORS.add("redis")
        raise Unavailable("redis") from error
    except refusals.ResponseError as error:
        if not REFUSED_FOR_NOW.search(str(error)):
            raise
        DEPENDENCY_ERRORS.add("redis")
        raise Unavailable("redis") from error


def text(reply: bytes | str) -> str:
    """A reply as text: UTF-8."""
    return reply.decode() if isinstance(reply, bytes) else reply


def texts(reply: Mapping[bytes | str, bytes | str]) -> dict[str, str]:
    """A hash as text."""
    return {text(field): text(value) for field, value in reply.items()}


class Script:
    """A Lua script from a file beside the module: `Script(__file__, "session_write.lua")`."""

    def __init__(self, module_file: str, name: str) -> None:
        self.source = Path(module_file).with_name(name).read_text(encoding="utf-8")
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, client: Redis, keys: Sequence[str], args: Sequence[str | bytes | int | float] = ()) -> Any:
        """Run it atomically and return its reply. The source is sent only if the server does not know it."""
        try:
            return await client.evalsha(self.sha, len(keys), *keys, *args)
        except refusals.NoScriptError:
            return await client.eval(self.source, len(keys), *keys, *args)

    async def load(self, client: Redis) -> None:
        """Make it known, for pipelines of `evalsha(script.sha, ...)`. A restarted server has forgotten it."""
        await client.script_load(self.source)
