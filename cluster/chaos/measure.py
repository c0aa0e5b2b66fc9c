"""How long the bots were without what a fault took away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cluster.bench.bots import watch_recovery
from cluster.bench.crew import GAP_S
from cluster.bench.kills import PROBES, answered
from cluster.chaos.cast import Cast
from cluster.chaos.faults import Struck
from cluster.chaos.schedule import Fault
from cluster.chaos.verdict import figures
from cluster.errors import Ours

RECOVER_S = 30.0
WITHIN_S, STEADY_S = 0.6, 1.0
ASKING = 5  # bots that send the request; more would be a load of its own

# What the issue asks for, in milliseconds: (p50, max).
BARS: Mapping[str, tuple[int, int]] = {
    "gateway": (1_000, 3_000),
    "sessions": (2_000, 4_000),
    "zone": (2_000, 4_000),
    "standby": (500, 500),
    "split": (500, 500),
    "merge": (500, 500),
    "move": (500, 500),
    "nats_restart": (3_000, 8_000),
    "redis_restart": (3_000, 8_000),
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """`times_s`: of each bot that the fault has hit, or concerned; `missed`: how many were not served again in RECOVER_S.

    `stall_s`: the longest time that this process itself stood still meanwhile.
    """

    times_s: tuple[float, ...]
    missed: int = 0
    stall_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        stall = round(self.stall_s * 1_000)
        return {"hit": len(self.times_s), "missed": self.missed, **figures(self.times_s), "stall": stall}


async def measure(fault: Fault, struck: Struck, cast: Cast) -> Recovery:
    """Returns when every bot is served again, or after RECOVER_S."""
    recovery = await _measure(fault, struck, cast)
    return replace(recovery, stall_s=cast.beats.longest(struck.since, cast.crew.clock()))


async def _measure(fault: Fault, struck: Struck, cast: Cast) -> Recovery:
    if struck.by == "views":
        return await _by_views(cast, struck)
    if struck.by == "request":
        ask = PROBES[fault.kind]
        waits = [asyncio.create_task(answered(ask, bot.client, struck.since)) for bot in cast.bots[:ASKING]]
    else:
        waits = [asyncio.create_task(bot.served(struck.since)) for bot in cast.bots]
    _, late = await asyncio.wait(waits, timeout=RECOVER_S)
    for task in late:
        task.cancel()
    ended = await asyncio.gather(*waits, return_exceptions=True)
    times = []
    for end in ended:
        if isinstance(end, float):
            times.append(end)
        elif not isinstance(end, Ours | asyncio.CancelledError):
            raise end
    return Recovery(tuple(sorted(times)), len(waits) - len(times))


async def _by_views(cast: Cast, struck: Struck) -> Recovery:
    seen = await watch_recovery(
        cast.crew, cast.crew.clock(), within_s=WITHIN_S, steady_s=STEADY_S, deadline_s=RECOVER_S
    )
    now = cast.crew.clock()
    longest = {bot.name: bot.gaps.longest(struck.since, now) for bot in cast.bots}
    counted = sorted(gap for name, gap in longest.items() if gap > GAP_S or name in struck.concerned)
    missed = 0 if seen.recovered else max(1, sum(not bot.stats.walking(WITHIN_S) for bot in cast.bots))
    return Recovery(tuple(counted), missed)


def by_kind(measured: Sequence[tuple[str, Recovery]]) -> dict[str, dict[str, int | None]]:
    """Figures over all faults of each kind."""
    kinds = dict.fromkeys(kind for kind, _ in measured)
    return {kind: figures([t for k, r in measured if k == kind for t in r.times_s]) for kind in kinds}


def over_the_bar(recovery_ms: Mapping[str, Mapping[str, int | None]], standby: bool = False) -> list[str]:
    """Kinds that took longer than the issue allows, in words. With a standby a frozen owner is as good as a dead one."""
    bars = {**BARS, "freeze": BARS["standby"]} if standby else BARS
    return [
        f"{kind}: p50 {told['p50']} ms, max {told['max']} ms; {bar[0]} and {bar[1]} are allowed"
        for kind, told in recovery_ms.items()
        if (bar := bars.get(kind)) is not None and ((told["p50"] or 0) > bar[0] or (told["max"] or 0) > bar[1])
    ]
