"""Calls to a zone whose owner changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cluster import zone_calls
from cluster.adapters.memory.calls import MemoryCalls
from cluster.errors import InvalidState, NotOwner, Unavailable
from cluster.ports.calls import zone_actor, zone_and_slot
from cluster.zone_calls import ZoneOwners

ZONE = "zon_a"


class Actor:
    """One of the zone's two. `owns`: the slot that it believes to be the owner; `hung`: it never answers."""

    def __init__(self, slot: int, owns: int = 0, epoch: int = 1) -> None:
        self.slot, self.owns, self.epoch = slot, owns, epoch
        self.hung = False
        self.asked: list[int] = []

    async def add(self, number: int) -> int:
        if self.hung:
            await asyncio.Event().wait()
        if self.owns != self.slot:
            raise NotOwner(self.owns)
        self.asked.append(number)
        return number + 1

    async def refuse(self) -> None:
        raise InvalidState("not_here", "gone")

    async def info(self) -> dict[str, Any]:
        if self.hung:
            await asyncio.Event().wait()
        role = "owner" if self.owns == self.slot else "following"
        return {"role": role, "slot": self.slot, "epoch": self.epoch}


class Stage:
    def __init__(self, *actors: Actor) -> None:
        self.by_slot = {actor.slot: actor for actor in actors}
        self.actors: dict[str, Any] = {zone_actor(ZONE, actor.slot): actor for actor in actors}
        self.calls = MemoryCalls(self.actors, seed=1)
        self.counted: list[str] = []
        self.at: dict[int, Callable[[], None]] = {}  # what happens before the nth call
        self.owners = ZoneOwners(self, seed=1)

    async def call(self, actor: str, method: str, *args: Any, deadline_s: float, idempotent: bool = False) -> Any:
        self.counted.append(actor)
        self.at.get(len(self.counted), lambda: None)()
        return await self.calls.call(actor, method, *args, deadline_s=deadline_s, idempotent=idempotent)

    async def add(self, number: int = 1, idempotent: bool = True, deadline_s: float = 2.0) -> Any:
        return await self.owners.call(ZONE, "add", number, deadline_s=deadline_s, idempotent=idempotent)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone_calls, "FIRST_PATIENCE_S", 0.02)
    monkeypatch.setattr(zone_calls, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(zone_calls, "FIND_DEADLINE_S", 0.05)


def test_names() -> None:
    assert [zone_actor(ZONE), zone_actor(ZONE, 1)] == ["zone/zon_a", "zone/zon_a/1"]
    for name, found in {
        "zone/zon_a": (ZONE, 0),
        "zone/zon_a/1": (ZONE, 1),
        "zon_a": (ZONE, 0),
        "zon_a/1": (ZONE, 1),
    }.items():
        assert zone_and_slot(name) == found


async def test_a_zone_with_one_actor_is_asked_once() -> None:
    stage = Stage(Actor(0))
    assert [await stage.add(n) for n in (1, 2)] == [2, 3]
    assert stage.counted == ["zone/zon_a"] * 2


@pytest.mark.parametrize("idempotent", [True, False])
async def test_it_goes_where_the_follower_says_and_remembers(idempotent: bool) -> None:
    stage = Stage(Actor(0, owns=1), Actor(1, owns=1))
    assert await stage.add(1, idempotent) == 2
    assert await stage.add(2, idempotent) == 3
    assert stage.counted == ["zone/zon_a", "zone/zon_a/1", "zone/zon_a/1"]
    for actor in stage.by_slot.values():
        actor.owns = 0
    assert await stage.add(3, idempotent) == 4
    assert await stage.add(4, idempotent) == 5
    assert stage.counted[3:] == ["zone/zon_a/1", "zone/zon_a", "zone/zon_a"]


async def test_the_other_one_is_tried_when_one_is_away() -> None:
    stage = Stage(Actor(1, owns=1))
    assert await stage.add() == 2
    assert await stage.add() == 2
    assert stage.counted == ["zone/zon_a", "zone/zon_a/1", "zone/zon_a/1"]


async def test_the_other_one_is_tried_when_one_does_not_answer() -> None:
    stage = Stage(Actor(0), Actor(1, owns=1))
    stage.by_slot[0].hung = True
    assert await stage.add() == 2


async def test_a_slow_owner_is_given_more_time_each_time() -> None:
    """Only it is there, and it takes longer than the first patience."""
    stage = Stage(Actor(0))
    slow = stage.by_slot[0].add

    async def add(number: int) -> int:
        await asyncio.sleep(0.1)
        return await slow(number)

    stage.by_slot[0].add = add  # type: ignore[method-assign]
    assert await stage.add() == 2
    assert stage.counted.count("zone/zon_a") > 1


async def test_two_that_name_each_other_until_one_has_taken_over() -> None:
    stage = Stage(Actor(0, owns=1), Actor(1, owns=0))

    stage.at[6] = lambda: setattr(stage.by_slot[1], "owns", 1)
    assert await stage.add(idempotent=False) == 2
    assert stage.by_slot[1].asked == [1]


async def test_nobody_owns_it_until_the_deadline() -> None:
    stage = Stage(Actor(0, owns=1), Actor(1, owns=0))
    with pytest.raises(Unavailable):
        await stage.add(deadline_s=0.05)
    assert len(stage.counted) < 100  # it pauses


async def test_a_call_that_may_have_been_done_is_not_repeated() -> None:
    stage = Stage(Actor(0), Actor(1, owns=1))
    stage.by_slot[0].hung = True
    with pytest.raises(Unavailable):
        await stage.add(1, idempotent=False, deadline_s=0.05)
    assert stage.counted == ["zone/zon_a"]
    assert stage.by_slot[1].asked == []
    # The next one looks for the owner first.
    assert await stage.add(2, idempotent=False) == 3
    assert stage.by_slot[1].asked == [2]


async def test_what_the_zone_refuses_is_raised() -> None:
    stage = Stage(Actor(0))
    with pytest.raises(InvalidState):
        await stage.owners.call(ZONE, "refuse", deadline_s=1.0, idempotent=True)
    assert stage.counted == ["zone/zon_a"]


class TestOwner:
    async def test_of_two_that_believe_it_the_newer_one_is(self) -> None:
        stage = Stage(Actor(0, owns=0, epoch=4), Actor(1, owns=1, epoch=5))
        assert (await stage.owners.owner(ZONE, 1.0))["slot"] == 1
        assert await stage.add() == 2
        assert stage.by_slot[1].asked == [1]

    async def test_one_that_hangs_does_not_hide_the_other(self) -> None:
        stage = Stage(Actor(0), Actor(1, owns=1))
        stage.by_slot[0].hung = True
        assert (await stage.owners.owner(ZONE, 0.05))["slot"] == 1

    async def test_nobody(self) -> None:
        with pytest.raises(Unavailable):
            await Stage(Actor(1, owns=0)).owners.owner(ZONE, 1.0)
