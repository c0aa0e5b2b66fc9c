"""Does a player see what is there? Its entities beside the zone's list of what it sees, and beside where the others truly are, in
whatever zone that is. Looked at twice: what is on its way is no error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rayrealm_client.view import CM_PER_M, Entity

WALKING_M = 4.0
"""What two who walk may do to their distance before everybody has been told."""
STANDING_M = 0.5
OFF_CM = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a player is, by what it said itself, in metres. `stay`: how often it has come into the world."""

    entity_id: str
    name: str
    stay: int
    zone: str
    x: float
    z: float


@dataclass(frozen=True, slots=True)
class Reach:
    """Metres: how far a player sees, and beyond what it sees nobody any more. `still`: nobody walks, so places must be exact."""

    seen_m: float
    forgotten_m: float
    still: bool = False

    @property
    def slack_m(self) -> float:
        return STANDING_M if self.still else WALKING_M


@dataclass(frozen=True, slots=True)
class Sight:
    """One moment. `seen`, `there`: entity id -> version, as the client has them and as the zone has them, without the viewer's own.

    `near`, `far`: who must be seen, and who must not, by where they truly are; `at`: where the client sees whom, centimetres.
    """

    seen: Mapping[str, int]
    there: Mapping[str, int]
    near: Mapping[str, Standing] = field(default_factory=dict)
    far: Mapping[str, Standing] = field(default_factory=dict)
    at: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def sight(
    entities: Mapping[int, Entity],
    snapshot: Mapping[str, Any],
    me: Standing | None = None,
    others: Iterable[Standing] = (),
    reach: Reach | None = None,
) -> Sight:
    """`snapshot`: the result of state.sync.request, whose first entity is the viewer's own."""
    seen = {entity.entity_id: entity.version for entity in entities.values()}
    there = {str(entity["entity_id"]): int(entity["version"]) for entity in snapshot["entities"][1:]}
    if me is None or reach is None:
        return Sight(seen, there)
    near, far = {}, {}
    for other in others:
        away = math.hypot(other.x - me.x, other.z - me.z)
        if away < reach.seen_m - reach.slack_m:
            near[other.entity_id] = other
        elif away > reach.forgotten_m + reach.slack_m:
            far[other.entity_id] = other
    at = {e.entity_id: (e.cm[0], e.cm[2]) for e in entities.values() if e.cm is not None}
    return Sight(seen, there, near, far, at if reach.still else {})


def differences(first: Sight, second: Sight) -> list[str]:
    """What was wrong the first time and still is; the two a good while apart."""
    blind = first.there.keys() & second.there.keys() - first.seen.keys() - second.seen.keys()
    ghosts = first.seen.keys() & second.seen.keys() - first.there.keys() - second.there.keys()
    wrong = [f"does not see {entity_id}" for entity_id in sorted(blind)]
    wrong += [f"still sees {entity_id}" for entity_id in sorted(ghosts)]
    for entity_id in sorted(second.seen.keys() & second.there.keys() & first.there.keys()):
        old, new = second.seen[entity_id], first.there[entity_id]
        # Who left and came back between begins at version 1 again.
        if old < new <= second.there[entity_id]:
            wrong.append(f"sees version {old} of {entity_id}, which is at {new}")
    hidden = _both(first.near, second.near).keys() - first.seen.keys() - second.seen.keys()
    wrong += [f"does not see {_words(second.near[entity_id])}" for entity_id in sorted(hidden)]
    stuck = _both(first.far, second.far).keys() & first.seen.keys() & second.seen.keys()
    wrong += [f"still sees {_words(second.far[entity_id])}" for entity_id in sorted(stuck)]
    for entity_id, other in sorted(_both(first.near, second.near).items()):
        if _is_off(first.at.get(entity_id), other) and _is_off(second.at.get(entity_id), other):
            x, z = second.at[entity_id]
            wrong.append(f"sees {_words(other)} at {x / CM_PER_M:g}, {z / CM_PER_M:g}")
    return wrong


def _both(first: Mapping[str, Standing], second: Mapping[str, Standing]) -> dict[str, Standing]:
    """Who is in both, and was there all the time."""
    return {
        entity_id: other
        for entity_id, other in second.items()
        if entity_id in first and first[entity_id].stay == other.stay
    }


def _is_off(seen_cm: tuple[int, int] | None, other: Standing) -> bool:
    if seen_cm is None:
        return False
    return max(abs(seen_cm[0] - other.x * CM_PER_M), abs(seen_cm[1] - other.z * CM_PER_M)) > OFF_CM


def _words(other: Standing) -> str:
    return f"{other.name}, who is at {other.x:.2f}, {other.z:.2f} in {other.zone}"
