"""Who is about to be handed over, and which zones have whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.bench.crew import Crew
from cluster.chaos import cast
from cluster.chaos.cast import CLOSE_M, Cast, Crossing
from cluster.chaos.history import History, read
from cluster.chaos.sight import Standing
from cluster.errors import Unavailable
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap

LAND = WorldMap(
    1,
    (
        MapZone("zon_a", "A", Bounds(min_x=0, min_z=0, max_x=10, max_z=10), "zon_a"),
        MapZone("zon_b", "B", Bounds(min_x=10, min_z=0, max_x=20, max_z=10), "zon_b"),
    ),
)


@dataclass
class Bot:
    """As much of a bot as is looked at here."""

    name: str
    zone: str | None
    x: float = 5.0
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = SimpleNamespace(zone=self.zone)

    @property
    def standing(self) -> Standing | None:
        return None if self.zone is None else Standing(f"ent_{self.name}", self.name, 1, self.zone, self.x, 5.0)


def cast_of(*bots: Bot) -> Cast:
    return Cast(list(bots), Crew(), 5.0)  # type: ignore[arg-type]


def test_who_stands_in_the_next_zone_and_is_not_its_own_yet() -> None:
    crew = cast_of(
        Bot("deep", "zon_a", 10.0 + CLOSE_M), Bot("near", "zon_a", 10.0 + CLOSE_M / 2), Bot("over", "zon_b", 12.0)
    )
    assert crew.crossing(LAND) == [Crossing("deep", "zon_a", "zon_b")]


def test_who_is_nowhere_or_off_the_land_crosses_nothing() -> None:
    assert cast_of(Bot("out", None), Bot("off", "zon_b", 25.0), Bot("old", "zon_gone", 5.0)).crossing(LAND) == []


def test_which_zones_have_whom() -> None:
    crew = cast_of(Bot("ann", "zon_a"), Bot("ben", "zon_b"), Bot("cid", None))
    assert crew.zones() == {"zon_a", "zon_b"}
    assert crew.in_zones({"zon_a"}) == {"ann"}


class TestCounting:
    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cast, "HEADS_PAUSE_S", 0.0)

    async def count(self, folder: Path, *answers: dict[str, list[str]] | None) -> list[list[str]]:
        """What the history says of ann, who is shown zon_a, after the store has said this, the last of it again and again."""
        history, left = History(folder / "history"), list(answers)

        async def holders() -> dict[str, list[str]]:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is None:
                raise Unavailable("redis")
            return answer

        await cast_of(Bot("ann", "zon_a"), Bot("cid", None)).count(holders, history, 0.05)
        history.close()
        return [event["zones"] for event in read(history.path) if event["k"] == "held" and event["zone"] == "zon_a"]

    async def test_one_zone_has_each(self, tmp_path: Path) -> None:
        assert await self.count(tmp_path, {"ent_ann": ["zon_a"], "ent_other": []}) == [["zon_a"]]

    async def test_what_is_on_its_way_may_settle(self, tmp_path: Path) -> None:
        assert await self.count(tmp_path, {}, None, {"ent_ann": ["zon_b"]}, {"ent_ann": ["zon_a"]}) == [["zon_a"]]

    async def test_but_not_for_ever(self, tmp_path: Path) -> None:
        assert await self.count(tmp_path, {"ent_ann": ["zon_a", "zon_b"]}) == [["zon_a", "zon_b"]]
        assert await self.count(tmp_path, None) == [[]]
