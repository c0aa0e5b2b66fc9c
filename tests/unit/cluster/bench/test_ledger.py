"""The ledger counts what is a delivery, and notices every kind of lie."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from cluster.bench.ledger import Ledger, Seen
from realm_proto import realtime_pb2 as pb

FIRST = 65_500  # sequences pass 65,535 on the way
PLACES = [0.0, 30.0, 52.0, 200.0]  # along x: 1 sees 0 and 2; 0 and 2 are 52 m apart; 3 is alone
STEPS = 100
NUMBERS = [300, 301, 302, 303]


@pytest.fixture
def ledger() -> Ledger:
    """Four clients, each a metre further along z with each step, all in view of whom they should see."""
    truth = np.zeros((STEPS + 1, 4, 2), np.float32)
    truth[:, :, 0] = PLACES
    truth[:, :, 1] = np.arange(STEPS + 1)[:, None]
    made = Ledger(truth, np.full((STEPS + 1, 4), 5, np.uint16), 1.0, FIRST, 50.0)
    for client, number in enumerate(NUMBERS):
        made.learn(client, number)
    made.start(0.0)
    for step in range(1, STEPS + 1):
        made.sent_at[step] = 100.0 * step
    for viewer, others in ((0, [1, 2]), (1, [0, 2]), (2, [0, 1])):
        made.take([view(viewer, 0, states=others)])
    made.measuring = True
    return made


def row(client: int, step: int, **lie: float) -> bytes:
    fields = {"x": PLACES[client], "y": 1.0, "z": float(step), "yaw": 5, "number": NUMBERS[client]} | lie
    sequence = (FIRST + step) & 0xFFFF
    return struct.pack(
        "<HHfffH", int(fields["number"]), sequence, fields["x"], fields["y"], fields["z"], int(fields["yaw"])
    )


def view(viewer: int, ack: int, *rows: bytes, at: float = 0.0, states: list[int] | None = None, **more: object) -> Seen:
    frame = pb.ViewFrame(ack=FIRST + ack, moves=b"".join(rows), **more)  # type: ignore[arg-type]
    for client in states or ():
        frame.states.add(number=NUMBERS[client])
    return viewer, at, 10, frame


def test_a_newer_update_is_a_delivery_and_its_latency_is_from_the_send(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(0, 3), row(2, 3), at=342.0)])
    assert ledger.counts.deliveries == 2
    assert ledger.percentile_ms(50) == pytest.approx(42.0, abs=0.11)
    assert (ledger.counts.frames, ledger.counts.wire_bytes) == (1, 10)
    assert ledger.faults.wrong == 0


def test_the_same_or_an_older_one_is_none(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(0, 3)), view(1, 3, row(0, 3)), view(1, 4, row(0, 2)), view(1, 5, row(0, 5))])
    assert ledger.counts.deliveries == 2
    assert ledger.counts.updates == 4
    assert ledger.faults.wrong == 0


def test_sequences_wrap(ledger: Ledger) -> None:
    ledger.take([view(1, 35, row(0, 35)), view(1, 36, row(0, 36))])
    assert ledger.counts.deliveries == 2


def test_beyond_the_radius_is_counted_apart(ledger: Ledger) -> None:
    """0 and 2 are 52 m apart, which hysteresis allows to be seen."""
    ledger.take([view(0, 3, row(1, 3), row(2, 3))])
    assert (ledger.counts.deliveries, ledger.counts.beyond) == (1, 1)


def test_the_viewer_stands_where_the_zone_had_it(ledger: Ledger) -> None:
    """30 m apart along x and 45 m along z: out of the radius for a viewer whose moves were judged only up to step 0."""
    ledger.take([view(1, 0, row(0, 45))])
    assert (ledger.counts.deliveries, ledger.counts.beyond) == (0, 1)
    ledger.take([view(1, 46, row(0, 46))])
    assert (ledger.counts.deliveries, ledger.counts.beyond) == (1, 1)


@pytest.mark.parametrize("lie", [{"x": 0.001}, {"y": 0.0}, {"z": 4.0}, {"yaw": 7}, {"x": float("nan")}])
def test_an_update_that_is_not_what_was_sent_is_wrong(ledger: Ledger, lie: dict[str, float]) -> None:
    ledger.take([view(1, 3, row(0, 3, **lie))])
    assert (ledger.faults.wrong, ledger.counts.deliveries) == (1, 0)
    assert "viewer 1 about 0" in ledger.faults.examples[0]


def test_a_yaw_may_be_rounded_the_other_way(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(0, 3, yaw=6), row(2, 3, yaw=4))])
    assert ledger.faults.wrong == 0


def test_a_move_that_was_not_made_yet_is_wrong(ledger: Ledger) -> None:
    ledger.sent_at[50:] = np.nan
    ledger.take([view(1, 3, row(0, 50))])
    assert ledger.faults.wrong == 1
    ledger.take([view(1, 3, row(0, STEPS + 1)), view(1, 3, row(0, -1))])
    assert ledger.faults.wrong == 3


def test_being_told_of_oneself_is_wrong(ledger: Ledger) -> None:
    ledger.known[1, 1] = True
    ledger.take([view(1, 3, row(1, 3))])
    assert ledger.faults.wrong == 1


def test_twice_in_one_view_is_wrong(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(0, 3), row(0, 3))])
    assert (ledger.faults.wrong, ledger.counts.deliveries) == (1, 1)


def test_someone_who_is_not_in_view_is_wrong(ledger: Ledger) -> None:
    ledger.take([view(1, 3, leaves=[NUMBERS[0]]), view(1, 4, row(0, 4))])
    assert ledger.faults.wrong == 1
    ledger.take([view(1, 5, row(0, 5), states=[0])])
    assert (ledger.faults.wrong, ledger.counts.deliveries) == (1, 1)


def test_a_reset_forgets_everyone(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(2, 3), states=[2], reset=pb.ViewReset(zone_id="zon_a", epoch=2))])
    assert ledger.faults.wrong == 0
    ledger.take([view(1, 4, row(0, 4))])
    assert ledger.faults.wrong == 1


def test_strangers_are_counted_and_passed_over(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(0, 3, number=9), row(2, 3))])
    assert (ledger.faults.foreign, ledger.faults.wrong, ledger.counts.deliveries) == (1, 0, 1)


def test_only_the_window_is_counted_but_every_lie(ledger: Ledger) -> None:
    ledger.measuring = False
    ledger.take([view(1, 3, row(0, 3), row(2, 3, x=1.0))])
    assert (ledger.counts.deliveries, ledger.counts.frames, ledger.faults.wrong) == (0, 0, 1)
    ledger.measuring = True
    ledger.take([view(1, 3, row(0, 3))])
    assert ledger.counts.deliveries == 0  # it had that one


def test_a_view_that_came_before_the_newcomers_number_was_learnt() -> None:
    """The zone tells the others of a newcomer before the newcomer's own answer is read."""
    ledger = Ledger(np.zeros((2, 3, 2), np.float32), np.zeros((2, 3), np.uint16), 0.0, FIRST, 50.0)
    ledger.learn(0, NUMBERS[0])
    ledger.learn(2, NUMBERS[2])
    for viewer in (0, 2):
        ledger.take([view(viewer, 0, states=[1])])
    ledger.take([view(2, 0, leaves=[NUMBERS[1]])])
    ledger.learn(1, NUMBERS[1])
    assert ledger.known[:, 1].tolist() == [True, False, False]


