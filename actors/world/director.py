"""Directs the world: which zones there are, which actors they have, and the plan that is being carried out (row 7.3).

Plain asyncio over ports. Everything it knows is in the store: another one goes on where this one ended.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import structlog

from actors.world import planning
from actors.world.executor import Executor
from actors.world.hands import RealmHands
from actors.world.plans import Plan
from actors.world.policy import Decision, Policy, Verdict
from actors.world.record import Progress, WorldRecord
from actors.world.seen import ZoneSeen, fit, named
from actors.world.staffing import Change, Infos, Staff
from cluster.errors import Conflict, Fenced, InvalidInput, RealmError, Unavailable
from cluster.ports.actors import Actors, Node
from cluster.ports.bus import Bus
from cluster.ports.calls import Calls, zone_actor
from cluster.ports.zones import WorldStore, ZoneStore
from cluster.settings import WorldSettings
from cluster.subjects import Subjects
from cluster.worldmap import WorldMap
from cluster.zone_calls import ZoneOwners

INFO_DEADLINE_S = 2.0
POSITIONS_DEADLINE_S = 5.0
CHECK_DEADLINE_S = 5.0
READY_PAUSE_S = 0.05
MARGIN_BEYOND_M = 10.0  # more than any zone looks beyond what its viewers see
USEFUL_SHARE = 0.1  # the policy does not split off less than that of a zone's entities

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the director needs of its process. `clock` is monotonic, `wall_clock` Unix seconds. `on_fenced` ends the process."""

    settings: WorldSettings
    calls: Calls
    zones: ZoneStore
    world: WorldStore
    actors: Actors
    bus: Bus
    subjects: Subjects
    on_fenced: Callable[[str], None]
    on_check: Callable[[str, bool], None] = lambda _name, _well: None
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


