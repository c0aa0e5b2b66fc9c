"""The gateway's part of the reliable lane: without gaps to the socket, and what arrived back to the session's actor."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import InvalidInput
from rayrealm_client import codec
from realm_proto import internal_pb2
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.client import Client
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.reliable import ASK_AGAIN_S, Notice
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, Gateway, Wire, an_upgrade, attached
from tests.unit.serve_apps.gateway.test_hub import move

ACTOR = "sessions/0"


def batch(first: int, *texts: str, epoch: int = 1, session_id: str = "ses_1", attach_epoch: int = 1) -> bytes:
    made = internal_pb2.ReliableBatch(actor=ACTOR, epoch=epoch)
    for text in texts:
        made.bodies.add(method="chat.message", params_json=orjson.dumps({"text": text}))
    made.targets.add(session_id=session_id, attach_epoch=attach_epoch, first_seq=first, bodies=range(len(texts)))
    return made.SerializeToString()


class Lane:
    """A gateway with one client, and what its session's actor is told."""

    def __init__(self) -> None:
        self.gateway = Gateway()
        self.reports: list[internal_pb2.SessionReport] = []
        self.rosters: list[internal_pb2.SessionRoster] = []

    async def listen(self) -> None:
        def take(data: bytes) -> None:
            self.reports.extend(internal_pb2.SessionReports.FromString(data).reports)

        def roster(data: bytes) -> None:
            self.rosters.append(internal_pb2.SessionRoster.FromString(data))

        await self.gateway.bus.subscribe(SUBJECTS.session_reports(ACTOR), take)
        await self.gateway.bus.subscribe(SUBJECTS.session_roster(ACTOR), roster)

    def connect(self, framing: Framing = Framing.JSON, **what: Any) -> tuple[Client, Wire]:
        client, wire = self.gateway.connect(framing, **what)
        return client, wire

    def told(self) -> list[tuple[int, int, bool, bool]]:
        """(delivered, acked, missing, heard) of each report since the last time."""
        self.gateway.hub.reliable.flush()
        self.gateway.bus.deliver()
        found = [(r.delivered, r.acked, r.missing, r.heard) for r in self.reports]
        self.reports.clear()
        return found

    def read(self, wire: Wire) -> list[tuple[int, str]]:
        """What was written since the last time: (number, text)."""
        self.gateway.clock.now += 1.0
        self.gateway.hub.pulse()
        frames = [frame if isinstance(frame, list) else [frame] for frame in wire.json()]
        return [(notice["params"]["seq"], notice["params"]["text"]) for notices in frames for notice in notices]


@pytest.fixture
async def lane() -> Lane:
    made = Lane()
    await made.listen()
    return made


async def test_what_comes_in_order_is_written_and_reported(lane: Lane) -> None:
    client, wire = lane.connect()
    lane.gateway.hub.reliable.receive(batch(1, "a", "b"))
    lane.gateway.hub.reliable.receive(batch(3, "c"))
    assert lane.told() == [(3, 0, True, False)], "the first report of a socket asks for what may have found nobody here"
    assert lane.read(wire) == [(1, "a"), (2, "b"), (3, "c")]
    lane.gateway.hub.reliable.receive(batch(4, "d"))
    assert lane.told() == [(4, 0, False, False)]
    assert client.delivered == 4


async def test_repeats_are_dropped_also_in_part(lane: Lane) -> None:
    _, wire = lane.connect()
    reliable = lane.gateway.hub.reliable
    reliable.receive(batch(1, "a", "b"))
    reliable.receive(batch(1, "a", "b"))
    reliable.receive(batch(2, "b", "c"))
    assert lane.read(wire) == [(1, "a"), (2, "b"), (3, "c")]
    assert reliable.duplicates == 3


