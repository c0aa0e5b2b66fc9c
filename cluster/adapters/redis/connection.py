"""Connections to Redis or Valkey (row 5.1): a bounded pool, outages as Unavailable, Lua from files."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import redis.exceptions as refusals
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.maint_notifications import MaintNotificationsConfig

from cluster.breaker import Breaker
from cluster.errors import Unavailable
from cluster.operator_settings import BreakerSettings
from cluster.settings import RedisSettings
from cluster.telemetry import tracing
from cluster.telemetry.counts import DEPENDENCY_ERRORS, ROUND_TRIPS

DEADLINE_S = 5.0
RETRIES = 2
BACKOFF_BASE_S = 0.02
BACKOFF_CAP_S = 0.25
SILENT_S = 0.5  # before calls are refused: a restart of the server, with connections that break together, is shorter
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


# ... of those, what a server says itself: it is there, and asking it costs nothing.
ANSWERS = (
    refusals.ResponseError,
    refusals.BusyLoadingError,
    refusals.AuthenticationError,
    refusals.MaxConnectionsError,
)

F = TypeVar("F", bound=Callable[..., Any])
_CALL: ContextVar[Guard | None] = ContextVar("redis_call", default=None)


class _Pool(BlockingConnectionPool):
    """Every command passes here. While the breaker is open, none gets a connection."""

    breaker: Breaker

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        call = _CALL.get()
        if call is None:
            self.breaker.enter()
        elif call.breaker is not self.breaker:  # once for a call, however many commands it is
            call.tried, call.breaker = self.breaker.enter(), self.breaker
        return await super().get_connection()  # type: ignore[no-untyped-call]

    async def ensure_connection(self, connection: Any) -> None:
        call = _CALL.get()
        if call is not None:
            call.reached = True
        await super().ensure_connection(connection)

    async def aclose(self) -> None:
        self.breaker.close()
        await super().aclose()


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


def client_name(namespace: str, process: str) -> str:
    """How a realm's process is called in the server's CLIENT LIST: a restore sees by it whether the realm runs."""
    return f"{namespace}:{process.replace('/', '-')}"


def connect(settings: RedisSettings, client_name: str, breaker: BreakerSettings | None = None) -> Redis:
    """A client with a pool of at most `max_connections`, opened as they are needed; `aclose()` ends them all.

    Replies are bytes (RESP3). A command whose connection breaks or is silent is sent again, with backoff, and
    may have run before: scripts must bear that. `client_name` (no spaces) shows in the server's CLIENT LIST.
    """
    pool = _Pool.from_url(
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
    pool.breaker = Breaker("redis", "redis", breaker or BreakerSettings(), time.monotonic, SILENT_S)
    return Redis.from_pool(pool)


class Guard:
    """See `guard`. Used once, or as a decorator; commands inside of it find it in `_CALL` and tell it what server they use."""

    __slots__ = ("_began", "_deadline_s", "_name", "_span", "_timeout", "_token", "breaker", "reached", "tried")

    def __init__(self, deadline_s: float, name: str) -> None:
        self._deadline_s = deadline_s
        self._name = name
        self.breaker: Breaker | None = None
        self.tried = False  # it is the call that tries whether an open breaker may be closed
        self.reached = (
            False  # it had a connection, or tried to open one: waiting for the pool says nothing about the server
        )

    def __call__(self, method: F) -> F:
        name, deadline_s = f"redis.{method.__qualname__}", self._deadline_s

        @wraps(method)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            async with Guard(deadline_s, name):
                return await method(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    async def __aenter__(self) -> None:
        self._began = time.monotonic()
        self._span = tracing.span(self._name, tracing.Kind.CLIENT) if tracing.here() else None
        if self._span is not None:
            self._span.__enter__()
        self._token = _CALL.set(self)
        self._timeout = asyncio.timeout(self._deadline_s)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as late:
            error = late
        _CALL.reset(self._token)
        ROUND_TRIPS.observe("redis", time.monotonic() - self._began)
        if self.breaker is not None and self.reached:
            self._tell(self.breaker, error)
        away = isinstance(error, OUTAGES) or (
            isinstance(error, refusals.ResponseError) and bool(REFUSED_FOR_NOW.search(str(error)))
        )
        outcome = Unavailable("redis") if away else error
        if self._span is not None:
            self._span.__exit__(type(outcome) if outcome else None, outcome, trace)
        if away:
            DEPENDENCY_ERRORS.add("redis")
            assert outcome is not None  # noqa: S101 - it was just made
            raise outcome from error

    def _tell(self, breaker: Breaker, error: BaseException | None) -> None:
        """Only silence is a failure. Whoever was cancelled knows nothing."""
        if error is None or isinstance(error, ANSWERS):
            breaker.succeeded()
        elif isinstance(error, OUTAGES):
            breaker.failed(self.tried)


def guard(deadline_s: float = DEADLINE_S) -> Guard:
    """`async with guard():` or `@guard()`: raises Unavailable("redis") for an outage, and after `deadline_s`.

    The deadline covers everything inside: waiting for the pool, connecting, and the retries of each. Calls that end in silence
    count for the client's circuit breaker, after the repetitions of redis-py: connections that broke together, and are open again
    at once, are no failures.
    """
    return Guard(deadline_s, "redis")


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
