"""`rayrealm zones` and `rayrealm nodes`: what they ask for, what they print, and how they end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster.errors import Conflict, InvalidInput, NotFound, Ours
from tests.unit.cluster.command_rig import CommandRig, run
from tests.unit.cluster.operations.world_rig import EAST, WEST, map_zone, zone_beat

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def rig(monkeypatch: Patch) -> CommandRig:
    made = CommandRig()
    made.take_over(monkeypatch)
    made.hear(zone_beat("zon_a", 1, EAST, pid=4_711, population=12, tick_ms_p95=3.25, map_version=7))
    return made


class TestList:
    def test_json(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "zones", "list", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        zone, away = said["zones"]
        assert zone["bounds"] == {"min_x": 0.0, "min_z": 0.0, "max_x": 100.0, "max_z": 100.0}
        assert (zone["population"], zone["slot"], zone["tick_ms_p95"], zone["map_version"]) == (12, 1, 3.25, 7)
        assert (zone["pid"], zone["alive"], zone["node"], zone["node_id"]) == (4_711, True, "east", EAST)
        assert (away["pid"], away["alive"], away["node"], away["role"]) == (None, False, None, "away")
        assert [(node["node"], node["host"], node["zones"]) for node in said["nodes"]] == [
            (EAST, "east", 1),
            (WEST, "west", 0),
        ]
        assert rig.listened == [1, 1]

    def test_text(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.supervisor.zones.append(map_zone("zon_old", into="zon_a"))
        rig.supervisor.draining = [EAST]
        assert run(monkeypatch, "zones", "list") == 0
        lines = capsys.readouterr().out.splitlines()
        assert "x 0..100  z 0..100" in lines[0]
        assert "12 entities, ticks 3.2 ms" in lines[0]
        assert lines[0].endswith("pid 4711  east")
        assert " away " in lines[1]
        assert "goes into zon_a" in lines[2]
        assert lines[3] == f"node {EAST[:12]}  east  1 zones  draining"

    def test_more_than_a_page(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.supervisor.zones = [map_zone(f"zon_{n:04}") for n in range(1_001)]
        assert run(monkeypatch, "zones", "list", "--json") == 0
        zones = json.loads(capsys.readouterr().out)["zones"]
        assert [zone["zone"] for zone in zones] == [f"zon_{n:04}" for n in range(1_001)]

    def test_one(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "zones", "show", "zon_a") == 0
        assert "zone/zon_a/1" in capsys.readouterr().out
        assert run(monkeypatch, "zones", "show", "zon_x") == 2


class TestPlans:
    @pytest.mark.parametrize(
        ("arguments", "begun"),
        [
            (["split", "zon_a"], ("split", ["zon_a"])),
            (["merge", "zon_a", "zon_b"], ("merge", ["zon_a", "zon_b"])),
            (["move", "zon_a", "--node", "east"], ("move", ["zon_a", "east"])),
            (["restart", "zon_a"], ("restart", ["zon_a"])),
            (["standby", "zon_a", "--off"], ("standby", ["zon_a", "off"])),
            (["add", "meadow", "--beside", "zon_a", "--side", "east"], ("add", ["meadow", "zon_a", "east", ""])),
            (["remove", "zon_a"], ("remove", ["zon_a"])),
        ],
    )
    def test_carried_out(
        self,
        rig: CommandRig,
        monkeypatch: Patch,
        capsys: Captured,
        arguments: list[str],
        begun: tuple[str, list[str]],
    ) -> None:
        assert run(monkeypatch, "zones", *arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "  done: start it" in lines
        assert lines[-1] == "done"
        assert rig.supervisor.begun == [begun]

    def test_json(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "zones", "split", "zon_a", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"outcome": "done", "why": "", "zones": ["zon_a"]}

    def test_dry_run(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "zones", "split", "zon_a", "--dry-run") == 0
        assert rig.supervisor.begun == []
        assert capsys.readouterr().out.splitlines()[0] == "1. split zon_a"
        assert run(monkeypatch, "zones", "remove", "zon_a", "--dry-run", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["steps"][0], len(said["warnings"])) == ("remove zon_a", 1)

    def test_rolled_back(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.supervisor.outcome, rig.supervisor.why = "rolled back", "it does not start"
        assert run(monkeypatch, "zones", "split", "zon_a") == 1
        assert capsys.readouterr().err == "rayrealm: rolled back: it does not start\n"

    def test_not_in_time(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.supervisor.looks = 1_000_000
        assert run(monkeypatch, "zones", "split", "zon_a", "--wait", "0") == 1
        assert capsys.readouterr().err == "rayrealm: not done after 0 s; what has begun goes on\n"

    @pytest.mark.parametrize("more", [[], ["--dry-run"]])
    @pytest.mark.parametrize(
        ("refusal", "code", "said"),
        [
            (NotFound("no_such_zone", "no zone 'zon_x' is there"), 2, "no zone 'zon_x' is there"),
            (InvalidInput([("zone", "nonsense")]), 2, "zone: nonsense"),
            (Conflict("zone_too_small", {"x": 10.0, "at_least": 80.0}), 1, "zone too small: x 10.0, at_least 80.0"),
            (Conflict("another_plan_runs"), 1, "another plan runs"),
            (Ours("broken"), 1, "broken"),
        ],
    )
    def test_refused(
        self,
        rig: CommandRig,
        monkeypatch: Patch,
        capsys: Captured,
        refusal: Exception,
        code: int,
        said: str,
        more: list[str],
    ) -> None:
        rig.supervisor.refusal = refusal
        assert run(monkeypatch, "zones", "split", "zon_x", *more) == code
        assert capsys.readouterr().err == f"rayrealm: {said}\n"

    @pytest.mark.parametrize("arguments", [["split"], ["merge", "zon_a"], ["move", "zon_a"], ["drain"], ["burn"]])
    def test_wrong_usage(self, rig: CommandRig, monkeypatch: Patch, arguments: list[str]) -> None:
        assert run(monkeypatch, "zones", *arguments) == 2
        assert rig.supervisor.begun == []


class TestDrain:
    @pytest.mark.parametrize("command", [["zones", "drain", "--node"], ["nodes", "drain"]])
    def test_until_the_node_is_empty(
        self, rig: CommandRig, monkeypatch: Patch, capsys: Captured, command: list[str]
    ) -> None:
        rig.on_pause = lambda: rig.hear(zone_beat("zon_a", 0, WEST, epoch=2), zone_beat("zon_b", 0, WEST, pid=2))
        assert run(monkeypatch, *command, "east") == 0
        assert rig.supervisor.draining == [EAST]
        assert capsys.readouterr().out.splitlines()[-1] == "east has no zones"

    def test_not_in_time(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "zones", "drain", "--node", "east", "--wait", "0") == 1
        assert "what has begun goes on" in capsys.readouterr().err

    @pytest.mark.parametrize("command", [["zones", "drain", "--undo", "--node"], ["nodes", "undrain"]])
    def test_undo(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured, command: list[str]) -> None:
        rig.supervisor.draining = [EAST]
        assert run(monkeypatch, *command, "east") == 0
        assert rig.supervisor.draining == []
        assert capsys.readouterr().out == "east takes zones again\n"

    def test_no_such_node(self, rig: CommandRig, monkeypatch: Patch) -> None:
        assert run(monkeypatch, "zones", "drain", "--node", "x") == 2

    def test_nodes(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "nodes", "list") == 0
        assert "1 zones, 0 gateways, 1 processes" in capsys.readouterr().out.splitlines()[0]


class TestPlan:
    def test_what_is_being_carried_out(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        plan = {"id": "pln_1", "text": "split pln_1: cut it", "steps": ["a", "b", "c"], "done": 1, "undoing": ""}
        state = {"map_version": 7, "plan": plan, "last": None, "draining": [EAST], "policy": ["zon_a is quiet"]}
        monkeypatch.setattr(rig.supervisor, "on_state", lambda: state)
        assert run(monkeypatch, "zones", "plan") == 0
        assert capsys.readouterr().out.splitlines() == [
            "map 7",
            "split pln_1: cut it",
            "  1 of 3 steps are done",
            f"draining: {EAST}",
            "policy: zon_a is quiet",
        ]

    def test_how_the_last_one_ended(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        last = {"id": "pln_1", "what": "cut it", "outcome": "rolled back", "why": "late"}
        state: dict[str, Any] = {"map_version": 7, "plan": None, "last": last, "draining": [], "policy": []}
        monkeypatch.setattr(rig.supervisor, "on_state", lambda: state)
        assert run(monkeypatch, "zones", "plan") == 0
        assert "last: cut it: rolled back: late" in capsys.readouterr().out.splitlines()

    def test_json(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "zones", "plan", "--json") == 0
        assert json.loads(capsys.readouterr().out)["plan"] is None
