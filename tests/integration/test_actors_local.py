"""Actors that die, come back, or find that they were replaced: their own classes, real Valkey and NATS, no Ray (row 1.9).

A kill is what a process's death looks like from outside: its loops stop and its connections close. The next incarnation is a new
object on the same names. What needs real processes is tested in the files that start a realm.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

import actors.session.sessions_actor
import actors.zone.zone_actor
import cluster.adapters.runtime
from actors.zone import records
from actors.zone.views import outputs
from actors.zone.zone import Arrival, Standing
from cluster.adapters.redis.zones import TAKEN_AT
from cluster.errors import Conflict, RealmError, SessionGone, Unavailable
from cluster.ports.calls import presence_actor, sessions_actor, zone_actor
from cluster.ports.sessions import SessionRecord
from tests.local_realm import LocalRealm, local_realm
from tests.players import Player

MEADOW = "zon_meadow"
ZONE, SESSIONS, PRESENCE = zone_actor(MEADOW), sessions_actor(0), presence_actor()
DEADLINE_S = 10.0


class StoppedError(Exception):
    """In place of the end of a process that was fenced."""


class Viewer(Player):
    """A player that remembers which incarnations of the zone its views started from."""

    def __init__(self, *args: Any) -> None:
        self.epochs: list[int] = []
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        reset = getattr(item, "reset", None)
        if reset is not None:
            self.epochs.append(reset.epoch)

    def sees(self, other: Player, x: float | None = None) -> bool:
        entity = self.entities.get(other.world["number"])
        return entity is not None and (x is None or abs(entity.position.x - x) < 1e-3)

    def presences(self) -> list[tuple[str, str]]:
        """The changes it was told of: who, and to what."""
        told: list[Any] = [notice.params for notice in self.notices if notice.method == "presence.changed"]
        return [(params["user_id"], params["status"]) for params in told]


class Backstage:
    """A realm, and what a chaos run would do to it."""

    def __init__(self, realm: LocalRealm) -> None:
        self.realm = realm
        self.redis: Any = realm._runtimes[0].redis  # its replies are bytes, which its stubs do not know
        self.ns = realm.settings.namespace

    def runner(self, name: str) -> Any:
        return self.realm.actors[name]

    async def kill(self, name: str) -> None:
        runner = self.realm.actors.pop(name)
        await runner._started
        for loop in runner._loops:
            loop.cancel()
        await asyncio.gather(*runner._loops, return_exceptions=True)
        await runner._runtime.close()

    async def start(self, name: str) -> Any:
        """A new incarnation; one that still runs is left as it is, and no longer found."""
        argument = name.removeprefix("zone/") if name.startswith("zone/") else name
        self.realm.make(None, name, self.realm.realm, argument)
        runner = self.runner(name)
        async with asyncio.timeout(DEADLINE_S):
            await runner._started
        return runner

    async def restart(self, name: str) -> Any:
        await self.kill(name)
        return await self.start(name)

    async def enter(self, user: str, x: float, name: str = "") -> Viewer:
        player = await Viewer.join(self.realm, user)
        await player.enter(await self.realm.character(user, name, at=(x, 100.0)))
        return player

    async def record(self, session_id: str) -> SessionRecord | None:
        record: SessionRecord | None = await self.runner(ZONE)._sessions.get(session_id)
        return record

    async def online(self, *users: str) -> None:
        """Until the presence index knows; it is told in batches."""
        index = await self.runner(PRESENCE)._index()
        await self.until(lambda: all(index.of_user(user).zone_id == MEADOW for user in users))

    async def until(self, condition: Callable[[], bool]) -> None:
        """For states that nothing announces."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Backstage]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm:
        yield Backstage(realm)


