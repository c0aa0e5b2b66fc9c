"""How long a tick of a zone takes, by part, and what it comes to on the wire (rows 3.5 and 3.6). In this process, no realm."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from realm_proto import internal_pb2

# What is measured is above this layer, and known to it by name only.
MEASURE = "actors.zone.measuring:measure"
SPLIT = "serve_apps.gateway.views:split"
OTHERS = 20.0  # in view of each, on average
SHORT_FRAME = 126  # bytes of payload from which on a WebSocket header has 4 bytes instead of 2 (RFC 6455, section 5.2)
MOVE_BYTES, PLACE_BYTES = 8, 18
SEED = 1


class Wire:
    """What gateways make of outputs: views, and what they come to on sockets."""

    def __init__(self) -> None:
        self.views = self.updates = self.bytes = 0
        self.seconds = 0.0
        self._split = _load(SPLIT)
        self._first = True

    def take(self, outputs: list[tuple[str, bytes]]) -> None:
        """The outputs of a tick. Those of the first are all joins, and do not count."""
        if self._first:
            self._first = False
            return
        for _, data in outputs:
            out = internal_pb2.ZoneOutput.FromString(data)
            started = time.perf_counter()
            views = [view for _, view in self._split(out)]
            frames = [view.to_proto() for view in views]
            self.seconds += time.perf_counter() - started
            self.views += len(views)
            self.updates += sum(len(v.moves) // MOVE_BYTES + len(v.places) // PLACE_BYTES for v in views)
            self.bytes += sum(len(frame) + (2 if len(frame) < SHORT_FRAME else 4) for frame in frames)


def run_tick(entities: int, ticks: int, moving: float) -> dict[str, Any]:
    """Medians and 95th percentiles in milliseconds. `moving`: the share of entities that move in a tick."""
    wire = Wire()
    spent: dict[str, np.ndarray] = _load(MEASURE)(entities, ticks, OTHERS, moving, SEED, wire.take)
    return {
        "entities": entities,
        "ticks": ticks,
        "moving": moving,
        "tick_ms": _figures(spent.pop("tick")),
        "parts_ms": {name: _figures(milliseconds) for name, milliseconds in spent.items()},
        "updates_per_tick": round(wire.updates / ticks, 1),
        "bytes_per_update": round(wire.bytes / max(wire.updates, 1), 2),
        "gateway_us_per_view": round(wire.seconds * 1e6 / max(wire.views, 1), 2),
    }


def _figures(milliseconds: np.ndarray) -> dict[str, float]:
    return {
        "median": round(float(np.median(milliseconds)), 3),
        "p95": round(float(np.percentile(milliseconds, 95)), 3),
    }


def _load(name: str) -> Any:
    module, _, member = name.partition(":")
    return getattr(importlib.import_module(module), member)
