"""`rayrealm history`: the last hour's figures, as the console keeps them (row 7.8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cluster.cli.desk import AsJson, run_look
from cluster.cli.down import Url


def history(
    zone: Annotated[str, typer.Option(help="Of this zone.")] = "",
    gateway: Annotated[str, typer.Option(help="Of this gateway.")] = "",
    node: Annotated[str, typer.Option(help="Of this node.")] = "",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Figures of the last hour: the newest, the least and the most of each. `--json` has all of them."""
    params = {name: value for name, value in (("zone", zone), ("gateway", gateway), ("node", node)) if value}
    run_look("history.show", params, url, as_json, describe)


def describe(found: dict[str, Any]) -> Iterable[str]:
    """A line for each series."""
    yield f"since {datetime.fromtimestamp(found['since'], UTC):%Y-%m-%d %H:%M:%SZ}, every {found['samples_s']:g} s"
    for name, points in found["series"].items():
        values = [value for _, value in points if value is not None]
        if values:
            yield f"{name:<40} {values[-1]:>12g}  (least {min(values):g}, most {max(values):g})"
