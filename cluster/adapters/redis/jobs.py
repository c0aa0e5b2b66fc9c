"""Jobs in Redis: hashes `{ns}:job:{id}` {job (JSON), state, runs, owner, cancelling}, `{ns}:jobs` (sorted set, by when they came),
`{ns}:jobs-open` (sorted set, by when their lease ends; microseconds of the server's clock, 0 for none)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import RateLimited
from cluster.job_records import decode, encode
from cluster.ports.jobs import MOST_OPEN, JobRecord

_STEP = Script(__file__, "job_step.lua")
_FULL_RETRY_S = 5.0


class RedisJobs:
    """Implements `cluster.ports.jobs.JobStore`."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{namespace}:job:"
        self._all, self._open = f"{namespace}:jobs", f"{namespace}:jobs-open"

    @guard()
    async def add(self, job: JobRecord) -> None:
        if await self._step("add", job.id, encode(job), MOST_OPEN) == b"full":
            raise RateLimited("too_many_jobs", _FULL_RETRY_S)

    @guard()
    async def get(self, job_id: str) -> JobRecord | None:
        fields: Any = await self._client.hmget(self._prefix + job_id, _FIELDS)
        return _job(fields)

    @guard()
    async def newest(self, offset: int, limit: int) -> tuple[int, list[JobRecord]]:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zcard(self._all)
            pipe.zrange(self._all, offset, offset + limit - 1, desc=True)
            total, ids = await pipe.execute()
        async with self._client.pipeline(transaction=False) as pipe:
            for job_id in ids if limit > 0 else ():
                pipe.hmget(self._prefix + job_id.decode(), _FIELDS)
            found = await pipe.execute()
        return int(total), [job for fields in found if (job := _job(fields)) is not None]

    @guard()
    async def claim(self, owner: str, lease_s: float) -> JobRecord | None:
        fields = await self._step("claim", "", owner, _us(lease_s))
        return _job(fields) if fields else None

    @guard()
    async def renew(self, job_id: str, owner: str, lease_s: float) -> bool:
        return bool(await self._step("renew", job_id, owner, _us(lease_s)))

    @guard()
    async def save(self, job: JobRecord, owner: str, keep: int) -> bool:
        return bool(await self._step("save", job.id, owner, encode(job), job.state, keep, int(job.open)))

    @guard()
    async def cancelling(self, job_id: str) -> bool:
        return bool(await self._client.hexists(self._prefix + job_id, "cancelling"))

    @guard()
    async def cancel(self, job_id: str, at: float, running: bool = True) -> JobRecord | None:
        fields = await self._step("cancel", job_id, repr(at), int(running))
        return _job(fields) if fields else None

    async def _step(self, what: str, job_id: str, *args: str | bytes | float) -> Any:
        keys = [self._prefix + job_id, self._all, self._open]
        return await _STEP(self._client, keys, [what, job_id, self._prefix, *args])


_FIELDS = ["job", "state", "runs", "cancelling", "ended"]


def _us(seconds: float) -> int:
    return math.ceil(seconds * 1e6)


def _job(fields: list[bytes | None]) -> JobRecord | None:
    """What the scripts decided stands beside the document, and counts."""
    data, state, runs, cancelling, ended = fields
    if data is None or state is None:
        return None
    job = decode(data, cancelling is not None)
    said: Any = state.decode()
    return replace(job, state=said, runs=int(runs or 0), ended_at=float(ended) if ended else job.ended_at)