async def test_what_comes_too_early_is_left_and_asked_for_but_not_all_the_time(lane: Lane) -> None:
    _, wire = lane.connect()
    reliable = lane.gateway.hub.reliable
    lane.told()
    reliable.receive(batch(3, "c"))
    assert lane.told() == [(0, 0, True, False)]
    reliable.receive(batch(4, "d"))
    assert lane.told() == []
    lane.gateway.clock.now += ASK_AGAIN_S
    reliable.receive(batch(5, "e"))
    assert lane.told() == [(0, 0, True, False)]
    reliable.receive(batch(1, "a", "b", "c", "d", "e"))
    assert lane.told() == [(5, 0, False, False)]
    assert lane.read(wire) == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]
    assert reliable.missing == 3


async def test_what_was_missed_comes_with_the_attach(lane: Lane) -> None:
    client, wire = lane.connect(seq=7, recovered=True, missed=(("chat.message", b'{"text":"h"}'),))
    wire.frames.clear()
    assert client.delivered == 8
    lane.gateway.hub.reliable.receive(batch(9, "i"))
    assert (9, "i") in lane.read(wire)


async def test_another_attach_another_session_and_older_actors_are_not_believed(lane: Lane) -> None:
    _, wire = lane.connect(attach_epoch=2)
    reliable = lane.gateway.hub.reliable
    reliable.receive(batch(1, "x", attach_epoch=1))
    reliable.receive(batch(1, "x", attach_epoch=3))
    reliable.receive(batch(1, "x", session_id="ses_2", attach_epoch=2))
    assert lane.read(wire) == []
    reliable.receive(batch(1, "a", attach_epoch=2, epoch=5))
    reliable.receive(batch(2, "old", attach_epoch=2, epoch=4))
    assert lane.read(wire) == [(1, "a")]
    assert reliable.stale == 1


async def test_acknowledgements(lane: Lane) -> None:
    client, _ = lane.connect()
    reliable = lane.gateway.hub.reliable
    reliable.receive(batch(1, "a", "b", "c"))
    lane.told()
    reliable.acked(client, 2)
    assert lane.told() == [(3, 2, False, False)]
    reliable.acked(client, 1)  # an old one
    assert client.acked == 2
    lane.told()
    with pytest.raises(InvalidInput):
        reliable.acked(client, 4)
    assert client.acked == 2
    assert reliable.bad_acks == 1
    assert lane.told() == []


async def test_the_first_message_of_a_client_is_told(lane: Lane) -> None:
    client, _ = lane.connect()
    lane.told()
    await lane.gateway.say(client, {"jsonrpc": "2.0", "method": "nope"})
    assert lane.told() == [(0, 0, False, True)]
    await lane.gateway.say(client, {"jsonrpc": "2.0", "method": "nope"})
    assert lane.told() == []


async def test_the_roster_names_every_socket_and_is_sent_when_there_are_none(lane: Lane) -> None:
    reliable = lane.gateway.hub.reliable
    reliable.roster(lane.gateway.hub.clients.values())
    lane.gateway.bus.deliver()
    assert lane.rosters == [], "no session actor is known here yet"
    one, _ = lane.connect(session_id="ses_1", attach_epoch=4)
    lane.connect(session_id="ses_2", attach_epoch=1)
    reliable.roster(lane.gateway.hub.clients.values())
    lane.gateway.bus.deliver()
    roster = lane.rosters.pop()
    assert (list(roster.session_ids), list(roster.attach_epochs)) == (["ses_1", "ses_2"], [4, 1])
    reliable.roster([])
    lane.gateway.bus.deliver()
    assert list(lane.rosters.pop().session_ids) == []
    assert one.actor == ACTOR


async def test_a_question_without_bodies_is_answered(lane: Lane) -> None:
    """A session actor that was restarted does not know what its sockets have."""
    _, wire = lane.connect(seq=6)
    lane.told()
    lane.gateway.hub.reliable.receive(batch(7))
    assert lane.told() == [(6, 0, False, False)]
    lane.gateway.hub.reliable.receive(batch(9))
    assert lane.told() == [(6, 0, True, False)]
    assert lane.read(wire) == []


