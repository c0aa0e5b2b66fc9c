"""A session actor's ears, for tests that put an actor together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.session.following import Following, Listen
from actors.session.gate import RefreshGate
from actors.session.hearing import Hearing
from actors.session.lane import ReliableLane
from actors.session.session import Session
from actors.session.ties import Ties
from cluster.adapters.memory.parties import MemoryPartyStore
from cluster.adapters.memory.social import MemorySocialStore
from cluster.ports.outbox import OutboxLog
from cluster.ports.parties import PartyStore
from cluster.ports.sessions import Fence
from cluster.ports.social import SocialStore
from cluster.ports.topics import TopicLog


def listening(
    fence: Fence,
    topics: TopicLog,
    outbox_log: OutboxLog,
    lane: ReliableLane,
    listen: Listen,
    sessions: Mapping[str, Session],
    wall_clock: Callable[[], float],
    social: SocialStore | None = None,
    parties: PartyStore | None = None,
) -> tuple[Following, Hearing]:
    """As `sessions_actor.py` does it; without stores everybody is a stranger to everybody."""
    ties = Ties()
    gate = RefreshGate(ties)
    following = Following(fence, topics, outbox_log, lane, listen, gate)
    social, parties = social or MemorySocialStore(), parties or MemoryPartyStore()
    return following, Hearing(sessions, following, ties, gate, social, parties, wall_clock)
