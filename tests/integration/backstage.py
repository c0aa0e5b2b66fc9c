"""A realm in this process, and what a chaos run would do to its actors.

A kill is what a process's death looks like from outside: its loops stop and its connections close. The next incarnation is a new
object on the same names. What needs real processes is tested in the files that start a realm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.ports.calls import presence_actor, sessions_actor, zone_actor
from cluster.ports.sessions import SessionRecord
from tests.local_realm import LocalRealm
from tests.players import Player

MEADOW = "zon_meadow"
ZONE, SESSIONS, PRESENCE = zone_actor(MEADOW), sessions_actor(0), presence_actor()
DEADLINE_S = 10.0


class Viewer(Player):
    """A player that remembers which incarnations of the zone its views started from."""

    def __init__(self, *args: Any) -> None:
        self.epochs: list[int] = []
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        reset = getattr(item, "reset", None)
        if reset is not None:
            self.epochs.append(reset.epoch)

    def sees(self, other: Player, x: float | None = None) -> bool:
        entity = self.entities.get(other.world["number"])
        return entity is not None and (x is None or abs(entity.position.x - x) < 1e-3)

    def presences(self) -> list[tuple[str, str]]:
        """The changes it was told of: who, and to what."""
        told: list[Any] = [notice.params for notice in self.notices if notice.method == "presence.changed"]
        return [(params["user_id"], params["status"]) for params in told]


class Backstage:
    """A realm, and what a chaos run would do to it."""

    def __init__(self, realm: LocalRealm) -> None:
        self.realm = realm
        self.redis: Any = realm._runtimes[0].redis  # its replies are bytes, which its stubs do not know
        self.ns = realm.settings.namespace
        self.sessions = RedisSessionStore(self.redis, self.ns)

    def runner(self, name: str) -> Any:
        return self.realm.actors[name]

    def owner(self, name: str = ZONE) -> Any:
        """What is at work in a zone's actor."""
        owner = self.runner(name)._roles.owner
        assert owner is not None
        return owner

    async def kill(self, name: str) -> None:
        await self.realm.kill(name)

    async def start(self, name: str) -> Any:
        """A new incarnation; one that still runs is left as it is, and no longer found."""
        argument = name.removeprefix("zone/") if name.startswith("zone/") else name
        self.realm.make(None, name, self.realm.realm, argument)
        runner = self.runner(name)
        async with asyncio.timeout(DEADLINE_S):
            started = await runner._started
            if name.startswith("zone/"):
                await started.settled()
        return runner

    async def restart(self, name: str) -> Any:
        await self.kill(name)
        return await self.start(name)

    async def enter(self, user: str, x: float, name: str = "") -> Viewer:
        player = await Viewer.join(self.realm, user)
        await player.enter(await self.realm.character(user, name, at=(x, 100.0)))
        return player

    async def record(self, session_id: str) -> SessionRecord | None:
        record: SessionRecord | None = await self.sessions.get(session_id)
        return record

    async def online(self, *users: str) -> None:
        """Until the presence index knows; it is told in batches."""
        index = await self.runner(PRESENCE)._index()
        await self.until(lambda: all(index.of_user(user).zone_id == MEADOW for user in users))

    async def until(self, condition: Callable[[], bool]) -> None:
        """For states that nothing announces."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
