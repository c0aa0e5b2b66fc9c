"""A gateway gives up its sockets while their players walk: how long each saw nothing, and what it missed (row 7.9)."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

import uvloop

from cluster.bench.entrants import persist
from cluster.bench.fleet import GATEWAYS, Fleet, until
from cluster.bench.hearing import REQUEST_S, Heard, added, join, missing, talk
from cluster.bench.realm_under_test import RunningRealm, crowd_config, realm_under_test
from cluster.bench.returning import Returning
from cluster.bench.walker import Walker
from cluster.errors import Ours
from rayrealm_client.codec import OwnMove, encode
from rayrealm_client.models import Ready, World

CHANNEL = "drain"
SEED = 6
ENTER_S = 60.0
MOVES_HZ = 10.0
GROUPS = 10  # of walkers who send together
SPEED_M_S = 5.0
CALM_S = 5.0
HEAR_S = 20.0
DRAIN_S = 20.0
RESTART = 1012


class Player:
    """A client that walks. `worst_s`: the longest time between two of its views since `watch` was called."""

    def __init__(self, client: Returning, rng: Random) -> None:
        self.client = client
        self.heard = Heard()
        self.worst_s = 0.0
        self.moves = 0
        self._rng = rng
        self._sequence = 0
        self._walker: Walker | None = None
        self._last_view: float | None = None
        client.on_ready = self._ready
        client.on_view = self._saw
        client.on_notice = self.heard.notice

    async def enter(self) -> None:
        """Into the world, and to somewhere in it. Raises RealmError, TimeoutError."""
        params = {"character_id": self.client.character_id}
        async with asyncio.timeout(ENTER_S):
            world = World.of(await persist(lambda: self.client.request("world.enter", params, REQUEST_S), self._rng))
        self._place(world)
        bounds = world.bounds
        # One leap, which the realm's generous budget allows: the crowd must not stand on one spot.
        self._step_to(self._rng.uniform(bounds.min_x, bounds.max_x), self._rng.uniform(bounds.min_z, bounds.max_z))

    def watch(self) -> None:
        self.worst_s = 0.0
        self._last_view = time.monotonic()

    def gap_s(self) -> float:
        """The one that has not ended included."""
        since = 0.0 if self._last_view is None else time.monotonic() - self._last_view
        return max(self.worst_s, since)

    def step(self, dt: float) -> None:
        if self._walker is not None and self.client.connected:
            self._walker.step(dt)
            self._send(self._walker.x, self._walker.z, self._walker.yaw)

    def _step_to(self, x: float, z: float) -> None:
        if self._walker is not None:
            self._walker.place(x, z)
            self._send(x, z, 0.0)

    def _send(self, x: float, z: float, yaw: float) -> None:
        self._sequence += 1
        if self.client.send(encode(OwnMove(x, 0.0, z, yaw, self._sequence), "proto")):
            self.moves += 1

    def _place(self, world: World) -> None:
        self._sequence = max(self._sequence, world.sequence)
        self._walker = Walker(world.bounds, world.position.x, world.position.z, SPEED_M_S, self._rng)

    def _ready(self, ready: Ready, gateway: str) -> None:
        if ready.world is not None:
            self._place(ready.world)

    def _saw(self, now: float) -> None:
        if self._last_view is not None:
            self.worst_s = max(self.worst_s, now - self._last_view)
        self._last_view = now


def run_drain(clients: int, deadline_s: float = DRAIN_S) -> dict[str, Any]:
    """In a realm of its own with two gateways, all clients on one of them. Raises Ours, RealmError of the client.

    `view_gap_...`: of each client the longest time between two views, from the drain on; `before_...`: the same in the seconds
    before. `lost_messages`: acknowledged ones that a client did not hear, over all; `closed_1012`: sockets that had to be closed.
    """
    config = crowd_config(clients + 1)
    with (
        realm_under_test(config, gateways=GATEWAYS) as realm,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_drain(realm, clients, deadline_s))


async def _drain(realm: RunningRealm, count: int, deadline_s: float) -> dict[str, Any]:
    async with Fleet(realm, SEED) as fleet:
        clients = await fleet.enlist(count)
        players = {id(client): Player(client, fleet.rng) for client in clients}

        async def begin(client: Returning) -> None:
            await join(client, CHANNEL)
            await players[id(client)].enter()

        leaving = await fleet.gather(clients, begin)
        (talker,) = await fleet.enlist(1)
        await fleet.elsewhere(talker, leaving)
        await join(talker, CHANNEL)
        everyone, said = list(players.values()), list[str]()
        tasks = [asyncio.create_task(_walk(everyone)), asyncio.create_task(talk(talker, CHANNEL, said))]
        try:
            await asyncio.sleep(CALM_S)
            _watch(everyone)
            await asyncio.sleep(CALM_S)
            before = [player.gap_s() for player in everyone]
            _watch(everyone)
            drained = await fleet.drain(leaving.name, deadline_s)
            await asyncio.sleep(CALM_S)
            gaps = [player.gap_s() for player in everyone]
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)
        with suppress(Ours):
            await until(lambda: missing((player.heard for player in everyone), said) == 0, HEAR_S, "all have heard all")
        return _report(everyone, leaving.name, before, gaps, drained, said)


def _watch(players: Sequence[Player]) -> None:
    for player in players:
        player.watch()


async def _walk(players: Sequence[Player]) -> None:
    """Each MOVES_HZ times a second, in groups, so that they do not all send at once."""
    due = time.monotonic()
    for number in itertools.count():
        due = max(due + 1.0 / MOVES_HZ / GROUPS, time.monotonic() - 0.5)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        for player in players[number % GROUPS :: GROUPS]:
            player.step(1.0 / MOVES_HZ)


def _report(
    players: Sequence[Player],
    left: str,
    before: Sequence[float],
    gaps: Sequence[float],
    drained: dict[str, Any],
    said: Sequence[str],
) -> dict[str, Any]:
    codes = Counter(code for player in players for code in player.client.codes)
    return {
        "clients": len(players),
        "view_gap_p50_ms": round(statistics.median(gaps) * 1_000),
        "view_gap_max_ms": round(max(gaps) * 1_000),
        "before_p50_ms": round(statistics.median(before) * 1_000),
        "before_max_ms": round(max(before) * 1_000),
        "drain_s": drained["seconds"],
        "left_behind": drained["left"],
        "closed_1012": codes[RESTART],
        "closed": added([codes]),
        "messages": len(said),
        "lost_messages": missing((player.heard for player in players), said),
        "repeated": sum(player.heard.repeated for player in players),
        "not_recovered": sum(player.client.holes for player in players),
        "gaps": sum(player.client.reliable.missing for player in players),
        "new_logins": sum(len(player.client.sessions) - 1 for player in players),
        "refused": added(player.client.refused for player in players),
        "moves": sum(player.moves for player in players),
        "still_there": sum(player.client.gateway == left for player in players),
    }
