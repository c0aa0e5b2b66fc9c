"""A player that says what its own codec would not, and keeps what the server sent as it came."""

from __future__ import annotations

import math
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.message import Message

from rayrealm_client.codec import Failure, Result
from realm_proto import realtime_pb2 as pb
from tests.players import Player


class Rude(Player):
    """A Player whose `say` takes any frame."""

    async def say(self, frame: str | bytes, request_id: Any) -> Any:
        """Send the frame. The result that answers `request_id`, or the Failure; None is that of what cannot be read."""
        await self.ws.send(frame)
        await self.until(lambda: request_id in self._answers or self.code is not None)
        answer = self._answers.pop(request_id)
        return answer.value if isinstance(answer, Result) else answer

    async def ask_typed(self, method: str, params: Message) -> Any:
        """A request as protobuf, in which numbers may be NaN and infinite."""
        request_id = next(self._ids)
        message = pb.WebSocketMessage(jsonrpc="2.0", id_number=request_id)
        message.request.method = method
        message.request.params.Pack(params)
        return await self.say(message.SerializeToString(), request_id)

    async def ask_struct(self, method: str, params: dict[str, Any]) -> Any:
        struct = struct_pb2.Struct()
        struct.update(params)
        return await self.ask_typed(method, struct)

    async def say_json(self, method: str, params: str) -> Any:
        """A request as text; `params` as they are. A frame that is no JSON is answered without an id."""
        request_id = next(self._ids)
        frame = f'{{"jsonrpc":"2.0","id":{request_id},"method":"{method}","params":{params}}}'
        await self.ws.send(frame)
        await self.until(lambda: bool({request_id, None} & self._answers.keys()) or self.code is not None)
        answer = self._answers.pop(request_id if request_id in self._answers else None)
        return answer.value if isinstance(answer, Result) else answer


def fields(failure: Any) -> set[str]:
    """Of invalid params: which."""
    assert isinstance(failure, Failure), failure
    assert failure.code == -32602, failure
    return {error["field"] for error in (failure.data or {})["errors"]}


NO_NUMBERS = (math.nan, math.inf, -math.inf)
