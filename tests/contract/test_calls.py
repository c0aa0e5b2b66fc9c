"""What every adapter of the calls port does (cluster/ports/calls.py). Ray's takes part under the `realm` marker."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import ray

from cluster.adapters.memory.calls import MemoryCalls
from cluster.adapters.ray_calls import RayCalls
from cluster.errors import (
    Conflict,
    Fenced,
    InvalidInput,
    InvalidState,
    NotFound,
    RateLimited,
    RealmError,
    SessionGone,
    SubscriptionLimit,
    Unauthorized,
    Unavailable,
)
from cluster.ports.calls import Calls

DEADLINE_S = 20.0
NAMESPACE = "contract-calls"

ERRORS: list[RealmError] = [
    Unauthorized("not_you", "It is not you."),
    NotFound("not_found"),
    SessionGone("session_unknown"),
    InvalidInput([("zone", "no such zone"), ("x", "too large")]),
    InvalidState("not_in_world", "authenticated"),
    Conflict("stale_version", {"version": 7, "position": {"x": 1.5}}),
    RateLimited("zone_full", 5.0),
    SubscriptionLimit(64),
    Unavailable("redis", 2.5),
    Fenced("a newer one exists"),
]


class Actor:
    """What is called. Ray runs it in a process of its own."""

    def __init__(self) -> None:
        self.calls = 0
        self.kept: list[Any] = []

    async def echo(self, *args: Any) -> tuple[Any, ...]:
        return args

    def plain(self, value: int) -> int:
        return value + 1

    async def count(self) -> int:
        self.calls += 1
        return self.calls

    async def keep(self, value: list[int]) -> list[int]:
        self.kept.append(value)
        value.append(1)
        return value

    async def fail(self, number: int) -> None:
        raise ERRORS[number]

    async def crash(self) -> None:
        raise ZeroDivisionError("on purpose")

    async def crash_unlike_any(self) -> None:
        raise Unpicklable

    async def slow(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        self.calls += 1
        return self.calls

    async def flaky(self, failures: int) -> int:
        """Away for the first calls, by its own account."""
        self.calls += 1
        if self.calls <= failures:
            raise Unavailable("a part of it")
        return self.calls


class Unpicklable(Exception):
    """Its arguments are not those it was made with."""

    def __init__(self) -> None:
        super().__init__(lambda: 0)


@dataclass
class Stage:
    """`start` and `kill` are for the actor of that name."""

    calls: Calls
    start: Callable[[str], None]
    kill: Callable[[str], None]


def memory_stage() -> Stage:
    actors: dict[str, Any] = {}

    def start(name: str) -> None:
        actors[name] = Actor()

    return Stage(MemoryCalls(actors, seed=1), start, lambda name: actors.__delitem__(name))


@pytest.fixture(scope="module")
def ray_started() -> Iterator[None]:
    # Short: Ray puts sockets under it, whose paths may have 107 characters.
    folder = tempfile.mkdtemp(prefix="rr-", dir="/tmp")
    ray.init(
        num_cpus=1,
        namespace=NAMESPACE,
        include_dashboard=False,
        configure_logging=False,
        object_store_memory=100 * 1024 * 1024,
        _temp_dir=folder,
    )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def ray_stage() -> Stage:
    started: dict[str, Any] = {}

    def start(name: str) -> None:
        made = ray.remote(Actor).options(name=name, namespace=NAMESPACE, num_cpus=0, max_concurrency=100)
        started[name] = made.remote()

    def kill(name: str) -> None:
        ray.kill(started.pop(name))

    return Stage(RayCalls(NAMESPACE, seed=1), start, kill)


@pytest.fixture(params=["memory", pytest.param("ray", marks=pytest.mark.realm)])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "memory":
        yield memory_stage()
    else:
        request.getfixturevalue("ray_started")
        yield ray_stage()


@pytest.fixture
def name(namespace: str) -> str:
    """An actor's name that no other test has."""
    return f"zone/{namespace}"


async def call(stage: Stage, actor: str, method: str, *args: Any, **more: Any) -> Any:
    return await stage.calls.call(actor, method, *args, **{"deadline_s": DEADLINE_S, **more})


async def test_arguments_and_results_arrive_as_they_were(stage: Stage, name: str) -> None:
    stage.start(name)
    said = ("x", 1, None, {"a": [1.5, ("t",)]}, b"\x00\xff")
    assert await call(stage, name, "echo", *said) == said
    assert await call(stage, name, "echo") == ()
    assert await call(stage, name, "plain", 41) == 42


