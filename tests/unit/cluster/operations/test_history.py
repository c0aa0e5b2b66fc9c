"""Figures of the last hour: which series are asked for, and what the console answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.errors import InvalidInput, Unavailable
from tests.unit.cluster.operations.world_rig import Rig


@pytest.mark.parametrize(
    ("params", "series"),
    [
        ({"zone": "zon_a"}, {"tick_ms_p95:zon_a", "population:zon_a"}),
        ({"node": "n1"}, {"cpu:n1", "memory:n1"}),
        ({"gateway": "g1"}, {"sockets:g1", "messages_per_s:g1", "bytes_per_s:g1", "queue_bytes:g1"}),
        ({}, {"players", "sockets", "messages_per_s", "bytes_per_s", "tick_ms_p95", "queue_bytes"}),
    ],
)
async def test_what_is_asked_for(params: dict[str, str], series: set[str]) -> None:
    rig, asked = Rig(), []

    async def console(method: str, given: dict[str, Any]) -> Any:
        asked.append((method, set(given["names"])))
        return {"since": 5.0, "samples_s": 2.0, "series": {"players": [[6.0, 1.0], [8.0, None]]}}

    rig.desk = replace(rig.desk, ask_console=console)
    told = await rig.look("history.show", **params)
    assert asked == [("history", series)]
    assert told == {"since": 5.0, "samples_s": 2.0, "series": {"players": [[6.0, 1.0], [8.0, None]]}}


async def test_of_one_thing_at_a_time() -> None:
    with pytest.raises(InvalidInput):
        await Rig().look("history.show", zone="a", node="b")


async def test_without_a_console() -> None:
    with pytest.raises(Unavailable):
        await Rig().look("history.show")
