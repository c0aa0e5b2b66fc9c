"""The actors of zones: asked how they are, made where they are missing, ended where nobody wants them. Plain asyncio over ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import structlog

from actors.world.ledger import Ledger
from actors.world.seen import ZoneSeen, fit
from actors.world.staffing import Change, Infos, Staff
from actors.world.tools import Tools
from cluster.errors import Unavailable
from cluster.ports.actors import Node
from cluster.ports.calls import zone_actor

CHECK_DEADLINE_S = 5.0
LOOK_DEADLINE_S = 2.0
READY_PAUSE_S = 0.05

log = structlog.get_logger(__name__)


class Crew:
    """`others`: names of actors that are not zones', to be asked as well. `beginning` is held while actors are made and ended.

    `nodes` and `seen` are as of the last check.
    """

    def __init__(self, tools: Tools, ledger: Ledger, others: Callable[[], Collection[str]]) -> None:
        self.nodes: list[Node] = []
        self.beginning = asyncio.Lock()
        self._tools = tools
        self._ledger = ledger
        self._others = others
        self._staff = Staff()
        self._infos: Infos = {}

    @property
    def seen(self) -> dict[str, ZoneSeen]:
        """The owners. Of two that believe it, the one with the higher epoch is."""
        owners = [ZoneSeen.of(info) for info in self._infos.values() if info["role"] == "owner"]
        return {owner.zone: owner for owner in sorted(owners, key=lambda owner: owner.epoch)}

    async def check(self) -> None:
        """Raises Unavailable, Fenced."""
        tools = self._tools
        await self._ledger.mend()
        self._infos = await self._ask_all()
        async with self.beginning:
            record = self._ledger.record
            self.nodes = await self.known_nodes()
            ids = [zone.id for zone in record.map]
            owners = await asyncio.gather(*(tools.zones.owner(zone_id) for zone_id in ids))
            slots = {zone_id: owner.slot for zone_id, owner in zip(ids, owners, strict=True)}
            busy = record.progress.plan.zones if record.progress else ()
            for change in self._staff.changes(tools.clock(), record.map, slots, self._infos, self.nodes, busy):
                await self._apply(change)

    async def _ask_all(self) -> Infos:
        names = sorted({*self._staff.made, *self._others()})
        asked = (self._tools.calls.call(name, "info", deadline_s=CHECK_DEADLINE_S) for name in names)
        infos: dict[str, Mapping[str, Any]] = {}
        for name, answer in zip(names, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            self._tools.on_check(name, not isinstance(answer, BaseException))
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

    async def forget(self, zones: Collection[str]) -> None:
        """A plan has worked on the actors of these zones. Those that are not in the map any more have none."""
        async with self.beginning:
            self._staff.forget(zones)
            for zone_id in zones:
                if self._ledger.record.map.find(zone_id) is None:
                    for slot in (0, 1):
                        await self._apply(Change(zone_actor(zone_id, slot), None))
                else:
                    await self._meet(zone_id)

    async def _meet(self, zone_id: str) -> None:
        """The plan saw to it that the zone's owner is there."""
        try:
            owner = await self._tools.zones.owner(zone_id)
        except Unavailable as error:
            log.warning("owner_not_known", zone=zone_id, error=str(error))  # then it is made once more: nothing happens
        else:
            self._staff.made.add(zone_actor(zone_id, owner.slot))

    async def look(self, zone_id: str, deadline_s: float = LOOK_DEADLINE_S) -> ZoneSeen | None:
        """What the zone's owner says now; None if nobody answers as that. Raises Unavailable while the store is away."""
        slot = (await self._tools.zones.owner(zone_id)).slot
        try:
            info = await self._tools.calls.call(zone_actor(zone_id, slot), "info", deadline_s=deadline_s)
        except Unavailable:
            return None
        return ZoneSeen.of(info) if info["role"] == "owner" else None

    async def ready(self, deadline_s: float) -> None:
        """Until every zone has an owner. Raises Unavailable."""
        until = self._tools.clock() + deadline_s

        async def owned(zone_id: str) -> None:
            while await self.look(zone_id) is None:
                if self._tools.clock() > until:
                    raise Unavailable(zone_actor(zone_id))
                await asyncio.sleep(READY_PAUSE_S)

        await asyncio.gather(*(owned(zone.id) for zone in self._ledger.record.map))

    async def known_nodes(self) -> list[Node]:
        """Those that are alive, with what the operator said of them. Raises Unavailable."""
        draining = self._ledger.record.draining
        return [
            replace(node, draining=True, by_command=True) if node.id in draining else node
            for node in await self._tools.actors.nodes()
        ]

    def told(self, node_id: str, *, draining: bool) -> None:
        """What the operator has just said of a node is true of `nodes` before the next check, which also knows what Ray says."""
        self.nodes = [
            replace(node, draining=draining, by_command=draining) if node.id == node_id else node for node in self.nodes
        ]

    async def emptiest(self) -> str:
        """The node for a new zone; empty if there is no choice. Raises Unavailable."""
        able = fit(await self.known_nodes())
        if len(able) < 2:
            return ""
        there = [zone.node for zone in self.seen.values()]
        return min(able, key=lambda node: (there.count(node.id), node.id)).id
