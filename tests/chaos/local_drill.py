"""The chaos run's players, recorder and checker against a realm in this process: no Ray, so that a drill takes seconds.

What is done to its actors is done as in tests/integration/backstage.py.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cluster.bench.crew import Crew
from cluster.chaos.bots import TIMEOUT_S, ChaosBot
from cluster.chaos.cast import Cast
from cluster.chaos.checker import Verdict, check
from cluster.chaos.drill import until_heard
from cluster.chaos.history import History, read
from cluster.chaos.inside import Inside
from cluster.world_settings import InterestSettings
from rayrealm_client.accounts import pool
from rayrealm_client.models import Tokens
from tests.integration.backstage import Backstage
from tests.local_realm import LocalRealm

BOTS = 3
SEED = 4
CALM = 0.3
COME_S = 20.0
BEFORE_S, AFTER_S = 1.2, 1.8
REST_S = 20.0
READ_S = 10.0
HEAR_S = 2.0
STILL_S = 0.5

Act = Callable[[Backstage], Awaitable[None]]
ActOnPlayers = Callable[[Backstage, Inside, Cast], Awaitable[None]]


@asynccontextmanager
async def players(realm: LocalRealm, history: History, bots: int, at: tuple[float, float]) -> AsyncIterator[Cast]:
    """Bots that are in the world and write, and begin at that place of the first zone."""
    crew, url = Crew(), realm.url.removesuffix("/ws").replace("ws://", "http://")
    zone = realm.settings.world.zones[0].id
    async with pool(url, TIMEOUT_S) as http:
        made = [
            ChaosBot(url, number, SEED, history, crew.add(f"bot-{number}"), http, lambda: [zone], CALM)
            for number in range(bots)
        ]
        try:
            for bot in made:
                user = f"usr_{bot.name}"
                bot.client.tokens = Tokens(user, realm.token(user), "", time.monotonic() + 600.0)
                async with asyncio.timeout(COME_S):
                    await bot.arrive(await realm.character(user, at=at))
            cast = Cast(made, crew, InterestSettings().hysteresis)
            await cast.watch()
            cast.write()
            yield cast
        finally:
            await asyncio.gather(*(bot.go() for bot in made), return_exceptions=True)


async def drill(realm: LocalRealm, folder: Path, act: Act) -> Verdict:
    """They write, something is done to the realm, they write on, and rest."""

    async def between(stage: Backstage, inside: Inside, cast: Cast) -> None:
        await asyncio.sleep(BEFORE_S)
        await act(stage)
        await asyncio.sleep(AFTER_S)

    return await drill_with(realm, folder, between)


async def drill_with(
    realm: LocalRealm, folder: Path, act: ActOnPlayers, bots: int = BOTS, at: tuple[float, float] = (100.0, 100.0)
) -> Verdict:
    """The same, at the pace of `act`."""
    history = History(folder / "history.jsonl")
    nats, redis = realm.settings.nats, realm.settings.redis.url.get_secret_value()
    told = redis, nats.url.get_secret_value(), nats.token.get_secret_value(), realm.settings.namespace
    async with Inside(*told, os.getpid(), history) as inside, players(realm, history, bots, at) as cast:
        await act(Backstage(realm), inside, cast)
        cast.check()
        assert await cast.rest(REST_S) == 0
        cast.stand()
        await until_heard(history, HEAR_S)
        await asyncio.sleep(STILL_S)
        await cast.look(READ_S)
        await cast.count(inside.holders, history, READ_S)
        assert await cast.read_back(READ_S) == 0
    history.close()
    return check(read(history.path))
