"""Protobuf's variable-length integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.varint import varint


@pytest.mark.parametrize(("value", "encoded"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_known_ones(value: int, encoded: bytes) -> None:
    assert varint(value) == encoded


@given(st.integers(1, 2**64 - 1))
def test_as_protobuf_has_it(value: int) -> None:
    assert pb.Notification(seq=value).SerializeToString() == b"\x18" + varint(value)
