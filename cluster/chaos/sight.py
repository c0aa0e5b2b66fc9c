"""Does a player see what is there? Its entities beside the zone's list of what it sees, twice: what is on its way is no error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rayrealm_client.view import Entity


@dataclass(frozen=True, slots=True)
class Sight:
    """One moment: entity id -> version, as the client has them and as the zone has them. Without the viewer's own."""

    seen: Mapping[str, int]
    there: Mapping[str, int]


def sight(entities: Mapping[int, Entity], snapshot: Mapping[str, Any]) -> Sight:
    """`snapshot`: the result of state.sync.request, whose first entity is the viewer's own."""
    seen = {entity.entity_id: entity.version for entity in entities.values()}
    return Sight(seen, {str(entity["entity_id"]): int(entity["version"]) for entity in snapshot["entities"][1:]})


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
    return wrong
