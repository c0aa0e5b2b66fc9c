"""chat.message: what somebody says is cleaned, must pass the channel's gate, and is kept before its sender is told so (row 2.3).

Every step may be taken twice: a repeated client_id passes the gate once more with the id that the message got the first time.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import orjson
from pydantic import Field

from actors.chat.channels import DIRECT, HIDDEN, MODERATORS, SAY, Kind
from actors.chat.mentions import mentioned
from actors.chat.text import MAX_RAW, clean
from cluster.errors import InvalidState
from cluster.ports.chat import Gate, Passed, Waiting
from cluster.ports.social import Ties
from cluster.publishing import KEEP_S, user_topic
from serve_apps.gateway.addressing import Address, ChannelName, reach
from serve_apps.gateway.client import Client
from serve_apps.gateway.people import own_name
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services
from serve_apps.gateway.strangers import count_stranger, knows

METHOD = "chat.message"
MAX_MESSAGE = 20 * 1024  # bytes of params: 4,000 characters, which a setting may allow, of four bytes each
RECORD_S = 30 * 86_400.0  # a channel's record outlives its history by so much


class Message(Params):
    channel: ChannelName
    text: str = Field(min_length=1, max_length=MAX_RAW)
    client_id: str = Field(default="", max_length=64)


async def message(services: Services, client: Client, params: Message) -> dict[str, Any]:
    cleaned = clean(params.text, services.settings.chat.max_text)
    address = await reach(services, client, params.channel)
    hidden = False
    if address.kind is Kind.DIRECT:
        ties = await _ties(services, client)
        client.tally.spoke(cleaned, params.channel, await knows(services, client, address.other, ties))
        hidden = await _unheard(services, client, address.other, ties)
    else:
        client.tally.spoke(cleaned, params.channel)
    text = services.words.apply(cleaned, params.channel)
    new_id = f"msg_{secrets.token_hex(8)}"
    # Without an id of the client's own, one that makes the repetition of a write over a broken connection harmless.
    key = f"{client.user_id}:{params.client_id}" if params.client_id else new_id
    passed = await pass_gate(services, client, address, key, new_id)
    if not passed.done:
        name, mentions = await asyncio.gather(own_name(services, client), _mentions(services, text))
        said = {
            "message_id": passed.message_id,
            "channel": params.channel,
            "from": client.user_id,
            "name": name,
            "text": text,
            "sent_at": services.wall_clock(),
            "mentions": mentions,
        }
        await _say(services, client, address, said, key, hidden)
    return {"message_id": passed.message_id}


async def unheard(services: Services, client: Client, other: str) -> bool:
    """Whether the other blocks the client, which is not to know it. Raises InvalidState("blocked") the other way round, and
    RateLimited("strangers").
    """
    return await _unheard(services, client, other, await _ties(services, client))


async def _ties(services: Services, client: Client) -> Ties:
    return (await services.social.ties([client.user_id]))[client.user_id]


async def _unheard(services: Services, client: Client, other: str, ties: Ties) -> bool:
    if other in ties.blocked:
        raise InvalidState("blocked", client.state.value)
    await count_stranger(services, client, other, ties)
    return other in ties.blocked_by


async def pass_gate(services: Services, client: Client, address: Address, key: str, message_id: str) -> Passed:
    chat = services.settings.chat
    gate = Gate(
        chat.per_s,
        chat.burst,
        chat.history_s + RECORD_S,
        client.role in MODERATORS,
        address.topic,
        services.settings.social.requests_per_minute,
    )
    try:
        return await services.chat.pass_gate(address.limited_as, client.user_id, gate, key, message_id)
    except InvalidState as error:
        raise InvalidState(error.reason, client.state.value) from None


async def _mentions(services: Services, text: str) -> list[dict[str, str]]:
    """Characters that are named; of names that one @ may mean, the longest that there is."""
    meant = mentioned(text)
    names = list(dict.fromkeys(name for names in meant for name in names))
    characters = await asyncio.gather(*(services.characters.by_name(name) for name in names))
    known = {name: found for name, found in zip(names, characters, strict=True) if found is not None}
    chosen = (next((known[name] for name in each if name in known), None) for each in meant)
    return list({c.character_id: {"user_id": c.user_id, "name": c.name} for c in chosen if c is not None}.values())


async def _say(
    services: Services, client: Client, address: Address, said: dict[str, Any], key: str, hidden: bool
) -> None:
    chat, me, message_id = services.settings.chat, client.user_id, said["message_id"]
    if address.kind is Kind.DIRECT:
        await _say_direct(services, me, address, said, key, hidden)
    elif address.kind is Kind.RANGE:
        reach_m = chat.say_range if address.channel == SAY else chat.shout_range
        asked = {"range": reach_m, "most": chat.max_hearers}
        heard = await services.zone(client, "zone.hearers", asked, idempotent=True)
        everyone = list(dict.fromkeys((me, *heard["user_ids"])))
        await services.tell_all(everyone, METHOD, said, key, result=message_id, sender=me)
    else:
        await services.publish(
            address.topic,
            METHOD,
            orjson.dumps(said),
            key,
            message_id,
            sender=me,
            limit=chat.history,
            keep_s=chat.history_s,
        )


async def _say_direct(
    services: Services, me: str, address: Address, said: dict[str, Any], key: str, hidden: bool
) -> None:
    chat, message_id = services.settings.chat, said["message_id"]
    mine = orjson.dumps(said)
    if hidden:
        # In the sender's history and on its devices alone.
        await services.publish(
            address.topic,
            HIDDEN,
            mine,
            f"{HIDDEN}/{key}",
            sender=me,
            limit=chat.history,
            keep_s=chat.history_s,
        )
        await services.publish(user_topic(me), METHOD, mine, key, message_id, sender=me)
        return
    theirs = orjson.dumps({**said, "channel": DIRECT + me})
    await services.chat.keep(address.other, Waiting(message_id, theirs), chat.inbox, chat.inbox_s)
    # In one step, so that both see what they say to each other in the same order. Users' topics are no history.
    await services.publish_many(
        [address.topic, user_topic(address.other), user_topic(me)],
        METHOD,
        [mine, theirs, mine],
        key,
        message_id,
        sender=me,
        limit=[chat.history, None, None],
        keep_s=[chat.history_s, KEEP_S, KEEP_S],
    )


def add_to(router: Router) -> None:
    router.add("chat.message", Message, message, max_bytes=MAX_MESSAGE)
