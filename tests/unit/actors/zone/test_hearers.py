"""zone.hearers: whom a voice reaches (row 2.3)."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from actors.zone.calls import CallDesk
from actors.zone.game import no_game
from actors.zone.game_world import ZoneWorld
from cluster.errors import Ours
from realm_proto import internal_pb2
from tests.unit.actors.game_rig import Rig, said
from tests.unit.actors.zone.borders_rig import WALL, Land

ALL = 1_000


def hearers(rig: Rig, name: str, reach: float, most: int = ALL) -> list[str]:
    answer = rig.ask(name, "zone.hearers", {"range": reach, "most": most})
    assert answer.keys() == {"user_ids"}
    return [user_id.removeprefix("usr_") for user_id in answer["user_ids"]]


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    for name, x, z in (("ann", 50, 50), ("bob", 55, 50), ("cat", 50, 47), ("dan", 50, 70), ("eve", 90, 90)):
        rig.enter(name, x, z)
    rig.tick()
    rig.stored.clear()
    return rig


class TestRange:
    def test_the_nearest_first_after_oneself(self, rig: Rig) -> None:
        assert hearers(rig, "ann", 10.0) == ["ann", "cat", "bob"]
        assert hearers(rig, "ann", 100.0) == ["ann", "cat", "bob", "dan", "eve"]
        assert hearers(rig, "eve", 5.0) == ["eve"]
        assert rig.stored == []

    def test_the_edge_is_within(self, rig: Rig) -> None:
        assert hearers(rig, "ann", 5.0) == ["ann", "cat", "bob"]
        assert hearers(rig, "ann", 4.99) == ["ann", "cat"]

    def test_height_does_not_count(self, rig: Rig) -> None:
        rig.zone.table.position[rig.entity("bob").number, 1] = 90.0
        assert "bob" in hearers(rig, "ann", 10.0)

    def test_so_many(self, rig: Rig) -> None:
        assert hearers(rig, "ann", 100.0, most=3) == ["ann", "cat", "bob"]
        assert hearers(rig, "ann", 100.0, most=1) == ["ann"]

    def test_two_characters_of_a_user_are_one(self, rig: Rig) -> None:
        rig.entity("cat").user_id = rig.entity("bob").user_id
        assert hearers(rig, "ann", 10.0, most=2) == ["ann", "bob"]

    def test_what_nobody_plays_hears_nothing(self, rig: Rig) -> None:
        rig.world.spawn("ent_tree", "tree", "Tree", (50.5, 0.0, 50.5, 0.0), {})
        rig.tick()
        assert hearers(rig, "ann", 4.0) == ["ann", "cat"]

    def test_who_has_left_hears_nothing_and_who_lost_its_connection_does(self, rig: Rig) -> None:
        rig.zone.leave("ses_bob")
        rig.zone.detach("ses_cat", 1)
        rig.tick()
        assert hearers(rig, "ann", 10.0) == ["ann", "cat"]

    def test_as_the_plain_reckoning_says(self) -> None:
        dice, rig = Random(5), Rig()
        places = {f"p{n}": (dice.uniform(0, 100), dice.uniform(0, 100)) for n in range(120)}
        for name, (x, z) in places.items():
            rig.enter(name, x, z)
        rig.tick()
        for name in ("p0", "p7", "p50"):
            for reach in (3.0, 20.0, 60.0):
                far = {other: math.dist(places[name], at) for other, at in places.items()}
                near = sorted((other for other in far if far[other] <= reach), key=lambda other: far[other])
                assert hearers(rig, name, reach) == near


class TestAcrossABorder:
    @staticmethod
    def ask(land: Land, zone_id: str, name: str, reach: float) -> Any:
        desk = CallDesk(ZoneWorld(land.zones[zone_id], lambda: False, lambda: WALL), no_game)
        params = b'{"range":%f,"most":10}' % reach
        call = internal_pb2.ZoneCall(
            id=1, session_id=f"ses_{name}", attach_epoch=1, method="zone.hearers", params_json=params
        )
        desk.take("gtw_a", [call], land.now)
        [done] = desk.run(land.now)
        return said(done.answer)

    def test_ghosts_hear_too(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.enter("east", "bob", 103.0)
        land.enter("east", "cat", 150.0)
        land.step(2)
        for zone_id, name, other in (("west", "ann", "bob"), ("east", "bob", "ann")):
            assert self.ask(land, zone_id, name, 10.0) == {"user_ids": [f"usr_{name}", f"usr_{other}"]}
            assert self.ask(land, zone_id, name, 5.0) == {"user_ids": [f"usr_{name}"]}

    def test_who_was_handed_over_still_hears(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.enter("west", "bob", 99.0)
        land.step(2)
        land.hand_over("bob", "west", "east")
        assert self.ask(land, "west", "ann", 10.0) == {"user_ids": ["usr_ann", "usr_bob"]}
        land.step(2)
        assert self.ask(land, "west", "ann", 10.0) == {"user_ids": ["usr_ann", "usr_bob"]}
        assert self.ask(land, "east", "bob", 10.0) == {"user_ids": ["usr_bob", "usr_ann"]}


def test_a_gateway_that_forgets_something_costs_its_call_alone(rig: Rig) -> None:
    with pytest.raises(Ours):
        rig.ask("ann", "zone.hearers", {"range": 10.0})
    assert hearers(rig, "ann", 1.0) == ["ann"]
