"""What the calls take and give, typed. Metres, seconds, radians; ids are opaque strings."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from rayrealm_client.errors import CodecError
from rayrealm_client.view import Entity, Position
from rayrealm_client.views import cm

_TOKEN = re.compile(r"[A-Za-z0-9._~+-]+")  # what a JWT has, and RFC 6455 lets a subprotocol have


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
        with shape("tokens"):
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
        with shape("character"):
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
        with shape("bounds"):
            return cls(*(float(body[name]) for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class Zone:
    zone: str
    name: str
    bounds: Bounds
    population: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("zone"):
            return cls(
                str(body["zone"]),
                str(body["name"]),
                Bounds.of(body["bounds"]),
                int(body["population"]),
            )


@dataclass(frozen=True, slots=True)
class World:
    """The result of `world.enter`. `sequence`: the newest of the own moves that was judged before.

    `bounds`: of the zone that was entered; `land`: of all zones that form one land with it. Who walks over a border gets another
    `zone` and `number`, no more: `RealmClient.zones` tells what there is now.
    """

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
    land: Bounds

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("world"):
            bounds = Bounds.of(body["bounds"])
            land = body.get("land")
            return cls(
                str(body["zone"]),
                bounds,
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
                bounds if land is None else Bounds.of(land),
            )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The result of `state.sync.request`: what the viewer sees after a tick, as the zone has it. `own`: its own entity."""

    tick: int
    zone: str
    own: Entity
    others: tuple[Entity, ...]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("state.sync.request"):
            tick = int(body["tick"])
            own, *others = (_entity(item, tick) for item in body["entities"])
            return cls(tick, str(body["zone"]), own, tuple(others))


@dataclass(frozen=True, slots=True)
class GameAnswer:
    """What the game made of a message, at which of the zone's ticks."""

    result: Any
    tick: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("game.message"):
            return cls(body["result"], int(body["tick"]))


@dataclass(frozen=True, slots=True)
class GameEvent:
    """`game.event`: something that the game tells this player, at one of its zone's ticks (0 if it did not say which)."""

    type: str
    data: Any
    tick: int = 0

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("game.event"):
            return cls(text(body["type"]), body.get("data"), int(body.get("tick", 0)))


@dataclass(frozen=True, slots=True)
class RecoveryToken:
    """What opens the next socket of the session; `expires_in` is seconds from when it came (PROTOCOL.md, "Recovery")."""

    token: str = field(repr=False)
    expires_in: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("recovery token"):
            token = body["token"]
            if not isinstance(token, str) or not _TOKEN.fullmatch(token):
                raise TypeError("not a token that a subprotocol can carry")
            return cls(token, seconds(body["expires_in"]))


@dataclass(frozen=True, slots=True)
class MoveOver:
    """`session.reconnect`: connect again with `recovery` at a random moment within `within_s` seconds."""

    recovery: RecoveryToken
    reason: str
    within_s: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("session.reconnect"):
            return cls(RecoveryToken.of(body), text(body["reason"]), seconds(body["within_s"]))


@dataclass(frozen=True, slots=True)
class Ready:
    """`session.ready`: whose session this socket holds, and whether it is the one that was asked for.

    `stream` and `seq`: the numbering of reliable notifications, and where this socket goes on in it; `recovered`: nothing was
    missed. `topics`: of the session, channels as `chat:<channel>`. `degraded`: parts of the realm that do not answer
    at the moment.
    """

    session_id: str
    user_id: str
    resumed: bool
    state: str
    realm: str
    max_pending_requests: int
    world: World | None
    recovered: bool
    stream: str
    seq: int
    recovery: RecoveryToken
    topics: tuple[str, ...]
    degraded: frozenset[str]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("session.ready"):
            world = body.get("world")
            return cls(
                str(body["session_id"]),
                str(body["user_id"]),
                bool(body["resumed"]),
                str(body["state"]),
                str(body["realm"]),
                max(1, int(body["limits"]["max_pending_requests"])),
                None if world is None else World.of(world),
                flag(body["recovered"]),
                word(body["stream"]),
                number(body["seq"]),
                RecoveryToken.of(body["recovery"]),
                texts(body["topics"]),
                frozenset(texts(body["degraded"])),
            )


def texts(items: Any) -> tuple[str, ...]:
    """A list of strings. Raises TypeError for anything else."""
    if not isinstance(items, list):
        raise TypeError("not a list")
    return tuple(text(item) for item in items)


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def word(value: Any) -> str:
    if not text(value):
        raise ValueError("empty")
    return str(value)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not true or false")
    return value


def number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("not a number from 0")
    return value


def seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TypeError("not a number of seconds")
    return float(value)


def _entity(body: Mapping[str, Any], tick: int) -> Entity:
    place, properties = body["position"], body["properties"]
    if not isinstance(properties, dict):
        raise TypeError("properties are an object")
    return Entity(
        int(body["number"]),
        str(body["entity_id"]),
        str(body["entity_type"]),
        str(body["name"]),
        int(body["version"]),
        properties,
        (cm(place["x"]), cm(place["y"]), cm(place["z"])),
        float(body["yaw"]),
        int(body["sequence"]) & 0xFFFF,
        tick,
        bool(body.get("link_dead", False)),
    )


def position(body: Mapping[str, Any]) -> Position:
    return Position(float(body.get("x", 0.0)), float(body.get("y", 0.0)), float(body.get("z", 0.0)))


class shape:  # noqa: N801 - reads as a statement
    """Turns a missing or wrong member into a CodecError that names the thing."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError):
            raise CodecError(f"the server's {self._what} has not the agreed shape: {error!r}") from error
