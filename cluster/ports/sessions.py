"""The port to session records (row 3.1): what must outlive the session's actor and its gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session as the store knows it. Times are Unix seconds. `attach_epoch` grows with every socket it had.

    `stream` names the numbering of its reliable notifications; `seq` is the newest number, kept by the outbox's log and not by
    `write`. `recovered_from` is the attach whose recovery token opened the present one, and may be presented once more; 0: none.
    `status` is what the user chose; `idle`: the client has done nothing for a while.
    `address`: the client's, of its newest socket. `edition`: how often its actors have written it.
    """

    session_id: str
    user_id: str
    actor: str
    state: str
    gateway_id: str = ""
    attach_epoch: int = 0
    character_id: str = ""
    character_name: str = ""
    zone_id: str = ""
    status: str = "online"
    connected_at: float = 0.0
    last_activity: float = 0.0
    attributes: dict[str, Any] = field(default_factory=dict)
    subscriptions: tuple[str, ...] = ()
    watching: tuple[str, ...] = ()
    stream: str = ""
    seq: int = 0
    recovered_from: int = 0
    role: str = "player"
    idle: bool = False
    status_text: str = ""
    status_metadata: dict[str, str] = field(default_factory=dict)
    address: str = ""
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Fence:
    """Who writes: the actor's name and the epoch it took as it started."""

    actor: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a session lives. `created`: it is new; `actor` is empty when every session actor is full."""

    session_id: str
    actor: str
    created: bool


class SessionStore(Protocol):
    async def place(
        self,
        session_id: str,
        new_session_id: str,
        user_id: str,
        per_user: int,
        per_actor: int,
        ttl_s: float,
        now: float,
    ) -> Placed:
        """Find `session_id` (if not empty), or place a new session on the least loaded actor, in one step.

        The same call again, with the same `new_session_id`, gives the same answer.
        Raises Unauthorized("session_not_yours" or "banned"), RateLimited("too_many_sessions"), Unavailable.
        """

    async def room(self, per_actor: int) -> int:
        """How many more sessions the actors have room for."""

    async def actors(self) -> dict[str, int]:
        """Every session actor that takes sessions, by name, and how many it has."""

    async def register_actor(self, fence: Fence) -> None:
        """The actor may be given sessions from now on. Raises Fenced."""

    async def write(self, record: SessionRecord, fence: Fence, from_states: Sequence[str], ttl_s: float) -> None:
        """Replace the record and its index entries in one step.

        Raises Fenced if a newer incarnation of the actor exists, SessionGone if the record expired, InvalidState if the stored
        state is not one of `from_states`.
        """

    async def end(self, session_id: str, fence: Fence) -> None:
        """Delete the record and its index entries; nothing if it is gone. Raises Fenced."""

    async def touch(self, session_ids: Sequence[str], fence: Fence, ttl_s: float, now: float) -> set[str]:
        """Keep the records for another `ttl_s`, and correct the actor's load. Returns those that are gone. Raises Fenced."""

    async def get(self, session_id: str) -> SessionRecord | None: ...

    async def of_actor(self, actor: str) -> list[SessionRecord]:
        """All sessions placed on an actor."""

    async def of_user(self, user_id: str) -> list[SessionRecord]: ...

    async def of_gateway(self, gateway_id: str) -> list[SessionRecord]: ...

    async def online(self, limit: int) -> list[SessionRecord]:
        """Sessions with a socket or within their grace period, newest activity first. Expired ones leave the index."""

    async def zones_of(self, session_ids: Sequence[str]) -> dict[str, str]:
        """The zone that each record names, "" for none; without those that have no record."""

    async def missing(self, session_ids: Sequence[str]) -> set[str]:
        """Those that have no record."""
