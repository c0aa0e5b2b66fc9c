"""What a client had set up, and how it is set up again on a session that does not have it any more."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rayrealm_client.anys import Json
from rayrealm_client.errors import (
    Conflict,
    ConnectionLost,
    DeadlineExceeded,
    InternalError,
    InvalidState,
    RateLimited,
    RpcError,
    Unavailable,
)
from rayrealm_client.policy import Backoff, Random

log = logging.getLogger("rayrealm_client")

Ask = Callable[[str, dict[str, Json]], Awaitable[Json]]
"""A request on the link that is being restored: method, params -> result."""


@dataclass(slots=True)
class Wishes:
    """`character_id`: who should be in the world; `presence`, `attributes`: as far as this client set them."""

    character_id: str | None = None
    topics: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    presence: dict[str, Json] = field(default_factory=dict)
    attributes: dict[str, Json] = field(default_factory=dict)

    def calls(self) -> list[tuple[str, dict[str, Json]]]:
        """Everything but the world, as requests for a new session."""
        calls: list[tuple[str, dict[str, Json]]] = []
        if self.topics:
            calls.append(("system.subscribe", {"topics": sorted(self.topics)}))
        calls += [("chat.channel.join", {"channel": channel}) for channel in sorted(self.channels)]
        if self.watched:
            calls.append(("presence.subscribe", {"user_ids": sorted(self.watched)}))
        if self.presence:
            calls.append(("presence.update", dict(self.presence)))
        calls += [("session.attribute.set", {"name": name, "value": value}) for name, value in self.attributes.items()]
        return calls


async def insist(call: Callable[[], Awaitable[object]], backoff: Backoff, rng: Random) -> RpcError | None:
    """Repeat `call` while it may yet be granted: a part of the realm is away, or holds an older session.

    Ends when it is done, refused for good (returns the refusal), or the link is lost.
    """
    for attempt in itertools.count():
        wait_s = 0.0
        try:
            await call()
            return None
        except ConnectionLost:
            return None  # the next link starts over
        except (Unavailable, RateLimited, InternalError, InvalidState, Conflict) as error:
            wait_s = error.retry_after_s
            log.info("still trying: %s", error)
        except DeadlineExceeded as error:
            log.info("still trying: %s", error)
        except RpcError as error:
            return error
        await asyncio.sleep(wait_s + backoff.delay(attempt, rng))
    raise AssertionError("unreachable")


async def ask_again(wishes: Wishes, ask: Ask, backoff: Backoff, rng: Random) -> None:
    """All calls of a new session, one after another; a refused one does not hold up the rest."""
    for method, params in wishes.calls():

        async def call(method: str = method, params: dict[str, Json] = params) -> None:
            await ask(method, params)

        refusal = await insist(call, backoff, rng)
        if refusal is not None:
            log.warning("%s was not granted again: %s", method, refusal)
