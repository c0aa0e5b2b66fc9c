"""Moves out in batches, views in to whom they are for."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from actors.zone.rows import MOVE_IN, pack_move_in
from cluster.adapters.memory.bus import MemoryBus
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.client import Client
from serve_apps.gateway.views import View
from serve_apps.gateway.zone_link import EARLY_LIMIT, MAX_BATCH_BYTES, ZoneLink
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, a_client, a_world


class Link:
    """A ZoneLink whose views and batches are kept."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.views: list[tuple[str, View]] = []
        self.batches: list[tuple[str, internal_pb2.ZoneInput]] = []
        self.bus = MemoryBus()
        self.link = ZoneLink("gtw_1", self.bus, SUBJECTS, self._write, lambda: self.now)

    def _write(self, client: Client, view: View) -> None:
        self.views.append((client.session_id, view))

    async def listen(self, *zones: str) -> None:
        for zone in zones:

            def take(data: bytes, zone: str = zone) -> None:
                self.batches.append((zone, internal_pb2.ZoneInput.FromString(data)))

            await self.bus.subscribe(SUBJECTS.zone_input(zone), take)

    def flush(self) -> None:
        self.link.flush()
        self.bus.deliver()

    def client(self, number: int, zone: str = "zon_a", session: str = "ses_1", epoch: int = 1) -> Client:
        client, _ = a_client(world=a_world(number, zone), session_id=session, attach_epoch=epoch)
        self.link.show(client, zone, number)
        client.sighted = True  # as if its first view had come
        return client

    def ticks(self) -> list[tuple[str, int]]:
        return [(session, int.from_bytes(view.tick, "little")) for session, view in self.views]


def out(
    tick: int,
    *viewers: int,
    epoch: int = 1,
    zone: str = "zon_a",
    reset: bool = False,
    attach: int = 1,
    number: int = 1,
) -> bytes:
    """A ZoneOutput in which every viewer sees entity 99 at x = tick. `reset`: from nothing, for the attach `attach`."""
    made = internal_pb2.ZoneOutput(
        zone_id=zone,
        epoch=epoch,
        tick=tick,
        number=number,
        places=struct.pack("<HHiiiH", 99, tick, 100 * tick, 0, 0, 0),
        viewers=np.array(viewers, "<u2").tobytes(),
        acks=bytes(4 * len(viewers)),
        move_end=bytes(4 * len(viewers)),
        place_end=np.arange(1, len(viewers) + 1).astype("<u4").tobytes(),
        place_index=bytes(4 * len(viewers)),
    )
    if reset:
        made.states.append(pb.EntityState(number=99, entity_id=f"ent_{tick}").SerializeToString())
        for viewer in viewers:
            made.events.add(viewer=viewer, reset=True, states=[0], attach_epoch=attach)
    return made.SerializeToString()


def moved(number: int, sequence: int) -> bytes:
    return pack_move_in(number, sequence, 1.0, 2.0, 3.0, 0.5)


class TestMovesOut:
    async def test_a_flush_is_one_message_per_zone_in_order(self) -> None:
        realm = Link()
        await realm.listen("zon_a", "zon_b")
        for sequence in range(3):
            realm.link.move("zon_a", moved(1, sequence))
        realm.link.move("zon_b", moved(2, 9))
        realm.flush()
        assert [zone for zone, _ in realm.batches] == ["zon_a", "zon_b"]
        first, second = (np.frombuffer(batch.rows, MOVE_IN) for _, batch in realm.batches)
        assert first["sequence"].tolist() == [0, 1, 2]
        assert second["number"].tolist() == [2]
        assert {batch.gateway_id for _, batch in realm.batches} == {"gtw_1"}
        assert realm.link.moves_in == 4

    async def test_nothing_to_say_is_no_message(self) -> None:
        realm = Link()
        await realm.listen("zon_a")
        realm.flush()
        realm.link.move("zon_a", moved(1, 1))
        realm.flush()
        realm.flush()
        assert len(realm.batches) == 1

    async def test_a_batch_goes_early_when_it_is_full(self) -> None:
        realm = Link()
        await realm.listen("zon_a")
        rows = MAX_BATCH_BYTES // MOVE_IN.itemsize + 1
        for _ in range(rows):
            realm.link.move("zon_a", moved(1, 1))
        realm.bus.deliver()
        assert [len(batch.rows) for _, batch in realm.batches] == [rows * MOVE_IN.itemsize]
        assert len(realm.batches[0][1].rows) < 1024 * 1024  # what NATS takes


