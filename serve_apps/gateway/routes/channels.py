"""chat.channel.*: who listens to a channel, and channels of one's own (row 2.3)."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Annotated, Any

from pydantic import Field

from actors.chat.channels import GLOBAL, PREFIX, ZONE, Kind, in_charge, kind_of, subscription
from actors.presence.privacy import Place, may_see
from cluster.errors import Conflict, InvalidInput, InvalidState, SubscriptionLimit
from cluster.ports.chat import Channel, Presence
from serve_apps.gateway.addressing import ChannelName, check_private, pace, reach
from serve_apps.gateway.client import Client
from serve_apps.gateway.people import Person, find_other, own_name
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.routes.chat import RECORD_S
from serve_apps.gateway.services import Services

PAGE = 200
MAX_SLOW_S = 6 * 3_600.0

NOBODYS = frozenset({GLOBAL, ZONE})  # channels that only moderators change, and that are never private

SlowMode = Annotated[float, Field(ge=0.0, le=MAX_SLOW_S, allow_inf_nan=False)]


class ChannelParams(Params):
    channel: ChannelName


class Members(ChannelParams):
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = None


class New(ChannelParams):
    private: bool = False
    slow_s: SlowMode = 0.0


class Change(ChannelParams):
    private: bool | None = None
    slow_s: SlowMode | None = None


class Invitation(Person):
    channel: ChannelName


async def join(services: Services, client: Client, params: ChannelParams) -> dict[str, Any]:
    kind = _must_join(params.channel)
    await check_private(services, client, params.channel)
    if kind is not Kind.NAMED:
        return await _change(services, client, [subscription(params.channel)], [])
    who = Presence(client.session_id, client.user_id, await own_name(services, client))
    # On the list before it listens: nobody becomes the owner of a channel while somebody is on it, and who makes one private
    # invites all who are on it, and so nobody listens uninvited.
    await services.chat.joined(params.channel, who)
    topic = subscription(params.channel)
    try:
        await check_private(services, client, params.channel)
        channels = await _change(services, client, [topic], [])
        await check_private(services, client, params.channel)
    except (InvalidState, SubscriptionLimit):
        if topic in client.topics:
            await _change(services, client, [], [topic])
        await services.chat.left(params.channel, client.session_id)
        raise
    return channels


async def leave(services: Services, client: Client, params: ChannelParams) -> dict[str, Any]:
    kind = _must_join(params.channel)
    channels = await _change(services, client, [], [subscription(params.channel)])
    if kind is Kind.NAMED:
        await services.chat.left(params.channel, client.session_id)
    return channels


def _must_join(channel: str) -> Kind:
    kind = kind_of(channel)
    if not kind.joined:
        raise InvalidInput([("channel", "is heard without joining")])
    return kind


async def _change(services: Services, client: Client, add: list[str], remove: list[str]) -> dict[str, Any]:
    topics = await services.session(client, "subscribe", add, remove)
    client.topics = frozenset(topics)
    return {"channels": [t.removeprefix(PREFIX) for t in topics if t.startswith(PREFIX)]}


async def members(services: Services, client: Client, params: Members) -> dict[str, Any]:
    """Users, without those who are invisible, and those who and the client block each other. For who is among them.

    Names as in presence: of those who show their character to the client; empty otherwise.
    """
    kind = kind_of(params.channel)
    if kind not in (Kind.NAMED, Kind.PARTY):
        raise InvalidInput([("channel", "has no list of members")])
    await reach(services, client, params.channel)
    await check_private(services, client, params.channel)
    if kind is Kind.PARTY:
        party = await services.parties.of_user(client.user_id)
        who = {member.user_id: member.name for member in party.members} if party is not None else {}
        return _members(who, 0)
    cursor = int(params.cursor) if params.cursor is not None else 0
    page, cursor = await services.chat.members(params.channel, cursor, PAGE)
    ties = (await services.social.ties([client.user_id]))[client.user_id]
    listed = {each.user_id: each.name for each in page if each.user_id not in ties.blocked | ties.blocked_by}
    profiles = await services.social.profiles(list(listed))
    for user_id in listed:
        place: Place = "self" if user_id == client.user_id else "friend" if user_id in ties.friends else "other"
        if not may_see(profiles[user_id].show_character, place):
            listed[user_id] = ""
    return _members(listed, cursor)


def _members(names: dict[str, str], cursor: int) -> dict[str, Any]:
    told = [{"user_id": user_id, "name": name} for user_id, name in names.items()]
    return {"members": told, "cursor": str(cursor) if cursor else None}


# --- channels of one's own -------------------------------------------------------------------------------------


async def create(services: Services, client: Client, params: New) -> dict[str, Any]:
    """A channel that nobody has used lately becomes the client's. The same once more gives the same answer.

    Raises Conflict("channel_taken") also while anybody listens to it, seen or not.
    """
    if kind_of(params.channel) is not Kind.NAMED or params.channel == GLOBAL:
        raise InvalidInput([("channel", "belongs to nobody")])
    await pace(services, client, "channels")
    known = await services.chat.channel(params.channel)
    if known is not None:
        if (known.owner, known.private, known.slow_s) != (client.user_id, params.private, params.slow_s):
            raise Conflict("channel_taken")
        return _described(known)
    topic = subscription(params.channel)
    if (await services.topics.newest([topic]))[topic]:
        raise Conflict("channel_taken")  # by those who talked in it, and what they said there is not to be somebody's
    made = Channel(params.channel, client.user_id, params.private, params.slow_s, services.wall_clock())
    chat = services.settings.chat
    await services.chat.create(made, chat.channels_per_user, chat.history_s + RECORD_S)
    return _described(made)


async def change(services: Services, client: Client, params: Change) -> dict[str, Any]:
    """By its owner and moderators; `global`, and `zone` in all zones, by moderators. Who is in what becomes private stays."""
    await pace(services, client, "channels")
    await _own(services, client, params.channel)
    chat = services.settings.chat
    if params.channel in NOBODYS:
        if params.private:
            raise InvalidInput([("private", "is open to everybody")])
        new = Channel(params.channel, "", False, 0.0, services.wall_clock())
        with suppress(Conflict):  # it was changed before, and has a record
            await services.chat.create(new, 0, chat.history_s + RECORD_S)
    return _described(await services.chat.change(params.channel, params.private, params.slow_s, chat.max_invited))


async def invite(services: Services, client: Client, params: Invitation) -> dict[str, Any]:
    """Who is invited may join, and is told so (`chat.invited`)."""
    await pace(services, client, "invitations")
    await _own(services, client, params.channel)
    other, name = await find_other(services, client, params), await own_name(services, client)
    await services.chat.invite(params.channel, other, services.settings.chat.max_invited)
    said = {"channel": params.channel, "from": client.user_id, "name": name}
    await services.tell(other, "chat.invited", said, f"chat.invited/{secrets.token_hex(8)}", sender=client.user_id)
    return {"channel": params.channel, "user_id": other}


async def _own(services: Services, client: Client, channel: str) -> None:
    record = await services.chat.channel(channel) if kind_of(channel) is Kind.NAMED else None
    if not in_charge(record, client.user_id, client.role):
        raise InvalidState("not_allowed", client.state.value)


def _described(channel: Channel) -> dict[str, Any]:
    return {
        "channel": channel.name,
        "owner": channel.owner,
        "private": channel.private,
        "slow_s": channel.slow_s,
        "created_at": channel.created_at,
    }


def add_to(router: Router) -> None:
    router.add("chat.channel.join", ChannelParams, join)
    router.add("chat.channel.leave", ChannelParams, leave)
    router.add("chat.channel.members", Members, members)
    router.add("chat.channel.create", New, create)
    router.add("chat.channel.change", Change, change)
    router.add("chat.channel.invite", Invitation, invite)
