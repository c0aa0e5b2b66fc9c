"""Actors that die and come back: their own classes, real Valkey and NATS, no Ray (row 1.9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from actors.zone import records
from actors.zone.arrivals import Arrival
from actors.zone.views import outputs
from cluster.adapters.redis.zones import TAKEN_AT
from tests.integration.backstage import MEADOW, PRESENCE, SESSIONS, ZONE, Backstage, Viewer
from tests.local_realm import local_realm


@pytest.fixture
async def stage(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Backstage]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as realm:
        yield Backstage(realm)


class TestZoneRestart:
    async def test_everybody_walks_on(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        for step in range(1, 6):
            await ann.move(100 + step, 100)
        await bob.until(lambda: bob.sees(ann, 105))
        await stage.owner()._checkpoint()
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
        await stage.owner()._checkpoint()
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
        await stage.owner()._checkpoint()
        for loop in stage.owner()._loops[2:]:
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
        zone = stage.owner().zone
        entity = zone.of_session(ann.session_id)
        stored = orjson.loads(records.dump(records.Record(entity, zone.standing(entity), MEADOW)))
        stored["entity"] |= {"entity_id": "ent_old", "incarnation": 0}
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
    zone = stage.owner().zone

    def broken(*args: Any) -> Any:
        monkeypatch.setattr("actors.zone.showing.outputs", outputs)
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("actors.zone.showing.outputs", broken)
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
        assert len(stage.owner().zone.table) == 0
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
        await runner._sweep_gone(await runner._index(), stage.sessions)
        await stage.start(SESSIONS)  # what it was to be told in the meantime waits for it
        await ann.until(lambda: ("usr_b", "offline") in ann.presences())
        for player in (ann, bob):
            await player.leave()


class TestOrphans:
    async def test_an_entity_whose_session_ended_is_taken_out(self, stage: Backstage) -> None:
        ann, bob = await stage.enter("usr_a", 100), await stage.enter("usr_b", 105)
        character = ann.world["character_id"]
        await ann.move(103, 100)
        await bob.until(lambda: bob.sees(ann, 103))
        await stage.owner()._checkpoint()
        await stage.kill(SESSIONS)
        await stage.redis.delete(f"{stage.ns}:session:{ann.session_id}")
        await stage.restart(ZONE)
        zone = stage.owner()
        assert len(zone.zone.table) == 2
        await zone.orphans.sweep()
        assert list(zone.zone.table.by_session) == [bob.session_id]
        await bob.until(lambda: not bob.sees(ann))
        hero = await zone._tools.characters.get(character)
        assert (hero.zone, hero.x, hero.session) == (MEADOW, 103.0, "")
        assert len((await zone._tools.store.load(MEADOW)).entities) == 1
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
        zone = stage.owner()
        stray = Arrival("ent_stray", "Stray", bob.session_id, "usr_b", character, "gtw_x", 1, 101, 0, 100, 0)
        await zone.enter(stray)
        await ann.until(lambda: len(ann.entities) == 1)
        await zone.orphans.sweep()
        assert len(zone.zone.table) == 2
        await zone.orphans.sweep()
        assert list(zone.zone.table.by_session) == [ann.session_id]
        await ann.until(lambda: ann.entities == {})
        assert (await zone._tools.characters.get(character)).x == 105, "where a stray stood counts for nothing"
        await bob.enter(character)
        for _ in range(3):
            await zone.orphans.sweep()
        assert len(zone.zone.table) == 2
        for player in (ann, bob):
            await player.leave()

    async def test_an_entry_that_is_under_way_is_left_alone(self, stage: Backstage) -> None:
        bob = await Viewer.join(stage.realm, "usr_b")
        character = await stage.realm.character("usr_b", at=(105, 100))
        zone = stage.owner()
        await zone.enter(Arrival("ent_x", "X", bob.session_id, "usr_b", character, "gtw_x", 1, 101, 0, 100, 0))
        await zone.orphans.sweep()
        await zone.leave(bob.session_id)
        await zone.enter(Arrival("ent_x", "X", bob.session_id, "usr_b", character, "gtw_x", 1, 101, 0, 100, 0))
        await zone.orphans.sweep()
        assert len(zone.zone.table) == 1, "it is another one, and seen for the first time"
        await bob.leave()

    async def test_a_session_that_is_lost_closes_its_socket(self, stage: Backstage) -> None:
        ann = await stage.enter("usr_a", 100)
        await stage.redis.delete(f"{stage.ns}:session:{ann.session_id}")
        host = await stage.runner(SESSIONS)._host()
        await host.keep_alive()
        await host.sweep()
        assert await ann.closed() == 4000
        assert len(stage.owner().zone.table) == 0
        again = await Viewer.join(stage.realm, "usr_a", session_id=ann.session_id)
        assert not again.ready["resumed"]
        assert again.session_id != ann.session_id
        await again.enter(ann.world["character_id"])
        await again.leave()
