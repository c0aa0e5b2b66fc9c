"""Virtual time is asyncio's, only faster; and its processes die and stop like real ones."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable

import pytest

from tests.simulation.virtual_time import WALL, Deadlock, Process, Runaway, VirtualLoop, me, run


def test_an_hour_is_nothing() -> None:
    began = time.perf_counter()

    async def work() -> tuple[float, float]:
        before = time.monotonic()
        await asyncio.sleep(3600.0)
        return time.monotonic() - before, time.time()

    slept, wall = run(work)
    assert slept == pytest.approx(3600.0)
    assert wall == pytest.approx(WALL + 3600.0)
    assert time.perf_counter() - began < 1.0
    assert abs(time.time() - WALL - 3600.0) > 1.0, "the machine's clock is back"


def test_deadlines_are_virtual_too() -> None:
    async def work() -> list[str]:
        said = []
        try:
            async with asyncio.timeout(2.0):
                await asyncio.sleep(3.0)
        except TimeoutError:
            said.append("timeout")
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 10.0)
        except TimeoutError:
            said.append("wait_for")
        done, _ = await asyncio.wait([asyncio.create_task(asyncio.sleep(1.0))], timeout=5.0)
        said.append(str(len(done)))
        return said

    assert run(work) == ["timeout", "wait_for", "1"]


def test_timers_come_in_order() -> None:
    async def work() -> list[int]:
        order: list[int] = []

        async def one(after: int) -> None:
            await asyncio.sleep(after)
            order.append(after)

        await asyncio.gather(*(one(after) for after in (3, 1, 2)))
        return order

    assert run(work) == [1, 2, 3]


def test_nobody_wakes_anybody() -> None:
    with pytest.raises(Deadlock):
        run(lambda: asyncio.Event().wait())


def test_a_loop_that_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.virtual_time.AT_ONCE", 1_000)

    async def work() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Runaway):
        run(work)


def test_threads_and_sockets_are_refused() -> None:
    async def thread() -> None:
        await asyncio.to_thread(time.sleep, 0)

    async def socket() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    with pytest.raises(RuntimeError, match="thread"):
        run(thread)
    with pytest.raises((RuntimeError, NotImplementedError)):
        run(socket)


def test_a_seed_is_one_run() -> None:
    async def work() -> tuple[str, float]:
        return secrets.token_hex(8), random.random()

    assert run(work, 1) == run(work, 1)
    assert run(work, 1) != run(work, 2)
    assert secrets.token_hex(8) != secrets.token_hex(8)


def a_process(work: Callable[[], object]) -> Process:
    process = Process("test", 1)
    process.spawn(work())  # type: ignore[arg-type]
    return process


class TestProcesses:
    def test_everything_it_begins_is_its_own_and_dies_with_it(self) -> None:
        async def work() -> tuple[list[str], int]:
            said: list[str] = []

            async def inner() -> None:
                assert me() is process
                await asyncio.sleep(2.0)
                said.append("inner")

            async def outer() -> None:
                task = asyncio.create_task(inner())
                await asyncio.sleep(5.0)
                said.append("outer")
                await task

            process = a_process(outer)
            deaths: list[str] = []
            process.on_death.append(lambda: deaths.append("dead"))
            await asyncio.sleep(3.0)
            process.kill()
            process.kill()
            await asyncio.sleep(10.0)
            assert me() is None
            assert deaths == ["dead"]
            return said, len(process.tasks)

        assert run(work) == (["inner"], 0)

    def test_a_dead_one_begins_nothing(self) -> None:
        async def work() -> list[str]:
            said: list[str] = []

            async def more() -> None:
                said.append("more")

            async def stubborn() -> None:
                try:
                    await asyncio.sleep(5.0)
                finally:
                    await asyncio.create_task(more())

            process = a_process(stubborn)
            await asyncio.sleep(1.0)
            process.kill()
            await asyncio.sleep(1.0)
            assert not process.tasks
            return said

        assert run(work) == []

    def test_a_stopped_one_goes_on_where_it_stood(self) -> None:
        async def work() -> tuple[list[float], list[float]]:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            beats: dict[str, list[float]] = {"stopped": [], "other": []}
            began = loop.time()

            def beat(name: str) -> Callable[[], object]:
                async def beating() -> None:
                    for _ in range(6):
                        await asyncio.sleep(1.0)
                        beats[name].append(loop.time() - began)

                return beating

            process = a_process(beat("stopped"))
            a_process(beat("other"))
            await asyncio.sleep(2.5)
            loop.stop_process(process)
            await asyncio.sleep(10.0)
            loop.resume(process)
            await asyncio.sleep(5.0)
            return beats["stopped"], beats["other"]

        stopped, other = run(work)
        assert stopped == pytest.approx([1, 2, 12.5, 13.5, 14.5, 15.5])
        assert other == pytest.approx([1, 2, 3, 4, 5, 6])

    def test_an_answer_to_a_stopped_one_waits(self) -> None:
        async def work() -> list[float]:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            answer: asyncio.Future[None] = loop.create_future()
            heard: list[float] = []
            began = loop.time()

            async def waiting() -> None:
                await answer
                heard.append(loop.time() - began)

            process = a_process(waiting)
            await asyncio.sleep(1.0)
            loop.stop_process(process)
            answer.set_result(None)
            await asyncio.sleep(1.0)
            assert heard == []
            loop.resume(process)
            await asyncio.sleep(1.0)
            return heard

        assert run(work) == pytest.approx([2.0])

    def test_a_stopped_one_can_be_killed(self) -> None:
        async def work() -> int:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            process = a_process(lambda: asyncio.sleep(1.0))
            await asyncio.sleep(0.5)
            loop.stop_process(process)
            process.kill()
            await asyncio.sleep(0.1)
            return len(process.tasks)

        assert run(work) == 0
