"""Simulated players over the public protocol: they register or log in, enter, walk, and come back after every fault."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import httpx
import structlog
from pydantic import SecretStr

from cluster.bench.crew import BotStats, Crew, Recovery
from cluster.bench.entrants import Entrant, enlist, persist
from cluster.bench.walker import Walker
from rayrealm_client.accounts import pool
from rayrealm_client.client import RealmClient
from rayrealm_client.errors import NotConnected, RealmError
from rayrealm_client.models import Ready, World
from rayrealm_client.policy import Backoff
from rayrealm_client.view import Changes, View

MOVES_HZ = 10.0
SPEEDS_M_S = (3.0, 5.0)
STAGGER_S = 0.05
SIGNING_IN_AT_ONCE = 4
ACCOUNT_S = 120.0
TIMEOUT_S = 10.0
REPORT_S = 30.0
PACE_OF_LIMIT = 0.8  # where the zone allows less than a bot's own pace

log = structlog.get_logger(__name__)


class Bot:
    """One player. `run` goes on until it is cancelled."""

    def __init__(
        self,
        url: str,
        number: int,
        seed: int,
        password: SecretStr,
        stats: BotStats,
        http: httpx.AsyncClient,
        door: asyncio.Semaphore,
    ) -> None:
        self._url = url
        self._number = number
        self._password = password
        self._stats = stats
        self._http = http
        self._door = door
        self._rng = random.Random(f"{seed}:{number}")  # noqa: S311 - where it walks is no secret
        self._pace = self._rng.uniform(*SPEEDS_M_S)
        self._walker: Walker | None = None

    async def run(self) -> None:
        backoff = Backoff(0.5, 20.0)
        attempt = 0
        while True:
            started = time.monotonic()
            try:
                await self._live()
            except RealmError as error:
                self._stats.last_trouble = str(error)
                log.warning("bot_starts_over", bot=self._stats.username, why=str(error))
            attempt = 0 if time.monotonic() - started > 60.0 else attempt + 1
            await asyncio.sleep(backoff.delay(attempt, self._rng))

    async def _live(self) -> None:
        """From signing in to the end of the connection for good. Raises RealmError."""
        async with RealmClient(
            self._url, timeout_s=TIMEOUT_S, give_up_s=None, rng=self._rng, http=self._http
        ) as client:
            async with self._door:
                entrant = await self._sign_in(client)
            self._stats.name = entrant.name
            client.on_view(self._saw)
            client.on_correction(lambda correction: self._corrected(client))
            client.on_world(self._placed)
            client.on_zone(self._is_in)
            client.on_ready(self._connected)
            await persist(lambda: client.enter(entrant.character_id), self._rng)
            await self._walk(client)

    async def _sign_in(self, client: RealmClient) -> Entrant:
        stats = self._stats
        entrant = await enlist(client.accounts, stats.username, self._password, self._number, self._rng, ACCOUNT_S)
        stats.logins += 1
        return entrant

    async def _walk(self, client: RealmClient) -> None:
        due = time.monotonic()
        while client.ended is None:
            due = max(due + 1.0 / MOVES_HZ, time.monotonic() - 1.0)  # what was missed for longer is left out
            await asyncio.sleep(due - time.monotonic())
            walker = self._walker
            if walker is None or client.world is None or not client.connected:
                continue
            walker.step(1.0 / MOVES_HZ)
            with contextlib.suppress(NotConnected):
                await client.move(walker.x, client.position.y, walker.z, walker.yaw)
                self._stats.moves += 1
        raise client.ended

    # --- what the client tells ---------------------------------------------------------------------------------

    def _connected(self, ready: Ready) -> None:
        if self._stats.entered:
            self._stats.reconnects += 1

    def _placed(self, world: World) -> None:
        pace = min(self._pace, PACE_OF_LIMIT * world.max_speed)
        x, _, z = world.position
        self._walker = Walker(world.land, x, z, pace, self._rng)
        self._stats.entered += 1

    def _is_in(self, zone: str) -> None:
        self._stats.zone = zone

    def _corrected(self, client: RealmClient) -> None:
        self._stats.corrections += 1
        if self._walker is not None:
            self._walker.place(client.position.x, client.position.z)

    def _saw(self, view: View, changes: Changes) -> None:
        self._stats.saw(view.ack)


async def run_bots(
    url: str,
    count: int,
    seconds: float | None,
    seed: int,
    *,
    password: SecretStr,
    crew: Crew | None = None,
) -> Crew:
    """Run `count` bots for `seconds`, or until cancelled (None). Starts are staggered.

    A seed always gives the same usernames (`bot-SEED-NUMBER`): a second start logs in with the same `password`. `crew` is filled
    while they run, for whoever watches.
    """
    crew = crew or Crew()
    door = asyncio.Semaphore(SIGNING_IN_AT_ONCE)
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(seconds),
            pool(url, TIMEOUT_S) as http,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(_report(crew))
            for number in range(count):
                stats = crew.add(f"bot-{seed}-{number:03d}")
                group.create_task(Bot(url, number, seed, password, stats, http, door).run())
                await asyncio.sleep(STAGGER_S)
    return crew


async def _report(crew: Crew) -> None:
    while True:
        await asyncio.sleep(REPORT_S)
        log.info("bots", **crew.summary())


async def watch_recovery(crew: Crew, since: float, *, within_s: float, steady_s: float, deadline_s: float) -> Recovery:
    """Wait until every bot has walked for `steady_s` without a break, at most `deadline_s`; then say what it was like.

    `since`: when the fault was, on the crew's clock. A bot walks while its last view and its last judged move are
    no older than `within_s`; that is still so for a moment after a fault, hence `steady_s`, which must be longer.
    """
    if steady_s <= within_s:
        raise ValueError("steady_s must be longer than within_s")
    walking_since: float | None = None
    recovered = False
    while crew.clock() - since < deadline_s and not recovered:
        await asyncio.sleep(0.05)
        if not crew.all_walking(within_s):
            walking_since = None
        elif walking_since is None:
            walking_since = crew.clock()
        else:
            recovered = crew.clock() - walking_since >= steady_s
    return Recovery(tuple(sorted(gap for gap in crew.worst_gaps(since) if gap > 0.0)), recovered)
