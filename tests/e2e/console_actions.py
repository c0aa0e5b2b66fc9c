"""What operators can do to the mock console's world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.console_parts import MockAction, Params, Refusal

if TYPE_CHECKING:
    from tests.e2e.console_world import ConsoleWorld


def actions_of(world: ConsoleWorld) -> dict[str, MockAction]:
    """Each by its name."""

    def zone(params: Params) -> str:
        name = str(params["zone"])
        if name not in world.zones:
            raise Refusal(404, "no_such_zone", f"There is no zone {name}.")
        return name

    def named(params: Params) -> str:
        return str(params.get("node") or ", ".join(params["gateways"]))

    def meant(params: Params) -> list[str]:
        if params.get("gateways"):
            return list(params["gateways"])
        return [name for name, each in world.gateways.items() if each["node"] == params["node"]]

    return {
        "zones.split": MockAction(
            lambda p: [f"Save {zone(p)}", "Start two halves", "Hand its players over", "Publish the new map"],
            lambda p: world.split(p["zone"]),
            zone,
            lambda p: [f"{world.zones[p['zone']]['population']} players wait for up to 200 ms."],
            summary="Divides a zone's ground in two, each half with a process of its own.",
        ),
        "zones.merge": MockAction(
            lambda p: [f"Save {zone(p)} and {p['other']}", "Start the one that takes both", "Hand the players over"],
            lambda p: world.merge(p["zone"], p["other"]),
            zone,
            summary="Makes one zone of two neighbours.",
        ),
        "zones.move": MockAction(
            lambda p: [f"Start {zone(p)} on {p['node']}", "Hand its players over", "Stop the old process"],
            lambda p: world.move(p["zone"], p["node"]),
            zone,
            summary="Moves a zone's process to another node.",
        ),
        "zones.restart": MockAction(
            lambda p: [f"Stop the process of {zone(p)}", "Start it again from its newest checkpoint"],
            lambda p: world.change(p["zone"], restarts=world.zones[p["zone"]]["restarts"] + 1),
            zone,
            lambda p: ["Players there see nothing for about a second."],
            summary="Restarts a zone's process.",
            dangerous=True,
            cancellable=False,
        ),
        "zones.standby": MockAction(
            lambda p: [f"{'Start' if p['on'] else 'Stop'} a standby of {zone(p)}"],
            lambda p: world.change(p["zone"], standby=p["on"]),
            zone,
            summary="Whether a second process follows the zone and takes over at once if it dies.",
        ),
        "zones.add": MockAction(
            lambda p: [f"Lay out {p['template']} to the {p['side']} of {p['beside']}", "Start it", "Publish the map"],
            lambda p: world.add(p["beside"], p["side"], p.get("name")),
            lambda p: str(p["beside"]),
            summary="Adds a zone beside another one.",
        ),
        "nodes.drain": MockAction(
            lambda p: [f"Give {p['node']} nothing new", "Move its zones to other nodes", "Drain its gateways"],
            lambda p: world.drain_node(p["node"]),
            named,
            lambda p: ["Its players' connections move to other gateways."],
            summary="Empties a node, so that it can be taken away.",
            dangerous=True,
        ),
        "nodes.undrain": MockAction(
            lambda p: [f"Let {p['node']} take zones again"],
            lambda p: world.undrain_node(p["node"]),
            named,
            summary="Gives a drained node work again.",
        ),
        "gateways.drain": MockAction(
            lambda p: [f"Ask the clients of {each} to connect again elsewhere" for each in meant(p)],
            lambda p: world.drain_gateways(meant(p)),
            named,
            summary="Moves all clients of a gateway to others.",
            dangerous=True,
        ),
        "gateways.scale": MockAction(
            lambda p: [f"Run {p['count']} gateways"],
            lambda p: world.scale(int(p["count"])),
            lambda p: str(p["count"]),
            summary="How many gateways there are.",
        ),
    }
