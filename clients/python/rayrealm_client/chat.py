"""`client.chat`: channels, what is said in them, and direct messages (rows 2.3 and 3.3)."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable

from rayrealm_client.anys import Json
from rayrealm_client.asking import Asking, object_of, strings_of, whom
from rayrealm_client.buffers import NoticeBuffer
from rayrealm_client.feed import Feed, Remove
from rayrealm_client.messages import Channel, ChannelInvitation, ChatMessage, Deleted, History, Inbox, Members
from rayrealm_client.wishes import Ask, Wishes

REMEMBERED = 1_024
"""Ids of messages that were told; of the inbox fewer are fetched."""
MOST_PAGES = 10
"""Of the inbox, 100 messages each, that are fetched at the beginning; the rest waits until these are read."""


def direct(user_id: str) -> str:
    """The channel of the direct messages with somebody."""
    return f"direct:{user_id}"


class Chat:
    """Channels: `zone` (the one that the character is in), `global`, `party`, `say` and `shout` (those within hearing),
    `direct(user_id)`, and others by name. `say`, `shout`, `party` and direct ones need no `join`.

    Each message is told once: one that waited for the user and comes live, too, is known by its id.
    """

    def __init__(self, asking: Asking, wishes: Wishes) -> None:
        self._asking = asking
        self._wishes = wishes
        self._messages = Feed("chat.message", ChatMessage.of)
        self._deletions = Feed("chat.deleted", Deleted.of)
        self._invitations = Feed("chat.invited", ChannelInvitation.of)
        self._told: deque[str] = deque(maxlen=REMEMBERED)

    async def say(self, channel: str, text: str, client_id: str | None = None) -> str:
        """The message's id, once it is kept. If the connection is lost before the answer, the call is repeated on the next one.

        `client_id` (1-64 characters) names the message, so that a repeated one is not sent twice; without one it gets one.
        Raises as `request` does, RateLimited for slow mode and too many, InvalidState for `muted` and `not_in_channel`; after a
        DeadlineExceeded it may be tried again with the same `client_id`.
        """
        params: dict[str, Json] = {"channel": channel, "text": text, "client_id": client_id or secrets.token_hex(12)}
        return str(object_of(await self._asking.repeat("chat.message", params)).get("message_id", ""))

    async def tell(self, user_id: str, text: str, client_id: str | None = None) -> str:
        """A direct message; it waits for who is offline. Returns and raises as `say`."""
        return await self.say(direct(user_id), text, client_id)

    async def join(self, channel: str) -> list[str]:
        """All channels of the session then."""
        return await self._channels_after("chat.channel.join", channel)

    async def leave(self, channel: str) -> list[str]:
        return await self._channels_after("chat.channel.leave", channel)

    async def members(self, channel: str, cursor: Json = None) -> Members:
        return Members.of(await self._ask("chat.channel.members", channel, cursor=cursor))

    async def create(self, channel: str, *, private: bool | None = None, slow_s: float | None = None) -> Channel:
        """A channel of one's own. Raises Conflict (`channel_taken`)."""
        return Channel.of(await self._ask("chat.channel.create", channel, private=private, slow_s=slow_s))

    async def change(self, channel: str, *, private: bool | None = None, slow_s: float | None = None) -> Channel:
        """For its owner, and moderators, who may set the slow mode of `global` and `zone`, too. What is left out stays.

        A channel that becomes private invites everybody who is in it; Conflict (`too_many_invited`) if they are too many.
        """
        return Channel.of(await self._ask("chat.channel.change", channel, private=private, slow_s=slow_s))

    async def invite(self, channel: str, user_id: str | None = None, *, name: str | None = None) -> None:
        """Into a private channel of one's own."""
        await self._ask("chat.channel.invite", channel, **whom(user_id, name))

    async def history(self, channel: str, cursor: str | None = None, limit: int | None = None) -> History:
        """What was said before `cursor`, or most recently. `say` and `shout` have none."""
        return History.of(await self._ask("chat.history", channel, cursor=cursor, limit=limit))

    async def delete(self, channel: str, message_id: str) -> None:
        """For moderators, and the owner of the channel."""
        await self._ask("chat.delete", channel, message_id=message_id)

    async def mute(self, channel: str, user_id: str, seconds: float) -> None:
        """For moderators, and the owner of the channel. 0 seconds end it."""
        await self._ask("chat.mute", channel, user_id=user_id, seconds=seconds)

    async def inbox(self, cursor: str | None = None) -> Inbox:
        """Direct messages that wait until they are `read`, a page of them: the oldest, or those from the cursor of a page on."""
        return Inbox.of(
            object_of(await self._asking.request("chat.inbox", None if cursor is None else {"cursor": cursor}))
        )

    async def read(self, message_ids: Iterable[str]) -> None:
        """These have been read, on whatever device, and wait no longer."""
        await self._asking.repeat("chat.read", {"message_ids": list(message_ids)})

    def on_message(self, callback: Callable[[ChatMessage], object]) -> Remove:
        """Each message of the channels, and direct ones: what was said, also by the user; and at the beginning what waited."""
        return self._messages.on(callback)

    def on_deleted(self, callback: Callable[[Deleted], object]) -> Remove:
        return self._deletions.on(callback)

    def on_invitation(self, callback: Callable[[ChannelInvitation], object]) -> Remove:
        """Into a private channel, which may be joined from now on."""
        return self._invitations.on(callback)

    def messages(self, limit: int = 256) -> NoticeBuffer[ChatMessage]:
        """Messages as an iterator."""
        return self._messages.stream(limit)

    async def fetch_inbox(self, ask: Ask) -> None:
        """On a link that misses something: tell what waits, if anybody listens."""
        if not self._messages.wanted:
            return
        params: dict[str, Json] = {}
        for _ in range(MOST_PAGES):
            page = object_of(await ask("chat.inbox", params))
            for item in page.get("messages") or []:
                self.take(item)
            if not page.get("more") or page.get("cursor") is None:
                break
            params = {"cursor": page["cursor"]}

    def take(self, params: object) -> None:
        """A message as it was told, by whatever way."""
        if not self._messages.wanted:
            return
        message = self._messages.read(params)
        if message is not None and message.message_id not in self._told:
            self._told.append(message.message_id)
            self._messages.tell(message)

    def take_deletion(self, params: object) -> None:
        self._deletions.take(params)

    def take_invitation(self, params: object) -> None:
        self._invitations.take(params)

    def close(self) -> None:
        for feed in (self._messages, self._deletions, self._invitations):
            feed.close()

    async def _ask(self, method: str, channel: str, **given: Json) -> dict[str, Json]:
        params = {"channel": channel} | {name: value for name, value in given.items() if value is not None}
        return object_of(await self._asking.request(method, params))

    async def _channels_after(self, method: str, channel: str) -> list[str]:
        now = strings_of(await self._asking.request(method, {"channel": channel}), "channels")
        self._wishes.channels = set(now)
        return now
