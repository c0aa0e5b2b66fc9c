"""What `rayrealm chaos` prints and returns."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cluster.bench.realm_under_test import Member
from cluster.chaos import drill, planting
from cluster.chaos.cli import Wish, chaos
from cluster.chaos.inside import victim
from cluster.chaos.schedule import KINDS, kinds_for, plan
from cluster.chaos.verdict import NAMES
from cluster.errors import Ours, StartRefused


def wish(**changes: Any) -> Wish:
    told = {
        "seed": 1,
        "seconds": 30.0,
        "bots": 4,
        "gateways": 2,
        "kinds": None,
        "plant": None,
        "history": None,
        "url": None,
    }
    return Wish(**told | changes)


def result(**changes: Any) -> dict[str, Any]:
    return (
        {"seed": 1, "good": True, "over_the_bar": [], "faults": [], "violations": []}
        | dict.fromkeys(NAMES, 0)
        | changes
    )


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the drill, whose result is the last element's."""
    given: list[Any] = [result()]

    def run(order: Any, *args: Any) -> dict[str, Any]:
        given.insert(0, (order, *args[:-1]))
        return dict(given[-1])

    monkeypatch.setattr(drill, "run_own", run)
    monkeypatch.setattr(drill, "run_at", run)
    return given


def test_the_plan_is_printed_and_nothing_done(capsys: pytest.CaptureFixture[str], orders: list[Any]) -> None:
    assert chaos(wish(), plan_only=True, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["faults"] == [fault.as_dict() for fault in plan(1, 30.0, kinds_for(own=True))]
    assert chaos(wish(), plan_only=True) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(told["faults"])
    assert len(orders) == 1


def test_a_good_run_is_one_json_object(capsys: pytest.CaptureFixture[str], orders: list[Any]) -> None:
    assert chaos(wish(kinds=["zone"]), as_json=True) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == result()
    assert err == ""
    (order,) = orders[0]
    assert {fault.kind for fault in order.faults} == {"zone"}
    assert order.environment == {}


def test_a_broken_promise_is_exit_code_1(capsys: pytest.CaptureFixture[str], orders: list[Any]) -> None:
    orders[-1] = result(good=False, gaps=2)
    assert chaos(wish()) == 1
    assert "gaps" in capsys.readouterr().out


def test_slow_is_said_and_no_failure(capsys: pytest.CaptureFixture[str], orders: list[Any]) -> None:
    orders[-1] = result(over_the_bar=["zone: p50 9 s"])
    assert chaos(wish()) == 0
    assert capsys.readouterr().err == "slower than promised: zone: p50 9 s\n"


def test_a_foreign_realm_is_spared_what_it_cannot_bear(orders: list[Any]) -> None:
    assert chaos(wish(url="http://there", seconds=200.0)) == 0
    order, url = orders[0]
    assert url == "http://there"
    assert not any(KINDS[fault.kind].own for fault in order.faults)
    with pytest.raises(StartRefused, match="not possible here: redis_slow"):
        chaos(wish(url="http://there", kinds=["redis_slow"]))
    with pytest.raises(StartRefused, match="not possible here: earthquake"):
        chaos(wish(kinds=["earthquake"]))


def test_with_standbys(orders: list[Any]) -> None:
    assert chaos(wish(standby=True, seconds=200.0)) == 0
    (order,) = orders[0]
    assert order.standby
    assert {fault.kind for fault in order.faults} >= {"standby", "freeze", "split", "merge", "move"}
    assert "zone" not in {fault.kind for fault in order.faults}
    with pytest.raises(StartRefused, match="not possible here: standby"):
        chaos(wish(kinds=["standby"]))
    with pytest.raises(StartRefused, match="not possible here: zone"):
        chaos(wish(kinds=["zone"], standby=True))


class TestPlanting:
    def test_the_realm_is_told(
        self, monkeypatch: pytest.MonkeyPatch, orders: list[Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PYTHONPATH", "/elsewhere")
        orders[-1] = result(good=False, double_owners=3, gaps=1)
        assert chaos(wish(plant="skip_epoch_check"), as_json=True) == 1
        (order,) = orders[0]
        assert order.environment[planting.VARIABLE] == "skip_epoch_check"
        folder, elsewhere = order.environment["PYTHONPATH"].split(os.pathsep)
        assert (Path(folder) / "sitecustomize.py").is_file()
        assert elsewhere == "/elsewhere"
        told = json.loads(capsys.readouterr().out)
        assert (told["plant"], told["caught_by"]) == ("skip_epoch_check", ["double_owners"])

    def test_one_that_is_not_found_is_said(self, orders: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
        assert chaos(wish(plant="forget_outbox")) == 0
        assert "planted forget_outbox: NOT CAUGHT" in capsys.readouterr().err

    @pytest.mark.parametrize("changes", [{"plant": "weeds"}, {"plant": "forget_outbox", "url": "http://there"}])
    def test_only_what_there_is_and_only_in_a_realm_of_our_own(
        self, changes: dict[str, Any], orders: list[Any]
    ) -> None:
        with pytest.raises(StartRefused, match="forget_outbox"):
            chaos(wish(**changes))

    def test_every_plant_has_faults_that_bring_it_to_light(self) -> None:
        for faults, names in planting.PLANTS.values():
            assert set(faults) <= KINDS.keys()
            assert names <= set(NAMES)


class TestVictims:
    LISTED = (Member("zone", "zone/zon_b/1", 2), Member("zone", "zone/zon_a", 1), Member("gateway", "gateway/gtw_1", 3))

    def test_pick_chooses(self) -> None:
        assert victim("zone", list(self.LISTED), 0.0, set()).pid == 1
        assert victim("zone", list(self.LISTED), 0.99, set()).pid == 2

    def test_one_with_players_is_better(self) -> None:
        assert victim("zone", list(self.LISTED), 0.0, {"zone/zon_b/1"}).pid == 2
        assert victim("gateway", list(self.LISTED), 0.5, {"gtw_1"}).pid == 3
        assert victim("gateway", list(self.LISTED), 0.5, {"gtw_9"}).pid == 3

    def test_none_is_an_error(self) -> None:
        with pytest.raises(Ours, match="presence"):
            victim("presence", list(self.LISTED), 0.0, set())
