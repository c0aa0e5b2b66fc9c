"""Someone who changes the world all the time: splits, merges and moves zones, also where that makes no sense."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from cluster.errors import RealmError, Theirs, Unavailable
from cluster.ports.calls import SUPERVISOR
from cluster.worldmap import WorldMap
from tests.simulation.realm import SimRealm

CALL_S = 5.0
LOOK_S = 0.5
FEW, MANY = 3, 7
"""Zones: with fewer none is merged, with more none is split."""


class Operator:
    """`every_s`: between two commands, on average; `patience_s`: for the last plan to end.

    `counts`: by kind and outcome; `stuck`: plans that did not end in time.
    """

    def __init__(self, realm: SimRealm, rng: random.Random, every_s: float, patience_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self._patience_s = patience_s
        self._realm = realm
        self._rng = rng
        self._every_s = every_s
        self._ids = 0

    async def change(self, until: float) -> None:
        """Commands until then; returns when the last plan has ended."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / self._every_s))
            if loop.time() >= until:
                break
            await self._command()
        for _ in range(round(self._patience_s / LOOK_S)):
            if not await self._busy():
                return
            await asyncio.sleep(LOOK_S)
        self.counts["stuck"] += 1

    async def _command(self) -> None:
        world = WorldMap.load((await self._realm.server.world.load())[0])
        kind, args = self._choose(world)
        self._ids += 1
        try:
            await self._call("execute", kind, args, f"pln_{self._ids}")
        except Theirs:
            self.counts[f"{kind} refused"] += 1
        except RealmError:
            self.counts[f"{kind} unknown"] += 1
        else:
            self.counts[kind] += 1

    def _choose(self, world: WorldMap) -> tuple[str, list[str]]:
        rng = self._rng
        zones = [zone.id for zone in world]
        kinds = ["move", "restart"]
        kinds += ["split"] * 3 if len(zones) < MANY else []
        kinds += ["merge"] * 3 if len(zones) > FEW else []
        kind = rng.choice(kinds)
        if kind == "move":
            return kind, [rng.choice(zones), rng.choice(["node1", "node2", "node3"])]
        if kind == "merge":
            pairs = [(a.id, b.id) for a in world for b in world if a.id != b.id and not a.distance(b.bounds)]
            return kind, list(rng.choice(pairs))
        return kind, [rng.choice(zones)]

    async def _busy(self) -> bool:
        try:
            state = await self._call("state")
        except Unavailable:
            return True
        return state["plan"] is not None

    async def _call(self, method: str, *args: Any) -> Any:
        return await self._realm.machines.call(SUPERVISOR, method, args, CALL_S)
