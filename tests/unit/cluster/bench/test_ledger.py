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
    made.newest[:] = STEPS
    for viewer, others in ((0, [1, 2]), (1, [0, 2]), (2, [0, 1])):
        made.take([view(viewer, 0, states=others)])
    made.measuring = True
    return made


def row(client: int, step: int, **lie: float) -> bytes:
    """A place."""
    fields = {"x": PLACES[client], "y": 1.0, "z": float(step), "yaw": 5, "number": NUMBERS[client]} | lie
    x, y, z = (round(fields[axis] * 100) for axis in "xyz")
    return struct.pack("<HHiiiH", int(fields["number"]), (FIRST + step) & 0xFFFF, x, y, z, int(fields["yaw"]))


def move(client: int, step: int, dz: int = 100, yaw: int = 5, number: int = -1) -> bytes:
    """From the place of the step before, if nothing else is said."""
    number = NUMBERS[client] if number < 0 else number
    return struct.pack("<HBbbbH", number, (FIRST + step) & 0xFF, 0, 0, dz, yaw)


def view(viewer: int, ack: int, *rows: bytes, at: float = 0.0, states: list[int] | None = None, **more: object) -> Seen:
    """Rows are told apart by their length."""
    places, moves = (b"".join(row for row in rows if len(row) == size) for size in (18, 8))
    frame = pb.ViewFrame(ack=FIRST + ack, places=places, moves=moves, **more)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("lie", [{"x": 0.02}, {"y": 0.0}, {"z": 4.0}, {"z": -3.0}, {"yaw": 7}])
def test_an_update_that_is_not_what_was_sent_is_wrong(ledger: Ledger, lie: dict[str, float]) -> None:
    ledger.take([view(1, 3, row(0, 3, **lie))])
    assert (ledger.faults.wrong, ledger.counts.deliveries) == (1, 0)
    assert "viewer 1 about 0" in ledger.faults.examples[0]


def test_a_centimetre_is_rounding(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(0, 3, x=0.01, z=2.99), row(2, 3, y=1.01))])
    assert (ledger.faults.wrong, ledger.counts.deliveries) == (0, 2)


class TestMoves:
    def test_they_go_on_from_what_the_viewer_holds(self, ledger: Ledger) -> None:
        ledger.take(
            [view(1, 3, row(0, 3)), view(1, 4, move(0, 4)), view(1, 6, move(0, 6, 100), move(0, 6, 100), at=642.0)]
        )
        assert (ledger.faults.wrong, ledger.counts.deliveries) == (0, 3)
        assert (ledger.counts.updates, ledger.counts.places) == (4, 1)
        assert ledger.percentile_ms(100) == pytest.approx(42.0, abs=0.11)

    def test_a_place_and_moves_of_one_entity_in_a_view(self, ledger: Ledger) -> None:
        ledger.take([view(1, 5, row(0, 3), move(0, 4), move(0, 5))])
        assert (ledger.faults.wrong, ledger.counts.deliveries) == (0, 1)

    def test_those_of_several_viewers_in_one_round(self, ledger: Ledger) -> None:
        ledger.take([view(1, 3, row(0, 3), row(2, 3)), view(0, 3, row(1, 3))])
        ledger.take([view(1, 4, move(0, 4), move(2, 4)), view(0, 4, move(1, 4))])
        assert (ledger.faults.wrong, ledger.counts.deliveries) == (0, 6)

    def test_without_a_place_there_is_nothing_to_go_on_from(self, ledger: Ledger) -> None:
        ledger.take([view(1, 4, move(0, 4, 127))])
        assert (ledger.faults.wrong, ledger.counts.deliveries) == (1, 0)

    def test_a_leave_and_a_reset_take_the_place_away(self, ledger: Ledger) -> None:
        ledger.take([view(1, 3, row(0, 3), row(2, 3))])
        ledger.take([view(1, 4, move(0, 4), leaves=[NUMBERS[0]], states=[0])])
        assert ledger.faults.wrong == 1
        ledger.take([view(1, 4, move(2, 4), states=[2], reset=pb.ViewReset(zone_id="zon_a", epoch=2))])
        assert ledger.faults.wrong == 2

    @pytest.mark.parametrize(("dz", "yaw"), [(98, 5), (102, 5), (0, 5), (100, 7)])
    def test_one_that_is_not_what_was_sent(self, ledger: Ledger, dz: int, yaw: int) -> None:
        ledger.take([view(1, 3, row(0, 3)), view(1, 4, move(0, 4, dz, yaw))])
        assert (ledger.faults.wrong, ledger.counts.deliveries) == (1, 1)

    def test_one_that_got_lost_is_found_by_the_next(self, ledger: Ledger) -> None:
        ledger.take([view(1, 3, row(0, 3)), view(1, 5, move(0, 5))])
        assert ledger.faults.wrong == 1

    def test_eight_bits_are_the_newest_move_that_ends_in_them(self) -> None:
        """The 300th move, though the 44th ends in the same bits; and none that was not made yet."""
        truth = np.zeros((401, 2, 2), np.float32)
        truth[:, 1, 0] = np.arange(401) * 0.1
        ledger = Ledger(truth, np.zeros((401, 2), np.uint16), 0.0, 20_000, 50.0)
        for client in (0, 1):
            ledger.learn(client, 7 + client)
        ledger.start(0.0)
        ledger.sent_at[:301] = 5.0
        ledger.newest[:] = 300
        ledger.measuring = True
        frame = pb.ViewFrame(ack=20_300)
        frame.states.add(number=8)
        frame.places = struct.pack("<HHiiiH", 8, 20_299, 2990, 0, 0, 0)
        frame.moves = struct.pack("<HBbbbH", 8, 20_300 & 0xFF, 10, 0, 0, 0)
        ledger.take([(0, 9.0, 10, frame)])
        assert (ledger.faults.wrong, ledger.counts.deliveries) == (0, 1)
        frame = pb.ViewFrame(ack=20_300, moves=struct.pack("<HBbbbH", 8, 20_301 & 0xFF, 10, 0, 0, 0))
        ledger.take([(0, 9.0, 10, frame)])
        assert ledger.faults.wrong == 1


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
    ledger.take([view(1, 3, row(1, 3), states=[1])])
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
    stranger = view(1, 3, row(0, 3, number=9), row(2, 3), row(0, 3, number=10), move(0, 3, number=11))
    stranger[3].states.add(number=9)
    ledger.take([stranger])
    assert (ledger.faults.foreign, ledger.faults.wrong, ledger.counts.deliveries) == (3, 0, 1)


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
    place = struct.pack("<HHiiiH", NUMBERS[1], FIRST - 1, 0, 0, -1, 0)
    ledger.take([view(0, 0, place)])
    ledger.learn(1, NUMBERS[1])
    known = ledger.holdings.known.reshape(3, -1)[:, ledger.holdings.column(1)]
    assert known.tolist() == [True, False, False]
    ledger.start(0.0)
    ledger.take([view(0, 0, move(1, 0, dz=1, yaw=0))])
    assert ledger.faults.wrong == 0


