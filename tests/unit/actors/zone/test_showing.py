"""What a zone shows to whom: joins, hand-overs, lost outputs, properties by audience. Rows and pacing have tests of their own."""

from __future__ import annotations

import numpy as np
import pytest

from actors.zone import showing as showing_module
from actors.zone.oversize import parts
from realm_proto import internal_pb2, realtime_pb2
from tests.unit.actors.showing_model import ModelViewer, Stage, View, read

VISIBILITY = {"player": {"purse": "owner", "aim": "near"}}


def told(view: View) -> dict[int, tuple[bool, str]]:
    return {state.number: (state.change, state.properties_json) for state in view.states}


class TestBeginnings:
    def test_a_lone_viewer_is_told_of_itself(self) -> None:
        stage = Stage()
        me = stage.add(hp=3)
        view = stage.tick()[me]
        assert view.reset == ("zon_test", 7, me)
        assert told(view) == {me: (False, '{"hp":3}')}
        assert (view.attach_epoch, view.session_id, view.transfer) == (1, "", 0)
        assert (view.places, view.moves, view.leaves) == ([], [], [])
        assert stage.tick() == {}

    def test_two_see_each_other_whole_and_then_by_steps(self) -> None:
        stage = Stage()
        one, two = stage.add(50), stage.add(55, gateway="gtw_b")
        views = stage.tick()
        assert told(views[one]).keys() == {one, two}
        assert views[one].places == [(two, 0, 5500, 0, 5000, 0)]
        stage.walk(two, 0.1)
        views = stage.tick()
        assert views[one].moves == [(two, 1, 10, 0, 0, 0)]
        assert (views[two].moves, views[two].ack) == ([], 1)

    def test_one_without_a_gateway_is_seen_and_sees_nothing(self) -> None:
        stage = Stage()
        me, npc = stage.add(50), stage.add(52, gateway="", kind="npc")
        assert told(stage.tick()[me]).keys() == {me, npc}
        assert stage.showing.seen_by(npc) == []
        assert np.flatnonzero(stage.showing.watched()).tolist() == [npc]

    def test_who_attaches_again_starts_from_nothing(self) -> None:
        stage = Stage()
        one, two = stage.add(50), stage.add(52)
        stage.tick()
        stage.attach(one, "gtw_b")
        views = stage.tick()
        assert views.keys() == {one}
        assert (views[one].attach_epoch, views[one].numbers, views[one].leaves) == (2, [two], [])

    def test_who_detaches_is_shown_nothing_more(self) -> None:
        stage = Stage()
        one, two = stage.add(50), stage.add(52)
        stage.tick()
        stage.attach(one, "")
        stage.walk(two, 0.1)
        assert stage.tick().keys() == {two}
        assert stage.showing.seen_by(one) == []

    def test_who_leaves_before_its_first_view_has_none(self) -> None:
        stage = Stage()
        one, two = stage.add(50), stage.add(52)
        stage.leave(one)
        views = stage.tick()
        assert views.keys() == {two}
        assert told(views[two]).keys() == {two}

    def test_a_number_is_told_as_left_before_it_means_someone_else(self) -> None:
        stage = Stage(capacity=2)
        one, two = stage.add(50), stage.add(52)
        stage.tick()
        stage.leave(two)
        assert stage.tick()[one].leaves == [two]
        assert stage.add(51) == two
        view = stage.tick()[one]
        assert [state.entity_id for state in view.states] == ["ent_player3"]
        assert view.places == [(two, 0, 5100, 0, 5000, 0)]


class TestHandedOver:
    def arrived(self) -> tuple[Stage, int]:
        stage = Stage()
        number = stage.add(50)
        stage.tick()
        stage.entity(number).transfer = 3
        stage.attach(number, "gtw_b", handed_over=True)
        return stage, number

    def resets(self, stage: Stage, ticks: int) -> list[tuple[str, int] | None]:
        views = [stage.tick() for _ in range(ticks)]
        return [(v.session_id, v.transfer) if v.reset else None for view in views for v in view.values()]

    def test_its_reset_says_whose_views_they_are_until_they_are_shown(self) -> None:
        stage, number = self.arrived()
        assert self.resets(stage, 25) == [("ses_player1", 3)] * 3, "at once, and each half second"
        stage.showing.shown("gtw_b", [number])
        assert self.resets(stage, 25) == []

    def test_only_its_own_gateway_says_that_it_is_shown(self) -> None:
        stage, number = self.arrived()
        stage.showing.shown("gtw_a", [number, 12])
        stage.showing.shown("gtw_x", [number])
        assert len(self.resets(stage, 25)) == 3

    @pytest.mark.parametrize("gateway", ["", "gtw_b"])
    def test_another_attach_ends_it(self, gateway: str) -> None:
        stage, number = self.arrived()
        stage.attach(number, gateway)
        assert self.resets(stage, 25) == ([("", 0)] if gateway else [])

    def test_who_is_gone_is_not_repeated(self) -> None:
        stage, number = self.arrived()
        stage.leave(number)
        assert self.resets(stage, 25) == []

    def test_a_resync_says_it_too(self) -> None:
        stage, _ = self.arrived()
        stage.tick()
        stage.showing.resync("gtw_b")
        assert self.resets(stage, 1) == [("ses_player1", 3)]

    def test_a_ghost_that_becomes_real_is_the_same_to_others(self) -> None:
        """The same number, another place: no leave, the state whole, and a row though it did not move."""
        stage = Stage()
        one, ghost = stage.add(50), stage.add(52, gateway="")
        stage.tick()
        stage.table.position[ghost] = (53, 0, 50)
        stage.attach(ghost, "gtw_b")
        stage.showing.changed(ghost)
        views = stage.tick()
        assert (views[one].leaves, views[one].moves) == ([], [(ghost, 0, 100, 0, 0, 0)])
        assert told(views[one]) == {ghost: (False, "")}
        assert views[ghost].reset is not None


