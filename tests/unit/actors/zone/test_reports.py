"""What a zone says of itself (row 7.3)."""

from __future__ import annotations

import numpy as np
import pytest

from actors.zone import reports
from actors.zone.ticktimes import KEPT, TickTimes
from realm_proto import internal_pb2
from tests.unit.actors.zone_model import arrival, make_zone


def test_tick_times_are_of_the_last_half_minute() -> None:
    times = TickTimes(0.05)
    assert (times.p95_ms(), times.p50_ms(), times.overruns) == (0.0, 0.0, 0)
    times.add(0.2)
    assert times.p95_ms() == pytest.approx(200.0)
    for _ in range(KEPT):
        times.add(0.01)
    assert times.p95_ms() == pytest.approx(10.0)
    for _ in range(KEPT // 10):
        times.add(0.06)
    assert times.p95_ms() == pytest.approx(60.0)
    assert times.overruns == 1 + KEPT // 10
    assert times.p50_ms() == pytest.approx(10.0)


def test_positions_are_pairs_of_float32_of_own_entities() -> None:
    zone = make_zone()
    assert reports.positions(zone) == b""
    for n in range(3):
        zone.enter(arrival(f"p{n}", x=10.0 * n, z=5.0), 0.0)
    zone.table.by_number[1].owner = "zon_other"
    zone.table.own(1)
    ground = np.frombuffer(reports.positions(zone), "<f4").reshape(-1, 2)
    assert ground.tolist() == [[0.0, 5.0], [20.0, 5.0]]
    said = reports.describe(zone, TickTimes(0.05))
    assert (said["population"], said["ghosts"], said["room"]) == (2, 1, zone.table.capacity - 3)
    assert reports.nothing(0, 0).keys() | {"map_version"} == said.keys()


def test_who_asked_is_told_that_the_zone_ticks_and_what_it_has_sent() -> None:
    zone = make_zone(epoch=3)
    zone.enter(arrival("ann", gateway="gtw_a"), 0.0)
    zone.tick(0.05)
    answers = {
        gateway: internal_pb2.GatewayControl.FromString(data).probe
        for gateway, data in reports.probed(zone, {"gtw_a": 7, "gtw_b": 8})
    }
    assert {gateway: (probe.number, probe.epoch, probe.part) for gateway, probe in answers.items()} == {
        "gtw_a": (7, 3, f"zone:{zone.id}"),
        "gtw_b": (8, 3, f"zone:{zone.id}"),
    }
    assert answers["gtw_a"].outputs == 1
    assert answers["gtw_b"].outputs == 0
