"""Rows against the tables of PROTOCOL.md."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from actors.zone.rows import (
    BORDER_ROW,
    MAX_HOP,
    MOVE_IN,
    MOVE_OUT,
    PLACE,
    PLACE_OUT,
    TURN,
    pack_move_in,
    pack_places,
    read_places,
    to_cm,
    u16_to_yaw,
    yaw_to_u16,
)


def layout(dtype: np.dtype) -> list[tuple[int, str, str]]:
    assert dtype.fields is not None
    return sorted((field[1], field[0].str, name) for name, field in dtype.fields.items())


def test_a_move_out_is_laid_out_as_the_protocol_says() -> None:
    assert MOVE_OUT.itemsize == 8
    assert layout(MOVE_OUT) == [
        (0, "<u2", "number"),
        (2, "|u1", "sequence"),
        (3, "|i1", "dx"),
        (4, "|i1", "dy"),
        (5, "|i1", "dz"),
        (6, "<u2", "yaw"),
    ]


def test_a_place_out_is_laid_out_as_the_protocol_says() -> None:
    assert PLACE_OUT.itemsize == 18
    assert layout(PLACE_OUT) == [
        (0, "<u2", "number"),
        (2, "<u2", "sequence"),
        (4, "<i4", "x"),
        (8, "<i4", "y"),
        (12, "<i4", "z"),
        (16, "<u2", "yaw"),
    ]


def test_a_border_row_has_no_padding() -> None:
    assert [name for _, _, name in layout(BORDER_ROW)] == ["number", "sequence", "x", "y", "z", "yaw"]
    assert BORDER_ROW.itemsize == 24


def test_several_hops_fit_what_a_move_out_says_of_a_sequence() -> None:
    assert 4 * MAX_HOP < 256


@pytest.mark.parametrize(
    ("metres", "cm"),
    [
        (0.0, 0),
        (1.234, 123),
        (-1.236, -124),
        (0.005, 0),  # the nearest even one, as numpy rounds
        (0.015, 2),
        (1_000_000.0, 100_000_000),
        (1e30, 2**31 - 1),
        (-1e30, 1 - 2**31),
    ],
)
def test_metres_to_centimetres(metres: float, cm: int) -> None:
    assert to_cm(np.array([metres])).tolist() == [cm]


def test_centimetres_of_a_float32_are_not_those_of_a_rounded_float32() -> None:
    position = np.array([[16_777.215, 0.0, 3.0]], np.float32)
    assert to_cm(position).tolist() == [[round(float(position[0, 0]) * 100), 0, 300]]


def test_a_move_in_is_24_bytes_and_the_packer_agrees() -> None:
    row = pack_move_in(3, 70_000, 1.5, -2.0, 3.25, 0.5)
    assert len(row) == MOVE_IN.itemsize == 24
    assert row == struct.pack("<IIffff", 3, 70_000, 1.5, -2.0, 3.25, 0.5)
    assert np.frombuffer(row, MOVE_IN)[0].tolist() == (3, 70_000, 1.5, -2.0, 3.25, 0.5)


def test_a_place_has_no_padding() -> None:
    assert [(offset, name) for offset, _, name in layout(PLACE)] == [
        (4 * at, name) for at, name in enumerate(("number", "incarnation", "sequence", "x", "y", "z", "yaw"))
    ]
    assert PLACE.itemsize == 28


@pytest.mark.parametrize(
    ("yaw", "expected"),
    [
        (0.0, 0),
        (TURN / 4, 16384),
        (TURN / 2, 32768),
        (-TURN / 4, 49152),
        (TURN, 0),
        (3 * TURN + TURN / 4, 16384),
        (TURN * (1 - 1e-9), 0),  # rounds up to a whole turn, which is none
        (-1e-9, 0),
        (TURN * 0.6 / 65536, 1),
    ],
)
def test_yaw_is_taken_modulo_a_turn(yaw: float, expected: int) -> None:
    assert yaw_to_u16(np.array([yaw], np.float64)).tolist() == [expected]
    assert yaw_to_u16(np.array([yaw], np.float32)).dtype == np.uint16


def test_any_finite_float32_yaw_is_encoded() -> None:
    bits = np.random.default_rng(7).integers(0, 2**32, 20_000, dtype=np.uint32)
    yaws = bits.view(np.float32)
    yaws = yaws[np.isfinite(yaws)]
    back = yaw_to_u16(yaws).astype(np.float64) * (TURN / 65536)
    off = np.abs(np.mod(yaws.astype(np.float64) - back + math.pi, TURN) - math.pi)
    close = np.abs(yaws) < 100  # nobody turns further; beyond, float32 counts whole turns too coarsely
    assert close.sum() > 5_000
    assert off[close].max() < TURN / 65536


def test_yaw_comes_back_within_half_a_step() -> None:
    yaws = np.linspace(0, TURN, 1_001)[:-1]
    back = [u16_to_yaw(int(turns)) for turns in yaw_to_u16(yaws)]
    off = np.abs(np.array(back) - yaws)
    assert np.minimum(off, TURN - off).max() <= TURN / 65536 / 2 + 1e-12
    assert all(0 <= yaw < TURN for yaw in back)


class TestPlaces:
    ROWS = np.zeros(2, PLACE)

    def test_they_end_with_their_version(self) -> None:
        packed = pack_places(self.ROWS)
        assert packed == self.ROWS.tobytes() + b"\x02"
        assert (read_places(packed) == self.ROWS).all()

    def test_of_nobody(self) -> None:
        assert pack_places(self.ROWS[:0]) == b""
        assert len(read_places(b"")) == 0

    def test_from_before_there_were_versions(self) -> None:
        assert (read_places(self.ROWS.tobytes()) == self.ROWS).all()

    @pytest.mark.parametrize(
        "data", [b"\x03", ROWS.tobytes() + b"\x03", ROWS.tobytes()[:-1], ROWS.tobytes() + b"\x02\x02"]
    )
    def test_of_a_newer_release_or_nothing_at_all(self, data: bytes) -> None:
        with pytest.raises(ValueError, match="no places"):
            read_places(data)
