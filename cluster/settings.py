"""Every setting of a realm: one frozen object, validated before anything starts.

Sources, strongest first: arguments of the command, `RAYREALM_*` variables (nested with `__`, as in
`RAYREALM_GATEWAY__CAPACITY=500`), `realm.toml` in the working directory (or `RAYREALM_CONFIG`), the defaults below.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from cluster.errors import SettingsError
from cluster.polygons import why_not_simple
from cluster.section import Metres, Seconds, Section
from cluster.social_settings import ChatSettings, EventSettings, PresenceSettings, Role, SocialSettings, TopicRule

Coordinate = Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]  # metres


def _address(*schemes: str, several: bool = False) -> AfterValidator:
    """Empty, or an address with one of the schemes; or several, separated by commas. The reason quotes no password."""

    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        for part in filter(None, text.split(",") if several else [text]):
            url = urlsplit(part)
            try:
                good = url.scheme in schemes and bool(url.hostname and url.port)
            except ValueError:  # the port is no number
                good = False
            if not good:
                raise ValueError(f"must be like {' or '.join(f'{scheme}://HOST:PORT' for scheme in schemes)}")
        return value

    return AfterValidator(check)


RedisUrl = Annotated[SecretStr, _address("redis", "rediss")]
NatsUrl = Annotated[SecretStr, _address("nats", "tls", several=True)]
ZoneId = Annotated[str, Field(pattern=r"^zon_[a-z0-9_]{1,40}$")]
EntityType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
PLAYER: EntityType = "player"


class Bounds(Section):
    """A zone's ground in metres, on the x and z axes; the minimum belongs to the zone, the maximum does too."""

    model_config = ConfigDict(allow_inf_nan=False)

    min_x: float
    min_z: float
    max_x: float
    max_z: float

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.min_x >= self.max_x or self.min_z >= self.max_z:
            raise ValueError("a zone needs min_x < max_x and min_z < max_z")
        return self

    def overlaps(self, other: Bounds) -> bool:
        """More in common than an edge."""
        return (
            self.min_x < other.max_x
            and other.min_x < self.max_x
            and self.min_z < other.max_z
            and other.min_z < self.max_z
        )


class ZoneSpec(Section):
    """A zone as the operator declares it. `standby`: whether a second actor follows it, to take over; None: as the world's."""

    id: ZoneId
    name: str = Field(min_length=1, max_length=40)
    bounds: Bounds
    standby: bool | None = None


class Obstacle(Section):
    """Ground that nobody walks on: a rectangle (min_x, min_z, max_x, max_z) or a polygon of (x, z), in metres."""

    rect: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None
    polygon: Annotated[tuple[tuple[Coordinate, Coordinate], ...], Field(max_length=1_000)] | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if (self.rect is None) == (self.polygon is None):
            raise ValueError("an obstacle needs either rect or polygon")
        if self.rect is not None and (self.rect[0] >= self.rect[2] or self.rect[1] >= self.rect[3]):
            raise ValueError("rect is (min_x, min_z, max_x, max_z) with min_x < max_x and min_z < max_z")
        wrong = why_not_simple(self.polygon) if self.polygon is not None else None
        if wrong is not None:
            raise ValueError(wrong)
        return self


class EntityTypeSettings(Section):
    """Limits of a type of entity (row 7.1), in m/s and m/s2, and who may see its properties; what is not named is seen by all."""

    max_speed: Metres = 8.0
    max_acceleration: Metres = 60.0
    visibility: dict[Annotated[str, Field(min_length=1, max_length=64)], Literal["owner", "near", "all"]] = Field(
        default={}
    )


class MovementSettings(Section):
    """What the zone allows (row 7.1)."""

    max_speed: Metres = 8.0
    tolerance: float = Field(default=1.25, ge=1.0, le=10.0)
    budget_s: Seconds = 1.0
    min_y: Coordinate = -1_000.0
    max_y: Coordinate = 1_000.0

    @model_validator(mode="after")
    def _some_height(self) -> Self:
        if self.min_y >= self.max_y:
            raise ValueError("movement needs min_y < max_y")
        return self


class InterestSettings(Section):
    """Who sees whom (row 3.5): seen within `radius`, forgotten beyond `radius + hysteresis`."""

    radius: Metres = 50.0
    hysteresis: float = Field(default=5.0, ge=0.0, le=1_000.0)
    near_radius: float | None = Field(default=None, gt=0.0)  # None: all of it is near
    far_every: int = Field(default=4, ge=1, le=100)  # ticks
    bytes_per_s: int = Field(default=32_768, ge=0)  # of rows to one viewer; 0: no limit
    starve_s: Seconds = 2.0  # nobody in view waits longer for a row that is due


class PolicySettings(Section):
    """When the supervisor changes the world by itself (row 7.3)."""

    enabled: bool = True
    every_s: Seconds = 5.0
    split_tick_ms: Seconds = 35.0  # p95 of a tick's work, over `sustain_s`
    split_population: int = Field(default=60, ge=2)  # fewer are never split
    split_min_side: Metres = 40.0  # no part is narrower
    merge_tick_ms: Seconds = 8.0
    merge_population: int = Field(default=40, ge=0)
    sustain_s: Seconds = 30.0
    cooldown_s: Seconds = 120.0