class TestViewsIn:
    def test_a_view_goes_to_whom_it_is_for(self) -> None:
        realm = Link()
        realm.client(1, session="ses_a")
        realm.client(2, session="ses_b")
        realm.client(1, zone="zon_b", session="ses_c")
        realm.link.receive(out(5, 1, 2))
        realm.link.receive(out(6, 1, zone="zon_b"))
        assert realm.ticks() == [("ses_a", 5), ("ses_b", 5), ("ses_c", 6)]
        assert realm.link.outputs_in == 2

    def test_nobody_gets_a_view_of_one_who_left(self) -> None:
        realm = Link()
        client = realm.client(1)
        realm.link.hide(client)
        assert client.number is None
        realm.link.receive(out(5, 1))
        realm.link.hide(client)
        assert realm.views == []

    def test_an_older_incarnation_is_not_believed(self) -> None:
        realm = Link()
        realm.client(1)
        for tick, epoch in ((1, 1), (2, 3), (3, 1), (4, 2), (5, 3), (6, 4)):
            realm.link.receive(out(tick, 1, epoch=epoch, reset=tick in (2, 6)))
        assert [tick for _, tick in realm.ticks()] == [1, 2, 5, 6]
        assert realm.link.stale_outputs == 2

    def test_each_zone_has_its_own_epoch(self) -> None:
        realm = Link()
        realm.client(1, zone="zon_a", session="ses_a")
        realm.client(1, zone="zon_b", session="ses_b")
        realm.link.receive(out(1, 1, epoch=9, zone="zon_a"))
        realm.link.receive(out(2, 1, epoch=1, zone="zon_b"))
        assert realm.ticks() == [("ses_a", 1), ("ses_b", 2)]

    def test_another_client_with_the_number_takes_over(self) -> None:
        """A session that is resumed at the same gateway: hiding the older socket takes nothing from the newer."""
        realm = Link()
        older = realm.client(1, session="ses_1")
        realm.client(1, session="ses_1_again")
        realm.link.hide(older)
        realm.link.receive(out(5, 1))
        assert realm.ticks() == [("ses_1_again", 5)]

    def test_showing_one_in_another_place_takes_it_from_the_first(self) -> None:
        realm = Link()
        client = realm.client(1)
        realm.link.show(client, "zon_a", 2)
        realm.link.receive(out(5, 1))
        assert realm.views == []
        realm.link.receive(out(6, 2, reset=True))
        assert realm.ticks() == [("ses_1", 6)]

    async def test_nothing_is_shown_before_the_view_that_begins(self) -> None:
        """It was lost: what follows it would be put on top of another zone's, or of an older incarnation's."""
        realm = Link()
        await realm.listen("zon_a")
        client = realm.client(1)
        client.sighted = False
        realm.link.receive(out(5, 1))
        assert realm.views == []
        realm.flush()
        assert [batch.resync for _, batch in realm.batches] == [True]
        realm.link.receive(out(6, 1, reset=True))
        realm.link.receive(out(7, 1, number=2))
        realm.link.receive(out(8, 1, epoch=2))
        realm.link.receive(out(9, 1, epoch=2, reset=True))
        assert [tick for _, tick in realm.ticks()] == [6, 7, 9]


