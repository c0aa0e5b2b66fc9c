"""What a zone's game publishes: after the tick, in order, once (row 1.5)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from actors.games.api import Game
from actors.zone import announcing
from actors.zone.announcing import Announcements
from actors.zone.game import GameHost
from actors.zone.game_zone import GameZone
from cluster.errors import InvalidInput, Unavailable
from tests.unit.actors.game_rig import Rig


class Log:
    """Takes messages as the topics' log does: a key is good for one."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, object]] = []
        self.keys: list[str] = []
        self.failures: list[Exception] = []
        self.told = asyncio.Event()

    async def __call__(self, topic: str, method: str, params_json: bytes, key: str) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if key not in self.keys:
            self.keys.append(key)
            self.said.append((topic, method, orjson.loads(params_json)))
        self.told.set()
        if failure is not None:
            raise failure


@asynccontextmanager
async def running(announcements: Announcements) -> AsyncIterator[None]:
    task = asyncio.create_task(announcements.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def empty(announcements: Announcements) -> None:
    async with asyncio.timeout(5.0):
        while len(announcements):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(announcing, "LAST_PAUSE_S", 0.002)


def a_queue(log: Log) -> Announcements:
    return Announcements("zon_a/3", log, random.Random(1))


async def test_in_order_with_keys_of_the_zone_s_own() -> None:
    log = Log()
    announcements = a_queue(log)
    for n in range(3):
        announcements.put("news", {"n": n})
    assert log.said == [], "not in the tick"
    async with running(announcements):
        await empty(announcements)
        announcements.put("weather", "rain")
        await empty(announcements)
    assert log.said == [("news", "system.topic", {"topic": "news", "data": {"n": n}}) for n in range(3)] + [
        ("weather", "system.topic", {"topic": "weather", "data": "rain"})
    ]
    assert log.keys == ["zon_a/3/1", "zon_a/3/2", "zon_a/3/3", "zon_a/3/4"]


async def test_while_the_log_is_away_it_waits_and_one_with_a_lost_answer_is_not_said_twice() -> None:
    log = Log()
    announcements = a_queue(log)
    log.failures = [Unavailable("redis")] * 5
    announcements.put("news", 1)
    announcements.put("news", 2)
    async with running(announcements):
        await empty(announcements)
    assert [said[2] for said in log.said] == [{"topic": "news", "data": 1}, {"topic": "news", "data": 2}]


async def test_one_that_cannot_be_published_does_not_stop_the_others() -> None:
    log = Log()
    announcements = a_queue(log)
    log.failures = [ZeroDivisionError()]
    for n in range(2):
        announcements.put("news", n)
    async with running(announcements):
        await empty(announcements)
    assert len(log.said) == 2


async def test_a_bound() -> None:
    announcements = a_queue(Log())
    for n in range(announcing.MOST_WAITING + 7):
        announcements.put("news", n)
    assert (len(announcements), announcements.lost) == (announcing.MOST_WAITING, 7)


def test_what_no_topic_can_bring_is_refused_at_once() -> None:
    announcements = a_queue(Log())
    for topic, data in (("chat:hall", 1), ("news", {1, 2})):
        with pytest.raises(InvalidInput):
            announcements.put(topic, data)
    assert len(announcements) == 0


class Herald(Game):
    def on_tick(self, zone: GameZone, dt: float) -> None:
        zone.publish("news", {"tick": zone.tick})


class Liar(Game):
    def on_tick(self, zone: GameZone, dt: float) -> None:
        zone.publish("user:usr_1", "you have won")


def test_a_game_publishes() -> None:
    said: list[tuple[str, object]] = []
    rig = Rig(Herald)
    host = GameHost(Herald, rig.world, 10.0, announce=lambda topic, data: said.append((topic, data)))
    host.start()
    host.tick()
    assert said == [("news", {"tick": rig.zone.ticks})]


def test_but_only_to_server_topics() -> None:
    rig = Rig(Liar).start()
    assert rig.host is not None
    rig.host.tick()
    assert dict(rig.host.errors) == {"on_tick": 1}
