"""New code for a realm that plays on (row 7.6): every process is started again with what is installed now, one after the other.

Actors first: what they hold is stored, and Ray starts them again. Zones are taken over by a second actor, so that nobody is
dropped. Gateways are drained before they end: clients resume their sessions elsewhere, without a login. The console comes last: it
may be carrying this out, and then the next one goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from cluster.beats import Beat
from cluster.errors import Conflict, NotFound, RealmError, Unavailable
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Operation, Params, Preview, Result, Role
from cluster.process_control import ask_process
from realm_proto import internal_pb2

ORDER = ("supervisor", "sessions", "presence", "watch", "zone", "gateway", "web", "console")
LISTEN_BEATS = 2
ASK_S = 5.0
BACK_S = 90.0  # a process that was killed, until it says how it is; a gateway waits for Serve's health check
PLAN_S = 180.0
DRAIN_S = 60.0
PAUSE_S = 0.25
STEADY_S = 1.0  # a process that has just come back, before the next one goes

Kind = Annotated[str, Field(pattern=f"^({'|'.join(ORDER)})$")]


class Upgrade(Params):
    """`kinds`: only those processes; empty: all."""

    kinds: tuple[Kind, ...] = ()


class Upgraded(Result):
    """`restarted`: by name, in order. `versions`: how many processes run which, now."""

    restarted: list[str]
    versions: dict[str, int]


def old(beats: Iterable[Beat], params: Upgrade, began_at: float) -> list[Beat]:
    """Who has older code, in the order in which they are started again."""
    kinds = params.kinds or ORDER
    found = [beat for beat in beats if beat.kind in kinds and beat.kind in ORDER and beat.started_at < began_at]
    return sorted(found, key=lambda beat: (ORDER.index(beat.kind), beat.name))


async def plan(desk: Desk, params: Upgrade) -> Preview:
    there = old(desk.beats.living(), params, desk.now())
    steps = []
    for kind in ORDER:
        names = [beat.name for beat in there if beat.kind == kind]
        if names:
            steps.append(f"{SAID[kind]}, one after the other: {', '.join(names)}")
    warnings = []
    if sum(beat.kind == "gateway" for beat in there) == 1:
        warnings.append("there is one gateway: its players wait until it is back, some seconds")
    if any(beat.kind == "web" for beat in there):
        warnings.append(
            "nobody can log in for some seconds while the web process starts again; who plays notices nothing"
        )
    return Preview(tuple(steps), tuple(warnings))


SAID = {
    "supervisor": "start the world's supervisor again",
    "sessions": "start the session actors again",
    "presence": "start the presence index again",
    "watch": "start the watch again",
    "zone": "have each zone taken over by an actor of the new code",
    "gateway": "drain each gateway, and start another in its place",
    "web": "start the web process again",
    "console": "start the console again",
}


async def run(desk: Desk, params: Upgrade, job: Job) -> Upgraded:
    """Raises Unavailable if a process does not come back: the rest is left as it is, and another upgrade goes on from there."""
    restarted: list[str] = []
    todo = old(desk.beats.living(), params, job.began_at)
    count = len(todo)
    for number, beat in enumerate(todo):
        await job.tell(f"{beat.name} of version {beat.version}", number / count)
        if beat.kind == "zone":
            await _zone(desk, beat, job)
        elif beat.kind == "gateway":
            await _gateway(desk, beat, job)
        else:
            await _restart(desk, beat)
            await _back(desk, beat, job)
        restarted.append(beat.name)
        await desk.pause(STEADY_S)
    newest = {
        beat.name: beat for beat in sorted(desk.beats.living(), key=lambda beat: beat.started_at)
    }  # who ended is heard of
    versions: dict[str, int] = {}
    for beat in newest.values():
        versions[beat.version] = versions.get(beat.version, 0) + 1
    await job.tell(f"{len(restarted)} processes were started again", 1.0)
    return Upgraded(restarted=restarted, versions=versions)


async def _restart(desk: Desk, beat: Beat) -> None:
    """Who does not answer may be gone already: whether another one is there is seen afterwards."""
    try:
        await ask_process(desk.bus, desk.subjects, beat.name, "restart", {}, ASK_S)
    except Unavailable:
        if _of(desk, beat):
            raise


def _of(desk: Desk, beat: Beat) -> bool:
    """That very process is still heard."""
    return any(found.name == beat.name and found.pid == beat.pid for found in desk.beats.living(beat.kind))


async def _back(desk: Desk, beat: Beat, job: Job) -> None:
    """Until a process of its name with newer code says how it does its work. Raises Unavailable."""
    until = desk.clock() + BACK_S
    while desk.clock() < until:
        for found in desk.beats.living(beat.kind):
            if found.name == beat.name and found.started_at >= job.began_at and found.values:
                return
        await desk.pause(PAUSE_S)
    raise Unavailable(beat.name)


async def _zone(desk: Desk, beat: Beat, job: Job) -> None:
    """The supervisor's own plan: a second actor follows, takes over, and the first one ends. A standby is replaced by that, too."""
    zone = str(beat.values.get("zone", ""))
    if not zone or beat.values.get("role") != "owner":
        return  # a standby, or one that is just leaving: the owner's plan dismisses it
    plan_id = f"pln_{job.id.removeprefix('job_')}_{zone.removeprefix('zon_')}"
    until = desk.clock() + PLAN_S
    while True:
        try:
            await desk.ask_world("execute", {"kind": "restart", "args": [zone], "plan_id": plan_id})
            break
        except NotFound:
            return  # it has been merged meanwhile
        except Conflict:  # another plan runs, of the policy's perhaps
            if desk.clock() > until:
                raise
            await desk.pause(PAUSE_S)
    while desk.clock() < until:
        state = await desk.ask_world("state", {})
        last, now = state["last"], state["plan"]
        if last is not None and last["id"] == plan_id:
            if last["outcome"] != "done":
                raise Unavailable(f"{zone} ({last['why']})")
            return
        if now is None or now["id"] != plan_id:
            owners = desk.beats.living("zone")
            if any(b.values.get("zone") == zone and b.started_at >= job.began_at for b in owners):
                return  # another plan has ended since
        await desk.pause(PAUSE_S)
    raise Unavailable(zone)


