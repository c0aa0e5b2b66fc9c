"""Zones near that are silent, and zones that are full: what is still seen of them, and who may go there (row 7.2)."""

from __future__ import annotations

from actors.zone.borders import FORGET_S, KEEP_TELLING_S, SILENT_S
from tests.unit.actors.zone.borders_rig import TICK_S, Land


class TestSilence:
    def test_ghosts_of_a_zone_that_is_silent_for_long_go(self) -> None:
        land = Land()
        land.enter("west", "ann", 95.0)
        land.step()
        east = land.zones["east"]
        land.wait(FORGET_S - 1.0)
        east.sweep(land.now)
        assert land.ghosts("east") == {"ann": "west"}, "it may come back"
        land.wait(1.1)
        east.sweep(land.now)
        assert land.ghosts("east") == {}
        assert east.table.room == 15
        land.step(3)
        land.check()
        assert land.ghosts("east") == {"ann": "west"}

    def test_nobody_is_handed_over_to_a_zone_that_is_silent(self) -> None:
        land = Land()
        land.enter("west", "ann", 98.0)
        land.step()
        west = land.zones["west"]
        land.walk("west", "ann", 103.0)
        land.step()
        assert west.crossers(land.now) == {"east": [0]}
        land.wait(SILENT_S)
        assert west.crossers(land.now) == {}
        assert west.borders.strays().tolist() == [0]
        land.step()
        assert west.crossers(land.now) == {"east": [0]}

    def test_nobody_walks_into_a_zone_that_is_silent_but_back_one_may(self) -> None:
        land = Land()
        land.enter("west", "ann", 98.0)
        land.step()
        land.walk("west", "ann", 103.0)
        land.step()
        land.wait(SILENT_S)
        land.walk("west", "ann", 105.0)
        land.tick("west")
        assert land.place("west", "ann")[0] == 103.0
        land.walk("west", "ann", 101.0)
        land.tick("west")
        assert land.place("west", "ann")[0] == 101.0


class TestRoom:
    def test_no_more_are_handed_over_than_there_is_room(self) -> None:
        """As the other one last said."""
        land = Land(capacity=6)
        for n in range(3):
            land.enter("east", f"e{n}", 190.0)
        for n in range(4):
            land.enter("west", f"w{n}", 95.0)
        land.step()
        for n in range(4):
            land.walk("west", f"w{n}", 103.0)
        land.tick("west")
        assert len(land.ghosts("east")) == 3, "there was no room for the fourth"
        west = land.zones["west"]
        assert [len(numbers) for numbers in west.crossers(land.now).values()] == [3]
        land.step(round(KEEP_TELLING_S / TICK_S) + 1)
        assert west.crossers(land.now) == {}, "ghosts take numbers, too"

    def test_nobody_walks_into_a_zone_that_is_full(self) -> None:
        land = Land(capacity=2)
        for n in range(2):
            land.enter("east", f"e{n}", 190.0)
        land.enter("west", "ann", 98.0)
        land.step()
        land.walk("west", "ann", 101.0)
        land.step()
        assert land.place("west", "ann")[0] == 98.0
        land.zones["east"].leave("ses_e0")
        land.step(round(KEEP_TELLING_S / TICK_S) + 1)
        land.walk("west", "ann", 101.0)
        land.step()
        assert land.place("west", "ann")[0] == 101.0

    def test_a_ghost_that_had_no_room_comes_when_there_is(self) -> None:
        land = Land(capacity=2)
        for n in range(2):
            land.enter("east", f"e{n}", 190.0)
        land.enter("west", "ann", 98.0)
        land.step(2)
        assert land.ghosts("east") == {}
        land.zones["east"].leave("ses_e0")
        for _ in range(round(2 / TICK_S)):
            land.step()
            land.zones["east"].sweep(land.now)
        land.check()
        assert land.ghosts("east") == {"ann": "west"}