def test_corrections_are_kept_for_the_way_in_and_counted_on_the_walk(ledger: Ledger) -> None:
    place = pb.Vector3(x=7.0, z=8.0)
    ledger.take([view(1, 3, correction=pb.Correction(position=place, sequence=1, reason="too_fast"))])
    assert ledger.refused[1] == (7.0, 8.0)
    assert ledger.faults.corrections == 1


class TestAfterTheWalk:
    def test_nothing_missing_and_no_ghosts(self, ledger: Ledger) -> None:
        assert ledger.missing_and_ghosts(5.0) == (0, 0)

    def test_the_band_of_hysteresis_may_be_either(self, ledger: Ledger) -> None:
        ledger.take([view(0, 3, leaves=[NUMBERS[2]])])
        assert ledger.missing_and_ghosts(5.0) == (0, 0)

    def test_missing(self, ledger: Ledger) -> None:
        ledger.take([view(0, 3, leaves=[NUMBERS[1]])])
        assert ledger.missing_and_ghosts(5.0) == (1, 0)

    def test_ghosts(self, ledger: Ledger) -> None:
        ledger.take([view(0, 3, states=[3])])
        assert ledger.missing_and_ghosts(5.0) == (0, 1)
        assert ledger.missing_and_ghosts(1.0) == (0, 3)  # 0 and 2 know each other at 52 m

    def test_places_are_the_last_ones_sent(self, ledger: Ledger) -> None:
        """Client 0 stopped at step 20: 80 m behind the others it is out of everyone's sight."""
        ledger.sent_at[21:, 0] = np.nan
        assert ledger.missing_and_ghosts(5.0) == (0, 4)
