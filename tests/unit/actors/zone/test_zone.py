"""Who is in the zone, and whom its views go to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.zone.zone import Zone
from cluster.errors import Conflict, InvalidState, RateLimited
from realm_proto import internal_pb2
from tests.unit.actors.showing_model import ModelViewer, View
from tests.unit.actors.zone_model import SPEC, arrival, make_world, make_zone, move, tick


class TestEnter:
    def test_the_newcomer_stands_where_it_wanted(self) -> None:
        zone = make_zone()
        standing = zone.enter(arrival("ann", 10.5, 20.25, y=3.0, yaw=1.0), 0.0)
        assert (standing.entity_id, standing.number, standing.sequence) == ("ent_ann", 0, 0)
        assert (standing.x, standing.y, standing.z, standing.yaw) == (10.5, 3.0, 20.25, 1.0)
        entity = zone.of_session("ses_ann")
        assert (entity.entity_type, entity.name, entity.user_id, entity.character_id) == (
            "player",
            "ann",
            "usr_ann",
            "chr_ann",
        )
        assert (entity.version, entity.properties) == (1, {})

    @pytest.mark.parametrize(
        ("wanted", "stands"),
        [
            ((-5.0, 0.0, 50.0), (0.0, 0.0, 50.0)),
            ((1e9, -1e9, 101.0), (100.0, -1000.0, 100.0)),
            ((math.nan, 5.0, 50.0), (50.0, 5.0, 50.0)),
            ((math.inf, math.nan, -math.inf), (50.0, 0.0, 50.0)),
        ],
    )
    def test_a_place_outside_is_put_inside(
        self, wanted: tuple[float, float, float], stands: tuple[float, float, float]
    ) -> None:
        x, y, z = wanted
        standing = make_zone().enter(arrival("ann", x, z, y=y, yaw=math.nan), 0.0)
        assert (standing.x, standing.y, standing.z, standing.yaw) == (*stands, 0.0)

    def test_both_see_each_other_in_the_next_view(self) -> None:
        zone = make_zone()
        ann = zone.enter(arrival("ann", 50, 50), 0.0).number
        first = tick(zone)["gtw_a"][ann]
        assert first.reset == (SPEC.id, 1, ann)
        assert ([s.entity_id for s in first.states], first.numbers) == (["ent_ann"], [])
        bob = zone.enter(arrival("bob", 55, 50, "gtw_b"), 0.0).number
        views = tick(zone)
        seen = views["gtw_a"][ann]
        assert [(s.number, s.entity_id, s.entity_type, s.name, s.version) for s in seen.states] == [
            (bob, "ent_bob", "player", "bob", 1)
        ]
        assert seen.reset is None
        assert (seen.places, seen.moves) == ([(bob, 0, 5_500, 0, 5_000, 0)], [])
        assert {s.name for s in views["gtw_b"][bob].states} == {"ann", "bob"}

    def test_entering_again_attaches(self) -> None:
        zone = make_zone()
        first = zone.enter(arrival("ann", 50, 50), 0.0)
        tick(zone)
        assert zone.enter(arrival("ann", 10, 10, "gtw_b", attach_epoch=2), 1.0) == first
        assert len(zone.table) == 1
        views = tick(zone)
        assert views.keys() == {"gtw_b"}
        assert views["gtw_b"][first.number].reset == (SPEC.id, 1, first.number)

    def test_the_same_call_again_changes_nothing(self) -> None:
        zone = make_zone()
        who = arrival("ann")
        assert zone.enter(who, 0.0) == zone.enter(who, 0.0)
        assert len(zone.table) == 1

    def test_a_late_repeat_of_an_older_attach_is_refused(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann", gateway="gtw_b", attach_epoch=2), 0.0)
        with pytest.raises(Conflict) as refused:
            zone.enter(arrival("ann", gateway="gtw_a", attach_epoch=1), 0.0)
        assert refused.value.reason == "newer_attach"
        assert tick(zone).keys() == {"gtw_b"}

    def test_another_character_of_a_session_is_refused(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann"), 0.0)
        with pytest.raises(InvalidState) as refused:
            zone.enter(arrival("other", session="ses_ann"), 0.0)
        assert (refused.value.reason, refused.value.state) == ("other_character_in_world", "in_world")

    def test_a_character_that_is_here_already_is_refused(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann"), 0.0)
        with pytest.raises(Conflict) as refused:
            zone.enter(arrival("ann", session="ses_second"), 0.0)
        assert refused.value.reason == "entity_exists"
        assert len(zone.table) == 1

    def test_a_full_zone_refuses_and_takes_others_later(self) -> None:
        zone = make_zone(capacity=2)
        for name in ("ann", "bob"):
            zone.enter(arrival(name), 0.0)
        with pytest.raises(RateLimited):
            zone.enter(arrival("cid"), 0.0)
        assert "ses_cid" not in zone.table.by_session
        zone.leave("ses_ann")
        with pytest.raises(RateLimited):
            zone.enter(arrival("cid"), 0.0)  # its number still has to be taken from those who see it
        tick(zone)
        assert zone.enter(arrival("cid"), 0.0).number == 0


class TestAttach:
    def test_views_go_to_the_new_gateway_and_start_from_nothing(self) -> None:
        zone = make_zone()
        ann = zone.enter(arrival("ann"), 0.0).number
        zone.enter(arrival("bob", gateway="gtw_z"), 0.0)
        tick(zone)
        zone.attach("ses_ann", "gtw_b", 2)
        view = tick(zone)["gtw_b"][ann]
        assert view.reset == (SPEC.id, 1, ann)
        assert {s.name for s in view.states} == {"ann", "bob"}
        assert (len(view.places), view.moves) == (1, [])

    def test_from_gateway_to_gateway_the_others_do_not_notice(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann"), 0.0)
        zone.enter(arrival("bob", gateway="gtw_z"), 0.0)
        tick(zone)
        zone.attach("ses_ann", "gtw_b", 2)
        assert tick(zone).keys() == {"gtw_b"}

    def test_an_older_attach_is_refused_and_an_equal_one_repeats(self) -> None:
        zone = make_zone()
        standing = zone.enter(arrival("ann", attach_epoch=3), 0.0)
        with pytest.raises(Conflict):
            zone.attach("ses_ann", "gtw_b", 2)
        assert zone.of_session("ses_ann").gateway_id == "gtw_a"
        assert zone.attach("ses_ann", "gtw_b", 3) == standing

    def test_each_reset_says_for_which_attach_it_is(self) -> None:
        zone = make_zone()
        ann = zone.enter(arrival("ann", attach_epoch=3), 0.0).number
        assert tick(zone)["gtw_a"][ann].attach_epoch == 3
        zone.attach("ses_ann", "gtw_a", 4)
        assert tick(zone)["gtw_a"][ann].attach_epoch == 4
        zone.attach("ses_ann", "gtw_a", 4)
        assert tick(zone)["gtw_a"][ann].attach_epoch == 4
        zone.showing.start_over()
        assert tick(zone)["gtw_a"][ann].attach_epoch == 4
        zone.take_input("gtw_a", move(ann, 1, 51, 50))
        assert tick(zone, 0.1)["gtw_a"][ann].reset is None

    def test_who_is_not_here_cannot_attach(self) -> None:
        with pytest.raises(InvalidState) as refused:
            make_zone().attach("ses_ann", "gtw_a", 1)
        assert refused.value.reason == "not_in_zone"


class TestDetach:
    def test_no_views_any_more_but_it_stays_and_is_seen(self) -> None:
        zone = make_zone()
        ann = zone.enter(arrival("ann"), 0.0).number
        bob = zone.enter(arrival("bob", gateway="gtw_b"), 0.0).number
        tick(zone)
        zone.detach("ses_ann", 1)
        zone.take_input("gtw_b", move(bob, 1, 51, 50))
        views = tick(zone, 0.1)
        assert views.keys() == {"gtw_b"}, "nothing of the move for ann"
        assert views["gtw_b"].keys() == {bob}
        [state] = views["gtw_b"][bob].states
        assert (state.number, state.version, state.link_dead) == (ann, 1, True)
        assert (views["gtw_b"][bob].ack, views["gtw_b"][bob].numbers) == (1, [])
        newcomer = zone.enter(arrival("cid", gateway="gtw_b"), 0.0).number
        assert sorted(tick(zone)["gtw_b"][newcomer].numbers) == [ann, bob]

    @pytest.mark.parametrize("again", [1, 2])
    def test_detaching_is_idempotent(self, again: int) -> None:
        zone = make_zone()
        zone.enter(arrival("ann"), 0.0)
        for _ in range(again):
            zone.detach("ses_ann", 1)
        assert zone.of_session("ses_ann").gateway_id == ""
        assert tick(zone) == {}

    def test_one_of_an_older_attach_is_ignored(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann", gateway="gtw_b", attach_epoch=2), 0.0)
        zone.detach("ses_ann", 1)
        assert tick(zone).keys() == {"gtw_b"}

    def test_before_its_first_view(self) -> None:
        zone = make_zone()
        ann = zone.enter(arrival("ann"), 0.0).number
        zone.detach("ses_ann", 1)
        assert tick(zone) == {}
        zone.attach("ses_ann", "gtw_b", 2)
        assert tick(zone)["gtw_b"][ann].reset is not None

    def test_of_nobody(self) -> None:
        make_zone().detach("ses_nobody", 1)


class TestLeave:
    def test_the_others_are_told_and_it_is_gone(self) -> None:
        zone = make_zone()
        ann = zone.enter(arrival("ann", 10, 20), 0.0).number
        bob = zone.enter(arrival("bob", 11, 20), 0.0).number
        tick(zone)
        standing = zone.leave("ses_ann")
        assert standing is not None
        assert (standing.number, standing.x, standing.z) == (ann, 10.0, 20.0)
        views = tick(zone)
        assert views == {"gtw_a": {bob: View(2, 0, leaves=[ann])}}
        assert tick(zone) == {}

    def test_leaving_is_idempotent(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann"), 0.0)
        assert zone.leave("ses_ann") is not None
        assert zone.leave("ses_ann") is None
        assert zone.leave("ses_nobody") is None

    def test_it_may_come_back_at_once_as_another_entity(self) -> None:
        zone = make_zone()
        bob = zone.enter(arrival("bob"), 0.0).number
        first = zone.enter(arrival("ann"), 0.0).number
        tick(zone)
        zone.leave("ses_ann")
        second = zone.enter(arrival("ann"), 0.0).number
        assert second != first
        view = tick(zone)["gtw_a"][bob]
        assert (view.leaves, [s.number for s in view.states]) == ([first], [second])

    def test_before_anyone_saw_it(self) -> None:
        zone = make_zone()
        bob = zone.enter(arrival("bob"), 0.0).number
        tick(zone)
        zone.enter(arrival("ann"), 0.0)
        zone.leave("ses_ann")
        assert tick(zone) == {}
        assert zone.enter(arrival("cid"), 0.0).number != bob


@pytest.mark.parametrize("capacity", [2, 3])
def test_a_reused_number_never_confuses_a_viewer(capacity: int) -> None:
    """With hardly any numbers, each leave is followed by another entity of the same number."""
    zone = make_zone(capacity=capacity)
    watcher = ModelViewer(zone.enter(arrival("watcher", gateway="gtw_w"), 0.0).number)
    watcher.apply(tick(zone)["gtw_w"][watcher.number])
    numbers = set()
    for generation in range(12):
        name = f"g{generation}"
        numbers.add(zone.enter(arrival(name), 0.0).number)
        watcher.apply(tick(zone)["gtw_w"][watcher.number])
        assert [seen.name for seen in watcher.entities.values()] == ["watcher", name]
        zone.leave(f"ses_{name}")
        for extra in range(capacity - 2):
            zone.enter(arrival(f"{name}x{extra}"), 0.0)
        with pytest.raises(RateLimited):
            zone.enter(arrival("another"), 0.0)
        for extra in range(capacity - 2):
            zone.leave(f"ses_{name}x{extra}")
        watcher.apply(tick(zone)["gtw_w"][watcher.number])
        assert [seen.name for seen in watcher.entities.values()] == ["watcher"]
    assert numbers <= set(range(1, capacity)), "so they were used again and again"


def test_ticks_count_even_when_nothing_happens() -> None:
    zone = make_zone()
    for _ in range(5):
        assert zone.tick(0.0).outputs == []
    assert zone.ticks == 5


def test_the_epoch_is_in_every_message() -> None:
    zone = Zone(SPEC, make_world(), 41)
    zone.enter(arrival("ann"), 0.0)
    [(gateway, data)] = zone.tick(0.0).outputs
    out = internal_pb2.ZoneOutput.FromString(data)
    assert (gateway, out.zone_id, out.epoch, out.tick) == ("gtw_a", SPEC.id, 41, 1)


def test_after_a_failed_tick_everybody_starts_from_nothing() -> None:
    zone = make_zone()
    ann = zone.enter(arrival("ann"), 0.0).number
    bob = zone.enter(arrival("bob", gateway=""), 0.0).number
    zone.detach("ses_bob", 1)
    tick(zone)
    zone.showing.start_over()
    views = tick(zone)
    assert views.keys() == {"gtw_a"}
    assert views["gtw_a"].keys() == {ann}
    assert views["gtw_a"][ann].reset is not None
    assert views["gtw_a"][ann].numbers == [bob]


def test_a_zone_that_was_full_of_people_nobody_saw_has_room_again() -> None:
    """Nothing is said when they go, to anybody; their numbers are free all the same."""
    zone = make_zone(capacity=2)
    for name in ("ann", "bob"):
        zone.enter(arrival(name, gateway=""), 0.0)
        zone.leave(f"ses_{name}")
    assert zone.tick(0.0).outputs == []
    assert zone.table.room == 2
    zone.enter(arrival("cid"), 0.0)


def test_who_moved_is_said_of_its_own_alone() -> None:
    zone = make_zone()
    numbers = [zone.enter(arrival(name), 0.0).number for name in ("ann", "bob", "cid")]
    zone.tick(0.0)
    zone.table.by_number[numbers[1]].owner = "zon_other"
    zone.table.own(numbers[1])
    zone.take_input("gtw_a", move(numbers[0], 1, 51, 50) + move(numbers[1], 1, 51, 50))
    assert np.flatnonzero(zone.tick(0.1).moved).tolist() == [numbers[0]]
    assert (zone.own, zone.ghosts) == (2, 1)
