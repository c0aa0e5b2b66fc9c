"""Four zones that meet in a corner, players who walk about there, and everything that can go wrong between the zones."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

import orjson

from actors.zone.borders import STRETCH_M
from actors.zone.entities import Entity
from cluster.errors import RealmError
from cluster.world_settings import Bounds, InterestSettings
from cluster.worldmap import MapZone
from tests.unit.actors.zone.far_store import Weather
from tests.unit.actors.zone.owner_rig import TICK_S, Player, Rig, world

NAMES = ("zon_nw", "zon_ne", "zon_sw", "zon_se")
RADIUS, HYSTERESIS = 12.0, 2.0
MARGIN = RADIUS + HYSTERESIS + 5.0
ROOM = 16.0  # metres from the corner in which players walk: every zone sees most of them
SPEED = 6.0


def grounds(x: float, z: float) -> tuple[MapZone, ...]:
    """The four zones, meeting at (x, z)."""
    corners = ((0.0, 0.0, x, z), (x, 0.0, 200.0, z), (0.0, z, x, 200.0), (x, z, 200.0, 200.0))
    return tuple(
        MapZone(name, name, Bounds(min_x=a, min_z=b, max_x=c, max_z=d), name)
        for name, (a, b, c, d) in zip(NAMES, corners, strict=True)
    )


@dataclass
class Walker:
    """A player, where it is going, and what it was promised: `acked` is the newest change that a zone said it keeps."""

    player: Player
    heading: float
    acked: int = 0
    sent: int = 0
    asked: int = 0  # the call that has no answer yet
    asked_at: float = 0.0
    kept_in: str = ""


class BorderWorld:
    """`pass_time` checks what must always hold, `settled` what must hold in the end. The rest are totals."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.rng = random.Random(seed)
        self.walkers: dict[str, Walker] = {}
        self.crossings = 0
        self.kills = 0
        self.outages = 0
        self.acked = 0
        self._names = 0
        self._back_at: dict[str, float] = {}  # zones that are dead
        self._clear_at: dict[str, float] = {}  # zones whose store is away

    @classmethod
    def make_rig(cls, seed: int) -> Rig:
        settings = world(
            *(
                (zone.id, zone.bounds.min_x, zone.bounds.min_z, zone.bounds.max_x, zone.bounds.max_z)
                for zone in grounds(100, 100)
            ),
            zone_capacity=64,
            interest=InterestSettings(radius=RADIUS, hysteresis=HYSTERESIS),
        )
        return Rig(settings, seed)

    # --- what happens ------------------------------------------------------------------------------------------

    async def come(self) -> None:
        self._names += 1
        x, z = (100.0 + self.rng.uniform(-ROOM, ROOM) for _ in range(2))
        there = self.rig.map.at(x, z)
        assert there is not None
        if there.id not in self.rig.owners:
            return
        player = self.rig.player(f"p{self._names}")
        try:
            await player.enter(there.id, x, z)
        except RealmError:
            del self.rig.players[player.session_id]
            await self._out(player)  # it may have happened all the same
            return
        self.walkers[player.name] = Walker(player, self.rng.uniform(-math.pi, math.pi))

    async def go(self, name: str) -> None:
        await self._out(self.walkers.pop(name).player)
        self.rig.players.pop(f"ses_{name}", None)

    async def _out(self, player: Player) -> None:
        """Out of whichever zone has it, however long that takes."""
        while await self.rig.kept(player.name):
            zone_id = (await self.rig.store.zones_of([player.session_id])).get(player.session_id, "")
            owner = self.rig.owners.get(zone_id)
            if owner is not None:
                try:
                    await owner.leave(player.session_id)
                    continue
                except RealmError:
                    pass
            await self.pass_time(0.1)

    def walk(self) -> None:
        for walker in self.walkers.values():
            player = walker.player
            walker.heading += self.rng.uniform(-0.4, 0.4)
            if max(abs(player.x - 100.0), abs(player.z - 100.0)) > ROOM:
                walker.heading = math.atan2(100.0 - player.z, 100.0 - player.x)
            step = SPEED * TICK_S
            player.walk(step * math.cos(walker.heading), step * math.sin(walker.heading))

    def change(self, walker: Walker) -> None:
        """One change at a time, based on what the zone has; whoever has none at the moment is not asked."""
        player = walker.player
        if walker.asked and (walker.asked in self.rig.told or time.monotonic() - walker.asked_at > 3.0):
            answer = self.rig.told.get(walker.asked)
            if answer is not None and answer.WhichOneof("what") == "result_json":
                walker.acked = walker.sent
                self.acked += 1
            walker.asked = 0
        entity = self._entity(player.name)
        if walker.asked or entity is None or not player.zone_id:
            return
        walker.sent += 1
        change = {"entity_id": player.entity_id, "version": entity.version, "properties": {"n": walker.sent}}
        walker.asked, walker.asked_at = (
            self.rig.call(player, "state.sync.delta", orjson.dumps(change)),
            time.monotonic(),
        )

    def _entity(self, name: str) -> Entity | None:
        holders = self.rig.holders(name)
        return self.rig.owners[holders[0]].zone.table.by_id[f"ent_{name}"] if holders else None

    async def misfortune(self) -> None:
        zone_id, rng, now = self.rng.choice(NAMES), self.rng, time.monotonic()
        kind = rng.choice(("kill", "store", "store", "bus", "map"))
        if kind == "kill" and zone_id in self.rig.owners and len(self._back_at) < 2:
            await self.rig.kill(zone_id)
            self._clear_at.pop(zone_id, None)
            self._back_at[zone_id] = now + rng.choice((0.1, 1.0, 4.0))
            self.kills += 1
        elif kind == "store" and zone_id in self.rig.owners:
            weathers: tuple[Weather, ...] = ("refusing", "losing", "hanging")
            self.rig.ways[zone_id].weather = rng.choice(weathers)
            self._clear_at[zone_id] = now + rng.choice((0.2, 1.0, 3.0))
            self.outages += 1
        elif kind == "bus" and zone_id in self.rig.owners:
            wire = self.rig.wires[zone_id]
            wire.lossy, wire.late = rng.choice(((0.0, 0.0), (0.3, 0.0), (0.0, 0.5), (0.2, 0.3), (1.0, 0.0)))
        elif kind == "map":
            self.rig.map = self.rig.map.changed(
                *grounds(rng.choice((95.0, 100.0, 105.0)), rng.choice((95.0, 100.0, 105.0)))
            )
            self.rig.bus.publish("test.world.map", self.rig.map.dump())

    # --- time --------------------------------------------------------------------------------------------------

    async def pass_time(self, seconds: float) -> None:
        await self.rig.run(seconds)
        now = time.monotonic()
        for zone_id, at in list(self._back_at.items()):
            if now >= at:
                del self._back_at[zone_id]
                await self.rig.start(zone_id)
        for zone_id, at in list(self._clear_at.items()):
            if now >= at:
                del self._clear_at[zone_id]
                self.rig.ways[zone_id].clear_up()
        await self.check()

    async def calm(self) -> None:
        """Everything is well again, and everybody knows."""
        for zone_id in self._back_at:
            self._back_at[zone_id] = 0.0
        for zone_id in self.rig.owners:
            self._clear_at[zone_id] = 0.0
        await self.pass_time(TICK_S)
        for wire in self.rig.wires.values():
            wire.lossy = wire.late = 0.0
        for way in self.rig.ways.values():
            way.flaky = 0.0

    # --- what must be true -------------------------------------------------------------------------------------

    async def check(self) -> None:
        """One owner, who is the store's; nobody lost."""
        for name, walker in self.walkers.items():
            kept, holders = await self.rig.kept(name), self.rig.holders(name)
            assert len(kept) == 1, (name, kept)
            assert holders in ([], kept), (name, kept, holders)
            owner = kept[0].removeprefix(">")
            self.crossings += walker.kept_in not in ("", owner)
            walker.kept_in = owner
            assert walker.player.strange == []
        assert self.rig.fenced == []

    def settled(self) -> bool:
        """Everybody is where the map says, knows what it should know, and sees whom it should see."""
        try:
            self.check_settled()
        except AssertionError:
            return False
        return True

    def check_settled(self) -> None:
        rig, places = self.rig, dict[str, tuple[float, float]]()
        for name, walker in self.walkers.items():
            zone_id = self._holder(name)
            zone = rig.owners[zone_id].zone
            entity = zone.table.by_id[f"ent_{name}"]
            at = zone.standing(entity)
            places[name] = at.x, at.z
            b = zone.bounds
            beyond = max(b.min_x - at.x, at.x - b.max_x, b.min_z - at.z, at.z - b.max_z)
            assert beyond <= rig.settings.world.border_hysteresis
            assert (walker.player.zone_id, walker.player.number) == (zone_id, entity.number)
            assert entity.properties.get("n", 0) >= walker.acked, "an acknowledged change is lost"
        for walker in self.walkers.values():
            self._check_view(walker.player, places)
        for zone_id in NAMES:
            self._check_ghosts(zone_id, places)

    def _holder(self, name: str) -> str:
        holders = self.rig.holders(name)
        assert len(holders) == 1, (name, holders)
        return holders[0]

    def _check_view(self, player: Player, places: dict[str, tuple[float, float]]) -> None:
        me = places[player.name]
        gaps = {name: math.dist(me, at) for name, at in places.items() if name != player.name}
        must = {name for name, gap in gaps.items() if gap <= RADIUS - 0.01}
        may = {name for name, gap in gaps.items() if gap <= RADIUS + HYSTERESIS + 0.01}
        assert must <= player.sees <= may
        for entity in player.scene.entities.values():
            assert entity.cm is not None
            x, z = places[entity.entity_id.removeprefix("ent_")]
            assert abs(entity.cm[0] / 100 - x) < 0.011
            assert abs(entity.cm[2] / 100 - z) < 0.011

    def _check_ghosts(self, zone_id: str, places: dict[str, tuple[float, float]]) -> None:
        zone = self.rig.owners[zone_id].zone
        b, known = zone.bounds, {e.name: e for e in zone.table.by_number.values() if e.owner}
        for name, (x, z) in places.items():
            owner = self._holder(name)
            far = max(b.min_x - x, x - b.max_x, b.min_z - z, z - b.max_z, 0.0)
            if owner != zone_id and far <= MARGIN - 0.01:
                truth = self.rig.owners[owner].zone.table.by_id[f"ent_{name}"]
                assert name in known
                ghost = known[name]
                assert (ghost.owner, ghost.version, ghost.properties) == (owner, truth.version, truth.properties)
            elif owner != zone_id and far > MARGIN + STRETCH_M + 0.01:
                assert name not in known
        assert known.keys() <= places.keys(), "a ghost of one who has left"
