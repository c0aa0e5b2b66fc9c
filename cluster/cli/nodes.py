"""`rayrealm nodes`: the machines that the realm runs on (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, DryRun, run_look
from cluster.cli.down import Url
from cluster.cli.zones import WAIT_S, Wait, drain_node

GIB = 1024**3

app = typer.Typer(help="Nodes.", no_args_is_help=True)

Node = Annotated[str, typer.Argument(help="A node: its id or the beginning of it, its host, its address or its name.")]


@app.command("list")
def list_nodes(url: Url = None, as_json: AsJson = False) -> None:
    """Every node of the Ray cluster with its load and what of the realm runs there."""
    run_look("nodes.list", {}, url, as_json, describe)


def describe(found: dict[str, Any]) -> Iterable[str]:
    for node in found["nodes"]:
        memory = f"{node['memory_used'] / GIB:.1f} of {node['memory_total'] / GIB:.1f} GiB"
        more = "  head" * node["head"] + "  draining" * node["draining"]
        runs = f"{node['zones']} zones, {node['gateways']} gateways, {node['processes']} processes"
        yield f"{node['node'][:12]}  {node['host']:<20} {runs:<44} cpu {node['cpu']:.0f} %  {memory}{more}"


@app.command("drain")
def drain(
    node: Node,
    keep_gateways: Annotated[bool, typer.Option("--keep-gateways", help="Its gateways keep their clients.")] = False,
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Move the zones and the clients of a node elsewhere, and bring none there."""
    drain_node(node, False, not keep_gateways, dry_run, wait, url, as_json)


@app.command("undrain")
def undrain(node: Node, dry_run: DryRun = False, wait: Wait = WAIT_S, url: Url = None, as_json: AsJson = False) -> None:
    """Have a node take zones again."""
    drain_node(node, True, False, dry_run, wait, url, as_json)
