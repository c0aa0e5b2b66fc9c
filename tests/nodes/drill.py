"""Loses one node of three, in every way, under players, and tells how long the realm took (row 1.9): `scripts/test-nodes`.

One JSON object on standard output; exit code 1 if a promise was broken. Needs root, `ip`, and seven minutes or so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import get_args

from pydantic import SecretStr

from cluster.bench.bots import run_bots, watch_recovery
from cluster.bench.crew import Crew
from cluster.errors import RealmError as RealmProblem
from cluster.telemetry.logs import configure
from rayrealm_client.client import RealmClient
from rayrealm_client.errors import RealmError
from tests.nodes.cluster import Cluster, cluster
from tests.nodes.machines import Direction, Machine
from tests.nodes.watching import Member, Tap, Witness, members

BOTS = 16
SEED = 71
WORKERS = 2
WITNESSES = 2
MISSED_S = 10.0
"""The promise: Ray knows that the node is gone."""
RESTART_S = 10.0
"""... and what it may take then to start everything elsewhere, three nodes sharing two cores."""
HELD_S = 20.0
RECOVER_DEADLINE_S = 90.0
ENDED_DEADLINE_S = 60.0
PAUSE_S = 0.05
KINDS = ("kill", "freeze", *(f"cut-{direction}" for direction in get_args(Direction)))


@dataclass
class Result:
    """Seconds after the fault, -1 for what did not happen. `voices_after`: how often an older incarnation spoke after a newer."""

    kind: str
    node: str
    lost: list[str]
    missed_s: float = -1.0
    back_s: dict[str, float] = field(default_factory=dict)
    zone_heard_s: float = -1.0
    sessions_answer_s: float = -1.0
    walking_s: float = -1.0
    view_gap_p50_s: float = 0.0
    view_gap_max_s: float = 0.0
    voices_after: int = 0
    ended_after_heal_s: float = -1.0
    healthy: bool = False
    broken: list[str] = field(default_factory=list)


class Drill:
    def __init__(self, realm: Cluster, crew: Crew, tap: Tap, probe: RealmClient, witnesses: list[Witness]) -> None:
        self._realm, self._crew, self._tap, self._probe, self._witnesses = realm, crew, tap, probe, witnesses

    async def lose(self, kind: str) -> Result:
        """The worker with most to lose is lost, comes back, and the realm is well again."""
        before = await members(self._realm)
        victim, lost = self._victim(before)
        epochs = {zone: voices.newest for zone, voices in self._tap.zones.items()}
        late = sum(voices.late for voices in self._tap.zones.values())
        result = Result(kind, victim.name, sorted(lost))
        began, since, wall = time.monotonic(), self._crew.clock(), time.time()
        self._harm(kind, victim)
        sessions = asyncio.create_task(self._sessions_answer(began))
        try:
            await self._come_back(result, before, lost, began)
            await self._heard(result, lost, epochs, began)
            result.sessions_answer_s = await sessions
        except TimeoutError:
            result.broken.append("what was lost did not come back")
        finally:
            sessions.cancel()
        if kind != "kill":
            await asyncio.sleep(max(0.0, began + HELD_S - time.monotonic()))
            self._undo(kind, victim)
            await self._ended(result, lost)
        recovery = await watch_recovery(
            self._crew, since, within_s=1.0, steady_s=3.0, deadline_s=RECOVER_DEADLINE_S + HELD_S
        )
        result.missed_s = self._realm.missed_at(victim, wall) - wall
        result.walking_s = time.monotonic() - began if recovery.recovered else -1.0
        result.view_gap_p50_s, result.view_gap_max_s = recovery.p50_s, recovery.max_s
        result.voices_after = sum(voices.late for voices in self._tap.zones.values()) - late
        await asyncio.to_thread(self._return, victim)
        await self._well(result)
        self._judge(result)
        return result

    def _victim(self, before: dict[str, Member]) -> tuple[Machine, dict[str, Member]]:
        """The worker with the most actors; a zone counts more than all others."""

        def on(machine: Machine) -> dict[str, Member]:
            kinds = ("zone", "sessions", "presence", "supervisor")
            return {m.name: m for m in before.values() if m.node == machine.name and m.kind in kinds}

        def weight(machine: Machine) -> int:
            return sum(10 if member.kind == "zone" else 1 for member in on(machine).values())

        victim = max(self._realm.workers, key=weight)
        return victim, on(victim)

    def _harm(self, kind: str, victim: Machine) -> None:
        if kind == "kill":
            victim.kill()
        elif kind == "freeze":
            victim.freeze()
        else:
            victim.cut(_direction(kind))

    def _undo(self, kind: str, victim: Machine) -> None:
        if kind == "freeze":
            victim.thaw()
        else:
            victim.heal()

    def _return(self, victim: Machine) -> None:
        """Ray has given the node up: what is left of it ends, and it joins anew, as after a reboot."""
        victim.kill()
        self._realm.start_ray(victim)

    # --- what is waited for ------------------------------------------------------------------------------------

    async def _come_back(
        self, result: Result, before: dict[str, Member], lost: dict[str, Member], began: float
    ) -> None:
        """Every actor that was lost has registered again, from another node."""

        async def moved() -> bool:
            now = await members(self._realm)
            for name, member in lost.items():
                if name not in result.back_s and now[name].pid != member.pid and now[name].node != result.node:
                    result.back_s[name] = time.monotonic() - began
            return len(result.back_s) == len(lost)

        await _until(moved, RECOVER_DEADLINE_S)

    async def _heard(self, result: Result, lost: dict[str, Member], epochs: dict[str, int], began: float) -> None:
        """Every zone that was lost speaks with a higher epoch."""
        zones = [name.removeprefix("zone/") for name in lost if name.startswith("zone/")]

        async def speaks() -> bool:
            return all(self._tap.zones[zone].newest > epochs.get(zone, 0) for zone in zones)

        await _until(speaks, RECOVER_DEADLINE_S)
        for zone in zones:
            voices = self._tap.zones[zone]
            result.zone_heard_s = max(result.zone_heard_s, voices.heard[voices.newest][0] - began)

    async def _sessions_answer(self, began: float) -> float:
        """A request through the session's actor is answered; how long that took, counted from the last failure."""
        answered = time.monotonic()
        while time.monotonic() - began < RECOVER_DEADLINE_S:
            try:
                async with asyncio.timeout(2.0):
                    await self._probe.subscribe(["drill.probe"])
            except (RealmError, RealmProblem, TimeoutError):
                answered = -1.0
            else:
                if answered < 0:
                    return time.monotonic() - began
                if time.monotonic() - began > MISSED_S + RESTART_S:
                    return 0.0  # it never failed
            await asyncio.sleep(0.2)
        raise TimeoutError

    async def _ended(self, result: Result, lost: dict[str, Member]) -> None:
        """The old incarnations, which could speak again, are gone."""
        healed = time.monotonic()

        async def gone() -> bool:
            return not any(member.alive for member in lost.values())

        try:
            await _until(gone, ENDED_DEADLINE_S)
            result.ended_after_heal_s = time.monotonic() - healed
        except TimeoutError:
            still = sorted(member.name for member in lost.values() if member.alive)
            result.broken.append(f"an old incarnation runs on: {', '.join(still)}")

    async def _well(self, result: Result) -> None:
        """As many gateways as before, every actor alive, everybody walking."""

        async def well() -> bool:
            now = (await members(self._realm)).values()
            actors = [member for member in now if member.kind != "gateway"]
            gateways = [alive for alive in self._tap.gateways().values() if not alive.draining]
            return len(gateways) >= 2 and all(m.alive for m in actors) and self._crew.all_walking(1.0)

        with contextlib.suppress(TimeoutError):
            await _until(well, RECOVER_DEADLINE_S)
            result.healthy = True

    def _judge(self, result: Result) -> None:
        if not 0 < result.missed_s < MISSED_S:
            result.broken.append("the node was not missed in time")
        late = {name: s for name, s in result.back_s.items() if s > result.missed_s + RESTART_S}
        if late:
            result.broken.append(f"came back too late: {late}")
        if result.walking_s < 0:
            result.broken.append("not everybody walks again")
        if not result.healthy:
            result.broken.append("the realm is not well in the end")
        for witness in self._witnesses:
            result.broken += witness.faults
            witness.faults.clear()


