"""Views that wait, merged: the rules one by one; that they mean the same as all of them is in test_merging.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from actors.zone.rows import MAX_HOP, MOVE_OUT, PLACE_OUT
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.pending import MOVE, PLACE, PendingView
from serve_apps.gateway.views import View
from tests.unit.actors.showing_model import MOVE_ROW, PLACE_ROW


def a_view(moves: bytes = b"", tick: int = 1, **rest: Any) -> View:
    return View(tick.to_bytes(4, "little"), tick.to_bytes(4, "little"), moves, **rest)


def state(number: int, version: int = 1, **properties: Any) -> bytes:
    text = orjson.dumps(properties).decode() if properties else ""
    return pb.EntityState(
        number=number, entity_id=f"ent_{number}", version=version, properties_json=text
    ).SerializeToString()


def change(number: int, version: int, link_dead: bool = False, **properties: Any) -> bytes:
    text = orjson.dumps(properties).decode() if properties else ""
    return pb.EntityState(
        number=number, version=version, properties_json=text, change=True, link_dead=link_dead
    ).SerializeToString()


def step(number: int, dx: int = 1, sequence: int = 1, yaw: int = 0) -> bytes:
    return MOVE_ROW.pack(number, sequence, dx, 0, 0, yaw)


def place(number: int, x: int = 0, sequence: int = 1, yaw: int = 0) -> bytes:
    return PLACE_ROW.pack(number, sequence, x, 0, 0, yaw)


def taken(*added: View) -> View:
    pending = PendingView()
    for view in added:
        pending.add(view)
    found = pending.take()
    assert found is not None
    return found


def states_of(view: View) -> list[tuple[int, int, bool, dict[str, Any]]]:
    said = [pb.EntityState.FromString(data) for data in view.states]
    return [(s.number, s.version, s.change, orjson.loads(s.properties_json or "{}")) for s in said]


def test_rows_are_those_of_the_zone() -> None:
    for packer, dtype in ((MOVE, MOVE_OUT), (PLACE, PLACE_OUT)):
        values = tuple(range(1, len(dtype.names or ()) + 1))
        assert packer.size == dtype.itemsize
        assert np.frombuffer(packer.pack(*values), dtype)[0].tolist() == values


def test_nothing_gives_nothing() -> None:
    pending = PendingView()
    assert pending.take() is None
    assert not pending


def test_taking_empties_it() -> None:
    pending = PendingView()
    reset = pb.ViewReset(zone_id="z", epoch=2, number=1)
    pending.add(a_view(step(1), states=[state(1)], leaves=[2], correction=b"c", places=place(3), reset=reset))
    assert pending
    assert pending.merged == 1
    pending.take()
    assert not pending
    pending.add(a_view(tick=2))
    assert pending.take() == a_view(tick=2, states=[], leaves=[])


class TestRows:
    def test_steps_add_up(self) -> None:
        merged = taken(a_view(step(1, 5) + step(2, 7)), a_view(step(1, -8, 2, 9), tick=2))
        assert (merged.moves, merged.tick) == (step(1, -3, 2, 9) + step(2, 7), b"\2\0\0\0")

    def test_a_step_onto_a_place_is_a_place(self) -> None:
        merged = taken(a_view(places=place(1, 100, 65_535)), a_view(step(1, -8, 4, 9)))
        assert (merged.moves, merged.places) == (b"", place(1, 92, 4, 9))

    def test_a_place_ends_the_steps_before_it(self) -> None:
        merged = taken(a_view(step(1, 5)), a_view(places=place(1, 100)))
        assert (merged.moves, merged.places) == (b"", place(1, 100))

    def test_within_a_view_places_come_before_steps(self) -> None:
        merged = taken(a_view(step(1, 5, 2), places=place(1, 100)))
        assert (merged.moves, merged.places) == (b"", place(1, 105, 2))

    def test_a_place_stays_on_earth(self) -> None:
        merged = taken(a_view(places=place(1, 2**31 - 1)), a_view(step(1, 100)))
        assert merged.places == place(1, 2**31 - 1)

    @pytest.mark.parametrize(("total", "rows"), [(127, 1), (-127, 1), (128, 2), (-255, 3), (10_000, 79)])
    def test_a_sum_too_long_for_a_row_is_several(self, total: int, rows: int) -> None:
        steps = [100 * (1 if total > 0 else -1)] * (abs(total) // 100)
        steps.append(total - sum(steps))
        merged = taken(*(a_view(step(1, dx, 7)) for dx in steps))
        found = list(MOVE_ROW.iter_unpack(merged.moves))
        assert len(found) == rows
        assert sum(row[2] for row in found) == total
        assert {row[:2] for row in found} == {(1, 7)}

    @pytest.mark.parametrize("first", [0, 1, MAX_HOP])
    @pytest.mark.parametrize("views", [2, 9, 100])
    def test_a_sequence_that_goes_far_is_not_lost(self, first: int, views: int) -> None:
        """Each step says 8 bits; a hundred of them go round more than once."""
        held = truth = 40_000
        added = []
        for at in range(views):
            truth += first if at == 0 else MAX_HOP
            added.append(a_view(step(1, 0, truth % 256)))
        for _, low, *_ in MOVE_ROW.iter_unpack(taken(*added).moves):
            held += (low - held) % 256
        assert held == truth

    def test_few_hops_need_no_second_row(self) -> None:
        merged = taken(*(a_view(step(1, 1, at % 256)) for at in range(200, 400)))
        assert len(merged.moves) == 2 * 8, "200 cm"
        merged = taken(*(a_view(step(1, 0, at % 256)) for at in range(200, 400)))
        assert len(merged.moves) == 8

    def test_it_stays_as_large_as_what_can_be_seen(self) -> None:
        pending = PendingView()
        for tick in range(500):
            rows = b"".join(step(n, (-1) ** tick) for n in range(20))
            pending.add(a_view(rows, tick, states=[state(tick % 20, tick)]))
        view = pending.take()
        assert view is not None
        assert len(view.moves) == 20 * 8
        assert len(view.states) == 20


class TestLeaves:
    def test_a_leave_takes_rows_and_states_with_it(self) -> None:
        merged = taken(a_view(step(1), states=[state(1), state(2)], places=place(2)), a_view(leaves=[1, 2]))
        assert (merged.moves, merged.places, merged.states, merged.leaves) == (b"", b"", [], [1, 2])

    def test_who_comes_back_is_new(self) -> None:
        merged = taken(a_view(step(1)), a_view(leaves=[1]), a_view(states=[state(1, 5)], places=place(1, 7)))
        assert (merged.moves, merged.places, merged.states, merged.leaves) == (b"", place(1, 7), [state(1, 5)], [1])


class TestStates:
    def test_a_whole_one_replaces(self) -> None:
        assert taken(a_view(states=[state(1, 1)]), a_view(states=[state(1, 2)])).states == [state(1, 2)]
        assert taken(a_view(states=[change(1, 1, a=1)]), a_view(states=[state(1, 2)])).states == [state(1, 2)]

    def test_a_change_of_a_whole_one_is_whole(self) -> None:
        merged = taken(a_view(states=[state(1, 1, a=1, b=2)]), a_view(states=[change(1, 2, True, a=None, c=3)]))
        assert states_of(merged) == [(1, 2, False, {"b": 2, "c": 3})]
        told = pb.EntityState.FromString(merged.states[0])
        assert (told.entity_id, told.link_dead) == ("ent_1", True)

    def test_a_change_of_a_change_is_one(self) -> None:
        views = (a_view(states=[data]) for data in (change(1, 2, a=1, b=1), change(1, 3, a=None), change(1, 4)))
        assert states_of(taken(*views)) == [(1, 4, True, {"a": None, "b": 1})]

    def test_a_removed_property_that_comes_back(self) -> None:
        views = (a_view(states=[data]) for data in (state(1, 1, a=1), change(1, 2, a=None), change(1, 3, a=2)))
        assert states_of(taken(*views)) == [(1, 3, False, {"a": 2})]

    def test_the_last_property_goes(self) -> None:
        merged = taken(a_view(states=[state(1, 1, a=1)]), a_view(states=[change(1, 2, a=None)]))
        assert merged.states == [state(1, 2)]


class TestResets:
    def test_a_reset_forgets_what_was_seen_but_not_a_correction(self) -> None:
        reset = pb.ViewReset(zone_id="z", epoch=2, number=1)
        before = a_view(step(1), states=[state(1)], leaves=[2], correction=b"c", places=place(4))
        merged = taken(before, a_view(states=[state(3)], places=place(3), reset=reset))
        assert (merged.moves, merged.places, merged.states, merged.leaves) == (b"", place(3), [state(3)], [])
        assert (merged.reset, merged.correction) == (reset, b"c")

    def test_whose_views_they_are_is_kept(self) -> None:
        reset = pb.ViewReset(zone_id="z", epoch=2, number=1)
        first = a_view(reset=reset, attach_epoch=4, session_id="ses_a", transfer=2)
        merged = taken(first, a_view(tick=2))
        assert (merged.tick, merged.reset, merged.attach_epoch) == (b"\2\0\0\0", reset, 4)
        assert (merged.session_id, merged.transfer) == ("ses_a", 2)
