"""A realm on three Ray nodes (rows 7.3 to 7.5): where zones are, moves, lost nodes, nodes that join and that drain."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from cluster.ports.calls import SUPERVISOR, zone_actor
from tests.integration.nodes_rig import HEAD, NodesRealm, nodes_realm
from tests.integration.world_rig import Archive, archive_of, begun, crowd, done, everyone_once, until, zones

pytestmark = [pytest.mark.realm, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

MEADOW, HARBOUR, FOREST = "zon_meadow", "zon_harbour", "zon_forest"
EAST, WEST = "east", "west"
# The meadow has a standby, which does not take a busy machine for a dead owner.
CONFIG = """
[accounts]
argon2_memory_kib = 256
argon2_time_cost = 1
[world]
standby_silence_s = 1.0
[world.policy]
every_s = 0.5
sustain_s = 1.0
cooldown_s = 1.0
[[world.zones]]
id = "zon_meadow"
name = "Meadow"
standby = true
bounds = { min_x = 0, min_z = 0, max_x = 200, max_z = 200 }
[[world.zones]]
id = "zon_harbour"
name = "Harbour"
bounds = { min_x = 200, min_z = 0, max_x = 400, max_z = 200 }
[[world.zones]]
id = "zon_forest"
name = "Forest"
bounds = { min_x = 0, min_z = 200, max_x = 200, max_z = 400 }
"""
ON_BOTH_SIDES = [(188.0, 100.0), (191.0, 100.0), (194.0, 100.0), (204.0, 100.0), (207.0, 100.0), (210.0, 100.0)]
RETURNS_S = 45.0

log = structlog.get_logger(__name__)


class Stage:
    """The realm, its store, and where everything is."""

    def __init__(self, realm: NodesRealm, archive: Archive) -> None:
        self.realm = realm
        self.archive = archive
        self._looked: dict[str, str] = {}

    async def owners(self) -> dict[str, dict[str, Any]]:
        """As `rayrealm zones list` has it."""
        rows = {zone: row for zone, row in (await zones(self.realm)).items() if row["role"] == "owner"}
        self._looked = {zone: f"{row['slot']} on {self.name_of(row)}, {row['epoch']}" for zone, row in rows.items()}
        return rows

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, deadline_s: float = RETURNS_S) -> None:
        """As world_rig.until, and tells what was seen last."""

        def not_so() -> str:
            log = self.realm.own.log.read_text(errors="replace")
            return f"{what}: {self._looked} of {self.realm.nodes}\n{log[-4000:]}"

        await until(condition, not_so, deadline_s)

    def name_of(self, row: dict[str, Any]) -> str:
        """Of the node that the supervisor names; empty if that is lost."""
        return next((name for name, node in self.realm.nodes.items() if node.id == row["node_id"]), "")

    async def places(self) -> dict[str, str]:
        """Zone -> the name of its owner's node."""
        return {zone: self.name_of(row) for zone, row in (await self.owners()).items()}

    async def follower(self, row: dict[str, Any]) -> str:
        """The node of the zone's actor that does not own it; empty if there is none."""
        return self.realm.node_of(await self.archive.pid(zone_actor(row["zone"], 1 - row["slot"])))

    async def guarded(self) -> None:
        """Until the meadow's standby runs, on another node than the owner."""

        async def apart() -> bool:
            row = (await self.owners()).get(MEADOW)
            if row is None:
                return False
            follower = await self.follower(row)
            self._looked["standby"] = f"on {follower}"
            return follower not in ("", HEAD, self.name_of(row))

        await self.until(apart, "the standby is on another node than the owner")

    async def arrange(self, wanted: dict[str, str]) -> None:
        """Have zones on those nodes, which are made if they are lost. What the policy does meanwhile is waited for."""
        for name in {EAST, WEST} - self.realm.nodes.keys():
            await asyncio.to_thread(self.realm.add, name)

        async def arranged() -> bool:
            places = await self.places()
            wrong = {zone: name for zone, name in wanted.items() if places.get(zone) != name}
            for zone, name in wrong.items():
                await asyncio.to_thread(self.realm.command, "zones", "move", zone, "--node", self.realm.nodes[name].id)
            return not wrong and len(places) == 3

        await self.until(arranged, f"zones are arranged: {wanted}")
        await self.guarded()

    async def alone(self, name: str) -> None:
        """There is no node but that and the head."""
        for other in self.realm.nodes.keys() - {HEAD, name}:
            await asyncio.to_thread(self.realm.lose, other)

        async def settled() -> bool:
            return await self.places() == {MEADOW: name, HARBOUR: name, FOREST: name}

        await self.until(settled, "every zone is on the one node")

    async def spread(self) -> bool:
        """Whether no node has many more zones than another."""
        counts = Counter((await self.places()).values())
        return {counts[EAST], counts[WEST]} == {1, 2}


@pytest.fixture(scope="module")
def nodes() -> Iterator[NodesRealm]:
    with (
        tempfile.TemporaryDirectory(prefix="rr-", dir="/tmp") as folder,
        nodes_realm(Path(folder), CONFIG, (EAST, WEST)) as realm,
    ):
        yield realm


@pytest_asyncio.fixture(loop_scope="module")
async def stage(nodes: NodesRealm) -> AsyncIterator[Stage]:
    async with archive_of(nodes) as archive:
        yield Stage(nodes, archive)


