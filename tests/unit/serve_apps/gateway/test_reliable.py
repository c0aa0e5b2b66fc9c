"""Numbered notifications reach a socket without a gap and once, and the session actors hear how far it is (row 2.5)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.adapters.memory.bus import MemoryBus
from cluster.errors import InvalidInput
from rayrealm_client import codec
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import Priority
from serve_apps.gateway.reliable import ASK_AGAIN_S, Notice, ReliableLink
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, Clock, Gateway, Wire, a_client, attached

Report = tuple[str, int, int, int, bool, bool]  # session, attach epoch, delivered, acked, missing, heard


class Link:
    """A ReliableLink whose frames, reports and rosters are kept."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.bus = MemoryBus()
        self.clients: dict[str, Client] = {}
        self.frames: dict[str, list[bytes]] = {}
        self.link = ReliableLink("gtw_1", self.bus, SUBJECTS, self.clients, self._write, self.clock)
        self.reports: list[Report] = []
        self.rosters: list[tuple[str, dict[str, int]]] = []

    async def listen(self) -> Link:
        for actor in ("sessions/0", "sessions/1"):
            await self.bus.subscribe(SUBJECTS.session_reports(actor), self._report)
            await self.bus.subscribe(
                SUBJECTS.session_roster(actor), lambda data, actor=actor: self._roster(actor, data)
            )
        return self

    def _write(self, client: Client, frame: bytes, priority: Priority) -> None:
        assert priority is Priority.NORMAL
        self.frames.setdefault(client.session_id, []).append(frame)

    def _report(self, data: bytes) -> None:
        said = internal_pb2.SessionReports.FromString(data)
        assert said.gateway_id == "gtw_1"
        self.reports += [(r.session_id, r.attach_epoch, r.delivered, r.acked, r.missing, r.heard) for r in said.reports]

    def _roster(self, actor: str, data: bytes) -> None:
        said = internal_pb2.SessionRoster.FromString(data)
        assert said.gateway_id == "gtw_1"
        self.rosters.append((actor, dict(zip(said.session_ids, said.attach_epochs, strict=True))))

    def client(
        self,
        name: str = "ses_1",
        framing: Framing = Framing.JSON,
        *,
        missed: tuple[tuple[str, bytes], ...] = (),
        **more: Any,
    ) -> Client:
        client, _ = a_client(framing, session_id=name, missed=missed, **more)
        self.clients[name] = client
        self.link.opened(client, missed)
        return client

    def batch(self, first: int, *bodies: str, name: str = "ses_1", attach: int = 1, epoch: int = 1) -> None:
        batch = internal_pb2.ReliableBatch(actor="sessions/0", epoch=epoch)
        for text in bodies:
            batch.bodies.add(method="n", params_json=b'{"text":"%s"}' % text.encode())
        batch.targets.add(session_id=name, attach_epoch=attach, first_seq=first, bodies=range(len(bodies)))
        self.link.receive(batch.SerializeToString())

    def told(self, name: str = "ses_1") -> list[tuple[int | None, Any]]:
        """(number, text) of what was written; forgets it."""
        found = []
        for frame in self.frames.pop(name, []):
            said = codec.decode(frame if self.clients[name].outgoing.framing is Framing.PROTO else frame.decode())[0]
            assert isinstance(said, codec.Notification)
            assert isinstance(said.params, dict)
            found.append((said.seq, said.params.get("text")))
        return found

    def flush(self) -> list[Report]:
        self.link.flush()
        self.bus.deliver()
        reports, self.reports = self.reports, []
        return reports


@pytest.fixture
async def link() -> Link:
    return await Link().listen()


