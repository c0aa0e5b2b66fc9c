"""Players who walk in a whole realm while its world is changed, and what the realm's store says of it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from pydantic import SecretStr
from redis.asyncio import Redis

from actors.world.record import WorldRecord
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.world import RedisWorldStore
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.ports.accounts import Character
from cluster.settings import RedisSettings
from rayrealm_client.client import RealmClient
from rayrealm_client.errors import NotConnected
from rayrealm_client.view import Changes, View
from tests.real_realm import RealRealm

PASSWORD = "correct horse battery"
STEP_S = 0.1
STRIDE_M = 0.3
TURN = 8  # strides to one side, and as many back
DEADLINE_S = 30.0
PAUSE_S = 0.05
PERMITTED_CHARACTERS = 8

log = structlog.get_logger(__name__)


class Walker:
    """Walks to and fro between `x` and a few metres east of it.

    `faults`: what no view should have told; `forgot`: how often a zone had forgotten moves that it had judged.
    """

    def __init__(self, client: RealmClient, x: float, z: float) -> None:
        assert client.world is not None
        self.client = client
        self.entity_id = client.world.entity_id
        self.x, self.z = x, z
        self.shown_at: list[float] = []
        self.owners: list[tuple[str, int]] = []  # zone and epoch of each reset
        self.losses = 0
        self.faults: list[str] = []
        self.forgot = 0
        self._ack = 0
        self._walking: asyncio.Task[None] | None = None
        client.on_view(self._saw)
        client.on_loss(self._lost)

    def _saw(self, view: View, _: Changes) -> None:
        self.shown_at.append(time.monotonic())
        if view.reset is not None:
            zone, epoch = view.reset.zone, view.reset.epoch
            if any(epoch < before for known, before in self.owners if known == zone):
                self.faults.append(f"incarnation {epoch} of {zone} after {self.owners}")
            self.owners.append((zone, epoch))
        self.forgot += view.ack < self._ack
        self._ack = view.ack
        ids = [entity.entity_id for entity in self.client.entities.values()]
        if len(set(ids)) < len(ids) or self.entity_id in ids:
            self.faults.append(f"somebody is seen twice: {ids}, by {self.entity_id}")

    def _lost(self, _: object) -> None:
        self.losses += 1

    def walk(self) -> None:
        self._walking = asyncio.create_task(self._walk())

    async def _walk(self) -> None:
        for step in itertools.count():
            await self.step(self.x + STRIDE_M * (TURN - abs(step % (2 * TURN) - TURN)))
            await asyncio.sleep(STEP_S)

    async def step(self, x: float) -> None:
        with contextlib.suppress(NotConnected):
            await self.client.move(x, 0.0, self.z)

    async def stand(self) -> None:
        if self._walking is not None:
            self._walking.cancel()
            await asyncio.wait([self._walking])
            self._walking = None

    def gap_s(self, since: float) -> float:
        """The longest time without a view."""
        times = [*(at for at in self.shown_at if at >= since - 1.0), time.monotonic()]
        return max(after - before for before, after in itertools.pairwise(times))

    @property
    def seen(self) -> dict[str, tuple[int, int, int] | None]:
        """Entity -> where it is, in centimetres."""
        return {entity.entity_id: entity.cm for entity in self.client.entities.values()}


class Crowd:
    def __init__(self, walkers: Sequence[Walker]) -> None:
        self.walkers = list(walkers)

    @property
    def ids(self) -> set[str]:
        return {walker.entity_id for walker in self.walkers}

    async def all_see_all(self) -> None:
        def all_do() -> bool:
            return all(self.ids - {walker.entity_id} <= walker.seen.keys() for walker in self.walkers)

        await until(all_do, "everybody sees everybody")

    async def goes_on(self) -> None:
        """From now on, each is shown a step that it has still to take, and one of everybody else's."""
        asked_for = [walker.client.sequence + 1 for walker in self.walkers]
        before = [walker.seen for walker in self.walkers]

        def it_does() -> bool:
            return all(
                walker.client.acked >= sequence
                and all(
                    walker.seen.get(other) not in (None, then.get(other)) for other in self.ids - {walker.entity_id}
                )
                for walker, sequence, then in zip(self.walkers, asked_for, before, strict=True)
            )

        await until(it_does, "everybody's view goes on")

    @asynccontextmanager
    async def at_ease(self) -> AsyncIterator[None]:
        """Everyone stands, and is where everyone sees it; afterwards they walk on."""
        for walker in self.walkers:
            await walker.stand()
        for walker in self.walkers:
            await walker.step(walker.x)
        places = {walker.entity_id: (round(walker.x * 100), 0, round(walker.z * 100)) for walker in self.walkers}

        def all_there() -> bool:
            return all(
                all(walker.seen.get(other) == place for other, place in places.items() if other != walker.entity_id)
                for walker in self.walkers
            )

        await until(all_there, "everybody is where they stand")
        yield
        for walker in self.walkers:
            walker.walk()

    def report(self, what: str, since: float) -> None:
        gaps = sorted(walker.gap_s(since) for walker in self.walkers)
        median_ms, most_ms = round(gaps[len(gaps) // 2] * 1000), round(gaps[-1] * 1000)
        log.info("measured", what=what, took_s=round(time.monotonic() - since, 1), gap_ms=median_ms, most_ms=most_ms)

    def nothing_wrong(self, zones_were_killed: bool) -> None:
        """Who is killed forgets where players have gone since the last checkpoint."""
        for walker in self.walkers:
            assert not walker.faults, walker.faults
            assert not walker.losses, f"{walker.losses} connections were lost"
            assert zones_were_killed or not walker.forgot, f"moves were forgotten {walker.forgot} times"


@asynccontextmanager
async def crowd(
    realm: RealRealm, archive: Archive, places: Sequence[tuple[float, float]], kills_zones: bool = False
) -> AsyncIterator[Crowd]:
    """Players of their own, who walk at those places (x and z in metres) and see each other; at the end nothing was wrong."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(RealmClient(realm.url, timeout_s=DEADLINE_S)) for _ in places]
        walkers = await asyncio.gather(
            *(_enter(client, archive, x, z) for client, (x, z) in zip(clients, places, strict=True))
        )
        made = Crowd(walkers)
        for walker in walkers:
            walker.walk()
        try:
            await made.all_see_all()
            await made.goes_on()
            yield made
            made.nothing_wrong(kills_zones)
        finally:
            for walker in walkers:
                await walker.stand()
        await asyncio.gather(*(client.leave() for client in clients))


async def _enter(client: RealmClient, archive: Archive, x: float, z: float) -> Walker:
    tokens = await client.register(f"walker-{secrets.token_hex(6)}", PASSWORD)
    world = await client.enter(await archive.character(tokens.user_id, x, z))
    assert (world.position.x, world.position.z) == (x, z)
    return Walker(client, x, z)


class Archive:
    """A realm's store, looked into past the realm."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._redis: Any = client  # its replies are bytes, which its stubs do not know
        self._ns = namespace
        self._world = RedisWorldStore(client, namespace)
        self._zones = RedisZoneStore(client, namespace)
        self._characters = RedisCharacters(client, namespace)

    async def character(self, user_id: str, x: float, z: float) -> str:
        """A new character of the user, who stands there."""
        zone = (await self.record()).map.at(x, z)
        assert zone is not None
        made = Character(
            character_id=f"chr_{secrets.token_hex(6)}",
            user_id=user_id,
            name=f"Hero {secrets.token_hex(4)}",
            zone=zone.id,
            x=x,
            y=0.0,
            z=z,
            yaw=0.0,
            created_at=time.time(),
        )
        await self._characters.create(made, PERMITTED_CHARACTERS)
        return made.character_id

    async def record(self) -> WorldRecord:
        return WorldRecord.load(*await self._world.load())

    async def pid(self, name: str) -> int:
        """Of the newest process of that name; 0 while there is none."""
        said = await self._redis.hget(f"{self._ns}:processes", name)
        return int(json.loads(said)["pid"]) if said else 0

    async def homes(self) -> dict[str, list[str]]:
        """Entity -> the zones that keep it, or that it is on its way to: at one moment."""
        found: dict[str, list[str]] = {}
        keys = []
        for kept in ("entities", "arrivals"):
            keys += [key async for key in self._redis.scan_iter(match=f"{self._ns}:zone:*:{kept}")]
        async with self._redis.pipeline(transaction=True) as pipe:
            for key in keys:
                pipe.hkeys(key)
            for key, entities in zip(keys, await pipe.execute(), strict=True):
                for entity_id in entities:
                    found.setdefault(entity_id.decode(), []).append(key.decode().split(":")[-2])
        return found

    async def zones_of(self, crowd: Crowd) -> dict[str, str]:
        """Entity -> the zone that its session is in."""
        sessions = {str(walker.client.session_id): walker.entity_id for walker in crowd.walkers}
        return {sessions[session]: zone for session, zone in (await self._zones.zones_of(list(sessions))).items()}


@asynccontextmanager
async def archive_of(realm: RealRealm) -> AsyncIterator[Archive]:
    details = json.loads((realm.data / "realm.json").read_text())
    client = connect(RedisSettings(url=SecretStr(details["redis_url"])), "archive")
    try:
        yield Archive(client, details["namespace"])
    finally:
        await client.aclose()


async def until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]],
    what: str | Callable[[], str],
    deadline_s: float = DEADLINE_S,
    pause_s: float = PAUSE_S,
) -> None:
    """For states that nothing announces."""
    give_up = time.monotonic() + deadline_s
    while True:
        is_so = condition()
        if isinstance(is_so, Awaitable):
            is_so = await is_so
        if is_so:
            return
        assert time.monotonic() < give_up, what if isinstance(what, str) else what()
        await asyncio.sleep(pause_s)


