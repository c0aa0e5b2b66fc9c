"""A desk at a realm in memory: a supervisor that plays its part, and processes that are only their beats."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.memory.bus import MemoryBus
from cluster.beats import Beat, Beats
from cluster.errors import InvalidState, NotFound, Unavailable
from cluster.operations import conduct
from cluster.operations.all import registry
from cluster.operations.conduct import Cancelled
from cluster.operations.desk import Desk
from cluster.operations.model import Operator, Preview, Role
from cluster.operator_settings import ConsoleSettings
from cluster.subjects import Subjects

EAST, WEST = "e" * 56, "w" * 56
SUBJECTS = Subjects("rayrealm-test")
ADA = Operator("operator:ada", Role.ADMIN, "console", "192.0.2.1")
BEAT_S = 2.0


def beat(kind: str, name: str, node: str = EAST, pid: int = 1, at: float = 1_000.0, **values: Any) -> Beat:
    return Beat(
        kind=kind,
        name=name,
        pid=pid,
        host="east" if node == EAST else "west",
        node=node,
        version="1.0",
        started_at=500.0 + pid,
        at=at,
        beat_s=BEAT_S,
        cpu_s=1.0,
        rss=1_000_000,
        node_cpu=25.0,
        node_memory=(4, 8),
        values=values,
    )


def zone_beat(zone: str, slot: int = 0, node: str = EAST, pid: int = 1, **values: Any) -> Beat:
    said = {"zone": zone, "slot": slot, "role": "owner", "epoch": 1, "population": 0, "standby": False, "heat": []}
    return beat("zone", f"zone/{zone}{'/1' * slot}", node, pid, **{**said, **values})


def map_zone(zone: str, **more: Any) -> dict[str, Any]:
    bounds = {"min_x": 0.0, "min_z": 0.0, "max_x": 100.0, "max_z": 100.0}
    plain = {"declared": zone, "template": "", "into": "", "standby": False}
    return {"zone": zone, "name": zone[4:].title(), "bounds": bounds, **plain, **more}


def node(node_id: str, host: str, **more: Any) -> dict[str, Any]:
    return {"node": node_id, "host": host, "address": "", "name": "", "head": False, "draining": False, **more}


class FakeSupervisor:
    """A plan takes `looks` looks at its state. `lost`: so many of its next answers are lost; `refusal`: it plans nothing."""

    def __init__(self) -> None:
        self.zones = [map_zone("zon_a"), map_zone("zon_b")]
        self.nodes = [node(EAST, "east"), node(WEST, "west")]
        self.draining: list[str] = []
        self.begun: list[tuple[str, list[str]]] = []
        self.ended_plans: dict[str, dict[str, Any]] = {}
        self.running: str | None = None
        self.undoing = ""
        self.done = 0
        self.steps = ["start it", "the map holds", "tell the zones"]
        self.outcome, self.why, self.cancelled = "done", "", False
        self.refusal: Exception | None = None
        self.looks = 3
        self.too_late = False
        self.forgets = False
        self.cancels = 0

    async def ask(self, method: str, params: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        return getattr(self, f"on_{method}")(**params)

    def on_world(self) -> dict[str, Any]:
        draining = set(self.draining)
        nodes = [{**known, "draining": known["draining"] or known["node"] in draining} for known in self.nodes]
        return {**self.on_state(), "zones": [dict(zone) for zone in self.zones], "nodes": nodes}

    def on_state(self) -> dict[str, Any]:
        plan = None
        if self.running is not None:
            plan = {"id": self.running, "steps": self.steps, "done": self.done, "undoing": self.undoing}
        return {"map_version": 7, "plan": plan, "last": None, "draining": list(self.draining), "policy": []}

    def on_preview(self, kind: str, args: list[str]) -> dict[str, Any]:
        self._refuse()
        return {"what": f"{kind} {args[0]}", "steps": self.steps, "zones": args, "text": "", "kind": kind}

    def on_begin(self, kind: str, args: list[str], plan_id: str) -> dict[str, Any]:
        if plan_id in self.ended_plans or self.running == plan_id:
            return {"what": "", "steps": self.steps, "zones": args, "text": ""}
        self._refuse()
        self.begun.append((kind, args))
        self.running, self.done = plan_id, 0
        return self.on_preview(kind, args)

    def on_ended(self, plan_id: str) -> dict[str, Any] | None:
        if self.running == plan_id:
            self.looks -= 1
            self.done = min(self.done + 1, len(self.steps) - 1)
            if self.looks < 0:
                self._end(plan_id, self.outcome, self.why)
            elif self.forgets:
                self.running = None
        return self.ended_plans.get(plan_id)

    def _end(self, plan_id: str, outcome: str, why: str) -> None:
        self.running = None
        if not self.forgets:
            zones = [self.begun[-1][1][0]] if self.begun else []
            cancelled = self.cancelled and outcome != "done"
            self.ended_plans[plan_id] = {"outcome": outcome, "why": why, "zones": zones, "cancelled": cancelled}

    def on_cancel(self, plan_id: str) -> str:
        self.cancels += 1
        if (ended := self.ended_plans.get(plan_id)) is not None:
            return str(ended["outcome"])
        if self.running != plan_id:
            raise NotFound("no_such_plan")
        if self.too_late:
            raise InvalidState("the_plan_cannot_be_cancelled_any_more", "committed")
        if self.cancels > 1:
            self.cancelled = True
            self._end(plan_id, "rolled back", "cancelled")
        return ""

    def on_drain(self, node: str, undo: bool) -> dict[str, Any]:
        self.draining = [known for known in self.draining if known != node] + [node] * (not undo)
        return {"node": node, "host": ""}

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal


@dataclass
class RigJob:
    """`cancel_at`: the first step with that in it finds that the operator has cancelled it."""

    operator: Operator = ADA
    id: str = field(default_factory=lambda: f"job_{secrets.token_hex(8)}")
    began_at: float = 1_000.0
    steps: list[tuple[str, float]] = field(default_factory=list)
    cancel_at: str | None = None

    async def tell(self, step: str, done: float = 0.0) -> None:
        self.steps.append((step, done))
        if self.cancel_at is not None and self.cancel_at in step:
            raise Cancelled

    @property
    def said(self) -> list[str]:
        return [step for step, _ in self.steps]


class Rig:
    """`at`: the clock; each pause moves it, and calls `on_pause` first. `scaled`: what Serve was asked for."""

    def __init__(self, **settings: Any) -> None:
        self.at = 100.0
        self.supervisor = FakeSupervisor()
        self.beats = Beats(lambda: self.at)
        self.bus = MemoryBus()
        self.audit = MemoryAuditLog(1_000)
        self.scaled: list[tuple[str, str, int]] = []
        self.on_pause: Callable[[], object] = lambda: None
        self.serve_is_away = False
        nothing: Any = None
        self.desk = Desk(
            namespace="rayrealm-test",
            subjects=SUBJECTS,
            bus=self.bus,
            beats=self.beats,
            accounts=nothing,
            characters=nothing,
            bans=nothing,
            protection=OpenRealm(),  # type: ignore[arg-type]
            sessions=nothing,
            audit=self.audit,
            publisher=nothing,
            settings=ConsoleSettings(**settings),
            clock=lambda: self.at,
            now=lambda: 1_000.0 + self.at,
            pause=self._pause,
            scale=self._scale,
            ask_world=self.supervisor.ask,
            kept=nothing,
            operators=nothing,
            ask_console=_nobody,
        )

    def hear(self, *beats: Beat) -> None:
        for said in beats:
            self.beats.heard(said.dump())

    async def _pause(self, seconds: float) -> None:
        self.on_pause()
        self.at += seconds
        await asyncio.sleep(0)

    async def _scale(self, application: str, deployment: str, replicas: int) -> None:
        if self.serve_is_away:
            raise Unavailable("Ray Serve")
        self.scaled.append((application, deployment, replicas))

    async def look(self, name: str, /, **params: Any) -> dict[str, Any]:
        return (await conduct.look(self.desk, registry(), ADA, name, params)).model_dump(mode="json")

    async def plan(self, name: str, /, **params: Any) -> Preview:
        return await conduct.preview(self.desk, registry(), ADA, name, params)

    async def act(self, name: str, job: RigJob | None = None, /, **params: Any) -> dict[str, Any]:
        action = conduct.action(registry(), name, ADA)
        done = await conduct.carry_out(self.desk, action, conduct.read(action, params), job or RigJob())
        return done.model_dump(mode="json")

    async def cancel(self, name: str, job_id: str, /, **params: Any) -> None:
        action = conduct.action(registry(), name, ADA)
        cancel: Callable[..., Awaitable[None]] | None = action.cancel
        assert cancel is not None
        await cancel(self.desk, conduct.read(action, params), job_id)


class OpenRealm:
    """A protection store of a realm that is open."""

    async def load(self, _version: int) -> None:
        return None


async def _nobody(method: str, params: dict[str, Any]) -> Any:
    raise Unavailable("console")
