"""Decoding for many clients in one process that are told the same thing: what a notification holds is unpacked once."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from rayrealm_client import codec
from rayrealm_client.anys import Json, unpack
from rayrealm_client.errors import CodecError
from realm_proto import realtime_pb2 as pb

KEPT = 4_096


class SharedDecoder:
    """In place of `codec.decode`, for binary frames. The params of equal notifications are one object: nobody may change it.

    `unpacked`: how many were not known yet.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.unpacked = 0
        self._kept = kept
        self._known: dict[tuple[str, bytes], Json] = {}  # the oldest first

    def __call__(self, frame: bytes) -> list[codec.Item]:
        """Raises CodecError."""
        try:
            message = pb.WebSocketMessage.FromString(frame)
        except DecodeError as error:
            raise CodecError("frame is no WebSocketMessage") from error
        if message.WhichOneof("message_type") == "batch":
            return [item for part in codec.parts(message.batch) for item in self._one(part, None)]
        return self._one(message, frame)

    def _one(self, message: pb.WebSocketMessage, frame: bytes | None) -> list[codec.Item]:
        if message.notification.seq and message.jsonrpc == "2.0":
            return [self._numbered(message.notification)]
        return codec.decode(message.SerializeToString() if frame is None else frame)

    def _numbered(self, told: pb.Notification) -> codec.Notification:
        key = (told.params.type_url, told.params.value)
        params = self._known.get(key)
        if params is None:
            if len(self._known) >= self._kept:
                del self._known[next(iter(self._known))]
            params = self._known[key] = unpack(told.params)
            self.unpacked += 1
        return codec.Notification(told.method, params, told.seq)
