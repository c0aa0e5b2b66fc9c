"""Who floods again and again is banned, at all gateways, and the audit log says so."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.limits import MemoryLimiter
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.errors import Unavailable
from cluster.ports.bans import Ban
from cluster.ports.limits import Limiter
from cluster.ports.sessions import Fence, SessionRecord
from cluster.security_settings import LimitSettings
from realm_proto import internal_pb2
from serve_apps.gateway.connection import Close
from serve_apps.gateway.limits import floods as module
from serve_apps.gateway.limits.floods import Floods
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, WALL, Clock, a_client

FENCE = Fence("sessions/0", 1)
LIMITS = LimitSettings(closes=3, ban_window_s=600.0, ban_s=900.0)


class Rig:
    def __init__(self, limits: LimitSettings = LIMITS, limiter: Limiter | None = None) -> None:
        self.clock = Clock()
        self.bans = MemoryBans(self.clock)
        self.audit = MemoryAuditLog(100)
        self.bus = MemoryBus()
        self.epochs = MemoryEpochStore()
        self.sessions = MemorySessionStore(self.epochs, self.bans)
        self.work: list[Coroutine[Any, Any, None]] = []
        self.floods = Floods(
            limits,
            "gtw_1",
            limiter or MemoryLimiter(self.clock),
            self.bans,
            self.audit,
            self.sessions,
            self.bus,
            SUBJECTS,
            lambda work: self.work.append(work) or True,  # type: ignore[func-returns-value]
            lambda: WALL,
        )

    async def close(self, user_id: str = "usr_a", code: int = Close.FLOODING, flooding: bool = True) -> None:
        client, _ = a_client(user_id=user_id)
        client.address, client.close_code = "203.0.113.7", code
        client.meter.flooding, client.meter.refused = flooding, 250
        self.floods.gone(client, self.clock.now)
        while self.work:
            await self.work.pop()

    async def banned(self, user_id: str = "usr_a") -> Ban | None:
        return await self.bans.banned(user_id)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)


async def test_the_third_within_the_window() -> None:
    rig = Rig()
    await rig.close()
    rig.clock.now += 299.0
    await rig.close("usr_b")
    await rig.close()
    assert await rig.banned() is None
    rig.clock.now += 300.0
    await rig.close()
    assert await rig.banned() == Ban("flooding", 900.0)
    assert await rig.banned("usr_b") is None
    (entry,) = await rig.audit.newest(10)
    assert (entry.actor, entry.action, entry.target, entry.reason) == ("gtw_1", "user.ban", "usr_a", "flooding")
    assert entry.details == {"for_s": 900.0, "address": "203.0.113.7", "refused": 250}
    assert rig.floods.banned == 1


@pytest.mark.parametrize(("left_s", "stays"), [(None, True), (10_000.0, True), (10.0, False)])
async def test_a_longer_ban_stays(left_s: float | None, stays: bool) -> None:
    rig = Rig(LimitSettings(closes=1))
    await rig.bans.ban("usr_a", left_s, "by an operator")
    await rig.close()
    assert await rig.banned() == (Ban("by an operator", left_s) if stays else Ban("flooding", LimitSettings().ban_s))


async def test_a_third_long_after_is_none() -> None:
    rig = Rig()
    for _ in range(3):
        await rig.close()
        rig.clock.now += 601.0
    assert await rig.banned() is None


async def test_one_may_be_enough() -> None:
    rig = Rig(LimitSettings(closes=1))
    await rig.close()
    assert await rig.banned() == Ban("flooding", LimitSettings().ban_s)


@pytest.mark.parametrize(("code", "flooding"), [(Close.NORMAL, True), (Close.KICKED, False), (Close.FLOODING, False)])
async def test_other_ends_do_not_count(code: Close, flooding: bool) -> None:
    rig = Rig(LimitSettings(closes=1))
    await rig.close(code=code, flooding=flooding)
    assert await rig.banned() is None


async def test_the_users_other_sockets_are_closed_wherever_they_are() -> None:
    rig, orders = Rig(LimitSettings(closes=1)), list[internal_pb2.GatewayClose]()
    await rig.bus.subscribe(
        SUBJECTS.gateway_control("gtw_2"),
        lambda data: orders.append(internal_pb2.GatewayControl.FromString(data).close),
    )
    await rig.epochs.take("sessions", FENCE.actor)
    await rig.sessions.register_actor(FENCE)
    for session_id, user_id, gateway in (
        ("ses_1", "usr_a", "gtw_2"),
        ("ses_2", "usr_a", ""),
        ("ses_3", "usr_b", "gtw_2"),
    ):
        await rig.sessions.place("", session_id, user_id, 100, 100, 60.0, 1.0)
        record = SessionRecord(session_id, user_id, FENCE.actor, "authenticated", gateway, 4)
        await rig.sessions.write(record, FENCE, ["connected", "authenticated"], 60.0)
    await rig.close()
    await asyncio.sleep(0)
    rig.bus.deliver()
    assert {(order.session_id, order.attach_epoch, order.code, order.reason) for order in orders} == {
        ("ses_1", 4, 4504, "flooding")
    }
    assert len(orders) == module.ROUNDS, "the bus may lose some"


async def test_without_the_store_nobody_is_banned() -> None:
    class Away(MemoryLimiter):
        async def take(self, key: str, per_s: float, burst: int) -> float:
            raise Unavailable("redis")

    rig = Rig(limiter=Away(Clock()))
    with pytest.raises(Unavailable):  # which the hub logs
        await rig.close()
    assert await rig.banned() is None