class WorldSettings(Section):
    zones: tuple[ZoneSpec, ...] = (
        ZoneSpec(id="zon_meadow", name="Meadow", bounds=Bounds(min_x=0, min_z=0, max_x=200, max_z=200)),
        ZoneSpec(id="zon_harbour", name="Harbour", bounds=Bounds(min_x=200, min_z=0, max_x=400, max_z=200)),
        ZoneSpec(id="zon_forest", name="Forest", bounds=Bounds(min_x=0, min_z=200, max_x=200, max_z=400)),
        ZoneSpec(id="zon_ridge", name="Ridge", bounds=Bounds(min_x=200, min_z=200, max_x=400, max_z=400)),
    )
    spawn_zone: ZoneId = "zon_meadow"
    tick_hz: float = Field(default=20.0, ge=1.0, le=120.0)
    zone_capacity: int = Field(default=5_000, ge=1, le=65_536)
    checkpoint_s: Seconds = 1.0
    movement: MovementSettings = MovementSettings()
    interest: InterestSettings = InterestSettings()
    # player, npc, item, projectile and the game's own; missing ones have the defaults, players movement.max_speed
    types: dict[EntityType, EntityTypeSettings] = Field(default={})
    obstacles: tuple[Obstacle, ...] = Field(default=(), max_length=10_000)
    border_hysteresis: float = Field(default=2.0, gt=0.0, le=100.0)  # metres past the border before the owner changes
    standby: bool = False
    standby_silence_s: Seconds = 0.25
    rewind_s: float = Field(default=0.25, ge=0.0, le=2.0)  # lag compensation goes no further back (row 7.11)
    game: str = Field(default="", pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*)?$")  # module:class; empty: no game
    policy: PolicySettings = PolicySettings()

    @model_validator(mode="after")
    def _zones_make_sense(self) -> Self:
        ids = [zone.id for zone in self.zones]
        if not ids:
            raise ValueError("at least one zone is needed")
        if len(set(ids)) != len(ids):
            raise ValueError("two zones have the same id")
        if self.spawn_zone not in ids:
            raise ValueError(f"spawn_zone {self.spawn_zone!r} is not one of the zones")
        for a, b in combinations(self.zones, 2):
            if a.bounds.overlaps(b.bounds):
                raise ValueError(f"the grounds of {a.id} and {b.id} overlap")
        return self

    def limits(self, entity_type: str) -> EntityTypeSettings:
        """What a type of entity may, without the tolerance."""
        said = self.types.get(entity_type)
        if said is None and entity_type == PLAYER:
            return EntityTypeSettings(max_speed=self.movement.max_speed)
        return said or EntityTypeSettings()


class GatewaySettings(Section):
    """Sockets. Sizes are bytes."""

    capacity: int = Field(default=4_000, ge=1, le=100_000)
    max_frame_bytes: int = Field(default=64 * 1024, ge=1024, le=1024 * 1024)
    max_inflated_bytes: int = Field(default=1024 * 1024, ge=1024, le=10 * 1024 * 1024)
    max_pending_requests: int = Field(default=32, ge=1, le=1_000)
    max_batch: int = Field(default=50, ge=1, le=1_000)
    max_errors_per_minute: int = Field(default=120, ge=1)
    send_buffer_bytes: int = Field(default=64 * 1024, ge=4096)
    slow_consumer_s: Seconds = 10.0
    slow_consumer_bytes: int = Field(default=512 * 1024, ge=4096)  # twice session.outbox_bytes, which may come at once
    ping_interval_s: Seconds = 30.0
    pong_deadline_s: Seconds = 10.0
    idle_timeout_s: Seconds = 1_800.0
    attach_deadline_s: Seconds = 5.0
    attaches_per_s: float = Field(default=200.0, ge=1.0, le=100_000.0)
    attaches_waiting: int = Field(default=500, ge=0, le=100_000)
    drain_s: float = Field(
        default=20.0, gt=0, le=25.0
    )  # before Serve ends a replica (28 s), and Kubernetes a pod (30 s)
    drain_batch_s: Seconds = 0.5
    rebalance: bool = False
    rebalance_per_minute: float = Field(default=0.2, gt=0.0, le=1.0)
    probe_s: Seconds = 1.0
    degraded_after_s: Seconds = 3.0
    input_flush_s: Seconds = 0.02
    call_deadline_s: Seconds = 5.0
    heartbeat_s: Seconds = 1.0
    allowed_origins: tuple[str, ...] = ("*",)


class SessionSettings(Section):
    sessions_per_actor: int = Field(default=5_000, ge=1, le=100_000)
    actors: int = Field(default=1, ge=1, le=64)
    per_user: int = Field(default=5, ge=1, le=1_000)
    grace_s: Seconds = 30.0
    record_ttl_s: Seconds = 300.0
    max_subscriptions: int = Field(default=64, ge=1, le=1_000)
    gateway_silence_s: Seconds = 4.0
    takeover: bool = True
    recovery_ttl_s: Seconds = 600.0
    outbox_count: int = Field(default=1_000, ge=1, le=100_000)
    outbox_bytes: int = Field(default=256 * 1024, ge=1_024)
    outbox_age_s: Seconds = 120.0
    topic_log: int = Field(default=1_000, ge=10, le=1_000_000)


