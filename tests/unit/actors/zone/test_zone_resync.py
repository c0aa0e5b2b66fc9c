"""A gateway that lost an output gets everything anew, and the others notice nothing."""

from __future__ import annotations

from actors.zone.zone import Zone
from tests.unit.actors.zone_model import arrival, make_zone, move, numbers_of, views_of


def two() -> Zone:
    zone = make_zone()
    zone.enter(arrival("ann", 50, 50, "gtw_a"), 0.0)
    zone.enter(arrival("bob", 52, 50, "gtw_b"), 0.0)
    return zone


def test_outputs_are_counted_for_each_gateway() -> None:
    zone = two()
    assert numbers_of(zone.tick(0.0).outputs) == {"gtw_a": [1], "gtw_b": [1]}
    zone.take_input("gtw_a", move(0, 1, 51, 50))
    assert numbers_of(zone.tick(0.1).outputs) == {"gtw_a": [2], "gtw_b": [2]}
    assert numbers_of(zone.tick(0.2).outputs) == {}
    assert (zone.showing.outputs_to("gtw_a"), zone.showing.outputs_to("gtw_x")) == (2, 0)


def test_starting_over_is_for_one_gateway_and_counts_from_one() -> None:
    zone = two()
    zone.tick(0.0)
    zone.showing.resync("gtw_a")
    messages = zone.tick(0.1).outputs
    assert numbers_of(messages) == {"gtw_a": [1]}
    view = views_of(messages)["gtw_a"][0]
    assert view.reset is not None
    assert view.attach_epoch == 1
    assert [state.entity_id for state in view.states] == ["ent_bob", "ent_ann"]
    assert zone.resyncs == 1


def test_a_gateway_that_the_zone_does_not_know() -> None:
    zone = two()
    zone.tick(0.0)
    zone.showing.resync("gtw_x")
    assert zone.tick(0.1).outputs == []
    assert zone.resyncs == 0


def test_after_a_failed_tick_everybody_counts_from_one() -> None:
    zone = two()
    zone.tick(0.0)
    zone.showing.start_over()
    assert numbers_of(zone.tick(0.1).outputs) == {"gtw_a": [1], "gtw_b": [1]}
