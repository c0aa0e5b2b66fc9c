"""Carries out what operators have ordered, a bounded number at once, and goes on with what a console before it left (row 7.8)."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import structlog
from pydantic import SecretStr

from cluster.errors import InvalidState, NotFound, Ours, RealmError, Unavailable
from cluster.operations import conduct
from cluster.operations.conduct import Cancelled
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Operator, Params, Registry, Role
from cluster.ports.jobs import LONGEST_STEP, MOST_RUNS, MOST_STEPS, JobRecord, JobStep, JobStore
from cluster.telemetry.console_metrics import OUTCOMES
from cluster.telemetry.counts import Tally

AT_ONCE = 8
LEASE_S = 15.0
POLL_S = 2.0  # how often it looks for jobs whose console died
STORE_S = 30.0  # for so long a store that is away is asked again
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0
SECRETS_KEPT = 100  # results with secrets, for who ordered them

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Lost(Exception):
    """Another console carries the job out."""


class Jobs:
    """`start` and `stop` it. `name`: of this process, random, so that its next incarnation is another owner. `changed` is called
    when a job has changed. `begun`, `ended`: what was counted so far (cluster/telemetry/console_metrics.py)."""

    def __init__(
        self,
        desk: Desk,
        registry: Registry,
        store: JobStore,
        changed: Callable[[], None] = lambda: None,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._desk = desk
        self._registry = registry
        self._store = store
        self._changed = changed
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._owner = f"console-{secrets.token_hex(8)}"
        self._rng = random.Random()  # noqa: S311 - jitter
        self._wake = asyncio.Event()
        self.begun = 0
        self.ended = Tally(OUTCOMES)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._revealed: OrderedDict[str, dict[str, Any]] = OrderedDict()

    @property
    def running(self) -> int:
        return len(self._running)

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """What runs is left as it is: the next console goes on with it once the leases have run out."""
        tasks = [*self._running.values(), *([self._looking] if self._looking is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def order(self, operator: Operator, name: str, given: dict[str, Any]) -> JobRecord:
        """Raises NotFound, Unauthorized, InvalidInput, RateLimited("too_many_jobs"), Unavailable."""
        found = conduct.action(self._registry, name, operator)
        params = await conduct.settled(self._desk, found, conduct.read(found, given))
        job = JobRecord(
            id=f"job_{secrets.token_hex(8)}",
            operation=name,
            params=params.model_dump(mode="json"),
            operator=operator.name,
            role=int(operator.role),
            via=operator.via,
            address=operator.address,
            created_at=self._desk.now(),
        )
        await self._store.add(job)
        self._changed()
        self._wake.set()
        return job

    async def cancel(self, operator: Operator, job_id: str) -> JobRecord:
        """Raises NotFound; Unauthorized if the operator could not have ordered it; InvalidState if it is too late."""
        job = await self._store.get(job_id)
        if job is None:
            raise NotFound("no_such_job", f"there is no job {job_id!a}")
        found = conduct.action(self._registry, job.operation, operator)
        if job.state == "planned":  # unless somebody has just begun it: then its action decides
            job = await self._store.cancel(job_id, self._desk.now(), running=False) or job
            if job.state == "cancelled":
                self._changed()
                return job
        if not job.open:
            raise InvalidState("job_has_ended", job.state)
        if found.cancel is None:
            raise InvalidState("job_cannot_be_cancelled", job.state)
        await found.cancel(self._desk, conduct.read(found, job.params), job.id)
        cancelled = await self._store.cancel(job_id, self._desk.now())
        self._changed()
        return job if cancelled is None else cancelled

    def cancellable(self, job: JobRecord) -> bool:
        found = self._registry.operations.get(job.operation)
        if not job.open or job.cancelling or not isinstance(found, Action):
            return False
        return job.state == "planned" or found.cancel is not None

    def target(self, job: JobRecord) -> str:
        """What the job is about; "" if its operation is of another version."""
        found = self._registry.operations.get(job.operation)
        try:
            return found.target(conduct.read(found, job.params)) if isinstance(found, Action) else ""
        except RealmError:
            return ""

    def result(self, job: JobRecord, operator: Operator) -> dict[str, Any] | None:
        """With its secrets for the operator who ordered it, as long as this process remembers them; not by a token of a lower
        role, nor after they lost theirs."""
        theirs = operator.name == job.operator and operator.role >= job.role
        revealed = self._revealed.get(job.id) if theirs else None
        return job.result if revealed is None else revealed

    def secrets(self, job: JobRecord) -> list[str]:
        """The names of what is secret in its result."""
        operation = self._registry.operations.get(job.operation)
        fields = operation.result.model_fields if operation is not None else {}
        return [name for name, field in fields.items() if field.annotation is SecretStr]

    # --- carrying out ----------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        while True:
            try:
                await self._take()
            except Unavailable as error:
                log.warning("jobs_wait", what=str(error))
            self._wake.clear()
            try:
                async with asyncio.timeout(self._poll_s * self._rng.uniform(0.75, 1.0)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _take(self) -> None:
        while len(self._running) < AT_ONCE:
            job = await self._store.claim(self._owner, self._lease_s)
            if job is None:
                return
            self.begun += 1
            task = asyncio.create_task(self._carry(job))
            self._running[job.id] = task
            task.add_done_callback(partial(self._over, job.id))
            self._changed()

    def _over(self, job_id: str, _: asyncio.Task[None]) -> None:
        del self._running[job_id]
        self._changed()
        self._wake.set()

    async def _carry(self, job: JobRecord) -> None:
        carried = _Carried(job, self)
        work = asyncio.create_task(self._work(carried))
        keeping = asyncio.create_task(self._keep(job.id, work))
        try:
            ended = await work
        except Lost:
            self._lost(job)
            return
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            self._lost(job)  # `_keep` has ended it
            return
        finally:
            keeping.cancel()
        try:
            await self.save(replace(ended, ended_at=self._desk.now()))
            self.ended.add(ended.state)
        except (Lost, Unavailable) as error:
            self.ended.add("not_kept")
            log.error("job_end_not_kept", job=job.id, state=ended.state, why=str(error))

    def _lost(self, job: JobRecord) -> None:
        self.ended.add("lost")
        log.warning("job_lost", job=job.id)

    async def _keep(self, job_id: str, work: asyncio.Task[JobRecord]) -> None:
        """Renews the lease; without one the work must end: another console begins it."""
        held_until = self._desk.clock() + self._lease_s
        while True:
            await asyncio.sleep(self._lease_s / 3)
            asked = self._desk.clock()
            try:
                if not await self._store.renew(job_id, self._owner, self._lease_s):
                    work.cancel()
                    return
                held_until = asked + self._lease_s
            except Unavailable:
                if self._desk.clock() > held_until:
                    work.cancel()
                    return

    async def _work(self, carried: _Carried) -> JobRecord:
        """How the job has ended."""
        job = carried.record
        try:
            found = conduct.action(self._registry, job.operation, carried.operator)
            params: Params = conduct.read(found, job.params)
            if job.runs > MOST_RUNS:
                raise Ours(f"it was begun {MOST_RUNS} times and never ended: see the logs of the console")
            if job.runs > 1:
                await carried.tell("carried on by another console")
            result = await conduct.carry_out(self._desk, found, params, carried)
        except Cancelled:
            return replace(carried.record, state="cancelled")
        except Lost:
            raise
        except RealmError as error:
            return replace(carried.record, state="failed", error=str(error))
        except Exception:
            error_id = f"err_{secrets.token_hex(8)}"
            log.exception("job_failed", job=job.id, operation=job.operation, error_id=error_id)
            return replace(carried.record, state="failed", error=f"something went wrong here ({error_id} in the logs)")
        kept, revealed = result.model_dump(mode="json"), result.revealed()
        if revealed != kept:
            self._revealed[job.id] = revealed
            while len(self._revealed) > SECRETS_KEPT:
                self._revealed.popitem(last=False)
        return replace(carried.record, state="done", done=1.0, result=kept)

    async def save(self, job: JobRecord) -> None:
        """Raises Lost, Unavailable."""
        keep = self._desk.settings.jobs
        if not await self._patiently(lambda: self._store.save(job, self._owner, keep)):
            raise Lost
        self._changed()

    async def cancelling(self, job_id: str) -> bool:
        return await self._patiently(lambda: self._store.cancelling(job_id))

    def now(self) -> float:
        return self._desk.now()

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        until, pause = self._desk.clock() + STORE_S, FIRST_PAUSE_S
        while True:
            try:
                return await step()
            except Unavailable:
                if self._desk.clock() > until:
                    raise
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.0))
            pause = min(2 * pause, LAST_PAUSE_S)


class _Carried:
    """Implements `cluster.operations.model.Job`."""

    def __init__(self, record: JobRecord, jobs: Jobs) -> None:
        self.record = record
        self._jobs = jobs
        self._operator = Operator(record.operator, Role(record.role), record.via, record.address)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def operator(self) -> Operator:
        return self._operator

    @property
    def began_at(self) -> float:
        return self.record.created_at

    async def tell(self, step: str, done: float = 0.0) -> None:
        """Raises Cancelled, Lost, Unavailable."""
        if await self._jobs.cancelling(self.id):
            raise Cancelled
        said = JobStep(self._jobs.now(), step[:LONGEST_STEP])
        steps = (*self.record.steps, said)[-MOST_STEPS:]
        self.record = replace(self.record, steps=steps, done=min(max(done, self.record.done, 0.0), 1.0))
        await self._jobs.save(self.record)
