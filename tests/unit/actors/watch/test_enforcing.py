"""Measures carried out: orders to gateways, entries of the store, the audit log; and what happens while the store is away."""

from __future__ import annotations

from typing import Any

import pytest

from actors.watch.enforcing import EXPEL_S, KICKED, MOST_WAITING, Enforcer
from cluster.adapters.memory.audit import MemoryAuditLog
from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.protection import MemoryProtection
from cluster.errors import Unavailable
from cluster.measures import Level, Measure
from cluster.subjects import Subjects
from realm_proto import internal_pb2

SUBJECTS = Subjects("test")
NOW = 5_000.0


class Rig:
    def __init__(self, enforce: bool = True) -> None:
        self.now = NOW
        self.bans = MemoryBans(self.clock)
        self.protection = MemoryProtection(self.clock)
        self.audit = MemoryAuditLog(100)
        self.bus = MemoryBus()
        self.orders: list[internal_pb2.GatewayControl] = []
        self.changes = 0
        self.enforcer = Enforcer(
            self.bans, self.protection, self.audit, self.bus, SUBJECTS, enforce, slow_factor=4.0, clock=self.clock
        )

    def clock(self) -> float:
        return self.now

    async def start(self) -> Rig:
        def order(data: bytes) -> None:
            self.orders.append(internal_pb2.GatewayControl.FromString(data))

        def change(_data: bytes) -> None:
            self.changes += 1

        await self.bus.subscribe(SUBJECTS.gateways_control(), order)
        await self.bus.subscribe(SUBJECTS.protection(), change)
        return self

    async def do(self, level: Level, subject: str = "usr_a", for_s: float = 300.0, **more: Any) -> None:
        self.enforcer.take(Measure(**({"kind": "user", "subject": subject, "level": level, "reason": "replay",
                                       "at": self.now, "until": self.now + for_s} | more)))  # fmt: skip
        await self.enforcer.step()
        await self.bus.flush(1.0)

    async def results(self) -> list[tuple[str, str, str]]:
        return [(e.target, e.action, e.result) for e in await self.audit.newest(100)]


async def test_monitoring_is_written_down() -> None:
    rig = await Rig().start()
    await rig.do(Level.MONITOR)
    assert await rig.results() == [("usr_a", "monitor", "done")]
    assert (rig.orders, rig.changes) == ([], 0)


async def test_slowing_is_an_order() -> None:
    rig = await Rig().start()
    await rig.do(Level.SLOW, for_s=60.0)
    (order,) = rig.orders
    assert (order.slow.user_id, order.slow.factor, order.slow.for_s) == ("usr_a", 4.0, 60.0)
    assert await rig.results() == [("usr_a", "slow", "done")]
    assert await rig.bans.banned("usr_a") is None


@pytest.mark.parametrize("level", [Level.BLOCK, Level.BAN])
async def test_keeping_out(level: Level) -> None:
    rig = await Rig().start()
    await rig.do(level)
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert (ban.reason, ban.left_s) == ("watch: replay", 300.0)
    assert [(o.expel.user_id, o.expel.code) for o in rig.orders] == [("usr_a", KICKED)]
    await rig.enforcer.step()
    await rig.bus.flush(1.0)
    assert len(rig.orders) == 2, "the bus may lose one, and sockets are opening"
    rig.now += EXPEL_S
    await rig.enforcer.step()
    await rig.bus.flush(1.0)
    assert len(rig.orders) == 2


@pytest.mark.parametrize(("left_s", "stays"), [(None, True), (10_000.0, True), (10.0, False)])
async def test_a_longer_ban_stays(left_s: float | None, stays: bool) -> None:
    rig = await Rig().start()
    await rig.bans.ban("usr_a", left_s, "by an operator")
    await rig.do(Level.BLOCK)
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert (ban.reason == "by an operator") is stays


async def test_an_address() -> None:
    rig = await Rig().start()
    await rig.do(Level.BLOCK, "2001:db8::/64", kind="address")
    held = await rig.protection.load(-1)
    assert held is not None
    assert [(b.network, b.until, b.by) for b in held.bans] == [("2001:db8::/64", NOW + 300.0, "watch")]
    assert (rig.changes, rig.orders) == (1, [])


