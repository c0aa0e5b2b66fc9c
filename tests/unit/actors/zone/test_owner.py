"""One incarnation of a zone at work (rows 1.9, 3.7): what it keeps before it answers, and what it does without a store."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from actors.zone import records
from actors.zone.owner import HUSH_S
from cluster.errors import Conflict, Unavailable
from cluster.refusals import from_refusal
from realm_proto import internal_pb2
from tests.unit.actors.zone.owner_rig import GATEWAY, SUBJECTS, TICK_S, Player, Rig, playing

ZONE = "zon_a"
ONE = (ZONE, 0.0, 0.0, 100.0, 100.0)


async def stored(rig: Rig) -> dict[str, records.Record]:
    """By name."""
    kept = (await rig.store.load(ZONE)).entities
    return {entity_id.removeprefix("ent_"): records.load(data) for entity_id, data in kept.items()}


async def entered(rig: Rig, *names: str) -> list[Player]:
    players = [rig.player(name) for name in names]
    for n, player in enumerate(players):
        await player.enter(ZONE, 50.0 + n)
    await rig.until(lambda: all(player.sees == set(names) - {player.name} for player in players))
    return players


async def away(rig: Rig) -> None:
    """The store is away, and the zone knows it."""
    owner = rig.owners[ZONE]
    rig.ways[ZONE].weather = "refusing"
    owner.writer.put("ent_nobody")
    await rig.until(lambda: owner.writer.away)


def delta(player: Player, version: int, **properties: Any) -> bytes:
    return orjson.dumps({"entity_id": player.entity_id, "version": version, "properties": properties})


async def again(rig: Rig) -> None:
    """kill -9, and the next incarnation."""
    await rig.kill(ZONE)
    await rig.start(ZONE)


class TestDurable:
    """Everything is in the store before the caller is answered."""

    @playing(ONE)
    async def test_each_call_of_the_control_lane(self, rig: Rig) -> None:
        owner, [ann] = rig.owners[ZONE], await entered(rig, "ann")
        assert (await stored(rig))["ann"].entity.gateway_id == GATEWAY
        assert await rig.store.zones_of([ann.session_id]) == {ann.session_id: ZONE}
        await owner.attach(ann.session_id, "gtw_2", 2)
        assert (await stored(rig))["ann"].entity.attach_epoch == 2
        assert await owner.detach(ann.session_id, 2)
        assert (await stored(rig))["ann"].entity.link_dead
        standing = await owner.leave(ann.session_id)
        assert standing is not None
        assert (await stored(rig), await rig.store.zones_of([ann.session_id])) == ({}, {})

    @playing(ONE)
    async def test_no_answer_before_the_commit(self, rig: Rig) -> None:
        owner, [ann, bob] = rig.owners[ZONE], await entered(rig, "ann", "bob")
        rig.ways[ZONE].weather = "hanging"
        cid = rig.player("cid")
        calls = [
            asyncio.create_task(cid.enter(ZONE, 52.0)),
            asyncio.create_task(owner.attach(ann.session_id, GATEWAY, 2)),
            asyncio.create_task(owner.leave(bob.session_id)),
        ]
        await rig.run(1.0)
        assert not any(call.done() for call in calls)
        rig.ways[ZONE].clear_up()
        await asyncio.gather(*calls)
        kept = await stored(rig)
        assert kept.keys() == {"ann", "cid"}
        assert kept["ann"].entity.attach_epoch == 2

    @playing(ONE)
    async def test_a_call_that_changes_something_is_answered_after_the_commit_and_others_at_once(
        self, rig: Rig
    ) -> None:
        [ann] = await entered(rig, "ann")
        rig.ways[ZONE].weather = "hanging"
        change = rig.call(ann, "state.sync.delta", delta(ann, 1, hat="red"))
        look = rig.call(ann, "state.sync.request")
        stale = rig.call(ann, "state.sync.delta", delta(ann, 1, hat="blue"))
        await rig.until(lambda: look in rig.told and stale in rig.told)
        assert orjson.loads(rig.told[look].result_json)["entities"][0]["properties"] == {"hat": "red"}
        assert isinstance(from_refusal(rig.told[stale].refusal), Conflict)
        await rig.run(1.0)
        assert change not in rig.told
        rig.ways[ZONE].clear_up()
        await rig.until(lambda: change in rig.told)
        assert orjson.loads(rig.told[change].result_json) == {"version": 2}
        assert (await stored(rig))["ann"].entity.properties == {"hat": "red"}

    @playing(ONE)
    async def test_what_was_answered_survives_and_what_was_seen_comes_back(self, rig: Rig) -> None:
        ann, bob = await entered(rig, "ann", "bob")
        change = rig.call(ann, "state.sync.delta", delta(ann, 1, hat="red"))
        await rig.until(lambda: change in rig.told)
        await ann.walk_to(56.0)
        await rig.run(1.2)  # a checkpoint
        at = rig.x(ZONE, "ann")
        await again(rig)
        assert rig.x(ZONE, "ann") == at
        await rig.until(lambda: len(bob.zones) == 2 and bob.sees == {"ann"})
        seen = next(iter(bob.scene.entities.values()))
        assert (seen.properties, seen.version) == ({"hat": "red"}, 2)
        await ann.walk_to(58.0)
        await rig.until(lambda: abs((bob.x_of("ann") or 0.0) - ann.x) < 0.011)
        assert (ann.strange, bob.strange) == ([], [])

    @playing(ONE)
    async def test_an_unknown_outcome_is_said_to_be_one(self, rig: Rig) -> None:
        """The store went away in the middle: it is done here, and nobody knows whether it is kept. It is written later."""
        [ann] = await entered(rig, "ann")
        rig.ways[ZONE].weather = "losing"
        change = rig.call(ann, "state.sync.delta", delta(ann, 1, hat="red"))
        await rig.until(lambda: change in rig.told)
        refused = from_refusal(rig.told[change].refusal)
        assert isinstance(refused, Unavailable)
        assert refused.retry_after_s > 0
        rig.ways[ZONE].clear_up()
        await rig.until(lambda: not (rig.owners[ZONE].writer.away or rig.owners[ZONE].writer.pending))
        assert (await stored(rig))["ann"].entity.properties == {"hat": "red"}


class TestWithoutTheStore:
    """Moves go on; what must be kept is refused at once, and changes nothing; it catches up alone."""

    @playing(ONE)
    async def test_moves_go_on(self, rig: Rig) -> None:
        ann, bob = await entered(rig, "ann", "bob")
        await away(rig)
        await ann.walk_to(56.0)
        await rig.until(lambda: abs((bob.x_of("ann") or 0.0) - ann.x) < 0.011)

    @playing(ONE)
    async def test_requests_are_refused_at_once_and_change_nothing(self, rig: Rig) -> None:
        ann, _ = await entered(rig, "ann", "bob")
        before = await stored(rig)
        await away(rig)
        owner, began = rig.owners[ZONE], time.monotonic()
        cid = rig.player("cid")
        for call in (
            owner.enter(cid.arrival),
            owner.attach(ann.session_id, "gtw_2", 2),
            owner.leave(ann.session_id),
        ):
            with pytest.raises(Unavailable) as refused:
                await call
            assert refused.value.retry_after_s > 0
        assert time.monotonic() == began, "nobody waits"
        change = rig.call(ann, "state.sync.delta", delta(ann, 1, hat="red"))
        await rig.until(lambda: change in rig.told)
        told = from_refusal(rig.told[change].refusal)
        assert isinstance(told, Unavailable)
        assert told.retry_after_s > 0
        zone = owner.zone
        assert zone.table.by_session.keys() == {"ses_ann", "ses_bob"}
        entity = zone.of_session(ann.session_id)
        assert (entity.gateway_id, entity.attach_epoch, entity.properties) == (GATEWAY, 1, {})
        assert await stored(rig) == before

    @playing(ONE)
    async def test_it_catches_up_alone(self, rig: Rig) -> None:
        """A detach is taken all the same: the socket is gone. It is written when the store is back, with nobody asking."""
        ann, bob = await entered(rig, "ann", "bob")
        await away(rig)
        with pytest.raises(Unavailable):
            await rig.owners[ZONE].detach(ann.session_id, 1)
        assert rig.owners[ZONE].zone.of_session(ann.session_id).link_dead
        await rig.run(5.0)
        assert not (await stored(rig))["ann"].entity.link_dead
        rig.ways[ZONE].clear_up()
        await rig.until(lambda: not rig.owners[ZONE].writer.away)
        await rig.until(lambda: not rig.owners[ZONE].writer.pending)
        assert (await stored(rig))["ann"].entity.link_dead
        change = rig.call(bob, "state.sync.delta", delta(bob, 1, hat="red"))
        await rig.until(lambda: change in rig.told)
        assert orjson.loads(rig.told[change].result_json) == {"version": 2}

    @playing(ONE)
    async def test_checkpoints_are_missed_and_come_again(self, rig: Rig) -> None:
        [ann] = await entered(rig, "ann")
        await rig.run(1.5)
        before = await rig.store.load(ZONE)
        rig.ways[ZONE].weather = "refusing"
        await ann.walk_to(60.0)
        await rig.run(2.0)
        assert (await rig.store.load(ZONE)).places == before.places
        rig.ways[ZONE].clear_up()
        await rig.run(2.0)
        after = await rig.store.load(ZONE)
        assert after.places == rig.owners[ZONE].zone.places()
        assert after.places_at > before.places_at


class TestBeginning:
    @playing(ONE)
    async def test_rubbish_in_the_store_does_not_keep_it_down(self, rig: Rig) -> None:
        ann, _ = await entered(rig, "ann", "bob")
        old = (await stored(rig))["ann"]
        old.entity.entity_id, old.entity.incarnation = "ent_old", 0
        epoch = await rig.epochs.current("zone", ZONE)
        await rig.store.commit(
            ZONE, epoch, {"ent_old": (ann.session_id, records.dump(old)), "ent_rubbish": ("", b"{")}, {}
        )
        with capture_logs() as logs:
            await again(rig)
        assert {line["event"] for line in logs} >= {"stored_entity_unreadable", "left_over_dropped", "zone_started"}
        await rig.until(lambda: not rig.owners[ZONE].writer.pending)
        kept = (await rig.store.load(ZONE)).entities
        assert kept.keys() == {"ent_ann", "ent_bob", "ent_rubbish"}

    @playing(ONE)
    async def test_it_does_not_begin_without_the_store(self, rig: Rig) -> None:
        await entered(rig, "ann")
        await rig.kill(ZONE)
        owner = rig.make(ZONE, await rig.store.take(ZONE, 0))
        rig.ways[ZONE].weather = "refusing"
        with pytest.raises(Unavailable):
            await owner.begin(rig.map)
        await owner.stop()
        await rig.start(ZONE)
        assert rig.holders("ann") == [ZONE]

    @playing(ONE)
    async def test_places_of_a_follower_are_newer_than_the_store_s(self, rig: Rig) -> None:
        [ann] = await entered(rig, "ann")
        await rig.run(1.5)
        await ann.walk_to(55.0)
        places, at = rig.owners[ZONE].zone.places(), time.time()
        x = rig.x(ZONE, "ann")
        await rig.kill(ZONE)
        owner = rig.make(ZONE, await rig.store.take(ZONE, 0))
        await owner.begin(rig.map, places, at)
        rig.owners[ZONE] = owner
        assert rig.x(ZONE, "ann") == x

    @playing(ONE)
    async def test_one_that_is_not_the_newest_any_more_is_told_to_stop(self, rig: Rig) -> None:
        [ann] = await entered(rig, "ann")
        await rig.store.take(ZONE, 1)
        with pytest.raises(Exception, match="newer incarnation"):
            await rig.owners[ZONE].attach(ann.session_id, "gtw_2", 2)
        assert rig.fenced == [ZONE]
        assert (await stored(rig))["ann"].entity.attach_epoch == 1

    @playing(ONE)
    async def test_also_if_it_has_nothing_to_write(self, rig: Rig) -> None:
        await rig.store.take(ZONE, 1)
        await rig.until(lambda: rig.fenced != [])
        assert set(rig.fenced) == {ZONE}


class TestTicks:
    @playing(ONE)
    async def test_one_that_fails_costs_the_viewers_a_reset(self, rig: Rig) -> None:
        ann, bob = await entered(rig, "ann", "bob")
        zone, tick = rig.owners[ZONE].zone, rig.owners[ZONE].zone.tick

        def broken(now: float) -> Any:
            zone.tick = tick  # type: ignore[method-assign]
            raise ZeroDivisionError("on purpose")

        zone.tick = broken  # type: ignore[method-assign]
        with capture_logs() as logs:
            await ann.walk_to(53.0)
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["tick_failed"]
        await rig.until(lambda: len(bob.zones) == 2 and abs((bob.x_of("ann") or 0.0) - ann.x) < 0.011)
        assert (ann.strange, bob.strange) == ([], [])

    @playing(ONE)
    async def test_who_asks_is_answered_after_a_tick(self, rig: Rig) -> None:
        """With the number of the newest output, so that a gateway knows that it has them all."""
        await entered(rig, "ann")
        heard: list[internal_pb2.GatewayProbe] = []
        await rig.bus.subscribe(
            SUBJECTS.gateway_control(GATEWAY),
            lambda data: heard.append(internal_pb2.GatewayControl.FromString(data).probe),
        )
        assert rig.link.probe(7) == [ZONE]
        await rig.run(2 * TICK_S)
        zone = rig.owners[ZONE].zone
        [probe] = heard
        assert (probe.number, probe.part, probe.epoch) == (7, f"zone:{ZONE}", zone.epoch)
        assert probe.outputs == zone.showing.outputs_to(GATEWAY) > 0

    @playing(ONE)
    async def test_a_map_that_nobody_can_read_changes_nothing(self, rig: Rig) -> None:
        with capture_logs() as logs:
            rig.bus.publish(SUBJECTS.world_map(), b"{")
            await rig.run(TICK_S)
        assert [line["event"] for line in logs] == ["map_unreadable"]
        assert rig.owners[ZONE].zone.borders.map.version == 1


class TestEnd:
    @playing(ONE)
    async def test_last_words_say_where_all_stand_and_everything_is_written(self, rig: Rig) -> None:
        [ann] = await entered(rig, "ann")
        owner = rig.owners[ZONE]
        rig.call(ann, "state.sync.delta", delta(ann, 1, hat="red"))
        ann.walk(1.0)
        await rig.run(1.5 * TICK_S)
        places = await owner.last_words()
        ticks = owner.zone.ticks
        assert (await stored(rig))["ann"].entity.properties == {"hat": "red"}
        assert places == owner.zone.places()
        await rig.run(1.0)
        assert owner.zone.ticks == ticks, "no tick follows"

    @playing(ONE)
    async def test_without_a_store_it_goes_on(self, rig: Rig) -> None:
        ann, bob = await entered(rig, "ann", "bob")
        owner = rig.owners[ZONE]
        await away(rig)
        with pytest.raises(Unavailable):
            await owner.last_words()
        await ann.walk_to(54.0)
        await rig.until(lambda: abs((bob.x_of("ann") or 0.0) - ann.x) < 0.011)

    @playing(ONE)
    async def test_when_what_is_under_way_takes_too_long_it_goes_on(self, rig: Rig) -> None:
        ann, bob = await entered(rig, "ann", "bob")
        owner = rig.owners[ZONE]
        work = asyncio.Event()
        owner._spawn(wait_for(work))
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await owner.last_words()
        assert time.monotonic() - began == pytest.approx(HUSH_S)
        await ann.walk_to(54.0)
        await rig.until(lambda: abs((bob.x_of("ann") or 0.0) - ann.x) < 0.011)
        work.set()
        await rig.run(TICK_S)
        assert await owner.last_words() == owner.zone.places()

    @playing(ONE)
    async def test_a_zone_with_somebody_in_it_is_not_retired(self, rig: Rig) -> None:
        [ann] = await entered(rig, "ann")
        owner = rig.owners[ZONE]
        assert not await owner.retire()
        await owner.leave(ann.session_id)
        assert await owner.retire()
        with pytest.raises(Unavailable):
            await owner.enter(ann.arrival)
        assert await stored(rig) == {}


async def wait_for(event: asyncio.Event) -> None:
    await event.wait()
