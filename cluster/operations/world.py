"""What can be seen of the map, its zones and its nodes (row 7.8).

The map is the supervisor's, who asks nobody for it; how zones are is in their beats. So a look costs the same with a thousand
zones, and is as old as a beat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cluster.beats import Beat
from cluster.errors import NotFound
from cluster.operations.desk import Desk
from cluster.operations.model import Look, Nothing, Operation, Params, Result

CELLS = 16  # of a heat grid, along each axis (actors/zone/beat.py)
KEPT = 20  # audit entries and ended plans of one zone

Sort = Literal[
    "zone", "name", "population", "tick_ms_p50", "tick_ms_p95", "overruns", "ghosts", "epoch", "restarts", "host"
]


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Ground(View):
    """Metres."""

    min_x: float
    min_z: float
    max_x: float
    max_z: float


class ZoneView(View):
    """A zone of the map, and what its owner says. `role`: `owner`, or `away` while nobody answers as that: then `population` is -1.

    `into`: it has no ground any more, all of it goes to that zone. `template`: what an operator added it from. `standby`: a second
    actor is to follow it; `follows`: it does. `node`: Ray's id, `host` its name. `restarts`: how often somebody else has begun to
    own it. `map_version`: of the map that it goes by. `started_at`: its process, Unix seconds.
    """

    zone: str
    name: str
    bounds: Ground
    declared: str
    template: str
    into: str
    standby: bool
    follows: bool
    node: str
    host: str
    slot: int
    role: str
    epoch: int
    population: int
    ghosts: int
    strays: int
    tick_ms_p50: float
    tick_ms_p95: float
    overruns: int
    handed_over: int
    admitted: int
    restarts: int
    pid: int
    version: str
    started_at: float
    map_version: int


class NodeView(View):
    """`cpu`: percent of all cores; memory in bytes; both 0 while no process of the node was heard."""

    node: str
    host: str
    address: str
    name: str
    head: bool
    draining: bool
    zones: int
    gateways: int
    processes: int
    cpu: float
    memory_used: int
    memory_total: int


class MapView(Result):
    """`version`: of the map. `plan`: being carried out; `last`: the one before; `policy`: why it does nothing by itself.

    `draining`: ids of nodes. `maintenance`: None while the realm is open.
    """

    version: int
    zones: list[ZoneView]
    nodes: list[NodeView]
    plan: dict[str, Any] | None
    last: dict[str, Any] | None
    policy: list[str]
    draining: list[str]
    maintenance: dict[str, Any] | None


class HeatView(Result):
    """[[cell, entities], ...] by zone; cell = `cells` * row (z) + column (x) of its ground."""

    zones: dict[str, list[list[int]]]
    cells: int


class Template(View):
    """What a zone can be added from: sides in metres. `standby`: whether one follows it; None: as the world's settings say."""

    template: str
    name: str
    width: float
    depth: float
    standby: bool | None


class Templates(Result):
    templates: list[Template]


class ZoneParams(Params):
    zone: str = Field(min_length=1, max_length=64)


class ZonesParams(Params):
    """`q`: part of an id, a name or a host."""

    q: str = Field(default="", max_length=200)
    sort: Sort = "zone"
    descending: bool = False
    offset: int = Field(default=0, ge=0)
    limit: int = Field(default=100, ge=1, le=500)


class ZoneList(Result):
    total: int
    zones: list[ZoneView]


class ZoneShown(Result):
    """`processes`: of its owner and its standby, newest first. `audit`: what operators did to it, newest first."""

    zone: ZoneView
    processes: list[dict[str, Any]]
    heat: list[list[int]]
    audit: list[dict[str, Any]]


class NodeList(Result):
    nodes: list[NodeView]


class PlanState(Result):
    """What `rayrealm zones plan` shows."""

    map_version: int
    plan: dict[str, Any] | None
    last: dict[str, Any] | None
    draining: list[str]
    policy: list[str]


# --- the looks -------------------------------------------------------------------------------------------------


async def world_map(desk: Desk, params: Nothing) -> MapView:
    """Raises Unavailable."""
    said = await desk.ask_world("world", {})
    held = await desk.protection.load(-1)
    closed = held.maintenance if held is not None else None
    return MapView(
        version=said["map_version"],
        zones=zone_views(said, desk),
        nodes=node_views(said, desk),
        plan=said["plan"],
        last=said["last"],
        policy=said["policy"],
        draining=said["draining"],
        maintenance=None if closed is None else asdict(closed),
    )


async def world_heat(desk: Desk, params: Nothing) -> HeatView:
    found = {zone: list(owner.values.get("heat", ())) for zone, owner in owners(desk.beats.living("zone")).items()}
    return HeatView(zones=found, cells=CELLS)


async def world_templates(desk: Desk, params: Nothing) -> Templates:
    """`console.templates`, by their names."""
    known = sorted(desk.settings.templates.items())
    return Templates(templates=[Template(template=template, **each.model_dump()) for template, each in known])


async def zones_list(desk: Desk, params: ZonesParams) -> ZoneList:
    """Raises Unavailable."""
    found = zone_views(await desk.ask_world("world", {}), desk)
    if q := params.q.casefold():
        found = [zone for zone in found if any(q in text.casefold() for text in (zone.zone, zone.name, zone.host))]
    found.sort(key=lambda zone: zone.zone)
    found.sort(key=lambda zone: getattr(zone, params.sort), reverse=params.descending)
    return ZoneList(total=len(found), zones=found[params.offset : params.offset + params.limit])


