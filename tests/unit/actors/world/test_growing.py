"""Plans for zones that are added and removed, and for standbys: what they say, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actors.world import growing, planning
from actors.world.plans import Plan
from cluster.errors import Conflict, InvalidInput, NotFound
from cluster.operator_settings import ZoneTemplate
from cluster.world_settings import WorldSettings
from cluster.worldmap import WorldMap
from tests.unit.actors.world.lands import WEST, A, B, ground, row, seen, zone

WORLD = row(A, B)  # squares of 100 m along x
NOBODY = np.zeros((0, 2), np.float32)
WIDE = ZoneTemplate(name="Annex", width=150.0, depth=60.0)


def add(world: WorldMap = WORLD, beside: str = A, side: str = "north", **more: Any) -> Plan:
    given: dict[str, Any] = {"template": WIDE, "plan_id": "pln_1", "new_id": "zon_new", **more}
    return growing.add(world, given.pop("template"), "annex", beside, side, **given)


class TestAdd:
    @pytest.mark.parametrize(
        ("beside", "side", "there"),
        [
            (A, "north", (0, 100, 150, 160)),
            (A, "south", (0, -60, 150, 0)),
            (A, "west", (-150, 0, 0, 60)),
            (B, "east", (200, 0, 350, 60)),
        ],
    )
    def test_it_shares_that_side_from_the_lower_corner_on(
        self, beside: str, side: str, there: tuple[float, float, float, float]
    ) -> None:
        plan = add(beside=beside, side=side)
        new = plan.after.find("zon_new")
        assert new is not None
        assert new.bounds == ground(*there)
        assert beside in {near.id for near in plan.after.near("zon_new", 0.0)}

    def test_what_it_does(self) -> None:
        plan = add(node=WEST, name="East End")
        new = plan.after.find("zon_new")
        assert new is not None
        assert (new.name, new.declared, new.template, new.node, new.standby) == (
            "East End",
            "zon_new",
            "annex",
            WEST,
            False,
        )
        assert (plan.kind, plan.zones, plan.before, plan.after.version) == ("add", ("zon_new",), 7, 8)
        assert [step.name for step in plan.steps] == ["start", "await_owner", "commit", "tell"]
        assert "x 0 to 150 m, z 100 to 160 m" in plan.what
        assert Plan.from_dict(plan.as_dict()) == plan

    @pytest.mark.parametrize(
        ("of_template", "of_world", "is_so"), [(None, True, True), (None, False, False), (False, True, False)]
    )
    def test_its_standby_is_the_template_s_or_the_world_s(
        self, of_template: bool | None, of_world: bool, is_so: bool
    ) -> None:
        new = add(template=ZoneTemplate(standby=of_template), standby=of_world).after.find("zon_new")
        assert new is not None
        assert new.standby is is_so

    @pytest.mark.parametrize(
        ("more", "error"),
        [
            ({"side": "east"}, Conflict),  # there is zon_b
            ({"beside": "zon_x"}, NotFound),
            ({"side": "up"}, InvalidInput),
            ({"new_id": B, "side": "south"}, Conflict),
            ({"name": "a\nb"}, InvalidInput),
            ({"name": "n" * 41}, InvalidInput),
            ({"running": add()}, Conflict),
        ],
    )
    def test_what_is_refused(self, more: dict[str, Any], error: type[Exception]) -> None:
        with pytest.raises(error):
            add(**more)

    def test_the_ground_of_a_zone_that_goes_into_another_is_free(self) -> None:
        world = WORLD.changed(zone(A, 0, 0, 100, 100), zone(B, 100, 0, 200, 100, into=A))
        assert add(world, A, "east", template=ZoneTemplate()).after.find("zon_new") is not None

    def test_the_end_of_the_world(self) -> None:
        world = WorldMap(7, (zone(A, 999_900, 0, 1_000_000, 100),))
        with pytest.raises(Conflict, match="the world ends there"):
            add(world, A, "east")

    def test_a_template_that_is_not_there(self) -> None:
        assert growing.template_of({"annex": WIDE}, "annex") is WIDE
        with pytest.raises(NotFound, match="there are: annex"):
            growing.template_of({"annex": WIDE}, "castle")


class TestRemove:
    ADDED = WORLD.changed(zone("zon_new", 200, 0, 300, 100, template="annex"))

    def test_what_it_does(self) -> None:
        plan = growing.remove(self.ADDED, "zon_new", plan_id="pln_1", seen=seen("zon_new"))
        assert [known.id for known in plan.after] == [A, B]
        assert [step.name for step in plan.steps] == ["retire", "commit", "stop", "stop"]
        assert not plan.committed(1)

    @pytest.mark.parametrize(
        ("zone_id", "more", "why"),
        [
            (A, {}, "zone is declared"),
            ("zon_new", {"seen": None}, "zone does not answer"),
            ("zon_new", {"seen": seen("zon_new", population=1)}, "zone is not empty"),
            ("zon_new", {"running": add()}, "another plan runs"),
        ],
    )
    def test_what_is_refused(self, zone_id: str, more: dict[str, Any], why: str) -> None:
        given: dict[str, Any] = {"plan_id": "pln_1", "seen": seen(zone_id), **more}
        with pytest.raises(Conflict, match=why):
            growing.remove(self.ADDED, zone_id, **given)


class TestStandby:
    def test_it_holds_whatever_the_settings_say(self) -> None:
        settings = WorldSettings(standby=False)
        world = WorldMap.declared(settings)
        plan = growing.standby(world, "zon_meadow", True, plan_id="pln_1")
        after = plan.after.with_declared(settings)
        assert after == plan.after
        meadow = WorldMap.load(after.dump()).find("zon_meadow")
        assert meadow is not None
        assert (meadow.standby, meadow.ordered) == (True, True)
        off = growing.standby(after, "zon_meadow", False, plan_id="pln_2").after.with_declared(
            WorldSettings(standby=True)
        )
        meadow = off.find("zon_meadow")
        assert meadow is not None
        assert not meadow.standby

    def test_a_part_of_the_zone_goes_by_the_same_order(self) -> None:
        ordered = growing.standby(WORLD, A, True, plan_id="pln_1").after
        parts = planning.split(ordered, A, NOBODY, plan_id="pln_2", new_id="zon_new", min_side=20).after
        assert [(known.standby, known.ordered) for known in parts if known.id in (A, "zon_new")] == [(True, True)] * 2

    def test_what_is_so_already(self) -> None:
        ordered = growing.standby(WORLD, A, True, plan_id="pln_1").after
        with pytest.raises(Conflict, match="already so"):
            growing.standby(ordered, A, True, plan_id="pln_2")
        with pytest.raises(NotFound):
            growing.standby(WORLD, "zon_x", True, plan_id="pln_1")
