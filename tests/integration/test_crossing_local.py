"""Players cross from zone to zone over real sockets, Valkey and NATS, and either zone may die in the middle (row 7.2). No Ray."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.zone.owner import ZoneOwner
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.ports.calls import zone_actor
from rayrealm_client.codec import Framing
from tests.integration.backstage import MEADOW, SESSIONS, ZONE, Backstage
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

HARBOUR = "zon_harbour"
NEXT = zone_actor(HARBOUR)
BORDER, PAST = 200.0, 203.0  # the second: beyond the hysteresis
STEP_M = 0.35
STEP_S = 0.3
DEADLINE_S = 15.0
FRAMINGS: list[Framing] = ["proto", "json"]


class Walker(Player):
    """A player that knows where it is, and remembers the zones that its views came from."""

    def __init__(self, *args: Any) -> None:
        self.zones: list[str] = []
        self.x = 0.0
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        reset = getattr(item, "reset", None)
        if reset is not None and self.zones[-1:] != [reset.zone]:
            self.zones.append(reset.zone)
        correction = getattr(item, "correction", None)
        if correction is not None:
            self.x = correction.position.x

    @classmethod
    async def come(cls, realm: LocalRealm, user: str, x: float, framing: Framing = "proto") -> Walker:
        walker = await cls.join(realm, user, framing)
        await walker.enter(await realm.character(user, user.removeprefix("usr_").title(), at=(x, 100.0)))
        walker.x = x
        return walker

    async def step(self, metres: float) -> None:
        """A move, and the zone's answer to it; there may be none while it is handed over."""
        self.x += metres
        sequence = await self.move(self.x, 100.0)
        with contextlib.suppress(TimeoutError):
            await self.until(lambda: self.ack >= sequence, STEP_S)

    async def walk_to(self, x: float) -> None:
        while abs(self.x - x) > STEP_M:
            await self.step(STEP_M if x > self.x else -STEP_M)

    def place_of(self, other: Player) -> float | None:
        """Where it sees the other one: an entity's id is the same in every zone."""
        found = [e for e in self.entities.values() if e.entity_id == other.world["entity_id"]]
        assert len(found) <= 1, "twice"
        return found[0].position.x if found else None

    async def sees(self, other: Walker) -> None:
        """Where it believes itself to be."""

        def there() -> bool:
            place = self.place_of(other)
            return place is not None and abs(place - other.x) < 0.02

        await self.until(there, DEADLINE_S)


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Backstage]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, chat={"burst": 100}) as realm:
        yield Backstage(realm)


async def pair(stage: Backstage, framing: Framing = "proto", other: Framing = "json") -> tuple[Walker, Walker]:
    """ann about to cross, bob beyond the border."""
    ann = await Walker.come(stage.realm, "usr_ann", 197.0, framing)
    bob = await Walker.come(stage.realm, "usr_bob", 210.0, other)
    await ann.sees(bob)
    await bob.sees(ann)
    assert (ann.zones, bob.zones) == ([MEADOW], [HARBOUR])
    return ann, bob


async def zone_of(stage: Backstage, player: Player) -> str:
    store = RedisZoneStore(stage.redis, stage.ns)
    return (await store.zones_of([player.session_id]))[player.session_id]


def owners_of(stage: Backstage, player: Player) -> list[str]:
    found = []
    for name in (ZONE, NEXT):
        owner = stage.runner(name)._roles.owner if name in stage.realm.actors else None
        if owner is not None and player.session_id in owner.zone.table.by_session:
            found.append(owner.zone.id)
    return found


async def arrived(stage: Backstage, ann: Walker, bob: Walker) -> None:
    """She is in the harbour and nowhere else, walks on there, and both see each other."""
    await ann.until(lambda: ann.zones[-1:] == [HARBOUR], DEADLINE_S)
    await stage.until(lambda: owners_of(stage, ann) == [HARBOUR])
    assert await zone_of(stage, ann) == HARBOUR
    await ann.walk_to(ann.x + 2.0)
    await bob.sees(ann)
    await ann.sees(bob)
    assert (ann.code, bob.code) == (None, None), "nobody lost a socket"


