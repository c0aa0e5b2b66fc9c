"""Moves that clients must not make, over real sockets: corrected, nothing changed, and the session goes on (rows 7.1 and 7.2)."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from cluster.adapters.redis.zones import RedisZoneStore
from rayrealm_client.codec import Failure, Framing
from rayrealm_client.view import View
from tests.integration.guests import Guest, walled_realm
from tests.integration.zone_bad_input import IN_JSON, STEPS, WALL_X
from tests.local_realm import LocalRealm
from tests.players import Witnesses

pytestmark = pytest.mark.asyncio(loop_scope="module")
both_framings = pytest.mark.parametrize("framing", ["json", "proto"])

BORDER_X, HYSTERESIS_M = 200.0, 2.0
ZONES = ("zon_meadow", "zon_harbour")
SPEED = 8.0  # metres a second; what is tolerated is a quarter more, and a second's worth of it may come at once
TOLERATED = 10.0
SECONDS = 5.0
LANE_Z = 60.0
LOOK_S = 0.004


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[tuple[LocalRealm, Witnesses]]:
    """In place of conftest's: a realm with walls and a game."""
    namespace = f"test-{secrets.token_hex(6)}"
    async with walled_realm(valkey_url, nats_url, nats_token, namespace) as both:
        yield both


class Observer(Guest):
    """Remembers who left its view."""

    def __init__(self, *args: Any) -> None:
        self.left: Counter[str] = Counter()
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        before = {entity.entity_id for entity in self.entities.values()} if isinstance(item, View) else set()
        super()._take(item)
        if isinstance(item, View):
            self.left.update(before - {entity.entity_id for entity in self.entities.values()})


@asynccontextmanager
async def guest_and_watcher(
    realm: LocalRealm, framing: Framing, at: tuple[float, float]
) -> AsyncIterator[tuple[Guest, Guest]]:
    """The guest stands `at`, and is seen."""
    watcher = await Guest.come(realm, at=(max(at[0] - 2.0, 1.0), at[1] + 3.0))
    guest = await Guest.come(realm, framing, at)
    await watcher.until(lambda: watcher.sees(guest) is not None and watcher.sees(guest).cm is not None)
    yield guest, watcher
    for player in (guest, watcher):
        assert player.code is None
        await player.leave()


async def walks_on(guest: Guest, watcher: Guest, at: tuple[float, float]) -> None:
    """From there a small step is good, and seen."""
    corrections = len(guest.corrections)
    sequence = await guest.move(at[0] - 0.25, at[1])
    await guest.until(lambda: guest.ack == sequence)
    await watcher.until(lambda: abs(watcher.sees(guest).position.x - (at[0] - 0.25)) < 0.01)
    assert len(guest.corrections) == corrections


@pytest.mark.parametrize(
    ("framing", "name"), [*(("proto", name) for name in STEPS), *(("json", name) for name in IN_JSON)]
)
async def test_a_step_that_must_not_be(watched_realm: LocalRealm, framing: Framing, name: str) -> None:
    step = STEPS[name]
    async with guest_and_watcher(watched_realm, framing, step.start) as (guest, watcher):
        before, seen = await guest.me(), watcher.sees(guest).cm
        sequence = await guest.move(*step.to, yaw=step.yaw, y=step.y)
        await guest.until(lambda: bool(guest.corrections))
        [correction] = guest.corrections
        assert (correction.reason, correction.sequence, correction.yaw) == (step.reason, sequence, before["yaw"])
        assert correction.position == pytest.approx((step.start[0], 0.0, step.start[1]))
        assert await guest.me() == before | {"sequence": sequence}
        assert watcher.sees(guest).cm == seen
        await walks_on(guest, watcher, step.start)


