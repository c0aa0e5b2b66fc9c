"""Fixed-size rows, so that a whole tick is encoded and gathered by numpy and no entity costs Python.

`MOVE_OUT` is on the public wire (PROTOCOL.md, "Views"); `MOVE_IN` and `PLACE` stay inside the realm. All little-endian.
"""

from __future__ import annotations

import math
import struct

import numpy as np

# What a client gets of an entity that moved: 18 bytes.
MOVE_OUT = np.dtype([("number", "<u2"), ("sequence", "<u2"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("yaw", "<u2")])

# What a gateway sends of a move: 24 bytes.
MOVE_IN = np.dtype([("number", "<u4"), ("sequence", "<u4"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("yaw", "<f4")])
pack_move_in = struct.Struct("<IIffff").pack

# Where an entity is, as the checkpoint keeps it. `incarnation` tells apart two entities that had one number.
PLACE = np.dtype(
    [
        ("number", "<u4"),
        ("incarnation", "<u4"),
        ("sequence", "<u4"),
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("yaw", "<f4"),
    ]
)

TURN = 2 * math.pi


def yaw_to_u16(yaw: np.ndarray) -> np.ndarray:
    """Radians to 1/65536 turns; any finite angle is taken modulo a full turn."""
    turns: np.ndarray = np.rint(np.mod(yaw, TURN) * (65536 / TURN)).astype(np.int64).astype(np.uint16)
    return turns


def u16_to_yaw(turns: int) -> float:
    """1/65536 turns to radians in [0, 2 pi)."""
    return turns * (TURN / 65536)