class TestOutputs:
    def numbers(self, messages: list[tuple[str, bytes]]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for gateway, data in messages:
            found.setdefault(gateway, []).append(internal_pb2.ZoneOutput.FromString(data).number)
        return found

    def two(self) -> Stage:
        stage = Stage()
        stage.add(50)
        stage.add(52, gateway="gtw_b")
        return stage

    def test_outputs_are_counted_for_each_gateway(self) -> None:
        stage = self.two()
        assert self.numbers(stage.messages()) == {"gtw_a": [1], "gtw_b": [1]}
        stage.walk(0, 0.1)
        assert self.numbers(stage.messages()) == {"gtw_a": [2], "gtw_b": [2]}
        assert stage.messages() == []
        assert [stage.showing.outputs_to(g) for g in ("gtw_a", "gtw_x")] == [2, 0]

    def test_a_message_says_where_it_comes_from(self) -> None:
        stage = self.two()
        stage.ticks = 0xFFFFFFFF
        out = internal_pb2.ZoneOutput.FromString(stage.messages()[0][1])
        assert (out.zone_id, out.epoch, out.tick) == ("zon_test", 7, 0)

    def test_a_resync_is_for_one_gateway_and_counts_from_one(self) -> None:
        stage = self.two()
        stage.tick()
        stage.showing.resync("gtw_a")
        messages = stage.messages()
        assert self.numbers(messages) == {"gtw_a": [1]}
        view = read(messages[0][1])[0]
        assert view.reset
        assert view.attach_epoch == 1
        assert told(view).keys() == {0, 1}
        assert stage.showing.resyncs == 1

    def test_a_gateway_that_the_zone_does_not_know(self) -> None:
        stage = self.two()
        stage.tick()
        stage.showing.resync("gtw_x")
        assert stage.tick() == {}
        assert (stage.showing.resyncs, stage.showing.known_gateway("gtw_x")) == (0, None)

    def test_gateways_have_an_index(self) -> None:
        showing = self.two().showing
        assert [showing.gateway_index(g) for g in ("gtw_b", "gtw_c", "gtw_a")] == [1, 2, 0]
        assert [showing.gateway_name(i) for i in range(3)] == ["gtw_a", "gtw_b", "gtw_c"]

    def test_after_a_failed_tick_everybody_starts_from_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = self.two()
        stage.tick()
        stage.walk(0, 0.1)
        stage.change(1, hp=1)

        def fails(*_: object) -> None:
            raise RuntimeError("disk full")

        with monkeypatch.context() as patched:
            patched.setattr(showing_module, "outputs", fails)
            with pytest.raises(RuntimeError):
                stage.tick()
        stage.showing.start_over()
        messages = stage.messages()
        assert self.numbers(messages) == {"gtw_a": [1], "gtw_b": [1]}
        viewer = ModelViewer()
        viewer.apply(read(messages[0][1])[0])
        assert viewer.entities[1].properties == {"hp": 1}
        assert stage.tick() == {}

    def test_a_message_too_large_goes_in_parts_each_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(showing_module, "parts", lambda out: parts(out, 2_000))
        stage = Stage(capacity=40)
        for n in range(30):
            stage.add(50 + n % 7)
        messages = stage.messages()
        assert len(messages) > 3
        assert self.numbers(messages) == {"gtw_a": [*range(1, len(messages) + 1)]}
        assert all(len(read(data)) >= 1 for _, data in messages)

    def test_an_ack_and_a_correction_need_no_one_else(self) -> None:
        stage = Stage()
        me = stage.add()
        stage.tick()
        stage.acked.add(me)
        stage.table.sequence[me] = 9
        stage.corrections[me] = realtime_pb2.Correction(sequence=9, reason="too_fast").SerializeToString()
        view = stage.tick()[me]
        assert (view.ack, view.reset) == (9, None)
        assert view.correction is not None
        assert view.correction.reason == "too_fast"


class TestProperties:
    def three(self) -> tuple[Stage, int, int, int]:
        """One whose purse only it sees, one near it, one far from it."""
        stage = Stage(types=VISIBILITY, radius=40.0, near_radius=10.0, hysteresis=2.0)
        return stage, stage.add(50, purse=1, aim="n", hp=2), stage.add(55), stage.add(75)

    def test_each_sees_what_it_may(self) -> None:
        stage, one, near, far = self.three()
        views = stage.tick()
        assert told(views[one])[one] == (False, '{"purse":1,"aim":"n","hp":2}')
        assert told(views[near])[one] == (False, '{"aim":"n","hp":2}')
        assert told(views[far])[one] == (False, '{"hp":2}')
        visible = [stage.showing.visible(stage.entity(one), viewer) for viewer in (one, near, far, 9)]
        assert visible == [{"purse": 1, "aim": "n", "hp": 2}, {"aim": "n", "hp": 2}, {"hp": 2}, {"hp": 2}]

    def test_a_change_says_what_changed_to_those_who_may_see_it(self) -> None:
        stage, one, near, far = self.three()
        stage.tick()
        stage.change(one, aim=None, purse=5)
        views = stage.tick()
        assert told(views[one]) == {one: (True, '{"aim":null,"purse":5}')}
        assert told(views[near]) == {one: (True, '{"aim":null}')}
        assert told(views[far]) == {one: (True, "")}
        assert {view.states[0].version for view in views.values()} == {2}
        assert stage.tick() == {}

    def test_changes_of_one_tick_are_one(self) -> None:
        stage, one, near, _ = self.three()
        stage.tick()
        stage.change(one, hp=3)
        stage.change(one, hp=4)
        stage.change(one, hat="red")
        view = stage.tick()[near]
        assert told(view) == {one: (True, '{"hat":"red","hp":4}')}
        assert view.states[0].version == 4

    def test_who_comes_near_is_told_all_of_it(self) -> None:
        stage, one, _, far = self.three()
        stage.tick()
        stage.put(far, 59, 50)
        assert told(stage.tick()[far])[one] == (False, '{"aim":"n","hp":2}')
        stage.put(far, 61, 50)
        assert told(stage.tick()[far]) == {}, "the edge of a band has hysteresis"
        stage.put(far, 63, 50)
        assert told(stage.tick()[far])[one] == (False, '{"hp":2}')

    def test_bands_without_near_properties_restate_nothing(self) -> None:
        stage = Stage(types={"player": {"purse": "owner"}}, radius=40.0, near_radius=10.0)
        _one, two = stage.add(50, purse=1), stage.add(75)
        stage.tick()
        stage.put(two, 55, 50)
        assert told(stage.tick()[two]) == {}

    def test_a_change_and_a_band_at_once_are_whole(self) -> None:
        stage, one, _, far = self.three()
        stage.tick()
        stage.put(far, 59, 50)
        stage.change(one, hp=9)
        assert told(stage.tick()[far])[one] == (False, '{"aim":"n","hp":9}')

    def test_all_of_it_again(self) -> None:
        stage, one, near, _ = self.three()
        stage.tick()
        stage.entity(one).gateway_id = ""
        stage.showing.connect(stage.entity(one))
        stage.showing.changed(one)
        view = stage.tick()[near]
        assert told(view) == {one: (False, '{"aim":"n","hp":2}')}
        assert view.states[0].link_dead

    def test_a_change_of_one_who_is_gone_is_told_to_nobody(self) -> None:
        stage, one, near, far = self.three()
        stage.tick()
        stage.change(one, hp=9)
        stage.leave(one)
        views = stage.tick()
        assert {v: (view.leaves, view.states) for v, view in views.items()} == {near: ([one], []), far: ([one], [])}

    def test_a_change_that_nobody_sees(self) -> None:
        stage = Stage()
        npc = stage.add(gateway="")
        stage.tick()
        stage.change(npc, hp=1)
        assert stage.tick() == {}
        me = stage.add(51)
        assert told(stage.tick()[me])[npc] == (False, '{"hp":1}')


class TestQuietTicks:
    def test_what_is_owed_is_sent_when_nothing_moves(self) -> None:
        stage = Stage(radius=40.0, near_radius=10.0, far_every=4)
        one, two = stage.add(50), stage.add(75)
        stage.tick()
        stage.walk(two, 0.1)
        views = [stage.tick() for _ in range(6)]
        assert [view[one].places for view in views if one in view] == [[(two, 1, 7510, 0, 5000, 0)]]

    def test_someone_put_elsewhere_without_a_move(self) -> None:
        """`unsettle`: interest is computed anew."""
        stage = Stage()
        one, two = stage.add(50), stage.add(80)
        stage.tick()
        stage.table.position[two, 0] = 55
        assert stage.tick() == {}
        stage.showing.unsettle()
        assert stage.tick()[one].places == [(two, 0, 5500, 0, 5000, 0)]

    def test_who_is_seen_is_asked_between_ticks(self) -> None:
        stage = Stage()
        one, two, three = stage.add(50), stage.add(51), stage.add(52)
        assert stage.showing.seen_by(one) == []
        stage.tick()
        assert stage.showing.seen_by(one) == [two, three]
        stage.leave(two)
        assert stage.showing.seen_by(one) == [three]
