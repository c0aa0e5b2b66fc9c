"""What directing the world needs of its process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cluster.operator_settings import ZoneTemplate
from cluster.ports.actors import Actors
from cluster.ports.bus import Bus
from cluster.ports.calls import Calls
from cluster.ports.zones import WorldStore, ZoneStore
from cluster.subjects import Subjects
from cluster.world_settings import WorldSettings


def _nobody_counts(_name: str, _well: bool) -> None:
    """Of health checks."""


@dataclass(frozen=True, slots=True)
class Tools:
    """`on_fenced` ends the process. `on_check` is told of each health check: the actor's name, and whether it answered.
    `templates`: of zones that operators may add, by name.

    `clock` is monotonic, `wall_clock` Unix seconds.
    """

    settings: WorldSettings
    calls: Calls
    zones: ZoneStore
    world: WorldStore
    actors: Actors
    bus: Bus
    subjects: Subjects
    on_fenced: Callable[[str], None]
    on_check: Callable[[str, bool], None] = _nobody_counts
    templates: Mapping[str, ZoneTemplate] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time
