"""One run: a realm, bots that write, the schedule, and the verdict (DESIGN, "The commands")."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cluster import running
from cluster.bench.bots import watch_recovery
from cluster.bench.realm_under_test import limits, realm_under_test
from cluster.chaos.backends import NATS, REDIS, Servers, own_servers
from cluster.chaos.cast import Cast, cast
from cluster.chaos.check_chat import ChatCheck
from cluster.chaos.checker import check
from cluster.chaos.faults import Hands
from cluster.chaos.foreign import ForeignServers
from cluster.chaos.history import History, read
from cluster.chaos.inside import Inside
from cluster.chaos.measure import Recovery, by_kind, measure, over_the_bar
from cluster.chaos.schedule import Fault, traits_of
from cluster.chaos.verdict import first_of_each
from cluster.errors import Ours, StartRefused
from cluster.running import RunningRealm
from cluster.world_settings import InterestSettings

SIDE_M = 60.0
RADIUS_M = 30.0
MIN_SIDE_M = 15.0
"""A small land of four zones: at every moment somebody is near a border, and not everybody sees everybody."""
WALK_S = 60.0
WITHIN_S, STEADY_S = 1.0, 2.0
SETTLE_S = 0.5
REST_S = 30.0
HEAR_S = 20.0
HEAR_PAUSE_S = 0.5
READ_S = 20.0
SIGHT_S = 5.0
"""So long after a fault a player may see what is not there, or not see what is."""
STILL_S = 2.0
"""So long after the last step everything has been told."""
HEADS_S = 10.0
SHOWN = 8
"""Violations of each name in the result; the counts are of all."""

Say = Callable[[str], None]


def config(bots: int, standby: bool) -> str:
    """Two by two zones. There is no game, and the supervisor leaves the zones as they are."""
    grounds = "".join(
        f"""
[[world.zones]]
id = "zon_{south_north}_{west_east}"
name = "{south_north.title()} {west_east.title()}"
bounds = {{ min_x = {x!r}, min_z = {z!r}, max_x = {x + SIDE_M!r}, max_z = {z + SIDE_M!r} }}
"""
        for z, south_north in ((0.0, "south"), (SIDE_M, "north"))
        for x, west_east in ((0.0, "west"), (SIDE_M, "east"))
    )
    return f"""
[world]
spawn_zone = "zon_south_west"
game = ""
standby = {str(standby).lower()}
{grounds}
[world.interest]
radius = {RADIUS_M!r}

