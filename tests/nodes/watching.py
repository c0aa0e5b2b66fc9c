"""What the drill looks at: what zones say on the bus, what players are shown, and which processes the realm has."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

import orjson
import psutil
from pydantic import SecretStr

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect
from cluster.settings import NatsSettings, RedisSettings
from cluster.subjects import Subjects
from rayrealm_client.client import RealmClient
from rayrealm_client.view import View
from realm_proto.internal_pb2 import GatewayAlive, ZoneOutput
from tests.nodes.cluster import Cluster

SILENCE_S = 4.0


@dataclass
class Voices:
    """What one zone's incarnations said: epoch to (first, last) time, and how often an older one spoke after a newer."""

    heard: dict[int, tuple[float, float]] = field(default_factory=dict)
    late: int = 0

    @property
    def newest(self) -> int:
        return max(self.heard, default=0)

    def hear(self, epoch: int, now: float) -> None:
        self.late += epoch < self.newest
        self.heard[epoch] = (self.heard.get(epoch, (now, now))[0], now)


class Tap:
    """Listens to what goes from zones to gateways, and to the gateways' heartbeats."""

    def __init__(self, bus: NatsBus) -> None:
        self.zones: dict[str, Voices] = defaultdict(Voices)
        self._gateways: dict[str, tuple[float, GatewayAlive]] = {}
        self._bus = bus

    @classmethod
    async def on(cls, cluster: Cluster) -> Tap:
        settings = NatsSettings(url=SecretStr(cluster.nats_url), token=SecretStr(cluster.nats_token))
        bus = await NatsBus.connect(settings, "drill")
        tap, subjects = cls(bus), Subjects(cluster.namespace)
        await bus.subscribe(subjects.gateway_output("*"), tap._output)
        await bus.subscribe(subjects.gateway_alive(), tap._alive)
        return tap

    def _output(self, data: bytes) -> None:
        out = ZoneOutput.FromString(data)
        self.zones[out.zone_id].hear(out.epoch, time.monotonic())

    def _alive(self, data: bytes) -> None:
        alive = GatewayAlive.FromString(data)
        self._gateways[alive.gateway_id] = time.monotonic(), alive

    def gateways(self) -> dict[str, GatewayAlive]:
        """Those that are heard."""
        now = time.monotonic()
        return {name: alive for name, (at, alive) in self._gateways.items() if now - at < SILENCE_S}

    async def close(self) -> None:
        await self._bus.close()


class Witness:
    """A player that stands still and holds the realm to what PROTOCOL.md says of views: epochs and ticks only grow."""

    def __init__(self, client: RealmClient) -> None:
        self.faults: list[str] = []
        self.views = 0
        self.resets = 0
        self._epoch = 0
        self._tick = -1
        client.on_view(lambda view, changes: self.saw(view))

    def saw(self, view: View) -> None:
        self.views += 1
        if view.reset is not None:
            self.resets += 1
            if view.reset.epoch < self._epoch:
                self.faults.append(f"a view of epoch {view.reset.epoch} after one of {self._epoch}")
            self._epoch, self._tick = view.reset.epoch, -1
        if view.tick < self._tick:
            self.faults.append(f"tick {view.tick} after {self._tick} in epoch {self._epoch}")
        self._tick = view.tick


@dataclass(frozen=True, slots=True)
class Member:
    """A process as it registered. All machines share this one's process ids."""

    kind: str
    name: str
    pid: int
    node: str
    started_at: float

    @property
    def alive(self) -> bool:
        try:
            return psutil.Process(self.pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        except psutil.NoSuchProcess:
            return False


async def members(cluster: Cluster) -> dict[str, Member]:
    """By name; gateways that have ended are among them."""
    client = connect(RedisSettings(url=SecretStr(cluster.redis_url)), "drill")
    try:
        entries = await client.hgetall(f"{cluster.namespace}:processes")
        return {member.name: member for member in (Member(**orjson.loads(entry)) for entry in entries.values())}
    finally:
        await client.aclose()
