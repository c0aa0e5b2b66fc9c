"""Operations on processes (row 7.8): what runs where, and killing it to see that the realm bears that."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cluster.beats import Beat
from cluster.errors import Unauthorized, Unavailable
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Operation, Params, Preview, Result, Role
from cluster.operations.world import View
from cluster.process_control import ask_process, no_such_process

ASK_S = 5.0
GONE_S = 30.0
PAUSE_S = 0.25

ProcessName = Annotated[str, Field(min_length=1, max_length=200)]


class ProcessView(View):
    """What a process says of itself. `at`, `started_at`: Unix seconds; `cpu_s`: since its start; `rss`: bytes."""

    kind: str
    name: str
    pid: int
    host: str
    node: str
    version: str
    started_at: float
    at: float
    cpu_s: float
    rss: int


class ProcessesParams(Params):
    kind: str = Field(default="", max_length=40)


class ProcessList(Result):
    """Those that say how they are; servers (Redis, NATS, HAProxy, Ray's own) are not among them."""

    processes: list[ProcessView]


class KillParams(Params):
    name: ProcessName


class Killed(Result):
    name: str
    pid: int
    host: str


def view(beat: Beat) -> ProcessView:
    return ProcessView(**{name: getattr(beat, name) for name in ProcessView.model_fields})


async def list_processes(desk: Desk, params: ProcessesParams) -> ProcessList:
    return ProcessList(processes=[view(beat) for beat in desk.beats.living(params.kind)])


def _target(desk: Desk, params: KillParams) -> Beat:
    """The newest of that name. Raises NotFound; Unauthorized while chaos is off."""
    if not desk.settings.chaos:
        raise Unauthorized("chaos_is_off", "console.chaos is off: processes are not killed from here")
    found = [beat for beat in desk.beats.living() if beat.name == params.name]
    if not found:
        raise no_such_process(params.name)
    return max(found, key=lambda beat: beat.started_at)


async def _plan_kill(desk: Desk, params: KillParams) -> Preview:
    beat = _target(desk, params)
    return Preview(
        (f"kill -9 {beat.name}: pid {beat.pid} on {beat.host}",),
        ("what is lost, and how it comes back, is in ARCHITECTURE.md, `When something dies`",),
    )


async def _kill(desk: Desk, params: KillParams, job: Job) -> Killed:
    """Returns once it is silent or another process has its name. Said again under the same job, nobody else is killed.

    Raises Unavailable if it neither answers nor ends.
    """
    beat = _target(desk, params)
    done = Killed(name=beat.name, pid=beat.pid, host=beat.host)
    if beat.started_at > job.began_at:  # the one after it: this job was begun again
        return done
    await job.tell(f"kill -9 {beat.name}: pid {beat.pid} on {beat.host}")
    await ask_process(desk.bus, desk.subjects, beat.name, "kill", {}, ASK_S)
    until = desk.clock() + GONE_S
    while any(found.name == beat.name and found.pid == beat.pid for found in desk.beats.living(beat.kind)):
        if desk.clock() > until:
            raise Unavailable(f"{beat.name} (pid {beat.pid}), which says that it ends,")
        await desk.pause(PAUSE_S)
    return done


OPERATIONS: tuple[Operation, ...] = (
    Look(
        "processes.list",
        "Processes, where they run and what they take",
        ProcessesParams,
        ProcessList,
        list_processes,
        "processes list",
        beats=1,
    ),
    Action(
        "processes.kill",
        "Kill a process at once, as a crash would",
        KillParams,
        Killed,
        _plan_kill,
        _kill,
        lambda params: params.name,
        "processes kill",
        role=Role.ADMIN,
        dangerous=True,
        beats=1,
    ),
)