def _direction(kind: str) -> Direction:
    return next(direction for direction in get_args(Direction) if kind == f"cut-{direction}")


async def _until(true: Callable[[], Awaitable[bool]], deadline_s: float) -> None:
    async with asyncio.timeout(deadline_s):
        while not await true():  # noqa: ASYNC110 - other machines tell nobody
            await asyncio.sleep(PAUSE_S)


async def drill(realm: Cluster, kinds: list[str], say: Callable[[str], None]) -> list[Result]:
    crew, password = Crew(), SecretStr(secrets.token_urlsafe(16))
    async with contextlib.AsyncExitStack() as stack:
        tap = await Tap.on(realm)
        stack.push_async_callback(tap.close)
        bots = asyncio.create_task(run_bots(realm.url, BOTS, None, SEED, password=password, crew=crew))
        stack.callback(bots.cancel)
        witnesses = []
        for number in range(WITNESSES):
            client = await stack.enter_async_context(RealmClient(realm.url, give_up_s=None))
            await client.register(f"witness-{number}", password.get_secret_value())
            hero = await client.create_character(f"Witness {'ab'[number]}")
            witnesses.append(Witness(client))
            await client.enter(hero.character_id)
        await _until(lambda: _is(crew.all_walking(1.0) and len(crew.bots) == BOTS), RECOVER_DEADLINE_S)
        made = Drill(realm, crew, tap, client, witnesses)
        results = []
        for kind in kinds:
            results.append(await made.lose(kind))
            say(json.dumps(asdict(results[-1])))
        return results


async def _is(value: bool) -> bool:
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(KINDS), help="of these, in this order")
    kinds = parser.parse_args().only.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    configure("error")

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    with cluster(WORKERS) as realm:
        say(f"the realm is up at {realm.url}")
        results = asyncio.run(drill(realm, kinds, say))
    broken = [f"{result.kind}: {what}" for result in results for what in result.broken]
    sys.stdout.write(json.dumps({"faults": [asdict(result) for result in results], "broken": broken}) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
