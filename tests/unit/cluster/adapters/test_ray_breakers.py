"""Actors that are silent: who is refused at once, who never is, and how soon a new incarnation is found."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from cluster.adapters import ray_calls
from cluster.adapters.ray_calls import RayCalls
from cluster.errors import Conflict, Unavailable
from cluster.operator_settings import BreakerSettings

SETTINGS = BreakerSettings(failures=3, open_s=1.0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Actor:
    """`answer`: what the next calls do."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.calls = 0

    def __getattr__(self, method: str) -> Actor:
        if method == "traced":
            raise AttributeError(method)
        return self

    async def remote(self, *_args: Any) -> Any:
        self.calls += 1
        if self.answer == "silent":
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Rig:
    def __init__(self, breaker: BreakerSettings | None = SETTINGS) -> None:
        self.clock = Clock()
        self.actors: dict[str, Actor] = {"zone/a": Actor()}
        self.calls = RayCalls("ns", 1, breaker, self.clock)

    def get_actor(self, name: str, namespace: str) -> Actor:
        if name not in self.actors:
            raise ValueError(name)
        return self.actors[name]

    async def fails(self, times: int, actor: str = "zone/a", method: str = "enter") -> None:
        for _ in range(times):
            with pytest.raises(Unavailable):
                await self.calls.call(actor, method, deadline_s=0.02)
            self.clock.now += 1.0


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig()
    monkeypatch.setattr("cluster.adapters.ray_calls.ray.get_actor", made.get_actor)
    monkeypatch.setattr(ray_calls, "LEAST_S", 0.01)
    return made


async def test_refused_at_once_and_tried_by_one(rig: Rig) -> None:
    actor = rig.actors["zone/a"]
    actor.answer = "silent"
    await rig.fails(4)
    rig.clock.now -= 0.9  # 0.1 s after it opened
    asked = actor.calls
    async with asyncio.timeout(1.0):
        with pytest.raises(Unavailable):
            await rig.calls.call("zone/a", "enter", deadline_s=60.0)
    assert actor.calls == asked
    rig.clock.now += 1.0
    actor.answer = "well"
    assert await rig.calls.call("zone/a", "enter", deadline_s=1.0) == "well"
    assert rig.calls._breakers == {}
    assert await rig.calls.call("zone/a", "enter", deadline_s=1.0) == "well"


async def test_whether_it_is_there_may_always_be_asked(rig: Rig) -> None:
    """What finds a hung actor must not be told so by a breaker, nor open one."""
    actor = rig.actors["zone/a"]
    actor.answer = "silent"
    await rig.fails(20, method="info")
    assert rig.calls._breakers == {}
    await rig.fails(4)
    rig.clock.now -= 0.9
    asked = actor.calls
    await rig.fails(1, method="info")
    assert actor.calls == asked + 1


async def test_a_dead_actor_opens_nothing(rig: Rig) -> None:
    """It is found to be dead at once, and its successor must be as well: a zone is back in 1.2 s."""
    rig.actors["zone/a"].answer = ActorDiedError()
    await rig.fails(50)
    del rig.actors["zone/a"]
    await rig.fails(50)
    assert rig.calls._breakers == {}
    rig.actors["zone/a"] = Actor()
    rig.actors["zone/a"].answer = "new"
    assert await rig.calls.call("zone/a", "enter", deadline_s=1.0) == "new"


async def test_the_death_of_a_silent_actor_closes_it(rig: Rig) -> None:
    actor = rig.actors["zone/a"]
    actor.answer = "silent"
    await rig.fails(4)
    actor.answer = ActorDiedError()
    rig.clock.now += 1.0
    await rig.fails(1)
    rig.actors["zone/a"] = Actor()
    rig.actors["zone/a"].answer = "new"
    assert await rig.calls.call("zone/a", "enter", deadline_s=1.0) == "new"


@pytest.mark.parametrize("answer", [Conflict("taken"), ValueError("a bug")])
async def test_what_an_actor_raises_is_an_answer(rig: Rig, answer: Exception) -> None:
    rig.actors["zone/a"].answer = RayTaskError("m", "trace", answer)  # type: ignore[no-untyped-call]
    for _ in range(20):
        with pytest.raises((Conflict, Unavailable)):
            await rig.calls.call("zone/a", "enter", deadline_s=1.0)
        rig.clock.now += 1.0
    assert rig.calls._breakers == {}


async def test_who_looks_after_others_goes_on_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(breaker=None)
    monkeypatch.setattr("cluster.adapters.ray_calls.ray.get_actor", rig.get_actor)
    monkeypatch.setattr(ray_calls, "LEAST_S", 0.01)
    rig.actors["zone/a"].answer = "silent"
    await rig.fails(10)
    assert rig.actors["zone/a"].calls == 10


async def test_a_short_deadline_says_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_calls, "LEAST_S", 0.5)
    rig.actors["zone/a"].answer = "silent"
    await rig.fails(10)
    assert rig.calls._breakers == {}


async def test_breakers_are_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_calls, "MOST_BREAKERS", 4)
    for number in range(12):
        rig.actors[f"zone/{number}"] = Actor()
        rig.actors[f"zone/{number}"].answer = "silent"
        await rig.fails(1, f"zone/{number}")
    assert len(rig.calls._breakers) == 4
