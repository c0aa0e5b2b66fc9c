"""`rayrealm gateways`, `rayrealm drain` and `rayrealm processes`: what they ask for, what they print, and how they end."""

from __future__ import annotations

import json

import pytest

from tests.unit.cluster.command_rig import CommandRig, run
from tests.unit.cluster.operations.world_rig import EAST, WEST, beat

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def rig(monkeypatch: Patch) -> CommandRig:
    made = CommandRig(chaos=True)
    made.take_over(monkeypatch)
    made.hear(
        beat("gateway", "gtw_a", EAST, 1, sockets=3, capacity=100, draining=False),
        beat("gateway", "gtw_b", WEST, 2, sockets=0, capacity=100, draining=True),
    )
    return made


class TestGateways:
    def test_list(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "gateways", "list") == 0
        assert capsys.readouterr().out == "gtw_a  3 of 100\ngtw_b  0 of 100  draining\n"
        assert rig.listened == [2]
        assert run(monkeypatch, "gateways", "list", "--json") == 0
        rows = json.loads(capsys.readouterr().out)["gateways"]
        assert [(row["gateway"], row["sockets"], row["capacity"], row["draining"]) for row in rows] == [
            ("gtw_a", 3, 100, False),
            ("gtw_b", 0, 100, True),
        ]

    def test_scale(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.on_pause = lambda: rig.hear(beat("gateway", "gtw_b", WEST, 2, sockets=0, capacity=100))
        assert run(monkeypatch, "gateways", "scale", "2") == 0
        assert rig.scaled == [("gateway", "Gateway", 2)]
        assert capsys.readouterr().out == "gtw_a  3 of 100\ngtw_b  0 of 100\n"

    def test_scale_without_serve(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.serve_is_away = True
        assert run(monkeypatch, "gateways", "scale", "2") == 1
        assert capsys.readouterr().err.splitlines()[-1] == "rayrealm: Ray Serve is not available"

    @pytest.mark.parametrize("count", ["0", "65", "many"])
    def test_wrong_counts(self, rig: CommandRig, monkeypatch: Patch, count: str) -> None:
        assert run(monkeypatch, "gateways", "scale", count) == 2
        assert rig.scaled == []


class TestDrain:
    def test_until_it_has_no_sockets(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.hear(beat("gateway", "gtw_c", WEST, 3))
        rig.on_pause = lambda: rig.hear(beat("gateway", "gtw_a", EAST, 1, sockets=0, draining=True))
        assert run(monkeypatch, "drain", "--gateway", "gtw_a", "--deadline", "5") == 0
        assert capsys.readouterr().out == "gtw_a: 3 sockets, 0 left after 0.2 s\n"

    def test_some_are_left(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        rig.on_pause = lambda: rig.hear(beat("gateway", "gtw_a", EAST, 1, sockets=2, draining=True))
        assert run(monkeypatch, "drain", "--node", "east", "--force", "--deadline", "1", "--json") == 1
        out, err = capsys.readouterr()
        assert json.loads(out)["gateways"][0]["left"] == 2
        assert err == "rayrealm: not every socket was given up in time\n"

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "say which"),
            (["--gateway", "gtw_a", "--node", "east"], "say which"),
            (["--gateway", "gtw_x"], "no gateway gtw_x is heard; there are: gtw_a, gtw_b"),
            (["--node", "south"], "no gateway runs on south; there are: east, west"),
            (["--gateway", "gtw_a"], "no other gateway would take the clients"),
        ],
    )
    def test_refused(
        self, rig: CommandRig, monkeypatch: Patch, capsys: Captured, arguments: list[str], said: str
    ) -> None:
        assert run(monkeypatch, "drain", *arguments) == 2
        assert said in capsys.readouterr().err

    def test_dry_run(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "drain", "--gateway", "gtw_a", "--force", "--dry-run") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "1. have the 3 clients of gtw_a connect elsewhere in gateway.drain_s"
        assert lines[1].startswith("note: no other gateway")


class TestProcesses:
    def test_list(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "processes", "list", "--kind", "gateway") == 0
        assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["gtw_a", "gtw_b"]

    def test_kill(self, rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
        assert run(monkeypatch, "processes", "kill", "gtw_a", "--dry-run") == 0
        assert "kill -9 gtw_a: pid 1 on east" in capsys.readouterr().out
        assert run(monkeypatch, "processes", "kill", "gtw_x") == 2
