"""Moves as they come from gateways: which are judged, and what is answered."""

from __future__ import annotations

import math

import pytest

from actors.zone import intake as intake_module
from actors.zone.entities import EntityTable
from actors.zone.intake import ROWS_PER_ENTITY
from actors.zone.movement import Rules
from actors.zone.zone import Zone
from cluster.world_settings import Bounds, EntityTypeSettings, Obstacle
from tests.unit.actors.showing_model import View
from tests.unit.actors.zone_model import SPEC, arrival, make_world, make_zone, move, tick


@pytest.fixture
def zone() -> Zone:
    """ann (0) at gtw_a and bob (1) at gtw_b, who have seen each other."""
    zone = make_zone()
    zone.enter(arrival("ann", 50, 50, "gtw_a"), 0.0)
    zone.enter(arrival("bob", 52, 50, "gtw_b"), 0.0)
    tick(zone)
    return zone


def at(zone: Zone, name: str) -> tuple[float, float, float]:
    s = zone.standing(zone.of_session(f"ses_{name}"))
    return (s.x, s.y, s.z)


def at_number(zone: Zone, number: int) -> float:
    return float(zone.table.position[number, 0])


def test_a_move_is_acknowledged_to_one_and_shown_to_the_other(zone: Zone) -> None:
    zone.take_input("gtw_a", move(0, 1, 51, 50, yaw=math.pi))
    assert tick(zone, 0.1) == {
        "gtw_a": {0: View(2, 1)},
        "gtw_b": {1: View(2, 0, moves=[(0, 1, 100, 0, 0, 32768)])},
    }
    assert zone.intake.applied == 1
    assert tick(zone, 0.2) == {}


def test_moves_wait_for_the_tick(zone: Zone) -> None:
    zone.take_input("gtw_a", move(0, 1, 51, 50))
    assert at(zone, "ann")[0] == 50.0


class TestRefusals:
    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (move(0, 1, math.nan, 50), "not_finite"),
            (move(0, 1, 50, 50, yaw=math.inf), "not_finite"),
            (move(0, 1, 101, 50), "out_of_bounds"),
            (move(0, 1, 90, 50), "too_fast"),
        ],
    )
    def test_a_refused_move_gets_a_correction_and_an_ack(self, zone: Zone, row: bytes, reason: str) -> None:
        zone.take_input("gtw_a", row)
        views = tick(zone, 0.1)
        assert views.keys() == {"gtw_a"}, "nobody else saw anything"
        view = views["gtw_a"][0]
        assert view.ack == 1
        correction = view.correction
        assert correction is not None
        assert (correction.sequence, correction.reason, correction.yaw) == (1, reason, 0.0)
        assert (correction.position.x, correction.position.y, correction.position.z) == (50.0, 0.0, 50.0)
        assert dict(zone.intake.refused) == {reason: 1}

    def test_a_stale_move_gets_a_correction_with_the_newest_judged(self, zone: Zone) -> None:
        zone.take_input("gtw_a", move(0, 5, 51, 50))
        tick(zone, 0.1)
        zone.take_input("gtw_a", move(0, 5, 52, 50))
        view = tick(zone, 0.2)["gtw_a"][0]
        assert view.correction is not None
        assert (view.ack, view.correction.sequence, view.correction.reason) == (5, 5, "stale_sequence")
        assert view.correction.position.x == 51.0

    def test_later_moves_are_judged_from_where_it_really_is(self, zone: Zone) -> None:
        zone.take_input("gtw_a", move(0, 1, 90, 50))
        tick(zone, 0.1)
        zone.take_input("gtw_a", move(0, 2, 90.5, 50))
        assert tick(zone, 0.2)["gtw_a"][0].correction is not None
        zone.take_input("gtw_a", move(0, 3, 50.5, 50))
        assert tick(zone, 0.3)["gtw_a"][0].correction is None
        assert at(zone, "ann")[0] == 50.5

    def test_a_refused_move_does_not_hold_up_others(self, zone: Zone) -> None:
        zone.take_input("gtw_a", move(0, 1, 90, 50))
        zone.take_input("gtw_b", move(1, 1, 53, 50))
        views = tick(zone, 0.1)
        assert views["gtw_a"][0].correction is not None
        assert views["gtw_b"][1] == View(2, 1)
        assert (at(zone, "ann")[0], at(zone, "bob")[0]) == (50.0, 53.0)

    def test_a_wall(self) -> None:
        world = make_world().model_copy(update={"obstacles": (Obstacle(rect=(55, 0, 57, 100)),)})
        zone = Zone(SPEC, world, 1)
        zone.enter(arrival("ann", 54, 50, "gtw_a"), 0.0)
        tick(zone)
        zone.take_input("gtw_a", move(0, 1, 56, 50) + move(0, 2, 58, 50))
        correction = tick(zone, 0.1)["gtw_a"][0].correction
        assert correction is not None
        assert (correction.sequence, correction.reason, correction.position.x) == (2, "blocked", 54.0)
        assert dict(zone.intake.refused) == {"blocked": 2}

    def test_a_start_that_is_too_sudden(self) -> None:
        """2 m/s2, packets up to a second late: after ten silent seconds one may be two seconds on the way, which is 4 m."""
        slow = {"player": EntityTypeSettings(max_speed=8.0, max_acceleration=1.6)}
        zone = Zone(SPEC, make_world().model_copy(update={"types": slow}), 1)
        zone.enter(arrival("ann", 50, 50, "gtw_a"), 0.0)
        tick(zone)
        zone.take_input("gtw_a", move(0, 1, 50, 50))
        tick(zone, 0.1)
        zone.take_input("gtw_a", move(0, 2, 55, 50) + move(0, 3, 54, 50))
        correction = tick(zone, 10.1)["gtw_a"][0].correction
        assert correction is not None
        assert (correction.reason, correction.position.x) == ("too_sudden", 54.0)


