"""Starting while servers are away, and steps that repeat."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from cluster.adapters import runtime
from cluster.adapters.runtime import every, until_available
from cluster.errors import Conflict, Fenced, RealmError, Unavailable


class Steps:
    """Does what it is told, one call after the other, then waits for good."""

    def __init__(self, *outcomes: BaseException | str) -> None:
        self.left = list(outcomes)
        self.calls = 0
        self.done = asyncio.Event()

    async def __call__(self) -> str:
        self.calls += 1
        if not self.left:
            self.done.set()
            await asyncio.Event().wait()
        outcome = self.left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(runtime, "LAST_PAUSE_S", 0.004)


class TestUntilAvailable:
    async def test_it_repeats_what_is_away(self) -> None:
        steps = Steps(*[Unavailable("redis")] * 6, "there")
        with capture_logs() as logs:
            assert await until_available(steps) == "there"
        assert steps.calls == 7
        assert [entry["event"] for entry in logs] == ["start_waits"] * 6

    @pytest.mark.parametrize("error", [Fenced("newer"), Conflict("taken"), ValueError("a bug")])
    async def test_it_does_not_repeat_anything_else(self, error: Exception) -> None:
        steps = Steps(error, "there")
        with pytest.raises(type(error)):
            await until_available(steps)
        assert steps.calls == 1

    async def test_it_can_be_stopped(self) -> None:
        async def away() -> None:
            raise Unavailable("redis")

        waiting = asyncio.create_task(until_available(away))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


class TestEvery:
    async def run(self, steps: Steps) -> list[str]:
        async def step() -> None:
            await steps()

        with capture_logs() as logs:
            loop = asyncio.create_task(every(0.0, step, "test"))
            async with asyncio.timeout(5):
                await steps.done.wait()
            assert not loop.done()
            loop.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loop
        return [entry["event"] for entry in logs]

    async def test_a_failing_step_is_logged_and_goes_on(self) -> None:
        steps = Steps("1", Unavailable("redis"), "2", ZeroDivisionError(), RealmError(), "3")
        assert await self.run(steps) == ["step_failed"] * 3
        assert steps.calls == 7

    async def test_being_fenced_ends_the_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        codes: list[int] = []
        monkeypatch.setattr("cluster.adapters.runtime.os._exit", codes.append)
        events = await self.run(Steps(Fenced("newer")))
        assert codes == [runtime.FENCED_EXIT_CODE]
        assert runtime.FENCED_EXIT_CODE != 0
        assert events == ["fenced"]
