"""state.sync.* and game.message, from a frame to the zone's batch and back (rows 3.4 and 7.6)."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import orjson
import pytest

from cluster.errors import Conflict
from cluster.refusals import to_refusal
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.gateway_app import build_router
from serve_apps.gateway.messages import Code
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, Gateway, Wire, a_world, settled

ZONE = "zon_meadow"


class Stage:
    """A gateway with one client in the world, and a zone that says what the test says."""

    def __init__(self) -> None:
        self.gateway = Gateway(build_router())
        self.client: Client
        self.wire: Wire
        self.heard: list[internal_pb2.ZoneInput] = []

    async def open(self) -> Stage:
        await self.gateway.bus.subscribe(
            SUBJECTS.zone_input(ZONE), lambda data: self.heard.append(internal_pb2.ZoneInput.FromString(data))
        )
        self.client, self.wire = self.gateway.connect(world=a_world(zone=ZONE))
        return self

    def say(self, method: str, params: Any) -> None:
        frame = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.gateway.hub.receive(self.client, True, orjson.dumps(frame), True)

    async def asked(self) -> internal_pb2.ZoneCall:
        """What the zone is asked, after the next pulse."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.gateway.hub.pulse()
        self.gateway.bus.deliver()
        [batch] = self.heard
        [call] = batch.calls
        assert batch.gateway_id == "gtw_1"
        return call

    async def answered(self, **answer: Any) -> Any:
        answers = internal_pb2.ZoneAnswers(zone_id=ZONE, epoch=1, answers=[internal_pb2.ZoneAnswer(**answer)])
        self.gateway.hub.control(internal_pb2.GatewayControl(answers=answers).SerializeToString())
        await settled(self.client)
        [said] = self.wire.json()
        return said

    async def refused(self) -> Any:
        """The error of what the gateway refused by itself."""
        await settled(self.client)
        self.gateway.hub.pulse()
        assert self.heard == []
        [said] = self.wire.json()
        return said["error"]


@pytest.fixture
async def stage() -> Stage:
    return await Stage().open()


async def test_a_message_to_the_game(stage: Stage) -> None:
    stage.say("game.message", {"type": "gather", "data": {"target": "ent_1"}, "tick": 41.5})
    call = await stage.asked()
    assert (call.method, call.session_id, call.attach_epoch) == ("game.message", "ses_1", 1)
    params = {"type": "gather", "data": {"target": "ent_1"}, "tick": 41.5}
    assert orjson.loads(call.params_json) == params
    assert (await stage.answered(id=call.id, result_json=b'{"result": [1], "tick": 7}'))["result"] == {
        "result": [1],
        "tick": 7,
    }


async def test_a_change(stage: Stage) -> None:
    params = {"entity_id": "ent_1", "version": 2, "properties": {"hat": "red", "cape": None}}
    stage.say("state.sync.delta", params)
    call = await stage.asked()
    assert (call.method, orjson.loads(call.params_json)) == ("state.sync.delta", params)
    conflict = to_refusal(Conflict("stale_version", {"version": 3}))
    error = (await stage.answered(id=call.id, refusal=conflict))["error"]
    assert error["code"] == Code.CONFLICT
    assert error["data"] == {"reason": "stale_version", "current": {"version": 3}}


async def test_a_snapshot(stage: Stage) -> None:
    stage.say("state.sync.request", {})
    call = await stage.asked()
    assert call.method == "state.sync.request"
    assert (await stage.answered(id=call.id, result_json=b'{"entities": []}'))["result"] == {"entities": []}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("game.message", {}),
        ("game.message", {"type": ""}),
        ("game.message", {"type": "x" * 65}),
        ("game.message", {"type": "x", "tick": -1}),
        ("game.message", {"type": "x", "tick": 2**33}),
        ("game.message", {"typ": "x"}),
        ("game.message", {"type": "x", "data": [[[[[[[[[1]]]]]]]]]}),
        ("state.sync.delta", {}),
        ("state.sync.delta", {"entity_id": "ent_1", "version": 1, "properties": {}}),
        ("state.sync.delta", {"entity_id": "ent_1", "version": 0, "properties": {"a": 1}}),
        ("state.sync.delta", {"entity_id": "ent_1", "version": 1, "properties": {"": 1}}),
        ("state.sync.delta", {"entity_id": "ent_1", "version": 1, "properties": {f"p{i}": i for i in range(65)}}),
        ("state.sync.delta", {"entity_id": "someone", "version": 1, "properties": {"a": 1}}),
    ],
)
async def test_what_no_zone_is_asked(stage: Stage, method: str, params: Any) -> None:
    stage.say(method, params)
    error = await stage.refused()
    assert error["code"] == Code.INVALID_PARAMS
    assert error["data"]["errors"]


@pytest.mark.parametrize("method", ["game.message", "state.sync.delta"])
async def test_a_number_that_is_none_is_no_null(stage: Stage, method: str) -> None:
    """A protobuf Struct can say NaN; in JSON it would become null, which removes a property."""
    params = (
        {"type": "x", "data": math.nan}
        if method == "game.message"
        else {
            "entity_id": "ent_1",
            "version": 1,
            "properties": {"a": math.nan},
        }
    )
    with pytest.raises(Exception, match="number"):
        await stage.gateway.router.dispatch(stage.gateway.services, stage.client, method, params)


async def test_only_in_the_world(stage: Stage) -> None:
    stage.gateway.hub.left(stage.client)
    for method in ("game.message", "state.sync.request", "state.sync.delta"):
        params = {
            "game.message": {"type": "x"},
            "state.sync.request": {},
            "state.sync.delta": {"entity_id": "ent_1", "version": 1, "properties": {"a": 1}},
        }[method]
        stage.say(method, params)
        assert (await stage.refused())["code"] == Code.INVALID_STATE
