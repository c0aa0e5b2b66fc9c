"""What the tests of social stores share."""

from __future__ import annotations

from cluster.ports.social import Limits, Link, Relations, SocialStore

NOW = 1_800_000_000.1
A, B, C, D, E = (f"usr_{letter}" for letter in "abcde")
LIMITS = Limits(friends=3, outgoing=3, incoming=3, blocked=3)
NOBODY = Relations()


async def befriend(store: SocialStore, user_id: str, *others: str) -> None:
    for other_id in others:
        assert await store.request(other_id, user_id, LIMITS, NOW) == "requested"
        assert await store.accept(user_id, other_id, LIMITS, NOW)


def ids(links: tuple[Link, ...]) -> list[str]:
    return [link.user_id for link in links]
