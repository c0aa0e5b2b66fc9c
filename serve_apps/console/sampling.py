"""From beats to figures (cluster/beats.py, serve_apps/console/history.py): sums of the realm, and what each zone and node says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from cluster.beats import Beat, Beats
from cluster.periodic import every
from serve_apps.console.history import History

# What a gateway counts since its start -> the figure that it adds to, by the second.
COUNTS = {"messages_in": "messages_per_s", "messages_out": "messages_per_s", "bytes_out": "bytes_per_s"}
SUMS = ("players", "sockets", "messages_per_s", "bytes_per_s", "queue_bytes")
OWNER = "owner"

log = structlog.get_logger(__name__)


async def keep_sampling(history: History, beats: Beats, period_s: float, now: Callable[[], float]) -> None:
    """For ever. A sample that cannot be taken is logged, and missing: the next ones come all the same."""

    async def take() -> None:
        history.take(now(), sample(beats))

    await every(period_s, take, "take_samples", lambda what: log.error("fenced", what=what))


def sample(beats: Beats) -> dict[str, float]:
    """Series by name: `figure` of the realm, `figure:name` of a zone, gateway or node. Memory is percent of the node's."""
    found = dict.fromkeys(SUMS, 0.0)
    for beat in beats.living():
        if beat.kind == "zone":
            _zone(beat, found)
        elif beat.kind == "gateway":
            _gateway(beats, beat, found)
        elif beat.kind == "presence":
            found["players"] += _number(beat.values, "users")  # a zone's population has items and creatures, too
        node, (used, total) = beat.node or beat.host, beat.node_memory
        found[f"cpu:{node}"] = beat.node_cpu
        found[f"memory:{node}"] = 100.0 * used / total if total else 0.0
    return found


def _zone(beat: Beat, found: dict[str, float]) -> None:
    values = beat.values
    if values.get("role", OWNER) != OWNER or values.get("standby"):
        return
    population, tick = _number(values, "population"), _number(values, "tick_ms_p95")
    found["tick_ms_p95"] = max(found.get("tick_ms_p95", 0.0), tick)
    if zone := str(values.get("zone", "")):
        found[f"tick_ms_p95:{zone}"], found[f"population:{zone}"] = tick, population


def _gateway(beats: Beats, beat: Beat, found: dict[str, float]) -> None:
    own = {figure: _number(beat.values, figure) for figure in ("sockets", "queue_bytes")}
    for count, figure in COUNTS.items():
        own[figure] = own.get(figure, 0.0) + beats.rate(beat, count)
    name = str(beat.values.get("gateway") or beat.name)
    for figure, value in own.items():
        found[figure] += value
        found[f"{figure}:{name}"] = value


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
