"""Gateways: what is seen of them, which are drained and until when, and how many there are."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cluster.beats import Beat
from cluster.errors import Conflict, InvalidInput, NotFound, Ours, Unavailable
from cluster.process_control import ProcessControl
from realm_proto.internal_pb2 import GatewayControl
from tests.unit.cluster.operations.world_rig import EAST, SUBJECTS, WEST, Rig, RigJob, beat


def gateway(name: str, node: str = EAST, at: float = 1_000.0, pid: int = 1, **values: Any) -> Beat:
    return beat("gateway", name, node, pid, at, **{"sockets": 0, "capacity": 100, "draining": False, **values})


async def ordered(rig: Rig) -> dict[str, list[float]]:
    """The deadlines that each gateway is given from now on."""
    told: dict[str, list[float]] = {}
    for name in ("gtw_a", "gtw_b"):
        deadlines = told.setdefault(name, [])

        def take(data: bytes, deadlines: list[float] = deadlines) -> None:
            deadlines.append(GatewayControl.FromString(data).drain.deadline_s)

        await rig.bus.subscribe(SUBJECTS.gateway_control(name), take)
    return told


class TestList:
    async def test_rates_are_those_of_two_beats(self) -> None:
        rig = Rig()
        rig.hear(gateway("gtw_a", messages_in=100, messages_out=1_000, bytes_out=5_000, degraded=["redis"]))
        (row,) = (await rig.look("gateways.list"))["gateways"]
        assert (row["in_per_s"], row["out_per_s"], row["degraded"]) == (0.0, 0.0, ["redis"])
        rig.hear(gateway("gtw_a", at=1_002.0, messages_in=120, messages_out=1_400, bytes_out=9_000, queue_worst=7))
        (row,) = (await rig.look("gateways.list"))["gateways"]
        assert (row["in_per_s"], row["out_per_s"], row["bytes_per_s"], row["queue_worst"]) == (10.0, 200.0, 2_000.0, 7)

    async def test_one_that_is_silent_has_ended(self) -> None:
        rig = Rig()
        rig.hear(gateway("gtw_a"))
        rig.at += 8.0
        assert (await rig.look("gateways.list"))["gateways"] == []


class TestDrain:
    async def test_until_nobody_is_left(self) -> None:
        rig, job = Rig(), RigJob()
        told = await ordered(rig)
        rig.hear(gateway("gtw_a", sockets=4), gateway("gtw_b", WEST, pid=2))
        left = iter([4, 2, 0])
        rig.on_pause = lambda: rig.hear(gateway("gtw_a", at=1_001.0, sockets=next(left), draining=True))
        done = await rig.act("gateways.drain", job, gateways=["gtw_a"], deadline_s=5)
        await rig.bus.flush(1.0)
        assert done == {"gateways": [{"gateway": "gtw_a", "sockets": 4, "left": 0, "seconds": 0.75}]}
        assert told == {"gtw_a": [5.0], "gtw_b": []}
        assert job.said == [
            "gtw_a give their clients away",
            "4 sockets are left",
            "2 sockets are left",
            "0 sockets are left",
        ]

    async def test_one_that_ends_meanwhile_has_nobody_left(self) -> None:
        rig = Rig()
        rig.hear(gateway("gtw_a", sockets=4))
        rig.on_pause = lambda: rig.hear(gateway("gtw_b", WEST, pid=2))
        rig.hear(gateway("gtw_b", WEST, pid=2))
        done = await rig.act("gateways.drain", gateways=["gtw_a"])
        assert done["gateways"][0]["left"] == 0

    async def test_not_in_time(self) -> None:
        rig = Rig()
        rig.on_pause = lambda: rig.hear(gateway("gtw_a", sockets=3, draining=True), gateway("gtw_b", WEST, pid=2))
        rig.on_pause()
        done = await rig.act("gateways.drain", gateways=["gtw_a"], deadline_s=1.0)
        (result,) = done["gateways"]
        assert result["left"] == 3
        assert 6.0 < result["seconds"] < 7.0

    async def test_those_of_a_node(self) -> None:
        rig = Rig()
        told = await ordered(rig)
        rig.hear(gateway("gtw_a"), gateway("gtw_b", WEST, pid=2))
        rig.on_pause = lambda: rig.hear(gateway("gtw_b", WEST, pid=2, draining=True), gateway("gtw_a"))
        await rig.act("gateways.drain", node="west")
        await rig.act("gateways.drain", node=WEST[:8])
        await rig.bus.flush(1.0)
        assert told == {"gtw_a": [], "gtw_b": [math.inf, math.inf]}

    async def test_somebody_must_take_the_clients(self) -> None:
        rig = Rig()
        rig.hear(gateway("gtw_a"), gateway("gtw_b", pid=2, draining=True))
        with pytest.raises(Conflict):
            await rig.plan("gateways.drain", gateways=["gtw_a"])
        preview = await rig.plan("gateways.drain", gateways=["gtw_a"], force=True)
        assert "no other gateway is there" in preview.warnings[0]

    @pytest.mark.parametrize(
        ("params", "error"),
        [
            ({}, InvalidInput),
            ({"gateways": ["gtw_a"], "node": "east"}, InvalidInput),
            ({"gateways": ["gtw_x"]}, NotFound),
            ({"node": "south"}, NotFound),
            ({"node": "w"}, NotFound),  # too short for an id
            ({"gateways": ["gtw_a"], "deadline_s": 61}, InvalidInput),
            ({"gateways": ["gtw_a"], "deadline_s": math.nan}, InvalidInput),
        ],
    )
    async def test_what_is_refused(self, params: dict[str, Any], error: type[Exception]) -> None:
        rig = Rig()
        rig.hear(gateway("gtw_a"), gateway("gtw_b", WEST, pid=2))
        with pytest.raises(error):
            await rig.plan("gateways.drain", **params)


class TestScale:
    async def test_until_there_are_so_many(self) -> None:
        rig, job = Rig(), RigJob()
        rig.hear(gateway("gtw_a"))
        pauses = iter(range(1_000))

        def one_more() -> None:
            rig.hear(gateway("gtw_a"))
            if next(pauses) >= 4:
                rig.hear(gateway("gtw_b", pid=2))

        rig.on_pause = one_more
        done = await rig.act("gateways.scale", job, count=2)
        assert rig.scaled == [("gateway", "Gateway", 2)]
        assert [row["gateway"] for row in done["gateways"]] == ["gtw_a", "gtw_b"]
        assert job.said == ["ask Ray Serve for 2 gateways", "there are 1"]

    async def test_one_that_leaves_still_counts(self) -> None:
        rig, job = Rig(), RigJob()
        rig.hear(gateway("gtw_a"), gateway("gtw_b", pid=2))
        pauses = iter(range(1_000))

        def one_leaves() -> None:
            rig.hear(gateway("gtw_a"))
            if next(pauses) < 4:
                rig.hear(gateway("gtw_b", pid=2, draining=True))

        rig.on_pause = one_leaves
        done = await rig.act("gateways.scale", job, count=1)
        assert [row["gateway"] for row in done["gateways"]] == ["gtw_a"]
        assert "there are 2, 1 of them leave" in job.said

    async def test_one_that_was_drained_is_ended_first(self) -> None:
        """Serve would keep it for good, and clients would have one gateway less."""
        rig, job, ended = Rig(), RigJob(), list[str]()
        rig.hear(gateway("gtw_a"), gateway("gtw_b", pid=2, draining=True))
        control = ProcessControl("gtw_b", False, lambda: None, lambda: ended.append("gtw_b"))
        await rig.bus.respond(SUBJECTS.process_control(), control.respond)
        rig.on_pause = lambda: rig.hear(gateway("gtw_a"), gateway("gtw_c", pid=3))
        done = await rig.act("gateways.scale", job, count=2)
        assert job.said[:2] == ["end gtw_b, which was drained", "ask Ray Serve for 2 gateways"]
        assert [row["gateway"] for row in done["gateways"]] == ["gtw_a", "gtw_c"]

    async def test_not_in_time_and_not_without_serve(self) -> None:
        rig = Rig()
        rig.on_pause = lambda: rig.hear(gateway("gtw_a"))
        with pytest.raises(Ours, match="there are 1 gateways, not 3, after 180 s"):
            await rig.act("gateways.scale", count=3)
        rig.serve_is_away = True
        with pytest.raises(Unavailable):
            await rig.act("gateways.scale", count=3)
        with pytest.raises(InvalidInput):
            await rig.act("gateways.scale", count=65)

    @pytest.mark.parametrize(("count", "begins"), [(1, "there are 1"), (3, "start 2"), (2, "start 1")])
    async def test_the_plan(self, count: int, begins: str) -> None:
        rig = Rig()
        rig.hear(gateway("gtw_a"))
        assert (await rig.plan("gateways.scale", count=count)).steps[0].startswith(begins)
        rig.hear(gateway("gtw_b", pid=2), gateway("gtw_c", pid=3))
        assert "drain and end" in (await rig.plan("gateways.scale", count=1)).steps[0]
