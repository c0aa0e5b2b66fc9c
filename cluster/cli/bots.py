"""`rayrealm bots`: simulated players over the public protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster import running
from cluster.cli.down import Url

Count = Annotated[int, typer.Option(min=1, help="How many.")]
Seconds = Annotated[float | None, typer.Option(min=0.0, help="For how long; until Ctrl-C if not given.")]


def bots(count: Count = 30, seconds: Seconds = None, url: Url = None) -> None:
    """Let simulated players walk around in a realm."""
    from cluster.bench.bots import run_bots

    run_bots(count, seconds, url_of(url))


def url_of(url: str | None) -> str:
    """The given one, or that of the realm that runs here."""
    return url.rstrip("/") if url else running.find(running.folder()).url
