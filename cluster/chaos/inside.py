"""A look into the realm under test, past what is done to it: its processes, its epochs, and what is on its bus."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

import numpy as np
from pydantic import SecretStr

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect, guard, texts
from cluster.bench.realm_under_test import Member
from cluster.chaos.history import History
from cluster.errors import Ours, RealmError
from cluster.processes_here import merged, tree
from cluster.settings import NatsSettings, RedisSettings
from cluster.subjects import Subjects
from realm_proto import internal_pb2

LOOK_PAUSE_S = 0.1


class Inside:
    """Use it as `async with`. What comes over the bus is written to the history.

    `launcher`: the pid of `rayrealm up`. `sockets`: gateway id -> how many, as its last heartbeat said; `draining`: who said so.
    """

    def __init__(
        self, redis_url: str, nats_url: str, nats_token: str, namespace: str, launcher: int, history: History
    ) -> None:
        self.sockets: dict[str, int] = {}
        self.draining: set[str] = set()
        self.subjects = Subjects(namespace)
        self._redis = connect(RedisSettings(url=SecretStr(redis_url)), "chaos")
        self._nats = NatsSettings(url=SecretStr(nats_url), token=SecretStr(nats_token))
        self._namespace = namespace
        self._launcher = launcher
        self._history = history
        self._tapped: set[str] = set()
        self._tapping: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.bus = await NatsBus.connect(self._nats, "chaos")
        await self.bus.subscribe(self.subjects.gateway_alive(), self._alive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tapping:
            task.cancel()
        await self.bus.close()
        await self._redis.aclose()

    # --- processes ---------------------------------------------------------------------------------------------

    async def members(self) -> list[Member]:
        """Those that are alive on this machine, Redis and NATS of the launcher's own among them. Raises Unavailable."""
        async with guard():
            registered = texts(await self._redis.hgetall(f"{self._namespace}:processes"))
        seen = await asyncio.to_thread(tree, self._launcher)
        listed = merged(registered, seen, socket.gethostname(), self._launcher)
        return [Member(process.kind, process.name, process.pid) for process in listed if process.alive]

    async def until(self, true: Callable[[list[Member]], bool], deadline_s: float) -> bool:
        """Whether it became true of the members in time."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            try:
                if true(await self.members()):
                    return True
            except RealmError:  # Redis is away: it is being tested
                pass
            await asyncio.sleep(LOOK_PAUSE_S)
        return False

    async def epoch(self, zone_id: str) -> int:
        """The newest that was handed out. Raises Unavailable."""
        async with guard():
            return int(await self._redis.get(f"{self._namespace}:epoch:zone:{zone_id}") or 0)

    def busy(self) -> set[str]:
        """Gateways with sockets that are not leaving."""
        return {name for name, sockets in self.sockets.items() if sockets and name not in self.draining}

    # --- the bus -----------------------------------------------------------------------------------------------

    def drain(self, gateway_id: str, deadline_s: float) -> None:
        """Ask a gateway to give up its sockets."""
        message = internal_pb2.GatewayControl(drain=internal_pb2.GatewayDrain(deadline_s=deadline_s))
        self.bus.publish(self.subjects.gateway_control(gateway_id), message.SerializeToString())

    def _alive(self, data: bytes) -> None:
        alive = internal_pb2.GatewayAlive.FromString(data)
        self.sockets[alive.gateway_id] = alive.sockets
        (self.draining.add if alive.draining else self.draining.discard)(alive.gateway_id)
        if alive.gateway_id not in self._tapped:
            self._tapped.add(alive.gateway_id)
            task = asyncio.create_task(self._tap(alive.gateway_id))
            self._tapping.add(task)
            task.add_done_callback(self._tapping.discard)

    async def _tap(self, gateway_id: str) -> None:
        await self.bus.subscribe(self.subjects.gateway_output(gateway_id), partial(self._output, gateway_id))

    def _output(self, gateway_id: str, data: bytes) -> None:
        out = internal_pb2.ZoneOutput.FromString(data)
        viewers = np.frombuffer(out.viewers, "<u2").tolist()
        told = {"zone": out.zone_id, "epoch": out.epoch, "gateway": gateway_id, "tick": out.tick, "viewers": viewers}
        self._history.add("output", **told)


def victim(kind: str, listed: list[Member], pick: float, prefer: set[str]) -> Member:
    """One of a kind, chosen by `pick` in [0, 1); of those whose names end with one of `prefer`, if there are any. Raises Ours."""
    candidates = sorted((member for member in listed if member.kind == kind), key=lambda member: member.name)
    if not candidates:
        raise Ours(f"the realm has no process of kind {kind}: {sorted({member.kind for member in listed})}")
    wanted = [member for member in candidates if member.name.rpartition("/")[2] in prefer]
    chosen = wanted or candidates
    return chosen[int(pick * len(chosen)) % len(chosen)]
