"""`rayrealm leave`: this machine is about to end, as a pod before it is stopped (row 1.9). Its zones and its clients go elsewhere.

Needs no launcher and no token: it talks to the realm by the servers that the settings name. What does not go in time ends with the
machine, and comes back elsewhere as after any loss.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Callable
from typing import Annotated, Any

import orjson
import typer

from cluster import settings as realm_settings
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.processes import registered
from cluster.errors import RealmError, Unavailable
from cluster.ports.bus import Bus
from cluster.settings import Settings
from cluster.subjects import Subjects
from cluster.telemetry.logs import configure
from cluster.world_control import asking
from realm_proto import internal_pb2

LISTEN_S = 3.0  # two heartbeats and some
SILENCE_S = 5.0
PAUSE_S = 0.2

Say = Callable[[str], None]


def leave(
    zones_s: Annotated[float, typer.Option(min=0.0, max=600.0, help="Seconds for the zones to move.")] = 30.0,
) -> None:
    """Zones and clients of this machine go to others; to be called before it ends. Exit code 0, whatever went."""
    configure("warning")
    try:
        asyncio.run(_leave(realm_settings.load(), zones_s, print))
    except Unavailable as problem:  # the machine ends anyway
        print(f"left as it is: {problem}")


async def _leave(settings: Settings, zones_s: float, say: Say) -> None:
    host = socket.gethostname()
    client = connect(settings.redis, "leave")
    try:
        entries = [orjson.loads(said) for said in (await registered(client, settings.namespace)).values()]
    finally:
        await client.aclose()
    gateways = {entry["name"] for entry in entries if entry["node"] == host and entry["kind"] == "gateway"}
    bus = await NatsBus.connect(settings.nats, "leave")
    try:
        moved = asyncio.create_task(_zones(bus, settings, host, zones_s, say))
        await _clients(bus, settings, gateways, say)
        await moved
    finally:
        await bus.close()


async def _zones(bus: Bus, settings: Settings, host: str, within_s: float, say: Say) -> None:
    question = asking(bus, Subjects(settings.namespace).world_control(), time.monotonic, asyncio.sleep)
    zones = -1
    try:
        async with asyncio.timeout(within_s):
            node = (await question("drain", {"node": host}))["node"]
            while zones := _of(node, await question("nodes", {})):  # noqa: ASYNC110 - the supervisor tells nobody
                await asyncio.sleep(PAUSE_S)
        say("no zone is here any more")
    except TimeoutError:
        say(f"zones stay: {zones}" if zones >= 0 else "the supervisor does not answer")
    except RealmError as problem:  # no node of the world, or nobody to give them to
        say(f"zones stay: {problem}")


def _of(node: str, nodes: list[dict[str, Any]]) -> int:
    """How many zones it has."""
    return next((int(row["zones"]) for row in nodes if row["node"] == node), 0)


async def _clients(bus: Bus, settings: Settings, gateways: set[str], say: Say) -> None:
    """As `rayrealm drain --force`: who has nobody else to go to is told to come back."""
    subjects, heard = Subjects(settings.namespace), dict[str, tuple[float, internal_pb2.GatewayAlive]]()

    def hear(data: bytes) -> None:
        alive = internal_pb2.GatewayAlive.FromString(data)
        heard[alive.gateway_id] = time.monotonic(), alive

    def here() -> dict[str, int]:
        """Sockets of those that still have some."""
        now = time.monotonic()
        known = {name: heard[name] for name in gateways if name in heard and now - heard[name][0] < SILENCE_S}
        return {name: alive.sockets for name, (_, alive) in known.items() if alive.sockets or not alive.draining}

    await bus.subscribe(subjects.gateway_alive(), hear)
    await asyncio.sleep(LISTEN_S)
    drain = internal_pb2.GatewayDrain(deadline_s=math.inf)
    order = internal_pb2.GatewayControl(drain=drain).SerializeToString()
    for name in sorted(gateways):
        bus.publish(subjects.gateway_control(name), order)
    until = time.monotonic() + settings.gateway.drain_s + SILENCE_S
    while (left := here()) and time.monotonic() < until:  # noqa: ASYNC110 - heartbeats say it
        await asyncio.sleep(PAUSE_S)
    say(f"clients stay: {left}" if left else f"no client is here any more ({len(gateways)} gateways)")
