"""How plans are made, and refused (row 7.3). Nothing here asks anybody: what a plan is made from is given.

Raises Conflict when the world is not as the plan needs it, NotFound for a zone or node that is not there, InvalidInput for
nonsense.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from actors.world.plans import Kind, Plan, Step
from actors.world.seen import ZoneSeen
from cluster.errors import Conflict, InvalidInput, NotFound
from cluster.ports.actors import Node
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap, retired

Axis = str  # "x" or "z"
LONGEST_ID = 44  # of a zone: ZoneId of cluster/world_settings.py
NEAT_M = 0.5  # borders are drawn at multiples of this where the ground allows it


def split(
    world: WorldMap,
    zone_id: str,
    positions: np.ndarray,
    *,
    plan_id: str,
    new_id: str,
    min_side: float,
    min_share: float = 0.0,
    node: str = "",
    why: str = "a command",
    running: Plan | None = None,
) -> Plan:
    """Cut a zone in two where that halves its load best. `positions`: (n, 2), x and z in metres of its entities.

    The busier part keeps the zone's name, so that fewer are handed over; the other one becomes `new_id`, on `node`. Refused if that
    one would have less than `min_share` of the entities.
    """
    nothing_else(running)
    zone = settled(world, zone_id)
    if world.find(new_id) is not None:
        raise Conflict("zone_exists", {"zone": new_id})
    axis, at, below, above = best_cut(zone.bounds, positions, min_side)
    if min(below, above) < min_share * len(positions):
        raise Conflict("a_cut_would_not_help", {"parts": [below, above]})
    low, high = cut(zone.bounds, axis, at)
    kept, given = (low, high) if below >= above else (high, low)
    new = replace(zone, id=new_id, bounds=given, node=node)
    after = world.changed(replace(zone, bounds=kept), new)
    what = f"cut {zone_id} at {axis} = {at:g} m: {max(below, above)} entities stay, {min(below, above)} go to {new_id}"
    steps = (
        Step("start", new_id, 0, node),
        Step("await_owner", new_id, 0, node),
        Step("commit", slot=0),
        Step("tell"),
        Step("settle", zone_id),
    )
    return Plan(plan_id, "split", what, why, (zone_id, new_id), world.version, (after,), steps)


def best_cut(ground: Bounds, positions: np.ndarray, min_side: float) -> tuple[Axis, float, int, int]:
    """(axis, metre, entities below it, entities from it on): the cut whose larger part is smallest.

    Of equal ones the cut of the longer side, and nearer to its middle. No part is narrower than `min_side`; raises Conflict if the
    ground is too small for that.
    """
    if positions.ndim != 2 or positions.shape[1] != 2 or not np.isfinite(positions).all():
        raise InvalidInput([("positions", "must be finite (x, z) pairs")])
    sides = (("x", ground.min_x, ground.max_x, 0), ("z", ground.min_z, ground.max_z, 1))
    found: list[tuple[int, float, float, Axis, float, int, int]] = []
    for axis, low, high, column in sides:
        if high - low < 2 * min_side:
            continue
        values = np.clip(positions[:, column].astype(np.float64), low, high)
        for at in _candidates(values, low + min_side, high - min_side):
            below = int((values < at).sum())
            above = len(values) - below
            found.append((max(below, above), low - high, abs(at - (low + high) / 2), axis, at, below, above))
    if not found:
        sizes = {"x": ground.max_x - ground.min_x, "z": ground.max_z - ground.min_z, "at_least": 2 * min_side}
        raise Conflict("zone_too_small", dict(sizes))
    _, _, _, axis, at, below, above = min(found)
    return axis, at, below, above


def _candidates(values: np.ndarray, first: float, last: float) -> list[float]:
    """Where to look: the middle, and on both sides of the median; drawn neatly where that changes nothing."""
    middle = (first + last) / 2
    if not len(values):
        return [_neat(middle, first, last)]
    median = float(np.median(values))
    below, above = values[values < median], values[values > median]
    near = [median, *([float(below.max())] if len(below) else []), *([float(above.min())] if len(above) else [])]
    between = [(a + b) / 2 for a in near for b in near if a < b]
    exact = [min(max(at, first), last) for at in (middle, *near, *between)]
    return [*(_neat(at, first, last) for at in exact), *exact]


def _neat(at: float, first: float, last: float) -> float:
    drawn = round(at / NEAT_M) * NEAT_M
    return drawn if first <= drawn <= last else at


def cut(ground: Bounds, axis: Axis, at: float) -> tuple[Bounds, Bounds]:
    """The part below and the part from `at` on."""
    low, high = f"max_{axis}", f"min_{axis}"
    return Bounds(**{**ground.model_dump(), low: at}), Bounds(**{**ground.model_dump(), high: at})


def merge(
    world: WorldMap,
    a: str,
    b: str,
    *,
    plan_id: str,
    spawn_zone: str,
    populations: Mapping[str, int],
    capacity: int,
    why: str = "a command",
    running: Plan | None = None,
) -> Plan:
    """All of it becomes `a`'s, or `b`'s if only that one must stay: the spawn zone, then a zone that the operator declared."""
    nothing_else(running)
    if a == b:
        raise InvalidInput([("zone", "a zone cannot be merged with itself")])
    first, second = settled(world, a), settled(world, b)
    whole = union(first.bounds, second.bounds)
    if whole is None:
        raise Conflict("no_common_edge", {"zones": [a, b]})
    together = populations.get(a, 0) + populations.get(b, 0)
    if together > capacity:
        raise Conflict("too_many_for_one_zone", {"entities": together, "capacity": capacity})
    keeps, goes = sorted((first, second), key=lambda zone: (zone.id != spawn_zone, zone.id != zone.declared))
    # No standby takes over what is to end.
    joined = world.changed(replace(keeps, bounds=whole), retired(replace(goes, standby=False), keeps.id))
    after = joined.changed(without=(goes.id,))
    what = f"give the ground of {goes.id} to {keeps.id}: {populations.get(goes.id, 0)} entities go, {together} in all"
    steps = (
        Step("commit", slot=0),
        Step("tell"),
        Step("retire", goes.id),
        Step("commit", slot=1),  # before its actors end: those of the map's zones are started when they are missing
        Step("tell"),
        Step("stop", goes.id, 0),
        Step("stop", goes.id, 1),
    )
    return Plan(plan_id, "merge", what, why, (keeps.id, goes.id), world.version, (joined, after), steps)


def union(a: Bounds, b: Bounds) -> Bounds | None:
    """The two as one rectangle; None unless they have a full edge in common."""
    if (a.min_z, a.max_z) == (b.min_z, b.max_z):
        touch = a.max_x == b.min_x or b.max_x == a.min_x
    elif (a.min_x, a.max_x) == (b.min_x, b.max_x):
        touch = a.max_z == b.min_z or b.max_z == a.min_z
    else:
        return None
    if not touch:
        return None
    return Bounds(
        min_x=min(a.min_x, b.min_x),
        min_z=min(a.min_z, b.min_z),
        max_x=max(a.max_x, b.max_x),
        max_z=max(a.max_z, b.max_z),
    )


def move(
    world: WorldMap,
    zone_id: str,
    node: str,
    *,
    plan_id: str,
    nodes: Sequence[Node],
    seen: ZoneSeen | None,
    why: str = "a command",
    running: Plan | None = None,
) -> Plan:
    """To the node with that id. `seen`: the zone's owner now, None if it does not answer."""
    nothing_else(running)
    zone = settled(world, zone_id)
    owner = _answering(zone_id, seen)
    target = next((known for known in nodes if known.id == node), None)
    if target is None:
        raise NotFound("no_such_node", f"no node {node!r} is there")
    if target.draining:
        raise Conflict("node_drains", {"node": node})
    if owner.node == node:
        raise Conflict("already_there", {"zone": zone_id, "node": node})
    return _swap("move", zone, world, owner, node, plan_id, f"move {zone_id} to {target.short}", why)


