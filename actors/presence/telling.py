"""How news of presence get to the session actors that keep and number them (the reliable lane). Plain Python.

Each session actor has a courier, so that none waits for another. A courier has one call on its way at a time; what comes meanwhile
goes with the next, and of somebody who changed twice only the newest is told (newest wins). So what waits is bounded by who watches
whom.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog

from actors.presence.index import PresenceIndex
from actors.presence.merging import UserPresence
from actors.presence.privacy import Place, public, with_past
from cluster.errors import Unavailable
from cluster.ports.social import Profile

TOLD_AT_ONCE = 500
RETRY_S = (0.25, 0.5)

Message = tuple[list[str], str, bytes]
Post = Callable[[str, list[Message]], Awaitable[None]]
Past = Callable[[list[str]], Awaitable[Mapping[str, Profile]]]

log = structlog.get_logger(__name__)


async def presences(index: PresenceIndex, seen: list[tuple[UserPresence, Place]], past: Past) -> list[dict[str, Any]]:
    """What was seen as clients get it; `version` is of the moment at which this is called."""
    version = index.version
    gone = [presence.user_id for presence, place in seen if place == "friend" and presence.status == "offline"]
    profiles = await past(gone) if gone else {}
    return [
        with_past(public(presence, version), profiles.get(presence.user_id) if place == "friend" else None)
        if presence.status == "offline"
        else public(presence, version)
        for presence, place in seen
    ]


def announcement(index: PresenceIndex, user_id: str, now: float) -> tuple[str, dict[str, Any]]:
    """The event for other services (row 4.3), and its id: the user as somebody sees it who is no friend."""
    body = public(index.of_user(user_id), index.version)
    return f"{user_id}-{body['version']}", body | {"at": now}


class Encoder:
    """A presence is encoded once for everybody who stands in one place towards the user, whatever actor they are at."""

    def __init__(self, index: PresenceIndex) -> None:
        self._index = index
        self._version = -1
        self._encoded: dict[tuple[str, Place], bytes] = {}

    def encode(self, presence: UserPresence, place: Place) -> bytes:
        """The presence as it is in this very moment."""
        if self._index.version != self._version:
            self._version = self._index.version
            self._encoded.clear()
        key = presence.user_id, place
        if key not in self._encoded:
            self._encoded[key] = orjson.dumps(public(presence, self._version))
        return self._encoded[key]


class Courier:
    """For one session actor. `post(actor, messages)` returns when they are durable, or raises Unavailable: they may be, or not.

    `past(user_ids)` looks up when friends who are offline were not. `run` goes on until it is cancelled.
    """

    def __init__(
        self, actor: str, index: PresenceIndex, encoder: Encoder, post: Post, past: Past, rng: random.Random
    ) -> None:
        self._actor = actor
        self._index = index
        self._encoder = encoder
        self._post = post
        self._past = past
        self._rng = rng
        self._untold: dict[str, set[str]] = {}  # user -> session ids
        self._work = asyncio.Event()

    def add(self, untold: Mapping[str, set[str]]) -> None:
        """These sessions must be told how these users are."""
        for user_id, session_ids in untold.items():
            self._untold.setdefault(user_id, set()).update(session_ids)
        self._work.set()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._untold:
                part = {user_id: self._untold.pop(user_id) for user_id in list(self._untold)[:TOLD_AT_ONCE]}
                try:
                    await self._tell(part)
                except Unavailable as error:
                    log.warning("presence_waits", actor=self._actor, error=str(error))
                    self.add(part)
                    await asyncio.sleep(self._rng.uniform(*RETRY_S))
                except Exception:  # it would fail again: those that come after it must not wait for ever
                    log.exception("presence_not_told", actor=self._actor, users=len(part))

    async def _tell(self, part: Mapping[str, set[str]]) -> None:
        messages: list[Message] = []
        gone: dict[str, tuple[int, UserPresence, list[str]]] = {}
        for user_id, wanted in part.items():
            for place, (presence, session_ids) in self._index.audience(user_id, wanted).items():
                if place == "friend" and presence.status == "offline":
                    gone[user_id] = (self._index.version, presence, session_ids)
                else:
                    messages.append((session_ids, "presence.changed", self._encoder.encode(presence, place)))
        profiles = await self._past(list(gone)) if gone else {}
        for user_id, (version, presence, session_ids) in gone.items():
            told = with_past(public(presence, version), profiles.get(user_id))
            messages.append((session_ids, "presence.changed", orjson.dumps(told)))
        if messages:
            await self._post(self._actor, messages)
