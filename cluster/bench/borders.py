"""Players who walk over the borders of four zones all day: what each of them sees, and never notices (row 7.2)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
import uvloop
from pydantic import SecretStr

from cluster.bench.border_checks import ALLOWANCE_S, FAULTS, Watch, Witness
from cluster.bench.entrants import each, enlist, persist
from cluster.bench.realm_under_test import limits, realm_under_test
from cluster.bench.sockets import Inbox, LoadSocket, open_socket
from cluster.bench.walker import Wanderer
from cluster.errors import Ours
from cluster.world_settings import InterestSettings
from rayrealm_client import views
from rayrealm_client.accounts import Accounts, pool
from rayrealm_client.codec import OwnMove, encode
from rayrealm_client.models import Bounds, World, Zone
from rayrealm_client.view import View

SEED = 7
SIDE_M = 120.0
SPEED_M_S = 5.0
MOVES_HZ = 10.0
GROUPS = 10  # of players who send together
READ_S = 0.02
LOOK_S = 0.5
WARM_UP_S = 15.0  # they come in the middle of their zones, and scatter first
ACCOUNT_S, JOIN_S, REQUEST_S = 60.0, 60.0, 10.0
JOINING_AT_ONCE = 8
STALL_S = 0.2  # of our own: what is seen just after it says nothing
MOST_LATE_S = 0.5  # what a player has missed for longer it does not send any more


def borders_config(bots: int, side_m: float = SIDE_M) -> str:
    """A land of two by two zones, room for all, cheap passwords. There is no game, and the supervisor leaves the zones alone."""
    grounds = "".join(
        f"""
[[world.zones]]
id = "zon_{south_north}_{west_east}"
name = "{south_north.title()} {west_east.title()}"
bounds = {{ min_x = {x!r}, min_z = {z!r}, max_x = {x + side_m!r}, max_z = {z + side_m!r} }}
"""
        for z, south_north in ((0.0, "south"), (side_m, "north"))
        for x, west_east in ((0.0, "west"), (side_m, "east"))
    )
    return f"""
