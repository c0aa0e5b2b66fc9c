"""Ghosts of entities that come again, or of whom zones speak in vain (row 7.2): found by simulated play."""

from __future__ import annotations

from actors.zone.borders import UNBOUND_S
from tests.unit.actors.zone.borders_rig import FOUR, MARGIN, WALL, Land


def put(land: Land, zone_id: str, name: str, x: float, z: float) -> None:
    """However it came there."""
    table = land.zones[zone_id].table
    table.position[table.by_session[f"ses_{name}"].number] = (x, 0.0, z)


def sweep(land: Land) -> None:
    for zone in land.zones.values():
        zone.sweep(land.now)


def test_who_leaves_and_enters_within_a_tick_is_seen_across() -> None:
    land = Land()
    land.enter("west", "ann", 95.0)
    land.step()
    land.zones["west"].leave("ses_ann")
    land.enter("west", "ann", 96.0)
    land.step(2)
    assert land.ghosts("east") == {"ann": "west"}
    land.check()


def test_who_is_handed_over_out_of_a_third_zones_margin_is_forgotten_there() -> None:
    land = Land(FOUR)
    land.enter("west", "ann", 95.0, 100 - MARGIN + 0.5)
    land.step()
    assert land.ghosts("south") == {"ann": "west"}
    put(
        land, "west", "ann", 103.0, 100 - MARGIN - 1.0
    )  # the west still tells the south of it; the east will not begin to
    land.step()
    land.hand_over("ann", "west", "east")
    land.step(2)
    assert land.ghosts("south") == {"ann": "west"}, "until its new owner had time to speak"
    land.wait(UNBOUND_S + 0.1)
    land.step()
    sweep(land)
    assert land.ghosts("south") == {}
    land.check()


def test_a_new_owner_may_speak_before_the_old_one_knows_of_it() -> None:
    land = Land()
    ann = land.enter("west", "ann", 95.0)
    land.step()
    put(land, "west", "ann", 103.0, 50.0)
    west, east = land.zones["west"], land.zones["east"]
    parcels = west.pack([ann.number], land.now, WALL)
    east.admit({parcel.entity_id: parcel.record for parcel in parcels}, land.now, WALL)
    land.step()  # the west takes it for its own, and does not listen
    west.depart(parcels, "east", land.now)
    for _ in range(3):
        land.step()
    land.wait(UNBOUND_S + 0.1)
    sweep(land)
    land.step(3)
    assert land.ghosts("west") == {"ann": "east"}
    land.check()


def test_a_stale_ghost_does_not_hide_who_came_again() -> None:
    """It left and entered elsewhere, and the news of its leave comes last."""
    land = Land(FOUR)
    land.enter("south", "ann", 95.0, 105.0).transfer += 100
    land.step(3)
    assert land.ghosts("corner") == {"ann": "south"}
    land.zones["south"].leave("ses_ann")
    said = land.tick("south")
    late = [letter for letter in said if letter.to == "corner"]
    land.deliver(*(letter for letter in said if letter.to != "corner"))
    land.enter("east", "ann", 105.0, 95.0)
    land.deliver(*(letter for letter in land.tick("east") if letter.to == "corner"))
    assert land.ghosts("corner") == {"ann": "south"}
    land.deliver(*late)
    assert land.ghosts("corner") == {}
    land.step(3)
    assert land.ghosts("corner") == {"ann": "east"}
