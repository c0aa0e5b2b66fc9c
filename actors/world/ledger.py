"""The record of the world as the store has it, written in one place and announced to everyone (row 7.3).

Plain asyncio over ports.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from actors.world.record import WorldRecord
from actors.world.tools import Tools
from cluster.errors import Unavailable
from cluster.worldmap import WorldMap

log = structlog.get_logger(__name__)


class Ledger:
    """`record` is what was written last. `epoch`: of this supervisor.

    A write that is not answered may have been done or not: then `record` stays, and is written again (`mend`).
    """

    def __init__(self, tools: Tools, epoch: int) -> None:
        self.record = WorldRecord(WorldMap.declared(tools.settings))
        self._tools = tools
        self._epoch = epoch
        self._writing = asyncio.Lock()
        self._unsure = False

    async def open(self) -> None:
        """Load what the last supervisor left, with what the operator has changed in the settings since.

        Raises Unavailable, Fenced; ValueError if nobody can read it.
        """
        settings = self._tools.settings
        stored, plan = await self._tools.world.load()
        record = WorldRecord.load(stored, plan) if stored else self.record
        if (
            record.progress is None
        ):  # a plan has its maps already: what is new in the settings comes with the next start
            record = replace(record, map=record.map.with_declared(settings))
        declared = {zone.id for zone in settings.zones}
        for zone in record.map:
            if zone.declared not in declared and not zone.template:
                log.warning("zone_not_declared_any_more", zone=zone.id, declared=zone.declared)
        for missing in sorted(declared - {zone.id for zone in record.map}):
            log.warning("declared_zone_not_there", zone=missing, why="its ground is that of other zones")
        await self.save(record)

    async def save(self, record: WorldRecord) -> None:
        """Raises Unavailable, Fenced."""
        async with self._writing:
            await self._write(record)

    async def save_progress(self, record: WorldRecord) -> None:
        """From who carries out a plan, and knows nothing of nodes that drain. Raises Unavailable, Fenced."""
        async with self._writing:
            await self._write(replace(record, draining=self.record.draining))

    async def drain(self, nodes: frozenset[str]) -> None:
        """Those nodes drain, and no others. Raises Unavailable, Fenced."""
        async with self._writing:
            if self._unsure:  # what is known here may be older than what the store has
                raise Unavailable("the world's store")
            await self._write(replace(self.record, draining=nodes))

    async def mend(self) -> None:
        """Until somebody knows what the store has, nothing new begins. Who carries out a plan repeats its writes itself."""
        async with self._writing:
            if self._unsure and self.record.progress is None:
                await self._write(self.record)

    async def _write(self, record: WorldRecord) -> None:
        self._unsure = True
        await self._tools.world.save(self._epoch, *record.dump())
        self._unsure = False
        self.record = record
        self.announce()

    def announce(self) -> None:
        """The map, to everyone who listens."""
        self._tools.bus.publish(self._tools.subjects.world_map(), self.record.map.dump())
