"""What outlives a process (row 1.9): a zone filled again from what the store kept."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from actors.zone import records
from actors.zone.arrivals import Standing
from actors.zone.entities import Entity
from actors.zone.keeping import MAX_OUTAGE_S
from actors.zone.records import Record
from actors.zone.zone import Zone
from cluster.errors import RateLimited
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap
from tests.unit.actors.zone_model import SPEC, arrival, change, make_world, make_zone, move, tick

OTHER = "zon_other"


def stored(zone: Zone) -> list[Record]:
    """The zone's own entities, through the store's form."""
    found = [zone.record(entity_id) for entity_id in zone.table.by_id]
    return [records.load(records.dump(record)) for record in found if record is not None]


def again(entities: list[Record], places: bytes, age_s: float = 0.0, now: float = 0.0, capacity: int = 16) -> Zone:
    zone = make_zone(capacity=capacity, epoch=2)
    assert zone.restore(entities, places, age_s, now) == []
    return zone


@pytest.fixture
def zone() -> Zone:
    """ann (0) and bob (1), ann a few steps from where she entered; bob has a hat and no socket."""
    zone = make_zone()
    zone.enter(arrival("ann", 50, 50, "gtw_a", attach_epoch=3), 0.0)
    zone.enter(arrival("bob", 52, 50, "gtw_b"), 0.0)
    change(zone, "bob", hat="red")
    zone.detach("ses_bob", 1)
    return zone


def walk(zone: Zone) -> None:
    zone.take_input("gtw_a", move(0, 7, 53.5, 51.25, yaw=1.5))
    zone.tick(0.1)


def test_everything_comes_back(zone: Zone) -> None:
    entities = stored(zone)
    walk(zone)
    back = again(entities, zone.places())
    for session in ("ses_ann", "ses_bob"):
        assert back.of_session(session) == zone.of_session(session)
        assert back.standing(back.of_session(session)) == zone.standing(zone.of_session(session))


def test_viewers_get_a_reset_view_with_all_they_see(zone: Zone) -> None:
    back = again(stored(zone), zone.places())
    views = tick(back)
    assert views.keys() == {"gtw_a"}
    assert views["gtw_a"].keys() == {0}, "bob has no socket"
    view = views["gtw_a"][0]
    assert view.reset == (SPEC.id, 2, 0)
    assert [(s.number, s.version, s.properties_json) for s in view.states] == [(1, 2, '{"hat":"red"}'), (0, 1, "")]
    assert view.attach_epoch == 3
    assert view.numbers == [1]


def test_moves_go_on_above_the_last_sequence(zone: Zone) -> None:
    walk(zone)
    back = again(stored(zone), zone.places())
    back.take_input("gtw_a", move(0, 7, 53.5, 51.25) + move(0, 8, 54, 51.25))
    back.tick(0.1)
    assert dict(back.intake.refused) == {"stale_sequence": 1}
    assert back.standing(back.of_session("ses_ann")).x == 54.0


def test_one_that_came_after_the_checkpoint_stands_where_it_entered(zone: Zone) -> None:
    places = zone.places()
    zone.enter(arrival("cid", 20, 30), 0.0)
    back = again(stored(zone), places)
    standing = back.standing(back.of_session("ses_cid"))
    assert (standing.number, standing.x, standing.z, standing.sequence) == (2, 20.0, 30.0, 0)


def test_the_newer_of_checkpoint_and_record_counts(zone: Zone) -> None:
    """An entity is stored again when it changes hands; that may be after the last checkpoint."""
    places = zone.places()
    walk(zone)
    back = again(stored(zone), places)
    assert back.standing(back.of_session("ses_ann")) == zone.standing(zone.of_session("ses_ann"))


def test_a_place_of_another_entity_with_the_same_number_is_not_taken() -> None:
    zone = make_zone(capacity=1)
    zone.enter(arrival("ann", 10, 10), 0.0)
    places = zone.places()
    zone.leave("ses_ann")
    zone.tick(0.0)
    zone.enter(arrival("bob", 90, 90), 0.0)
    back = again(stored(zone), places, capacity=1)
    assert back.standing(back.of_session("ses_bob")).x == 90.0


def test_nor_after_a_second_restart() -> None:
    """The first restart must not count incarnations from where a number was used before."""
    zone = make_zone(capacity=1)
    zone.enter(arrival("ann", 10, 10), 0.0)
    places = zone.places()
    zone.leave("ses_ann")
    second = again([], places, capacity=1)
    second.enter(arrival("bob", 90, 90), 0.0)
    third = again(stored(second), places, capacity=1)
    assert third.standing(third.of_session("ses_bob")).x == 90.0


def test_new_numbers_are_free_ones(zone: Zone) -> None:
    back = again(stored(zone), zone.places(), capacity=3)
    assert back.enter(arrival("cid"), 0.0).number == 2


class TestOutageBudget:
    """10 m/s, 10 m at once: a player may have walked on while the zone was away."""

    @pytest.mark.parametrize(("age_s", "reach"), [(0.0, 10.0), (2.0, 30.0), (-5.0, 10.0)])
    def test_it_grows_with_the_age_of_the_checkpoint(self, age_s: float, reach: float) -> None:
        zone = make_zone()
        zone.enter(arrival("ann", 0, 50), 0.0)
        back = again(stored(zone), zone.places(), age_s, now=1000.0)
        back.take_input("gtw_a", move(0, 1, reach + 0.5, 50) + move(0, 2, reach, 50) + move(0, 3, reach + 0.5, 50))
        back.tick(1000.0)
        assert dict(back.intake.refused) == {"too_fast": 2}
        assert back.standing(back.of_session("ses_ann")).x == reach

    def test_but_not_without_end(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann", 0, 50), 0.0)
        back = again(stored(zone), zone.places(), age_s=86_400.0)
        assert back.table.budget[0] == 10.0 + 10.0 * MAX_OUTAGE_S


class TestLeftOvers:
    """What a failure between two steps left in the store must not keep the zone from starting."""

    def entity(self, name: str, number: int, incarnation: int, session: str = "", zone: str = SPEC.id) -> Record:
        entity = Entity(
            number,
            incarnation,
            f"ent_{name}",
            "player",
            name,
            session or f"ses_{name}",
            "usr",
            f"chr_{name}",
            "gtw_a",
            1,
        )
        return Record(entity, Standing(entity.entity_id, number, 10.0, 0.0, 10.0, 0.0, 0), zone)

    @pytest.mark.parametrize("order", [1, -1])
    def test_of_two_with_one_number_the_newer_keeps_it(self, order: int) -> None:
        pair = [self.entity("old", 3, 5), self.entity("new", 3, 9)][::order]
        zone = again(pair, b"")
        assert (zone.of_session("ses_new").number, zone.of_session("ses_new").incarnation) == (3, 9)
        assert zone.of_session("ses_old").number != 3
        assert zone.of_session("ses_old").incarnation > 9
        assert zone.tick(0.0).outputs

    def test_an_entity_that_is_there_twice(self) -> None:
        zone = make_zone()
        pair = [self.entity("ann", 3, 5, "ses_x"), self.entity("ann", 4, 9)]
        assert [e.session_id for e in zone.restore(pair, b"", 0.0, 0.0)] == ["ses_x"]
        assert zone.own == 1

    def test_of_two_with_one_session_the_newer_is_there(self) -> None:
        zone = make_zone()
        pair = [self.entity("old", 1, 5, "ses_x"), self.entity("new", 2, 9, "ses_x")]
        assert [e.entity_id for e in zone.restore(pair, b"", 0.0, 0.0)] == ["ent_old"]
        assert zone.of_session("ses_x").entity_id == "ent_new"

    def test_numbers_beyond_a_capacity_that_was_lowered(self) -> None:
        zone = again([self.entity("ann", 3, 1), self.entity("bob", 4, 2)], b"", capacity=4)
        assert sorted(zone.table.by_number) == [0, 3]
        assert zone.of_session("ses_bob").number == 0

    def test_more_than_a_capacity_that_was_lowered(self) -> None:
        """Nobody is given up for it: who finds no room comes in when there is."""
        zone = again([self.entity(name, n, n + 1) for n, name in enumerate("abc")], b"", capacity=2)
        assert zone.table.by_session.keys() == {"ses_b", "ses_c"}, "the oldest waits"
        with pytest.raises(RateLimited):
            zone.attach("ses_a", "gtw_a", 2)
        zone.leave("ses_c")
        zone.tick(0.0)
        assert [entity.entity_id for entity in zone.admit({}, 1.0, 1.0)] == ["ent_a"]
        assert (zone.own, zone.standing(zone.of_session("ses_a")).x) == (2, 10.0)

    def test_new_incarnations_are_higher_than_all_there_were(self) -> None:
        zone = make_zone()
        zone.restore([self.entity("old", 3, 5), self.entity("new", 4, 9)], b"", 0.0, 0.0)
        zone.enter(arrival("cid"), 0.0)
        assert zone.of_session("ses_cid").incarnation == 10

    def test_places_that_are_not_finite_or_outside_by_now(self) -> None:
        ann, bob = self.entity("ann", 0, 1), self.entity("bob", 1, 2)
        lost = replace(ann, standing=replace(ann.standing, x=math.nan))
        far = replace(bob, standing=replace(bob.standing, x=5_000.0))
        zone = again([lost, far], b"")
        assert zone.standing(zone.of_session("ses_ann")).x == 50.0
        assert zone.standing(zone.of_session("ses_bob")).x == 100.0
        assert zone.tick(0.0).outputs


class TestFromOtherZones:
    """Records of those who were handed over to this zone, as the zone before it wrote them."""

    def test_a_number_of_another_zone_means_nothing_here(self) -> None:
        """Nor does a place of the checkpoint that was kept under that number."""
        zone = make_zone()
        zone.enter(arrival("ann", 10, 10), 0.0)
        [ann] = stored(zone)
        came = TestLeftOvers().entity("cid", ann.entity.number, ann.entity.incarnation, zone=OTHER)
        back = again([came, ann], zone.places())
        assert back.of_session("ses_ann").number == ann.entity.number
        cid = back.of_session("ses_cid")
        assert cid.number != ann.entity.number
        assert cid.incarnation > ann.entity.incarnation
        assert (back.standing(cid).x, back.standing(back.of_session("ses_ann")).x) == (10.0, 10.0)

    def test_it_is_stored_with_the_number_it_has_here(self) -> None:
        """By which its places are found again: a second restart would put it back to where it once came in."""
        zone, noted = make_zone(epoch=2), list[str]()
        zone.on_change = noted.append
        ann = TestLeftOvers().entity("ann", 4, 1)
        zone.restore([TestLeftOvers().entity("cid", 4, 1, zone=OTHER), ann], b"", 0.0, 0.0)
        assert noted == ["ent_cid"]
        number = zone.of_session("ses_cid").number
        zone.take_input("gtw_a", move(number, 5, 15, 10))
        zone.tick(0.1)
        back = again(stored(zone), zone.places())
        assert back.standing(back.of_session("ses_cid")).x == 15.0

    def test_it_keeps_how_often_it_was_handed_over(self) -> None:
        came = TestLeftOvers().entity("cid", 0, 1, zone=OTHER)
        came.entity.transfer, came.entity.owner = 7, OTHER
        back = again([came], b"")
        assert (back.of_session("ses_cid").transfer, back.of_session("ses_cid").owner) == (7, "")

    def test_who_is_on_the_way_across_the_border_stays_there(self) -> None:
        """And is handed over from there; on no land at all it is put inside."""
        here = MapZone(SPEC.id, "Test", SPEC.bounds, SPEC.id)
        there = MapZone(OTHER, "Other", Bounds(min_x=100, min_z=0, max_x=200, max_z=100), OTHER)
        zone = Zone(SPEC, make_world(), 2)
        zone.remap(WorldMap(1, (here, there)))
        walker, lost = TestLeftOvers().entity("ann", 0, 1), TestLeftOvers().entity("bob", 1, 2)
        walker = replace(walker, standing=replace(walker.standing, x=104.0))
        lost = replace(lost, standing=replace(lost.standing, x=104.0, z=150.0))
        assert zone.restore([walker, lost], b"", 0.0, 0.0) == []
        assert zone.standing(zone.of_session("ses_ann")).x == 104.0
        stands = zone.standing(zone.of_session("ses_bob"))
        assert (stands.x, stands.z) == (100.0, 100.0)
        assert zone.borders.strays().tolist() == [0]

    def test_gateways_are_told_whose_the_views_are(self) -> None:
        """The zone may have died after it took them over and before their gateways heard of it: nobody else would say so."""
        came = TestLeftOvers().entity("cid", 0, 1, zone=OTHER)
        came.entity.transfer = 7
        back = again([came], b"")
        number = back.of_session("ses_cid").number
        view = tick(back)["gtw_a"][number]
        assert (view.session_id, view.transfer, view.attach_epoch) == ("ses_cid", 7, 1)
        again_later = tick(back, 1.0)["gtw_a"][number]
        assert (again_later.session_id, again_later.transfer) == ("ses_cid", 7), (
            "until the gateway says that it has them"
        )
        back.showing.shown("gtw_a", [number])
        assert tick(back, 2.0) == {}
