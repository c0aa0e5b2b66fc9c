"""A message that is too large for the bus, in parts."""

from __future__ import annotations

import pytest

from actors.zone import zone as zone_module
from actors.zone.oversize import MAX_BYTES, parts
from actors.zone.zone import Zone
from realm_proto import internal_pb2
from tests.unit.actors.zone_model import View, arrival, make_zone, move, read


def crowd(size: int) -> Zone:
    zone = make_zone(capacity=size + 1, radius=20.0)
    for n in range(size):
        zone.enter(arrival(f"p{n}", 50 + n % 7, 50 + n % 5, "gtw_a"), 0.0)
    entity = zone.of_session("ses_p3")
    zone.commit_change(*zone.plan_change("ses_p3", entity.entity_id, 1, {"title": "x" * 200}))
    return zone


def news_of(zone: Zone) -> bytes:
    """A message with all there can be in one: resets, states, rows, a leave and a correction."""
    zone.tick(0.0)
    zone.leave("ses_p0")
    zone.attach("ses_p5", "gtw_a", 2)
    for n in range(1, 12):
        x = 90.0 if n == 4 else 51.0 + n % 7
        zone.take_input("gtw_a", move(n, 1, x, 50.0 + n % 5))
    [(_, data)] = zone.tick(0.1)
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
    whole = news_of(crowd(24))
    assert len(whole) > 6_000 // 4
    out = internal_pb2.ZoneOutput.FromString(whole)
    made = parts(out, limit)
    assert together(made) == read(whole)
    if limit < len(whole):
        assert len(made) > 1
    viewers = {data: len(read(data)) for data in made}
    assert all(len(data) <= limit or viewers[data] == 1 for data in made)
    heads = {(p.zone_id, p.epoch, p.tick) for p in map(internal_pb2.ZoneOutput.FromString, made)}
    assert heads == {(out.zone_id, out.epoch, out.tick)}


def test_an_ordinary_message_is_sent_as_it_is() -> None:
    whole = news_of(crowd(12))
    assert parts(internal_pb2.ZoneOutput.FromString(whole)) == [whole]
    assert len(whole) < MAX_BYTES


def test_one_viewer_is_never_parted() -> None:
    out = internal_pb2.ZoneOutput(zone_id="zon_test", epoch=1, tick=1, viewers=b"\x01\x00", acks=bytes(4))
    out.move_end = (0).to_bytes(4, "little")
    out.events.add(viewer=1, states=[0])
    out.states.append(bytes(500))
    assert parts(out, 100) == [out.SerializeToString()]


def test_a_zone_parts_what_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone_module, "parts", lambda out: parts(out, 2_000))
    zone = crowd(30)
    messages = zone.tick(0.0)
    assert len(messages) > 3
    assert {gateway for gateway, _ in messages} == {"gtw_a"}
    views = together([data for _, data in messages])
    assert views.keys() == set(range(30))
    assert all(len(view.states) == 29 and len(view.moves) == 29 and view.reset for view in views.values())
