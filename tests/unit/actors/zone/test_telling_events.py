"""What a zone tells other services (row 4.3): nothing before it is in the store, and where everybody is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from actors.zone.telling_events import ENTITIES_A_PART, TellingEvents
from cluster.ports.events import StreamKind
from cluster.social_settings import EventSettings
from tests.unit.actors.zone.owner_rig import Player, Rig, playing
from tests.unit.actors.zone_model import make_zone

ZONE = "zon_a"
ONE = (ZONE, 0.0, 0.0, 100.0, 100.0)


class Sink:
    """An event sink that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[tuple[StreamKind, str, dict[str, Any], str]] = []
        self.broken = False

    def publish(self, stream: StreamKind, key: str, body: Mapping[str, Any], event_id: str) -> None:
        if self.broken:
            raise TypeError("no JSON")
        self.events.append((stream, key, orjson.loads(orjson.dumps(body)), event_id))

    def bodies(self, stream: StreamKind) -> list[dict[str, Any]]:
        return [body for kind, _, body, _ in self.events if kind == stream]

    def told(self) -> list[tuple[int, dict[str, Any]]]:
        """(version, properties) of the state events."""
        return [(body["version"], body["properties"]) for body in self.bodies("state")]

    def ids(self) -> list[str]:
        return [event_id for kind, _, _, event_id in self.events if kind == "state"]


def listened(rig: Rig) -> Sink:
    """What the zone tells from now on."""
    sink = Sink()
    rig.owners[ZONE].telling._events = sink
    return sink


async def entered(rig: Rig, name: str = "ann") -> Player:
    player = rig.player(name)
    await player.enter(ZONE, 50.0)
    await rig.until(lambda: player.connection.entity is not None)
    return player


async def change(rig: Rig, player: Player, version: int, wait: bool = True, **properties: Any) -> None:
    number = rig.call(
        player,
        "state.sync.delta",
        orjson.dumps({"entity_id": player.entity_id, "version": version, "properties": properties}),
    )
    if wait:
        await rig.until(lambda: number in rig.told)
        assert not rig.told[number].HasField("refusal"), rig.told[number]


class TestProperties:
    @playing(ONE)
    async def test_an_acknowledged_change_is_told(self, rig: Rig) -> None:
        sink, ann = listened(rig), await entered(rig)
        assert sink.told() == []  # nobody has changed anything
        await change(rig, ann, 1, hat="green", level=3)
        await change(rig, ann, 2, level=None)
        assert sink.told() == [(2, {"hat": "green", "level": 3}), (3, {"level": None})]
        _, key, body, _ = sink.events[-1]
        assert key == ZONE
        assert {name: body[name] for name in ("zone", "epoch", "entity_id", "entity_type")} == {
            "zone": ZONE,
            "epoch": 1,
            "entity_id": "ent_ann",
            "entity_type": "player",
        }
        assert body["tick"] > 0
        assert body["at"] == pytest.approx(rig.owners[ZONE]._tools.wall_clock(), abs=1.0)

    @playing(ONE)
    async def test_nothing_is_told_before_it_is_in_the_store(self, rig: Rig) -> None:
        sink, ann = listened(rig), await entered(rig)
        rig.ways[ZONE].weather = "refusing"
        await change(rig, ann, 1, wait=False, hat="green")
        await rig.until(lambda: rig.owners[ZONE].writer.away)
        await rig.run(1.0)
        assert sink.told() == []
        # What changes while the store is away goes along: the newest version, and everything that is new in it.
        rig.owners[ZONE].zone.change(rig.owners[ZONE].zone.table.by_id["ent_ann"], {"hat": "red", "level": 1})
        rig.ways[ZONE].weather = "fine"
        await rig.until(lambda: not rig.owners[ZONE].writer.pending)
        assert sink.told() == [(3, {"hat": "red", "level": 1})]

    @playing(ONE)
    async def test_who_left_before_it_was_written_is_not_told_of(self, rig: Rig) -> None:
        sink, ann = listened(rig), await entered(rig)
        owner = rig.owners[ZONE]
        rig.ways[ZONE].weather = "refusing"
        owner.zone.change(owner.zone.table.by_id["ent_ann"], {"hat": "green"})
        await rig.until(lambda: owner.writer.away)
        owner.zone.leave(ann.session_id)
        rig.ways[ZONE].weather = "fine"
        await rig.until(lambda: not owner.writer.pending)
        assert sink.told() == []
        assert (owner.telling._changed, owner.telling._recorded) == ({}, {})

    @playing(ONE)
    async def test_who_comes_back_is_another_one(self, rig: Rig) -> None:
        """Its versions begin anew, and its events must not look like those that were told of before."""
        sink, ann = listened(rig), await entered(rig)
        await change(rig, ann, 1, hat="green")
        await rig.owners[ZONE].leave(ann.session_id)
        ann = await entered(rig)
        await change(rig, ann, 1, hat="green")
        assert [version for version, _ in sink.told()] == [2, 2]
        assert len(set(sink.ids())) == 2

    @playing(ONE)
    async def test_what_the_game_makes_is_told_with_all_it_has(self, rig: Rig) -> None:
        sink, owner = listened(rig), rig.owners[ZONE]
        owner.zone.spawn("ent_well", "item", "Well", (10.0, 0.0, 10.0, 0.0), {"water": 3})
        await owner.writer.written()
        assert sink.told() == [(1, {"water": 3})]
        assert sink.bodies("state")[0]["entity_type"] == "item"

    @playing(ONE)
    async def test_a_sink_that_fails_does_not_keep_the_zone_from_writing(self, rig: Rig) -> None:
        sink, ann = listened(rig), await entered(rig)
        sink.broken = True
        with capture_logs() as logs:
            await change(rig, ann, 1, hat="green")
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["events_not_told"]
        sink.broken = False
        await change(rig, ann, 2, hat="red")
        assert sink.told() == [(3, {"hat": "red"})]


