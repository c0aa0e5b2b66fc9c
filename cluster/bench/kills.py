"""kill -9 of one process of the realm after another, under bots: how long until each bot walks again (row 7.4, first form).

What the hot lane goes through (a zone, a gateway) is measured by the gap in each bot's views; what it does not (session and
presence actors, supervisor) by when a request that has to go through that actor is answered again.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from os import kill
from typing import Any

from pydantic import SecretStr

from cluster.bench.bots import run_bots, watch_recovery
from cluster.bench.crew import Crew, Recovery
from cluster.bench.realm_under_test import Member, limits, members, realm_under_test
from cluster.errors import Ours
from rayrealm_client.client import RealmClient
from rayrealm_client.errors import RealmError

KINDS = ("zone", "sessions", "presence", "gateway")
BOT_SEED = 9
WALK_DEADLINE_S = 90.0
RECOVER_DEADLINE_S = 60.0
RESTART_DEADLINE_S = 30.0
WITHIN_S = 1.0
STEADY_S = 3.0
PROBE_TIMEOUT_S = 6.0
PROBE_PAUSE_S = 0.02
STATUS_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Fault:
    """`control_s`: until the request through the killed actor was answered; None where the views tell."""

    kind: str
    name: str
    recovery: Recovery
    control_s: float | None
    restarted: bool
    logins: int

    @property
    def good(self) -> bool:
        return self.recovery.recovered and self.restarted and self.logins == 0

    def as_dict(self) -> dict[str, Any]:
        control = None if self.control_s is None else round(self.control_s * 1_000)
        return {
            "kind": self.kind,
            "name": self.name,
            "bots_hit": self.recovery.hit,
            "view_gap_p50_ms": round(self.recovery.p50_s * 1_000),
            "view_gap_max_ms": round(self.recovery.max_s * 1_000),
            "control_ms": control,
            "restarted": self.restarted,
            "all_walking": self.recovery.recovered,
            "new_logins": self.logins,
        }

    def recovery_ms(self) -> dict[str, int]:
        if self.control_s is not None:
            once = round(self.control_s * 1_000)
            return {"p50": once, "max": once}
        return {"p50": round(self.recovery.p50_s * 1_000), "max": round(self.recovery.max_s * 1_000)}


def run_kills(
    bots: int, url: str | None = None, *, gateways: int | None = None, kinds: Sequence[str] = KINDS
) -> dict[str, Any]:
    """Raises Ours, RealmError of the client. The realm must run on this machine.

    `recovery_ms` by kind: p50 and max over the bots that were hit; of an actor off the hot lane, the request's.
    """
    with contextlib.ExitStack() as stack:
        if url is None:
            realm = stack.enter_context(realm_under_test(limits(bots), gateways=gateways))
            return asyncio.run(_drill(realm.url, bots, kinds, realm.environment))
        return asyncio.run(_drill(url, bots, kinds, {}))


async def _drill(url: str, bots: int, kinds: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    crew, password = Crew(), SecretStr(secrets.token_urlsafe(16))
    running = asyncio.create_task(run_bots(url, bots, None, BOT_SEED, password=password, crew=crew))
    try:
        async with RealmClient(url, timeout_s=PROBE_TIMEOUT_S, give_up_s=None) as probe:
            await probe.register(f"probe-{secrets.token_hex(6)}", password.get_secret_value())
            await _until_walking(crew, bots, running)
            faults = [await _fault(kind, crew, probe, url, environment) for kind in kinds]
    finally:
        running.cancel()
        await asyncio.wait({running})
    return {
        "bots": bots,
        "recovery_ms": {fault.kind: fault.recovery_ms() for fault in faults},
        "faults": [fault.as_dict() for fault in faults],
        "all_walking": all(fault.recovery.recovered for fault in faults),
        "new_logins": sum(fault.logins for fault in faults),
        "reconnects": crew.total("reconnects"),
        "corrections": crew.total("corrections"),
        "good": all(fault.good for fault in faults),
    }


async def _until_walking(crew: Crew, bots: int, running: asyncio.Task[Crew]) -> None:
    until = time.monotonic() + WALK_DEADLINE_S + bots * 0.2
    while len(crew.bots) < bots or not crew.all_walking(WITHIN_S):
        if running.done():
            running.result()
        if time.monotonic() > until:
            troubles = sorted({bot.last_trouble for bot in crew.bots if bot.last_trouble})
            raise Ours(f"the bots do not all walk: {crew.summary()} {troubles[:5]}")
        await asyncio.sleep(0.1)
    await watch_recovery(crew, crew.clock(), within_s=WITHIN_S, steady_s=STEADY_S, deadline_s=RECOVER_DEADLINE_S)


async def _fault(kind: str, crew: Crew, probe: RealmClient, url: str, environment: Mapping[str, str]) -> Fault:
    listed = await asyncio.to_thread(members, url, environment)
    victim = choose(kind, listed, {bot.zone for bot in crew.bots})
    ask = PROBES.get(kind)
    if ask is not None:
        await ask(probe)  # it works before the fault
    logins = crew.total("logins")
    since = crew.clock()
    kill(victim.pid, signal.SIGKILL)
    answer = asyncio.create_task(answered(ask, probe, since)) if ask is not None else None
    recovery = await watch_recovery(crew, since, within_s=WITHIN_S, steady_s=STEADY_S, deadline_s=RECOVER_DEADLINE_S)
    control_s = await answer if answer is not None else None
    restarted = await _restarted(victim, [m for m in listed if m.kind == kind], url, environment)
    return Fault(kind, victim.name, recovery, control_s, restarted, crew.total("logins") - logins)


def choose(kind: str, listed: Sequence[Member], zones: set[str]) -> Member:
    """Whom to kill: of zones one with bots in it, else the first. Raises Ours."""
    candidates = [member for member in listed if member.kind == kind]
    if not candidates:
        raise Ours(f"the realm has no process of kind {kind}: {sorted({member.kind for member in listed})}")
    full = [member for member in candidates if any(zone and zone in member.name for zone in zones)]
    return (full or candidates)[0]


async def answered(ask: Callable[[RealmClient], Awaitable[object]], probe: RealmClient, since: float) -> float:
    """Seconds from `since` to the first answer of a request that goes through an actor (PROBES). Raises Ours."""
    while time.monotonic() - since < RECOVER_DEADLINE_S:
        try:
            await ask(probe)
        except RealmError:
            await asyncio.sleep(PROBE_PAUSE_S)
        else:
            return time.monotonic() - since
    raise Ours(f"no answer within {RECOVER_DEADLINE_S:g} s of a fault")


async def _restarted(victim: Member, before: Sequence[Member], url: str, environment: Mapping[str, str]) -> bool:
    """Whether there are as many of that kind again, the killed one not among them."""
    until = time.monotonic() + RESTART_DEADLINE_S
    while time.monotonic() < until:
        now = {m.pid for m in await asyncio.to_thread(members, url, environment) if m.kind == victim.kind}
        if victim.pid not in now and len(now) >= len(before):
            return True
        await asyncio.sleep(STATUS_PAUSE_S)
    return False


async def _ask_sessions(probe: RealmClient) -> object:
    return await probe.subscribe(["bench.probe"])


async def _ask_presence(probe: RealmClient) -> object:
    return await probe.presence.subscribe([probe.tokens.user_id] if probe.tokens else [])


async def _ask_supervisor(probe: RealmClient) -> object:
    return await probe.zones()


PROBES: dict[str, Callable[[RealmClient], Awaitable[object]]] = {
    "sessions": _ask_sessions,
    "presence": _ask_presence,
    "supervisor": _ask_supervisor,
}
