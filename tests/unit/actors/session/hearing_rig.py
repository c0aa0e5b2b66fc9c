"""What sessions hear, in tests: who says something, what the actor's loops do then, and what has come."""

from __future__ import annotations

from actors.session.host import SessionHost
from cluster.ports.social import Limits
from realm_proto import internal_pb2
from tests.unit.actors.session.stage import SUBJECTS, Stage

LIMITS = Limits(9, 9, 9, 9)
ANN, EVE = "usr_a", "usr_eve"


async def say(stage: Stage, topic: str, text: str, sender: str = "", refresh: str = "", method: str = "said") -> None:
    """Into the log and over the bus."""
    published = await stage.topics.inner.publish(topic, method, text.encode(), 100, sender=sender, refresh=refresh)
    message = published.message
    said = internal_pb2.TopicMessage(
        topic=topic,
        id=message.id,
        previous=message.previous,
        method=method,
        params_json=text.encode(),
        sender=sender,
        refresh=refresh,
    )
    stage.bus.publish(SUBJECTS.topic(topic), said.SerializeToString())
    stage.bus.deliver()


async def settle(stage: Stage) -> None:
    """What the actor's loops do."""
    for _ in range(5):
        if stage.hearing._gate.work.is_set():
            await stage.hearing.refresh()
        await stage.hearing.retry()
        if stage.following.behind:
            await stage.following.catch_up()
        while stage.lane._pending or stage.lane._batch is not None:
            await stage.lane.flush()


async def told(stage: Stage, host: SessionHost, session_id: str) -> list[str]:
    await settle(stage)
    entries = host.sessions[session_id].outbox.after(0)
    assert entries is not None
    return [entry.body.params_json.decode() for entry in entries]


def heard(stage: Stage, session_id: str) -> set[str]:
    """The topics that it is a member of."""
    return {topic for topic, members in stage.following._members.items() if session_id in members}
