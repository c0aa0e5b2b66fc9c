"""Operations on gateways (rows 1.6, 1.9 and 7.8): the processes that hold the players' sockets."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Annotated, Any

import structlog
from pydantic import Field, model_validator

from cluster.beats import Beat, Beats
from cluster.errors import Conflict, NotFound, Ours, Unavailable
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Nothing, Operation, Params, Preview, Result
from cluster.operations.world import View
from cluster.process_control import ask_process, beat_now
from realm_proto import internal_pb2

MOST = 64
APPLICATION, DEPLOYMENT = "gateway", "Gateway"
MOST_S = 60.0  # gateways never take longer than their `gateway.drain_s` says
LATE_S = 5.0
SCALE_S = 180.0
PAUSE_S = 0.25
ASK_S = 5.0

log = structlog.get_logger(__name__)

GatewayId = Annotated[str, Field(min_length=1, max_length=200)]


class GatewayView(View):
    """`in_per_s`, `out_per_s`: messages; `queue_bytes`: what waits for clients, in all, and `queue_worst` for one. `degraded`: what
    it does without. `refusals`: upgrades and messages so far. `started_at`: Unix seconds.
    """

    gateway: str
    node: str
    host: str
    pid: int
    sockets: int
    capacity: int
    draining: bool
    degraded: list[str]
    in_per_s: float
    out_per_s: float
    bytes_per_s: float
    queue_bytes: int
    queue_worst: int
    refusals: int
    started_at: float
    version: str


class GatewayList(Result):
    gateways: list[GatewayView]


class DrainParams(Params):
    """`gateways`, or all of a `node` (its host, or Ray's id or the beginning of it). `deadline_s`: None: as gateway.drain_s says.

    `force`: even if no other gateway would take the clients.
    """

    gateways: tuple[GatewayId, ...] = Field(default=(), max_length=MOST)
    node: str | None = Field(default=None, min_length=1, max_length=200)
    deadline_s: float | None = Field(default=None, ge=0.0, le=MOST_S, allow_inf_nan=False)
    force: bool = False

    @model_validator(mode="after")
    def _one_of_them(self) -> DrainParams:
        if bool(self.gateways) == bool(self.node):
            raise ValueError("say which: gateways, or a node")
        return self


class Drained(View):
    """How many sockets it had, how many it still has, and how long it took."""

    gateway: str
    sockets: int
    left: int
    seconds: float


class DrainDone(Result):
    gateways: list[Drained]


class ScaleParams(Params):
    count: int = Field(ge=1, le=MOST)


def view(beat: Beat, beats: Beats) -> GatewayView:
    """Rates by the beat before."""
    said = beat.values
    return GatewayView(
        gateway=beat.name,
        node=beat.node,
        host=beat.host,
        pid=beat.pid,
        sockets=int(said.get("sockets", 0)),
        capacity=int(said.get("capacity", 0)),
        draining=bool(said.get("draining", False)),
        degraded=[str(part) for part in said.get("degraded", ())],
        in_per_s=beats.rate(beat, "messages_in"),
        out_per_s=beats.rate(beat, "messages_out"),
        bytes_per_s=beats.rate(beat, "bytes_out"),
        queue_bytes=int(said.get("queue_bytes", 0)),
        queue_worst=int(said.get("queue_worst", 0)),
        refusals=int(said.get("refusals", 0)),
        started_at=beat.started_at,
        version=beat.version,
    )


def views(desk: Desk) -> list[GatewayView]:
    return [view(beat, desk.beats) for beat in desk.beats.living("gateway")]


async def list_gateways(desk: Desk, params: Nothing) -> GatewayList:
    return GatewayList(gateways=views(desk))


# --- draining --------------------------------------------------------------------------------------------------


def chosen(living: Collection[Beat], params: DrainParams) -> list[str]:
    """The names of those that are meant. Raises NotFound if one is not there."""
    names = {beat.name for beat in living}
    if params.node is None:
        if unknown := sorted(set(params.gateways) - names):
            raise NotFound("no_such_gateway", f"no gateway {', '.join(unknown)} is heard; there are: {_listed(names)}")
        return sorted(set(params.gateways))
    node = params.node
    there = sorted(beat.name for beat in living if beat.host == node or (len(node) >= 4 and beat.node.startswith(node)))
    if not there:
        hosts = {beat.host for beat in living}
        raise NotFound("no_such_node", f"no gateway runs on {node}; there are: {_listed(hosts)}")
    return there


def others(desk: Desk, leaving: Collection[str]) -> list[str]:
    """Who would take their clients."""
    living = desk.beats.living("gateway")
    return [beat.name for beat in living if beat.name not in leaving and not beat.values.get("draining")]


def order(desk: Desk, gateways: Collection[str], deadline_s: float | None) -> None:
    """Tells them to give their clients away. Said again, a later deadline changes nothing."""
    drain = internal_pb2.GatewayDrain(deadline_s=math.inf if deadline_s is None else deadline_s)
    said = internal_pb2.GatewayControl(drain=drain).SerializeToString()
    for name in gateways:
        desk.bus.publish(desk.subjects.gateway_control(name), said)


def _targets(desk: Desk, params: DrainParams) -> dict[str, Beat]:
    """Raises NotFound; Conflict if nobody would take the clients."""
    living = {beat.name: beat for beat in desk.beats.living("gateway")}
    targets = chosen(living.values(), params)
    if not params.force and not others(desk, targets):
        raise Conflict("no_other_gateway_would_take_the_clients")
    return {name: living[name] for name in targets}


async def _plan_drain(desk: Desk, params: DrainParams) -> Preview:
    found = _targets(desk, params)
    when = "in gateway.drain_s" if params.deadline_s is None else f"in {params.deadline_s:g} s"
    steps = tuple(
        f"have the {beat.values.get('sockets', 0)} clients of {name} connect elsewhere {when}"
        for name, beat in found.items()
    )
    notes = ("drained gateways take no clients any more, and stay, empty, until their processes end",)
    alone = () if others(desk, found) else ("no other gateway is there: the clients wait until one is",)
    return Preview(steps, (*alone, *notes))


async def _drain(desk: Desk, params: DrainParams, job: Job) -> DrainDone:
    """Until none of them has sockets, or has ended, or the time is over: then `left` says how many each still has."""
    targets = _targets(desk, params)
    await job.tell(f"{', '.join(targets)} give their clients away")
    order(desk, targets, params.deadline_s)
    began = desk.clock()
    until = began + (MOST_S if params.deadline_s is None else params.deadline_s) + LATE_S
    before = {name: int(beat.values.get("sockets", 0)) for name, beat in targets.items()}
    results: dict[str, Drained] = {}
    told = -1
    while len(results) < len(targets):
        beat_now(desk.bus, desk.subjects, targets)
        await desk.pause(PAUSE_S)
        now, living = desk.clock(), {beat.name: beat for beat in desk.beats.living("gateway")}
        left = {name: int(living[name].values.get("sockets", 0)) if name in living else 0 for name in targets}
        for name in targets:
            gone = name not in living or (bool(living[name].values.get("draining")) and not left[name])
            if name not in results and (gone or now > until):
                seconds = round(now - began, 3)
                results[name] = Drained(gateway=name, sockets=before[name], left=left[name], seconds=seconds)
        if (sockets := sum(left.values())) != told:
            told = sockets
            await job.tell(f"{sockets} sockets are left", 1 - sockets / max(1, sum(before.values())))
    return DrainDone(gateways=[results[name] for name in sorted(results)])


# --- how many --------------------------------------------------------------------------------------------------


async def _plan_scale(desk: Desk, params: ScaleParams) -> Preview:
    now = len(views(desk))
    if params.count == now:
        return Preview((f"there are {now} gateways already",))
    if params.count > now:
        return Preview((f"start {params.count - now} gateways: {now} become {params.count}",))
    note = "Serve chooses which: those of the node with the fewest replicas, then the newest"
    return Preview((f"drain and end {now - params.count} gateways: {now} become {params.count}",), (note,))


async def _scale(desk: Desk, params: ScaleParams, job: Job) -> GatewayList:
    """Raises Unavailable without Serve; Ours if there are not that many after three minutes."""
    await _end_drained(desk, job)
    await job.tell(f"ask Ray Serve for {params.count} gateways")
    await desk.scale(APPLICATION, DEPLOYMENT, params.count)
    until, told = desk.clock() + SCALE_S, (-1, -1)
    while True:
        await desk.pause(PAUSE_S)
        found = views(desk)
        leaving = sum(gateway.draining for gateway in found)
        if len(found) == params.count and not leaving:
            return GatewayList(gateways=found)
        if desk.clock() > until:
            raise Ours(f"there are {len(found)} gateways, not {params.count}, after {SCALE_S:.0f} s")
        if (len(found), leaving) != told:
            told = (len(found), leaving)
            await job.tell(f"there are {len(found)}" + (f", {leaving} of them leave" if leaving else ""), 0.5)


async def _end_drained(desk: Desk, job: Job) -> None:
    """Gateways that an operator has drained, and that are empty: Serve counts them, and would keep them for good."""
    for gateway in views(desk):
        if gateway.draining and not gateway.sockets:
            await job.tell(f"end {gateway.gateway}, which was drained")
            try:
                await ask_process(desk.bus, desk.subjects, gateway.gateway, "restart", {}, ASK_S)
            except Unavailable:
                await job.tell(f"{gateway.gateway} does not answer: it may have ended")


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _target(params: DrainParams) -> str:
    return params.node or ",".join(params.gateways)


def _count(params: Any) -> str:
    return str(params.count)


OPERATIONS: tuple[Operation, ...] = (
    Look("gateways.list", "Gateways with their load", Nothing, GatewayList, list_gateways, "gateways list", beats=2),
    Action(
        "gateways.drain",
        "Have clients connect to other gateways",
        DrainParams,
        DrainDone,
        _plan_drain,
        _drain,
        _target,
        "drain",
        beats=1,
    ),
    Action(
        "gateways.scale",
        "Start or stop gateways",
        ScaleParams,
        GatewayList,
        _plan_scale,
        _scale,
        _count,
        "gateways scale",
        beats=1,
    ),
)
