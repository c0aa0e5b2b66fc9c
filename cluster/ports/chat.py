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
    """What is set for a channel. Those without a record are open to everybody and belong to nobody, as those whose `owner` is
    empty do: moderators alone change these. `slow_s`: 0 is off.
    """

    name: str
    owner: str
    private: bool
    slow_s: float
    created_at: float


@dataclass(frozen=True, slots=True)
class Gate:
    """What a message must pass: `rate_per_s` and `burst` of one user in one channel. A `moderator` is not slowed by a channel's
    slow mode, needs no invitation, and cannot be muted. `keep_s`: how long a channel's record outlives the last message. `topic`:
    whose log the message begins if nobody spoke there yet; a user may begin `new_per_minute`, which bounds what one who speaks to
    everybody and nobody makes us keep. Empty: none.
    """

    rate_per_s: float
    burst: int
    keep_s: float
    moderator: bool = False
    topic: str = ""
    new_per_minute: int = 20


@dataclass(frozen=True, slots=True)
class Passed:
    """The message's id. `done`: a message with the key was published already, and this is the id of that one."""

    message_id: str
    done: bool


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

    async def create(self, channel: Channel, most_of_owner: int, keep_s: float) -> None:
        """Until `keep_s` after the last message. Raises Conflict("channel_taken"), Conflict("too_many_channels"). The same call
        again changes nothing. What belongs to nobody does not count as anybody's.

        With an owner, also "channel_taken" while any session listens, invisible or not: what the owner says is not for those who
        were there before. Whoever joins calls `joined`, then looks whether it may, and only then listens.
        """

    async def change(self, name: str, private: bool | None, slow_s: float | None, most_invited: int) -> Channel:
        """None leaves a member as it is. `private=True` of one that was open invites everybody who listens then, also those who are
        invisible: they go on hearing it, so it must not look as if they did not. Raises NotFound("no_such_channel"), and
        Conflict("too_many_invited"), with nothing changed, if `most_invited` are fewer than that.
        """

    async def invite(self, name: str, user_id: str, most: int) -> None:
        """As long as the channel's record is kept. Raises NotFound("no_such_channel"), Conflict("too_many_invited")."""

    async def invited(self, name: str, user_id: str) -> bool: ...

    # --- who may speak -----------------------------------------------------------------------------------------

    async def pass_gate(self, channel: str, user_id: str, gate: Gate, key: str, message_id: str) -> Passed:
        """May the user say this in the channel? `key` is the topic log's for the message.

        With a key that passed in the last ten minutes, the id that it passed with: nothing is used up again, so that whoever does
        not know how far the first try came may take every step of it once more.

        Raises InvalidState("muted") and ("not_invited") with the reason as the state, RateLimited("slow_mode"), ("chat") and
        ("new_channels") with the seconds to wait. Who is refused has used nothing up.
        """

    async def mute(self, channel: str, user_id: str, until: float) -> None:
        """Nothing that the user says passes the channel's gate until then; a time that is past ends it."""

    async def delete(self, topic: str, message_id: str, most: int, keep_s: float) -> bool:
        """The message is left out of the topic's history from now on. Whether that is new. The newest `most` are remembered."""

    async def deleted(self, topic: str, message_ids: Sequence[str]) -> set[str]:
        """Those among them that are."""

    # --- who listens -------------------------------------------------------------------------------------------

    async def joined(self, channel: str, who: Presence) -> None: ...

    async def left(self, channel: str, session_id: str) -> None: ...

    async def members(self, channel: str, cursor: int, limit: int) -> tuple[list[Presence], int]:
        """About `limit` of them, and where to go on: 0 is the beginning, and the end. Sessions that are invisible are left out;
        those whose record is gone too, and are forgotten. Somebody may come twice if members come and go meanwhile.
        """

    # --- direct messages ---------------------------------------------------------------------------------------

    async def keep(self, user_id: str, waiting: Waiting, most: int, keep_s: float) -> None:
        """Until it is read; the oldest go first. A message that is there already stays as it is."""

    async def unread(self, user_id: str, limit: int, after: int = 0) -> tuple[list[Waiting], int]:
        """Oldest first, from the place `after` on; and the place to go on from, 0 if these were the last. A place stays
        one when messages are read.
        """

    async def read(self, user_id: str, message_ids: Sequence[str]) -> int:
        """How many of them were unread."""
