"""What the server says about a session has the agreed shape, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rayrealm_client.errors import CodecError
from rayrealm_client.models import Bounds, GameAnswer, GameEvent, MoveOver, Ready, RecoveryToken, Snapshot, World
from rayrealm_client.view import Entity, Position

READY: dict[str, Any] = {
    "session_id": "ses_1",
    "user_id": "usr_1",
    "resumed": True,
    "recovered": True,
    "stream": "s",
    "seq": 5,
    "recovery": {"token": "aB0-_.x", "expires_in": 600},
    "state": "authenticated",
    "realm": "realm",
    "gateway": "gw_1",
    "protocol": 1,
    "limits": {"max_frame_bytes": 65_536, "max_pending_requests": 32, "max_subscriptions": 64},
    "topics": ["news", "chat:trade"],
    "degraded": ["redis"],
    "world": None,
}


def test_ready() -> None:
    ready = Ready.of(READY)
    assert (ready.recovered, ready.stream, ready.seq) == (True, "s", 5)
    assert ready.recovery == RecoveryToken("aB0-_.x", 600.0)
    assert ready.topics == ("news", "chat:trade")
    assert ready.degraded == {"redis"}
    assert "aB0" not in repr(ready)


@pytest.mark.parametrize("member", ["recovered", "stream", "seq", "recovery", "topics", "degraded", "session_id"])
def test_nothing_may_be_missing(member: str) -> None:
    with pytest.raises(CodecError):
        Ready.of({name: value for name, value in READY.items() if name != member})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("recovered", 1),
        ("stream", ""),
        ("stream", 5),
        ("seq", -1),
        ("seq", "5"),
        ("seq", True),
        ("recovery", None),
        ("recovery", {"token": "a b", "expires_in": 1}),
        ("recovery", {"token": "", "expires_in": 1}),
        ("recovery", {"token": "a", "expires_in": -1}),
        ("recovery", {"token": "a", "expires_in": float("inf")}),
        ("recovery", {"token": "a"}),
        ("topics", "news"),
        ("degraded", [1]),
    ],
)
def test_nothing_may_be_something_else(member: str, value: object) -> None:
    with pytest.raises(CodecError):
        Ready.of(READY | {member: value})


def test_moving_over() -> None:
    told = MoveOver.of({"token": "t", "expires_in": 600, "reason": "draining", "within_s": 0.5})
    assert told == MoveOver(RecoveryToken("t", 600.0), "draining", 0.5)
    for within_s in (-1, float("nan"), "1", None):
        with pytest.raises(CodecError):
            MoveOver.of({"token": "t", "expires_in": 600, "reason": "draining", "within_s": within_s})


BOUNDS = {"min_x": 0, "min_z": 0, "max_x": 200, "max_z": 200}
WORLD: dict[str, Any] = {
    "zone": "zon_a",
    "bounds": BOUNDS,
    "entity_id": "ent_1",
    "number": 3,
    "position": {"x": 1, "y": 2, "z": 3},
    "yaw": 0.5,
    "tick_hz": 20,
    "interest_radius": 50,
    "max_speed": 8,
    "character_id": "chr_1",
    "name": "Ann",
    "sequence": 7,
}


def test_a_world_is_as_large_as_its_land() -> None:
    assert World.of(WORLD).land == World.of(WORLD).bounds == Bounds(0.0, 0.0, 200.0, 200.0)
    world = World.of(WORLD | {"land": BOUNDS | {"max_x": 400}})
    assert (world.bounds.max_x, world.land) == (200.0, Bounds(0.0, 0.0, 400.0, 200.0))
    with pytest.raises(CodecError):
        World.of(WORLD | {"land": {"min_x": 0}})


SEEN: dict[str, Any] = {
    "number": 3,
    "entity_id": "ent_1",
    "entity_type": "player",
    "name": "Ann",
    "version": 2,
    "properties": {"bag": []},
    "link_dead": False,
    "position": {"x": 1.005, "y": 0, "z": -2.5},
    "yaw": 0.5,
    "sequence": 65_537,
}


def test_a_snapshot_has_oneself_first() -> None:
    told = {"tick": 9, "zone": "zon_a", "entities": [SEEN, SEEN | {"number": 4, "entity_id": "ent_2"}]}
    snapshot = Snapshot.of(told)
    assert snapshot.own == Entity(3, "ent_1", "player", "Ann", 2, {"bag": []}, (100, 0, -250), 0.5, 1, 9)
    assert [entity.entity_id for entity in snapshot.others] == ["ent_2"]
    assert snapshot.own.position == Position(1.0, 0.0, -2.5)


@pytest.mark.parametrize(
    "told",
    [
        {"tick": 9, "zone": "zon_a", "entities": []},
        {"tick": 9, "zone": "zon_a"},
        {"tick": 9, "zone": "zon_a", "entities": [SEEN | {"properties": []}]},
        {"tick": 9, "zone": "zon_a", "entities": [SEEN | {"position": {"x": "1", "y": 0, "z": 0}}]},
    ],
)
def test_what_is_no_snapshot(told: dict[str, Any]) -> None:
    with pytest.raises(CodecError):
        Snapshot.of(told)


def test_the_games_words() -> None:
    assert GameAnswer.of({"result": [1], "tick": 5}) == GameAnswer([1], 5)
    assert GameEvent.of({"type": "hit"}) == GameEvent("hit", None)
    assert GameEvent.of({"type": "hit", "data": 1, "tick": 9}) == GameEvent("hit", 1, 9)
    for wrong in ({"tick": 5}, {"result": 1}):
        with pytest.raises(CodecError):
            GameAnswer.of(wrong)
    with pytest.raises(CodecError):
        GameEvent.of({"type": 5, "data": 1})
