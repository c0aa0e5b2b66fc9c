"""presence.*: how one is, who may see it, and how others are (row 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import FailFast, Field, model_validator

from actors.chat.text import MAX_RAW
from actors.presence.saying import said_metadata, said_text
from actors.presence.statuses import at_start
from cluster.errors import InvalidInput, SubscriptionLimit
from cluster.ports.calls import presence_actor
from cluster.ports.social import Audience
from serve_apps.gateway.client import Client
from serve_apps.gateway.consequences import see_to
from serve_apps.gateway.people import UserId
from serve_apps.gateway.router import Params, Router
from serve_apps.gateway.services import Services

MAX_METADATA = 64  # members, and MAX_USERS users: the most that a setting may allow
MAX_USERS = 4_000
USERS_BYTES = 64 * 1024
FILTERED_AS = "presence"  # what a word filter is told as the channel


Said = Annotated[str, Field(max_length=MAX_RAW)]


class Update(Params):
    """What is left out stays as it is; the settings say how much of each is taken."""

    status: Literal["online", "away", "busy", "invisible"] | None = None
    text: Said | None = None
    metadata: dict[Said, Said] | None = Field(default=None, max_length=MAX_METADATA)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.status is None and self.text is None and self.metadata is None:
            raise ValueError("status, text or metadata is needed")
        return self


class Privacy(Params):
    """Who may see one's zone, and one's character with its name. What is left out stays as it is."""

    zone: Audience | None = None
    character: Audience | None = None


class Users(Params):
    user_ids: Annotated[list[UserId], FailFast()] = Field(min_length=1, max_length=MAX_USERS)


async def update(services: Services, client: Client, params: Update) -> dict[str, Any]:
    """For this session; and kept, so that the user's next one starts like it: not away, but as whoever is no longer invisible."""
    limits, said = services.settings.presence, partial(services.words.apply, channel=FILTERED_AS)
    text = None if params.text is None else said_text(params.text, limits, said)
    metadata = None if params.metadata is None else said_metadata(params.metadata, limits, said)
    now: dict[str, Any] = await services.session(client, "set_presence", params.status, text, metadata)
    kept: dict[str, object] = {}
    if params.status is not None:
        kept["status"] = at_start(params.status)
    if text is not None:
        kept["text"] = now["text"]
    if metadata is not None:
        kept["metadata"] = now["metadata"]
    if kept:
        await services.social.choose(client.user_id, kept)
    return now


async def privacy(services: Services, client: Client, params: Privacy) -> dict[str, Any]:
    """What holds then; with nothing given, what holds."""
    chosen = {"show_zone": params.zone, "show_character": params.character}
    changes: dict[str, object] = {name: audience for name, audience in chosen.items() if audience is not None}
    if not changes:
        profile = (await services.social.profiles([client.user_id]))[client.user_id]
    else:
        profile = await services.social.choose(client.user_id, changes)
        await see_to(services, f"privacy of {client.user_id}", partial(_refresh, services, client.user_id))
    return {"zone": profile.show_zone, "character": profile.show_character}


async def _refresh(services: Services, user_id: str) -> None:
    await services.calls.call(
        presence_actor(),
        "refresh_users",
        [user_id],
        deadline_s=services.settings.gateway.call_deadline_s,
        idempotent=True,
    )


async def get(services: Services, client: Client, params: Users) -> dict[str, Any]:
    most = services.settings.presence.bulk
    if len(params.user_ids) > most:
        raise InvalidInput([("user_ids", f"more than {most}")])
    found = await services.calls.call(
        presence_actor(),
        "get",
        client.user_id,
        _unique(params.user_ids),
        deadline_s=services.settings.gateway.call_deadline_s,
        idempotent=True,
    )
    return {"presences": found}


async def subscribe(services: Services, client: Client, params: Users) -> dict[str, Any]:
    user_ids = _unique(params.user_ids)
    most = services.settings.presence.watched
    if len(user_ids) > most:
        raise SubscriptionLimit(most)
    change, _ = await services.session(client, "watch", user_ids, [])
    return {"presences": await _tell_index(services, change, user_ids)}


async def unsubscribe(services: Services, client: Client, params: Users) -> dict[str, Any]:
    change, watching = await services.session(client, "watch", [], _unique(params.user_ids))
    await _tell_index(services, change, [])
    return {"watching": watching}


async def _tell_index(services: Services, change: Any, user_ids: list[str]) -> Any:
    return await services.calls.call(
        presence_actor(),
        "watch",
        change,
        user_ids,
        deadline_s=services.settings.gateway.call_deadline_s,
        idempotent=True,
    )


def _unique(user_ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(user_ids))


def add_to(router: Router) -> None:
    router.add("presence.update", Update, update, max_bytes=16 * 1024)
    router.add("presence.privacy", Privacy, privacy)
    router.add("presence.get", Users, get, max_bytes=USERS_BYTES)
    router.add("presence.subscribe", Users, subscribe, max_bytes=USERS_BYTES)
    router.add("presence.unsubscribe", Users, unsubscribe, max_bytes=USERS_BYTES)
