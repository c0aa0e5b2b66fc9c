"""Who is handed over from zone to zone, and what the zones around see of it (rows 7.2 and 7.3)."""

from __future__ import annotations

import itertools

import pytest

from actors.zone.borders import KEEP_TELLING_S, OVERLAP_M, UNBOUND_S
from cluster.worldmap import retired
from tests.unit.actors.zone.borders_rig import FOUR, TICK_S, TWO, Land, Letter, ground
from tests.unit.actors.zone_model import change

EAST = TWO[1]


class TestCrossing:
    def test_only_who_is_past_the_border_by_the_hysteresis(self) -> None:
        land = Land()
        land.enter("west", "ann", 97.0)
        land.step()
        for x, crosses in ((100.0, False), (101.9, False), (102.0, False), (102.1, True), (99.0, False)):
            land.walk("west", "ann", x)
            land.step()
            assert bool(land.zones["west"].crossers(land.now)) == crosses

    def test_one_walks_no_further_than_the_overlap_before_the_owner_has_changed(self) -> None:
        land = Land()
        land.enter("west", "ann", 99.0)
        land.step()
        for n in range(1, 60):
            land.now += 0.5
            land.step()
            land.walk("west", "ann", 99.0 + 0.5 * n)
            land.step()
        assert land.place("west", "ann")[0] == 100.0 + OVERLAP_M

    def test_nobody_is_stopped_by_a_split_however_deep_in_the_new_zones_ground(self) -> None:
        land = Land([ground("west", 0, 0, 200, 100)])
        land.enter("west", "ann", 120.0 + OVERLAP_M)
        land.step()
        west, east = TWO
        land.remap(west, east)
        for n in range(5):  # before anything was heard of the new zone
            land.walk("west", "ann", 120.0 + OVERLAP_M + 0.2 * n)
            land.tick("west")
            assert land.place("west", "ann")[0] == pytest.approx(120.0 + OVERLAP_M + 0.2 * n)
        land.begin("east")
        for n in range(5, 10):  # and after, as long as nobody has handed it over
            land.walk("west", "ann", 120.0 + OVERLAP_M + 0.2 * n)
            land.step()
            assert land.place("west", "ann")[0] == pytest.approx(120.0 + OVERLAP_M + 0.2 * n)
        land.hand_over("ann", "west", "east")
        assert land.holders("ann") == ["east"]

    def test_it_keeps_its_number_on_both_sides(self) -> None:
        land = Land()
        land.enter("east", "zoe", 150.0)  # so that numbers differ
        land.enter("west", "ann", 97.0)
        land.step()
        ghost, own = land.entity("east", "ann"), land.entity("west", "ann")
        assert ghost is not None
        assert own is not None
        numbers = own.number, ghost.number
        land.walk("west", "ann", 103.0)
        land.step()
        land.hand_over("ann", "west", "east")
        assert land.holders("ann") == ["east"]
        now_ghost, now_own = land.entity("west", "ann"), land.entity("east", "ann")
        assert now_ghost is not None
        assert now_own is not None
        assert (now_ghost.number, now_own.number) == numbers
        assert now_ghost.owner == "east"
        land.step(2)
        land.walk("east", "ann", 104.0)
        land.step()
        land.check()
        assert land.place("west", "ann")[0] == 104.0

    def test_back_and_forth_at_tick_rate(self) -> None:
        land = Land()
        land.enter("west", "ann", 97.0)
        land.enter("east", "bob", 103.0)
        land.step()
        numbers = land.numbers("ann")
        for n in range(60):
            sender, to = ("west", "east") if n % 2 == 0 else ("east", "west")
            land.hand_over("ann", sender, to)
            assert land.holders("ann") == [to]
            land.step()
            assert land.ghosts(sender)["ann"] == to
        for zone_id in ("west", "east"):
            entity = land.entity(zone_id, "ann")
            assert entity is not None
            assert entity.transfer == 100 + 60
        assert land.numbers("ann") == numbers
        land.step(2)
        land.check()

    @pytest.mark.parametrize("late", list(itertools.permutations(range(3))))
    def test_back_and_forth_while_messages_are_late(self, late: tuple[int, ...]) -> None:
        """What a zone said of it before is not taken for what the other one says of it now."""
        land = Land()
        land.enter("west", "ann", 97.0)
        land.enter("east", "bob", 103.0)
        land.step()
        held: list[list[Letter]] = []
        for sender, to in (("west", "east"), ("east", "west"), ("west", "east")):
            land.hand_over("ann", sender, to)
            land.walk(to, "ann", 97.0 + len(held))
            held.append(land.tick())
        for n in late:
            land.deliver(*held[n])
            assert land.holders("ann") == ["east"]
        land.step(round(2 * KEEP_TELLING_S / TICK_S))
        land.check()

    def test_the_third_zone_at_a_corner_hears_of_the_new_owner(self) -> None:
        land = Land(FOUR)
        land.enter("west", "ann", 95.0, 95.0)
        land.step()
        for other in ("east", "south", "corner"):
            assert land.ghosts(other) == {"ann": "west"}
        numbers = land.numbers("ann")
        for sender, to in (("west", "corner"), ("corner", "south"), ("south", "east"), ("east", "west")):
            land.hand_over("ann", sender, to)
            land.step(2)
            for other in land.zones.keys() - {to}:
                assert land.ghosts(other) == {"ann": to}
            land.check()
        assert land.numbers("ann") == numbers, "no viewer saw it leave"

    def test_which_zone_has_the_corner_itself(self) -> None:
        """Ground is half-open: the place where four meet belongs to the upper one."""
        land = Land(FOUR)
        land.enter("west", "ann", 99.0, 99.0)
        land.step()
        for x, z in ((102.5, 99.0), (102.5, 102.5), (99.0, 102.5)):
            land.walk("west", "ann", x, z)
            land.step()
            owner = land.map.at(x, z)
            assert owner is not None
            assert land.zones["west"].crossers(land.now) == {owner.id: [0]}

    def test_a_third_zone_that_lost_both_messages_keeps_no_ghost_that_nobody_moves(self) -> None:
        """It hears neither that the one handed it over nor that the other one has it now."""
        land = Land((*TWO, ground("south", 0, 100, 200, 200)))
        land.enter("west", "ann", 95.0, 95.0)
        land.step()
        land.hand_over("ann", "west", "east")
        land.deliver(*(letter for letter in land.tick() if letter.to != "south"))
        land.step(round(2 * KEEP_TELLING_S / TICK_S))
        land.check()
        assert land.ghosts("south") == {"ann": "east"}

    def test_what_the_owner_before_said_and_comes_late_is_older(self) -> None:
        land = Land((*TWO, ground("south", 0, 100, 200, 200)))
        land.enter("west", "ann", 95.0, 95.0)
        land.step(2)
        change(land.zones["west"], "ann", hat="red")
        late = land.tick("west")
        land.hand_over("ann", "west", "east")
        land.deliver(*land.tick("east"))
        assert land.ghosts("south") == {"ann": "east"}
        land.deliver(*late)
        assert land.ghosts("south") == {"ann": "east"}
        land.walk("east", "ann", 96.0, 95.0)
        land.deliver(*land.tick("east"))
        assert land.place("south", "ann")[0] == 96.0, "her owner is believed all the while"
        land.step(2)
        land.check()

    def test_an_unbound_ghost_goes_if_its_new_owner_never_speaks_of_it(self) -> None:
        """As one whose new owner died, and whose entity walked away before the next incarnation spoke."""
        land = Land()
        land.enter("west", "ann", 97.0)
        land.step()
        west = land.zones["west"]
        [parcel] = west.pack([0], land.now, 0.0)
        west.depart([parcel], "east", land.now)
        assert land.ghosts("west") == {"ann": "east"}
        for _ in range(round((UNBOUND_S - 0.5) / TICK_S)):
            land.step()
        west.sweep(land.now)
        assert land.ghosts("west") == {"ann": "east"}
        land.wait(1.0)
        west.sweep(land.now)
        assert land.ghosts("west") == {}

    def test_one_far_away_leaves_no_ghost(self) -> None:
        """Its zone has lost the ground, as after a split."""
        land = Land()
        land.enter("west", "ann", 20.0)
        land.step()
        land.remap(ground("west", 50, 0, 100, 100), ground("new", 0, 0, 50, 100))
        land.begin("new")
        land.step(2)
        assert land.zones["west"].crossers(land.now) == {"new": [0]}
        land.hand_over("ann", "west", "new")
        assert land.ghosts("west") == {}
        assert land.entity("new", "ann") is not None
        land.step(2)
        land.check()

    def test_others_are_told_of_an_entity_that_came_back_before_they_heard_that_it_had_left(self) -> None:
        """A ghost with a higher transfer than the entity that is said: the new one is not taken for an old message for ever."""
        land = Land()
        entity = land.enter("west", "ann", 97.0)
        entity.transfer = 9
        land.step()
        land.zones["west"].leave("ses_ann")
        land.enter("west", "ann", 98.0)
        land.step(round(2 * KEEP_TELLING_S / TICK_S))
        land.check()
        assert land.place("east", "ann")[0] == 98.0


