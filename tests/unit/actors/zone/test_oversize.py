"""A message that is too large for the bus, in parts."""

from __future__ import annotations

import pytest

from actors.zone.oversize import MAX_BYTES, parts
from realm_proto import internal_pb2, realtime_pb2
from tests.unit.actors.showing_model import Stage, View, read


def news_of(size: int) -> bytes:
    """A message with all there can be in one: resets, states, places, moves, leaves and a correction."""
    stage = Stage(capacity=size + 3, radius=20.0)
    for n in range(size):
        stage.add(50 + n % 7, 50 + n % 5)
    apart = [stage.add(190.0 + n) for n in range(2)]
    stage.tick()
    stage.leave(0)
    stage.attach(5, "gtw_a")
    stage.change(3, title="x" * 200)
    for n in range(1, 12):
        stage.walk(n, 2.0 if n % 3 == 0 else 0.3)
    stage.walk(apart[0], 0.1)
    stage.corrections[4] = realtime_pb2.Correction(sequence=1, reason="too_fast").SerializeToString()
    [(_, data)] = stage.messages()
    return data


def together(messages: list[bytes]) -> dict[int, View]:
    merged: dict[int, View] = {}
    for data in messages:
        views = read(data)
        assert not merged.keys() & views.keys(), "no viewer twice"
        merged |= views
    return merged


@pytest.mark.parametrize("limit", [6_000, 3_000, 1_000])
def test_parts_say_what_the_whole_said(limit: int) -> None:
    whole = news_of(24)
    assert len(whole) > 3_000
    out = internal_pb2.ZoneOutput.FromString(whole)
    out.number = 0  # each part is numbered when it is sent
    said = read(whole)
    assert any(view.moves and view.places for view in said.values())
    assert any(view.moves and not view.places for view in said.values())
    made = parts(out, limit)
    assert together(made) == said
    if limit < len(whole):
        assert len(made) > 1
    viewers = {data: len(read(data)) for data in made}
    assert all(len(data) <= limit or viewers[data] == 1 for data in made)
    heads = {(p.zone_id, p.epoch, p.tick) for p in map(internal_pb2.ZoneOutput.FromString, made)}
    assert heads == {(out.zone_id, out.epoch, out.tick)}


def test_an_ordinary_message_is_sent_as_it_is() -> None:
    out = internal_pb2.ZoneOutput.FromString(news_of(12))
    assert parts(out) == [out.SerializeToString()]
    assert out.ByteSize() < MAX_BYTES


def test_a_part_without_places_says_nothing_of_them() -> None:
    stage = Stage(capacity=10)
    for n in range(8):
        stage.add(50 if n < 4 else 90)
    stage.tick()
    stage.walk(0, 0.1)
    stage.walk(7, 3.0)
    [(_, data)] = stage.messages()
    first, second = (
        internal_pb2.ZoneOutput.FromString(part) for part in parts(internal_pb2.ZoneOutput.FromString(data), 120)
    )
    assert (bool(first.moves), first.places, first.place_end, first.place_index) == (True, b"", b"", b"")
    assert (second.moves, bool(second.places)) == (b"", True)


def test_one_viewer_is_never_parted() -> None:
    out = internal_pb2.ZoneOutput(zone_id="zon_test", epoch=1, tick=1, viewers=b"\x01\x00", acks=bytes(4))
    out.move_end = (0).to_bytes(4, "little")
    out.events.add(viewer=1, states=[0])
    out.states.append(bytes(500))
    assert parts(out, 100) == [out.SerializeToString()]
