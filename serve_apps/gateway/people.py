"""Who is meant, what somebody is called, and how often one may ask: for routes where users have to do with each other (row 3.3).

Names are those of characters, which are public in the world. What a user is called elsewhere is the character that was played last,
to friends whom the user shows it to. Others are called what one called them oneself when one asked, invited or blocked them; to
look their names up would tell whose ids are anybody's, and which characters those play who want to be left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from actors.presence.privacy import may_see
from cluster.errors import InvalidInput, NotFound, RateLimited
from cluster.ports.calls import presence_actor
from cluster.ports.social import Profile
from serve_apps.gateway.client import Client
from serve_apps.gateway.router import Params
from serve_apps.gateway.services import Services

CHANGES = 6  # of other kinds, to one request that a user may make

UserId = Annotated[str, Field(pattern=r"^usr_[A-Za-z0-9_-]{1,60}$")]


class UserParams(Params):
    user_id: UserId


class Person(Params):
    """Somebody, by id or by the name of a character: one of the two."""

    user_id: UserId | None = None
    name: str | None = Field(default=None, min_length=1, max_length=64)

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.user_id is None) == (self.name is None):
            raise ValueError("user_id or name is needed, and not both")
        return self


async def find_other(services: Services, client: Client, who: Person) -> str:
    """The id of somebody else. An id is not looked up: no answer tells whether it is anybody's.

    Raises NotFound("no_such_player") for a name that nobody has, InvalidInput for oneself.
    """
    return (await find_named(services, client, who))[0]


async def find_named(services: Services, client: Client, who: Person) -> tuple[str, str]:
    """As `find_other`, and the name by which the client named somebody, as its character writes it; empty if by id."""
    if who.user_id is not None:
        return not_oneself(client, who.user_id), ""
    character = await services.characters.by_name(who.name or "")
    if character is None:
        raise NotFound("no_such_player")
    return not_oneself(client, character.user_id, "name"), character.name


def not_oneself(client: Client, user_id: str, field: str = "user_id") -> str:
    """`user_id`. Raises InvalidInput if it is the client's own."""
    if user_id == client.user_id:
        raise InvalidInput([(field, "is yourself")])
    return user_id


def name_of(client: Client, profile: Profile) -> str:
    """Of the character that the client plays, or that its user played last; empty if there was none."""
    return str(client.world["name"]) if client.world is not None else profile.name


async def own_name(services: Services, client: Client) -> str:
    """`name_of`, with the profile looked up if it is needed."""
    if client.world is not None:
        return name_of(client, Profile())
    return name_of(client, (await services.social.profiles([client.user_id]))[client.user_id])


def friend_name(profile: Profile) -> str:
    """What somebody is called, for a friend; empty if that is not shown (row 3.2, privacy)."""
    return profile.name if may_see(profile.show_character, "friend") else ""


async def presences_for(services: Services, client: Client, user_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """User -> Presence, as the client may see them."""
    if not user_ids:
        return {}
    found = await services.calls.call(
        presence_actor(),
        "get",
        client.user_id,
        list(user_ids),
        deadline_s=services.settings.gateway.call_deadline_s,
        idempotent=True,
    )
    return {presence["user_id"]: presence for presence in found}


async def count_request(services: Services, client: Client) -> None:
    """One more request for friendship, or invitation, of the user's. Raises RateLimited."""
    await _count(services, f"requests/{client.user_id}", services.settings.social.requests_per_minute)


async def count_change(services: Services, client: Client) -> None:
    """Another change of what users are to each other. Raises RateLimited."""
    await _count(services, f"ties/{client.user_id}", services.settings.social.requests_per_minute * CHANGES)


async def _count(services: Services, key: str, per_minute: int) -> None:
    wait_s = await services.limiter.take(key, per_minute / 60.0, per_minute)
    if wait_s:
        raise RateLimited("requests", wait_s)
