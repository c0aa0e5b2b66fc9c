"""What can be seen of the world: from beats and the supervisor's record alone."""

from __future__ import annotations

import time

import pytest

from cluster.errors import InvalidInput, NotFound
from cluster.operator_settings import ZoneTemplate
from cluster.ports.audit import AuditEntry
from tests.unit.cluster.operations.world_rig import EAST, WEST, Rig, beat, map_zone, zone_beat

LONGEST_S = 0.5  # a look at a thousand zones; on a busy machine


async def test_what_a_zone_can_be_added_from() -> None:
    rig = Rig(templates={"quay": ZoneTemplate(name="Quay", width=50.0), "annex": ZoneTemplate(standby=True)})
    assert (await rig.look("world.templates"))["templates"] == [
        {"template": "annex", "name": "Annex", "width": 200.0, "depth": 200.0, "standby": True},
        {"template": "quay", "name": "Quay", "width": 50.0, "depth": 200.0, "standby": None},
    ]


class TestZones:
    async def test_the_owner_with_the_highest_epoch_speaks_for_its_zone(self) -> None:
        rig = Rig()
        rig.hear(
            zone_beat("zon_a", 0, EAST, pid=1, epoch=2, population=5),
            zone_beat("zon_a", 1, WEST, pid=2, epoch=3, population=7, tick_ms_p95=4.5, map_version=7),
            zone_beat("zon_b", 0, EAST, pid=3, epoch=1),
            zone_beat("zon_b", 1, WEST, pid=4, role="following", standby=True, population=9),
        )
        first, second = (await rig.look("world.map"))["zones"]
        assert (first["slot"], first["epoch"], first["population"], first["restarts"]) == (1, 3, 7, 2)
        assert (first["node"], first["host"], first["pid"], first["tick_ms_p95"]) == (WEST, "west", 2, 4.5)
        assert (first["map_version"], first["follows"], first["role"]) == (7, False, "owner")
        assert (second["population"], second["follows"], second["host"]) == (0, True, "east")

    async def test_one_that_is_silent_is_away(self) -> None:
        rig = Rig()
        rig.hear(zone_beat("zon_a", population=3))
        rig.at += 8.0
        rig.hear(zone_beat("zon_b", pid=2))
        first, second = (await rig.look("zones.list"))["zones"]
        assert (first["role"], first["population"], first["pid"], first["host"]) == ("away", -1, 0, "")
        assert second["role"] == "owner"

    async def test_sorted_searched_and_paged(self) -> None:
        rig = Rig()
        rig.supervisor.zones = [map_zone(f"zon_{n:02}", name="Hill" if n % 2 else "Dale") for n in range(10)]
        rig.hear(*(zone_beat(f"zon_{n:02}", pid=n + 1, population=n % 3) for n in range(10)))
        by_load = await rig.look("zones.list", sort="population", descending=True, limit=4)
        assert [zone["zone"] for zone in by_load["zones"]] == ["zon_02", "zon_05", "zon_08", "zon_01"]
        assert by_load["total"] == 10
        hills = await rig.look("zones.list", q="hILL", offset=3, limit=10)
        assert (hills["total"], [zone["zone"] for zone in hills["zones"]]) == (5, ["zon_07", "zon_09"])
        with pytest.raises(InvalidInput):
            await rig.look("zones.list", sort="colour")
        with pytest.raises(InvalidInput):
            await rig.look("zones.list", limit=501)

    async def test_one_zone(self) -> None:
        rig = Rig()
        rig.hear(
            zone_beat("zon_a", 0, pid=1, heat=[[0, 2]]),
            zone_beat("zon_a", 1, WEST, pid=2, role="following", standby=True),
            zone_beat("zon_b", pid=3),
        )
        for target in ("zon_a", "zon_b", "zon_a"):
            await rig.audit.add(AuditEntry(1.0, "operator:ada", "zones.restart", target, ""))
        shown = await rig.look("zones.show", zone="zon_a")
        assert shown["heat"] == [[0, 2]]
        assert [process["pid"] for process in shown["processes"]] == [2, 1]  # the newest first
        assert len(shown["audit"]) == 2
        with pytest.raises(NotFound, match="there are: zon_a, zon_b"):
            await rig.look("zones.show", zone="zon_x")

    async def test_heat_is_what_the_owners_say(self) -> None:
        rig = Rig()
        rig.hear(
            zone_beat("zon_a", heat=[[0, 2], [17, 1]]), zone_beat("zon_a", 1, pid=2, role="following", heat=[[5, 5]])
        )
        assert await rig.look("world.heat") == {"zones": {"zon_a": [[0, 2], [17, 1]]}, "cells": 16}

    async def test_a_thousand_zones(self) -> None:
        rig = Rig()
        rig.supervisor.zones = [map_zone(f"zon_{n}") for n in range(1_000)]
        rig.hear(*(zone_beat(f"zon_{n}", pid=n + 1, population=n) for n in range(1_000)))
        began = time.process_time()
        page = await rig.look("zones.list", sort="population", descending=True, limit=50)
        assert time.process_time() - began < LONGEST_S
        assert page["zones"][0]["population"] == 999


class TestNodes:
    async def test_what_runs_there(self) -> None:
        rig = Rig()
        rig.supervisor.draining = [WEST]
        rig.hear(
            zone_beat("zon_a", pid=1),
            zone_beat("zon_b", pid=2),
            zone_beat("zon_b", 1, WEST, pid=3, role="following"),
            beat("gateway", "gtw_1", WEST, pid=4),
            beat("sessions", "sessions/0", EAST, pid=5),
        )
        east, west = (await rig.look("nodes.list"))["nodes"]
        assert (east["zones"], east["gateways"], east["processes"], east["draining"]) == (2, 0, 3, False)
        assert (west["zones"], west["gateways"], west["processes"], west["draining"]) == (0, 1, 2, True)
        assert (east["cpu"], east["memory_used"], east["memory_total"]) == (25.0, 4, 8)

    async def test_one_of_which_nothing_is_heard(self) -> None:
        east, _ = (await Rig().look("nodes.list"))["nodes"]
        assert (east["processes"], east["cpu"], east["memory_total"]) == (0, 0.0, 0)