class TestDelivering:
    @pytest.mark.parametrize("framing", list(Framing))
    def test_what_was_missed_comes_first_and_then_what_comes(self, framing: Framing) -> None:
        link = Link()
        missed = (("n", b'{"text":"5"}'), ("n", b'{"text":"6"}'))
        client = link.client(framing=framing, seq=4, recovered=True, missed=missed)
        link.batch(7, "7", "8")
        assert link.told() == [(5, "5"), (6, "6"), (7, "7"), (8, "8")]
        assert (client.delivered, link.link.delivered) == (8, 4)

    def test_a_body_for_many_is_encoded_once_for_each_framing(self) -> None:
        notice = Notice("n", b'{"text":"\xc3\xa9"}')
        said = {(framing, seq): notice.frame(framing, seq) for framing in Framing for seq in (1, 300)}
        assert len(notice._encoded) == 2
        for (framing, seq), frame in said.items():
            item = codec.decode(frame if framing is Framing.PROTO else frame.decode())[0]
            assert isinstance(item, codec.Notification)
            assert (item.seq, item.params) == (seq, {"text": "é"})

    def test_what_comes_twice_is_written_once(self) -> None:
        link = Link()
        link.client()
        link.batch(1, "1", "2")
        link.batch(1, "1", "2")
        link.batch(2, "2", "3")
        assert link.told() == [(1, "1"), (2, "2"), (3, "3")]
        assert link.link.duplicates == 3

    def test_nothing_is_written_behind_a_hole(self) -> None:
        link = Link()
        client = link.client()
        link.batch(1, "1")
        link.batch(3, "3")
        assert link.told() == [(1, "1")]
        link.batch(2, "2", "3")
        assert link.told() == [(2, "2"), (3, "3")]
        assert (client.delivered, link.link.missing) == (3, 1)

    def test_others_are_not_meant(self) -> None:
        link = Link()
        link.client(attach_epoch=2)
        link.batch(1, "old", attach=1)
        link.batch(1, "new", attach=3)
        link.batch(1, "other", name="ses_2", attach=2)
        assert link.told() == []
        link.batch(1, "mine", attach=2)
        assert link.told() == [(1, "mine")]

    def test_nothing_is_written_to_a_closed_one(self) -> None:
        link = Link()
        client = link.client()
        client.closed = True
        link.batch(1, "1")
        assert (link.told(), client.delivered) == ([], 0)

    def test_one_that_closes_over_it_gets_no_more_of_it(self) -> None:
        gateway = Gateway(slow_consumer_bytes=4096)
        client, wire = gateway.connect()
        gateway.hub.blocked(client)
        batch = internal_pb2.ReliableBatch(actor="sessions/0", epoch=1)
        for _ in range(100):
            batch.bodies.add(method="n", params_json=orjson.dumps({"text": "x" * 1_000}))
        batch.targets.add(session_id="ses_1", attach_epoch=1, first_seq=1, bodies=range(100))
        gateway.hub.reliable.receive(batch.SerializeToString())
        assert wire.closed == [(Close.SLOW_CONSUMER.value, "not reading")]
        assert client.delivered < 10

    def test_an_older_incarnation_of_an_actor_is_not_believed(self) -> None:
        link = Link()
        link.client()
        link.batch(1, "1", epoch=3)
        link.batch(2, "of the old one", epoch=2)
        assert (link.told(), link.link.stale) == ([(1, "1")], 1)
        link.batch(2, "2", epoch=3)
        link.batch(3, "3", epoch=4)
        assert link.told() == [(2, "2"), (3, "3")]

    async def test_each_target_has_its_own_bodies(self, link: Link) -> None:
        link.client("ses_1"), link.client("ses_2", seq=7)
        batch = internal_pb2.ReliableBatch(actor="sessions/0", epoch=1)
        for text in "abc":
            batch.bodies.add(method="n", params_json=b'{"text":"%s"}' % text.encode())
        batch.targets.add(session_id="ses_1", attach_epoch=1, first_seq=1, bodies=[0, 2])
        batch.targets.add(session_id="ses_2", attach_epoch=1, first_seq=8, bodies=[1])
        link.link.receive(batch.SerializeToString())
        assert (link.told("ses_1"), link.told("ses_2")) == ([(1, "a"), (2, "c")], [(8, "b")])


