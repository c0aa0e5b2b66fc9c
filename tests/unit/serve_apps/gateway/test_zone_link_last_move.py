"""The move that a client made while its entity was handed over is made in the zone that has it then (row 7.2)."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from actors.zone.rows import MOVE_IN, pack_move_in
from cluster.adapters.memory.bus import MemoryBus
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.views import View
from serve_apps.gateway.zone_link import ZoneLink
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, a_client, a_world

PLACE = (12.5, 0.0, -3.0, 1.5)


class Crossing:
    """A client in zon_a, number 7, that is handed over to zon_b, number 3. `sent`: the moves that each zone got."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[tuple[float, ...]]]] = []
        self.client, _ = a_client(world=a_world(7, "zon_a"), session_id="ses_1", attach_epoch=1)
        self.bus = MemoryBus()
        self.link = ZoneLink(
            "gtw_1", self.bus, SUBJECTS, self._write, lambda: 1_000.0, {"ses_1": self.client}.get, self._crossed
        )
        self.link.show(self.client, "zon_a", 7)

    def _write(self, client: Client, view: View) -> None:
        pass

    def _crossed(self, client: Client, zone_id: str, number: int) -> None:
        client.world = a_world(number, zone_id)

    async def listen(self) -> None:
        for zone in ("zon_a", "zon_b"):

            def take(data: bytes, zone: str = zone) -> None:
                rows = np.frombuffer(internal_pb2.ZoneInput.FromString(data).rows, MOVE_IN)
                self.sent.append((zone, rows.tolist()))

            await self.bus.subscribe(SUBJECTS.zone_input(zone), take)

    def move(self, sequence: int, x: float = PLACE[0]) -> None:
        row = pack_move_in(self.client.number, sequence, x, *PLACE[1:])
        self.client.last_move = row
        self.link.move(self.client.zone_id, row)

    def hand_over(self, ack: int, transfer: int = 1) -> None:
        out = internal_pb2.ZoneOutput(
            zone_id="zon_b",
            epoch=1,
            tick=1,
            number=1,
            viewers=struct.pack("<H", 3),
            acks=struct.pack("<I", ack),
            move_end=bytes(4),
        )
        out.events.add(viewer=3, reset=True, attach_epoch=1, session_id="ses_1", transfer=transfer)
        self.link.receive(out.SerializeToString())

    def moves(self) -> list[tuple[str, list[tuple[float, ...]]]]:
        """What zones got of moves since the last time."""
        self.link.flush()
        self.bus.deliver()
        sent, self.sent = [each for each in self.sent if each[1]], []
        return sent


@pytest.fixture
async def crossing() -> Crossing:
    crossing = Crossing()
    await crossing.listen()
    return crossing


async def test_one_that_nobody_judged_is_made_again_by_its_new_name(crossing: Crossing) -> None:
    crossing.move(8, x=11.0)
    crossing.move(9)
    assert [zone for zone, _ in crossing.moves()] == ["zon_a"]
    crossing.hand_over(ack=7)
    crossing.move(10, x=13.0)
    [(zone, rows)] = crossing.moves()
    assert zone == "zon_b"
    assert rows == [(3, 9, *PLACE), (3, 10, 13.0, *PLACE[1:])]
    assert crossing.link.moves_in == 3


async def test_one_that_was_judged_is_not(crossing: Crossing) -> None:
    crossing.move(9)
    crossing.moves()
    crossing.hand_over(ack=9)
    assert crossing.moves() == []


async def test_who_never_moved_makes_none(crossing: Crossing) -> None:
    crossing.hand_over(ack=0)
    assert crossing.moves() == []


async def test_it_is_made_once_however_often_the_zone_begins(crossing: Crossing) -> None:
    crossing.move(9)
    crossing.moves()
    for _ in range(3):
        crossing.hand_over(ack=7)
    [(zone, rows)] = crossing.moves()
    assert (zone, len(rows)) == ("zon_b", 1)
