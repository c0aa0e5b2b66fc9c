"""What operators do to zones (rows 7.3 to 7.6 and 7.8): all of it is a plan of the supervisor's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from pydantic import Field

from cluster.errors import Ours
from cluster.operations import plans
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Operation, Params, Preview, Role
from cluster.operations.plans import PlanDone
from cluster.operations.world import ZoneParams, zone_views

STANDBY_S = 60.0  # until a new standby follows, or one that is not wanted any more has ended
PAUSE_S = 0.5

P = TypeVar("P", bound=Params)


class MergeParams(Params):
    zone: str = Field(min_length=1, max_length=64)
    other: str = Field(min_length=1, max_length=64)


class MoveParams(Params):
    """`node`: its id or the beginning of it, its host, its address or its name."""

    zone: str = Field(min_length=1, max_length=64)
    node: str = Field(min_length=1, max_length=200)


class StandbyParams(Params):
    zone: str = Field(min_length=1, max_length=64)
    on: bool


class AddParams(Params):
    """`template`: a name in `console.templates`. `side`: of the zone `beside`; north is +z, east +x. `name`: for players; None: the
    template's.
    """

    template: str = Field(min_length=1, max_length=40)
    beside: str = Field(min_length=1, max_length=64)
    side: Literal["north", "east", "south", "west"]
    name: str | None = Field(default=None, min_length=1, max_length=40)


def _of_zone(params: ZoneParams) -> tuple[str, ...]:
    return (params.zone,)


def _of_merge(params: MergeParams) -> tuple[str, ...]:
    return (params.zone, params.other)


def _of_move(params: MoveParams) -> tuple[str, ...]:
    return (params.zone, params.node)


def _of_standby(params: StandbyParams) -> tuple[str, ...]:
    return (params.zone, "on" if params.on else "off")


def _of_add(params: AddParams) -> tuple[str, ...]:
    return (params.template, params.beside, params.side, params.name or "")


async def _standby(desk: Desk, params: StandbyParams, job: Job) -> PlanDone:
    """Raises Ours if no standby follows, or one still does, after a minute: the supervisor tries on."""
    done = await plans.carry_out(desk, job, "standby", _of_standby(params))
    await job.tell("wait until it follows" if params.on else "wait until it has ended", 0.5)
    until = desk.clock() + STANDBY_S
    while True:
        views = zone_views(await desk.ask_world("world", {}), desk)
        zone = next((view for view in views if view.zone == params.zone), None)
        if zone is None or zone.standby != params.on or zone.follows == params.on:
            return done
        if desk.clock() > until:
            raise Ours(
                f"{'no' if params.on else 'a'} standby follows {params.zone} after {STANDBY_S:.0f} s; see the logs"
            )
        await desk.pause(PAUSE_S)


def _action(
    kind: str,
    summary: str,
    params: type[P],
    args: Callable[[P], tuple[str, ...]],
    target: Callable[[P], str],
    *,
    run: Callable[[Desk, P, Job], Awaitable[PlanDone]] | None = None,
    warning: str = "",
    can_be_cancelled: bool = True,
    beats: int = 0,
) -> Action[P, PlanDone]:
    async def plan(desk: Desk, given: P) -> Preview:
        return await plans.preview(desk, kind, args(given), *filter(None, [warning]))

    async def carry_out(desk: Desk, given: P, job: Job) -> PlanDone:
        return await plans.carry_out(desk, job, kind, args(given))

    async def cancel(desk: Desk, given: P, job_id: str) -> None:
        await plans.cancel(desk, job_id)

    return Action(
        name=f"zones.{kind}",
        summary=summary,
        params=params,
        result=PlanDone,
        plan=plan,
        run=run or carry_out,
        target=target,
        command=f"zones {kind}",
        role=Role.OPERATOR,
        cancel=cancel if can_be_cancelled else None,
        beats=beats,
    )


OPERATIONS: tuple[Operation, ...] = (
    _action("split", "Cut a zone in two where that halves its load", ZoneParams, _of_zone, lambda p: p.zone),
    _action("merge", "Give the ground of two zones to one of them", MergeParams, _of_merge, lambda p: p.zone),
    _action("move", "Have a zone run on another node", MoveParams, _of_move, lambda p: p.zone),
    _action("restart", "Start a zone again with the code that is installed", ZoneParams, _of_zone, lambda p: p.zone),
    _action(
        "standby",
        "Have a second actor follow a zone, or no more",
        StandbyParams,
        _of_standby,
        lambda p: p.zone,
        run=_standby,
        warning="from now on this zone goes by the operator's order, whatever world.standby says",
        can_be_cancelled=False,  # its first step is the commit
        beats=1,
    ),
    _action("add", "Add a zone from a template beside another one", AddParams, _of_add, lambda p: p.beside),
    _action(
        "remove",
        "Remove an added zone in which nobody is",
        ZoneParams,
        _of_zone,
        lambda p: p.zone,
        warning="characters that were last seen there come in at the spawn zone",
    ),
)
