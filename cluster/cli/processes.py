"""`rayrealm processes`: those that say how they are, on every node (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, DryRun, run_action, run_look
from cluster.cli.down import Url

MIB = 1024**2

app = typer.Typer(help="Processes.", no_args_is_help=True)

Kind = Annotated[
    str, typer.Option(help="Only these: zone, gateway, sessions, presence, watch, web, supervisor, console.")
]
Name = Annotated[str, typer.Argument(help="A process, as `rayrealm status` names it.")]


@app.command("list")
def list_processes(kind: Kind = "", url: Url = None, as_json: AsJson = False) -> None:
    """Every process of the realm itself. `rayrealm status` has the servers of this machine, too."""
    run_look("processes.list", {"kind": kind}, url, as_json, describe)


def describe(found: dict[str, Any]) -> Iterable[str]:
    for process in found["processes"]:
        memory = f"{process['rss'] / MIB:.0f} MiB"
        yield f"{process['kind']:<12} {process['name']:<40} pid {process['pid']:<8} {memory:<9} {process['host']}"


@app.command("kill")
def kill(name: Name, dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """Kill a process at once, on whatever node it is. Only with console.chaos: to see that the realm bears it."""

    def text(killed: dict[str, Any]) -> Iterable[str]:
        yield f"killed {killed['name']} (pid {killed['pid']} on {killed['host']})"

    run_action("processes.kill", {"name": name}, url, as_json=as_json, dry_run=dry_run, text=text)
