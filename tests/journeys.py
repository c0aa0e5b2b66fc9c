"""The way of sessions into the world, for hosts that tests put together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from actors.session.journey import Journey
from actors.session.whereabouts import Whereabouts
from cluster.mapwatch import MapWatch
from cluster.ports.accounts import CharacterStore
from cluster.ports.calls import Calls
from cluster.settings import Settings
from cluster.worldmap import WorldMap
from cluster.zone_calls import ZoneOwners


async def nowhere(_session_ids: Sequence[str]) -> dict[str, str]:
    """No zone's store knows anybody."""
    return {}


def journey(
    settings: Settings,
    calls: Calls,
    characters: CharacterStore,
    seed: float,
    zones_of: Callable[[Sequence[str]], object] = nowhere,
) -> Journey:
    watch, rng = MapWatch(WorldMap.declared(settings.world)), random.Random(seed)
    owners = ZoneOwners(calls, seed=1, clock=time.monotonic)
    where = Whereabouts(owners, zones_of, watch, time.monotonic, rng)  # type: ignore[arg-type]
    return Journey(settings, watch, where, characters, rng)
