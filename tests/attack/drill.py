"""Every attack in turn against a realm of its own, while honest players walk: who gets in, and who notices."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from cluster.bench import processes
from cluster.bench.crowd import run_load
from cluster.bench.processes import Memory
from cluster.bench.realm_under_test import RunningRealm, crowd_ground, realm_under_test
from tests.attack import handshakes, identities, messages
from tests.attack.target import Outcome, Target

Attack = Callable[[Target, float, Outcome], Awaitable[None]]
ATTACKS: tuple[Attack, ...] = (
    handshakes.slowloris,
    handshakes.handshake_flood,
    handshakes.too_many_sockets,
    handshakes.forged_forwarded_for,
    handshakes.origin_tricks,
    handshakes.header_injection,
    messages.message_flood,
    messages.move_flood,
    messages.ping_flood,
    messages.method_spray,
    messages.one_byte_too_many,
    messages.endless_fragments,
    messages.compressed_bombs,
    messages.deep_json,
    messages.signed_replays,
    identities.forged_tokens,
    identities.login_flood,
)
NAMES = tuple(attack.__name__ for attack in ATTACKS)
HONEST = 50
NICENESS = 10  # who attacks from elsewhere takes no cores from the realm
JOIN_S, WARM_UP_S, PAUSE_S, MARGIN_S, CALM_S = 60.0, 7.0, 1.0, 20.0, 45.0
# Of all attacks: so many go on for their whole time, and this is what the others wait for.
LONG, WAITS_S = 8, 30.0
GRACE_S = 25.0  # for what an attack waits for beyond its time
P99_MS = 250.0
# What nobody may make the realm restart. Ray ends idle workers by itself, and Serve starts HAProxy anew whenever its replicas
# change.
VITAL = frozenset(
    {"gateway", "web", "zone", "sessions", "presence", "supervisor", "watch", "nats", "valkey", "launcher"}
)
GROWTH = 1.10
SMALL_KIB = 8 * 1024  # of a process's growth that is no leak: caches, threads
# Honest players come from 127.0.0.1, attackers from 127.0.1.x and up.
CONFIG = """
[firewall]
exempt = ["127.0.0.1/32"]

[session]
per_user = 1000
"""


@dataclass(frozen=True, slots=True)
class Spell:
    """When an attack was on, Unix seconds."""

    outcome: Outcome
    begin: float
    end: float


def run(seconds: float, only: Sequence[str] = NAMES, calm_s: float = CALM_S) -> dict[str, Any]:
    """`good`: everybody was refused, nobody honest noticed, memory is back after `calm_s`."""
    attacks = [attack for attack in ATTACKS if attack.__name__ in only]
    with realm_under_test(crowd_ground(HONEST) + CONFIG) as realm:
        return asyncio.run(_run(realm, attacks, seconds, calm_s))


async def _run(realm: RunningRealm, attacks: Sequence[Attack], seconds: float, calm_s: float) -> dict[str, Any]:
    pids = realm.pids()
    length = LONG * seconds + len(attacks) * PAUSE_S + WAITS_S + MARGIN_S
    walking = asyncio.create_task(asyncio.to_thread(run_load, realm.url, HONEST, length, pids, by_second=True))
    await _joined(realm.url, walking)
    os.nice(NICENESS)
    before = processes.memory(pids)
    spells = [await _attack(Target(realm.url, number), attack, seconds) for number, attack in enumerate(attacks, 1)]
    honest = await walking
    await asyncio.sleep(calm_s)
    vital = {pid: kind for pid, kind in pids.items() if kind in VITAL}
    now = realm.pids()
    gone = [kind for pid, kind in vital.items() if pid not in now]
    return judged(spells, honest, before, processes.memory(now), gone)


async def _joined(url: str, walking: asyncio.Task[dict[str, Any]]) -> None:
    async with asyncio.timeout(JOIN_S), httpx.AsyncClient(base_url=url) as http:
        while await _sockets(http) < HONEST:
            if walking.done():
                walking.result()
            await asyncio.sleep(0.5)
    await asyncio.sleep(WARM_UP_S)


async def _sockets(http: httpx.AsyncClient) -> int:
    lines = (await http.get("/metrics")).text.splitlines()
    counts = [float(line.split()[-1]) for line in lines if line.startswith("websocket_active_connections")]
    return int(sum(counts))


async def _attack(target: Target, attack: Attack, seconds: float) -> Spell:
    outcome, begin = Outcome(attack.__name__), time.time()
    try:
        async with asyncio.timeout(seconds + GRACE_S):
            await attack(target, seconds, outcome)
    except Exception as error:
        outcome.through.append(f"the attack broke off: {error!r}")
    end = time.time()
    await asyncio.sleep(PAUSE_S)
    return Spell(outcome, begin, end)


def judged(
    spells: Sequence[Spell],
    honest: Mapping[str, Any],
    before: Mapping[str, Memory],
    after: Mapping[str, Memory],
    gone: Sequence[str] = (),
) -> dict[str, Any]:
    """The report. `by_second` of the honest load says how it fared in each attack."""
    told, problems = [], []
    for spell in spells:
        seconds = [p99 for at, _, p99 in honest["by_second"] if spell.begin <= at <= spell.end + 1.0]
        worst = max(seconds, default=None)
        told.append({**spell.outcome.told(), "seconds": round(spell.end - spell.begin, 1), "honest_p99_ms": worst})
        problems += [f"{spell.outcome.name}: {what}" for what in spell.outcome.through]
        if worst is None:
            problems.append(f"{spell.outcome.name}: nobody honest was watched meanwhile")
        elif worst > P99_MS:
            problems.append(f"{spell.outcome.name}: honest players had a p99 of {worst:.0f} ms")
    grown = {
        kind: (before[kind].pss_kib, after[kind].pss_kib)
        for kind in sorted(before)
        if kind in after and after[kind].pss_kib > max(GROWTH * before[kind].pss_kib, before[kind].pss_kib + SMALL_KIB)
    }
    problems += [f"{kind} grew from {was:.0f} to {now:.0f} KiB" for kind, (was, now) in grown.items()]
    problems += [
        f"honest players: {name} {honest[name]}"
        for name in ("wrong", "missing", "ghosts", "disconnected")
        if honest[name]
    ]
    problems += [f"a process of the realm died: {kind}" for kind in gone]
    return {
        "good": not problems,
        "problems": problems,
        "attacks": told,
        "honest": {name: value for name, value in honest.items() if name != "by_second"},
        "memory_kib": {
            kind: (round(before[kind].pss_kib), round(after[kind].pss_kib)) for kind in sorted(before) if kind in after
        },
    }