[world.policy]
enabled = false
split_min_side = {MIN_SIDE_M!r}
{limits(bots)}"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to do. `history`: where to keep the recorded one; `environment`: added to that of the realm's processes; `standby`: its
    zones have standbys."""

    seed: int
    seconds: float
    faults: Sequence[Fault]
    bots: int
    gateways: int
    history: Path | None
    environment: Mapping[str, str]
    standby: bool = False


@dataclass(frozen=True, slots=True)
class Ground:
    """A realm that runs, and ways into it. `forgotten_m`: so far beyond what a player sees it sees nobody any more."""

    url: str
    launcher: int
    namespace: str
    gateways: int
    redis_url: str
    nats_url: str
    nats_token: str
    servers: Servers
    environment: Mapping[str, str]
    forgotten_m: float


def run_own(order: Order, say: Say) -> dict[str, Any]:
    """In a realm of our own, with Redis and NATS of our own. Raises Ours, StartRefused."""
    with tempfile.TemporaryDirectory(prefix="rayrealm-chaos-") as folder, contextlib.ExitStack() as stack:
        servers = stack.enter_context(own_servers(Path(folder) / "servers", say))
        toml = config(order.bots, order.standby) + servers.config()
        realm = stack.enter_context(realm_under_test(toml, order.environment, gateways=order.gateways))
        say(f"a realm of our own at {realm.url}")
        ground = Ground(
            realm.url,
            realm.launcher,
            "rayrealm-realm",
            order.gateways,
            servers.direct_redis,
            servers.direct_nats,
            servers.nats_token,
            servers,
            realm.environment,
            InterestSettings().hysteresis,
        )
        return _record(order, ground, order.history or Path(folder) / "history.jsonl", say)


def run_at(order: Order, url: str, say: Say) -> dict[str, Any]:
    """In a realm that runs on this machine already. Raises Ours, StartRefused."""
    found = running.find(running.folder(), url)
    details = found.details()
    if not details:
        raise StartRefused(f"the realm at {url} is just stopping")
    servers = ForeignServers(found.pid, details["redis_url"], details["nats_url"], details["nats_token"])
    _refuse_what_it_has_not(order.faults, servers)
    ground = _ground(found, details, servers)
    with tempfile.TemporaryDirectory(prefix="rayrealm-chaos-") as folder:
        return _record(order, ground, order.history or Path(folder) / "history.jsonl", say)


def _ground(found: RunningRealm, details: Mapping[str, Any], servers: Servers) -> Ground:
    return Ground(
        found.url,
        found.pid,
        found.namespace,
        details["gateways"],
        details["redis_url"],
        details["nats_url"],
        details["nats_token"],
        servers,
        {},
        math.inf,  # what its settings say of that is not known here
    )


def _refuse_what_it_has_not(faults: Sequence[Fault], servers: ForeignServers) -> None:
    for name in (REDIS, NATS):
        wanted = sorted({fault.kind for fault in faults if fault.kind.startswith(f"{name}_")})
        if wanted and not servers.has(name):
            raise StartRefused(f"the realm's {name} is not its own: leave out {', '.join(wanted)} with --kinds")


def _record(order: Order, ground: Ground, path: Path, say: Say) -> dict[str, Any]:
    history = History(path)
    try:
        measured, whole = asyncio.run(_drill(order, ground, history, say))
    finally:
        history.close()
    say(f"judging {history.events} events")
    verdict = check(read(path))
    recovery_ms = by_kind([(told["kind"], recovery) for told, recovery in measured])
    shown = first_of_each(verdict.violations, SHOWN)
    missed = [told["number"] for told, recovery in measured if recovery.missed]
    for violation in shown:
        say(f"VIOLATION {violation.name}: {violation.who}: {violation.what}")
    for number in missed:
        say(f"MISSED RECOVERY after fault {number}")
    return {
        "seed": order.seed,
        "seconds": order.seconds,
        "bots": order.bots,
        "gateways": ground.gateways,
        "standby": order.standby,
        "faults": [told | recovery.as_dict() for told, recovery in measured],
        **verdict.as_dict(),
        "recovery_ms": recovery_ms,
        "missed_recoveries": len(missed) + len(whole),
        "over_the_bar": over_the_bar(recovery_ms, order.standby),
        "violations": [violation.as_dict() for violation in shown],
        "good": verdict.good and not missed and not whole,
        "history": str(path) if order.history else None,
    }


async def _drill(
    order: Order, ground: Ground, history: History, say: Say
) -> tuple[list[tuple[dict[str, Any], Recovery]], list[str]]:
    """What was done with what came of it, and what is not whole again."""
    inside_of = Inside(ground.redis_url, ground.nats_url, ground.nats_token, ground.namespace, ground.launcher, history)
    async with inside_of as inside:
        if order.standby and not all(zone.standby for zone in inside.world.map):
            raise StartRefused("the realm has zones without a standby")
        zones = partial(_zones, inside)
        async with cast(ground.url, order.bots, order.seed, history, zones, ground.forgotten_m) as players:
            await players.come()
            await _all_walk(players)
            players.write()
            say(f"{order.bots} bots walk and write")
            hands = Hands(inside, ground.servers, history, ground.gateways, ground.environment, order.standby)
            measured, not_whole = await _act(order, hands, inside, players, history, say)
            await _end(inside, players, history, say)
    return measured, not_whole


def _zones(inside: Inside) -> list[str]:
    return [zone.id for zone in inside.world.map if not zone.into]


async def _all_walk(players: Cast) -> None:
    since = players.crew.clock()
    seen = await watch_recovery(players.crew, since, within_s=WITHIN_S, steady_s=STEADY_S, deadline_s=WALK_S)
    players.check()
    if not seen.recovered:
        raise Ours(f"the bots do not all walk: {players.crew.summary()}")


async def _act(
    order: Order, hands: Hands, inside: Inside, players: Cast, history: History, say: Say
) -> tuple[list[tuple[dict[str, Any], Recovery]], list[str]]:
    began = time.monotonic()
    measured: list[tuple[dict[str, Any], Recovery]] = []
    not_whole: list[str] = []
    before = await inside.members()
    for fault in order.faults:
        await _sleep_until(began + fault.at, players)
        does = traits_of(fault.kind, order.standby).does
        say(f"fault {fault.number}: {does}" + (f", {fault.lasts_s:.1f} s" if fault.lasts_s else ""))
        history.add("fault", number=fault.number, fault=fault.kind)
        at = time.monotonic() - began
        try:
            struck = await hands.strike(fault, players)
        except Ours as error:  # it could not be taken back: that is a finding, and the last one
            say(f"  {error}; no further faults")
            measured.append((fault.as_dict() | {"began_s": round(at, 3), "victim": str(error)}, Recovery((), 1)))
            break
        history.add("back", number=fault.number, victim=struck.victim)
        recovery = await measure(fault, struck, players)
        history.add("recovered", number=fault.number, missed=recovery.missed)
        told = fault.as_dict() | {"began_s": round(at, 3), "victim": struck.victim}
        measured.append((told, recovery))
        took = recovery.as_dict()
        say(
            f"  {struck.victim}: {took['hit']} bots, p50 {took['p50']} ms, max {took['max']} ms (stall {took['stall']} ms)"
        )
        await players.look(SIGHT_S)
        if not await hands.whole(before, fault.kind):
            not_whole.append(fault.kind)
            say(f"  NOT WHOLE AGAIN: {fault.kind}")
        if gone := [bot.name for bot in players.bots if bot.gone]:
            say(f"SENT AWAY: {', '.join(gone)}; no further faults")
            break
        await asyncio.sleep(SETTLE_S)
    return measured, not_whole


async def _sleep_until(moment: float, players: Cast) -> None:
    players.check()
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    players.check()


async def _end(inside: Inside, players: Cast, history: History, say: Say) -> None:
    """Nothing new is asked for; what was acknowledged must arrive, and be there when it is read. Everybody stands still, is seen
    exactly there, and is in one zone."""
    say("the bots rest")
    if restless := await players.rest(REST_S):
        say(f"{restless} bots still wait for an answer after {REST_S:g} s")
    players.stand()
    if missing := await until_heard(history, HEAR_S):
        say(f"{missing} acknowledged messages do not arrive")
    await asyncio.sleep(STILL_S)
    await players.look(SIGHT_S)
    await players.count(inside.holders, history, HEADS_S)
    if silent := await players.read_back(READ_S):
        say(f"{silent} bots cannot read back what they wrote")


async def until_heard(history: History, deadline_s: float) -> int:
    """Until every member has heard every acknowledged message. Returns how many are missing at the deadline."""
    until = time.monotonic() + deadline_s
    while missing := await asyncio.to_thread(_unheard, history.path, history.flush()):
        if time.monotonic() > until:
            return len(missing)
        await asyncio.sleep(HEAR_PAUSE_S)
    return 0


def _unheard(path: Path, size: int) -> list[tuple[str, str]]:
    chat = ChatCheck()
    for event in read(path, size):
        chat.feed(event)
    return chat.missing_now()
