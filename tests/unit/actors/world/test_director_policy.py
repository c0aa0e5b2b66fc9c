"""The policy's decisions, carried out; and nodes that drain."""

from __future__ import annotations

import pytest

from actors.world import telling
from cluster.errors import Conflict
from tests.unit.actors.world.lands import EAST, NODES, WEST, A, B, C
from tests.unit.actors.world.stage import Stage, opened, settings


async def look(stage: Stage, seconds: float) -> None:
    until = stage.now + seconds
    while stage.now < until:
        stage.now += 5.0
        await stage.crew.check()
        await stage.director.consider()
        if stage.ledger.record.progress is not None:
            await stage.ended()


async def test_a_hot_zone_is_split_and_merged_when_it_is_quiet() -> None:
    stage = await opened(split_population=20)
    stage.actors["zone/zon_a"].work = 50.0
    await look(stage, 30.0)
    assert len(stage.names()) == 2
    await look(stage, 20.0)
    assert stage.names() == ["zone/zon_a", "zone/zon_a_2", "zone/zon_b"]
    assert stage.ledger.record.last is not None
    stage.actors["zone/zon_a"].work = 1.0
    await look(stage, 90.0)
    assert len(stage.names()) == 3
    await look(stage, 80.0)
    assert stage.names() == ["zone/zon_a", "zone/zon_b"]


async def test_a_cut_that_would_not_help_is_not_made() -> None:
    stage = await opened(split_population=20)
    stage.entities[A] = [(50.0, 50.0)] * 40
    stage.actors["zone/zon_a"].work = 50.0
    await look(stage, 200.0)
    assert len(stage.names()) == 2
    with pytest.raises(Conflict, match="would not help"):
        await stage.director.plan("split", [A], min_share=0.1)


async def test_off() -> None:
    stage = await opened(split_population=20, enabled=False)
    stage.actors["zone/zon_a"].work = 50.0
    await look(stage, 200.0)
    assert len(stage.names()) == 2
    assert telling.state(stage.ledger.record, stage.director.verdict.reasons)["policy"] == [
        "world.policy.enabled is off"
    ]


async def test_a_node_is_emptied_by_command_and_gets_nothing_more() -> None:
    stage = await opened(A, B, C, nodes=True, enabled=False)
    there = [name for name, zone in stage.actors.items() if zone.node == EAST]
    assert there
    await stage.crew.check()
    assert (await stage.director.drain("east")).id == EAST
    assert stage.ledger.record.draining == {EAST}
    assert [node.id for node in stage.crew.nodes if node.draining and node.by_command] == [EAST]
    await look(stage, 60.0)
    assert {zone.node for zone in stage.actors.values()} == {WEST}
    with pytest.raises(Conflict, match="node drains"):
        await stage.director.plan("move", [A, "east"])
    await stage.restart()
    assert stage.ledger.record.draining == {EAST}
    await stage.director.drain("east", undo=True)
    assert stage.ledger.record.draining == frozenset()
    assert not any(node.draining for node in stage.crew.nodes), "whoever looks right afterwards sees it"


async def test_a_plan_that_runs_does_not_forget_the_draining_node() -> None:
    stage = await opened(nodes=True)
    plan = await stage.director.plan("split", [A])
    await stage.director.execute(plan)
    await stage.director.drain("east")
    await stage.ended()
    assert stage.ledger.record.draining == {EAST}
    assert stage.ledger.record.map.find("zon_a_2") is not None


async def test_a_node_that_has_ended_is_forgotten() -> None:
    stage = await opened(nodes=True, enabled=False)
    await stage.director.drain("east")
    stage.hosts.there = [node for node in NODES if node.id != EAST]
    await look(stage, 5.0)
    assert stage.ledger.record.draining == frozenset()


async def test_zones_are_spread_when_a_node_joins() -> None:
    stage = Stage(settings(A, B, C, "zon_d"), NODES[:2])
    await stage.start()
    await look(stage, 5.0)
    assert {zone.node for zone in stage.actors.values()} == {EAST}
    stage.hosts.there = list(NODES)
    await look(stage, 30.0)
    nodes = [zone.node for zone in stage.actors.values()]
    assert (nodes.count(EAST), nodes.count(WEST)) == (2, 2)
