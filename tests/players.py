"""Players for tests that need several: each reads all the time, and says what it has seen."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from rayrealm_client.codec import SUBPROTOCOLS, Failure, Framing, Notification, OwnMove, Request, Result, decode, encode
from rayrealm_client.scene import Scene
from rayrealm_client.view import Correction, View
from tests.local_realm import LocalRealm

DEADLINE_S = 10.0


class Player:
    """`entities`: what is in view. `world`: the result of world.enter, or what session.ready said. `code`: of the close frame."""

    def __init__(self, ws: ClientConnection, framing: Framing) -> None:
        self.ws = ws
        self.framing = framing
        self.ready: dict[str, Any] = {}
        self.world: dict[str, Any] = {}
        self.scene = Scene()
        self.entities = self.scene.entities
        self.ack = 0
        self.corrections: list[Correction] = []
        self.notices: deque[Notification] = deque(maxlen=100)
        self.code: int | None = None
        self.sequence = 0
        self._ids = itertools.count(1)
        self._answers: dict[Any, Result | Failure] = {}
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def join(
        cls, realm: LocalRealm, user_id: str, framing: Framing = "proto", session_id: str = "", **options: Any
    ) -> Self:
        """A socket that is ready."""
        url = realm.url + (f"?session={session_id}" if session_id else "")
        return await cls.open(url, framing, {"Authorization": f"Bearer {realm.token(user_id)}"}, **options)

    @classmethod
    async def open(
        cls, url: str, framing: Framing = "proto", headers: dict[str, str] | None = None, **options: Any
    ) -> Self:
        """The same for any address."""
        ws = await connect(
            url,
            additional_headers=headers,
            subprotocols=[Subprotocol(SUBPROTOCOLS[framing])],
            compression=None,
            proxy=None,
            ping_interval=None,
            max_size=None,
            close_timeout=2.0,
            **options,
        )
        player = cls(ws, framing)
        await player.until(lambda: bool(player.ready))
        return player

    @property
    def session_id(self) -> str:
        found: str = self.ready["session_id"]
        return found

    async def _read(self) -> None:
        try:
            async for frame in self.ws:
                for item in decode(frame):
                    self._take(item)
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self.code = self.ws.close_code or 1006
            async with self._changed:
                self._changed.notify_all()

    def _take(self, item: Any) -> None:
        if isinstance(item, View):
            self.scene.apply(item)
            self.ack = item.ack
            if item.correction is not None:
                self.corrections.append(item.correction)
        elif isinstance(item, Notification):
            if item.method == "session.ready":
                assert isinstance(item.params, dict)
                self.ready = item.params
                self.world = item.params["world"] or {}
            self.notices.append(item)
        else:
            self._answers[item.id] = item

    async def until(self, true: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait for it, looking after each frame. Raises TimeoutError, which says what the player knew then."""
        try:
            async with asyncio.timeout(deadline_s), self._changed:
                await self._changed.wait_for(true)
        except TimeoutError as error:
            raise TimeoutError(f"not within {deadline_s:g} s: {self._known()}") from error

    def _known(self) -> str:
        last = self.corrections[-1] if self.corrections else None
        return (
            f"zone {self.scene.zone}, tick {self.scene.tick}, {len(self.entities)} entities, sequence {self.sequence}, "
            f"ack {self.ack}, {len(self.corrections)} corrections, the last {last}, close code {self.code}, "
            f"errors {[notice.params for notice in self.notices if notice.method == 'system.error'][-3:]}"
        )

    async def ask(self, method: str, **params: Any) -> Any:
        """The result, or the Failure."""
        request_id = next(self._ids)
        await self.ws.send(encode(Request(request_id, method, params), self.framing))
        await self.until(lambda: request_id in self._answers or self.code is not None)
        answer = self._answers.pop(request_id)
        return answer.value if isinstance(answer, Result) else answer

    async def enter(self, character_id: str, **params: Any) -> dict[str, Any]:
        world = await self.ask("world.enter", character_id=character_id, **params)
        assert isinstance(world, dict), world
        self.world = world
        return world

    async def move(self, x: float, z: float, yaw: float = 0.0, y: float = 0.0) -> int:
        self.sequence = max(self.sequence, self.world.get("sequence", 0)) + 1
        await self.ws.send(encode(OwnMove(x, y, z, yaw, self.sequence), self.framing))
        return self.sequence

    async def notify(self, method: str, **params: Any) -> None:
        await self.ws.send(encode(Notification(method, params), self.framing))

    async def closed(self, deadline_s: float = DEADLINE_S) -> int:
        """The close code, once the server has closed."""
        await self.until(lambda: self.code is not None, deadline_s)
        assert self.code is not None
        return self.code

    async def leave(self) -> None:
        """Close politely and wait for the end."""
        await self.ws.close()
        await self._reading


class Witnesses:
    """Two players who stand in the world and look at each other, whatever is done to the realm meanwhile."""

    def __init__(self, realm: LocalRealm, walker: Player, watcher: Player) -> None:
        self._realm = realm
        self._walker = walker
        self._watcher = watcher
        self._steps = itertools.count(1)

    async def still_served(self) -> None:
        """Fails unless both are answered, and a step of the one is seen by the other."""
        walker, watcher = self._walker, self._watcher
        at = walker.world["position"]
        x = at["x"] + 0.25 * (next(self._steps) % 2)
        sequence = await walker.move(x, at["z"])
        number = walker.world["number"]

        def seen() -> bool:
            entity = watcher.entities.get(number)
            return entity is not None and entity.sequence == sequence & 0xFFFF and abs(entity.position.x - x) < 1e-3

        await watcher.until(seen)
        assert walker.corrections == []
        for player in (walker, watcher):
            answer = await player.ask("system.ping", echo=sequence)
            assert answer["echo"] == sequence

    async def leave(self) -> None:
        for player in (self._walker, self._watcher):
            assert player.code is None
            await player.leave()


@asynccontextmanager
async def witnesses(realm: LocalRealm) -> AsyncIterator[Witnesses]:
    """Two players of their own, one of each framing, in the zone where everybody starts."""
    walker = await Player.join(realm, "usr_walker", "proto")
    await walker.enter(await realm.character("usr_walker", "Walker", at=(100, 100)))
    watcher = await Player.join(realm, "usr_watcher", "json")
    await watcher.enter(await realm.character("usr_watcher", "Watcher", at=(102, 100)))
    both = Witnesses(realm, walker, watcher)
    await both.still_served()
    yield both
    await both.leave()
