"""The crowd's load: `python -m cluster.bench.load JOB RESULT`, a process of its own, so that what it costs is told apart.

It makes the accounts, enters every client itself (so it knows each one's entity number), walks the plan, and holds what every
viewer is told against the truth. JOB and RESULT are JSON files; what JOB holds is the class of that name.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
from pydantic import SecretStr

from cluster.bench import plan as plans
from cluster.bench import processes
from cluster.bench.entrants import each, enlist, persist
from cluster.bench.ledger import Ledger, percentile_ms
from cluster.bench.report import Aftermath, Memories, Window, report
from cluster.bench.sockets import Inbox, LoadSocket, now_ms, open_socket
from cluster.bench.wire import MOVE_BYTES, encode_moves, quantised
from rayrealm_client.accounts import Accounts, pool
from rayrealm_client.codec import OwnMove, encode
from rayrealm_client.errors import DeadlineExceeded
from rayrealm_client.models import Bounds, World, Zone

ACCOUNT_S = 60.0
JOIN_S = 60.0
REQUEST_S = 10.0
REST_S = 1.0
SETTLE_S = 0.5
FLUSH_S = 0.02
PUMP_S = 0.001
LEAD_S = 0.25
FIRST_SEQUENCE = 20_000
WALK_IN_HZ = 5.0
WALK_IN_PACE = 0.9  # of the zone's max_speed


@dataclass(frozen=True, slots=True)
class Job:
    """`pids`: pid -> kind of the server's processes, empty if they are not on this machine. `users`: prefix of usernames.

    `zones`: how many the clients are spread over; 1: all enter where the realm lets them in.
    """

    url: str
    clients: int
    seconds: float
    seed: int
    hysteresis_m: float
    users: str
    password: str
    pids: dict[int, str]
    zones: int = 1
    by_second: bool = False

    @classmethod
    def read(cls, path: Path) -> Job:
        fields: dict[str, Any] = json.loads(path.read_text())
        fields["pids"] = {int(pid): kind for pid, kind in fields["pids"].items()}
        return cls(**fields)


class Load:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.plan = plans.make(job.clients, job.seconds, seed=job.seed, zones=job.zones)
        self._rng = random.Random(job.seed)  # noqa: S311 - a workload, no secret
        self._inbox = Inbox()
        self._sockets: dict[int, LoadSocket] = {}
        self._ledger: Ledger | None = None
        self._zones: list[Zone] = []  # where they are spread over several
        self._other_bytes = 0
        self._read = asyncio.Event()  # replaced at each flush, which sets the old one
        self._failure: BaseException | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._seconds: list[tuple[float, int, float]] = []  # Unix time at its end, deliveries, p99 in ms

    async def run(self) -> dict[str, Any]:
        ideal = plans.expected(self.plan)
        entrants = await self._enlist()
        before = processes.memory(self.job.pids)
        self._flush()
        first, *others = range(self.job.clients)
        await self._join(first, entrants[first])
        await each(others, lambda client: self._join(client, entrants[client]))
        await asyncio.sleep(REST_S)
        joined = processes.memory(self.job.pids)
        window = await self._walk(self.ledger)
        await asyncio.sleep(SETTLE_S)
        self._take()
        lost = sum(socket.closed for socket in self._sockets.values())
        after = Aftermath(lost, *self.ledger.missing_and_ghosts(self.job.hysteresis_m))
        memories = Memories(before, joined, processes.memory(self.job.pids)) if self.job.pids else None
        result = report(self.plan, ideal, self.ledger, window, memories, after, self.job.pids)
        if self.job.by_second:
            result["by_second"] = self._seconds
        self._close()
        return result

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            raise RuntimeError("nobody has entered yet")
        return self._ledger

    # --- everyone in -------------------------------------------------------------------------------------------

    async def _enlist(self) -> dict[int, tuple[str, str]]:
        """client -> access token, character."""
        made: dict[int, tuple[str, str]] = {}
        async with pool(self.job.url, REQUEST_S) as http:

            async def one(client: int) -> None:
                accounts = Accounts(self.job.url, REQUEST_S, http)
                name = f"{self.job.users}-{client}"
                password = SecretStr(self.job.password)
                entrant = await enlist(accounts, name, password, client, self._rng, ACCOUNT_S)
                made[client] = (await accounts.access_token(), entrant.character_id)

            await each(range(self.job.clients), one)
        return made

    async def _join(self, client: int, entrant: tuple[str, str]) -> None:
        """Connect, enter, and go to where the plan begins; the others must not all meet at the spawn point."""
        token, character_id = entrant
        socket = await open_socket(self.job.url, token, lambda: LoadSocket(client, self._inbox), self._rng, JOIN_S)
        self._sockets[client] = socket
        if self.job.zones > 1 and not self._zones:
            listed = await socket.request("world.zones", {}, REQUEST_S)
            self._zones = apart([Zone.of(zone) for zone in listed["zones"]], self.job.zones, self.plan.side_m)
        world = await self._enter(
            socket, character_id, self._zones[self.plan.zone_of[client]].zone if self._zones else None
        )
        if self._ledger is None:
            self._ledger = self._open_ledger(world)
        if world.sequence >= FIRST_SEQUENCE:
            raise RuntimeError(f"client {client} enters with sequence {world.sequence}")
        self._ledger.learn(client, world.number)
        await self._go_to_start(client, socket, world)

    async def _enter(self, socket: LoadSocket, character_id: str, zone: str | None) -> World:
        params = {"character_id": character_id} | ({} if zone is None else {"zone": zone})
        async with asyncio.timeout(JOIN_S):
            return World.of(await persist(lambda: socket.request("world.enter", params, REQUEST_S), self._rng))

    def _open_ledger(self, world: World) -> Ledger:
        grounds = [zone.bounds for zone in self._zones] or [world.bounds]
        truth = self.plan.placed([middle(bounds, self.plan.side_m) for bounds in grounds])
        yaw, y, radius_m = quantised(self.plan.yaw), world.position.y, world.interest_radius
        return Ledger(truth, yaw, y, FIRST_SEQUENCE, radius_m, self.plan.zone_of)

    async def _go_to_start(self, client: int, socket: LoadSocket, world: World) -> None:
        """In one leap where the zone's speed budget allows it, else on foot."""
        ledger = self.ledger
        x, z = (float(v) for v in ledger.truth[0, client])
        y, yaw = float(ledger.y), float(self.plan.yaw[0, client])
        at, sequence = (world.position.x, world.position.z), world.sequence
        distance = float(np.hypot(x - at[0], z - at[1]))
        until = time.monotonic() + REQUEST_S + 2.0 * distance / world.max_speed
        step = np.inf
        while at != (x, z):
            if time.monotonic() > until:
                raise DeadlineExceeded(f"client {client} did not reach its place")
            left = float(np.hypot(x - at[0], z - at[1]))
            part = min(1.0, step / left)
            goal = (x, z) if part == 1.0 else (at[0] + (x - at[0]) * part, at[1] + (z - at[1]) * part)
            sequence += 1
            ledger.refused.pop(client, None)
            self._say(socket, OwnMove(goal[0], y, goal[1], yaw, sequence))
            await self._until_acked(client, sequence)
            refused = ledger.refused.pop(client, None)
            at = goal if refused is None else refused
            if refused is not None or step != np.inf:
                step = WALK_IN_PACE * world.max_speed / WALK_IN_HZ
                await asyncio.sleep(1.0 / WALK_IN_HZ)
        self._say(socket, OwnMove(x, y, z, yaw, FIRST_SEQUENCE))
        await self._until_acked(client, FIRST_SEQUENCE)

    def _say(self, socket: LoadSocket, move: OwnMove) -> None:
        if not socket.send(encode(move, "proto")):
            raise RuntimeError("a socket closed while its client joined")

    async def _until_acked(self, client: int, sequence: int) -> None:
        async with asyncio.timeout(REQUEST_S):
            while self.ledger.acked[client] < sequence:
                if self._failure is not None:
                    raise self._failure
                await self._read.wait()

    # --- the walk ----------------------------------------------------------------------------------------------

    async def _walk(self, ledger: Ledger) -> Window:
        pump = Pump(self, ledger)
        gc.collect()
        gc.freeze()
        gc.disable()
        ledger.start(now_ms())
        loop = asyncio.get_running_loop()
        begin = loop.time() + LEAD_S
        pump.start(begin)
        try:
            await sleep_until(begin + self.plan.warm_up_s)
            self._take()
            ledger.measuring = True
            sent, late, cpu, own, since = (
                pump.sent, len(pump.late_ms), processes.cpu_s(self.job.pids), own_cpu_s(), time.monotonic()
            )  # fmt: skip
            await self._measure(begin + self.plan.warm_up_s, ledger)
            ledger.measuring = False
            seconds, used = time.monotonic() - since, processes.cpu_s(self.job.pids)
            return Window(
                seconds,
                pump.sent - sent,
                {pid: used[pid] - cpu.get(pid, 0.0) for pid in used},
                own_cpu_s() - own,
                float(np.percentile(pump.late_ms[late:], 99)),
            )
        finally:
            pump.stop()
            gc.enable()

    async def _measure(self, begin: float, ledger: Ledger) -> None:
        """Wait for the end of the window; with `by_second`, look once a second at what came in it."""
        before = ledger.latency.copy()
        if self.job.by_second:
            for second in range(1, int(self.plan.measure_s) + 1):
                await sleep_until(begin + second)
                self._take()
                now = ledger.latency.copy()
                self._seconds.append((time.time(), int((now - before).sum()), percentile_ms(now - before, 99)))
                before = now
        await sleep_until(begin + self.plan.measure_s)
        self._take()

    def socket(self, client: int) -> LoadSocket:
        return self._sockets[client]

    # --- reading -----------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        try:
            self._take()
        except Exception as error:
            self._failure = error
        self._read.set()
        self._read = asyncio.Event()
        self._flushing = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _take(self) -> None:
        if self._failure is not None:
            raise self._failure
        views = self._inbox.drain()
        others = self._inbox.other_bytes - self._other_bytes
        self._other_bytes += others
        if (views or others) and self._ledger is not None:
            self._ledger.take(views, others)

    def _close(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        for socket in self._sockets.values():
            socket.disconnect()


class Pump:
    """Sends each move when it is due. `late_ms`: by how much it did not."""

    def __init__(self, load: Load, ledger: Ledger) -> None:
        plan = load.plan
        order = np.argsort(plan.phase_s)
        steps = np.arange(1, plan.steps + 1)[:, None]
        x, z = ledger.truth[1:, order, 0], ledger.truth[1:, order, 1]
        frames = encode_moves(FIRST_SEQUENCE + steps, x, np.full_like(x, ledger.y), z, plan.yaw[1:, order])
        self._frames = memoryview(frames.tobytes())
        self._clients: list[int] = order.tolist()
        self._sockets = [load.socket(client) for client in self._clients]
        self._due_ms: list[float] = (plan.phase_s[order] * 1_000.0).tolist()
        self._period_ms = 1_000.0 / plan.hz
        self._steps = plan.steps
        self._ledger = ledger
        self._at = self._step = self._offset = 0
        self._begin_ms = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.sent = 0
        self.late_ms: list[float] = []

    def start(self, begin: float) -> None:
        """`begin`: on the loop's clock."""
        loop = asyncio.get_running_loop()
        self._begin_ms = now_ms() + (begin - loop.time()) * 1_000.0
        self._timer = loop.call_at(begin, self._run)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _run(self) -> None:
        now, sent_at, newest, at, step = now_ms(), self._ledger.sent_at, self._ledger.newest, self._at, self._step
        while step < self._steps:
            due = self._begin_ms + step * self._period_ms + self._due_ms[at]
            if due > now:
                break
            client = self._clients[at]
            sent_at[step + 1, client] = now
            newest[client] = step + 1
            if self._sockets[at].send(self._frames[self._offset : self._offset + MOVE_BYTES]):
                self.sent += 1
            now = now_ms()
            self.late_ms.append(now - due)
            self._offset += MOVE_BYTES
            at += 1
            if at == len(self._clients):
                at, step = 0, step + 1
        self._at, self._step = at, step
        self._timer = asyncio.get_running_loop().call_later(PUMP_S, self._run)


def middle(bounds: Bounds, side_m: float) -> tuple[float, float]:
    """The corner (x, z) of a square in the middle of a zone. Raises ValueError if it does not fit."""
    width, depth = bounds.max_x - bounds.min_x, bounds.max_z - bounds.min_z
    if min(width, depth) < side_m:
        raise ValueError(
            f"the crowd needs a zone of {side_m:.0f} by {side_m:.0f} m, this one has {width:g} by {depth:g}"
        )
    return bounds.min_x + (width - side_m) / 2.0, bounds.min_z + (depth - side_m) / 2.0


def apart(listed: list[Zone], count: int, side_m: float) -> list[Zone]:
    """So many zones that a square fits into and that do not touch each other. Raises ValueError if there are not."""
    found: list[Zone] = []
    for zone in sorted(listed, key=lambda zone: zone.zone):
        b = zone.bounds
        fits = min(b.max_x - b.min_x, b.max_z - b.min_z) >= side_m
        if fits and all(gap(b, other.bounds) > plans.APART_M - 1.0 for other in found):
            found.append(zone)
    if len(found) < count:
        raise ValueError(f"the realm has {len(found)} zones of {side_m:.0f} m that are apart, not {count}")
    return found[:count]


def gap(a: Bounds, b: Bounds) -> float:
    """Metres between two grounds along the axes."""
    return max(a.min_x - b.max_x, b.min_x - a.max_x, a.min_z - b.max_z, b.min_z - a.max_z)


async def sleep_until(when: float) -> None:
    await asyncio.sleep(when - asyncio.get_running_loop().time())


def own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(argv: list[str]) -> int:
    job_file, result_file = (Path(name) for name in argv)

    async def run() -> dict[str, Any]:
        return await Load(Job.read(job_file)).run()

    result = uvloop.run(run())
    result_file.write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
