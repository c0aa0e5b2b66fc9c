"""`rayrealm bench`: measurements. Each starts a realm of its own in a temporary folder, unless it is given one."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.down import Url
from cluster.cli.status import AsJson

app = typer.Typer(help="Measurements.", no_args_is_help=True)

Clients = Annotated[int, typer.Option(min=1, help="How many.")]
Seconds = Annotated[float, typer.Option(min=1.0, help="For how long, after the warm-up.")]
Gateways = Annotated[int | None, typer.Option(min=1, max=64, help="Of the realm that is started.")]


@app.command()
def crowd(
    clients: Clients = 400,
    seconds: Seconds = 15.0,
    zones: Annotated[int, typer.Option(min=1, max=64, help="That the players are spread over.")] = 1,
    gateways: Gateways = None,
    tls: Annotated[bool, typer.Option("--tls", help="Over TLS, to a realm of its own.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Many players in one zone or several, who all move: what arrives at the clients, how late, and what it costs."""
    from cluster.bench.cli import bench_crowd

    raise typer.Exit(bench_crowd(clients, seconds, url, as_json, gateways, zones, tls))


@app.command()
def guesses(
    samples: Annotated[int, typer.Option(min=20, max=100_000, help="Of each kind.")] = 1_000,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Failed logins of accounts that exist and of others: whether their times tell which is which."""
    from cluster.bench.cli import bench_guesses

    raise typer.Exit(bench_guesses(samples, url, as_json))


@app.command()
def idle(
    clients: Clients = 2_000,
    seconds: Seconds = 15.0,
    gateways: Gateways = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Many sockets that do nothing: the memory that each takes in the server's processes."""
    from cluster.bench.cli import bench_idle

    raise typer.Exit(bench_idle(clients, seconds, url, as_json, gateways))


@app.command()
def kills(clients: Clients = 50, gateways: Gateways = None, url: Url = None, as_json: AsJson = False) -> None:
    """kill -9 of a zone, the session actor, the presence actor and a gateway under players: when each walks again."""
    from cluster.bench.cli import bench_kills

    raise typer.Exit(bench_kills(clients, url, as_json, gateways))


@app.command()
def storm(clients: Clients = 1_000, as_json: AsJson = False) -> None:
    """kill -9 of a gateway that holds all sockets: when 50, 99 and 100 % of them are back, and what they missed."""
    from cluster.bench.cli import bench_storm

    raise typer.Exit(bench_storm(clients, as_json))


@app.command()
def drain(
    clients: Clients = 500,
    deadline: Annotated[float, typer.Option(min=1.0, max=60.0, help="Seconds the gateway may take.")] = 20.0,
    as_json: AsJson = False,
) -> None:
    """A gateway with many walking players is drained: how long each of them saw nothing, and what it missed."""
    from cluster.bench.cli import bench_drain

    raise typer.Exit(bench_drain(clients, deadline, as_json))


@app.command()
def limits(seconds: Seconds = 5.0, as_json: AsJson = False) -> None:
    """What limits cost: a gateway's own, by message, and those that gateways share, by call of an embedded Valkey."""
    from cluster.bench.cli import bench_limits

    raise typer.Exit(bench_limits(seconds, as_json))


@app.command()
def tick(
    entities: Annotated[int, typer.Option(min=2, max=65_536, help="How many; each sees twenty others.")] = 1_000,
    ticks: Annotated[int, typer.Option(min=1, help="How many, after the warm-up.")] = 200,
    moving: Annotated[float, typer.Option(min=0.01, max=1.0, help="The share that moves in a tick.")] = 0.5,
    as_json: AsJson = False,
) -> None:
    """A zone in this process: how long the parts of its tick take, and the bytes of an update on the wire."""
    from cluster.bench.cli import bench_tick

    raise typer.Exit(bench_tick(entities, ticks, moving, as_json))


@app.command()
def borders(
    bots: Annotated[int, typer.Option("--bots", min=2, help="How many.")] = 200,
    seconds: Seconds = 60.0,
    gateways: Gateways = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Players who walk over the borders of four zones all day: whether any of them notices."""
    from cluster.bench.cli import bench_borders

    raise typer.Exit(bench_borders(bots, seconds, url, as_json, gateways))


@app.command()
def reshape(clients: Clients = 200, gateways: Gateways = None, as_json: AsJson = False) -> None:
    """A zone is split, restarted, merged, killed and taken over under its players: how long each of them saw nothing."""
    from cluster.bench.cli import bench_reshape

    raise typer.Exit(bench_reshape(clients, as_json, gateways))


@app.command()
def chat(
    members: Annotated[int, typer.Option(min=1, help="Of the channel.")] = 500,
    per_s: Annotated[float, typer.Option(min=0.1, help="Messages a second, of all together.")] = 20.0,
    seconds: Seconds = 15.0,
    gateways: Gateways = None,
    as_json: AsJson = False,
) -> None:
    """A channel with many members in which somebody talks all the time: how late messages are, and what they cost."""
    from cluster.bench.cli import bench_chat

    raise typer.Exit(bench_chat(members, per_s, seconds, as_json, gateways))


@app.command()
def abuse(
    seed: Annotated[int, typer.Option(min=0, help="The first.")] = 201,
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="How many, one after another.")] = 5,
    minutes: Annotated[int, typer.Option(min=10, max=600, help="Of virtual time, for each.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Seeded players and attackers in virtual time through the watch's own code: who is found, how soon, and who wrongly."""
    from cluster.bench.cli import bench_abuse

    raise typer.Exit(bench_abuse(range(seed, seed + seeds), minutes, as_json))


@app.command()
def presence(
    clients: Clients = 1_000,
    users: Annotated[int, typer.Option(min=1_000, help="In one index, without sockets.")] = 100_000,
    gateways: Gateways = None,
    as_json: AsJson = False,
) -> None:
    """A change of status until all who watch know, a bulk get, and the memory of a user in the presence index."""
    from cluster.bench.cli import bench_presence

    raise typer.Exit(bench_presence(clients, users, as_json, gateways))


@app.command()
def signing(
    messages: Annotated[int, typer.Option(min=100, max=1_000_000, help="In a round.")] = 20_000, as_json: AsJson = False
) -> None:
    """Signed messages in this process: what it costs to sign and to verify one, by size, and to agree on keys."""
    from cluster.bench.cli import bench_signing

    raise typer.Exit(bench_signing(messages, as_json))


@app.command()
def social(
    bots: Annotated[int, typer.Option("--bots", min=10, help="How many.")] = 200,
    seconds: Annotated[float, typer.Option(min=10.0, help="For how long.")] = 60.0,
    gateways: Gateways = None,
    as_json: AsJson = False,
) -> None:
    """kill -9 of the presence actor and of NATS under people who change status and chat: whether they are told what is not so."""
    from cluster.bench.cli import bench_social

    raise typer.Exit(bench_social(bots, seconds, as_json, gateways))
