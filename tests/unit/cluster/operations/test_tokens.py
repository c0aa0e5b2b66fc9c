"""`token.revoke` by a job that is begun again (cluster/operations/tokens.py)."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.adapters.memory.protection import MemoryProtection
from cluster.operations.model import Operator, Role
from cluster.operations.tokens import DAY_S, MOST_DAYS, Revoke, revoke
from cluster.ports.protection import Revocation
from tests.unit.cluster.operator_rig import make_desk

ORDERED, CARRIED_ON = 1_000.0, 1_900.0


class Job:
    id = "job_0123456789abcdef"
    operator = Operator("operator:ada", Role.ADMIN, "console")
    began_at = ORDERED

    async def tell(self, step: str, done: float = 0.0) -> None:
        """Nobody listens."""


@pytest.mark.parametrize(
    ("params", "kind", "subject"),
    [({"user": "usr_a"}, "user", "usr_a"), ({"token": "jti"}, "token", "jti"), ({"everybody": True}, "all", "")],
)
async def test_who_logs_in_while_the_console_starts_again_stays_in(
    params: dict[str, Any], kind: Any, subject: str
) -> None:
    now = ORDERED
    desk = make_desk(now=lambda: now, protection=MemoryProtection(lambda: now))
    await revoke(desk, Revoke(**params), Job())
    now = CARRIED_ON
    await revoke(desk, Revoke(**params), Job())
    held = await desk.protection.load(-1)
    assert held is not None
    assert held.revocations == (Revocation(kind, subject, ORDERED, ORDERED + MOST_DAYS * DAY_S),)
