"""Which clients are in which party, as a gateway comes to know, and what they are told of each other's places."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from actors.zone.rows import pack_move_in
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.adapters.memory.social import MemorySocialStore
from cluster.errors import Unavailable
from cluster.ports.social import Limits, Ties
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.party_link import RECHECK_S, PartyLink
from serve_apps.gateway.party_positions import STALE_S
from serve_apps.gateway.views import View
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, WALL, Gateway, Wire, a_world

A, B, C = "usr_a", "usr_b", "usr_c"
LIMITS = Limits(8, 8, 8, 8)


class Store(MemoryPartyStore):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.away = False

    async def parties_of(self, user_ids: list[str]) -> dict[str, str]:
        self.asked.append(user_ids)
        if self.away:
            raise Unavailable("redis")
        return await super().parties_of(user_ids)


class Social(MemorySocialStore):
    def __init__(self) -> None:
        super().__init__()
        self.away = False

    async def ties(self, user_ids: Sequence[str]) -> dict[str, Ties]:
        if self.away:
            raise Unavailable("redis")
        return await super().ties(user_ids)


class Bus(MemoryBus):
    @property
    def listening(self) -> int:
        return len([each for each in self._subscriptions if each.active])


class Table:
    """Several gateways that share a bus and a store."""

    def __init__(self, gateways: int = 1) -> None:
        self.store, self.social, self.bus = Store(), Social(), Bus()
        self.gateways = [Gateway() for _ in range(gateways)]
        self.links = []
        for n, gateway in enumerate(self.gateways):
            gateway.clock = self.gateways[0].clock
            stores = self.store, self.social
            args = (f"gtw_{n}", gateway.settings, *stores, self.bus, SUBJECTS, gateway.hub.notify)
            link = PartyLink(*args, self.gateways[0].clock)
            gateway.hub.use_parties(link)
            self.links.append(link)
        self.clock = self.gateways[0].clock
        self.sessions = 0

    def come(self, user_id: str, x: float | None = None, gateway: int = 0, number: int = 7) -> tuple[Client, Wire]:
        self.sessions += 1
        place = {"name": user_id.upper(), "position": {"x": x, "y": 0.0, "z": 0.5}}
        world = None if x is None else {**a_world(number), **place}
        return self.gateways[gateway].connect(session_id=f"ses_{self.sessions}", user_id=user_id, world=world)

    async def party(self, *user_ids: str) -> None:
        await self.store.create("pty_1", user_ids[0], "", WALL)
        for user_id in user_ids[1:]:
            await self.store.invite(user_ids[0], "", user_id, 8, 8, WALL + 60, WALL)
            await self.store.accept("pty_1", user_id, "", 8, WALL)

    async def steps(self, count: int = 3) -> None:
        for _ in range(count):
            for link in self.links:
                await link.step()
            self.bus.deliver()
            self.clock.now += 0.5


def places(wire: Wire) -> list[dict[str, tuple[str, float]]]:
    """What each party.positions said: user -> (zone, x)."""
    said = [frame["params"]["members"] for frame in wire.json() if frame.get("method") == "party.positions"]
    return [{m["user_id"]: (m["zone"], m["x"]) for m in members} for members in said]


def judged(ack: int) -> View:
    return View(b"\0\0\0\0", ack.to_bytes(4, "little"), b"")


def walk(table: Table, client: Client, sequence: int, x: float) -> None:
    client.last_move = pack_move_in(7, sequence, x, 0.0, 0.5, 0.0)
    for ack in (sequence - 1, sequence):
        table.gateways[0].hub._write_view(client, judged(ack))


def tell_of_ties(table: Table, client: Client) -> None:
    """A friends.changed goes out to the client."""
    batch = internal_pb2.ReliableBatch(actor="sessions/0", epoch=1)
    batch.bodies.add(method="friends.changed", params_json=b"{}")
    batch.targets.add(session_id=client.session_id, attach_epoch=1, first_seq=client.delivered + 1, bodies=[0])
    table.gateways[0].hub.reliable.receive(batch.SerializeToString())


class TestPlaces:
    async def test_members_are_told_of_each_other_over_gateways(self) -> None:
        table = Table(2)
        await table.party(A, B)
        (_, ann), (_, bob) = table.come(A, 1.0), table.come(B, 2.0, gateway=1)
        _, cat = table.come(C, 3.0)
        await table.steps()
        assert places(ann) == [{B: ("zon_meadow", 2.0)}]
        assert places(bob) == [{A: ("zon_meadow", 1.0)}]
        assert cat.frames == []

    async def test_only_what_has_changed_is_said(self) -> None:
        table = Table()
        await table.party(A, B)
        (ann, to_ann), (_, to_bob) = table.come(A, 1.0), table.come(B, 2.0, number=8)
        await table.steps()
        to_ann.frames.clear()
        to_bob.frames.clear()
        await table.steps(20)
        assert to_ann.frames == to_bob.frames == []
        walk(table, ann, 1, 4.2)
        to_ann.frames.clear()
        await table.steps()
        assert to_ann.frames == []
        assert places(to_bob) == [{A: ("zon_meadow", 4.2)}]

    async def test_a_crossing_and_a_way_out_of_the_world(self) -> None:
        table = Table()
        await table.party(A, B)
        (ann, _), (_, bob) = table.come(A, 1.0), table.come(B, 2.0, number=8)
        await table.steps()
        hub = table.gateways[0].hub
        hub._crossed(ann, "zon_harbour", 3)
        await table.steps()
        hub.left(ann)
        await table.steps()
        hub.entered(ann, {**a_world(9), "position": {"x": 30.0, "y": 0.0, "z": 0.0}})
        await table.steps()
        assert places(bob) == [{A: ("zon_meadow", 1.0)}, {A: ("zon_harbour", 1.0)}, {}, {A: ("zon_meadow", 30.0)}]

    async def test_who_is_gone_is_nowhere(self) -> None:
        table = Table(2)
        await table.party(A, B)
        (ann, _), (_, bob) = table.come(A, 1.0), table.come(B, 2.0, gateway=1)
        await table.steps()
        table.gateways[0].hub.disconnected(ann)
        await table.steps()
        assert places(bob) == [{A: ("zon_meadow", 1.0)}, {}]
        assert table.bus.listening == 1, "the gateway without members listens no more"

    async def test_a_gateway_that_died_says_nothing_and_is_forgotten(self) -> None:
        table = Table(2)
        await table.party(A, B)
        table.come(A, 1.0)
        _, bob = table.come(B, 2.0, gateway=1)
        await table.steps()
        table.links.pop(0)
        await table.steps(int(STALE_S * 2) + 4)
        assert places(bob) == [{A: ("zon_meadow", 1.0)}, {}]

    async def test_who_does_not_read_gets_the_newest_when_it_reads_again(self) -> None:
        table = Table()
        await table.party(A, B)
        (ann, _), (bob, wire) = table.come(A, 1.0), table.come(B, 2.0, number=8)
        table.gateways[0].hub.blocked(bob)
        await table.steps()
        for step in range(1, 5):
            walk(table, ann, step, 1.0 + step)
            await table.steps(1)
        table.gateways[0].hub.unblocked(bob)
        assert places(wire) == []
        await table.steps(1)
        assert places(wire) == [{A: ("zon_meadow", 5.0)}]


class TestBlocks:
    async def test_neither_sees_the_other(self) -> None:
        table = Table(2)
        await table.party(A, B, C)
        await table.social.block(B, A, LIMITS, WALL)
        (_, ann), (_, bob) = table.come(A, 1.0), table.come(B, 2.0, gateway=1)
        _, cat = table.come(C, 3.0, gateway=1, number=8)
        await table.steps()
        assert {user_id for said in places(ann) for user_id in said} == {C}
        assert {user_id for said in places(bob) for user_id in said} == {C}
        assert places(cat)[-1] == {A: ("zon_meadow", 1.0), B: ("zon_meadow", 2.0)}

    @pytest.mark.parametrize("gateway", [0, 1])
    async def test_a_block_and_its_end_show_at_once_on_both_sides(self, gateway: int) -> None:
        """Only the one who blocks is told, and the other's gateway must not wait for its next look."""
        table = Table(2)
        await table.party(A, B)
        (ann, to_ann), (_, to_bob) = table.come(A, 1.0), table.come(B, 2.0, gateway=gateway, number=8)
        await table.steps()
        await table.social.block(A, B, LIMITS, WALL)
        tell_of_ties(table, ann)
        await table.steps()
        assert places(to_ann) == [{B: ("zon_meadow", 2.0)}, {}]
        assert places(to_bob) == [{A: ("zon_meadow", 1.0)}, {}]
        await table.social.unblock(A, B)
        tell_of_ties(table, ann)
        await table.steps()
        assert places(to_ann) == [{B: ("zon_meadow", 2.0)}]
        assert places(to_bob) == [{A: ("zon_meadow", 1.0)}]

    async def test_a_notice_that_was_never_sent_is_made_up_for(self) -> None:
        table = Table(2)
        await table.party(A, B)
        (_, ann), (_, bob) = table.come(A, 1.0), table.come(B, 2.0, gateway=1)
        await table.steps()
        await table.social.block(A, B, LIMITS, WALL)
        await table.steps(int(RECHECK_S * 2) + 3)
        assert places(ann)[-1] == places(bob)[-1] == {}

    async def test_ties_that_change_are_looked_up_for_those_in_a_party(self) -> None:
        table = Table()
        ann, _ = table.come(A, 1.0)
        await table.steps()
        tell_of_ties(table, ann)
        await table.steps()
        assert table.store.asked == [[A]]
        await table.party(A)
        table.links[0].doubt(ann)
        await table.steps()
        table.store.asked.clear()
        tell_of_ties(table, ann)
        await table.steps()
        assert table.store.asked == [[A]], "once, if they are as before"

    async def test_nobody_is_shown_before_the_ties_are_known(self) -> None:
        table = Table()
        await table.party(A, B)
        await table.social.block(A, B, LIMITS, WALL)
        (_, ann), (_, bob) = table.come(A, 1.0), table.come(B, 2.0, number=8)
        table.social.away = True
        for _ in range(3):
            with pytest.raises(Unavailable):
                await table.steps(1)
        table.social.away = False
        await table.steps()
        assert places(ann) == places(bob) == []


