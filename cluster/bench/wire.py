"""The two messages that travel in bulk, made and read by the thousand: moves out, rows of views in (PROTOCOL.md)."""

from __future__ import annotations

import math

import numpy as np

# x, y, z in centimetres, yaw in 1/65536 turn.
PLACE_ROW = np.dtype([("number", "<u2"), ("sequence", "<u2"), ("at", "<i4", 3), ("yaw", "<u2")])
MOVE_ROW = np.dtype([("number", "<u2"), ("sequence", "u1"), ("by", "i1", 3), ("yaw", "<u2")])
TURN = 65_536
MIN_SEQUENCE = 1 << 14  # from here on a sequence takes three bytes, so every move is as long as the next
MAX_SEQUENCE = (1 << 21) - 1

# A WebSocketMessage with nothing but `move`: the lengths and tags of realtime.proto around the numbers.
_HEAD = bytes((0x3A, 28, 0x12, 15))
_MOVE = np.dtype(
    [
        ("head", "S4"),
        ("tag_x", "u1"), ("x", "<f4"),
        ("tag_y", "u1"), ("y", "<f4"),
        ("tag_z", "u1"), ("z", "<f4"),
        ("rotation", "S2"), ("tag_yaw", "u1"), ("yaw", "<f4"),
        ("tag_sequence", "u1"), ("sequence", "u1", 3),
    ]
)  # fmt: skip
MOVE_BYTES = _MOVE.itemsize


def encode_moves(sequence: np.ndarray, x: np.ndarray, y: np.ndarray, z: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Binary frames, MOVE_BYTES bytes each (uint8, one more axis than the arguments, which broadcast).

    Metres and radians in float32; sequences lie between MIN_SEQUENCE and MAX_SEQUENCE, else ValueError.
    """
    sequence, x, y, z, yaw = np.broadcast_arrays(sequence, x, y, z, yaw)
    if sequence.size and not (sequence.min() >= MIN_SEQUENCE and sequence.max() <= MAX_SEQUENCE):
        raise ValueError(f"sequences must lie between {MIN_SEQUENCE} and {MAX_SEQUENCE}")
    made = np.empty(sequence.shape, _MOVE)
    made["head"], made["rotation"] = _HEAD, bytes((0x1A, 5))
    made["tag_x"], made["tag_y"], made["tag_z"], made["tag_yaw"], made["tag_sequence"] = 0x0D, 0x15, 0x1D, 0x0D, 0x30
    made["x"], made["y"], made["z"], made["yaw"] = x, y, z, yaw
    made["sequence"][..., 0] = sequence & 0x7F | 0x80
    made["sequence"][..., 1] = sequence >> 7 & 0x7F | 0x80
    made["sequence"][..., 2] = sequence >> 14
    return made.view(np.uint8).reshape(*sequence.shape, MOVE_BYTES)


def quantised(yaw: np.ndarray) -> np.ndarray:
    """Radians to 1/65536 of a turn, as rows carry them."""
    turned: np.ndarray = (np.round(yaw.astype(np.float64) / math.tau * TURN).astype(np.int64) % TURN).astype(np.uint16)
    return turned
