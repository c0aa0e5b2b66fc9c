"""What was said before, what waits for who was away, and what moderators take back (rows 2.3 and 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from pydantic import FailFast, Field

from actors.chat.channels import HIDDEN, MODERATORS, Kind, from_cursor, in_charge, kind_of, to_cursor
from cluster.errors import InvalidInput, InvalidState
from cluster.ports.topics import TopicMessage
from serve_apps.gateway.addressing import Address, ChannelName, address_of, check_private, pace, reach
from serve_apps.gateway.client import Client
from serve_apps.gateway.people import UserId
from serve_apps.gateway.router import Int, Params, Router
from serve_apps.gateway.routes.chat import METHOD
from serve_apps.gateway.services import Services

READS = 5  # of the log for one answer: what is not to be shown makes a page shorter
INBOX_PAGE = 100
MAX_MUTE_S = 30 * 86_400.0

MessageId = Annotated[str, Field(pattern=r"^msg_[0-9a-f]{16}$")]


class History(Params):
    channel: ChannelName
    cursor: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    limit: Int = Field(default=50, ge=1, le=100)


class Inbox(Params):
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = None


class Read(Params):
    message_ids: Annotated[list[MessageId], FailFast()] = Field(min_length=1, max_length=200)


class Delete(Params):
    channel: ChannelName
    message_id: MessageId


class Mute(Params):
    channel: ChannelName
    user_id: UserId
    seconds: float = Field(ge=0.0, le=MAX_MUTE_S, allow_inf_nan=False)


async def history(services: Services, client: Client, params: History) -> dict[str, Any]:
    """Oldest first: what came before `cursor`, or the newest. An answer's own cursor leads further back; null: that was all.

    Without what was deleted, what those said whom the client blocks, and what is too old.
    """
    if not kind_of(params.channel).has_history:
        raise InvalidInput([("channel", "has no history")])
    address = await reach(services, client, params.channel)
    await check_private(services, client, params.channel)
    place = from_cursor(address.topic, params.cursor) if params.cursor is not None else ""
    blocked = (await services.social.ties([client.user_id]))[client.user_id].blocked
    oldest_at = services.wall_clock() - services.settings.chat.history_s
    shown: list[dict[str, Any]] = []
    ended = False
    for _ in range(READS):
        page = await services.topics.before(address.topic, place, params.limit)
        said = await _shown(services, client, address, page, blocked)
        young = [each for each in said if each["sent_at"] >= oldest_at]
        shown[:0] = young
        ended = len(page) < params.limit or len(young) < len(said)
        place = page[0].id if page else place
        if ended or len(shown) >= params.limit:
            break
    if len(shown) > params.limit:
        shown = shown[-params.limit :]
        return {"messages": shown, "cursor": shown[0]["cursor"]}
    return {"messages": shown, "cursor": None if ended else to_cursor(address.topic, place)}


async def _shown(
    services: Services, client: Client, address: Address, page: Sequence[TopicMessage], blocked: frozenset[str]
) -> list[dict[str, Any]]:
    mine = [
        (each.id, orjson.loads(each.params_json))
        for each in page
        if (each.method == METHOD and each.sender not in blocked)
        or (each.method == HIDDEN and each.sender == client.user_id)
    ]
    gone = await services.chat.deleted(address.topic, [said["message_id"] for _, said in mine])
    return [
        # The name that the asker has for it: that of a direct channel differs from side to side.
        {**said, "channel": address.channel, "cursor": to_cursor(address.topic, place)}
        for place, said in mine
        if said["message_id"] not in gone
    ]


# --- direct messages that wait ---------------------------------------------------------------------------------


async def inbox(services: Services, client: Client, params: Inbox) -> dict[str, Any]:
    """Direct messages that no device has read, oldest first. `more`: there are others after these, from `cursor` on."""
    after = int(params.cursor) if params.cursor is not None else 0
    waiting, cursor = await services.chat.unread(client.user_id, INBOX_PAGE, after)
    blocked = (await services.social.ties([client.user_id]))[client.user_id].blocked
    said = [(each.message_id, orjson.loads(each.params_json)) for each in waiting]
    unwanted = [message_id for message_id, each in said if each["from"] in blocked]
    if unwanted:
        await services.chat.read(client.user_id, unwanted)
    messages = [each for _, each in said if each["from"] not in blocked]
    return {"messages": messages, "more": cursor > 0, "cursor": str(cursor) if cursor else None}


async def read(services: Services, client: Client, params: Read) -> dict[str, Any]:
    return {"read": await services.chat.read(client.user_id, params.message_ids)}


# --- moderation ------------------------------------------------------------------------------------------------


async def delete(services: Services, client: Client, params: Delete) -> dict[str, Any]:
    """Left out of the history from now on; who has the message is told (`chat.deleted`)."""
    if not kind_of(params.channel).has_history:
        raise InvalidInput([("channel", "has no history")])
    await _in_charge(services, client, params.channel)
    await pace(services, client, "moderation")
    address, chat = await address_of(services, client, params.channel), services.settings.chat
    await services.chat.delete(address.topic, params.message_id, chat.history, chat.history_s)
    await services.publish(
        address.topic,
        "chat.deleted",
        orjson.dumps({"channel": params.channel, "message_id": params.message_id}),
        f"chat.deleted/{address.topic}/{params.message_id}",
        limit=chat.history,
        keep_s=chat.history_s,
    )
    return {"message_id": params.message_id}


async def mute(services: Services, client: Client, params: Mute) -> dict[str, Any]:
    """For so many seconds from now; 0 ends it. In `zone`, `say`, `shout` and `party` that is everywhere."""
    await _in_charge(services, client, params.channel)
    await pace(services, client, "moderation")
    until = services.wall_clock() + params.seconds if params.seconds else 0.0
    await services.chat.mute(params.channel, params.user_id, until)
    return {"until": until}


async def _in_charge(services: Services, client: Client, channel: str) -> None:
    """Moderators of all channels but direct ones, and the owner of a named one. Raises InvalidState("not_allowed")."""
    kind = kind_of(channel)
    allowed = client.role in MODERATORS and kind is not Kind.DIRECT
    if not allowed and kind is Kind.NAMED:
        allowed = in_charge(await services.chat.channel(channel), client.user_id, client.role)
    if not allowed:
        raise InvalidState("not_allowed", client.state.value)


def add_to(router: Router) -> None:
    router.add("chat.history", History, history)
    router.add("chat.inbox", Inbox, inbox)
    router.add("chat.read", Read, read, max_bytes=8 * 1024)
    router.add("chat.delete", Delete, delete)
    router.add("chat.mute", Mute, mute)
