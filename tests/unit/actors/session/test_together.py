"""Those who ask at once share a call."""

from __future__ import annotations

import asyncio

import pytest

from actors.session.together import Together, each_of
from cluster.errors import Unavailable


class Slow:
    """Calls wait until a test lets them end."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.go = asyncio.Semaphore(0)
        self.failures = 0

    async def __call__(self, keys: list[str]) -> dict[str, str]:
        self.calls.append(keys)
        await self.go.acquire()
        if self.failures:
            self.failures -= 1
            raise Unavailable("test")
        return {key: key.upper() for key in keys}


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_while_one_is_on_its_way_shares_the_next() -> None:
    slow = Slow()
    together = Together(slow)
    first = asyncio.create_task(together.get("a"))
    await turns()
    others = [asyncio.create_task(together.get(key)) for key in "bcab"]
    await turns()
    assert slow.calls == [["a"]]
    slow.go.release()
    slow.go.release()
    assert await asyncio.gather(first, *others) == ["A", "B", "C", "A", "B"]
    assert slow.calls == [["a"], ["b", "c", "a"]]
    slow.go.release()
    assert await together.get("d") == "D"


async def test_a_failure_is_everybody_s_who_shared_it_and_nobody_else_s() -> None:
    slow = Slow()
    together = Together(slow)
    first = asyncio.create_task(together.get("a"))
    await turns()
    others = [asyncio.create_task(together.get(key)) for key in "bc"]
    await turns()
    slow.failures = 1
    slow.go.release()
    slow.go.release()
    results = await asyncio.gather(first, *others, return_exceptions=True)
    assert isinstance(results[0], Unavailable)
    assert results[1:] == ["B", "C"]


async def test_one_that_is_cancelled_leaves_the_others_with_an_answer() -> None:
    slow = Slow()
    together = Together(slow)
    tasks = [asyncio.create_task(together.get(key)) for key in "abc"]
    await turns()
    slow.go.release()
    await tasks[0]
    await turns()
    assert slow.calls == [["a"], ["b", "c"]]
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == "A"
    assert isinstance(results[1], asyncio.CancelledError)
    assert isinstance(results[2], Unavailable)
    slow.go.release()
    assert await together.get("d") == "D"


async def test_each_of_waits_for_all_also_when_one_fails() -> None:
    done: list[str] = []

    async def step(name: str, fails: bool) -> str:
        await turns(3 if fails else 6)
        done.append(name)
        if fails:
            raise Unavailable(name)
        return name

    assert await each_of(step(name, False) for name in "ab") == ["a", "b"]
    done.clear()
    with pytest.raises(Unavailable):
        await each_of([step("c", True), step("d", False)])
    assert done == ["c", "d"]
