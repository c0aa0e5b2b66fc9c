"""What one gateway is sent: its own bodies once, in messages that the bus takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.session.outbox import Body
from actors.session.parcels import MOST_BYTES, Parcels
from cluster.ports.sessions import Fence, SessionRecord
from realm_proto import internal_pb2

FENCE = Fence("sessions/0", 3)


def record(n: int) -> SessionRecord:
    return SessionRecord(f"ses_{n:060}", "usr_1", "sessions/0", "authenticated", "gtw_a", n)


def test_nothing_is_no_message() -> None:
    assert Parcels(FENCE, []).messages() == []


def test_a_question_has_a_number_and_no_bodies() -> None:
    parcels = Parcels(FENCE, [])
    parcels.add(record(1), 9, [])
    (data,) = parcels.messages()
    (target,) = internal_pb2.ReliableBatch.FromString(data).targets
    assert (target.first_seq, list(target.bodies)) == (9, [])


def test_one_that_a_session_gets_twice() -> None:
    parcels = Parcels(FENCE, [Body("n", b"1"), Body("n", b"2")])
    parcels.add(record(1), 1, [1, 1])
    batch = internal_pb2.ReliableBatch.FromString(parcels.messages()[0])
    assert ([b.params_json for b in batch.bodies], list(batch.targets[0].bodies)) == ([b"2"], [0, 0])


@given(
    sizes=st.lists(st.integers(0, 60_000), min_size=1, max_size=40),
    picks=st.lists(st.lists(st.integers(0, 39), max_size=8), max_size=60),
)
def test_every_session_gets_what_is_its_own_in_messages_that_are_not_too_large(
    sizes: list[int], picks: list[list[int]]
) -> None:
    bodies = [Body(f"m{n}", b"x" * size) for n, size in enumerate(sizes)]
    parcels = Parcels(FENCE, bodies)
    wanted = [[i % len(bodies) for i in pick] for pick in picks]
    for n, indexes in enumerate(wanted):
        parcels.add(record(n), n + 1, indexes)
    found = []
    for data in parcels.messages():
        assert len(data) <= MOST_BYTES
        batch = internal_pb2.ReliableBatch.FromString(data)
        assert (batch.actor, batch.epoch) == ("sessions/0", 3)
        assert len({b.method for b in batch.bodies}) == len(batch.bodies), "each body once"
        assert {i for target in batch.targets for i in target.bodies} == set(range(len(batch.bodies))), (
            "and none in vain"
        )
        found += [
            (t.session_id, t.attach_epoch, t.first_seq, [batch.bodies[i].method for i in t.bodies])
            for t in batch.targets
        ]
    assert found == [
        (record(n).session_id, n, n + 1, [bodies[i].method for i in indexes]) for n, indexes in enumerate(wanted)
    ]
    assert parcels.targets == len(wanted)
