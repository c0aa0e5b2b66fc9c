"""Operations that tell all players something, and close the realm for a while (row 7.8)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from cluster.errors import Conflict, InvalidInput, InvalidState
from cluster.operations.bans import told as tell_processes
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Operation, Params, Preview, Result
from cluster.operations.people import LONGEST_TEXT, MESSAGE, Reason, check_text
from cluster.operations.reaching import TELL_S, ask_actors, find_user
from cluster.ports.protection import STAFF, Maintenance
from cluster.server_topics import message as topic_message

LEFT_S = 15.0  # for the last sockets, once they are to be closed
STEP_S = 1.0
LONGEST_CLOSE_S = 3_600.0
LONGEST_S = 7 * 86_400.0
MOST_ALLOWED = 200


class Broadcast(Params):
    """To all players, or to those in a zone. Reliably: those who have lost their socket are told when they are back."""

    text: str = Field(description=f"At most {LONGEST_TEXT} characters")
    zone: str | None = Field(default=None, max_length=100)

    @field_validator("text")
    @classmethod
    def _readable(cls, text: str) -> str:
        return check_text(text)


class Broadcasted(Result):
    """`told`: how many sessions; `silent`: session actors that did not confirm it: theirs may have been told, or not."""

    told: int
    silent: list[str]


async def plan_broadcast(desk: Desk, params: Broadcast) -> Preview:
    found = await ask_actors(desk, "search", _all(params.zone or ""))
    count = sum(said["total"] for said in found.said.values())
    where = f" in {params.zone}" if params.zone else ""
    silent = tuple(f"{actor} does not answer: its players may not be told." for actor in found.silent)
    return Preview((f"Show the text to {count} players{where}.",), silent)


async def broadcast(desk: Desk, params: Broadcast, job: Job) -> Broadcasted:
    await job.tell("tell the players", 0.1)
    return await tell_all(desk, params.text, f"{job.id}/broadcast", params.zone or "")


async def tell_all(desk: Desk, text: str, key: str, zone: str = "", sender: str = "operator") -> Broadcasted:
    """Once for the key, whatever it takes."""
    order = {"key": key, "method": MESSAGE, "params": {"text": text, "from": sender}, "zone": zone, "sessions": None}
    answers = await ask_actors(desk, "tell", order, TELL_S)
    return Broadcasted(told=sum(said["told"] for said in answers.said.values()), silent=list(answers.silent))


def _all(zone: str) -> dict[str, Any]:
    return {
        "q": "", "zone": zone, "gateway": "", "state": "", "sort": "session", "descending": False, "most": 0,
    }  # fmt: skip


class Publish(Params):
    """To everybody who listens to a server topic. `topic`: as clients name it in system.subscribe; `data`: any JSON of 8 KiB."""

    topic: str = Field(max_length=100)
    data: Any

    @model_validator(mode="after")
    def _sendable(self) -> Publish:
        try:
            topic_message(self.topic, self.data)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return self


class Published(Result):
    topic: str


async def plan_publish(_desk: Desk, params: Publish) -> Preview:
    return Preview((f"Publish to {params.topic}. Every session that listens gets it once.",))


async def publish(desk: Desk, params: Publish, job: Job) -> Published:
    """The key makes it one message however often it must be asked. Raises Unavailable."""
    await job.tell(f"publish to {params.topic}", 0.0)
    await desk.ask_world("publish", {"topic": params.topic, "data": params.data, "key": f"operator/{job.id}"})
    return Published(topic=params.topic)


# --- maintenance -------------------------------------------------------------------------------------------------


class Maintain(Params):
    """`on`: new logins and sockets are refused with 503 `maintenance`, but for `allow` (names or ids), operators and moderators.

    `reason` is told to the players. `close_after_s`: those who are inside may stay so long; null: for as long as they like.
    `for_s`: how long it is likely to take; it ends by `on: false` alone.
    """

    on: bool
    reason: Reason = ""
    close_after_s: float | None = Field(default=None, ge=0.0, le=LONGEST_CLOSE_S)
    allow: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default=[], max_length=MOST_ALLOWED)
    for_s: float | None = Field(default=None, gt=0.0, le=LONGEST_S)


class Maintained(Result):
    """`told`: how many sessions. `left`: sockets of players that are still open, None if they were not to be closed."""

    on: bool
    told: int
    left: int | None
    silent: list[str]


async def current(desk: Desk) -> Maintenance | None:
    """None: the realm is open. Raises Unavailable."""
    page = await desk.protection.changes(-1)
    return page.maintenance if page is not None else None


async def settle(desk: Desk, params: Maintain) -> Maintain:
    allow = [(await find_user(desk, user)).user_id for user in params.allow]
    return params.model_copy(update={"allow": sorted(set(allow))})


async def plan(desk: Desk, params: Maintain) -> Preview:
    there, players = await current(desk), await ask_actors(desk, "others", _exempt(params.allow))
    sockets = sum(said["attached"] for said in players.said.values())
    if not params.on:
        if there is None:
            return Preview(("Nothing: the realm is open.",))
        return Preview(("Let everybody in again.", f"Tell the {sockets} players who are inside."))
    steps = [
        "Refuse new logins and sockets, but of operators, moderators and those who are allowed.",
        f"Tell the {sockets} players who are inside.",
    ]
    if params.close_after_s is not None:
        steps.append(f"Close their sockets with 1013 after {params.close_after_s:g} s.")
    warnings = ["It is closed already: this takes the place of what was said before."] if there is not None else []
    return Preview(tuple(steps), tuple(warnings))


async def maintain(desk: Desk, params: Maintain, job: Job) -> Maintained:
    """The gateways close sockets by themselves when it is time, whatever becomes of this job.

    Raises Conflict if a newer order holds: this job was carried on after its console had died.
    """
    there, now = await current(desk), desk.now()
    if not params.on:
        await job.tell("let everybody in", 0.1)
        await _keep(desk, None, job)
        await tell_processes(desk)
        said = await tell_all(desk, "The realm is open again.", f"{job.id}/open", sender="realm")
        return Maintained(on=False, told=said.told, left=None, silent=said.silent)
    if there is None or there.job != job.id:
        await job.tell("close the doors", 0.05)
        close_at = None if params.close_after_s is None else now + params.close_after_s
        until = None if params.for_s is None else now + params.for_s
        since = there.since if there is not None else now
        there = Maintenance(since, job.operator.name, params.reason, until, close_at, tuple(params.allow), job.id)
        await _keep(desk, there, job)
    await tell_processes(desk)
    await job.tell("tell the players", 0.1)
    said = await tell_all(desk, words(params), f"{job.id}/closed", sender="realm")
    left = await _closed(desk, there, params, job) if there.close_at is not None else None
    return Maintained(on=True, told=said.told, left=left, silent=said.silent)


async def _keep(desk: Desk, maintenance: Maintenance | None, job: Job) -> None:
    """Raises Conflict."""
    if not await desk.protection.maintain(maintenance, job.began_at):
        there = await current(desk)
        raise Conflict("a_newer_order_holds", {"realm": "open" if there is None else f"closed by {there.by}"})


async def _closed(desk: Desk, there: Maintenance, params: Maintain, job: Job) -> int:
    """How many sockets of players are left, once it was time to close them."""
    assert there.close_at is not None  # noqa: S101 - the caller
    whole = max(params.close_after_s or 0.0, STEP_S)
    while (wait := there.close_at - desk.now()) > 0:
        await job.tell(f"sockets are closed in {wait:.0f} s", 0.1 + 0.8 * (1.0 - min(wait / whole, 1.0)))
        await desk.pause(min(wait, STEP_S))
    until = desk.clock() + LEFT_S
    while True:
        answers = await ask_actors(desk, "others", _exempt(params.allow))
        left: int = sum(said["attached"] for said in answers.said.values())
        if not left or desk.clock() > until:
            return left
        await job.tell(f"{left} sockets are open", 0.95)
        await desk.pause(STEP_S)


async def cancel(desk: Desk, _params: Maintain, job_id: str) -> None:
    """Until sockets are closed. Raises InvalidState."""
    now = desk.now()
    there = await current(desk)
    if there is None or there.job != job_id or (there.close_at or 0.0) <= now:
        raise InvalidState("too_late", "closed" if there is not None else "open")
    if not await desk.protection.maintain(None, max(now, there.since)):
        raise InvalidState("too_late", "closed")
    await tell_processes(desk)
    await tell_all(desk, "The realm stays open.", f"{job_id}/stays", sender="realm")


def words(params: Maintain) -> str:
    """What players who are inside are told."""
    because = f": {params.reason}" if params.reason else ""
    if params.close_after_s is None:
        return f"The realm takes nobody in for maintenance{because}. You can stay."
    seconds = params.close_after_s
    when = "now" if seconds < 1 else f"in {seconds:.0f} s" if seconds < 120 else f"in {seconds / 60:.0f} min"
    return f"The realm closes for maintenance {when}{because}."


def _exempt(allow: list[str]) -> dict[str, Any]:
    return {"users": allow, "roles": sorted(STAFF)}


OPERATIONS: tuple[Operation, ...] = (
    Action(
        "realm.broadcast",
        "Show a text to all players, or to those in a zone",
        Broadcast,
        Broadcasted,
        plan_broadcast,
        broadcast,
        lambda params: params.zone or "realm",
        "broadcast",
    ),
    Action(
        "topic.publish",
        "Publish to a server topic",
        Publish,
        Published,
        plan_publish,
        publish,
        lambda params: params.topic,
        "publish",
    ),
    Action(
        "realm.maintenance",
        "Close the realm to players, or open it again",
        Maintain,
        Maintained,
        plan,
        maintain,
        lambda params: "on" if params.on else "off",
        "maintenance",
        cancel=cancel,
        dangerous=True,
        settle=settle,
    ),
)
