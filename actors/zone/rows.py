"""Fixed-size rows, so that a whole tick is encoded and gathered by numpy and no entity costs Python.

`MOVE_OUT` and `PLACE_OUT` are on the public wire (PROTOCOL.md, "Views"), with positions in centimetres; the others stay inside the
realm, with positions in metres. All little-endian.
"""

from __future__ import annotations

import math
import struct

import numpy as np

# By how much an entity moved, for those who hold its last place: 8 bytes.
MOVE_OUT = np.dtype([("number", "<u2"), ("sequence", "u1"), ("dx", "i1"), ("dy", "i1"), ("dz", "i1"), ("yaw", "<u2")])
MAX_STEP = 127  # cm along an axis that a MOVE_OUT holds
MAX_HOP = (
    32  # of the sequence that a MOVE_OUT of the zone's makes; far less than 256, so that several can be merged into one
)

# Where an entity is: 18 bytes.
PLACE_OUT = np.dtype([("number", "<u2"), ("sequence", "<u2"), ("x", "<i4"), ("y", "<i4"), ("z", "<i4"), ("yaw", "<u2")])

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

# Rows of places end with the version of their format; before there was one, they ended with the last row.
PLACES_VERSION = 2


def pack_places(rows: np.ndarray) -> bytes:
    """PLACE rows, for the store and for a standby."""
    return rows.tobytes() + bytes([PLACES_VERSION]) if len(rows) else b""


def read_places(data: bytes) -> np.ndarray:
    """Rows of this release's PLACE. Raises ValueError if it is none, or of a newer release."""
    extra = len(data) % PLACE.itemsize
    if extra > 1 or (extra and data[-1] != PLACES_VERSION):
        raise ValueError(f"no places, or of a newer release: {len(data)} bytes")
    return np.frombuffer(data[: len(data) - extra], PLACE)


# Where an entity is, as a zone tells the zones near it: 24 bytes. `number` is that of the zone that says it.
BORDER_ROW = np.dtype(
    [("number", "<u4"), ("sequence", "<u4"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("yaw", "<f4")]
)

TURN = 2 * math.pi
CM = 100  # to a metre
FURTHEST_CM = 2**31 - 1


def to_cm(metres: np.ndarray) -> np.ndarray:
    """Metres to the nearest centimetre, as int64 that fits an int32: beyond 21,000 km it is the furthest there is."""
    cm: np.ndarray = np.rint(metres.astype(np.float64) * CM).clip(-FURTHEST_CM, FURTHEST_CM).astype(np.int64)
    return cm


def yaw_to_u16(yaw: np.ndarray) -> np.ndarray:
    """Radians to 1/65536 turns; any finite angle is taken modulo a full turn."""
    turns: np.ndarray = np.rint(np.mod(yaw, TURN) * (65536 / TURN)).astype(np.int64).astype(np.uint16)
    return turns


def u16_to_yaw(turns: int) -> float:
    """1/65536 turns to radians in [0, 2 pi)."""
    return turns * (TURN / 65536)
