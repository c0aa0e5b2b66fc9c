"""What limits cost (row 5.3): the gateway's own for each message, those in Redis for each call; no realm.

The library `limits` is measured beside them if it is installed: it has the same kinds, and is what one would take otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.limits import RedisLimiter
from cluster.datafolder import DataFolder
from cluster.embedded import EmbeddedServer, valkey
from cluster.limiting import SharedLimits
from cluster.security_settings import LimitSettings, Rate
from cluster.settings import RedisSettings
from cluster.token_bucket import Bucket

# What is measured is above this layer, and known to it by name only.
METER, SHARE = "serve_apps.gateway.limits.meter:Meter", "serve_apps.gateway.limits.meter:Share"
MOVE_BYTES = 40
ROUNDS, CALLS = 15, 20_000
LIBRARY_CALLS = 2_000
WARM_UP = 200
ALONE_CALLS, AT_ONCE = 2_000, 32
LONG = Rate(per_s=1_000_000.0, burst=10_000_000)  # nothing is refused: what is let in costs more


def run_limits(seconds: float) -> dict[str, Any]:
    """`seconds`: of the load on Redis. Local figures are of the fastest of ROUNDS rounds."""
    result: dict[str, Any] = {"local_ns": local(), "library": library()}
    with server() as url:
        result["shared"] = asyncio.run(_shared(url, seconds))
        with contextlib.suppress(ImportError):
            result["shared_library"] = asyncio.run(_shared_library(url, seconds))
    return result


def local() -> dict[str, float]:
    """Nanoseconds a message: one bucket, and all that a frame passes (user, address, all), let in and refused."""
    limits = LimitSettings(user=LONG, address=LONG, in_all=LONG)
    bucket, tight = Bucket(LONG.per_s, LONG.burst), Bucket(0.001, 1)
    meter = _load(METER)(_load(SHARE)(limits), Bucket(LONG.per_s, LONG.burst), Bucket(LONG.per_s, LONG.burst), limits)
    over = LimitSettings(user=Rate(per_s=0.001, burst=1))
    closed = _load(METER)(_load(SHARE)(over), Bucket(LONG.per_s, LONG.burst), Bucket(LONG.per_s, LONG.burst), over)
    clock = time.monotonic
    return {
        "clock": _fastest(clock, CALLS),
        "bucket": _fastest(lambda: bucket.take(clock()), CALLS),
        "bucket_refused": _fastest(lambda: tight.take(clock()), CALLS),
        "frame": _fastest(lambda: meter.frame(MOVE_BYTES, clock()), CALLS),
        "frame_refused": _fastest(lambda: closed.frame(MOVE_BYTES, clock()), CALLS),
    }


def library() -> dict[str, Any]:
    """Nanoseconds a hit of one limit in the library's memory storage, by strategy; {} if it is not installed."""
    try:
        limits, storage = importlib.import_module("limits"), importlib.import_module("limits.storage")
    except ImportError:
        return {}
    item = limits.RateLimitItemPerSecond(1_000_000)
    result: dict[str, Any] = {"version": limits.__version__}
    for name in ("FixedWindowRateLimiter", "SlidingWindowCounterRateLimiter", "MovingWindowRateLimiter"):
        memory = storage.MemoryStorage()
        strategy = getattr(limits.strategies, name)(memory)
        result[name] = _fastest(lambda: strategy.hit(item, "user", "usr_1"), LIBRARY_CALLS)  # noqa: B023 - used at once
        memory.reset()
        if memory.timer is not None:
            memory.timer.cancel()
    return result


async def _shared(url: str, seconds: float) -> dict[str, Any]:
    """As gateways ask: with the wrapper that knows what to do without the store."""
    client = connect(RedisSettings(url=SecretStr(url)), "bench-limits")
    shared = SharedLimits(RedisLimiter(client, "bench"), "closed", time.monotonic)
    try:
        return await _load_of(lambda key: shared.take(key, LONG.per_s, LONG.burst), seconds)
    finally:
        await client.aclose()


async def _shared_library(url: str, seconds: float) -> dict[str, Any]:
    limits = importlib.import_module("limits")
    storage = importlib.import_module("limits.aio.storage").RedisStorage(f"async+{url}", implementation="redispy")
    strategy = importlib.import_module("limits.aio.strategies").SlidingWindowCounterRateLimiter(storage)
    item = limits.RateLimitItemPerSecond(1_000_000)
    return await _load_of(lambda key: strategy.hit(item, key), seconds)


async def _load_of(take: Callable[[str], Awaitable[object]], seconds: float) -> dict[str, Any]:
    """Latency of one after another, then calls a second with AT_ONCE on their way."""
    for number in range(WARM_UP):
        await take(f"user/{number % AT_ONCE}")
    waits = []
    for number in range(ALONE_CALLS):
        began = time.perf_counter()
        await take(f"user/{number % AT_ONCE}")
        waits.append(time.perf_counter() - began)
    waits.sort()
    counts = [0] * AT_ONCE
    until, cpu = time.perf_counter() + seconds, time.process_time()

    async def ask(who: int) -> None:
        while time.perf_counter() < until:
            await take(f"user/{who}")
            counts[who] += 1

    await asyncio.gather(*(ask(who) for who in range(AT_ONCE)))
    return {
        "latency_us": {"p50": _micro(waits, 0.5), "p99": _micro(waits, 0.99)},
        "calls_per_s": round(sum(counts) / seconds),
        "client_us_per_call": round((time.process_time() - cpu) / sum(counts) * 1e6, 1),
    }


@contextmanager
def server() -> Iterator[str]:
    """An embedded Valkey as realms have it, in a folder of its own; its URL."""
    with tempfile.TemporaryDirectory(prefix="rayrealm-bench-") as folder:
        data = DataFolder.open(Path(folder))
        spec, url_of = valkey(data)
        embedded = EmbeddedServer(spec, data, lambda _: None, lambda _: None)
        try:
            embedded.start()
            embedded.wait_ready()
            yield url_of(embedded.port)
        finally:
            embedded.stop()
            data.close()


def _micro(waits: list[float], part: float) -> float:
    return round(waits[int(len(waits) * part)] * 1e6, 1)


def _fastest(call: Callable[[], object], calls: int) -> float:
    """Nanoseconds of one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - began)
    return round(best / calls * 1e9)


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
