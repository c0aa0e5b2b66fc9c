"""chat.*, first form: channels are topics; a message goes to whoever has joined, and is kept before its sender is told so."""

from __future__ import annotations

import secrets
import unicodedata
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field

from cluster.errors import InvalidState
from serve_apps.gateway.client import Client
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services

PREFIX = "chat:"
MAX_TEXT = 500
# Overrides of writing direction: they make one text look like another.
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str) -> str:
    """NFC, without control characters and direction overrides. Raises ValueError when nothing is left."""
    kept = "".join(c for c in unicodedata.normalize("NFC", text) if c not in BIDI and unicodedata.category(c) != "Cc")
    if not kept.strip():
        raise ValueError("nothing to say")
    return kept


Channel = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9:._-]{0,47}$")]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(clean)]


class ChannelParams(Params):
    channel: Channel


class Message(Params):
    channel: Channel
    text: Text
    client_id: str = Field(default="", max_length=64)


async def join(services: Services, client: Client, params: ChannelParams) -> dict[str, Any]:
    return await _change(services, client, [PREFIX + params.channel], [])


async def leave(services: Services, client: Client, params: ChannelParams) -> dict[str, Any]:
    return await _change(services, client, [], [PREFIX + params.channel])


async def _change(services: Services, client: Client, add: list[str], remove: list[str]) -> dict[str, Any]:
    topics = await services.session(client, "subscribe", add, remove)
    client.topics = frozenset(topics)
    return {"channels": [t.removeprefix(PREFIX) for t in topics if t.startswith(PREFIX)]}


async def message(services: Services, client: Client, params: Message) -> dict[str, Any]:
    topic = PREFIX + params.channel
    if topic not in client.topics:
        raise InvalidState("not_in_channel", client.state.value)
    message_id = f"msg_{secrets.token_hex(8)}"
    said = {
        "message_id": message_id,
        "channel": params.channel,
        "from": client.user_id,
        "name": client.world["name"] if client.world else "",
        "text": params.text,
        "sent_at": services.wall_clock(),
    }
    # Without an id of the client's own, one that makes the repetition of a write over a broken connection harmless.
    key = f"{client.user_id}:{params.client_id}" if params.client_id else message_id
    first = await services.publish(topic, "chat.message", orjson.dumps(said), key, message_id)
    return {"message_id": first}


def add_to(router: Router) -> None:
    router.add("chat.channel.join", ChannelParams, join)
    router.add("chat.channel.leave", ChannelParams, leave)
    router.add("chat.message", Message, message)