@pytest.fixture
def fenced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was told to stop, instead of this process ending."""
    stopped: list[str] = []

    def stop(what: str) -> None:
        stopped.append(what)
        raise StoppedError(what)

    for module in (cluster.adapters.runtime, actors.zone.zone_actor, actors.session.sessions_actor):
        monkeypatch.setattr(module, "stop_fenced", stop)
    return stopped


class TestZoneRestart:
    async def test_everybody_walks_on(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        for step in range(1, 6):
            await ann.move(100 + step, 100)
        await bob.until(lambda: bob.sees(ann, 105))
        await stage.runner(ZONE)._checkpoint()
        await ann.move(106, 100)
        await bob.until(lambda: bob.sees(ann, 106))

        await stage.restart(ZONE)
        await bob.until(lambda: bob.epochs[-1:] == [2])
        await ann.until(lambda: ann.epochs[-1:] == [2])
        assert bob.sees(ann, 105), "where the checkpoint had her"
        assert ann.sees(bob, 105)
        sequence = await ann.move(107, 100)
        await bob.until(lambda: bob.sees(ann, 107))
        await ann.until(lambda: ann.ack == sequence)
        assert ann.corrections == []
        assert stage.realm.gateway.hub.zones.stale_outputs == 0
        for player in (ann, bob):
            assert player.code is None
            await player.leave()

    async def test_one_who_was_far_away_when_it_died_may_have_walked_on(self, stage: Backstage) -> None:
        ann = await stage.enter("usr_a", 100)
        await stage.runner(ZONE)._checkpoint()
        await stage.kill(ZONE)
        key = f"{stage.ns}:zone:{MEADOW}:places"
        places = await stage.redis.get(key)
        taken_at = TAKEN_AT.unpack_from(places)[0]
        await stage.redis.set(key, TAKEN_AT.pack(taken_at - 5.0) + places[TAKEN_AT.size :])
        await stage.start(ZONE)
        await ann.until(lambda: ann.epochs[-1:] == [2])
        sequence = await ann.move(150, 100)
        await ann.until(lambda: ann.ack == sequence)
        assert ann.corrections == [], "five seconds of walking, and the usual budget"
        await ann.leave()

    async def test_what_was_acknowledged_is_kept(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        entity = ann.world["entity_id"]
        assert await ann.ask("state.sync.delta", entity_id=entity, version=1, properties={"hat": "red"}) == {
            "version": 2
        }
        assert await ann.ask("state.sync.delta", entity_id=entity, version=2, properties={"cape": 1}) == {"version": 3}
        await stage.restart(ZONE)
        await bob.until(lambda: bob.epochs[-1:] == [2])
        seen = bob.entities[ann.world["number"]]
        assert (seen.version, seen.properties) == (3, {"hat": "red", "cape": 1})
        assert await ann.ask("state.sync.delta", entity_id=entity, version=3, properties={"hat": None}) == {
            "version": 4
        }
        for player in (ann, bob):
            await player.leave()

    async def test_who_came_after_the_checkpoint_is_there_too(self, stage: Backstage) -> None:
        await stage.runner(ZONE)._checkpoint()
        for loop in stage.runner(ZONE)._loops[1:]:
            loop.cancel()
        ann = await stage.enter("usr_a", 42)
        await stage.restart(ZONE)
        await ann.until(lambda: ann.epochs[-1:] == [2])
        snapshot = await ann.ask("state.sync.request")
        assert snapshot["entities"][0]["position"]["x"] == 42
        await ann.leave()

    async def test_calls_while_it_is_away_wait_for_it(self, stage: Backstage) -> None:
        ann = await stage.enter("usr_a", 100)
        await stage.kill(ZONE)
        asking = asyncio.create_task(ann.ask("state.sync.request"))
        await asyncio.sleep(0.1)
        await stage.start(ZONE)
        assert (await asking)["entities"][0]["entity_id"] == ann.world["entity_id"]
        await ann.leave()

    async def test_a_store_with_rubbish_does_not_keep_it_down(self, stage: Backstage) -> None:
        """An entity nobody can read, and one that had left while the store was not told."""
        ann = await stage.enter("usr_a", 100)
        key = f"{stage.ns}:zone:{MEADOW}:entities"
        zone = stage.runner(ZONE)._zone
        entity = zone.of_session(ann.session_id)
        stored = orjson.loads(records.dump(entity, zone.standing(entity)))
        stored["entity"] |= {"entity_id": "ent_old", "session_id": "ses_old", "incarnation": 0}
        await stage.redis.hset(key, mapping={"ent_old": orjson.dumps(stored), "ent_rubbish": b"{"})
        with capture_logs() as logs:
            await stage.restart(ZONE)
        assert {line["event"] for line in logs} >= {"stored_entity_unreadable", "left_over_dropped", "zone_started"}
        await ann.until(lambda: ann.epochs[-1:] == [2])
        assert ann.entities == {}
        assert await stage.redis.hkeys(key) == [entity.entity_id.encode(), b"ent_rubbish"]
        await ann.leave()


async def test_a_tick_that_fails_costs_the_viewers_no_more_than_a_reset(
    stage: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
    await ann.until(lambda: ann.sees(bob))
    zone = stage.runner(ZONE)._zone

    def broken(*args: Any) -> Any:
        monkeypatch.setattr("actors.zone.zone.outputs", outputs)
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("actors.zone.zone.outputs", broken)
    with capture_logs() as logs:
        await ann.move(101, 100)
        await bob.until(lambda: bob.sees(ann, 101))
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["tick_failed"]
    assert bob.epochs == [1, 1]
    assert len(zone.table) == 2
    for player in (ann, bob):
        await player.leave()


class TestSessionsRestart:
    async def test_sockets_stay_and_sessions_go_on(self, stage: Backstage) -> None:
        ann = await stage.enter("usr_a", 100)
        await ann.ask("system.subscribe", topics=["news"])
        await ann.ask("presence.update", status="busy")
        await stage.restart(SESSIONS)
        assert await ann.ask("system.subscribe", topics=["more"]) == {"topics": ["news", "more"]}
        sequence = await ann.move(101, 100)
        await ann.until(lambda: ann.ack == sequence)
        session_id, number = ann.session_id, ann.world["number"]
        await ann.leave()
        again = await Viewer.join(stage.realm, "usr_a", session_id=session_id)
        assert (again.ready["resumed"], again.ready["state"]) == (True, "in_world")
        assert again.world["number"] == number
        assert again.world["position"]["x"] == 101
        record = await stage.record(session_id)
        assert record is not None
        assert (record.status, record.subscriptions, record.attach_epoch) == ("busy", ("news", "more"), 2)
        await again.ask("world.leave")
        await again.leave()

    async def test_a_request_while_it_is_away_is_answered_by_the_next(self, stage: Backstage) -> None:
        ann = await stage.enter("usr_a", 100)
        await stage.kill(SESSIONS)
        asking = asyncio.create_task(ann.ask("world.leave"))
        await asyncio.sleep(0.1)
        await stage.start(SESSIONS)
        assert await asking == {}
        assert len(stage.runner(ZONE)._zone.table) == 0
        await ann.leave()

    async def test_new_players_find_it_too(self, stage: Backstage) -> None:
        await stage.kill(SESSIONS)
        joining = asyncio.create_task(Viewer.join(stage.realm, "usr_a"))
        await asyncio.sleep(0.1)
        await stage.start(SESSIONS)
        await (await joining).leave()


class TestPresenceRestart:
    async def test_it_is_rebuilt_and_nobody_is_told_anything(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        await stage.online("usr_a", "usr_b")
        presences = await ann.ask("presence.subscribe", user_ids=["usr_b", "usr_none"])
        assert [(p["user_id"], p["status"], p["zone"]) for p in presences["presences"]] == [
            ("usr_b", "online", MEADOW),
            ("usr_none", "offline", ""),
        ]
        before = ann.presences()
        runner = await stage.restart(PRESENCE)
        index = await runner._index()
        assert index.of_user("usr_a").status == index.of_user("usr_b").status == "online"
        await bob.ask("presence.update", status="away")
        await ann.until(lambda: len(ann.presences()) > len(before))
        assert ann.presences() == [*before, ("usr_b", "away")]
        for player in (ann, bob):
            await player.leave()

    async def test_what_happened_while_it_was_away_is_told_afterwards(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        await stage.online("usr_a", "usr_b")
        await ann.ask("presence.subscribe", user_ids=["usr_b"])
        before = ann.presences()
        await stage.kill(PRESENCE)
        await bob.ask("presence.update", status="busy")
        await bob.ask("presence.update", status="away")
        await stage.start(PRESENCE)
        await ann.until(lambda: len(ann.presences()) > len(before))
        assert ann.presences() == [*before, ("usr_b", "away")]
        for player in (ann, bob):
            await player.leave()

    async def test_a_subscription_after_it_came_back_knows_all(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        await stage.online("usr_a", "usr_b")
        await ann.ask("presence.subscribe", user_ids=["usr_b"])
        before = ann.presences()
        await stage.kill(PRESENCE)
        await bob.ask("presence.update", status="busy")
        await bob.ask("presence.update", status="invisible")
        runner = await stage.start(PRESENCE)
        assert (await runner._index()).of_user("usr_b").status == "offline"
        answer = await ann.ask("presence.subscribe", user_ids=["usr_b"])
        assert answer["presences"][0]["status"] == "offline"
        assert ("usr_b", "busy") not in ann.presences()[len(before) :]
        for player in (ann, bob):
            await player.leave()

    async def test_sessions_whose_record_expired_are_forgotten(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        await stage.online("usr_a", "usr_b")
        await ann.ask("presence.subscribe", user_ids=["usr_b"])
        await stage.kill(SESSIONS)
        await stage.redis.delete(f"{stage.ns}:session:{bob.session_id}")
        runner = stage.runner(PRESENCE)
        await runner._sweep_gone(await runner._index(), stage.runner(ZONE)._sessions)
        await ann.until(lambda: ("usr_b", "offline") in ann.presences())
        await stage.start(SESSIONS)
        for player in (ann, bob):
            await player.leave()


class TestOrphans:
    async def test_an_entity_whose_session_ended_is_taken_out(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        character = ann.world["character_id"]
        await ann.move(103, 100)
        await bob.until(lambda: bob.sees(ann, 103))
        await stage.runner(ZONE)._checkpoint()
        await stage.kill(SESSIONS)
        await stage.redis.delete(f"{stage.ns}:session:{ann.session_id}")
        zone = await stage.restart(ZONE)
        assert len(zone._zone.table) == 2
        await zone._sweep_orphans()
        assert list(zone._zone.table.by_session) == [bob.session_id]
        await bob.until(lambda: not bob.sees(ann))
        hero = await zone._characters.get(character)
        assert (hero.zone, hero.x, hero.session) == (MEADOW, 103.0, "")
        assert len((await zone._store.load(MEADOW)).entities) == 1
        await stage.start(SESSIONS)
        again = await Viewer.join(stage.realm, "usr_a")
        assert (await again.enter(character))["position"]["x"] == 103
        for player in (ann, bob, again):
            await player.leave()

    async def test_what_a_failed_entry_left_behind_is_taken_out_at_the_second_look(self, stage: Backstage) -> None:
        """At the first it might be an entry whose record is being written."""
        ann = await stage.enter("usr_a", 100)
        bob = await Viewer.join(stage.realm, "usr_b")
        character = await stage.realm.character("usr_b", at=(105, 100))
        zone = stage.runner(ZONE)
        stray = Arrival("ent_stray", "Stray", bob.session_id, "usr_b", character, "gtw_x", 1, 101, 0, 100, 0)
        await zone.enter(stray)
        await ann.until(lambda: len(ann.entities) == 1)
        await zone._sweep_orphans()
        assert len(zone._zone.table) == 2
        await zone._sweep_orphans()
        assert list(zone._zone.table.by_session) == [ann.session_id]
        await ann.until(lambda: ann.entities == {})
        assert (await zone._characters.get(character)).x == 105, "where a stray stood counts for nothing"
        await bob.enter(character)
        for _ in range(3):
            await zone._sweep_orphans()
        assert len(zone._zone.table) == 2
        for player in (ann, bob):
            await player.leave()

    async def test_an_entry_that_is_under_way_is_left_alone(self, stage: Backstage) -> None:
        bob = await Viewer.join(stage.realm, "usr_b")
        character = await stage.realm.character("usr_b", at=(105, 100))
        zone = stage.runner(ZONE)
        await zone.enter(Arrival("ent_x", "X", bob.session_id, "usr_b", character, "gtw_x", 1, 101, 0, 100, 0))
        await zone._sweep_orphans()
        await zone.leave(bob.session_id)
        await zone.enter(Arrival("ent_x", "X", bob.session_id, "usr_b", character, "gtw_x", 1, 101, 0, 100, 0))
        await zone._sweep_orphans()
        assert len(zone._zone.table) == 1, "it is another one, and seen for the first time"
        await bob.leave()

    async def test_a_session_that_is_lost_closes_its_socket(self, stage: Backstage) -> None:
        ann = await stage.enter("usr_a", 100)
        await stage.redis.delete(f"{stage.ns}:session:{ann.session_id}")
        host = await stage.runner(SESSIONS)._host()
        await host.keep_alive()
        await host.sweep()
        assert await ann.closed() == 4000
        assert len(stage.runner(ZONE)._zone.table) == 0
        again = await Viewer.join(stage.realm, "usr_a", session_id=ann.session_id)
        assert not again.ready["resumed"]
        assert again.session_id != ann.session_id
        await again.enter(ann.world["character_id"])
        await again.leave()


class TestFencing:
    async def test_an_old_zone_is_believed_by_nobody(self, stage: Backstage, fenced: list[str]) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        await ann.until(lambda: ann.sees(bob))
        old = stage.runner(ZONE)
        for loop in old._loops[1:]:
            loop.cancel()  # it must not find out by its checkpoint before it was seen to speak
        links = stage.realm.gateway.hub.zones
        await stage.start(ZONE)
        await bob.until(lambda: bob.epochs[-1:] == [2])
        for step in range(1, 6):
            await ann.move(100 + step, 100)
            await bob.until(lambda step=step: bob.sees(ann, 100 + step))  # type: ignore[misc]
        await stage.until(lambda: links.stale_outputs > 0)
        assert bob.epochs == [1, 2]
        assert old._zone.ticks > 0

        before = await old._store.load(MEADOW)
        entity = ann.world["entity_id"]
        attempts = [
            old._checkpoint,
            lambda: old.change(ann.session_id, entity, 1, {"hat": "red"}),
            lambda: old.attach(ann.session_id, "gtw_x", 9),
            lambda: old.detach(ann.session_id, 9),
            lambda: old.leave(ann.session_id),
            lambda: old.enter(Arrival("ent_n", "N", "ses_n", "usr_n", "chr_n", "gtw_x", 1, 1, 0, 1, 0)),
        ]
        for attempt in attempts[1:]:
            with pytest.raises(StoppedError):
                await attempt()
        assert fenced == [MEADOW] * 5
        with pytest.raises(RealmError, match="newer incarnation"):
            await attempts[0]()
        after = await old._store.load(MEADOW)
        assert after.entities == before.entities
        assert after.places_at >= before.places_at
        assert len(stage.runner(ZONE)._zone.table) == 2
        for player in (ann, bob):
            await player.leave()

    async def test_an_old_zone_stops_by_its_next_checkpoint(self, stage: Backstage, fenced: list[str]) -> None:
        old = stage.runner(ZONE)
        await stage.start(ZONE)
        await stage.until(lambda: bool(fenced))
        assert fenced == ["checkpoint"]
        with contextlib.suppress(StoppedError):
            await old._loops[1]

    async def test_an_old_session_actor_changes_nothing_and_stops(self, stage: Backstage, fenced: list[str]) -> None:
        ann = await stage.enter("usr_a", 100)
        old = stage.runner(SESSIONS)
        for loop in old._loops:
            loop.cancel()
        await stage.start(SESSIONS)
        session_id = ann.session_id
        before = await stage.record(session_id)
        attempts: list[Callable[[], Any]] = [
            lambda: old.set_status(session_id, 1, "away"),
            lambda: old.subscribe(session_id, 1, ["x"], []),
            lambda: old.attach(session_id, "usr_a", "gtw_x"),
            lambda: old.detach(session_id, 1),
        ]
        for attempt in attempts:
            with pytest.raises(StoppedError):
                await attempt()
        assert fenced == [SESSIONS] * 4
        assert await stage.record(session_id) == before
        assert await ann.ask("presence.update", status="away") == {"status": "away"}
        await ann.leave()

    async def test_an_old_session_actor_stops_by_its_next_sweep(self, stage: Backstage, fenced: list[str]) -> None:
        """Its grace period for a client ends, though the client is back by way of the new one."""
        ann = await stage.enter("usr_a", 100)
        session_id, old = ann.session_id, stage.runner(SESSIONS)
        await ann.leave()
        host = await old._host()
        await stage.until(lambda: host.sessions[session_id].detached_at is not None)
        await stage.start(SESSIONS)
        again = await Viewer.join(stage.realm, "usr_a", session_id=session_id)
        assert again.ready["resumed"]
        host.sessions[session_id].detached_at = float("-inf")
        await stage.until(lambda: bool(fenced))
        assert fenced == ["sweep"]
        with contextlib.suppress(StoppedError):
            await old._loops[0]
        snapshot = await again.ask("state.sync.request")
        assert snapshot["entities"][0]["entity_id"] == again.world["entity_id"]
        await again.leave()


class SlowFirst:
    """A store whose first write takes longer than the second."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put_entity(self, *args: Any) -> None:
        self._writes += 1
        if self._writes == 1:
            await asyncio.sleep(0.1)
        await self._store.put_entity(*args)


