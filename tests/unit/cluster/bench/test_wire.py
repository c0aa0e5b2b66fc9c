"""Moves made by the thousand are what the schema says; rows are read as PROTOCOL.md lays them out."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.bench.wire import MAX_SEQUENCE, MIN_SEQUENCE, MOVE_BYTES, MOVE_ROW, PLACE_ROW, encode_moves, quantised
from realm_proto import realtime_pb2 as pb

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def one(sequence: int, x: float, y: float, z: float, yaw: float) -> bytes:
    made = encode_moves(np.array([sequence]), *(np.array([v], np.float32) for v in (x, y, z, yaw)))
    return made.tobytes()


@given(st.integers(MIN_SEQUENCE, MAX_SEQUENCE), floats, floats, floats, floats)
def test_a_move_reads_back(sequence: int, x: float, y: float, z: float, yaw: float) -> None:
    frame = one(sequence, x, y, z, yaw)
    assert len(frame) == MOVE_BYTES
    message = pb.WebSocketMessage.FromString(frame)
    assert message.WhichOneof("message_type") == "move"
    move = message.move
    read = (move.sequence, move.position.x, move.position.y, move.position.z, move.rotation.yaw)
    assert read == (sequence, x, y, z, yaw)
    assert message.ByteSize() <= MOVE_BYTES  # zeros are written out, nothing else is more


def test_arguments_broadcast() -> None:
    steps, x = np.arange(20_000, 20_003)[:, None], np.arange(6, dtype=np.float32).reshape(3, 2)
    made = encode_moves(steps, x, np.zeros_like(x), x, x)
    assert made.shape == (3, 2, MOVE_BYTES)
    move = pb.WebSocketMessage.FromString(made[2, 1].tobytes()).move
    assert (move.sequence, move.position.x) == (20_002, 5.0)


@pytest.mark.parametrize("sequence", [0, MIN_SEQUENCE - 1, MAX_SEQUENCE + 1])
def test_a_sequence_of_another_length_is_refused(sequence: int) -> None:
    with pytest.raises(ValueError, match="sequences"):
        one(sequence, 0, 0, 0, 0)


def test_rows_have_the_protocols_layout() -> None:
    place = np.frombuffer(struct.pack("<HHiiiH", 7, 65_535, 150, -(2**31), 2**31 - 1, 16_384), PLACE_ROW)[0]
    assert (place["number"], place["sequence"], place["yaw"]) == (7, 65_535, 16_384)
    assert place["at"].tolist() == [150, -(2**31), 2**31 - 1]
    assert PLACE_ROW.itemsize == 18
    move = np.frombuffer(struct.pack("<HBbbbH", 7, 255, 127, -128, 0, 16_384), MOVE_ROW)[0]
    assert (move["number"], move["sequence"], move["yaw"]) == (7, 255, 16_384)
    assert move["by"].tolist() == [127, -128, 0]
    assert MOVE_ROW.itemsize == 8


def test_turns() -> None:
    yaw = np.array([0.0, math.pi / 2, math.tau - 1e-9, -math.pi / 2])
    assert quantised(yaw).tolist() == [0, 16_384, 0, 49_152]
