"""Server topics (row 1.5): what the game and the operator tell everybody who listens, and who may. Plain values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import orjson

from cluster.errors import InvalidInput
from cluster.social_settings import TopicRule

METHOD = "system.topic"
PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"  # channels are topics too, with a colon that no such name has
MAX_DATA_BYTES = 8 * 1024

_NAME = re.compile(PATTERN.removeprefix("^").removesuffix("$"))
_RANK = {"player": 0, "moderator": 1, "operator": 2}


def may_listen(rules: Sequence[TopicRule], topic: str, role: str) -> bool:
    """The first rule whose pattern fits counts; without one nobody may. A role that is not known is a player's."""
    for rule in rules:
        if fnmatchcase(topic, rule.pattern):
            return _RANK.get(role, 0) >= _RANK[rule.subscribe]
    return False


def message(topic: str, data: Any) -> bytes:
    """The params of `system.topic`. Raises InvalidInput for a name that no topic can have, and for what is no JSON or too much."""
    if not _NAME.fullmatch(topic):
        raise InvalidInput([("topic", f"must match {PATTERN}")])
    try:
        body = orjson.dumps(data)
    except (orjson.JSONEncodeError, RecursionError):
        raise InvalidInput([("data", "is no JSON")]) from None
    if len(body) > MAX_DATA_BYTES:
        raise InvalidInput([("data", f"more than {MAX_DATA_BYTES} bytes")])
    return orjson.dumps({"topic": topic, "data": orjson.Fragment(body)})
