"""Ties are looked up again without a burst, and never put an older answer over a newer one (rows 3.2 and 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from actors.presence.looking import AT_ONCE, TiesAgain
from actors.presence.privacy import NOBODY, Circle
from cluster.errors import Unavailable
from tests.unit.actors.presence.stage import Stage, apart, session

MINUTE = 60.0


class Store:
    """The social store, and the time: an answer takes `slow_s`; `meanwhile` is called while it is under way."""

    def __init__(self, circles: Mapping[str, Circle], slow_s: float = 0.0) -> None:
        self.circles = circles
        self.slow_s = slow_s
        self.now = 1_000.0
        self.asked: list[tuple[float, list[str]]] = []
        self.away_at: set[int] = set()
        self.meanwhile: Callable[[], None] = lambda: None

    async def ask(self, user_ids: Sequence[str]) -> Mapping[str, Circle]:
        self.asked.append((self.now, list(user_ids)))
        if len(self.asked) in self.away_at:
            raise Unavailable("redis")
        answer = {user_id: self.circles.get(user_id, NOBODY) for user_id in user_ids}
        self.now += self.slow_s
        self.meanwhile()
        return answer

    async def sleep(self, for_s: float) -> None:
        self.now += for_s

    def clock(self) -> float:
        return self.now


def a_crowd(number: int) -> Stage:
    stage = Stage()
    stage.rebuild(*(session(f"{n}", f"{n}") for n in range(number)))
    return stage


def looking(stage: Stage, store: Store) -> tuple[TiesAgain, list[float]]:
    told: list[float] = []
    return TiesAgain(stage.index, store.ask, lambda: told.append(store.now)), told


@pytest.mark.parametrize("slow_s", [0.0, 2.0])
async def test_a_round_is_spread_over_its_time(slow_s: float) -> None:
    stage = a_crowd(5 * AT_ONCE + 1)
    store = Store(stage.circles, slow_s)
    again, told = looking(stage, store)
    await again.look(MINUTE, store.clock, store.sleep)
    assert [at - 1_000.0 for at, _ in store.asked] == [pytest.approx(10.0 * n) for n in range(1, 7)]
    assert [len(users) for _, users in store.asked] == [AT_ONCE] * 5 + [1]
    assert sorted(user for _, users in store.asked for user in users) == sorted(stage.index.users())
    assert len(told) == 6


async def test_a_store_that_is_slower_than_that_is_not_asked_faster() -> None:
    stage = a_crowd(3 * AT_ONCE)
    store = Store(stage.circles, slow_s=50.0)
    again, _ = looking(stage, store)
    await again.look(MINUTE, store.clock, store.sleep)
    assert [at - 1_000.0 for at, _ in store.asked] == [20.0, 70.0, 120.0]


async def test_with_nobody_there_it_waits_as_well() -> None:
    store = Store({})
    again, told = looking(Stage(), store)
    await again.look(MINUTE, store.clock, store.sleep)
    assert (store.now, store.asked, told) == (1_000.0 + MINUTE, [], [])


async def test_what_was_lost_is_found() -> None:
    stage = Stage()
    stage.apply(session("a"), session("b", "bob", watching=["ann"]))
    stage.index.take_news()
    store = Store({"usr_ann": apart("bob"), "usr_bob": apart("ann")})
    again, _ = looking(stage, store)
    await again.look(MINUTE, store.clock, store.sleep)
    assert stage.status("bob", "ann") == "offline"


async def test_what_came_while_the_store_was_asked_is_newer() -> None:
    stage = Stage()
    stage.apply(session("a"), session("b", "bob"), session("c", "cid"))
    store = Store({"usr_bob": apart("cid"), "usr_cid": apart("bob")})
    again, _ = looking(stage, store)

    def a_block() -> None:
        stage.refresh(ann=apart("bob"))
        again.came(["usr_ann"])

    again.came(["usr_bob"])  # before it was asked: what it answers is newer
    store.meanwhile = a_block
    await again.look(MINUTE, store.clock, store.sleep)
    assert stage.status("bob", "ann") == "offline", "the block stays"
    assert stage.status("bob", "cid") == "offline", "and the others are as the store says"
    store.meanwhile, store.circles = lambda: None, {}
    await again.look(MINUTE, store.clock, store.sleep)
    assert stage.status("bob", "ann") == "online", "the next round counts again"


async def test_a_store_that_is_away_for_a_part() -> None:
    stage = a_crowd(3 * AT_ONCE)
    store = Store(stage.circles)
    store.away_at = {1}
    again, told = looking(stage, store)
    with pytest.raises(Unavailable):
        await again.look(MINUTE, store.clock, store.sleep)
    assert [at - 1_000.0 for at, _ in store.asked] == [20.0, 40.0, 60.0]
    assert len(told) == 2