async def goodbye(*players: Player) -> None:
    for player in players:
        await player.leave()


@pytest.mark.parametrize(("framing", "other"), [FRAMINGS, FRAMINGS[::-1]])
async def test_there_and_back(stage: Backstage, framing: Framing, other: Framing) -> None:
    ann, bob = await pair(stage, framing, other)
    await ann.walk_to(PAST + 1.0)
    await arrived(stage, ann, bob)
    await ann.walk_to(BORDER - 4.0)
    await ann.until(lambda: ann.zones == [MEADOW, HARBOUR, MEADOW])
    await bob.sees(ann)
    assert bob.zones == [HARBOUR], "his views never began again"
    assert (ann.corrections, bob.corrections) == ([], [])
    await goodbye(ann, bob)


async def test_what_it_says_and_does_on_the_way_arrives_in_order(stage: Backstage) -> None:
    """Chat, changes of its state and moves, all the while; every change is based on the one before."""
    ann, bob = await pair(stage)
    for player in (ann, bob):
        await player.ask("chat.channel.join", channel="way")
    steps, entity_id = 40, ann.world["entity_id"]
    for n in range(steps):
        await ann.step(STEP_M)
        await ann.notify("chat.message", channel="way", text=str(n))
        answer = await ann.ask("state.sync.delta", entity_id=entity_id, version=n + 1, properties={"steps": n + 1})
        assert answer == {"version": n + 2}
    assert ann.zones == [MEADOW, HARBOUR]
    assert ann.corrections == []

    def said() -> list[str]:
        told: list[Any] = [notice.params for notice in bob.notices if notice.method == "chat.message"]
        return [params["text"] for params in told]

    await bob.until(lambda: len(said()) == steps)
    assert said() == [str(n) for n in range(steps)]
    await bob.sees(ann)
    seen = next(e for e in bob.entities.values() if e.entity_id == entity_id)
    await bob.until(lambda: seen.version == steps + 1)
    assert seen.properties == {"steps": steps}
    snapshot = await ann.ask("state.sync.request")
    assert (snapshot["zone"], snapshot["entities"][0]["version"]) == (HARBOUR, steps + 1)
    await goodbye(ann, bob)


class TestSessions:
    async def test_the_record_and_the_store_follow(self, stage: Backstage) -> None:
        ann, bob = await pair(stage)
        assert await zone_of(stage, ann) == MEADOW
        await ann.walk_to(PAST + 1.0)
        await arrived(stage, ann, bob)
        async with asyncio.timeout(DEADLINE_S):
            while True:
                record = await stage.record(ann.session_id)
                assert record is not None
                if record.zone_id == HARBOUR:
                    break
                await asyncio.sleep(0.05)
        info = await ann.ask("system.info")
        assert info["world"]["zone"] == HARBOUR
        await goodbye(ann, bob)

    async def test_the_actor_is_killed_and_the_next_one_finds_them(self, stage: Backstage) -> None:
        """It was away while they crossed, and their records name the zone before."""
        ann, bob = await pair(stage)
        await stage.kill(SESSIONS)
        await ann.walk_to(PAST + 1.0)
        await arrived(stage, ann, bob)
        record = await stage.record(ann.session_id)
        assert record is not None
        assert record.zone_id == MEADOW
        await stage.start(SESSIONS)
        ann.ws.transport.abort()
        await ann.closed()
        await bob.until(lambda: any(e.link_dead for e in bob.entities.values()), DEADLINE_S)
        again = await Walker.join(stage.realm, "usr_ann", session_id=ann.session_id)
        assert (again.ready["resumed"], again.world["zone"]) == (True, HARBOUR)
        again.x = again.world["position"]["x"]
        await again.sees(bob)
        await bob.until(lambda: not any(e.link_dead for e in bob.entities.values()), DEADLINE_S)
        assert await again.ask("world.leave") == {}
        await bob.until(lambda: bob.place_of(ann) is None, DEADLINE_S)
        assert owners_of(stage, ann) == []
        await goodbye(again, bob)

    async def test_it_leaves_from_where_it_is_and_comes_back_there(self, stage: Backstage) -> None:
        ann, bob = await pair(stage)
        await ann.walk_to(PAST + 1.0)
        await ann.until(lambda: ann.zones[-1] == HARBOUR)
        character, x = ann.world["character_id"], ann.x
        assert await ann.ask("world.leave") == {}
        await bob.until(lambda: bob.place_of(ann) is None)
        world = await ann.enter(character)
        assert world["zone"] == HARBOUR
        assert world["position"]["x"] == pytest.approx(x, abs=0.01)
        ann.x = world["position"]["x"]
        await bob.sees(ann)
        await goodbye(ann, bob)