class TestTheNextIncarnation:
    @playing(ONE)
    async def test_it_tells_again_what_may_have_been_lost_with_the_last_one(self, rig: Rig) -> None:
        before, ann = listened(rig), await entered(rig)
        await entered(rig, "bob")  # has no properties
        await change(rig, ann, 1, hat="green", level=3)
        await change(rig, ann, 2, level=4)
        await rig.kill(ZONE)
        await self.start(rig)
        after = rig.owners[ZONE].telling._events
        assert isinstance(after, Sink)
        await rig.until(lambda: bool(after.told()))
        await rig.run(1.0)
        assert after.told() == [(3, {"hat": "green", "level": 4})]
        assert after.ids() == before.ids()[-1:]  # so that the stream keeps one of the two
        assert after.bodies("state")[0]["epoch"] == 2

    async def start(self, rig: Rig) -> None:
        """As Rig.start, with a sink from the very beginning."""
        owner = rig.make(ZONE, await rig.store.take(ZONE, 0))
        owner.telling._events = Sink()
        await owner.begin(rig.map)
        rig.owners[ZONE] = owner

    @playing(ONE)
    async def test_what_was_written_and_not_told_is_told(self, rig: Rig) -> None:
        """kill -9 between the commit and the event."""
        sink, ann = listened(rig), await entered(rig)
        rig.owners[ZONE].telling.committed = lambda _: None  # type: ignore[method-assign]
        rig.owners[ZONE].writer.on_committed = lambda _: None
        await change(rig, ann, 1, hat="green")
        assert sink.told() == []
        await rig.kill(ZONE)
        await self.start(rig)
        after = rig.owners[ZONE].telling._events
        assert isinstance(after, Sink)
        await rig.until(lambda: after.told() == [(2, {"hat": "green"})])


class TestPlaces:
    @playing(ONE)
    async def test_about_once_a_second(self, rig: Rig) -> None:
        sink, ann = listened(rig), await entered(rig)
        began = rig.owners[ZONE].zone.ticks
        await rig.run(3.5)
        bodies = sink.bodies("position")
        assert len(bodies) in (3, 4)
        last = bodies[-1]
        assert (last["zone"], last["epoch"], last["part"], last["parts"]) == (ZONE, 1, 0, 1)
        assert began < last["tick"] <= rig.owners[ZONE].zone.ticks
        [entity] = last["entities"]
        assert entity == {"entity_id": "ent_ann", "entity_type": "player", "x": 50.0, "y": 0.0, "z": 50.0, "yaw": 0.0}
        assert ann.entity_id == "ent_ann"

    @playing(ONE)
    async def test_an_empty_zone_says_nothing(self, rig: Rig) -> None:
        sink = listened(rig)
        await rig.run(3.0)
        assert sink.events == []

    def test_a_full_zone_says_it_in_parts_that_nats_takes(self) -> None:
        zone = make_zone(capacity=3 * ENTITIES_A_PART)
        for n in range(2 * ENTITIES_A_PART + 1):
            zone.spawn(f"ent_{n:060}", "b" * 40, "n" * 40, (n % 99 + 1 / 3, 0.0, 1.0, 2.0), {})
        telling = TellingEvents(zone, Sink(), EventSettings(), lambda: 1_800_000_000.5)
        bodies = list(telling._places())
        assert [(body["part"], body["parts"]) for body in bodies] == [(0, 3), (1, 3), (2, 3)]
        told = [entity["entity_id"] for body in bodies for entity in body["entities"]]
        assert sorted(told) == [f"ent_{n:060}" for n in range(2 * ENTITIES_A_PART + 1)]
        assert bodies[0]["entities"][0]["x"] == 0.33
        assert max(len(orjson.dumps(body)) for body in bodies) < 1024 * 1024 // 4

    def test_ghosts_are_told_of_by_their_own_zone(self) -> None:
        zone = make_zone()
        ghost = zone.spawn("ent_ghost", "npc", "Ghost", (1.0, 0.0, 1.0, 0.0), {})
        ghost.owner = "zon_b"
        zone.table.own(ghost.number)
        assert list(TellingEvents(zone, Sink(), EventSettings(), lambda: 0.0)._places()) == []


class TestOff:
    def test_nothing_is_kept_or_told(self) -> None:
        zone = make_zone()
        sink = Sink()
        telling = TellingEvents(zone, sink, EventSettings(enabled=False), lambda: 0.0)
        entity = zone.spawn("ent_well", "item", "Well", (1.0, 0.0, 1.0, 0.0), {"water": 3})
        telling.changed(entity, {"water"})
        telling.recorded(entity)
        telling.committed({"ent_well"})
        assert sink.events == []
        assert telling._changed == {}

    async def test_no_loop(self) -> None:
        await TellingEvents(make_zone(), Sink(), EventSettings(enabled=False), lambda: 0.0).run()
