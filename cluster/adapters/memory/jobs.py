"""Jobs in this process: for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cluster.errors import RateLimited
from cluster.job_records import decode, encode
from cluster.ports.jobs import MOST_OPEN, JobRecord


class MemoryJobs:
    """Implements `cluster.ports.jobs.JobStore`. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._jobs: dict[str, JobRecord] = {}  # in the order they came
        self._leases: dict[str, tuple[str, float]] = {}  # of open ones: owner, until when

    async def add(self, job: JobRecord) -> None:
        if job.id in self._jobs:
            return
        if sum(each.open for each in self._jobs.values()) >= MOST_OPEN:
            raise RateLimited("too_many_jobs", 5.0)
        self._jobs[job.id] = _kept(job)

    async def get(self, job_id: str) -> JobRecord | None:
        return self._jobs.get(job_id)

    async def newest(self, offset: int, limit: int) -> tuple[int, list[JobRecord]]:
        found = list(self._jobs.values())[::-1]
        return len(found), found[offset : offset + limit]

    async def claim(self, owner: str, lease_s: float) -> JobRecord | None:
        now = self._clock()
        for job in self._jobs.values():
            if job.open and self._leases.get(job.id, ("", now))[1] <= now:
                self._leases[job.id] = owner, now + lease_s
                self._jobs[job.id] = claimed = replace(job, state="running", runs=job.runs + 1)
                return claimed
        return None

    async def renew(self, job_id: str, owner: str, lease_s: float) -> bool:
        if not self._has(job_id, owner):
            return False
        self._leases[job_id] = owner, self._clock() + lease_s
        return True

    async def save(self, job: JobRecord, owner: str, keep: int) -> bool:
        if not self._has(job.id, owner):
            return False
        self._jobs[job.id] = _kept(replace(job, cancelling=self._jobs[job.id].cancelling))
        if not job.open:
            del self._leases[job.id]
            over = [each.id for each in self._jobs.values() if not each.open]
            for each in over[: max(0, len(over) - keep)]:
                del self._jobs[each]
        return True

    async def cancelling(self, job_id: str) -> bool:
        job = self._jobs.get(job_id)
        return job is not None and job.cancelling

    async def cancel(self, job_id: str, at: float, running: bool = True) -> JobRecord | None:
        job = self._jobs.get(job_id)
        if job is None or not job.open or (job.state == "running" and not running):
            return job
        if job.state == "planned":
            job = replace(job, state="cancelled", ended_at=at)
        self._jobs[job_id] = job = replace(job, cancelling=True)
        return job

    def _has(self, job_id: str, owner: str) -> bool:
        """A lease that has run out is still its owner's until somebody else takes it."""
        job = self._jobs.get(job_id)
        return job is not None and job.open and self._leases.get(job_id, ("", 0.0))[0] == owner


def _kept(job: JobRecord) -> JobRecord:
    return decode(encode(job), job.cancelling)
