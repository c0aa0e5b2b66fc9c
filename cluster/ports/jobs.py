"""The port to jobs (row 7.8): actions that operators have ordered, what became of them, and who carries them out.

A job is carried out by whoever has its lease. When that process dies its lease runs out, and the next one carries the job on, from
its start and under the same id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

JobState = Literal["planned", "running", "done", "failed", "cancelled"]
OPEN: frozenset[JobState] = frozenset({"planned", "running"})
MOST_OPEN = 100
MOST_STEPS = 200
LONGEST_STEP = 500
MOST_RUNS = 20  # one that ends the process of everybody who begins it must end some day


@dataclass(frozen=True, slots=True)
class JobStep:
    """`at`: Unix seconds."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """`id`: `job_` and 16 hex digits. `operator`: as the audit log has it; `role`: 1 to 3 (cluster/operations/model.py).

    `params` and `result` are JSON; `done`: 0 to 1; `error`: for people, "" if there is none. Times are Unix seconds; `ended_at` 0.0
    while it is open. `runs`: how often somebody has begun it. `cancelling`: the operator wants it to end.
    """

    id: str
    operation: str
    params: dict[str, Any]
    operator: str
    role: int
    via: str
    address: str
    created_at: float
    state: JobState = "planned"
    steps: tuple[JobStep, ...] = ()
    done: float = 0.0
    result: dict[str, Any] | None = None
    error: str = ""
    ended_at: float = 0.0
    runs: int = 0
    cancelling: bool = False

    @property
    def open(self) -> bool:
        return self.state in OPEN


class JobStore(Protocol):
    """Every method may raise Unavailable. `owner` names a process that carries jobs out; a lease is for whole seconds or parts."""

    async def add(self, job: JobRecord) -> None:
        """A new one, open. The same again is fine. Raises RateLimited("too_many_jobs") beyond MOST_OPEN."""

    async def get(self, job_id: str) -> JobRecord | None: ...

    async def newest(self, offset: int, limit: int) -> tuple[int, list[JobRecord]]:
        """How many there are, and a page of them, newest first."""

    async def claim(self, owner: str, lease_s: float) -> JobRecord | None:
        """The oldest open one that nobody has a lease for; it counts one run more."""

    async def renew(self, job_id: str, owner: str, lease_s: float) -> bool:
        """False: it is not `owner`'s any more."""

    async def save(self, job: JobRecord, owner: str, keep: int) -> bool:
        """What became of it. False, and nothing is done, if it is not `owner`'s any more.

        One that has ended has no lease; of those the newest `keep` are remembered. `cancelling` is not changed by this.
        """

    async def cancelling(self, job_id: str) -> bool:
        """Whether `cancel` was called."""

    async def cancel(self, job_id: str, at: float, running: bool = True) -> JobRecord | None:
        """What it is then. One that nobody has begun has ended, cancelled; one that runs is `cancelling`, or, without `running`,
        left as it is. None: no such job."""
