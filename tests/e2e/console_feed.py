"""What the mock console's live feed sends: a topic whole at first, and then what has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket

from tests.e2e.console_parts import Params

KEYS = {
    "map": ("zones", "zone"),
    "gateways": ("gateways", "gateway"),
    "nodes": ("nodes", "node"),
    "jobs": ("jobs", "id"),
}


@dataclass(slots=True)
class Reader:
    """One WebSocket and what it was sent of each topic."""

    socket: WebSocket
    sent: dict[str, Any] = field(default_factory=dict)
    topics: set[str] = field(default_factory=set)


KEYS = {
    "map": ("zones", "zone"),
    "gateways": ("gateways", "gateway"),
    "nodes": ("nodes", "node"),
    "jobs": ("jobs", "id"),
}


def news(reader: Reader, topic: str, whole: Params) -> Params | None:
    """What this reader has to be told of the topic; None: it knows."""
    whole = json.loads(json.dumps(whole))
    before = reader.sent.get(topic)
    if whole == before:
        return None
    reader.sent[topic] = whole
    return whole if before is None else changes(topic, before, whole)


def changes(topic: str, before: Params, now: Params) -> Params:
    """What has changed of a topic: its things by their key, or all of it."""
    if topic == "samples":
        series = {}
        for name, points in now["series"].items():
            last = max((at for at, _ in before["series"].get(name, [])), default=0.0)
            series[name] = [point for point in points if point[0] > last]
        return {"series": series}
    if topic.partition("?")[0] == "logs":
        return {"lines": [line for line in now["lines"] if line["id"] > before["next"]], "skipped": 0}
    if topic == "heat":
        cells_now = {zone: cells for zone, cells in now["zones"].items() if before["zones"].get(zone) != cells}
        return {"changed": cells_now, "gone": [zone for zone in before["zones"] if zone not in now["zones"]]}
    if topic not in KEYS:
        return now
    things, key = KEYS[topic]
    listed = {each[key]: each for each in before[things]}
    rest = {name: value for name, value in now.items() if name != things and before.get(name) != value}
    changed = [each for each in now[things] if listed.get(each[key]) != each]
    return rest | {"changed": changed, "gone": sorted(set(listed) - {each[key] for each in now[things]})}
