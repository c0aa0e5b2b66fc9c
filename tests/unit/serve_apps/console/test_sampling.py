"""From beats to figures (serve_apps/console/sampling.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from cluster.beats import Beats
from serve_apps.console.history import History
from serve_apps.console.sampling import keep_sampling, sample
from tests.simulation.virtual_time import run
from tests.unit.cluster.operations.world_rig import EAST, WEST, beat, zone_beat


def heard(*beats: object) -> Beats:
    made = Beats(lambda: 0.0)
    for each in beats:
        made.heard(each.dump())  # type: ignore[attr-defined]
    return made


def test_nobody_says_anything() -> None:
    assert sample(heard()) == dict.fromkeys(("players", "sockets", "messages_per_s", "bytes_per_s", "queue_bytes"), 0.0)


def test_zones() -> None:
    found = sample(
        heard(
            zone_beat("zon_a", population=3, tick_ms_p95=2.5),
            zone_beat("zon_b", pid=2, population=4, tick_ms_p95=7.5),
            beat("presence", "presence/0", pid=4, users=5),
            beat("presence", "presence/1", pid=5, users=1),
            zone_beat("zon_b", slot=1, pid=3, role="follower", standby=True, population=4, tick_ms_p95=99.0),
        )
    )
    assert (found["players"], found["tick_ms_p95"]) == (6.0, 7.5)
    assert (found["population:zon_b"], found["tick_ms_p95:zon_a"]) == (4.0, 2.5)


def test_rates_of_gateways_need_two_beats() -> None:
    totals: dict[str, Any] = {
        "messages_in": 100,
        "messages_out": 200,
        "bytes_out": 5_000,
        "sockets": 7,
        "queue_bytes": 11,
    }
    later: dict[str, Any] = {
        "messages_in": 110,
        "messages_out": 230,
        "bytes_out": 9_000,
        "sockets": 8,
        "queue_bytes": 0,
    }
    first = beat("gateway", "gtw_1", at=1_000.0, **totals)
    assert sample(heard(first))["messages_per_s"] == 0.0
    found = sample(heard(first, beat("gateway", "gtw_1", at=1_004.0, **later)))
    assert (found["sockets"], found["messages_per_s"], found["bytes_per_s"]) == (8.0, 10.0, 1_000.0)
    assert found["messages_per_s:gtw_1"] == 10.0


def test_nodes_by_their_own_names() -> None:
    found = sample(heard(beat("web", "web"), beat("web", "other", node=WEST, pid=2)))
    assert (found[f"cpu:{EAST}"], found[f"memory:{WEST}"]) == (25.0, 50.0)


def test_nonsense_is_nothing() -> None:
    found = sample(
        heard(zone_beat("zon_a", population="many", tick_ms_p95=None), beat("presence", "presence/0", users="all"))
    )
    assert (found["population:zon_a"], found["players"]) == (0.0, 0.0)


def test_a_sample_that_cannot_be_taken_does_not_end_the_history() -> None:
    class Full(History):
        refused = 0

        def take(self, at: float, values: Mapping[str, float]) -> None:
            if self.refused < 2:
                self.refused += 1
                raise MemoryError
            super().take(at, values)

    history = Full(5.0, 60.0, 0.0)

    async def play() -> None:
        task = asyncio.create_task(keep_sampling(history, heard(), 5.0, asyncio.get_running_loop().time))
        await asyncio.sleep(21.0)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(play)
    assert (history.refused, history.taken) == (2, 2)
