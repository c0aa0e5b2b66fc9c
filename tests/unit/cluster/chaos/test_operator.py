"""What the operator's hand asks the supervisor for, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.chaos import operator
from cluster.chaos.operator import Operator
from cluster.errors import Conflict, InvalidInput, Ours, Unavailable
from cluster.mapwatch import MapWatch
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap


def ground(name: str, x: float, z: float, wide: float = 10.0, high: float = 10.0, into: str = "") -> MapZone:
    bounds = Bounds(min_x=x, min_z=z, max_x=x + wide, max_z=z + high)
    return MapZone(name, name, bounds, name, into=into)


LAND = WorldMap(3, (ground("zon_a", 0, 0), ground("zon_b", 10, 0), ground("zon_wide", 0, 10, 20, 15)))


class Supervisor:
    """Answers from a script; a plan is done as soon as it was begun, unless `outcome` says otherwise."""

    def __init__(self, *refusals: Exception | None) -> None:
        self.begun: list[tuple[str, list[str]]] = []
        self.refusals = list(refusals)
        self.outcome = "done"
        self.nodes: list[dict[str, Any]] = [{"node": "n1", "draining": False}]
        self.last: dict[str, Any] | None = None

    async def ask(self, method: str, **params: Any) -> Any:
        match method:
            case "state":
                return {"map_version": 3, "last": self.last}
            case "zones":
                return [{"zone": zone.id, "node": "n1"} for zone in LAND]
            case "nodes":
                return self.nodes
        self.begun.append((params["kind"], params["args"]))
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal
        self.last = {"id": params["plan_id"], "what": "it", "outcome": self.outcome, "why": "so"}
        return "begun"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "PAUSE_S", 0.0)


def hand(supervisor: Supervisor, world: WorldMap = LAND) -> Operator:
    return Operator(supervisor.ask, MapWatch(world))


async def test_a_split_of_a_zone_with_players() -> None:
    supervisor = Supervisor()
    done = await hand(supervisor).split(0.9, {"zon_a", "zon_b"})
    assert supervisor.begun == [("split", ["zon_b"])]
    assert done.what == "it"
    assert done.zones == {"zon_b"}


async def test_one_that_is_too_narrow_is_left_for_the_widest() -> None:
    supervisor = Supervisor(Conflict("zone_too_small"))
    done = await hand(supervisor).split(0.0, {"zon_a"})
    assert supervisor.begun == [("split", ["zon_a"]), ("split", ["zon_wide"])]
    assert done.zones == {"zon_wide"}


async def test_no_zone_can_be_split() -> None:
    with pytest.raises(Ours, match="no split: zon_b: zone too small"):
        await hand(Supervisor(*[Conflict("zone_too_small")] * 3)).split(0.0, set())


async def test_a_merge_of_two_with_a_common_edge() -> None:
    supervisor = Supervisor()
    done = await hand(supervisor).merge(0.5)
    assert supervisor.begun == [("merge", ["zon_a", "zon_b"])]
    assert done.zones == {"zon_a", "zon_b"}


async def test_who_has_no_ground_is_left_alone() -> None:
    world = WorldMap(3, (ground("zon_a", 0, 0), ground("zon_b", 10, 0, into="zon_a")))
    with pytest.raises(Ours, match="nothing to choose from"):
        await hand(Supervisor(), world).merge(0.0)


async def test_a_move_to_another_node_or_else_to_another_process() -> None:
    supervisor = Supervisor()
    await hand(supervisor).move(0.0, {"zon_b"})
    supervisor.nodes += [{"node": "n2", "draining": True}, {"node": "n3", "draining": False}]
    done = await hand(supervisor).move(0.0, {"zon_b"})
    assert supervisor.begun == [("restart", ["zon_b"]), ("move", ["zon_b", "n3"])]
    assert done.zones == {"zon_b"}


async def test_what_is_busy_or_away_is_asked_again() -> None:
    supervisor = Supervisor(Unavailable("supervisor"), Conflict("another_plan_runs"), Conflict("the_map_has_changed"))
    await hand(supervisor).split(0.0, {"zon_a"})
    assert supervisor.begun == [("split", ["zon_a"])] * 4


async def test_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "BUSY_S", 0.01)
    with pytest.raises(Ours, match="supervisor is not available"):
        await hand(Supervisor(*[Unavailable("supervisor")] * 100_000)).split(0.0, {"zon_a"})
    with pytest.raises(Ours, match="nobody tells of map 3"):
        await hand(Supervisor(), WorldMap(2, ())).merge(0.0)


async def test_a_plan_that_is_rolled_back_is_a_finding() -> None:
    supervisor = Supervisor()
    supervisor.outcome = "rolled back"
    with pytest.raises(Ours, match="rolled back: so"):
        await hand(supervisor).merge(0.0)


async def test_nonsense_is_not_asked_again() -> None:
    supervisor = Supervisor(InvalidInput([("zone", "no")]))
    with pytest.raises(Ours, match="no merge"):
        await hand(supervisor).merge(0.0)
    assert len(supervisor.begun) == 1