[world]
spawn_zone = "zon_south_west"
game = ""
{grounds}
[world.policy]
enabled = false
{limits(bots)}"""


def run_borders(
    bots: int, seconds: float, url: str | None = None, *, gateways: int | None = None, seed: int = SEED
) -> dict[str, Any]:
    """The report. Without `url` in a realm of its own. Raises Ours, RealmError of the client.

    A realm that is given must have zones that touch, and no other players. `view_gap_...`: between two views of one player;
    `crossing_gap_...`: between the last view of one zone and the first of the next. The rest are faults, see `border_checks.py`.
    """
    with contextlib.ExitStack() as stack:
        if url is None:
            url = stack.enter_context(realm_under_test(borders_config(bots), gateways=gateways)).url
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        borders = Borders(url, bots, seed)
        return runner.run(borders.run(seconds, borders.enlist))


class Player:
    """One of them. `number`: its own in the watch."""

    def __init__(self, number: int, socket: LoadSocket, world: World, rng: random.Random) -> None:
        self.number, self.socket, self.world = number, socket, world
        self.wanderer = Wanderer(world.land, world.position.x, world.position.z, SPEED_M_S, rng)
        self.sequence = world.sequence


Entrants = Mapping[int, tuple[str, str]]
"""By client: an access token, and its character."""


class Borders:
    """Use its `run` once."""

    def __init__(self, url: str, bots: int, seed: int) -> None:
        self._url = url
        self._bots = bots
        self._seed = seed
        self._rng = random.Random(seed)  # noqa: S311 - backoff, no secret
        self._inbox = Inbox()
        self._players: list[Player] = []
        self._witness_of: dict[int, Witness] = {}  # by client
        self._early: dict[int, list[tuple[float, View]]] = {}  # by client that has no answer to its entry yet
        self._watch: Watch | None = None
        self._views = self._moves = 0
        self._late_s: list[float] = []
        self._stalled_at = 0.0
        self._looks = self._looks_left_out = 0

    async def run(
        self, seconds: float, enlist: Callable[[], Awaitable[Entrants]], warm_up_s: float = WARM_UP_S
    ) -> dict[str, Any]:
        """The report. `enlist` makes the players' accounts."""
        entrants = await enlist()
        reading = asyncio.create_task(self._read())
        walking: asyncio.Task[None] | None = None
        try:
            await self._join(0, *entrants[0])
            walking = asyncio.create_task(self._walk())
            await each(range(1, self._bots), lambda number: self._join(number, *entrants[number]), JOINING_AT_ONCE)
            await self._until(warm_up_s, reading, walking)
            return await self._measure(seconds, reading, walking)
        finally:
            tasks = [task for task in (reading, walking) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for player in self._players:
                player.socket.disconnect()

    @property
    def watch(self) -> Watch:
        if self._watch is None:
            raise RuntimeError("nobody has entered yet")
        return self._watch

    # --- everyone in -------------------------------------------------------------------------------------------

    async def enlist(self) -> Entrants:
        """New accounts over HTTP, with a character each."""
        made: dict[int, tuple[str, str]] = {}
        users, password = f"border-{secrets.token_hex(4)}", SecretStr(secrets.token_urlsafe(16))
        async with pool(self._url, REQUEST_S) as http:

            async def one(number: int) -> None:
                accounts = Accounts(self._url, REQUEST_S, http)
                entrant = await enlist(accounts, f"{users}-{number}", password, number, self._rng, ACCOUNT_S)
                made[number] = (await accounts.access_token(), entrant.character_id)

            await each(range(self._bots), one)
        return made

    async def _join(self, client: int, token: str, character_id: str) -> None:
        """Into one zone after another, in turn."""
        socket = await open_socket(self._url, token, lambda: LoadSocket(client, self._inbox), self._rng, JOIN_S)
        listed = [Zone.of(zone) for zone in (await socket.request("world.zones", {}, REQUEST_S))["zones"]]
        params = {"character_id": character_id, "zone": listed[client % len(listed)].zone}
        async with asyncio.timeout(JOIN_S):
            world = World.of(await persist(lambda: socket.request("world.enter", params, REQUEST_S), self._rng))
        if self._watch is None:
            self._watch = Watch(self.grounds(listed), world.interest_radius, InterestSettings().hysteresis)
        rng = random.Random(f"{self._seed}:{client}")  # noqa: S311 - where it walks is no secret
        self._players.append(Player(len(self._players), socket, world, rng))
        x, _, z = world.position
        witness = self._witness_of[client] = self.watch.add(f"bot {client}", world.entity_id, x, z, world.sequence)
        for at, view in self._early.pop(client, ()):
            self.tell(witness, at, view)

    def grounds(self, listed: list[Zone]) -> dict[str, Bounds]:
        """Of the zones that the realm lists. Raises ValueError if they are not what is asked for."""
        return grounds_of(listed)

    def tell(self, witness: Witness, at: float, view: View) -> None:
        """A view of that player's has come."""
        witness.saw(at, view)

    # --- walking and reading -----------------------------------------------------------------------------------

    async def _walk(self) -> None:
        """Each MOVES_HZ times a second, in groups, so that they do not all send at once."""
        due = time.monotonic()
        dt = 1.0 / MOVES_HZ
        for turn in itertools.count():
            due = max(due + dt / GROUPS, time.monotonic() - MOST_LATE_S)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            late = time.monotonic() - due
            self._late_s.append(late)
            if late > STALL_S:
                self._stalled_at = time.monotonic()
            for player in self._players[turn % GROUPS :: GROUPS]:
                wanderer = player.wanderer
                wanderer.step(dt)
                player.sequence += 1
                x, z = float(np.float32(wanderer.x)), float(np.float32(wanderer.z))
                move = OwnMove(x, player.world.position.y, z, wanderer.yaw, player.sequence)
                if player.socket.send(encode(move, "proto")):
                    self.watch.said(player.number, player.sequence, x, z)
                    self._moves += 1
            if turn % GROUPS == 0 and len(self._players) == self._bots:
                self.watch.sample(time.monotonic())

    async def _read(self) -> None:
        while True:
            await asyncio.sleep(READ_S)
            self._take()

    def _take(self) -> None:
        for client, at_ms, _, frame in self._inbox.drain():
            view, at = views.from_proto(frame), at_ms / 1_000.0
            self._views += 1
            witness = self._witness_of.get(client)
            if witness is None:
                self._early.setdefault(client, []).append((at, view))
            else:
                self.tell(witness, at, view)

    # --- the measure -------------------------------------------------------------------------------------------

    async def _measure(
        self, seconds: float, reading: asyncio.Task[None], walking: asyncio.Task[None]
    ) -> dict[str, Any]:
        watch = self.watch
        gc.collect()
        gc.freeze()
        gc.disable()  # its pauses would be gaps
        try:
            self._take()
            watch.findings.counts.clear()
            watch.findings.examples.clear()
            began, cpu = time.monotonic(), time.process_time()
            self._views = self._moves = 0
            self._late_s.clear()
            for witness in watch.witnesses:
                witness.begin(began)
            while (now := time.monotonic()) < began + seconds:
                await self._until(min(LOOK_S, began + seconds - now), reading, walking)
                self._take()
                self._look(time.monotonic())
            ended, used = time.monotonic(), time.process_time() - cpu
            for witness in watch.witnesses:
                witness.end(ended)
        finally:
            gc.enable()
        return self._report(ended - began, used)

    def _look(self, now: float) -> None:
        """Who could not read for a while would find others behind who are not."""
        if now - self._stalled_at > ALLOWANCE_S:
            self._looks += 1
            self.watch.look(now)
        else:
            self._looks_left_out += 1

    async def _until(self, seconds: float, *tasks: asyncio.Task[None]) -> None:
        """Wait, but not longer than the tasks live, which should not end. Raises what ended one."""
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
            raise Ours("a task ended that goes on for ever")

    def _report(self, seconds: float, cpu_s: float) -> dict[str, Any]:
        watch = self.watch
        crossings = [witness.crossings for witness in watch.witnesses]
        counts = watch.findings.counts
        return {
            "bots": self._bots,
            "seconds": round(seconds, 1),
            "moves_per_s": round(self._moves / seconds, 1),
            "views_per_s": round(self._views / seconds, 1),
            "crossings": sum(crossings),
            "bots_that_crossed": sum(count > 0 for count in crossings),
            **gap_figures("view", [gap for witness in watch.witnesses for gap in witness.gaps_s]),
            **gap_figures("crossing", [gap for witness in watch.witnesses for gap in witness.crossing_gaps_s]),
            "disconnected": sum(player.socket.closed for player in self._players),
            **{name: counts[name] for name in FAULTS},
            "examples": list(watch.findings.examples),
            "load_core": round(cpu_s / seconds, 3),
            "looks": self._looks,
            "looks_left_out": self._looks_left_out,
            "send_late_p99_ms": round(float(np.percentile(self._late_s or [0.0], 99)) * 1_000, 1),
            "send_late_max_ms": round(max(self._late_s, default=0.0) * 1_000, 1),
        }


def grounds_of(zones: list[Zone]) -> dict[str, Bounds]:
    """Raises ValueError if the zones are not one land, of two at least."""
    lands = [zone.bounds for zone in zones]
    reached = lands[:1]
    for _ in lands:
        reached = [ground for ground in lands if any(touch(ground, other) for other in reached)]
    if len(zones) < 2 or len(reached) < len(zones):
        raise ValueError("the realm's zones are not one land")
    return {zone.zone: zone.bounds for zone in zones}


def touch(a: Bounds, b: Bounds) -> bool:
    return a.min_x <= b.max_x and b.min_x <= a.max_x and a.min_z <= b.max_z and b.min_z <= a.max_z


def gap_figures(what: str, gaps_s: list[float]) -> dict[str, float]:
    """Milliseconds; 0 where there are none."""
    given = gaps_s or [0.0]
    figures = {"p50": np.percentile(given, 50), "p99": np.percentile(given, 99), "max": max(given)}
    return {f"{what}_gap_{name}_ms": round(float(gap) * 1_000, 1) for name, gap in figures.items()}
