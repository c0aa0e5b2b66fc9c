"""The desk: requests judged in order at the tick, answered once, and nothing done twice (rows 3.4 and 7.6)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from actors.games.api import Game, Refused
from actors.zone.calls import LARGE_BYTES, PENDING_LIMIT, REMEMBERED, REMEMBERED_S, messages
from actors.zone.game_entity import GameEntity
from actors.zone.game_zone import GameZone
from cluster.errors import Conflict, InvalidInput, InvalidState, NotFound, Ours, RateLimited, Unavailable
from realm_proto import internal_pb2
from tests.unit.actors.game_rig import Rig


def delta(name: str = "ann", version: int = 1, **properties: Any) -> dict[str, Any]:
    return {"entity_id": f"ent_{name}", "version": version, "properties": properties}


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.enter("ann")
    rig.enter("bob", 52.0)
    rig.tick()
    rig.stored.clear()
    return rig


class TestRequest:
    def test_a_snapshot_itself_first(self, rig: Rig) -> None:
        snapshot = rig.ask("bob", "state.sync.request", {})
        assert (snapshot["zone"], [e["name"] for e in snapshot["entities"]]) == ("zon_test", ["bob", "ann"])
        assert rig.stored == []

    def test_a_large_one_is_compressed(self, rig: Rig) -> None:
        for number in range(60):
            rig.enter(f"p{number}")
            rig.zone.change(rig.entity(f"p{number}"), {"text": "x" * 2_000})
        rig.tick()
        number = rig.call("ann", "state.sync.request", {})
        [done] = rig.desk.run(rig.now)
        assert done.answer.WhichOneof("what") == "result_zlib"
        whole = zlib.decompress(done.answer.result_zlib)
        assert len(whole) >= LARGE_BYTES
        assert len(orjson.loads(whole)["entities"]) == 62
        assert done.id == number


class TestDelta:
    def test_applied_and_durable(self, rig: Rig) -> None:
        rig.call("ann", "state.sync.delta", delta(hat="red", level=3))
        [done] = rig.desk.run(rig.now)
        assert done.durable
        assert orjson.loads(done.answer.result_json) == {"version": 2}
        assert rig.entity("ann").properties == {"hat": "red", "level": 3}
        assert rig.stored == ["ent_ann"]

    def test_null_removes(self, rig: Rig) -> None:
        rig.ask("ann", "state.sync.delta", delta(hat="red", level=3))
        assert rig.ask("ann", "state.sync.delta", delta(version=2, hat=None)) == {"version": 3}
        assert rig.entity("ann").properties == {"level": 3}

    @pytest.mark.parametrize("version", [1, 3, 0xFFFFFFFF])
    def test_a_stale_or_future_version_is_told_the_present_state(self, rig: Rig, version: int) -> None:
        rig.ask("ann", "state.sync.delta", delta(hat="red"))
        with pytest.raises(Conflict) as refused:
            rig.ask("ann", "state.sync.delta", delta(version=version, hat="blue"))
        assert refused.value.reason == "stale_version"
        assert refused.value.current["version"] == 2
        assert refused.value.current["properties"] == {"hat": "red"}
        assert rig.entity("ann").properties == {"hat": "red"}

    @pytest.mark.parametrize("entity_id", ["ent_bob", "ent_nobody", "", None, 7])
    def test_only_ones_own(self, rig: Rig, entity_id: Any) -> None:
        with pytest.raises(NotFound):
            rig.ask("ann", "state.sync.delta", delta() | {"entity_id": entity_id, "properties": {"hat": 1}})
        assert rig.stored == []

    @pytest.mark.parametrize(
        "properties",
        [
            {},
            None,
            [],
            {"": 1},
            {"x" * 65: 1},
            {f"p{i}": i for i in range(65)},
            {"deep": [[[[[[[[[1]]]]]]]]]},
            {"large": "x" * 4_097},
            {"number": 2**60},
        ],
    )
    def test_what_is_no_property(self, rig: Rig, properties: Any) -> None:
        with pytest.raises(InvalidInput):
            rig.ask("ann", "state.sync.delta", delta() | {"properties": properties})
        assert (rig.entity("ann").properties, rig.entity("ann").version, rig.stored) == ({}, 1, [])

    def test_limits_hold_for_all_that_there_is(self, rig: Rig) -> None:
        rig.ask("ann", "state.sync.delta", delta(one="x" * 2_500))
        with pytest.raises(InvalidInput):
            rig.ask("ann", "state.sync.delta", delta(version=2, two="x" * 2_500))
        assert rig.ask("ann", "state.sync.delta", delta(version=2, one=None, two="x" * 2_500)) == {"version": 3}

    def test_many_properties_over_time(self, rig: Rig) -> None:
        rig.ask("ann", "state.sync.delta", delta(**{f"p{i}": i for i in range(64)}))
        with pytest.raises(InvalidInput):
            rig.ask("ann", "state.sync.delta", delta(version=2, one_more=1))

    @pytest.mark.parametrize("version", [0, -1, 2**32, "1", None, 1.5])
    def test_a_version_that_is_none(self, rig: Rig, version: Any) -> None:
        with pytest.raises(InvalidInput):
            rig.ask("ann", "state.sync.delta", delta(hat=1) | {"version": version})

    def test_while_the_store_is_away(self, rig: Rig) -> None:
        rig.away = True
        rig.call("ann", "state.sync.delta", delta(hat="red"))
        [done] = rig.desk.run(rig.now)
        rig.desk.sent([done])
        assert not done.durable, "nothing to wait for"
        with pytest.raises(Unavailable) as refused:
            rig.ask("ann", "state.sync.delta", delta(hat="red"))
        assert refused.value.retry_after_s > 0
        assert (rig.entity("ann").properties, rig.stored) == ({}, [])
        rig.away = False
        assert rig.ask("ann", "state.sync.delta", delta(hat="red")) == {"version": 2}

    def test_what_belongs_to_the_game(self) -> None:
        class Guarding(Game):
            guarded = frozenset({"gold"})

        rig = Rig(Guarding)
        rig.enter("ann")
        with pytest.raises(InvalidInput, match="gold"):
            rig.ask("ann", "state.sync.delta", delta(gold=1_000, hat="red"))
        assert rig.entity("ann").properties == {}


class TestOrder:
    def test_calls_of_a_tick_see_each_other(self, rig: Rig) -> None:
        first = rig.call("ann", "state.sync.delta", delta(hat="red"))
        second = rig.call("ann", "state.sync.delta", delta(version=2, hat="blue"), gateway="gtw_b")
        assert rig.tick() == [("gtw_a", first, {"version": 2}), ("gtw_b", second, {"version": 3})]

    def test_a_tick_that_took_long_goes_on_at_the_next(self, rig: Rig) -> None:
        calls = [rig.call("ann", "state.sync.delta", delta(version=v, n=v)) for v in (1, 2, 3)]
        rig.desk._timer = iter(range(100)).__next__  # a second passes with each look at it
        assert [number for _, number, _ in rig.tick()] == calls[:1]
        assert [number for _, number, _ in rig.tick(2)] == calls[1:]
        assert not rig.desk

    def test_game_messages_go_to_the_game_with_what_was_seen(self) -> None:
        heard = []

        class Listening(Game):
            def on_message(
                self, zone: GameZone, entity: GameEntity, kind: str, data: Any, seen_tick: float
            ) -> Mapping[str, Any]:
                heard.append((entity.id, kind, data, seen_tick))
                return {"heard": True}

        rig = Rig(Listening)
        rig.enter("ann")
        said = {"type": "wave", "data": [1, {"two": None}], "tick": 41.5}
        assert rig.ask("ann", "game.message", said) == {"result": {"heard": True}, "tick": 0}
        assert heard == [("ent_ann", "wave", [1, {"two": None}], 41.5)]

    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"type": ""},
            {"type": "x" * 65},
            {"type": 7},
            {"type": "x", "tick": -1},
            {"type": "x", "tick": "now"},
            {"type": "x", "data": "x" * 4_096},
            {"type": "x", "data": [[[[[[[[[1]]]]]]]]]},
        ],
    )
    def test_messages_that_are_none(self, said: Any) -> None:
        rig = Rig(Game)
        rig.enter("ann")
        with pytest.raises(InvalidInput):
            rig.ask("ann", "game.message", said)

    def test_without_a_game(self, rig: Rig) -> None:
        with pytest.raises(InvalidState) as refused:
            rig.do("ann", "wave")
        assert (refused.value.reason, refused.value.state) == ("no_game", "in_world")


class TestWhose:
    def test_who_was_handed_over(self, rig: Rig) -> None:
        rig.zone.population._departed["ses_cid"] = "zon_next"
        assert rig.ask("cid", "state.sync.request", {}) == "elsewhere zon_next"

    def test_who_is_not_known(self, rig: Rig) -> None:
        assert rig.ask("cid", "state.sync.request", {}) == "elsewhere "

    def test_who_is_being_handed_over(self, rig: Rig) -> None:
        rig.zone.table.frozen[rig.entity("ann").number] = True
        assert rig.ask("ann", "state.sync.delta", delta(hat="red")) == "elsewhere "
        assert rig.entity("ann").properties == {}

    def test_a_socket_that_was_replaced_says_nothing_more(self, rig: Rig) -> None:
        rig.zone.attach("ses_ann", "gtw_b", 5)
        with pytest.raises(Conflict) as refused:
            rig.ask("ann", "state.sync.delta", delta(hat="red"), attach_epoch=4)
        assert refused.value.reason == "newer_attach"
        assert rig.ask("ann", "state.sync.delta", delta(hat="red"), attach_epoch=6) == {"version": 2}

    def test_a_method_that_is_none(self, rig: Rig) -> None:
        with pytest.raises(NotFound):
            rig.ask("ann", "state.sync.everything", {})

    def test_params_that_are_none(self, rig: Rig) -> None:
        for data in (b"[]", b"{", b"7"):
            call = internal_pb2.ZoneCall(id=77, session_id="ses_ann", attach_epoch=1, method="state.sync.delta")
            call.params_json = data
            rig.desk.take("gtw_z", [call], rig.now)
            [(_, _, refused)] = rig.tick()
            assert isinstance(refused, InvalidInput)
            rig.desk._known.clear()


class TestTwice:
    def call(self, number: int, rig: Rig, **more: Any) -> None:
        params = orjson.dumps(delta(n=number))
        call = internal_pb2.ZoneCall(
            id=number, session_id="ses_ann", attach_epoch=1, method="state.sync.delta", params_json=params, **more
        )
        rig.desk.take("gtw_a", [call], rig.now)

    def test_a_repeat_is_told_the_same_and_not_done_again(self, rig: Rig) -> None:
        self.call(9, rig)
        assert rig.tick() == [("gtw_a", 9, {"version": 2})]
        self.call(9, rig)
        assert rig.tick() == [("gtw_a", 9, {"version": 2})]
        assert rig.entity("ann").version == 2

    def test_a_repeat_of_what_waits_is_nothing(self, rig: Rig) -> None:
        self.call(9, rig)
        self.call(9, rig)
        [done] = rig.desk.run(rig.now)
        self.call(9, rig)  # judged, and not in the store yet
        assert rig.desk.run(rig.now) == []
        rig.desk.sent([done])
        self.call(9, rig)
        assert [each.answer for each in rig.desk.run(rig.now)] == [done.answer]

    def test_two_gateways_count_apart(self, rig: Rig) -> None:
        self.call(9, rig)
        call = internal_pb2.ZoneCall(id=9, session_id="ses_bob", attach_epoch=1, method="state.sync.request")
        rig.desk.take("gtw_b", [call], rig.now)
        assert [gateway for gateway, _, _ in rig.tick()] == ["gtw_a", "gtw_b"]

    def test_another_incarnation_does_not_do_what_may_be_done(self, rig: Rig) -> None:
        self.call(9, rig, epoch=7)
        [(_, _, refused)] = rig.tick()
        assert isinstance(refused, Unavailable)
        assert rig.entity("ann").properties == {}
        self.call(10, rig, epoch=rig.zone.epoch)
        assert rig.tick() == [("gtw_a", 10, {"version": 2})]

    def test_memory_is_bounded_and_ends(self, rig: Rig) -> None:
        for number in range(1, REMEMBERED + 200):
            self.call(number, rig)
            rig.tick()
        assert len(rig.desk._known["gtw_a"]) <= REMEMBERED + 1
        rig.now += REMEMBERED_S + 1
        rig.tick()
        assert not rig.desk._known
        assert not rig.desk._waiting


class TestBounds:
    def flood(self, rig: Rig, count: int, first: int = 1) -> None:
        calls = [
            internal_pb2.ZoneCall(id=first + n, session_id="ses_ann", attach_epoch=1, method="state.sync.request")
            for n in range(count)
        ]
        rig.desk.take("gtw_a", calls, rig.now)

    def test_over_the_bound_the_gateway_is_told(self, rig: Rig) -> None:
        self.flood(rig, PENDING_LIMIT + 5)
        answers = rig.tick()
        refused = [number for _, number, what in answers if isinstance(what, RateLimited)]
        assert refused == list(range(PENDING_LIMIT + 1, PENDING_LIMIT + 6))
        assert len(answers) == PENDING_LIMIT + 5
        assert rig.desk.dropped == {"full": 5}

    def test_others_are_served_all_the_same(self, rig: Rig) -> None:
        self.flood(rig, PENDING_LIMIT * 2)
        number = rig.call("bob", "state.sync.request", {}, gateway="gtw_b", id=1)
        [answer] = [what for gateway, _, what in rig.tick() if gateway == "gtw_b"]
        assert answer["entities"][0]["name"] == "bob"
        assert number == 1

    def test_and_in_the_end_nobody_is_told(self, rig: Rig) -> None:
        self.flood(rig, PENDING_LIMIT * 3)
        assert len(rig.tick()) == PENDING_LIMIT * 2
        assert rig.desk.dropped == {"full": 2 * PENDING_LIMIT, "overflow": PENDING_LIMIT}
        self.flood(rig, 1, first=10_000)
        assert len(rig.tick()) == 1


class TestFailures:
    def test_a_game_that_refuses(self) -> None:
        class Refusing(Game):
            def on_message(self, *_: Any) -> Mapping[str, Any]:
                raise Refused("too_far")

        rig = Rig(Refusing)
        rig.enter("ann")
        with pytest.raises(InvalidState) as refused:
            rig.do("ann", "hit")
        assert refused.value.reason == "too_far"
        assert rig.host is not None
        assert not rig.host.errors

    def test_a_failure_of_ours_costs_one_call(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_session_id: str) -> Any:
            raise ZeroDivisionError("nobody thought of that")

        monkeypatch.setattr(rig.zone, "snapshot", broken)
        with pytest.raises(Ours):
            rig.ask("ann", "state.sync.request", {})
        assert rig.ask("ann", "state.sync.delta", delta(hat="red")) == {"version": 2}

    def test_an_error_after_a_change_waits_for_the_store(self) -> None:
        class Half(Game):
            def on_message(self, zone: GameZone, entity: GameEntity, *_: Any) -> Mapping[str, Any]:
                zone.set(entity, paid=True)
                raise Refused("and_now_this")

        rig = Rig(Half)
        rig.enter("ann")
        rig.call("ann", "game.message", {"type": "pay"})
        [done] = rig.desk.run(rig.now)
        assert done.durable


def test_messages_are_small_enough_for_the_bus(rig: Rig) -> None:
    done = []
    for number in range(40):
        rig.call("ann" if number % 2 else "bob", "state.sync.request", {}, gateway="gtw_a" if number % 4 else "gtw_b")
    done = rig.desk.run(rig.now)
    for each in done:
        each.answer.result_json = bytes(60_000)
    told = messages("zon_test", 3, done)
    numbers: dict[str, list[int]] = {"gtw_a": [], "gtw_b": []}
    for gateway_id, data in told:
        assert len(data) < 1_000_000
        answers = internal_pb2.GatewayControl.FromString(data).answers
        assert (answers.zone_id, answers.epoch) == ("zon_test", 3)
        numbers[gateway_id] += [answer.id for answer in answers.answers]
    assert len(told) > 2
    assert sorted(numbers["gtw_a"] + numbers["gtw_b"]) == sorted(each.id for each in done)
    assert numbers["gtw_a"] == sorted(numbers["gtw_a"])
    assert len(numbers["gtw_b"]) == 10
