"""`rayrealm operators` and `rayrealm history`: what they do, and what they print."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from cluster import operators
from cluster.adapters.memory.operators import MemoryOperators
from cluster.cli.operators import link
from cluster.ports.operators import OperatorRecord
from tests.unit.cluster.command_rig import CommandRig, run

Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
URL = ("--url", "http://realm.example:8000")


@pytest.fixture
def rig(monkeypatch: Patch) -> CommandRig:
    made = CommandRig()
    made.take_over(monkeypatch)
    store = MemoryOperators(lambda: made.at)

    async def console(method: str, params: dict[str, Any]) -> Any:
        return {"since": 0.0, "samples_s": 5.0, "series": {params["names"][0]: [[1.0, 2.0], [2.0, None], [3.0, 4.5]]}}

    made.desk = replace(made.desk, operators=store, ask_console=console)
    for name, role in (("ada", "admin"), ("bob", "operator")):
        record = OperatorRecord(name, role, "g", 1.0, "x", password="hash")  # type: ignore[arg-type]
        asyncio.run(store.save(record, None))
    return made


def of(rig: CommandRig, name: str) -> OperatorRecord | None:
    return asyncio.run(rig.desk.operators.get(name))


def test_an_invitation_is_a_link_that_works(rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
    assert run(monkeypatch, "operators", "invite", "Eve", "--role", "operator", *URL) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("eve is invited as operator, until ")
    assert second.startswith("http://realm.example:8000/console/#/invitation/rrin.eve.")
    token = second.rpartition("/")[2]
    found = asyncio.run(operators.by_invitation(rig.desk.operators, token, rig.desk.now()))
    assert found == of(rig, "eve")


def test_as_json_with_its_token(rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
    assert run(monkeypatch, "operators", "reset", "bob", "--json", *URL) == 0
    said = json.loads(capsys.readouterr().out)
    assert asyncio.run(operators.by_invitation(rig.desk.operators, said["token"], rig.desk.now())) == of(rig, "bob")


def test_tokens_come_and_go(rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
    assert run(monkeypatch, "operators", "token", "bob", "--label", "charts", "--days", "2", *URL) == 0
    said, secret = capsys.readouterr().out.splitlines()
    found = asyncio.run(operators.by_token(rig.desk.operators, secret, rig.desk.now()))
    assert found is not None
    assert (found[0].name, found[1]) == ("bob", "viewer")
    assert run(monkeypatch, "operators", "list") == 0
    listed = capsys.readouterr().out
    assert "charts" in listed
    assert "ada                  admin     never logged in, no second factor" in listed
    assert secret not in listed
    assert run(monkeypatch, "operators", "revoke", "bob", said.partition(":")[0]) == 0
    assert asyncio.run(operators.by_token(rig.desk.operators, secret, rig.desk.now())) is None


def test_roles_and_removal(rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
    assert run(monkeypatch, "operators", "role", "bob", "viewer") == 0
    assert capsys.readouterr().out == "bob: is viewer\n"
    assert run(monkeypatch, "operators", "remove", "bob", "--dry-run") == 0
    assert capsys.readouterr().out.startswith("1. bob is no operator any more.")
    assert of(rig, "bob") is not None
    assert run(monkeypatch, "operators", "remove", "bob") == 0
    assert of(rig, "bob") is None


@pytest.mark.parametrize(
    "arguments",
    [("remove", "zoe"), ("invite", "no name"), ("invite", "eve", "--role", "emperor"), ("role", "bob", "emperor")],
)
def test_what_is_wrong(rig: CommandRig, monkeypatch: Patch, capsys: Captured, arguments: tuple[str, ...]) -> None:
    assert run(monkeypatch, "operators", *arguments) == 2
    assert capsys.readouterr().err


def test_history(rig: CommandRig, monkeypatch: Patch, capsys: Captured) -> None:
    assert run(monkeypatch, "history", "--zone", "zon_a") == 0
    assert capsys.readouterr().out.splitlines() == [
        "since 1970-01-01 00:00:00Z, every 5 s",
        f"{'tick_ms_p95:zon_a':<40} {'4.5':>12}  (least 2, most 4.5)",
    ]


def test_links() -> None:
    assert link("https://realm.example/", "rrin.x.y") == "https://realm.example/console/#/invitation/rrin.x.y"
