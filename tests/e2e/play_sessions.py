"""Sessions of the mock realm: who has which socket, and the notifications that are kept until they are acknowledged."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from starlette.websockets import WebSocket

from realm_proto import realtime_pb2 as wire
from tests.e2e.play_world import Body

Params = dict[str, Any]


class RpcRefusal(Exception):
    """An error answer."""

    def __init__(self, code: int, message: str, data: Params) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class Session:
    """One session; outlives its sockets, for as long as the test runs."""

    def __init__(self, session_id: str, user: str) -> None:
        self.session_id = session_id
        self.user = user
        self.socket: WebSocket | None = None
        self.body: Body | None = None
        self.known: set[int] = set()
        self.needs_reset = True
        self.channels: set[str] = set()
        self.topics: set[str] = set()
        self.seq = 0
        self.kept: dict[int, wire.WebSocketMessage] = {}  # by number: what is not acknowledged

    def number(self, message: wire.WebSocketMessage) -> wire.WebSocketMessage:
        """The notification, numbered for this session, and kept."""
        self.seq += 1
        numbered = wire.WebSocketMessage()
        numbered.CopyFrom(message)
        numbered.notification.seq = self.seq
        self.kept[self.seq] = numbered
        return numbered

    def acknowledge(self, message: wire.WebSocketMessage) -> None:
        """`session.ack`."""
        params = Struct()
        message.notification.params.Unpack(params)
        acked = int(MessageToDict(params)["seq"])
        assert acked <= self.seq, "acknowledged what was never sent"
        self.kept = {seq: kept for seq, kept in self.kept.items() if seq > acked}

    def after(self, last: str) -> int | None:
        """The number of `last`; None when what came after it is not there any more."""
        stream, _, number = last.rpartition(".")
        if stream != self.session_id or not all(seq in self.kept for seq in range(int(number) + 1, self.seq + 1)):
            return None
        return int(number)


def notification(method: str, params: Params) -> wire.WebSocketMessage:
    message = wire.WebSocketMessage(jsonrpc="2.0")
    message.notification.method = method
    message.notification.params.Pack(ParseDict(params, Struct()))
    return message
