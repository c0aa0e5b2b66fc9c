"""The port to what chat keeps beside its messages (rows 2.3 and 3.3): channels, who may speak, what waits for the absent.

Messages themselves are in their channel's topic log (`cluster/ports/topics.py`). Every method may raise Unavailable. Times are Unix
seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Channel:
    """A named channel with an owner. Those without a record are open to everybody and belong to nobody. `slow_s`: 0 is off."""

    name: str
    owner: str
    private: bool
    slow_s: float
    created_at: float


@dataclass(frozen=True, slots=True)
class Gate:
    """What a message must pass: `rate_per_s` and `burst` of one user in one channel, `slow_s` between two of one user (0: off)."""

    rate_per_s: float
    burst: int
    slow_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Presence:
    """Who listens to a channel, by a session."""

    session_id: str
    user_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A direct message that its receiver has not read. `params_json` as in chat.message."""

    message_id: str
    params_json: bytes


class ChatStore(Protocol):
    async def channel(self, name: str) -> Channel | None: ...

    async def create(self, channel: Channel, most_of_owner: int) -> None:
        """Raises Conflict("channel_taken"), Conflict("too_many_channels"). The same call again changes nothing."""

    async def change(self, name: str, private: bool | None, slow_s: float | None) -> Channel:
        """Raises NotFound("no_such_channel")."""

    async def invite(self, name: str, user_id: str, most: int) -> None:
        """Raises Conflict("too_many_invited")."""

    async def uninvite(self, name: str, user_id: str) -> None: ...

    async def invited(self, name: str, user_id: str) -> bool: ...

    # --- who may speak -----------------------------------------------------------------------------------------

    async def pass_gate(self, channel: str, user_id: str, gate: Gate, key: str) -> str | None:
        """None: the message may be published. Else the result of the first publication with the topic log's `key`.

        Raises InvalidState("muted"), RateLimited("slow_mode" or "chat", with the seconds to wait). Refused ones use nothing up.
        """

    async def mute(self, channel: str, user_id: str, until: float) -> None:
        """`until` 0 ends it."""

    async def delete(self, channel: str, message_id: str, keep_s: float) -> bool:
        """The message is left out of histories from now on. Whether that is new."""

    async def deleted(self, channel: str, message_ids: Sequence[str]) -> set[str]: ...

    # --- who listens -------------------------------------------------------------------------------------------

    async def joined(self, channel: str, who: Presence) -> None: ...

    async def left(self, channels: Sequence[str], session_id: str) -> None: ...

    async def members(self, channel: str, cursor: int, limit: int) -> tuple[list[Presence], int]:
        """About `limit` of them, and where to go on: 0 is the beginning, and the end. Sessions whose record is gone are left out,
        and forgotten. Somebody may come twice if members come and go meanwhile."""

    # --- direct messages ---------------------------------------------------------------------------------------

    async def keep(self, user_id: str, waiting: Waiting, most: int, keep_s: float) -> None:
        """Until it is read; the oldest go first. The same message again changes nothing."""

    async def unread(self, user_id: str, limit: int) -> list[Waiting]:
        """Oldest first."""

    async def read(self, user_id: str, message_ids: Sequence[str]) -> int:
        """How many of them were unread."""
