"""A world that is reshaped under a walking crowd: split, restarted, merged, killed, taken over (rows 7.3, 7.4 and 7.6).

One land, one zone, everybody in it. What is done to it is done by the supervisor, as `rayrealm zones` would have it, or with a
signal to the process that owns the zone.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uvloop
from pydantic import SecretStr

from cluster import running
from cluster.adapters.nats_bus import NatsBus
from cluster.bench.border_checks import Witness
from cluster.bench.borders import LOOK_S, SEED, Borders
from cluster.bench.plan import side_of
from cluster.bench.realm_under_test import RunningRealm, limits, members, realm_under_test
from cluster.bench.reshape_checks import COMMAND_GAP_MS, KILL_GAP_MS, STANDBY_GAP_MS, Sight, gaps_ms
from cluster.children import runs
from cluster.errors import Ours
from cluster.ports.bus import Bus
from cluster.ports.calls import zone_actor
from cluster.settings import NatsSettings
from cluster.subjects import Subjects
from cluster.world_control import ask
from cluster.world_settings import PolicySettings, WorldSettings
from rayrealm_client.models import Bounds, Zone
from rayrealm_client.view import View

ZONE = "zon_land"
WARM_UP_S = 25.0  # they come in the middle of the land, and scatter first
CALM_S = 3.0  # before and after an event, as a comparison
SETTLE_S = 2.0
BREATH_S = 1.0
STOPPED_S = 20.0
ASK_S = 20.0
PLAN_DEADLINE_S = 90.0
PLAN_PAUSE_S = 0.05
BACK_DEADLINE_S = 30.0
END_DEADLINE_S = 15.0
STANDBY_DEADLINE_S = 60.0
STANDBY_PAUSE_S = 1.0
STANDBY_LEARNS_S = 3.0  # it asks the owner for everything once a second


def reshape_config(clients: int, standby: bool) -> str:
    """One zone, in which each sees about twenty others, and which can be cut twice; the supervisor does nothing on its own."""
    side = max(side_of(clients), 4.0 * PolicySettings().split_min_side)
    return f"""
[world]
spawn_zone = "{ZONE}"
game = ""
standby = {str(standby).lower()}

[[world.zones]]
id = "{ZONE}"
name = "Land"
bounds = {{ min_x = 0.0, min_z = 0.0, max_x = {side!r}, max_z = {side!r} }}

