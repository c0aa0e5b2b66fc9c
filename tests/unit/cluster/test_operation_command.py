"""`rayrealm do` and `rayrealm operations`: every operation by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster.cli.operation import read
from cluster.errors import StartRefused
from cluster.operations.all import registry
from tests.unit.cluster.command_rig import CommandRig, run
from tests.unit.cluster.operations.world_rig import zone_beat

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def rig(monkeypatch: Patch) -> CommandRig:
    made = CommandRig()
    made.take_over(monkeypatch)
    made.hear(zone_beat("zon_a", population=3))
    return made


def test_a_look_and_an_action(rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
    assert run(monkeypatch, "do", "zones.list", "q=zon_a", "limit=5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["zones"][0]["population"] == 3
    assert run(monkeypatch, "do", "zones.standby", "zone=zon_a", "on=false", "--json") == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "done"
    assert rig.supervisor.begun == [("standby", ["zon_a", "off"])]
    assert run(monkeypatch, "do", "zones.split", "zone=zon_a", "--dry-run") == 0
    assert len(rig.supervisor.begun) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["zones.burn"],
        ["zones.split", "zon_a"],
        ["zones.split", "colour=red"],
        ["zones.list", "--dry-run"],
        ["zones.split"],
    ],
)
def test_wrong_usage(rig: CommandRig, monkeypatch: Patch, arguments: list[str]) -> None:
    assert run(monkeypatch, "do", *arguments) == 2
    assert rig.supervisor.begun == []


@pytest.mark.parametrize(
    ("operation", "given", "params"),
    [
        ("zones.split", ["zone=123"], {"zone": "123"}),  # a text stays one
        ("zones.add", ["name=true", "side=east"], {"name": "true", "side": "east"}),
        ("zones.add", ["name=null"], {"name": None}),
        ("zones.standby", ["on=true"], {"on": True}),
        ("gateways.scale", ["count=3"], {"count": 3}),
        (
            "gateways.drain",
            ["gateways=gtw_a,gtw_b", "deadline_s=2.5"],
            {"gateways": ["gtw_a", "gtw_b"], "deadline_s": 2.5},
        ),
        ("gateways.drain", ['gateways=["gtw_a"]'], {"gateways": ["gtw_a"]}),
        ("zones.split", ["zone=a=b"], {"zone": "a=b"}),
    ],
)
def test_what_it_is_given(operation: str, given: list[str], params: dict[str, Any]) -> None:
    assert read(registry().operations[operation], given) == params


def test_what_there_is(rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
    assert run(monkeypatch, "operations", "--json") == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["operations"]}
    assert found.keys() == registry().operations.keys()
    assert (found["zones.split"]["kind"], found["zones.split"]["role"]) == ("action", "operator")
    assert found["zones.split"]["params"] == [{"name": "zone", "needed": True}]
    assert run(monkeypatch, "operations") == 0
    assert "zones.split" in capsys.readouterr().out


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(StartRefused, match="it is given: zone"):
        read(registry().operations["zones.split"], ["zoe=zon_a"])
