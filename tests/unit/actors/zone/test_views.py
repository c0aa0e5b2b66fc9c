"""From edges to messages: one per gateway, each row and state once (DESIGN, "A position update")."""

from __future__ import annotations

import numpy as np

from actors.zone.interest import NOTHING, SHIFT, Change
from actors.zone.views import Columns, Tick, encode_moves, outputs
from realm_proto import internal_pb2
from tests.unit.actors.zone_model import ROW, View, read

SIZE = 8


class Stage:
    """A table of eight entities; `gateway[n]` is -1 for one without a viewer."""

    def __init__(self, *gateway: int) -> None:
        position = np.arange(SIZE * 3, dtype=np.float32).reshape(SIZE, 3)
        self.columns = Columns(
            position,
            np.linspace(0, 3, SIZE).astype(np.float32),
            (np.arange(SIZE) + 65_530).astype(np.uint32),
            np.array([*gateway, *[-1] * (SIZE - len(gateway))], np.int32),
        )
        self.tick = Tick(np.zeros(SIZE, bool), np.zeros(SIZE, bool))
        self.asked: list[int] = []

    def state_of(self, number: int) -> bytes:
        self.asked.append(number)
        return bytes([8, number])  # EntityState.number

    def run(
        self,
        edges: list[tuple[int, int]],
        entered: list[tuple[int, int]] | None = None,
        ended: list[tuple[int, int]] | None = None,
    ) -> dict[int, internal_pb2.ZoneOutput]:
        def array(pairs: list[tuple[int, int]]) -> np.ndarray:
            return np.array(sorted(v << SHIFT | s for v, s in pairs), np.int64) if pairs else NOTHING

        held = array(edges)
        change = Change(held, np.isin(held, array(entered or [])), array(ended or []))
        return outputs(change, self.tick, self.columns, [0, 1], self.state_of)

    def views(
        self,
        edges: list[tuple[int, int]],
        entered: list[tuple[int, int]] | None = None,
        ended: list[tuple[int, int]] | None = None,
    ) -> dict[int, dict[int, View]]:
        made = self.run(edges, entered, ended)
        return {gateway: read(out.SerializeToString()) for gateway, out in made.items()}


def test_rows_are_what_the_protocol_says() -> None:
    stage = Stage()
    numbers = np.array([1, 7])
    found = list(ROW.iter_unpack(encode_moves(stage.columns, numbers)))
    yaws = [round(float(yaw) * 65536 / (2 * np.pi)) for yaw in stage.columns.yaw[numbers]]
    assert found == [(1, 65_531, 3.0, 4.0, 5.0, yaws[0]), (7, 1, 21.0, 22.0, 23.0, yaws[1])]


def test_without_news_there_is_no_message() -> None:
    assert Stage(0, 1).run([(0, 1), (1, 0)]) == {}


def test_a_move_goes_to_those_who_see_it() -> None:
    stage = Stage(0, 0, 1, 0)
    stage.tick.moved[1] = True
    found = stage.views([(0, 1), (1, 0), (2, 1), (3, 0)])
    assert {g: {v: view.numbers for v, view in views.items()} for g, views in found.items()} == {
        0: {0: [1]},
        1: {2: [1]},
    }


def test_each_row_is_in_a_message_once_however_many_see_it() -> None:
    stage = Stage(0, 0, 0, 0)
    stage.tick.moved[:3] = True
    out = stage.run([(v, s) for v in range(4) for s in range(3) if v != s])[0]
    assert len(out.moves) == 3 * 18
    assert len(out.move_index) == 4 * 9
    assert {v: view.numbers for v, view in read(out.SerializeToString()).items()} == {
        0: [1, 2],
        1: [0, 2],
        2: [0, 1],
        3: [0, 1, 2],
    }


def test_what_comes_into_view_has_a_state_and_a_row_though_it_did_not_move() -> None:
    stage = Stage(0, 0, 1)
    found = stage.views([(0, 1), (1, 0), (2, 1)], entered=[(0, 1), (2, 1)])
    for gateway, viewer in ((0, 0), (1, 2)):
        view = found[gateway][viewer]
        assert [state.number for state in view.states] == [1]
        assert view.numbers == [1]
        assert view.reset is None
    assert stage.asked == [1, 1], "once for each gateway"
    assert 1 not in found[0], "it saw the other before"


def test_a_changed_state_goes_to_all_who_see_it_without_a_row() -> None:
    stage = Stage(0, 0, 0)
    stage.tick.restated = {2}
    found = stage.views([(0, 2), (1, 2), (2, 0), (2, 1)])[0]
    assert found.keys() == {0, 1}
    for view in found.values():
        assert [state.number for state in view.states] == [2]
        assert view.numbers == []


def test_a_state_that_enters_and_changed_is_sent_once() -> None:
    stage = Stage(0)
    stage.tick.restated = {2}
    assert [s.number for s in stage.views([(0, 2)], entered=[(0, 2)])[0][0].states] == [2]


def test_leaves_go_to_living_viewers_only() -> None:
    stage = Stage(0, -1, 1)
    found = stage.views([], ended=[(0, 3), (0, 4), (1, 3), (2, 4)])
    assert {g: {v: view.leaves for v, view in views.items()} for g, views in found.items()} == {
        0: {0: [3, 4]},
        1: {2: [4]},
    }


def test_a_fresh_viewer_starts_from_nothing_even_alone() -> None:
    stage = Stage(0)
    stage.tick.fresh = {0: 4}
    stage.columns.sequence[0] = 9
    view = stage.views([])[0][0]
    assert view.reset is not None
    assert view.attach_epoch == 4
    assert (view.ack, view.moves, view.states, view.leaves) == (9, [], [], [])


def test_acks_are_whole_sequences_and_go_to_the_mover() -> None:
    stage = Stage(0, 1)
    stage.columns.sequence[:2] = (4_000_000_000, 70_000)
    stage.tick.acked[:2] = True
    found = stage.views([])
    assert found[0][0].ack == 4_000_000_000
    assert found[1][1].ack == 70_000


def test_the_ack_of_a_detached_mover_goes_to_nobody() -> None:
    stage = Stage(-1, 0)
    stage.tick.acked[0] = True
    assert stage.views([]) == {}


def test_a_correction_goes_to_its_owner() -> None:
    from realm_proto import realtime_pb2

    stage = Stage(0, 0)
    stage.tick.corrections = {1: realtime_pb2.Correction(sequence=5, reason="too_fast").SerializeToString()}
    found = stage.views([(0, 1), (1, 0)])[0]
    assert found.keys() == {1}
    assert found[1].correction is not None
    assert (found[1].correction.sequence, found[1].correction.reason) == (5, "too_fast")
    assert found[1].reset is None


def test_everything_at_once() -> None:
    stage = Stage(0, 0, 1)
    stage.tick.moved[[1, 4]] = True
    stage.tick.acked[1] = True
    stage.tick.fresh = {0: 2}
    stage.tick.restated = {4}
    found = stage.views([(0, 1), (0, 4), (1, 4), (2, 4)], entered=[(0, 1), (0, 4)], ended=[(1, 5), (2, 5)])
    zero, one, two = found[0][0], found[0][1], found[1][2]
    assert (zero.numbers, [s.number for s in zero.states], zero.leaves, bool(zero.reset)) == ([1, 4], [1, 4], [], True)
    assert (one.numbers, [s.number for s in one.states], one.leaves, bool(one.reset)) == ([4], [4], [5], False)
    assert (two.numbers, [s.number for s in two.states], two.leaves, bool(two.reset)) == ([4], [4], [5], False)