async def _gateway(desk: Desk, beat: Beat, job: Job) -> None:
    """Its clients go elsewhere; then it ends, and Serve starts another, under another name. If it cannot be
    ended it takes clients again: it may be the realm's only one.
    """
    before = sum(not found.values.get("draining") for found in desk.beats.living("gateway"))
    drain = internal_pb2.GatewayControl(drain=internal_pb2.GatewayDrain(deadline_s=float("inf")))
    desk.bus.publish(desk.subjects.gateway_control(beat.name), drain.SerializeToString())
    try:
        await _replaced(desk, beat, before)
    except RealmError:
        stay = internal_pb2.GatewayControl(stay=internal_pb2.GatewayStay())
        desk.bus.publish(desk.subjects.gateway_control(beat.name), stay.SerializeToString())
        raise


async def _replaced(desk: Desk, beat: Beat, before: int) -> None:
    """Raises Unavailable."""
    until = desk.clock() + DRAIN_S
    while desk.clock() < until:
        now = next((found for found in desk.beats.living("gateway") if found.name == beat.name), None)
        if now is None or (now.values.get("draining") and not now.values.get("sockets")):
            break
        await desk.pause(PAUSE_S)
    await _restart(desk, beat)
    until = desk.clock() + BACK_S
    while desk.clock() < until:
        ready = [
            found
            for found in desk.beats.living("gateway")
            if found.values and not found.values.get("draining") and found.name != beat.name
        ]
        if len(ready) >= before and not _of(desk, beat):
            return
        await desk.pause(PAUSE_S)
    raise Unavailable(f"a gateway in the place of {beat.name}")


OPERATIONS: tuple[Operation, ...] = (
    Action(
        name="realm.upgrade",
        summary="Start every process again with the code that is installed now, a few at a time, while players play on.",
        params=Upgrade,
        result=Upgraded,
        plan=plan,
        run=run,
        target=lambda params: ",".join(params.kinds) or "realm",
        command="upgrade",
        role=Role.ADMIN,
        beats=LISTEN_BEATS,
    ),
)
