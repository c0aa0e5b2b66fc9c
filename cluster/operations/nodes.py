"""Emptying a node of what players depend on, before it is switched off (rows 7.3 and 7.8)."""

from __future__ import annotations

from pydantic import Field

from cluster.beats import Beat
from cluster.errors import Conflict, InvalidState, NotFound, Ours
from cluster.operations import gateways
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Operation, Params, Preview
from cluster.operations.naming import label
from cluster.operations.plans import PlanDone
from cluster.operations.world import NodeView, node_views, owners
from cluster.process_control import beat_now

DRAIN_S = 1_800.0
PAUSE_S = 0.5
SHORTEST_PREFIX = 4  # of a node's id: what people copy from a list


class NodeParams(Params):
    """`node`: its id or the beginning of it, its host, its address or its name."""

    node: str = Field(min_length=1, max_length=200)


class DrainParams(NodeParams):
    """`gateways`: its gateways give their clients away, too, if others take them."""

    gateways: bool = True


async def find(desk: Desk, wanted: str) -> NodeView:
    """Raises NotFound, and Conflict if it may be more than one; Unavailable."""
    return named(node_views(await desk.ask_world("world", {}), desk), wanted)


def named(nodes: list[NodeView], wanted: str) -> NodeView:
    """See `find`."""
    found = [node for node in nodes if wanted in (node.node, node.host, node.address, node.name)]
    if not found and len(wanted) >= SHORTEST_PREFIX:
        found = [node for node in nodes if node.node.startswith(wanted)]
    if not found:
        there = ", ".join(f"{node.host} ({node.node[:8]})" for node in nodes) or "none"
        raise NotFound("no_such_node", f"no node {wanted!r} is there; there are: {there}")
    if len(found) > 1:
        raise Conflict("several_nodes_of_that_name", {"nodes": [node.node for node in found]})
    return found[0]


def zones_on(desk: Desk, node: str) -> list[str]:
    return sorted(zone for zone, beat in owners(desk.beats.living("zone")).items() if beat.node == node)


def gateways_on(desk: Desk, node: str) -> list[Beat]:
    return [beat for beat in desk.beats.living("gateway") if beat.node == node]


async def _plan(desk: Desk, params: DrainParams) -> Preview:
    node = await find(desk, params.node)
    zones, there = zones_on(desk, node.node), gateways_on(desk, node.node)
    steps = [f"bring no zone to {label(node)}", *(f"move {zone} to another node" for zone in zones)]
    warnings = []
    if params.gateways and there:
        if gateways.others(desk, [beat.name for beat in there]):
            steps += [
                f"have the {beat.values.get('sockets', 0)} clients of {beat.name} connect elsewhere" for beat in there
            ]
        else:
            warnings.append("its gateways keep their clients: no other gateway would take them")
    nodes = node_views(await desk.ask_world("world", {}), desk)
    if zones and not any(other.node != node.node and not other.draining for other in nodes):
        warnings.append("no other node takes its zones: they stay until one joins")
    return Preview(tuple(steps), tuple(warnings))


async def _drain(desk: Desk, params: DrainParams, job: Job) -> PlanDone:
    """Raises Ours if zones are still there in the end; it drains on. Cancelled: it drains on as well, until it is undrained."""
    node = await find(desk, params.node)
    await job.tell(f"{label(node)} takes no zones any more")
    await desk.ask_world("drain", {"node": node.node, "undo": False})
    before = zones_on(desk, node.node)
    leaving: list[str] = []
    if params.gateways and (there := gateways_on(desk, node.node)):
        names = [beat.name for beat in there]
        if gateways.others(desk, names):
            await job.tell(f"its {len(names)} gateways give their clients away", 0.1)
            gateways.order(desk, names, None)
            leaving = names
        else:
            await job.tell("its gateways keep their clients: no other gateway would take them", 0.1)
    until, told = desk.clock() + DRAIN_S, ""
    while True:
        beat_now(desk.bus, desk.subjects, leaving)
        left, away = await _left(desk, node.node)
        there = [beat for beat in gateways_on(desk, node.node) if beat.name in leaving]
        sockets = sum(int(beat.values.get("sockets", 0)) for beat in there)
        if not left and not away and not sockets and all(beat.values.get("draining") for beat in there):
            return PlanDone(outcome="done", why="", zones=before)
        if node.node not in (await desk.ask_world("state", {}))["draining"]:
            await desk.pause(PAUSE_S)
            await job.tell(f"{label(node)} takes zones again")  # the end of this job if that was its cancelling
            raise InvalidState("somebody_has_ended_it", "undrained")
        if desk.clock() > until:
            raise Ours(f"{left + away} zones are still on {label(node)} after {DRAIN_S:.0f} s; it drains on")
        said = f"{left} zones and {sockets} sockets are left"
        if said != told:
            told = said
            await job.tell(said, 0.1 + 0.9 * (1 - left / max(1, len(before))))
        await desk.pause(PAUSE_S)


async def _left(desk: Desk, node: str) -> tuple[int, int]:
    """Zones that are owned there, and those that nobody owns: they may be there."""
    world = await desk.ask_world("world", {})
    owned = owners(desk.beats.living("zone"))
    return sum(beat.node == node for beat in owned.values()), sum(zone["zone"] not in owned for zone in world["zones"])


async def _cancel(desk: Desk, params: DrainParams, job_id: str) -> None:
    """It takes zones again; those that have gone do not come back by this. Clients neither."""
    node = await find(desk, params.node)
    await desk.ask_world("drain", {"node": node.node, "undo": True})


async def _plan_undo(desk: Desk, params: NodeParams) -> Preview:
    node = await find(desk, params.node)
    notes = () if node.draining else (f"{label(node)} does not drain",)
    gateways_there = [beat.name for beat in gateways_on(desk, node.node) if beat.values.get("draining")]
    stay = (f"drained gateways take no clients again: {', '.join(gateways_there)}",) if gateways_there else ()
    return Preview((f"{label(node)} takes zones again",), (*notes, *stay))


async def _undo(desk: Desk, params: NodeParams, job: Job) -> PlanDone:
    node = await find(desk, params.node)
    await job.tell(f"{label(node)} takes zones again")
    await desk.ask_world("drain", {"node": node.node, "undo": True})
    return PlanDone(outcome="done", why="", zones=[])


OPERATIONS: tuple[Operation, ...] = (
    Action(
        "nodes.drain",
        "Move the zones and the clients of a node elsewhere, and bring none there",
        DrainParams,
        PlanDone,
        _plan,
        _drain,
        lambda params: params.node,
        "nodes drain",
        cancel=_cancel,
        beats=1,
    ),
    Action(
        "nodes.undrain",
        "Have a node take zones again",
        NodeParams,
        PlanDone,
        _plan_undo,
        _undo,
        lambda params: params.node,
        "nodes undrain",
        beats=1,
    ),
)