class Director:
    """`epoch`: of this supervisor. `others`: names of actors that are not zones', to be looked after as well."""

    def __init__(self, tools: Tools, epoch: int, others: Callable[[], set[str]] = set) -> None:
        self.record: WorldRecord = WorldRecord(WorldMap.declared(tools.settings))
        self.verdict = Verdict(None, ())
        self.owners = ZoneOwners(tools.calls, clock=tools.clock)
        self._tools = tools
        self._epoch = epoch
        self._others = others
        self._staff = Staff()
        self._infos: Infos = {}
        self._nodes: list[Node] = []
        self._hands = RealmHands(tools.calls, self.owners, tools.zones, tools.actors, self._save_progress)
        self._policy = Policy(tools.settings.policy, tools.settings.zone_capacity)
        self._beginning = asyncio.Lock()  # a plan begins, or actors are made and ended, never both
        self._saving = asyncio.Lock()
        self._unsure = False  # what the store has: a write was not answered
        self._executing: asyncio.Task[None] | None = None

    # --- the record --------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Load what the last supervisor left, with what the operator has changed in the settings since. Raises Unavailable."""
        tools = self._tools
        stored, plan = await tools.world.load()
        record = WorldRecord.load(stored, plan) if stored else self.record
        now = record.map
        if record.progress is None:  # else with the next start: a plan has its maps already
            record = replace(record, map=now.with_declared(tools.settings))
        declared = {zone.id for zone in tools.settings.zones}
        for zone in now:
            if zone.declared not in declared:
                log.warning("zone_not_declared_any_more", zone=zone.id, declared=zone.declared)
        for missing in declared - {zone.id for zone in record.map}:
            log.warning("zone_without_ground", zone=missing, why="others have it: it was merged, or the map was changed")
        if record.last is not None:
            ago = tools.wall_clock() - record.last.at
            self._policy = Policy(tools.settings.policy, tools.settings.zone_capacity, tools.clock() - ago)
        await self._save(record)
        if record.progress is not None:
            log.info("plan_resumed", plan=record.progress.plan.id, what=record.progress.plan.what, done=record.progress.done)
            self._carry_on()

    async def _save(self, record: WorldRecord) -> None:
        async with self._saving:
            await self._write(record)

    async def _save_progress(self, record: WorldRecord) -> None:
        """From the executor, who knows nothing of nodes that drain."""
        async with self._saving:
            await self._write(replace(record, draining=self.record.draining))

    async def _write(self, record: WorldRecord) -> None:
        self._unsure = True
        await self._tools.world.save(self._epoch, *record.dump())
        self._unsure = False
        self.record = record
        self.announce()

    def announce(self) -> None:
        """The map, to everyone who listens."""
        self._tools.bus.publish(self._tools.subjects.world_map(), self.record.map.dump())

    # --- actors of zones ---------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Ask every actor how it is, and make or end what should be or not. Raises Unavailable, Fenced."""
        tools = self._tools
        if self._unsure and self.record.progress is None:
            await self._save(self.record)
        self._infos = await self._ask_all()
        async with self._beginning:
            self._nodes = await self._known_nodes()
            ids = [zone.id for zone in self.record.map]
            slots = [owner.slot for owner in await asyncio.gather(*(tools.zones.owner(zone_id) for zone_id in ids))]
            progress = self.record.progress
            changes = self._staff.changes(
                tools.clock(),
                self.record.map,
                dict(zip(ids, slots, strict=True)),
                self._infos,
                self._nodes,
                progress.plan.zones if progress else (),
            )
            for change in changes:
                await self._apply(change)

    async def _ask_all(self) -> Infos:
        names = sorted(self._staff.made | self._others())
        asked = (self._tools.calls.call(name, "info", deadline_s=CHECK_DEADLINE_S) for name in names)
        infos: dict[str, Mapping[str, Any]] = {}
        for name, answer in zip(names, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            well = not isinstance(answer, BaseException)
            self._tools.on_check(name, well)
            if isinstance(answer, BaseException):
                log.warning("actor_does_not_answer", actor=name, error=str(answer))
            elif name in self._staff.made:
                infos[name] = answer
        return infos

    async def _apply(self, change: Change) -> None:
        actors = self._tools.actors
        try:
            if change.place is None:
                await actors.kill(change.name)
            else:
                await actors.make("zone", change.name, change.place)
        except Unavailable as error:
            self._staff.failed(change)
            log.warning("actor_not_changed", actor=change.name, place=change.place, error=str(error))

    async def ready(self, deadline_s: float) -> None:
        """Until every zone has an owner. Raises Unavailable."""
        until = self._tools.clock() + deadline_s

        async def owned(zone_id: str) -> None:
            while True:
                try:
                    await self.owners.owner(zone_id, INFO_DEADLINE_S)
                except Unavailable:
                    if self._tools.clock() > until:
                        raise
                    await asyncio.sleep(READY_PAUSE_S)
                else:
                    return

        await asyncio.gather(*(owned(zone.id) for zone in self.record.map))

    async def _known_nodes(self) -> list[Node]:
        """With those that the operator drains."""
        draining = self.record.draining
        return [
            replace(node, draining=True, by_command=True) if node.id in draining else node
            for node in await self._tools.actors.nodes()
        ]

    def seen(self) -> dict[str, ZoneSeen]:
        """The owners, as of the last check. Of two that believe it, the one with the higher epoch is."""
        owners: dict[str, ZoneSeen] = {}
        for info in self._infos.values():
            if info["role"] == "owner" and info["epoch"] >= getattr(owners.get(info["zone"]), "epoch", 0):
                owners[info["zone"]] = ZoneSeen.of(info)
        return owners

    # --- plans -------------------------------------------------------------------------------------------------

    async def plan(
        self, kind: str, args: Sequence[str], why: str = "a command", plan_id: str = "", min_share: float = 0.0
    ) -> Plan:
        """A plan of that kind for the world as it is now; nothing is done yet.

        `args`: the zone; for a merge both, for a move the zone and the node. Raises Conflict, NotFound, InvalidInput, Unavailable.
        """
        wanted = {"split": 1, "merge": 2, "move": 2, "restart": 1}.get(kind)
        if wanted is None or len(args) != wanted or not all(isinstance(arg, str) for arg in args):
            raise InvalidInput([("plan", f"{kind} of {', '.join(map(str, args))} is no such thing")])
        world, zone_id = self.record.map, args[0]
        progress = self.record.progress
        common: dict[str, Any] = {
            "plan_id": plan_id or f"pln_{secrets.token_hex(4)}",
            "why": why,
            "running": progress.plan if progress else None,
        }
        if kind == "split":
            return await self._plan_split(world, zone_id, min_share, common)
        if kind == "merge":
            populations = {name: found.population for name in args if (found := await self._look(name)) is not None}
            settings = self._tools.settings
            spawn, capacity = settings.spawn_zone, settings.zone_capacity
            return planning.merge(
                world, *args, spawn_zone=spawn, populations=populations, capacity=capacity, **common
            )
        if kind == "move":
            nodes = await self._known_nodes()
            node = named(nodes, args[1]).id
            return planning.move(world, zone_id, node, nodes=nodes, seen=await self._look(zone_id), **common)
        return planning.restart(world, zone_id, seen=await self._look(zone_id), **common)

    async def _plan_split(self, world: WorldMap, zone_id: str, min_share: float, common: dict[str, Any]) -> Plan:
        settings = self._tools.settings
        positions = np.zeros((0, 2), np.float32)
        if world.find(zone_id) is not None:
            data = await self.owners.call(zone_id, "positions", deadline_s=POSITIONS_DEADLINE_S, idempotent=True)
            positions = np.frombuffer(data, "<f4").reshape(-1, 2)
        declared = {zone.id for zone in settings.zones}
        return planning.split(
            world,
            zone_id,
            positions,
            new_id=planning.new_zone_id(world, zone_id, declared.__contains__),
            min_side=settings.policy.split_min_side,
            min_share=min_share,
            node=self._emptiest(await self._known_nodes()),
            **common,
        )

    def _emptiest(self, nodes: Sequence[Node]) -> str:
        """For a new zone; empty if there is no choice."""
        able = fit(nodes)
        if len(able) < 2:
            return ""
        there = [zone.node for zone in self.seen().values()]
        return min(able, key=lambda node: (there.count(node.id), node.id)).id

    async def _look(self, zone_id: str) -> ZoneSeen | None:
        if self.record.map.find(zone_id) is None:
            return None
        try:
            return ZoneSeen.of(await self.owners.owner(zone_id, INFO_DEADLINE_S))
        except Unavailable:
            return None

    async def execute(self, plan: Plan) -> None:
        """Begin to carry it out; it is written down when this returns. Raises Conflict, Unavailable."""
        async with self._beginning:
            progress = self.record.progress
            if progress is not None:
                raise Conflict("another_plan_runs", {"plan": progress.plan.id, "what": progress.plan.what})
            if plan.before != self.record.map.version:
                raise Conflict("the_map_has_changed", {"version": self.record.map.version})
            await self._save(replace(self.record, progress=Progress(plan)))
            self._carry_on()
        log.info("plan_begins", plan=plan.id, what=plan.what, why=plan.why)

    def _carry_on(self) -> None:
        self._executing = asyncio.create_task(self._carry_out())

    async def _carry_out(self) -> None:
        progress = self.record.progress
        if progress is None:
            return
        plan, tools = progress.plan, self._tools
        interest = tools.settings.interest
        margin = interest.radius + interest.hysteresis + MARGIN_BEYOND_M
        executor = Executor(
            self.record, self._hands, margin=margin, pause=asyncio.sleep, clock=tools.clock, now=tools.wall_clock
        )
        try:
            ended = await executor.run()
        except Fenced:
            tools.on_fenced("plan")
            return
        self._staff.forget(plan.zones)
        if ended.last is not None and ended.last.outcome == "done":
            zone = ended.map.find(plan.zones[0])
            self._policy.changed(tools.clock(), plan.kind, zone.declared if zone else plan.zones[0])
        else:
            self._policy.failed(tools.clock())

    def stop(self) -> None:
        """The plan that is being carried out is left where it is: another director goes on with it."""
        if self._executing is not None:
            self._executing.cancel()

    # --- the policy, and nodes that drain ----------------------------------------------------------------------

    async def consider(self) -> None:
        """Let the policy decide, and do what it says."""
        await self._forget_dead_nodes()
        progress = self.record.progress
        busy = progress.plan.id if progress else ""
        self.verdict = self._policy.decide(self._tools.clock(), self.record.map, self.seen(), self._nodes, busy)
        if (decision := self.verdict.decision) is not None:
            await self._follow(decision)

    async def _follow(self, decision: Decision) -> None:
        log.info("policy_decided", kind=decision.kind, args=decision.args, why=decision.why)
        try:
            share = USEFUL_SHARE if decision.kind == "split" else 0.0
            await self.execute(await self.plan(decision.kind, decision.args, f"policy: {decision.why}", min_share=share))
        except Fenced:
            raise
        except RealmError as error:
            self._policy.failed(self._tools.clock())
            log.warning("policy_refused", kind=decision.kind, args=decision.args, why=str(error))

    async def drain(self, node: str, undo: bool = False) -> Node:
        """The node takes no zones any more, and the policy moves away those that are there. Raises NotFound, Conflict, Unavailable."""
        found = named(await self._known_nodes(), node)
        async with self._saving:
            if self._unsure:
                raise Unavailable("the world's store")
            draining = self.record.draining - {found.id} if undo else self.record.draining | {found.id}
            await self._write(replace(self.record, draining=draining))
        log.info("node_drains", node=found.id, host=found.host, undo=undo)
        self._nodes = await self._known_nodes()
        return found

    async def _forget_dead_nodes(self) -> None:
        """Ray's ids never come again."""
        alive = {node.id for node in self._nodes}
        if self.record.draining <= alive or not alive:
            return
        async with self._saving:
            if not self._unsure:
                await self._write(replace(self.record, draining=self.record.draining & alive))

    # --- what it tells -----------------------------------------------------------------------------------------

    async def describe_nodes(self) -> list[dict[str, Any]]:
        """Those that are alive, with how many zones they own."""
        there = [zone.node for zone in self.seen().values()]
        return [
            {
                "node": node.id,
                "host": node.host,
                "address": node.address,
                "draining": node.draining,
                "zones": there.count(node.id),
            }
            for node in await self._known_nodes()
        ]

    async def describe_zones(self, deadline_s: float) -> list[dict[str, Any]]:
        """The map's zones with what their owners say; population -1 while one is away."""
        return list(await asyncio.gather(*(self._describe_zone(zone.id, deadline_s) for zone in self.record.map)))

    async def _describe_zone(self, zone_id: str, deadline_s: float) -> dict[str, Any]:
        zone = self.record.map.find(zone_id)
        known = self.seen().get(zone_id)
        name = zone_actor(zone_id, known.slot if known else 0)
        said: Mapping[str, Any] | None
        try:
            said = await self._tools.calls.call(name, "info", deadline_s=deadline_s)
            if said is None or said["role"] != "owner":
                said = await self.owners.owner(zone_id, deadline_s)
        except Unavailable:
            said = None
        ...
        return {}
