"""Bots against the mock realm: they walk, come back, and find their accounts again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from cluster.bench.bots import run_bots, watch_recovery
from cluster.bench.crew import Crew
from cluster.bench.names import character_name
from realm_proto import realtime_pb2 as pb
from tests.integration.mock_realm import BOUNDS, MockRealm

DEADLINE_S = 20.0
PASSWORD = SecretStr("long enough")


@pytest.fixture
async def realm() -> AsyncIterator[MockRealm]:
    async with MockRealm() as mock:
        mock.judges = True
        yield mock


@asynccontextmanager
async def bots_in(realm: MockRealm, count: int) -> AsyncIterator[Crew]:
    """Running, and all of them walking."""
    crew = Crew()
    running = asyncio.create_task(run_bots(realm.url, count, None, 4, password=PASSWORD, crew=crew))
    try:
        await until(lambda: len(crew.bots) == count and crew.all_walking(2.0))
        yield crew
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - conditions span both ends of a socket
            await asyncio.sleep(0.02)


async def test_they_walk_under_names_that_do_not_change(realm: MockRealm) -> None:
    async with bots_in(realm, 3) as crew:
        await until(lambda: len(realm.moves) >= 30)
        names = [bot.username for bot in crew.bots]
        assert names == ["bot-4-000", "bot-4-001", "bot-4-002"]
        assert [bot.name for bot in crew.bots] == [character_name(number) for number in range(3)]
        assert crew.summary()["walking"] == 3
        assert crew.total("logins") == 3
    for _, x, _, z in realm.moves:
        assert BOUNDS["min_x"] <= x <= BOUNDS["max_x"]
        assert BOUNDS["min_z"] <= z <= BOUNDS["max_z"]


async def test_a_second_start_finds_accounts_and_characters(realm: MockRealm) -> None:
    async with bots_in(realm, 2):
        pass
    characters = {user: list(mine) for user, mine in realm.accounts.characters.items()}
    async with bots_in(realm, 2) as crew:
        assert crew.total("logins") == 2
    assert set(realm.accounts.users) == {"bot-4-000", "bot-4-001"}
    assert {user: len(mine) for user, mine in realm.accounts.characters.items()} == dict.fromkeys(characters, 1)


async def test_a_fault_is_survived_and_measured(realm: MockRealm) -> None:
    async with bots_in(realm, 3) as crew:
        since = crew.clock()
        port = await realm.stop_listening()
        realm.cut()
        await until(lambda: crew.clock() - since > 0.6)
        await realm.listen(port)
        recovery = await watch_recovery(crew, since, within_s=1.0, steady_s=1.2, deadline_s=DEADLINE_S)
        assert recovery.recovered
        assert recovery.hit == 3
        assert recovery.max_s >= 0.55
        assert crew.total("logins") == 3  # the sessions were resumed
        assert crew.total("reconnects") == 3


async def test_one_that_stays_away_is_noticed(realm: MockRealm) -> None:
    async with bots_in(realm, 2) as crew:
        since = crew.clock()
        await realm.stop_listening()
        realm.cut()
        recovery = await watch_recovery(crew, since, within_s=0.5, steady_s=0.6, deadline_s=2.0)
        assert not recovery.recovered
        assert recovery.hit == 2


async def test_a_correction_puts_a_bot_where_it_really_is(realm: MockRealm) -> None:
    realm.judges = False
    async with asyncio.timeout(DEADLINE_S):
        crew = Crew()
        running = asyncio.create_task(run_bots(realm.url, 1, None, 4, password=PASSWORD, crew=crew))
        await until(lambda: len(realm.moves) > 2)
        where = pb.Vector3(x=20.0, z=30.0)
        await realm.see(pb.ViewFrame(correction=pb.Correction(sequence=1, position=where, reason="too_fast")))
        await until(lambda: crew.total("corrections") == 1)
        heard = len(realm.moves)
        await until(lambda: len(realm.moves) > heard + 1)
        _, x, _, z = realm.moves[heard + 1]
        assert abs(x - 20.0) < 2.0
        assert abs(z - 30.0) < 2.0
        running.cancel()
        await asyncio.wait({running})


async def test_seconds_are_an_end(realm: MockRealm) -> None:
    async with asyncio.timeout(DEADLINE_S):
        crew = await run_bots(realm.url, 2, 1.0, 4, password=PASSWORD)
    assert len(crew.bots) == 2
    await until(lambda: all(session.socket is None for session in realm.sessions.values()))
