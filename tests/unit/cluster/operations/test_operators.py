"""Operations on operators: what they plan, do, refuse and write down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.adapters.memory.operators import MemoryOperators
from cluster.errors import Conflict, InvalidState, NotFound
from cluster.operations.model import Operator, Role
from cluster.ports.operators import OperatorRecord
from tests.unit.cluster.operations.world_rig import Rig, RigJob


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    store = MemoryOperators(lambda: made.at)
    made.desk = replace(made.desk, operators=store)
    for name, role in (("ada", "admin"), ("bob", "operator")):
        record = OperatorRecord(name, role, "g", 1.0, "x", password="hash", totp="sealed")  # type: ignore[arg-type]
        await store.save(record, None)
    return made


async def listed(rig: Rig) -> dict[str, Any]:
    return {each["name"]: each for each in (await rig.look("operators.list"))["operators"]}


async def test_the_list_has_no_secrets(rig: Rig) -> None:
    await rig.act("operators.token", name="bob", label="charts")
    await rig.act("operators.invite", name="Eve", role="viewer")
    found = await listed(rig)
    assert [(name, each["role"], each["state"]) for name, each in found.items()] == [
        ("ada", "admin", "active"),
        ("bob", "operator", "active"),
        ("eve", "viewer", "invited"),
    ]
    assert [each["label"] for each in found["bob"]["tokens"]] == ["charts"]
    assert "hash" not in str(found)
    assert "sealed" not in str(found)
    rig.at += rig.desk.settings.invitation_s + 1.0
    assert (await listed(rig))["eve"]["state"] == "expired"


@pytest.mark.parametrize(
    ("name", "params"),
    [("operators.invite", {"name": "eve"}), ("operators.reset", {"name": "bob"}), ("operators.token", {"name": "bob"})],
)
async def test_a_secret_is_in_no_record_of_the_result(rig: Rig, name: str, params: dict[str, Any]) -> None:
    result = await rig.act(name, **params)
    assert set(result["token"]) == {"*"}
    entries = await rig.audit.newest(10)
    assert [(each.action, each.result) for each in entries] == [(name, "done"), (name, "begun")]
    assert "rrin" not in str(entries)
    assert "rrop" not in str(entries)


async def test_plans_change_nothing_and_say_what_is_refused(rig: Rig) -> None:
    before = await rig.desk.operators.all()
    assert (await rig.plan("operators.invite", name="bob")).warnings
    assert "(nothing)" not in str(await rig.plan("operators.reset", name="ADA"))
    assert (await rig.plan("operators.reset", name="ada")).warnings, "the only admin"
    assert not (await rig.plan("operators.reset", name="bob")).warnings
    assert "nothing changes" in (await rig.plan("operators.role", name="bob", role="operator")).steps[0]
    assert (await rig.plan("operators.remove", name="ada")).warnings
    assert (
        (await rig.plan("operators.token", name="bob", role="admin"))
        .steps[0]
        .startswith("bob gets a token as operator")
    )
    assert (await rig.plan("operators.revoke", name="bob", token="otk_none")).warnings
    with pytest.raises(NotFound):
        await rig.plan("operators.remove", name="zoe")
    assert await rig.desk.operators.all() == before


@pytest.mark.parametrize(
    ("name", "params"),
    [("operators.remove", {}), ("operators.reset", {}), ("operators.role", {"role": "viewer"})],
)
async def test_the_last_admin_stays_unless_it_is_a_command(rig: Rig, name: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidState, match="last admin"):
        await rig.act(name, name="ada", **params)
    command = RigJob(Operator("operator:root", Role.ADMIN, "command"))
    await rig.act(name, command, name="ada", **params)


async def test_with_another_admin_the_first_may_go(rig: Rig) -> None:
    await rig.act("operators.role", name="bob", role="admin")
    await rig.act("operators.remove", name="ada")
    assert list(await listed(rig)) == ["bob"]


async def test_who_is_one_is_not_invited(rig: Rig) -> None:
    with pytest.raises(Conflict):
        await rig.act("operators.invite", name="bob")
    assert (await rig.audit.newest(1))[0].result == "failed"


async def test_a_token_ends(rig: Rig) -> None:
    made = await rig.act("operators.token", name="bob")
    await rig.act("operators.revoke", name="bob", token=made["id"])
    assert (await listed(rig))["bob"]["tokens"] == []
