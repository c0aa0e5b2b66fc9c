"""Typed params to plain JSON."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf import any_pb2, struct_pb2
from google.protobuf.message import Message

from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import MAX_VALUES, BadParams, Budget
from serve_apps.gateway.typed import DECODERS, MAX_UPDATES, PREFIX, STRUCT, to_any, to_params
from serve_apps.gateway.varint import varint


def params_of(message: Message) -> dict[str, Any]:
    return to_params(PREFIX + message.DESCRIPTOR.full_name, message.SerializeToString())


def value_of(value: Any) -> any_pb2.Any:
    made = any_pb2.Any()
    inner = struct_pb2.Value()
    if value is None:
        inner.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        inner.bool_value = value
    elif isinstance(value, str):
        inner.string_value = value
    else:
        inner.number_value = value
    made.Pack(inner)
    return made


def test_a_position() -> None:
    update = pb.PositionUpdate(
        character_id="chr_someone_else",
        position=pb.Vector3(x=1, y=2, z=3.5),
        rotation=pb.Rotation(yaw=0.5, pitch=1),
        velocity=pb.Vector3(x=9),
        sequence=4,
    )
    update.timestamp.seconds = 5
    assert params_of(update) == {"position": {"x": 1, "y": 2, "z": 3.5}, "rotation": {"yaw": 0.5}, "sequence": 4}


def test_a_position_that_is_left_out_stays_out() -> None:
    assert params_of(pb.PositionUpdate()) == {"rotation": {"yaw": 0}, "sequence": 0}


def test_positions() -> None:
    batch = pb.PositionBatch(updates=[pb.PositionUpdate(sequence=1), pb.PositionUpdate(sequence=2)])
    assert [update["sequence"] for update in params_of(batch)["updates"]] == [1, 2]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (pb.PRESENCE_STATUS_ONLINE, "online"),
        (pb.PRESENCE_STATUS_AWAY, "away"),
        (pb.PRESENCE_STATUS_BUSY, "busy"),
        (pb.PRESENCE_STATUS_INVISIBLE, "invisible"),
        (pb.PRESENCE_STATUS_OFFLINE, ""),
        (77, ""),
    ],
)
def test_a_presence_is_what_one_may_say_of_oneself(status: Any, word: str) -> None:
    assert params_of(pb.PresenceUpdate(status=status)) == {"status": word}


def test_what_is_left_out_of_a_presence_stays_as_it_is() -> None:
    assert params_of(pb.PresenceUpdate()) == {}
    assert params_of(pb.PresenceUpdate(text="")) == {"text": ""}
    assert params_of(pb.PresenceUpdate(text="brb", metadata={"song": "x"}, user_id="usr_other", zone_id="zon_x")) == {
        "text": "brb",
        "metadata": {"song": "x"},
    }


def test_a_state() -> None:
    sync = pb.StateSync(entity_id="ent_1", version=3)
    for name, value in {"hp": 5, "gone": None, "name": "x", "far": 1.5, "alive": True}.items():
        sync.properties[name].CopyFrom(value_of(value))
    sync.properties["bag"].CopyFrom(to_any({"items": [1, 2]}))
    assert params_of(sync) == {
        "entity_id": "ent_1",
        "version": 3,
        "properties": {"hp": 5, "gone": None, "name": "x", "far": 1.5, "alive": True, "bag": {"items": [1, 2]}},
    }


def test_a_property_of_another_type_is_refused() -> None:
    sync = pb.StateSync(entity_id="ent_1", version=3)
    sync.properties["x"].Pack(pb.Vector3())
    with pytest.raises(BadParams, match="a property is") as bad:
        params_of(sync)
    assert bad.value.field == "properties"


def test_every_message_that_a_client_may_send_as_params_is_known() -> None:
    assert {url.removeprefix(PREFIX) for url in DECODERS} == {
        "rayrealm.v1.PositionUpdate",
        "rayrealm.v1.PositionBatch",
        "rayrealm.v1.PresenceUpdate",
        "rayrealm.v1.StateSync",
        "google.protobuf.Struct",
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_struct_with_a_number_that_json_has_not(number: float) -> None:
    data = struct_pb2.Struct(fields={"x": struct_pb2.Value(number_value=number)}).SerializeToString()
    with pytest.raises(BadParams, match="must be finite"):
        to_params(STRUCT, data)


@pytest.mark.parametrize("url", sorted(DECODERS))
def test_bytes_that_do_not_parse(url: str) -> None:
    with pytest.raises(BadParams) as bad:
        to_params(url, b"\xff\xff\xff")
    assert bad.value.field == "value"


@pytest.mark.parametrize("url", ["", PREFIX, PREFIX + "rayrealm.v1.ViewFrame", "rayrealm.v1.PositionUpdate"])
def test_an_unknown_type(url: str) -> None:
    with pytest.raises(BadParams, match="unknown type") as bad:
        to_params(url, b"")
    assert bad.value.field == "@type"


@pytest.mark.parametrize(
    ("number", "made"),
    [(1.0, 1), (-0.0, 0), (1.5, 1.5), (2.0**53 - 1, 2**53 - 1), (2.0**53, 2.0**53), (1e300, 1e300)],
)
def test_numbers_without_a_fraction_are_integers_while_doubles_are_exact(number: float, made: float) -> None:
    packed = to_any({"a": [number]})
    (read,) = to_params(packed.type_url, packed.value)["a"]
    assert (read, type(read)) == (made, type(made))


def test_any_json_object_survives_the_way_out_and_back() -> None:
    said: dict[str, Any] = {"a": None, "b": [True, "x", 1.25, []], "c": {"d": {}}, "": 0}
    packed = to_any(said)
    assert packed.type_url == STRUCT
    assert to_params(packed.type_url, packed.value) == said


def many(count: int) -> bytes:
    """A Struct of a list of so many nulls: two values more."""
    values = struct_pb2.ListValue(values=[struct_pb2.Value()] * count)
    return struct_pb2.Struct(fields={"a": struct_pb2.Value(list_value=values)}).SerializeToString()


def test_the_values_of_a_frame_are_counted() -> None:
    assert len(to_params(STRUCT, many(MAX_VALUES - 1))["a"]) == MAX_VALUES - 1
    with pytest.raises(BadParams, match="more than 4096 values in one frame"):
        to_params(STRUCT, many(MAX_VALUES))
    budget = Budget()
    to_params(STRUCT, many(3_000), budget)
    with pytest.raises(BadParams, match="values"):
        to_params(STRUCT, many(3_000), budget)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("StateSync", pb.StateSync(properties={str(n): any_pb2.Any() for n in range(5_000)}).SerializeToString()),
        ("PresenceUpdate", pb.PresenceUpdate(metadata={str(n): "" for n in range(5_000)}).SerializeToString()),
    ],
)
def test_no_message_holds_more(name: str, data: bytes) -> None:
    with pytest.raises(BadParams, match="values"):
        to_params(PREFIX + "rayrealm.v1." + name, data)


def test_of_a_batch_of_positions_no_more_is_made_than_shows_that_it_is_too_long() -> None:
    assert len(to_params(PREFIX + "rayrealm.v1.PositionBatch", b"\x0a\x00" * 30_000)["updates"]) == MAX_UPDATES + 1


def nested(depth: int) -> bytes:
    """A Struct with lists in lists, written by hand: a Value is field 6 of it, a list's values are field 1."""

    def field(tag: int, body: bytes) -> bytes:
        return bytes([tag << 3 | 2]) + varint(len(body)) + body

    value = b""
    for _ in range(depth):
        value = field(6, field(1, value))
    return field(1, field(1, b"a") + field(2, value))


def test_a_struct_as_deep_as_the_library_takes_and_deeper() -> None:
    read, depth = to_params(STRUCT, nested(40))["a"], 0
    while read:
        (read,), depth = read, depth + 1
    assert depth == 40
    for deep in (60, 1_000, 8_000):
        with pytest.raises(BadParams, match="not a"):
            to_params(STRUCT, nested(deep))
