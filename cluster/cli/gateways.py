"""`rayrealm gateways`: how many there are, and how full (row 1.6)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Annotated

import typer
from pydantic import SecretStr

from cluster import running
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.serve_scale import scale as scale_deployment
from cluster.cli.down import Url
from cluster.cli.drain import LISTEN_S, Heartbeats
from cluster.cli.status import AsJson
from cluster.errors import Ours
from cluster.running import RunningRealm
from cluster.settings import NatsSettings
from cluster.subjects import Subjects
from cluster.telemetry.logs import configure
from realm_proto import internal_pb2

MOST = 64
SCALE_DEADLINE_S = 120.0
PAUSE_S = 0.2
APPLICATION, DEPLOYMENT = "gateway", "Gateway"

app = typer.Typer(help="Gateways.", no_args_is_help=True)

Living = dict[str, internal_pb2.GatewayAlive]


@app.callback()
def gateways() -> None:
    """The processes that hold the players' sockets."""
    configure("warning")  # structlog as it comes writes to stdout


@app.command("list")
def list_gateways(url: Url = None, as_json: AsJson = False) -> None:
    """Every gateway with its sockets and its capacity."""
    realm = running.find(running.folder(), url)
    listen_until = time.monotonic() + LISTEN_S
    show(asyncio.run(_heard(realm, lambda _: time.monotonic() > listen_until)), as_json)


@app.command("scale")
def scale(
    count: Annotated[int, typer.Argument(min=1, max=MOST, help="How many there should be.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Start or stop gateways, and wait until it is done. A gateway that is stopped sends its clients elsewhere first."""
    realm = running.find(running.folder(), url)
    started = time.monotonic()
    scale_deployment({**realm.details(), "data": realm.data}, APPLICATION, DEPLOYMENT, count)
    living = asyncio.run(_heard(realm, lambda heard: time.monotonic() > started + LISTEN_S and settled(heard, count)))
    show(living, as_json)
    if not settled(living, count):
        raise Ours(f"there are {len(living)} gateways, not {count}, after {SCALE_DEADLINE_S:.0f} s")


def settled(living: Living, count: int) -> bool:
    return len(living) == count and not any(alive.draining for alive in living.values())


async def _heard(realm: RunningRealm, enough: Callable[[Living], bool]) -> Living:
    """The gateways that are heard, once it is `enough` or has lasted too long."""
    details = realm.details()
    settings = NatsSettings(url=SecretStr(details["nats_url"]), token=SecretStr(details["nats_token"]))
    bus = await NatsBus.connect(settings, "rayrealm-gateways")
    try:
        heartbeats = Heartbeats(time.monotonic)
        await bus.subscribe(Subjects(realm.namespace).gateway_alive(), heartbeats.heard)
        until = time.monotonic() + SCALE_DEADLINE_S
        while not enough(heartbeats.living()) and time.monotonic() < until:  # noqa: ASYNC110 - whoever is heard, and time
            await asyncio.sleep(PAUSE_S)
        return heartbeats.living()
    finally:
        await bus.close()


def show(living: Living, as_json: bool) -> None:
    rows = [
        {"gateway": name, "sockets": alive.sockets, "capacity": alive.capacity, "draining": alive.draining}
        for name, alive in sorted(living.items())
    ]
    if as_json:
        print(json.dumps({"gateways": rows}))
        return
    for row in rows:
        print(f"{row['gateway']}  {row['sockets']} of {row['capacity']}{'  draining' if row['draining'] else ''}")
