"""Bad messages and bad frames over a real socket; the realm plays on for everybody else."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from rayrealm_client.codec import Failure
from realm_proto import realtime_pb2 as pb
from tests.integration.bad_input import BINARIES, FRAMES, JSON, MESSAGES, PROTO, binary_request, request
from tests.integration.strangers import a_user, connected, in_world
from tests.local_realm import LocalRealm
from tests.players import Player
from tests.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame, text

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestMessages:
    @pytest.mark.parametrize("name", MESSAGES)
    async def test_the_answer_is_an_error_and_the_socket_stays(self, watched_realm: LocalRealm, name: str) -> None:
        payload, code, request_id = MESSAGES[name]
        raw = await connected(watched_realm, JSON)
        raw.send(frame(TEXT, payload))
        said = await raw.answer_to(request_id)
        assert said["error"]["code"] == code, said
        raw.send(text(request("system.ping", "after", echo=1)))
        assert (await raw.answer_to("after"))["result"]["echo"] == 1
        raw.send(close())
        assert await raw.closed() == 1000

    async def test_wrong_params_say_which(self, watched_realm: LocalRealm) -> None:
        raw = await connected(watched_realm, JSON)
        raw.send(text(request("world.position.update", position={"x": "north", "z": 1}, speed="fast")))
        data = (await raw.answer_to(1))["error"]["data"]
        assert {error["field"] for error in data["errors"]} == {
            "position.x",
            "sequence",
        }  # what is not known is ignored
        raw.abort()

    async def test_a_batch_inside_a_batch(self, watched_realm: LocalRealm) -> None:
        raw = await connected(watched_realm, JSON)
        raw.send(text([[request("system.ping", 1)], request("system.ping", 2)]))
        assert (await raw.answer_to(None))["error"]["code"] == -32600
        raw.send(text([request("system.ping", 3)]))
        assert "result" in await raw.answer_to(3)
        raw.abort()

    @pytest.mark.parametrize("framing", ["json", "proto"])
    async def test_a_failed_notification_is_told_once_a_second(self, watched_realm: LocalRealm, framing: Any) -> None:
        player = await Player.join(watched_realm, a_user(), framing)
        for _ in range(5):
            await player.move(1.0, 1.0)
            await player.notify("no.such.method")
        await player.until(lambda: player.notices[-1].method == "system.error")
        assert player.notices[-1].params == {
            "method": "world.position.update",
            "code": -32003,
            "data": {"state": "authenticated", "reason": "wrong_state"},
        }
        assert [notice.method for notice in player.notices].count("system.error") == 1
        await player.leave()

    async def test_entering_twice(self, watched_realm: LocalRealm) -> None:
        player = await in_world(watched_realm)
        again = await player.ask("world.enter", character_id=player.world["character_id"])
        assert isinstance(again, Failure)
        assert (again.code, again.data) == (-32003, {"state": "in_world", "reason": "cannot_become_in_world"})
        at = player.world["position"]
        sequence = await player.move(at["x"] + 0.5, at["z"])
        await player.until(lambda: player.ack == sequence)
        await player.leave()

    async def test_someone_elses_character(self, watched_realm: LocalRealm) -> None:
        theirs = await watched_realm.character(a_user())
        player = await Player.join(watched_realm, a_user())
        refused = await player.ask("world.enter", character_id=theirs)
        assert isinstance(refused, Failure)
        assert (refused.code, refused.data) == (-32000, {"reason": "character_not_yours"})
        assert player.code is None
        await player.leave()

    async def test_ones_own_character_from_two_sockets(self, watched_realm: LocalRealm) -> None:
        user = a_user()
        character = await watched_realm.character(user)
        first, second = await Player.join(watched_realm, user), await Player.join(watched_realm, user)
        await first.enter(character)
        refused = await second.ask("world.enter", character_id=character)
        assert isinstance(refused, Failure)
        assert (refused.code, (refused.data or {})["reason"]) == (-32005, "in_world")
        for player in (first, second):
            await player.leave()

    async def test_someone_elses_entity(self, watched_realm: LocalRealm) -> None:
        theirs, mine = await in_world(watched_realm), await in_world(watched_realm)
        refused = await mine.ask(
            "state.sync.delta", entity_id=theirs.world["entity_id"], version=1, properties={"hp": 0}
        )
        assert isinstance(refused, Failure)
        assert refused.code == -32602
        for player in (theirs, mine):
            await player.leave()

    async def test_too_many_errors_are_4502(self, watched_realm: LocalRealm) -> None:
        raw = await connected(watched_realm, JSON)
        for _ in range(3):
            raw.send(text([1] * 50))
        assert await raw.closed() == 4502


class TestPlaces:
    @pytest.mark.parametrize(
        ("x", "reason"),
        [
            (math.nan, "not_finite"),
            (math.inf, "not_finite"),
            (-math.inf, "not_finite"),
            (3.4e38, "out_of_bounds"),
            (-1.0, "out_of_bounds"),
            (150.0, "too_fast"),
        ],
    )
    async def test_a_place_that_cannot_be_is_corrected(self, watched_realm: LocalRealm, x: float, reason: str) -> None:
        player = await in_world(watched_realm)
        await player.move(x, 101.0)
        await player.until(lambda: bool(player.corrections))
        (correction,) = player.corrections
        assert (correction.reason, correction.sequence) == (reason, 1)
        assert correction.position == pytest.approx((100, 0, 101))
        await player.leave()

    async def test_a_direction_that_cannot_be(self, watched_realm: LocalRealm) -> None:
        player = await in_world(watched_realm)
        await player.move(100.0, 101.0, yaw=math.nan)
        await player.until(lambda: bool(player.corrections))
        assert player.corrections[0].reason == "not_finite"
        await player.leave()

    async def test_an_old_sequence(self, watched_realm: LocalRealm) -> None:
        player = await in_world(watched_realm)
        sequence = await player.move(100.5, 101.0)
        await player.until(lambda: player.ack == sequence)
        player.sequence = 0
        player.world["sequence"] = 0
        await player.move(101.0, 101.0)
        await player.until(lambda: bool(player.corrections))
        assert player.corrections[0].reason == "stale_sequence"
        await player.leave()


class TestBinaries:
    @pytest.mark.parametrize("name", BINARIES)
    async def test_the_answer_is_an_error_and_the_socket_stays(self, watched_realm: LocalRealm, name: str) -> None:
        data, code = BINARIES[name]
        raw = await connected(watched_realm, PROTO)
        raw.send(frame(BINARY, data if isinstance(data, bytes) else data.SerializeToString()))
        _, payload = await raw.read()
        answer = pb.WebSocketMessage.FromString(payload)
        errors = [one.response.error.code for one in answer.batch.messages] or [answer.response.error.code]
        assert set(errors) == {code}
        raw.send(frame(BINARY, binary_request().SerializeToString()))
        _, payload = await raw.read()
        assert pb.WebSocketMessage.FromString(payload).response.HasField("result")
        raw.send(close())
        assert await raw.closed() == 1000


class TestFrames:
    @pytest.mark.parametrize("name", FRAMES)
    async def test_the_socket_is_closed_with_a_code(self, watched_realm: LocalRealm, name: str) -> None:
        subprotocol, data, code = FRAMES[name]
        raw = await connected(watched_realm, subprotocol)
        raw.send(data)
        assert await raw.closed() == code

    async def test_frames_that_are_fine_all_the_same(self, watched_realm: LocalRealm) -> None:
        raw = await connected(watched_realm, JSON)
        ping = orjson.dumps(request("system.ping", echo="x" * 8_000)) + b" " * 57_000
        raw.send(frame(TEXT, ping))
        assert len((await raw.answer_to(1))["result"]["echo"]) == 8_000
        raw.send(frame(TEXT, ping[:100], fin=False) + frame(PING, b"between") + frame(CONTINUATION, ping[100:]))
        assert await raw.read() == (PONG, b"between")
        assert len((await raw.answer_to(1))["result"]["echo"]) == 8_000
        raw.send(frame(PONG, b"unasked") + frame(PING, bytes(125)))
        assert await raw.read() == (PONG, bytes(125))
        raw.abort()

    async def test_what_follows_a_close_is_not_read(self, watched_realm: LocalRealm) -> None:
        raw = await connected(watched_realm, JSON)
        raw.send(close() + text(request("system.ping")))
        assert await raw.read() == (CLOSE, b"\x03\xe8")
        assert await raw.closed() == 1006  # nothing but the end