async def everyone_once(archive: Archive, players: Crowd) -> None:
    """In the store, in the zone that tells them, and in everybody's view."""
    async with players.at_ease():

        async def told_by_their_zones() -> bool:
            homes, zones_of = await archive.homes(), await archive.zones_of(players)
            assert {entity: len(homes.get(entity, ())) for entity in players.ids} == dict.fromkeys(players.ids, 1)
            return all(
                homes[walker.entity_id] == [walker.client.zone] and zones_of[walker.entity_id] == walker.client.zone
                for walker in players.walkers
            )

        await until(told_by_their_zones, "everybody is told by the zone that has them")
        await players.all_see_all()


async def listed_right(realm: RealRealm, archive: Archive) -> None:
    """Until `rayrealm zones list` has what the store has: the map's zones, each with a living owner and its entities."""

    async def right() -> bool:
        listed, world = await zones(realm), (await archive.record()).map
        counts = Counter(zone for homes in (await archive.homes()).values() for zone in homes)
        return {
            zone: (row["bounds"], row["role"], row["alive"], row["population"], row["map_version"])
            for zone, row in listed.items()
        } == {zone.id: (zone.bounds.model_dump(), "owner", True, counts[zone.id], world.version) for zone in world}

    await until(right, "the list of zones is right")


@asynccontextmanager
async def begun(realm: RealRealm, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`rayrealm ARGUMENTS`, which is at work meanwhile. It must end well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cluster.cli.main", *arguments),
        env={**os.environ, **realm.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
        async with asyncio.timeout(DEADLINE_S):
            said, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        log.info("said", command=arguments, text=said.decode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def done(realm: RealRealm, *arguments: str) -> str:
    """What `rayrealm ARGUMENTS` prints; it must end well."""
    ended = await asyncio.to_thread(realm.command, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


async def zones(realm: RealRealm) -> dict[str, dict[str, Any]]:
    """`rayrealm zones list`, by zone. It is a second old at most."""
    rows = json.loads(await done(realm, "zones", "list", "--json"))["zones"]
    return {row["zone"]: row for row in rows}