@pytest.mark.parametrize(("for_s", "stays"), [(None, True), (10_000.0, True), (10.0, False)])
async def test_a_longer_ban_of_an_address_stays(for_s: float | None, stays: bool) -> None:
    rig = await Rig().start()
    await rig.protection.ban("203.0.113.7", for_s, "by an operator", "operator:ann")
    await rig.do(Level.BLOCK, "203.0.113.7", kind="address")
    held = await rig.protection.load(-1)
    assert held is not None
    assert [(b.until, b.by) for b in held.bans] == [
        (None if for_s is None else NOW + for_s, "operator:ann") if stays else (NOW + 300.0, "watch")
    ]


async def test_what_is_no_address() -> None:
    rig = await Rig().start()
    await rig.do(Level.BLOCK, "unix:", kind="address")
    ((_, _, result),) = await rig.results()
    assert result.startswith("refused: ")


async def test_monitor_mode_does_nothing() -> None:
    rig = await Rig(enforce=False).start()
    for level in (Level.SLOW, Level.BLOCK, Level.BAN):
        await rig.do(level)
    await rig.do(Level.BLOCK, "203.0.113.7", kind="address")
    assert {result for _, _, result in await rig.results()} == {"monitored"}
    assert (rig.orders, rig.changes, await rig.bans.banned("usr_a")) == ([], 0, None)


class Away:
    """Fails as often as it is told to, then hands on."""

    def __init__(self, real: Any, times: int) -> None:
        self.real, self.times = real, times

    def __getattr__(self, name: str) -> Any:
        if self.times:
            self.times -= 1

            async def fail(*_: Any, **__: Any) -> None:
                raise Unavailable("redis")

            return fail
        return getattr(self.real, name)


async def test_the_store_is_away_for_a_while() -> None:
    rig = await Rig().start()
    rig.enforcer.bans = Away(rig.bans, 1)  # type: ignore[assignment]
    rig.enforcer.audit = Away(rig.audit, 1)  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        await rig.do(Level.BLOCK)
    assert rig.enforcer.waiting == 1
    with pytest.raises(Unavailable):  # now the log
        await rig.enforcer.step()
    await rig.bans.lift("usr_a")
    await rig.enforcer.step()
    assert await rig.bans.banned("usr_a") is None, "what is done is not done again for the log's sake"
    assert await rig.results() == [("usr_a", "block", "done")]
    assert (rig.enforcer.waiting, rig.enforcer.lost) == (0, 0)


async def test_the_store_is_away_for_too_long() -> None:
    rig = await Rig().start()
    rig.enforcer.bans = Away(rig.bans, 1)  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        await rig.do(Level.BLOCK)
    rig.now += 300.0
    await rig.enforcer.step()
    assert (rig.enforcer.waiting, rig.enforcer.lost) == (0, 1)
    assert await rig.bans.banned("usr_a") is None


def test_what_waits_is_bounded() -> None:
    rig = Rig()
    for number in range(MOST_WAITING + 3):
        rig.enforcer.take(Measure("user", f"usr_{number}", Level.SLOW, "x", NOW, NOW + 60.0))
    assert (rig.enforcer.waiting, rig.enforcer.lost) == (MOST_WAITING, 3)


async def test_lifted_before_it_was_done() -> None:
    rig = await Rig().start()
    await rig.do(Level.BLOCK, "usr_b")
    rig.orders.clear()
    rig.enforcer.take(Measure("user", "usr_a", Level.BLOCK, "x", NOW, NOW + 60.0))
    for subject in ("usr_a", "usr_b"):
        rig.enforcer.lifted(subject)
    await rig.enforcer.step()
    await rig.bus.flush(1.0)
    assert (rig.orders, await rig.bans.banned("usr_a")) == ([], None)


async def test_a_slow_one_is_told_again_after_a_restart() -> None:
    rig = await Rig().start()
    rig.now += 20.0
    rig.enforcer.again(Measure("user", "usr_a", Level.SLOW, "x", NOW, NOW + 60.0))
    rig.enforcer.again(Measure("user", "usr_b", Level.BLOCK, "x", NOW, NOW + 60.0))
    await rig.bus.flush(1.0)
    assert [(o.slow.user_id, o.slow.for_s) for o in rig.orders] == [("usr_a", 40.0)]
