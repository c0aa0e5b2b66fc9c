"""Reliable notifications in both framings: put together by hand, and what the schema would have made of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rayrealm_client import codec
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.typed import to_any

numbers = st.integers(1, 2**53 - 1)  # what JavaScript has exactly, and clients take
texts = st.text(max_size=20)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
params = st.dictionaries(texts.filter(lambda name: name not in ("seq", "@type")), plain, max_size=4)
EDGES = [{}, {"text": "é龍🐉\u2028"}, {"a": {"seq": 1}}, {'"': "\\", "}": "}"}, {"a": {}}, {"a": []}]


def in_json(method: str, said: dict[str, Any], seq: int) -> bytes:
    return json_framing.numbered(json_framing.notification_body(method, orjson.dumps(said)), seq)


def in_proto(method: str, said: dict[str, Any], seq: int) -> bytes:
    return proto_framing.numbered(proto_framing.notification_body(method, orjson.dumps(said)), seq)


@pytest.mark.parametrize("said", EDGES, ids=str)
@pytest.mark.parametrize("seq", [1, 127, 128, 2**31, 2**63 - 1])
def test_the_edges(said: dict[str, Any], seq: int) -> None:
    frame = in_json("chat.message", said, seq)
    assert orjson.loads(frame) == {"jsonrpc": "2.0", "method": "chat.message", "params": {**said, "seq": seq}}
    message = pb.WebSocketMessage.FromString(in_proto("chat.message", said, seq))
    assert (message.notification.seq, message.notification.method, message.jsonrpc) == (seq, "chat.message", "2.0")


@given(method=st.text(min_size=1, max_size=30), said=params, seq=numbers)
def test_json_says_it_in_the_params(method: str, said: dict[str, Any], seq: int) -> None:
    assert orjson.loads(in_json(method, said, seq)) == {
        "jsonrpc": "2.0",
        "method": method,
        "params": {**said, "seq": seq},
    }


@given(method=st.text(min_size=1, max_size=30), said=params, seq=numbers)
def test_protobuf_is_what_the_schema_encodes(method: str, said: dict[str, Any], seq: int) -> None:
    wanted = pb.WebSocketMessage(jsonrpc="2.0")
    wanted.notification.method = method
    wanted.notification.params.CopyFrom(to_any(orjson.loads(orjson.dumps(said))))
    wanted.notification.seq = seq
    frame = in_proto(method, said, seq)
    assert pb.WebSocketMessage.FromString(frame) == wanted
    assert len(frame) == wanted.ByteSize()


@given(st.lists(st.tuples(params, numbers), min_size=1, max_size=5))
def test_several_in_one_batch_keep_their_numbers(notices: list[tuple[dict[str, Any], int]]) -> None:
    for framing, made in ((json_framing, in_json), (proto_framing, in_proto)):
        joined = framing.join([made("n", said, seq) for said, seq in notices])
        items = codec.decode(joined if framing is proto_framing else joined.decode())
        assert [item.seq for item in items if isinstance(item, codec.Notification)] == [seq for _, seq in notices]