class TestSeveralInOneTick:
    def test_all_are_judged_in_order_and_the_last_is_shown(self, zone: Zone) -> None:
        zone.take_input("gtw_a", move(0, 1, 51, 50) + move(0, 2, 51, 51))
        zone.take_input("gtw_b", move(1, 1, 53, 50))
        zone.take_input("gtw_a", move(0, 3, 50, 51))
        views = tick(zone, 0.1)
        assert views["gtw_a"][0].ack == 3
        assert views["gtw_b"][1].moves == [(0, 3, 0, 0, 100, 0)]
        assert zone.intake.applied == 4

    def test_together_they_may_not_go_further_than_the_budget(self, zone: Zone) -> None:
        steps = b"".join(move(0, n, 50 + 3 * n, 50) for n in range(1, 6))
        zone.take_input("gtw_a", steps)
        view = tick(zone, 0.0)["gtw_a"][0]
        assert view.correction is not None
        assert view.correction.reason == "too_fast"
        assert at(zone, "ann")[0] == 59.0
        assert view.correction.position.x == 59.0

    def test_a_correction_says_where_it_stands_after_all_of_them(self, zone: Zone) -> None:
        """The second move was good: a client that went back to where the first was refused would be wrong."""
        zone.take_input("gtw_a", move(0, 1, 99, 50) + move(0, 2, 51, 50))
        view = tick(zone, 0.1)["gtw_a"][0]
        assert view.correction is not None
        assert (view.ack, view.correction.sequence, view.correction.position.x) == (2, 2, 51.0)
        assert at(zone, "ann")[0] == 51.0

    def test_out_of_order_ones_count_once(self, zone: Zone) -> None:
        zone.take_input("gtw_a", move(0, 2, 52, 50) + move(0, 1, 51, 50))
        tick(zone, 0.1)
        assert at(zone, "ann")[0] == 52.0
        assert dict(zone.intake.refused) == {"stale_sequence": 1}

    def test_a_flood_is_cut_to_the_newest(self, zone: Zone) -> None:
        flood = 5 * ROWS_PER_ENTITY
        zone.take_input("gtw_a", b"".join(move(0, n, 50 + n / 100, 50) for n in range(1, flood + 1)))
        view = tick(zone, 0.1)["gtw_a"][0]
        assert view.ack == flood
        assert at(zone, "ann")[0] == pytest.approx(50 + flood / 100)
        assert zone.intake.applied == ROWS_PER_ENTITY
        assert zone.intake.dropped["too_many"] == flood - ROWS_PER_ENTITY


