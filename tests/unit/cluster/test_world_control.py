"""What commands ask the supervisor over the bus."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cluster.adapters.memory.bus import MemoryBus
from cluster.errors import Conflict, InvalidInput, NotFound, Ours, Unavailable
from cluster.world_control import ask, responder

SUBJECT = "realm.world.control"


async def add(a: int, b: int = 1) -> dict[str, Any]:
    return {"sum": a + b}


async def refuse(how: str) -> None:
    if how == "conflict":
        raise Conflict("zone_too_small", {"x": 10.0})
    if how == "gone":
        raise NotFound("no_such_zone", "no zone 'x' is there")
    if how == "away":
        raise Unavailable("zone/zon_a", 2.0)
    raise ZeroDivisionError("oh")


async def bus() -> MemoryBus:
    made = MemoryBus()
    await made.respond(SUBJECT, responder({"add": add, "refuse": refuse}))
    return made


async def test_a_result() -> None:
    there = await bus()
    assert await ask(there, SUBJECT, "add", {"a": 1, "b": 2}, 1.0) == {"sum": 3}
    assert await ask(there, SUBJECT, "add", {"a": 1}, 1.0) == {"sum": 2}


async def test_refusals_come_as_they_were_raised() -> None:
    there = await bus()
    with pytest.raises(Conflict) as conflict:
        await ask(there, SUBJECT, "refuse", {"how": "conflict"}, 1.0)
    assert (conflict.value.reason, conflict.value.current) == ("zone_too_small", {"x": 10.0})
    with pytest.raises(NotFound, match="no zone 'x' is there"):
        await ask(there, SUBJECT, "refuse", {"how": "gone"}, 1.0)
    with pytest.raises(Unavailable, match="zone/zon_a"):
        await ask(there, SUBJECT, "refuse", {"how": "away"}, 1.0)
    with pytest.raises(Ours, match="ZeroDivisionError: oh"):
        await ask(there, SUBJECT, "refuse", {"how": "bug"}, 1.0)


@pytest.mark.parametrize(
    ("method", "params"), [("burn", {}), ("add", {}), ("add", {"a": 1, "c": 2}), ("refuse", {"how": "x", "who": 1})]
)
async def test_nonsense(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await ask(await bus(), SUBJECT, method, params, 1.0)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"method":[],"params":{}}', b'{"method":"add","params":3}'])
async def test_no_request_at_all(data: bytes) -> None:
    answer = orjson.loads(await (await bus()).request(SUBJECT, data, 1.0))
    assert answer["refused"]["kind"] == "InvalidInput"


async def test_nobody_answers() -> None:
    with pytest.raises(Unavailable):
        await ask(MemoryBus(), SUBJECT, "add", {"a": 1}, 0.05)
