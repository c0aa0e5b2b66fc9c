"""How many strangers a user may speak to first (row 5.3): one who writes to everybody is somebody whom nobody asked.

No stranger is a friend, who has written or was written to before (as long as what they said is kept), or whom this socket counted.
"""

from __future__ import annotations

import asyncio

from actors.chat.channels import DIRECT, direct_topic
from cluster.errors import RateLimited
from cluster.ports.social import Ties
from serve_apps.gateway.client import Client
from serve_apps.gateway.services import Services

HOUR_S = 3_600.0
MOST_MET = 1_000  # whom a socket remembers
LATELY = 10  # messages of a conversation


def sealed_topic(user_id: str, other_id: str) -> str:
    """What says that the two have talked in sealed messages, and nothing else: beside the topic of what they said openly."""
    return direct_topic(user_id, other_id).replace(DIRECT, f"{DIRECT}sealed:", 1)


async def knows(services: Services, client: Client, other: str, ties: Ties) -> bool:
    """Whether the other is a friend, or wrote to the client lately. Raises Unavailable."""
    if other in ties.friends or other in client.known_to:
        return True
    talks = (direct_topic(client.user_id, other), sealed_topic(client.user_id, other))
    said = await asyncio.gather(*(services.topics.before(talk, "", LATELY) for talk in talks))
    if not any(message.sender == other for messages in said for message in messages):
        return False
    if len(client.known_to) >= MOST_MET:
        client.known_to.clear()
    client.known_to.add(other)
    return True


async def count_stranger(services: Services, client: Client, other: str, ties: Ties) -> None:
    """Before a direct message. Raises RateLimited("strangers")."""
    if other in ties.friends or other in client.met:
        return
    talks = [direct_topic(client.user_id, other), sealed_topic(client.user_id, other)]
    if not any((await services.topics.newest(talks)).values()):
        per_hour = services.settings.limits.strangers_per_hour
        wait_s = await services.limiter.take(f"strangers/{client.user_id}", per_hour / HOUR_S, per_hour)
        if wait_s:
            raise RateLimited("strangers", wait_s)
    if len(client.met) >= MOST_MET:
        client.met.clear()
    client.met.add(other)
