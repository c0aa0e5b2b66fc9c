"""Protobuf's variable-length integers, for what is put together by hand."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """`value` >= 0, seven bits a byte, least significant first."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