class TestNewerSocket:
    """A session that is resumed at the gateway that has it: the zone sends to the newer attach before this one knows it."""

    def test_its_views_are_not_written_to_the_older_one(self) -> None:
        realm = Link()
        older = realm.client(7)
        realm.link.receive(out(1, 7))
        realm.link.receive(out(2, 7, reset=True, attach=2))
        realm.link.receive(out(3, 7))
        assert realm.ticks() == [("ses_1", 1)]
        assert older.number is None, "nor are its moves taken any more"
        realm.client(7, session="ses_1 again", epoch=2)
        ((_, first), (name, view)) = realm.views
        assert (name, int.from_bytes(view.tick, "little")) == ("ses_1 again", 3)
        assert view.reset is not None
        realm.link.hide(older)
        realm.link.receive(out(4, 7))
        assert realm.ticks()[-1] == ("ses_1 again", 4)
        assert first.reset is None

    def test_an_older_one_that_is_shown_late_does_not_take_them(self) -> None:
        """The answer to its world.enter comes after the session was attached anew."""
        realm = Link()
        realm.link.receive(out(1, 7, reset=True, attach=2))
        older = realm.client(7)
        realm.link.receive(out(2, 7))
        assert realm.views == []
        realm.link.hide(older)
        realm.client(7, session="ses_1 again", epoch=2)
        ((name, view),) = realm.views
        assert (name, int.from_bytes(view.tick, "little")) == ("ses_1 again", 2)
        assert view.reset is not None

    def test_a_reset_of_its_own_attach_is_its_own(self) -> None:
        """The zone was restarted, or a tick failed."""
        realm = Link()
        realm.client(7, epoch=3)
        realm.link.receive(out(1, 7, reset=True, attach=3, epoch=2))
        assert realm.ticks() == [("ses_1", 1)]

    def test_views_that_began_for_an_older_attach_are_not_for_it(self) -> None:
        realm = Link()
        realm.link.receive(out(1, 7, reset=True, attach=1))
        realm.client(7, epoch=2)
        assert realm.views == []
        realm.link.receive(out(2, 7, reset=True, attach=2))
        assert realm.ticks() == [("ses_1", 2)]
        assert realm.link._early == {}

    def test_nobody_waits_behind_one_who_never_came(self) -> None:
        """A socket went while its session was attached, for the fifth time. Later its number is another's, for the first."""
        realm = Link()
        realm.link.receive(out(1, 7, reset=True, attach=5))
        client = realm.client(7, session="ses_2")
        assert client.number == 7
        assert realm.views == []
        realm.link.receive(out(2, 7, reset=True, attach=1))
        realm.link.receive(out(3, 7))
        assert realm.ticks() == [("ses_2", 2), ("ses_2", 3)]
        assert realm.link._early == {}


class TestProbes:
    async def test_each_zone_with_viewers_is_asked_once(self) -> None:
        realm = Link()
        await realm.listen("zon_a", "zon_b", "zon_c")
        realm.client(1, "zon_b", "ses_1")
        realm.client(2, "zon_a", "ses_2")
        realm.client(3, "zon_a", "ses_3")
        gone = realm.client(4, "zon_c", "ses_4")
        realm.link.hide(gone)
        assert realm.link.probe(9) == ["zon_a", "zon_b"]
        realm.bus.deliver()
        assert [(zone, batch.gateway_id, batch.probe, batch.rows) for zone, batch in realm.batches] == [
            ("zon_a", "gtw_1", 9, b""),
            ("zon_b", "gtw_1", 9, b""),
        ]

    async def test_without_viewers_nobody_is_asked(self) -> None:
        assert Link().link.probe(1) == []


