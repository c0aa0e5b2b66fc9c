"""What the operator's commands do to the world, as a fault: a zone is split, two are merged, one goes to another process.

Asked of the supervisor over the bus, as the command line does (cluster/world_control.py). Each is to be noticed by nobody.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from cluster.errors import Conflict, Ours, RealmError, Theirs, Unavailable
from cluster.mapwatch import MapWatch
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone

PLAN_S = 60.0
BUSY_S = 15.0  # another plan may be under way
PAUSE_S = 0.1

Ask = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Changed:
    """`zones`: those whose players it concerned; `took_s`: from the command to the end of the plan."""

    what: str
    zones: frozenset[str]
    took_s: float


class Operator:
    """`ask(method, **params)` asks the supervisor; `watch` hears of its maps. Whatever does not succeed raises Ours."""

    def __init__(self, ask: Ask, watch: MapWatch) -> None:
        self._ask = ask
        self._watch = watch

    async def split(self, pick: float, players: Collection[str]) -> Changed:
        """The zone with players that `pick` in [0, 1) names, or the widest; what is too narrow is left as it is."""
        ground = await self._ground()
        order = _chosen_first([zone.id for zone in ground if zone.id in players], pick)
        order += [zone.id for zone in sorted(ground, key=_area, reverse=True) if zone.id not in order]
        return await self._first("split", [[zone] for zone in order])

    async def merge(self, pick: float) -> Changed:
        """Two with a full edge in common."""
        pairs = [[a.id, b.id] for a, b in combinations(await self._ground(), 2) if _joinable(a.bounds, b.bounds)]
        return await self._first("merge", _chosen_first(pairs, pick))

    async def move(self, pick: float, players: Collection[str]) -> Changed:
        """To another node if there is one; else to another process on the same node, which is done in the same way."""
        there = [zone.id for zone in await self._ground()]
        zone = _chosen_first([zone for zone in there if zone in players] or there, pick)[0]
        node = next((row["node"] for row in await self._asked("zones") if row["zone"] == zone), "")
        nodes = [row["node"] for row in await self._asked("nodes") if not row["draining"] and row["node"] != node]
        if node and nodes:
            return await self._first("move", [[zone, other] for other in nodes])
        return await self._first("restart", [[zone]])

    # --- plans -------------------------------------------------------------------------------------------------

    async def _ground(self) -> list[MapZone]:
        """The zones with ground, as they are now: news of the map may come later than its change."""
        version, until = (await self._asked("state"))["map_version"], time.monotonic() + BUSY_S
        while self._watch.map.version < version:
            if time.monotonic() > until:
                raise Ours(f"nobody tells of map {version}")
            await asyncio.sleep(PAUSE_S)
        return [zone for zone in self._watch.map if not zone.into]

    async def _first(self, kind: str, choices: list[list[str]]) -> Changed:
        """The first that the supervisor does not refuse, to its end."""
        refused = "there is nothing to choose from"
        for args in choices:
            since = time.monotonic()
            try:
                plan_id = await self._begin(kind, args)
            except Theirs as error:
                refused = f"{' and '.join(args)}: {error}"
                continue
            last = await self._ended(plan_id)
            if last["outcome"] != "done":
                raise Ours(f"{last['what']}: {last['outcome']}: {last['why']}")
            concerned = args if kind in ("split", "merge") else args[:1]
            return Changed(last["what"], frozenset(concerned), time.monotonic() - since)
        raise Ours(f"no {kind}: {refused}")

    async def _begin(self, kind: str, args: list[str]) -> str:
        """Raises Theirs when it is refused for good."""
        plan_id, until = f"pln_{secrets.token_hex(4)}", time.monotonic() + BUSY_S
        while True:
            try:
                await self._ask("execute", kind=kind, args=args, plan_id=plan_id)
                return plan_id
            except Conflict as error:
                if error.reason not in ("another_plan_runs", "the_map_has_changed", "zone_does_not_answer"):
                    raise
                if time.monotonic() > until:
                    raise Ours(f"{kind} {' '.join(args)}: {error}") from error
            except Unavailable as error:
                if time.monotonic() > until:
                    raise Ours(f"{kind} {' '.join(args)}: {error}") from error
            await asyncio.sleep(PAUSE_S)

    async def _ended(self, plan_id: str) -> dict[str, Any]:
        until = time.monotonic() + PLAN_S
        while True:
            last: dict[str, Any] | None = (await self._asked("state"))["last"]
            if last is not None and last["id"] == plan_id:
                return last
            if time.monotonic() > until:
                raise Ours(f"the plan {plan_id} is not done after {PLAN_S:g} s")
            await asyncio.sleep(PAUSE_S)

    async def _asked(self, method: str) -> Any:
        """Again while the supervisor is away."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                return await self._ask(method)
            except Unavailable as error:
                if time.monotonic() > until:
                    raise Ours(f"the supervisor does not answer: {error}") from error
            except RealmError as error:
                raise Ours(f"the supervisor refuses {method}: {error}") from error
            await asyncio.sleep(PAUSE_S)


def _chosen_first(choices: list[Any], pick: float) -> list[Any]:
    at = int(pick * len(choices)) % len(choices) if choices else 0
    return choices[at:] + choices[:at]


def _area(zone: MapZone) -> float:
    b = zone.bounds
    return (b.max_x - b.min_x) * (b.max_z - b.min_z)


def _joinable(a: Bounds, b: Bounds) -> bool:
    """They have a full edge in common."""
    beside = (a.min_z, a.max_z) == (b.min_z, b.max_z) and (a.max_x == b.min_x or b.max_x == a.min_x)
    above = (a.min_x, a.max_x) == (b.min_x, b.max_x) and (a.max_z == b.min_z or b.max_z == a.min_z)
    return beside or above
