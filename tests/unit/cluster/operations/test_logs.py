"""`logs.tail` of very many processes: what comes back has a bound (cluster/operations/logs.py)."""

from __future__ import annotations

import orjson

from cluster.adapters.memory.bus import MemoryBus
from cluster.operations import logs
from cluster.operations.logs import MOST_BYTES, TailParams
from cluster.process_control import ProcessControl
from cluster.telemetry.log_tap import LogControl, LogTap
from tests.unit.cluster.operations.world_rig import beat
from tests.unit.cluster.operator_rig import make_desk

PROCESSES = 400


async def test_what_all_answer_together_is_bounded() -> None:
    bus, sizes = MemoryBus(), list[int]()
    desk = make_desk(bus)
    for number in range(PROCESSES):
        name = f"zone/zon_{number}"
        tap = LogTap("zone", name, "node1", lambda data: None)
        for line in range(100):
            tap.take({"at": f"2026-01-02T03:04:{line % 60:02}.500000Z", "event": "said", "text": "x" * 2_000})
        control = ProcessControl(name, False, lambda: None)
        control.add("logs", LogControl(tap, "zone", "info", lambda: 0.0).logs)

        async def answer(data: bytes, control: ProcessControl = control) -> bytes | None:
            said = await control.respond(data)
            sizes.append(len(said or b""))
            return said

        await bus.respond(desk.subjects.process_control(), answer)
        desk.beats.heard(beat("zone", name, pid=number + 1).dump())
    found = await logs._tail(desk, TailParams(limit=500))
    assert len(found.lines) == 500
    assert len(sizes) == PROCESSES
    assert sum(sizes) <= MOST_BYTES + PROCESSES * 200  # what is around the lines
    one = await logs._tail(desk, TailParams(limit=500, process="zone/zon_7"))
    assert len(orjson.dumps([line.model_dump() for line in one.lines])) > 2 * MOST_BYTES // PROCESSES
