"""What a zone says of itself to those who look after the world. Plain Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from actors.zone.ticktimes import TickTimes
from actors.zone.zone import Zone
from realm_proto import internal_pb2


def describe(zone: Zone, times: TickTimes) -> dict[str, Any]:
    """`population`: its own entities; `strays`: those of them beyond its border; `room`: how many more it can take."""
    own = zone.own
    return {
        "population": own,
        "ghosts": len(zone.table) - own,
        "ticks": zone.ticks,
        "tick_ms_p95": times.p95_ms(),
        "overruns": times.overruns,
        "strays": len(zone.borders.strays()),
        "room": zone.table.room,
        "map_version": zone.borders.map.version,
    }


def nothing(population: int, ticks: int) -> dict[str, Any]:
    """The same of an actor that only knows what the owner has told it."""
    return {
        "population": population,
        "ghosts": 0,
        "ticks": ticks,
        "tick_ms_p95": 0.0,
        "overruns": 0,
        "strays": 0,
        "room": 0,
    }


def positions(zone: Zone) -> bytes:
    """float32[n, 2]: x and z in metres of its own entities."""
    ground: np.ndarray = zone.table.position[np.flatnonzero(zone.table.mine)][:, [0, 2]]
    return ground.astype("<f4").tobytes()


def probed(zone: Zone, probes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """After a tick, for each gateway that asked (and its number): moves come in here, ticks pass, and what goes out arrives."""
    for gateway_id, number in probes.items():
        probe = internal_pb2.GatewayProbe(
            number=number,
            part=f"zone:{zone.id}",
            epoch=zone.epoch,
            outputs=zone.showing.outputs_to(gateway_id),
        )
        yield gateway_id, internal_pb2.GatewayControl(probe=probe).SerializeToString()
