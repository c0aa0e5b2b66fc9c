"""What a bot writes: changes of its entity and of its zone, messages, attributes. Each lane has one request at a time.

Every request is in the history: what was asked, and what came of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from cluster.chaos.history import History
from cluster.chaos.recording import RecordingClient
from rayrealm_client.errors import Conflict, InternalError, InvalidParams, RealmError, RpcError, Unavailable

REQUEST_S = 6.0
"""More than a gateway waits for the rest of the realm, so that it is the one who says that there was no answer."""
AGAIN_S = 0.1
REFUSED_AGAIN_S = 1.0
"""The realm closes sockets with more than 120 errors in a minute."""
CHAT_TRIES = 8
ATTRIBUTES = 4
STATUS_EVERY = 3
STATUSES = ("away", "busy", "online")

Call = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kind`: acknowledged, failed or unknown."""

    kind: str
    result: Any = None
    error: RealmError | None = None


class Lane:
    """Requests of one kind, one after another. `now()` gives up the one that is under way, and the next begins at once."""

    def __init__(self, client: RecordingClient, history: History, rng: Random, pause_s: tuple[float, float]) -> None:
        self.acknowledged_at = 0.0
        self.client = client
        self.history = history
        self._rng = rng
        self._pause_s = pause_s
        self._hurry = asyncio.Event()
        self._stopping = False
        self._under_way: asyncio.Task[Any] | None = None
        self._acknowledged = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`; then the request that is under way is the last."""
        while not self._stopping:
            await self.step()
            if not self._hurry.is_set():
                try:
                    async with asyncio.timeout(self._rng.uniform(*self._pause_s)):
                        await self._hurry.wait()
                except TimeoutError:
                    pass
            self._hurry.clear()

    def stop(self) -> None:
        self._stopping = True
        self._hurry.set()

    async def step(self) -> None:
        raise NotImplementedError

    def now(self) -> None:
        """What was lost with a part of the realm is not waited for."""
        self._hurry.set()
        if self._under_way is not None:
            self._under_way.cancel()

    async def acknowledged(self) -> float:
        """When the next acknowledgement came, in seconds on the monotonic clock."""
        self._acknowledged.clear()
        await self._acknowledged.wait()
        return self.acknowledged_at

    async def attempt(self, call: Call, do: str, **what: Any) -> Outcome:
        """One request, written down."""
        op = self.history.invoked(self.client.name, do, **what)
        outcome = await self._outcome(call)
        if outcome.kind == "acknowledged":
            told = outcome.result if isinstance(outcome.result, dict) else {}
            kept = {name: told[name] for name in ("version", "message_id") if name in told}
            self.history.add("acknowledged", op=op, **kept)
            self.acknowledged_at = time.monotonic()
            self._acknowledged.set()
        else:
            self.history.add(outcome.kind, op=op, why=str(outcome.error or "given up"))
        return outcome

    async def _outcome(self, call: Call) -> Outcome:
        self._under_way = asyncio.ensure_future(call())
        try:
            await asyncio.wait({self._under_way})
            if self._under_way.cancelled():
                return Outcome("unknown")
            return Outcome("acknowledged", self._under_way.result())
        except (Unavailable, InternalError) as error:  # it may have acted
            return Outcome("unknown", error=error)
        except RpcError as error:
            return Outcome("failed", error=error)
        except RealmError as error:  # no answer, or no connection
            return Outcome("unknown", error=error)
        finally:
            self._under_way.cancel()
            self._under_way = None


class StateLane(Lane):
    """Changes the own entity, based on the version it knows; now and then it leaves the world, and comes in elsewhere.

    Who walks over a border stays the same entity, so its versions go on. `zones()`: those that there are; `leaving`: how often a
    step is to leave. `stay`: how often it has come in; `away`: it is not in the world, or on its way out or in.
    """

    def __init__(
        self,
        client: RecordingClient,
        history: History,
        rng: Random,
        pause_s: tuple[float, float],
        character_id: str,
        zones: Callable[[], Sequence[str]],
        leaving: float,
        on_leave: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_leave` is called when it is about to."""
        super().__init__(client, history, rng, pause_s)
        self.stay = 0
        self.returns = 0
        self.away = True
        self._character_id = character_id
        self._zones = zones
        self._leaving = leaving
        self._on_leave = on_leave
        self._entity_id = ""
        self._version: int | None = None
        self._n = 0

    async def step(self) -> None:
        if self._version is None:
            await self.read()
        if self._version is None:
            return
        if len(self._zones()) > 1 and self._rng.random() < self._leaving:
            await self._go_elsewhere()
        else:
            await self._change(self._version)

    async def enter(self, zone: str) -> Outcome:
        """Into the zone, unless it is refused; "" is where its character was last, or where everybody begins."""
        self.stay += 1
        self._version = None

        async def call() -> Any:
            return await self.client.enter(self._character_id, zone or None)

        outcome = await self.attempt(call, "enter", stay=self.stay, zone=zone)
        if outcome.kind == "acknowledged":
            self.away = False
        return outcome

    async def read(self) -> bool:
        """What the realm has. False if it does not say."""
        stay = self.stay

        async def call() -> Any:
            return await self.client.request("state.sync.request", timeout_s=REQUEST_S)

        outcome = await self._outcome(call)
        if outcome.kind != "acknowledged":
            await asyncio.sleep(AGAIN_S)
            return False
        me = outcome.result["entities"][0]
        self._saw(stay, me, str(outcome.result["zone"]))
        return True

    async def _change(self, version: int) -> None:
        self._n += 1
        params = {"entity_id": self._entity_id, "version": version, "properties": {"n": self._n}}

        async def call() -> Any:
            return await self.client.request("state.sync.delta", params, REQUEST_S)

        outcome = await self.attempt(call, "state", stay=self.stay, version=version, n=self._n)
        if outcome.kind == "acknowledged":
            self._version = int(outcome.result["version"])
        elif isinstance(outcome.error, Conflict) and "version" in outcome.error.data.get("current", {}):
            self._saw(self.stay, outcome.error.data["current"], "")
        else:
            self._version = None

    def _saw(self, stay: int, me: dict[str, Any], zone: str) -> None:
        self._entity_id, self._version = str(me["entity_id"]), int(me["version"])
        n = (me.get("properties") or {}).get("n")
        n = None if n is None else int(n)
        self.history.add("state", bot=self.client.name, stay=stay, version=self._version, n=n, zone=zone)

    async def _go_elsewhere(self) -> None:
        """Out, and in again: in another zone, or where it was. Neither is given up: a character belongs somewhere."""
        await self.read()
        zone = self._rng.choice(["", *(zone for zone in self._zones() if zone != self.client.zone)])
        self.away = True
        self._on_leave()
        while not self._stopping:
            outcome = await self.attempt(self.client.leave, "leave", stay=self.stay)
            if outcome.kind == "acknowledged" or await self._where() is None:
                break
            await asyncio.sleep(REFUSED_AGAIN_S)
        await self.come_in(zone)
        self.returns += 1

    async def come_in(self, zone: str) -> None:
        """Until it is in the world and has been told so: in that zone, or anywhere if there is no such zone any more."""
        while (outcome := await self.enter(zone)).kind != "acknowledged":
            if isinstance(outcome.error, InvalidParams):
                zone = ""
            elif await self._where():  # an entry whose answer was lost: the client knows nothing of that world
                await self.attempt(self.client.leave, "leave", stay=self.stay)
            await asyncio.sleep(REFUSED_AGAIN_S)
        await self.read()

    async def _where(self) -> str | None:
        """The zone that the session says its character is in; "" when it does not say."""

        async def call() -> Any:
            return await self.client.request("system.info", timeout_s=REQUEST_S)

        outcome = await self._outcome(call)
        if outcome.kind != "acknowledged":
            return ""
        world = outcome.result.get("world")
        return None if world is None else str(world["zone"])


class ChatLane(Lane):
    """Says something nobody has said before, again and again until it is acknowledged: the realm must keep it once."""

    def __init__(
        self,
        client: RecordingClient,
        history: History,
        rng: Random,
        pause_s: tuple[float, float],
        channels: tuple[str, ...],
    ) -> None:
        super().__init__(client, history, rng, pause_s)
        self._channels = channels
        self._said = 0

    async def join(self) -> None:
        for channel in self._channels:

            async def call(channel: str = channel) -> Any:
                return await self.client.chat.join(channel)

            outcome = await self.attempt(call, "join", channel=channel)
            while outcome.kind != "acknowledged":
                await asyncio.sleep(AGAIN_S)
                outcome = await self.attempt(call, "join", channel=channel)

    async def step(self) -> None:
        self._said += 1
        channel = self._rng.choice(self._channels)
        text = f"{self.client.name}:{self._said}"
        params = {"channel": channel, "text": text, "client_id": text}

        async def call() -> Any:
            return await self.client.request("chat.message", params, REQUEST_S)

        for _ in range(CHAT_TRIES):
            if (await self.attempt(call, "chat", channel=channel, text=text)).kind != "unknown":
                return
            await asyncio.sleep(AGAIN_S)


class AttributeLane(Lane):
    """Sets a few attributes of the session, over and over, and now and then its status, which those who watch it are told of."""

    def __init__(self, client: RecordingClient, history: History, rng: Random, pause_s: tuple[float, float]) -> None:
        super().__init__(client, history, rng, pause_s)
        self._n = 0

    async def step(self) -> None:
        self._n += 1
        if self._n % STATUS_EVERY == 0:
            await self._status(STATUSES[self._n // STATUS_EVERY % len(STATUSES)])
        name, n = f"a{self._n % ATTRIBUTES}", self._n

        async def call() -> Any:
            params = {"name": name, "value": n}
            return await self.client.request("session.attribute.set", params, REQUEST_S)

        await self.attempt(call, "attribute", name=name, n=n)

    async def _status(self, status: str) -> None:
        async def call() -> Any:
            return await self.client.request("presence.update", {"status": status}, REQUEST_S)

        await self.attempt(call, "status", status=status)

    async def read(self) -> bool:
        """All of them, into the history. False if the realm does not say."""

        async def call() -> Any:
            return await self.client.request("session.attribute.list", timeout_s=REQUEST_S)

        outcome = await self._outcome(call)
        if outcome.kind != "acknowledged":
            await asyncio.sleep(AGAIN_S)
            return False
        self.history.add("attributes", bot=self.client.name, values=outcome.result["attributes"])
        return True
