"""Entities on their way from zone to zone (row 7.2): handed over by one zone's owner, claimed by the other's. Plain asyncio over
ports.

The store says whose an entity is; messages only say that it is time to look.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from actors.zone.writer import Writer
from actors.zone.zone import Zone
from cluster.errors import NotFound, Unavailable
from cluster.ports.bus import Bus
from cluster.ports.zones import Parcel
from cluster.subjects import Subjects
from realm_proto import internal_pb2

CLAIM_S = 0.5  # how often a zone looks for arrivals that nobody told it of
TOLD_AT_ONCE = 1_000  # sessions in a message

log = structlog.get_logger(__name__)


class Transit:
    """Clocks are seconds: `clock` monotonic, `wall_clock` Unix. `under_way`: the zones that something is being handed over to."""

    def __init__(
        self,
        zone: Zone,
        writer: Writer,
        bus: Bus,
        subjects: Subjects,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self.under_way: set[str] = set()
        self._zone = zone
        self._writer = writer
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng
        self._arrivals = asyncio.Event()
        self._claiming = asyncio.Lock()

    def due(self, now: float) -> dict[str, list[Parcel]]:
        """Who is to be handed over now, packed, by zone; all are to be given to `hand_over`.

        Nobody while the store is away, and no second party to a zone before the first is through.
        """
        if self._writer.away:
            return {}
        wall, zone = self._wall_clock(), self._zone
        due = {
            to: zone.pack(numbers, now, wall)
            for to, numbers in zone.crossers(now).items()
            if numbers and to not in self.under_way
        }
        self.under_way |= due.keys()
        return due

    async def hand_over(self, to: str, parcels: list[Parcel]) -> None:
        """Own entities to another zone. Repeated until the store has said yes or no."""
        zone, clock = self._zone, self._clock
        try:
            # In the writer's turn, at once when the store says so: a commit after it must not bring them back.
            await self._writer.hand_over(to, parcels, lambda: zone.depart(parcels, to, clock()))
            # The others hear at once: until the new owner has claimed them, nobody moves them.
            for zone_id, message in zone.borders.hints(clock()):
                self._bus.publish(self._subjects.zone_border(zone_id), message)
        except NotFound:
            log.warning("nobody_to_hand_over_to", zone=zone.id, to=to, entities=len(parcels))
            zone.unpack(parcels)
        finally:
            self.under_way.discard(to)

    def hinted(self) -> None:
        """Another zone says that it handed something over to this one."""
        self._arrivals.set()

    async def claim_for_ever(self) -> None:
        """Look when told to, and now and then."""
        while True:
            try:
                async with asyncio.timeout(CLAIM_S):
                    await self._arrivals.wait()
            except TimeoutError:
                pass
            try:
                await self.claim()
            except Unavailable as error:
                log.warning("claim_postponed", zone=self._zone.id, what=str(error))
                await asyncio.sleep(CLAIM_S * self._rng.uniform(0.5, 1.0))

    async def claim(self) -> None:
        """Take in who was handed over to this zone. Raises Unavailable, Fenced."""
        async with self._claiming:
            self._arrivals.clear()
            arrived = await self._writer.claim()
            admitted = self._zone.admit(arrived, self._clock(), self._wall_clock())
            self.tell([entity.session_id for entity in admitted if entity.session_id])

    def tell(self, session_ids: Sequence[str]) -> None:
        """Tell session actors that these are in this zone now."""
        for start in range(0, len(session_ids), TOLD_AT_ONCE):
            part = session_ids[start : start + TOLD_AT_ONCE]
            moved = internal_pb2.SessionsMoved(zone_id=self._zone.id, session_ids=part)
            self._bus.publish(self._subjects.sessions_moved(), moved.SerializeToString())

    async def look_for(self, session_id: str) -> None:
        """A call comes for a session that the zone may not know: it may have been handed over just now."""
        if session_id not in self._zone.table.by_session:
            await self.claim()
