"""An entity as the store keeps it and as zones hand it to each other: JSON, with the version of its format (cluster/schema.py)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import orjson

from actors.zone.arrivals import Standing
from actors.zone.entities import Entity
from cluster.schema import Format, as_it_was, known

# 2: stamped.
ENTITY = Format("entity", version=2, readable_by=1, upgrades={1: as_it_was})


@dataclass(frozen=True, slots=True)
class Record:
    """`zone` wrote it, so that the number in it is that zone's. `budget`: metres the entity might still go at `at` (Unix
    seconds).
    """

    entity: Entity
    standing: Standing
    zone: str
    budget: float = 0.0
    at: float = 0.0


def dump(record: Record) -> bytes:
    entity = record.entity
    document = ENTITY.stamped(
        {
            # Not asdict(): it would copy the properties deeply, for every write.
            "entity": {field.name: getattr(entity, field.name) for field in fields(entity)},
            "standing": asdict(record.standing),
            "zone": record.zone,
            "budget": record.budget,
            "at": record.at,
        }
    )
    return orjson.dumps(document)


def load(data: bytes) -> Record:
    """Raises ValueError when the data is not what `dump` of this or an older release made, or of a newer one that this can read."""
    try:
        said = ENTITY.read(orjson.loads(data))
        entity, standing = Entity(**known(Entity, said["entity"])), Standing(**known(Standing, said["standing"]))
        return Record(entity, standing, said["zone"], said["budget"], said["at"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no stored entity: {error}") from None
