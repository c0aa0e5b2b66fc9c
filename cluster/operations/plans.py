"""Jobs that have the supervisor carry out a plan (row 7.3): its id is the job's, so that it is carried out once.

`args` are those of actors/world/director.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cluster.errors import InvalidState, NotFound, Ours
from cluster.operations.conduct import Cancelled
from cluster.operations.desk import Desk
from cluster.operations.model import Job, Preview, Result
from cluster.operations.naming import readable

PAUSE_S = 0.25
FORGOTTEN_S = 30.0  # a plan that is neither there nor known to have ended


class PlanDone(Result):
    """How a plan ended, and the zones that it was about."""

    outcome: str
    why: str
    zones: list[str]


def plan_id(job_id: str) -> str:
    return f"pln_{job_id.removeprefix('job_')}"


async def preview(desk: Desk, kind: str, args: Sequence[str], *warnings: str) -> Preview:
    """Raises what planning raises: Conflict, NotFound, InvalidInput, Unavailable."""
    said = await desk.ask_world("preview", {"kind": kind, "args": list(args)})
    steps = [await readable(desk, step) for step in (said["what"], *said["steps"])]
    return Preview(tuple(steps), warnings)


async def carry_out(desk: Desk, job: Job, kind: str, args: Sequence[str]) -> PlanDone:
    """Until it has ended. Raises what planning raises; Ours if it was rolled back; Cancelled."""
    mine = plan_id(job.id)
    try:
        await job.tell(await readable(desk, f"{kind} {' '.join(filter(None, args))}"))
        begun = await desk.ask_world("begin", {"kind": kind, "args": list(args), "plan_id": mine})
        ended = await _until_ended(desk, job, mine, begun["steps"])
    except Cancelled:
        too_late = await _rolled_back(desk, mine)
        if too_late is None:
            raise
        ended = too_late
    if ended["outcome"] != "done":
        if ended["cancelled"]:
            raise Cancelled
        raise Ours(await readable(desk, f"{ended['outcome']}: {ended['why']}"))
    return PlanDone(outcome=ended["outcome"], why=await readable(desk, ended["why"]), zones=ended["zones"])


async def cancel(desk: Desk, job_id: str) -> None:
    """Raises InvalidState once there is no way back."""
    try:
        outcome = await desk.ask_world("cancel", {"plan_id": plan_id(job_id)})
    except NotFound:  # it has not begun, or it was refused
        return
    if outcome == "done":
        raise InvalidState("the_plan_has_been_carried_out", "done")


async def _until_ended(desk: Desk, job: Job | None, mine: str, steps: Sequence[str] = ()) -> dict[str, Any]:
    """Without a job nothing is told. Raises Cancelled; Ours if nobody knows the plan any more."""
    told, undone, missing_since = 0, False, None
    while True:
        ended: dict[str, Any] | None = await desk.ask_world("ended", {"plan_id": mine})
        now = await _running(desk, mine) if ended is None else None
        all_done = len(steps) if ended is not None and ended["outcome"] == "done" else told
        done = int(now["done"]) if now is not None else all_done
        if job is not None:
            for number, step in enumerate(steps[told:done], told + 1):
                await job.tell(await readable(desk, f"done: {step}"), number / len(steps))
            if now is not None and now["undoing"] and not undone:
                undone = True
                await job.tell(await readable(desk, f"it is rolled back: {now['undoing']}"), done / max(1, len(steps)))
        told = max(told, done)
        if ended is not None:
            return ended
        if now is not None:
            missing_since = None
        elif missing_since is None:
            missing_since = desk.clock()
        elif desk.clock() - missing_since > FORGOTTEN_S:
            raise Ours(f"the plan {mine} is not there any more: it may have been taken back")
        await desk.pause(PAUSE_S)


async def _running(desk: Desk, mine: str) -> dict[str, Any] | None:
    """How far it is; None if another plan is being carried out, or none."""
    now: dict[str, Any] | None = (await desk.ask_world("state", {}))["plan"]
    return now if now is not None and now["id"] == mine else None


async def _rolled_back(desk: Desk, mine: str) -> dict[str, Any] | None:
    """The operator has cancelled the job: the same for the plan, or else how it ended. None: it never began, or is undone."""
    while True:
        try:
            outcome = await desk.ask_world("cancel", {"plan_id": mine})
        except NotFound:
            return None
        except InvalidState:  # too late: it goes on
            return await _until_ended(desk, None, mine)
        if outcome == "done":
            return await _until_ended(desk, None, mine)
        if outcome:
            return None
        await desk.pause(PAUSE_S)  # asked again: a supervisor that was killed has forgotten
