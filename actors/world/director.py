"""Directs the world (row 7.3): makes plans on command or by policy, and has them carried out one at a time.

Plain asyncio over ports.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import structlog

from actors.world import growing, planning
from actors.world.crew import Crew
from actors.world.executor import Executor
from actors.world.hands import RealmHands
from actors.world.ledger import Ledger
from actors.world.plans import Plan
from actors.world.policy import Decision, Policy, Verdict
from actors.world.record import CANCELLED, Outcome, Progress
from actors.world.seen import named
from actors.world.tools import Tools
from cluster.errors import Conflict, Fenced, InvalidInput, InvalidState, NotFound, RealmError, Unavailable
from cluster.ports.actors import Node
from cluster.telemetry.counts import Tally
from cluster.worldmap import WorldMap
from cluster.zone_calls import ZoneOwners

POSITIONS_DEADLINE_S = 5.0
MARGIN_BEYOND_M = 10.0  # more than any zone looks beyond what its viewers see
USEFUL_SHARE = 0.1  # the policy does not split off less than that of a zone's entities
AGAIN_AFTER_S = 5.0
ARGUMENTS = {"split": 1, "merge": 2, "move": 2, "restart": 1, "add": 4, "remove": 1, "standby": 2}

log = structlog.get_logger(__name__)


class Director:
    """`verdict`: what the policy said last. `ended`: plans so far, by outcome."""

    def __init__(self, tools: Tools, ledger: Ledger, crew: Crew) -> None:
        self.verdict = Verdict(None, ())
        self.ended = Tally(get_args(Outcome), "unknown")
        self._tools = tools
        self._ledger = ledger
        self._crew = crew
        self._owners = ZoneOwners(tools.calls, clock=tools.clock)
        self._hands = RealmHands(tools.calls, self._owners, tools.zones, tools.actors, ledger.save_progress)
        self._policy = Policy(tools.settings.policy, tools.settings.zone_capacity, self._changed_at())
        self._executing: asyncio.Task[None] | None = None
        self._executor: Executor | None = None

    def _changed_at(self) -> float:
        """When the world was changed last, on this process's clock."""
        last = self._ledger.record.last
        return self._tools.clock() - (self._tools.wall_clock() - last.at) if last is not None else float("-inf")

    # --- plans -------------------------------------------------------------------------------------------------

    async def plan(
        self, kind: str, args: Sequence[str], why: str = "a command", plan_id: str = "", min_share: float = 0.0
    ) -> Plan:
        """A plan of that kind for the world as it is now; nothing is done yet.

        `args`: the zone; for a merge both, for a move the zone and the node, for a standby the zone and on or off. To add one:
        the template, the zone beside it, the side, the name or "". Raises Conflict, NotFound, InvalidInput, Unavailable.
        """
        if ARGUMENTS.get(kind) != len(args) or not all(isinstance(arg, str) for arg in args):
            raise InvalidInput([("plan", f"{kind} of {', '.join(map(str, args)) or 'nothing'} is no such thing")])
        record = self._ledger.record
        common: dict[str, Any] = {
            "plan_id": plan_id or f"pln_{secrets.token_hex(4)}",
            "why": why,
            "running": record.progress.plan if record.progress else None,
        }
        if kind == "split":
            return await self._plan_split(record.map, args[0], min_share, common)
        if kind == "merge":
            return await self._plan_merge(record.map, args[0], args[1], common)
        if kind == "add":
            return await self._plan_add(record.map, args, common)
        if kind == "standby":
            if args[1] not in ("on", "off"):
                raise InvalidInput([("on", "must be on or off")])
            return growing.standby(record.map, args[0], args[1] == "on", **common)
        seen = await self._crew.look(args[0])
        if kind == "restart":
            return planning.restart(record.map, args[0], seen=seen, **common)
        if kind == "remove":
            return growing.remove(record.map, args[0], seen=seen, **common)
        nodes = await self._crew.known_nodes()
        return planning.move(record.map, args[0], named(nodes, args[1]).id, nodes=nodes, seen=seen, **common)

    async def _plan_split(self, world: WorldMap, zone_id: str, min_share: float, common: dict[str, Any]) -> Plan:
        settings = self._tools.settings
        positions = np.zeros((0, 2), np.float32)
        if world.find(zone_id) is not None:
            data = await self._owners.call(zone_id, "positions", deadline_s=POSITIONS_DEADLINE_S, idempotent=True)
            positions = np.frombuffer(data, "<f4").reshape(-1, 2)
        declared = {zone.id for zone in settings.zones}
        return planning.split(
            world,
            zone_id,
            positions,
            new_id=planning.new_zone_id(world, zone_id, declared.__contains__),
            min_side=settings.policy.split_min_side,
            min_share=min_share,
            node=await self._crew.emptiest(),
            **common,
        )

    async def _plan_add(self, world: WorldMap, args: Sequence[str], common: dict[str, Any]) -> Plan:
        template, beside, side, name = args
        settings = self._tools.settings
        declared = {zone.id for zone in settings.zones}
        return growing.add(
            world,
            growing.template_of(self._tools.templates, template),
            template,
            beside,
            side,
            new_id=planning.new_id(world, f"zon_{template}", declared.__contains__),
            name=name,
            standby=settings.standby,
            node=await self._crew.emptiest(),
            **common,
        )

    async def _plan_merge(self, world: WorldMap, a: str, b: str, common: dict[str, Any]) -> Plan:
        settings = self._tools.settings
        populations = {}
        for zone_id in (a, b):
            if world.find(zone_id) is None:
                continue
            seen = await self._crew.look(zone_id)
            if seen is None:  # who knows how many are in there
                raise Conflict("zone_does_not_answer", {"zone": zone_id})
            populations[zone_id] = seen.population
        return planning.merge(
            world,
            a,
            b,
            spawn_zone=settings.spawn_zone,
            populations=populations,
            capacity=settings.zone_capacity,
            **common,
        )

    async def execute(self, plan: Plan) -> None:
        """Begin to carry it out; it is written down when this returns. Raises Conflict, Unavailable, Fenced."""
        async with self._crew.beginning:
            record = self._ledger.record
            if record.progress is not None:
                raise Conflict(
                    "another_plan_runs", {"plan": record.progress.plan.id, "what": record.progress.plan.what}
                )
            if plan.before != record.map.version:
                raise Conflict("the_map_has_changed", {"version": record.map.version})
            await self._ledger.save(replace(record, progress=Progress(plan)))
        log.info("plan_begins", plan=plan.id, what=plan.what, why=plan.why)
        self.carry_on()

    def carry_on(self) -> None:
        """With the plan that the record names, if it names one."""
        progress = self._ledger.record.progress
        if progress is not None:
            self._executing = asyncio.create_task(self._carry_out(progress.plan))

    async def _carry_out(self, plan: Plan) -> None:
        tools, interest = self._tools, self._tools.settings.interest
        while (record := self._ledger.record).progress is not None:
            self._executor = executor = Executor(
                record,
                self._hands,
                margin=interest.radius + interest.hysteresis + MARGIN_BEYOND_M,
                pause=asyncio.sleep,
                clock=tools.clock,
                now=tools.wall_clock,
            )
            try:
                await executor.run()
            except Fenced:
                tools.on_fenced("plan")
                return
            except Exception:  # a bug here must not leave the plan, and with it the world, as it is for good
                log.exception("plan_interrupted", plan=plan.id)
                await asyncio.sleep(AGAIN_AFTER_S)
        await self._crew.forget(plan.zones)
        last, zone = self._ledger.record.last, self._ledger.record.map.find(plan.zones[0])
        self.ended.add(last.outcome if last is not None else "unknown")
        if last is not None and last.outcome == "done":
            self._policy.changed(tools.clock(), plan.kind, zone.declared if zone else plan.zones[0])
        else:
            self._policy.failed(tools.clock())

    def cancel(self, plan_id: str) -> str:
        """Have the plan rolled back; returns how it ended, if it has. Ask until then: a supervisor that dies may forget it.

        Raises InvalidState once its map is committed, NotFound if there is no such plan.
        """
        record = self._ledger.record
        if (ended := record.how_ended(plan_id)) is not None:
            return ended.outcome
        progress = record.progress
        if progress is None or progress.plan.id != plan_id:
            raise NotFound("no_such_plan", f"no plan {plan_id!r} is being carried out")
        if progress.committed or (self._executor is not None and not self._executor.cancel(plan_id, CANCELLED)):
            raise InvalidState("the_plan_cannot_be_cancelled_any_more", "committed")
        return ""

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """What carries out a plan. When it is cancelled, the plan is left where it is: another director goes on with it."""
        return [self._executing] if self._executing is not None else []

    # --- the policy, and nodes that drain ----------------------------------------------------------------------

    async def consider(self) -> None:
        """Let the policy decide, and do what it says. Raises Unavailable, Fenced."""
        await self._forget_dead_nodes()
        record = self._ledger.record
        busy = record.progress.plan.id if record.progress else ""
        self.verdict = self._policy.decide(self._tools.clock(), record.map, self._crew.seen, self._crew.nodes, busy)
        if self.verdict.decision is not None:
            await self._follow(self.verdict.decision)

    async def _follow(self, decision: Decision) -> None:
        log.info("policy_decided", kind=decision.kind, args=decision.args, why=decision.why)
        share = USEFUL_SHARE if decision.kind == "split" else 0.0
        try:
            plan = await self.plan(decision.kind, decision.args, f"policy: {decision.why}", min_share=share)
            await self.execute(plan)
        except Fenced:
            raise
        except RealmError as error:
            self._policy.failed(self._tools.clock())
            log.warning("policy_refused", kind=decision.kind, args=decision.args, why=str(error))

    async def drain(self, name: str, undo: bool = False) -> Node:
        """The node takes no zones any more, and those that are there are moved away.

        Raises NotFound, Conflict, Unavailable, Fenced.
        """
        node = named(await self._crew.known_nodes(), name)
        draining = self._ledger.record.draining
        await self._ledger.drain(draining - {node.id} if undo else draining | {node.id})
        self._crew.told(node.id, draining=not undo)
        log.info("node_drains", node=node.id, host=node.host, undone=undo)
        return node

    async def _forget_dead_nodes(self) -> None:
        """Ray's ids never come again."""
        alive, draining = {node.id for node in self._crew.nodes}, self._ledger.record.draining
        if alive and not draining <= alive:
            try:
                await self._ledger.drain(draining & alive)
            except Unavailable as error:
                log.warning("dead_nodes_not_forgotten", error=str(error))
