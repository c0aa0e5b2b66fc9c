"""What is said, typed: messages, channels and who is in them. Times are Unix seconds; ids are opaque strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rayrealm_client.models import flag, shape, text
from rayrealm_client.people import Listener, many


@dataclass(frozen=True, slots=True)
class Mention:
    user_id: str
    name: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("mention"):
            return cls(text(body["user_id"]), text(body["name"]))


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`sender`: the member `from`, a user id. `cursor`: its place in the channel's history, if it has one."""

    message_id: str
    channel: str
    sender: str
    name: str
    text: str
    sent_at: float
    mentions: tuple[Mention, ...] = ()
    cursor: str | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("chat.message"):
            return cls(
                str(body["message_id"]),
                str(body["channel"]),
                str(body["from"]),
                str(body["name"]),
                str(body["text"]),
                float(body["sent_at"]),
                many(Mention.of, body.get("mentions") or []),
                body.get("cursor"),
            )

    def mentions_user(self, user_id: str) -> bool:
        return any(mention.user_id == user_id for mention in self.mentions)


@dataclass(frozen=True, slots=True)
class History:
    """Messages of a channel, oldest first. `cursor`: for those before them; None when there are none."""

    messages: tuple[ChatMessage, ...]
    cursor: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("chat.history"):
            return cls(many(ChatMessage.of, body["messages"]), body.get("cursor"))


@dataclass(frozen=True, slots=True)
class Inbox:
    """Direct messages that no device has read, oldest first. `more`: there are others after these, from `cursor` on."""

    messages: tuple[ChatMessage, ...]
    more: bool
    cursor: str | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("chat.inbox"):
            return cls(many(ChatMessage.of, body["messages"]), bool(body.get("more")), body.get("cursor"))


@dataclass(frozen=True, slots=True)
class Deleted:
    channel: str
    message_id: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("chat.deleted"):
            return cls(text(body["channel"]), text(body["message_id"]))


@dataclass(frozen=True, slots=True)
class ChannelInvitation:
    """`sender`: the member `from`, a user id; `name`: the sender's."""

    channel: str
    sender: str
    name: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("chat.invited"):
            return cls(text(body["channel"]), text(body["from"]), text(body.get("name") or ""))


@dataclass(frozen=True, slots=True)
class Channel:
    """A named channel that belongs to somebody. `slow_s`: seconds between two messages of one member; 0 is off."""

    name: str
    owner: str
    private: bool
    slow_s: float
    created_at: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("channel"):
            return cls(
                text(body["channel"]),
                text(body["owner"]),
                flag(body["private"]),
                float(body["slow_s"]),
                float(body["created_at"]),
            )


@dataclass(frozen=True, slots=True)
class Members:
    """`cursor`: for the rest; None when these were the last."""

    members: tuple[Listener, ...]
    cursor: Any

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("chat.channel.members"):
            return cls(many(Listener.of, body["members"]), body.get("cursor") or None)