class TestDeaths:
    """A zone is killed just when the store hands somebody over. `held` stops the one call of a store in the middle of things."""

    @staticmethod
    def held(monkeypatch: pytest.MonkeyPatch, owner: ZoneOwner, method: str, *, done: bool) -> asyncio.Event:
        """The call never comes back; `done`: the store has done it. Set when it is so far."""
        store = owner._tools.store
        real, reached = getattr(store, method), asyncio.Event()

        async def hold(*args: Any) -> Any:
            answer: Any = await real(*args) if done else None
            if done and method == "claim" and not answer.records:
                return answer  # nobody came yet
            reached.set()
            return await asyncio.Event().wait()

        monkeypatch.setattr(store, method, hold)
        return reached

    @pytest.mark.parametrize("done", [True, False])
    async def test_of_the_one_that_takes_her(
        self, stage: Backstage, monkeypatch: pytest.MonkeyPatch, done: bool
    ) -> None:
        """Before it has claimed her, and when nobody heard yet that it has."""
        ann, bob = await pair(stage)
        reached = self.held(monkeypatch, stage.owner(NEXT), "claim", done=done)
        await ann.walk_to(PAST)
        async with asyncio.timeout(DEADLINE_S):
            await reached.wait()
        await stage.until(lambda: stage.owner(ZONE).zone.handed_over == 1)
        assert await zone_of(stage, ann) == HARBOUR
        await stage.restart(NEXT)
        await arrived(stage, ann, bob)
        await goodbye(ann, bob)

    async def test_of_the_one_that_gives_her_away_and_the_store_has_it(
        self, stage: Backstage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann, bob = await pair(stage)
        cat = await Walker.come(stage.realm, "usr_cat", 180.0)
        await cat.sees(ann)
        reached = self.held(monkeypatch, stage.owner(ZONE), "hand_over", done=True)
        await ann.walk_to(PAST)
        async with asyncio.timeout(DEADLINE_S):
            await reached.wait()
        await stage.kill(ZONE)
        await ann.until(lambda: ann.zones[-1:] == [HARBOUR], DEADLINE_S)
        await stage.start(ZONE)
        await arrived(stage, ann, bob)
        await cat.sees(ann)
        await cat.sees(bob)
        await goodbye(ann, bob, cat)

    async def test_of_the_one_that_gives_her_away_before_the_store_has_heard(
        self, stage: Backstage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann, bob = await pair(stage)
        reached = self.held(monkeypatch, stage.owner(ZONE), "hand_over", done=False)
        await ann.walk_to(PAST)
        async with asyncio.timeout(DEADLINE_S):
            await reached.wait()
        assert await zone_of(stage, ann) == MEADOW
        await stage.restart(ZONE)
        await ann.walk_to(PAST + 1.0)
        await arrived(stage, ann, bob)
        await goodbye(ann, bob)

    async def test_of_both(self, stage: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
        ann, bob = await pair(stage)
        reached = self.held(monkeypatch, stage.owner(NEXT), "claim", done=False)
        await ann.walk_to(PAST)
        await stage.until(lambda: stage.owner(ZONE).zone.handed_over == 1)
        assert reached.is_set()
        for name in (ZONE, NEXT):
            await stage.kill(name)
        for name in (ZONE, NEXT):
            await stage.start(name)
        await arrived(stage, ann, bob)
        await goodbye(ann, bob)
