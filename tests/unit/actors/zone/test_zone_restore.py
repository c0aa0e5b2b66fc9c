"""What outlives a process (row 1.9): a zone filled again from what the store kept."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest

from actors.zone import records
from actors.zone.arrivals import Standing
from actors.zone.entities import Entity
from actors.zone.rows import PLACE
from actors.zone.zone import MAX_OUTAGE_S, Zone
from tests.unit.actors.zone_model import SPEC, arrival, make_zone, move, views_of

Stored = list[tuple[Entity, Standing]]


def stored(zone: Zone) -> Stored:
    """The entities, through the store's form."""
    return [records.load(records.dump(e, zone.standing(e))) for e in zone.table.by_number.values()]


def again(entities: Stored, places: bytes, age_s: float = 0.0, now: float = 0.0, capacity: int = 16) -> Zone:
    zone = make_zone(capacity=capacity, epoch=2)
    assert zone.restore(entities, places, age_s, now) == []
    return zone


@pytest.fixture
def zone() -> Zone:
    """ann (0) and bob (1), ann a few steps from where she entered; bob has a hat and no socket."""
    zone = make_zone()
    zone.enter(arrival("ann", 50, 50, "gtw_a", attach_epoch=3), 0.0)
    zone.enter(arrival("bob", 52, 50, "gtw_b"), 0.0)
    zone.commit_change(*zone.plan_change("ses_bob", "ent_bob", 1, {"hat": "red"}))
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
    views = views_of(back.tick(0.0))
    assert views.keys() == {"gtw_a"}
    assert views["gtw_a"].keys() == {0}, "bob has no socket"
    view = views["gtw_a"][0]
    assert view.reset == (SPEC.id, 2)
    assert [(s.number, s.version, s.properties_json) for s in view.states] == [(1, 2, '{"hat":"red"}')]
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


def test_rows_are_in_the_form_of_the_checkpoint(zone: Zone) -> None:
    walk(zone)
    rows = list(struct.iter_unpack("<IIIffff", zone.places()))
    assert rows == [(0, 1, 7, 53.5, 0.0, 51.25, 1.5), (1, 2, 0, 52.0, 0.0, 50.0, 0.0)]
    assert len(zone.places()) == 2 * PLACE.itemsize
    assert make_zone().places() == b""


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

    def entity(self, name: str, number: int, incarnation: int, session: str = "") -> tuple[Entity, Standing]:
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
        return entity, Standing(entity.entity_id, number, 10.0, 0.0, 10.0, 0.0, 0)

    @pytest.mark.parametrize("order", [1, -1])
    def test_of_two_with_one_number_the_newer_is_there(self, order: int) -> None:
        pair = [self.entity("old", 3, 5), self.entity("new", 3, 9)][::order]
        zone = make_zone()
        assert [e.entity_id for e in zone.restore(pair, b"", 0.0, 0.0)] == ["ent_old"]
        assert list(zone.table.by_id) == ["ent_new"]
        assert zone.tick(0.0)

    def test_of_two_with_one_session_the_newer_is_there(self) -> None:
        zone = make_zone()
        pair = [self.entity("old", 1, 5, "ses_x"), self.entity("new", 2, 9, "ses_x")]
        assert [e.entity_id for e in zone.restore(pair, b"", 0.0, 0.0)] == ["ent_old"]
        assert zone.of_session("ses_x").entity_id == "ent_new"

    def test_numbers_beyond_a_capacity_that_was_lowered(self) -> None:
        zone = make_zone(capacity=4)
        left_over = zone.restore([self.entity("ann", 3, 1), self.entity("bob", 4, 2)], b"", 0.0, 0.0)
        assert [e.entity_id for e in left_over] == ["ent_bob"]
        assert len(zone.table) == 1

    def test_new_incarnations_are_higher_than_all_there_were(self) -> None:
        zone = make_zone()
        zone.restore([self.entity("old", 3, 5), self.entity("new", 3, 9)], b"", 0.0, 0.0)
        zone.enter(arrival("cid"), 0.0)
        assert zone.of_session("ses_cid").incarnation == 10

    def test_places_that_are_not_finite_or_outside_by_now(self) -> None:
        ann, bob = self.entity("ann", 0, 1), self.entity("bob", 1, 2)
        zone = again([(ann[0], replace(ann[1], x=math.nan)), (bob[0], replace(bob[1], x=5_000.0))], b"")
        assert zone.standing(zone.of_session("ses_ann")).x == 50.0
        assert zone.standing(zone.of_session("ses_bob")).x == 100.0
        assert zone.tick(0.0)
