"""Carries a plan out, step by step (row 7.3).

How far it is, is written down with the map before the next step begins, so that a restarted supervisor goes on where this one was.
A step may be done twice, and bears that. What cannot be done in time is rolled back, until the plan's map is committed; from then
on the only way is forward, however long it takes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import structlog

from actors.world.plans import Plan, Step
from actors.world.record import Finished, Outcome, Progress, WorldRecord
from cluster.errors import Fenced, RealmError, Theirs, Unavailable

STEP_DEADLINE_S = 60.0  # of a step that can still be rolled back
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0
TELL_EVERY = 20  # attempts, of a step that takes long

log = structlog.get_logger(__name__)


class Hands(Protocol):
    """What the executor does to the world. Everything may be done twice; all raise Unavailable."""

    async def save(self, record: WorldRecord) -> None:
        """Kept, and the map announced. Raises Fenced."""

    async def start(self, zone_id: str, slot: int, node: str) -> None:
        """The zone's actor runs, or is about to; on the node if it is there and `node` is not empty."""

    async def stop(self, zone_id: str, slot: int) -> None:
        """It ends for good, if it is there."""

    async def info(self, zone_id: str, slot: int) -> Mapping[str, Any]:
        """What that actor says of itself."""

    async def owner(self, zone_id: str) -> int:
        """The slot that owns the zone, as the store has it."""

    async def promote(self, zone_id: str, slot: int) -> None: ...

    async def remap(self, zone_id: str, world_map: bytes) -> None:
        """The zone's owner has that map, or a newer one."""

    async def retire(self, zone_id: str) -> bool:
        """Whether the zone was empty; then it has discarded what it kept, and takes nobody in."""


class _NotYet(Exception):
    """Ask again."""


class _CannotBe(Exception):
    """It never will."""


