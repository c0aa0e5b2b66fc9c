"""Compressed frames, against the schema and the client."""

from __future__ import annotations

import random
import zlib

import pytest

from rayrealm_client import codec
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import proto_framing, shrinking
from serve_apps.gateway.messages import Result
from serve_apps.gateway.shrinking import MIN_BYTES, shrunk, shrunk_one


def answer(text: str) -> bytes:
    return proto_framing.encode_answers([Result({"text": text}, 5)], batch=False)


def test_a_small_frame_is_sent_as_it_is() -> None:
    frame = answer("x" * 1_000)
    assert shrunk(frame) is frame


def test_a_large_one_is_a_compressed_batch_of_one() -> None:
    frame = answer("x" * MIN_BYTES)
    made = shrunk(frame)
    batch = pb.WebSocketMessage.FromString(made).batch
    assert batch.compressed
    assert not batch.messages
    inner = zlib.decompress(batch.payload)
    assert len(inner) == batch.original_size
    assert pb.BatchMessage.FromString(inner).messages[0].SerializeToString() == frame
    assert codec.decode(made) == codec.decode(frame)


def test_a_batch_stays_one_batch() -> None:
    frame = proto_framing.encode_answers([Result({"text": "x" * MIN_BYTES}, n) for n in range(3)], batch=True)
    made = shrunk(frame)
    assert len(made) < MIN_BYTES
    assert codec.decode(made) == codec.decode(frame)


def test_what_is_compressed_is_not_compressed_again() -> None:
    noise = random.Random(1).randbytes(40_000).hex()
    made = shrunk(answer(noise))
    assert len(made) > MIN_BYTES
    assert shrunk(made) is made


@pytest.mark.parametrize(("share", "worth"), [(0.9, False), (0.5, True)])
def test_it_must_save_a_fifth(share: float, worth: bool) -> None:
    """A frame of which so much does not compress at all."""
    noise = random.Random(2).randbytes(20_000)
    state = pb.EntityState(name="x" * round(20_000 * (1 - share)))
    frame = pb.WebSocketMessage(
        view=pb.ViewFrame(moves=noise[: round(20_000 * share)], states=[state])
    ).SerializeToString()
    made = shrunk_one(frame)
    assert (made != frame) == worth
    assert len(made) <= len(frame)


def test_more_than_a_client_inflates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shrinking.MAX_BYTES == codec.MAX_INFLATED_BYTES
    frame = answer("x" * 10_000)
    monkeypatch.setattr(shrinking, "MAX_BYTES", len(frame))
    assert shrunk(frame) is frame


def test_the_tag_is_the_schema_s() -> None:
    field = pb.BatchMessage.DESCRIPTOR.fields_by_name["messages"]
    assert bytes([field.number << 3 | 2]) == shrinking.MESSAGE
