"""What the calls take and give, typed. Metres, seconds, radians; ids are opaque strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rayrealm_client.errors import CodecError
from rayrealm_client.view import Position


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """`expires_at`: seconds on the client's own clock (`time.monotonic`)."""

    user_id: str
    access_token: str
    refresh_token: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Tokens(user_id={self.user_id!r}, expires_at={self.expires_at!r})"

    @classmethod
    def of(cls, body: Mapping[str, Any], now: float) -> Self:
        with _shape("tokens"):
            return cls(
                str(body["user_id"]),
                str(body["access_token"]),
                str(body["refresh_token"]),
                now + float(body["expires_in"]),
            )


@dataclass(frozen=True, slots=True)
class Character:
    character_id: str
    name: str
    zone: str | None
    position: Position | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with _shape("character"):
            place = body.get("position")
            return cls(
                str(body["character_id"]),
                str(body["name"]),
                body.get("zone"),
                None if place is None else position(place),
            )


@dataclass(frozen=True, slots=True)
class Bounds:
    min_x: float
    min_z: float
    max_x: float
    max_z: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with _shape("bounds"):
            return cls(*(float(body[name]) for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class Zone:
    zone: str
    name: str
    bounds: Bounds
    population: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with _shape("zone"):
            return cls(
                str(body["zone"]),
                str(body["name"]),
                Bounds.of(body["bounds"]),
                int(body["population"]),
            )


@dataclass(frozen=True, slots=True)
class World:
    """The result of `world.enter`. `sequence`: the newest of the own moves that was judged before."""

    zone: str
    bounds: Bounds
    entity_id: str
    number: int
    position: Position
    yaw: float
    tick_hz: float
    interest_radius: float
    max_speed: float
    character_id: str
    name: str
    sequence: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with _shape("world"):
            return cls(
                str(body["zone"]),
                Bounds.of(body["bounds"]),
                str(body["entity_id"]),
                int(body["number"]),
                position(body["position"]),
                float(body["yaw"]),
                float(body["tick_hz"]),
                float(body["interest_radius"]),
                float(body["max_speed"]),
                str(body["character_id"]),
                str(body["name"]),
                int(body["sequence"]),
            )


@dataclass(frozen=True, slots=True)
class Ready:
    """`session.ready`: whose session this socket holds, and whether it is the one that was asked for."""

    session_id: str
    user_id: str
    resumed: bool
    state: str
    realm: str
    max_pending_requests: int
    world: World | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with _shape("session.ready"):
            world = body.get("world")
            return cls(
                str(body["session_id"]),
                str(body["user_id"]),
                bool(body["resumed"]),
                str(body["state"]),
                str(body["realm"]),
                max(1, int(body["limits"]["max_pending_requests"])),
                None if world is None else World.of(world),
            )


@dataclass(frozen=True, slots=True)
class Presence:
    user_id: str
    status: str
    zone: str | None
    character_id: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with _shape("presence"):
            return cls(str(body["user_id"]), str(body["status"]), body.get("zone"), body.get("character_id"))


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`sender`: the member `from`, a user id; `sent_at`: Unix seconds."""

    message_id: str
    channel: str
    sender: str
    name: str
    text: str
    sent_at: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with _shape("chat.message"):
            return cls(
                str(body["message_id"]),
                str(body["channel"]),
                str(body["from"]),
                str(body["name"]),
                str(body["text"]),
                float(body["sent_at"]),
            )


def position(body: Mapping[str, Any]) -> Position:
    return Position(float(body.get("x", 0.0)), float(body.get("y", 0.0)), float(body.get("z", 0.0)))


class _shape:  # noqa: N801 - reads as a statement
    """Turns a missing or wrong member into a CodecError that names the thing."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError):
            raise CodecError(f"the server's {self._what} has not the agreed shape: {error!r}") from error