@both_framings
async def test_a_storm_of_steps_against_a_wall(watched_realm: LocalRealm, framing: Framing) -> None:
    """They are told of it once a tick at most, and get nowhere."""
    start = (WALL_X - 0.5, 100.0)
    async with guest_and_watcher(watched_realm, framing, start) as (guest, watcher):
        began = guest.scene.tick
        before = await guest.me()
        for n in range(200):
            sequence = await guest.move(WALL_X + (1.0 if n % 2 else 0.25), 100.0)
        await guest.until(lambda: bool(guest.corrections) and guest.corrections[-1].sequence == sequence)
        assert {correction.reason for correction in guest.corrections} == {"blocked"}
        assert len(guest.corrections) <= guest.scene.tick - began
        assert await guest.me() == before | {"sequence": sequence}
        await walks_on(guest, watcher, start)


@both_framings
async def test_moves_after_leaving(watched_realm: LocalRealm, framing: Framing) -> None:
    start = (60.0, 60.0)
    async with guest_and_watcher(watched_realm, framing, start) as (guest, watcher):
        character = guest.world["character_id"]
        await guest.ask("world.leave")
        await watcher.until(lambda: watcher.sees(guest) is None)
        for n in range(5):
            await guest.move(start[0] + 0.5 * n, start[1])
        await guest.until(lambda: any(notice.method == "system.error" for notice in guest.notices))
        [told] = [notice.params for notice in guest.notices if notice.method == "system.error"]
        assert told == {
            "method": "world.position.update",
            "code": -32003,
            "data": {"state": "authenticated", "reason": "wrong_state"},
        }
        at = {"x": start[0], "z": start[1]}
        refused = await guest.ask("world.position.update", position=at, sequence=1_000)
        assert isinstance(refused, Failure)
        assert refused.code == -32003
        assert watcher.sees(guest) is None
        world = await guest.enter(character)
        assert (world["position"]["x"], world["position"]["z"]) == start
        assert guest.corrections == []
        await watcher.until(lambda: watcher.sees(guest) is not None and watcher.sees(guest).cm is not None)
        await walks_on(guest, watcher, start)


class Crossing:
    """Somebody at the border, an observer on each side, and what the zones know."""

    def __init__(self, realm: LocalRealm, guest: Guest, observers: list[Observer]) -> None:
        self.guest = guest
        self.observers = observers
        self.entity_id = guest.world["entity_id"]
        self.owners: Counter[int] = Counter()  # how many zones had it as their own, at each look
        self._store = RedisZoneStore(realm._runtimes[0].redis, realm.settings.namespace)
        self._zones = [realm.actors[f"zone/{zone}"]._roles.owner.zone for zone in ZONES]
        self._before = self._handed_over()

    def _handed_over(self) -> int:
        return sum(zone.handed_over for zone in self._zones)

    @property
    def hand_overs(self) -> int:
        return self._handed_over() - self._before

    def owner(self) -> list[str]:
        known = [(zone.id, zone.table.by_id.get(self.entity_id)) for zone in self._zones]
        return [zone_id for zone_id, entity in known if entity is not None and not entity.owner]

    @property
    def in_transit(self) -> bool:
        """No zone moves it at the moment."""
        known = [(zone, zone.table.by_id.get(self.entity_id)) for zone in self._zones]
        return all(entity is None or entity.owner or zone.table.frozen[entity.number] for zone, entity in known)

    async def hurry(self, moves: Iterator[tuple[float, float]]) -> float:
        """Make the moves, which are (x, seconds until the next), for some time. Returns how long it took."""
        began = time.monotonic()
        for x, pause_s in moves:
            await self.guest.move(x, LANE_Z)
            due = time.monotonic() + pause_s
            while time.monotonic() < due:
                self.owners[len(self.owner())] += 1
                await asyncio.sleep(LOOK_S)
            if time.monotonic() - began > SECONDS:
                break
        return time.monotonic() - began

    async def settled(self) -> None:
        """It is in one zone, which its client knows, and where everybody sees it."""
        guest, store = self.guest, self._store
        await guest.until(lambda: self.owner() == [guest.scene.zone] and guest.ack == guest.sequence)
        assert await store.zones_of([guest.session_id]) == {guest.session_id: guest.scene.zone}
        stored = [await store.load(zone) for zone in ZONES]
        assert sum(self.entity_id in each.entities for each in stored) == 1
        assert sum(self.entity_id in each.arrivals for each in stored) == 0
        me = await guest.me()
        x = me["position"]["x"]
        assert me["entity_id"] == self.entity_id
        for observer in self.observers:
            await observer.until(lambda observer=observer: abs(observer.sees(guest).position.x - x) < 0.01)  # type: ignore[misc]
            assert sum(entity.entity_id == self.entity_id for entity in observer.entities.values()) == 1
            assert observer.left[self.entity_id] == 0
        step = min(max(x, BORDER_X - 1.0), BORDER_X + 1.0)
        corrections = len(guest.corrections)
        await asyncio.sleep(1.0)  # until it may go as far as that again
        sequence = await guest.move(step, LANE_Z)
        await guest.until(lambda: guest.ack == sequence)
        assert len(guest.corrections) == corrections


