"""`rayrealm zones`: what the console's buttons do to the world (row 7.3)."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from cluster import running
from cluster.adapters.nats_bus import NatsBus
from cluster.cli.down import Url
from cluster.cli.status import AsJson, processes_of
from cluster.errors import InvalidInput, NotFound, Ours, StartRefused, Theirs, Unavailable
from cluster.ports.bus import Bus
from cluster.ports.calls import zone_actor
from cluster.processes_here import Process
from cluster.running import RunningRealm
from cluster.settings import NatsSettings
from cluster.subjects import Subjects
from cluster.telemetry.logs import configure
from cluster.world_control import ask

LOOK_S = 3.0  # for what the supervisor has at hand
ASK_S = 10.0  # for a plan: it asks the zone first
ASK_AGAIN_S = 20.0  # the supervisor may be restarting, and an answer lost with the one before
LOOKS = frozenset({"zones", "nodes", "state"})
PAUSE_S = 0.25
WAIT_S = 300.0

app = typer.Typer(help="Zones.", no_args_is_help=True)

Zone = Annotated[str, typer.Argument(help="A zone, as `rayrealm zones list` names it.")]
Node = Annotated[str, typer.Option(help="A node: its id or the beginning of it, its host, its address or its name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, and change nothing.")]
Wait = Annotated[float, typer.Option(min=0.0, help="Seconds to wait for the end; it goes on after that.")]

Question = Callable[[str, dict[str, Any]], Awaitable[Any]]


@app.callback()
def zones() -> None:
    """The ground of the realm, and which process owns which part of it."""


@app.command("list")
def list_zones(url: Url = None, as_json: AsJson = False) -> None:
    """Every zone with its bounds in metres, its load, its process and its node; and the nodes."""
    realm = running.find(running.folder(), url)

    async def both(question: Question) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        return await question("zones", {}), await question("nodes", {})

    found, nodes = _talk(realm, both)
    rows = with_processes(found, processes_of(realm))
    if as_json:
        print(json.dumps({"zones": rows, "nodes": nodes}))
        return
    for row in rows:
        print(describe(row))
    for node in nodes:
        print(f"node {node['node'][:12]}  {node['host']}  {node['zones']} zones{'  draining' * node['draining']}")


def with_processes(zones: list[dict[str, Any]], processes: list[Process]) -> list[dict[str, Any]]:
    """What the supervisor says, and which process that is. `node` is the host, as `rayrealm status` has it; `node_id` is Ray's."""
    by_name = {process.name: process for process in processes}
    rows = []
    for zone in zones:
        owner = by_name.get(zone_actor(zone["zone"], zone["slot"]))
        place = {"node": owner.node if owner else zone["host"] or None, "node_id": zone["node"]}
        process = {"pid": owner.pid if owner else None, "alive": owner.alive if owner else False}
        rows.append({**zone, **place, **process})
    return rows


def describe(row: dict[str, Any]) -> str:
    bounds = row["bounds"]
    ground = f"x {bounds['min_x']:g}..{bounds['max_x']:g}  z {bounds['min_z']:g}..{bounds['max_z']:g}"
    if row["into"]:
        ground = f"goes into {row['into']}"
    load = "away" if row["role"] == "away" else f"{row['population']} entities, ticks {row['tick_ms_p95']:.1f} ms"
    return f"{row['zone']:<24} {row['name']:<20} {ground:<30} {load:<32} pid {row['pid']}  {row['node']}"


@app.command("split")
def split(zone: Zone, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None) -> None:
    """Cut a zone in two, along the axis and at the place that best halve its load."""
    _carry_out("split", [zone], dry_run, wait, url)


@app.command("merge")
def merge(
    zone: Zone,
    other: Annotated[str, typer.Argument(help="A zone with a full edge in common.")],
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    url: Url = None,
) -> None:
    """Give the ground of two zones to one of them."""
    _carry_out("merge", [zone, other], dry_run, wait, url)


@app.command("move")
def move(zone: Zone, node: Node, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None) -> None:
    """Have a zone run on another node."""
    _carry_out("move", [zone, node], dry_run, wait, url)


@app.command("restart")
def restart(zone: Zone, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None) -> None:
    """Start a zone again on its node, with the code that is installed now. Nobody is dropped."""
    _carry_out("restart", [zone], dry_run, wait, url)


@app.command("drain")
def drain(
    node: Node,
    undo: Annotated[bool, typer.Option("--undo", help="It takes zones again.")] = False,
    wait: Wait = WAIT_S,
    url: Url = None,
) -> None:
    """Move all zones away from a node, and bring none there."""
    realm = running.find(running.folder(), url)

    async def emptied(question: Question) -> tuple[str, int]:
        found = await _asked(question, "drain", {"node": node, "undo": undo})
        left = 0 if undo else await until_empty(question, found["node"], wait, time.monotonic)
        return found["host"], left

    host, left = _talk(realm, emptied)
    if left:
        raise Ours(f"{left} zones are still on {host} after {wait:.0f} s; it drains on, see `rayrealm zones plan`")
    print(f"{host} takes zones again" if undo else f"{host} has no zones")


