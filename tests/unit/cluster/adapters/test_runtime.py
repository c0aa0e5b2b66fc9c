"""Starting while servers are away, and steps that repeat."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from cluster.adapters import runtime
from cluster.adapters.nats_events import NatsEvents
from cluster.adapters.runtime import Runtime, every, until_available
from cluster.beating import Beating
from cluster.errors import Conflict, Fenced, RealmError, Unavailable
from cluster.ports.events import NoEvents
from cluster.process_control import ProcessControl
from cluster.settings import EventSettings, Settings
from cluster.subjects import Subjects


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


class AwayBus:
    """A bus that is not connected."""

    def __init__(self) -> None:
        self.connected = False
        self.counts = SimpleNamespace(connects=0)
        self.closed = 0

    def forget_post(self, _token: str) -> None:
        return None

    async def close(self) -> None:
        self.closed += 1

    aclose = close


def opened(enabled: bool) -> tuple[Runtime, AwayBus]:
    realm: Any = SimpleNamespace(settings=Settings(events=EventSettings(enabled=enabled)))
    bus: Any = AwayBus()
    nothing: Any = AwayBus()
    beating = Beating("zone", "zone/a/0", "", 2.0, lambda data: None)
    subjects = Subjects("t")
    control = ProcessControl("zone/a/0", False, beating.now)
    registry = CollectorRegistry()
    return Runtime(realm, "zone", "zone/a/0", subjects, nothing, bus, nothing, nothing, registry, beating, control), bus


class TestEvents:
    async def test_they_are_opened_by_who_asks_first(self) -> None:
        made, _ = opened(enabled=True)
        assert made._events == []
        assert b"rayrealm_events" not in generate_latest(made.registry)
        events = made.events()
        assert isinstance(events, NatsEvents)
        assert made.events() is events
        assert b"rayrealm_events_waiting 0.0" in generate_latest(made.registry)
        await made.close()

    async def test_they_end_with_the_process_s_connections(self) -> None:
        made, bus = opened(enabled=True)
        events = made.events()
        assert isinstance(events, NatsEvents)
        events.publish("presence", "usr_a", {}, "one")
        assert events.waiting == 1
        await made.close()
        assert bus.closed == 1
        assert events.waiting == 0
        assert events.counts.dropped["presence"] == 1
        events.publish("presence", "usr_a", {}, "two")
        assert events.counts.dropped["presence"] == 2

    async def test_off(self) -> None:
        made, _ = opened(enabled=False)
        assert isinstance(made.events(), NoEvents)
        made.events().publish("presence", "usr_a", {}, "one")
        await made.close()


class TestFreeze:
    """Only a process of one's own: a test of a whole realm in one process stood still for six seconds."""

    @pytest.mark.parametrize(
        ("own", "collect", "told"), [(True, True, ["collect", "freeze"]), (True, False, ["freeze"]), (False, True, [])]
    )
    def test_only_where_nothing_else_lives(
        self, monkeypatch: pytest.MonkeyPatch, own: bool, collect: bool, told: list[str]
    ) -> None:
        done: list[str] = []
        for name in ("collect", "freeze"):
            monkeypatch.setattr(f"cluster.adapters.runtime.gc.{name}", partial(done.append, name))
        made, _ = opened(enabled=False)
        replace(made, own_process=own).freeze(collect)
        assert done == told
