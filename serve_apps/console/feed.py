"""The live feed at /console/ws (row 7.8): one WebSocket tells a page what changes of the topics that it asks for.

A client sends `{"subscribe": [topic, ...]}` and `{"unsubscribe": [topic, ...]}`, the realm `{"topic": ..., "data": ...}`: the whole
of a topic first, then what has changed, at most every `console.push_s`. Nothing waits for a slow reader but one message: what it is
told after that is the newest. A topic that cannot be read at the moment stays as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from cluster.errors import RateLimited, RealmError, Unavailable
from serve_apps.console import access
from serve_apps.console.accounts import OperatorAccounts, Who
from serve_apps.console.topics import Topic

MOST_READERS = 200
MOST_OF_ONE = 20  # of one operator, whose script must not keep the others out
RETRY_S = 5.0
MOST_TOPICS = 32  # of one reader
LARGEST_ASKED = 16 * 1024  # bytes of a client's message
SEND_S = 20.0  # who takes nothing for so long has gone, or is no page
READ_S = 20.0  # for a topic's source
CLOCK_S = 5.0
CHECK_S = 2.0  # how often it is looked whether the session still counts
LOGGED_OUT, TOO_SLOW, BAD, GOING = 4401, 1013, 1008, 1012
CLOCK = "clock"

# Makes a topic by its name for somebody; None: there is none of that name.
Make = Callable[[str, Who], tuple[str, Callable[[], Topic]] | None]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Shared:
    """A topic and those who follow it. It is read while there are any."""

    topic: Topic
    followers: int = 0
    reading: asyncio.Task[None] | None = None
    failing: bool = False


@dataclass(slots=True, eq=False)
class _Reader:
    """`known`: topic as the client calls it -> the shared one's key, and the change that was told."""

    who: Who
    known: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Feed:
    """`make(name, who)`: the key under which a topic is shared, and how it is made. `now`: Unix seconds."""

    def __init__(self, make: Make, push_s: float, now: Callable[[], float]) -> None:
        self._make = make
        self._push_s = push_s
        self._now = now
        self._shared: dict[str, _Shared] = {}
        self._readers: set[_Reader] = set()
        self._rng = random.Random()  # noqa: S311 - so that topics are not all read at once

    @property
    def readers(self) -> int:
        return len(self._readers)

    def stop(self) -> None:
        for shared in self._shared.values():
            if shared.reading is not None:
                shared.reading.cancel()

    async def serve(self, socket: WebSocket, accounts: OperatorAccounts) -> None:
        """One WebSocket, from its upgrade to its end."""
        try:
            who = await access.who(socket, accounts)
            if sum(each.who.operator.name == who.operator.name for each in self._readers) >= MOST_OF_ONE:
                raise RateLimited("too_many_sockets", RETRY_S)
            if len(self._readers) >= MOST_READERS:
                raise Unavailable("the live feed")
        except RealmError as refused:
            await access.refuse(refused, socket.scope, socket.receive, socket.send)
            return
        await socket.accept()
        reader = _Reader(who)
        self._readers.add(reader)
        parts = [
            asyncio.create_task(self._hear(socket, reader)),
            asyncio.create_task(self._tell(socket, reader)),
            asyncio.create_task(self._check(accounts, reader)),
        ]
        code = GOING
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            code = await next(iter(done))
        except WebSocketDisconnect:
            return
        except (RuntimeError, OSError):  # it has gone while something was sent
            return
        finally:
            self._readers.discard(reader)
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            for name in list(reader.known):
                self._drop(reader, name)
            if code:
                with contextlib.suppress(RuntimeError, OSError, WebSocketDisconnect, TimeoutError):
                    async with asyncio.timeout(1.0):
                        await socket.close(code)

    # --- from the client -------------------------------------------------------------------------------------------

    async def _hear(self, socket: WebSocket, reader: _Reader) -> int:
        """The code to close with."""
        while True:
            said = await socket.receive()
            if said["type"] == "websocket.disconnect":
                return 0
            data = said.get("text") or said.get("bytes") or ""
            if len(data) > LARGEST_ASKED or not self._ask(reader, data):
                return BAD

    def _ask(self, reader: _Reader, data: str | bytes) -> bool:
        try:
            asked = orjson.loads(data)
            wanted, unwanted = asked.get("subscribe", []), asked.get("unsubscribe", [])
            names = [str(name) for name in wanted], [str(name) for name in unwanted]
        except (ValueError, AttributeError, TypeError):
            return False
        for name in names[1]:
            self._drop(reader, name)
        for name in names[0]:
            self._drop(reader, name)  # asked again: the whole again
            if len(reader.known) >= MOST_TOPICS:
                return False
            self._follow(reader, name)
        reader.wake.set()
        return True

    def _follow(self, reader: _Reader, name: str) -> None:
        made = self._make(name, reader.who)
        if made is None:  # of a page that is newer than this realm
            return
        key, build = made
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared(build())
            shared.reading = asyncio.create_task(self._read(key, shared))
        shared.followers += 1
        reader.known[name] = key, None

    def _drop(self, reader: _Reader, name: str) -> None:
        held = reader.known.pop(name, None)
        if held is None:
            return
        shared = self._shared[held[0]]
        shared.followers -= 1
        if shared.followers == 0:
            del self._shared[held[0]]
            if shared.reading is not None:
                shared.reading.cancel()

    # --- to the client ---------------------------------------------------------------------------------------------

    async def _read(self, key: str, shared: _Shared) -> None:
        """Keeps a topic up to date while anybody follows it."""
        while True:
            try:
                async with asyncio.timeout(READ_S):
                    await shared.topic.refresh()
                shared.failing = False
            except (RealmError, TimeoutError) as error:
                if not shared.failing:
                    log.warning("topic_not_read", topic=key, why=str(error) or type(error).__name__)
                shared.failing = True
            except Exception:
                if not shared.failing:
                    log.exception("topic_failed", topic=key)
                shared.failing = True
            for reader in self._readers:
                if any(held == key and known is None for held, known in reader.known.values()):
                    reader.wake.set()
            await asyncio.sleep(self._push_s * self._rng.uniform(0.9, 1.0))

    async def _tell(self, socket: WebSocket, reader: _Reader) -> int:
        """The code to close with."""
        clock_at = -CLOCK_S
        loop = asyncio.get_running_loop()
        told: dict[str, float] = {}  # when each topic was told last
        while True:
            reader.wake.clear()
            now = loop.time()
            for name in list(reader.known):
                key, known = reader.known.get(name, ("", None))
                if key not in self._shared or (known is not None and now - told.get(name, -1e9) < self._push_s * 0.9):
                    continue
                news = self._shared[key].topic.news(known)
                if news is None:
                    continue
                reader.known[name] = key, news[0]
                told[name] = now
                if not await _send(socket, name, news[1]):
                    return TOO_SLOW
            if now - clock_at >= CLOCK_S:
                clock_at = now
                if not await _send(socket, CLOCK, {"now": self._now()}):
                    return TOO_SLOW
            told = {name: at for name, at in told.items() if name in reader.known}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._push_s):
                    await reader.wake.wait()

    async def _check(self, accounts: OperatorAccounts, reader: _Reader) -> int:
        """Until the session or token counts no more: a role was changed, somebody logged out, it has ended."""
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                if not await accounts.still(reader.who):
                    return LOGGED_OUT
            except Unavailable:  # nobody can say: requests are refused meanwhile, and the page stays as it is
                continue


async def _send(socket: WebSocket, topic: str, data: Any) -> bool:
    """False: the client takes nothing."""
    try:
        async with asyncio.timeout(SEND_S):
            text = orjson.dumps({"topic": topic, "data": data}, option=orjson.OPT_SERIALIZE_NUMPY).decode()
            await socket.send_text(text)
    except TimeoutError:
        return False
    return True