async def test_zones_are_on_both_nodes_and_not_on_the_head(stage: Stage) -> None:
    owners = await stage.owners()
    places = {zone: stage.name_of(row) for zone, row in owners.items()}
    assert {zone: stage.realm.node_of(row["pid"]) for zone, row in owners.items()} == places
    assert sorted(Counter(places.values()).items()) in ([(EAST, 1), (WEST, 2)], [(EAST, 2), (WEST, 1)])
    assert stage.realm.node_of(await stage.archive.pid(SUPERVISOR)) in (EAST, WEST)
    await stage.guarded()


async def test_moved_under_players(stage: Stage) -> None:
    """One zone with a standby and one without."""
    await stage.arrange({MEADOW: EAST, HARBOUR: WEST, FOREST: WEST})
    async with crowd(stage.realm, stage.archive, ON_BOTH_SIDES) as players:
        for zone in (HARBOUR, MEADOW):
            before, since = (await stage.owners())[zone], time.monotonic()
            name = WEST if stage.name_of(before) == EAST else EAST
            async with begun(stage.realm, "zones", "move", zone, "--node", stage.realm.nodes[name].id):
                pass
            after = (await stage.owners())[zone]
            assert (stage.name_of(after), stage.realm.node_of(after["pid"]), after["role"]) == (name, name, "owner")
            assert after["epoch"] > before["epoch"]
            assert after["slot"] == 1 - before["slot"]
            await players.goes_on()
            told = [walker.owners[-1] for walker in players.walkers if walker.client.zone == zone]
            assert told == [(zone, after["epoch"])] * 3
            players.report(f"move of {zone}", since)
            await everyone_once(stage.archive, players)
        await stage.guarded()
        assert stage.realm.node_of(before["pid"]) == ""  # its former owner has ended


async def test_a_lost_node(stage: Stage) -> None:
    """Its zone with a standby is owned again at once; the one without comes back when Ray knows that the node is gone."""
    await stage.arrange({MEADOW: EAST, HARBOUR: EAST, FOREST: WEST})
    async with crowd(stage.realm, stage.archive, ON_BOTH_SIDES, kills_zones=True) as players:
        before = await stage.owners()
        standby = await stage.archive.pid(zone_actor(MEADOW, 1 - before[MEADOW]["slot"]))
        assert stage.realm.node_of(standby) == WEST
        lost_at = time.monotonic()
        lost = await asyncio.to_thread(stage.realm.lose, EAST)

        def owned(zone: str) -> bool:
            """Its players are told by a newer incarnation."""
            there = [walker for walker in players.walkers if walker.client.zone == zone]
            return all(walker.owners[-1][1] > before[zone]["epoch"] for walker in there)

        await until(lambda: owned(MEADOW), "the standby owns the meadow")
        assert not owned(HARBOUR)
        log.info("measured", what="the standby has taken over", after_ms=round((time.monotonic() - lost_at) * 1000))
        await until(lambda: owned(HARBOUR), "the harbour comes back", RETURNS_S)
        log.info("measured", what="the other zone is back", after_ms=round((time.monotonic() - lost_at) * 1000))
        await players.goes_on()
        players.report("node lost", lost_at)

        async def settled() -> bool:
            return await stage.places() == {MEADOW: WEST, HARBOUR: WEST, FOREST: WEST}

        await stage.until(settled, "every zone is on the other node")
        after = await stage.owners()
        assert after[MEADOW]["pid"] == standby
        assert after[FOREST]["pid"] == before[FOREST]["pid"]
        assert stage.realm.node_of(after[HARBOUR]["pid"]) == WEST
        await everyone_once(stage.archive, players)
        gone = await asyncio.to_thread(stage.realm.command, "zones", "move", FOREST, "--node", lost.id)
        assert (gone.returncode, gone.stdout) == (2, "")
        assert f"no node '{lost.id}' is there" in gone.stderr
        assert (await stage.archive.record()).progress is None


async def test_zones_are_spread_when_a_node_joins(stage: Stage) -> None:
    """By the policy, under players; and the standby goes where its owner is not."""
    await stage.alone(WEST)
    async with crowd(stage.realm, stage.archive, ON_BOTH_SIDES) as players:
        since = time.monotonic()
        await asyncio.to_thread(stage.realm.add, EAST)
        await stage.until(stage.spread, "the new node has zones")
        players.report("node joined", since)
        await stage.guarded()
        await players.goes_on()
        await everyone_once(stage.archive, players)
    last = (await stage.archive.record()).last
    assert last is not None
    assert (last.outcome, last.what.startswith("move ")) == ("done", True)


async def test_a_node_is_drained(stage: Stage) -> None:
    await stage.arrange({MEADOW: WEST, HARBOUR: EAST, FOREST: EAST})
    async with crowd(stage.realm, stage.archive, ON_BOTH_SIDES) as players:
        since, east = time.monotonic(), stage.realm.nodes[EAST]
        async with begun(stage.realm, "zones", "drain", "--node", east.id):
            pass
        assert await stage.places() == {MEADOW: WEST, HARBOUR: WEST, FOREST: WEST}
        players.report("node drained", since)
        await players.goes_on()
        await everyone_once(stage.archive, players)
        refused = await asyncio.to_thread(stage.realm.command, "zones", "move", FOREST, "--node", east.id)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "node drains" in refused.stderr
        assert "takes zones again" in await done(stage.realm, "zones", "drain", "--node", east.id, "--undo")
        await stage.until(stage.spread, "the node has zones again")
        await players.goes_on()
