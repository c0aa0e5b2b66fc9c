"""`rayrealm zones`: what the console's buttons do."""

from __future__ import annotations

import json

import typer

from cluster import running
from cluster.cli.down import Url
from cluster.cli.status import AsJson, processes_of
from cluster.ports.calls import zone_actor

app = typer.Typer(help="Zones.", no_args_is_help=True)


@app.callback()
def zones() -> None:
    """The ground of the realm, and which process owns which part of it."""


@app.command("list")
def list_zones(url: Url = None, as_json: AsJson = False) -> None:
    """Every zone with its bounds in metres, its process and its node."""
    realm = running.find(running.folder(), url)
    owners = {process.name: process for process in processes_of(realm)}
    rows = []
    for zone in realm.details()["zones"]:
        owner = owners.get(zone_actor(zone["id"]))
        rows.append(
            {
                "zone": zone["id"],
                "name": zone["name"],
                "bounds": zone["bounds"],
                "pid": owner.pid if owner else None,
                "node": owner.node if owner else None,
                "alive": owner.alive if owner else False,
            }
        )
    if as_json:
        print(json.dumps({"zones": rows}))
        return
    for row in rows:
        bounds = row["bounds"]
        ground = f"x {bounds['min_x']:g}..{bounds['max_x']:g}  z {bounds['min_z']:g}..{bounds['max_z']:g}"
        print(f"{row['zone']:<24} {row['name']:<20} {ground:<30} pid {row['pid']}  {row['node']}")