@pytest_asyncio.fixture(loop_scope="module")
async def crossing(watched_realm: LocalRealm) -> AsyncIterator[Crossing]:
    observers = [await Observer.come(watched_realm, at=(BORDER_X + off, LANE_Z + 2.0)) for off in (-5.0, 5.0)]
    guest = await Guest.come(watched_realm, "proto", (BORDER_X - 1.0, LANE_Z))
    for observer in observers:
        await observer.until(lambda observer=observer: observer.sees(guest) is not None)  # type: ignore[misc]
    yield Crossing(watched_realm, guest, observers)
    for player in (guest, *observers):
        assert player.code is None
        await player.leave()


async def test_a_border_walked_to_and_fro(crossing: Crossing) -> None:
    """As fast as a client may: each way is six metres, three quarters of a second of running."""
    side, step_s = HYSTERESIS_M + 1.0, 0.05  # a step or two beyond, as ticks may fall between
    steps = int(2 * side / (SPEED * step_s)) + 1
    there = [BORDER_X - side + 2 * side * n / steps for n in range(steps)]
    back = [BORDER_X + side - 2 * side * n / steps for n in range(steps)]
    took_s = await crossing.hurry((x, step_s) for x in itertools.cycle(there + back))
    await crossing.settled()
    ways = took_s * SPEED / (2 * side)
    assert crossing.guest.corrections == []
    assert ways / 2 <= crossing.hand_overs <= ways + 1
    assert set(crossing.owners) <= {0, 1}


async def test_a_move_while_one_is_handed_over(crossing: Crossing) -> None:
    """It is the last one for a while: where the client believes to stand, it stands."""
    guest = crossing.guest
    for n in range(6):
        side = 1 if n % 2 == 0 else -1
        await guest.move(BORDER_X + side * (HYSTERESIS_M + 0.4), LANE_Z)
        async with asyncio.timeout(SECONDS):
            while not crossing.in_transit:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.001)
        x = BORDER_X + side * (HYSTERESIS_M + 0.7)
        sequence = await guest.move(x, LANE_Z)
        await guest.until(lambda sequence=sequence: guest.ack == sequence)  # type: ignore[misc]
        assert (await guest.me())["position"]["x"] == pytest.approx(x)
        await asyncio.sleep(1.0)  # until it may go as far as that again
    await crossing.settled()
    assert crossing.hand_overs == 6
    assert guest.corrections == []


async def test_a_border_jumped_at_every_tick(crossing: Crossing) -> None:
    """Fifty times a second to the other side, which is refused more often than not."""
    side = HYSTERESIS_M + 0.1
    took_s = await crossing.hurry((BORDER_X + there * side, 0.02) for there in itertools.cycle((1, -1)))
    await crossing.settled()
    most = TOLERATED * (took_s + 1.0) / (2 * side) + 1
    refused = Counter(correction.reason for correction in crossing.guest.corrections)
    assert 3 <= crossing.hand_overs <= most
    assert refused.keys() <= {"too_fast", "too_sudden"}
    assert set(crossing.owners) <= {0, 1}
