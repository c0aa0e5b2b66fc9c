"""zlib for large frames to a client that speaks protobuf (row 3.6; PROTOCOL.md, "Framing")."""

from __future__ import annotations

import zlib

from cluster.telemetry.counts import COMPRESSION
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.varint import varint

MIN_BYTES = 4 * 1024
MAX_BYTES = 10 * 1024 * 1024  # what a client inflates
WORTH = 0.8  # of the frame's length, at most
LEVEL = 1
MESSAGE = b"\x0a"  # the tag of BatchMessage.messages; a test holds it against the schema


def shrunk(frame: bytes) -> bytes:
    """A WebSocketMessage, as a compressed batch if it is over MIN_BYTES and that saves enough; else as it is."""
    if len(frame) <= MIN_BYTES:
        return frame
    message = pb.WebSocketMessage.FromString(frame)
    if message.WhichOneof("message_type") != "batch":
        return shrunk_one(frame)
    return frame if message.batch.compressed else _packed(message.batch.SerializeToString(), frame)


def shrunk_one(frame: bytes) -> bytes:
    """The same for a WebSocketMessage that is no batch, whatever its length."""
    return _packed(b"".join((MESSAGE, varint(len(frame)), frame)), frame)


def _packed(batch: bytes, frame: bytes) -> bytes:
    if len(batch) > MAX_BYTES:
        return frame
    packed = pb.BatchMessage(compressed=True, original_size=len(batch), payload=zlib.compress(batch, LEVEL))
    made: bytes = pb.WebSocketMessage(batch=packed).SerializeToString()
    COMPRESSION.observe(len(made) / len(frame))
    return made if len(made) <= WORTH * len(frame) else frame