class TestWhoIsInWhich:
    async def test_nothing_happens_for_those_without_a_party(self) -> None:
        table = Table()
        client, wire = table.come(A, 1.0)
        await table.steps(200)
        assert table.store.asked == [[A]], "once, when it came"
        assert (client.track, wire.frames, table.bus.listening) == (None, [], 0)

    async def test_a_notice_on_its_way_to_the_client_is_noticed(self) -> None:
        table = Table()
        (ann, to_ann), _ = table.come(A, 1.0), table.come(B, 2.0, number=8)
        await table.steps()
        await table.party(A, B)
        for session_id in ("ses_1", "ses_2"):
            batch = internal_pb2.ReliableBatch(actor="sessions/0", epoch=1)
            batch.bodies.add(method="party.changed", params_json=b"{}")
            batch.targets.add(session_id=session_id, attach_epoch=1, first_seq=1, bodies=[0])
            table.gateways[0].hub.reliable.receive(batch.SerializeToString())
        await table.steps()
        assert places(to_ann) == [{B: ("zon_meadow", 2.0)}]
        await table.store.leave(A)
        table.links[0].doubt(ann)
        await table.steps()
        assert ann.track is None
        assert table.bus.listening == 1

    async def test_a_notice_that_was_never_sent_is_made_up_for(self) -> None:
        table = Table()
        await table.party(A)
        ann, _ = table.come(A, 1.0)
        await table.steps()
        assert ann.track is not None
        await table.store.leave(A)
        await table.steps(int(RECHECK_S * 2) + 2)
        assert ann.track is None

    async def test_a_store_that_is_away_is_asked_again(self) -> None:
        table = Table()
        await table.party(A, B)
        (_, ann), _ = table.come(A, 1.0), table.come(B, 2.0, number=8)
        table.store.away = True
        for _ in range(3):
            with pytest.raises(Unavailable):
                await table.steps(1)
        table.store.away = False
        await table.steps()
        assert places(ann) == [{B: ("zon_meadow", 2.0)}]

    async def test_places_are_told_all_the_while(self) -> None:
        table = Table()
        await table.party(A, B)
        (ann, _), (_, bob) = table.come(A, 1.0), table.come(B, 2.0, number=8)
        await table.steps()
        bob.frames.clear()
        table.store.away = True
        table.come(C)
        walk(table, ann, 1, 9.0)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await table.steps(1)
            table.bus.deliver()
        assert places(bob) == [{A: ("zon_meadow", 9.0)}]

    async def test_what_is_no_message_is_passed_over(self) -> None:
        table = Table()
        await table.party(A, B)
        (_, ann), _ = table.come(A, 1.0), table.come(B, 2.0, number=8)
        await table.steps(1)
        with capture_logs() as logs:
            table.bus.publish(SUBJECTS.party_positions("pty_1"), b"\xff" * 9)
            await table.steps()
        assert [line["event"] for line in logs] == ["bus_handler_failed"]
        assert places(ann) == [{B: ("zon_meadow", 2.0)}]
