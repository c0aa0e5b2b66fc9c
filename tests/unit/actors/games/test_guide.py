"""The code in docs/games.md works (row 7.6)."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from actors.games.api import Game
from cluster.errors import InvalidInput, InvalidState
from tests.unit.actors.game_rig import Rig

GUIDE = Path(__file__).parents[4] / "docs/games.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_the_first_game() -> None:
    found: dict[str, Any] = {}
    exec(BLOCKS[0], found)  # noqa: S102 - our own
    rig = Rig(found["Lanterns"]).start()
    assert [entity.name for entity in rig.game.entities("item")] == ["Well"]
    ann = rig.enter("ann")
    rig.enter("bob", 55.0)
    assert [rig.do("ann", "light") for _ in range(3)] == [{"oil": 2}, {"oil": 1}, {"oil": 0}]
    assert ann.properties["lit"] is True
    [(_, told, _)] = rig.events()
    assert told == ["ses_ann", "ses_bob"] * 3
    for kind, reason in (("light", "no_oil"), ("dance", "not_understood")):
        with pytest.raises(InvalidState) as refused:
            rig.do("ann", kind)
        assert refused.value.reason == reason
    delta = {"entity_id": "ent_ann", "version": ann.version, "properties": {"oil": 99}}
    with pytest.raises(InvalidInput):
        rig.ask("ann", "state.sync.delta", delta)
    again = Rig(found["Lanterns"], epoch=2)
    record = rig.zone.record("ent_well_zon_test")
    assert record is not None
    again.zone.restore([record], b"", 0.0, 0.0)
    again.start()
    assert len(list(again.game.entities("item"))) == 1


def test_shots() -> None:
    found: dict[str, Any] = {}
    exec(BLOCKS[1], found)  # noqa: S102 - our own
    rig = Rig(type("Shooting", (Game,), {"on_message": found["on_message"]})).start()
    rig.enter("ann", 50.0, 50.0)
    bob = rig.enter("bob", 60.0, 50.0)
    rig.tick(2)
    assert rig.do("ann", "shoot", yaw=math.pi / 2) == {"hit": "ent_bob"}
    assert rig.do("ann", "shoot", yaw=0.0) == {"hit": None}
    assert bob.properties["health"] == 90


def test_every_hook_and_everything_that_a_zone_offers_is_told() -> None:
    from actors.zone.game_entity import GameEntity
    from actors.zone.game_zone import GameZone

    text = GUIDE.read_text()
    names = [name for kind in (Game, GameZone, GameEntity) for name in vars(kind) if not name.startswith("_")]
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
