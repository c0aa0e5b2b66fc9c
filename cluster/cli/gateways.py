"""`rayrealm gateways`: how many there are, and how full (rows 1.6 and 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, DryRun, run_action, run_look
from cluster.cli.down import Url
from cluster.operations.gateways import MOST

app = typer.Typer(help="Gateways.", no_args_is_help=True)


@app.callback()
def gateways() -> None:
    """The processes that hold the players' sockets."""


@app.command("list")
def list_gateways(url: Url = None, as_json: AsJson = False) -> None:
    """Every gateway with its sockets and its capacity."""
    run_look("gateways.list", {}, url, as_json, describe)


@app.command("scale")
def scale(
    count: Annotated[int, typer.Argument(min=1, max=MOST, help="How many there should be.")],
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Start or stop gateways, and wait until it is done. A gateway that is stopped sends its clients elsewhere first."""
    run_action("gateways.scale", {"count": count}, url, as_json=as_json, dry_run=dry_run, text=describe, steps=False)


def describe(found: dict[str, Any]) -> Iterable[str]:
    for row in found["gateways"]:
        yield f"{row['gateway']}  {row['sockets']} of {row['capacity']}{'  draining' if row['draining'] else ''}"
