"""Operations on the whole realm (row 7.8): how it is, what is wrong with it, and the keys that its tokens are signed with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from cluster.beats import Beat
from cluster.errors import RealmError
from cluster.operations.announcing import current
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Nothing, Operation, Params, Preview, Result
from cluster.ports.audit import AuditEntry
from cluster.security.requests import LIST_KEYS, ROTATE_KEYS
from cluster.world_control import ask

ANSWER_S = 10.0
WORLD_S = 3.0  # for the supervisor: while it is away, the rest is told all the same
NEARLY_FULL = 0.9
OVERRUNS_PER_S = 0.5
LOOK_BACK = 500  # entries of the audit log

Severity = Literal["critical", "warning", "info"]
RANK: tuple[Severity, ...] = ("critical", "warning", "info")


class Problem(BaseModel):
    """`link`: the page of the console that tells more, like `zones/meadow`."""

    model_config = ConfigDict(frozen=True)

    severity: Severity
    text: str
    link: str


class Overview(Result):
    """`players`: users who are there; `sockets`: their connections. `zones_away`: those that nobody owns at the moment.

    `zones` and `nodes` are None while the supervisor does not say. `started_at`: of the process that runs longest (Unix seconds).
    """

    realm: str
    versions: list[str]
    started_at: float | None
    players: int
    sessions: int
    sockets: int
    zones: int | None
    zones_away: list[str]
    gateways: int
    nodes: int | None
    processes: int
    messages_per_s: float
    bytes_per_s: float
    tick_ms_p95_worst: float
    degraded: list[str]
    maintenance: dict[str, Any]
    problems: list[Problem]


async def overview(desk: Desk, _params: Nothing) -> Overview:
    """From what processes say, what the supervisor knows, and the store. Raises Unavailable without the store."""
    beats = desk.beats
    gateways, zones = beats.living("gateway"), beats.living("zone")
    world, closed, actors = await asyncio.gather(_world(desk), current(desk), desk.sessions.actors())
    everybody = beats.living()
    degraded = sorted({part for beat in gateways for part in beat.values.get("degraded", ())})
    owners = [beat for beat in zones if beat.values.get("role") == "owner"]
    owned = {beat.values.get("zone") for beat in owners}
    away = sorted(zone["zone"] for zone in world["zones"] if zone["zone"] not in owned) if world is not None else []
    maintenance = {
        "on": closed is not None,
        "since": closed.since if closed is not None else None,
        "by": closed.by if closed is not None else None,
        "reason": closed.reason if closed is not None else None,
        "until": closed.until if closed is not None else None,
        "close_at": closed.close_at if closed is not None else None,
        "allow": list(closed.allow) if closed is not None else [],
    }
    problems = [
        *_absent(desk, everybody, actors),
        *_of_world(world, away, everybody),
        *(problem for beat in owners for problem in of_zone(desk, beat)),
        *(problem for beat in gateways for problem in of_gateway(beat)),
        *_of_versions(everybody),
    ]
    if closed is not None:
        text = f"the realm is closed for maintenance{': ' * bool(closed.reason)}{closed.reason}"
        problems.append(Problem(severity="info", text=text, link="maintenance"))
    return Overview(
        realm=desk.namespace,
        versions=sorted({beat.version for beat in everybody}),
        started_at=min((beat.started_at for beat in everybody), default=None),
        players=_sum(beats.living("presence"), "users"),
        sessions=_sum(beats.living("sessions"), "sessions"),
        sockets=_sum(gateways, "sockets"),
        zones=len(world["zones"]) if world is not None else None,
        zones_away=away,
        gateways=len(gateways),
        nodes=len(world["nodes"]) if world is not None else None,
        processes=len(everybody),
        messages_per_s=sum(beats.rate(beat, "messages_in") + beats.rate(beat, "messages_out") for beat in gateways),
        bytes_per_s=sum(beats.rate(beat, "bytes_out") for beat in gateways),
        tick_ms_p95_worst=max((float(beat.values.get("tick_ms_p95", 0.0)) for beat in owners), default=0.0),
        degraded=degraded,
        maintenance=maintenance,
        problems=sorted(problems, key=lambda problem: RANK.index(problem.severity)),
    )


async def _world(desk: Desk) -> dict[str, Any] | None:
    """The map and the nodes, as the supervisor has them; who owns a zone is in its beats."""
    try:
        async with asyncio.timeout(WORLD_S):
            found: dict[str, Any] = await desk.ask_world("world", {})
    except (RealmError, TimeoutError):
        return None
    return found


def _sum(beats: Iterable[Beat], value: str) -> int:
    return sum(int(beat.values.get(value, 0)) for beat in beats)


# --- what is wrong -----------------------------------------------------------------------------------------------


def _absent(desk: Desk, everybody: list[Beat], actors: dict[str, int]) -> Iterable[Problem]:
    """Who ought to be heard, and is not."""
    kinds, names = {beat.kind for beat in everybody}, {beat.name for beat in everybody}
    for kind, why in (
        ("gateway", "no gateway is heard: nobody can connect"),
        ("web", "the web process is not heard: nobody can log in"),
        ("presence", "the presence index is not heard: nobody sees who is online"),
    ):
        if kind not in kinds:
            yield Problem(severity="critical", text=why, link="processes")
    for actor, load in actors.items():
        if load and actor not in names:
            yield Problem(
                severity="critical", text=f"{actor} is not heard: its {load} sessions wait for it", link="processes"
            )


def _of_world(world: dict[str, Any] | None, away: list[str], everybody: list[Beat]) -> Iterable[Problem]:
    if world is None:
        yield Problem(
            severity="warning", text="the supervisor does not answer: nothing is started again", link="processes"
        )
    for zone in away:
        yield Problem(severity="critical", text=f"nobody owns the zone {zone}", link=f"zones/{zone}")
    heard = {beat.node for beat in everybody}
    for node in world["nodes"] if world is not None else []:
        if node["node"] not in heard:
            text = f"nothing is heard from {node['host']}: no process of the realm runs there, or it is cut off"
            yield Problem(severity="warning", text=text, link="nodes")


def of_zone(desk: Desk, beat: Beat) -> Iterable[Problem]:
    late = desk.beats.rate(beat, "overruns")
    if late >= OVERRUNS_PER_S:
        zone = beat.values.get("zone", beat.name)
        yield Problem(severity="warning", text=f"{zone} is late with {late:.1f} ticks a second", link=f"zones/{zone}")


def of_gateway(beat: Beat) -> Iterable[Problem]:
    values = beat.values
    for part in values.get("degraded", ()):
        yield Problem(severity="warning", text=f"{beat.name} gets no answers of {part}", link="gateways")
    sockets, capacity = int(values.get("sockets", 0)), int(values.get("capacity", 0))
    if capacity and sockets >= capacity:
        yield Problem(severity="critical", text=f"{beat.name} is full: {sockets} sockets", link="gateways")
    elif capacity and sockets >= NEARLY_FULL * capacity:
        text = f"{beat.name} is nearly full: {sockets} of {capacity} sockets"
        yield Problem(severity="warning", text=text, link="gateways")


def _of_versions(everybody: list[Beat]) -> Iterable[Problem]:
    versions = sorted({beat.version for beat in everybody})
    if len(versions) > 1:
        yield Problem(
            severity="info", text=f"processes of {len(versions)} versions run: {', '.join(versions)}", link="processes"
        )


# --- keys --------------------------------------------------------------------------------------------------------


class Keys(Result):
    """Those that count at the moment, the newest first."""

    keys: list[dict[str, Any]]


async def list_keys(desk: Desk, _params: Nothing) -> Keys:
    """Raises Unavailable."""
    return Keys(keys=await ask(desk.bus, desk.subjects.accounts(), LIST_KEYS, {}, ANSWER_S))


class Rotate(Params):
    """`compromised`: older keys count no more, at once: everybody has to log in or refresh."""

    compromised: bool = False


class Rotated(Result):
    """The key that signs in so many seconds, and those that count, the newest first."""

    kid: str
    signs_in_s: float
    keys: list[dict[str, Any]]


async def plan_rotate(desk: Desk, params: Rotate) -> Preview:
    keys = await ask(desk.bus, desk.subjects.accounts(), LIST_KEYS, {}, ANSWER_S)
    if params.compromised:
        return Preview(
            ("Make a new key, which signs at once.", f"The {len(keys)} older ones count no more."),
            ("Everybody has to log in or refresh.",),
        )
    return Preview(("Make a new key, which signs soon.", "Tokens that older ones signed count until they end."))


async def rotate(desk: Desk, params: Rotate, job: Job) -> Rotated:
    """Once for the job: a key that was made since it began is its own. Raises Unavailable."""
    keys = await ask(desk.bus, desk.subjects.accounts(), LIST_KEYS, {}, ANSWER_S)
    began = await _began(desk, job)
    if began is not None and keys and keys[0]["created_at"] >= began:
        return Rotated(kid=keys[0]["kid"], signs_in_s=0.0, keys=keys)
    await job.tell("make a key", 0.1)
    order = {"compromised": params.compromised}
    return Rotated(**await ask(desk.bus, desk.subjects.accounts(), ROTATE_KEYS, order, ANSWER_S))


async def _began(desk: Desk, job: Job) -> float | None:
    """When the job began for the first time, if it was carried out before: each time the audit log has an entry of it."""
    mine = [entry.at for entry in await desk.audit.newest(LOOK_BACK) if _of_job(entry, job)]
    return min(mine) if len(mine) > 1 else None


def _of_job(entry: AuditEntry, job: Job) -> bool:
    return entry.action == "keys.rotate" and entry.result == "begun" and entry.details.get("job") == job.id


OPERATIONS: tuple[Operation, ...] = (
    Look("realm.overview", "How the realm is, and what is wrong", Nothing, Overview, overview, "overview", beats=2),
    Look("keys.list", "The keys that access tokens are signed with", Nothing, Keys, list_keys, "keys list"),
    Action(
        "keys.rotate",
        "A new key that signs access tokens",
        Rotate,
        Rotated,
        plan_rotate,
        rotate,
        lambda params: "compromised" if params.compromised else "keys",
        "keys rotate",
        dangerous=True,
    ),
)
