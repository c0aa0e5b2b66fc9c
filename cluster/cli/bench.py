"""`rayrealm bench`: measurements. Each starts a realm of its own in a temporary folder, unless it is given one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from cluster.cli.down import Url
from cluster.cli.status import AsJson
from cluster.own_realm import own_realm

app = typer.Typer(help="Measurements.", no_args_is_help=True)

Clients = Annotated[int, typer.Option(min=1, help="How many.")]
Seconds = Annotated[float, typer.Option(min=1.0, help="For how long, after the warm-up.")]
Gateways = Annotated[int, typer.Option(min=1, max=64, help="Of the realm that is started.")]


@app.command()
def crowd(
    clients: Clients = 400,
    seconds: Seconds = 15.0,
    gateways: Gateways = 2,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Many players in one zone, who all move: what arrives at the clients, how late, and what it costs."""
    from cluster.bench.cli import bench_crowd

    with _realm(url, gateways) as target:
        bench_crowd(clients, seconds, target, as_json)


@app.command()
def idle(
    clients: Clients = 2_000,
    seconds: Seconds = 15.0,
    gateways: Gateways = 2,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Many sockets that do nothing: the memory that each takes in the server's processes."""
    from cluster.bench.cli import bench_idle

    with _realm(url, gateways) as target:
        bench_idle(clients, seconds, target, as_json)


@app.command()
def kills(
    clients: Clients = 50,
    gateways: Gateways = 2,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """kill -9 of a zone, the session actor, the presence actor and a gateway under players: when each walks again."""
    from cluster.bench.cli import bench_kills

    with _realm(url, gateways) as target:
        bench_kills(clients, target, as_json)


@contextmanager
def _realm(url: str | None, gateways: int) -> Iterator[str]:
    """The address."""
    if url is not None:
        yield url.rstrip("/")
        return
    with own_realm(gateways=gateways) as realm:
        yield realm.url