@app.command("plan")
def plan(url: Url = None, as_json: AsJson = False) -> None:
    """What is being carried out, how the last plan ended, and why the policy does nothing."""
    state = _talk(running.find(running.folder(), url), lambda question: question("state", {}))
    if as_json:
        print(json.dumps(state))
        return
    for line in describe_state(state):
        print(line)


def describe_state(state: dict[str, Any]) -> list[str]:
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


# --- talking to the supervisor -------------------------------------------------------------------------------------


def _carry_out(kind: str, args: list[str], dry_run: bool, wait: float, url: str | None) -> None:
    realm = running.find(running.folder(), url)
    if dry_run:
        print(_talk(realm, lambda question: _asked(question, "plan", {"kind": kind, "args": args})))
        return

    async def begun_and_ended(question: Question) -> dict[str, Any] | None:
        plan_id = f"pln_{secrets.token_hex(4)}"
        print(await _asked(question, "execute", {"kind": kind, "args": args, "plan_id": plan_id}), flush=True)
        return await until_ended(question, plan_id, wait, time.monotonic)

    last = _talk(realm, begun_and_ended)
    if last is None:
        raise Ours(f"not done after {wait:.0f} s; it goes on, see `rayrealm zones plan`")
    if last["outcome"] != "done":
        raise Ours(f"{last['outcome']}: {last['why']}")
    print("done")


async def _asked(question: Question, method: str, params: dict[str, Any]) -> Any:
    """What names something that is not there, or is no such thing, is wrong usage."""
    try:
        return await question(method, params)
    except (NotFound, InvalidInput) as error:
        raise StartRefused(str(error)) from error
    except Theirs as error:
        current = getattr(error, "current", {})
        raise Ours(f"{error}{': ' * bool(current)}{', '.join(f'{k} {v}' for k, v in current.items())}") from error


async def until_ended(
    question: Question, plan_id: str, wait_s: float, clock: Callable[[], float]
) -> dict[str, Any] | None:
    """How the plan ended; None if that takes longer. Prints each step that is done."""
    until, told = clock() + wait_s, 0
    while True:
        state = await question("state", {})
        last, now = state["last"], state["plan"]
        if last is not None and last["id"] == plan_id:
            return dict(last)
        if now is None or now["id"] != plan_id:
            raise Ours(
                f"the plan {plan_id} is not there any more: it may have been taken back; see `rayrealm zones plan`"
            )
        for step in now["steps"][told : now["done"]]:
            print(f"  done: {step}", flush=True)
        told = max(told, now["done"])
        if clock() > until:
            return None
        await asyncio.sleep(PAUSE_S)


async def until_empty(question: Question, node: str, wait_s: float, clock: Callable[[], float]) -> int:
    """How many zones are left there, after that time at most. A zone that is away counts."""
    until = clock() + wait_s
    while True:
        found = await question("zones", {})
        left: int = sum(zone["node"] == node or zone["role"] == "away" for zone in found)
        if not left or clock() > until:
            return left
        await asyncio.sleep(PAUSE_S)


def _talk(realm: RunningRealm, what: Callable[[Question], Awaitable[Any]]) -> Any:
    return asyncio.run(_over_the_bus(realm, what))


async def _over_the_bus(realm: RunningRealm, what: Callable[[Question], Awaitable[Any]]) -> Any:
    details = realm.details()
    if "nats_url" not in details:
        raise Ours(f"{realm.url} is just stopping")
    configure("warning")  # structlog as it comes writes to stdout
    settings = NatsSettings(url=SecretStr(details["nats_url"]), token=SecretStr(details["nats_token"]))
    bus = await NatsBus.connect(settings, "rayrealm-zones")
    try:
        return await what(questions(bus, Subjects(realm.namespace).world_control(), time.monotonic))
    finally:
        await bus.close()


def questions(bus: Bus, subject: str, clock: Callable[[], float]) -> Question:
    """To the supervisor. All of them may be asked again, and are for as long as it may take to restart it."""

    async def question(method: str, params: dict[str, Any]) -> Any:
        until = clock() + ASK_AGAIN_S
        while True:
            try:
                return await ask(bus, subject, method, params, LOOK_S if method in LOOKS else ASK_S)
            except Unavailable:
                if clock() > until:
                    raise
            await asyncio.sleep(PAUSE_S)

    return question
