"""Whom the drill kills, and what it reports."""

from __future__ import annotations

import pytest

from cluster.bench.crew import Recovery
from cluster.bench.kills import Fault, choose
from cluster.bench.realm_under_test import Member
from cluster.errors import Ours

LISTED = [
    Member("gateway", "gw_1", 1),
    Member("zone", "zone/zon_forest", 2),
    Member("zone", "zone/zon_meadow", 3),
    Member("sessions", "sessions/0", 4),
]


def test_a_zone_with_bots_in_it() -> None:
    assert choose("zone", LISTED, {"zon_meadow", ""}).pid == 3
    assert choose("zone", LISTED, {""}).pid == 2
    assert choose("gateway", LISTED, {"zon_meadow"}).pid == 1
    with pytest.raises(Ours, match="presence"):
        choose("presence", LISTED, set())


def test_the_views_tell_of_the_hot_lane_and_a_request_of_the_rest() -> None:
    seen = Fault("zone", "zone/a", Recovery((0.5, 1.2345), True), None, True, 0)
    assert seen.recovery_ms() == {"p50": 867, "max": 1234}
    assert seen.as_dict()["bots_hit"] == 2
    asked = Fault("sessions", "sessions/0", Recovery((), True), 1.5, True, 0)
    assert asked.recovery_ms() == {"p50": 1500, "max": 1500}


@pytest.mark.parametrize(
    ("recovered", "restarted", "logins", "good"),
    [(True, True, 0, True), (False, True, 0, False), (True, False, 0, False), (True, True, 1, False)],
)
def test_what_a_good_end_is(recovered: bool, restarted: bool, logins: int, good: bool) -> None:
    assert Fault("zone", "z", Recovery((), recovered), None, restarted, logins).good is good