async def test_each_session_gets_its_own_of_a_batch(lane: Lane) -> None:
    wires = [lane.connect(session_id=f"ses_{n}", seq=10 * n)[1] for n in (1, 2)]
    mixed = internal_pb2.ReliableBatch.FromString(batch(11, "a", "b", "c"))
    mixed.targets[0].bodies[:] = [0, 2]
    mixed.targets.add(session_id="ses_2", attach_epoch=1, first_seq=21, bodies=[1])
    lane.gateway.hub.reliable.receive(mixed.SerializeToString())
    assert [lane.read(wire) for wire in wires] == [[(11, "a"), (12, "c")], [(21, "b")]]
    assert lane.gateway.hub.clients["ses_2"].delivered == 21


async def test_a_socket_that_closes_over_it_is_written_no_more_of_it() -> None:
    gateway = Gateway(slow_consumer_bytes=4096)
    client, wire = gateway.connect()
    gateway.hub.blocked(client)
    gateway.hub.reliable.receive(batch(1, *["x" * 1_000] * 100))
    assert [code for code, _ in wire.closed] == [4001]
    assert client.delivered < 10
    gateway.hub.reliable.receive(batch(client.delivered + 1, "more"))
    assert client.delivered < 10


async def test_a_move_is_a_message_too_and_a_pong_is_none(lane: Lane) -> None:
    client, _ = lane.connect(Framing.PROTO)
    lane.told()
    lane.gateway.hub.heard(client)
    assert lane.told() == []
    lane.gateway.hub.receive(client, False, move(), True)
    assert lane.told() == [(0, 0, False, True)]


async def test_each_actor_hears_of_its_own_sessions_only(lane: Lane) -> None:
    lane.connect(session_id="ses_1")
    other, _ = lane.connect(session_id="ses_2")
    other.actor = "sessions/1"
    lane.gateway.hub.reliable.flush()
    assert lane.gateway.bus.deliver() == 2
    assert [report.session_id for report in lane.reports] == ["ses_1"]


@pytest.mark.parametrize("framing", list(Framing))
async def test_what_was_missed_has_its_numbers_in_both_framings(framing: Framing) -> None:
    gateway, wire = Gateway(), Wire()
    missed = (("chat.message", b'{"text":"a"}'), ("chat.message", b'{"text":"b"}'))
    gateway.hub.connect(
        attached(seq=299, recovered=True, missed=missed), ACTOR, an_upgrade(framing), Identity("usr_a"), wire
    )
    gateway.clock.now += 1.0
    gateway.hub.pulse()
    frames = [data if kind is Framing.PROTO else data.decode() for data, kind in wire.frames]
    items = [item for frame in frames for item in codec.decode(frame)]
    assert [(i.method, i.seq) for i in items if isinstance(i, codec.Notification)] == [
        ("session.ready", None),
        ("chat.message", 300),
        ("chat.message", 301),
    ]


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), max_size=40))
def test_whatever_batches_come_the_socket_has_a_contiguous_stream(batches: list[tuple[int, int]]) -> None:
    made = Lane()
    client, wire = made.connect()
    for first, count in batches:
        made.gateway.hub.reliable.receive(batch(first, *(str(n) for n in range(first, first + count))))
    assert made.read(wire) == [(n, str(n)) for n in range(1, client.delivered + 1)]


@pytest.mark.parametrize("framing", list(Framing))
def test_a_body_is_encoded_once_for_all(framing: Framing, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    module = json_framing if framing is Framing.JSON else proto_framing
    real = module.notification_body

    def counted(method: str, params_json: bytes) -> Any:
        calls.append(method)
        return real(method, params_json)

    monkeypatch.setattr(module, "notification_body", counted)
    notice = Notice("chat.message", b'{"text":"x"}')
    frames = {notice.frame(framing, seq) for seq in range(1, 50)}
    assert len(frames) == 49
    assert calls == ["chat.message"]
