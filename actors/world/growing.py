"""Plans for zones that operators add and remove again, and for standbys (rows 7.3 and 7.8).

As in planning.py, nothing here asks anybody; raises Conflict, NotFound, InvalidInput.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import ValidationError

from actors.world.planning import nothing_else, settled
from actors.world.plans import Plan, Step
from actors.world.seen import ZoneSeen
from cluster.errors import Conflict, InvalidInput, NotFound
from cluster.operator_settings import ZoneTemplate
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap

SIDES = ("north", "east", "south", "west")  # north is +z, as on the players' page
FARTHEST_M = 1_000_000.0
LONGEST_NAME = 40


def template_of(templates: Mapping[str, ZoneTemplate], name: str) -> ZoneTemplate:
    found = templates.get(name)
    if found is None:
        there = ", ".join(sorted(templates)) or "none"
        raise NotFound("no_such_template", f"no template {name!r} is there; there are: {there}")
    return found


def add(
    world: WorldMap,
    template: ZoneTemplate,
    template_name: str,
    beside: str,
    side: str,
    *,
    plan_id: str,
    new_id: str,
    name: str = "",
    standby: bool = False,
    node: str = "",
    why: str = "a command",
    running: Plan | None = None,
) -> Plan:
    """A new zone on ground that is nobody's, at that side of the zone `beside`, from its lower edge on.

    `name`: what players are shown; the template's without one. `standby`: the world's, for templates that do not say.
    """
    nothing_else(running)
    neighbour = settled(world, beside)
    name = name or template.name
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise InvalidInput([("name", f"must have at most {LONGEST_NAME} printable characters")])
    ground = ground_beside(neighbour.bounds, side, template.width, template.depth)
    taken = [zone.id for zone in world if not zone.into and zone.bounds.overlaps(ground)]
    if taken:
        raise Conflict("ground_is_taken", {"by": ", ".join(taken)})
    if world.find(new_id) is not None:
        raise Conflict("zone_exists", {"zone": new_id})
    stands_by = standby if template.standby is None else template.standby
    new = MapZone(new_id, name, ground, new_id, stands_by, node, ordered=True, template=template_name)
    what = (
        f"add {new_id} ({name}) {side} of {beside}: x {ground.min_x:g} to {ground.max_x:g} m, "
        f"z {ground.min_z:g} to {ground.max_z:g} m"
    )
    steps = (
        Step("start", new_id, 0, node),
        Step("await_owner", new_id, 0, node),
        Step("commit", slot=0),
        Step("tell"),
    )
    return Plan(plan_id, "add", what, why, (new_id,), world.version, (world.changed(new),), steps)


def ground_beside(ground: Bounds, side: str, width: float, depth: float) -> Bounds:
    """A rectangle of `width` (x) and `depth` (z) metres that shares that side of the ground, from its lower corner on."""
    x, z = {
        "north": (ground.min_x, ground.max_z),
        "east": (ground.max_x, ground.min_z),
        "south": (ground.min_x, ground.min_z - depth),
        "west": (ground.min_x - width, ground.min_z),
    }.get(side, (None, None))
    if x is None or z is None:
        raise InvalidInput([("side", f"must be one of {', '.join(SIDES)}")])
    if min(x, z) < -FARTHEST_M or max(x + width, z + depth) > FARTHEST_M:
        raise Conflict("the_world_ends_there", {"at": FARTHEST_M})
    try:
        return Bounds(min_x=x, min_z=z, max_x=x + width, max_z=z + depth)
    except ValidationError as error:  # a template of nearly nothing
        raise InvalidInput([("template", error.errors()[0]["msg"])]) from error


def remove(
    world: WorldMap,
    zone_id: str,
    *,
    plan_id: str,
    seen: ZoneSeen | None,
    why: str = "a command",
    running: Plan | None = None,
) -> Plan:
    """An added zone in which nobody is goes, with its ground. Who comes meanwhile stops it; later ones find it closed.

    `seen`: its owner now, None if it does not answer.
    """
    nothing_else(running)
    zone = settled(world, zone_id)
    if not zone.template:
        raise Conflict("zone_is_declared", {"zone": zone_id})
    if seen is None:
        raise Conflict("zone_does_not_answer", {"zone": zone_id})
    if seen.population:
        raise Conflict("zone_is_not_empty", {"zone": zone_id, "entities": seen.population})
    steps = (
        Step("retire", zone_id),
        Step("commit", slot=0),
        Step("stop", zone_id, 0),
        Step("stop", zone_id, 1),
    )
    after = world.changed(without=(zone_id,))
    return Plan(plan_id, "remove", f"remove {zone_id}, which is empty", why, (zone_id,), world.version, (after,), steps)


def standby(
    world: WorldMap, zone_id: str, on: bool, *, plan_id: str, why: str = "a command", running: Plan | None = None
) -> Plan:
    """Whether a second actor follows the zone, whatever the settings say."""
    nothing_else(running)
    zone = settled(world, zone_id)
    if zone.ordered and zone.standby == on:
        raise Conflict("already_so", {"zone": zone_id, "standby": on})
    after = world.changed(replace(zone, standby=on, ordered=True))
    what = f"{'give' if on else 'take'} {zone_id} {'a' if on else 'its'} standby{'' if on else ' away'}"
    steps = (Step("commit", slot=0), Step("tell"))
    return Plan(plan_id, "standby", what, why, (zone_id,), world.version, (after,), steps)
