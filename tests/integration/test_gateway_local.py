"""The gateway over a real socket, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from realm_proto import realtime_pb2 as pb
from tests.local_realm import LocalRealm, local_realm


@pytest.fixture
async def realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace) as running:
        yield running


async def ask(ws: ClientConnection, method: str, request_id: int = 1, **params: Any) -> Any:
    """A JSON request and its answer; notifications on the way are skipped."""
    await ws.send(orjson.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).decode())
    async with asyncio.timeout(5):
        while True:
            said = orjson.loads(await ws.recv())
            if isinstance(said, dict) and said.get("id") == request_id:
                return said


async def notification(ws: ClientConnection, method: str) -> Any:
    async with asyncio.timeout(5):
        while True:
            said = orjson.loads(await ws.recv())
            for one in said if isinstance(said, list) else [said]:
                if one.get("method") == method:
                    return one["params"]


async def test_two_players_see_each_other(realm: LocalRealm) -> None:
    json_headers = {"Authorization": f"Bearer {realm.token('usr_a')}"}
    async with (
        connect(realm.url, additional_headers=json_headers, subprotocols=["rayrealm.v1+json"]) as a,
        connect(realm.url, subprotocols=["rayrealm.v1+proto", f"rayrealm.token.{realm.token('usr_b')}"]) as b,
    ):
        assert (await notification(a, "session.ready"))["state"] == "authenticated"
        entered = await ask(a, "world.enter", character_id=await realm.character("usr_a", "Ann"))
        assert entered["result"]["zone"] == "zon_meadow"
        request = pb.WebSocketMessage(jsonrpc="2.0", id_number=7)
        request.request.method = "world.enter"
        from google.protobuf import any_pb2, struct_pb2

        params = struct_pb2.Struct()
        params.update({"character_id": await realm.character("usr_b", "Bob")})
        packed = any_pb2.Any()
        packed.Pack(params)
        request.request.params.CopyFrom(packed)
        await b.send(request.SerializeToString())
        async with asyncio.timeout(5):
            while True:
                message = pb.WebSocketMessage.FromString(await b.recv())
                if message.HasField("view") and message.view.states:
                    assert message.view.states[0].name == "Ann"
                    break
        at = entered["result"]["position"]
        await a.send(
            orjson.dumps(
                {
                    "jsonrpc": "2.0",
                    "method": "world.position.update",
                    "params": {"position": {"x": at["x"] + 1, "y": 0, "z": at["z"]}, "sequence": 1},
                }
            ).decode()
        )
        async with asyncio.timeout(5):
            while True:
                message = pb.WebSocketMessage.FromString(await b.recv())
                if message.HasField("view") and message.view.moves and not message.view.states:
                    break
