"""What a zone keeps beyond its process: where everybody is, and how it comes back from that (rows 1.9 and 3.7). Plain Python."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from actors.zone.entities import Entity, EntityTable
from actors.zone.movement import Rules
from actors.zone.population import Population
from actors.zone.records import Record
from actors.zone.rows import PLACE, pack_places, read_places

MAX_OUTAGE_S = 30.0


def places(table: EntityTable, numbers: np.ndarray | None = None) -> bytes:
    """PLACE rows of the zone's own entities, or of those of them in `numbers`."""
    if numbers is None:
        numbers = np.flatnonzero(table.mine)
    rows = np.empty(len(numbers), PLACE)
    rows["number"] = numbers
    rows["incarnation"] = [table.by_number[n].incarnation for n in numbers.tolist()]
    rows["sequence"] = table.sequence[numbers]
    position = table.position[numbers]
    rows["x"], rows["y"], rows["z"] = position[:, 0], position[:, 1], position[:, 2]
    rows["yaw"] = table.yaw[numbers]
    return pack_places(rows)


def restore(
    population: Population,
    table: EntityTable,
    rules: Rules,
    zone_id: str,
    stored: Iterable[Record],
    kept: bytes,
    age_s: float,
    now: float,
) -> tuple[list[Entity], list[Entity]]:
    """Fill an empty zone from the store. `kept`: PLACE rows, `age_s` old; an entity may have walked that long meanwhile.

    Returns the entities that are not taken in, because the store kept them though they had left; and those that have another number
    than the store knows, by which places would not be found again. Who finds no room waits for it.
    """
    rows = read_places(kept)
    known = {int(row["number"]): row for row in rows}
    population.incarnations = int(rows["incarnation"].max(initial=0))
    age_s = min(max(age_s, 0.0), MAX_OUTAGE_S)
    refused: list[Entity] = []
    renumbered: list[Entity] = []
    # Those with a number of this zone first, so that they keep it; newest first: of two with one session, the older one had left,
    # and the store was not told.
    order = sorted(stored, key=lambda record: (record.zone != zone_id, -record.entity.incarnation))
    population.incarnations = max([population.incarnations, *(record.entity.incarnation for record in order)])
    for record in order:
        entity, at = record.entity, record.standing
        x, y, z, yaw, sequence = at.x, at.y, at.z, at.yaw, at.sequence
        row = known.get(entity.number) if record.zone == zone_id else None
        # An entity is also stored when it changes hands, which may be after the checkpoint.
        if row is not None and row["incarnation"] == entity.incarnation and row["sequence"] >= sequence:
            x, y, z, yaw, sequence = (row[f].item() for f in ("x", "y", "z", "yaw", "sequence"))
        double = entity.entity_id in table.by_id or (entity.session_id and entity.session_id in table.by_session)
        if double:
            refused.append(entity)
            continue
        if not table.room:
            population.wait(record)
            continue
        if record.zone == zone_id and entity.number < table.capacity and entity.number not in table.by_number:
            table.reserve(entity.number)
        else:
            entity.number = table.next_number()
            population.incarnations += 1
            entity.incarnation = population.incarnations
            renumbered.append(entity)
        entity.owner = ""
        budget = rules.budget_cap_of(entity.entity_type) + rules.speed_of(entity.entity_type) * age_s
        table.add(entity, *population.as_left(x, y, z, yaw), sequence, budget, now)
        population.connect_again(entity)
    return refused, renumbered
