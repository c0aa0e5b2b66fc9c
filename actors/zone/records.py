"""An entity as the zone's store keeps it: JSON, written when it enters, changes hands, or changes its properties."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from actors.zone.arrivals import Standing
from actors.zone.entities import Entity


def dump(entity: Entity, standing: Standing) -> bytes:
    return orjson.dumps({"entity": asdict(entity), "standing": asdict(standing)})


def load(data: bytes) -> tuple[Entity, Standing]:
    """Raises ValueError when the data is not what `dump` made."""
    try:
        stored = orjson.loads(data)
        return Entity(**stored["entity"]), Standing(**stored["standing"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no stored entity: {error}") from None
