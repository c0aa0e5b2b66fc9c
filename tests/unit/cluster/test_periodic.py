"""Steps that are repeated for as long as a process lives."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from cluster.errors import Fenced, Unavailable
from cluster.periodic import every
from tests.simulation.virtual_time import run

PERIOD_S = 2.0


def repeated(step: Callable[[], Awaitable[None]], for_s: float) -> list[str]:
    """Run the step for so long. Returns what `on_fenced` was told."""
    fenced: list[str] = []

    async def play() -> None:
        task = asyncio.create_task(every(PERIOD_S, step, "work", fenced.append))
        await asyncio.sleep(for_s)
        assert not task.done(), "it goes on whatever happens"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(play)
    return fenced


def test_the_pause_is_between_the_ends() -> None:
    at: list[float] = []

    async def slow() -> None:
        at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(3.0)

    assert repeated(slow, 13.0) == []
    assert [later - earlier for earlier, later in itertools.pairwise(at)] == [5.0, 5.0]


def test_the_first_step_is_after_the_first_pause() -> None:
    calls: list[None] = []

    async def step() -> None:
        calls.append(None)

    repeated(step, PERIOD_S * 0.9)
    assert calls == []


@pytest.mark.parametrize(
    ("error", "level"), [(Unavailable("redis"), "warning"), (ZeroDivisionError("on purpose"), "error")]
)
def test_a_step_that_fails_is_logged_and_tried_again(error: Exception, level: str) -> None:
    calls: list[None] = []

    async def failing() -> None:
        calls.append(None)
        raise error

    with capture_logs() as logs:
        assert repeated(failing, 7.0) == []
    assert len(calls) == 3
    assert [(line["event"], line["what"], line["log_level"]) for line in logs] == [("step_failed", "work", level)] * 3


def test_who_is_fenced_hears_of_it() -> None:
    async def fenced() -> None:
        raise Fenced("a newer incarnation exists")

    assert repeated(fenced, 5.0) == ["work", "work"]
