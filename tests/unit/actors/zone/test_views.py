"""From a tick's news to messages: one per gateway, each row and state once (DESIGN, "A position update")."""

from __future__ import annotations

import numpy as np
import pytest

from actors.zone.entities import Entity, EntityTable
from actors.zone.interest import NOTHING, SHIFT
from actors.zone.pacing import Turn
from actors.zone.views import Beginning, Broadcast, News, encode_correction, outputs
from realm_proto import internal_pb2, realtime_pb2
from tests.unit.actors.showing_model import MOVE_ROW, PLACE_ROW, View, read

SIZE = 8
Pairs = list[tuple[int, int]]


def table_of(*gateway: int) -> EntityTable:
    """Eight entities; `gateway[n]` is -1 for one without a viewer."""
    table = EntityTable(SIZE)
    for n in range(SIZE):
        entity = Entity(table.next_number(), n, f"ent_{n}", "player", "", f"ses_{n}", "", "", "", 1)
        table.add(entity, 3.0 * n, 3.0 * n + 1, 3.0 * n + 2, 3.0 * n / (SIZE - 1), 65_530 + n, 0.0, 0.0)
    table.gateway[: len(gateway)] = gateway
    return table


class TestBroadcast:
    def setup_method(self) -> None:
        self.table = table_of()
        self.said = Broadcast(self.table)
        self.say(seen=[*range(SIZE)])

    def say(self, moved: list[int] | None = None, seen: list[int] | None = None) -> tuple[list[int], list[int]]:
        """Numbers: who has news, and for whom a step says it."""
        mask = np.zeros(SIZE, bool)
        mask[moved or []] = True
        news, steps = self.said.say(mask, np.array(seen or [], np.int64))
        return np.flatnonzero(news).tolist(), np.flatnonzero(steps).tolist()

    def walk(self, number: int, dx: float, dy: float = 0.0, dz: float = 0.0, hop: int = 1) -> None:
        self.table.position[number] += np.array([dx, dy, dz], np.float32)
        self.table.sequence[number] += np.uint32(hop)

    def move_of(self, number: int) -> tuple[int, ...]:
        return MOVE_ROW.unpack(self.said.moves[number].tobytes())

    def place_of(self, number: int) -> tuple[int, ...]:
        return PLACE_ROW.unpack(self.said.places[number].tobytes())

    def test_a_place_is_what_the_protocol_says(self) -> None:
        yaws = [round(float(yaw) * 65536 / (2 * np.pi)) for yaw in self.table.yaw]
        assert self.place_of(1) == (1, 65_531, 300, 400, 500, yaws[1])
        assert self.place_of(7) == (7, 1, 2100, 2200, 2300, yaws[7])

    def test_a_step_is_what_the_protocol_says(self) -> None:
        self.walk(7, 0.25, -0.5, 1.27, hop=2)
        self.table.yaw[7] = np.pi
        assert self.say([7]) == ([7], [7])
        assert self.move_of(7) == (7, 3, 25, -50, 127, 32_768)
        assert self.place_of(7) == (7, 3, 2125, 2150, 2427, 32_768)

    @pytest.mark.parametrize(("metres", "fits"), [(1.27, True), (-1.27, True), (1.28, False), (-1.29, False)])
    def test_a_jump_is_no_step(self, metres: float, fits: bool) -> None:
        self.walk(2, metres)
        assert self.say([2]) == ([2], [2] if fits else [])
        assert self.place_of(2)[2] == 600 + round(metres * 100)

    @pytest.mark.parametrize(("hop", "fits"), [(0, True), (32, True), (33, False), (256, False), (65_537, True)])
    def test_a_sequence_that_leaps_is_no_step(self, hop: int, fits: bool) -> None:
        """Only 16 bits are ever said: a leap of 65,537 is one of 1."""
        self.walk(0, 0.1, hop=hop)
        assert self.say([0]) == ([0], [0] if fits else [])
        assert self.place_of(0)[1] == 65_530 + hop & 0xFFFF

    def test_a_sequence_that_goes_back_is_no_step(self) -> None:
        self.table.sequence[3] -= np.uint32(1)
        assert self.say([3]) == ([3], [])

    def test_steps_add_up_without_drift(self) -> None:
        """Thirds of a centimetre: the steps' sum is the rounded place, always."""
        x = self.place_of(4)[2]
        for _ in range(1_000):
            self.walk(4, 1 / 300, dz=-1 / 300)
            assert self.say([4]) == ([4], [4])
            x += self.move_of(4)[2]
            assert x == self.place_of(4)[2] == round(float(self.table.position[4, 0]) * 100)

    def test_who_stood_still_has_news_if_it_said_so(self) -> None:
        assert self.say([5]) == ([5], [5])
        assert self.move_of(5)[2:5] == (0, 0, 0)

    def test_who_is_seen_anew_has_news_only_if_it_stands_elsewhere(self) -> None:
        assert self.say(seen=[1, 2]) == ([], [])
        self.walk(1, 0.1, hop=0)
        self.table.yaw[2] += 1.0
        assert self.say(seen=[1, 2, 3]) == ([1, 2], [1, 2])

    def test_nobody(self) -> None:
        assert self.say() == ([], [])

    def test_further_than_a_row_can_say(self) -> None:
        self.table.position[0] = 1e9
        assert self.say([0]) == ([0], [])
        assert self.place_of(0)[2:5] == (2**31 - 1,) * 3
        assert self.say([0]) == ([0], [0])


