"""The bus between simulated processes: it takes time, loses messages now and then, and may be away."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass

from cluster.errors import Unavailable
from cluster.ports.bus import Handler, Responder
from tests.simulation.virtual_time import OUTSIDE, Process

IN_ORDER_S = 1e-7
"""Timers of one moment come in any order."""
HELD = 20_000
"""As many messages wait for a process that is stopped."""


@dataclass(slots=True)
class Roughness:
    """How bad it is. Seconds, and shares of messages."""

    least_s: float = 0.0005
    most_s: float = 0.004
    lost: float = 0.0


class Network:
    """Exact subjects; `away`: nothing comes through, and what is published then is gone."""

    def __init__(self, rng: random.Random, rough: Roughness) -> None:
        self.rough = rough
        self.away = False
        self.counts: Counter[str] = Counter()
        self.listeners: defaultdict[str, list[Subscription]] = defaultdict(list)
        self._rng = rng
        self._last: dict[tuple[int, int], float] = {}  # (publisher, listener) -> when its newest message comes

    def publish(self, sender: int, subject: str, data: bytes) -> None:
        self.counts["published"] += 1
        if self.away:
            self.counts["lost"] += 1
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        for listener in self.listeners.get(subject, ()):
            if self.rough.lost and self._rng.random() < self.rough.lost:
                self.counts["lost"] += 1
                continue
            pair = (sender, listener.process.number)
            way_s = self._rng.uniform(self.rough.least_s, self.rough.most_s)
            at = max(self._last.get(pair, 0.0) + IN_ORDER_S, now + way_s)
            self._last[pair] = at
            loop.call_at(at, self._deliver, listener, data, context=OUTSIDE)

    def _deliver(self, listener: Subscription, data: bytes) -> None:
        process = listener.process
        if not listener.active or not process.alive:
            return
        if process.stopped and len(process.held) > HELD:
            self.counts["lost"] += 1
            return
        self.counts["delivered"] += 1
        asyncio.get_running_loop().call_soon(listener.take, data, context=process.context)

    def forget(self, process: Process) -> None:
        """It is dead."""
        for listeners in self.listeners.values():
            listeners[:] = [listener for listener in listeners if listener.process is not process]
        self._last = {pair: at for pair, at in self._last.items() if process.number not in pair}


class Subscription:
    def __init__(self, network: Network, process: Process, subject: str, handler: Handler) -> None:
        self.active = True
        self.process = process
        self._network = network
        self._subject = subject
        self._handler = handler

    def take(self, data: bytes) -> None:
        if self.active and self.process.alive:
            self._handler(data)

    async def unsubscribe(self) -> None:
        self.active = False
        if self in self._network.listeners[self._subject]:
            self._network.listeners[self._subject].remove(self)


class ProcessBus:
    """`cluster.ports.bus.Bus` for one process. Nothing that it says after its death is heard."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process
        process.on_death.append(lambda: network.forget(process))

    @property
    def connected(self) -> bool:
        return not self._network.away

    def publish(self, subject: str, data: bytes) -> None:
        if self._process.alive:
            self._network.publish(self._process.number, subject, bytes(data))

    async def subscribe(self, subject: str, handler: Handler) -> Subscription:
        if "*" in subject:
            raise ValueError(f"the simulation knows exact subjects only: {subject}")
        await asyncio.sleep(0.001)
        listener = Subscription(self._network, self._process, subject, handler)
        self._network.listeners[subject].append(listener)
        return listener

    async def respond(self, subject: str, responder: Responder) -> Subscription:
        """Nobody asks in a simulation: the one thing that is asked for over the bus are metrics."""
        return Subscription(self._network, self._process, subject, lambda _: None)

    async def flush(self, timeout_s: float) -> None:
        if self._network.away:
            await asyncio.sleep(timeout_s)
            raise Unavailable("the message bus")
        await asyncio.sleep(0.002)

    async def close(self) -> None:
        self._network.forget(self._process)
