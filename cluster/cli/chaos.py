"""`rayrealm chaos`: breaks a realm under players, and judges what they saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.down import Url
from cluster.cli.status import AsJson

Seed = Annotated[int, typer.Option(help="The same seed and seconds are the same faults at the same times.")]
Seconds = Annotated[
    float,
    typer.Option(
        min=1.0, help="How long; with 120 or more, 130 with --standby, each kind of fault comes at least once."
    ),
]
Bots = Annotated[int, typer.Option(min=2, help="How many players walk and write.")]
Gateways = Annotated[int, typer.Option(min=2, max=64, help="Of the realm that is started.")]
Kinds = Annotated[str | None, typer.Option(help="Only these kinds of fault, separated by commas.")]
Standby = Annotated[bool, typer.Option("--standby", help="Each zone has a standby, which takes over.")]
Plan = Annotated[bool, typer.Option("--plan", help="Print the schedule and do nothing.")]
Plant = Annotated[
    str | None, typer.Option(help="Plant a bug into the realm that is started: the run must then find it.")
]
Keep = Annotated[Path | None, typer.Option("--history", help="Keep the recorded history in this file.")]


def chaos(
    seed: Seed = 1,
    seconds: Seconds = 120.0,
    bots: Bots = 16,
    gateways: Gateways = 2,
    kinds: Kinds = None,
    standby: Standby = False,
    plan: Plan = False,
    plant: Plant = None,
    history: Keep = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Try to break a realm under players who walk and write: kill, freeze, cut, drain, split its parts, and check every promise."""
    from cluster.chaos.cli import Wish
    from cluster.chaos.cli import chaos as run

    wish = Wish(seed, seconds, bots, gateways, kinds.split(",") if kinds else None, plant, history, url, standby)
    raise typer.Exit(run(wish, plan_only=plan, as_json=as_json))