def test_a_correction_says_where_the_entity_really_is() -> None:
    found = realtime_pb2.Correction.FromString(encode_correction(table_of(), 2, "too_fast"))
    assert (found.sequence, found.reason, found.position.x, found.position.z) == (65_532, "too_fast", 6.0, 8.0)


class Stage:
    """Two gateways, 0 and 1."""

    def __init__(self, *gateway: int) -> None:
        self.table = table_of(*gateway)
        self.said = Broadcast(self.table)
        self.said.say(np.ones(SIZE, bool), NOTHING)
        self.acked = np.zeros(SIZE, bool)
        self.fresh: dict[int, Beginning] = {}
        self.corrections: dict[int, bytes] = {}
        self.asked: list[int] = []

    def state_of(self, key: int) -> bytes:
        self.asked.append(key)
        return realtime_pb2.EntityState(number=key).SerializeToString()

    def run(
        self,
        steps: Pairs | None = None,
        places: Pairs | None = None,
        states: Pairs | None = None,
        ended: Pairs | None = None,
    ) -> dict[int, internal_pb2.ZoneOutput]:
        """Each a list of (viewer, entity), or (viewer, key)."""
        edges = sorted({*(steps or []), *(places or [])})
        turn = Turn(
            np.array([v for v, _ in edges], np.int64),
            np.array([s for _, s in edges], np.int64),
            np.array([edge in (steps or []) for edge in edges], bool),
            np.array([edge in (places or []) for edge in edges], bool),
        )
        told = sorted(states or [])
        news = News(
            self.acked,
            np.array([v for v, _ in told], np.int64),
            np.array([key for _, key in told], np.int64),
            np.array(sorted(v << SHIFT | s for v, s in ended or []), np.int64),
            self.fresh,
            self.corrections,
        )
        return outputs(turn, news, self.said, self.table, [0, 1], self.state_of)

    def views(self, **pairs: Pairs) -> dict[int, dict[int, View]]:
        return {gateway: read(out.SerializeToString()) for gateway, out in self.run(**pairs).items()}


