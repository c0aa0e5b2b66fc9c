"""Which of a zone's two actors owns it, and how that changes (rows 7.3 and 7.4). Plain asyncio over ports.

The store says who owns a zone: slot and epoch. Whoever finds its own slot there takes the next epoch and owns; the other one
follows, until it is asked to take over (`promote`), or until the owner is silent and the zone has a standby. Taking is one step in
the store that names the epoch it replaces: of two that try, one is the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar

import structlog

from actors.zone import reports
from actors.zone.follower import CHECK_S, Follower
from actors.zone.game import load_game, with_types
from actors.zone.gate import Gate
from actors.zone.owner import Tools, ZoneOwner
from actors.zone.zone import Zone
from cluster.errors import Fenced, InvalidInput, NotOwner, RealmError, Unavailable
from cluster.mapwatch import MapWatch
from cluster.ports.calls import Calls, zone_actor
from cluster.ports.zones import WorldStore
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap

Role = Literal["starting", "owner", "following"]

SETTLE_S = 5.0  # a call waits so long for the zone to have an owner
PROMOTE_S = 5.0
YIELD_S = 2.0  # the owner has half of it to write what it knows
GIVEN_S = 2.0  # an owner that gave the zone away takes it back if nobody has taken it by then
UNHEARD_S = 5.0  # a standby that never heard its owner is so patient
UNHEARD_PROMOTED_S = 1.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Estate:
    """What the incarnation before `epoch` leaves to it: PLACE rows as of `at` (Unix seconds), None if only the store knows."""

    epoch: int
    places: bytes | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Given:
    """An owner's last words. Until `until`, on the zone's clock, it waits for the other actor to take the zone."""

    epoch: int
    places: bytes
    at: float
    until: float


def make_owner(zone: MapZone, slot: int, epoch: int, tools: Tools) -> ZoneOwner:
    world = tools.settings.world
    return ZoneOwner(Zone(zone, with_types(world, load_game(world.game)), epoch), slot, tools)


class Roles:
    """One actor of a zone. `epoch` and `owner_slot` are the zone's, as far as is known; `owner` is there while this one owns it.

    `at_work` is called whenever it begins to.
    """

    def __init__(
        self,
        zone_id: str,
        slot: int,
        tools: Tools,
        world: WorldStore,
        calls: Calls,
        at_work: Callable[[], object] = lambda: None,
        make: Callable[[MapZone, int, int, Tools], ZoneOwner] = make_owner,
    ) -> None:
        self.zone_id = zone_id
        self.slot = slot
        self.role: Role = "starting"
        self.epoch = 0
        self.owner_slot = 0
        self.owner: ZoneOwner | None = None
        self.maps = MapWatch(WorldMap(0, ()))
        self.retired = False
        self._tools = tools
        self._world = world
        self._calls = calls
        self._at_work = at_work
        self._make = make
        self._follower: Follower | None = None
        self._estate: Estate | None = None
        self._given: Given | None = None
        self._ended = asyncio.Event()  # this incarnation owns the zone no more
        self._settled = asyncio.Event()
        self._owning = asyncio.Event()
        self._promote_until = float("-inf")
        self._demand_at = float("-inf")
        self._handing = asyncio.Lock()
        self._gate = Gate()
        self._pause_s = FIRST_PAUSE_S

    # --- the life of an actor ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Own or follow the zone, for as long as the process lives; returns when the zone is retired."""
        tools = self._tools
        await self._until_available(lambda: tools.bus.subscribe(tools.subjects.world_map(), self.maps.take))
        world_map, _ = await self._until_available(self._world.load)
        self.maps.take(world_map or WorldMap.declared(tools.settings.world).dump())
        while not self.retired:
            try:
                await self._turn()
            except Exception:
                # A bug must not leave a zone without an owner for good: the next try begins from what the store says.
                log.exception("role_failed", zone=self.zone_id, slot=self.slot)
                await self._pause()

    async def _turn(self) -> None:
        stored = await self._until_available(partial(self._tools.store.owner, self.zone_id))
        self.epoch, self.owner_slot = stored.epoch, stored.slot
        if self._given is not None and stored.epoch > self._given.epoch:
            self._given = None
        mine = stored.slot == self.slot and self._given is None
        if await (self._take_again() if mine else self._follow()):
            await self._own()

    async def _take_again(self) -> bool:
        """The store has this slot: it owned the zone before, or tried to take it and was not answered."""
        estate = self._estate if self._estate is not None and self._estate.epoch == self.epoch else Estate(self.epoch)
        return await self._take("it is its own", self.epoch, estate.places, estate.at)

    async def _take(self, why: str, before: int, places: bytes | None, at: float) -> bool:
        """From incarnation `before`, and no later one. Returns whether the zone is owned here now; else the store knows where."""
        self._settled.clear()
        zone_id = self.zone_id
        self._estate = Estate(before + 1, places, at)
        try:
            self.epoch = await self._tools.store.take(zone_id, self.slot, before)
        except Fenced:
            self._estate = self._given = None
            log.info("zone_not_taken", zone=zone_id, slot=self.slot, epoch=before, because=why)
            await self._pause()
            return False
        except Unavailable as error:
            log.warning("zone_take_unanswered", zone=zone_id, slot=self.slot, because=why, error=str(error))
            await self._pause()
            return False
        self.owner_slot = self.slot
        self._estate = replace(self._estate, epoch=self.epoch)
        log.info("zone_taken", zone=zone_id, slot=self.slot, epoch=self.epoch, because=why)
        return True

    async def _own(self) -> None:
        """Until the zone is given away or retired. Raises nothing that the store's absence explains."""
        world_map, estate = self.maps.map, self._estate or Estate(self.epoch)
        zone = world_map.find(self.zone_id) or _without_ground(self.zone_id)
        owner = self._make(zone, self.slot, self.epoch, self._tools)
        try:
            try:
                await owner.begin(world_map, estate.places, estate.at)
            except Unavailable as error:
                log.warning("zone_start_waits", zone=self.zone_id, error=str(error))
                await self._pause()
                return
            self._estate = self._given = None
            self._pause_s = FIRST_PAUSE_S
            self._ended.clear()
            self.owner = owner
            self._settle("owner")
            await self._stop_following()
            await self._ended.wait()
        finally:
            self.owner = None
            self._owning.clear()
            await owner.stop()

    async def _follow(self) -> bool:
        """Returns whether this one has taken the zone; if not, the store knows more."""
        if self._follower is None:
            tools, world = self._tools, self._tools.settings.world
            follower = Follower(
                self.zone_id, self.slot, world.zone_capacity, world.standby_silence_s,
                tools.bus, tools.subjects, tools.clock, tools.wall_clock,
            )  # fmt: skip
            await self._until_available(follower.start)
            self._follower = follower
        follower = self._follower
        follower.expect(self.epoch)
        self._settle("following")
        while True:
            now = self._tools.clock()
            follower.ask(now)
            if follower.replica.epoch > self.epoch:
                self.epoch, self.owner_slot = follower.replica.epoch, 1 - self.slot
                self._given = None
            wanted = now < self._promote_until
            given = self._given
            if given is not None and (wanted or now >= given.until):
                return await self._take("nobody else took it", given.epoch, given.places, given.at)
            if given is None and (why := self._silent(follower, wanted)):
                return await self._take(why, self.epoch, follower.replica.places(), follower.heard_at)
            if wanted and given is None and now >= self._demand_at:
                taken = await self._demand(follower)
                if taken is not None:
                    return taken
            await follower.wait()

    def _silent(self, follower: Follower, wanted: bool) -> str:
        """Why the zone is to be taken from an owner that does not speak; empty if it is not."""
        patience = self._tools.settings.world.standby_silence_s
        if wanted:
            long = patience if follower.replica.synced else max(patience, UNHEARD_PROMOTED_S)
            return "it is promoted, and the owner is silent" if follower.silence.longer_than(long) else ""
        zone = self.maps.map.find(self.zone_id)
        if zone is None or not zone.standby or not self.epoch:
            return ""
        long = patience if follower.replica.synced else max(patience, UNHEARD_S)
        return "the owner is silent" if follower.silence.longer_than(long) else ""

    async def _demand(self, follower: Follower) -> bool | None:
        """Ask the owner for the zone. None: it does not give it; go on following."""
        clock, other = self._tools.clock, zone_actor(self.zone_id, 1 - self.slot)
        call = asyncio.create_task(self._calls.call(other, "yield_to", self.slot, YIELD_S, deadline_s=YIELD_S))
        try:
            while not call.done():
                follower.ask(clock())
                if self._silent(follower, wanted=True):  # it hangs, or its answer was lost
                    why = "the owner fell silent as it was asked for the zone"
                    return await self._take(why, self.epoch, follower.replica.places(), follower.heard_at)
                await asyncio.wait([call], timeout=CHECK_S)
            places, at, epoch = call.result()
        except NotOwner:
            self._demand_at = clock() + self._jittered(FIRST_PAUSE_S)
            return False  # it has changed hands
        except RealmError as error:
            log.warning("zone_not_given", zone=self.zone_id, owner=other, error=str(error))
            self._demand_at = clock() + self._jittered(LAST_PAUSE_S / 4)
            return None
        finally:
            call.cancel()
        return await self._take("it was given", epoch, places, at)

    async def _stop_following(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            await follower.stop()

    def _settle(self, role: Role) -> None:
        if role != self.role:
            log.info("zone_role", zone=self.zone_id, slot=self.slot, role=role, epoch=self.epoch)
        self.role = role
        self._settled.set()
        if role == "owner":
            self._gate.closed = False
            self._promote_until = float("-inf")
            self._owning.set()
            self._at_work()

    async def _until_available(self, step: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                answer = await step()
            except Unavailable as error:
                log.warning("zone_waits", zone=self.zone_id, slot=self.slot, what=str(error))
                await self._pause()
            else:
                self._pause_s = FIRST_PAUSE_S
                return answer

    async def _pause(self) -> None:
        await asyncio.sleep(self._jittered(self._pause_s))
        self._pause_s = min(self._pause_s * 2, LAST_PAUSE_S)

    def _jittered(self, pause_s: float) -> float:
        return self._tools.rng.uniform(0.5, 1.0) * pause_s

    # --- the control lane --------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Until this actor owns or follows. Raises Unavailable."""
        try:
            async with asyncio.timeout(SETTLE_S):
                await self._settled.wait()
        except TimeoutError:
            raise Unavailable(zone_actor(self.zone_id, self.slot)) from None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ZoneOwner]:
        """Around every call that needs the owner: it does not give the zone away meanwhile. Raises NotOwner, Unavailable."""
        await self.settled()
        owner = self.owner
        if owner is None or self._gate.closed:
            raise NotOwner(1 - self.slot)
        with self._gate.inside():
            yield owner

    async def promote(self) -> None:
        """Own the zone; returns when it does. Raises Unavailable, after which nothing is tried on; may be said again."""
        if self.role == "owner":
            return
        self._promote_until = self._tools.clock() + PROMOTE_S
        if self._follower is not None:
            self._follower.woken.set()
        try:
            async with asyncio.timeout(PROMOTE_S):
                await self._owning.wait()
        except TimeoutError:
            raise Unavailable(zone_actor(self.zone_id, self.slot)) from None

    async def yield_to(self, slot: int, within_s: float) -> tuple[bytes, float, int]:
        """Give the zone to the other actor: everything is written, and no tick follows. Said again, the answer is the same.

        Returns where everybody stands, since when (Unix seconds), and the epoch that the other one replaces. Raises NotOwner;
        Unavailable while the store is away: then the zone goes on.
        """
        if slot != 1 - self.slot:
            raise InvalidInput([("slot", "must be the other actor's")])
        me = zone_actor(self.zone_id, self.slot)
        try:
            async with asyncio.timeout(within_s / 2), self._handing:
                await self._settled.wait()
                if self._given is None:
                    await self._give(slot)
                given = self._given
        except TimeoutError:
            raise Unavailable(me) from None
        if given is None:
            raise NotOwner(slot)
        return given.places, given.at, given.epoch

    async def _give(self, slot: int) -> None:
        owner = self.owner
        if owner is None:
            raise NotOwner(slot)
        self._gate.closed = True
        try:
            await self._gate.empty()
            places = await owner.last_words()
        except BaseException:
            self._gate.closed = False
            raise
        tools = self._tools
        self._given = Given(self.epoch, places, tools.wall_clock(), tools.clock() + GIVEN_S)
        self.owner, self.role = None, "following"
        self._owning.clear()
        self._ended.set()
        log.info("zone_given", zone=self.zone_id, slot=self.slot, epoch=self.epoch, to=slot)

    async def remap(self, data: bytes) -> None:
        """The owner has that map when this returns, or a newer one. Raises NotOwner, then it is kept here alone; InvalidInput."""
        try:
            WorldMap.load(data)
        except ValueError as error:
            raise InvalidInput([("map", str(error))]) from None
        self.maps.take(data)
        async with self.serving() as owner:
            await owner.remap(self.maps.map)

    async def retire(self) -> bool:
        """Whether nothing is left of the zone, and it takes nobody in any more. Raises NotOwner, Unavailable."""
        if self.retired:
            return True
        async with self.serving() as owner:
            self.retired = await owner.retire()
        if self.retired:
            self.role = "starting"
            self._ended.set()
        return self.retired

    def info(self) -> dict[str, Any]:
        """What the supervisor wants to know, and `rayrealm zones list` shows."""
        said: dict[str, Any] = {
            "zone": self.zone_id,
            "slot": self.slot,
            "role": self.role,
            "epoch": self.epoch,
            "map_version": self.maps.map.version,
            "retired": self.retired,
        }
        owner, follower = self.owner, self._follower
        if owner is not None:
            return said | reports.describe(owner.zone, owner.times)
        if follower is None:
            return said | reports.nothing(0, 0)
        return said | reports.nothing(len(follower.replica), follower.replica.tick)


def _without_ground(zone_id: str) -> MapZone:
    """A zone that is being made: it owns itself before the map names it, and nobody comes before that."""
    return MapZone(zone_id, zone_id, Bounds(min_x=0, min_z=0, max_x=1, max_z=1), zone_id)
