"""`rayrealm zones`: what the console's buttons do to the world (rows 7.3 and 7.8)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, DryRun, Shell, run_action, run_look, talk
from cluster.cli.down import Url
from cluster.operations.plans import PlanDone

PAGE = 500
WAIT_S = 300.0

app = typer.Typer(help="Zones.", no_args_is_help=True)

Zone = Annotated[str, typer.Argument(help="A zone, as `rayrealm zones list` names it.")]
Node = Annotated[str, typer.Option(help="A node: its id or the beginning of it, its host, its address or its name.")]
Wait = Annotated[float, typer.Option(min=0.0, help="Seconds to wait for the end; it goes on after that.")]


@app.callback()
def zones() -> None:
    """The ground of the realm, and which process owns which part of it."""


@app.command("list")
def list_zones(url: Url = None, as_json: AsJson = False) -> None:
    """Every zone with its bounds in metres, its load, its process and its node; and the nodes."""

    async def both(shell: Shell) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        found: list[dict[str, Any]] = []
        while True:
            page = await shell.look("zones.list", {"offset": len(found), "limit": PAGE})
            found += page["zones"]
            if not page["zones"] or len(found) >= page["total"]:
                return [row(zone) for zone in found], (await shell.look("nodes.list", {}))["nodes"]

    rows, nodes = talk(url, both)
    if as_json:
        print(json.dumps({"zones": rows, "nodes": nodes}))
        return
    for zone in rows:
        print(describe(zone))
    for node in nodes:
        print(f"node {node['node'][:12]}  {node['host']}  {node['zones']} zones{'  draining' * node['draining']}")


def row(zone: Mapping[str, Any]) -> dict[str, Any]:
    """`node` is the host, as `rayrealm status` has it; `node_id` is Ray's. Without a process `pid` and `node` are null."""
    here = zone["role"] == "owner"
    place = {"node": zone["host"] or None, "node_id": zone["node"]}
    return {**zone, **place, "pid": zone["pid"] or None, "alive": here}


def describe(zone: Mapping[str, Any]) -> str:
    bounds = zone["bounds"]
    ground = f"x {bounds['min_x']:g}..{bounds['max_x']:g}  z {bounds['min_z']:g}..{bounds['max_z']:g}"
    if zone["into"]:
        ground = f"goes into {zone['into']}"
    load = "away" if zone["role"] == "away" else f"{zone['population']} entities, ticks {zone['tick_ms_p95']:.1f} ms"
    return f"{zone['zone']:<24} {zone['name']:<20} {ground:<30} {load:<32} pid {zone['pid']}  {zone['node']}"


@app.command("show")
def show(zone: Zone, url: Url = None, as_json: AsJson = False) -> None:
    """One zone: its load, its processes, and what was done to it."""

    def text(found: dict[str, Any]) -> Iterable[str]:
        yield describe(row(found["zone"]))
        for process in found["processes"]:
            role = process["values"].get("role", "")
            yield f"  {role:<10} {process['name']:<32} pid {process['pid']}  {process['host']}  {process['version']}"
        for entry in found["audit"]:
            yield f"  {entry['actor']}  {entry['action']}  {entry['result']}"

    run_look("zones.show", {"zone": zone}, url, as_json, text)


@app.command("split")
def split(zone: Zone, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None, as_json: AsJson = False) -> None:
    """Cut a zone in two, along the axis and at the place that best halve its load."""
    _carry_out("split", {"zone": zone}, dry_run, wait, url, as_json)


@app.command("merge")
def merge(
    zone: Zone,
    other: Annotated[str, typer.Argument(help="A zone with a full edge in common.")],
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Give the ground of two zones to one of them."""
    _carry_out("merge", {"zone": zone, "other": other}, dry_run, wait, url, as_json)


@app.command("move")
def move(
    zone: Zone, node: Node, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None, as_json: AsJson = False
) -> None:
    """Have a zone run on another node."""
    _carry_out("move", {"zone": zone, "node": node}, dry_run, wait, url, as_json)


@app.command("restart")
def restart(zone: Zone, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None, as_json: AsJson = False) -> None:
    """Start a zone again on its node, with the code that is installed now. Nobody is dropped."""
    _carry_out("restart", {"zone": zone}, dry_run, wait, url, as_json)


@app.command("standby")
def standby(
    zone: Zone,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether a second actor follows the zone.")],
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have a second actor follow a zone and take over when the first one falls silent; or no more."""
    _carry_out("standby", {"zone": zone, "on": on}, dry_run, wait, url, as_json)


@app.command("add")
def add(
    template: Annotated[str, typer.Argument(help="A name in the setting console.templates.")],
    beside: Annotated[str, typer.Option(help="The zone next to which it begins.")],
    side: Annotated[str, typer.Option(help="north (+z), east (+x), south or west of that zone.")],
    name: Annotated[str | None, typer.Option(help="What players are shown; the template's name if not given.")] = None,
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Add a zone from a template, on ground that is nobody's. Players walk in over the border."""
    params = {"template": template, "beside": beside, "side": side, "name": name}
    _carry_out("add", params, dry_run, wait, url, as_json)


@app.command("remove")
def remove(zone: Zone, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None, as_json: AsJson = False) -> None:
    """Remove a zone that was added, and in which nobody is."""
    _carry_out("remove", {"zone": zone}, dry_run, wait, url, as_json)


@app.command("drain")
def drain(
    node: Node,
    undo: Annotated[bool, typer.Option("--undo", help="It takes zones again.")] = False,
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Move all zones away from a node, and bring none there. `rayrealm nodes drain` empties its gateways, too."""
    drain_node(node, undo, False, dry_run, wait, url, as_json)


def drain_node(
    node: str, undo: bool, gateways: bool, dry_run: bool, wait: float, url: str | None, as_json: bool
) -> None:
    name, params = ("nodes.undrain", {"node": node}) if undo else ("nodes.drain", {"node": node, "gateways": gateways})
    said = f"{node} takes zones again" if undo else f"{node} has no zones"
    run_action(name, params, url, as_json=as_json, dry_run=dry_run, wait_s=wait, text=lambda _: (said,), steps=not undo)


@app.command("plan")
def plan(url: Url = None, as_json: AsJson = False) -> None:
    """What is being carried out, how the last plan ended, and why the policy does nothing."""
    run_look("zones.plan", {}, url, as_json, describe_state)


def describe_state(state: Mapping[str, Any]) -> list[str]:
    lines = [f"map {state['map_version']}"]
    if (now := state["plan"]) is not None:
        lines.append(now["text"])
        lines.append(f"  {now['done']} of {len(now['steps'])} steps are done")
        if now["undoing"]:
            lines.append(f"  it is rolled back: {now['undoing']}")
    else:
        lines.append("no plan is being carried out")
    if (last := state["last"]) is not None:
        lines.append(f"last: {last['what']}: {last['outcome']}{': ' * bool(last['why'])}{last['why']}")
    lines += [f"draining: {node}" for node in state["draining"]]
    lines += [f"policy: {reason}" for reason in state["policy"]]
    return lines


def _carry_out(
    kind: str, params: Mapping[str, Any], dry_run: bool, wait: float, url: str | None, as_json: bool
) -> None:
    run_action(f"zones.{kind}", params, url, as_json=as_json, dry_run=dry_run, wait_s=wait, text=_done)


def _done(result: dict[str, Any]) -> Iterable[str]:
    done = PlanDone.model_validate(result)
    yield f"{done.outcome}{': ' * bool(done.why)}{done.why}"
