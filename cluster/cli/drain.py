"""`rayrealm drain`: the clients of a gateway, or of all gateways of a node, connect elsewhere (row 1.9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, DryRun, run_action
from cluster.cli.down import Url
from cluster.errors import Conflict, InvalidInput, NotFound, Ours, StartRefused
from cluster.operations.gateways import MOST_S

Gateway = Annotated[list[str] | None, typer.Option(help="A gateway, as `rayrealm status` names it. May be repeated.")]
Node = Annotated[str | None, typer.Option(help="All gateways of a node, as `rayrealm status` names it.")]
Deadline = Annotated[
    float | None, typer.Option(min=0.0, max=MOST_S, help="Seconds, at most (and by default) gateway.drain_s.")
]
Force = Annotated[bool, typer.Option("--force", help="Even if no other gateway would take the clients.")]


def drain(
    gateway: Gateway = None,
    node: Node = None,
    deadline: Deadline = None,
    force: Force = False,
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have clients connect to other gateways, and wait until they have. A drained gateway takes no more clients."""
    if bool(gateway) == bool(node):
        raise StartRefused("say which: --gateway, once or several times, or --node")
    params = {"gateways": gateway or [], "node": node, "deadline_s": deadline, "force": force}
    wrong = (InvalidInput, NotFound, Conflict)
    done = run_action(
        "gateways.drain", params, url, as_json=as_json, dry_run=dry_run, text=describe, steps=False, wrong=wrong
    )
    if done is not None and any(result["left"] for result in done["gateways"]):
        raise Ours("not every socket was given up in time")


def describe(done: dict[str, Any]) -> Iterable[str]:
    for result in done["gateways"]:
        yield f"{result['gateway']}: {result['sockets']} sockets, {result['left']} left after {result['seconds']:.1f} s"