class TestEarlyViews:
    """The first view may be here before the answer to world.enter is."""

    def test_they_wait_merged_and_come_first(self) -> None:
        realm = Link()
        realm.link.receive(out(1, 7, reset=True))
        realm.link.receive(out(2, 7))
        realm.link.receive(out(3, 7))
        realm.client(7)
        ((_, view),) = realm.views
        assert int.from_bytes(view.tick, "little") == 3
        assert view.reset == pb.ViewReset(zone_id="zon_a", epoch=1, number=7)
        assert [pb.EntityState.FromString(s).entity_id for s in view.states] == ["ent_1"]
        assert np.frombuffer(view.places, "<u2")[0] == 99
        realm.link.receive(out(4, 7))
        assert [tick for _, tick in realm.ticks()] == [3, 4]

    def test_only_what_starts_from_nothing_is_kept(self) -> None:
        realm = Link()
        realm.link.receive(out(1, 7))
        realm.link.receive(out(2, 7))
        realm.client(7)
        assert realm.views == []

    def test_a_later_first_view_replaces_an_earlier_one(self) -> None:
        realm = Link()
        realm.link.receive(out(1, 7, reset=True))
        realm.link.receive(out(2, 7, reset=True, epoch=2))
        realm.client(7)
        ((_, view),) = realm.views
        assert [pb.EntityState.FromString(s).entity_id for s in view.states] == ["ent_2"]

    def test_they_are_for_one_client(self) -> None:
        realm = Link()
        realm.link.receive(out(1, 7, reset=True))
        realm.client(7)
        realm.client(7, session="ses_2")
        assert realm.ticks() == [("ses_1", 1)]

    def test_they_are_bounded(self) -> None:
        realm = Link()
        for number in range(EARLY_LIMIT + 10):
            realm.link.receive(out(1, number, reset=True))
        early: dict[Any, Any] = realm.link._early
        assert len(early) == EARLY_LIMIT
        realm.client(0)  # the oldest had to go
        realm.client(EARLY_LIMIT + 9, session="ses_2")
        assert realm.ticks() == [("ses_2", 1)]


class TestLostOutputs:
    """Newest wins for moves; a reset, a state or a leave that the bus lost would be missing for good."""

    async def realm(self) -> Link:
        realm = Link()
        await realm.listen("zon_a")
        realm.client(7)
        realm.link.receive(out(1, 7, reset=True, number=1))
        return realm

    def asked(self, realm: Link) -> int:
        realm.flush()
        found = [batch for _, batch in realm.batches if batch.resync]
        realm.batches.clear()
        return len(found)

    async def test_as_long_as_all_come_nothing_is_asked(self) -> None:
        realm = await self.realm()
        for number in (2, 3, 4):
            realm.link.receive(out(number, 7, number=number))
        realm.link.sent("zon_a", 1, 4)
        assert self.asked(realm) == 0
        assert realm.link.lost_outputs == 0

    async def test_a_hole_makes_the_zone_start_over_and_until_it_does_it_is_asked_again(self) -> None:
        realm = await self.realm()
        realm.link.receive(out(3, 7, number=3))
        assert self.asked(realm) == 1
        assert self.asked(realm) == 0, "not at once again"
        realm.link.receive(out(4, 7, number=4))
        realm.now += 1.0
        assert self.asked(realm) == 1
        realm.link.receive(out(5, 7, reset=True, number=1))
        realm.now += 1.0
        assert self.asked(realm) == 0
        assert realm.link.lost_outputs == 1
        assert [tick for _, tick in realm.ticks()] == [1, 5], "what follows on something lost is not shown"

    async def test_the_last_one_is_missed_when_the_zone_says_how_many_there_were(self) -> None:
        realm = await self.realm()
        realm.link.sent("zon_a", 1, 2)
        assert self.asked(realm) == 1

    async def test_the_first_one_of_a_new_incarnation(self) -> None:
        realm = await self.realm()
        realm.link.sent("zon_a", 2, 0)  # it has nobody here yet
        assert self.asked(realm) == 0
        realm.link.receive(out(9, 7, epoch=2, number=2))
        assert self.asked(realm) == 1

    async def test_an_older_incarnation_has_nothing_to_say(self) -> None:
        realm = await self.realm()
        realm.link.receive(out(1, 7, epoch=2, reset=True, number=1))
        realm.link.sent("zon_a", 1, 99)
        assert self.asked(realm) == 0

    async def test_for_nobody_nothing_is_asked(self) -> None:
        realm = await self.realm()
        realm.link.receive(out(3, 7, number=3))
        realm.link.hide(next(iter(realm.link._viewers.values())))
        assert self.asked(realm) == 0
