"""What many are told is unpacked once, and is the same as ever."""

from __future__ import annotations

import pytest

from cluster.bench.decoding import SharedDecoder
from rayrealm_client import codec
from rayrealm_client.codec import Notification, Request, Result
from rayrealm_client.errors import CodecError
from realm_proto import realtime_pb2 as pb

SAID = {"channel": "all", "text": "a", "sent_at": 1.5}


def frame(item: codec.Item) -> bytes:
    return codec.encode(item, "proto")


@pytest.mark.parametrize(
    "item",
    [
        Notification("chat.message", SAID, 7),
        Notification("session.gap", {}, 8),
        Notification("system.degraded", {"components": ["nats"]}),
        Result(3, {"message_id": "msg_1"}),
        Request(4, "system.ping", {}),
    ],
)
def test_it_decodes_as_the_codec_does(item: codec.Item) -> None:
    decode = SharedDecoder()
    for _ in range(2):
        assert decode(frame(item)) == codec.decode(frame(item))


def test_equal_notifications_share_what_they_hold() -> None:
    decode = SharedDecoder()
    told = [decode(frame(Notification("chat.message", SAID, seq)))[0] for seq in (1, 2)]
    assert all(isinstance(item, Notification) for item in told)
    assert [item.seq for item in told if isinstance(item, Notification)] == [1, 2]
    assert told[0].params is told[1].params  # type: ignore[union-attr]
    assert decode.unpacked == 1


@pytest.mark.parametrize("compress", [False, True])
def test_a_batch_keeps_its_order(compress: bool) -> None:
    items: list[codec.Item] = [
        Notification("chat.message", SAID, 1),
        Result(3, {}),
        Notification("chat.message", SAID, 2),
    ]
    batch = codec.encode_batch(items, "proto", compress=compress)
    assert isinstance(batch, bytes)
    assert SharedDecoder()(batch) == codec.decode(batch)


def test_it_forgets_the_oldest() -> None:
    decode = SharedDecoder(kept=2)
    for text in ("a", "b", "c", "b", "a"):
        decode(frame(Notification("chat.message", {"text": text}, 1)))
    assert decode.unpacked == 4


def test_it_refuses_what_the_codec_refuses() -> None:
    wrong = pb.WebSocketMessage(jsonrpc="1.0")
    wrong.notification.seq = 3
    for raw in (b"\xff\xff", wrong.SerializeToString()):
        with pytest.raises(CodecError):
            SharedDecoder()(raw)