class TestMap:
    def test_who_stands_deep_in_lost_ground_walks_on_until_the_new_owner_has_it(self) -> None:
        """Into a third zone, too, that is far from what ground is left."""
        land = Land()
        land.enter("west", "ann", 99.0)
        land.step()
        land.remap(ground("west", 0, 0, 30, 100), ground("new", 30, 0, 100, 100))
        land.walk("west", "ann", 99.5)
        land.step()
        land.walk("west", "ann", 100.5)
        land.step()
        assert land.place("west", "ann")[0] == 100.5
        land.wait(3.0)
        land.walk("west", "ann", 101.0)
        land.step()
        assert land.place("west", "ann")[0] == 100.5, "its new owner has had its time"

    def test_an_older_map_changes_nothing(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step()
        old = land.map
        land.remap(ground("east", 120, 0, 200, 100))
        west = land.zones["west"]
        west.remap(old)
        assert west.borders.map is not old
        assert west.borders.map.version == 2

    def test_a_zone_that_is_near_no_more_takes_its_ghosts_along(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.enter("east", "bob", 105.0)
        land.step()
        land.remap(ground("east", 150, 0, 200, 100))
        assert (land.ghosts("west"), land.ghosts("east")) == ({}, {})
        assert not [letter for letter in land.tick() if letter.to in ("west", "east")]

    def test_and_is_told_everything_when_it_is_near_again(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step(3)
        land.remap(ground("east", 150, 0, 200, 100))
        land.step(3)
        land.remap(ground("east", 100, 0, 200, 100))
        land.step(3)
        assert land.ghosts("east") == {"ann": "west"}
        land.check()

    def test_the_border_moves_over_those_who_stand_there(self) -> None:
        """In the middle of a crossing: whoever is on its way arrives, whoever stands on the other side now follows."""
        land = Land()
        for n in range(5):
            land.enter("west", f"p{n}", 89.0 + 3 * n)
        land.step()
        land.walk("west", "p4", 103.0)
        land.step()
        west, east = land.zones["west"], land.zones["east"]
        parcels = west.pack(west.crossers(land.now)["east"], land.now, 0.0)
        land.remap(ground("west", 0, 0, 90, 100), ground("east", 90, 0, 200, 100))
        crossing = west.crossers(land.now)["east"]
        assert len(crossing) == 2
        assert west.table.by_id[parcels[0].entity_id].number not in crossing, "it is on its way already"
        west.depart(parcels, "east", land.now)
        east.admit({p.entity_id: p.record for p in parcels}, land.now, 0.0)
        for number in crossing:
            land.hand_over(west.table.by_number[number].name, "west", "east")
        land.step(2)
        land.check()
        assert [land.holders(f"p{n}") for n in range(5)] == [["west"], ["west"], *[["east"]] * 3]
        assert west.bounds.max_x == 90
        assert west.crossers(land.now) == {}

    def test_the_border_moves_away_from_one_who_was_just_handed_over(self) -> None:
        land = Land()
        land.enter("west", "ann", 97.0)
        land.step()
        land.walk("west", "ann", 103.0)
        land.step()
        west = land.zones["west"]
        parcels = west.pack([0], land.now, 0.0)
        land.remap(ground("west", 0, 0, 120, 100), ground("east", 120, 0, 200, 100))
        west.depart(parcels, "east", land.now)
        east = land.zones["east"]
        east.admit({p.entity_id: p.record for p in parcels}, land.now, 0.0)
        land.step(2)
        assert east.crossers(land.now) == {"west": [east.table.by_session["ses_ann"].number]}
        land.hand_over("ann", "east", "west")
        land.step(2)
        land.check()
        assert land.holders("ann") == ["west"]

    def test_a_zone_without_ground_gives_everybody_away(self) -> None:
        land = Land()
        for n, x in enumerate((110.0, 150.0, 190.0)):
            land.enter("east", f"p{n}", x)
        land.step()
        land.remap(ground("west", 0, 0, 200, 100), retired(EAST, "west"))
        land.step(2)
        east = land.zones["east"]
        assert {to: len(numbers) for to, numbers in east.crossers(land.now).items()} == {"west": 3}
        land.walk("east", "p2", 191.0)
        land.step()
        assert land.place("east", "p2")[0] == 191.0, "who waits for its turn walks on"
        for n in range(3):
            land.hand_over(f"p{n}", "east", "west")
        assert (east.own, east.borders.strays().tolist()) == (0, [])
        land.step(2)
        assert [land.holders(f"p{n}") for n in range(3)] == [["west"]] * 3
        land.remap(without=("east",))
        del land.zones["east"]
        land.step()
        land.check()

    def test_a_zone_that_the_map_does_not_know_has_no_neighbours(self) -> None:
        land = Land()
        land.enter("west", "ann", 103.0)
        land.remap(without=("west",))
        west = land.zones["west"]
        assert west.borders.me is None
        assert west.crossers(land.now) == {}
        assert west.tick(land.now + TICK_S).borders == []