class TestReports:
    async def test_a_new_socket_says_where_it_is_and_that_it_may_lack_some(self, link: Link) -> None:
        """What was sent between the attach and the open socket found nobody here."""
        link.client(seq=4, recovered=True, missed=(("n", b"{}"),))
        assert link.flush() == [("ses_1", 1, 5, 0, True, False)]
        assert link.flush() == []

    async def test_what_was_written_once_for_all_that_came(self, link: Link) -> None:
        link.client("ses_1"), link.client("ses_2")
        link.flush()
        for n in range(1, 4):
            link.batch(n, str(n))
        assert link.flush() == [("ses_1", 1, 3, 0, False, False)]

    async def test_what_is_missing_is_asked_for_but_not_all_the_time(self, link: Link) -> None:
        link.client()
        link.flush()
        link.batch(2, "2")
        link.batch(3, "3")
        assert link.flush() == [("ses_1", 1, 0, 0, True, False)]
        link.batch(4, "4")
        assert link.flush() == []
        link.clock.now += ASK_AGAIN_S
        link.batch(5, "5")
        assert link.flush() == [("ses_1", 1, 0, 0, True, False)]

    async def test_a_question_is_answered(self, link: Link) -> None:
        """An actor that was restarted does not know what its sockets have: numbers without bodies."""
        link.client(seq=6)
        link.flush()
        link.batch(7)
        assert link.flush() == [("ses_1", 1, 6, 0, False, False)]
        link.batch(9)
        assert link.flush() == [("ses_1", 1, 6, 0, True, False)]
        assert link.told() == []

    async def test_acknowledgements_are_cumulative(self, link: Link) -> None:
        client = link.client()
        link.batch(1, "1", "2", "3")
        link.flush()
        for seq in (2, 1, 2, 0):
            link.link.acked(client, seq)
        assert (client.acked, link.flush()) == (2, [("ses_1", 1, 3, 2, False, False)])

    async def test_one_of_what_was_never_sent_is_refused(self, link: Link) -> None:
        client = link.client()
        link.batch(1, "1")
        link.flush()
        with pytest.raises(InvalidInput) as refused:
            link.link.acked(client, 2)
        assert [field for field, _ in refused.value.errors] == ["seq"]
        assert (client.acked, link.flush(), link.link.bad_acks) == (0, [], 1)

    async def test_that_the_client_was_heard(self, link: Link) -> None:
        client = link.client()
        link.flush()
        link.link.heard(client)
        assert link.flush() == [("ses_1", 1, 0, 0, False, True)]
        link.batch(1, "1")
        assert link.flush() == [("ses_1", 1, 1, 0, False, True)]

    async def test_each_actor_hears_of_its_own(self, link: Link) -> None:
        client = link.client("ses_2")
        client.actor = "sessions/1"
        link.client("ses_1")
        link.link.flush()
        assert link.bus.deliver() == 2


class TestRosters:
    async def test_all_that_are_here_by_actor(self, link: Link) -> None:
        link.client("ses_1", attach_epoch=3), link.client("ses_2")
        other, _ = a_client(session_id="ses_3", attach_epoch=7)
        other.actor = "sessions/1"
        link.clients["ses_3"] = other
        link.link.opened(other, ())
        link.link.roster(link.clients.values())
        link.bus.deliver()
        assert sorted(link.rosters) == [("sessions/0", {"ses_1": 3, "ses_2": 1}), ("sessions/1", {"ses_3": 7})]

    async def test_an_actor_that_has_none_left_here_is_told_so(self, link: Link) -> None:
        link.client()
        link.link.roster([])
        link.bus.deliver()
        assert link.rosters == [("sessions/0", {})]

    async def test_nobody_is_told_of_nothing(self, link: Link) -> None:
        link.link.roster([])
        assert link.bus.deliver() == 0


class TestInTheHub:
    async def test_the_greeting_comes_first_and_what_was_missed_in_one_frame(self) -> None:
        gateway, wire = Gateway(), Wire()
        missed = (("chat.message", b'{"text":"a"}'), ("chat.message", b'{"text":"b"}'))
        from tests.unit.serve_apps.gateway.fakes import an_upgrade

        gateway.hub.connect(
            attached(attach_epoch=2, seq=4, recovered=True, missed=missed), "sessions/0", an_upgrade(), wire
        )
        (ready,) = wire.json()
        assert (ready["params"]["recovered"], ready["params"]["seq"]) == (True, 4)
        gateway.clock.now += 0.06
        gateway.hub.pulse()
        (batch,) = wire.json()
        assert [(n["params"]["seq"], n["params"]["text"]) for n in batch] == [(5, "a"), (6, "b")]

    @pytest.mark.parametrize("framing", list(Framing))
    async def test_the_first_message_of_a_client_is_reported(self, framing: Framing) -> None:
        gateway = Gateway()
        reports: list[bytes] = []
        await gateway.bus.subscribe(SUBJECTS.session_reports("sessions/0"), reports.append)
        client, _ = gateway.connect(framing)
        gateway.hub.heard(client)  # a pong: from the network, not from the program
        gateway.hub.pulse()
        if framing is Framing.JSON:
            await gateway.say(client, {"jsonrpc": "2.0", "method": "nothing"})
        else:
            from tests.unit.serve_apps.gateway.test_hub import move

            gateway.hub.receive(client, False, move(), True)
        gateway.hub.pulse()
        gateway.bus.deliver()
        heard = [internal_pb2.SessionReports.FromString(data).reports[0].heard for data in reports]
        assert heard == [False, True]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), max_size=40))
def test_whatever_batches_come_the_socket_has_a_contiguous_stream(batches: list[tuple[int, int]]) -> None:
    link = Link()
    client = link.client()
    told: list[tuple[int | None, Any]] = []
    for first, count in batches:
        link.batch(first, *(str(n) for n in range(first, first + count)))
        told += link.told()
    assert told == [(n, str(n)) for n in range(1, client.delivered + 1)]