class TestOutputs:
    def test_without_news_there_is_no_message(self) -> None:
        assert Stage(0, 1).run() == {}

    def test_rows_go_to_those_they_are_for(self) -> None:
        found = Stage(0, 0, 1, 0).views(steps=[(0, 1), (2, 1)], places=[(0, 5), (3, 6)])
        told = {
            g: {v: ([r[0] for r in view.moves], [r[0] for r in view.places]) for v, view in views.items()}
            for g, views in found.items()
        }
        assert told == {0: {0: ([1], [5]), 3: ([], [6])}, 1: {2: ([1], [])}}

    def test_each_row_is_in_a_message_once_however_many_see_it(self) -> None:
        out = Stage(0, 0, 0, 0).run(
            steps=[(v, s) for v in range(4) for s in range(3) if v != s], places=[(v, 5) for v in range(4)]
        )[0]
        assert (len(out.moves), len(out.move_index)) == (3 * 8, 4 * 9)
        assert (len(out.places), len(out.place_index)) == (18, 4 * 4)

    def test_without_places_nothing_is_said_of_them(self) -> None:
        out = Stage(0, 0).run(steps=[(0, 1)])[0]
        assert (out.places, out.place_end, out.place_index) == (b"", b"", b"")

    def test_states_go_to_those_who_are_told_each_asked_for_once_a_gateway(self) -> None:
        stage = Stage(0, 0, 1)
        found = stage.views(states=[(0, 9), (0, 4), (1, 9), (2, 9)])
        assert {v: [s.number for s in view.states] for v, view in found[0].items()} == {0: [4, 9], 1: [9]}
        assert {v: [s.number for s in view.states] for v, view in found[1].items()} == {2: [9]}
        assert stage.asked == [4, 9, 9]

    def test_leaves_go_to_living_viewers_only(self) -> None:
        found = Stage(0, -1, 1).views(ended=[(0, 3), (0, 4), (1, 3), (2, 4)])
        assert {g: {v: view.leaves for v, view in views.items()} for g, views in found.items()} == {
            0: {0: [3, 4]},
            1: {2: [4]},
        }

    def test_a_fresh_viewer_starts_from_nothing_even_alone(self) -> None:
        stage = Stage(0, 1)
        stage.fresh = {0: Beginning(4), 1: Beginning(5, "ses_b", 3)}
        stage.table.sequence[0] = 9
        found = stage.views()
        zero, one = found[0][0], found[1][1]
        assert zero.reset is not None
        assert (zero.attach_epoch, zero.session_id, zero.transfer, zero.ack) == (4, "", 0, 9)
        assert (one.attach_epoch, one.session_id, one.transfer) == (5, "ses_b", 3)

    def test_acks_are_whole_sequences_and_go_to_the_mover(self) -> None:
        stage = Stage(0, 1, -1)
        stage.table.sequence[:2] = (4_000_000_000, 70_000)
        stage.acked[:3] = True
        found = stage.views()
        assert {g: {v: view.ack for v, view in views.items()} for g, views in found.items()} == {
            0: {0: 4_000_000_000},
            1: {1: 70_000},
        }

    def test_a_correction_goes_to_its_owner(self) -> None:
        stage = Stage(0, 0)
        stage.corrections = {1: realtime_pb2.Correction(sequence=5, reason="too_fast").SerializeToString()}
        found = stage.views()[0]
        assert found.keys() == {1}
        assert found[1].correction is not None
        assert (found[1].correction.sequence, found[1].correction.reason) == (5, "too_fast")
        assert found[1].reset is None

    def test_everything_at_once(self) -> None:
        stage = Stage(0, 0, 1)
        stage.acked[1] = True
        stage.fresh = {0: Beginning(2)}
        found = stage.views(
            steps=[(1, 4), (2, 4)], places=[(0, 1), (0, 4)], states=[(0, 1), (0, 4), (1, 4)], ended=[(1, 5), (2, 5)]
        )
        zero, one, two = found[0][0], found[0][1], found[1][2]
        assert (zero.numbers, [s.number for s in zero.states], zero.leaves, bool(zero.reset)) == (
            [1, 4],
            [1, 4],
            [],
            True,
        )
        assert (one.numbers, [s.number for s in one.states], one.leaves, bool(one.reset)) == ([4], [4], [5], False)
        assert (two.numbers, [s.number for s in two.states], two.leaves, bool(two.reset)) == ([4], [], [5], False)