def restart(
    world: WorldMap,
    zone_id: str,
    *,
    plan_id: str,
    seen: ZoneSeen | None,
    why: str = "a command",
    running: Plan | None = None,
) -> Plan:
    """To the zone's other actor on the same node: new code, and nobody is dropped (row 7.6)."""
    nothing_else(running)
    zone = settled(world, zone_id)
    owner = _answering(zone_id, seen)
    return _swap("restart", zone, world, owner, owner.node, plan_id, f"start {zone_id} again on its node", why)


def _swap(
    kind: Kind, zone: MapZone, world: WorldMap, owner: ZoneSeen, node: str, plan_id: str, what: str, why: str
) -> Plan:
    """The owner's place goes to the zone's other actor. A standby that is it ends first: it may be elsewhere, and of older code."""
    other = 1 - owner.slot
    after = world.changed(replace(zone, node=node) if kind == "move" else zone)
    steps = (
        Step("dismiss", zone.id, other),
        Step("start", zone.id, other, node),
        Step("await_following", zone.id, other, node),
        Step("commit", slot=0),
        Step("promote", zone.id, other),
        Step("verify", zone.id, other),
        Step("dismiss", zone.id, owner.slot),
    )
    return Plan(plan_id, kind, what, why, (zone.id,), world.version, (after,), steps)


def new_zone_id(world: WorldMap, zone_id: str, taken: Callable[[str], bool] = lambda _: False) -> str:
    """A name for a part of the zone: after the zone that it came from, with the version of the map in which it begins.

    So no name comes twice. `taken`: other names that must not be used.
    """
    zone = world.find(zone_id)
    return new_id(world, zone.declared if zone else zone_id, taken)


def new_id(world: WorldMap, stem: str, taken: Callable[[str], bool] = lambda _: False) -> str:
    """See new_zone_id."""
    version = world.version + 1
    while True:
        number = f"_{version}"
        name = stem[: LONGEST_ID - len(number)] + number
        if world.find(name) is None and not taken(name):
            return name
        version += 1


def nothing_else(running: Plan | None) -> None:
    if running is not None:
        raise Conflict("another_plan_runs", {"plan": running.id, "what": running.what})


def settled(world: WorldMap, zone_id: str) -> MapZone:
    zone = world.find(zone_id)
    if zone is None:
        raise NotFound("no_such_zone", f"no zone {zone_id!r} is there; there are: {', '.join(z.id for z in world)}")
    if zone.into:
        raise Conflict("zone_goes_into_another", {"zone": zone_id, "into": zone.into})
    return zone


def _answering(zone_id: str, seen: ZoneSeen | None) -> ZoneSeen:
    if seen is None:
        raise Conflict("zone_does_not_answer", {"zone": zone_id})
    return seen
