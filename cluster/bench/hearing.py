"""Somebody talks in a channel, and everyone there keeps what they hear: so what is lost can be counted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.bench.returning import Returning
from rayrealm_client.codec import Notification
from rayrealm_client.errors import RealmError

SAY_EVERY_S = 0.5
AGAIN_S = 0.5
REQUEST_S = 10.0


@dataclass(slots=True)
class Heard:
    """The messages of one client, in the order they came."""

    texts: list[str] = field(default_factory=list)

    def notice(self, item: Notification) -> None:
        if isinstance(item.params, dict) and item.method == "chat.message":
            self.texts.append(str(item.params["text"]))

    @property
    def repeated(self) -> int:
        return len(self.texts) - len(set(self.texts))


async def join(client: Returning, channel: str) -> None:
    """Until it is a member. The caller sets the deadline."""
    while True:
        try:
            await client.request("chat.channel.join", {"channel": channel}, REQUEST_S)
            return
        except RealmError:
            await asyncio.sleep(AGAIN_S)


async def talk(client: Returning, channel: str, said: list[str]) -> None:
    """Says something every SAY_EVERY_S, until cancelled; what was acknowledged is in `said`."""
    for number in itertools.count():
        text = f"word {number}"
        told = {"channel": channel, "text": text, "client_id": f"{client.sessions[-1]}-{number}"}
        while True:
            try:
                await client.request("chat.message", told, REQUEST_S)
                said.append(text)
                break
            except RealmError:
                await asyncio.sleep(AGAIN_S)
        await asyncio.sleep(SAY_EVERY_S)


def missing(heard: Iterable[Heard], said: Sequence[str]) -> int:
    """How many acknowledged messages were not heard, over all."""
    return sum(len(set(said).difference(one.texts)) for one in heard)


def added(counts: Iterable[Mapping[int, int]]) -> dict[str, int]:
    """The sums by key."""
    total: dict[str, int] = {}
    for one in counts:
        for key, count in one.items():
            total[str(key)] = total.get(str(key), 0) + count
    return total
