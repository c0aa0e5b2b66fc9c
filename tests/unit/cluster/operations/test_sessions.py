"""`sessions.search` far from the beginning, among very many: no answer is larger than a message of the bus may be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.session.asked import SORTS, Asked
from actors.session.session import Session
from cluster.adapters.memory.bus import MemoryBus
from cluster.operations.desk import Desk
from cluster.operations.sessions import Search, search
from cluster.ports.sessions import SessionRecord
from cluster.world_control import responder
from tests.unit.cluster.operator_rig import make_desk

SESSIONS = 50_000
LARGEST = 512 * 1024  # a server of the bus takes 1 MiB


def record(number: int, actors: int) -> SessionRecord:
    return SessionRecord(
        f"ses_{number:032x}",
        f"usr_{number:032x}",
        f"sessions/{number % 7 % actors}",  # some have more than others
        "in_world",
        character_name=f"{'N' * 20}{number % 1_000:04}",
        zone_id=f"zon_{number % 3}",
        connected_at=1_700_000_000.0 + number * 7_919 % SESSIONS / 8,
    )


class Realm:
    def __init__(self, actors: int) -> None:
        self.sizes: list[int] = []
        self.requests = 0
        self.records = [record(number, actors) for number in range(SESSIONS)]
        self.loads = {f"sessions/{number}": 1 for number in range(actors)}

    async def start(self) -> Desk:
        async def actors() -> dict[str, int]:
            return self.loads

        desk = make_desk(MemoryBus(), sessions=cast(Any, SimpleNamespace(actors=actors)))
        for actor in self.loads:
            held = {
                each.session_id: cast(Session, SimpleNamespace(record=each))
                for each in self.records
                if each.actor == actor
            }
            answer = responder(Asked(held, {}, cast(Any, None)).methods)

            async def measured(data: bytes, answer: Any = answer) -> bytes:
                said: bytes = await answer(data)
                self.sizes.append(len(said))
                return said

            await desk.bus.respond(desk.subjects.actor_control(actor), measured)
        return desk


@pytest.mark.parametrize("actors", [1, 5])
async def test_every_page_of_fifty_thousand(actors: int) -> None:
    realm = Realm(actors)
    desk = await realm.start()
    for sort in ("connected_at", "character"):
        for descending in (False, True):
            keys = [(SORTS[sort](r, ""), r.session_id) for r in realm.records]
            order = [session for _, session in sorted(keys, reverse=descending)]
            for offset in (0, 1_500, 1_501, 25_000, 49_990, 49_999):
                realm.sizes.clear()
                found = await search(desk, Search(sort=sort, descending=descending, offset=offset, limit=500))
                assert found.total == SESSIONS
                assert [row["session"] for row in found.sessions] == order[offset : offset + 500]
                assert max(realm.sizes) < LARGEST
                assert len(realm.sizes) <= 6 * actors
    beyond = await search(desk, Search(offset=70_000, limit=500))
    assert (beyond.total, beyond.sessions) == (SESSIONS, [])
    few = await search(desk, Search(zone="zon_1", offset=16_000, limit=500, sort="session", descending=False))
    there = [r.session_id for r in realm.records if r.zone_id == "zon_1"]
    assert [row["session"] for row in few.sessions] == there[16_000:16_500]
