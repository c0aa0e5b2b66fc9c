"""The least that the crowd's load can be run against: zones without rules, in one process. It measures the load, not a realm.

HTTP answers on one port and sends `/ws` on to another, where picows listens: `python -m tests.integration.fake_crowd SIDE ZONES`
prints the address.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import struct
import sys
from typing import Any

import numpy as np
import uvloop
from google.protobuf import json_format, struct_pb2
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)
from scipy.spatial import cKDTree

from realm_proto import realtime_pb2 as pb
from tests.integration.mock_accounts import MockAccounts

BINARY = WSMsgType.BINARY
TICK_S = 0.05
PLACE, MOVE = struct.Struct("<HHiiiH"), struct.Struct("<HBbbbH")
STEP_CM = 127
FIRST_NUMBER = 300  # so that a number is never by chance a client's index
APART = 130.0
DEADLINE_S = 5.0


class FakeCrowd:
    def __init__(self, side: float, zones: int = 1, radius: float = 50.0, hysteresis: float = 5.0) -> None:
        self.radius, self.hysteresis = radius, hysteresis
        self.grounds = {f"zon_fake_{zone}": _ground(-7.0 + zone * (side + APART), side) for zone in range(zones)}
        self.accounts = MockAccounts()
        self.players: list[Player] = []
        self.url = ""
        self._known = np.empty(0, np.int64)
        self._servers: list[asyncio.Server] = []
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        sockets = await ws_create_server(self._answer, "127.0.0.1", 0, backlog=1024, read_buffer_init_size=512)
        self._ws = sockets.sockets[0].getsockname()[1]
        front = await asyncio.start_server(self._http, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{front.sockets[0].getsockname()[1]}"
        self._servers = [sockets, front]
        self._ticking = asyncio.create_task(self._tick_for_ever())

    async def stop(self) -> None:
        assert self._ticking is not None
        self._ticking.cancel()
        for server in self._servers:
            server.close()
        for player in self.players:
            if player.transport is not None:
                player.transport.disconnect()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = line.split(" ")
                if target.startswith("/ws"):
                    where = f"ws://127.0.0.1:{self._ws}/ws"
                    writer.write(f"HTTP/1.1 307 X\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
                    return
                headers = dict(part.lower().split(": ", 1) for part in lines if part)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                status, answer = self.accounts.answer(method, target, headers, json.loads(body) if body else {})
                text = b"" if answer is None else json.dumps(answer).encode()
                head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
                writer.write(head.encode() + text)
                await writer.drain()
        finally:
            writer.close()

    def _answer(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        player = Player(self)
        self.players.append(player)
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "rayrealm.v1+proto"})
        return WSUpgradeResponseWithListener(response, player)

    async def _tick_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        due, tick = loop.time(), 0
        while True:
            due, tick = max(due + TICK_S, loop.time()), tick + 1
            await asyncio.sleep(due - loop.time())
            self._tick(tick)

    def _tick(self, tick: int) -> None:
        """Everyone hears of whoever is near and has moved, or has come near. A pair is viewer << 16 | seen."""
        here = [player for player in self.players if player.zone and player.transport is not None]
        if not here:
            return
        number_of = {player.id: player.number for player in here}  # of a zone's own, so that two zones have the same
        place = np.array([player.place for player in here])
        moved = np.array([player.moved for player in here])
        ids = np.array([player.id for player in here])
        news = [player.news() for player in here]
        places = np.frombuffer(b"".join(place for place, _ in news), np.uint8).reshape(-1, PLACE.size)
        steps = np.frombuffer(b"".join(move for _, move in news), np.uint8).reshape(-1, MOVE.size)
        near = np.array([player.near for player in here])
        pairs = cKDTree(place).query_pairs(self.radius + self.hysteresis, output_type="ndarray")
        viewer = np.concatenate([pairs[:, 0], pairs[:, 1]])
        seen = np.concatenate([pairs[:, 1], pairs[:, 0]])
        close = ((place[viewer] - place[seen]) ** 2).sum(1) <= self.radius**2
        edge = ids[viewer] << 16 | ids[seen]
        holds = close | np.isin(edge, self._known)
        order = np.argsort(edge[holds], kind="stable")
        viewer, seen, edge = viewer[holds][order], seen[holds][order], edge[holds][order]
        came = ~np.isin(edge, self._known)
        left: dict[int, list[int]] = {}
        for gone in self._known[~np.isin(self._known, edge)].tolist():
            left.setdefault(gone >> 16, []).append(gone & 0xFFFF)
        states: dict[int, list[int]] = {}
        for new in edge[came].tolist():
            states.setdefault(new >> 16, []).append(new & 0xFFFF)
        whole = came | (moved[seen] & ~near[seen])
        stepped = ~came & moved[seen] & near[seen]
        parts = [
            _shares(rows[seen[told]], viewer[told], len(here)) for rows, told in ((places, whole), (steps, stepped))
        ]
        for player, stood, walked in zip(here, *parts, strict=True):
            frame = pb.ViewFrame(tick=tick, ack=player.sequence, places=stood, moves=walked)
            frame.leaves.extend(number_of[gone] for gone in left.get(player.id, ()) if gone in number_of)
            for new in states.get(player.id, ()):
                frame.states.append(pb.EntityState(number=number_of[new], entity_id=f"ent_{new}"))
            if not player.greeted:
                frame.reset.number, frame.reset.epoch, player.greeted = player.number, 1, True
                frame.states.append(pb.EntityState(number=player.number, entity_id=f"ent_{player.id}"))
            if stood or walked or player.moved or frame.leaves or frame.states:
                player.send(pb.WebSocketMessage(view=frame))
            player.moved = False
        self._known = edge


class Player(WSListener):
    def __init__(self, crowd: FakeCrowd) -> None:
        self.crowd = crowd
        self.transport: WSTransport | None = None
        self.zone = ""
        self.id = self.number = 0
        self.sequence = 0
        self.place = (0.0, 0.0)
        self.turned = 0
        self.said: tuple[int, int] | None = None  # in centimetres, to everyone who sees it
        self.near = False  # whether a step says where it is now
        self.moved = False
        self.greeted = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        limits = {"max_pending_requests": 4}
        ready = {"session_id": "ses_1", "user_id": "usr_1", "resumed": False, "state": "authenticated"}
        ready |= {"recovered": False, "stream": "a1", "seq": 0, "recovery": {"token": "t", "expires_in": 600.0}}
        ready |= {"topics": [], "degraded": []}
        message = pb.WebSocketMessage(jsonrpc="2.0")
        message.notification.method = "session.ready"
        message.notification.params.Pack(_struct(ready | {"realm": "fake", "limits": limits, "world": None}))
        self.send(message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != BINARY:
            transport.disconnect()
            return
        message = pb.WebSocketMessage.FromString(frame.get_payload_as_bytes())
        if message.HasField("move"):
            move = message.move
            self.stand(move.position.x, move.position.z, move.rotation.yaw, move.sequence)
            return
        answer = pb.WebSocketMessage(jsonrpc="2.0", id_number=message.id_number)
        asked = struct_pb2.Struct()
        message.request.params.Unpack(asked)
        if message.request.method == "world.zones":
            zones = [
                {"zone": z, "name": z, "bounds": ground, "population": 0} for z, ground in self.crowd.grounds.items()
            ]
            answer.response.result.Pack(_struct({"zones": zones}))
        else:
            assert message.request.method == "world.enter"
            answer.response.result.Pack(_struct(self.enter(json_format.MessageToDict(asked).get("zone"))))
        self.send(answer)

    def enter(self, zone: str | None) -> dict[str, Any]:
        self.zone = zone or next(iter(self.crowd.grounds))
        self.id = FIRST_NUMBER + self.crowd.players.index(self)
        self.number = FIRST_NUMBER + sum(player.zone == self.zone for player in self.crowd.players)
        ground = self.crowd.grounds[self.zone]
        x = ground["min_x"] + 7.0
        world: dict[str, Any] = {
            "zone": self.zone,
            "entity_id": "ent",
            "number": self.number,
            "yaw": 0.0,
            "bounds": ground,
        }
        world |= {"position": {"x": x, "y": 0.0, "z": 20.0}, "tick_hz": 20, "interest_radius": self.crowd.radius}
        world |= {"max_speed": 8.0, "character_id": "chr", "name": "N", "sequence": 0}
        self.stand(x, 20.0, 0.0, 0)
        return world

    def stand(self, x: float, z: float, yaw: float, sequence: int) -> None:
        self.place, self.sequence, self.moved = (x, z), sequence, True
        self.turned = round(yaw / math.tau * 65_536) % 65_536

    def news(self) -> tuple[bytes, bytes]:
        """Where it is, and by how much it has moved since it was said last; the latter says nothing if that is too far."""
        x, z = (round(part * 100) for part in self.place)
        step = (x - self.said[0], z - self.said[1]) if self.said is not None else (STEP_CM + 1, 0)
        self.near = max(map(abs, step)) <= STEP_CM
        self.said = x, z
        dx, dz = step if self.near else (0, 0)
        return (
            PLACE.pack(self.number, self.sequence & 0xFFFF, x, 0, z, self.turned),
            MOVE.pack(self.number, self.sequence & 0xFF, dx, 0, dz, self.turned),
        )

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.transport = None

    def send(self, message: pb.WebSocketMessage) -> None:
        if self.transport is not None:
            self.transport.send(BINARY, message.SerializeToString())


def _shares(rows: np.ndarray, viewer: np.ndarray, viewers: int) -> list[bytes]:
    """Each viewer's rows; they are sorted by viewer."""
    ends = np.cumsum(np.bincount(viewer, minlength=viewers)).tolist()
    return [rows[start:end].tobytes() for start, end in zip([0, *ends], ends, strict=False)]


def _ground(min_x: float, side: float) -> dict[str, float]:
    return {"min_x": min_x, "min_z": 11.0, "max_x": min_x + side, "max_z": side + 11.0}


def _struct(value: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(value, struct_pb2.Struct())


async def main(side: float, zones: int) -> None:
    crowd = FakeCrowd(side, zones)
    await crowd.start()
    gc.freeze()
    sys.stdout.write(crowd.url + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]), int(sys.argv[2])))