async def test_nothing_is_shared_with_the_caller(stage: Stage, name: str) -> None:
    stage.start(name)
    mine = [0]
    assert await call(stage, name, "keep", mine) == [0, 1]
    assert mine == [0]


async def test_calls_run_side_by_side(stage: Stage, name: str) -> None:
    stage.start(name)
    await call(stage, name, "count")
    began = time.monotonic()
    await asyncio.gather(*(call(stage, name, "slow", 0.2) for _ in range(10)))
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("number", range(len(ERRORS)), ids=[type(error).__name__ for error in ERRORS])
async def test_errors_of_the_realm_arrive_as_they_were(stage: Stage, name: str, number: int) -> None:
    stage.start(name)
    with pytest.raises(RealmError) as caught:
        await call(stage, name, "fail", number)
    error, sent = caught.value, ERRORS[number]
    assert type(error) is type(sent)
    assert (str(error), error.args, vars(error)) == (str(sent), sent.args, vars(sent))


@pytest.mark.parametrize("method", ["crash", "crash_unlike_any"])
async def test_any_other_error_is_the_actor_s_own_affair(stage: Stage, name: str, method: str) -> None:
    stage.start(name)
    with pytest.raises(Unavailable) as caught:
        await call(stage, name, method)
    assert caught.value.what == name
    assert await call(stage, name, "count") == 1, "it lives on"


async def test_an_actor_that_is_not_there(stage: Stage, name: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await call(stage, name, "count")
    assert caught.value.what == name


async def test_no_answer_in_time(stage: Stage, name: str) -> None:
    stage.start(name)
    await call(stage, name, "count")
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await call(stage, name, "slow", 60.0, deadline_s=0.3)
    assert 0.25 < time.monotonic() - began < 2.0


async def test_a_call_that_was_given_up_may_still_be_done(stage: Stage, name: str) -> None:
    """That is why only idempotent ones are repeated."""
    stage.start(name)
    await call(stage, name, "count")
    with pytest.raises(Unavailable):
        await call(stage, name, "slow", 0.3, deadline_s=0.1)
    async with asyncio.timeout(DEADLINE_S):
        while await call(stage, name, "slow", 0.05) < 3:
            pass


@pytest.mark.parametrize("deadline_s", [0.0, -1.0])
async def test_a_deadline_that_has_passed(stage: Stage, name: str, deadline_s: float) -> None:
    stage.start(name)
    with pytest.raises(Unavailable):
        await call(stage, name, "slow", 0.01, deadline_s=deadline_s)


class TestIdempotent:
    async def test_it_is_repeated_until_it_succeeds(self, stage: Stage, name: str) -> None:
        stage.start(name)
        assert await call(stage, name, "flaky", 3, idempotent=True) == 4

    async def test_another_is_not(self, stage: Stage, name: str) -> None:
        stage.start(name)
        with pytest.raises(Unavailable):
            await call(stage, name, "flaky", 3)
        assert await call(stage, name, "count") == 2

    async def test_the_caller_s_fault_is_not_repeated(self, stage: Stage, name: str) -> None:
        stage.start(name)
        began = time.monotonic()
        with pytest.raises(Conflict):
            await call(stage, name, "fail", 5, idempotent=True, deadline_s=60.0)
        assert time.monotonic() - began < 10.0

    async def test_it_waits_for_an_actor_that_starts(self, stage: Stage, name: str) -> None:
        asking = asyncio.create_task(call(stage, name, "echo", "here", idempotent=True))
        await asyncio.sleep(0.2)
        assert not asking.done()
        stage.start(name)
        assert await asking == ("here",)

    async def test_but_no_longer_than_its_deadline(self, stage: Stage, name: str) -> None:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await call(stage, name, "count", idempotent=True, deadline_s=0.4)
        assert 0.1 < time.monotonic() - began < 2.0

    async def test_it_finds_the_next_actor_of_the_name(self, stage: Stage, name: str) -> None:
        stage.start(name)
        assert await call(stage, name, "count") == 1
        stage.kill(name)
        asking = asyncio.create_task(call(stage, name, "count", idempotent=True))
        await asyncio.sleep(0.2)
        stage.start(name)
        assert await asking == 1, "a new one, which has counted nothing"