class TestDropped:
    """Nothing of these reaches the rules; each is counted by its reason."""

    def dropped(self, zone: Zone) -> dict[str, int]:
        return {reason: count for reason, count in zone.intake.dropped.items() if count}

    @pytest.mark.parametrize("rows", [b"\x00", bytes(23), bytes(25), move(0, 1, 51, 50)[:-1]])
    def test_torn_rows(self, zone: Zone, rows: bytes) -> None:
        zone.take_input("gtw_a", rows)
        assert tick(zone, 0.1) == {}
        assert self.dropped(zone) == {"torn": 1}

    def test_an_empty_batch_is_nothing(self, zone: Zone) -> None:
        zone.take_input("gtw_a", b"")
        assert tick(zone, 0.1) == {}
        assert self.dropped(zone) == {}

    def test_a_gateway_that_nobody_came_from(self, zone: Zone) -> None:
        zone.take_input("gtw_x", move(0, 1, 51, 50))
        assert tick(zone, 0.1) == {}
        assert self.dropped(zone) == {"unknown_gateway": 1}

    def test_a_gateway_that_does_not_have_the_entity(self, zone: Zone) -> None:
        zone.take_input("gtw_b", move(0, 1, 51, 50) + move(1, 1, 53, 50))
        assert tick(zone, 0.1).keys() == {"gtw_a", "gtw_b"}
        assert at(zone, "ann")[0] == 50.0
        assert at(zone, "bob")[0] == 53.0
        assert self.dropped(zone) == {"not_attached": 1}

    def test_the_old_gateway_after_a_move_to_another(self, zone: Zone) -> None:
        zone.take_input("gtw_a", move(0, 1, 51, 50))
        zone.attach("ses_ann", "gtw_b", 2)
        tick(zone, 0.1)
        assert at(zone, "ann")[0] == 50.0
        zone.take_input("gtw_b", move(0, 1, 51, 50))
        tick(zone, 0.2)
        assert at(zone, "ann")[0] == 51.0

    @pytest.mark.parametrize("number", [2, 15, 16, 70_000, 2**32 - 1])
    def test_numbers_that_nobody_has(self, zone: Zone, number: int) -> None:
        zone.take_input("gtw_a", move(number, 1, 51, 50))
        assert tick(zone, 0.1) == {}
        assert self.dropped(zone) == {"not_attached": 1}

    def test_of_the_detached_and_of_those_who_left(self, zone: Zone) -> None:
        zone.take_input("gtw_a", move(0, 1, 51, 50))
        zone.detach("ses_ann", 1)
        zone.take_input("gtw_b", move(1, 1, 51, 50))
        zone.leave("ses_bob")
        tick(zone, 0.1)
        assert at(zone, "ann")[0] == 50.0
        assert self.dropped(zone) == {"not_attached": 2}

    def test_of_those_who_are_being_handed_over(self, zone: Zone) -> None:
        """The next owner begins where they stand now."""
        zone.table.frozen[0] = True
        zone.take_input("gtw_a", move(0, 1, 51, 50))
        zone.take_input("gtw_b", move(1, 1, 53, 50))
        assert tick(zone, 0.1).keys() == {"gtw_a", "gtw_b"}
        assert (at_number(zone, 0), at_number(zone, 1)) == (50.0, 53.0)
        assert zone.table.sequence[0] == 0, "not acknowledged"
        assert self.dropped(zone) == {"handed_over": 1}

    def test_more_than_a_tick_can_take(self, zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intake_module, "ROWS_PER_ENTITY", 1)  # sixteen rows in all
        zone.take_input("gtw_a", move(0, 1, 51, 50) * 10)
        zone.take_input("gtw_b", move(1, 1, 53, 50) * 7)
        zone.take_input("gtw_b", move(1, 1, 53, 50) * 6)
        assert self.dropped(zone) == {"overflow": 7}
        tick(zone, 0.1)
        zone.take_input("gtw_b", move(1, 2, 54, 50) * 16)
        assert zone.intake.dropped["overflow"] == 7, "the next tick has room again"


def test_other_rules_from_now_on(zone: Zone) -> None:
    """What waits is judged by them as well."""
    zone.take_input("gtw_a", move(0, 1, 51, 50))
    zone.take_input("gtw_b", move(1, 1, 53, 50))
    zone.intake.use(Rules.of(Bounds(min_x=0, min_z=0, max_x=52, max_z=100), zone.world, EntityTable(1)))
    views = tick(zone, 0.1)
    assert views["gtw_a"][0].correction is None
    correction = views["gtw_b"][1].correction
    assert correction is not None
    assert correction.reason == "out_of_bounds"
