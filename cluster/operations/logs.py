"""Operations on logs (row 7.8): the newest lines of every process, and how much they write, while they run."""

from __future__ import annotations

import heapq
from typing import Annotated, Any, Literal

from pydantic import Field

from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Operation, Params, Preview, Result
from cluster.ports.log_levels import EVERYBODY, KEPT_S, LogLevel
from cluster.process_control import ask_process, ask_processes, no_such_process

ASK_S = 2.0
GATHER_S = 0.75
MOST_PROCESSES = 2_000
MOST_BYTES = (
    16 * 1024 * 1024
)  # of all answers: each process is asked for its share; up to 64 of them may say all they would

Level = Literal["debug", "info", "warning", "error", "critical"]
ProcessName = Annotated[str, Field(min_length=1, max_length=200)]


class TailParams(Params):
    """`q`: somewhere in the line. `level`: this one and those above. `after`: `next` of the answer before."""

    q: str = Field(default="", max_length=200)
    level: Level | None = None
    kind: str = Field(default="", max_length=40)
    process: str = Field(default="", max_length=200)
    after: float = Field(default=0.0, ge=0.0)
    limit: int = Field(default=200, ge=1, le=500)


class Line(Result):
    """`at`: Unix seconds, by the clock of its node. `fields`: what else the event says, without secrets."""

    at: float
    level: str
    event: str
    kind: str
    process: str
    node: str
    fields: dict[str, Any]


class Lines(Result):
    """Oldest first. Each process keeps its newest lines only, and those that do not answer in time are missing. The more
    processes are asked, the fewer lines each may tell: ask one of them for more of its own.
    """

    lines: list[Line]
    next: float


async def _tail(desk: Desk, params: TailParams) -> Lines:
    asked = {
        "q": params.q,
        "level": params.level or "",
        "kind": params.kind,
        "after": params.after,
        "limit": params.limit,
    }
    if params.process:
        found = [await ask_process(desk.bus, desk.subjects, params.process, "logs", asked, ASK_S)]
    else:
        limit = max(1, min(MOST_PROCESSES, len(desk.beats.living()) or MOST_PROCESSES))
        asked["most_bytes"] = MOST_BYTES // limit
        said = await ask_processes(desk.bus, desk.subjects, "logs", asked, GATHER_S, limit)
        found = list(said.values())
    # Of a thousand processes there may be a hundred thousand: only those that are shown are read in full.
    newest = heapq.nlargest(params.limit, (line for part in found for line in part), key=lambda line: float(line["at"]))
    kept = [Line.model_validate(line) for line in reversed(newest)]
    return Lines(lines=kept, next=kept[-1].at if kept else params.after)


class LevelParams(Params):
    """`level`: "" for the settings' own. `processes`: null for all, also those that start later. `for_s`: null for a week."""

    level: Level | Literal[""]
    processes: list[ProcessName] | None = Field(default=None, min_length=1, max_length=100)
    for_s: float | None = Field(default=None, gt=0.0, le=86_400.0)


class LevelSet(Result):
    """Which processes said that they write at that level now."""

    level: str
    until: float | None
    processes: list[str]


def _living(desk: Desk, params: LevelParams) -> list[str]:
    living = {beat.name for beat in desk.beats.living()}
    for name in params.processes or ():
        if name not in living:
            raise no_such_process(name)
    return sorted(params.processes if params.processes is not None else living)


async def _level_plan(desk: Desk, params: LevelParams) -> Preview:
    """Raises NotFound."""
    names = _living(desk, params)
    whose = "every process" if params.processes is None else ", ".join(names)
    level = params.level or "what the settings say"
    steps = (f"{whose} writes at the level {level}" + (f" for {params.for_s:g} s" if params.for_s else ""),)
    much = ("every detail of what all processes do is written: that costs CPU and disk",)
    return Preview(steps, much if params.level == "debug" and params.processes is None else ())


async def _level(desk: Desk, params: LevelParams, job: Job) -> LevelSet:
    """Raises NotFound, Unavailable."""
    names = _living(desk, params)
    now = desk.now()
    until = job.began_at + (params.for_s or KEPT_S)
    await job.tell("keeping it for those that start later", 0.2)
    await desk.kept.log_levels.set(params.processes or [EVERYBODY], LogLevel(params.level, now, until))
    await job.tell("telling the processes", 0.5)
    asked = {"level": params.level, "until": until}
    if params.processes is None:
        limit = max(1, len(names) or MOST_PROCESSES)
        told = sorted(await ask_processes(desk.bus, desk.subjects, "log_level", asked, GATHER_S, limit))
    else:
        told = []
        for name in names:
            await ask_process(desk.bus, desk.subjects, name, "log_level", asked, ASK_S)
            told.append(name)
    return LevelSet(level=params.level, until=until if params.level else None, processes=told)


OPERATIONS: tuple[Operation, ...] = (
    Look(
        name="logs.tail",
        summary="The newest log lines of every process.",
        params=TailParams,
        result=Lines,
        run=_tail,
        command="logs",
    ),
    Action(
        name="logs.level",
        summary="How much processes write into their logs, from now on.",
        params=LevelParams,
        result=LevelSet,
        plan=_level_plan,
        run=_level,
        target=lambda params: ",".join(params.processes or ["*"]),
        command="logs level",
        beats=1,
    ),
)
