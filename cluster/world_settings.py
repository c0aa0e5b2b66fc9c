"""Settings of the world (rows 3.5, 7.1-7.6, 7.11, 7.12): its zones, what moves in them, who sees whom, when zones are split.

Distances are metres, angles radians, times seconds.
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from cluster.polygons import why_not_simple
from cluster.section import Metres, Seconds, Section

Coordinate = Annotated[float, Field(ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]  # metres
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

    max_speed: Metres = 8.0  # m/s of a player on the ground
    tolerance: float = Field(default=1.25, ge=1.0, le=10.0)  # times so fast is let pass
    budget_s: Seconds = 1.0  # seconds of movement that may be saved up after a gap in the network
    min_y: Coordinate = -1_000.0  # metres, the lowest place
    max_y: Coordinate = 1_000.0  # metres, the highest place

    @model_validator(mode="after")
    def _some_height(self) -> Self:
        if self.min_y >= self.max_y:
            raise ValueError("movement needs min_y < max_y")
        return self


class InterestSettings(Section):
    """Who sees whom (row 3.5): seen within `radius`, forgotten beyond `radius + hysteresis`."""

    radius: Metres = 50.0  # metres within which entities are seen
    hysteresis: float = Field(default=5.0, ge=0.0, le=1_000.0)  # metres further before one is forgotten; 0: at once
    near_radius: float | None = Field(default=None, gt=0.0)  # None: all of it is near
    far_every: int = Field(default=4, ge=1, le=100)  # ticks
    bytes_per_s: int = Field(default=32_768, ge=0)  # of rows to one viewer; 0: no limit
    starve_s: Seconds = 2.0  # nobody in view waits longer for a row that is due


class PolicySettings(Section):
    """When the supervisor changes the world by itself (row 7.3)."""

    enabled: bool = True  # whether it acts by itself; off: only operators do
    every_s: Seconds = 5.0  # seconds between its looks
    split_tick_ms: Seconds = 35.0  # p95 of a tick's work, over `sustain_s`
    split_population: int = Field(default=60, ge=2)  # fewer are never split
    split_min_side: Metres = 40.0  # no part is narrower
    merge_tick_ms: Seconds = 8.0  # ms of a tick's work, p95, in each of two zones that may become one
    merge_population: int = Field(default=40, ge=0)  # of both together, at most, for a merge; 0: only empty ones
    sustain_s: Seconds = 30.0  # seconds that a reason must last
    cooldown_s: Seconds = 120.0  # seconds between two changes of the world


class WorldSettings(Section):
    # the world as it begins; grounds do not overlap
    zones: tuple[ZoneSpec, ...] = (
        ZoneSpec(id="zon_meadow", name="Meadow", bounds=Bounds(min_x=0, min_z=0, max_x=200, max_z=200)),
        ZoneSpec(id="zon_harbour", name="Harbour", bounds=Bounds(min_x=200, min_z=0, max_x=400, max_z=200)),
        ZoneSpec(id="zon_forest", name="Forest", bounds=Bounds(min_x=0, min_z=200, max_x=200, max_z=400)),
        ZoneSpec(id="zon_ridge", name="Ridge", bounds=Bounds(min_x=200, min_z=200, max_x=400, max_z=400)),
    )
    spawn_zone: ZoneId = "zon_meadow"  # where new characters come in
    tick_hz: float = Field(default=20.0, ge=1.0, le=120.0)  # steps of each zone in a second
    zone_capacity: int = Field(default=5_000, ge=1, le=65_536)  # entities of one zone; more are refused
    checkpoint_s: Seconds = 1.0  # seconds between the states that a zone writes down
    movement: MovementSettings = MovementSettings()
    interest: InterestSettings = InterestSettings()
    # player, npc, item, projectile and the game's own; missing ones have the defaults, players movement.max_speed
    types: dict[EntityType, EntityTypeSettings] = Field(default={})
    obstacles: tuple[Obstacle, ...] = Field(default=(), max_length=10_000)  # ground that nobody walks on
    border_hysteresis: float = Field(default=2.0, gt=0.0, le=100.0)  # metres past the border before the owner changes
    standby: bool = False  # whether a second actor follows each zone, to take over
    standby_silence_s: Seconds = 0.25  # seconds of an owner's silence before its standby takes over
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
