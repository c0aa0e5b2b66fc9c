"""Calls from a gateway to zones at work, and back (rows 3.4, 3.7, 7.6): durable before they are answered, wherever one is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cluster.errors import Conflict, InvalidState, Unavailable
from realm_proto import internal_pb2
from serve_apps.gateway.zone_calls import ZoneCalls
from tests.unit.actors.zone.owner_rig import Player, Rig, world
from tests.unit.actors.zone.writer_rig import in_virtual_time

WEST, EAST = "zon_west", "zon_east"
TWO = ((WEST, 0, 0, 100, 100), (EAST, 100, 0, 200, 100))
GAME = "actors.games.homestead:Homestead"


class Stage(Rig):
    """With the gateway's calls."""

    def __init__(self, **overrides: Any) -> None:
        super().__init__(world(*TWO, **overrides))
        self.answers = 0
        self.deaf = 0  # so many answers get lost
        self.calls = ZoneCalls(self.link, time.monotonic, deadline_s=4.0, seed=1)

    async def open(self) -> None:
        await self.listen()
        await self.start()

    def _control(self, data: bytes) -> None:
        message = internal_pb2.GatewayControl.FromString(data)
        if message.HasField("answers"):
            self.answers += len(message.answers.answers)
            if self.deaf:
                self.deaf -= 1
            else:
                self.calls.receive(message.answers)

    async def ask(self, player: Player, method: str, **params: Any) -> dict[str, Any]:
        asking = asyncio.create_task(self.calls.call(player, method, params))  # type: ignore[arg-type]
        await self.until(asking.done)
        return await asking

    async def change(self, player: Player, version: int, **properties: Any) -> dict[str, Any]:
        return await self.ask(
            player, "state.sync.delta", entity_id=player.entity_id, version=version, properties=properties
        )

    async def enter(self, name: str, zone_id: str, x: float, z: float) -> Player:
        player = self.player(name)
        await player.enter(zone_id, x, z)
        await self.until(lambda: self.link.epoch(zone_id) > 0)
        return player

    def entity(self, zone_id: str, player: Player) -> Any:
        return self.owners[zone_id].zone.table.by_session[player.session_id]


@asynccontextmanager
async def stage(**overrides: Any) -> AsyncIterator[Stage]:
    made = Stage(**overrides)
    await made.open()
    try:
        yield made
    finally:
        await made.stop()


@in_virtual_time
async def test_an_answered_change_survives_the_zone() -> None:
    async with stage() as realm:
        ann = await realm.enter("ann", WEST, 50.0, 50.0)
        assert await realm.change(ann, 1, hat="red") == {"version": 2}
        await realm.kill(WEST)
        await realm.start(WEST)
        assert realm.entity(WEST, ann).properties == {"hat": "red"}
        assert await realm.change(ann, 2, hat="blue") == {"version": 3}


@in_virtual_time
async def test_it_is_answered_only_when_the_store_has_it() -> None:
    async with stage() as realm:
        ann = await realm.enter("ann", WEST, 50.0, 50.0)
        realm.ways[WEST].weather = "hanging"
        asking = asyncio.create_task(realm.change(ann, 1, hat="red"))
        await realm.until(lambda: realm.entity(WEST, ann).properties == {"hat": "red"})
        ticks = realm.owners[WEST].zone.ticks
        await realm.until(lambda: realm.owners[WEST].zone.ticks > ticks + 5)
        assert realm.answers == 0
        assert not asking.done()
        realm.ways[WEST].clear_up()
        assert await asking == {"version": 2}


@in_virtual_time
async def test_while_the_store_is_away() -> None:
    async with stage() as realm:
        ann = await realm.enter("ann", WEST, 50.0, 50.0)
        realm.ways[WEST].weather = "refusing"
        realm.owners[WEST].writer.put("ent_ann")
        await realm.until(lambda: realm.owners[WEST].writer.away)
        with pytest.raises(Unavailable) as refused:
            await realm.change(ann, 1, hat="red")
        assert refused.value.retry_after_s > 0
        assert realm.entity(WEST, ann).properties == {}
        assert (await realm.ask(ann, "state.sync.request"))["entities"][0]["name"] == "ann"
        realm.ways[WEST].clear_up()
        await realm.until(lambda: not realm.owners[WEST].writer.away)
        assert await realm.change(ann, 1, hat="red") == {"version": 2}


@in_virtual_time
async def test_a_lost_answer_is_given_again_and_nothing_is_done_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_apps.gateway.zone_calls.REPEAT_S", 0.05)
    async with stage() as realm:
        ann = await realm.enter("ann", WEST, 50.0, 50.0)
        realm.deaf = 2
        assert await realm.change(ann, 1, hat="red") == {"version": 2}
        assert realm.entity(WEST, ann).version == 2
        assert realm.calls.repeated >= 2


@in_virtual_time
async def test_it_follows_who_has_crossed() -> None:
    async with stage() as realm:
        ann = await realm.enter("ann", WEST, 98.0, 50.0)
        await realm.change(ann, 1, hat="red")
        await ann.walk_to(104.0)
        await realm.until(lambda: realm.holders("ann") == [EAST] and ann.zone_id == EAST)
        ann.world = {"zone": WEST, "number": ann.number}  # as a gateway that has not seen it yet
        assert await realm.change(ann, 2, hat="blue") == {"version": 3}
        assert realm.entity(EAST, ann).properties == {"hat": "blue"}


@in_virtual_time
async def test_the_game_is_durable_too() -> None:
    async with stage(game=GAME) as realm:
        zone = realm.owners[WEST].zone
        tree = next(e for e in zone.table.by_number.values() if e.properties.get("kind") == "tree")
        at = zone.standing(tree)
        ann = await realm.enter("ann", WEST, at.x + 1.0, at.z)
        answer = await realm.ask(ann, "game.message", type="gather", data={"target": tree.entity_id})
        assert answer["result"]["bag"] == {"wood": 1}
        population = zone.own
        await realm.kill(WEST)
        await realm.start(WEST)
        zone = realm.owners[WEST].zone
        assert zone.own == population
        assert realm.entity(WEST, ann).properties["bag"] == {"wood": 1}
        assert zone.table.by_id[tree.entity_id].properties["left"] == 3


@in_virtual_time
async def test_refusals_are_the_zones() -> None:
    async with stage() as realm:
        ann = await realm.enter("ann", WEST, 50.0, 50.0)
        with pytest.raises(Conflict) as stale:
            await realm.change(ann, 7, hat="red")
        assert stale.value.current["version"] == 1
        with pytest.raises(InvalidState, match="no game"):
            await realm.ask(ann, "game.message", type="dance")


@in_virtual_time
async def test_what_a_player_leaves_is_in_the_same_commit() -> None:
    async with stage(game=GAME) as realm:
        ann = await realm.enter("ann", WEST, 50.0, 50.0)
        owner = realm.owners[WEST]
        assert owner.game is not None
        handle = owner.game.zone.entity("ent_ann")
        assert handle is not None
        owner.game.zone.set(handle, bag={"wood": 3})
        assert await owner.leave(ann.session_id) is not None
        await realm.kill(WEST)
        await realm.start(WEST)
        pouches = [
            e.properties
            for e in realm.owners[WEST].zone.table.by_number.values()
            if e.properties.get("kind") == "pouch"
        ]
        assert pouches == [{"kind": "pouch", "owner": "ent_ann", "bag": {"wood": 3}}]
