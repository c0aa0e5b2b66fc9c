"""An entity as the store keeps it and as zones hand it to each other: JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import orjson

from actors.zone.arrivals import Standing
from actors.zone.entities import Entity


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
    return orjson.dumps(
        {
            # Not asdict(): it would copy the properties deeply, for every write.
            "entity": {field.name: getattr(entity, field.name) for field in fields(entity)},
            "standing": asdict(record.standing),
            "zone": record.zone,
            "budget": record.budget,
            "at": record.at,
        }
    )


def load(data: bytes) -> Record:
    """Raises ValueError when the data is not what `dump` made."""
    try:
        said = orjson.loads(data)
        return Record(Entity(**said["entity"]), Standing(**said["standing"]), said["zone"], said["budget"], said["at"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no stored entity: {error}") from None
