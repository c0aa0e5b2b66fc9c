"""What the supervisor tells of the world: to clients (`world.zones`), and to the operator's commands. JSON."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.world.crew import Crew
from actors.world.plans import Plan
from actors.world.record import Finished, WorldRecord
from actors.world.seen import ZoneSeen
from cluster.errors import Unavailable
from cluster.worldmap import MapZone


async def zones(record: WorldRecord, crew: Crew, deadline_s: float) -> list[dict[str, Any]]:
    """The map's zones, each with what its owner says: population -1 and role `away` while nobody answers."""

    async def look(zone: MapZone) -> ZoneSeen | None:
        try:
            async with asyncio.timeout(deadline_s):
                return await crew.look(zone.id, deadline_s)
        except (Unavailable, TimeoutError):
            return None

    seen = await asyncio.gather(*(look(zone) for zone in record.map))
    hosts = {node.id: node.host for node in crew.nodes}
    return [_zone(zone, found, hosts) for zone, found in zip(record.map, seen, strict=True)]


def _zone(zone: MapZone, seen: ZoneSeen | None, hosts: dict[str, str]) -> dict[str, Any]:
    said = seen or ZoneSeen(zone.id, population=-1)
    return {
        "zone": zone.id,
        "name": zone.name,
        "bounds": zone.bounds.model_dump(),
        "declared": zone.declared,
        "into": zone.into,
        "standby": zone.standby,
        "role": "owner" if seen else "away",
        "slot": said.slot,
        "node": said.node,
        "host": hosts.get(said.node, ""),
        "epoch": said.epoch,
        "population": said.population,
        "ghosts": said.ghosts,
        "strays": said.strays,
        "tick_ms_p95": said.tick_ms_p95,
        "overruns": said.overruns,
        "map_version": said.map_version,
    }


def world(record: WorldRecord, crew: Crew, reasons: tuple[str, ...]) -> dict[str, Any]:
    """The map, the nodes as of the last check, and what `state` tells. What zones say of themselves is in their beats."""
    zones = [
        {
            "zone": zone.id,
            "name": zone.name,
            "bounds": zone.bounds.model_dump(),
            "declared": zone.declared,
            "template": zone.template,
            "into": zone.into,
            "standby": zone.standby,
        }
        for zone in record.map
    ]
    draining = record.draining
    found = [
        {
            "node": node.id,
            "host": node.host,
            "address": node.address,
            "name": node.name,
            "head": node.head,
            "draining": node.draining or node.id in draining,
        }
        for node in crew.nodes
    ]
    return {**state(record, reasons), "zones": zones, "nodes": found}


async def nodes(crew: Crew) -> list[dict[str, Any]]:
    """Those that are alive, with how many zones they own."""
    there = [zone.node for zone in crew.seen.values()]
    return [
        {
            "node": node.id,
            "host": node.host,
            "address": node.address,
            "head": node.head,
            "draining": node.draining,
            "zones": there.count(node.id),
        }
        for node in await crew.known_nodes()
    ]


def state(record: WorldRecord, reasons: tuple[str, ...]) -> dict[str, Any]:
    """The plan that is being carried out and how far it is, how the last one ended, and why the policy does nothing."""
    progress = record.progress
    plan: dict[str, Any] | None = None
    if progress is not None:
        plan = {
            "id": progress.plan.id,
            "kind": progress.plan.kind,
            "what": progress.plan.what,
            "why": progress.plan.why,
            "text": progress.plan.describe(),
            "steps": [progress.plan.say(step) for step in progress.plan.steps],
            "done": progress.done,
            "committed": progress.committed,
            "undoing": progress.undoing,
        }
    return {
        "map_version": record.map.version,
        "plan": plan,
        "last": finished(record.last),
        "draining": sorted(record.draining),
        "policy": list(reasons),
    }


def preview(plan: Plan) -> dict[str, Any]:
    """A plan that nobody carries out yet."""
    steps = [plan.say(step) for step in plan.steps]
    return {"kind": plan.kind, "what": plan.what, "zones": list(plan.zones), "steps": steps, "text": plan.describe()}


def finished(last: Finished | None) -> dict[str, Any] | None:
    """A plan that has ended."""
    if last is None:
        return None
    told = {"id": last.plan, "what": last.what, "outcome": last.outcome, "why": last.why, "at": last.at}
    return {**told, "zones": list(last.zones), "cancelled": last.cancelled}
