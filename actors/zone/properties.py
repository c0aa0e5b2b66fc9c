"""What may be a property (row 3.4): limits that hold for clients' deltas and for games alike. JSON as Python has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from cluster.errors import InvalidInput

MAX_PROPERTIES = 64
MAX_NAME = 64  # characters
MAX_BYTES = 4_096  # of JSON, all of an entity's properties together
MAX_DEPTH = 8  # of arrays and objects
MAX_NUMBER = 2**53  # what every client can count to


def check_value(value: Any, field: str) -> None:
    """Raises InvalidInput when the value is too deep (or contains itself), too large, or no JSON."""
    level, count = [value], 0
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                if not all(isinstance(name, str) for name in each):
                    raise InvalidInput([(field, "names are text")])
                inner += each.values()
            elif isinstance(each, list | tuple):
                inner += each
            elif not _plain(each):
                raise InvalidInput([(field, "no JSON, or a number that is none or too large")])
            # Every value takes a byte at least. The same list a thousand times in a list of itself ends here, too.
            if count + len(inner) > MAX_BYTES:
                raise InvalidInput([(field, f"more than {MAX_BYTES} bytes")])
        count += len(inner)
        level = inner
        if not level:
            return
    raise InvalidInput([(field, f"nested deeper than {MAX_DEPTH}")])


def _plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) <= MAX_NUMBER
    return value is None or isinstance(value, str)


def check_change(properties: object, field: str = "properties") -> dict[str, Any]:
    """A change, None for those to remove. Raises InvalidInput with the name of what is wrong."""
    if not isinstance(properties, dict) or not properties:
        raise InvalidInput([(field, "an object with at least one property is needed")])
    if len(properties) > MAX_PROPERTIES:
        raise InvalidInput([(field, f"more than {MAX_PROPERTIES}")])
    for name, value in properties.items():
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise InvalidInput([(field, f"a name has 1 to {MAX_NAME} characters")])
        check_value(value, f"{field}.{name}")
    return properties


def check_whole(properties: Mapping[str, Any], change: Mapping[str, Any]) -> None:
    """Raises InvalidInput if the entity would have too many properties, or too large ones, after the change."""
    merged = {name: value for name, value in {**properties, **change}.items() if value is not None}
    if len(merged) > MAX_PROPERTIES:
        raise InvalidInput([("properties", f"more than {MAX_PROPERTIES} in all")])
    if size_of(merged, "properties") > MAX_BYTES:
        raise InvalidInput([("properties", f"more than {MAX_BYTES} bytes in all")])


def size_of(value: Any, field: str) -> int:
    """Bytes of JSON. Raises InvalidInput if it cannot be said in JSON."""
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise InvalidInput([(field, "no JSON")]) from None
