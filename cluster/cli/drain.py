"""`rayrealm drain`: the clients of a gateway, or of all gateways of a node, connect elsewhere (row 1.9)."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import SecretStr

from cluster import running
from cluster.adapters.nats_bus import NatsBus
from cluster.cli.down import Url
from cluster.cli.status import AsJson, processes_of
from cluster.errors import Ours, StartRefused
from cluster.ports.bus import Bus
from cluster.processes_here import Process
from cluster.running import RunningRealm
from cluster.settings import NatsSettings
from cluster.subjects import Subjects
from cluster.telemetry.logs import configure
from realm_proto import internal_pb2

LISTEN_S = 3.0  # two heartbeats and some
SILENCE_S = 5.0  # who is not heard for so long has ended
MOST_S = 60.0  # gateways never take longer than their `gateway.drain_s` says
LATE_S = 5.0
PAUSE_S = 0.1

Gateway = Annotated[list[str] | None, typer.Option(help="A gateway, as `rayrealm status` names it. May be repeated.")]
Node = Annotated[str | None, typer.Option(help="All gateways of a node, as `rayrealm status` names it.")]
Deadline = Annotated[
    float | None, typer.Option(min=0.0, max=MOST_S, help="Seconds, at most (and by default) gateway.drain_s.")
]
Force = Annotated[bool, typer.Option("--force", help="Even if no other gateway would take the clients.")]


def drain(
    gateway: Gateway = None,
    node: Node = None,
    deadline: Deadline = None,
    force: Force = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have clients connect to other gateways, and wait until they have. A drained gateway takes no more clients."""
    if bool(gateway) == bool(node):
        raise StartRefused("say which: --gateway, once or several times, or --node")
    configure("warning")  # structlog as it comes writes to stdout
    realm = running.find(running.folder(), url)
    processes = [process for process in processes_of(realm) if process.kind == "gateway"]
    results = asyncio.run(_drain(realm, processes, gateway or [], node, deadline, force))
    if as_json:
        print(json.dumps({"gateways": [result.as_dict() for result in results]}))
    else:
        for result in results:
            print(f"{result.gateway}: {result.sockets} sockets, {result.left} left after {result.seconds:.1f} s")
    if any(result.left for result in results):
        raise Ours("not every socket was given up in time")


@dataclass(frozen=True, slots=True)
class Drained:
    """One gateway: how many sockets it had, how many it still has, and how long it took."""

    gateway: str
    sockets: int
    left: int
    seconds: float

    def as_dict(self) -> dict[str, str | int | float]:
        return {
            "gateway": self.gateway,
            "sockets": self.sockets,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }


class Heartbeats:
    """What gateways say of themselves. Times are seconds on any monotonic clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._newest: dict[str, tuple[float, internal_pb2.GatewayAlive]] = {}

    def heard(self, data: bytes) -> None:
        alive = internal_pb2.GatewayAlive.FromString(data)
        self._newest[alive.gateway_id] = self._clock(), alive

    def living(self) -> dict[str, internal_pb2.GatewayAlive]:
        """The newest of each that is not silent."""
        now = self._clock()
        return {name: alive for name, (at, alive) in self._newest.items() if now - at < SILENCE_S}


def chosen(
    living: Collection[str], processes: Collection[Process], gateways: Collection[str], node: str | None
) -> list[str]:
    """The living gateways that are meant. Raises StartRefused if one is not there."""
    if node is None:
        if unknown := sorted(set(gateways) - set(living)):
            raise StartRefused(f"no gateway {', '.join(unknown)} is heard; there are: {_listed(living)}")
        return sorted(set(gateways))
    names = {process.name for process in processes if process.node == node}
    if not names:
        raise StartRefused(f"no gateway runs on {node}; there are: {_listed({p.node for p in processes})}")
    return sorted(names & set(living))


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


async def _drain(
    realm: RunningRealm,
    processes: list[Process],
    gateways: list[str],
    node: str | None,
    deadline_s: float | None,
    force: bool,
) -> list[Drained]:
    details = realm.details()
    settings = NatsSettings(url=SecretStr(details["nats_url"]), token=SecretStr(details["nats_token"]))
    bus = await NatsBus.connect(settings, "rayrealm-drain")
    try:
        heartbeats = Heartbeats(time.monotonic)
        subjects = Subjects(realm.namespace)
        await bus.subscribe(subjects.gateway_alive(), heartbeats.heard)
        await asyncio.sleep(LISTEN_S)
        living = heartbeats.living()
        targets = chosen(living, processes, gateways, node)
        others = [name for name, alive in living.items() if name not in targets and not alive.draining]
        if targets and not others and not force:
            raise StartRefused("no other gateway would take the clients; --force, or `rayrealm down` to stop the realm")
        return await empty(bus, subjects, heartbeats, targets, deadline_s, time.monotonic)
    finally:
        await bus.close()


async def empty(
    bus: Bus,
    subjects: Subjects,
    heartbeats: Heartbeats,
    targets: Collection[str],
    deadline_s: float | None,
    clock: Callable[[], float],
) -> list[Drained]:
    """Tell the gateways, and wait until none of them has sockets, or has ended; for a bounded time. None: as they are set."""
    order = internal_pb2.GatewayControl(
        drain=internal_pb2.GatewayDrain(deadline_s=math.inf if deadline_s is None else deadline_s)
    ).SerializeToString()
    before = heartbeats.living()
    started = clock()
    for name in targets:
        bus.publish(subjects.gateway_control(name), order)
    until = started + (MOST_S if deadline_s is None else deadline_s) + LATE_S
    results: dict[str, Drained] = {}
    while len(results) < len(targets) and clock() < until:
        await asyncio.sleep(PAUSE_S)
        living = heartbeats.living()
        for name in targets:
            alive = living.get(name)
            if name not in results and (alive is None or (alive.draining and alive.sockets == 0)):
                results[name] = Drained(name, before[name].sockets, 0, clock() - started)
    living = heartbeats.living()
    for name in targets:
        if name not in results:
            results[name] = Drained(name, before[name].sockets, living[name].sockets, clock() - started)
    return [results[name] for name in sorted(targets)]
