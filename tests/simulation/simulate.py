"""A simulated hour, or a few minutes: a world with players in it, everything that goes wrong, and the verdict on what was seen."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.chaos.check_world import check
from cluster.chaos.history import History, read
from cluster.chaos.verdict import first_of_each
from cluster.security_settings import AbuseSettings
from cluster.settings import GatewaySettings, SessionSettings, Settings
from cluster.social_settings import EventSettings
from cluster.world_settings import Bounds, InterestSettings, PolicySettings, WorldSettings, ZoneSpec
from tests.simulation import virtual_time
from tests.simulation.director import Director
from tests.simulation.network import Roughness
from tests.simulation.operator import Operator
from tests.simulation.plants import PLANTS
from tests.simulation.players import Habits, Player
from tests.simulation.realm import SimGate, SimRealm
from tests.simulation.server import Fates
from tests.simulation.wanderers import Stage

SIDE_M = 100.0
RADIUS_M, HYSTERESIS_M = 30.0, 5.0
REACH_M = 0.02
"""Places travel as whole centimetres, and are rounded once: on three axes that may be as far off as this."""
CALM_S = 35.0
"""So long everyone rests before all is compared: owners look for strays every ten seconds, and twice."""
RESTLESS_S, LOOK_S = 60.0, 0.5
"""Players who find no way in by then are compared as they are."""
FAULT_S = 7.0
PLAN_S = 15.0
PATIENCE_S, PLANTED_PATIENCE_S = 300.0, 10.0
"""For a plan to end, and for one that a planted fault may keep from ending."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """`calm_every_s`: so long between two calms. `rough`: things go wrong. `plant`: one of `plants.PLANTS`, "" for none."""

    seed: int
    minutes: float
    players: int = 60
    calm_every_s: float = 180.0
    rough: bool = True
    plant: str = ""


def settings() -> Settings:
    """Two by two zones, two of them with a standby. Few ticks, so that an hour is cheap; nothing that is checked depends on it."""
    grounds = (("a", 0, 0), ("b", 1, 0), ("c", 0, 1), ("d", 1, 1))
    zones = tuple(
        ZoneSpec(
            id=f"zon_{name}",
            name=f"Zone {name}",
            bounds=Bounds(
                min_x=column * SIDE_M, min_z=row * SIDE_M, max_x=(column + 1) * SIDE_M, max_z=(row + 1) * SIDE_M
            ),
            standby=name in "bd",
        )
        for name, column, row in grounds
    )
    world = WorldSettings(
        zones=zones,
        spawn_zone="zon_a",
        tick_hz=5.0,
        zone_capacity=400,
        interest=InterestSettings(
            radius=RADIUS_M, hysteresis=HYSTERESIS_M, near_radius=RADIUS_M / 2, far_every=3, bytes_per_s=600
        ),
        game="tests.simulation.wanderers:Wanderers",
        standby_silence_s=0.8,
        policy=PolicySettings(enabled=False, split_min_side=20.0),
    )
    return Settings(
        realm="sim",
        world=world,
        gateway=GatewaySettings(input_flush_s=0.1, attaches_per_s=1_000),
        session=SessionSettings(grace_s=3_600.0, record_ttl_s=86_400.0),
        abuse=AbuseSettings(enabled=False),  # nobody here is up to anything
        events=EventSettings(enabled=False),  # streams are NATS's own, and nobody here reads them
    )


class Play:
    """`land` of the players, too."""

    def __init__(self, wish: Wish, history: History) -> None:
        self.wish = wish
        self.history = history
        self.calm = Stage.resting = False
        self.size = (2 * SIDE_M, 2 * SIDE_M)
        rng = random.Random(wish.seed)
        fates = Fates(lost=0.0005, answer_lost=0.001, late=0.0005) if wish.rough else Fates()
        rough = Roughness(lost=0.00005) if wish.rough else Roughness()
        self.realm = SimRealm(settings(), rng.getrandbits(32), history, fates, rough)
        patience_s = PATIENCE_S if not wish.plant else PLANTED_PATIENCE_S
        self.director = Director(self.realm, random.Random(rng.getrandbits(32)), FAULT_S)
        self.operator = Operator(self.realm, random.Random(rng.getrandbits(32)), PLAN_S, patience_s)
        self._rng = random.Random(rng.getrandbits(32))
        self.players: list[Player] = []
        self._living: list[asyncio.Task[None]] = []
        self._calms = 0

    def gate(self) -> SimGate | None:
        return self._rng.choice(self.realm.gates) if self.realm.gates else None

    def token(self, user_id: str) -> str:
        return self.realm.token(user_id)

    async def run(self) -> None:
        self.history.add("world", radius=RADIUS_M, hysteresis=HYSTERESIS_M, reach=REACH_M)
        with self.realm.patched():
            await self._begin()
            sampling = asyncio.create_task(self._sample())
            loop = asyncio.get_running_loop()
            end = loop.time() + self.wish.minutes * 60
            while loop.time() < end:
                until = min(end, loop.time() + self.wish.calm_every_s)
                changing = asyncio.create_task(self.operator.change(until))
                if self.wish.rough:
                    await self.director.trouble(until)
                await changing
                await self._rest()
            for task in (sampling, *self._living):
                task.cancel()
            await asyncio.gather(sampling, *self._living, return_exceptions=True)

    async def _begin(self) -> None:
        realm = self.realm
        realm.start_world()
        for _ in range(2):
            await realm.open_gate()
        for number in range(self.wish.players):
            name = f"usr_{number}"
            rng = random.Random(self._rng.getrandbits(32))
            character = await realm.character(name)
            self.players.append(Player(name, character, self, rng, Habits(), dithers=number % 8 == 0))
        self._living = [asyncio.create_task(player.live()) for player in self.players]

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.realm.recorder.sample(self.realm.owners())
            for task in self._living:
                if task.done():
                    task.result()

    async def _rest(self) -> None:
        """Nobody moves, nothing breaks; then what everyone knows is written down."""
        self.calm = Stage.resting = True
        await asyncio.sleep(CALM_S)
        for _ in range(round(RESTLESS_S / LOOK_S)):
            if all(player.connected and not player.busy for player in self.players):
                break
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(2.0)
        self._calms += 1
        recorder, number = self.realm.recorder, self._calms
        newest = {zone.id: zone for _, zone in sorted(self.realm.owners(), key=lambda owner: owner[1].epoch)}
        for zone in newest.values():
            recorder.truth(number, zone)
        for zone_id in sorted(recorder.zones):
            recorder.stored(number, zone_id, await self.realm.server.kept(zone_id))
        for player in self.players:
            scene = player.scene
            self.history.add(
                "sees",
                calm=number,
                bot=player.name,
                entity=player.entity_id,
                zone=scene.zone,
                epoch=scene.epoch,
                entities=player.sees(),
            )
        self.history.add("calm", calm=number)
        self.calm = Stage.resting = False
        for player in self.players:
            player.wake()


def simulate(wish: Wish, path: Path) -> dict[str, Any]:
    """Play, record into `path`, and judge. The result is JSON. `played`: enough happened for the verdict to mean something."""
    plays: list[Play] = []
    began = time.process_time()

    async def play() -> None:
        history = History(path, asyncio.get_running_loop().time)
        plays.append(Play(wish, history))
        try:
            await plays[0].run()
        finally:
            history.close()

    with PLANTS[wish.plant].put() if wish.plant else contextlib.nullcontext():
        virtual_time.run(play, wish.seed)
    cpu_s = time.process_time() - began
    verdict = check(read(path))
    realm, director = plays[0].realm, plays[0].director
    errors = [*realm.complaints.errors, *realm.server.bugs]
    done = verdict.operations.get("state", {}).get("acknowledged", 0)
    played = done >= wish.minutes * wish.players and realm.recorder.crossings > 0
    planted: dict[str, Any] = {}
    if wish.plant:
        found = {violation.name for violation in verdict.violations}
        planted = {"plant": wish.plant, "caught_by": sorted(found & PLANTS[wish.plant].found_as)}
    return {
        "good": verdict.good and played and not errors and not plays[0].operator.counts["stuck"],
        "played": played,
        **planted,
        "seed": wish.seed,
        "minutes": wish.minutes,
        "players": wish.players,
        "cpu_s": round(cpu_s, 1),
        **verdict.as_dict(),
        "crossings": realm.recorder.crossings,
        "plans": dict(sorted(plays[0].operator.counts.items())),
        "faults": dict(sorted(director.counts.items())),
        "store": dict(sorted(realm.server.counts.items())),
        "bus": dict(sorted(realm.network.counts.items())),
        "warnings": dict(realm.complaints.counts.most_common(20)),
        "errors": [str(error) for error in errors[:SHOWN]],
        "violations": [violation.as_dict() for violation in first_of_each(verdict.violations, SHOWN)],
    }
