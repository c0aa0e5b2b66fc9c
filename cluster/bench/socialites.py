"""One of the people of `social.py`: changes its status, talks in channels and to friends, and notes what it asks and hears."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Any

from cluster.bench.entrants import persist
from cluster.bench.hearing import join
from cluster.bench.returning import Returning
from cluster.bench.social_checks import ChatBook, StatusBook
from rayrealm_client.anys import Json
from rayrealm_client.codec import Notification
from rayrealm_client.errors import InternalError, RealmError, RpcError, Unavailable

STATUSES = ("away", "busy", "online")
ALL = "social-all"
GROUPS = 4
WATCHED = 20
FRIENDS = 3
TO_ALL, TO_GROUP = 0.06, 0.5  # how often a message is for everybody, and for the group; the rest is for a friend
TALK_PAUSE_S = STATUS_PAUSE_S = (2.0, 6.0)
LOOK_PAUSE_S = (1.0, 4.0)
LOOKERS = 4  # one of so many asks again how the others are; the rest must be told
HUSH_S = 0.6
REQUEST_S = 6.0
"""More than a gateway waits for the rest of the realm, so that it is the one who says that there was no answer."""
TRIES = 8
LAST_TRIES = 60
AGAIN_S = (0.1, 0.5)
COME_S = 60.0
READ_AT_ONCE = 20
MOST_UNREAD = 500
DIRECT = "direct:"


def circles(number: int, people: int) -> tuple[str, ...]:
    """The channels of one of so many."""
    return (ALL, f"social-{number % min(GROUPS, people)}")


def pair(one: str, other: str) -> str:
    """What the books call the direct channel of two."""
    return DIRECT + ":".join(sorted((one, other)))


class Socialite:
    """`unanswered`: requests that had no answer; `refused`: those that had to be done, with `refusals` in words.

    `looks`: how often it asked again for those it watches.
    """

    def __init__(self, number: int, client: Returning, rng: Random, chat: ChatBook, statuses: StatusBook) -> None:
        self.number = number
        self.client = client
        self.user_id = ""
        self.unanswered = self.refused = self.looks = 0
        self.refusals: list[str] = []
        self._rng = rng
        self._chat = chat
        self._statuses = statuses
        self._channels: tuple[str, ...] = ()
        self._watched: list[str] = []
        self._friends: list[str] = []
        self._resting, self._hushed = asyncio.Event(), asyncio.Event()
        self._settled = True  # its last change was acknowledged
        self._unread: deque[str] = deque(maxlen=MOST_UNREAD)
        self._texts, self._numbers = itertools.count(1), itertools.count(1)
        client.on_ready = lambda ready, _: self._ready(ready.user_id)
        client.on_notice = self._hear

    async def join(self, channels: tuple[str, ...]) -> None:
        self._channels = channels
        async with asyncio.timeout(COME_S):
            for channel in channels:
                await join(self.client, channel)
                self._chat.joined(self.user_id, channel, time.monotonic())

    def know(self, everybody: Sequence[str]) -> None:
        """By their user ids, in the order of their numbers: it watches those after it, and some of these are its friends."""
        others = [everybody[(self.number + step) % len(everybody)] for step in range(1, len(everybody))]
        self._watched, self._friends = others[:WATCHED], others[:FRIENDS]
        for friend in self._friends:
            for member in (self.user_id, friend):
                self._chat.joined(member, pair(self.user_id, friend), time.monotonic())

    async def until_there(self, user_ids: Sequence[str]) -> None:
        """Who has just come is offline until the index has heard of it: the books begin later. The caller sets the deadline."""
        asked = {"user_ids": list(user_ids)}
        while True:
            told = await persist(lambda: self.client.request("presence.get", asked, REQUEST_S), self._rng)
            if all(presence["status"] != "offline" for presence in told["presences"]):
                return
            await asyncio.sleep(self._rng.uniform(*AGAIN_S))

    async def watch(self) -> None:
        """Raises RealmError, TimeoutError."""
        for user_id in self._watched:
            self._statuses.watches(self.user_id, user_id)
        async with asyncio.timeout(COME_S):
            asked = {"user_ids": self._watched}
            self._see(await persist(lambda: self.client.request("presence.subscribe", asked, REQUEST_S), self._rng))

    async def live(self) -> None:
        """Until `rest`; then what is under way comes to its end. The last change of its status is acknowledged."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._talk())
            group.create_task(self._change_often())
            if self.number % LOOKERS == 0:
                group.create_task(self._look_again())

    def hush(self) -> None:
        """It changes its status once more within HUSH_S, and never again: whoever misses that is not told the next time."""
        self._hushed.set()

    def rest(self) -> None:
        self._resting.set()
        self._hushed.set()

    # --- what it does ------------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        async for _ in self._pauses(TALK_PAUSE_S, self._resting):
            await self._say()
            if len(self._unread) >= READ_AT_ONCE:
                await self._read()

    async def _change_often(self) -> None:
        async for _ in self._pauses(STATUS_PAUSE_S, self._hushed):
            await self._change(TRIES)
        if not self._resting.is_set():
            await asyncio.sleep(self._rng.uniform(0.0, HUSH_S))
            await self._change(TRIES)
            await self._resting.wait()
        if not self._settled:  # then nobody knows how it is
            await self._change(LAST_TRIES)

    async def _look_again(self) -> None:
        """An index that has just been made again must not answer before it knows everybody."""
        async for _ in self._pauses(LOOK_PAUSE_S, self._resting):
            method = self._rng.choice(("presence.get", "presence.subscribe"))
            kind, told = await self._persist(method, {"user_ids": self._watched}, TRIES)
            if kind == "acknowledged":
                self.looks += 1
                self._see(told)

    def _see(self, told: Json) -> None:
        for presence in told["presences"]:
            self._statuses.shown(self.user_id, presence, time.monotonic(), asked=True)

    async def _pauses(self, between_s: tuple[float, float], over: asyncio.Event) -> AsyncIterator[None]:
        """What is to be done after each of them, until it is over."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._rng.uniform(*between_s)):
                    await over.wait()
                return
            yield

    async def _say(self) -> None:
        text = f"{self.user_id} says {next(self._texts)}"
        channel, known_as = self._somewhere()
        self._chat.said(self.user_id, known_as, text, time.monotonic())
        params = {"channel": channel, "text": text, "client_id": text[-64:]}
        kind, answer = await self._persist("chat.message", params, TRIES)
        if kind == "acknowledged":
            self._chat.kept(text, answer["message_id"])
        elif kind == "refused":
            self._chat.refused(text)

    def _somewhere(self) -> tuple[str, str]:
        """A channel, and what the books call it."""
        roll = self._rng.random()
        if roll >= TO_ALL + TO_GROUP and self._friends:
            friend = self._rng.choice(self._friends)
            return DIRECT + friend, pair(self.user_id, friend)
        channel = ALL if roll < TO_ALL else self._channels[1]
        return channel, channel

    async def _change(self, tries: int) -> None:
        number = next(self._numbers)
        status = STATUSES[(self.number + number) % len(STATUSES)]
        self._statuses.asked(self.user_id, number, status, time.monotonic())
        self._settled = False
        kind, _ = await self._persist("presence.update", {"status": status, "text": str(number)}, tries)
        if kind == "acknowledged":
            self._settled = True
            self._statuses.kept(self.user_id, number)

    async def _read(self) -> None:
        """Direct messages that came; what has no answer is read with the next ones."""
        ids = list(self._unread)
        self._unread.clear()
        kind, _ = await self._persist("chat.read", {"message_ids": ids}, 1)
        if kind != "acknowledged":
            self._unread.extend(ids)

    async def _persist(self, method: str, params: dict[str, Json], tries: int) -> tuple[str, Any]:
        """The same request again while there is no answer: acknowledged (with the result), refused, or unknown."""
        unanswered = False
        for _ in range(tries):
            try:
                return "acknowledged", await self.client.request(method, params, REQUEST_S)
            except RpcError as error:
                if not isinstance(error, Unavailable | InternalError):  # those may have acted
                    self.refused += 1
                    self.refusals.append(f"{method}: {error}")
                    return ("unknown" if unanswered else "refused"), None
            except RealmError:
                pass  # no socket, or no answer: the next attempt tells
            unanswered = True
            self.unanswered += 1
            await asyncio.sleep(self._rng.uniform(*AGAIN_S))
        return "unknown", None

    # --- what it hears -----------------------------------------------------------------------------------------

    def _ready(self, user_id: str) -> None:
        if not self.user_id:
            self.user_id = user_id
            self._statuses.came(user_id, "online", time.monotonic())

    def _hear(self, item: Notification) -> None:
        if not isinstance(item.params, dict):
            return
        now, told = time.monotonic(), item.params
        if item.method == "presence.changed":
            self._statuses.shown(self.user_id, told, now)
        elif item.method == "chat.message":
            channel = str(told["channel"])
            if channel.startswith(DIRECT):
                channel = pair(self.user_id, channel.removeprefix(DIRECT))
                if told["from"] != self.user_id:
                    self._unread.append(told["message_id"])
            self._chat.heard(self.user_id, channel, told["text"], told["message_id"], now)
