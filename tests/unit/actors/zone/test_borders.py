"""What zones near each other see of each other, whatever happens to their messages (row 7.2)."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from structlog.testing import capture_logs

from actors.zone.borders import KEEP_TELLING_S, STRETCH_M, UNBOUND_S, distance
from cluster.errors import Elsewhere, RateLimited
from cluster.world_settings import Bounds
from tests.unit.actors.showing_model import ModelViewer
from tests.unit.actors.zone.borders_rig import FOUR, MARGIN, TICK_S, TWO, Land, ground
from tests.unit.actors.zone_model import change, views_of


def test_distance_is_along_the_farther_axis_and_none_inside() -> None:
    places = np.array([[5, 9, 5], [0, 0, 10], [-3, 0, 4], [13, 0, -7], [12, 99, 12]], np.float32)
    assert distance(places, Bounds(min_x=0, min_z=0, max_x=10, max_z=10)).tolist() == [0, 0, 3, 7, 2]


class TestGhosts:
    def test_who_is_within_the_margin_is_seen_across(self) -> None:
        land = Land()
        land.enter("west", "ann", 100 - MARGIN + 0.5)
        land.enter("west", "far", 100 - MARGIN - 0.5)
        land.enter("east", "bob", 101.0)
        land.step()
        assert land.ghosts("east") == {"ann": "west"}
        assert land.ghosts("west") == {"bob": "east"}
        land.check()

    def test_a_ghost_is_nobody_s_player(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step()
        east = land.zones["east"]
        ghost = land.entity("east", "ann")
        assert ghost is not None
        assert "ses_ann" not in east.table.by_session
        assert (east.own, east.ghosts) == (0, 1)
        assert east.places() == b""
        assert east.record("ent_ann") is None
        assert east.borders.strays().tolist() == []
        assert east.tick(land.now).outputs == []

    def test_it_moves_changes_and_goes_with_the_one_it_stands_for(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step()
        land.walk("west", "ann", 97.5, 51.25)
        land.step()
        assert land.place("east", "ann") == (97.5, 51.25, 1)
        change(land.zones["west"], "ann", hat="red")
        land.step()
        ghost = land.entity("east", "ann")
        assert ghost is not None
        assert (ghost.version, ghost.properties, ghost.link_dead) == (2, {"hat": "red"}, False)
        land.zones["west"].detach("ses_ann", 1)
        land.step()
        ghost = land.entity("east", "ann")
        assert ghost is not None
        assert ghost.link_dead
        land.zones["west"].leave("ses_ann")
        land.step()
        assert land.ghosts("east") == {}
        assert land.zones["east"].table.room == 15
        land.step()
        assert land.zones["east"].table.room == 16, "its number may be used again"

    def test_one_that_walks_along_the_margin_does_not_come_and_go(self) -> None:
        land = Land()
        edge = 100 - MARGIN
        land.enter("west", "ann", edge + 0.5)
        land.step()
        for x in (edge - STRETCH_M + 0.1, edge + 0.5) * 5:
            land.wait(1.0)
            land.walk("west", "ann", x)
            land.step()
            assert land.ghosts("east") == {"ann": "west"}
            assert land.place("east", "ann")[0] == pytest.approx(x)
        land.walk("west", "ann", edge - STRETCH_M - 0.1)
        land.step()
        assert land.ghosts("east") == {}
        land.walk("west", "ann", edge - 0.1)
        land.step()
        assert land.ghosts("east") == {}

    def test_nothing_is_said_while_nothing_happens_but_now_and_then(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step(3)
        land.wait(KEEP_TELLING_S)
        quiet = [letter for _ in range(round(2 / TICK_S)) for letter in land.tick()]
        assert len(quiet) == 2 * round(2 / KEEP_TELLING_S)
        assert all(not (letter.said.rows or letter.said.entities) for letter in quiet)

    def test_viewers_on_both_sides_see_it_like_anybody(self) -> None:
        land = Land()
        ann, bob = land.enter("west", "ann", 97.0), land.enter("east", "bob", 103.0)
        viewers = {"west": ModelViewer(ann.number), "east": ModelViewer(bob.number)}
        for viewer in viewers.values():
            viewer.tick = 0

        def step() -> None:
            land.now += TICK_S
            letters = []
            for zone_id, zone in land.zones.items():
                ticked = zone.tick(land.now)
                for views in views_of(ticked.outputs).values():
                    for number, view in views.items():
                        assert number == viewers[zone_id].number
                        view.reset = view.reset and ("zon_test", *view.reset[1:])
                        viewers[zone_id].apply(view)
                letters += [(to, data) for to, data in ticked.borders]
            for to, data in letters:
                land.zones[to].take_border(data, land.now)

        for n in range(20):
            land.walk("west", "ann", 97.0 + n / 10)
            change(land.zones["east"], "bob", n=n)
            step()
        step()
        seen = {zone_id: {e.name: e for e in viewer.entities.values()} for zone_id, viewer in viewers.items()}
        assert seen["east"]["ann"].place == (9_890, 0, 5_000)
        assert seen["west"]["bob"].properties == {"n": 19}
        land.walk("west", "ann", 90.0)
        step()
        step()
        assert {e.name for e in viewers["east"].entities.values()} == {"bob"}, (
            "out of view, though still within the margin"
        )
        assert land.ghosts("east") == {"ann": "west"}


class TestMessages:
    """Outputs are numbered: what does not follow on what is known is not believed, and asked for again."""

    def test_a_lost_one_is_made_good(self) -> None:
        land = Land()
        for n in range(6):
            land.enter("west", f"p{n}", 90.0 + n)
        land.step(2)
        change(land.zones["west"], "p0", hat="red")
        land.zones["west"].leave("ses_p1")
        land.walk("west", "p2", 95.0)
        land.tick()  # lost
        land.walk("west", "p3", 96.0)
        land.step()
        assert land.place("east", "p3")[0] == 93.0, "not believed"
        assert land.zones["east"].borders.strange == 1
        land.step(2)
        land.check()
        assert land.zones["east"].borders.strange == 1

    @pytest.mark.parametrize("lost", [1, 2, 3])
    def test_one_that_begins_again_is_lost(self, lost: int) -> None:
        """What follows on it is not taken for what follows on the messages before."""
        land = Land()
        land.enter("west", "ann", 95.0)
        land.enter("west", "bob", 96.0)
        land.step(2)
        change(land.zones["west"], "bob", hat="red")
        land.tick()
        change(land.zones["west"], "bob", hat="blue")
        land.step()
        land.deliver(*(letter for letter in land.tick() if letter.to == "west"))  # it asks
        land.zones["west"].leave("ses_ann")
        for n in range(lost):
            land.walk("west", "bob", 96.5 + n / 10)
            land.tick()
        land.step(round(2 * KEEP_TELLING_S / TICK_S))
        land.check()
        assert land.ghosts("east") == {"bob": "west"}

    def test_a_repeated_one_changes_nothing(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step(2)
        land.walk("west", "ann", 96.0)
        letters = land.tick()
        land.deliver(*letters, *letters)
        assert land.place("east", "ann")[0] == 96.0
        land.step(2)
        land.check()

    def test_an_old_one_is_not_believed(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step()
        land.walk("west", "ann", 96.0)
        old = [letter for letter in land.tick() if letter.to == "east"]
        land.deliver(*old)
        land.walk("west", "ann", 97.0)
        land.step()
        land.deliver(*old)
        assert land.place("east", "ann")[0] == 97.0
        land.step(2)
        land.check()

    def test_of_an_older_incarnation_nothing_is_believed(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step()
        zombie = land.zones["west"]
        land.begin("west", epoch=2)
        land.step()
        assert land.ghosts("east") == {}, "the new one has nobody"
        for to, data in zombie.tick(land.now + 1.0).borders:
            assert land.zones[to].take_border(data, land.now) is False
        assert land.ghosts("east") == {}
        land.check()

    def test_a_new_incarnation_begins_again(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.enter("west", "bob", 96.0)
        land.step()
        land.begin("west", epoch=2)
        land.enter("west", "bob", 97.0)
        land.enter("west", "cid", 98.0)
        land.step()
        assert land.ghosts("east") == {"bob": "west", "cid": "west"}
        land.check()

    def test_one_that_was_restarted_learns_of_the_others(self) -> None:
        """Its neighbours go on with their numbers, of which it knows nothing, until it has asked."""
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step(5)
        land.begin("east", epoch=2)
        land.step(3)
        assert land.ghosts("east") == {"ann": "west"}
        land.check()

    def test_a_question_that_is_lost_is_asked_again(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step(5)
        land.begin("east", epoch=2)
        for n in range(4):
            land.walk("west", "ann", 95.0 + n / 10)
            land.deliver(*(letter for letter in land.tick() if letter.to == "east"))
        assert land.ghosts("east") == {}
        land.step(round(2 * KEEP_TELLING_S / TICK_S))
        land.check()
        assert land.ghosts("east") == {"ann": "west"}

    def test_of_a_zone_that_is_not_near_nothing_is_believed(self) -> None:
        land = Land((*TWO, ground("far", 300, 0, 400, 100)))
        land.enter("west", "ann", 95.0)
        [letter] = [letter for letter in land.tick("west") if letter.to == "east"]
        assert land.zones["far"].take_border(letter.data, land.now) is False
        assert land.ghosts("far") == {}

    def test_an_entity_that_nobody_can_read_costs_nothing_else(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.enter("west", "bob", 96.0)
        [letter] = [letter for letter in land.tick("west") if letter.to == "east"]
        said = letter.said
        said.entities[0].record = b"{"
        with capture_logs() as logs:
            land.deliver(replace(letter, data=said.SerializeToString()))
        assert [line["event"] for line in logs] == ["border_entity_unreadable"]
        assert land.ghosts("east") == {"bob": "west"}

    def test_numbers_that_mean_nothing(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step()
        land.walk("west", "ann", 96.0)
        [letter] = [letter for letter in land.tick("west") if letter.to == "east"]
        said = letter.said
        rows = bytearray(said.rows)
        for number in (7, 65_535, 65_536, 2**32 - 1):
            said.rows += number.to_bytes(4, "little") + bytes(rows[4:])
            said.leaves.append(number)
            said.departed.append(number)
        land.deliver(replace(letter, data=said.SerializeToString()))
        assert land.ghosts("east") == {"ann": "west"}
        assert land.place("east", "ann")[0] == 96.0

    @pytest.mark.parametrize("seed", range(12))
    def test_whatever_the_bus_does_the_ghosts_are_true_in_the_end(self, seed: int) -> None:
        """Lost, repeated, late and out of order, among four zones with a corner, with hardly any numbers."""
        rng = random.Random(seed)
        land = Land(FOUR, capacity=12)
        at: dict[str, tuple[str, float, float]] = {}
        late = []
        for n in range(300):
            for name in ("ann", "bob", "cid", "dan", "eve"):
                chance = rng.random()
                if name not in at:
                    if chance < 0.2:
                        zone = rng.choice(FOUR)
                        x, z = 100 + rng.uniform(-20, 20), 100 + rng.uniform(-20, 20)
                        b = zone.bounds
                        x, z = min(max(x, b.min_x), b.max_x), min(max(z, b.min_z), b.max_z)
                        try:
                            land.enter(zone.id, name, x, z)
                        except (Elsewhere, RateLimited):  # its ghost has not gone yet, or ghosts fill the zone
                            continue
                        at[name] = zone.id, x, z
                    continue
                zone_id, x, z = at[name]
                if chance < 0.02:
                    land.zones[zone_id].leave(f"ses_{name}")
                    land.sequences.pop(name, None)
                    del at[name]
                elif chance < 0.1:
                    change(land.zones[zone_id], name, n=n)
                elif chance < 0.15:
                    to = rng.choice([zone.id for zone in FOUR if zone.id != zone_id])
                    land.hand_over(name, zone_id, to)
                    land.sequences[name] = land.place(to, name)[2]
                    at[name] = to, x, z
                elif chance < 0.7:
                    x, z = x + rng.uniform(-0.4, 0.4), z + rng.uniform(-0.4, 0.4)
                    land.walk(zone_id, name, x, z)
            for letter in land.tick():
                fate = rng.random()
                if fate < 0.7:
                    land.deliver(letter)
                elif fate < 0.85:
                    late.append(letter)
                elif fate < 0.9:
                    land.deliver(letter, letter)
            rng.shuffle(late)
            while late and rng.random() < 0.4:
                land.deliver(late.pop())
            for here in land.zones.values():
                here.sweep(land.now)
            for name, (zone_id, _, _) in list(at.items()):
                assert land.holders(name) == [zone_id]
                at[name] = zone_id, *land.place(zone_id, name)[:2]
        for _ in range(round(2 * UNBOUND_S / TICK_S)):
            land.step()
            for here in land.zones.values():
                here.sweep(land.now)
        land.check()
        for here in land.zones.values():
            assert here.table.room == here.table.capacity - here.own - here.ghosts
