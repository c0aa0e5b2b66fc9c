"""system.*: ping, info, topics."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import FailFast, Field

from cluster.errors import Unauthorized
from cluster.server_topics import PATTERN, may_listen
from serve_apps.gateway.client import Client
from serve_apps.gateway.router import Json, NoParams, Params, Router
from serve_apps.gateway.services import Services

MAX_BYTES = 8 * 1024  # of params
Topic = Annotated[str, Field(pattern=PATTERN)]


class Echo(Params):
    echo: Json = None


class TopicList(Params):
    topics: Annotated[list[Topic], FailFast()] = Field(min_length=1, max_length=64)


async def ping(services: Services, _client: Client, params: Echo) -> dict[str, Any]:
    return {"echo": params.echo, "server_time": services.wall_clock()}


async def info(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    counters = {
        "messages_in": client.connection.messages_in,
        "messages_out": client.messages_out,
        "bytes_in": client.connection.bytes_in,
        "bytes_out": client.bytes_out,
    }
    return {**services.hub.greeting.info(client, services.hub.degraded), "counters": counters}


async def subscribe(services: Services, client: Client, params: TopicList) -> dict[str, Any]:
    """All of them or none. What nobody may hear is refused as what only others may: no rule is told."""
    rules = services.settings.topics
    if not all(may_listen(rules, topic, client.role) for topic in params.topics):
        raise Unauthorized("topic_not_allowed")
    return {"topics": await change_topics(services, client, params.topics, [])}


async def unsubscribe(services: Services, client: Client, params: TopicList) -> dict[str, Any]:
    return {"topics": await change_topics(services, client, [], params.topics)}


async def change_topics(services: Services, client: Client, add: list[str], remove: list[str]) -> list[str]:
    """The session's actor listens. Returns the plain topics, without channels."""
    topics = await services.session(client, "subscribe", add, remove)
    client.topics = frozenset(topics)
    return [topic for topic in topics if ":" not in topic]


def add_to(router: Router) -> None:
    router.add("system.ping", Echo, ping, max_bytes=MAX_BYTES)
    router.add("system.info", NoParams, info)
    router.add("system.subscribe", TopicList, subscribe, max_bytes=MAX_BYTES)
    router.add("system.unsubscribe", TopicList, unsubscribe, max_bytes=MAX_BYTES)