def test_the_own_state_is_nobody_in_view(ledger: Ledger) -> None:
    """It comes with the reset that says which it is, before anyone has learnt it."""
    ledger.take([view(1, 3, states=[1, 0], reset=pb.ViewReset(zone_id="zon_a", epoch=2, number=NUMBERS[1]))])
    columns = [ledger.holdings.column(client) for client in range(4)]
    assert ledger.holdings.known.reshape(4, -1)[1, columns].tolist() == [True, False, False, False]


def test_all_bytes_are_counted(ledger: Ledger) -> None:
    ledger.take([view(1, 3, row(0, 3))], other_bytes=32)
    ledger.take([], other_bytes=8)
    assert ledger.counts.wire_bytes == 50


def test_more_strangers_than_there_is_room_for(ledger: Ledger) -> None:
    for number in range(1_000, 1_200):
        frame = pb.ViewFrame(ack=FIRST, places=row(0, 3, number=number))
        frame.states.add(number=number)
        ledger.take([(1, 0.0, 10, frame)])
    assert (ledger.faults.foreign, ledger.faults.wrong) == (200, 0)


class TestZones:
    """Two clients in each of two zones that use the same numbers."""

    @pytest.fixture
    def two(self) -> Ledger:
        truth = np.zeros((STEPS + 1, 4, 2), np.float32)
        truth[:, :, 0] = [0.0, 1_000.0, 20.0, 1_020.0]
        truth[:, :, 1] = np.arange(STEPS + 1)[:, None]
        made = Ledger(truth, np.full((STEPS + 1, 4), 5, np.uint16), 1.0, FIRST, 50.0, np.array([0, 1, 0, 1]))
        for client in range(4):
            made.learn(client, 300 + client // 2)
        made.start(0.0)
        made.sent_at[:] = 0.0
        made.newest[:] = STEPS
        made.measuring = True
        return made

    def told(self, viewer: int, x: float, number: int = 301) -> Seen:
        frame = pb.ViewFrame(ack=FIRST + 3, places=row(0, 3, x=x, number=number))
        frame.states.add(number=number)
        return viewer, 0.0, 10, frame

    def test_a_number_is_whoever_has_it_in_the_viewers_zone(self, two: Ledger) -> None:
        two.take([self.told(0, 20.0), self.told(1, 1_020.0)])
        assert (two.faults.wrong, two.counts.deliveries) == (0, 2)
        assert two.missing_and_ghosts(5.0) == (2, 0)  # 2 and 3 were told of nobody
        two.take([self.told(2, 0.0, 300), self.told(3, 1_000.0, 300)])
        assert two.missing_and_ghosts(5.0) == (0, 0)

    def test_who_is_in_the_other_zone_is_wrong_here(self, two: Ledger) -> None:
        two.take([self.told(0, 1_020.0)])
        assert two.faults.wrong == 1


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