class Executor:
    """One plan, from where `record` has it. `margin`: metres within which zones have to do with each other.

    `clock` is monotonic; `now` is Unix seconds, for the record.
    """

    def __init__(
        self,
        record: WorldRecord,
        hands: Hands,
        *,
        margin: float,
        pause: Callable[[float], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        seed: int | None = None,
    ) -> None:
        self.record = record
        self._hands = hands
        self._margin = margin
        self._pause = pause
        self._clock = clock
        self._now = now
        self._random = random.Random(seed)  # noqa: S311 - jitter
        self._cancelled = ""
        self._no_return = False
        self._do: dict[str, Callable[[Step], Awaitable[None]]] = {
            "start": self._start,
            "await_owner": self._await_owner,
            "await_following": self._await_following,
            "commit": self._commit,
            "tell": self._tell,
            "settle": self._settle,
            "retire": self._retire,
            "promote": self._promote,
            "verify": self._verify,
            "dismiss": self._dismiss,
            "stop": self._stop,
        }

    async def run(self) -> WorldRecord:
        """Returns the record without the plan. Raises Fenced: then somebody else carries it out."""
        while (progress := self.record.progress) is not None:
            if progress.undoing:
                await self._undo(progress)
            elif progress.done == len(progress.plan.steps):
                await self._finish(progress.plan, "done", "")
            else:
                await self._next(progress)
        return self.record

    def cancel(self, plan_id: str, why: str) -> bool:
        """Have that plan rolled back, if it is this one. False: it cannot be, as the commit of its map has begun.

        A supervisor that is killed may forget it: who wants it cancelled asks again until it has ended.
        """
        progress = self.record.progress
        if progress is None or progress.plan.id != plan_id or progress.undoing:
            return True
        if self._no_return or progress.committed:
            return False
        self._cancelled = self._cancelled or why
        return True

    @property
    def _plan(self) -> Plan:
        if self.record.progress is None:
            raise RuntimeError("no plan is being carried out")
        return self.record.progress.plan

    async def _next(self, progress: Progress) -> None:
        step = progress.plan.steps[progress.done]
        # A commit whose answer is lost may have been written: there is no way back from where it begins.
        bounded = not progress.plan.committed(progress.done + 1)
        try:
            if self._cancelled and not progress.committed:
                raise _CannotBe(self._cancelled)
            self._no_return = not bounded
            await self._until_done(progress.plan.say(step), partial(self._do[step.name], step), bounded)
        except _CannotBe as why:
            log.warning("plan_rolled_back", plan=progress.plan.id, step=progress.plan.say(step), why=str(why))
            await self._keep(replace(self.record, progress=replace(progress, undoing=str(why))))
            return
        if step.name == "commit":
            return  # it has been written with the map
        await self._keep(replace(self.record, progress=replace(progress, done=progress.done + 1)))

    async def _until_done(self, what: str, do: Callable[[], Awaitable[None]], bounded: bool) -> None:
        """Raises _CannotBe after the deadline, or at once when asking again will not help; never if it is not `bounded`."""
        until = self._clock() + STEP_DEADLINE_S
        pause, attempts = FIRST_PAUSE_S, 0
        while True:
            if bounded and self._cancelled:
                raise _CannotBe(self._cancelled)
            try:
                return await do()
            except Fenced:
                raise
            except _NotYet as reason:
                why = str(reason)
            except _CannotBe as reason:
                if bounded:
                    raise
                why = str(reason)
            except Theirs as error:
                if bounded:
                    raise _CannotBe(str(error)) from error
                why = str(error)
            except RealmError as error:
                why = str(error)
            except Exception as error:
                log.exception("step_failed", plan=self._plan.id, step=what)
                if bounded:
                    raise _CannotBe(f"{type(error).__name__}: {error}") from error
                why = str(error)
            if bounded and self._clock() > until:
                raise _CannotBe(f"not within {STEP_DEADLINE_S:.0f} s: {what}: {why}")
            attempts += 1
            if attempts % TELL_EVERY == 0:
                log.warning("step_takes_long", plan=self._plan.id, step=what, why=why)
            await self._pause(self._random.uniform(0.5, 1.0) * pause)
            pause = min(pause * 2, LAST_PAUSE_S)

    async def _keep(self, record: WorldRecord) -> None:
        """Until the store has it: what has been done cannot be left unsaid."""

        await self._until_done("write down how far it is", partial(self._hands.save, record), bounded=False)
        self.record = record

    async def _finish(self, plan: Plan, outcome: Outcome, why: str) -> None:
        last = Finished(plan.id, plan.what, outcome, why, self._now(), plan.zones)
        await self._keep(self.record.finished(last))
        log.info("plan_ended", plan=plan.id, what=plan.what, outcome=outcome, why=why)

    async def _undo(self, progress: Progress) -> None:
        """What has been started ends, unless it owns a zone of the map: its owner died meanwhile, and it took over.

        A zone that has retired is started again.
        """
        undo = {"start": self._end_unless_owner, "retire": self._back_to_work}
        for step in reversed(progress.plan.steps[: progress.done + 1]):
            if step.name in undo:
                what = f"undo: {progress.plan.say(step)}"
                await self._until_done(what, partial(undo[step.name], step), bounded=False)
        await self._finish(progress.plan, "rolled back", progress.undoing)

    async def _end_unless_owner(self, step: Step) -> None:
        in_use = self.record.map.find(step.zone) is not None
        if not (in_use and await self._hands.owner(step.zone) == step.slot):
            await self._hands.stop(step.zone, step.slot)

    async def _back_to_work(self, step: Step) -> None:
        slot = await self._hands.owner(step.zone)
        if (await self._hands.info(step.zone, slot)).get("retired"):
            await self._hands.stop(step.zone, slot)
            await self._hands.start(step.zone, slot, "")
            raise _NotYet("it starts again")

    # --- the steps ---------------------------------------------------------------------------------------------

    async def _start(self, step: Step) -> None:
        await self._hands.start(step.zone, step.slot, step.node)

    async def _await_owner(self, step: Step) -> None:
        if (info := await self._alive(step))["role"] != "owner":
            raise _NotYet(f"it is {info['role']}")

    async def _await_following(self, step: Step) -> None:
        info = await self._alive(step)
        if info["role"] == "owner":
            raise _CannotBe("the owner has changed meanwhile")
        if info["role"] != "following":
            raise _NotYet(f"it is {info['role']}")
        if step.node and info["node"] and info["node"] != step.node:
            raise _CannotBe(f"it came to run on node {info['node']}")

    async def _alive(self, step: Step) -> Mapping[str, Any]:
        try:
            return await self._hands.info(step.zone, step.slot)
        except Unavailable:  # it may not even have been made: its name belonged to one that was just ending
            await self._hands.start(step.zone, step.slot, step.node)
            raise

    async def _commit(self, step: Step) -> None:
        progress = self.record.progress
        if progress is None:
            raise RuntimeError("no plan is being carried out")
        record = replace(
            self.record, map=progress.plan.maps[step.slot], progress=replace(progress, done=progress.done + 1)
        )
        await self._hands.save(record)
        self.record = record

    async def _tell(self, step: Step) -> None:
        world = self.record.map
        concerned = {zone_id for zone_id in self._plan.zones if world.find(zone_id) is not None}
        concerned |= {near.id for zone_id in self._plan.zones for near in world.near(zone_id, self._margin)}
        data = world.dump()
        # All at once: for as long as two zones have different maps, both may believe that a piece of ground is theirs, or neither.
        told = await asyncio.gather(
            *(self._hands.remap(zone_id, data) for zone_id in sorted(concerned)), return_exceptions=True
        )
        for failure in told:
            if failure is not None:
                raise failure

    async def _settle(self, step: Step) -> None:
        info = await self._hands.info(step.zone, await self._hands.owner(step.zone))
        if info["role"] != "owner" or info["map_version"] < self.record.map.version:
            raise _NotYet("its owner has not taken the map in")
        if info["strays"]:
            raise _NotYet(f"{info['strays']} stand beyond the border")

    async def _retire(self, step: Step) -> None:
        if not await self._hands.retire(step.zone):
            raise _NotYet("it is not empty")

    async def _promote(self, step: Step) -> None:
        if await self._hands.owner(step.zone) == step.slot:
            return
        try:
            await self._hands.promote(step.zone, step.slot)
        except Unavailable:
            zone = self.record.map.find(step.zone)
            await self._hands.start(step.zone, step.slot, zone.node if zone else "")
            raise

    async def _verify(self, step: Step) -> None:
        if await self._hands.owner(step.zone) != step.slot:
            await self._promote(step)  # it had taken over, and the other one took it back
            raise _NotYet("the other actor owns it")
        if (info := await self._hands.info(step.zone, step.slot))["role"] != "owner":
            raise _NotYet(f"it is {info['role']}")

    async def _dismiss(self, step: Step) -> None:
        if await self._hands.owner(step.zone) == step.slot:
            if not self._is_committed():
                raise _CannotBe("the owner has changed meanwhile")
            await self._hands.promote(step.zone, 1 - step.slot)
            raise _NotYet("it owns the zone again")
        await self._hands.stop(step.zone, step.slot)

    async def _stop(self, step: Step) -> None:
        await self._hands.stop(step.zone, step.slot)

    def _is_committed(self) -> bool:
        return self.record.progress is not None and self.record.progress.committed