async def zones_show(desk: Desk, params: ZoneParams) -> ZoneShown:
    """Raises NotFound, Unavailable."""
    views = zone_views(await desk.ask_world("world", {}), desk)
    view = next((zone for zone in views if zone.zone == params.zone), None)
    if view is None:
        raise no_such_zone(params.zone, (zone.zone for zone in views))
    beats = [beat for beat in desk.beats.living("zone") if beat.values.get("zone") == params.zone]
    beats.sort(key=lambda beat: -beat.started_at)
    owner = owners(beats).get(params.zone)
    entries = await desk.audit.newest(500)
    about = [asdict(entry) for entry in entries if entry.target == params.zone][:KEPT]
    return ZoneShown(
        zone=view,
        processes=[{**asdict(beat), "values": {**beat.values, "heat": []}} for beat in beats],
        heat=list(owner.values.get("heat", ())) if owner else [],
        audit=about,
    )


async def nodes_list(desk: Desk, params: Nothing) -> NodeList:
    """Raises Unavailable."""
    return NodeList(nodes=node_views(await desk.ask_world("world", {}), desk))


async def plan_state(desk: Desk, params: Nothing) -> PlanState:
    """Raises Unavailable."""
    return PlanState(**await desk.ask_world("state", {}))


# --- what they are made of -------------------------------------------------------------------------------------


def owners(beats: Iterable[Beat]) -> dict[str, Beat]:
    """By zone, of the zones' beats: of two that believe it, the one with the higher epoch is."""
    found: dict[str, Beat] = {}
    for beat in beats:
        if beat.values.get("role") == "owner":
            zone = str(beat.values.get("zone", ""))
            known = found.get(zone)
            if known is None or beat.values.get("epoch", 0) >= known.values.get("epoch", 0):
                found[zone] = beat
    return found


def zone_views(world: dict[str, Any], desk: Desk) -> list[ZoneView]:
    """In the map's order. `world`: what the supervisor says of it."""
    beats = desk.beats.living("zone")
    owned = owners(beats)
    followed = {beat.values.get("zone") for beat in beats if beat.values.get("standby")}
    hosts = {node["node"]: node["host"] for node in world["nodes"]}
    return [_zone(zone, owned.get(zone["zone"]), zone["zone"] in followed, hosts) for zone in world["zones"]]


def _zone(zone: dict[str, Any], beat: Beat | None, followed: bool, hosts: dict[str, str]) -> ZoneView:
    said = beat.values if beat is not None else {}
    epoch = said.get("epoch", 0)
    return ZoneView(
        **zone,
        follows=followed,
        node=beat.node if beat else "",
        host=hosts.get(beat.node, beat.host) if beat else "",
        slot=said.get("slot", 0),
        role="owner" if beat else "away",
        epoch=epoch,
        population=said.get("population", -1),
        ghosts=said.get("ghosts", 0),
        strays=said.get("strays", 0),
        tick_ms_p50=said.get("tick_ms_p50", 0.0),
        tick_ms_p95=said.get("tick_ms_p95", 0.0),
        overruns=said.get("overruns", 0),
        handed_over=said.get("handed_over", 0),
        admitted=said.get("admitted", 0),
        restarts=max(0, epoch - 1),
        pid=beat.pid if beat else 0,
        version=beat.version if beat else "",
        started_at=beat.started_at if beat else 0.0,
        map_version=said.get("map_version", 0),
    )


def node_views(world: dict[str, Any], desk: Desk) -> list[NodeView]:
    """Ray's nodes; without Ray there are none. `world`: what the supervisor says of it."""
    beats = desk.beats.living()
    by_node: dict[str, list[Beat]] = {}
    for beat in beats:
        by_node.setdefault(beat.node, []).append(beat)
    zones = Counter(beat.node for beat in owners(beats).values())
    gateways = Counter(beat.node for beat in beats if beat.kind == "gateway")
    found = []
    for node in world["nodes"]:
        there = by_node.get(node["node"], [])
        newest = max(there, key=lambda beat: beat.at, default=None)
        found.append(
            NodeView(
                **node,
                zones=zones[node["node"]],
                gateways=gateways[node["node"]],
                processes=len(there),
                cpu=newest.node_cpu if newest else 0.0,
                memory_used=newest.node_memory[0] if newest else 0,
                memory_total=newest.node_memory[1] if newest else 0,
            )
        )
    return found


def no_such_zone(zone: str, there: Iterable[str]) -> NotFound:
    return NotFound("no_such_zone", f"no zone {zone!r} is there; there are: {', '.join(there)}")


OPERATIONS: tuple[Operation, ...] = (
    Look(
        "world.map",
        "The map: every zone with its load, and the nodes",
        Nothing,
        MapView,
        world_map,
        "world map",
        beats=1,
    ),
    Look("world.heat", "Where in each zone its entities are", Nothing, HeatView, world_heat, "world heat", beats=1),
    Look("world.templates", "What a zone can be added from", Nothing, Templates, world_templates, "do world.templates"),
    Look("zones.list", "Zones with their load", ZonesParams, ZoneList, zones_list, "zones list", beats=1),
    Look("zones.show", "One zone, and its processes", ZoneParams, ZoneShown, zones_show, "zones show", beats=1),
    Look(
        "zones.plan",
        "What is being carried out, and how the last plan ended",
        Nothing,
        PlanState,
        plan_state,
        "zones plan",
    ),
    Look("nodes.list", "Nodes with their processes", Nothing, NodeList, nodes_list, "nodes list", beats=1),
)