async def test_an_acknowledged_change_is_not_overwritten_by_a_slower_write(stage: Backstage) -> None:
    """An attach stores the entity too; the two must get into the store in their order."""
    ann = await stage.enter("usr_a", 100)
    zone, entity = stage.runner(ZONE), ann.world["entity_id"]
    zone._store = SlowFirst(zone._store)
    attaching = asyncio.create_task(zone.attach(ann.session_id, stage.realm.gateway.hub.gateway_id, 1))
    await asyncio.sleep(0)
    assert await zone.change(ann.session_id, entity, 1, {"hat": "red"}) == 2
    await attaching
    stored, _ = records.load((await zone._store.load(MEADOW)).entities[entity])
    assert (stored.version, stored.properties) == (2, {"hat": "red"})
    assert len(zone._writing) == 0, "no lock outlives its use"
    await ann.leave()


async def test_an_entry_that_cannot_be_stored_is_no_entry(stage: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = stage.runner(ZONE)

    async def away(*_args: Any) -> None:
        raise Unavailable("redis")

    who = Arrival("ent_x", "X", "ses_x", "usr_x", "chr_x", "gtw_x", 1, 101, 0, 100, 0)
    with monkeypatch.context() as patch:
        patch.setattr(zone._store, "put_entity", away)
        with pytest.raises(Unavailable):
            await zone.enter(who)
        assert len(zone._zone.table) == 0
    assert isinstance(await zone.enter(who), Standing)
    with monkeypatch.context() as patch:
        patch.setattr(zone._store, "put_entity", away)
        with pytest.raises(Unavailable):
            await zone.enter(who)
    assert len(zone._zone.table) == 1, "it was there before"
    with pytest.raises(Conflict):
        await zone.enter(Arrival("ent_x", "X", "ses_y", "usr_x", "chr_x", "gtw_x", 1, 101, 0, 100, 0))
    await zone.leave("ses_x")


class TestGrowth:
    async def test_with_one_session_for_each_actor_every_player_gets_an_actor(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        sessions = {"sessions_per_actor": 1, "actors": 1}
        async with local_realm(valkey_url, nats_url, nats_token, namespace, session=sessions) as realm:
            stage = Backstage(realm)
            players = [await stage.enter(f"usr_{n}", 100 + n) for n in range(4)]
            infos = [await stage.runner(sessions_actor(n)).info() for n in range(4)]
            assert [(info["actor"], info["sessions"]) for info in infos] == [(sessions_actor(n), 1) for n in range(4)]
            assert sessions_actor(4) not in realm.actors
            for player in players:
                await player.until(lambda player=player: len(player.entities) == 3)  # type: ignore[misc]
            at_once = await asyncio.gather(*(Viewer.join(realm, f"usr_many{n}") for n in range(4)))
            assert len({p.session_id for p in (*players, *at_once)}) == 8
            counts = [len((await stage.runner(sessions_actor(n))._host()).sessions) for n in range(8)]
            assert counts == [1] * 8
            assert int(await stage.redis.get(f"{stage.ns}:session-actor-count")) == 8
            await stage.restart(sessions_actor(2))
            assert await players[2].ask("presence.update", status="away") == {"status": "away"}
            for player in (*players, *at_once):
                await player.leave()

    async def test_a_supervisor_that_comes_back_starts_as_many_as_there_were(
        self, valkey_url: str, nats_url: str, nats_token: str, namespace: str
    ) -> None:
        """Also when the settings ask for fewer by then: sessions may have been placed on any of them."""
        for configured in (3, 1):
            session = {"actors": configured}
            async with local_realm(valkey_url, nats_url, nats_token, namespace, session=session) as realm:
                names = sorted(name for name in realm.actors if name.startswith("sessions/"))
                assert names == [sessions_actor(n) for n in range(3)]
                players = [await Viewer.join(realm, f"usr_{configured}_{n}") for n in range(3)]
                for player in players:
                    await player.leave()


async def test_a_session_that_another_actor_holds_is_not_attached(stage: Backstage) -> None:
    host = await stage.runner(SESSIONS)._host()
    with pytest.raises(SessionGone):
        await host.attach("ses_none", "usr_a", "gtw_x")
