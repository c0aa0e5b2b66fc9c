"""Operations are conducted alike: names become ids first, and the audit log says who looked at whom, and what became of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cluster.errors import InvalidInput, NotFound, Unauthorized
from cluster.operations import conduct
from cluster.operations.all import registry
from cluster.operations.desk import Desk
from cluster.operations.model import Look, Operator, Registry, Role
from cluster.ports.accounts import Account
from tests.unit.cluster.operator_rig import make_desk

ADA = Operator("operator:ada", Role.ADMIN, "console", "192.0.2.1")
VIEWER = Operator("operator:vic", Role.VIEWER, "api")


class Job:
    id = "job_0123456789abcdef"
    operator = ADA
    began_at = 1_000.0

    async def tell(self, step: str, done: float = 0.0) -> None:
        """Nobody listens."""


@pytest.fixture
async def desk() -> Desk:
    made = make_desk()
    await made.accounts.create(Account("usr_ann", "ann", "$argon2id$", 1.0))
    return made


async def act(desk: Desk, name: str, **params: object) -> conduct.Result:
    found = conduct.action(registry(), name, ADA)
    return await conduct.carry_out(desk, found, conduct.read(found, params), Job())


async def test_the_audit_log_has_ids_whatever_was_typed(desk: Desk) -> None:
    await act(desk, "user.unban", user="ANN")
    done, begun = await desk.audit.newest(10)
    assert [(e.actor, e.action, e.target, e.result) for e in (begun, done)] == [
        (ADA.name, "user.unban", "usr_ann", "begun"),
        (ADA.name, "user.unban", "usr_ann", "done"),
    ]
    assert done.details == {"user": "usr_ann", "job": Job.id, "via": "console", "address": "192.0.2.1"}


async def test_what_names_nobody_is_no_beginning(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await act(desk, "user.ban", user="nobody")
    with pytest.raises(InvalidInput):
        await act(desk, "network.ban", network="nonsense")
    assert await desk.audit.newest(10) == []


async def test_a_plan_is_of_the_same(desk: Desk) -> None:
    plan = await conduct.preview(desk, registry(), ADA, "user.unban", {"user": "Ann"})
    assert plan.steps == ("Nothing: ann (usr_ann) is not banned.",)
    plan = await conduct.preview(desk, registry(), ADA, "network.ban", {"network": "2001:db8::7"})
    assert plan.steps[0] == "Ban 2001:db8::/64 until it is lifted."


async def test_who_looked_at_whom(desk: Desk) -> None:
    await conduct.look(desk, registry(), ADA, "sessions.export", {"user": "ann"})
    (entry,) = await desk.audit.newest(10)
    assert (entry.actor, entry.action, entry.target) == (ADA.name, "sessions.export", "usr_ann")
    assert entry.details == {"via": "console", "address": "192.0.2.1", "user": "ann"}


async def looked_at(*, again_s: float) -> list[float]:
    """When the audit log says that a look was taken, of five at these times and one at somebody else."""
    now = 1_000.0
    desk = replace(make_desk(), now=lambda: now)
    await desk.accounts.create(Account("usr_ann", "ann", "$argon2id$", 1.0))
    export = registry().operations["sessions.export"]
    assert isinstance(export, Look)
    only = Registry({"sessions.export": replace(export, again_s=again_s)})
    for at in (1_001.0, 1_002.0, 1_060.0, 1_062.0, 1_063.0):
        now = at
        await conduct.look(desk, only, ADA, "sessions.export", {"user": "ann"})
    await conduct.look(desk, only, ADA, "sessions.export", {"user": "usr_ann"})
    return [entry.at for entry in await desk.audit.newest(10)]


async def test_who_looks_again_and_again_is_written_down_once_a_minute_where_a_page_does() -> None:
    assert await looked_at(again_s=60.0) == [1_063.0, 1_062.0, 1_001.0]


async def test_everything_else_is_written_down_each_time() -> None:
    assert await looked_at(again_s=0.0) == [1_063.0, 1_063.0, 1_062.0, 1_060.0, 1_002.0, 1_001.0]
    repeated = [name for name, each in registry().operations.items() if isinstance(each, Look) and each.again_s]
    assert repeated == ["sessions.view"], "an export is in the log as often as it was made"


async def test_looks_that_concern_nobody_are_not_written_down(desk: Desk) -> None:
    await conduct.look(desk, registry(), VIEWER, "bans.list", {})
    with pytest.raises(Unauthorized):
        await conduct.look(desk, registry(), VIEWER, "sessions.export", {"user": "ann"})
    assert await desk.audit.newest(10) == []
