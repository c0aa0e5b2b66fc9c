"""Calls to named actors, with Ray played by a dictionary."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError

from cluster.adapters.ray_calls import RayCalls
from cluster.errors import Conflict, Unavailable

Answer = Callable[..., Any]


class Handle:
    """An actor handle: `handle.method.remote(...)` is awaited. `answer` may raise, or return what is answered."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __getattr__(self, method: str) -> Handle:
        return self

    async def remote(self, *args: Any) -> Any:
        result = self._answer(*args)
        return await result if asyncio.iscoroutine(result) else result


class FakeRay:
    """`actors` by name; an absent one is a ValueError, as ray.get_actor has it."""

    def __init__(self) -> None:
        self.actors: dict[str, Handle] = {}
        self.asked: Counter[str] = Counter()

    def get_actor(self, name: str, namespace: str) -> Handle:
        assert namespace == "ns"
        self.asked[name] += 1
        if name not in self.actors:
            raise ValueError(f"no actor {name}")
        return self.actors[name]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    made = FakeRay()
    monkeypatch.setattr("cluster.adapters.ray_calls.ray.get_actor", made.get_actor)
    return made


def task_error(cause: Exception) -> Exception:
    """What Ray raises for an actor's method that raised."""
    made: Exception = RayTaskError("m", "trace", cause)  # type: ignore[no-untyped-call]
    return made


def raises(error: Exception) -> Answer:
    def answer(*_args: Any) -> None:
        raise error

    return answer


def sequence(*answers: Any) -> Answer:
    """One after another; the last for ever."""
    left = list(answers)

    def answer(*_args: Any) -> Any:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now

    return answer


async def test_a_handle_is_resolved_once(fake: FakeRay) -> None:
    fake.actors["zone/a"] = Handle(lambda *args: args)
    calls = RayCalls("ns")
    for _ in range(3):
        assert await calls.call("zone/a", "m", 1, 2, deadline_s=1.0) == (1, 2)
    assert fake.asked == {"zone/a": 1}


@pytest.mark.parametrize("death", [ActorDiedError(), ActorUnavailableError("away", None)])
async def test_after_a_death_it_is_resolved_again(fake: FakeRay, death: Exception) -> None:
    fake.actors["zone/a"] = Handle(sequence(1, death))
    calls = RayCalls("ns")
    assert await calls.call("zone/a", "m", deadline_s=1.0) == 1
    with pytest.raises(Unavailable):
        await calls.call("zone/a", "m", deadline_s=1.0)
    fake.actors["zone/a"] = Handle(lambda: 2)
    assert await calls.call("zone/a", "m", deadline_s=1.0) == 2
    assert fake.asked == {"zone/a": 2}


async def test_an_idempotent_call_survives_a_death(fake: FakeRay) -> None:
    fake.actors["zone/a"] = Handle(sequence(ActorDiedError(), ActorDiedError(), "alive"))
    assert await RayCalls("ns", seed=1).call("zone/a", "m", deadline_s=5.0, idempotent=True) == "alive"
    assert fake.asked == {"zone/a": 3}


async def test_an_error_of_the_realm_comes_through(fake: FakeRay) -> None:
    sent = Conflict("stale_version", {"version": 3})
    fake.actors["zone/a"] = Handle(raises(task_error(sent)))
    with pytest.raises(Conflict) as caught:
        await RayCalls("ns").call("zone/a", "m", deadline_s=1.0, idempotent=True)
    assert caught.value is sent


@pytest.mark.parametrize("error", [task_error(ZeroDivisionError()), RayError("no server")])
async def test_any_other_is_unavailable(fake: FakeRay, error: Exception) -> None:
    fake.actors["zone/a"] = Handle(raises(error))
    with pytest.raises(Unavailable) as caught:
        await RayCalls("ns").call("zone/a", "m", deadline_s=1.0)
    assert caught.value.what == "zone/a"


async def test_a_silent_actor(fake: FakeRay) -> None:
    fake.actors["zone/a"] = Handle(lambda: asyncio.sleep(60))
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await RayCalls("ns").call("zone/a", "m", deadline_s=0.1, idempotent=True)
    assert 0.09 < time.monotonic() - began < 1.0


async def test_an_absent_actor_is_asked_for_with_growing_pauses(fake: FakeRay) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await RayCalls("ns", seed=1).call("zone/a", "m", deadline_s=0.5, idempotent=True)
    assert time.monotonic() - began < 0.6
    assert 3 <= fake.asked["zone/a"] <= 8


async def test_pauses_differ_between_processes(fake: FakeRay) -> None:
    """Whoever lost an actor at the same time must not come back at the same time."""
    times: list[list[float]] = []
    for seed in (1, 2):
        asked: list[float] = []
        began = time.monotonic()

        def answer(asked: list[float] = asked, began: float = began) -> int:
            asked.append(time.monotonic() - began)
            if len(asked) < 4:
                raise ActorDiedError
            return 1

        fake.actors["zone/a"] = Handle(answer)
        await RayCalls("ns", seed=seed).call("zone/a", "m", deadline_s=5.0, idempotent=True)
        times.append(asked)
    gaps = [[after - before for before, after in itertools.pairwise(t)] for t in times]
    assert all(0.02 < gap < 0.5 for gap in gaps[0] + gaps[1])
    assert max(abs(a - b) for a, b in zip(gaps[0], gaps[1], strict=True)) > 0.003
