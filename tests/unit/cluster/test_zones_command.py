"""`rayrealm zones`: what it asks the supervisor, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cluster import running
from cluster.adapters.memory.bus import MemoryBus
from cluster.cli import zones as command
from cluster.cli.main import main
from cluster.errors import Conflict, InvalidInput, NotFound, Ours, Unavailable
from cluster.processes_here import Process
from cluster.running import RunningRealm
from cluster.world_control import responder

TALK = command._talk  # the real one
EAST = "e" * 56
SUBJECT = "rayrealm-realm.world.control"
MEADOW: dict[str, Any] = {
    "zone": "zon_meadow",
    "name": "Meadow",
    "bounds": {"min_x": 0.0, "min_z": 0.0, "max_x": 200.0, "max_z": 100.5},
    "into": "",
    "role": "owner",
    "slot": 1,
    "node": EAST,
    "host": "east",
    "population": 12,
    "tick_ms_p95": 3.25,
}


class Supervisor:
    """Answers as the real one does; a plan needs `looks` looks at its state to end. `silent`: so many looks at it are never
    answered."""

    def __init__(self) -> None:
        self.zone_list = [dict(MEADOW)]
        self.asked: list[tuple[str, Any]] = []
        self.refusal: Exception | None = None
        self.outcome, self.why = "done", ""
        self.running = ""
        self.looks = 2
        self.vanishes = False
        self.away = 0
        self.silent = 0

    async def zones(self) -> list[dict[str, Any]]:
        if self.away:
            self.away -= 1
            raise Unavailable("zone/zon_meadow")
        found = [dict(zone) for zone in self.zone_list]
        if self.asked and self.asked[-1][0] == "drain":
            self.looks -= 1
            if self.looks <= 0:
                self.zone_list[0]["node"] = "w" * 56
        return found

    async def nodes(self) -> list[dict[str, Any]]:
        return [{"node": EAST, "host": "east", "zones": 1, "draining": True}]

    async def plan(self, kind: str, args: list[str]) -> str:
        self._refuse()
        self.asked.append(("plan", (kind, args)))
        return f"{kind} pln_0: would do it"

    async def execute(self, kind: str, args: list[str], plan_id: str) -> str:
        self._refuse()
        self.asked.append(("execute", (kind, args)))
        self.running = plan_id
        return f"{kind} {plan_id}: does it"

    async def drain(self, node: str, undo: bool) -> dict[str, str]:
        self._refuse()
        self.asked.append(("drain", (node, undo)))
        return {"node": EAST, "host": "east"}

    async def state(self) -> dict[str, Any]:
        if self.silent:
            self.silent -= 1
            await asyncio.Event().wait()
        self.looks -= 1
        ended = self.looks < 0 or not self.running
        plan = {
            "id": self.running,
            "text": "split pln_1: cut it",
            "steps": ["one", "two", "three"],
            "done": max(0, 2 - self.looks),
            "undoing": "",
        }
        last = {"id": self.running, "what": "cut it", "outcome": self.outcome, "why": self.why, "at": 1.0}
        return {
            "map_version": 7,
            "plan": None if ended else plan,
            "last": last if ended and self.running and not self.vanishes else None,
            "draining": [EAST],
            "policy": ["zon_meadow is quiet"],
        }

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def talk(self, _realm: RunningRealm, what: Callable[[Any], Awaitable[Any]]) -> Any:
        async def over_a_bus() -> Any:
            bus = MemoryBus()
            names = ("zones", "nodes", "plan", "execute", "drain", "state")
            await bus.respond(SUBJECT, responder({name: getattr(self, name) for name in names}))
            return await what(command.questions(bus, SUBJECT, lambda: 0.0))

        return asyncio.run(over_a_bus())


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Supervisor:
    """Of a realm that this process launched, as far as the command can tell."""
    for name in os.environ:
        if name.startswith("RAYREALM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    data = tmp_path / "data"
    data.mkdir()
    realm = RunningRealm.of_this_process("http://127.0.0.1:8000", data, "rayrealm-realm")
    running.register(realm, {}, running.folder())
    made = Supervisor()
    monkeypatch.setattr(command, "_talk", made.talk)
    monkeypatch.setattr(command, "PAUSE_S", 0.0)
    monkeypatch.setattr(
        command, "processes_of", lambda _: [Process("zone", "zone/zon_meadow/1", 4_711, "east-host", True)]
    )
    return made


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["rayrealm", "zones", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_realm_that_is_just_stopping(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_talk", TALK)
    assert run(monkeypatch, "plan") == 1
    assert capsys.readouterr().err == "rayrealm: http://127.0.0.1:8000 is just stopping\n"


class TestList:
    def test_json(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(monkeypatch, "list", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        (zone,) = said["zones"]
        assert zone["bounds"] == MEADOW["bounds"]
        assert (zone["population"], zone["slot"], zone["tick_ms_p95"]) == (12, 1, 3.25)
        assert (zone["pid"], zone["alive"], zone["node"], zone["node_id"]) == (4_711, True, "east-host", EAST)
        assert said["nodes"] == [{"node": EAST, "host": "east", "zones": 1, "draining": True}]

    def test_text(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.zone_list += [
            {**MEADOW, "zone": "zon_old", "into": "zon_meadow", "slot": 0},
            {**MEADOW, "zone": "zon_gone", "role": "away", "slot": 0, "node": "", "host": "", "population": -1},
        ]
        assert run(monkeypatch, "list") == 0
        lines = capsys.readouterr().out.splitlines()
        assert "x 0..200  z 0..100.5" in lines[0]
        assert "12 entities, ticks 3.2 ms" in lines[0]
        assert lines[0].endswith("pid 4711  east-host")
        assert "goes into zon_meadow" in lines[1]
        assert " away " in lines[2]
        assert lines[3] == f"node {EAST[:12]}  east  1 zones  draining"


class TestPlans:
    @pytest.mark.parametrize(
        ("arguments", "asked"),
        [
            (["split", "zon_a"], ("split", ["zon_a"])),
            (["merge", "zon_a", "zon_b"], ("merge", ["zon_a", "zon_b"])),
            (["move", "zon_a", "--node", "east"], ("move", ["zon_a", "east"])),
            (["restart", "zon_a"], ("restart", ["zon_a"])),
        ],
    )
    def test_carried_out(
        self,
        supervisor: Supervisor,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        asked: tuple[str, list[str]],
    ) -> None:
        assert run(monkeypatch, *arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{asked[0]} {supervisor.running}: does it"
        assert lines[1:] == ["  done: one", "  done: two", "done"]
        assert supervisor.asked == [("execute", asked)]
        assert supervisor.running.startswith("pln_")

    def test_an_answer_that_is_lost_with_the_supervisor(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(command, "LOOK_S", 0.02)
        supervisor.silent = 2
        assert run(monkeypatch, "split", "zon_a") == 0
        assert capsys.readouterr().out.splitlines()[-1] == "done"

    def test_dry_run(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(monkeypatch, "split", "zon_a", "--dry-run") == 0
        assert supervisor.asked == [("plan", ("split", ["zon_a"]))]
        assert capsys.readouterr().out == "split pln_0: would do it\n"

    def test_rolled_back(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.outcome, supervisor.why = "rolled back", "it does not start"
        assert run(monkeypatch, "split", "zon_a") == 1
        assert capsys.readouterr().err == "rayrealm: rolled back: it does not start\n"

    def test_not_in_time(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.looks = 1_000_000
        assert run(monkeypatch, "split", "zon_a", "--wait", "0") == 1
        assert "it goes on, see `rayrealm zones plan`" in capsys.readouterr().err

    def test_a_plan_that_was_taken_back(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.vanishes, supervisor.looks = True, 0
        assert run(monkeypatch, "split", "zon_a") == 1
        assert "is not there any more" in capsys.readouterr().err

    @pytest.mark.parametrize("more", [[], ["--dry-run"]])
    @pytest.mark.parametrize(
        ("refusal", "code", "said"),
        [
            (NotFound("no_such_zone", "no zone 'zon_x' is there"), 2, "no zone 'zon_x' is there"),
            (InvalidInput([("zone", "nonsense")]), 2, "zone: nonsense"),
            (Conflict("zone_too_small", {"x": 10.0, "at_least": 80.0}), 1, "zone too small: x 10.0, at_least 80.0"),
            (Conflict("another_plan_runs"), 1, "another plan runs"),
            (Ours("broken"), 1, "Ours: broken"),
        ],
    )
    def test_refused(
        self,
        supervisor: Supervisor,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        refusal: Exception,
        code: int,
        said: str,
        more: list[str],
    ) -> None:
        supervisor.refusal = refusal
        assert run(monkeypatch, "split", "zon_x", *more) == code
        assert capsys.readouterr() == ("", f"rayrealm: {said}\n")

    @pytest.mark.parametrize("arguments", [["split"], ["merge", "zon_a"], ["move", "zon_a"], ["drain"], ["burn"]])
    def test_wrong_usage(self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
        assert run(monkeypatch, *arguments) == 2
        assert supervisor.asked == []


class TestDrain:
    def test_until_the_node_is_empty(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.away = 1  # asked again
        assert run(monkeypatch, "drain", "--node", "east") == 0
        assert supervisor.asked == [("drain", ("east", False))]
        assert capsys.readouterr().out == "east has no zones\n"

    def test_not_in_time(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.looks = 1_000_000
        assert run(monkeypatch, "drain", "--node", "east", "--wait", "0") == 1
        assert "1 zones are still on east" in capsys.readouterr().err

    def test_a_zone_that_is_away_may_be_there(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.zone_list[0].update(role="away", node="")
        assert run(monkeypatch, "drain", "--node", "east", "--wait", "0") == 1

    def test_undo(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(monkeypatch, "drain", "--node", "east", "--undo") == 0
        assert supervisor.asked == [("drain", ("east", True))]
        assert capsys.readouterr().out == "east takes zones again\n"

    def test_no_such_node(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.refusal = NotFound("no_such_node", "no node 'x' is there; there are: east")
        assert run(monkeypatch, "drain", "--node", "x") == 2


class TestPlan:
    def test_what_is_being_carried_out(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.running = "pln_1"
        assert run(monkeypatch, "plan") == 0
        assert capsys.readouterr().out.splitlines() == [
            "map 7",
            "split pln_1: cut it",
            "  1 of 3 steps are done",
            f"draining: {EAST}",
            "policy: zon_meadow is quiet",
        ]

    def test_how_the_last_one_ended(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        supervisor.running, supervisor.looks, supervisor.outcome, supervisor.why = "pln_1", 0, "rolled back", "late"
        assert run(monkeypatch, "plan") == 0
        assert "last: cut it: rolled back: late" in capsys.readouterr().out.splitlines()

    def test_json(
        self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(monkeypatch, "plan", "--json") == 0
        assert json.loads(capsys.readouterr().out)["plan"] is None
