"""A gateway that lost an output gets everything anew, and the others notice nothing."""

from __future__ import annotations

from actors.zone.zone import Zone
from realm_proto import internal_pb2
from tests.unit.actors.zone_model import arrival, make_zone, move, views_of


def numbers(messages: list[tuple[str, bytes]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for gateway, data in messages:
        found.setdefault(gateway, []).append(internal_pb2.ZoneOutput.FromString(data).number)
    return found


def two() -> Zone:
    zone = make_zone()
    zone.enter(arrival("ann", 50, 50, "gtw_a"), 0.0)
    zone.enter(arrival("bob", 52, 50, "gtw_b"), 0.0)
    return zone


def test_outputs_are_counted_for_each_gateway() -> None:
    zone = two()
    assert numbers(zone.tick(0.0)) == {"gtw_a": [1], "gtw_b": [1]}
    zone.take_input("gtw_a", move(0, 1, 51, 50))
    assert numbers(zone.tick(0.1)) == {"gtw_a": [2], "gtw_b": [2]}
    assert numbers(zone.tick(0.2)) == {}
    assert (zone.outputs_to("gtw_a"), zone.outputs_to("gtw_x")) == (2, 0)


def test_starting_over_is_for_one_gateway_and_counts_from_one() -> None:
    zone = two()
    zone.tick(0.0)
    zone.resync("gtw_a")
    messages = zone.tick(0.1)
    assert numbers(messages) == {"gtw_a": [1]}
    view = views_of(messages)["gtw_a"][0]
    assert view.reset is not None
    assert view.attach_epoch == 1
    assert [state.entity_id for state in view.states] == ["ent_bob"]
    assert zone.resyncs == 1


def test_a_gateway_that_the_zone_does_not_know() -> None:
    zone = two()
    zone.tick(0.0)
    zone.resync("gtw_x")
    assert zone.tick(0.1) == []
    assert zone.resyncs == 0


def test_after_a_failed_tick_everybody_counts_from_one() -> None:
    zone = two()
    zone.tick(0.0)
    zone.start_over()
    assert numbers(zone.tick(0.1)) == {"gtw_a": [1], "gtw_b": [1]}
