"""ReliableBatches for one gateway: each with the bodies that its own sessions need, and none larger than the bus takes."""

from __future__ import annotations

from collections.abc import Sequence

from actors.session.outbox import Body
from cluster.ports.sessions import Fence, SessionRecord
from realm_proto import internal_pb2

MOST_BYTES = 512 * 1024  # NATS takes 1 MiB unless configured
# What a target, an index and a body weigh beyond their contents, at most.
TARGET_BYTES, INDEX_BYTES, BODY_BYTES = 40, 5, 80  # a body may have a trace's context


class Parcels:
    """`bodies`: those of the whole batch; `add` names them by index. One target's bodies must fit into MOST_BYTES."""

    def __init__(self, fence: Fence, bodies: Sequence[Body]) -> None:
        self.targets = 0
        self._fence = fence
        self._bodies = bodies
        self._messages: list[internal_pb2.ReliableBatch] = []
        self._places: dict[int, int] = {}  # index in the batch -> index in the newest message
        self._size = MOST_BYTES

    def add(self, record: SessionRecord, first_seq: int, indexes: Sequence[int]) -> None:
        """The session's numbers from `first_seq` on are these bodies."""
        if self._size + self._weight(record, indexes) > MOST_BYTES:
            self._messages.append(internal_pb2.ReliableBatch(actor=self._fence.actor, epoch=self._fence.epoch))
            self._places, self._size = {}, 0
        self.targets += 1
        self._size += self._weight(record, indexes)
        message, places = self._messages[-1], self._places
        for index in indexes:
            if index not in places:
                places[index] = len(places)
                body = self._bodies[index]
                message.bodies.add(method=body.method, params_json=body.params_json, trace=body.trace)
        message.targets.add(
            session_id=record.session_id,
            attach_epoch=record.attach_epoch,
            first_seq=first_seq,
            bodies=[places[index] for index in indexes],
        )

    def _weight(self, record: SessionRecord, indexes: Sequence[int]) -> int:
        new = sum(self._bodies[index].size + BODY_BYTES for index in indexes if index not in self._places)
        return TARGET_BYTES + len(record.session_id) + INDEX_BYTES * len(indexes) + new

    def messages(self) -> list[bytes]:
        """What to publish, serialised, in order."""
        return [message.SerializeToString() for message in self._messages]