[world.policy]
enabled = false
{limits(clients)}"""


def run_reshape(clients: int, *, gateways: int | None = None, seed: int = SEED) -> dict[str, Any]:
    """The report, from two realms of its own, one after the other. Raises Ours, RealmError of the client.

    Of each event: `ms` until the command was done, or everybody was told of the zone's new owner; `gap_ms`: the longest time
    without a view of each player from then until `SETTLE_S` after it, `before_ms` and `after_ms` the same of calm seconds; `faults`
    of border_checks.py while it happened, and in the looks at all players after it (`lost`: somebody does not see somebody).
    """
    events: list[dict[str, Any]] = []
    for standby, drill in ((False, Reshape.commands_and_a_kill), (True, Reshape.takeovers)):
        with (
            realm_under_test(reshape_config(clients, standby), gateways=gateways) as realm,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            crowd = Reshape(realm, clients, seed, drill)
            events += runner.run(crowd.run(0.0, crowd.enlist, WARM_UP_S))["events"]
    return {"clients": clients, "events": events}


@dataclass(slots=True)
class Outcome:
    """`ms`: how long it took; `steps_ms`: of a plan; `old_process`: "ended", or what else became of it; `trouble`: in words."""

    ms: float = 0.0
    steps_ms: dict[str, int] = field(default_factory=dict)
    old_process: str = ""
    trouble: str = ""


class Reshape(Borders):
    """Use its `run` once. `drill`: what happens to the land."""

    def __init__(self, realm: RunningRealm, bots: int, seed: int, drill: Callable[[Reshape], Awaitable[None]]) -> None:
        super().__init__(realm.url, bots, seed)
        self._realm = realm
        self._drill = drill
        self._sights: dict[str, Sight] = {}
        self._events: list[dict[str, Any]] = []
        self._old_views = 0
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._question: Callable[[str, dict[str, Any]], Awaitable[Any]] = self._nobody

    # --- what happens to the land ------------------------------------------------------------------------------

    async def commands_and_a_kill(self) -> None:
        before = {ZONE}
        parts: list[str] = []
        for _ in range(2):
            await self._command("split", ZONE)
            now = {zone["zone"] for zone in await self._zones()}
            parts += now - before
            before = now
        await self._command("restart", ZONE)
        for part in reversed(parts):
            await self._command("merge", ZONE, part)
        await self._command("restart", ZONE)  # everybody is in it now
        owner = await self._owner()
        await self._event("kill", KILL_GAP_MS, lambda: self._kill(owner))

    async def takeovers(self) -> None:
        owner = await self._owner_with_standby()
        await self._event("kill, standby", STANDBY_GAP_MS, lambda: self._kill(owner))
        paused = await self._owner_with_standby()
        await self._event("pause, standby", STANDBY_GAP_MS, lambda: self._pause(paused))

    async def _command(self, kind: str, *args: str) -> None:
        await self._event(" ".join((kind, *args)), COMMAND_GAP_MS, lambda: self._carry_out(kind, args), by_command=True)

    async def _carry_out(self, kind: str, args: tuple[str, ...]) -> Outcome:
        """Raises Ours when it was not done."""
        plan_id, began = f"pln_{secrets.token_hex(4)}", time.monotonic()
        await self._question("execute", {"kind": kind, "args": list(args), "plan_id": plan_id})
        steps_ms: dict[str, int] = {}
        steps: list[str] = []
        told, since = 0, began
        while (now := time.monotonic()) < began + PLAN_DEADLINE_S:
            state = await self._question("state", {})
            plan, last = state["plan"], state["last"]
            ended = last is not None and last["id"] == plan_id
            steps = plan["steps"] if plan is not None else steps
            done = len(steps) if ended else plan["done"] if plan is not None else told
            if done > told:
                steps_ms["; ".join(steps[told:done])] = round((now - since) * 1_000)
                told, since = done, now
            if ended:
                if last["outcome"] != "done":
                    raise Ours(f"{kind} {' '.join(args)}: {last['outcome']}: {last['why']}")
                return Outcome((now - began) * 1_000, steps_ms)
            await self._until(PLAN_PAUSE_S, *self._tasks)
        raise Ours(f"{kind} {' '.join(args)} is not done after {PLAN_DEADLINE_S:.0f} s")

    async def _kill(self, owner: psutil.Process) -> Outcome:
        began = time.monotonic()
        os.kill(owner.pid, signal.SIGKILL)
        return await self._everybody_back(began)

    async def _pause(self, owner: psutil.Process) -> Outcome:
        """For so long that the zone's other actor owns it long since when this one goes on."""
        began = time.monotonic()
        os.kill(owner.pid, signal.SIGSTOP)
        try:
            outcome = await self._everybody_back(began)
            await self._until(max(0.0, began + STOPPED_S - time.monotonic()), *self._tasks)
        finally:
            os.kill(owner.pid, signal.SIGCONT)
        until = time.monotonic() + END_DEADLINE_S
        while runs(owner) and time.monotonic() < until:
            await self._until(PLAN_PAUSE_S, *self._tasks)
        outcome.old_process = "runs on" if runs(owner) else "ended"
        return outcome

    async def _everybody_back(self, began: float) -> Outcome:
        """Until everybody was told who owns the zone now."""
        while waiting := sum(not sight.resets for sight in self._sights.values()):
            if time.monotonic() > began + BACK_DEADLINE_S:
                return Outcome(BACK_DEADLINE_S * 1_000, trouble=f"{waiting} were never told of the zone's new owner")
            await self._until(PLAN_PAUSE_S, *self._tasks)
        return Outcome((time.monotonic() - began) * 1_000)

    async def _owner(self) -> psutil.Process:
        """The process that owns the zone, of which there is one now. Raises Ours."""
        (zone,) = await self._zones()
        name = zone_actor(zone["zone"], zone["slot"])
        listed = await asyncio.to_thread(members, self._realm.url, self._realm.environment)
        for member in listed:
            if member.name == name:
                return psutil.Process(member.pid)
        raise Ours(f"no process of {name}: {sorted(member.name for member in listed)}")

    async def _owner_with_standby(self) -> psutil.Process:
        """Raises Ours when the zone's other actor does not come."""
        until = time.monotonic() + STANDBY_DEADLINE_S
        wanted = {zone_actor(ZONE, slot) for slot in (0, 1)}
        while time.monotonic() < until:
            listed = await asyncio.to_thread(members, self._realm.url, self._realm.environment)
            if wanted <= {member.name for member in listed}:
                await self._until(STANDBY_LEARNS_S, *self._tasks)
                return await self._owner()
            await self._until(STANDBY_PAUSE_S, *self._tasks)
        raise Ours(f"{ZONE} has no standby after {STANDBY_DEADLINE_S:.0f} s")

    # --- what the players see of it ----------------------------------------------------------------------------

    def grounds(self, listed: list[Zone]) -> dict[str, Bounds]:
        return {zone.zone: zone.bounds for zone in listed}

    def tell(self, witness: Witness, at: float, view: View) -> None:
        super().tell(witness, at, view)
        sight = self._sights.get(witness.name)
        if sight is None:
            sight = self._sights[witness.name] = Sight(WorldSettings.model_fields["tick_hz"].default)
        sight.saw(at, view)

    async def _measure(
        self, seconds: float, reading: asyncio.Task[None], walking: asyncio.Task[None]
    ) -> dict[str, Any]:
        self._tasks = (reading, walking)
        here = running.find(Path(self._realm.environment["XDG_STATE_HOME"]) / "rayrealm" / "running")
        details = here.details()
        settings = NatsSettings(url=SecretStr(details["nats_url"]), token=SecretStr(details["nats_token"]))
        bus = await NatsBus.connect(settings, "rayrealm-bench-reshape")
        self._question = _questions(bus, Subjects(here.namespace).world_control())
        try:
            self._old_views = self._all_old_views()
            await self._drill(self)
        finally:
            await bus.close()
            gc.enable()
        return {"events": self._events}

    async def _event(
        self, name: str, bar_ms: int, act: Callable[[], Awaitable[Outcome]], by_command: bool = False
    ) -> None:
        gc.enable()
        gc.collect()
        gc.freeze()
        gc.disable()  # its pauses would be gaps
        await self._until(BREATH_S, *self._tasks)  # this one was long, and what came meanwhile has to be read
        counts = self.watch.findings.counts
        before = await self._calm()
        self._begin()
        outcome = await act()
        await self._until(SETTLE_S, *self._tasks)
        gaps, resets = self._gaps(), sum(sight.resets for sight in self._sights.values())
        during, examples, late_s = dict(counts), list(self.watch.findings.examples), max(self._late_s, default=0.0)
        zones = await self._zones()
        self.watch.remap({zone["zone"]: Bounds(**zone["bounds"]) for zone in zones})
        looks = self._looks
        after = await self._calm(look=True)
        old_views = self._all_old_views()
        self._events.append(
            {
                "event": name,
                "by_command": by_command,
                "bar_ms": bar_ms,
                "ms": round(outcome.ms),
                "gap_ms": gaps_ms(gaps),
                "before_ms": gaps_ms(before),
                "after_ms": gaps_ms(after),
                "resets": resets,
                "lost": counts["missing"],
                "doubled": counts["doubled"] + during.get("doubled", 0),
                "population": sum(zone["population"] for zone in zones),
                "zones": len(zones),
                "new_logins": sum(player.socket.closed for player in self._players),
                "old_epoch_views": old_views - self._old_views,
                "faults": {fault: count for fault, count in during.items() if count},
                "faults_after": {fault: count for fault, count in counts.items() if count},
                "examples": examples + self.watch.findings.examples,
                "looks": self._looks - looks,
                "load_late_max_ms": round(late_s * 1_000),
                "old_process": outcome.old_process,
                "trouble": outcome.trouble,
                "steps_ms": outcome.steps_ms,
            }
        )
        self._old_views = old_views

    async def _calm(self, look: bool = False) -> list[float]:
        """Everybody's longest gap in CALM_S. With `look` everybody is held against where the others are."""
        self._begin()
        until = time.monotonic() + CALM_S
        while (now := time.monotonic()) < until:
            if look:
                self._take()
                self._look(now)
            await self._until(min(LOOK_S, until - now), *self._tasks)
        return self._gaps()

    def _begin(self) -> None:
        self._take()
        self.watch.findings.counts.clear()
        self.watch.findings.examples.clear()
        self._late_s.clear()
        for sight in self._sights.values():
            sight.begin()

    def _gaps(self) -> list[float]:
        self._take()
        now = time.monotonic()
        return [sight.gap_s(now) for sight in self._sights.values()]

    def _all_old_views(self) -> int:
        return sum(sight.old_views for sight in self._sights.values())

    # --- the supervisor ----------------------------------------------------------------------------------------

    async def _zones(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = await self._question("zones", {})
        return listed

    async def _nobody(self, method: str, params: dict[str, Any]) -> Any:
        raise Ours(f"{method}: nobody is asked before everybody has entered")


def _questions(bus: Bus, subject: str) -> Callable[[str, dict[str, Any]], Awaitable[Any]]:
    async def question(method: str, params: dict[str, Any]) -> Any:
        return await ask(bus, subject, method, params, ASK_S)

    return question
