"""What follows from a durable change is done, sooner or later, and never makes the request fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from cluster.errors import NotFound, Unavailable
from serve_apps.gateway.consequences import ATTEMPTS, PAUSE_S, see_to
from tests.unit.serve_apps.gateway.fakes import Gateway


@dataclass
class Step:
    fails: int = 0
    taken: int = 0

    async def __call__(self) -> None:
        self.taken += 1
        if self.taken <= self.fails:
            raise Unavailable("redis")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    passed: list[float] = []

    async def sleep(seconds: float) -> None:
        passed.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return passed


async def run(gateway: Gateway, *steps: Step) -> None:
    await see_to(gateway.services, "test", *steps)
    await asyncio.gather(*gateway.hub._background)


def lost(gateway: Gateway) -> dict[str, int]:
    """Steps that were given up, by reason."""
    return {
        sample.labels["reason"]: int(sample.value)
        for family in gateway.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "rayrealm_gateway_consequences_lost_total"
    }


async def test_nothing_is_left_for_later_when_all_goes_well(pauses: list[float]) -> None:
    gateway, steps = Gateway(), [Step(), Step()]
    await run(gateway, *steps)
    assert [step.taken for step in steps] == [1, 1]
    assert pauses == []


async def test_only_what_failed_is_done_again(pauses: list[float]) -> None:
    gateway, once, often = Gateway(), Step(), Step(3)
    await run(gateway, once, often)
    assert (once.taken, often.taken) == (1, 4)
    assert len(pauses) == 3
    assert all(PAUSE_S / 2 <= pause <= PAUSE_S for pause in pauses)


async def test_not_for_ever(pauses: list[float]) -> None:
    gateway, never = Gateway(), Step(1_000)
    with capture_logs() as logs:
        await run(gateway, never)
    assert never.taken == 1 + ATTEMPTS == 1 + len(pauses)
    assert logs[-1] == {"event": "consequences_failed", "log_level": "error", "what": "test", "steps": 1}
    assert lost(gateway) == {"no_room": 0, "unavailable": 1}


async def test_what_there_is_no_room_for_is_said_and_counted(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_apps.gateway.hub.BACKGROUND_LIMIT", 0)
    gateway, steps = Gateway(), [Step(9), Step(), Step(9)]
    with capture_logs() as logs:
        await run(gateway, *steps)
    assert logs[-1] == {"event": "consequences_dropped", "log_level": "error", "what": "test", "steps": 2}
    assert lost(gateway) == {"no_room": 2, "unavailable": 0}
    assert [step.taken for step in steps] == [1, 1, 1]


async def test_a_bug_is_no_outage(pauses: list[float]) -> None:
    async def broken() -> None:
        raise NotFound("nothing")

    other = Step()
    with pytest.raises(NotFound):
        await see_to(Gateway().services, "test", broken, other)
    assert other.taken == 1
