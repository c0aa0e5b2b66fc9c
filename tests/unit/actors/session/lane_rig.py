"""A reliable lane over a log in memory, and a clock that stands still until a test moves it."""

from __future__ import annotations

import random
from typing import Any

from actors.session.lane import ReliableLane
from actors.session.outbox import Body, Outbox
from actors.session.session import Session
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.outbox import MemoryOutboxLog
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.ports.sessions import Fence, SessionRecord
from cluster.settings import SessionSettings
from realm_proto import internal_pb2
from tests.unit.actors.session.stage import Flaky

ACTOR = "sessions/0"
WALL = 1_800_000_000.0

Sent = list[tuple[str, str, int, int, list[str]]]  # gateway, session, attach epoch, first number, bodies


class Rig:
    """A lane over a log in memory, and sessions at gateways."""

    def __init__(self, **settings: Any) -> None:
        self.settings = SessionSettings(**settings)
        self.now = 1_000.0
        self.epochs = MemoryEpochStore()
        self.log = MemoryOutboxLog(self.epochs, MemorySessionStore(self.epochs))
        self.flaky = Flaky(self.log)
        self.sessions: dict[str, Session] = {}
        self.published: list[tuple[str, internal_pb2.ReliableBatch]] = []
        self.outrun: list[str] = []

    async def lane(self) -> ReliableLane:
        """A new incarnation, which has restored what the log has."""
        lane = ReliableLane(
            Fence(ACTOR, await self.epochs.take("sessions", ACTOR)),
            self.settings,
            self.flaky,  # type: ignore[arg-type]
            self.sessions,
            lambda gateway_id, data: self.published.append((gateway_id, internal_pb2.ReliableBatch.FromString(data))),
            lambda session: self.outrun.append(session.record.session_id),
            lambda: self.now,
            lambda: WALL + self.now,
            random.Random(7),
        )
        await lane.restore()
        return lane

    def session(self, name: str = "ses_1", gateway: str = "gtw_a", epoch: int = 1) -> Session:
        record = SessionRecord(name, "usr_1", ACTOR, "authenticated", gateway, epoch, stream="a1")
        session = self.sessions[name] = Session(record)
        return session

    def restarted(self, **seqs: int) -> None:
        """The table as a new incarnation reads it: only numbers survive."""
        for name, session in list(self.sessions.items()):
            self.sessions[name] = Session(session.record, Outbox(seqs.get(name, 0)))

    def sent(self) -> Sent:
        """What was published so far, target by target; forgets it."""
        found = [
            (
                gateway,
                target.session_id,
                target.attach_epoch,
                target.first_seq,
                [batch.bodies[i].params_json.decode() for i in target.bodies],
            )
            for gateway, batch in self.published
            for target in batch.targets
        ]
        self.published.clear()
        return found

    async def batches(self) -> list[list[str]]:
        """The bodies of each batch in the log."""
        return [
            [b.params_json.decode() for b in internal_pb2.ReliableBatch.FromString(logged.data).bodies]
            for logged in await self.log.load(ACTOR, 0.0)
        ]


def body(text: str) -> Body:
    return Body("n", text.encode())