class AccountSettings(Section):
    """Passwords (argon2id, RFC 9106) and tokens."""

    argon2_memory_kib: int = Field(default=19_456, ge=8, le=4_194_304)
    argon2_time_cost: int = Field(default=2, ge=1, le=100)
    hashing_concurrency: int = Field(default=2, ge=1, le=64)
    hashing_queue: int = Field(default=64, ge=1, le=10_000)
    access_ttl_s: Seconds = 900.0
    refresh_ttl_s: Seconds = 30 * 86_400.0
    clock_skew_s: float = Field(default=5.0, ge=0, le=300)
    max_characters: int = Field(default=8, ge=1, le=1_000)
    roles: dict[str, Role] = Field(default={})  # by username in lower case; everybody else is a player


class RedisSettings(Section):
    """`url` empty: the embedded Valkey."""

    url: RedisUrl = SecretStr("")
    max_connections: int = Field(default=32, ge=1, le=10_000)
    timeout_s: Seconds = 2.0
    health_check_s: Seconds = 15.0


class NatsSettings(Section):
    """`url` empty: the embedded NATS."""

    url: NatsUrl = SecretStr("")
    token: SecretStr = SecretStr("")
    timeout_s: Seconds = 2.0
    ping_interval_s: Seconds = 5.0
    pending_bytes: int = Field(default=16 * 1024 * 1024, ge=65_536)


class RaySettings(Section):
    """`address` (HOST:PORT) empty: a Ray of the realm's own."""

    address: str = Field(default="", pattern=r"^(\S+:[0-9]{1,5})?$")
    dashboard_port: int = Field(default=0, ge=0, le=65_535)
    object_store_mib: int = Field(default=200, ge=80, le=1_048_576)


class Settings(BaseSettings):
    """The whole realm."""

    model_config = SettingsConfigDict(env_prefix="RAYREALM_", env_nested_delimiter="__", frozen=True, extra="forbid")

    realm: str = Field(default="realm", pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=1, le=65_535)
    data: Path = Path(".rayrealm")
    gateways: int = Field(default=2, ge=1, le=64)
    bots: int = Field(default=0, ge=0, le=1_000)
    log_level: str = Field(default="info", pattern=r"^(debug|info|warning|error)$")

    world: WorldSettings = WorldSettings()
    gateway: GatewaySettings = GatewaySettings()
    session: SessionSettings = SessionSettings()
    presence: PresenceSettings = PresenceSettings()
    social: SocialSettings = SocialSettings()
    chat: ChatSettings = ChatSettings()
    topics: tuple[TopicRule, ...] = Field(default=(TopicRule(pattern="*"),), max_length=1_000)
    events: EventSettings = EventSettings()
    accounts: AccountSettings = AccountSettings()
    redis: RedisSettings = RedisSettings()
    nats: NatsSettings = NatsSettings()
    ray: RaySettings = RaySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = Path(os.environ.get("RAYREALM_CONFIG", "realm.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml)

    @property
    def namespace(self) -> str:
        """The Ray namespace, and the prefix of every Redis key and NATS subject."""
        return f"rayrealm-{self.realm}"


# Variables that share the prefix and are no settings: where the file is, and what the commands take.
NOT_SETTINGS = frozenset({"RAYREALM_CONFIG", "RAYREALM_URL"})
PREFIX = "RAYREALM_"


def load(**overrides: Any) -> Settings:
    """Read the settings. Raises SettingsError with the name of each wrong one, as the operator wrote it, and the reason."""
    path = os.environ.get("RAYREALM_CONFIG")
    if path and not Path(path).is_file():
        raise SettingsError([("RAYREALM_CONFIG", f"no such file: {path}")])
    problems = [(name, "no such setting") for name in sorted(os.environ) if _misspelt(name)]
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [(_written(e["loc"], overrides), _reason(e)) for e in error.errors()]
    except SourceError as error:  # a variable for a whole section that is no JSON
        problems.append((f"{PREFIX}*", str(error)))
    except ValueError as error:
        problems.append((path or "realm.toml", f"not TOML: {error}"))
    if problems:
        raise SettingsError(problems)
    return settings


def _misspelt(name: str) -> bool:
    section = name.removeprefix(PREFIX).split("__")[0].lower()
    return name.startswith(PREFIX) and name not in NOT_SETTINGS and section not in Settings.model_fields


def _written(location: tuple[int | str, ...], overrides: Mapping[str, Any]) -> str:
    """`--port`'s problem is `port`, a variable's is the variable, a file's `gateway.capacity`."""
    variable = PREFIX + "__".join(str(part).upper() for part in location)
    if variable in os.environ and (not location or location[0] not in overrides):
        return variable
    return ".".join(str(part) for part in location) or "settings"


def _reason(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "no such setting"
    return error["msg"].removeprefix("Value error, ")
