"""The land that is reshaped, what an event says, and what is done to the land. No realm, no socket."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from cluster import settings
from cluster.bench import cli, reshape
from cluster.bench.border_checks import Watch
from cluster.bench.realm_under_test import Member, RunningRealm
from cluster.bench.reshape import ZONE, Outcome, Reshape, reshape_config
from cluster.bench.reshape_checks import Sight
from cluster.errors import Ours
from cluster.worldmap import WorldMap
from rayrealm_client.models import Bounds, Zone
from rayrealm_client.view import Reset, State, View

REALM = RunningRealm("http://127.0.0.1:9", 1, {})
GROUND = {"min_x": 0.0, "min_z": 0.0, "max_x": 100.0, "max_z": 100.0}


async def nothing(bench: Reshape) -> None: ...


def crowd(bots: int = 2) -> Reshape:
    bench = Reshape(REALM, bots, 1, nothing)
    bench._watch = Watch({ZONE: Bounds(**GROUND)}, 50.0, 5.0)
    return bench


class Supervisor:
    """Carries out every plan in so many questions for its state."""

    def __init__(self, outcome: str = "done", states: int = 3) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.zones = [{"zone": ZONE, "slot": 1, "bounds": GROUND, "population": 2}]
        self._outcome = outcome
        self._left = self._states = states
        self._plan = ""

    async def __call__(self, method: str, params: dict[str, Any]) -> Any:
        self.asked.append((method, params))
        if method == "zones":
            return self.zones
        if method == "execute":
            self._plan, self._left = params["plan_id"], self._states
            return "in words"
        self._left -= 1
        plan = {"id": self._plan, "steps": ["start", "commit", "tell"], "done": self._states - self._left - 1}
        last = {"id": self._plan, "outcome": self._outcome, "why": "no room"}
        return {"plan": plan, "last": None} if self._left > 0 else {"plan": None, "last": last}


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PLAN_PAUSE_S", "BREATH_S", "CALM_S", "SETTLE_S", "STOPPED_S"):
        monkeypatch.setattr(reshape, name, 0.001)


async def with_tasks(bench: Reshape, work: Any) -> Any:
    """`work` while the tasks live that read and walk."""
    task = asyncio.create_task(asyncio.Event().wait())
    bench._tasks = (task,)  # type: ignore[assignment]
    try:
        return await work
    finally:
        task.cancel()


@pytest.mark.parametrize("standby", [False, True])
def test_the_land_is_one_zone_that_can_be_cut_twice(
    standby: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "realm.toml"
    monkeypatch.setenv("RAYREALM_CONFIG", str(path))
    for clients in (1, 200):
        path.write_text(reshape_config(clients, standby))
        world = settings.load().world
        (zone,) = WorldMap.declared(world)
        assert (zone.id, zone.standby) == (ZONE, standby)
        assert (world.game, world.policy.enabled) == ("", False)
        assert zone.bounds.max_x - zone.bounds.min_x >= 4 * world.policy.split_min_side


def test_one_zone_is_a_land() -> None:
    assert crowd().grounds([Zone(ZONE, "Land", Bounds(**GROUND), 0)]) == {ZONE: Bounds(**GROUND)}


async def test_a_plan_is_carried_out() -> None:
    bench, supervisor = crowd(), Supervisor()
    bench._question = supervisor
    outcome: Outcome = await with_tasks(bench, bench._carry_out("merge", ("zon_a", "zon_b")))
    assert supervisor.asked[0][1] | {"plan_id": ""} == {"kind": "merge", "args": ["zon_a", "zon_b"], "plan_id": ""}
    assert list(outcome.steps_ms) == ["start", "commit; tell"]
    assert outcome.ms > 0.0


async def test_a_plan_that_was_rolled_back_ends_it() -> None:
    bench = crowd()
    bench._question = Supervisor("rolled back")
    with pytest.raises(Ours, match="split zon_land: rolled back: no room"):
        await with_tasks(bench, bench._carry_out("split", (ZONE,)))


async def test_a_plan_that_never_ends_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshape, "PLAN_DEADLINE_S", 0.01)
    bench = crowd()
    bench._question = Supervisor(states=10_000)
    with pytest.raises(Ours, match="not done"):
        await with_tasks(bench, bench._carry_out("split", (ZONE,)))


async def test_what_an_event_says(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, supervisor = crowd(), Supervisor()
    bench._question = supervisor
    monkeypatch.setattr(bench, "_take", lambda: None)
    now = 1_000.0
    monkeypatch.setattr(reshape, "time", SimpleNamespace(monotonic=lambda: now))

    async def calm(look: bool = False) -> list[float]:
        bench._begin()
        bench._looks += look
        return [0.05, 0.06]

    monkeypatch.setattr(bench, "_calm", calm)
    witnesses = [bench.watch.add(f"bot {n}", f"ent_{n}", 0.0, 0.0, 0) for n in range(2)]
    for n, witness in enumerate(witnesses):
        state = State(n, f"ent_{n}", "player", "", 1, {})
        bench.tell(witness, now, View(1, 0, states=(state,), reset=Reset(ZONE, 1, n)))

    async def act() -> Outcome:
        nonlocal now
        bench.tell(witnesses[0], 1_000.05, View(2, 0))
        double = tuple(State(n, i, "player", "", 1, {}) for n, i in ((0, "ent_0"), (1, "ent_1"), (2, "ent_1")))
        bench.tell(witnesses[0], 1_000.5, View(1, 0, states=double, reset=Reset(ZONE, 2, 0)))
        bench.tell(witnesses[1], 1_000.1, View(3, 0))
        bench.tell(witnesses[1], 1_000.7, View(700, 0))
        now = 1_000.71
        return Outcome(123.4)

    await with_tasks(bench, bench._event("kill", 2_000, act))
    (event,) = bench._events
    assert (event["event"], event["bar_ms"], event["ms"], event["by_command"]) == ("kill", 2_000, 123, False)
    assert event["gap_ms"] == {"p50": 525, "p99": 599, "max": 600}
    assert event["before_ms"] == event["after_ms"] == {"p50": 55, "p99": 60, "max": 60}
    assert (event["resets"], event["doubled"], event["lost"], event["old_epoch_views"]) == (1, 1, 0, 1)
    assert (event["population"], event["zones"], event["new_logins"], event["looks"]) == (2, 1, 0, 1)
    assert event["faults"] == {"doubled": 1}
    assert event["faults_after"] == {}
    assert len(event["examples"]) == 1


async def test_who_looks_finds_who_is_missing() -> None:
    bench = crowd()
    witness = bench.watch.add("bot 0", "ent_0", 0.0, 0.0, 0)
    bench.watch.add("bot 1", "ent_1", 1.0, 0.0, 0)
    bench.tell(witness, 0.0, View(1, 0, states=(State(0, "ent_0", "player", "", 1, {}),), reset=Reset(ZONE, 1, 0)))
    bench.watch.sample(time.monotonic() - 10.0)
    await with_tasks(bench, bench._calm(look=True))
    assert bench.watch.findings.counts["missing"] >= 1


async def test_who_was_never_told_of_the_new_owner_is_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshape, "BACK_DEADLINE_S", 0.0)
    bench = crowd()
    bench._sights = {"bot 0": Sight(20.0)}
    outcome: Outcome = await with_tasks(bench, bench._everybody_back(time.monotonic() - 1.0))
    assert outcome.trouble.startswith("1 were never told")


@pytest.mark.parametrize(("ends", "said"), [(True, "ended"), (False, "runs on")])
async def test_a_pause_ends_whatever_comes(ends: bool, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append(number))
    monkeypatch.setattr(reshape, "END_DEADLINE_S", 0.01)
    monkeypatch.setattr(reshape, "runs", lambda process: not (ends and signal.SIGCONT in signals))
    bench = crowd()
    outcome: Outcome = await with_tasks(bench, bench._pause(psutil.Process()))
    assert outcome.old_process == said
    assert signals == [signal.SIGSTOP, signal.SIGCONT]


async def test_everything_is_done_to_the_land(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, supervisor = crowd(), Supervisor()
    done: list[str] = []

    async def event(name: str, bar_ms: int, act: Any, by_command: bool = False) -> None:
        done.append(name)
        if name.startswith("split"):
            supervisor.zones = [*supervisor.zones, {"zone": f"zon_land_{len(done)}", "slot": 0}]
        elif name.startswith("merge"):
            supervisor.zones = [zone for zone in supervisor.zones if zone["zone"] != name.split()[-1]]

    bench._question = supervisor
    monkeypatch.setattr(bench, "_event", event)
    monkeypatch.setattr(reshape, "members", lambda url, environment: [Member("zone", "zone/zon_land/1", 1)])
    await bench.commands_and_a_kill()
    assert done == [
        "split zon_land",
        "split zon_land",
        "restart zon_land",
        "merge zon_land zon_land_2",
        "merge zon_land zon_land_1",
        "restart zon_land",
        "kill",
    ]


async def test_a_standby_that_does_not_come_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshape, "STANDBY_DEADLINE_S", 0.01)
    monkeypatch.setattr(reshape, "STANDBY_PAUSE_S", 0.001)
    monkeypatch.setattr(reshape, "members", lambda url, environment: [Member("zone", "zone/zon_land", 1)])
    bench = crowd()
    with pytest.raises(Ours, match="no standby"):
        await with_tasks(bench, bench._owner_with_standby())


def test_the_command_falls_short(monkeypatch: pytest.MonkeyPatch) -> None:
    event = {
        "event": "kill", "by_command": False, "bar_ms": 2_000, "gap_ms": {"max": 1_000}, "population": 10, "new_logins": 0,
        "old_epoch_views": 0, "faults": {}, "faults_after": {}, "looks": 1, "old_process": "", "trouble": "",
    }  # fmt: skip
    for changes, code in (({}, 0), ({"gap_ms": {"max": 2_001}}, 1)):
        monkeypatch.setattr(cli, "run_reshape", lambda *_, changes=changes, **__: {"events": [event | changes]})
        assert cli.bench_reshape(10, as_json=True) == code
