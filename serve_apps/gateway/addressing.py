"""What a client means by the name of a channel, where it is now (row 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from actors.chat.channels import (
    DIRECT,
    PREFIX,
    Kind,
    direct_topic,
    kind_of,
    limited_as,
    may_join,
    party_topic,
    subscription,
    zone_topic,
)
from cluster.errors import InvalidState, RateLimited
from serve_apps.gateway.client import Client
from serve_apps.gateway.people import not_oneself
from serve_apps.gateway.services import Services

ChannelName = Annotated[str, Field(min_length=1, max_length=80)]

PACE_PER_S, PACE_BURST = 1.0, 20


@dataclass(frozen=True, slots=True)
class Address:
    """`topic`: where its messages are kept, empty for a range. `other`: the user at the other end of a direct channel."""

    channel: str
    kind: Kind
    topic: str
    other: str = ""

    @property
    def limited_as(self) -> str:
        return limited_as(self.channel)


async def address_of(services: Services, client: Client, channel: str) -> Address:
    """Raises InvalidInput for what is no channel, InvalidState when the client has no zone or party."""
    kind = kind_of(channel)
    match kind:
        case Kind.NAMED:
            return Address(channel, kind, PREFIX + channel)
        case Kind.DIRECT:
            other = not_oneself(client, channel.removeprefix(DIRECT), "channel")
            return Address(channel, kind, direct_topic(client.user_id, other), other)
        case Kind.PARTY:
            party = await services.parties.of_user(client.user_id)
            if party is None:
                raise InvalidState("not_in_party", client.state.value)
            return Address(channel, kind, party_topic(party.party_id))
    if not client.zone_id:
        raise InvalidState("not_in_world", client.state.value)
    return Address(channel, kind, zone_topic(client.zone_id) if kind is Kind.ZONE else "")


async def reach(services: Services, client: Client, channel: str) -> Address:
    """The same for who takes part in the channel. Raises InvalidState("not_in_channel")."""
    if kind_of(channel).joined and subscription(channel) not in client.topics:
        raise InvalidState("not_in_channel", client.state.value)
    return await address_of(services, client, channel)


async def check_private(services: Services, client: Client, channel: str) -> None:
    """Raises InvalidState("not_invited") for a private channel that the client may not join, or might not any more."""
    if kind_of(channel) is not Kind.NAMED:
        return
    record = await services.chat.channel(channel)
    if not may_join(record, client.user_id, client.role, invited=False):
        invited = await services.chat.invited(channel, client.user_id)
        if not may_join(record, client.user_id, client.role, invited):
            raise InvalidState("not_invited", client.state.value)


async def pace(services: Services, client: Client, what: str) -> None:
    """Raises RateLimited: how often one user may change or tell something that others are told of."""
    wait_s = await services.limiter.take(f"chat-{what}/{client.user_id}", PACE_PER_S, PACE_BURST)
    if wait_s:
        raise RateLimited("requests", wait_s)
