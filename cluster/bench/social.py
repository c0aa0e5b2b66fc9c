"""People who change their status, watch each other and talk, while the presence actor and NATS are killed (rows 2.3, 3.2, 7.4).

What they must not notice is in `social_checks.py`; they themselves are in `socialites.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from cluster.bench.decoding import SharedDecoder
from cluster.bench.fleet import Fleet
from cluster.bench.realm_under_test import RunningRealm, limits, realm_under_test
from cluster.bench.returning import Returning
from cluster.bench.social_checks import (
    CHAT_FAULTS,
    ON_ITS_WAY_S,
    STATUS_FAULTS,
    ChatBook,
    Findings,
    StatusBook,
    back_ms,
    figures_ms,
    took_ms,
)
from cluster.bench.socialites import HUSH_S, Socialite, circles
from cluster.errors import Ours

SEED = 13
KINDS = ("presence", "nats")
STRIKE_AT = (0.3, 0.65)  # of the time, in the order of KINDS
GRACE_S = 10.0
QUIET = 3  # at each fault one of so many changes its status for the last time
LEAVES = 10  # one of so many leaves at the end
COME_S = 30.0
ASKED_AT_ONCE = 200
REST_S = 30.0
SETTLE_S = 20.0
GONE_S = 20.0  # for the last to hear that somebody has gone, after the grace period
POLL_S = 0.25
BEAT_S = 0.02
LOOK_S = 2.0
RESTART_S = 30.0

Strike = Callable[[], Awaitable[float]]
"""Does what it does, and returns when it did it, on the monotonic clock."""


def config(bots: int) -> str:
    """Room for all, cheap passwords, and a grace period that a run can wait for."""
    return limits(bots).replace("[session]", f"[session]\ngrace_s = {GRACE_S!r}")


def run_social(bots: int, seconds: float, *, gateways: int | None = None) -> dict[str, Any]:
    """The report (see `Social.report`), of a realm of its own. Raises Ours, RealmError of the client."""
    with (
        realm_under_test(config(bots), gateways=gateways) as realm,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_social(realm, bots, seconds))


async def _social(realm: RunningRealm, bots: int, seconds: float) -> dict[str, Any]:
    async with Fleet(realm, SEED, SharedDecoder()) as fleet:
        clients = await fleet.enlist(bots)
        social = Social(clients, SEED)
        await fleet.connect(clients, social.come)
        await social.meet()
        pids = await asyncio.to_thread(realm.pids)
        victims = {kind: victim(kind, pids) for kind in KINDS}
        strikes = {kind: partial(_kill, pid) for kind, pid in victims.items()}
        faults = await social.live(seconds, strikes)
        settled_s = await social.settle()
        back = {kind: await _restarted(realm, kind, pid) for kind, pid in victims.items()}
        offline = await social.some_leave(GRACE_S)
        return social.report(seconds, faults, back, settled_s, offline)


def victim(kind: str, pids: Mapping[int, str]) -> int:
    """Raises Ours."""
    found = [pid for pid, its in pids.items() if its == kind]
    if len(found) != 1:
        raise Ours(f"the realm has {len(found)} processes of kind {kind}")
    return found[0]


async def _kill(pid: int) -> float:
    since = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return since


async def _restarted(realm: RunningRealm, kind: str, killed: int) -> bool:
    until = time.monotonic() + RESTART_S
    while True:
        pids = await asyncio.to_thread(realm.pids)
        if kind in pids.values() and killed not in pids:
            return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(LOOK_S)


@dataclass(frozen=True, slots=True)
class Fault:
    """`at_s`: after everybody began."""

    kind: str
    since: float
    at_s: float


class Social:
    """Use it once: `come` with each client as it is connected, then `meet`, `live`, `settle`, `some_leave`, `report`."""

    def __init__(self, clients: Sequence[Returning], seed: int) -> None:
        self.findings = Findings()
        self.chat = ChatBook(self.findings)
        self.statuses = StatusBook(self.findings)
        self._began = 0.0
        self._restless = self._left = 0
        self._load_core = self._stall_s = 0.0
        self.people = [
            Socialite(number, client, random.Random(f"{seed}:{number}"), self.chat, self.statuses)  # noqa: S311
            for number, client in enumerate(clients)
        ]
        self._of = {id(person.client): person for person in self.people}

    async def come(self, client: Returning) -> None:
        """Into its channels."""
        await self._of[id(client)].join(circles(self._of[id(client)].number, len(self.people)))

    async def meet(self) -> None:
        """Everybody is there, and the realm knows: now each watches others, and knows whom to write to. Raises TimeoutError."""
        ids = [person.user_id for person in self.people]
        async with asyncio.timeout(COME_S):
            for start in range(0, len(ids), ASKED_AT_ONCE):
                await self.people[0].until_there(ids[start : start + ASKED_AT_ONCE])
        for person in self.people:
            person.know(ids)
        for person in self.people:
            await person.watch()

    async def live(self, seconds: float, strikes: Mapping[str, Strike]) -> list[Fault]:
        """Everybody does what they do for so long; `strikes` by kind come one after another on the way. Then they rest.

        Raises what one of them raised.
        """
        self._began = time.monotonic()
        cpu = time.process_time()
        living = [asyncio.create_task(person.live()) for person in self.people]
        beating = asyncio.create_task(self._beat())
        faults: list[Fault] = []
        try:
            for (kind, strike), share in zip(strikes.items(), STRIKE_AT, strict=False):
                await self._until(self._began + seconds * share - HUSH_S / 2.0, living)
                for person in self.people[len(faults) :: QUIET]:
                    person.hush()
                await self._until(self._began + seconds * share, living)
                since = await strike()
                faults.append(Fault(kind, since, since - self._began))
            await self._until(self._began + seconds, living)
            self._load_core = (time.process_time() - cpu) / seconds
            for person in self.people:
                person.rest()
            done, restless = await asyncio.wait(living, timeout=REST_S)
            for task in done:
                task.result()
            self._restless = len(restless)
        finally:
            for task in (beating, *living):
                task.cancel()
            await asyncio.gather(beating, *living, return_exceptions=True)
        return faults

    async def _beat(self) -> None:
        """For ever: while this process stands still, everybody in it does."""
        while True:
            since = time.monotonic()
            await asyncio.sleep(BEAT_S)
            self._stall_s = max(self._stall_s, time.monotonic() - since - BEAT_S)

    async def settle(self) -> float:
        """Until everything acknowledged has come and everybody sees everybody as they are; then judges. Returns how long."""
        since = time.monotonic()
        while self.chat.missing() or self.statuses.wrong():
            if time.monotonic() > since + SETTLE_S:
                break
            await asyncio.sleep(POLL_S)
        took_s = time.monotonic() - since
        self.chat.judge()
        self.statuses.judge()
        return took_s

    async def some_leave(self, grace_s: float) -> list[float]:
        """Some go, and the others are told so after the grace period. Returns how long after it, by those who go."""
        leavers = [person for person in self.people[::LEAVES] if person.client.connected]
        self._left = len(leavers)
        for person in leavers:
            self.statuses.left(person.user_id, time.monotonic() + grace_s)
            person.client.leave()
        gone_from, told = time.monotonic() + grace_s, dict[str, float]()
        gone = {person.user_id for person in leavers}
        until = gone_from + GONE_S
        while len(told) < len(gone) and time.monotonic() < until:
            await asyncio.sleep(POLL_S)
            for user_id in gone - {user_id for _, user_id, _ in self._still_here(gone)}:
                told.setdefault(user_id, max(0.0, time.monotonic() - gone_from))
        for watcher, user_id, words in self._still_here(gone):
            self.findings.add("wrong_status", f"{watcher} sees {user_id} {words}")
        return sorted(told.values())

    def _still_here(self, gone: Collection[str]) -> list[tuple[str, str, str]]:
        """What those who stay see wrong of those who have gone."""
        return [found for found in self.statuses.wrong() if found[1] in gone and found[0] not in gone]

    def report(
        self,
        seconds: float,
        faults: Sequence[Fault],
        back: Mapping[str, bool],
        settled_s: float,
        offline_s: Sequence[float],
    ) -> dict[str, Any]:
        """`calm`: from a request to whoever is told, for what was asked for well before the first fault; `all`: of everything.

        Of a fault: from the kill to the first thing that was asked for later and came, by person. `told_offline`: after the grace
        period, until the last watcher knew. The faults that nobody may see are counted (see `social_checks.py`).
        """
        first = faults[0].since if faults else float("inf")
        ends = [fault.since - ON_ITS_WAY_S for fault in faults[1:]] + [float("inf")]
        books = {"status": self.statuses.arrivals, "chat": self.chat.arrivals}
        people = [person.user_id for person in self.people]
        kept = {name: [book[user_id] for user_id in people] for name, book in books.items()}
        clients = [person.client for person in self.people]
        return {
            "bots": len(self.people),
            "seconds": round(seconds, 1),
            "status_changes": self.statuses.acknowledged,
            "statuses_told": sum(len(each.at) for each in kept["status"]),
            "looks": sum(person.looks for person in self.people),
            "messages": self.chat.acknowledged,
            "messages_heard": self.chat.deliveries,
            "calm": {name: took_ms(each, self._began, first - ON_ITS_WAY_S) for name, each in kept.items()},
            "all": {name: took_ms(each, self._began, float("inf")) for name, each in kept.items()},
            "faults": [
                {"kind": fault.kind, "at_s": round(fault.at_s, 2), "restarted": back[fault.kind]}
                | {name: back_ms(each, fault.since, until) for name, each in kept.items()}
                for fault, until in zip(faults, ends, strict=False)
            ],
            "settled_s": round(settled_s, 2),
            "left": self._left,
            "told_offline": figures_ms(list(offline_s)),
            **{name: self.findings.counts[name] for name in (*CHAT_FAULTS, *STATUS_FAULTS)},
            "examples": self.findings.examples,
            "unanswered": sum(person.unanswered for person in self.people),
            "refused": sum(person.refused for person in self.people),
            "refusals": sorted({words for person in self.people for words in person.refusals})[:8],
            "restless": self._restless,
            "outdated": self.statuses.outdated,
            "not_recovered": sum(client.holes for client in clients),
            "new_sessions": sum(len(client.sessions) - 1 for client in clients),
            "disconnects": sum(client.connects - 1 for client in clients),
            "load_core": round(self._load_core, 3),
            "load_stall_ms": round(self._stall_s * 1_000.0, 1),
        }

    async def _until(self, moment: float, living: Sequence[asyncio.Task[None]]) -> None:
        """Nobody may end before; raises what ended them."""
        done, _ = await asyncio.wait(
            living, timeout=max(0.0, moment - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()
            raise Ours("somebody stopped who should go on")
